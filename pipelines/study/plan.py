"""What a search consists of: its trials, their resources, and its rungs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ftml.config import Distribution, Grid, input_files
from ftml.selection import SELECTIONS, Choice
from pipelines.params.read import Study
from pipelines.params.study import EarlyStopping, Resources
from pipelines.study.configuration import Configuration
from pipelines.study.folds import Fold, Folds


@dataclass(frozen=True)
class Assignment:
    """What one trial does.

    A trial of a search trains on the training split of its fold and is scored on the
    validation split. An assignment with a `last_step` is a final fit: it trains on
    training and validation data together, stops at that step, saves its model and is
    scored on the test split.
    """

    fold: Fold
    config: Configuration
    "values that the search does not fix"

    last_step: int | None = None
    share: float = 1.0
    "fraction of the samples of each class that a final fit trains on"


@dataclass(frozen=True)
class Search:
    """A family, the trials to run, and what they report and save."""

    folder: Path
    "folder of its record until the study is complete"

    family: str
    config: Configuration
    "values that are the same in all trials"

    trials: tuple[Assignment, ...]
    metric: str
    "metric of the task that trials are compared by"

    mode: str
    "`min` or `max`: which values of the metric are better"

    resources: Resources
    report_every: int = 1
    scores_left_out: bool = False
    "whether trials are also scored on the domains that their fold leaves out"

    scores_seen: bool = False
    "whether final fits are also scored on the data that they are trained on"

    cv: int | None = None
    "number of cross-validation folds that a trial is scored on"

    batch_size: int = 1
    "trials that one worker trains at once, for a family that can"

    early_stopping: EarlyStopping | None = None
    storage: str = ""
    "folder of the shared storage that holds a copy of the record; empty for none"

    @cached_property
    def batches(self) -> list[list[int]]:
        """The trial batches: indices of trials of one fold that are trained at once."""
        found = [
            indices[start : start + self.batch_size]
            for indices in self.by_fold.values()
            for start in range(0, len(indices), self.batch_size)
        ]
        return sorted(found)

    @cached_property
    def by_fold(self) -> dict[Fold, list[int]]:
        """The indices of the trials of each fold."""
        found: dict[Fold, list[int]] = {}
        for index, trial in enumerate(self.trials):
            found.setdefault(trial.fold, []).append(index)
        return found

    @property
    def name(self) -> str:
        """What identifies the search within a stage."""
        return str(self.folder)

    @property
    def record_path(self) -> Path:
        return self.folder / "record.jsonl"

    @property
    def record_copy(self) -> str:
        """The storage folder of the copy of its record; empty where none is kept."""
        return f"{self.storage}/{self.folder.name}" if self.storage else ""


def sample_configurations(
    space: Mapping[str, Distribution],
    *,
    count: int,
    defaults: Configuration,
    seed: int,
) -> list[Configuration]:
    """Return `count` configurations sampled from a space, as JSON values.

    The first is the default configuration. Where the space has grids, each sampled
    configuration is combined with every point of their product. Configuration i depends
    on the seed and on i only, neither on `count` nor on who runs it.
    """
    rng = np.random.default_rng(seed)
    grids = {name: each for name, each in space.items() if isinstance(each, Grid)}
    others = {name: each for name, each in space.items() if name not in grids}
    sampled = [{name: defaults[name] for name in others}]
    for _ in range(1, count):
        sampled.append({name: each.sample(rng) for name, each in others.items()})
    options = [grid.options for grid in grids.values()]
    points = [
        dict(zip(grids, each, strict=True)) for each in itertools.product(*options)
    ]
    combined = [{**each, **point} for each in sampled for point in points]
    ordered = [{name: each[name] for name in space} for each in combined]
    found: list[Configuration] = json.loads(json.dumps(ordered))
    return found


def configurations_of(study: Study) -> list[Configuration]:
    """Return the configurations that a study tries, which follow from its params."""
    return sample_configurations(
        study.space,
        count=study.section.trials,
        defaults=study.config.model_dump(mode="json"),
        seed=study.config.seed,
    )


def on_every_fold(
    configs: Sequence[Configuration], folds: Sequence[Fold]
) -> tuple[Assignment, ...]:
    """Return the trials of a search: each configuration on each fold in turn."""
    return tuple(Assignment(fold, config) for config in configs for fold in folds)


def plan_search(
    study: Study, folder: Path, trials: tuple[Assignment, ...], *, storage: str
) -> Search:
    """Return the search of a study, whose record is written to `folder`.

    storage: the folder of the shared storage for a copy of the record, or "".
    """
    config = study.config.model_dump(mode="json", exclude=set(study.space))
    # Workers run in another directory.
    config |= {k: str(v.resolve()) for k, v in input_files(study.config).items()}
    return Search(
        folder=folder / "search",
        family=study.family.name,
        config=config,
        trials=trials,
        metric=study.dataset.metric,
        mode=study.dataset.mode,
        resources=study.section.resources,
        report_every=study.section.report_every,
        scores_left_out=study.section.selections != ["validation"],
        cv=study.section.cv,
        batch_size=study.batch_trials,
        early_stopping=study.section.early_stopping,
        storage=storage,
    )


def choose(
    study: Study, runs: pd.DataFrame, folds: Folds
) -> dict[tuple[str, Fold], Choice]:
    """Return what each selection of a study chooses for each tested fold.

    runs: the table of `pipelines.study.results.runs_table`.
    """
    return {
        (selection, fold): SELECTIONS[selection](
            runs,
            left_out=fold,
            domains=folds.domains,
            metric=study.dataset.metric,
            mode=study.dataset.mode,
            ties=study.dataset.ties,
        )
        for selection in study.section.selections
        for fold in folds.tested
    }


def plan_final_fits(
    study: Study,
    search: Search,
    choices: Mapping[tuple[str, Fold], Choice],
    configs: Sequence[Configuration],
) -> Search:
    """Return the final fits of a study: the chosen configurations, trained again under
    seeds that the search did not use.

    They train on training and validation data together, up to the chosen step. What
    several selections choose is fitted once. Where a study asks for its learning curve,
    the fits are repeated on fractions of the samples.
    """
    fits: list[Assignment] = []
    for (_, fold), choice in choices.items():
        wanted = final_fits_of(study, fold, choice, configs)
        fits += [fit for fit in wanted if fit not in fits]
    shares = study.section.learning_curve
    fits += [replace(fit, share=share) for share in shares for fit in fits]
    return replace(
        search,
        folder=search.folder.with_name("fits"),
        config={k: v for k, v in search.config.items() if k != "seed"},
        trials=tuple(fits),
        batch_size=1,  # each final fit saves a model
        scores_left_out=False,
        scores_seen=bool(shares),
        early_stopping=None,
    )


def final_fits_of(
    study: Study, fold: Fold, choice: Choice, configs: Sequence[Configuration]
) -> list[Assignment]:
    """Return the final fits of what is chosen for a fold, one for each seed."""
    first = study.config.seed + 1
    return [
        Assignment(fold, {**configs[choice.trial], "seed": seed}, choice.n)
        for seed in range(first, first + study.section.seeds)
    ]


def is_rung(search: Search, n: int) -> bool:
    """Return whether step n is a rung of the search's successive halving."""
    if search.early_stopping is None:
        return False
    rung = search.early_stopping.grace * search.report_every
    while rung < n:
        rung *= search.early_stopping.reduction_factor
    return rung == n
