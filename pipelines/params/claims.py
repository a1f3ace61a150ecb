"""What params.yaml says of the claims of the notes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipelines.params.base import Schema

FACTORS = {"default": 1, "large": 100}
"How many times as much as by default a claim draws at random, by budget."


class ClaimsSchema(Schema):
    """How the claims are measured."""

    seed: Annotated[int, Field(ge=0)] = 0
    "of what the claims draw at random"

    budget: Literal["default", "large"] = "default"
    """large: claims with randomness draw a hundred times as much, as Ray tasks, and
    their tolerances shrink tenfold"""
