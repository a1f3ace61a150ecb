"""What the store lacks of a finished study is known by the indices of its children."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from pipelines.tracking import recorded


def run(role: str, index: int, status: str = "FINISHED") -> Run:
    tags = {"ftml.role": role, "ftml.index": str(index)}
    return cast(
        Run,
        SimpleNamespace(
            info=SimpleNamespace(status=status), data=SimpleNamespace(tags=tags)
        ),
    )


@pytest.mark.parametrize(
    ("children", "lacked"),
    [
        ([("trial", 0), ("trial", 1), ("fit", 0)], []),
        ([("trial", 0), ("trial", 1), ("trial", 1), ("fit", 0), ("fit", 0)], []),
        ([("trial", 1), ("trial", 1), ("fit", 0)], ["1 of the runs of its trials"]),
        ([("trial", 0), ("trial", 1)], ["1 of the runs of its fits"]),
    ],
)
def test_a_doubled_run_neither_replaces_a_lost_one_nor_counts_as_missing(
    children: list[tuple[str, int]], lacked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [run(*child) for child in children]
    monkeypatch.setattr(recorded, "children", lambda *_: found)
    monkeypatch.setattr(recorded, "_has_artifacts", lambda *_: True)
    monkeypatch.setattr(recorded, "has_model_files", lambda *_: True)
    study = recorded.Recorded(run("study", 0), is_own=True, version="1")
    client = cast(MlflowClient, None)
    missing = recorded.missing(client, study, Path(), n_trials=2, n_fits=1)
    assert missing == lacked
