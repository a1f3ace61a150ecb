"""LeNet-5: two convolutions with pooling, three dense layers.

A convolution has one set of weights for all places: K (p q C + 1) parameters where a
dense layer has (H W C + 1) K per output place. It moves with its image (equivariant,
not invariant: mistake 28); the pools forget small moves.

Source: Deep learning cheat sheet, sections 13.13.1 and 13.13.2; LeCun et al. 1998,
"Gradient-based learning applied to document recognition".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

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
    """How it is trained; its layers are those of the paper."""


def train(
    config: Config, data: Splits[Images], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError for images below 4 x 4 pixels."""

    def options(inputs: Inputs, k: int) -> Mapping[str, object]:
        return {
            "image": image_shape(data.train, inputs),
            "n_classes": k,
            "hidden_dropout": config.hidden_dropout,
        }

    yield from run(config, classification(config, data, "lenet", options), state)


def figures(config: Config, model: Model, data: Splits[Images]) -> Mapping[str, Figure]:
    """Return the filters of the first convolution."""
    filters = model.weights["first.weight"].cpu().numpy()
    return {"filters": filters_figure(filters, title="Filters of the first layer")}
