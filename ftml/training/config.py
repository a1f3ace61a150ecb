"""The fields of a configuration that networks trained by Adam share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ftml.config import FamilyConfig, LogUniform
from ftml.optim.schedules import Schedule


class AdamConfig(FamilyConfig):
    """How large the steps of Adam are."""

    learning_rate: Annotated[float, Field(gt=0), LogUniform(1e-3, 1e-2)] = 3e-3
    "step size of Adam"

    schedule: Schedule = "cosine"
    "how the learning rate decreases over the epochs"

    clip: Annotated[float, Field(gt=0)] | None = None
    "largest norm of a gradient; a longer gradient is scaled down to this norm"
