"""Which studies have failed, and what their reason says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.study import failures
from pipelines.study.record import Record

DIVERGED = "FloatingPointError: diverged: train_loss is nan"


def record_of(folder: Path, errors: list[str | None]) -> Record:
    """Return a record of trials with a step each, which then ended so."""
    record = Record(folder / "record.jsonl")
    for index, error in enumerate(errors):
        record.start(index, {"seed": index + 1})
        record.step(index, 1, {"valid_mse": 1.0}, 0.1)
        record.end(index, error=error)
    return record


def test_trials_that_all_fail_after_their_first_step_are_a_failure(
    tmp_path: Path,
) -> None:
    record = record_of(tmp_path, ["KeyError: 'a'", "KeyError: 'b'"])
    with pytest.raises(ValueError, match="all 2 trials failed, the first with KeyErr"):
        failures.check_trials(record)
    assert failures.to_retry(record, final_fits=False) == [0, 1]


@pytest.mark.parametrize("errors", [["KeyError: 'a'", None], [DIVERGED, DIVERGED], []])
def test_a_trial_that_succeeds_or_diverges_makes_no_failure(
    tmp_path: Path, errors: list[str | None]
) -> None:
    record = record_of(tmp_path, errors)
    failures.check_trials(record)
    assert failures.to_retry(record, final_fits=False) == []


def test_a_failed_final_fit_says_its_seed_and_what_to_do(tmp_path: Path) -> None:
    record = record_of(tmp_path, [None, "RuntimeError: no memory", None])
    with pytest.raises(
        ValueError,
        match=r"1 of 3 final fits failed, the first \(seed 2\) with RuntimeError: no "
        r"memory; a rerun of the stage trains what has failed again",
    ):
        failures.check_final_fits(record)
    assert failures.to_retry(record, final_fits=True) == [1]


def test_a_retried_trial_is_as_one_that_has_started(tmp_path: Path) -> None:
    record = record_of(tmp_path, [None, "KeyError: 'a'"])
    record.retry(1)
    for read in (record, Record(record.path)):
        assert not read.complete(2)
        assert read.trials[1].steps == {}
        assert read.trials[1].error is None
        assert read.trials[1].config == {"seed": 2}
    record.end(1)
    assert Record(record.path).complete(2)


def test_the_reason_is_in_the_working_directory_until_the_study_starts_again(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "iris/ridge"
    assert failures.read_failure(directory) == ""
    failures.write_failure(directory, "ridge: all 2 trials failed")
    assert failures.read_failure(directory) == "ridge: all 2 trials failed"
    failures.remove_failure(directory)
    assert failures.read_failure(directory) == ""
