"""Conditional density: predict the distribution of the target, not only its mean.

Models have `log_density(X, y) -> (n,)` in nats, `cdf(X, y) -> (n,)`, `predict(X) ->
(n,)`, the mean, and `variance(X) -> (n,)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.data.table import Table
from ftml.plots import new_figure
from ftml.tasks._inputs import check_samples
from ftml.tasks._models import ConditionalDensity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = (Table,)
METRICS = {"nll": "min", "mse": "min"}

BINS = 20
"Bars of the figure."


def evaluate(model: ConditionalDensity, split: Table) -> dict[str, float]:
    """Return three scores of the densities.

    `nll`: mean of -ln p(y | x), in nats. `mse`: of the mean, in squared units of the
    target. `coverage_90`: fraction of targets between the 5 % and 95 % quantiles of
    their density, .9 if it is calibrated. Raises ValueError for a split without
    samples.
    """
    from sklearn.metrics import mean_squared_error

    check_samples(split)
    level = model.cdf(split.X, split.y)
    return {
        "nll": float(-model.log_density(split.X, split.y).mean()),
        "mse": float(mean_squared_error(split.y, model.predict(split.X))),
        "coverage_90": float(((level >= 0.05) & (level <= 0.95)).mean()),
    }


def figures(model: ConditionalDensity, split: Table) -> dict[str, Figure]:
    """Return the histogram of the targets' quantiles in their densities: uniform if
    these are right.

    A bar then lies between the dashed lines in 95 % of the cases.
    """
    from scipy.stats import binom

    level = model.cdf(split.X, split.y)
    figure, axes = new_figure()
    axes.hist(level, bins=np.linspace(0, 1, BINS + 1).tolist(), density=True, alpha=0.8)
    axes.axhline(1.0, color="black", linewidth=0.8, label="calibrated")
    low, high = (
        np.asarray(binom.interval(0.95, len(level), 1 / BINS)) * BINS / len(level)
    )
    for end, label in ((low, "95 % of the bars, if calibrated"), (high, None)):
        axes.axhline(end, color="black", linewidth=0.8, linestyle="--", label=label)
    axes.set(xlabel="P(Y <= y | x) of the true y", ylabel="density", xlim=(0, 1))
    axes.legend()
    return {"calibration": figure}


def example(split: Table) -> pd.DataFrame:
    """Return the first three samples as a frame of features."""
    return pd.DataFrame(split.X[:3], columns=list(split.feature_names))


def serve(model: ConditionalDensity, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with the mean, `prediction`, and the `standard_deviation`."""
    X = frame.to_numpy(np.float64)
    deviation = np.sqrt(model.variance(X))
    return pd.DataFrame(
        {"prediction": model.predict(X), "standard_deviation": deviation}
    )
