"""Which domains a study leaves out of training, and the splits that this makes.

A fold is the names of the domains that are left out, in the order of the data; data
that have no domains have one fold, the empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ftml.data import Domains, Splits, domains
from pipelines.params.read import Study
from pipelines.params.study import EACH
from pipelines.study.cross_validation import cross_validation

Fold = tuple[str, ...]
Data = Callable[[Fold], Splits[Any]]
"The splits of each fold. Ray sends it to the workers with all that it holds, once."


@dataclass(frozen=True)
class Folds:
    """The folds of a study and their splits."""

    tested: tuple[Fold, ...]
    "those whose left-out domains are tested on, each by final fits of its own"

    tried: tuple[Fold, ...]
    "those that every configuration of the search is trained on; the tested ones first"

    domains: tuple[str, ...]
    "the names of all domains"

    splits: Data


def read_folds(study: Study) -> Folds:
    """Return the folds of a study's dataset.

    Raises ValueError for data that are not there or not whole, and for a fold that
    cannot be trained on or tested.
    """
    kind, folder = study.dataset.kind, study.dataset.folder
    if kind.data is not Domains:
        whole = kind.load(folder)
        _check_classes(study, whole)
        if study.section.cv:  # checks it before any work is done
            cross_validation(whole, n_folds=study.section.cv, seed=study.config.seed)
        return Folds(((),), ((),), (), partial(_always, whole))
    data, split = kind.load(folder)
    names = data.domain_names
    each = study.test_domains == EACH
    tested = (
        [(name,) for name in names] if each else [_ordered(study.test_domains, names)]
    )
    tried = tested
    if "leave_one_domain_out" in study.section.selections:
        further = [
            _ordered((*fold, name), names)
            for fold in tested
            for name in names
            if name not in fold
        ]
        tried = list(dict.fromkeys([*tested, *further]))
    splits = partial(_left_out, data, split, study.dataset.name)
    for fold in tried:
        splits(fold)  # checks it before any work is done
    if len(tried) == 1:
        splits = partial(_always, splits(tried[0]))
    return Folds(tuple(tested), tuple(tried), names, splits)


def _check_classes(study: Study, splits: Splits[Any]) -> None:
    expected, classes = study.family.n_classes, getattr(splits.train, "classes", ())
    if expected is not None and len(classes) != expected:
        raise ValueError(
            f"experiments.{study.dataset.name}.{study.name}: family "
            f"{study.family.name} tells {expected} classes apart, the dataset has "
            f"{len(classes)}; one_vs_rest and one_vs_one take it for more"
        )


def _ordered(fold: Sequence[str], names: Sequence[str]) -> Fold:
    """Return a fold in the order of the data; names that it lacks come last."""
    known = [name for name in names if name in fold]
    return (*known, *(name for name in fold if name not in names))


def _always(splits: Splits[Any], fold: Fold) -> Splits[Any]:
    return splits


def _left_out(
    data: Domains, split: np.ndarray, name: str, fold: Fold
) -> Splits[Domains]:
    return domains.leave_out(data, split, fold, where=name)
