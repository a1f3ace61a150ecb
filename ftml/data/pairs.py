"""The data kind Pairs: source sequences of symbols and their target sequences.

Axes: n pairs; N, M symbols of all sources, of all targets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ftml.data import parquet
from ftml.data.checks import check_joins
from ftml.data.ragged import Ragged, as_lists, from_lists, joined
from ftml.data.splits import Splits, consecutive_splits
from ftml.data.text_preparation import TextPreparation

FILE = "pairs.parquet"


@dataclass(frozen=True)
class Pairs:
    """Sources and targets, each in the form in which `Ragged` has sequences of symbols.

    source, source_offsets: (N,) int64 indices into `source_symbols`, (n + 1,). target,
    target_offsets, target_symbols: likewise. preparation: how a raw text becomes a
    source, if that is known. Numbers of other types are converted where that is exact
    (`ftml.data.checks`). Raises ValueError for invalid shapes or values, TypeError for
    values that are not numbers.
    """

    source: np.ndarray
    source_offsets: np.ndarray
    target: np.ndarray
    target_offsets: np.ndarray
    source_symbols: tuple[str, ...]
    target_symbols: tuple[str, ...]
    preparation: TextPreparation | None = None

    def __post_init__(self) -> None:
        if not self.source_symbols or not self.target_symbols:
            raise ValueError("source_symbols and target_symbols must not be empty")
        X, Y = self.X, self.Y  # checks the symbols
        if len(X) != len(Y):
            raise ValueError(f"there are {len(X)} sources, but {len(Y)} targets")
        for name, value in _fields(X, Y).items():
            object.__setattr__(self, name, value)

    @property
    def X(self) -> Ragged:
        """The sources."""
        return Ragged(self.source, self.source_offsets, self.source_symbols)

    @property
    def Y(self) -> Ragged:
        """The targets."""
        return Ragged(self.target, self.target_offsets, self.target_symbols)

    def __len__(self) -> int:
        return len(self.source_offsets) - 1

    def rows(self, index: np.ndarray) -> Pairs:
        """Return the pairs of a boolean mask or an integer index."""
        return replace(self, **_fields(self.X.rows(index), self.Y.rows(index)))

    def join(self, other: Pairs) -> Pairs:
        """Return the pairs of both, those of this object first. Raises ValueError for
        other symbols.
        """
        check_joins(self, other)
        return replace(
            self,
            source=np.concatenate([self.source, other.source]),
            source_offsets=joined(self.source_offsets, other.source_offsets),
            target=np.concatenate([self.target, other.target]),
            target_offsets=joined(self.target_offsets, other.target_offsets),
        )


def _fields(X: Ragged, Y: Ragged) -> dict[str, Any]:
    """Return the arrays of pairs by the name of their field."""
    return {
        "source": X.values,
        "source_offsets": X.offsets,
        "target": Y.values,
        "target_offsets": Y.offsets,
    }


def of_ragged(X: Ragged, Y: Ragged) -> Pairs:
    """Return sources and targets as pairs."""
    return Pairs(X.values, X.offsets, Y.values, Y.offsets, X.vocabulary, Y.vocabulary)


def write(folder: Path, data: Pairs, split: np.ndarray) -> None:
    """Write `pairs.parquet` into a folder; `split` (n,) names the split of each."""
    about: dict[str, object] = {
        "kind": "Pairs",
        "source_symbols": data.source_symbols,
        "target_symbols": data.target_symbols,
    }
    if data.preparation is not None:
        about["preparation"] = data.preparation.to_json()
    columns = {
        "split": split.astype(str),
        "source": as_lists(data.source, data.source_offsets),
        "target": as_lists(data.target, data.target_offsets),
    }
    parquet.write(folder / FILE, pa.table(columns), about)


def load(folder: Path) -> Splits[Pairs]:
    """Return the three splits of prepared pairs; ValueError names an invalid file."""
    names = ["split", "source", "target"]
    data, about = parquet.read(folder / FILE, kind="Pairs", columns=names)
    preparation = about.get("preparation")
    whole = Pairs(
        *from_lists(data["source"]),
        *from_lists(data["target"]),
        tuple(about["source_symbols"]),
        tuple(about["target_symbols"]),
        preparation and TextPreparation.from_json(preparation),
    )
    split = np.asarray(data["split"].to_pylist())
    return Splits(*(whole.rows(split == name) for name in parquet.SPLITS))


def small(task: str) -> Splits[Pairs]:
    """Return small splits for tests of a task: the numbers 0 to 41 in digits and
    in words.
    """
    from ftml.data.numerals import numerals  # which imports this module

    return consecutive_splits(numerals(below=42), n_train=24, n_valid=9)
