"""Sequences of different lengths: their checks, batches and masks."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftml.data.ragged import Ragged, by_length, encoded, of_sequences

WORDS = ("a", "b", "c")


def ids(*sequences: str) -> Ragged:
    return encoded([each.split() for each in sequences], WORDS)


def test_padding_is_after_the_end_and_the_mask_marks_it() -> None:
    padded, mask = ids("a b c", "b", "c a").padded(np.array([1, 0]))
    np.testing.assert_array_equal(padded, [[1, 0, 0], [0, 1, 2]])
    np.testing.assert_array_equal(mask, [[True, False, False], [True, True, True]])


def test_rows_of_channels_are_the_sequences_themselves() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(T, 2)) for T in (3, 1, 4)]
    X = of_sequences(parts).rows(np.array([2, 0]))
    np.testing.assert_array_equal(X[0], parts[2])
    np.testing.assert_array_equal(X[1], parts[0])
    assert X.padded()[0].shape == (2, 4, 2)


def test_text_is_read_back() -> None:
    assert ids("a b c", "b").texts() == ["a b c", "b"]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=90), st.integers(1, 8))
@settings(max_examples=30)
def test_batches_hold_each_sequence_once_and_little_padding(
    lengths: list[int], batch_size: int
) -> None:
    rng = np.random.default_rng(1)
    batches = by_length(np.array(lengths), batch_size=batch_size, rng=rng)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert max(map(len, batches)) <= batch_size
    # All are in one pool here: only neighbours by length share a batch.
    order = np.sort(lengths)
    least = sum(
        order[s : s + batch_size].max() * len(order[s : s + batch_size])
        for s in range(0, len(order), batch_size)
    )
    assert sum(np.array(lengths)[b].max() * len(b) for b in batches) == least


@pytest.mark.parametrize(
    ("values", "offsets", "vocabulary", "message"),
    [
        ([0, 1], [0, 1, 3], WORDS, "the lengths sum to 3, there are 2 values"),
        ([0, 1], [0, 2, 2], WORDS, "sequence 1 is empty"),
        ([0, 1], [1, 2], WORDS, "offsets must be (n + 1,) and begin with 0"),
        ([0, 3], [0, 2], WORDS, "symbols must be 0 to 2, got 0 to 3"),
        (
            [0.5, 1.0],
            [0, 2],
            WORDS,
            "values must be whole numbers of the type int64, got 0.5",
        ),
        ([0, 1], [0, 2], (), "expected values (N, d), or a vocabulary, got values of"),
        ([[np.nan]], [0, 1], (), "values must be finite, got nan in values[0, 0]"),
    ],
)
def test_what_does_not_fit_is_refused(
    values: Any, offsets: list[int], vocabulary: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Ragged(np.array(values), np.array(offsets), vocabulary)


def test_unknown_symbol_is_named_unless_the_vocabulary_has_one_for_it() -> None:
    with pytest.raises(ValueError, match="sequence 1: unknown symbol 'x'"):
        ids("a", "b x")
    found = encoded([["b", "x"]], ("<unk>", "b"))
    np.testing.assert_array_equal(found.values, [1, 0])
