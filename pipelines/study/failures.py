"""Why a study has failed: whether its trials and its final fits could be trained, and
the file `failure.txt` in its working directory, which the report reads.

The file is written when a study fails and removed when the study starts again. It goes
with the working directory when the study is complete or its key changes.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.common.formatting import counted
from pipelines.study.record import Record, Trial

WORKING_ROOT, FAILURE = Path(".search"), "failure.txt"

RETRY = (
    "a rerun of the stage trains what has failed again; if the same error comes, "
    "change the study or its `resources`"
)
"What to do about trials or final fits that have failed."


def check_trials(tried: Record) -> None:
    """Raise ValueError if every trial of a complete search has failed.

    A trial that has diverged has not failed.
    """
    errors = [trial.error for trial in tried.trials.values() if failed(trial)]
    if errors and len(errors) == len(tried.trials):
        what = "its only trial" if len(errors) == 1 else f"all {len(errors)} trials"
        raise ValueError(f"{what} failed, the first with {errors[0]}; {RETRY}")


def check_final_fits(fitted: Record) -> None:
    """Raise ValueError if a final fit of a complete search has an error."""
    errors = {i: trial.error for i, trial in fitted.trials.items() if trial.error}
    if errors:
        index, error = next(iter(sorted(errors.items())))
        seed = fitted.trials[index].config.get("seed")
        count = f"{len(errors)} of {counted(len(fitted.trials), 'final fit')} failed"
        raise ValueError(f"{count}, the first (seed {seed}) with {error}; {RETRY}")


def failed(trial: Trial) -> bool:
    """Return whether a trial has ended with an error of the code or of the machine."""
    return bool(trial.error) and not trial.diverged


def to_retry(record: Record, *, final_fits: bool) -> list[int]:
    """Return which trials of a record that is read again are to be trained again: final
    fits with an error, and all trials of a search if each of them has failed.

    A single failed trial of a search is a result and is not trained again.
    """
    if final_fits:
        return [i for i, trial in record.trials.items() if trial.error]
    found = [i for i, trial in record.trials.items() if failed(trial)]
    return found if len(found) == len(record.trials) else []


def write_failure(directory: Path, reason: str) -> None:
    """Write why a study has failed into its working directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / FAILURE).write_text(reason + "\n", encoding="utf-8")


def read_failure(directory: Path) -> str:
    """Return why the study of a working directory has failed; "" if it has not."""
    try:
        return (directory / FAILURE).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def remove_failure(directory: Path) -> None:
    """Remove the file that says why a study has failed, if there is one."""
    (directory / FAILURE).unlink(missing_ok=True)
