"""What a worker does: train some trials, score them, report them, keep their states."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import zip_longest
from pathlib import Path
from statistics import fmean
from typing import Any

import ray
from ray import tune

from ftml.config import FamilyConfig, read_config
from ftml.core import Family, State, Step, TrainMany, family
from ftml.data import Splits
from ftml.saving import load_tree, save, save_tree
from ftml.tasks import task
from ftml.tasks.domain_generalization import domain_key
from pipelines.blocks import Resources
from pipelines.cross_validation import cross_validation, train_folds
from pipelines.folds import Data
from pipelines.halving import Limit
from pipelines.search import Search, is_rung

CHECKPOINT_SECONDS = "FTML_CHECKPOINT_SECONDS"
"""Environment variable: seconds of training between two checkpoints of a trial, 10 by
default."""


class CheckpointError(OSError):
    """A checkpoint could not be written: the trial's work is at risk, so the search
    ends.
    """


class Board:
    """An actor that tells workers how far trials count, as the driver knows it."""

    def __init__(self) -> None:
        self.limits: dict[int, Limit] = {}

    def put(self, limits: dict[int, Limit]) -> None:
        self.limits = limits

    def get(self) -> dict[int, Limit]:
        return self.limits


@dataclass
class Member:
    """A trial of a pack, as far as it is trained."""

    index: int
    config: FamilyConfig
    state: State | None = None
    seconds: float = 0.0
    step: Step | None = None
    reported: int = 0
    "the step of its last report"

    ended: bool = False

    @property
    def last(self) -> Step:
        """Its last step. Raises ValueError before the first."""
        if self.step is None:
            raise ValueError(f"trial {self.index} has made no step")
        return self.step


@dataclass(frozen=True)
class Work:
    """What the trials of a pack work on: they share a fold."""

    search: Search
    splits: Splits
    last_step: int | None
    board: Any

    @property
    def final(self) -> bool:
        return self.last_step is not None

    @cached_property
    def folds(self) -> list[Splits[Any]]:
        """What a trial under cross-validation trains on and is scored on; none else."""
        if self.final or self.search.cv is None:
            return []
        seed = self.search.config["seed"]
        return cross_validation(self.splits, n_folds=self.search.cv, seed=seed)

    def train(self, members: Sequence[Member]) -> Iterator[list[Step | None]]:
        """Yield the next step of each member, None for one that has ended."""
        kind = family(self.search.family)
        many: TrainMany = partial(one_by_one, kind)
        if self.search.pack > 1 and kind.train_many is not None:
            many = kind.train_many
        configs = [member.config for member in members]
        states = [member.state for member in members]
        if self.folds:
            return train_folds(many, configs, self.folds, states)
        seen = self.splits.for_final_fit() if self.final else self.splits.without_test()
        return many(configs, seen, states)

    def evaluate(self, model: Any, split: Any) -> dict[str, float]:
        kind = task(family(self.search.family).task)
        scores: dict[str, float] = kind.evaluate(model, split)
        return scores


def one_by_one(
    kind: Family,
    configs: Sequence[FamilyConfig],
    data: Splits,
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield what `train_many` would, for a family that has none."""
    states = states or [None] * len(configs)
    training = [
        kind.train(config, data, state)
        for config, state in zip(configs, states, strict=True)
    ]
    yield from map(list, zip_longest(*training))


def run_pack(chosen: dict[str, int], *, search: Search, data: Data, board: Any) -> None:
    """Train the trials of a pack, from their last checkpoint if there is one, and
    report.

    An error of the family (a configuration that diverges, a GPU out of memory) is the
    trial's result; one in saving a checkpoint is not, and ends the search.
    """
    _use_threads(search.resources)
    pack = search.packs[chosen["pack"]]
    first = search.trials[pack[0]]
    work = Work(search, data(first.fold), first.last_step, board)
    Config = family(search.family).Config
    kept = _restore()
    members = [
        Member(index, read_config(Config, {**search.config, **trial.config}))
        for index, trial in ((index, search.trials[index]) for index in pack)
    ]
    if kept is not None:
        members = [member for member in members if str(member.index) in kept]
        for member in members:
            member.state, n, member.seconds = kept[str(member.index)]
            if n == work.last_step:  # died between its last report and its end
                return
    _run(members, work)


def _run(members: Sequence[Member], work: Work) -> None:
    while members:
        try:
            members = _until_some_stop(members, work)
        except CheckpointError as error:
            # Said in time: Ray writes its own account of it to the disk that is full.
            tune.report({"fatal": str(error)})
            raise
        except Exception as error:
            if len(members) == 1:
                said = f"{type(error).__name__}: {error}"
                tune.report({"rows": [{"trial": members[0].index, "error": said}]})
                return
            # Which of them it was is not known: each goes on alone.
            for member in members:
                _run([member], work)
            return


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
            _report(due, ended, going, work, keep=keep)
            saved = time.monotonic() if keep else saved
        if last:
            return []
        if stopped := _stopped(going, n, work):
            return [member for member in going if member.index not in stopped]
    # Training ended by itself.
    left = [member for member in members if not member.ended]
    _report([], left, left, work, keep=work.final)
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
    if work.board is None or not is_rung(work.search, n):
        return set()
    deadline = time.monotonic() + PATIENCE
    while True:
        limits = ray.get(work.board.get.remote())
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
) -> None:
    """Report the steps that are due, and the ends, whose last steps count once; with a
    checkpoint of those that go on if `keep`.
    """
    unsaid = [m for m in ended if m.step and (work.final or m.reported < m.step.n)]
    rows = [_row(member, work, keep=keep) for member in [*due, *unsaid]]
    if work.search.pack > 1:  # the end of a pack of one is that of Ray's trial
        rows += [{"trial": member.index, "ended": True} for member in ended]
    if not rows:
        return
    if not keep:
        tune.report({"rows": rows})
        return
    try:
        with tempfile.TemporaryDirectory(prefix="ftml-checkpoint-") as folder:
            states = {str(member.index): member.state for member in going}
            about = {str(m.index): [m.last.n, m.seconds] for m in going}
            save_tree(Path(folder), states, about=about)
            if work.final:
                (member,) = going
                save(Path(folder) / "model", member.last.model, member.config)
            checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report({"rows": rows}, checkpoint=checkpoint)
    except OSError as error:
        n = max(row.get("n", 0) for row in rows)
        raise CheckpointError(
            f"no checkpoint of step {n} could be written: {error}"
        ) from None


def _row(member: Member, work: Work, *, keep: bool) -> dict[str, Any]:
    """Return what is reported of a member's last step: its metrics and scores."""
    step = member.last
    metrics = dict(step.metrics)
    if not work.final:
        metrics |= _validation(step.model, work)
    elif keep:  # its end
        metrics |= _test(step.model, work)
    member.reported = step.n
    return {
        "trial": member.index,
        "n": step.n,
        "seconds": member.seconds,
        "metrics": metrics,
    }


def _validation(model: Any, work: Work) -> dict[str, float]:
    """Return the validation scores; under cross-validation their means, and the score
    of each fold. Where the search looks at what is left out, also the score on each
    domain of that.
    """
    if work.folds:
        return _cross_validation(model, work)
    scores: dict[str, float] = {}
    if work.splits.valid is not None:
        valid = work.evaluate(model, work.splits.valid)
        scores = {f"valid_{k}": v for k, v in valid.items() if "/" not in k}
    test, metric = work.splits.test, work.search.metric
    if work.search.scores_left_out and test is not None:
        for name in test.domain_names:
            out = work.evaluate(model, test.only([name]))
            scores[f"out_{metric}/{domain_key(name)}"] = out[metric]
    return scores


def _cross_validation(models: Sequence[Any], work: Work) -> dict[str, float]:
    pairs = zip(models, work.folds, strict=True)
    parts = [work.evaluate(model, fold.valid) for model, fold in pairs]
    scores = {f"valid_{k}": fmean(part[k] for part in parts) for k in parts[0]}
    metric = work.search.metric
    singles = {f"valid_{metric}/fold_{i}": p[metric] for i, p in enumerate(parts)}
    return scores | singles


def _test(model: Any, work: Work) -> dict[str, float]:
    scores = work.evaluate(model, work.splits.test)
    return {f"test_{name}": value for name, value in scores.items()}


def _restore() -> dict[str, tuple[State, int, float]] | None:
    """Return the state of each trial to go on with, its step, and the seconds spent on
    it; None at the beginning.
    """
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        states, about = load_tree(Path(folder))
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
