"""Inputs of a served model as a frame: a column a feature, or a column a pixel."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd


def frame_of(x: np.ndarray, names: Sequence[str] = ()) -> pd.DataFrame:
    """Return features (n, d) of these names, or images uint8, as a frame.

    A pixel is named `pixel_<i>_<j>` by its row and column, and `pixel_<i>_<j>_<c>` with
    its channel where the images have colour.
    """
    if x.dtype != np.uint8:
        return pd.DataFrame(x, columns=list(names))
    names = ["_".join(["pixel", *map(str, place)]) for place in np.ndindex(x.shape[1:])]
    return pd.DataFrame(x.reshape(-1, len(names)).astype(np.int64), columns=names)


def input_of(frame: pd.DataFrame) -> np.ndarray:
    """Return the features, or the images whose shape the names of the columns tell.

    Pixels are whole numbers: a table may call its features `pixel_0_0`, too.
    """
    last = str(frame.columns[-1])
    named = re.fullmatch(r"pixel(_\d+){2,3}", last) is not None
    if not (named and pd.api.types.is_integer_dtype(frame.dtypes.iloc[-1])):
        return frame.to_numpy(np.float64)
    shape = [int(each) + 1 for each in last.split("_")[1:]]
    return frame.to_numpy(np.uint8).reshape(-1, *shape)
