"""n-gram language model: the last symbols predict the next, by smoothed counts.

    add-k        P(w | h) = (c(h w) + k) / (c(h) + k (V + 1))
    Kneser-Ney   P(w | h) = max(c(h w) - D, 0) / c(h) + D N(h .) / c(h) P(w | h')

h are the last order - 1 symbols, h' all but the oldest of them, N(h .) how many
different symbols follow h. Below the longest h, c(h w) is how many different symbols
stand before h w, and at the bottom P is uniform: over V symbols and the end. Of a
history never seen P(w | h) is P(w | h'), or with add-k uniform.

Histories are a tree read backwards: the node of a history has those of one older symbol
as children, so that all that is backed off to lies on one path.

Source: Deep learning cheat sheet, section 15.2 (Markov assumption, (k+1)-grams); Kneser
and Ney 1995, "Improved backing-off for m-gram language modeling", interpolated as in
Chen and Goodman 1999, "An empirical study of smoothing techniques".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ftml.config import FamilyConfig, Integers, LogUniform
from ftml.core import State, Step
from ftml.data import Sequences, Splits
from ftml.data.ragged import Ragged, check_vocabulary
from ftml.families.text._windows import check_symbols, windows
from ftml.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASK = "language_model"


class Config(FamilyConfig):
    order: Annotated[int, Field(ge=1, le=9), Integers(2, 5)] = 3
    "symbols of a window: order - 1 predict the next"

    smoothing: Literal["kneser_ney", "add_k"] = "kneser_ney"
    "how symbols that never followed a history get their probability"

    k: Annotated[float, Field(gt=0), LogUniform(1e-3, 1.0)] = 0.1
    "what add-k adds to each count; 1 is Laplace's rule"

    discount: Annotated[float, Field(gt=0, lt=1)] | None = None
    """what Kneser-Ney takes from each count; by default n1 / (n1 + 2 n2) for each
    length of history, n1 and n2 being how many counts are 1 and 2"""


@dataclass(frozen=True)
class Model:
    order: int
    smoothing: str
    k: float
    vocabulary: tuple[str, ...]

    nodes: list[np.ndarray]
    "of each length of history: parent (V + 1) + oldest symbol, sorted int64"

    pairs: list[np.ndarray]
    "of each length: node (V + 1) + next symbol, sorted int64"

    counts: list[np.ndarray]
    "of each length: of its pairs, int64"

    totals: list[np.ndarray]
    "of each length: the sum of the counts of each node"

    kinds: list[np.ndarray]
    "of each length: how many different symbols follow each node"

    discounts: list[float]
    "of each length"

    def log_prob(self, X: Ragged) -> np.ndarray:
        """Return the log-probability of each symbol and each end, (N + n,), in nats.

        Raises ValueError for another vocabulary than the model's.
        """
        check_vocabulary(X.vocabulary, self.vocabulary, what="texts")
        return np.log(self.probability(windows(X, self.order)))

    def probability(self, grams: np.ndarray) -> np.ndarray:
        """Return P(last | those before) of windows (m, order)."""
        V1 = len(self.vocabulary) + 1
        word, node = grams[:, -1], np.zeros(len(grams), np.int64)
        p = np.full(len(grams), 1 / V1)
        for length in range(self.order):
            if length:
                older = grams[:, -1 - length]
                node = _find(self.nodes[length], node, older, V1)
            known = node >= 0
            at = _find(self.pairs[length], node, word, V1)
            count = np.where(at >= 0, self.counts[length][at], 0)
            total = self.totals[length][node]
            if self.smoothing == "add_k":
                # Only the longest history counts; one never seen has none.
                p = (known * count + self.k) / (known * total + self.k * V1)
                continue
            D = self.discounts[length]
            rest = D * self.kinds[length][node] / total
            p = np.where(known, np.maximum(count - D, 0) / total + rest * p, p)
        return p


def _find(
    table: np.ndarray, node: np.ndarray, symbol: np.ndarray, V1: int
) -> np.ndarray:
    """Return the index of node (V + 1) + symbol in a sorted table, or -1."""
    key = node * V1 + symbol
    at = np.minimum(np.searchsorted(table, key), len(table) - 1)
    return np.where((node >= 0) & (table[at] == key), at, -1)


def train(
    config: Config, data: Splits[Sequences], state: State | None = None
) -> Iterator[Step]:
    """Yield once: counts have a closed form.

    Raises ValueError for sequences without a vocabulary.
    """
    if state is not None:
        return
    model = count(config, data.train.X)
    loss = -model.log_prob(data.train.X).mean()
    yield Step(1, {"train_loss": float(loss)}, model, {"n": 1})


def count(config: Config, X: Ragged) -> Model:
    """Return the model of the counts of a text."""
    check_symbols(X)
    grams, V1 = windows(X, config.order), len(X.vocabulary) + 1
    nodes, pairs, counts = [np.zeros(1, np.int64)], [], []
    node = np.zeros(len(grams), np.int64)
    for length in range(config.order):
        if length:
            key = node * V1 + grams[:, -1 - length]
            unique, node = np.unique(key, return_inverse=True)
            nodes.append(unique)
        found, seen = np.unique(node * V1 + grams[:, -1], return_counts=True)
        pairs.append(found)
        counts.append(seen)
    if config.smoothing == "kneser_ney":
        counts = _continuations(nodes, pairs, counts, V1)
    own = [found // V1 for found in pairs]
    sizes = [len(each) for each in nodes]
    return Model(
        config.order,
        config.smoothing,
        config.k,
        X.vocabulary,
        nodes,
        pairs,
        counts,
        [
            np.bincount(o, c, n).astype(np.int64)
            for o, c, n in zip(own, counts, sizes, strict=True)
        ],
        [np.bincount(o, minlength=n) for o, n in zip(own, sizes, strict=True)],
        [_discount(config, each) for each in counts],
    )


def _continuations(
    nodes: list[np.ndarray], pairs: list[np.ndarray], counts: list[np.ndarray], V1: int
) -> list[np.ndarray]:
    """Return how many different symbols stand before each pair; of the longest its
    count.
    """
    found = []
    for length in range(len(pairs) - 1):
        longer = pairs[length + 1]
        parent = nodes[length + 1][longer // V1] // V1
        at = np.searchsorted(pairs[length], parent * V1 + longer % V1)
        found.append(np.bincount(at, minlength=len(pairs[length])))
    return [*found, counts[-1]]


def _discount(config: Config, counts: np.ndarray) -> float:
    if config.discount is not None:
        return config.discount
    once, twice = (int((counts == n).sum()) for n in (1, 2))
    # Where nothing occurs once there is nothing to learn from: a small share.
    return once / (once + 2 * twice) if once and twice else 0.5


def figures(
    config: Config, model: Model, data: Splits[Sequences]
) -> Mapping[str, Figure]:
    """Return how many windows of each length were seen once, twice, ...: most once."""
    figure, axes = new_figure()
    V1 = len(model.vocabulary) + 1
    grams = windows(data.train.X, model.order)
    node = np.zeros(len(grams), np.int64)
    for length in range(model.order):
        if length:
            node = _find(model.nodes[length], node, grams[:, -1 - length], V1)
        seen = np.unique(node * V1 + grams[:, -1], return_counts=True)[1]
        times, number = np.unique(seen, return_counts=True)
        label = f"{length + 1} symbol" + "s" * (length > 0)
        axes.plot(times, number, marker=".", linestyle="", label=label)
    axes.set(xscale="log", yscale="log")
    axes.set(xlabel="how often a window occurs", ylabel="windows")
    axes.legend()
    return {"counts_of_counts": figure}
