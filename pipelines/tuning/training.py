"""What a worker works on: the trials of a pack, their data, and their scores."""

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
from ftml.tasks import task
from ftml.tasks.domain_generalization import domain_key
from pipelines.study.cross_validation import cross_validation, train_folds
from pipelines.study.plan import Assignment, Search


@dataclass
class Member:
    """A trial of a pack, as far as it is trained."""

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
    def last(self) -> Step:
        """Its last step. Raises ValueError before the first."""
        if self.step is None:
            raise ValueError(f"trial {self.index} has made no step")
        return self.step


@dataclass(frozen=True)
class Work:
    """What the trials of a pack work on: they share a fold; a final fit is alone."""

    search: Search
    splits: Splits
    assigned: Assignment
    "that of the first of them"

    board: Any
    waiting: Sequence[Member] = ()
    "members that go on when those that train have ended: a checkpoint holds them too"

    @property
    def last_step(self) -> int | None:
        return self.assigned.last_step

    @property
    def final(self) -> bool:
        return self.last_step is not None

    @cached_property
    def seen(self) -> Splits[Any]:
        """What training sees: for a final fit, training and validation data as one."""
        if not self.final:
            return self.splits.without_test()
        whole, share = self.splits.for_final_fit(), self.assigned.share
        if share == 1.0:
            return whole
        seed = self.assigned.config["seed"]
        return Splits(train=whole.train.sample(share, seed=seed))

    @cached_property
    def folds(self) -> list[Splits[Any]]:
        """What a trial under cross-validation trains on and is scored on; none else."""
        if self.final or self.search.cv is None:
            return []
        seed = self.search.config["seed"]
        return cross_validation(self.splits, n_folds=self.search.cv, seed=seed)

    def train(self, members: Sequence[Member]) -> Iterator[list[Step | None]]:
        """Yield the next step of each member, None for one that has ended."""
        kind = family(self.search.family)
        many: TrainMany = partial(one_by_one, kind)
        if self.search.pack > 1 and kind.train_many is not None:
            many = kind.train_many
        configs = [member.config for member in members]
        states = [member.state for member in members]
        if self.folds:
            return train_folds(many, configs, self.folds, states)
        return many(configs, self.seen, states)

    def evaluate(self, model: Any, split: Any) -> dict[str, float]:
        kind = task(family(self.search.family).task)
        scores: dict[str, float] = kind.evaluate(model, split)
        return scores


def one_by_one(
    kind: Family,
    configs: Sequence[FamilyConfig],
    data: Splits,
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield what `train_many` would, for a family that has none."""
    states = states or [None] * len(configs)
    training = [
        kind.train(config, data, state)
        for config, state in zip(configs, states, strict=True)
    ]
    yield from map(list, zip_longest(*training))


def validation_scores(model: Any, work: Work) -> dict[str, float]:
    """Return the validation scores; under cross-validation their means, and the score
    of each fold. Where the search looks at what is left out, also the score on each
    domain of that.
    """
    if work.folds:
        return _over_folds(model, work)
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


def _over_folds(models: Sequence[Any], work: Work) -> dict[str, float]:
    pairs = zip(models, work.folds, strict=True)
    parts = [work.evaluate(model, fold.valid) for model, fold in pairs]
    scores = {f"valid_{k}": fmean(part[k] for part in parts) for k in parts[0]}
    metric = work.search.metric
    singles = {f"valid_{metric}/fold_{i}": p[metric] for i, p in enumerate(parts)}
    return scores | singles


def test_scores(model: Any, work: Work) -> dict[str, float]:
    """Return the test scores of the model of a final fit; where the search asks, also
    the scores on the data that it was trained on, and how many rows these are.
    """
    scores = work.evaluate(model, work.splits.test)
    found = {f"test_{name}": value for name, value in scores.items()}
    if work.search.scores_seen:
        seen = work.seen.train
        on_seen = work.evaluate(model, seen)
        found |= {f"train_{name}": value for name, value in on_seen.items()}
        found["train_rows"] = float(len(seen))
    return found
