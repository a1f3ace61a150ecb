"""Awkward sizes of sequences, texts, pairs, trees and counts of words.

Each table gives, for the name of a size, `make(labelled)`, which returns its splits,
and the fields of `tests.contract.size.Size` that differ from their defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ftml.data import Cooccurrence, Pairs, Sequences, Splits, Trees
from ftml.data.ragged import Ragged, of_sequences, offsets_of
from ftml.data.trees import read_brackets

LONG = 300
"Times of the longest sequence."

Make = Callable[[bool], Splits]


def _lengths(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(2, 6, size=n)


def _names(k: int) -> tuple[str, ...]:
    return tuple(f"c{c:02d}" for c in range(k))


def _words(V: int) -> tuple[str, ...]:
    return tuple(f"w{v:03d}" for v in range(V))


def vectors(
    labelled: bool,
    *,
    n: int = 18,
    d: int = 3,
    k: int = 2,
    first: int = 0,
    lengths: Sequence[int] = (),
    n_test: int = 9,
    factor: float = 1.0,
    shift: float = 0.0,
) -> Splits[Sequences]:
    """Return splits of series of d channels; `lengths`: of the first ones of both
    splits; `first`: the first class that rows have.
    """
    rng = np.random.default_rng(4)

    def made(n: int) -> Sequences:
        sizes = _lengths(n, rng)
        sizes[: len(lengths)] = lengths[:n]
        y = first + np.arange(n) % (k - first)
        values = rng.normal(size=(sizes.sum(), d))
        values[:, 0] += np.repeat(y, sizes)
        values[:, 0] = factor * values[:, 0] + shift
        return Sequences(values, offsets_of(sizes), y, _names(k))

    return Splits(made(n), test=made(n_test))


def texts(
    labelled: bool,
    *,
    n: int = 18,
    V: int = 5,
    k: int = 2,
    first: int = 0,
    lengths: Sequence[int] = (),
    n_test: int = 9,
    unused: int = 0,
) -> Splits[Sequences]:
    """Return splits of sequences of V symbols, of which `unused` never occur in
    training; with classes if `labelled`.
    """
    rng = np.random.default_rng(5)

    def made(n: int, V_used: int) -> Sequences:
        sizes = _lengths(n, rng)
        sizes[: len(lengths)] = lengths[:n]
        values = rng.integers(V_used, size=sizes.sum())
        if not labelled:
            return Sequences(values, offsets_of(sizes), vocabulary=_words(V))
        y = first + np.arange(n) % (k - first)
        return Sequences(values, offsets_of(sizes), y, _names(k), _words(V))

    return Splits(made(n, V - unused), test=made(n_test, V))


def pairs(
    labelled: bool,
    *,
    n: int = 18,
    V: int = 4,
    U: int = 4,
    lengths: Sequence[int] = (),
    target_lengths: Sequence[int] = (),
    n_test: int = 6,
) -> Splits[Pairs]:
    """Return splits of sources of V symbols and targets of U symbols, which are at most
    as long as their sources.
    """
    rng = np.random.default_rng(6)

    def made(n: int) -> Pairs:
        sizes = _lengths(n, rng)
        sizes[: len(lengths)] = lengths[:n]
        shorter = np.minimum(sizes, 3) - (np.minimum(sizes, 3) > 1)
        shorter[: len(target_lengths)] = target_lengths[:n]
        source = rng.integers(V, size=sizes.sum())
        # No symbol twice in a row, which CTC needs a longer source for.
        target = np.concatenate([np.arange(size) % U for size in shorter])
        return Pairs(
            source,
            offsets_of(sizes),
            target,
            offsets_of(shorter),
            tuple(f"s{v}" for v in range(V)),
            tuple(f"t{v}" for v in range(U)),
        )

    return Splits(made(n), test=made(n_test))


def trees(
    labelled: bool,
    *,
    n: int = 18,
    V: int = 3,
    k: int = 2,
    first: int = 0,
    leaves: Sequence[int] = (),
    chain: int = 0,
    n_test: int = 9,
) -> Splits[Trees]:
    """Return splits of trees with these numbers of leaves in turn, 1 to 4 by default;
    `chain`: leaves of the first tree, which only grows to the right.
    """
    words = tuple("abcdefgh"[:V])
    sizes = leaves or (2, 1, 4, 3)

    def tree(m: int, start: int) -> str:
        if m == 1:
            return words[start % V]
        left = m // 2
        return f"( {tree(left, start)} {tree(m - left, start + left)} )"

    def long(m: int) -> str:
        opened = " ".join(f"( {words[i % V]}" for i in range(m - 1))
        return f"{opened} {words[0]} " + " ".join([")"] * (m - 1))

    def made(n: int) -> Trees:
        found = [tree(sizes[i % len(sizes)], i) for i in range(n)]
        if chain:
            found[0] = long(chain)
        X = read_brackets(found, words)
        y = first + np.arange(n) % (k - first)
        return Trees(X.symbols, X.parents, X.offsets, y, _names(k), words)

    return Splits(made(n), test=made(n_test))


def counts(
    labelled: bool, *, V: int = 5, every: int = 1, absent: bool = False
) -> Splits[Cooccurrence]:
    """Return splits of counts over V words: of every `every`-th pair."""
    rng = np.random.default_rng(7)
    row, col = np.triu_indices(V)
    row, col = row[::every], col[::every]
    used = V - absent
    kept = (row < used) & (col < used)
    row, col = row[kept].astype(np.int32), col[kept].astype(np.int32)

    def made() -> Cooccurrence:
        weight = rng.uniform(0.5, 3.0, size=len(row))
        n = np.bincount(np.concatenate([row, col]), minlength=V) + 1
        n[used:] = 0
        return Cooccurrence(_words(V), n, row, col, weight)

    return Splits(made(), test=made())


def _absent(make: Any) -> Make:
    """Return what makes four classes of which training has the last three."""
    return partial(make, k=4, first=1)


def _of_classes(make: Any) -> dict[str, dict[str, Any]]:
    return {
        "1 class": {"make": partial(make, k=1), "scored": True},
        "30 classes": {"make": partial(make, k=30, n=60), "scored": True},
        "1 class absent": {"make": _absent(make)},
    }


SEQUENCES: dict[str, dict[str, Any]] = {
    "base": {"make": vectors, "whole": True, "scored": True},
    "1 row": {"make": partial(vectors, n=1)},
    "2 rows": {"make": partial(vectors, n=2)},
    "batch + 1 rows": {"make": partial(vectors, n=9), "whole": True},
    "1 channel": {"make": partial(vectors, d=1)},
    "40 channels": {"make": partial(vectors, d=40)},
    "sequences of 1 and 300": {"make": partial(vectors, lengths=(1, LONG))},
    "sequences of 1": {"make": partial(vectors, lengths=(1,) * 18)},
    "a channel x 1e-8": {
        "make": partial(vectors, factor=1e-8),
        "same_as": "base",
        "unit": True,
    },
    "a channel x 1e8": {
        "make": partial(vectors, factor=1e8),
        "same_as": "base",
        "unit": True,
    },
    "a channel + 1e6": {
        "make": partial(vectors, shift=1e6),
        "same_as": "base",
        "unit": True,
    },
    "300 rows to predict": {"make": partial(vectors, n_test=300)},
    "1 row to score": {"make": partial(vectors, n_test=1), "scored": True},
    **_of_classes(vectors),
}
TEXTS: dict[str, dict[str, Any]] = {
    "texts": {"make": texts, "whole": True, "scored": True},
    "1 text": {"make": partial(texts, n=1)},
    "2 texts": {"make": partial(texts, n=2)},
    "batch + 1 texts": {"make": partial(texts, n=9), "whole": True},
    "1 word": {"make": partial(texts, V=1)},
    "2 words": {"make": partial(texts, V=2)},
    "40 words": {"make": partial(texts, V=40)},
    "a word that training lacks": {"make": partial(texts, unused=1)},
    "texts of 1 and 300": {"make": partial(texts, lengths=(1, LONG))},
    "texts of 1": {"make": partial(texts, lengths=(1,) * 18), "inputs": ()},
    "300 texts to predict": {"make": partial(texts, n_test=300)},
    "1 text to score": {"make": partial(texts, n_test=1), "scored": True},
}
LABELLED_TEXTS = {f"texts of {name}": v for name, v in _of_classes(texts).items()}
PAIRS: dict[str, dict[str, Any]] = {
    "base": {"make": pairs, "whole": True, "scored": True},
    "1 pair": {"make": partial(pairs, n=1)},
    "2 pairs": {"make": partial(pairs, n=2)},
    "batch + 1 pairs": {"make": partial(pairs, n=9), "whole": True},
    "1 source symbol": {"make": partial(pairs, V=1)},
    "1 target symbol": {"make": partial(pairs, U=1)},
    "2 symbols": {"make": partial(pairs, V=2, U=2)},
    "40 symbols": {"make": partial(pairs, V=40, U=40)},
    "sources of 1 and 300": {"make": partial(pairs, lengths=(1, LONG))},
    "targets of 1 and 300": {
        "make": partial(pairs, lengths=(2, LONG), target_lengths=(1, LONG)),
    },
    "130 pairs to decode": {"make": partial(pairs, n_test=130)},
    "1 pair to score": {"make": partial(pairs, n_test=1), "scored": True},
}
TREES: dict[str, dict[str, Any]] = {
    "base": {"make": trees, "whole": True, "scored": True},
    "1 tree": {"make": partial(trees, n=1)},
    "2 trees": {"make": partial(trees, n=2)},
    "batch + 1 trees": {"make": partial(trees, n=9), "whole": True},
    "1 symbol": {"make": partial(trees, V=1)},
    "trees of one leaf": {"make": partial(trees, leaves=(1,))},
    "a batch of one-leaf trees": {
        "make": partial(trees, leaves=(1,) * 17 + (3,)),
    },
    "a chain of 300 leaves": {"make": partial(trees, chain=LONG)},
    "300 trees to predict": {"make": partial(trees, n_test=300)},
    "1 tree to score": {"make": partial(trees, n_test=1), "scored": True},
    **_of_classes(trees),
}
COOCCURRENCES: dict[str, dict[str, Any]] = {
    "base": {"make": counts, "whole": True, "scored": True},
    "1 word": {"make": partial(counts, V=1), "refused": True},
    "2 words": {"make": partial(counts, V=2)},
    "40 words": {"make": partial(counts, V=40)},
    "1 pair of words": {"make": partial(counts, V=3, every=6), "refused": True},
    "a word without pairs": {"make": partial(counts, absent=True)},
}


def repeated(X: Ragged, index: np.ndarray) -> Ragged:
    """Return sequences, some of them several times."""
    return of_sequences([X[i] for i in index], X.vocabulary)
