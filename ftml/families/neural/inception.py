"""A small Inception net: filters of several sizes side by side, 1 x 1 before them.

A 1 x 1 convolution is a dense layer at each pixel; here it makes fewer channels before
the larger filters. The means of the last maps go to a linear head, so that nothing
depends on the size of the image.

Source: Deep learning cheat sheet, sections 13.13.4 and 13.13.5; Szegedy et al. 2015,
"Going deeper with convolutions".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ftml.core import State, Step
from ftml.data import Images, Splits
from ftml.families.neural._config import DropoutConfig
from ftml.families.neural._figures import filters_figure
from ftml.families.neural._model import Model, image_shape
from ftml.families.neural._problem import classification
from ftml.nn.inputs import Inputs
from ftml.training import run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DATA", "TASK", "Config", "Model", "figures", "train"]

TASK = "classification"
DATA = (Images,)


class Config(DropoutConfig):
    width: Annotated[int, Field(ge=2, multiple_of=2)] = 8
    "channels of the first convolution, and of each of the four branches of a block"


def train(
    config: Config, data: Splits[Images], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError for images below 4 x 4 pixels."""

    def options(inputs: Inputs, k: int) -> Mapping[str, object]:
        return {
            "image": image_shape(data.train, inputs),
            "n_classes": k,
            "width": config.width,
            "hidden_dropout": config.hidden_dropout,
        }

    yield from run(config, classification(config, data, "inception", options), state)


def figures(config: Config, model: Model, data: Splits[Images]) -> Mapping[str, Figure]:
    """Return the filters of the first convolution."""
    filters = model.weights["stem.weight"].cpu().numpy()
    return {"filters": filters_figure(filters, title="Filters of the first layer")}
