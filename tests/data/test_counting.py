"""Counting against a count of every pair of positions, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftml.data.counting import (
    Sentences,
    count_pairs,
    distance_weights,
    encode,
    tokenize,
    vocabulary,
)

WORDS = ("the", "king", "love", "blood")
# "x" and "y" are outside the vocabulary.
CORPUS = st.lists(st.lists(st.sampled_from((*WORDS, "x", "y")), max_size=9), max_size=6)
WEIGHTING = st.sampled_from(("harmonic", "dynamic", "flat"))


def weight_of(d: int, *, window: int, weighting: str) -> float:
    return {"harmonic": 1 / d, "dynamic": (window - d + 1) / window, "flat": 1.0}[
        weighting
    ]


def brute_force(corpus, *, window: int, weighting: str) -> dict[tuple[int, int], float]:
    total: dict[tuple[int, int], float] = {}
    for sentence in corpus:
        kept = [WORDS.index(word) for word in sentence if word in WORDS]
        for s in range(len(kept)):
            for t in range(s + 1, min(s + window, len(kept) - 1) + 1):
                pair = (min(kept[s], kept[t]), max(kept[s], kept[t]))
                weight = weight_of(t - s, window=window, weighting=weighting)
                total[pair] = total.get(pair, 0.0) + weight
    return total


@given(CORPUS, st.integers(1, 12), WEIGHTING)
def test_counts_equal_those_of_every_pair_of_positions(corpus, window, weighting):
    counted = count_pairs(
        encode(corpus, WORDS), WORDS, window=window, weighting=weighting
    )
    expected = brute_force(corpus, window=window, weighting=weighting)
    pairs = zip(counted.row.tolist(), counted.col.tolist(), strict=True)
    assert list(pairs) == sorted(expected)
    # Both add the same numbers in another order: at most 9 * 12 * 6 roundings.
    np.testing.assert_allclose(
        counted.weight, [expected[pair] for pair in sorted(expected)], rtol=1e-12
    )
    flat = [word for sentence in corpus for word in sentence]
    assert counted.counts.tolist() == [flat.count(word) for word in WORDS]


@given(CORPUS, st.integers(1, 12), WEIGHTING, st.randoms(use_true_random=False))
def test_order_of_sentences_does_not_matter_to_the_bit(
    corpus, window, weighting, random
):
    shuffled = random.sample(corpus, len(corpus))
    first, second = (
        count_pairs(encode(each, WORDS), WORDS, window=window, weighting=weighting)
        for each in (corpus, shuffled)
    )
    for name in ("counts", "row", "col", "weight"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


@given(CORPUS, st.integers(1, 12), WEIGHTING)
def test_counts_of_two_halves_join_to_the_counts_of_the_whole(
    corpus, window, weighting
):
    whole, left, right = (
        count_pairs(encode(each, WORDS), WORDS, window=window, weighting=weighting)
        for each in (corpus, corpus[::2], corpus[1::2])
    )
    joined = left.join(right)
    assert np.array_equal(joined.row, whole.row)
    assert np.array_equal(joined.col, whole.col)
    assert np.array_equal(joined.counts, whole.counts)
    np.testing.assert_allclose(joined.weight, whole.weight, rtol=1e-12)


def test_a_word_outside_the_vocabulary_is_removed_before_windows_are_taken():
    sentence = [["king", "x", "x", "love"]]
    counted = count_pairs(encode(sentence, WORDS), WORDS, window=1, weighting="flat")
    assert (counted.row.tolist(), counted.col.tolist()) == ([1], [2])


def test_weights_of_the_distances_are_those_of_glove_and_of_word2vec():
    np.testing.assert_array_equal(
        distance_weights(window=4, weighting="harmonic"), [1, 1 / 2, 1 / 3, 1 / 4]
    )
    np.testing.assert_array_equal(
        distance_weights(window=4, weighting="dynamic"), [1, 3 / 4, 2 / 4, 1 / 4]
    )
    np.testing.assert_array_equal(distance_weights(window=2, weighting="flat"), [1, 1])


def test_words_are_lower_case_letters_with_one_apostrophe_inside_at_most():
    text = "'Tis LOVE's o'er-hasty 3rd rock'n'roll, o' the king."
    expected = [
        "tis",
        "love's",
        "o'er",
        "hasty",
        "rd",
        "rock'n",
        "roll",
        "o",
        "the",
        "king",
    ]
    assert tokenize(text) == expected


def test_vocabulary_is_sorted_by_falling_count_then_by_word():
    text = [["b", "a", "c"], ["c", "b", "a"], ["d", "c"]]
    assert vocabulary(text, min_count=2) == ("c", "a", "b")
    assert vocabulary(text, min_count=4) == ()


def test_encoding_keeps_sentences_that_lose_all_their_words():
    encoded = encode([["king", "x"], ["x"], ["love", "king"]], WORDS)
    assert encoded.ids.dtype == np.int32
    assert encoded.ids.tolist() == [1, 2, 1]
    assert encoded.offsets.tolist() == [0, 1, 1, 3]


def test_offsets_that_do_not_span_the_ids_are_refused():
    with pytest.raises(
        ValueError, match="offsets must rise from 0 to the number of ids, 2"
    ):
        Sentences(np.zeros(2, np.int32), np.array([0, 1]))


@pytest.mark.parametrize(
    ("window", "weighting", "message"),
    [
        (0, "flat", "window must be 1 or more, came 0"),
        (5, "gaussian", "weighting must be harmonic, dynamic or flat, came 'gaussian'"),
    ],
)
def test_a_window_or_weighting_that_is_none_is_refused(window, weighting, message):
    with pytest.raises(ValueError, match=message):
        count_pairs(
            encode([["king"]], WORDS), WORDS, window=window, weighting=weighting
        )


def test_ids_outside_the_vocabulary_are_refused():
    with pytest.raises(ValueError, match="ids must index the 4 words"):
        count_pairs(
            Sentences(np.array([4], np.int32), np.array([0, 1])),
            WORDS,
            window=1,
            weighting="flat",
        )
