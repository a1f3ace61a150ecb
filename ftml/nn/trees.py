"""Trees of dicts and lists with tensors in them, as a state of training is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def copied(tree: Any, *, where: torch.device | None = None) -> Any:
    """Return a tree of dicts and lists with its tensors cloned, on the device given."""
    if isinstance(tree, Tensor):
        return tree.detach().to(where, copy=True)
    if isinstance(tree, dict):
        return {key: copied(value, where=where) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(copied(value, where=where) for value in tree)
    return tree


def stacked(trees: Sequence[Any]) -> Any:
    """Return one tree whose tensors are those of all, side by side, (M, ...).

    Numbers and tensors of no axis are the same in all of them, and stay.
    """
    first = trees[0]
    if isinstance(first, Tensor) and first.ndim:
        return torch.stack(list(trees))
    if isinstance(first, dict):
        return {key: stacked([each[key] for each in trees]) for key in first}
    if isinstance(first, list):
        return [stacked(list(each)) for each in zip(*trees, strict=True)]
    return first


def entry(tree: Any, i: int) -> Any:
    """Return the tree of one entry of a stack, copied."""
    if isinstance(tree, Tensor):
        return (tree[i] if tree.ndim else tree).detach().clone()
    if isinstance(tree, dict):
        return {key: entry(value, i) for key, value in tree.items()}
    if isinstance(tree, list):
        return [entry(value, i) for value in tree]
    return tree
