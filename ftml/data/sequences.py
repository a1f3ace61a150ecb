"""The data kind Sequences: of real vectors or symbols, with or without a class.

Axes: n sequences, N values of all of them, d channels.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ftml.data import parquet
from ftml.data.checks import as_indices, as_integers, check_joins
from ftml.data.ragged import Ragged, as_lists, from_lists, joined, offsets_of
from ftml.data.splits import Splits, consecutive_splits
from ftml.data.text_preparation import TextPreparation

FILE = "sequences.parquet"
NO_CLASS = np.zeros(0, np.int64)
"The y of sequences without classes, such as text for a language model."


@dataclass(frozen=True)
class Sequences:
    """Sequences and their classes.

    values, offsets, vocabulary: as in `Ragged`: (N, d) float64, or (N,) indices into
    the vocabulary. y: (n,) int64 indices into `classes`; zeros if there are no classes.
    preparation: how a raw text becomes a sequence of symbols, if that is known. Numbers
    of other types are converted where that is exact (`ftml.data.checks`). Raises
    ValueError for invalid shapes or values and for a class that occurs twice, TypeError
    for values that are not numbers.
    """

    values: np.ndarray
    offsets: np.ndarray
    y: np.ndarray = field(default_factory=lambda: NO_CLASS)
    classes: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    preparation: TextPreparation | None = None

    def __post_init__(self) -> None:
        X = self.X  # checks the values
        object.__setattr__(self, "values", X.values)
        object.__setattr__(self, "offsets", X.offsets)
        y = np.zeros(len(X), np.int64) if self.y is NO_CLASS else self.y
        object.__setattr__(self, "y", check_classes(y, len(X), self.classes))

    @property
    def X(self) -> Ragged:
        """The sequences without their classes."""
        return Ragged(self.values, self.offsets, self.vocabulary)

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, index: np.ndarray) -> Sequences:
        """Return the sequences of a boolean mask or an integer index."""
        X = self.X.rows(index)
        return replace(self, values=X.values, offsets=X.offsets, y=self.y[index])

    def join(self, other: Sequences) -> Sequences:
        """Return the sequences of both, those of this object first. Raises ValueError
        for other classes, symbols or channels.
        """
        check_joins(self, other)
        return replace(
            self,
            values=np.concatenate([self.values, other.values]),
            offsets=joined(self.offsets, other.offsets),
            y=np.concatenate([self.y, other.y]),
        )


def check_classes(y: np.ndarray, n: int, classes: tuple[str, ...]) -> np.ndarray:
    """Return y (n,), which indexes the classes if there are any, as int64.

    Raises ValueError for another shape or value and for a class that occurs twice, and
    TypeError for values that are not numbers.
    """
    y = as_integers(y, "y")
    if y.shape != (n,):
        raise ValueError(f"expected y of shape ({n},), got {y.shape}")
    return as_indices(y, classes, what="y", of="classes") if classes else y


def write(folder: Path, data: Sequences, split: np.ndarray) -> None:
    """Write `sequences.parquet` into a folder; `split` (n,) names the split of each."""
    about: dict[str, object] = {
        "kind": "Sequences",
        "classes": data.classes,
        "vocabulary": data.vocabulary,
        "channels": list(data.values.shape[1:]),
    }
    if data.preparation is not None:
        about["preparation"] = data.preparation.to_json()
    columns = {
        "split": split.astype(str),
        "label": data.y,
        "sequence": as_lists(data.values, data.offsets),
    }
    parquet.write(folder / FILE, pa.table(columns), about)


def load(folder: Path) -> Splits[Sequences]:
    """Return the three splits of prepared sequences; ValueError names an
    invalid file.
    """
    names = ["split", "label", "sequence"]
    data, about = parquet.read(folder / FILE, kind="Sequences", columns=names)
    values, offsets = from_lists(data["sequence"])
    channels = about["channels"]
    preparation = about.get("preparation")
    whole = Sequences(
        values.reshape(-1, *channels),
        offsets // (channels[0] if channels else 1),
        data["label"].to_numpy(),
        tuple(about["classes"]),
        tuple(about["vocabulary"]),
        preparation and TextPreparation.from_json(preparation),
    )
    split = np.asarray(data["split"].to_pylist())
    return Splits(*(whole.rows(split == name) for name in parquet.SPLITS))


def small(task: str) -> Splits[Sequences]:
    """Return small splits for tests of a task: sentences for a language model, else
    time series.

    A series has 3 to 6 times and 3 channels; its class is the channel that is largest.
    """
    if task == "language_model":
        return _small_sentences()
    rng = np.random.default_rng(5)
    y, lengths = np.tile(np.arange(3), 14), rng.integers(3, 7, size=42)
    values = rng.normal(size=(lengths.sum(), 3))
    values[np.arange(len(values)), np.repeat(y, lengths)] += 2
    data = Sequences(values, offsets_of(lengths), y, ("a", "b", "c"))
    return consecutive_splits(data, n_train=24, n_valid=9)


def small_texts() -> Splits[Sequences]:
    """Return small splits of sentences whose class is whether they contain d."""

    def labelled(part: Sequences) -> Sequences:
        y = np.array([int(4 in part.X[i]) for i in range(len(part))])
        return replace(part, y=y, classes=("without", "with"))

    return Splits(*map(labelled, vars(_small_sentences()).values()))


def _small_sentences() -> Splits[Sequences]:
    rng = np.random.default_rng(6)
    lengths = rng.integers(2, 7, size=42)
    values = rng.integers(5, size=lengths.sum())
    words = ("<unk>", "a", "b", "c", "d")
    data = Sequences(values, offsets_of(lengths), vocabulary=words)
    return consecutive_splits(data, n_train=24, n_valid=9)
