"""What a dataset whose studies are all complete keeps, and what is removed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.study import workspace


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FTML_STORAGE", raising=False)
    return SimpleNamespace(name="toy")


def write(path: str, content: str = "") -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def test_a_driver_that_ended_after_its_results_leaves_no_working_directory(
    dataset: Any,
) -> None:
    write("experiments/toy/ridge/metrics.json")
    write(".search/toy/ridge/key", "k")
    write(".search/toy/ridge/search/record.jsonl")
    write(".search/toy/.checkpoints/a1b2/trial/model")
    workspace.clean(dataset, [SimpleNamespace(name="ridge")])  # type: ignore[list-item]
    assert not Path(".search").exists()
    assert Path("experiments/toy/ridge/metrics.json").exists()


def test_results_of_a_study_that_params_no_longer_name_are_removed(
    dataset: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    write("experiments/toy/gone/metrics.json")
    write("experiments/toy/gone/run.json")
    write("experiments/toy/comparison/table.csv")
    write("experiments/toy/notes/mine.txt")
    write(".search/other/ridge/key", "k")
    workspace.clean(dataset, [])
    assert not Path("experiments/toy/gone").exists()
    assert Path("experiments/toy/comparison/table.csv").exists()
    assert Path("experiments/toy/notes/mine.txt").exists()
    assert "notes: is no result of a study; left there" in capsys.readouterr().err
    assert Path(".search/other/ridge/key").exists()
