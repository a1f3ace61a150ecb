"""Means of the metrics of an epoch, left on the device until the epoch ends.

Reading one number per update would make a GPU wait for each of them. The two classes
differ in their arithmetic: which one a chapter uses decides the last bits of its
metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

Scalars = Mapping[str, Tensor]
"Metrics of a turn by name, each (), or (M,) for a stack."


class Means(Protocol):
    """Means over the turns of an epoch."""

    def add(self, scalars: Scalars, *, size: int) -> None:
        """Count the scalars of a turn over `size` samples."""

    def result(self) -> dict[str, Tensor]:
        """Return the mean of each scalar, () or (M,)."""


class MeanOfUpdates:
    """The mean over updates, each weighted by its size: all values are kept.

    The scalars of an update are means over its samples.
    """

    def __init__(self) -> None:
        self.values: dict[str, list[Tensor]] = {}
        self.sizes: dict[str, list[int]] = {}

    def add(self, scalars: Scalars, *, size: int) -> None:
        """Keep the scalars, each a mean over `size` samples."""
        for name, value in scalars.items():
            self.values.setdefault(name, []).append(value.detach())
            self.sizes.setdefault(name, []).append(size)

    def result(self) -> dict[str, Tensor]:
        """Return the mean of each scalar, () or (M,)."""
        return {
            name: _mean(torch.stack(values), self.sizes[name])
            for name, values in self.values.items()
        }


def _mean(values: Tensor, sizes: list[int]) -> Tensor:
    """Return the mean of values (T, ...) over the first axis, weighted by sizes."""
    if min(sizes) == max(sizes):
        return values.mean(dim=0)
    weights = torch.tensor(sizes, dtype=values.dtype, device=values.device)
    return torch.tensordot(weights / weights.sum(), values, dims=1)


class RunningMean:
    """The sum of the scalars divided by the sum of the sizes: only sums are kept.

    On a GPU many small tensors that live for a whole epoch fragment the memory, which
    models of large batches need. dtype: of the sums.
    """

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        self.dtype = dtype
        self.totals: dict[str, Tensor] = {}
        self.sizes: dict[str, int] = {}

    def add(self, scalars: Scalars, *, size: int) -> None:
        """Add the scalars, each a sum over `size` samples, to the totals."""
        for name, value in scalars.items():
            if name not in self.totals:
                zero = torch.zeros((), dtype=self.dtype, device=value.device)
                self.totals[name] = zero
                self.sizes[name] = 0
            self.totals[name] += value.detach()
            self.sizes[name] += size

    def result(self) -> dict[str, Tensor]:
        """Return the mean of each scalar, ()."""
        return {name: total / self.sizes[name] for name, total in self.totals.items()}
