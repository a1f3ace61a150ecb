"""The folds of a study and the splits of the data for each fold.

A fold is the tuple of the names of the domains that are left out of training and
tested on, in the order of the dataset. A dataset without domains has one fold, the
empty tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from ftml.data import Domains, Splits, domains
from ftml.data.splits import Block
from ftml.tasks import classification
from pipelines.params.read import Dataset, Study
from pipelines.params.study import EACH
from pipelines.study.cross_validation import cross_validation

Fold = tuple[str, ...]
Data = Callable[[Fold], Splits[Block]]
"Function from a fold to its splits; Ray sends it with its dataset to each node once."


@dataclass(frozen=True)
class Folds:
    """The folds of a study and the splits of each fold."""

    tested: tuple[Fold, ...]
    "folds with final fits, which are tested on the domains that are left out"

    tried: tuple[Fold, ...]
    "folds on which the search trains every configuration; begins with `tested`"

    domains: tuple[str, ...]
    "names of all domains of the dataset"

    splits: Data


class DatasetReader:
    """Reads a prepared dataset once, for all of its studies.

    The studies that use the same samples get the same object as their `Folds.splits`,
    so that it is put into Ray's object store once. Nothing changes what was read.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._folds: dict[str, Folds] = {}
        self._single: dict[Fold, Data] = {}

    def folds(self, study: Study) -> Folds:
        """Return the folds of a study of this dataset.

        Raises ValueError for a dataset that is absent or incomplete, and for a fold
        without samples to train on or to test on.
        """
        if study.name not in self._folds:
            by_domain = self._dataset.kind.data is Domains
            of_study = self._domain_folds if by_domain else self._whole
            self._folds[study.name] = of_study(study)
        return self._folds[study.name]

    @cached_property
    def _loaded(self) -> Any:
        return self._dataset.kind.load(self._dataset.folder)

    @cached_property
    def _same(self) -> Data:
        return partial(_same_splits, self._loaded)

    @cached_property
    def _by_fold(self) -> Data:
        data, split = self._loaded
        return partial(_leave_out, data, split, self._dataset.name)

    def _whole(self, study: Study) -> Folds:
        """Return the only fold of a dataset without domains."""
        _check_classes(study, self._loaded)
        if n := study.section.cv:  # raises before any trial starts
            cross_validation(self._loaded, n_folds=n, seed=study.config.seed)
        return Folds(((),), ((),), (), self._same)

    def _domain_folds(self, study: Study) -> Folds:
        names = self._loaded[0].domain_names
        tested, tried = _domain_folds(study, names)
        splits = self._by_fold
        if len(tried) == 1:
            (fold,) = tried
            if fold not in self._single:
                self._single[fold] = partial(_same_splits, splits(fold))
            splits = self._single[fold]
        else:
            for fold in tried:
                splits(fold)  # raises before any trial starts
        return Folds(tested, tried, names, splits)


def read_folds(study: Study) -> Folds:
    """Return the folds of a study's dataset (`DatasetReader.folds`)."""
    return DatasetReader(study.dataset).folds(study)


def _domain_folds(
    study: Study, names: Sequence[str]
) -> tuple[tuple[Fold, ...], tuple[Fold, ...]]:
    """Return the folds that a study tests, and those that its search trains on."""
    each = study.test_domains == EACH
    tested = (
        [(name,) for name in names]
        if each
        else [_in_dataset_order(study.test_domains, names)]
    )
    tried = tested
    if "leave_one_domain_out" in study.section.selections:
        pairs = [
            _in_dataset_order((*fold, name), names)
            for fold in tested
            for name in names
            if name not in fold
        ]
        tried = list(dict.fromkeys([*tested, *pairs]))
    return tuple(tested), tuple(tried)


def _check_classes(study: Study, splits: Splits[Block]) -> None:
    expected, classes = study.family.n_classes, getattr(splits.train, "classes", ())
    if expected is not None and len(classes) != expected:
        raise ValueError(
            f"experiments.{study.dataset.name}.{study.name}: family "
            f"{study.family.name} classifies {expected} classes, the dataset has "
            f"{len(classes)}; one_vs_rest and one_vs_one extend the family to more"
        )
    metric = study.dataset.metric
    if (
        study.dataset.task == "classification"
        and metric in classification.PARTIAL
        and len(classes) != 2
    ):
        raise ValueError(
            f"datasets.{study.dataset.stage}.{study.dataset.name}.metric: {metric} is "
            f"for two classes, the dataset has {len(classes)}"
        )


def _in_dataset_order(fold: Sequence[str], names: Sequence[str]) -> Fold:
    """Return a fold in the order of the dataset, with unknown domains at the end."""
    known = [name for name in names if name in fold]
    return (*known, *(name for name in fold if name not in names))


def _same_splits(splits: Splits[Block], fold: Fold) -> Splits[Block]:
    return splits


def _leave_out(
    data: Domains, split: np.ndarray, name: str, fold: Fold
) -> Splits[Domains]:
    return domains.leave_out(data, split, fold, where=name)
