"""The data kind Cooccurrence: what it accepts, joining, and its files."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftml.data import Cooccurrence, Splits, cooccurrence

WORDS = ("the", "sea", "old", "man")
WINDOW = 2


def counted(sentences: list[list[int]]) -> Cooccurrence:
    """Return the counts by the definition: all pairs of positions, one at a time."""
    matrix = np.zeros((len(WORDS), len(WORDS)))
    for ids in sentences:
        for s, t in itertools.combinations(range(len(ids)), 2):
            if t - s <= WINDOW:
                matrix[min(ids[s], ids[t]), max(ids[s], ids[t])] += 1.0 / (t - s)
    row, col = np.nonzero(matrix)
    every = np.array([i for ids in sentences for i in ids], np.int64)
    return Cooccurrence(
        words=WORDS,
        counts=np.bincount(every, minlength=len(WORDS)),
        row=row.astype(np.int32),
        col=col.astype(np.int32),
        weight=matrix[row, col],
    )


def assert_same(one: Cooccurrence, other: Cooccurrence) -> None:
    assert one.words == other.words
    for name in ("counts", "row", "col", "weight"):
        np.testing.assert_array_equal(
            getattr(one, name), getattr(other, name), strict=True
        )


corpora = st.lists(st.lists(st.integers(0, len(WORDS) - 1), max_size=8), max_size=5)


@given(corpora, corpora)
def test_joining_two_corpora_equals_counting_them_together(one, other) -> None:
    # With a window of 2 every weight is a multiple of 1/2, so that sums are exact.
    assert_same(counted(one).join(counted(other)), counted(one + other))


def test_counts_of_a_sentence_by_hand() -> None:
    # the sea the: (the, sea) at distance 1, (the, the) at 2, (sea, the) at 1.
    hand = counted([[0, 1, 0]])
    assert hand.counts.tolist() == [2, 1, 0, 0]
    pairs = zip(hand.row.tolist(), hand.col.tolist(), hand.weight.tolist(), strict=True)
    assert list(pairs) == [(0, 0, 0.5), (0, 1, 2.0)]
    assert len(hand) == 2


def test_joining_leaves_both_as_they_were() -> None:
    one, other = counted([[0, 1, 2]]), counted([[0, 1], [3, 3]])
    one.join(other)
    assert_same(one, counted([[0, 1, 2]]))
    assert_same(other, counted([[0, 1], [3, 3]]))


def test_pairs_are_distinguished_in_a_large_vocabulary() -> None:
    # 70 000^2 is beyond 2^32: a pair's key must not wrap round.
    V = 70_000
    words = tuple(str(i) for i in range(V))
    ids = np.array([0, V - 2, V - 1], np.int32)
    part = Cooccurrence(
        words, np.ones(V, np.int64), ids, np.full(3, V - 1, np.int32), np.ones(3)
    )
    joined = part.join(part)
    np.testing.assert_array_equal(joined.row, part.row, strict=True)
    np.testing.assert_array_equal(joined.col, part.col, strict=True)
    np.testing.assert_array_equal(joined.weight, [2.0, 2.0, 2.0])


def test_written_counts_are_read_back(tmp_path: Path) -> None:
    parts = Splits(counted([[0, 1, 2, 3]] * 3), counted([[3, 1]]), counted([]))
    cooccurrence.write(tmp_path, parts, {"window": WINDOW})
    read = cooccurrence.load(tmp_path)
    for name in ("train", "valid", "test"):
        assert_same(getattr(read, name), getattr(parts, name))


def test_corpora_of_different_vocabularies_do_not_join() -> None:
    one = counted([[0, 1]])
    other = Cooccurrence(
        tuple(reversed(WORDS)), one.counts, one.row, one.col, one.weight
    )
    with pytest.raises(ValueError, match="words differs: the, sea, old, man and man, "):
        one.join(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": np.ones(3, np.int64)}, r"counts of shape \(4,\), got \(3,\)"),
        ({"weight": np.ones(3)}, "of one length"),
        ({"row": np.array([0, 4]), "col": np.array([1, 4])}, "0 <= row <= col < 4"),
        ({"row": np.array([-1, 0])}, "0 <= row <= col < 4"),
        ({"row": np.array([0, 3])}, "0 <= row <= col < 4"),
        ({"row": np.array([1, 0])}, "sorted by"),
        ({"row": np.array([0, 0]), "col": np.array([1, 1])}, "be unique"),
        ({"weight": np.array([1.0, 0.0])}, "expected weight > 0"),
        ({"weight": np.array([1.0, np.nan])}, "expected weight > 0"),
        ({"words": ("a", "b", "c", "a")}, "words must differ"),
    ],
)
def test_counts_that_do_not_fit_are_refused(change, message) -> None:
    sound = {
        "words": WORDS,
        "counts": np.ones(4, np.int64),
        "row": np.array([0, 1]),
        "col": np.array([1, 2]),
        "weight": np.ones(2),
    }
    Cooccurrence(**sound)
    with pytest.raises(ValueError, match=message):
        Cooccurrence(**{**sound, **change})
