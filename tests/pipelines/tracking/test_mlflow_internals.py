"""The installed MLflow has what tracking uses of it without a promise."""

from __future__ import annotations

import inspect
import re

import pytest
from mlflow import environment_variables
from mlflow.utils import environment

from pipelines.tracking import mlflow_internals
from tests.conftest import ROOT

SET = re.compile(r'setdefault\("(MLFLOW_[A-Z_]+)"')
INTERNAL = re.compile(
    r"mlflow\.(utils|store|protos|tracking\.[a-z_]+)\b|mlflow[\w.]*\._|\bsetattr\("
)
KNOWN = {
    "mlflow_internals.py",
    "migrate.py",  # it copies the tables of one store to another
    "serving.py",  # MLflow runs it without `pipelines`
}


def variables() -> list[str]:
    """Return the environment variables of MLflow that the package tracking sets."""
    files = (ROOT / "pipelines/tracking").glob("*.py")
    return sorted({name for path in files for name in SET.findall(path.read_text())})


@pytest.mark.parametrize("name", variables())
def test_mlflow_reads_the_environment_variable(name: str) -> None:
    assert getattr(environment_variables, name).name == name


def test_mlflow_does_not_look_through_all_packages_for_a_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = mlflow_internals.CHECK_OF_REQUIREMENTS

    def check(_: list[str]) -> None:
        """Stand for MLflow's check, which an earlier test may have replaced already."""

    monkeypatch.setattr(environment, name, check)
    source = inspect.getsource(environment._process_pip_requirements)
    assert f"{name}(sanitized_pip_reqs)" in source
    mlflow_internals.skip_check_of_requirements()
    assert getattr(environment, name) is not check


def test_a_store_takes_its_address_and_the_folder_of_its_artifacts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    parameters = list(inspect.signature(SqlAlchemyStore.__init__).parameters)
    assert parameters[1:3] == ["db_uri", "default_artifact_root"]
    made: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        SqlAlchemyStore, "__init__", lambda _, *given: made.append(given)
    )
    mlflow_internals.create_tables("sqlite:///m.db", artifacts="file:///a%27b")
    assert made == [("sqlite:///m.db", "file:///a%27b")]


def test_no_other_module_of_tracking_uses_what_mlflow_does_not_document() -> None:
    users = {
        path.name
        for path in (ROOT / "pipelines/tracking").glob("*.py")
        if INTERNAL.search(path.read_text())
    }
    assert users == KNOWN
