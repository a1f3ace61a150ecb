"""The folds of a study and the splits of the data for each fold.

A fold is the tuple of the names of the domains that are left out of training and
tested on, in the order of the dataset. A dataset without domains has one fold, the
empty tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ftml.data import Domains, Splits, domains
from ftml.tasks import classification
from pipelines.params.read import Study
from pipelines.params.study import EACH
from pipelines.study.cross_validation import cross_validation

Fold = tuple[str, ...]
Data = Callable[[Fold], Splits[Any]]
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


def read_folds(study: Study) -> Folds:
    """Return the folds of a study's dataset.

    Raises ValueError for a dataset that is absent or incomplete, and for a fold without
    samples to train on or to test on.
    """
    kind, folder = study.dataset.kind, study.dataset.folder
    if kind.data is not Domains:
        whole = kind.load(folder)
        _check_classes(study, whole)
        if study.section.cv:  # raises before any trial starts
            cross_validation(whole, n_folds=study.section.cv, seed=study.config.seed)
        return Folds(((),), ((),), (), partial(_same_splits, whole))
    data, split = kind.load(folder)
    names = data.domain_names
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
    splits = partial(_leave_out, data, split, study.dataset.name)
    for fold in tried:
        splits(fold)  # raises before any trial starts
    if len(tried) == 1:
        splits = partial(_same_splits, splits(tried[0]))
    return Folds(tuple(tested), tuple(tried), names, splits)


def _check_classes(study: Study, splits: Splits[Any]) -> None:
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


def _same_splits(splits: Splits[Any], fold: Fold) -> Splits[Any]:
    return splits


def _leave_out(
    data: Domains, split: np.ndarray, name: str, fold: Fold
) -> Splits[Domains]:
    return domains.leave_out(data, split, fold, where=name)
