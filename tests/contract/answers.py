"""What a model says about each row, in one form for every task.

Answers are an array (n, m), or a list of n arrays where the rows differ in length. Rows
are `Rows`: the inputs, and the targets that a conditional density takes, too.

Axes: n rows, d inputs, k classes, V symbols.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ftml.data import Cooccurrence, Domains
from ftml.data.ragged import Ragged
from ftml.data.trees import Forest
from ftml.families.sequence._transduction import made
from ftml.nn.inputs import tensor
from tests.contract.structured import repeated

Answers = np.ndarray | list[np.ndarray]


@dataclass(frozen=True)
class Rows:
    X: Any
    y: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.X)

    def take(self, index: np.ndarray) -> Rows:
        y = None if self.y is None else self.y[index]
        if isinstance(self.X, Ragged):
            return Rows(repeated(self.X, index), y)
        if isinstance(self.X, Forest):
            return Rows(self.X.rows(index), y)
        return Rows(self.X[index], y)


def rows_of(block: Any) -> Rows:
    """Return the rows of a block of data; of counts of words, all pairs of words."""
    if isinstance(block, Domains):
        return Rows(block.x, block.y)
    if isinstance(block, Cooccurrence):
        return Rows(np.column_stack(np.triu_indices(len(block.words))))
    return Rows(block.X, getattr(block, "y", None))


def _columns(*parts: Any) -> np.ndarray:
    """Return the columns of arrays (n,) or (n, ...), side by side."""
    arrays = [np.asarray(part, np.float64) for part in parts]
    # Not -1 for the number of columns: there may be no rows.
    return np.concatenate(
        [each.reshape(len(each), math.prod(each.shape[1:])) for each in arrays], axis=1
    )


def _clusters(model: Any, rows: Rows) -> np.ndarray:
    labels = model.predict(rows.X)
    return _columns(labels, np.linalg.norm(rows.X - model.centers[labels], axis=1))


def _conditional(model: Any, rows: Rows) -> np.ndarray:
    X, y = rows.X, rows.y
    return _columns(
        model.predict(X), model.variance(X), model.log_density(X, y), model.cdf(X, y)
    )


METHODS = ("log_likelihood", "elbo", "discriminate", "transform", "reconstruct")


def _likelihoods(model: Any, rows: Rows) -> np.ndarray:
    found = []
    for name in METHODS:
        method = getattr(model, name, None)
        if method is None or (name == "elbo" and found):
            continue  # a bound that the likelihood bounds too, from more draws
        found.append(_of_two_draws(method, rows.X))
    return _columns(*found)


def _of_two_draws(method: Callable[..., np.ndarray], X: Any) -> np.ndarray:
    """Return what a method says about rows, a bound from 2 draws instead of many."""
    if "n_draws" in inspect.signature(method).parameters:
        return method(X, n_draws=2)
    return method(X)


def _targets(model: Any, rows: Rows) -> list[np.ndarray]:
    """Return the log-probabilities of symbols, and the target that is decoded: after
    a few steps of training the latter hardly depends on the source.
    """
    if hasattr(model, "log_probs"):
        found = model.log_probs(rows.X)
    else:
        found = list(_next_symbols(model, rows.X))
    decoded = model.decode(rows.X)
    return [
        np.concatenate([one.ravel(), np.asarray(other, np.float64)])
        for one, other in zip(found, decoded, strict=True)
    ]


def _next_symbols(model: Any, X: Ragged) -> np.ndarray:
    """Return log P of the first symbol of each target, and of the one after symbol 0,
    (n, 2, U + 1).
    """
    network, where = made(model)
    end = len(model.target_symbols)
    x, mask = (tensor(each, where) for each in X.padded())
    read = tensor(np.tile([end, 0], (len(X), 1)), where)
    with torch.inference_mode():
        memory, start = network.read(x, mask)
        logits, _, _ = network.write(read, start, memory)
    return logits.double().log_softmax(dim=2).cpu().numpy()


def _log_probabilities(model: Any, rows: Rows) -> list[np.ndarray]:
    ends = np.cumsum(rows.X.lengths + 1)
    return np.split(model.log_prob(rows.X), ends[:-1])


ANSWERS: dict[str, Callable[[Any, Rows], Answers]] = {
    "classification": lambda model, rows: _columns(model.predict_proba(rows.X)),
    "domain_generalization": lambda model, rows: _columns(model.predict_proba(rows.X)),
    "regression": lambda model, rows: _columns(model.predict(rows.X)),
    "density": lambda model, rows: _columns(model.log_density(rows.X)),
    "binary_density": lambda model, rows: _columns(model.log_density(rows.X)),
    "conditional_density": _conditional,
    "clustering": _clusters,
    "decomposition": lambda model, rows: _columns(
        model.transform(rows.X), model.reconstruct(rows.X)
    ),
    "representation": lambda model, rows: _columns(
        model.transform(rows.X), model.reconstruct(rows.X)
    ),
    "generation": _likelihoods,
    "embedding": lambda model, rows: _columns(model.pair_score(*rows.X.T)),
    "language_model": _log_probabilities,
    "transduction": _targets,
}


def answers(task_name: str, model: Any, rows: Rows) -> Answers:
    """Return the answers to rows."""
    return ANSWERS[task_name](model, rows)


def difference(one: Answers, other: Answers) -> float:
    """Return the largest difference of two answers, divided by their size where that is
    above 1; infinite if their shapes differ.
    """
    if isinstance(one, list):
        if [len(each) for each in one] != [len(each) for each in other]:
            return np.inf
        one, other = np.concatenate(one), np.concatenate(list(other))
    if one.shape != np.shape(other):
        return np.inf
    scale = np.maximum(1.0, np.maximum(np.abs(one), np.abs(other)))
    return float(np.max(np.abs(one - other) / scale, initial=0.0))


def taken(found: Answers, index: np.ndarray) -> Answers:
    """Return the answers to the rows of an index."""
    if isinstance(found, list):
        return [found[i] for i in index]
    return found[index]


def changed_answers(
    task_name: str, model: Any, rows: Rows, changed: Sequence[Any]
) -> np.ndarray:
    """Return by how much the answers differ where the inputs are those of `changed`,
    one number for each of these, each of the shape of `rows.X`.

    All are predicted in one call. Answers of infinite size differ by 0 from themselves.
    """
    n, m = len(rows), len(changed)
    every = np.tile(np.arange(n), m + 1)
    if isinstance(rows.X, Ragged):
        parts = [rows.X, *changed]
        X: Any = Ragged(
            np.concatenate([each.values for each in parts]),
            np.concatenate([[0], np.cumsum(np.tile(rows.X.lengths, m + 1))]),
            rows.X.vocabulary,
        )
    elif isinstance(rows.X, Forest):
        X = Forest(
            np.concatenate([rows.X.symbols, *(each.symbols for each in changed)]),
            np.tile(rows.X.parents, m + 1),
            np.concatenate([[0], np.cumsum(np.tile(np.diff(rows.X.offsets), m + 1))]),
            rows.X.vocabulary,
        )
    else:
        X = np.concatenate([rows.X, *changed])
    y = None if rows.y is None else rows.y[every]
    found = answers(task_name, model, Rows(X, y))
    split = [taken(found, np.arange(n) + i * n) for i in range(m + 1)]
    return np.array([difference(split[0], each) for each in split[1:]])
