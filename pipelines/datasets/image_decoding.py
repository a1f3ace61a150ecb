"""Decodes an image file to 8-bit red, green and blue, and says what was converted.

Axes: H x W pixels.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

DEEP = ("I", "F")
"Pillow's modes of 32 bits; those of 16 bits begin with `I;16`."
BITS, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0
"Tags of a TIFF file, and the value of the second whose images are negatives."

UPRIGHT = "turned upright, as their EXIF orientation says"
ON_WHITE = "partly transparent: put on a white ground"
FIRST_FRAME = "files with several frames: only the first is read"
CMYK = "CMYK: converted to red, green and blue without a colour profile"


@dataclass(frozen=True)
class Decoded:
    """The pixels (H, W, 3) uint8 of an image file, and what was converted.

    conversions: `UPRIGHT`, `ON_WHITE`, `FIRST_FRAME`, `CMYK`. For a grey image with
    more than 8 bits, which is scaled, limits are the values that become 0 and 255, and
    values the least and the largest value.
    """

    pixels: np.ndarray
    conversions: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    values: tuple[float, float] = (0.0, 0.0)


def decode(
    path: Path,
    raw: bytes,
    *,
    size: tuple[int, int] | None,
    pixel_range: tuple[float, float] | None,
) -> Decoded:
    """Return the image of a file, upright and without transparency, from its content.

    size: (H, W) to which it is resized, with linear interpolation and antialiasing.
    pixel_range: the values of a grey image of 16 or 32 bits that become 0 and 255;
    those outside are clipped. Raises ValueError that names the path for anything that
    is not a whole image, and for 32 bits without a `pixel_range`.
    """
    try:
        with _opened(raw) as opened:
            _check_size(opened)
            found = _conversions(opened)
            limits = pixel_range or _full_range(opened)
            negative = _tag(opened, PHOTOMETRIC) == WHITE_IS_ZERO
            image = ImageOps.exif_transpose(opened)
    except UnidentifiedImageError:  # its message names the buffer, not the file
        raise ValueError(f"{path}: cannot be read as an image") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: cannot be read as an image ({error})") from None
    values = (0.0, 0.0)
    if not _is_deep(image):
        limits = None
    elif limits is None:
        least, most = _extremes(path, np.asarray(image))
        raise ValueError(
            f"{path}: has pixels of 32 bits, {least:g} to {most:g}; set "
            "pixel_range: [low, high], the values that become 0 and 255"
        )
    else:
        values = _extremes(path, np.asarray(image))
        image = _scale(image, *(limits[::-1] if negative else limits))
    if image.has_transparency_data:
        image, transparent = _on_white(image)
        found += [ON_WHITE] * transparent
    image = image.convert("RGB")
    if size is not None:
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    return Decoded(np.asarray(image), tuple(found), limits, values)


def _opened(raw: bytes) -> Image.Image:
    """Return an image whose pixels are not yet decoded."""
    with warnings.catch_warnings():  # its size is checked below
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(raw))


def _check_size(opened: Image.Image) -> None:
    """Raise ValueError for an image with more pixels than Pillow decodes without a
    warning: a file of some bytes can state any number of them.
    """
    width, height = opened.size
    if width * height > (limit := Image.MAX_IMAGE_PIXELS or 0):
        raise ValueError(f"{width} x {height} pixels, expected at most {limit}")


def _conversions(opened: Image.Image) -> list[str]:
    # Before the pixels are loaded: Pillow turns TIFF files when it loads them.
    orientation = opened.getexif().get(ExifTags.Base.Orientation, 1)
    found = {
        UPRIGHT: orientation in range(2, 9),
        FIRST_FRAME: getattr(opened, "is_animated", False),
        CMYK: opened.mode == "CMYK",
    }
    return [conversion for conversion, holds in found.items() if holds]


def _is_deep(image: Image.Image) -> bool:
    """Return whether an image has 16 or 32 bits."""
    return image.mode in DEEP or image.mode.startswith("I;16")


def _full_range(opened: Image.Image) -> tuple[float, float] | None:
    """Return the values of an image that 12 or 16 bits can have; None for 32 bits."""
    if opened.mode in DEEP:
        return None
    (bits, *_) = _tag(opened, BITS) or (16,)
    return 0.0, 2.0**bits - 1


def _tag(opened: Image.Image, number: int) -> Any:
    """Return a tag of a TIFF file; None for other files."""
    return getattr(opened, "tag_v2", {}).get(number)


def _extremes(path: Path, pixels: np.ndarray) -> tuple[float, float]:
    if not np.isfinite(pixels).all():
        raise ValueError(f"{path}: has pixels that are not finite")
    return float(pixels.min()), float(pixels.max())


def _scale(image: Image.Image, low: float, high: float) -> Image.Image:
    """Return a grey image with 8 bits, in which low is 0 and high is 255."""
    pixels = np.asarray(image).astype(np.float64)
    scaled = np.rint(255 * (pixels - low) / (high - low)).clip(0, 255)
    grey = Image.fromarray(scaled.astype(np.uint8))
    if "transparency" in image.info:
        opaque = pixels != image.info["transparency"]
        grey.putalpha(Image.fromarray(255 * opaque.astype(np.uint8)))
    return grey


def _on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return an image on a white ground, and whether any pixel was transparent."""
    coloured = image.convert("RGBA")
    lowest, _ = coloured.getchannel("A").getextrema()
    ground = Image.new("RGBA", coloured.size, "white")
    return Image.alpha_composite(ground, coloured), lowest != 255
