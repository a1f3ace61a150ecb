"""The data kind Cooccurrence: counts of how often words occur near each other.

Axes: V words, m pairs of words.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ftml.data import parquet, word_sets
from ftml.data.checks import as_float64, as_integers, check_different, check_joins
from ftml.data.splits import Splits
from ftml.data.word_sets import WordSets

VOCABULARY = "vocabulary.parquet"


@dataclass(frozen=True)
class Cooccurrence:
    """Counts of a corpus, or of one split of it, over one vocabulary.

    words: V different words. counts: (V,) int64, the number of occurrences of each.
    row, col: (m,) int32 word ids, row <= col, sorted by (row, col), no pair twice.
    weight: (m,) float64 > 0: the sum, over all pairs of positions s < t in one sentence
    with t - s <= window whose words are row and col in either order, of the weight of
    that distance. So the symmetric matrix of the notes has C_ij = C_ji = weight, and
    C_ii = 2 weight.

    word_sets: word lists rated by people. Only a test split has them, so that no search
    can use them.

    Numbers of other types are converted where that is exact (`ftml.data.checks`).
    Raises ValueError for invalid shapes or values, TypeError for values that are not
    numbers.
    """

    words: tuple[str, ...]
    counts: np.ndarray
    row: np.ndarray
    col: np.ndarray
    weight: np.ndarray
    word_sets: WordSets | None = None

    def __post_init__(self) -> None:
        self._convert()
        V = len(self.words)
        if self.counts.shape != (V,):
            raise ValueError(
                f"expected counts of shape ({V},), got {self.counts.shape}"
            )
        if not self.row.shape == self.col.shape == self.weight.shape:
            shapes = ", ".join(str(each.shape) for each in (self.row, self.col))
            raise ValueError(
                "row, col and weight must be of one length, got the shapes "
                f"{shapes} and {self.weight.shape}"
            )
        key = self.row.astype(np.int64) * V + self.col
        if len(key) and (
            self.row.min() < 0 or self.col.max() >= V or (self.row > self.col).any()
        ):
            wrong = (self.row < 0) | (self.col >= V) | (self.row > self.col)
            i, j = self.row[wrong][0], self.col[wrong][0]
            raise ValueError(f"expected 0 <= row <= col < {V}, got row {i} and col {j}")
        if (np.diff(key) <= 0).any():
            raise ValueError("pairs must be sorted by (row, col) and be unique")
        check_different(self.words, "words")
        if (self.counts < 0).any():
            raise ValueError(f"expected counts of 0 or more, got {self.counts.min()}")
        if not (valid := (self.weight > 0) & (self.weight < np.inf)).all():
            raise ValueError(
                f"expected weight > 0, finite, got {self.weight[~valid][0]}"
            )

    def _convert(self) -> None:
        """Replace the arrays by those of the documented types."""
        object.__setattr__(self, "counts", as_integers(self.counts, "counts"))
        for name in ("row", "col"):
            ids = as_integers(getattr(self, name), name, dtype=np.int32)
            object.__setattr__(self, name, ids)
        object.__setattr__(self, "weight", as_float64(self.weight, "weight"))

    def __len__(self) -> int:
        return len(self.weight)

    def join(self, other: Cooccurrence) -> Cooccurrence:
        """Return the counts of both corpora together."""
        check_joins(self, other, without=["word_sets"])
        V = len(self.words)
        parts = (self, other)
        key = np.concatenate([p.row.astype(np.int64) * V + p.col for p in parts])
        order = np.argsort(key, kind="stable")  # merges the two, which are sorted
        key = key[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        weight = np.concatenate([p.weight for p in parts])[order]
        return replace(
            self,
            counts=self.counts + other.counts,
            row=(key[first] // V).astype(np.int32),
            col=(key[first] % V).astype(np.int32),
            weight=np.add.reduceat(weight, first) if len(first) else weight,
        )


def write(folder: Path, splits: Splits[Cooccurrence], about: dict) -> None:
    """Write the vocabulary and one sorted table of pairs a split; `about` says how it
    was counted (window, weighting, ...).
    """
    parts = {name: getattr(splits, name) for name in parquet.SPLITS}
    V = len(splits.train.words)
    vocabulary: dict[str, Any] = {"id": np.arange(V, dtype=np.int32)}
    vocabulary["word"] = splits.train.words
    vocabulary |= {f"{name}_count": part.counts for name, part in parts.items()}
    parquet.write(
        folder / VOCABULARY, pa.table(vocabulary), {"kind": "Vocabulary", **about}
    )
    for name, part in parts.items():
        pairs = pa.table({"row": part.row, "col": part.col, "weight": part.weight})
        parquet.write(
            folder / f"{name}.parquet", pairs, {"kind": "Cooccurrence", **about}
        )


def load_vocabulary(folder: Path) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Return the words, and how often each occurs in each split, (V,) int64."""
    columns = {name: f"{name}_count" for name in parquet.SPLITS}
    table, _ = parquet.read(
        folder / VOCABULARY,
        kind="Vocabulary",
        columns=["id", "word", *columns.values()],
    )
    words = tuple(table["word"].to_pylist())
    return words, {name: table[column].to_numpy() for name, column in columns.items()}


def load(folder: Path) -> Splits[Cooccurrence]:
    """Return the counts of the three splits; the test split has the word lists of the
    folder, if there are any. ValueError names an invalid file.
    """
    words, counts = load_vocabulary(folder)
    blocks = []
    for name in parquet.SPLITS:
        pairs, _ = parquet.read(
            folder / f"{name}.parquet",
            kind="Cooccurrence",
            columns=["row", "col", "weight"],
        )
        blocks.append(
            Cooccurrence(
                words=words,
                counts=counts[name],
                row=pairs["row"].to_numpy(),
                col=pairs["col"].to_numpy(),
                weight=pairs["weight"].to_numpy(),
            )
        )
    train, valid, test = blocks
    return Splits(train, valid, replace(test, word_sets=word_sets.load(folder)))


SMALL_CORPUS = {
    "train": "a b c a b . c d e . a c b d . e d c b a . b a d . a b . c e d",
    "valid": "a b d . c d e a",
    "test": "b a c . d e c",
}


def small(task: str) -> Splits[Cooccurrence]:
    """Return small splits for tests of a task: five words, pairs at a distance of at
    most 2, each weighted by 1 / distance.
    """
    words = ("a", "b", "c", "d", "e")

    def counted(text: str) -> Cooccurrence:
        weights: dict[tuple[int, int], float] = {}
        sentences = [
            [words.index(word) for word in sentence.split()]
            for sentence in text.split(".")
        ]
        for sentence in sentences:
            for s, t in itertools.combinations(range(len(sentence)), 2):
                if t - s <= 2:
                    first, second = sorted((sentence[s], sentence[t]))
                    weight = weights.get((first, second), 0.0) + 1 / (t - s)
                    weights[first, second] = weight
        pairs = sorted(weights)
        return Cooccurrence(
            words=words,
            counts=np.bincount(np.concatenate(sentences), minlength=len(words)),
            row=np.array([i for i, _ in pairs], np.int32),
            col=np.array([j for _, j in pairs], np.int32),
            weight=np.array([weights[pair] for pair in pairs]),
        )

    return Splits(*map(counted, SMALL_CORPUS.values()))
