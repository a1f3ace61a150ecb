"""An estimate of a quantity from the final fits of several seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import with_config

from pipelines.common.formatting import format_mean_and_error


@with_config(extra="forbid")
@dataclass(frozen=True)
class Estimate:
    """The mean of a quantity over seeds, its standard error and the values."""

    mean: float
    standard_error: float | None
    "None for one seed"

    values: Sequence[float]
    "one for each seed"

    @property
    def text(self) -> str:
        """The estimate as the report shows it: mean ± standard error."""
        return format_mean_and_error(self.mean, self.standard_error)


def estimate(values: Sequence[float]) -> Estimate:
    """Return the estimate from the values of all seeds, at least one."""
    error = None
    if len(values) > 1:
        error = statistics.stdev(values) / len(values) ** 0.5
    return Estimate(statistics.fmean(values), error, list(values))
