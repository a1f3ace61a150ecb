"""Scores of word vectors on word lists rated by people, with their coverage.

Axes: n pairs or questions that are covered, d dimensions, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ftml.data.word_sets import WordSets
from ftml.names import name_part
from ftml.tasks._models import Embedding

N_RESAMPLES, INTERVAL = 1000, (2.5, 97.5)
N_WORDS = 30_000
"Analogies use the most frequent words only, as is usual."
BATCH = 1000
"Questions answered by one matrix product."
RANKED = 1 << 20
"Numbers that are ranked at once."


Sections = Mapping[str, tuple[int, int, int]]
"What `analogy_sections` returns."


def word_list_scores(
    model: Embedding, sets: WordSets, *, sections: Sections | None = None
) -> dict[str, float]:
    """Return the scores of a model on every set, by its name (see `ftml.names`).

    similarities `<set>`: Spearman's correlation of cosine and rating over the pairs of
    which both words are known; `<set>_low` and `<set>_high`, the ends of its 95 %
    bootstrap interval over pairs. `analogy`: fraction of questions whose answer is
    first. `<name>_coverage`: fraction of the pairs or questions whose words are all
    known. A set with fewer than three known pairs has only its coverage.

    sections: what `analogy_sections` has returned, where that is known. Raises
    ValueError for two sets whose scores would have one name.
    """
    check_names(sets)
    unit = _unit(model.embed(model.words))
    number = {word: i for i, word in enumerate(model.words)}
    scores: dict[str, float] = {}
    for name in dict.fromkeys(row[0] for row in sets.similarities):
        pairs = [row for row in sets.similarities if row[0] == name]
        scores |= _similarity(name_part(name), pairs, unit, number)
    if sections is None:
        sections = analogy_sections(model, sets)
    asked = sum(n for _, n, _ in sections.values())
    if sections:
        known = sum(n for _, _, n in sections.values())
        scores["analogy_coverage"] = asked / known
    if asked:
        scores["analogy"] = sum(right for right, _, _ in sections.values()) / asked
    return scores


ENDINGS = ("", "_low", "_high", "_coverage")
"Of the scores of a set of similarities."
RESERVED = ("auc", "analogy", "analogy_coverage")
"Names of other scores of the task."


def check_names(sets: WordSets) -> None:
    """Raise ValueError for two sets whose scores would have one name."""
    taken = dict.fromkeys(RESERVED, "a score of the task itself")
    for name in dict.fromkeys(row[0] for row in sets.similarities):
        for key in (name_part(name) + ending for ending in ENDINGS):
            if key in taken:
                raise ValueError(
                    f"word list {name}: its score {key} has the name of {taken[key]}; "
                    "rename the file"
                )
            taken[key] = f"one of the word list {name}"


def _similarity(
    name: str,
    pairs: Sequence[tuple[str, str, str, float]],
    unit: np.ndarray,
    number: Mapping[str, int],
) -> dict[str, float]:
    known = [
        (number[a], number[b], score)
        for _, a, b, score in pairs
        if a in number and b in number
    ]
    scores = {f"{name}_coverage": len(known) / len(pairs)}
    if len(known) < 3:
        return scores
    a, b, rating = (np.array(column) for column in zip(*known, strict=True))
    cosine = np.einsum("nd,nd->n", unit[a], unit[b])
    low, high = bootstrap_interval(cosine, rating)
    return {
        name: float(spearman(cosine, rating)),
        f"{name}_low": low,
        f"{name}_high": high,
        **scores,
    }


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the correlation of the ranks of a and b along their last axis; 0 if one of
    them is constant.
    """
    from scipy.stats import rankdata

    ranks = [rankdata(each, axis=-1) for each in (a, b)]
    x, y = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    spread = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    product = (x * y).sum(axis=-1)
    return np.divide(product, spread, out=np.zeros_like(product), where=spread > 0)


def bootstrap_interval(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of Spearman's correlation over resampled pairs, with the
    same resamples in every call.
    """
    n = len(a)
    rows = np.random.default_rng(0).integers(0, n, (N_RESAMPLES, n))
    parts = np.array_split(rows, -(-rows.size // RANKED))  # so that ranks take little
    found = np.concatenate([spearman(a[part], b[part]) for part in parts])
    low, high = np.percentile(found, INTERVAL)
    return float(low), float(high)


def analogy_sections(
    model: Embedding, sets: WordSets
) -> dict[str, tuple[int, int, int]]:
    """Return right answers, questions asked and questions known, of each section.

    d is to c as b is to a: the answer is the word of largest cosine to b - a + c,
    except these three, with all vectors scaled to length 1 first (Mikolov et al.,
    2013).
    """
    words = model.words[:N_WORDS]
    unit = _unit(model.embed(words))
    number = {word: i for i, word in enumerate(words)}
    found: dict[str, tuple[int, int, int]] = {}
    for section in dict.fromkeys(row[0] for row in sets.analogies):
        questions = [row[1:] for row in sets.analogies if row[0] == section]
        asked = [q for q in questions if all(word in number for word in q)]
        ids = np.array([[number[word] for word in q] for q in asked], np.int64)
        right = sum(_right(ids[n : n + BATCH], unit) for n in range(0, len(ids), BATCH))
        found[section] = right, len(asked), len(questions)
    return found


def _right(ids: np.ndarray, unit: np.ndarray) -> int:
    """Return how many questions (n, 4) are answered right."""
    a, b, c, d = ids.T
    cosine = (unit[b] - unit[a] + unit[c]) @ unit.T  # (n, V)
    np.put_along_axis(cosine, ids[:, :3], -np.inf, axis=1)
    return int(np.sum(cosine.argmax(axis=1) == d))


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)
