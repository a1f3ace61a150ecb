"""Decision trees as arrays: made by scikit-learn, saved and applied without it.

Axes: n samples, d features, k classes, T trees, m nodes of all trees together. Node j
sends a sample to `left[j]` if its feature `feature[j]` is at most `threshold[j]`, to
`right[j]` otherwise; a leaf is its own left and right, so that all samples may take as
many steps as the deepest tree has levels.

scikit-learn compares features in float32, and takes values within 1e-7 of each other
for equal. A tree depends on the order of values alone, so it is trained on their ranks
(`ordered`), and thresholds are the middle, in float64, of the largest value that a node
sends to the left and the smallest one that it sends to the right (`in_units_of`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftml.data import Table
from ftml.data.checks import check_rows


@dataclass(frozen=True)
class Trees:
    n_features: int
    "d"

    depth: int
    "of the deepest tree; 0 is a leaf alone"

    root: np.ndarray
    "(T,): the first node of each tree"

    left: np.ndarray
    "(m,)"

    right: np.ndarray
    "(m,)"

    feature: np.ndarray
    "(m,)"

    threshold: np.ndarray
    "(m,)"

    value: np.ndarray
    "(m, k): fraction of each class among the training samples of the node"

    def shares(self, X: np.ndarray) -> np.ndarray:
        """Return the class fractions in each tree's leaf, (T, n, k).

        Raises ValueError and TypeError for rows that `check_rows` refuses.
        """
        check_rows(X, self.n_features)
        return self._shares(X)

    def _shares(self, X: np.ndarray) -> np.ndarray:
        row = np.arange(len(X))
        node = np.repeat(self.root[:, None], len(X), axis=1)  # (T, n)
        for _ in range(self.depth):
            goes_left = X[row, self.feature[node]] <= self.threshold[node]
            node = np.where(goes_left, self.left[node], self.right[node])
        return self.value[node]

    def in_blocks(self, X: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the class fractions of blocks of rows, (T, b, k), and which these are.

        All of them at once would take as much memory as T models of one tree. Raises as
        `shares`.
        """
        check_rows(X, self.n_features)
        at_once = max(1, BLOCK // (len(self.root) * self.value.shape[1]))
        for first in range(0, len(X), at_once):
            part = slice(first, first + at_once)
            yield part, self._shares(X[part])


BLOCK = 2**22
"Class fractions that are computed at once: 32 megabytes."

EXACT = 2**24
"The largest integer up to which float32 has all integers."


def ordered(X: np.ndarray) -> np.ndarray:
    """Return float32 values (n, d) in the order of X's, equal where X's are equal.

    Integers that float32 has are returned as they are, other columns as ranks from 0.
    """
    if (np.abs(X) <= EXACT).all() and (np.rint(X) == X).all():
        return X.astype(np.float32)
    ranks = np.empty(X.shape, np.float32)
    for j, column in enumerate(X.T):
        values, place = np.unique(column, return_inverse=True)
        if len(values) > EXACT:
            raise ValueError(
                f"column {j} has {len(values)} different values; a tree takes at most "
                f"{EXACT}: round the column, or train on a sample of the rows"
            )
        ranks[:, j] = place
    return ranks


def in_units_of(
    X: np.ndarray, tree: Any, codes: np.ndarray, rows: np.ndarray | None = None
) -> np.ndarray:
    """Return the thresholds (m,) of a scikit-learn tree in units of X (n, d).

    codes: (n, d) `ordered(X)`, which the tree was trained on. rows: those of its
    training samples, all by default.
    """
    rows = np.arange(len(X)) if rows is None else np.unique(rows)
    below = np.full(tree.node_count, -np.inf)
    above = np.full(tree.node_count, np.inf)
    node = np.zeros(len(rows), np.int64)
    while len(rows):
        inner = tree.children_left[node] >= 0
        rows, node = rows[inner], node[inner]
        feature = tree.feature[node]
        value = X[rows, feature]
        left = codes[rows, feature] <= tree.threshold[node]
        np.maximum.at(below, node[left], value[left])
        np.minimum.at(above, node[~left], value[~left])
        node = np.where(left, tree.children_left[node], tree.children_right[node])
    leaf = tree.children_left < 0
    below[leaf] = above[leaf] = 0.0
    middle = below / 2.0 + above / 2.0
    # Of neighbouring float64 values the middle rounds to one of the two.
    return np.where(middle < above, middle, below)


def trees_of(fitted: Sequence[Any], thresholds: Sequence[np.ndarray], k: int) -> Trees:
    """Return the trees of fitted scikit-learn classifiers as arrays.

    thresholds: of the nodes of each, in raw units. k: the number of classes of the
    data. A classifier knows the classes that it saw,
    `classes_`, as indices below k; the others have the fraction 0.
    """
    structures = [each.tree_ for each in fitted]
    sizes = np.array([tree.node_count for tree in structures])
    root = np.cumsum(sizes) - sizes
    parts: dict[str, list[np.ndarray]] = {
        name: [] for name in ("left", "right", "feature", "threshold", "value")
    }
    for each, tree, first, threshold in zip(
        fitted, structures, root, thresholds, strict=True
    ):
        leaf = tree.children_left < 0
        itself = np.arange(tree.node_count)
        value = np.zeros((tree.node_count, k))
        value[:, each.classes_.astype(np.int64)] = tree.value[:, 0, :]
        parts["left"].append(np.where(leaf, itself, tree.children_left) + first)
        parts["right"].append(np.where(leaf, itself, tree.children_right) + first)
        parts["feature"].append(np.where(leaf, 0, tree.feature))
        parts["threshold"].append(threshold)
        parts["value"].append(value / value.sum(axis=1, keepdims=True))
    return Trees(
        n_features=int(fitted[0].n_features_in_),
        depth=max(int(tree.max_depth) for tree in structures),
        root=root,
        **{name: np.concatenate(arrays) for name, arrays in parts.items()},
    )


def together(one: Trees, other: Trees) -> Trees:
    """Return the trees of both, those of the first argument first."""
    first = len(one.left)
    return Trees(
        one.n_features,
        max(one.depth, other.depth),
        np.concatenate([one.root, other.root + first]),
        np.concatenate([one.left, other.left + first]),
        np.concatenate([one.right, other.right + first]),
        np.concatenate([one.feature, other.feature]),
        np.concatenate([one.threshold, other.threshold]),
        np.concatenate([one.value, other.value]),
    )


def generator(*seeds: int) -> np.random.RandomState:
    """Return the kind of generator that scikit-learn takes, from seeds of any size."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seeds)))


def class_count(table: Table) -> int:
    """Return k; ValueError if the table has samples but no classes."""
    if not table.classes:
        raise ValueError("expected a table with classes, got one without")
    return len(table.classes)
