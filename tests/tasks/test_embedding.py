"""The task embedding: its score has known values where the scores are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ftml.data import Cooccurrence
from ftml.tasks import embedding

V = 6
WORDS = ("the", "king", "love", "blood", "sword", "rose")


@dataclass(frozen=True)
class Scores:
    """A model that scores pairs by a table, and embeds words by its rows."""

    table: np.ndarray
    words: tuple[str, ...] = WORDS

    def pair_score(self, rows, cols):
        return self.table[rows, cols]

    def embed(self, words):
        for word in words:
            if word not in self.words:
                raise ValueError(f"unknown word {word!r}; nearest: king")
        return self.table[[self.words.index(word) for word in words]]

    def nearest(self, word, n=10):
        return [(other, 0.5) for other in self.words if other != word][:n]


@pytest.fixture
def split() -> Cooccurrence:
    row, col = np.triu_indices(V)
    weight = np.random.default_rng(0).uniform(0.5, 3.0, len(row))
    return Cooccurrence(
        words=WORDS,
        counts=np.array([60, 30, 20, 15, 12, 10]),
        row=row.astype(np.int32),
        col=col.astype(np.int32),
        weight=weight,
    )


def symmetric(split: Cooccurrence) -> np.ndarray:
    C = np.zeros((V, V))
    np.add.at(C, (split.row, split.col), split.weight)
    np.add.at(C, (split.col, split.row), split.weight)
    return C


def exact_auc(table: np.ndarray, split: Cooccurrence) -> float:
    """Return the auc by enumeration of all i, j, v."""
    C, noise = symmetric(split), split.counts**0.75
    C, noise = C / C.sum(), noise / noise.sum()
    total = 0.0
    for i, j, v in np.ndindex(V, V, V):
        above = (table[i, j] > table[i, v]) + 0.5 * (table[i, j] == table[i, v])
        total += C[i, j] * noise[v] * above
    return total


@pytest.mark.parametrize("seed", range(4))
def test_auc_is_that_of_the_enumeration_of_all_pairs_and_noise_words(split, seed):
    table = (
        np.random.default_rng(seed).integers(0, 4, (V, V)).astype(float)
    )  # with ties
    expected = exact_auc(table, split)
    # One pair's mean over five noise words has a standard deviation of 1/2 at most:
    # five standard errors of 20,000 pairs.
    tolerance = 5 * 0.5 / np.sqrt(embedding.N_PAIRS)
    measured = embedding.evaluate(Scores(table), split)["auc"]
    assert measured == pytest.approx(expected, abs=tolerance)


def test_a_constant_score_has_an_auc_of_one_half(split):
    assert embedding.evaluate(Scores(np.ones((V, V))), split) == {"auc": 0.5}


def test_auc_is_one_where_noise_never_scores_as_high():
    # One pair of two words that are not the frequent ones, scored above all others.
    counts = np.array([10**12, 10**12, 1, 1, 1, 1])
    pair = [np.array([n], np.int32) for n in (2, 3)]
    split = Cooccurrence(WORDS, counts, *pair, np.ones(1))
    table = np.zeros((V, V))
    table[2, 3] = table[3, 2] = 1.0
    assert embedding.evaluate(Scores(table), split) == {"auc": 1.0}
    assert embedding.evaluate(Scores(-table), split) == {"auc": 0.0}


def test_a_rising_transformation_of_the_scores_changes_nothing(split):
    table = np.random.default_rng(1).normal(size=(V, V))
    expected = embedding.evaluate(Scores(table), split)
    assert embedding.evaluate(Scores(100 * table - 7), split) == expected
    assert embedding.evaluate(Scores(np.exp(table)), split) == expected


def test_both_orders_of_a_pair_are_sampled_by_the_symmetric_matrix(split):
    i, j, v = embedding.sample_pairs(split)
    C = symmetric(split)
    drawn = np.zeros((V, V))
    np.add.at(drawn, (i, j), 1 / len(i))
    # Five standard errors of a share near 0.08, the largest entry.
    assert np.abs(drawn - C / C.sum()).max() < 5 * np.sqrt(0.08 / len(i))
    noise = np.bincount(v.ravel(), minlength=V) / v.size
    expected = split.counts**0.75 / np.sum(split.counts**0.75)
    assert np.abs(noise - expected).max() < 5 * 0.5 / np.sqrt(v.size)


def test_a_model_of_another_vocabulary_is_refused(split):
    other = Scores(np.ones((V, V)), words=WORDS[::-1])
    with pytest.raises(ValueError, match="the vocabularies differ"):
        embedding.evaluate(other, split)


def test_a_split_without_pairs_is_refused(split):
    none = np.zeros(0, np.int32)
    empty = Cooccurrence(WORDS, split.counts, none, none, np.zeros(0))
    with pytest.raises(ValueError, match="no pair of words to score"):
        embedding.evaluate(Scores(np.ones((V, V))), empty)


def test_frequent_words_leave_out_the_hundred_most_frequent(split):
    words = tuple(f"w{n:03d}" for n in range(300))
    counts = np.arange(300)[::-1].copy()
    none = np.zeros(0, np.int32)
    large = Cooccurrence(words, counts, none, none, np.zeros(0))
    assert embedding.frequent_words(large, 3) == ["w100", "w101", "w102"]
    assert embedding.frequent_words(large, 3, every=50) == ["w100", "w150", "w200"]
    assert embedding.frequent_words(split, 3) == ["blood", "sword", "rose"]
    assert len(embedding.frequent_words(split, 80, every=3)) == 2


def test_figures_are_a_table_and_a_map_even_of_a_small_vocabulary(split, tmp_path):
    model = Scores(np.random.default_rng(2).normal(size=(V, 3)))
    figures = embedding.figures(model, split)
    assert sorted(figures) == ["map", "neighbours"]
    for name, figure in figures.items():
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / name)


def test_the_plane_is_that_of_the_two_largest_principal_components():
    E = np.random.default_rng(3).normal(size=(20, 5))
    position, share = embedding.principal_plane(E)
    E = E / np.linalg.norm(E, axis=1, keepdims=True)
    variances, axes = np.linalg.eigh(np.cov(E.T, bias=True))
    expected = (E - E.mean(axis=0)) @ axes[:, [-1, -2]]
    np.testing.assert_allclose(np.abs(position), np.abs(expected), atol=1e-12)
    np.testing.assert_allclose(share, variances[[-1, -2]] / variances.sum(), rtol=1e-12)


def test_the_plane_of_one_dimension_has_a_second_coordinate_of_zero():
    position, share = embedding.principal_plane(np.array([[1.0], [-2.0], [0.0]]))
    np.testing.assert_allclose(np.abs(position[:, 0]), [1.0, 1.0, 0.0], atol=1e-12)
    assert not position[:, 1].any()
    np.testing.assert_allclose(share, [1.0, 0.0])


def test_serving_gives_the_vector_of_each_word_of_the_example(split):
    table = np.random.default_rng(4).normal(size=(V, 2))
    served = embedding.serve(Scores(table), embedding.example(split))
    assert list(served.columns) == ["dimension_0", "dimension_1"]
    np.testing.assert_array_equal(served.to_numpy(), table[3:])


def test_serving_refuses_an_unknown_word_and_a_frame_without_words(split):
    model = Scores(np.ones((V, V)))
    with pytest.raises(ValueError, match="unknown word 'kinge'; nearest: king"):
        embedding.serve(model, pd.DataFrame({"word": ["love", "kinge"]}))
    with pytest.raises(ValueError, match="expected a column word, got text"):
        embedding.serve(model, pd.DataFrame({"text": ["love"]}))
