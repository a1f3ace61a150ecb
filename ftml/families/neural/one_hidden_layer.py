"""One hidden layer, with the gradient derived by hand in the course's exercises.

    f(x) = theta sigma(W x + b) + c,   P(y | x) = softmax(f(x))_y

Its backward pass is not torch's but the formulas of exercises 3 and 4, written out in
`ftml/nn/by_hand.py`: theta_bar = f_bar' h, W_bar = ((f_bar theta) sigma'(z))' x.

Source: FTML lecture 9, "Neural networks", (34) and exercises 3 and 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ftml.core import State, Step
from ftml.data import Images, Splits, Table
from ftml.families.neural._config import ClassifierConfig
from ftml.families.neural._figures import filters_figure
from ftml.families.neural._model import Model
from ftml.families.neural._problem import classification
from ftml.nn.inputs import Inputs, n_inputs
from ftml.training import run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DATA", "TASK", "Config", "Model", "figures", "train"]

TASK = "classification"
DATA = (Table, Images)


class Config(ClassifierConfig):
    n_units: Annotated[int, Field(ge=1)] = 64
    "hidden units m"

    activation: Literal["relu", "sigmoid", "tanh"] = "tanh"
    "sigma, as the notes have it"


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""

    def options(inputs: Inputs, k: int) -> Mapping[str, object]:
        return {
            "d": n_inputs(inputs),
            "n_units": config.n_units,
            "k": k,
            "activation": config.activation,
        }

    yield from run(config, classification(config, data, "one_hidden", options), state)


def figures(
    config: Config, model: Model, data: Splits[Images | Table]
) -> Mapping[str, Figure]:
    """Return the incoming weights of hidden units, as images where pixels came in."""
    if len(model.shape) != 3:
        return {}
    W = model.weights["hidden.weight"].cpu().numpy()
    title = "Weights of hidden units"
    return {"filters": filters_figure(W.reshape(-1, *model.shape), title=title)}
