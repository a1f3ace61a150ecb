"""What can be asked of vectors of words, and the files that they are written to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ftml.families.embedding._vectors import Vectors


@pytest.fixture
def compass() -> Vectors:
    """Words on a circle: cosines are those of the angles between them."""
    angle = np.deg2rad([0.0, 30.0, 90.0, 120.0, 180.0])
    X = np.column_stack([np.cos(angle), np.sin(angle)]) * np.array([[1, 2, 3, 4, 5]]).T
    return Vectors(("east", "near", "north", "past", "west"), X, 2 * X + 1)


def test_nearest_words_are_those_of_the_smallest_angle_without_the_word_itself(compass):
    found = compass.nearest("east", n=2)
    assert [word for word, _ in found] == ["near", "north"]
    cosines = [np.cos(np.deg2rad(30)), 0.0]
    np.testing.assert_allclose([c for _, c in found], cosines, atol=1e-12)
    assert len(compass.nearest("east", n=99)) == 4


def test_an_analogy_turns_by_the_same_angle_and_leaves_its_words_out(compass):
    # Of length 1, near - east + north points to 95 degrees: past is at 120, west at
    # 180.
    found = compass.analogy("east", "near", "north", n=5)
    assert [word for word, _ in found] == ["past", "west"]
    vector = np.array([np.sqrt(3) / 2 - 1, 1.5])
    expected = vector @ [np.cos(np.deg2rad(120)), np.sin(np.deg2rad(120))]
    assert found[0][1] == pytest.approx(expected / np.linalg.norm(vector), abs=1e-12)


def test_vectors_and_scores_are_those_of_the_words(compass):
    np.testing.assert_array_equal(compass.embed(["west", "east"]), compass.X[[4, 0]])
    rows, cols = np.array([0, 3]), np.array([2, 1])
    expected = (compass.X @ compass.Z.T)[rows, cols]
    np.testing.assert_allclose(compass.pair_score(rows, cols), expected, rtol=1e-12)


def test_a_bias_is_that_of_the_neighbour_and_a_sum_is_of_both_vectors(compass):
    bias = np.arange(5.0)
    both = Vectors(compass.words, compass.X, compass.Z, bias, summed=True)
    rows, cols = np.array([0, 3]), np.array([2, 1])
    difference = both.pair_score(rows, cols) - compass.pair_score(rows, cols)
    np.testing.assert_allclose(difference, [2.0, 1.0])
    np.testing.assert_array_equal(both.embed(["past"]), [compass.X[3] + compass.Z[3]])


@pytest.mark.parametrize("ask", ["embed", "nearest", "analogy"])
def test_an_unknown_word_is_an_error_with_the_nearest_known_one(compass, ask):
    arguments = {"embed": (["nort"],), "nearest": ("nort",)}.get(
        ask, ("east", "nort", "west")
    )
    with pytest.raises(ValueError, match="unknown word 'nort'; nearest: north"):
        getattr(compass, ask)(*arguments)


def random_vectors() -> Vectors:
    X, Z = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    return Vectors(("king", "queen", "o'er", "love"), X, Z, summed=True)


def read_word2vec(path: Path) -> tuple[list[str], np.ndarray]:
    """Read the format as word2vec.c writes it."""
    first, *lines = path.read_text().splitlines()
    V, d = map(int, first.split())
    rows = [line.split(" ") for line in lines]
    assert len(rows) == V
    assert {len(row) for row in rows} == {d + 1}
    return [row[0] for row in rows], np.array([row[1:] for row in rows], np.float32)


def test_word2vec_text_has_every_vector_exactly(tmp_path):
    model = random_vectors()
    model.write_word2vec(tmp_path / "vectors.txt")
    words, table = read_word2vec(tmp_path / "vectors.txt")
    assert tuple(words) == model.words
    assert np.array_equal(table, model.X + model.Z)
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.txt"]


def test_gensim_loads_what_is_written(tmp_path):
    gensim = pytest.importorskip("gensim.models")
    model = random_vectors()
    model.write_word2vec(tmp_path / "vectors.txt")
    loaded = gensim.KeyedVectors.load_word2vec_format(tmp_path / "vectors.txt")
    assert tuple(loaded.index_to_key) == model.words
    assert np.array_equal(loaded.vectors, model.table())
    nearest = [word for word, _ in loaded.most_similar("king", topn=3)]
    assert nearest == [word for word, _ in model.nearest("king", n=3)]


def test_projector_files_have_a_line_a_word(tmp_path):
    model = random_vectors()
    model.write_projector(tmp_path / "projector")
    lines = (tmp_path / "projector" / "vectors.tsv").read_text().splitlines()
    table = np.array([line.split("\t") for line in lines], np.float32)
    assert np.array_equal(table, model.table())
    words = (tmp_path / "projector" / "metadata.tsv").read_text().splitlines()
    assert tuple(words) == model.words
    config = (tmp_path / "projector" / "projector_config.pbtxt").read_text()
    assert 'tensor_path: "vectors.tsv"' in config
