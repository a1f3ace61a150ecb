"""Decodes an image file to 8-bit red, green and blue, and says what was converted.

Axes: H x W pixels.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

DEEP = ("I", "F")
"Pillow's modes of 32 bits; those of 16 bits begin with `I;16`."
FULL_RANGE = (0.0, 65535.0)
"The values of an image of 16 bits that become 0 and 255 by default."

UPRIGHT = "turned upright, as their EXIF orientation says"
ON_WHITE = "partly transparent: put on a white ground"
FIRST_FRAME = "files with several frames: only the first is read"
CMYK = "CMYK: converted to red, green and blue without a colour profile"


@dataclass(frozen=True)
class Decoded:
    """The pixels (H, W, 3) uint8 of an image file, and what was converted.

    conversions: `UPRIGHT`, `ON_WHITE`, `FIRST_FRAME`, `CMYK`. values: the least and the
    largest value of a grey image with more than 8 bits, which is scaled.
    """

    pixels: np.ndarray
    conversions: tuple[str, ...] = ()
    values: tuple[float, float] | None = None


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
        with Image.open(io.BytesIO(raw)) as opened:
            found = _conversions(opened)
            image = ImageOps.exif_transpose(opened)
    except UnidentifiedImageError:  # its message names the buffer, not the file
        raise ValueError(f"{path}: cannot be read as an image") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: cannot be read as an image ({error})") from None
    values = None
    if image.mode in DEEP or image.mode.startswith("I;16"):
        image, values = _scale(path, image, pixel_range)
    if image.has_transparency_data:
        image, transparent = _on_white(image)
        found += [ON_WHITE] * transparent
    image = image.convert("RGB")
    if size is not None:
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    return Decoded(np.asarray(image), tuple(found), values)


def _conversions(opened: Image.Image) -> list[str]:
    # Before the pixels are loaded: Pillow turns TIFF files when it loads them.
    orientation = opened.getexif().get(ExifTags.Base.Orientation, 1)
    found = {
        UPRIGHT: orientation in range(2, 9),
        FIRST_FRAME: getattr(opened, "is_animated", False),
        CMYK: opened.mode == "CMYK",
    }
    return [conversion for conversion, holds in found.items() if holds]


def _scale(
    path: Path, image: Image.Image, pixel_range: tuple[float, float] | None
) -> tuple[Image.Image, tuple[float, float]]:
    """Return a grey image of 16 or 32 bits with 8 bits, and its extreme values."""
    pixels = np.asarray(image).astype(np.float64)
    if not np.isfinite(pixels).all():
        raise ValueError(f"{path}: has pixels that are not finite")
    values = (float(pixels.min()), float(pixels.max()))
    if pixel_range is None and image.mode in DEEP:
        raise ValueError(
            f"{path}: has pixels of 32 bits, {values[0]:g} to {values[1]:g}; set "
            "pixel_range: [low, high], the values that become 0 and 255"
        )
    low, high = pixel_range or FULL_RANGE
    scaled = np.rint(255 * (pixels - low) / (high - low)).clip(0, 255)
    grey = Image.fromarray(scaled.astype(np.uint8))
    if "transparency" in image.info:
        opaque = pixels != image.info["transparency"]
        grey.putalpha(Image.fromarray(255 * opaque.astype(np.uint8)))
    return grey, values


def _on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return an image on a white ground, and whether any pixel was transparent."""
    coloured = image.convert("RGBA")
    lowest, _ = coloured.getchannel("A").getextrema()
    ground = Image.new("RGBA", coloured.size, "white")
    return Image.alpha_composite(ground, coloured), lowest != 255
