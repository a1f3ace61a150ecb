"""How a worker trains a trial batch: the state of its trials, their data and scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import zip_longest
from statistics import fmean
from typing import Any

from ftml.config import FamilyConfig
from ftml.core import Family, State, Step, TrainMany, family
from ftml.data import Splits
from ftml.predictor import Interface, interface_of
from ftml.tasks import task
from ftml.tasks.domain_generalization import domain_key
from pipelines.study.configuration import seed_of
from pipelines.study.cross_validation import cross_validation, train_folds
from pipelines.study.plan import Assignment, Search
from pipelines.tuning.coordinator import CoordinatorHandle


@dataclass
class TrialState:
    """A trial of a batch: its configuration and how far it is trained."""

    index: int
    config: FamilyConfig
    state: State | None = None
    seconds: float = 0.0
    step: Step | None = None
    reported: int = 0
    "the step of its last report"

    ended: bool = False

    @property
    def n(self) -> int:
        """The number of its last step, 0 before the first."""
        return self.step.n if self.step else 0

    @property
    def last_step(self) -> Step:
        """Its last step. Raises ValueError before the first."""
        if self.step is None:
            raise ValueError(f"trial {self.index} has made no step")
        return self.step


@dataclass(frozen=True)
class TrainingJob:
    """What a trial batch trains on: its search, and the data of its fold.

    A final fit is a batch of one.
    """

    search: Search
    splits: Splits
    assignment: Assignment
    "of the first trial of the batch"

    coordinator: CoordinatorHandle
    waiting: Sequence[TrialState] = ()
    """trials that train after those in training have ended; checkpoints hold them
    too"""

    @property
    def last_step(self) -> int | None:
        return self.assignment.last_step

    @property
    def is_final_fit(self) -> bool:
        return self.last_step is not None

    @cached_property
    def prepared(self) -> Splits[Any]:
        """The splits with features, which are learnt from the data that is trained on;
        for a final fit, training and validation data are one split.
        """
        if not self.is_final_fit:
            return self.splits.prepared()
        whole, share = self.splits.for_final_fit().train, self.assignment.share
        if share != 1.0:
            whole = whole.sample(share, seed=seed_of(self.assignment.config))
        return Splits(train=whole, test=self.splits.test).prepared()

    @property
    def training_splits(self) -> Splits[Any]:
        """The splits that `train` is given."""
        return self.prepared.without_test()

    @cached_property
    def folds(self) -> list[Splits[Any]]:
        """The cross-validation folds of a trial; empty without cross-validation."""
        if self.is_final_fit or self.search.cv is None:
            return []
        seed = seed_of(self.search.config)
        folds = cross_validation(self.splits, n_folds=self.search.cv, seed=seed)
        return [fold.prepared() for fold in folds]

    def train(self, trials: Sequence[TrialState]) -> Iterator[list[Step | None]]:
        """Yield the next step of each trial, None for one that has ended."""
        trained = family(self.search.family)
        train_many: TrainMany = partial(train_one_by_one, trained)
        if self.search.batch_size > 1 and trained.train_many is not None:
            train_many = trained.train_many
        configs = [trial.config for trial in trials]
        states = [trial.state for trial in trials]
        if self.folds:
            return train_folds(train_many, configs, self.folds, states)
        return train_many(configs, self.training_splits, states)

    @property
    def interface(self) -> Interface:
        """What is between the rows of a user and the model that is trained."""
        return interface_of(task(family(self.search.family).task), self.prepared)

    def evaluate(self, model: object, split: object) -> dict[str, float]:
        """Return the metrics of the family's task for a model on a split."""
        scores: dict[str, float] = task(family(self.search.family).task).evaluate(
            model, split
        )
        return scores


def train_one_by_one(
    trained: Family,
    configs: Sequence[FamilyConfig],
    data: Splits,
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield what `train_many` would yield, for a family that has none."""
    states = states or [None] * len(configs)
    training = [
        trained.train(config, data, state)
        for config, state in zip(configs, states, strict=True)
    ]
    yield from map(list, zip_longest(*training))


def validation_scores(model: Any, job: TrainingJob) -> dict[str, float]:
    """Return the validation metrics of a trial, `valid_<metric>`.

    Under cross-validation, these are means over the folds, and the metric of each fold
    is added. Where the search scores left-out domains, the metric on each of them is
    added as `out_<metric>/<domain>`.
    """
    if job.folds:
        return _scores_over_folds(model, job)
    scores: dict[str, float] = {}
    if job.prepared.valid is not None:
        valid = job.evaluate(model, job.prepared.valid)
        scores = {f"valid_{k}": v for k, v in valid.items() if "/" not in k}
    test, metric = job.prepared.test, job.search.metric
    if job.search.scores_left_out and test is not None:
        for name in test.domain_names:
            left_out = job.evaluate(model, test.only([name]))
            scores[f"out_{metric}/{domain_key(name)}"] = left_out[metric]
    return scores


def _scores_over_folds(models: Sequence[object], job: TrainingJob) -> dict[str, float]:
    """Return the means over the folds that have a metric, and the metric of each: a
    fold without a sample of one of two classes has no `auc`.
    """
    pairs = zip(models, job.folds, strict=True)
    parts = [job.evaluate(model, fold.valid) for model, fold in pairs]
    names = dict.fromkeys(name for part in parts for name in part)
    scores = {
        f"valid_{k}": fmean(part[k] for part in parts if k in part) for k in names
    }
    metric = job.search.metric
    by_fold = {
        f"valid_{metric}/fold_{i}": part[metric]
        for i, part in enumerate(parts)
        if metric in part
    }
    return scores | by_fold


def test_scores(model: object, job: TrainingJob) -> dict[str, float]:
    """Return the test metrics of a final fit, `test_<metric>`.

    Where the search asks for them, also the metrics on the data that the model was
    trained on, `train_<metric>`, and the number of these samples, `train_rows`.
    """
    scores = job.evaluate(model, job.prepared.test)
    found = {f"test_{name}": value for name, value in scores.items()}
    if job.search.scores_seen:
        seen = job.training_splits.train
        on_seen = job.evaluate(model, seen)
        found |= {f"train_{name}": value for name, value in on_seen.items()}
        found["train_rows"] = float(len(seen))
    return found
