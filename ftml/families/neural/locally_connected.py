"""A locally connected net: filters that differ from place to place.

After one convolution and a pool, a layer whose units see 3 x 3 places as those of a
convolution do, but share no weights: (p q C + 1) O K parameters for O places (mistake
27), O times those of a convolution.

Source: Deep learning cheat sheet, section 13.14.
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
    width: Annotated[int, Field(ge=1)] = 8
    "filters of the convolution, and of each place of the locally connected layer"

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (32,)
    "units of each dense hidden layer"


def train(
    config: Config, data: Splits[Images], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError for images below 4 x 4 pixels."""

    def options(inputs: Inputs, k: int) -> Mapping[str, object]:
        return {
            "image": image_shape(data.train, inputs),
            "n_classes": k,
            "width": config.width,
            "hidden": config.hidden,
            "hidden_dropout": config.hidden_dropout,
        }

    yield from run(
        config, classification(config, data, "locally_connected", options), state
    )


def figures(config: Config, model: Model, data: Splits[Images]) -> Mapping[str, Figure]:
    """Return the first filter of the locally connected layer, at each of its places."""
    weight = model.weights["local.weight"].cpu().numpy()  # (O, K, C p p)
    side = round((weight.shape[2] / config.width) ** 0.5)
    first = weight[:, 0].reshape(len(weight), config.width, side, side)
    title = "One filter, place by place"
    return {"filters": filters_figure(first, title=title)}
