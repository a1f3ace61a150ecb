"""What the pages of MLflow say about reproducing a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.tracking import client as tracking_client
from pipelines.tracking import descriptions

HOUSES: Any = SimpleNamespace(name="houses")


def at(monkeypatch: pytest.MonkeyPatch, *changed: str) -> None:
    """Pretend that the code is at commit c0ffee, with changed files."""
    monkeypatch.setattr(descriptions, "commit", lambda: "c0ffee")
    monkeypatch.setattr(descriptions, "uncommitted", lambda: changed)


def test_a_run_of_a_commit_is_reproduced_by_checking_it_out(monkeypatch) -> None:
    at(monkeypatch)
    command = "git checkout c0ffee && dvc repro experiment@houses"
    assert descriptions.reproduce(HOUSES) == command
    assert descriptions.how_to_reproduce(HOUSES) == f"`{command}`"


def test_a_run_with_changes_does_not_promise_that_its_commit_suffices(
    monkeypatch,
) -> None:
    at(monkeypatch, "a.py", "b.py", "c.py", "params.yaml")
    text = descriptions.how_to_reproduce(HOUSES)
    assert "git checkout" not in text + descriptions.reproduce(HOUSES)
    assert "differed from commit `c0ffee` in `a.py`, `b.py`, `c.py` and 1 more" in text
    assert "`ftml reproduce RUN_ID` finds" in text


@pytest.mark.parametrize("name", ["standalone/tmp1", "tmp2"])
def test_the_default_store_is_that_of_the_project_of_an_experiment(
    name, tmp_path, monkeypatch
) -> None:
    """In the folders of `dvc exp run --temp` and of `--queue`."""
    copy = tmp_path / ".dvc/tmp/exps" / name
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    found = []

    class StopError(Exception):
        pass

    def record(uri: str) -> None:
        found.append(uri)
        raise StopError

    monkeypatch.setattr(tracking_client.mlflow, "set_tracking_uri", record)
    with pytest.raises(StopError):
        tracking_client.open_store()
    assert found == [f"sqlite:///{tmp_path}/mlflow.db"]
