"""Figures that only families of this chapter have: losses, latent planes, samples over
training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ftml.families.generative._model import as_samples
from ftml.plots import COLOURS, new_figure
from ftml.tasks._pictures import panels_figure, pictures_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = 12
"Pictures along each side of a latent plane."
REACH = 2.0
"Extent of the plane to each side, in standard deviations of the prior."
POINTS = 8
"Panels of points over training: the last ones."


def latent_figures(config: Any, model: Any, data: Any) -> Mapping[str, Figure]:
    """Return samples over training and, of images, the plane of two variables."""
    found = over_training(model, data)
    if model.scaling is None and model.n_code >= 2:
        found["latent_plane"] = _latent_plane(model, data)
    return found


def adversarial_figures(config: Any, model: Any, data: Any) -> Mapping[str, Figure]:
    """Return the losses of both players, and samples over training."""
    return {"adversaries": _adversaries(model), **over_training(model, data)}


def over_training(model: Any, data: Any) -> dict[str, Figure]:
    """Return what was made of the same codes after epochs 1, 2, 4, ..."""
    if not model.snapshots:
        return {}
    made = [(n, as_samples(model, x.double().numpy())) for n, x in model.snapshots]
    if model.scaling is None:
        pictures = np.concatenate([x for _, x in made])
        titles = tuple(f"epoch {n}" for n, _ in made)
        figure = pictures_figure(pictures, columns=len(made[0][1]), titles=titles)
    else:
        points = {f"epoch {n}": x for n, x in made[-POINTS:]}
        figure = panels_figure(points, data.train.X)
    return {"over_training": figure}


def _latent_plane(model: Any, data: Any) -> Figure:
    """Return what the decoder makes of codes on a grid: the two variables whose means
    vary most over the rows, the others at 0.
    """
    spread = model.transform(data.train.X).var(axis=0)
    first, second = np.argsort(-spread, kind="stable")[:2]
    line = np.linspace(-REACH, REACH, GRID)
    z = np.zeros((GRID, GRID, model.n_code))
    z[..., first], z[..., second] = line[None, :], line[::-1, None]
    pictures = model.decode(z.reshape(-1, model.n_code))
    return pictures_figure(pictures, columns=GRID)


def _adversaries(model: Any) -> Figure:
    """Return the losses by epoch and, on its own axis, how often D is right."""
    epochs = np.arange(1, len(model.history["train_generator_loss"]) + 1)
    figure, axes = new_figure()
    for name, colour in (("discriminator", COLOURS[0]), ("generator", COLOURS[1])):
        loss = model.history[f"train_{name}_loss"]
        axes.plot(epochs, loss, color=colour, label=f"loss of the {name}")
    axes.set(xlabel="epoch", ylabel="loss, nats")
    share = axes.twinx()
    share.grid(False)
    share.spines["right"].set_visible(True)
    accuracy = model.history["train_discriminator_accuracy"]
    share.plot(
        epochs, accuracy, color=COLOURS[2], label="accuracy of the discriminator"
    )
    share.axhline(0.5, color="black", linewidth=0.8)
    share.set(ylabel="discriminator accuracy; 0.5 is chance", ylim=(0, 1.03))
    lines = [*axes.get_lines(), share.get_lines()[0]]
    axes.legend(
        lines,
        [str(line.get_label()) for line in lines],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=3,
        fontsize=8,
    )
    return figure
