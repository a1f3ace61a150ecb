"""Fields of a configuration that mean the same in several chapters.

A chapter overrides a default, a description or a search distribution where its own
differs.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ftml.config import FamilyConfig, LogUniform
from ftml.optim.schedules import Schedule


class TrainingConfig(FamilyConfig):
    """What the training loop reads from the configuration of every torch family."""

    learning_rate: Annotated[float, Field(gt=0), LogUniform(1e-3, 1e-2)] = 3e-3
    "step size of Adam"

    n_epochs: Annotated[int, Field(ge=1)] = 60
    "passes over the training data"


class BatchConfig(TrainingConfig):
    """Training on minibatches, with a schedule of the learning rate and clipping."""

    schedule: Schedule = "cosine"
    "how the learning rate decreases over the epochs"

    clip: Annotated[float, Field(gt=0)] | None = None
    "largest norm of a gradient; a longer gradient is scaled down to this norm"

    batch_size: Annotated[int, Field(ge=1)] = 32
    "samples of an update; an epoch visits all samples in a random order"
