"""Predictions of a network, chunk by chunk, so that intermediate results fit in memory.

Axes: n samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

MOST_ROWS, MOST_VALUES = 1024, 2**22
"Samples in a chunk, and input values in it: large images come fewer at a time."


def rows_at_once(shape: Sequence[int]) -> int:
    """Return the number of samples of a chunk, whose inputs have this shape each."""
    return max(1, min(MOST_ROWS, MOST_VALUES // max(1, math.prod(shape))))


def loaded(
    network: nn.Module, weights: Mapping[str, Tensor]
) -> tuple[Any, torch.device]:
    """Return the network with these weights, in evaluation mode, and their device."""
    network.load_state_dict(weights, assign=True)
    return network.eval(), next(iter(weights.values())).device


NUMBERS = 2**24
"Numbers that a network puts out at once, such as logits: 64 MB in float32."


def chunk_size(width: int, most: int) -> int:
    """Return how many rows of `width` numbers are put out at once, at most `most`."""
    return max(1, min(most, NUMBERS // max(width, 1)))


def chunks(n: int, size: int) -> Iterator[slice]:
    """Yield slices that cover n samples, `size` at a time; one empty slice for none."""
    for start in range(0, max(n, 1), size):
        yield slice(start, start + size)


def chunks_by_length(lengths: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield the indices of n samples, `size` at a time, sorted by length (n,).

    Samples of similar lengths need little padding. The order has no influence on the
    results.
    """
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(lengths), size):
        yield order[start : start + size]


@torch.inference_mode()
def in_chunks(
    function: Callable[[slice], Tensor], n: int, *, size: int = MOST_ROWS
) -> Tensor:
    """Return the results of a function of slices of n samples, joined.

    The result is float64 on the CPU. size: samples per chunk, few enough to stay in the
    cache.
    """
    return torch.cat([function(each).double().cpu() for each in chunks(n, size)])
