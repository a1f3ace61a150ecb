"""Binary density: how probable rows of zeros and ones are.

A task of its own beside `density`, because a probability and a density cannot be
compared: on rows of zeros and ones a narrow enough density reaches any log-likelihood.

Models have `log_density(X) -> (n,)`, the log-probability in nats, and those that can
draw rows `sample(n, seed=...) -> (n, d)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.data.table import Table
from ftml.tasks._pictures import is_picture, pictures_figure
from ftml.tasks.density import (
    SEED,
    example,
    log_densities_figure,
    normaliser_scores,
)

__all__ = ["DATA", "METRICS", "evaluate", "example", "figures", "serve"]

DATA = (Table,)
METRICS = {"log_likelihood": "max"}

SHOWN = 12
"Pictures of rows, and of draws, in a line."


def evaluate(model: Any, split: Table) -> dict[str, float]:
    """Return the mean log-probability of the rows, in nats.

    Beside it `log_z_error`, the standard error of a normaliser that is estimated: it
    shifts every row alike. Raises ValueError for values other than 0 and 1.
    """
    scores = {"log_likelihood": float(np.mean(_log_probability(model, split.X)))}
    return scores | normaliser_scores(model)


def _log_probability(model: Any, X: np.ndarray) -> np.ndarray:
    check_binary(X)
    log_probability: np.ndarray = model.log_density(X)
    return log_probability


def check_binary(X: np.ndarray) -> None:
    """Raise ValueError that names the first value of X (n, d) that is not 0 or 1."""
    other = X[(X != 0) & (X != 1)]
    if other.size:
        raise ValueError(
            f"expected rows of 0 and 1, came {other[0]:g}; a table's `binarize` makes "
            "them"
        )


def figures(model: Any, split: Table) -> dict[str, Figure]:
    """Return the sorted log-probabilities of rows and of draws, and some as pictures.

    Pictures stand where the columns are the pixels of square ones.
    """
    drawn = model.sample(len(split), seed=SEED) if hasattr(model, "sample") else None
    found = {
        "log_densities": log_densities_figure(
            model, split.X, drawn, called="log-probability"
        )
    }
    if drawn is not None and is_picture(split.X.shape[1]):
        n = min(SHOWN, len(split))
        rows = np.concatenate([split.X[:n], drawn[:n]])
        found["samples"] = pictures_figure(rows, columns=n, titles=("rows", "drawn"))
    return found


def serve(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of the log-probability of each row, in nats."""
    X = frame.to_numpy(np.float64)
    return pd.DataFrame({"log_probability": _log_probability(model, X)})
