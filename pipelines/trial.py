"""What a worker does: train one configuration, score it, report it, keep its state."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune

from ftml.config import read_config
from ftml.core import Step, family
from ftml.data import Splits
from ftml.saving import load_tree, save, save_tree
from ftml.tasks import task
from ftml.tasks.domain_generalization import domain_key
from pipelines.folds import Data
from pipelines.params import Resources
from pipelines.search import Search, assigned

CHECKPOINT_SECONDS = "FTML_CHECKPOINT_SECONDS"
"""Environment variable: seconds of training between two checkpoints of a trial, 10 by
default."""


class CheckpointError(OSError):
    """A checkpoint could not be written: the trial's work is at risk, so the search
    ends.
    """


def run_trial(drawn: dict[str, Any], *, search: Search, data: Data) -> None:
    """Train one configuration, from its last checkpoint if it has one, and report.

    An error of the family (a configuration that diverges, a GPU out of memory) is the
    trial's result; one in saving a checkpoint is not, and ends the search.
    """
    kind = family(search.family)
    _use_threads(search.resources)
    values, fold, last_step = assigned(search, drawn)
    config = read_config(kind.Config, {**search.config, **values})
    splits = data(fold)
    seen = splits.for_final_fit() if last_step else splits.without_test()
    report = partial(_report, search=search, splits=splits, config=config)
    period = float(os.environ.get(CHECKPOINT_SECONDS, "10"))
    state, seconds = _restore()
    saved, step = time.monotonic(), None
    try:
        for step, took in _timed(kind.train(config, seen, state)):
            seconds += took
            last = step.n == last_step
            if last or step.n % search.report_every == 0:
                keep = last or time.monotonic() - saved >= period
                report(step, seconds=seconds, keep=keep)
                saved = time.monotonic() if keep else saved
            if last:
                break
        else:
            # Training ended by itself. A step that was reported before counts once.
            if step is not None and (last_step or step.n % search.report_every):
                report(step, seconds=seconds, keep=bool(last_step))
    except CheckpointError as error:
        # Said in time: Ray writes its own account of it to the disk that is full.
        tune.report({"fatal": str(error)})
        raise
    except Exception as error:
        tune.report({"error": f"{type(error).__name__}: {error}"})


def _report(
    step: Step,
    *,
    search: Search,
    splits: Splits,
    config: Any,
    seconds: float,
    keep: bool,
) -> None:
    """Report a step and its scores; with a checkpoint if `keep`."""
    metrics = dict(step.metrics)
    if keep or not search.fits:  # a final fit is tested once, at its end
        metrics |= _scores(step.model, search, splits)
    row = {"n": step.n, "seconds": seconds, "metrics": metrics}
    if not keep:
        tune.report(row)
        return
    try:
        with tempfile.TemporaryDirectory(prefix="ftml-checkpoint-") as folder:
            save_tree(Path(folder), step.state, seconds=seconds)
            if search.fits:
                save(Path(folder) / "model", step.model, config)
            tune.report(row, checkpoint=tune.Checkpoint.from_directory(folder))
    except OSError as error:
        raise CheckpointError(
            f"no checkpoint of step {step.n} could be written: {error}"
        ) from None


def _scores(model: Any, search: Search, splits: Splits) -> dict[str, float]:
    """Return the scores of a model: in the test for a final fit, else in validation,
    and where the search looks at what is left out, on each domain of the fold.
    """
    evaluate = task(family(search.family).task).evaluate
    if search.fits:
        return {f"test_{k}": v for k, v in evaluate(model, splits.test).items()}
    scores: dict[str, float] = {}
    if splits.valid is not None:
        valid = evaluate(model, splits.valid)
        scores = {f"valid_{k}": v for k, v in valid.items() if "/" not in k}
    if search.scores_left_out and splits.test is not None:
        for name in splits.test.domain_names:
            out = evaluate(model, splits.test.only([name]))
            scores[f"out_{search.metric}/{domain_key(name)}"] = out[search.metric]
    return scores


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
