"""Cross-validation inside a trial: one configuration trained on k folds in lockstep."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from ftml.config import FamilyConfig
from ftml.core import State, Step, TrainMany
from ftml.data import Splits, Table
from ftml.data.splits import blocks_by_time, fold_limit


def cross_validation(
    data: Splits[Table], *, n_folds: int, seed: int
) -> list[Splits[Table]]:
    """Return k splits of the training and validation samples.

    Each sample is in the validation part of exactly one split. The folds depend on the
    seed and are stratified by class if the table has classes. If the table has groups,
    all samples of a group are in one fold, and classes are stratified as far as
    possible. If it has a time, the splits are those of forward chaining instead, which
    does not depend on the seed: split i trains on the first i of k + 1 parts in the
    order of time and validates on the next part.

    Raises ValueError if there are fewer samples, groups or different times than folds
    need, a class has fewer samples than folds, or no training sample in a split.
    """
    table = data.for_final_fit().train
    if len(table.time):
        found = _forward_chaining(table.time, n_folds)
    elif len(table.groups):
        found = _group_folds(table, n_folds, seed)
    else:
        found = _random_folds(table, n_folds, seed)
    folds = [Splits(table.rows(train), table.rows(valid)) for train, valid in found]
    for i, fold in enumerate(folds):
        _check_classes(fold.train, fold=i)
    return folds


Fold = tuple[np.ndarray, np.ndarray]
"Indices of the training and of the validation samples."


def _random_folds(table: Table, n_folds: int, seed: int) -> list[Fold]:
    from sklearn.model_selection import KFold, StratifiedKFold

    fold_limit(y=table.y, classes=table.classes).check(n_folds)
    kind = StratifiedKFold if table.classes else KFold
    splitter = kind(n_folds, shuffle=True, random_state=_random_state(seed))
    return list(splitter.split(table.X, table.y))


def _group_folds(table: Table, n_folds: int, seed: int) -> list[Fold]:
    from sklearn.model_selection import StratifiedGroupKFold

    limit = fold_limit(y=table.y, classes=table.classes, groups=table.groups)
    limit.check(n_folds)
    splitter = StratifiedGroupKFold(
        n_folds, shuffle=True, random_state=_random_state(seed)
    )
    # Of one stratum, the folds have nearly equal numbers of samples. GroupKFold with
    # shuffling gives them equal numbers of groups, however large these are.
    strata = table.y if table.classes else np.zeros(len(table), np.int64)
    return list(splitter.split(table.X, strata, table.groups))


def _forward_chaining(time: np.ndarray, n_folds: int) -> list[Fold]:
    size = len(time) // (n_folds + 1)
    ends = [len(time) - size * later for later in range(n_folds, 0, -1)]
    try:
        block = blocks_by_time(time, ends)
    except ValueError as error:
        raise ValueError(f"cv: {error}") from None
    return [
        (np.flatnonzero(block <= i), np.flatnonzero(block == i + 1))
        for i in range(n_folds)
    ]


def _random_state(seed: int) -> int | np.random.RandomState:
    """Return a seed in the form that scikit-learn takes, which is below 2^32, or else
    a generator that is seeded by all its bits.
    """
    if seed < 2**32:
        return seed
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))


def _check_classes(train: Table, *, fold: int) -> None:
    """Raise ValueError for classes that have no sample to train on."""
    present = set(train.y.tolist())
    if absent := [c for i, c in enumerate(train.classes) if i not in present]:
        raise ValueError(
            f"cv: fold {fold} has no training sample of class {', '.join(absent)}; "
            "use fewer folds, or leave cv out"
        )


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
    names = dict.fromkeys(name for s in steps for name in s.metrics)
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
