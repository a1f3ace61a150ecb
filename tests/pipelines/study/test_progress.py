"""The line that says how far a search is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.study.progress import Progress
from pipelines.study.record import Record


def test_the_line_gives_finished_total_best_and_time_left(tmp_path: Path) -> None:
    progress = Progress("digits/erm/search", 4, "valid_accuracy", "max")
    record = Record(tmp_path / "record.jsonl")
    assert progress.line(record, 0.0) == "digits/erm/search  0/4"
    for index, value in enumerate([0.5, 0.9, float("nan")]):
        record.start(index, {})
        record.step(index, 1, {"valid_accuracy": value}, 1.0)
    record.end(0)
    expected = "digits/erm/search  1/4  best valid_accuracy 0.9  0:30 left"
    assert progress.line(record, 10.0) == expected


def test_time_left_counts_only_what_this_driver_has_finished(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    for index in range(3):
        record.start(index, {})
    record.end(0)
    progress = Progress("x", 3, "valid_mse", "min")
    assert progress.line(record, 5.0) == "x  1/3"
    record.end(1)
    assert progress.line(record, 7.0) == "x  2/3  0:07 left"


def test_nothing_is_written_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress("x", 1, "valid_mse", "min")
    progress.show(Record(tmp_path / "record.jsonl"))
    progress.clear()
    assert capsys.readouterr() == ("", "")
