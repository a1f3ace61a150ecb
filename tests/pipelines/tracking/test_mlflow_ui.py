"""The names that MLflow's UI reads are still in the files of the installed version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_type_hints

import mlflow
import pytest
from mlflow.utils import mlflow_tags

from pipelines.tracking import mlflow_ui

SCRIPTS = Path(mlflow.__file__).parent / "server/js/build/static/js"
TYPES = (
    mlflow_ui.Axis,
    mlflow_ui.Chart,
    mlflow_ui.GroupKey,
    mlflow_ui.Grouping,
    mlflow_ui.Section,
    mlflow_ui.ViewState,
)


@pytest.fixture(scope="module")
def ui() -> str:
    """Return all scripts of the UI of the installed MLflow, as one text."""
    scripts = sorted(SCRIPTS.glob("*.js"))
    assert scripts, f"{SCRIPTS} has no scripts"
    return "\n".join(path.read_text(errors="replace") for path in scripts)


@pytest.mark.parametrize(
    "name",
    [
        f'"{mlflow_ui.VIEW_TAG_PREFIX}"',
        f'"{mlflow_ui.VIEW_PARAMETER}"',
        f'"{mlflow_ui.EXPERIMENT_KIND_TAG}"',
        f'"{mlflow_ui.EXPERIMENT_KIND}"',
        '"workflowType"',
        '"machine_learning"',
        '"compareRunsMode"',
        '"CHART"',
        '"/experiments/:experimentId/runs"',
        '"/models/:modelName/versions/:version"',
        '"runDateAndNestInfo"',
        '"ALL"',
        '"Active"',
        '"All Runs"',
        '"SHOW_ALL"',
        '"BAR"',
        '"LINE"',
        '"PARALLEL"',
        '"SCATTER"',
        '"METRIC"',
        '"average"',
        '"tag"',
        "createdAt",
        "updatedAt",
        *sorted({key for kind in TYPES for key in get_type_hints(kind)}),
    ],
)
def test_every_name_of_a_view_is_in_the_scripts_of_the_ui(ui: str, name: str) -> None:
    assert name in ui


def test_the_tags_that_pages_show_have_the_names_of_mlflows_own_constants() -> None:
    assert mlflow_tags.MLFLOW_RUN_NOTE == "mlflow.note.content"
    assert mlflow_tags.MLFLOW_PARENT_RUN_ID == "mlflow.parentRunId"
    assert mlflow_tags.MLFLOW_SOURCE_NAME == "mlflow.source.name"
    assert mlflow_tags.MLFLOW_SOURCE_TYPE == "mlflow.source.type"
    assert mlflow_tags.MLFLOW_GIT_COMMIT == "mlflow.source.git.commit"
    assert mlflow_tags.MLFLOW_DATASET_CONTEXT == "mlflow.data.context"


def test_a_view_with_a_name_holds_its_state_as_text() -> None:
    state = mlflow_ui.runs_that("tags.a = 'b'")
    (named,) = mlflow_ui.view_tag("k", state, name="n").values()
    assert json.loads(json.loads(named)["state"]) == state
    assert mlflow_ui.view_tag("k", state) == {
        "mlflow.sharedViewState.k": json.dumps(state)
    }
