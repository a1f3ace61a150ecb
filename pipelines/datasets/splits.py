"""Assigns the samples of a dataset to splits, and encodes class labels as integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def encode_labels(labels: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the index (n,) of each label among the sorted classes, and their names."""
    values, index = np.unique(labels.to_numpy(), return_inverse=True)
    return index.astype(np.int64), tuple(str(value) for value in values)


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
    more, and for a stratum with too few samples for every split to get one.
    """
    if (total := sum(fractions.values())) >= 1:
        written = " + ".join(f"{split}_fraction" for split in fractions)
        raise ValueError(f"{written} must be below 1, got {total:g}")
    rng = np.random.default_rng(seed)
    chosen = np.full(len(strata), "train")
    for stratum in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == stratum))
        ends = np.cumsum(
            [round(len(rows) * fraction) for fraction in fractions.values()]
        )
        parts = np.split(rows, ends)
        if not all(map(len, parts)):
            splits = ", ".join(["train", *fractions])
            raise ValueError(
                f"{names[stratum]} has {len(rows)} rows, too few for {splits}"
            )
        for split, part in zip(fractions, parts, strict=False):
            chosen[part] = split
    return chosen
