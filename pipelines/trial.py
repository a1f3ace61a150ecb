"""What a worker does: train one configuration, score it, report it, keep its state."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean
from typing import Any

from ray import tune

from ftml.config import FamilyConfig, read_config
from ftml.core import Step, family
from ftml.data import Splits
from ftml.saving import load_tree, save, save_tree
from ftml.tasks import task
from ftml.tasks.domain_generalization import domain_key
from pipelines.blocks import Resources
from pipelines.cross_validation import cross_validation, train_folds
from pipelines.folds import Data
from pipelines.search import Assignment, Search

CHECKPOINT_SECONDS = "FTML_CHECKPOINT_SECONDS"
"""Environment variable: seconds of training between two checkpoints of a trial, 10 by
default."""


class CheckpointError(OSError):
    """A checkpoint could not be written: the trial's work is at risk, so the search
    ends.
    """


@dataclass(frozen=True)
class Work:
    """What a trial works on."""

    search: Search
    assigned: Assignment
    config: FamilyConfig
    splits: Splits

    @property
    def final(self) -> bool:
        return self.assigned.last_step is not None

    @cached_property
    def folds(self) -> list[Splits[Any]]:
        """What a trial under cross-validation trains on and is scored on; none else."""
        if self.final or self.search.cv is None:
            return []
        seed = self.search.config["seed"]
        return cross_validation(self.splits, n_folds=self.search.cv, seed=seed)

    def evaluate(self, model: Any, split: Any) -> dict[str, float]:
        kind = task(family(self.search.family).task)
        scores: dict[str, float] = kind.evaluate(model, split)
        return scores


def run_trial(chosen: dict[str, int], *, search: Search, data: Data) -> None:
    """Train one configuration, from its last checkpoint if it has one, and report.

    An error of the family (a configuration that diverges, a GPU out of memory) is the
    trial's result; one in saving a checkpoint is not, and ends the search.
    """
    kind = family(search.family)
    _use_threads(search.resources)
    assigned = search.trials[chosen["trial"]]
    config = read_config(kind.Config, {**search.config, **assigned.config})
    splits, last_step = data(assigned.fold), assigned.last_step
    seen = splits.for_final_fit() if last_step else splits.without_test()
    work = Work(search, assigned, config, splits)
    train = partial(kind.train, config, seen)
    if work.folds:
        train = partial(train_folds, kind, config, work.folds)
    period = float(os.environ.get(CHECKPOINT_SECONDS, "10"))
    state, seconds = _restore()
    saved, step = time.monotonic(), None
    try:
        for step, took in _timed(train(state)):
            seconds += took
            last = step.n == last_step
            if last or step.n % search.report_every == 0:
                keep = last or time.monotonic() - saved >= period
                _report(step, work, seconds=seconds, keep=keep)
                saved = time.monotonic() if keep else saved
            if last:
                break
        else:
            # Training ended by itself. A step that was reported before counts once.
            if step is not None and (last_step or step.n % search.report_every):
                _report(step, work, seconds=seconds, keep=work.final)
    except CheckpointError as error:
        # Said in time: Ray writes its own account of it to the disk that is full.
        tune.report({"fatal": str(error)})
        raise
    except Exception as error:
        tune.report({"error": f"{type(error).__name__}: {error}"})


def _report(step: Step, work: Work, *, seconds: float, keep: bool) -> None:
    """Report a step and its scores; with a checkpoint if `keep`."""
    metrics = dict(step.metrics)
    if not work.final:
        metrics |= _validation(step.model, work)
    elif keep:  # its end
        metrics |= _test(step.model, work)
    row = {"n": step.n, "seconds": seconds, "metrics": metrics}
    if not keep:
        tune.report(row)
        return
    try:
        with tempfile.TemporaryDirectory(prefix="ftml-checkpoint-") as folder:
            save_tree(Path(folder), step.state, seconds=seconds)
            if work.final:
                save(Path(folder) / "model", step.model, work.config)
            tune.report(row, checkpoint=tune.Checkpoint.from_directory(folder))
    except OSError as error:
        raise CheckpointError(
            f"no checkpoint of step {step.n} could be written: {error}"
        ) from None


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


def _restore() -> tuple[Any, float]:
    """Return the state to go on from, None at the beginning, and the seconds spent so
    far.
    """
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return None, 0.0
    with checkpoint.as_directory() as folder:
        state, about = load_tree(Path(folder))
    return state, about["seconds"]


def _timed(steps: Iterator[Step]) -> Iterator[tuple[Step, float]]:
    """Yield each step and the seconds that training took to it, scoring not counted."""
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
