"""Binary density: the log-probability of rows of zeros and ones.

A task separate from `density`, because a probability and a density cannot be compared:
on zeros and ones a narrow enough density reaches any log-likelihood.

Models have `log_density(X) -> (n,)`, the log-probability in nats; those that can
generate samples have `sample(n, seed=...) -> (n, d)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.data.table import Table
from ftml.tasks._inputs import check_samples
from ftml.tasks._models import Density
from ftml.tasks._pictures import is_picture, pictures_figure
from ftml.tasks.density import (
    example,
    generated_samples,
    log_densities_figure,
    normaliser_scores,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DATA", "METRICS", "evaluate", "example", "figures", "serve"]

DATA = (Table,)
METRICS = {"log_likelihood": "max"}

SHOWN = 12
"Pictures of data, and of generated samples, per line."


def evaluate(model: Density, split: Table) -> dict[str, float]:
    """Return the mean log-probability per sample, in nats.

    With it `log_z_error`, the standard error of an estimated normaliser, which shifts
    all samples alike. Raises ValueError for values other than 0 and 1, and for a split
    without samples.
    """
    check_samples(split)
    scores = {"log_likelihood": float(np.mean(_log_probability(model, split.X)))}
    return scores | normaliser_scores(model)


def _log_probability(model: Density, X: np.ndarray) -> np.ndarray:
    check_binary(X)
    log_probability: np.ndarray = model.log_density(X)
    return log_probability


def check_binary(X: np.ndarray) -> None:
    """Raise ValueError that names the first value of X (n, d) that is not 0 or 1."""
    other = X[(X != 0) & (X != 1)]
    if other.size:
        raise ValueError(
            f"expected rows of 0 and 1, got {other[0]:g}; a table's `binarize` makes "
            "them"
        )


def figures(model: Density, split: Table) -> dict[str, Figure]:
    """Return the sorted log-probabilities of data and of generated samples, and
    pictures.

    There are pictures if the columns are the pixels of square images.
    """
    generated = generated_samples(model, split)
    found = {
        "log_densities": log_densities_figure(
            model, split.X, generated, called="log-probability"
        )
    }
    if generated is not None and is_picture(split.X.shape[1]):
        n = min(SHOWN, len(generated))
        rows = np.concatenate([split.X[:n], generated[:n]])
        found["samples"] = pictures_figure(
            rows, columns=n, titles=("data", "generated")
        )
    return found


def serve(model: Density, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of the log-probability of each sample, in nats."""
    X = frame.to_numpy(np.float64)
    return pd.DataFrame({"log_probability": _log_probability(model, X)})
