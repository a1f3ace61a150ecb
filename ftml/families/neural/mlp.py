"""Multilayer perceptron: dense layers, six optimizers, dropout, penalties, batch norm.

    f(x) = W_L sigma(... sigma(W_1 x + b_1) ...) + b_L,   P(y | x) = softmax(f(x))_y

minimising the mean cross-entropy. Universal for any sigma that is no polynomial, with
one hidden layer that is wide enough. A Gaussian prior, with a standard deviation for
each layer (`prior_sigmas`), adds -ln p(W) / n to the mean loss: of the sum over all
rows it is the maximum a posteriori. Images are taken as rows of pixels.

Many configurations that differ in seed, learning rate, l1 and l2 are trained as one
stacked network (`ftml.training.stacks`).

Source: FTML lecture 9, "Neural networks"; Deep learning cheat sheet, sections 10 and
14; Exam solutions, "Exercise (2022)", 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field
from torch import Tensor

from ftml.core import State, Step
from ftml.data import Images, Splits, Table
from ftml.data.class_weights import ClassWeight
from ftml.families.neural._config import DropoutConfig, Rate
from ftml.families.neural._model import Model
from ftml.families.neural._problem import classification
from ftml.nn.activations import Activation
from ftml.nn.inputs import Inputs, n_inputs
from ftml.nn.penalties import gaussian_prior
from ftml.training import Problem, run, run_many

__all__ = ["DATA", "TASK", "Config", "Model", "train", "train_many"]

TASK = "classification"
DATA = (Table, Images)


class Config(DropoutConfig):
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (64,)
    "units of each hidden layer; none makes the model linear"

    activation: Activation = "relu"
    "of the hidden units"

    batch_norm: bool = False
    "normalise what goes into each activation over the batch"

    input_dropout: Rate = 0.0
    "probability that an input is dropped in training"

    prior_sigmas: tuple[Annotated[float, Field(gt=0)], ...] = ()
    "standard deviation of the Gaussian prior of each layer; empty: no prior"

    class_weight: ClassWeight = None
    """`balanced` multiplies the loss of a row by n / (k n_c), for n_c training rows of
    its class, so that each of the k classes has the same weight"""


def problem_of(config: Config, data: Splits[Images | Table]) -> Problem:
    """Return what is trained, with the prior of each layer."""

    def options(inputs: Inputs, k: int) -> Mapping[str, object]:
        return {
            "sizes": (n_inputs(inputs), *config.hidden, k),
            "activation": config.activation,
            "batch_norm": config.batch_norm,
            "input_dropout": config.input_dropout,
            "hidden_dropout": config.hidden_dropout,
        }

    problem = classification(
        config, data, "mlp", options, class_weight=config.class_weight
    )
    if not config.prior_sigmas:
        return problem
    n = len(data.train)

    def penalty(weights: Mapping[str, Tensor], lead: int, epoch: int) -> Tensor:
        found = [each for name, each in weights.items() if name.endswith("weight")]
        return gaussian_prior(found, config.prior_sigmas, lead=lead) / n

    return replace(problem, penalty=penalty)


def train(
    config: Config, data: Splits[Images | Table], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch."""
    yield from run(config, problem_of(config, data), state)


def train_many(
    configs: Sequence[Config],
    data: Splits[Images | Table],
    states: Sequence[State | None] | None = None,
) -> Iterator[list[Step | None]]:
    """Yield after each epoch of all; those that can are one stacked network."""
    yield from run_many(configs, lambda config: problem_of(config, data), states)
