"""Cross-validation inside a trial: one configuration trained on k folds in lockstep."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from ftml.config import FamilyConfig
from ftml.core import State, Step, TrainMany
from ftml.data import Splits, Table


def cross_validation(
    data: Splits[Table], *, n_folds: int, seed: int
) -> list[Splits[Table]]:
    """Return k splits of the training and validation samples. Each sample is in the
    validation part of exactly one split.

    The folds depend on the seed and are stratified by class if the table has classes.
    Raises ValueError if there are fewer samples than folds, or a class has fewer.
    """
    table = data.for_final_fit().train
    if table.classes:
        rarest = int(np.bincount(table.y, minlength=len(table.classes)).min())
        kind, fewest, what = StratifiedKFold, rarest, "samples of the rarest class"
    else:
        kind, fewest, what = KFold, len(table.y), "samples"
    if fewest < n_folds:
        raise ValueError(f"cv: {n_folds} folds of {fewest} {what}")
    splitter = kind(n_folds, shuffle=True, random_state=seed)
    return [
        Splits(table.rows(train), table.rows(valid))
        for train, valid in splitter.split(table.X, table.y)
    ]


def train_folds(
    train_many: TrainMany,
    configs: Sequence[FamilyConfig],
    folds: Sequence[Splits[Table]],
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield one step of each configuration over all folds: its metrics are means over
    the folds and its model is the tuple of the models of the folds.

    The list that is yielded has the form of `train_many`: one entry for each
    configuration, None if its training has ended on all folds. A fold whose training
    ends before that of other folds keeps its last model. `states` resumes each
    configuration from a state of an earlier step.
    """
    states = states or [None] * len(configs)
    before = [state["folds"] if state else [None] * len(folds) for state in states]
    training = [
        train_many(configs, fold, [each[f] for each in before])
        for f, fold in enumerate(folds)
    ]
    current: list[list[Step | None]] = [[None] * len(folds) for _ in configs]
    while True:
        found = [next(steps, None) for steps in training]
        if not any(found):
            return
        entries: list[Step | None] = []
        for c, config in enumerate(configs):
            new = [steps[c] if steps else None for steps in found]
            if not any(new):
                entries.append(None)
                continue
            last = [
                step or kept or _last_step(train_many, config, fold)
                for step, kept, fold in zip(new, current[c], folds, strict=True)
            ]
            current[c] = list(last)
            entries.append(_mean_step(last))
        yield entries


def _last_step(
    train_many: TrainMany, config: FamilyConfig, fold: Splits[Table]
) -> Step:
    """Return the last step of a fold by training it again.

    This is needed after resuming: the state of a fold whose training had already ended
    does not hold the model of the fold.
    """
    step = deque(train_many([config], fold, None), maxlen=1)[0][0]
    if step is None:
        raise ValueError("train_many ended without a step of the configuration")
    return step


def _mean_step(steps: Sequence[Step]) -> Step:
    """Return the step over all folds, given the step of each fold."""
    names: dict[str, Any] = dict.fromkeys(name for s in steps for name in s.metrics)
    metrics = {
        name: float(np.mean([s.metrics[name] for s in steps if name in s.metrics]))
        for name in names
    }
    return Step(
        n=max(step.n for step in steps),
        metrics=metrics,
        model=tuple(step.model for step in steps),
        state={"folds": [step.state for step in steps]},
    )
