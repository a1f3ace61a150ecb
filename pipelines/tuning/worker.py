"""What a worker does: train some trials, report them, keep their states."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray import tune

from ftml.config import read_config
from ftml.core import State, Step, family
from ftml.saving import load_tree, save, save_tree
from pipelines.params.study import Resources
from pipelines.study.folds import Data
from pipelines.study.plan import Search, is_rung
from pipelines.study.pruning import Limit
from pipelines.tuning.training import Member, Work, test_scores, validation_scores

CHECKPOINT_SECONDS = "FTML_CHECKPOINT_SECONDS"
"""Environment variable: seconds of training between two checkpoints of a trial, 10 by
default."""


class CheckpointError(OSError):
    """A checkpoint could not be written: the trial's work is at risk, so the search
    ends.
    """


class Board:
    """An actor beside the driver: what workers are to train, and how far trials count.

    Each search is known by the name of its folder.
    """

    def __init__(self) -> None:
        self.work: dict[str, tuple[Search, list[Any]]] = {}
        self.limits: dict[str, dict[int, Limit]] = {}
        self.expected: dict[str, int] = {}
        self.present: dict[str, set[str]] = {}
        self.late: set[str] = set()

    def open(self, search: Search, data: list[Any]) -> None:
        """Take a search, and where its data are in Ray's object store."""
        self.work[str(search.folder)] = search, data

    def find(self, name: str, place: str, worker: str) -> tuple[Search, list[Any]]:
        """Return a search, to a worker that has such a place in the cluster."""
        self.present.setdefault(place, set()).add(worker)
        return self.work[name]

    def expect(self, place: str, count: int) -> None:
        """Learn that so many workers will have such a place."""
        self.expected[place] = count

    def awaited(self, place: str, *, longer: bool) -> bool:
        """Return whether workers are still starting; not if nobody waits longer."""
        if not longer:
            self.late.add(place)
        missing = len(self.present[place]) < self.expected.get(place, 0)
        return missing and place not in self.late

    def close(self, name: str) -> None:
        del self.work[name]
        self.limits.pop(name, None)

    def put(self, name: str, limits: dict[int, Limit]) -> None:
        self.limits[name] = limits

    def get(self, name: str) -> dict[int, Limit]:
        return self.limits.get(name, {})


def run_trial_batch(chosen: dict[str, Any], *, board: Any) -> None:
    """Train the trials of a pack, from their last checkpoint if there is one, report,
    and let other workers start.

    An error of the family (a configuration that diverges, a GPU out of memory) is the
    trial's result; one in saving a checkpoint is not, and ends the search.
    """
    place = resource_key(chosen["resources"])
    worker = ray.get_runtime_context().get_actor_id()
    search, [reference] = ray.get(board.find.remote(chosen["search"], place, worker))
    _train(chosen, search, ray.get(reference), board)
    deadline = time.monotonic() + STARTING
    while ray.get(board.awaited.remote(place, longer=time.monotonic() < deadline)):
        time.sleep(0.05)


STARTING = 30.0
"""Seconds that a worker which has finished waits for those that are starting. To a
worker that is free Tune gives the trial for which another is being started, and kills
that one: where trials are short, all but the first would be killed again and again."""


def resource_key(resources: dict[str, float]) -> str:
    """Return the name of the places that workers with these resources have."""
    return json.dumps(resources, sort_keys=True)


def _train(chosen: dict[str, Any], search: Search, data: Data, board: Any) -> None:
    _use_threads(search.resources)
    pack = search.packs[chosen["pack"]]
    first = search.trials[pack[0]]
    work = Work(search, data(first.fold), first, board)
    Config = family(search.family).Config
    kept = _restore(chosen["checkpoint"])
    members = [
        Member(index, read_config(Config, {**search.config, **trial.config}))
        for index, trial in ((index, search.trials[index]) for index in pack)
    ]
    if kept is not None:
        members = [member for member in members if str(member.index) in kept]
        for member in members:
            member.state, n, member.seconds = kept[str(member.index)]
            if n == work.last_step:  # died between its last report and its end
                tune.report({"rows": []})
                return
    _run(members, work)


def _run(members: Sequence[Member], work: Work) -> None:
    while members:
        failed = ""
        try:
            members = _until_some_stop(members, work)
        except CheckpointError as error:
            # Said in time: Ray writes its own account of it to the disk that is full.
            tune.report({"fatal": str(error)})
            raise
        except Exception as error:
            failed = _said(error)
        if failed:
            # Not in the handler: until its end, a GPU holds what the error refers to.
            _free_gpu()
            if len(members) == 1:
                tune.report({"rows": [{"trial": members[0].index, "error": failed}]})
                return
            # Which of them it was is not known: each goes on alone.
            for i, member in enumerate(members):
                _run([member], replace(work, waiting=members[i + 1 :]))
            return


def _said(error: Exception) -> str:
    """Return what a trial failed of; that of a GPU's memory in words of its own."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        first, _, _ = str(error).partition("\n")
        return f"out of GPU memory: {first}"
    return f"{type(error).__name__}: {error}"


def _free_gpu() -> None:
    """Give back the memory of a GPU that torch keeps for later: others share it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _until_some_stop(members: Sequence[Member], work: Work) -> list[Member]:
    """Train until all members have ended, or some are stopped; return the others."""
    period = float(os.environ.get(CHECKPOINT_SECONDS, "10"))
    saved = time.monotonic()
    for steps, took in _timed(work.train(members)):
        ended = _advance(members, steps, took)
        going = [member for member in members if not member.ended]
        n = max(member.last.n for member in going)
        last = n == work.last_step
        if last or ended or n % work.search.report_every == 0:
            keep = last or time.monotonic() - saved >= period
            due = [] if n % work.search.report_every and not last else going
            _report(due, ended, going, work, keep=keep, end=last)
            saved = time.monotonic() if keep else saved
        if last:
            return []
        if stopped := _stopped(going, n, work):
            return [member for member in going if member.index not in stopped]
    # Training ended by itself.
    left = [member for member in members if not member.ended]
    _report([], left, left, work, keep=work.final, end=True)
    return []


def _advance(
    members: Sequence[Member], steps: Sequence[Step | None], took: float
) -> list[Member]:
    """Give each member its step and its share of the time; return those that have just
    ended.
    """
    count = sum(step is not None for step in steps)
    ended = []
    for member, step in zip(members, steps, strict=True):
        if step is not None:
            member.step, member.state = step, step.state
            member.seconds += took / count
        elif not member.ended:
            member.ended = True
            ended.append(member)
    return ended


def _stopped(members: Sequence[Member], n: int, work: Work) -> set[int]:
    """Return which members are stopped at step n, once that is decided for all.

    Whoever waits for trials before its own learns of their death by waiting in vain,
    and goes on.
    """
    if work.search.pack == 1 or not is_rung(work.search, n):
        return set()
    deadline = time.monotonic() + PATIENCE
    while True:
        limits = ray.get(work.board.get.remote(str(work.search.folder)))
        mine = {m.index: limits.get(m.index, Limit(n)) for m in members}
        decided = all(each.stopped or each.n > n for each in mine.values())
        if decided or time.monotonic() > deadline:
            return {index for index, each in mine.items() if each.stopped}
        time.sleep(0.02)


PATIENCE = 60.0
"Seconds that a pack waits at a rung for the trials that it is compared with."


def _report(
    due: Sequence[Member],
    ended: Sequence[Member],
    going: Sequence[Member],
    work: Work,
    *,
    keep: bool,
    end: bool,
) -> None:
    """Report the steps that are due, and the ends, whose last steps count once; with a
    checkpoint of those that go on if `keep`. At its `end` a final fit is tested, and
    its model kept.
    """
    unsaid = [m for m in ended if m.step and (work.final or m.reported < m.step.n)]
    rows = [_row(member, work, end=end) for member in [*due, *unsaid]]
    if work.search.pack > 1:  # the end of a pack of one is that of Ray's trial
        rows += [{"trial": member.index, "ended": True} for member in ended]
    if not rows:
        return
    if not keep:
        tune.report({"rows": rows})
        return
    try:
        with tempfile.TemporaryDirectory(prefix="ftml-checkpoint-") as folder:
            members = [*going, *work.waiting]
            states = {str(member.index): member.state for member in members}
            about = {str(m.index): [m.n, m.seconds] for m in members}
            save_tree(Path(folder), states, about=about)
            if work.final and end:
                (member,) = going
                save(Path(folder) / "model", member.last.model, member.config)
            checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report({"rows": rows}, checkpoint=checkpoint)
    except OSError as error:
        n = max(row.get("n", 0) for row in rows)
        raise CheckpointError(
            f"no checkpoint of step {n} could be written: {error}"
        ) from None


def _row(member: Member, work: Work, *, end: bool) -> dict[str, Any]:
    """Return what is reported of a member's last step: its metrics and scores."""
    step = member.last
    metrics = dict(step.metrics)
    if not work.final:
        metrics |= validation_scores(step.model, work)
    elif end:
        metrics |= test_scores(step.model, work)
    member.reported = step.n
    return {
        "trial": member.index,
        "n": step.n,
        "seconds": member.seconds,
        "metrics": metrics,
    }


def _restore(earlier: str | None) -> dict[str, tuple[State, int, float]] | None:
    """Return the state of each trial to go on with, its step, and the seconds spent on
    it; None at the beginning. `earlier` is the last checkpoint under another driver.
    """
    checkpoint = tune.get_checkpoint() or (earlier and tune.Checkpoint(earlier))
    if not checkpoint:
        return None
    try:
        with checkpoint.as_directory() as folder:
            states, about = load_tree(Path(folder))
    except (OSError, ValueError):  # gone: beginning again repeats the trials exactly
        return None
    return {index: (states[index], *about["about"][index]) for index in states}


def _timed(
    steps: Iterator[list[Step | None]],
) -> Iterator[tuple[list[Step | None], float]]:
    """Yield each round of steps and the seconds that it took, scoring not counted."""
    while True:
        start = time.perf_counter()
        step = next(steps, None)
        if step is None:
            return
        yield step, time.perf_counter() - start


def _use_threads(resources: Resources) -> None:
    """Give torch, where the family has imported it, as many threads as the trial has
    CPUs.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(max(1, int(resources.cpu)))
