"""Embedding: word vectors, scored on word pairs that are counted in held-out text.

A test split may have word lists rated by people; their scores are reported, too. No
other split has them, so that no choice can depend on them.

Models have `words`, `embed(words) -> (n, dimension)`, `nearest(word, n) -> [(word,
cosine)]` and `pair_score(rows, cols) -> (n,)`, high for words that occur near each
other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.data.cooccurrence import Cooccurrence
from ftml.data.word_sets import WordSets
from ftml.names import name_part
from ftml.plots import label_points, new_figure
from ftml.tasks._models import Embedding
from ftml.tasks._word_lists import analogy_sections, word_list_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = (Cooccurrence,)
METRICS = {"auc": "max"}

N_PAIRS, N_NOISE = 20_000, 5
SEED = 0
SKIPPED = 100
"The most frequent words are of, the, and, ...: figures leave them out."


def evaluate(model: Embedding, split: Cooccurrence) -> dict[str, float]:
    """Return the probability that a counted pair scores above a noise pair of the same
    word.

        auc = P(s(i, j) > s(i, v)) + P(s(i, j) = s(i, v)) / 2
        (i, j) ~ C,   v ~ count^(3/4)

    C is the symmetric matrix of the split, count its word counts. An increasing
    transformation of the scores changes nothing, so families with scores of different
    scale can be compared. The AUC is estimated from 20,000 pairs with five noise words
    each, the same in every call; the standard error is below 0.0036. Word lists of the
    split add their scores (`word_list_scores`). Raises ValueError if the words are not
    the model's.
    """
    if tuple(model.words) != split.words:
        raise ValueError(
            "the vocabularies differ; score a model on the dataset it was fitted on"
        )
    i, j, v = sample_pairs(split)
    counted = model.pair_score(i, j)[:, None]  # (N_PAIRS, 1)
    noise = model.pair_score(np.repeat(i, N_NOISE), v.ravel()).reshape(v.shape)
    scores = {"auc": float(np.mean((counted > noise) + 0.5 * (counted == noise)))}
    if split.word_sets is not None:
        scores |= word_list_scores(model, split.word_sets)
    return scores


def sample_pairs(split: Cooccurrence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return words i and j (n,) of pairs sampled by weight, and noise words v (n,
    N_NOISE).

    Row and column of a sampled pair are exchanged with probability 1/2, so that i takes
    both words; C_ii = 2 weight makes this the distribution C / sum C exactly. Raises
    ValueError for a split without pairs.
    """
    if not len(split):
        raise ValueError("the split has no pair of words to score")
    rng = np.random.default_rng(SEED)
    pair = rng.choice(len(split), N_PAIRS, p=split.weight / split.weight.sum())
    exchanged = rng.random(N_PAIRS) < 0.5
    i = np.where(exchanged, split.col[pair], split.row[pair])
    j = np.where(exchanged, split.row[pair], split.col[pair])
    noise = split.counts**0.75
    v = rng.choice(len(noise), (N_PAIRS, N_NOISE), p=noise / noise.sum())
    return i, j, v


def frequent_words(split: Cooccurrence, n: int, *, every: int = 1) -> list[str]:
    """Return up to n words by decreasing count, one in `every`, after the first 100.

    A vocabulary too small for that begins earlier.
    """
    order = np.argsort(-split.counts, kind="stable")
    start = min(SKIPPED, max(0, len(order) - n * every))
    return [split.words[i] for i in order[start::every][:n]]


def figures(model: Embedding, split: Cooccurrence) -> dict[str, Figure]:
    """Return the nearest neighbours of frequent words, and a map of more words.

    There are also the scores of word lists, if the split has any, and the singular
    values of a model that is a decomposition.
    """
    found = {"neighbours": _neighbours(model, split), "map": _map(model, split)}
    if split.word_sets is not None:
        found["word_lists"] = _word_lists(model, split.word_sets)
    if hasattr(model, "spectrum") and len(model.spectrum):
        found["spectrum"] = _spectrum(model.spectrum)
    return found


def _neighbours(model: Embedding, split: Cooccurrence) -> Figure:
    words = frequent_words(split, 14, every=12)
    rows = [[word, *(near for near, _ in model.nearest(word, n=6))] for word in words]
    width = max(len(row) for row in rows)
    titles = ["word", *(f"nearest {n}" for n in range(1, width))]
    return _table(titles, [row + [""] * (width - len(row)) for row in rows])


def _table(
    titles: list[str], rows: list[list[str]], *, widths: list[float] | None = None
) -> Figure:
    """Return a table; widths: of the columns, as fractions of the figure."""
    figure, axes = new_figure(8.4, 1.0 + 0.26 * len(rows))
    axes.set_axis_off()
    table = axes.table(
        rows,
        colLabels=titles,
        colWidths=widths,
        loc="center",
        cellLoc="left",
        colLoc="left",
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1.0, 1.25)
    return figure


def _word_lists(model: Embedding, sets: WordSets) -> Figure:
    """Return each list's score, its interval, and its coverage."""
    sections = analogy_sections(model, sets)
    scores = word_list_scores(model, sets, sections=sections)
    rows = []
    for name in dict.fromkeys(row[0] for row in sets.similarities):
        key = name_part(name)
        if key in scores:
            low, high = scores[f"{key}_low"], scores[f"{key}_high"]
            value = [f"{scores[key]:.3f}", f"{low:.3f} to {high:.3f}"]
        else:
            value = ["-", ""]
        rows.append([f"{name} (Spearman)", *value, f"{scores[f'{key}_coverage']:.0%}"])
    for name, (right, asked, known) in sections.items():
        value = [f"{right / asked:.3f}" if asked else "-", f"{right} of {asked}"]
        rows.append([f"analogies: {name}", *value, f"{asked / known:.0%}"])
    titles = ["list", "score", "95 % interval, or right answers", "asked"]
    return _table(titles, rows, widths=[0.42, 0.12, 0.34, 0.12])


def _spectrum(values: np.ndarray) -> Figure:
    figure, axes = new_figure()
    axes.plot(np.arange(1, len(values) + 1), values, marker=".")
    axes.set(xlabel="number", ylabel="singular value", yscale="log")
    return figure


def _map(model: Embedding, split: Cooccurrence) -> Figure:
    """Return words in the plane of their first two components; a word is labelled
    unless a more frequent one overlaps it.
    """
    words = frequent_words(split, 120, every=2)
    position, share = principal_plane(model.embed(words))
    figure, axes = new_figure(7.2, 6.4)
    axes.scatter(position[:, 0], position[:, 1], s=8)
    axes.set(xlabel=f"first component ({share[0]:.0%} of the variance)")
    axes.set(ylabel=f"second component ({share[1]:.0%})")
    label_points(axes, position, words, fontsize=9)
    return figure


def principal_plane(E: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates (n, 2) of the rows of E (n, dimension) in their principal
    plane, and the fraction (2,) of the variance on each axis.

    Rows are scaled to length 1 first, as for the cosine. With one dimension, or no
    variance, the missing coordinates are 0.
    """
    length = np.linalg.norm(E, axis=1, keepdims=True)
    E = E / np.where(length > 0, length, 1.0)
    U, s, _ = np.linalg.svd(E - E.mean(axis=0), full_matrices=False)
    position, share = np.zeros((len(E), 2)), np.zeros(2)
    position[:, : len(s)] = U[:, :2] * s[:2]
    share[: len(s)] = s[:2] ** 2 / max(np.sum(s**2), np.finfo(float).tiny)
    return position, share


def example(split: Cooccurrence) -> pd.DataFrame:
    """Return three frequent words, in the column `word`."""
    return pd.DataFrame({"word": frequent_words(split, 3)})


def serve(model: Embedding, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the vector of each word of the column `word`: `dimension_0`, ...

    Raises ValueError for a frame without that column, and for an unknown word, with the
    nearest known one.
    """
    if "word" not in frame:
        got = ", ".join(str(name) for name in frame.columns)
        raise ValueError(f"expected a column word, got {got or 'no column'}")
    vectors = model.embed([str(word) for word in frame["word"]])
    columns = [f"dimension_{d}" for d in range(vectors.shape[1])]
    return pd.DataFrame(vectors, columns=columns)
