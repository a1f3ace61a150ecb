"""What a search is, and how far each of its trials counts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ftml.config import Distribution, Grid
from pipelines.params.study import EarlyStopping, Resources
from pipelines.study.folds import Fold
from pipelines.study.pruning import Limit, limits
from pipelines.study.record import Record


@dataclass(frozen=True)
class Assignment:
    """What a trial is to do.

    A trial of a search trains on the training data of its fold and is scored in
    validation. One with a `last_step` is a final fit: it trains on training and
    validation data, stops there, keeps its model and is tested.
    """

    fold: Fold
    config: Mapping[str, Any]
    "what the search does not fix"

    last_step: int | None = None
    share: float = 1.0
    "of the rows, of each class alike, that a final fit trains on"


@dataclass(frozen=True)
class Search:
    """What is run: a family, its trials, what they report and keep."""

    folder: Path
    "where its record lives until the study is complete"

    family: str
    config: Mapping[str, Any]
    "fixed values"

    trials: tuple[Assignment, ...]
    metric: str
    "of the task"

    mode: str
    resources: Resources
    report_every: int = 1
    scores_left_out: bool = False
    "whether trials report scores on the domains of their fold: some selections look"

    scores_seen: bool = False
    "whether final fits are scored on the data that they are trained on, too"

    cv: int | None = None
    "folds of cross-validation that a trial is scored on"

    pack: int = 1
    "trials that one worker trains at once, where the family can"

    early_stopping: EarlyStopping | None = None
    storage: str = ""
    "where copies of the study's records live, so that they outlive this machine"

    @cached_property
    def packs(self) -> list[list[int]]:
        """The trials that are trained together, by number: all of one fold."""
        found = [
            alike[start : start + self.pack]
            for alike in self.by_fold.values()
            for start in range(0, len(alike), self.pack)
        ]
        return sorted(found)

    @cached_property
    def by_fold(self) -> dict[Fold, list[int]]:
        """The numbers of the trials of each fold."""
        found: dict[Fold, list[int]] = {}
        for i, trial in enumerate(self.trials):
            found.setdefault(trial.fold, []).append(i)
        return found

    @property
    def record(self) -> Path:
        return self.folder / "record.jsonl"

    @property
    def copy(self) -> str:
        """The folder of the copy of its record; "" where none is kept."""
        return f"{self.storage}/{self.folder.name}" if self.storage else ""


def draw_configurations(
    space: Mapping[str, Distribution],
    *,
    count: int,
    defaults: Mapping[str, Any],
    seed: int,
) -> list[dict[str, Any]]:
    """Return `count` configurations from a space, as JSON has them; the first is the
    default. Where the space has grids, each is tried at every point of their product.

    Each is what the seed and its number say, whatever the count and whoever runs them.
    """
    rng = np.random.default_rng(seed)
    grids = {name: each for name, each in space.items() if isinstance(each, Grid)}
    others = {name: each for name, each in space.items() if name not in grids}
    drawn = [{name: defaults[name] for name in others}]
    for _ in range(1, count):
        drawn.append({name: each.sample(rng) for name, each in others.items()})
    options = [grid.options for grid in grids.values()]
    points = [
        dict(zip(grids, each, strict=True)) for each in itertools.product(*options)
    ]
    tried = [{**each, **point} for each in drawn for point in points]
    ordered = [{name: each[name] for name in space} for each in tried]
    found: list[dict[str, Any]] = json.loads(json.dumps(ordered))
    return found


def on_every_fold(
    configs: Sequence[Mapping[str, Any]], folds: Sequence[Fold]
) -> tuple[Assignment, ...]:
    """Return the trials of a search: each configuration on each fold in turn."""
    return tuple(Assignment(fold, config) for config in configs for fold in folds)


def pruning_decisions(search: Search, record: Record) -> dict[int, Limit]:
    """Return how far each trial of a search counts (see `pipelines.study.pruning`).

    Trials are compared with those of the same fold.
    """
    if search.early_stopping is None or not decides(search, record):
        return dict.fromkeys(record.trials, Limit())
    found: dict[int, Limit] = {}
    for alike in search.by_fold.values():
        of_fold = limits(
            {n: record.trials[i] for n, i in enumerate(alike) if i in record.trials},
            metric=f"valid_{search.metric}",
            mode=search.mode,
            grace=search.early_stopping.grace * search.report_every,
            factor=search.early_stopping.reduction_factor,
        )
        found |= {alike[n]: limit for n, limit in of_fold.items()}
    return found


def decides(search: Search, record: Record) -> bool:
    """Return whether any trial has come to the first rung: before, all have the limit
    that trials begin with.
    """
    if search.early_stopping is None:
        return False
    return record.longest >= search.early_stopping.grace * search.report_every


def is_rung(search: Search, n: int) -> bool:
    """Return whether a report of step n may decide about trials."""
    if search.early_stopping is None:
        return False
    rung = search.early_stopping.grace * search.report_every
    while rung < n:
        rung *= search.early_stopping.reduction_factor
    return rung == n
