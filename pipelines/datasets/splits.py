"""Splits of the samples of a dataset, and the numbering of their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def encode_labels(labels: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the index (n,) of each label among the sorted ones, and their names."""
    values, index = np.unique(labels.to_numpy(), return_inverse=True)
    return index.astype(np.int64), tuple(str(value) for value in values)


def draw_split(
    strata: np.ndarray, names: Sequence[str], *, shares: Mapping[str, float], seed: int
) -> np.ndarray:
    """Return the split (n,) of each row: "train", or a name in `shares`.

    strata: (n,) indices into `names`. In each stratum every split has its share of the
    rows, rounded. Raises ValueError for a stratum that would be absent from a split.
    """
    if sum(shares.values()) >= 1:
        written = " + ".join(f"{split}_fraction" for split in shares)
        raise ValueError(f"{written} must be below 1, came {sum(shares.values()):g}")
    rng = np.random.default_rng(seed)
    drawn = np.full(len(strata), "train")
    for stratum in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == stratum))
        ends = np.cumsum([round(len(rows) * share) for share in shares.values()])
        parts = np.split(rows, ends)
        if not all(map(len, parts)):
            splits = ", ".join(["train", *shares])
            raise ValueError(
                f"{names[stratum]} has {len(rows)} rows, too few for {splits}"
            )
        for split, part in zip(shares, parts, strict=False):
            drawn[part] = split
    return drawn
