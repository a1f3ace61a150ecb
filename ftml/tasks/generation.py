"""Generation: samples with the distribution of the training data.

Models have `sample(n, seed=...)`, n samples of the kind of their data: uint8 images or
features. Models with a likelihood have `log_likelihood(X) -> (n,)` in nats, exact or a
lower bound by importance sampling; models with a variational bound have `elbo(X) ->
(n,)`; models with codes have `decode(z)`, `n_code` and, if they have an encoder,
`transform(X)` and `reconstruct(X)`.

`PARTIAL` are the metrics that not every family has.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.data.images import Images
from ftml.data.standardize import check_squares
from ftml.data.table import Table
from ftml.tasks._inputs import check_samples, frame_of
from ftml.tasks._models import Decoder, Generator, Reconstruction
from ftml.tasks._pictures import is_picture, panels_figure, pictures_figure
from ftml.tasks._samples import (
    covered,
    features_of,
    frechet_distance,
    precision_recall,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
"Seed of the generated samples."
MOST = 2000
"""Largest number of samples of the data, and of the model, that are compared. Of more
samples, so many are chosen at random, with `SEED`.
"""
MOST_VALUES = 2**27
"Largest number of values of the samples that are compared: a gigabyte as float64."
SHOWN = 12
"Pictures per line."
LINES = 5
"Lines of pictures of generated samples, and of interpolations between codes."


def evaluate(model: Generator, split: Images | Table) -> dict[str, float]:
    """Return how close generated samples are to the data, and the likelihood of the
    data.

    As many generated samples as data are compared by `frechet_distance`, `precision`
    and `recall` (see `ftml.tasks._samples`): at most 2000, and fewer of large images.
    If these are not all samples of the split, they are a random sample of them, and
    `samples_compared` says how many. `classes_covered` counts the classes that are
    generated. `log_likelihood` and `elbo` are means over all samples, in nats;
    `reconstruction_error` is the mean squared error per value, of pixels from 0 to 1.
    Raises ValueError for a split without samples, and FloatingPointError, which says
    `diverged`, for generated values that are not finite.
    """
    check_samples(split)
    rows = compared_rows(split.X)
    generated = model.sample(len(rows), seed=SEED)
    if not np.isfinite(generated).all():
        raise FloatingPointError("diverged: the generated samples are not finite")
    features = features_of(split, rows), features_of(split, generated)
    precision, recall = precision_recall(*features)
    found = {
        "frechet_distance": frechet_distance(*features),
        "precision": precision,
        "recall": recall,
    }
    if len(rows) < len(split):
        found["samples_compared"] = float(len(rows))
    if (classes := covered(split, generated)) is not None:
        found["classes_covered"] = classes
    for name in ("log_likelihood", "elbo"):
        if hasattr(model, name):
            found[name] = float(np.mean(getattr(model, name)(split.X)))
    if isinstance(model, Reconstruction):
        found["reconstruction_error"] = reconstruction_error(model, split.X)
    return found


def compared_rows(X: np.ndarray) -> np.ndarray:
    """Return the samples of X that are compared with generated ones, in their order."""
    most = min(MOST, max(1, MOST_VALUES // math.prod(X.shape[1:])))
    if len(X) <= most:
        return X
    chosen = np.random.default_rng(SEED).choice(len(X), most, replace=False)
    return X[np.sort(chosen)]


def reconstruction_error(model: Reconstruction, X: np.ndarray) -> float:
    """Return the mean squared error per value of X, of pixels from 0 to 1.

    Raises ValueError for features whose squares overflow or underflow.
    """
    unit = 255.0
    if X.dtype != np.uint8:
        unit = 1.0
        check_squares(X)
    each = [
        np.sum(((some - model.reconstruct(some)) / unit) ** 2)
        for some in (X[i : i + MOST] for i in range(0, len(X), MOST))
    ]
    return float(sum(each) / max(X.size, 1))


def figures(model: Generator, split: Images | Table) -> dict[str, Figure]:
    """Return generated samples beside data and, of models with codes, reconstructions
    and interpolations between codes.
    """
    if not shows(split.X):
        rows = compared_rows(split.X)
        generated = model.sample(len(rows), seed=SEED)
        title = f"{len(generated):,} samples from the model"
        return {"samples": panels_figure({title: generated}, rows)}
    columns = min(SHOWN, len(split))
    titles = ("data", *["generated"] * LINES)
    pictures = [split.X[:SHOWN], model.sample(columns * LINES, seed=SEED)]
    found = {
        "samples": pictures_figure(
            np.concatenate(pictures), columns=columns, titles=titles
        )
    }
    if isinstance(model, Reconstruction):
        found["reconstructions"] = reconstructions_figure(model, split.X)
    if isinstance(model, Decoder):
        found["interpolations"] = _interpolations(model, split.X)
    return found


def shows(X: np.ndarray) -> bool:
    """Return whether samples are pictures."""
    return X.dtype == np.uint8 or is_picture(X.shape[1])


def reconstructions_figure(model: Reconstruction, X: np.ndarray) -> Figure:
    """Return the first samples, and their reconstructions below."""
    n = min(SHOWN, len(X))
    pictures = np.concatenate([X[:n], model.reconstruct(X[:n])])
    return pictures_figure(pictures, columns=n, titles=("data", "reconstructed"))


def _interpolations(model: Decoder, X: np.ndarray) -> Figure:
    """Return interpolations between codes of the data or, without an encoder, random
    codes.
    """
    lines = min(LINES, len(X) // 2)
    if hasattr(model, "transform"):
        ends = model.transform(X[: 2 * lines])
    else:
        ends = np.random.default_rng(SEED).normal(size=(2 * lines, model.n_code))
    share = np.linspace(0.0, 1.0, SHOWN)[:, None]
    codes = [
        (1 - share) * a + share * b for a, b in zip(ends[::2], ends[1::2], strict=True)
    ]
    return pictures_figure(model.decode(np.concatenate(codes)), columns=SHOWN)


def example(split: Images | Table) -> pd.DataFrame:
    """Return three seeds: a served model generates a sample for each."""
    return pd.DataFrame({"seed": np.arange(3)})


def serve(model: Generator, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a generated sample for each seed: one column per feature, `x0`, ..., or
    per pixel.
    """
    generated = np.concatenate(
        [model.sample(1, seed=int(seed)) for seed in frame["seed"].to_numpy()]
    )
    return frame_of(generated, [f"x{j}" for j in range(generated.shape[1])])
