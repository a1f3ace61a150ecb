"""Inputs of a served model as a frame: one column per feature or per pixel.

Sequences and trees are one column of text: symbols separated by spaces, trees in
brackets, and vectors as JSON, a list for each time step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ftml.data.ragged import Ragged, encoded, of_sequences
from ftml.data.trees import Forest, read_brackets


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

    Pixels are whole numbers, because a table may have features named `pixel_0_0`, too.
    A column of text, `sequence` or `tree`, is read with the model's vocabulary. Raises
    ValueError for invalid text.
    """
    if list(frame.columns) == ["tree"]:
        return read_brackets(list(frame["tree"]), tuple(vocabulary))
    if list(frame.columns) == ["sequence"]:
        return sequences_of(list(frame["sequence"]), tuple(vocabulary))
    last = str(frame.columns[-1])
    named = re.fullmatch(r"pixel(_\d+){2,3}", last) is not None
    if not (named and pd.api.types.is_integer_dtype(frame.dtypes.iloc[-1])):
        return frame.to_numpy(np.float64)
    shape = [int(each) + 1 for each in last.split("_")[1:]]
    return frame.to_numpy(np.uint8).reshape(-1, *shape)


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
