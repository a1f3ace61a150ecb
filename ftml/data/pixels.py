"""Images as the bytes of their pixels, in a column of a Parquet file.

Axes: n images, H x W pixels; grey images are (n, H, W), coloured ones (n, H, W, 3).
"""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from ftml.data.checks import check_array


def check_images(x: np.ndarray) -> None:
    """Raise ValueError unless x is uint8 images, (n, H, W) or (n, H, W, 3), and
    TypeError unless it is a NumPy array without a mask.
    """
    check_array(x, "images")
    if x.dtype != np.uint8 or (x.ndim != 3 and x.shape[3:] != (3,)):
        raise ValueError(
            "expected uint8 images (n, H, W) or (n, H, W, 3), "
            f"got {x.dtype} of shape {x.shape}"
        )


def as_bytes(x: np.ndarray) -> pa.Array:
    """Return each image as the bytes of its pixels, without copying all images
    at once.
    """
    width = math.prod(x.shape[1:])
    pixels = pa.py_buffer(np.ascontiguousarray(x))
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(x), [None, pixels]
    )


def as_pixels(column: pa.ChunkedArray) -> np.ndarray:
    """Return the pixels of all images in one array, (n H W,) or (n H W 3,) uint8."""
    width = column.type.byte_width
    parts = [
        np.frombuffer(
            part.buffers()[1],
            np.uint8,
            count=len(part) * width,
            offset=part.offset * width,
        )
        for part in column.chunks
    ]
    return np.concatenate(parts)
