"""Cross-validation inside a trial: a configuration trained on k folds side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from ftml.config import FamilyConfig
from ftml.core import Family, State, Step
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
    kind: Family,
    config: FamilyConfig,
    folds: Sequence[Splits[Table]],
    state: State | None = None,
) -> Iterator[Step]:
    """Yield steps of all folds together: metrics are means, the model is a tuple.

    A fold whose training ends before that of the others keeps its last model.
    """
    before = state["folds"] if state is not None else [None] * len(folds)
    training = [
        kind.train(config, fold, own) for fold, own in zip(folds, before, strict=True)
    ]
    current: list[Step | None] = [None] * len(folds)
    while True:
        found = [next(steps, None) for steps in training]
        if not any(found):
            return
        current = [new or old for new, old in zip(found, current, strict=True)]
        steps = [
            step or _ended(kind, config, fold)
            for step, fold in zip(current, folds, strict=True)
        ]
        current = list(steps)
        yield _together(steps)


def _ended(kind: Family, config: FamilyConfig, fold: Splits[Table]) -> Step:
    """Return the last step of a fold that had ended before the state was saved, which
    does not hold its model.
    """
    return deque(kind.train(config, fold, None), maxlen=1)[0]


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
