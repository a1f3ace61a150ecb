"""What params.yaml says of tables, images and domains."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ftml.config import nearest
from pipelines.params.base import DatasetSchema, Fraction, ImageSize, Probability


class TableSchema(DatasetSchema):
    """A dataset of the kind Table, made by the stage `tables`."""

    task: str
    "what is learnt from the table: one of the tasks that accept this data kind"

    target: str | None = "target"
    """column to predict; for the tasks from clustering on no feature, and null where
    there is none. Classes, where it holds any, are for scores alone; representation
    needs them"""

    features: list[str] | None = None
    "columns to keep; all others by default"

    scale: bool = False
    "centre each feature and divide it by its deviation, both of the training rows"

    binarize: float | None = None
    "features above this become 1, all others 0"

    test_fraction: Fraction = 0.2
    "share of the samples held out for the test"

    n_samples: Annotated[int, Field(ge=1)] | None = None
    "rows that are drawn, for made:inverse_sinusoid and made:ring; 1000 by default"

    @property
    def predicts(self) -> bool:
        """Whether the task is to predict the target."""
        return self.task in ("regression", "classification", "conditional_density")

    def validation_errors(self) -> list[str]:
        """Return a line for each field that does not fit the others."""
        found = []
        if self.target is None and self.predicts:
            found.append(f"target: {self.task} needs a column to predict")
        if self.target in (self.features or []):
            found.append(f"features: holds {self.target}, the target")
        if self.scale and self.binarize is not None:
            found.append("scale: not with binarize, whose features are 0 and 1")
        if self.task == "representation" and self.target is None:
            found.append("target: representation needs a column of classes")
        if self.source in MADE_TABLES:
            if self.target is None and not self.predicts:
                found.append(f"target: that of {self.source} needs a name")
            if self.sha256:
                found.append("sha256: for files, not for data that are made")
        elif self.source.startswith("made:"):
            known = nearest(self.source, MADE_TABLES)
            found.append(f"source: unknown {self.source!r}{known}")
        elif self.n_samples is not None:
            found.append(f"n_samples: for {' and '.join(MADE_TABLES)}")
        return found


MADE_TABLES = ("made:inverse_sinusoid", "made:ring")
TABLES = (".csv", ".csv.gz", ".parquet", ".pq")
FORMS = {
    "turned images": ("rotate",),
    "folders of images": ("image_size",),
    "a table": ("domain", "label", "label_above", "features", "missing"),
    "made:pitfalls": ("n_per_domain",),
    "made:sprites": (
        "n_domains",
        "n_per_domain",
        "image_size",
        "colour_agreement",
        "test_colour_agreement",
    ),
}
"What a source of domains is, and the fields that say how it is read or made."


class DomainsSchema(DatasetSchema):
    """A dataset of the kind Domains, made by the stage `domains`.

    With `rotate` the source is images that are turned, with `domain` a table; without
    either it is folders of images, `domain/class/*.{png,jpg,jpeg}`, or made here.
    """

    rotate: Annotated[list[float], Field(min_length=2)] | None = None
    "angles in degrees: the images are turned by each, and each angle is a domain"

    image_size: ImageSize | None = None
    """[height, width] of images from folders, which have one size by default, or of
    sprites, 16 x 16 by default"""

    domain: str | None = None
    "column that names the domain, for a table"

    label: str = "target"
    "column to predict, for a table"

    label_above: float | None = None
    "make two classes of a numeric label: whether it is above this"

    features: list[str] | None = None
    "columns to keep, for a table; all others by default. Text columns become one-hot"

    missing: dict[str, float] = {}
    "value that stands for a missing one, by column"

    n_domains: Annotated[int, Field(ge=1)] = 5
    "training domains of sprites; one domain, `test`, is added"

    n_per_domain: Annotated[int, Field(ge=2)] = 1000
    "samples of each domain that is made; for pitfalls a multiple of 100"

    colour_agreement: Probability = 1.0
    "how often a sprite of a training domain has the colour of its class"

    test_colour_agreement: Probability = 0.5
    "the same in the domain `test`: at 0.5 colour tells nothing there, at 0 it lies"

    @property
    def form(self) -> str:
        """What the source is: one of `FORMS`, or made:name for a name unknown."""
        if self.source.startswith("made:"):
            return self.source
        if self.rotate is not None:
            return "turned images"
        name = self.source.lower()
        is_table = name.startswith("sklearn:") or name.endswith(TABLES)
        return "a table" if self.domain or is_table else "folders of images"

    def validation_errors(self) -> list[str]:
        """Return a line for each field that the source lacks or does not use."""
        if self.form not in FORMS:
            known = [form for form in FORMS if form.startswith("made:")]
            return [f"source: unknown {self.source!r}{nearest(self.source, known)}"]
        if self.form == "a table" and self.domain is None:
            return ["domain: missing, the column of a table; or rotate, for images"]
        users = {
            name: " and ".join(form for form, fields in FORMS.items() if name in fields)
            for fields in FORMS.values()
            for name in fields
        }
        given = self.model_fields_set.intersection(users).difference(FORMS[self.form])
        lines = [f"{name}: for {users[name]}, not for {self.form}" for name in given]
        if self.sha256 and self.source.startswith("made:"):
            lines.append("sha256: for files, not for data that are made")
        return sorted(lines)


class ImagesSchema(DatasetSchema):
    """A dataset of the kind Images, made by the stage `images`.

    The source is sklearn:digits, idx files as MNIST has them, or folders of images,
    `class/*.{png,jpg,jpeg}`.
    """

    task: str = "classification"
    """what is learnt from the images: to classify them, to generate more of them, or
    to represent them by codes. For generation, the stage also trains a network that
    classifies them; generated images are compared with real ones by its features"""

    binarize: Annotated[int, Field(ge=0, lt=255)] | None = None
    "pixels above this become 255, all others 0"

    test: str | None = None
    "source of the test images, where they are apart, such as MNIST's t10k files"

    test_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    "of the fetched bytes of `test`"

    test_fraction: Fraction | None = None
    "share of the images held out for the test, 0.2 by default"

    image_size: ImageSize | None = None
    "[height, width] of images from folders, which have one size by default"

    def validation_errors(self) -> list[str]:
        """Return a line for each field that does not fit the others."""
        lines = []
        if self.test is not None and self.test_fraction is not None:
            lines.append("test_fraction: the test images are those of `test`")
        if self.test is None and self.test_sha256 is not None:
            lines.append("test_sha256: there is no `test`")
        return lines
