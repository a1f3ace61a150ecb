"""Decision trees as arrays: made by scikit-learn, saved and applied without it.

Axes: n samples, d features, k classes, T trees, m nodes of all trees together. Node j
sends a sample to `left[j]` if its feature `feature[j]` is at most `threshold[j]`, to
`right[j]` otherwise; a leaf is its own left and right, so that all samples may take as
many steps as the deepest tree has levels. scikit-learn compares features in float32,
and so does this module, because a float64 value near a threshold could be sent to the
other side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftml.data import Table
from ftml.families.linear._columns import check_columns


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
        """Return the class fractions in each tree's leaf, (T, n, k)."""
        check_columns(X, self.n_features)
        single = X.astype(np.float32)
        row = np.arange(len(X))
        node = np.repeat(self.root[:, None], len(X), axis=1)  # (T, n)
        for _ in range(self.depth):
            goes_left = single[row, self.feature[node]] <= self.threshold[node]
            node = np.where(goes_left, self.left[node], self.right[node])
        return self.value[node]


def trees_of(fitted: Sequence[Any], k: int) -> Trees:
    """Return the trees of fitted scikit-learn classifiers as arrays.

    k: the number of classes of the data. A classifier knows the classes that it saw,
    `classes_`, as indices below k; the others have the fraction 0.
    """
    structures = [each.tree_ for each in fitted]
    sizes = np.array([tree.node_count for tree in structures])
    root = np.cumsum(sizes) - sizes
    parts: dict[str, list[np.ndarray]] = {
        name: [] for name in ("left", "right", "feature", "threshold", "value")
    }
    for each, tree, first in zip(fitted, structures, root, strict=True):
        leaf = tree.children_left < 0
        itself = np.arange(tree.node_count)
        value = np.zeros((tree.node_count, k))
        value[:, each.classes_.astype(np.int64)] = tree.value[:, 0, :]
        parts["left"].append(np.where(leaf, itself, tree.children_left) + first)
        parts["right"].append(np.where(leaf, itself, tree.children_right) + first)
        parts["feature"].append(np.where(leaf, 0, tree.feature))
        parts["threshold"].append(tree.threshold)
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
