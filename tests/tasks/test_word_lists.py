"""Scores on word lists against scipy, and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from ftml.data import Cooccurrence
from ftml.data.word_sets import WordSets, load, read_files, write
from ftml.families.embedding._vectors import Vectors
from ftml.tasks import _word_lists, embedding
from ftml.tasks._word_lists import (
    analogy_sections,
    bootstrap_interval,
    spearman,
    word_list_scores,
)

N = 12
NAMES = tuple(f"w{n}" for n in range(N))


@pytest.fixture
def model() -> Vectors:
    X = np.random.default_rng(0).normal(size=(N, 4))
    return Vectors(NAMES, X, X)


def rated(n: int, *, unknown: int) -> tuple[tuple[str, str, str, float], ...]:
    rng = np.random.default_rng(1)
    pairs = [rng.choice(NAMES, 2, replace=False).tolist() for _ in range(n)]
    known = [("rated", a, b, float(rng.integers(0, 9))) for a, b in pairs]
    return (*known, *[("rated", "w0", "nowhere", 1.0)] * unknown)


def test_similarity_is_scipys_correlation_over_the_pairs_that_are_known(model):
    sets = WordSets(rated(30, unknown=10), ())
    found = word_list_scores(model, sets)
    unit = model.X / np.linalg.norm(model.X, axis=1, keepdims=True)
    number = {name: n for n, name in enumerate(NAMES)}
    cosine = [unit[number[a]] @ unit[number[b]] for _, a, b, _ in rated(30, unknown=0)]
    ratings = [score for *_, score in rated(30, unknown=0)]
    assert found["rated"] == pytest.approx(spearmanr(cosine, ratings)[0], abs=1e-12)
    assert found["rated_coverage"] == 0.75
    assert found["rated_low"] < found["rated"] < found["rated_high"]


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    # Normal pairs of correlation r have a Spearman correlation of 6/pi asin(r/2).
    rng, r, inside = np.random.default_rng(0), 0.6, 0
    for _ in range(40):
        x, e = rng.normal(size=(2, 60))
        low, high = bootstrap_interval(x, r * x + np.sqrt(1 - r**2) * e)
        inside += low <= 6 / np.pi * np.arcsin(r / 2) <= high
    assert inside >= 33  # of 40 at 95 %: fewer has a probability below 0.003


def test_a_constant_score_has_no_correlation():
    assert spearman(np.ones(5), np.arange(5.0)) == 0.0


def test_a_list_that_is_not_known_has_only_its_coverage(model):
    found = word_list_scores(model, WordSets(rated(2, unknown=2), ()))
    assert found == {"rated_coverage": 0.5}


def test_analogies_are_answered_as_the_model_answers_them(model):
    rng = np.random.default_rng(2)
    questions = [tuple(rng.choice(NAMES, 4, replace=False).tolist()) for _ in range(40)]
    right = sum(
        Vectors.analogy(model, a, b, c, n=1)[0][0] == d for a, b, c, d in questions
    )
    # Some that are right by construction, one that cannot be asked.
    first = [
        (a, b, c, model.analogy(a, b, c, n=1)[0][0]) for a, b, c, _ in questions[:5]
    ]
    sets = WordSets(
        (),
        (
            *(("drawn", *q) for q in questions),
            *(("made", *q) for q in first),
            ("made", "w0", "w1", "w2", "nowhere"),
        ),
    )
    assert analogy_sections(model, sets) == {
        "drawn": (right, 40, 40),
        "made": (5, 5, 6),
    }
    found = word_list_scores(model, sets)
    assert found["analogy"] == pytest.approx((right + 5) / 45)
    assert found["analogy_coverage"] == pytest.approx(45 / 46)


def test_a_split_with_word_lists_adds_their_scores_and_their_figure(model, tmp_path):
    row, col = (each.astype(np.int32) for each in np.triu_indices(N))
    split = Cooccurrence(NAMES, np.arange(N, 0, -1), row, col, np.ones(len(row)))
    sets = WordSets(rated(30, unknown=1), (("s", "w0", "w1", "w2", "w3"),))
    scored = embedding.evaluate(model, replace(split, word_sets=sets))
    assert scored.pop("auc") == embedding.evaluate(model, split)["auc"]
    assert scored == word_list_scores(model, sets)
    shown = replace(model, spectrum=np.array([3.0, 2.0, 1.0, 0.5]))
    figures = embedding.figures(shown, replace(split, word_sets=sets))
    assert sorted(figures) == ["map", "neighbours", "spectrum", "word_lists"]
    for name, figure in figures.items():
        figure.savefig(tmp_path / name, dpi=30)


def test_lists_come_back_from_disk_as_they_were(tmp_path):
    sets = WordSets(rated(3, unknown=1), (("s", "a", "b", "c", "d"),))
    assert load(tmp_path) is None
    write(tmp_path, sets)
    assert load(tmp_path) == sets


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("king\tqueen\n", r"a\.tsv: line 1: expected `word word score` or"),
        ("# none\n", "the files hold no pair and no analogy"),
        ("one two three\n", r"a\.tsv: line 1: expected .* got 'one two three'"),
    ],
)
def test_files_without_lists_are_refused(tmp_path, text, message):
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_files([tmp_path / "a.tsv"])


@pytest.mark.parametrize("names", [("auc",), ("analogy",), ("a", "a_low")])
def test_lists_whose_scores_would_have_one_name_are_refused(model, names):
    sets = WordSets(tuple((name, "w0", "w1", 1.0) for name in names), ())
    with pytest.raises(ValueError, match=r"has the name of .*; rename the file"):
        word_list_scores(model, sets)


def test_names_of_lists_become_keys_that_mlflow_allows(model):
    sets = WordSets((("men:1", "w0", "w1", 1.0), ("men/1", "w0", "w1", 1.0)), ())
    found = word_list_scores(model, sets)
    assert set(found) == {"men-u003a1_coverage", "men-u002f1_coverage"}


def test_two_files_of_one_name_are_refused(tmp_path):
    files = [tmp_path / folder / "rated.tsv" for folder in ("one", "other")]
    for file in files:
        file.parent.mkdir()
        file.write_text("a\tb\t1\n")
    with pytest.raises(ValueError, match="must differ from each other, got 'rated' tw"):
        read_files(files)


def test_the_interval_does_not_depend_on_how_many_are_ranked_at_once(monkeypatch):
    a, b = np.random.default_rng(0).normal(size=(2, 50))
    whole = bootstrap_interval(a, b)
    monkeypatch.setattr(_word_lists, "RANKED", 173)
    assert bootstrap_interval(a, b) == whole
