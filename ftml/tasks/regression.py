"""Regression: predict a real number. Models have `predict(X) -> (n,)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.data.table import Table
from ftml.plots import new_figure
from ftml.tasks._inputs import check_samples
from ftml.tasks._models import Regressor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = (Table,)
METRICS = {"mse": "min", "mae": "min", "r2": "max", "rss": "min"}


def evaluate(model: Regressor, split: Table) -> dict[str, float]:
    """Return mean squared and absolute error, R^2 = 1 - RSS / TSS, and the sums of
    squares: of residuals (RSS), of the target about its mean (TSS), and of the
    predictions about that mean (ESS).

    TSS = ESS + RSS holds for least squares with an intercept on its own training data
    and not for linear predictions elsewhere (mistake 12 of the notes).

    Where the target has one value only, as in a split of one sample, TSS is 0 and R^2
    is not defined: `r2` is then 1 if all predictions are exact, else 0. Raises
    ValueError for a split without samples.
    """
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    check_samples(split)
    y, predicted = split.y, model.predict(split.X)
    # Not tss > 0: rounding gives targets that are all 0.1 a mean beside 0.1.
    varies = y.min() < y.max()
    mean = y.mean() if varies else y[0]
    rss = float(((y - predicted) ** 2).sum())
    return {
        "mse": float(mean_squared_error(y, predicted)),
        "mae": float(mean_absolute_error(y, predicted)),
        "r2": float(r2_score(y, predicted)) if varies else float(rss == 0.0),
        "rss": rss,
        "tss": float(((y - mean) ** 2).sum()),
        "ess": float(((predicted - mean) ** 2).sum()),
    }


def figures(model: Regressor, split: Table) -> dict[str, Figure]:
    """Return predicted against true values, and residuals against predicted ones."""
    predicted = model.predict(split.X)
    name = split.target_name
    against, axes = new_figure()
    axes.scatter(split.y, predicted, s=14, alpha=0.6)
    ends = [min(split.y.min(), predicted.min()), max(split.y.max(), predicted.max())]
    axes.plot(ends, ends, color="black", linewidth=0.8, label="predicted = true")
    axes.set(xlabel=f"true {name}", ylabel=f"predicted {name}")
    axes.legend()
    residuals, axes = new_figure()
    axes.scatter(predicted, split.y - predicted, s=14, alpha=0.6)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set(xlabel=f"predicted {name}", ylabel="residual (true - predicted)")
    return {"predicted_against_true": against, "residuals": residuals}


def example(split: Table) -> pd.DataFrame:
    """Return the first three samples as a frame of features."""
    return pd.DataFrame(split.X[:3], columns=list(split.feature_names))


def serve(model: Regressor, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with the column `prediction`."""
    return pd.DataFrame({"prediction": model.predict(frame.to_numpy(np.float64))})
