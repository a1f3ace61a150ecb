"""Generation: draw data like those that were seen.

Models have `sample(n, seed=...)`, n draws of the kind of their data: images uint8 or
features. Those that say how probable data are have `log_likelihood(X) -> (n,)` in nats,
exact or bounded from below by weighted draws, those that bound it `elbo(X) -> (n,)`;
those with codes have `decode(z)`, `n_code` and, of rows, `transform(X)` and
`reconstruct(X)`.

`PARTIAL` are the metrics that not every family has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.data.images import Images
from ftml.data.table import Table
from ftml.tasks._inputs import frame_of
from ftml.tasks._pictures import is_picture, panels_figure, pictures_figure
from ftml.tasks._samples import (
    covered,
    features_of,
    frechet_distance,
    precision_recall,
)

DATA = (Images, Table)
METRICS = {
    "frechet_distance": "min",
    "precision": "max",
    "recall": "max",
    "classes_covered": "max",
    "log_likelihood": "max",
    "elbo": "max",
    "reconstruction_error": "min",
}
PARTIAL = ("classes_covered", "log_likelihood", "elbo", "reconstruction_error")

SEED = 0
"Of what is drawn."
MOST = 2000
"Rows, and draws, that are looked at: the first ones."
SHOWN = 12
"Pictures in a line."
LINES = 5
"Lines of pictures of draws, and of ways from one code to another."


def evaluate(model: Any, split: Images | Table) -> dict[str, float]:
    """Return how near draws are to the rows, and what the model says of the rows.

    As many draws as rows are compared, at most 2000, by `frechet_distance`, `precision`
    and `recall` (see `ftml.tasks._samples`); `classes_covered` counts the classes that
    are drawn. `log_likelihood` and `elbo` are means over rows, in nats;
    `reconstruction_error` is the mean squared error of a value, of pixels from 0 to 1.
    Raises FloatingPointError, which says `diverged`, for draws that are not finite.
    """
    rows = split.X[:MOST]
    drawn = model.sample(len(rows), seed=SEED)
    if not np.isfinite(drawn).all():
        raise FloatingPointError("diverged: what the model draws is not finite")
    features = features_of(split, rows), features_of(split, drawn)
    precision, recall = precision_recall(*features)
    found = {
        "frechet_distance": frechet_distance(*features),
        "precision": precision,
        "recall": recall,
    }
    if (classes := covered(split, drawn)) is not None:
        found["classes_covered"] = classes
    for name in ("log_likelihood", "elbo"):
        if hasattr(model, name):
            found[name] = float(np.mean(getattr(model, name)(rows)))
    if hasattr(model, "reconstruct"):
        found["reconstruction_error"] = reconstruction_error(model, rows)
    return found


def reconstruction_error(model: Any, X: np.ndarray) -> float:
    """Return the mean squared error of a value of X, of pixels from 0 to 1."""
    unit = 255.0 if X.dtype == np.uint8 else 1.0
    return float(np.mean(((X - model.reconstruct(X)) / unit) ** 2))


def figures(model: Any, split: Images | Table) -> dict[str, Figure]:
    """Return draws beside rows and, of models with codes, rows rebuilt and the ways
    between codes.
    """
    drawn = model.sample(min(MOST, len(split)), seed=SEED)
    if not shows(split.X):
        return {"samples": panels_figure({"drawn from the model": drawn}, split.X)}
    n = SHOWN * LINES
    titles = ("rows", *["drawn"] * LINES)
    pictures = [split.X[:SHOWN], drawn[: n - n % min(SHOWN, len(drawn))]]
    columns = min(SHOWN, len(split))
    found = {
        "samples": pictures_figure(
            np.concatenate(pictures), columns=columns, titles=titles
        )
    }
    if hasattr(model, "reconstruct"):
        found["reconstructions"] = reconstructions_figure(model, split.X)
    if hasattr(model, "decode"):
        found["interpolations"] = _interpolations(model, split.X)
    return found


def shows(X: np.ndarray) -> bool:
    """Return whether rows are pictures."""
    return X.dtype == np.uint8 or is_picture(X.shape[1])


def reconstructions_figure(model: Any, X: np.ndarray) -> Figure:
    """Return the first rows, and what is made of their codes below."""
    n = min(SHOWN, len(X))
    pictures = np.concatenate([X[:n], model.reconstruct(X[:n])])
    return pictures_figure(pictures, columns=n, titles=("row", "rebuilt"))


def _interpolations(model: Any, X: np.ndarray) -> Figure:
    """Return ways between codes of rows or, where rows have none, of draws."""
    lines = min(LINES, len(X) // 2)
    if hasattr(model, "transform"):
        ends = model.transform(X[: 2 * lines])
    else:
        ends = np.random.default_rng(SEED).normal(size=(2 * lines, model.n_code))
    share = np.linspace(0.0, 1.0, SHOWN)[:, None]
    ways = [
        (1 - share) * a + share * b for a, b in zip(ends[::2], ends[1::2], strict=True)
    ]
    return pictures_figure(model.decode(np.concatenate(ways)), columns=SHOWN)


def example(split: Images | Table) -> pd.DataFrame:
    """Return three seeds: a served model draws a row for each."""
    return pd.DataFrame({"seed": np.arange(3)})


def serve(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a draw for each seed: a column a feature, `x0`, ..., or a pixel."""
    drawn = np.concatenate(
        [model.sample(1, seed=int(seed)) for seed in frame["seed"].to_numpy()]
    )
    return frame_of(drawn, [f"x{j}" for j in range(drawn.shape[1])])
