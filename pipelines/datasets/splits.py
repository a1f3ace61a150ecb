"""Assigns the samples of a dataset to random splits, and encodes class labels as
integers.

The rows of a table may be split in other ways: `pipelines.datasets.table_splits`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipelines.common.formatting import shorten

MOST_LISTED = 60
"Largest number of strata or rows that a message lists."
MOST_NEEDED = 10_000
"Largest number of rows that a message says to be enough for every split."


def encode_labels(labels: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the index (n,) of each label among the sorted classes, and their names.

    If all labels are whole numbers, the name of 1.0 is `1`: a column of whole numbers
    is one of floating-point numbers in many files. Raises ValueError for labels of
    several types, such as text and numbers: whether 1 and "1" are one class is not for
    ftml to guess.
    """
    given = labels.to_numpy()
    if given.dtype == object:
        _check_one_type(labels)
    values, index = np.unique(given, return_inverse=True)
    whole = values.dtype.kind == "f" and (np.trunc(values) == values).all()
    if whole and np.isfinite(values).all():
        values = np.array([int(value) for value in values], object)
    return index.astype(np.int64), tuple(str(value) for value in values)


def _check_one_type(labels: pd.Series) -> None:
    first: dict[str, object] = {}
    for value in labels.tolist():
        first.setdefault(_type_of(value), value)
    if len(first) > 1:
        listed = ", ".join(f"{kind} ({value!r})" for kind, value in first.items())
        name = "the labels" if labels.name is None else f"column {labels.name}"
        raise ValueError(
            f"{name}: expected labels of one type, got {listed}; write all of them as "
            "text in the source"
        )


def _type_of(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "booleans"
    if isinstance(value, int | float | np.number):
        return "numbers"
    return "text" if isinstance(value, str) else type(value).__name__


def refuse_one_class(source: str, classes: Sequence[str], *, what: str) -> None:
    """Raise ValueError unless there are two classes or more. what: the samples."""
    if len(classes) == 1:
        raise ValueError(
            f"{source}: all {what} are of one class, {classes[0]!r}, so there is "
            "nothing to predict"
        )


def draw_split(
    strata: np.ndarray,
    names: Sequence[str],
    *,
    fractions: Mapping[str, float],
    seed: int,
) -> np.ndarray:
    """Return the split (n,) of each sample: "train", or a name in `fractions`.

    strata: (n,) indices into `names`, such as classes. Each split gets its fraction of
    the samples of each stratum, rounded to a whole number. fractions: between 0 and 1,
    by split; "train" gets the rest. Raises ValueError for fractions whose sum is 1 or
    more, and for strata with too few samples for every split to get one.
    """
    check_fractions(fractions)
    rng = np.random.default_rng(seed)
    chosen = np.full(len(strata), "train")
    too_small: dict[str, int] = {}
    for stratum in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == stratum))
        parts = np.split(rows, np.cumsum(split_sizes(len(rows), fractions)))
        if not all(map(len, parts)):
            too_small[names[stratum]] = len(rows)
        for split, part in zip(fractions, parts, strict=False):
            chosen[part] = split
    if too_small:
        raise ValueError(_too_few(too_small, fractions))
    return chosen


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Raise ValueError for fractions whose sum is 1 or more."""
    if (total := sum(fractions.values())) >= 1:
        written = " + ".join(f"{split}_fraction" for split in fractions)
        raise ValueError(f"{written} must be below 1, got {total:g}")


def split_sizes(n: int, fractions: Mapping[str, float]) -> list[int]:
    """Return how many of n samples each split but "train" gets."""
    return [round(n * fraction) for fraction in fractions.values()]


def _too_few(sizes: Mapping[str, int], fractions: Mapping[str, float]) -> str:
    """Return the message on all strata that are too small, with their sizes."""
    splits = ", ".join(["train", *fractions])
    if len(sizes) == 1:
        ((name, n),) = sizes.items()
        return f"{name} has {n} rows, too few for {splits}"
    above = range(max(sizes.values()) + 1, MOST_NEEDED)
    enough = next((n for n in above if _is_enough(n, fractions)), MOST_NEEDED)
    named = [f"{name.removeprefix('class ')} ({n})" for name, n in sizes.items()]
    return (
        f"{len(sizes)} classes have fewer than {enough} rows, too few for {splits}: "
        f"{shorten(named, MOST_LISTED)}"
    )


def _is_enough(n: int, fractions: Mapping[str, float]) -> bool:
    sizes = split_sizes(n, fractions)
    return min(sizes) > 0 and sum(sizes) < n
