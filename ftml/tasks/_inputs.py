"""Inputs of a served model as a frame: one column per feature or per pixel.

Sequences and trees are one column of text: symbols separated by spaces, trees in
brackets, and vectors as JSON, a list for each time step.

`check_samples` is what every task asks of a split before it scores a model on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence, Sized

import numpy as np
import pandas as pd

from ftml.data.ragged import Ragged, encoded, of_sequences
from ftml.data.trees import Forest, read_brackets


def check_samples(split: Sized) -> None:
    """Raise ValueError for a split without samples, on which no score is defined."""
    if not len(split):
        raise ValueError("the split has no samples: there is nothing to score")


def frame_of(
    x: np.ndarray | Ragged | Forest, names: Sequence[str] = ()
) -> pd.DataFrame:
    """Return features (n, d) of these names, uint8 images, sequences or trees as a
    frame.

    A pixel is named `pixel_<i>_<j>` by its row and column, and `pixel_<i>_<j>_<c>` with
    its channel if the images have colour.
    """
    if isinstance(x, Forest):
        return pd.DataFrame({"tree": x.texts()})
    if isinstance(x, Ragged):
        listed = [json.dumps(x[i].tolist()) for i in range(len(x))]
        return pd.DataFrame({"sequence": x.texts() if x.vocabulary else listed})
    if x.dtype != np.uint8:
        return pd.DataFrame(x, columns=list(names))
    names = ["_".join(["pixel", *map(str, place)]) for place in np.ndindex(x.shape[1:])]
    return pd.DataFrame(x.reshape(-1, len(names)).astype(np.int64), columns=names)


def input_of(
    frame: pd.DataFrame, vocabulary: Sequence[str] = ()
) -> np.ndarray | Ragged | Forest:
    """Return the features, or the images whose shape follows from the column names.

    Pixels are whole numbers, because a table may have features named `pixel_0_0`, too,
    and are found by their names, in any order. A column of text, `sequence` or `tree`,
    is read with the model's vocabulary. Raises ValueError for invalid text, for a pixel
    that is absent, and for one that is not from 0 to 255.
    """
    if list(frame.columns) == ["tree"]:
        return read_brackets(list(frame["tree"]), tuple(vocabulary))
    if list(frame.columns) == ["sequence"]:
        return sequences_of(list(frame["sequence"]), tuple(vocabulary))
    named = all(re.fullmatch(r"pixel(_\d+){2,3}", str(name)) for name in frame.columns)
    if named and all(map(pd.api.types.is_integer_dtype, frame.dtypes)):
        return images_of(frame)
    return frame.to_numpy(np.float64)


def images_of(frame: pd.DataFrame) -> np.ndarray:
    """Return the images, (n, H, W) or (n, H, W, 3) uint8, of a frame of pixels."""
    places = [tuple(map(int, str(c).split("_")[1:])) for c in frame.columns]
    shape = tuple(max(axis) + 1 for axis in zip(*places, strict=True))
    column = {place: j for j, place in enumerate(places)}
    missing = [place for place in np.ndindex(shape) if place not in column]
    if missing or len(column) < len(places):
        what = f"pixel_{'_'.join(map(str, missing[0]))}" if missing else "one of each"
        raise ValueError(
            f"expected a column for each pixel of images of shape {shape}, got "
            f"{len(column)} columns: {what} is missing"
        )
    pixels = frame.to_numpy(np.int64)[:, [column[place] for place in np.ndindex(shape)]]
    if ((pixels < 0) | (pixels > 255)).any():
        row, j = np.argwhere((pixels < 0) | (pixels > 255))[0]
        place = "_".join(map(str, np.unravel_index(j, shape)))
        raise ValueError(
            f"expected pixels from 0 to 255, got {pixels[row, j]} in pixel_{place} of "
            f"row {row}"
        )
    return pixels.astype(np.uint8).reshape(-1, *shape)


def sequences_of(texts: Sequence[str], vocabulary: tuple[str, ...]) -> Ragged:
    """Return the sequences of these texts; ValueError names an invalid one."""
    if vocabulary:
        return encoded([text.split() for text in texts], vocabulary)
    found = []
    for i, text in enumerate(texts):
        try:
            found.append(np.array(json.loads(text), np.float64))
        except ValueError as error:
            raise ValueError(
                f"sequence {i}: expected JSON, a list of numbers for each time "
                f"({error})"
            ) from None
    return of_sequences(found)
