"""Fields that the configurations of neural networks share: optimizer, regularisers.

Source: Deep learning cheat sheet, sections 14.9 to 14.13.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ftml.config import FamilyConfig, LogUniform
from ftml.optim.schedules import Schedule

OptimizerName = Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"]
Rate = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]


class TrainingConfig(FamilyConfig):
    """How a network is trained."""

    optimizer: OptimizerName = "adam"
    "optimizer; sgd, momentum and nesterov need larger learning rates than the others"

    learning_rate: Annotated[float, Field(gt=0), LogUniform(1e-3, 3e-2)] = 3e-3
    "step size"

    schedule: Schedule = "constant"
    "how the learning rate decreases over the epochs"

    clip: Annotated[float, Field(gt=0)] | None = None
    "largest norm of a gradient; a longer gradient is scaled down to this norm"

    average_from: Annotated[int, Field(ge=1)] | None = None
    "epoch from which the weights after each update are averaged, for the model"

    batch_size: Annotated[int, Field(ge=1)] = 32
    "rows of an update; an epoch visits all rows in a random order"

    n_epochs: Annotated[int, Field(ge=1)] = 30
    "passes over the rows"

    patience: Annotated[int, Field(ge=1)] | None = None
    "epochs without a lower validation loss after which training stops"

    l1: NotNegative = 0.0
    "penalty l1 sum |w| on weights, not on biases"

    l2: Annotated[float, Field(ge=0), LogUniform(1e-6, 1e-2)] = 1e-4
    "penalty l2 / 2 sum w^2 on weights, not on biases"

    max_norm: Annotated[float, Field(gt=0)] | None = None
    "radius of the ball that each unit's incoming weights are projected into"

    input_noise: NotNegative = 0.0
    "standard deviation of noise on the inputs: scaled features or pixels from 0 to 1"

    weight_noise: NotNegative = 0.0
    "standard deviation of noise on all weights while a gradient is computed"


class ClassifierConfig(TrainingConfig):
    """How a classification network is trained."""

    label_smoothing: Rate = 0.0
    "probability that a label is replaced by a uniform one; the loss is the expectation"

    shift: Annotated[int, Field(ge=0)] = 0
    "largest random shift of training images, in pixels in each direction"


class DropoutConfig(ClassifierConfig):
    """How a classification network with dropout is trained."""

    hidden_dropout: Rate = 0.0
    "probability that a unit of a dense hidden layer is dropped in training"
