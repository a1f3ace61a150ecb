"""What a Ray worker does: train a trial batch, report its metrics, save checkpoints.

The forms of a report are in `messages`.

A checkpoint holds the states of all trials of the batch that have not ended, their
steps and their training seconds. It is written at the end of training and otherwise at
most every FTML_CHECKPOINT_SECONDS seconds of training. After a crash, a worker resumes
from the latest checkpoint; it may report steps again, which the record counts once.
"""

from __future__ import annotations

import operator
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import ray
from ray import tune

from ftml.config import read_config
from ftml.core import State, Step, family
from ftml.saving import load_tree, save, save_tree
from pipelines.cluster import leftovers
from pipelines.common.explain import explain
from pipelines.common.threads import use_threads
from pipelines.study.folds import Data
from pipelines.study.plan import Search, is_rung
from pipelines.study.pruning import PruningDecision
from pipelines.tuning.coordinator import (
    Coordinator,
    CoordinatorHandle,
    remote_method,
    resource_key,
)
from pipelines.tuning.messages import BatchConfig, EndRow, ErrorRow, Row, StepRow
from pipelines.tuning.training import (
    TrainingJob,
    TrialState,
    test_scores,
    validation_scores,
)

CHECKPOINT_SECONDS = "FTML_CHECKPOINT_SECONDS"
"""Environment variable: seconds of training between two checkpoints of a trial, 10 by
default."""

START_TIMEOUT_S = 30.0
"Seconds that a worker waits at the start barrier for workers that are starting."

RUNG_WAIT_TIMEOUT_S = 60.0
"Seconds that a trial batch waits at a rung for the trials that it is compared with."

LONGEST_TEXT = 20_000
"Characters of an error that a worker reports."


class CheckpointError(OSError):
    """A checkpoint could not be written, which ends the search."""


def run_trial_batch(config: BatchConfig, *, coordinator: CoordinatorHandle) -> None:
    """Train the trials of a batch, then wait until other workers have started.

    Training resumes from the latest checkpoint of the batch, if there is one. An error
    of the family (a configuration that diverges, a GPU out of memory) is the result of
    its trial; an error in saving a checkpoint ends the search.
    """
    leftovers.remove_checkpoints()
    shape = resource_key(config["resources"])
    worker = str(ray.get_runtime_context().get_actor_id())
    name = config["search"]
    find = remote_method(coordinator, Coordinator.find)
    search, [data] = ray.get(find.remote(name, shape, worker))
    _train(config, search, ray.get(data), coordinator)
    _wait_for_workers(coordinator, shape)


def _wait_for_workers(coordinator: CoordinatorHandle, shape: str) -> None:
    """Wait at the start barrier (`pipelines.tuning.coordinator`)."""
    deadline = time.monotonic() + START_TIMEOUT_S
    starting = remote_method(coordinator, Coordinator.workers_starting)
    while ray.get(starting.remote(shape, timed_out=time.monotonic() >= deadline)):
        time.sleep(0.05)


def _train(
    config: BatchConfig, search: Search, data: Data, coordinator: CoordinatorHandle
) -> None:
    use_threads(search.resources.threads)  # for what the family imports
    indices = search.batches[config["batch"]]
    first = search.trials[indices[0]]
    job = TrainingJob(search, data(first.fold), first, coordinator)
    Config = family(search.family).Config
    use_threads(search.resources.threads)
    checkpoint = _load_checkpoint(config["checkpoint"])
    trials = [
        TrialState(
            index, read_config(Config, {**search.config, **search.trials[index].config})
        )
        for index in indices
    ]
    if checkpoint is not None:
        trials = [trial for trial in trials if str(trial.index) in checkpoint]
        for trial in trials:
            trial.state, n, trial.seconds = checkpoint[str(trial.index)]
            if n == job.last_step:  # crashed between its last report and its end
                tune.report({"rows": []})
                return
    _run(trials, job)


def _run(trials: Sequence[TrialState], job: TrainingJob) -> None:
    """Train the trials of a batch to their ends.

    After an error in a batch of several, which trial raised it is not known: each is
    trained alone from its last state.
    """
    while trials:
        failure: tuple[str, str] | None = None
        try:
            trials = _train_until_one_stops(trials, job)
        except CheckpointError as error:
            # Reported before Ray writes its own error file to the disk that is full.
            tune.report({"fatal": str(error)})
            raise
        except Exception as error:
            trace = "".join(traceback.format_exception(error))
            failure = format_error(error), as_text(trace)
        if failure:
            # Outside the handler, in which the error's traceback holds GPU memory.
            _free_gpu_memory()
            if len(trials) == 1:
                reason, trace = failure
                index = trials[0].index
                row = ErrorRow(trial=index, error=reason, traceback=trace)
                tune.report({"rows": [row]})
                return
            for i, trial in enumerate(trials):
                _run([trial], replace(job, waiting=trials[i + 1 :]))
            return


def format_error(error: Exception) -> str:
    """Return why a trial failed, with a message of its own for GPU memory."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        first_line, _, _ = str(error).partition("\n")
        return f"out of GPU memory: {first_line}"
    return as_text(f"{type(error).__name__}: {error}")


def as_text(text: str) -> str:
    """Return a text that UTF-8 can hold, and so a file and a database, with at most
    LONGEST_TEXT characters.
    """
    return text[-LONGEST_TEXT:].encode("utf-8", "replace").decode("utf-8")


def _free_gpu_memory() -> None:
    """Return the GPU memory that torch caches: other trials share the GPU."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _train_until_one_stops(
    trials: Sequence[TrialState], job: TrainingJob
) -> list[TrialState]:
    """Train until all trials have ended or some are pruned; return the others."""
    interval = float(os.environ.get(CHECKPOINT_SECONDS, "10"))
    saved = time.monotonic()
    for steps, seconds in _timed(job.train(trials)):
        ended = _advance(trials, steps, seconds)
        running = [trial for trial in trials if not trial.ended]
        n = max(trial.last_step.n for trial in running)
        last = n == job.last_step
        if last or ended or n % job.search.report_every == 0:
            save_now = last or time.monotonic() - saved >= interval
            due = [] if n % job.search.report_every and not last else running
            _report(due, ended, running, job, save_checkpoint=save_now, end=last)
            saved = time.monotonic() if save_now else saved
        if last:
            return []
        if pruned := _pruned(running, n, job):
            return [trial for trial in running if trial.index not in pruned]
    # Training ended before a last step was reached.
    rest = [trial for trial in trials if not trial.ended]
    _report([], rest, rest, job, save_checkpoint=job.is_final_fit, end=True)
    return []


def _advance(
    trials: Sequence[TrialState], steps: Sequence[Step | None], seconds: float
) -> list[TrialState]:
    """Give each trial its step and an equal part of the seconds; return the trials that
    have just ended.
    """
    count = sum(step is not None for step in steps)
    ended = []
    for trial, step in zip(trials, steps, strict=True):
        if step is not None:
            trial.step, trial.state = step, step.state
            trial.seconds += seconds / count
        elif not trial.ended:
            trial.ended = True
            ended.append(trial)
    return ended


def _pruned(trials: Sequence[TrialState], n: int, job: TrainingJob) -> set[int]:
    """Return which trials are pruned at step n, as soon as all are decided.

    If a trial that they are compared with does not report in time, since its worker
    crashed, the batch continues without a decision.
    """
    if job.search.batch_size == 1 or not is_rung(job.search, n):
        return set()
    deadline = time.monotonic() + RUNG_WAIT_TIMEOUT_S
    decisions = remote_method(job.coordinator, Coordinator.decisions)
    indices = [trial.index for trial in trials]
    while True:
        known = ray.get(decisions.remote(job.search.name, indices))
        pending = PruningDecision.pending_at(n)
        own = {trial.index: known.get(trial.index, pending) for trial in trials}
        decided = all(each.pruned or each.step > n for each in own.values())
        if decided or time.monotonic() > deadline:
            return {index for index, each in own.items() if each.pruned}
        time.sleep(0.02)


def _report(
    due: Sequence[TrialState],
    ended: Sequence[TrialState],
    running: Sequence[TrialState],
    job: TrainingJob,
    *,
    save_checkpoint: bool,
    end: bool,
) -> None:
    """Report the steps that are due, the trials that have ended, and the last steps of
    these if they are not reported yet.

    save_checkpoint: whether to save a checkpoint of the running and waiting trials.
    end: whether a final fit is at its end, where it is scored on the test split and its
    model is saved.
    """
    unreported = [
        trial
        for trial in ended
        if trial.step and (job.is_final_fit or trial.reported < trial.step.n)
    ]
    steps = [_row(trial, job, end=end) for trial in [*due, *unreported]]
    rows: list[Row] = [*steps]
    if job.search.batch_size > 1:  # the end of a batch of one is that of Tune's trial
        rows += [EndRow(trial=trial.index, ended=True) for trial in ended]
    if not rows:
        return
    if not save_checkpoint:
        tune.report({"rows": rows})
        return
    try:
        with leftovers.checkpoint_folder() as folder:
            _write_checkpoint(folder, running, job, end=end)
            checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report({"rows": rows}, checkpoint=checkpoint)
    except OSError as error:
        n = max((row["n"] for row in steps), default=0)
        raise CheckpointError(
            f"no checkpoint of step {n} could be written: {explain(error)}"
        ) from None


def _write_checkpoint(
    folder: Path, running: Sequence[TrialState], job: TrainingJob, *, end: bool
) -> None:
    """Write the states of all trials that have not ended; at the end of a final fit
    also its model.
    """
    trials = [*running, *job.waiting]
    states = {str(trial.index): trial.state for trial in trials}
    about = {str(trial.index): [trial.n, trial.seconds] for trial in trials}
    save_tree(folder, states, about=about)
    if job.is_final_fit and end:
        (trial,) = running
        save(folder / "model", trial.last_step.model, trial.config, job.interface)


def _row(trial: TrialState, job: TrainingJob, *, end: bool) -> StepRow:
    """Return the report of a trial's last step: its training metrics and scores."""
    step = trial.last_step
    metrics = dict(step.metrics)
    if not job.is_final_fit:
        metrics |= validation_scores(step.model, job)
    elif end:
        metrics |= test_scores(step.model, job)
    trial.reported = step.n
    return {
        "trial": trial.index,
        "n": operator.index(step.n),
        "seconds": trial.seconds,
        "metrics": {
            name: plain_number(value, f"metric {name!r} of step {step.n}")
            for name, value in metrics.items()
        },
    }


def plain_number(value: object, what: str) -> float:
    """Return a number as a Python number, which JSON has: scalars of NumPy and torch
    are taken.

    Raises TypeError, which says `what` it is, for anything else.
    """
    if not isinstance(value, int | float) and getattr(value, "ndim", None) == 0:
        value = getattr(value, "item", lambda: None)()
    if isinstance(value, int | float):
        return value
    raise TypeError(f"{what} must be one number, got {type(value).__name__}")


def _load_checkpoint(earlier: str | None) -> dict[str, tuple[State, int, float]] | None:
    """Return the state of each trial in the latest checkpoint, its step and its
    training seconds; None if there is no checkpoint.

    earlier: URI of the last checkpoint that was written under an earlier driver.
    """
    checkpoint = tune.get_checkpoint() or (earlier and tune.Checkpoint(earlier))
    if not checkpoint:
        return None
    try:
        with checkpoint.as_directory() as folder:
            states, about = load_tree(Path(folder))
    except (OSError, ValueError):  # deleted: training from the start gives the same
        return None
    return {index: (states[index], *about["about"][index]) for index in states}


def _timed(
    steps: Iterator[list[Step | None]],
) -> Iterator[tuple[list[Step | None], float]]:
    """Yield the steps of all trials and the seconds that training them took."""
    while True:
        start = time.perf_counter()
        step = next(steps, None)
        if step is None:
            return
        yield step, time.perf_counter() - start
