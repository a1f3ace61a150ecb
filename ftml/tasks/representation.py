"""Representation: a code of each sample from which a classifier learns with few labels.

Models have `transform(X) -> (n, m)` and `reconstruct(X)`, of X's shape and unit. Models
that are trained to remove noise have `noise`, its standard deviation, above 0, and
`denoise(X, seed=...)`, the samples with noise and their reconstructions.

Models train on samples without labels. Then a linear probe, logistic regression on the
codes, is trained on ten samples of each class of the split that is scored, and tested
on its other samples; the score is the mean over five random choices of the ten. The raw
samples and their principal components, as many as the code has dimensions, are probed
in the same way for comparison. The components are those of the split itself, which the
model never saw. Of a split of more than 2,000 samples, about 2,000 are probed, chosen
at random by a seed, of each class its fraction.

Source: Deep learning cheat sheet, section 14.12.3, semi-supervised training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.data.images import Images
from ftml.data.rare_classes import rare_classes
from ftml.data.table import Table
from ftml.plots import COLOURS, new_figure
from ftml.tasks._inputs import check_samples, frame_of, input_of
from ftml.tasks._models import Autoencoder
from ftml.tasks._pictures import Plane, panels_figure, pictures_figure
from ftml.tasks.generation import (
    SHOWN,
    reconstruction_error,
    reconstructions_figure,
    shows,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = (Images, Table)
METRICS = {
    "probe_accuracy": "max",
    "reconstruction_error": "min",
    "noise_removed": "max",
    "pixel_probe_accuracy": "max",
    "pca_probe_accuracy": "max",
}
PARTIAL = ("noise_removed",)

SEED = 0
"Seed of the choice of labelled samples, and of noise."
MOST = 2000
"Number of samples that are probed, up to rounding, of a split that has more."
LABELS = 10
"Labelled samples of each class, at most half of them."
DRAWS = 5
"Random choices of the labelled samples."
CURVE = (1, 2, 5, 10, 20)
"Labelled samples of each class in the figure."


def evaluate(model: Autoencoder, split: Images | Table) -> dict[str, float]:
    """Return the accuracy of a linear probe on codes, on raw samples and on components.

    `reconstruction_error` is the mean squared error per value, of pixels from 0 to 1;
    `noise_removed`, of a model that removes noise, is the fraction of the squared error
    that is removed: 1 - |x - H(G(x + e))|^2 / |e|^2. Raises ValueError for samples
    without classes, and FloatingPointError, which says `diverged`, for codes that are
    not finite.
    """
    _check(split)
    probed = sampled(split)
    found = {
        f"{name}probe_accuracy": probe_accuracy(codes, probed.y)
        for name, codes in described(model, probed).items()
    }
    found["reconstruction_error"] = reconstruction_error(model, split.X)
    if hasattr(model, "noise") and hasattr(model, "denoise") and model.noise:
        noisy, reconstructed = model.denoise(split.X, seed=SEED)
        left, added = ((split.X - each) ** 2 for each in (reconstructed, noisy))
        found["noise_removed"] = 1.0 - float(left.sum() / added.sum())
    return found


def _check(split: Images | Table) -> None:
    check_samples(split)
    if len(split.classes) < 2:
        raise ValueError(
            "representation: a probe needs rows of two classes or more; the target of "
            "the dataset is to name them"
        )
    counts = np.bincount(split.y)
    if np.count_nonzero(counts) < 2 or counts.max() < 2:
        present = np.flatnonzero(counts)
        listed = ", ".join(f"{split.classes[c]} ({counts[c]})" for c in present)
        raise ValueError(
            "representation: a probe needs rows of two classes or more in the split, "
            f"and two rows of one of them, got {listed}"
        )


def sampled(split: Images | Table) -> Images | Table:
    """Return the samples that are probed, the same in every call: about 2,000, of each
    class its fraction, and two at least.
    """
    if len(split) <= MOST:
        return split
    rng, chosen = np.random.default_rng(SEED), list[np.ndarray]()
    for c in np.unique(split.y):
        rows = np.flatnonzero(split.y == c)
        n = max(round(MOST * len(rows) / len(split)), min(2, len(rows)))
        chosen.append(rng.choice(rows, n, replace=False))
    return split.rows(np.sort(np.concatenate(chosen)))


def described(model: Autoencoder, split: Images | Table) -> dict[str, np.ndarray]:
    """Return the codes, the samples and their principal components, (n, ...) each."""
    codes = model.transform(split.X)
    if not np.isfinite(codes).all():
        raise FloatingPointError("diverged: codes are not finite")
    rows = split.X.reshape(len(split.X), -1).astype(np.float64)
    return {"": codes, "pixel_": rows, "pca_": components(rows, codes.shape[1])}


def components(rows: np.ndarray, m: int) -> np.ndarray:
    """Return the first m principal components of rows (n, d), or all of them if there
    are fewer, (n, m).
    """
    centred = rows - rows.mean(axis=0)
    n, d = centred.shape
    if d <= n:
        _, _, Vt = np.linalg.svd(centred, full_matrices=False)
        return centred @ Vt[:m].T
    # The products of n samples are a smaller matrix than those of d columns.
    value, U = np.linalg.eigh(centred @ centred.T)
    return U[:, ::-1][:, :m] * np.sqrt(value[::-1][:m].clip(0.0))


def probe_accuracy(codes: np.ndarray, y: np.ndarray, *, labels: int = LABELS) -> float:
    """Return the accuracy of a linear probe on codes (n, m) on the samples without
    labels.
    """
    from sklearn.linear_model import LogisticRegression

    # Not codes - mean alone: rounding gives a column of one value another mean.
    varies = codes.min(axis=0) < codes.max(axis=0)
    scaled = np.where(varies, codes - codes.mean(axis=0), 0.0)
    scaled /= codes.std() or np.abs(scaled).max() or 1.0
    rng = np.random.default_rng(SEED)
    right = []
    for _ in range(DRAWS):
        taught = _labelled(y, labels, rng)
        probe = LogisticRegression(C=10.0, max_iter=2000)
        with rare_classes():
            probe.fit(scaled[taught], y[taught])
        right.append(np.mean(probe.predict(scaled[~taught]) == y[~taught]))
    return float(np.mean(right))


def _labelled(y: np.ndarray, labels: int, rng: np.random.Generator) -> np.ndarray:
    """Return which samples are labelled, (n,): this number of each class, at
    most half.
    """
    taught = np.zeros(len(y), bool)
    for c in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == c))
        taught[rows[: max(1, min(labels, len(rows) // 2))]] = True
    return taught


def figures(model: Autoencoder, split: Images | Table) -> dict[str, Figure]:
    """Return the probe by the number of labels, the plane of the codes, reconstructions
    and, if noise is removed, samples before and after.
    """
    _check(split)
    found = {"probe": _probe(model, split), "codes": _codes(model, split)}
    if not shows(split.X):
        reconstructed = {"reconstructed": model.reconstruct(split.X)}
        return {**found, "reconstructions": panels_figure(reconstructed, split.X)}
    found["reconstructions"] = reconstructions_figure(model, split.X)
    if hasattr(model, "noise") and hasattr(model, "denoise") and model.noise:
        rows = split.X[:SHOWN]
        noisy, reconstructed = model.denoise(rows, seed=SEED)
        pictures = np.concatenate([rows, np.clip(noisy, 0, rows.max()), reconstructed])
        titles = ("data", "with noise", "reconstructed")
        found["denoised"] = pictures_figure(pictures, columns=len(rows), titles=titles)
    return found


def _probe(model: Autoencoder, split: Images | Table) -> Figure:
    """Return the probe's accuracy by the number of labelled samples of a class."""
    split = sampled(split)
    most = int(np.bincount(split.y)[np.unique(split.y)].max()) // 2
    labels = [n for n in CURVE if n <= max(most, 1)]
    codes = described(model, split)
    m = codes[""].shape[1]
    names = {"": f"code of {m}", "pixel_": "row", "pca_": f"{m} principal components"}
    figure, axes = new_figure()
    for key, called in names.items():
        accuracy = [probe_accuracy(codes[key], split.y, labels=n) for n in labels]
        axes.plot(labels, accuracy, marker="o", markersize=4, label=called)
    axes.set_xscale("log")
    axes.set_xticks(labels, [str(n) for n in labels])
    axes.minorticks_off()
    axes.set(
        xlabel="labelled rows of each class",
        ylabel="accuracy of a linear probe on the other rows",
    )
    axes.legend()
    return figure


def _codes(model: Autoencoder, split: Images | Table) -> Figure:
    """Return the codes in the plane of their first two components, by class."""
    codes = model.transform(split.X)
    plane = Plane(codes)
    figure, axes = new_figure(6.4, 5.0)
    for c, name in enumerate(split.classes):
        x, y = plane.place(codes[split.y == c]).T
        marker, colour = "os^"[c // len(COLOURS) % 3], COLOURS[c % len(COLOURS)]
        axes.scatter(x, y, s=12, alpha=0.7, color=colour, marker=marker, label=name)
    axes.set(
        xlabel=plane.labels[0].replace("rows", "codes"),
        ylabel=plane.labels[1].replace("rows", "codes"),
    )
    axes.legend(title="class", fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def example(split: Images | Table) -> pd.DataFrame:
    """Return the first three samples as a frame of features or pixels."""
    return frame_of(split.X[:3], getattr(split, "feature_names", ()))


def serve(model: Autoencoder, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the code of each sample: `code_0`, ..."""
    codes = model.transform(input_of(frame))
    return pd.DataFrame(codes, columns=[f"code_{j}" for j in range(codes.shape[1])])
