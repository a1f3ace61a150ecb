"""Image files as the rows that a model of images takes, a column for each pixel.

Axes: n images, H x W pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ftml.predictor import Predictor
from ftml.tasks._inputs import frame_of
from pipelines.common.formatting import counted
from pipelines.datasets.folders import walk
from pipelines.datasets.image_folders import SUFFIXES, Conversions, Reading, is_image
from pipelines.datasets.notes import note

PIXEL = re.compile(r"pixel(_\d+){2,3}")
"Name of the column of a pixel: its row, its column, and its channel in colour images."


def image_shape(predictor: Predictor, types: Mapping[str, str]) -> tuple[int, ...]:
    """Return the shape (H, W) or (H, W, 3) of the images that a model takes; () if it
    takes none, or if its shape is not known.

    types: the columns of the signature that MLflow has of the model.
    """
    if predictor.columns:
        return ()
    if types:
        if not all(map(PIXEL.fullmatch, types)):
            return ()
        places = [tuple(map(int, name.split("_")[1:])) for name in types]
        return tuple(max(axis) + 1 for axis in zip(*places, strict=True))
    shape: tuple[int, ...] = getattr(predictor.model, "shape", ())  # (C, H, W)
    if len(shape) != 3:
        return ()
    channels, height, width = shape
    return (height, width) if channels == 1 else (height, width, channels)


def image_files(paths: Sequence[Path]) -> list[Path]:
    """Return the image files among these paths and in the folders among them, at any
    depth. Raises ValueError for a path that is neither, and for a folder without any.
    """
    found: list[Path] = []
    for path in paths:
        inside = list(filter(is_image, walk(path).files)) if path.is_dir() else [path]
        if not path.exists():
            raise ValueError(f"{path}: no such file")
        if not inside or not all(map(is_image, inside)):
            raise ValueError(
                f"{path}: expected an image ({', '.join(SUFFIXES)}), a folder of "
                "images, or one table with a column for each pixel"
            )
        found += inside
    return found


def read_images(files: Sequence[Path], shape: tuple[int, ...]) -> pd.DataFrame:
    """Return a row of pixels for each image file, of the shape that a model takes.

    Images are decoded as the stage `images` does it, and resized to H x W; what is
    converted is said on stderr. Raises ValueError for a file that is no image, and for
    one of more than 8 bits: a model does not say which values of its training images
    have become 0 and 255.
    """
    from PIL import Image

    from pipelines.datasets.image_decoding import decode

    where, size = "images to predict", (shape[0], shape[1])
    said = Conversions(where, len(files), Reading())
    pixels = np.empty((len(files), *shape), np.uint8)
    n_resized = n_grey = 0
    for i, path in enumerate(files):
        image = decode(path, path.read_bytes(), size=None, pixel_range=None)
        if image.limits is not None:
            raise ValueError(f"{path}: has more than 8 bits; convert it to 8 bits")
        said.add(image)
        n_resized += image.pixels.shape[:2] != size
        resized = Image.fromarray(image.pixels).resize(
            size[::-1], Image.Resampling.BILINEAR
        )
        if len(shape) == 2:
            n_grey += bool((np.ptp(image.pixels, axis=2) > 0).any())
            resized = resized.convert("L")
        pixels[i] = np.asarray(resized)
    said.write()
    of = f"of {counted(len(files), 'image')}"
    if n_resized:
        note(f"{where}: {n_resized} {of} are resized to {size[0]} x {size[1]} pixels")
    if n_grey:
        note(f"{where}: {n_grey} {of} have colours, and become grey")
    return frame_of(pixels)
