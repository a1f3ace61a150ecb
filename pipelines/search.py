"""What a search is, and how far each of its trials counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftml.config import Distribution
from pipelines.folds import Fit, Fold
from pipelines.halving import Limit, limits
from pipelines.params import EarlyStopping, Resources
from pipelines.record import Record


@dataclass(frozen=True)
class Search:
    """What is run: a family, its configurations, what trials report and keep.

    Trial i of a search tries configuration i // len(folds) on fold i % len(folds).
    """

    folder: Path
    "where its record and Ray's state live until the study is complete"

    family: str
    config: Mapping[str, Any]
    "fixed values"

    space: Mapping[str, Distribution]
    "what is drawn; the first trial takes the defaults"

    trials: int
    "how many configurations are drawn; each is tried on every fold"

    metric: str
    "of the task"

    mode: str
    resources: Resources
    report_every: int = 1
    folds: tuple[Fold, ...] = ((),)
    scores_left_out: bool = False
    "whether trials report scores on the domains of their fold: some selections look"

    fits: tuple[Fit, ...] = ()
    "final fits: these are the trials, nothing is drawn"

    early_stopping: EarlyStopping | None = None

    @property
    def size(self) -> int:
        """The number of trials, of all configurations on all folds."""
        return len(self.fits) or self.trials * len(self.folds)

    @property
    def record(self) -> Path:
        return self.folder / "record.jsonl"


def assigned(
    search: Search, drawn: Mapping[str, Any]
) -> tuple[dict[str, Any], Fold, int | None]:
    """Return the configuration of a trial beyond the fixed values, its fold, and for a
    final fit its last step.
    """
    if search.fits:
        fit = search.fits[drawn["place"]]
        return dict(fit.config), fit.fold, fit.last_step
    config = {name: value for name, value in drawn.items() if name != "place"}
    return config, search.folds[drawn["place"]], None


def search_limits(search: Search, record: Record) -> dict[int, Limit]:
    """Return how far each trial of a search counts (see `pipelines.halving`)."""
    if search.early_stopping is None:
        return dict.fromkeys(record.trials, Limit())
    found: dict[int, Limit] = {}
    for place in range(len(search.folds)):
        # Trials are compared with those of the same fold.
        trials = {
            index // len(search.folds): trial
            for index, trial in record.trials.items()
            if index % len(search.folds) == place
        }
        found |= {
            number * len(search.folds) + place: limit
            for number, limit in limits(
                trials,
                metric=f"valid_{search.metric}",
                mode=search.mode,
                grace=search.early_stopping.grace * search.report_every,
                factor=search.early_stopping.reduction_factor,
            ).items()
        }
    return found


def is_rung(search: Search, n: int) -> bool:
    """Return whether a report of step n may decide about trials."""
    if search.early_stopping is None:
        return False
    rung = search.early_stopping.grace * search.report_every
    while rung < n:
        rung *= search.early_stopping.reduction_factor
    return rung == n
