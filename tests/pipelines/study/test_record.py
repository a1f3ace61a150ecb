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


DAMAGE = {
    "not JSON": b'{"trial": 0, "n": 2, "met@@@cs',
    "not UTF-8": b"\xff\xfe\x00",
    "zeros after a power failure": b"\x00" * 40,
    "not an object": b"[1, 2]",
    "another object": b'{"a": 1}',
    "no metrics": b'{"trial": 0, "n": 2}',
    "a trial that has not started": b'{"trial": 7, "error": null}',
    "a step that is a text": b'{"trial": 0, "n": "2", "metrics": {}, "seconds": 0.0}',
    "empty": b"",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("number", [0, 2, 6])
def test_a_record_is_kept_up_to_its_first_damaged_line_which_is_said(
    tmp_path: Path, damage: bytes, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = filled(tmp_path / "record.jsonl").path
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:number], damage + b"\n", *lines[number + 1 :]]))
    Record(path)
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{path}: line {number + 1} is damaged (")
    assert path.read_bytes() == b"".join(lines[:number])
    Record(path)
    assert capsys.readouterr().err == "", "the record is repaired"


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
