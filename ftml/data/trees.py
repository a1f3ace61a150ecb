"""The data kind Trees: binary trees with symbols at their leaves, each with a class.

Axes: n trees, N nodes of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ftml.config import nearest
from ftml.data import parquet
from ftml.data.checks import as_integers, check_joins
from ftml.data.ragged import (
    as_lists,
    check_offsets,
    check_symbols,
    from_lists,
    joined,
    offsets_of,
    taken,
)
from ftml.data.sequences import check_classes
from ftml.data.splits import Splits, consecutive_splits

FILE = "trees.parquet"
NONE = -1
"The parent of a root, and the symbol of an inner node."


@dataclass(frozen=True)
class Forest:
    """Binary trees: tree i has the nodes `offsets[i]` to `offsets[i + 1] - 1`.

    parents: (N,) int64, the number of each node's parent in its own tree, from 0, and
    -1 for the root. The first child is the left one. symbols: (N,) int64 indices into
    `vocabulary` at leaves, -1 elsewhere. offsets: (n + 1,) int64. Numbers of other
    types are converted where that is exact (`ftml.data.checks`). Raises ValueError that
    names the tree if it has a cycle, not exactly one root, or a node with one child or
    more than two, and TypeError for values that are not numbers.
    """

    symbols: np.ndarray
    parents: np.ndarray
    offsets: np.ndarray
    vocabulary: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("symbols", "parents", "offsets"):
            object.__setattr__(self, name, as_integers(getattr(self, name), name))
        check_offsets(self.offsets, len(self.parents))
        if self.symbols.shape != self.parents.shape:
            raise ValueError(
                f"expected symbols of shape {self.parents.shape}, got "
                f"{self.symbols.shape}"
            )
        self._check_trees()
        check_symbols(self.symbols[self.symbols != NONE], len(self.vocabulary))

    def _check_trees(self) -> None:
        tree = self.tree_of_node()
        outside = (self.parents < NONE) | (self.parents >= np.diff(self.offsets)[tree])
        self._refuse(outside, "has a parent that is no node of it")
        n_roots = np.bincount(tree[self.parents == NONE], minlength=len(self))
        self._refuse((n_roots == 0)[tree], "has no root: its nodes form a cycle")
        self._refuse((n_roots > 1)[tree], "has more than one root")
        # The distance to the ancestor doubles in each round: in a cycle no node reaches
        # a root.
        top = len(self.parents)
        above = np.append(self.above(), top)
        for _ in range(int(np.diff(self.offsets).max(initial=1)).bit_length()):
            above = above[above]
        self._refuse(above[:-1] != top, "has a cycle")
        n_children = np.bincount(self.above(), minlength=top + 1)[:-1]
        self._refuse(
            (n_children != 0) & (n_children != 2), "has a node without two children"
        )
        self._refuse(
            (n_children == 0) != (self.symbols != NONE),
            "has a leaf without a symbol, or a symbol that is not at a leaf",
        )

    def _refuse(self, nodes: np.ndarray, why: str) -> None:
        if nodes.any():
            raise ValueError(f"tree {self.tree_of_node()[nodes][0]} {why}")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def tree_of_node(self) -> np.ndarray:
        """Return the tree of each node, (N,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def above(self) -> np.ndarray:
        """Return the parent of each node among all N; N itself for a root."""
        first = self.offsets[:-1][self.tree_of_node()]
        return np.where(self.parents == NONE, len(self.parents), first + self.parents)

    def children(self) -> np.ndarray:
        """Return the children of each node, (N, 2), left first; -1 of leaves."""
        above = self.above()
        inner = np.flatnonzero(above < len(above))
        order = inner[np.argsort(above[inner], kind="stable")]
        found = np.full((len(above), 2), NONE)
        found[above[order[::2]]] = order.reshape(-1, 2)
        return found

    def heights(self) -> np.ndarray:
        """Return the height of each node above its deepest leaf, (N,)."""
        children = self.children()
        inner = children[:, 0] != NONE
        depths, current = list[np.ndarray](), self.roots()
        while len(current := current[inner[current]]):  # the inner nodes of a depth
            depths.append(current)
            current = children[current].ravel()
        height = np.zeros(len(children), np.int64)
        for current in reversed(depths):
            height[current] = height[children[current]].max(axis=1) + 1
        return height

    def roots(self) -> np.ndarray:
        """Return the root of each tree among all N, (n,)."""
        return np.flatnonzero(self.parents == NONE)

    def rows(self, index: np.ndarray) -> Forest:
        """Return the trees of a boolean mask or an integer index."""
        places, offsets = taken(self.offsets, index)
        return replace(
            self,
            symbols=self.symbols[places],
            parents=self.parents[places],
            offsets=offsets,
        )

    def texts(self) -> list[str]:
        """Return each tree in brackets: `( a ( b c ) )`."""
        children = self.children().tolist()
        return [self._text(root, children) for root in self.roots().tolist()]

    def _text(self, root: int, children: Sequence[Sequence[int]]) -> str:
        # Not by recursion, because a tree may be deeper than Python's stack.
        signs, left = list[str](), list[int | None]([root])
        while left:
            node = left.pop()
            if node is None:
                signs.append(")")
            elif children[node][0] == NONE:
                signs.append(self.vocabulary[self.symbols[node]])
            else:
                signs.append("(")
                left += [None, children[node][1], children[node][0]]
        return " ".join(signs)


@dataclass(frozen=True)
class Trees:
    """Binary trees and their classes.

    symbols, parents, offsets, vocabulary: as in `Forest`. y: (n,) int64 indices into
    `classes`. Numbers of other types are converted where that is exact
    (`ftml.data.checks`). Raises ValueError for invalid shapes or values and for a class
    that occurs twice, TypeError for values that are not numbers.
    """

    symbols: np.ndarray
    parents: np.ndarray
    offsets: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    vocabulary: tuple[str, ...]

    def __post_init__(self) -> None:
        X = self.X
        for name in ("symbols", "parents", "offsets"):
            object.__setattr__(self, name, getattr(X, name))
        object.__setattr__(self, "y", check_classes(self.y, len(X), self.classes))

    @property
    def X(self) -> Forest:
        """The trees without their classes."""
        return Forest(self.symbols, self.parents, self.offsets, self.vocabulary)

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, index: np.ndarray) -> Trees:
        """Return the trees of a boolean mask or an integer index."""
        X = self.X.rows(index)
        return replace(
            self,
            symbols=X.symbols,
            parents=X.parents,
            offsets=X.offsets,
            y=self.y[index],
        )

    def join(self, other: Trees) -> Trees:
        """Return the trees of both, those of this object first. Raises ValueError for
        other classes or symbols.
        """
        check_joins(self, other)
        return replace(
            self,
            symbols=np.concatenate([self.symbols, other.symbols]),
            parents=np.concatenate([self.parents, other.parents]),
            offsets=joined(self.offsets, other.offsets),
            y=np.concatenate([self.y, other.y]),
        )


def read_brackets(texts: Sequence[str], vocabulary: tuple[str, ...]) -> Forest:
    """Return the trees written as `( a ( b c ) )`, with spaces between all signs.

    Raises ValueError that names the tree for an unbalanced bracket, for a symbol
    outside the vocabulary, and for trees that `Forest` refuses.
    """
    number = {symbol: i for i, symbol in enumerate(vocabulary)}
    symbols: list[int] = []
    parents: list[int] = []
    lengths = []
    for t, text in enumerate(texts):
        first, open_nodes = len(symbols), list[int]()
        for sign in text.split():
            if sign == ")":
                if not open_nodes:
                    raise ValueError(f"tree {t}: a bracket is closed, none is open")
                open_nodes.pop()
                continue
            if sign != "(" and sign not in number:
                near = nearest(sign, vocabulary)
                raise ValueError(f"tree {t}: unknown symbol {sign!r}{near}")
            parents.append(open_nodes[-1] if open_nodes else NONE)
            if sign == "(":
                open_nodes.append(len(symbols) - first)
            symbols.append(NONE if sign == "(" else number[sign])
        if open_nodes:
            raise ValueError(f"tree {t}: {len(open_nodes)} brackets are not closed")
        lengths.append(len(symbols) - first)
    return Forest(
        np.array(symbols, np.int64),
        np.array(parents, np.int64),
        offsets_of(lengths),
        vocabulary,
    )


def write(folder: Path, data: Trees, split: np.ndarray) -> None:
    """Write `trees.parquet` into a folder; `split` (n,) names the split of each."""
    about = {
        "kind": "Trees",
        "classes": data.classes,
        "vocabulary": data.vocabulary,
    }
    columns = {
        "split": split.astype(str),
        "label": data.y,
        "symbols": as_lists(data.symbols, data.offsets),
        "parents": as_lists(data.parents, data.offsets),
    }
    parquet.write(folder / FILE, pa.table(columns), about)


def load(folder: Path) -> Splits[Trees]:
    """Return the three splits of prepared trees; ValueError names an invalid file."""
    names = ["split", "label", "symbols", "parents"]
    data, about = parquet.read(folder / FILE, kind="Trees", columns=names)
    symbols, offsets = from_lists(data["symbols"])
    whole = Trees(
        symbols,
        from_lists(data["parents"])[0],
        offsets,
        data["label"].to_numpy(),
        tuple(about["classes"]),
        tuple(about["vocabulary"]),
    )
    split = np.asarray(data["split"].to_pylist())
    return Splits(*(whole.rows(split == name) for name in parquet.SPLITS))


def small(task: str) -> Splits[Trees]:
    """Return small splits for tests of a task: 42 boolean formulas of at most 3
    operators, whose class is their value.
    """
    from ftml.data.formulas import formulas  # which imports this module

    data = formulas("boolean", n=42, most=3, seed=0)
    return consecutive_splits(data, n_train=24, n_valid=9)
