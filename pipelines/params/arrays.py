"""Schemas of the sections of tables, images and domains in params.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ftml.config import nearest
from ftml.data.reading import ReadOptions, is_table_file
from pipelines.params.base import DatasetSchema, Fraction, ImageSize, Probability


class TableSchema(DatasetSchema):
    """A dataset of the kind Table, prepared by the stage `tables`."""

    task: str
    "what is learnt from the table: one of the tasks that accept this data kind"

    target: str | None = "target"
    """name of the target column. A task that does not predict the target uses it for
    evaluation only, never as a feature; null if the table has none. The task
    representation requires a column of classes"""

    features: list[str] | None = None
    "columns that become features; by default all columns except the target"

    scale: bool = False
    """whether to standardize each feature: subtract its mean and divide by its standard
    deviation, both computed on the training rows"""

    binarize: float | None = None
    "threshold: features above it become 1, all others 0. By default features are kept"

    read: ReadOptions = ReadOptions()
    "how the file of the table is read; by default what is safe is detected"

    test_fraction: Fraction = 0.2
    "fraction of the samples in the test split, between 0 and 1"

    n_samples: Annotated[int, Field(ge=1)] | None = None
    "number of rows of made:inverse_sinusoid and made:ring; 1000 by default"

    @property
    def predicts(self) -> bool:
        """Whether the task is to predict the target."""
        return self.task in ("regression", "classification", "conditional_density")

    def validation_errors(self) -> list[str]:
        """Return a message for each field that contradicts another."""
        found = []
        if self.target is None and self.predicts:
            found.append(f"target: {self.task} needs a column to predict, got null")
        if self.target in (self.features or []):
            found.append(f"features: contains {self.target}, the target")
        if self.scale and self.binarize is not None:
            found.append(
                "scale: cannot be combined with binarize, whose features are 0 and 1"
            )
        if self.task == "representation" and self.target is None:
            found.append("target: representation needs a column of classes")
        if self.read != ReadOptions() and self.source.startswith(("made:", "sklearn:")):
            found.append(f"read: for files, not for {self.source}")
        if self.source in MADE_TABLES:
            if self.target is None and not self.predicts:
                found.append(
                    f"target: {self.source} needs a name for its target, got null"
                )
            if self.sha256:
                found.append("sha256: for files, not for generated data")
        elif self.source.startswith("made:"):
            known = nearest(self.source, MADE_TABLES)
            found.append(f"source: unknown {self.source!r}{known}")
        elif self.n_samples is not None:
            found.append(f"n_samples: for {' and '.join(MADE_TABLES)}")
        return found


MADE_TABLES = ("made:inverse_sinusoid", "made:ring")
FORMS = {
    "rotated images": ("rotate",),
    "folders of images": ("image_size", "pixel_range"),
    "a table": ("domain", "label", "label_above", "features", "missing", "read"),
    "made:pitfalls": ("n_per_domain",),
    "made:sprites": (
        "n_domains",
        "n_per_domain",
        "image_size",
        "colour_agreement",
        "test_colour_agreement",
    ),
}
"The forms of a source of domains, and the fields that apply to each."


class DomainsSchema(DatasetSchema):
    """A dataset of the kind Domains, prepared by the stage `domains`.

    With `rotate` the source is grey images, which are rotated; with `domain` it is a
    table. Otherwise it is folders of images, `domain/class/name`, or
    generated data.
    """

    rotate: Annotated[list[float], Field(min_length=2)] | None = None
    """angles in degrees, counter-clockwise. Each angle is a domain, and each image is
    rotated by one of them"""

    image_size: ImageSize | None = None
    """[height, width] in pixels. Images from folders are resized to it; by default they
    must all have one size. Sprites are generated with it; 16 x 16 by default"""

    pixel_range: Annotated[tuple[float, float], Field(strict=False)] | None = None
    """[low, high]: for folders of grey images with 16 or 32 bits, the values that
    become 0 and 255; values outside are clipped. By default 0 and 65535 for 16 bits;
    images of 32 bits need it"""

    domain: str | None = None
    "for a table: the column that names the domain"

    label: str = "target"
    "for a table: the column to predict"

    label_above: float | None = None
    "for a table with a numeric label: threshold between two classes, <= and > of it"

    features: list[str] | None = None
    """for a table: columns that become features; by default all columns except domain
    and label. Text columns are one-hot encoded"""

    missing: dict[str, float] = {}
    "for a table: the value that marks a missing one, by column, such as {age: -1}"

    read: ReadOptions = ReadOptions()
    "for a table: how its file is read; by default what is safe is detected"

    n_domains: Annotated[int, Field(ge=1)] = 5
    "number of training domains of made:sprites; one more domain, `test`, is added"

    n_per_domain: Annotated[int, Field(ge=2)] = 1000
    "number of samples in each generated domain; for made:pitfalls a multiple of 100"

    colour_agreement: Probability = 1.0
    """for made:sprites: probability that a sprite of a training domain has the colour
    of its class"""

    test_colour_agreement: Probability = 0.5
    """for made:sprites: the same probability in the domain `test`. At 0.5 the colour is
    independent of the class there; at 0 it always indicates the wrong class"""

    @property
    def form(self) -> str:
        """The form of the source: one of `FORMS`, or an unknown made:name."""
        if self.source.startswith("made:"):
            return self.source
        if self.rotate is not None:
            return "rotated images"
        is_table = self.source.startswith("sklearn:") or is_table_file(self.source)
        return "a table" if self.domain or is_table else "folders of images"

    def validation_errors(self) -> list[str]:
        """Return a message for each field that is missing or does not apply."""
        if self.form not in FORMS:
            known = [form for form in FORMS if form.startswith("made:")]
            return [f"source: unknown {self.source!r}{nearest(self.source, known)}"]
        if self.form == "a table" and self.domain is None:
            return ["domain: missing; a table needs it, and grey images need rotate"]
        users = {
            name: " and ".join(form for form, fields in FORMS.items() if name in fields)
            for fields in FORMS.values()
            for name in fields
        }
        given = self.model_fields_set.intersection(users).difference(FORMS[self.form])
        lines = [f"{name}: for {users[name]}, not for {self.form}" for name in given]
        if self.sha256 and self.source.startswith("made:"):
            lines.append("sha256: for files, not for generated data")
        return sorted([*lines, *_range_errors(self.pixel_range)])


def _range_errors(pixel_range: tuple[float, float] | None) -> list[str]:
    if pixel_range is None or pixel_range[0] < pixel_range[1]:
        return []
    return [f"pixel_range: expected [low, high], got {list(pixel_range)}"]


class ImagesSchema(DatasetSchema):
    """A dataset of the kind Images, prepared by the stage `images`.

    The source is sklearn:digits, idx files (the format of MNIST), or folders of images,
    `class/name`, of .png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff and .gif files.
    """

    task: str = "classification"
    """what is learnt from the images: to classify them, to generate more of them, or
    to represent them by codes. For generation, the stage also trains a network that
    classifies them; generated images are compared with real ones by its features"""

    binarize: Annotated[int, Field(ge=0, lt=255)] | None = None
    "threshold: pixels above it become 255, all others 0. By default pixels are kept"

    test: str | None = None
    """source of the test images if they are separate, such as the t10k files of MNIST;
    by default the test split is taken from `source`"""

    test_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    "SHA-256 hash that the files of `test` must have"

    test_fraction: Fraction | None = None
    "fraction of the images in the test split, between 0 and 1; 0.2 by default"

    image_size: ImageSize | None = None
    """[height, width] in pixels that images from folders are resized to; by default
    they must all have one size"""

    pixel_range: Annotated[tuple[float, float], Field(strict=False)] | None = None
    """[low, high]: for folders of grey images with 16 or 32 bits, the values that
    become 0 and 255; values outside are clipped. By default 0 and 65535 for 16 bits;
    images of 32 bits need it"""

    def validation_errors(self) -> list[str]:
        """Return a message for each field that contradicts another."""
        lines = []
        if self.test is not None and self.test_fraction is not None:
            lines.append("test_fraction: the test images are those of `test`")
        if self.test is None and self.test_sha256 is not None:
            lines.append("test_sha256: there is no `test`")
        return [*lines, *_range_errors(self.pixel_range)]
