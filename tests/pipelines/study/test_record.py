"""The record of a search on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.study.record import Record, Trial


def filled(path: Path) -> Record:
    record = Record(path)
    record.start(0, {"alpha": 0.1})
    record.step(0, 1, {"train_loss": 2.0}, 0.5)
    record.step(0, 2, {"train_loss": 1.0, "valid_loss": float("nan")}, 0.75)
    record.checkpoint(0, "somewhere")
    record.end(0)
    record.start(1, {"alpha": 0.2})
    record.step(1, 1, {"train_loss": 3.0}, 0.25)
    return record


def test_a_record_read_again_holds_what_was_written(tmp_path: Path) -> None:
    record = filled(tmp_path / "record.jsonl")
    again = Record(record.path)
    assert repr(again.trials) == repr(
        record.trials
    )  # repr, for NaN is not equal to itself
    assert again.trials[0].last == 2
    assert again.trials[0].seconds == 0.75
    assert again.trials[0].checkpoint == "somewhere"
    assert not again.trials[1].ended


def test_what_is_reported_twice_counts_once(tmp_path: Path) -> None:
    record = filled(tmp_path / "record.jsonl")
    before = record.path.read_text()
    record.start(0, {"alpha": 0.1})
    record.step(0, 2, {"train_loss": 1.0}, 9.0)
    record.end(0)
    assert record.path.read_text() == before


@pytest.mark.parametrize("lost", range(1, 60, 7))
def test_a_torn_last_line_is_dropped_and_the_rest_kept(
    tmp_path: Path, lost: int
) -> None:
    path = filled(tmp_path / "record.jsonl").path
    whole = path.read_text()
    path.write_text(whole[:-lost])
    record = Record(path)
    kept = path.read_text()
    assert whole.startswith(kept)
    assert kept == "" or kept.endswith("\n")
    if 1 in record.trials:
        record.step(1, 1, {"train_loss": 3.0}, 0.25)
        assert Record(path).trials[1].steps == {1: {"train_loss": 3.0}}


def test_a_search_is_complete_when_all_its_trials_have_ended(tmp_path: Path) -> None:
    record = filled(tmp_path / "record.jsonl")
    assert not record.complete(2)
    record.end(1, error="ValueError: no")
    assert record.complete(2)
    assert not record.complete(3)
    assert Record(record.path).trials[1].error == "ValueError: no"


@pytest.mark.parametrize(
    ("error", "diverged"),
    [
        (None, False),
        ("ValueError: diverged: no", False),
        ("FloatingPointError: diverged: train_loss is nan in epoch 3", True),
    ],
)
def test_a_trial_whose_numbers_are_not_finite_has_diverged(
    error: str | None, diverged: bool
) -> None:
    assert Trial({}, error=error).diverged == diverged
