"""Sequences of different lengths in one array, and batches of them.

Axes: n sequences, N values of all of them, d channels, B batch, T time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ftml.config import nearest
from ftml.data.checks import as_float64, as_integers, check_finite

UNKNOWN = "<unk>"
"The symbol that replaces symbols outside the vocabulary, if the vocabulary has it."


@dataclass(frozen=True)
class Ragged:
    """Sequence i is `values[offsets[i] : offsets[i + 1]]`.

    values: (N,) int64 indices into `vocabulary`, or (N, d) float64, finite, without a
    vocabulary. offsets: (n + 1,) int64, increasing from 0 to N; no sequence is empty.
    Numbers of other types are converted where that is exact (`ftml.data.checks`).
    Raises ValueError for anything else, TypeError for values that are not numbers.
    """

    values: np.ndarray
    offsets: np.ndarray
    vocabulary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "offsets", as_integers(self.offsets, "offsets"))
        check_offsets(self.offsets, len(self.values))
        convert = as_integers if self.vocabulary else as_float64
        object.__setattr__(self, "values", convert(self.values, "values"))
        if self.vocabulary:
            check_symbols(self.values, len(self.vocabulary))
        elif self.values.ndim != 2:
            raise ValueError(
                "expected values (N, d), or a vocabulary, got values of shape "
                f"{self.values.shape}"
            )
        else:
            check_finite(self.values, "values")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """The length of each sequence, (n,)."""
        return np.diff(self.offsets)

    def __getitem__(self, i: int) -> np.ndarray:
        """Return one sequence, (T,) or (T, d)."""
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def rows(self, index: np.ndarray) -> Ragged:
        """Return the sequences of a boolean mask or an integer index."""
        places, offsets = taken(self.offsets, index)
        return replace(self, values=self.values[places], offsets=offsets)

    def padded(self, index: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return sequences as one padded array, (B, T) or (B, T, d), and its mask.

        index: (B,) sequences, all by default. Values after the end of a sequence are 0;
        the mask, (B, T) bool, is true before the end.
        """
        chosen = self if index is None else self.rows(index)
        mask = np.arange(chosen.lengths.max(initial=0)) < chosen.lengths[:, None]
        padded = np.zeros((*mask.shape, *self.values.shape[1:]), self.values.dtype)
        padded[mask] = chosen.values
        return padded, mask

    def texts(self) -> list[str]:
        """Return each sequence of symbols as text, with spaces between symbols."""
        words = np.array(self.vocabulary, object)[self.values]
        return [" ".join(each) for each in np.split(words, self.offsets[1:-1])]


def check_offsets(offsets: np.ndarray, n_values: int) -> None:
    """Raise ValueError unless offsets increase from 0 to the number of values."""
    if offsets.ndim != 1 or not len(offsets) or offsets[0] != 0:
        raise ValueError(
            "offsets must be (n + 1,) and begin with 0, got the shape "
            f"{offsets.shape}"
            + (f" and {offsets[0]} first" if offsets.ndim == 1 and len(offsets) else "")
        )
    lengths = np.diff(offsets)
    if (lengths < 0).any() or offsets[-1] != n_values:
        raise ValueError(
            f"the lengths sum to {offsets[-1]}, there are {n_values} values"
        )
    if len(empty := np.flatnonzero(lengths == 0)):
        raise ValueError(f"sequence {empty[0]} is empty")


def check_symbols(values: np.ndarray, n_symbols: int) -> None:
    """Raise ValueError unless values (N,) are indices of the symbols."""
    if values.ndim != 1:
        raise ValueError(f"expected indices of symbols (N,), got shape {values.shape}")
    if len(values) and (values.min() < 0 or values.max() >= n_symbols):
        raise ValueError(
            f"symbols must be 0 to {n_symbols - 1}, got {values.min()} to "
            f"{values.max()}"
        )


def check_vocabulary(
    found: Sequence[str], vocabulary: Sequence[str], *, what: str
) -> None:
    """Raise ValueError unless the symbols are those that a model was fitted on.

    what: the data that have the symbols found, such as `sequences`.
    """
    if tuple(found) != tuple(vocabulary):
        raise ValueError(
            f"the {what} have a vocabulary of {len(found)} symbols, the model was "
            f"fitted on another, of {len(vocabulary)}"
        )


def taken(offsets: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the values of some sequences, and their offsets."""
    lengths = np.diff(offsets)[index]
    ends = offsets_of(lengths)
    starts = offsets[:-1][index]
    return np.repeat(starts - ends[:-1], lengths) + np.arange(ends[-1]), ends


def offsets_of(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the offsets (n + 1,) of sequences of these lengths."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the offsets of two blocks, concatenated."""
    return np.concatenate([one, one[-1] + other[1:]])


def of_sequences(
    sequences: Sequence[np.ndarray], vocabulary: tuple[str, ...] = ()
) -> Ragged:
    """Return sequences, each (T,) or (T, d), as one block."""
    return Ragged(
        np.concatenate(sequences),
        offsets_of([len(each) for each in sequences]),
        vocabulary,
    )


def encoded(sequences: Sequence[Sequence[str]], vocabulary: tuple[str, ...]) -> Ragged:
    """Return sequences of symbols as indices.

    A symbol outside the vocabulary becomes `UNKNOWN` if the vocabulary has it. Raises
    ValueError for an unknown symbol otherwise, and for an empty sequence.
    """
    number = {symbol: i for i, symbol in enumerate(vocabulary)}
    other = number.get(UNKNOWN)
    values = []
    for i, sequence in enumerate(sequences):
        for symbol in sequence:
            at = number.get(symbol, other)
            if at is None:
                raise ValueError(
                    f"sequence {i}: unknown symbol {symbol!r}"
                    f"{nearest(symbol, vocabulary)}"
                )
            values.append(at)
    lengths = [len(sequence) for sequence in sequences]
    return Ragged(np.array(values, np.int64), offsets_of(lengths), vocabulary)


def shifted(X: Ragged, index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the inputs and the targets of sequences, (B, T + 1) each, and the mask.

    Inputs are the boundary V and then the symbols, targets are the symbols and then V.
    """
    V = len(X.vocabulary)
    x, mask = X.padded(index)
    inputs = np.column_stack([np.full(len(x), V), x])
    target = np.column_stack([x, np.zeros(len(x), x.dtype)])
    target[np.arange(len(x)), mask.sum(axis=1)] = V
    return inputs, target, np.column_stack([np.ones(len(x), bool), mask])


def by_length(
    lengths: np.ndarray, *, batch_size: int, rng: np.random.Generator, pool: int = 50
) -> list[np.ndarray]:
    """Return batches of sequences of nearly the same length, in random order.

    The sequences are shuffled into pools of `pool` batches; each pool is sorted by
    length and cut. So the composition of batches changes from epoch to epoch, and there
    is little padding.
    """
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), pool * batch_size):
        part = order[start : start + pool * batch_size]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[b : b + batch_size] for b in range(0, len(part), batch_size)]
    return [batches[b] for b in rng.permutation(len(batches))]


def as_lists(values: np.ndarray, offsets: np.ndarray) -> pa.ListArray:
    """Return sequences as a column of lists; for (N, d) the values of a sequence are
    flattened.
    """
    d = values[0].size if len(values) else 1
    return pa.ListArray.from_arrays(
        pa.array(offsets * d, pa.int32()), pa.array(values.ravel())
    )


def from_lists(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a column of lists, and their offsets."""
    lists = column.combine_chunks()
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return np.array(lists.values.to_numpy()), offsets
