"""Schemas of the sections of tables, images and domains in params.yaml."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ftml.config import nearest
from ftml.data.columns import MAX_CATEGORIES
from ftml.data.preprocessing import Preprocessing
from ftml.data.reading import ReadOptions, is_table_file
from pipelines.params.base import (
    MAX_SAMPLES,
    DatasetSchema,
    Fraction,
    ImageSize,
    Probability,
    Schema,
    Sha256,
)

MAX_GENERATED = 4 << 30
"Largest size of generated images, in bytes."


class SplitSchema(Schema):
    """How the rows of a table are split: by exactly one of these columns."""

    column: str | None = None
    """column that says the split of each row: train, valid or test. It is never a
    feature"""

    groups: str | None = None
    """column that names the group of each row, such as a person: all rows of a group
    are in one split, and in one fold of `cv`. Not a feature unless `features` lists
    it"""

    time: str | None = None
    """column of numbers or dates: training rows are before validation rows, and these
    before test rows; rows of equal time are in one split. The folds of `cv` train on
    the rows before those that they validate on. Not a feature unless `features` lists
    it"""

    @property
    def given(self) -> dict[str, str]:
        """The columns that are given, by how they split."""
        ways = {"column": self.column, "groups": self.groups, "time": self.time}
        return {way: name for way, name in ways.items() if name is not None}


class ColumnsSchema(Preprocessing, DatasetSchema):
    """The keys of a dataset that is read from a table: which columns become features,
    and how (`ftml.data.preprocessing`).
    """

    RESERVED: ClassVar[tuple[str, ...]] = ("split",)
    "names that the prepared data have for something else than a feature"

    features: list[str] | None = None
    """columns that become features; by default all columns except those that have
    another use, such as the target"""

    drop: list[str] = []
    "columns that are left out, such as an identifier of the row"

    max_categories: Annotated[int, Field(ge=2)] = MAX_CATEGORIES
    """largest number of different texts in a column of categories: each becomes a
    feature"""

    missing_target: Literal["error", "drop"] = "error"
    """what becomes of rows without a value to predict, or without a domain: an error,
    or they are left out and counted"""

    @property
    def preprocessing(self) -> Preprocessing:
        """How columns become features."""
        return Preprocessing.model_validate(
            self.model_dump(include=set(Preprocessing.model_fields))
        )

    def columns_errors(self) -> list[str]:
        """Return a message for each of the keys above that contradicts another."""
        found = []
        if self.scale and self.binarize is not None:
            found.append(
                "scale: cannot be combined with binarize, whose features are 0 and 1"
            )
        if both := sorted(set(self.features or []).intersection(self.drop)):
            found.append(f"drop: {', '.join(both)} is one of the features, too")
        return found


class TableSchema(ColumnsSchema):
    """A dataset of the kind Table, prepared by the stage `tables`."""

    task: str
    "what is learnt from the table: one of the tasks that accept this data kind"

    target: str | None = "target"
    """name of the target column. A task that does not predict the target uses it for
    evaluation only, never as a feature; null if the table has none. The task
    representation requires a column of classes"""

    split: SplitSchema | None = None
    """how the rows are split: `{column: fold}`, `{groups: person}` or `{time: date}`.
    By default at random, with the same fraction of each class in each split"""

    test: str | None = None
    """source of the test rows if they are separate; by default the test split is taken
    from `source`"""

    test_sha256: Sha256 | None = None
    "SHA-256 hash that the file of `test` must have"

    test_fraction: Fraction = 0.2
    "fraction of the samples in the test split, between 0 and 1"

    positive: str | bool | int | float | None = None
    """for two classes: the class that `precision`, `recall`, `f1`, `auc` and
    `average_precision` are about; by default the second of the sorted classes"""

    n_samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] | None = None
    "number of rows of made:inverse_sinusoid and made:ring; 1000 by default"

    @property
    def predicts(self) -> bool:
        """Whether the task is to predict the target."""
        return self.task in ("regression", "classification", "conditional_density")

    def validation_errors(self) -> list[str]:
        """Return a message for each field that contradicts another."""
        found = self.columns_errors()
        if self.target is None and self.predicts:
            found.append(f"target: {self.task} needs a column to predict, got null")
        if self.target in (self.features or []):
            found.append(f"features: contains {self.target}, the target")
        if self.target in self.drop:
            found.append(f"drop: contains {self.target}, the target")
        if self.task == "representation" and self.target is None:
            found.append("target: representation needs a column of classes")
        if self.read != ReadOptions() and self.source.startswith(("made:", "sklearn:")):
            found.append(f"read: for files, not for {self.source}")
        found += self._split_errors()
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

    def _split_errors(self) -> list[str]:
        """Return a message for each field about splits that contradicts another."""
        found = []
        given = self.split.given if self.split else {}
        if self.split and len(given) != 1:
            got = " and ".join(given) or "none of them"
            found.append(f"split: expected one of column, groups and time, got {got}")
        if self.target is not None and self.target in given.values():
            found.append(f"split: {self.target} is the target")
        if "column" in given:
            if given["column"] in (self.features or []):
                found.append(f"features: contains {given['column']}, which is `split`")
            if self.test is not None:
                found.append("test: the test rows are those that `split` says")
            found += [
                f"{name}: the column of `split` says the split of each row"
                for name in ("valid_fraction", "test_fraction")
                if name in self.model_fields_set
            ]
        if self.test is not None and "test_fraction" in self.model_fields_set:
            found.append("test_fraction: the test rows are those of `test`")
        if self.test is None and self.test_sha256 is not None:
            found.append("test_sha256: there is no `test`")
        if self.test is not None and self.source.startswith("made:"):
            found.append("test: for files, not for generated data")
        if self.positive is not None and self.task != "classification":
            found.append(f"positive: for classification, not for {self.task}")
        return found


MADE_TABLES = ("made:inverse_sinusoid", "made:ring")
FORMS = {
    "rotated images": ("rotate",),
    "folders of images": ("image_size", "pixel_range"),
    "a table": (
        "domain",
        "label",
        "label_above",
        "features",
        "drop",
        "max_categories",
        "missing_target",
        *Preprocessing.model_fields,
    ),
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


class DomainsSchema(ColumnsSchema):
    """A dataset of the kind Domains, prepared by the stage `domains`.

    With `rotate` the source is grey images, which are rotated; with `domain` it is a
    table. Otherwise it is folders of images, `domain/class/name`, or
    generated data.
    """

    RESERVED = ("domain", "split", "label")

    rotate: Annotated[list[float], Field(min_length=2, max_length=1000)] | None = None
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

    n_domains: Annotated[int, Field(ge=1, le=1000)] = 5
    "number of training domains of made:sprites; one more domain, `test`, is added"

    n_per_domain: Annotated[int, Field(ge=2, le=1_000_000)] = 1000
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
        errors = [*self.columns_errors(), *_range_errors(self.pixel_range)]
        if self.source == "made:sprites":
            height, width = self.image_size or (16, 16)
            n_bytes = (self.n_domains + 1) * self.n_per_domain * height * width * 3
            if n_bytes > MAX_GENERATED:
                errors.append(
                    f"n_per_domain: the sprites take {n_bytes / 2**30:.0f} GiB, "
                    f"expected at most {MAX_GENERATED >> 30}"
                )
        return sorted([*lines, *errors])


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
