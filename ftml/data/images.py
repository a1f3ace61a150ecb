"""The data kind Images: labelled images. Axes: n images, H x W pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ftml.data import parquet
from ftml.data.pixels import as_bytes, as_pixels, check_images
from ftml.data.splits import Splits, consecutive_splits

FILE = "images.parquet"
JUDGE = "judge"
"The folder of the judge, beside the file, where there is one."


@dataclass(frozen=True)
class Images:
    """Images and their classes, by the names that a Table has for them.

    X: uint8, grey, (n, H, W), or red, green and blue, (n, H, W, 3). y: (n,) int64
    indices into `classes`. judge: a trained `lenet.Model` by whose features the task
    `generation` compares images; None for data that no model is to draw. Raises
    ValueError for shapes or values that do not fit.
    """

    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    judge: Any = None

    def __post_init__(self) -> None:
        check_images(self.X)
        if self.y.shape != self.X.shape[:1]:
            raise ValueError(
                f"expected y of shape ({len(self.X)},), came {self.y.shape}"
            )
        if len(self) and (self.y.min() < 0 or self.y.max() >= len(self.classes)):
            raise ValueError(f"y must index the {len(self.classes)} classes")

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, index: np.ndarray) -> Images:
        """Return the images of a boolean mask or an integer index."""
        return replace(self, X=self.X[index], y=self.y[index])

    def join(self, other: Images) -> Images:
        """Return the images of both, these first."""
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
    """Return the three splits of prepared images; ValueError names a file that is not
    such.
    """
    names = ["split", "label", "image"]
    judge = None
    if (folder / JUDGE).is_dir():
        from ftml import saving  # which imports families, and these torch

        judge, _ = saving.load(folder / JUDGE)
    data, about = parquet.read(folder / FILE, kind="Images", columns=names)
    whole = Images(
        X=as_pixels(data["image"]).reshape(-1, *about["image_shape"]),
        y=data["label"].to_numpy(),
        classes=tuple(about["classes"]),
        judge=judge,
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
