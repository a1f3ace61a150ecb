"""Counting against a count of every pair of positions, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftml.data.counting import count_pairs, count_rows, join_rows, merge_rows
from ftml.data.tokens import Sentences
from ftml.data.weights import keep_probability, thin, units_of

WORDS = ("the", "king", "love", "blood")
V = len(WORDS)
CORPUS = st.lists(st.lists(st.integers(0, V - 1), max_size=9), max_size=6)
WEIGHTING = st.sampled_from(("harmonic", "dynamic", "flat"))


def sentences_of(corpus: list[list[int]]) -> Sentences:
    ids = np.array([word for sentence in corpus for word in sentence], np.int32)
    lengths = [len(sentence) for sentence in corpus]
    return Sentences(ids, np.cumsum([0, *lengths], dtype=np.int64))


def weight_of(d: int, *, window: int, weighting: str) -> float:
    return {"harmonic": 1 / d, "dynamic": (window - d + 1) / window, "flat": 1.0}[
        weighting
    ]


def brute_force(corpus, *, window: int, weighting: str) -> dict[tuple[int, int], float]:
    total: dict[tuple[int, int], float] = {}
    for sentence in corpus:
        for s in range(len(sentence)):
            for t in range(s + 1, min(s + window, len(sentence) - 1) + 1):
                pair = (min(sentence[s], sentence[t]), max(sentence[s], sentence[t]))
                weight = weight_of(t - s, window=window, weighting=weighting)
                total[pair] = total.get(pair, 0.0) + weight
    return total


@given(CORPUS, st.integers(1, 12), WEIGHTING)
def test_counts_equal_those_of_every_pair_of_positions(corpus, window, weighting):
    counted = count_pairs(
        sentences_of(corpus), WORDS, window=window, weighting=weighting
    )
    expected = brute_force(corpus, window=window, weighting=weighting)
    pairs = zip(counted.row.tolist(), counted.col.tolist(), strict=True)
    assert list(pairs) == sorted(expected)
    # The brute force adds rounded numbers: at most 9 * 12 * 6 roundings.
    np.testing.assert_allclose(
        counted.weight, [expected[pair] for pair in sorted(expected)], rtol=1e-12
    )
    flat = [word for sentence in corpus for word in sentence]
    assert counted.counts.tolist() == [flat.count(word) for word in range(V)]


@given(CORPUS, st.integers(1, 12), WEIGHTING, st.integers(1, 40), st.integers(0, 6))
def test_merged_shards_give_exactly_the_counts_of_the_whole(
    corpus, window, weighting, max_pairs, cut
):
    units = units_of(window=window, weighting=weighting)
    whole, left, right = (
        join_rows(
            list(count_rows(sentences_of(c), V=V, units=units, max_pairs=max_pairs))
        )
        for c in (corpus, corpus[:cut], corpus[cut:])
    )
    merged = merge_rows([left, right], V=V)
    for name in ("start", "col", "units"):
        assert np.array_equal(getattr(merged, name), getattr(whole, name)), name


def test_a_vocabulary_of_thousands_is_read_out_in_order():
    # 9,000 words fill three groups of the bitmap; numpy counts the same.
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 9000, 4000).astype(np.int32)
    sentences = Sentences(ids, np.arange(0, 4001, 8))
    words = tuple(f"w{n}" for n in range(9000))
    counted = count_pairs(sentences, words, window=3, weighting="flat")
    pairs: dict[tuple[int, int], int] = {}
    for line in ids.reshape(-1, 8).tolist():
        for s in range(8):
            for t in range(s + 1, min(s + 4, 8)):
                pair = (min(line[s], line[t]), max(line[s], line[t]))
                pairs[pair] = pairs.get(pair, 0) + 1
    assert list(zip(counted.row.tolist(), counted.col.tolist(), strict=True)) == sorted(
        pairs
    )
    assert counted.weight.tolist() == [pairs[pair] for pair in sorted(pairs)]


def test_weights_of_the_distances_are_those_of_glove_and_of_word2vec():
    expected = {
        "harmonic": [1, 1 / 2, 1 / 3, 1 / 4],
        "dynamic": [1, 3 / 4, 2 / 4, 1 / 4],
        "flat": [1, 1, 1, 1],
    }
    for weighting, weights in expected.items():
        units = units_of(window=4, weighting=weighting)
        np.testing.assert_array_equal(units.of_distance / units.scale, weights)


def test_weights_of_a_wide_window_are_rounded_to_the_finest_unit():
    units = units_of(window=100, weighting="harmonic")
    d = np.arange(1, 101)
    assert np.abs(units.of_distance / units.scale - 1 / d).max() <= 0.5 / 2**31


@pytest.mark.parametrize(
    ("window", "weighting", "message"),
    [
        (0, "flat", "window must be 1 or more, got 0"),
        (5, "gaussian", "weighting must be one of .*, got 'gaussian'"),
    ],
)
def test_a_window_or_weighting_that_is_none_is_refused(window, weighting, message):
    with pytest.raises(ValueError, match=message):
        count_pairs(sentences_of([[1]]), WORDS, window=window, weighting=weighting)


def test_ids_outside_the_vocabulary_are_refused():
    with pytest.raises(ValueError, match="ids must index the 4 words from 0, got "):
        count_pairs(sentences_of([[4, 1]]), WORDS, window=1, weighting="flat")


def test_frequent_words_stay_as_word2vec_has_it():
    counts = np.array([900, 90, 10])
    share, t = counts / 1000, 0.01
    expected = np.minimum(1, np.sqrt(t / share) + t / share)
    np.testing.assert_allclose(keep_probability(counts, threshold=t), expected)
    assert keep_probability(counts, threshold=0.0).tolist() == [1, 1, 1]


def test_thinned_texts_are_in_the_mean_what_the_expectation_says():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, V, 60_000).astype(np.int32)
    sentences = Sentences(ids, np.arange(0, 60_001, 2))
    keep = np.array([0.1, 0.5, 0.9, 1.0])
    thinned = thin(sentences, keep, stream=(3, 0, 0))
    again = thin(sentences, keep, stream=(3, 0, 0))
    assert np.array_equal(thinned.ids, again.ids)
    assert len(thinned) == len(sentences)
    share = np.bincount(thinned.ids) / np.bincount(ids)
    # Five standard errors of a share of 15,000.
    assert np.abs(share - keep).max() < 5 * 0.5 / np.sqrt(15_000)
    # Sentences of two words: nothing moves together, so pairs stay with keep_i keep_j.
    of_all, of_thinned = (
        count_pairs(each, WORDS, window=1, weighting="flat")
        for each in (sentences, thinned)
    )
    expected = of_all.weight * keep[of_all.row] * keep[of_all.col]
    assert len(of_thinned) == len(of_all)
    assert (np.abs(of_thinned.weight - expected) < 5 * np.sqrt(expected) + 5).all()
