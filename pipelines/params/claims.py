"""The schema of a section of `claims` in params.yaml: the claims of a chapter."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipelines.params.base import Schema

FACTORS = {"default": 1, "large": 100}
"Factor by which each budget multiplies the number of random samples of a claim."


class ClaimsSchema(Schema):
    """How the claims of a chapter are measured."""

    seed: Annotated[int, Field(ge=0)] = 0
    "seed of the random samples of the claims"

    budget: Literal["default", "large"] = "default"
    """large: claims with randomness use a hundred times as many random samples,
    computed in Ray tasks, and their tolerances are ten times smaller"""
