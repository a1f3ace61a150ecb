"""Cross-validation inside a trial: a configuration trained on k folds side by side."""

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
    """Return k splits of all rows but the test's: each row is in one validation part.

    Folds are drawn from the seed, stratified by class where there are classes. Raises
    ValueError for fewer rows, or fewer of a class, than folds.
    """
    table = data.for_final_fit().train
    if table.classes:
        rarest = int(np.bincount(table.y, minlength=len(table.classes)).min())
        kind, fewest, what = StratifiedKFold, rarest, "rows of the rarest class"
    else:
        kind, fewest, what = KFold, len(table.y), "rows"
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
    """Yield steps of all folds together: metrics are means, the model is a tuple.

    Like `train_many`, which trains the configurations on one fold: an entry for each of
    them, None for one that has ended on all folds. A fold whose training ends before
    that of the others keeps its last model.
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
        together: list[Step | None] = []
        for c, config in enumerate(configs):
            new = [steps[c] if steps else None for steps in found]
            if not any(new):
                together.append(None)
                continue
            last = [
                step or kept or _ended(train_many, config, fold)
                for step, kept, fold in zip(new, current[c], folds, strict=True)
            ]
            current[c] = list(last)
            together.append(_together(last))
        yield together


def _ended(train_many: TrainMany, config: FamilyConfig, fold: Splits[Table]) -> Step:
    """Return the last step of a fold that had ended before the state was saved, which
    does not hold its model.
    """
    step = deque(train_many([config], fold, None), maxlen=1)[0][0]
    if step is None:
        raise ValueError("training of many configurations ended in a step of none")
    return step


def _together(steps: Sequence[Step]) -> Step:
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
