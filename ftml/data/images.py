"""The data kind Images: labelled images. Axes: n images, H x W pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ftml.data import parquet
from ftml.data.checks import as_indices, check_joins
from ftml.data.pixels import as_bytes, as_pixels, check_images
from ftml.data.splits import Splits, consecutive_splits

FILE = "images.parquet"
FEATURE_EXTRACTOR = "feature_extractor"
"Folder of the feature extractor, beside the file, if the dataset has one."


@dataclass(frozen=True)
class Images:
    """Images and their classes, with the attribute names of a Table.

    X: uint8, grey, (n, H, W), or red, green and blue, (n, H, W, 3). y: (n,) int64
    indices into `classes`. feature_extractor: a trained `lenet.Model` by whose features
    the task `generation` compares images; None for data of other tasks. Raises
    ValueError for invalid shapes or values.
    """

    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    feature_extractor: Any = None

    def __post_init__(self) -> None:
        check_images(self.X)
        y = as_indices(self.y, self.classes, what="y", of="classes")
        object.__setattr__(self, "y", y)
        if self.y.shape != self.X.shape[:1]:
            raise ValueError(
                f"expected y of shape ({len(self.X)},), got {self.y.shape}"
            )

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, index: np.ndarray) -> Images:
        """Return the images of a boolean mask or an integer index."""
        return replace(self, X=self.X[index], y=self.y[index])

    def join(self, other: Images) -> Images:
        """Return the images of both, those of this object first. Raises ValueError for
        other classes or sizes.
        """
        check_joins(self, other, without=["feature_extractor"])
        return replace(
            self,
            X=np.concatenate([self.X, other.X]),
            y=np.concatenate([self.y, other.y]),
        )


def write(folder: Path, images: Images, split: np.ndarray) -> None:
    """Write `images.parquet` into a folder; `split` (n,) names the split of each."""
    about = {
        "kind": "Images",
        "classes": images.classes,
        "image_shape": images.X.shape[1:],
    }
    columns = {
        "split": split.astype(str),
        "label": images.y,
        "image": as_bytes(images.X),
    }
    parquet.write(folder / FILE, pa.table(columns), about)


def load(folder: Path) -> Splits[Images]:
    """Return the three splits of prepared images; ValueError names an invalid file."""
    names = ["split", "label", "image"]
    extractor = None
    if (folder / FEATURE_EXTRACTOR).is_dir():
        # imported here because it imports the families, which import torch
        from ftml import saving

        extractor = saving.load(folder / FEATURE_EXTRACTOR).model
    data, about = parquet.read(folder / FILE, kind="Images", columns=names)
    whole = Images(
        X=as_pixels(data["image"]).reshape(-1, *about["image_shape"]),
        y=data["label"].to_numpy(),
        classes=tuple(about["classes"]),
        feature_extractor=extractor,
    )
    split = np.asarray(data["split"].to_pylist())
    return Splits(*(whole.rows(split == name) for name in parquet.SPLITS))


def small(task: str) -> Splits[Images]:
    """Return small splits for tests of a task: images of 6 x 6 pixels with one bright
    row, whose position is the class.

    For generation every pixel is 0 or 255, as some families require.
    """
    rng = np.random.default_rng(4)
    y = np.tile(np.arange(3), 14)
    X = rng.integers(60, size=(42, 6, 6))
    X[np.arange(42), 1 + y] += 150
    if task == "generation":
        X = 255 * (X > 100)
    data = Images(X.astype(np.uint8), y, classes=("a", "b", "c"))
    return consecutive_splits(data, n_train=24, n_valid=9)
