"""Images: scikit-learn's digits, idx files as MNIST has them, folders of image files.

Axes: n images, H x W pixels.
"""

from __future__ import annotations

import gzip
import io
import itertools
import math
import os
import zlib
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path, PurePath

import numpy as np
from PIL import Image, UnidentifiedImageError

from pipelines.cluster.parallel_map import map_chunks
from pipelines.datasets.sources import fetch, frame

SUFFIXES = (".png", ".jpg", ".jpeg")
IDX_BYTES = 8
"What an idx file says of values of one byte each."


def images(source: str, sha256: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the grey images (n, H, W) uint8 of a source, and their labels (n,).

    `sklearn:digits` has 8 x 8 pixels of 0 to 16, here to 255. Any other source is idx
    files, plain or gzip: `<any>images-idx3-ubyte` and the labels to it,
    `<any>labels-idx1-ubyte`; several pairs come in the order of their names. Raises
    ValueError as `fetch` does, and for files that are not whole or not such pairs.
    """
    if source == "sklearn:digits":
        data = frame(source, sha256)
        pixels = data.drop(columns="target").to_numpy().reshape(-1, 8, 8)
        labels = data["target"].to_numpy(str)
        return np.rint(pixels * (255 / 16)).astype(np.uint8), labels
    if source.startswith("sklearn:"):
        raise ValueError(f"{source}: holds no images; sklearn:digits does")
    pairs = _pairs(source, fetch(source, sha256))
    read = [(read_idx(x, ndim=3), read_idx(y, ndim=1)) for x, y in pairs]
    for (x, y), (pixels, labels) in zip(pairs, read, strict=True):
        if len(pixels) != len(labels):
            raise ValueError(
                f"{x} holds {len(pixels)} images, {y.name} {len(labels)} labels"
            )
    one_size({x: each.shape[1:] for (x, _), (each, _) in zip(pairs, read, strict=True)})
    pixels, labels = zip(*read, strict=True)
    return np.concatenate(pixels), np.concatenate(labels)


def _pairs(source: str, files: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Return the files of images, each with that of its labels."""
    named = {_plain(path): path for path in files if "ubyte" in path.name}
    pairs = {x: _labels_of(x) for x in named if "images" in PurePath(x).name}
    if not pairs:
        raise ValueError(
            f"{source}: expected a source of images to turn: sklearn:digits, or idx "
            "files named ...images-idx3-ubyte and ...labels-idx1-ubyte, also .gz"
        )
    for x, y in pairs.items():
        if y not in named:
            raise ValueError(f"{source}: {named[x].name} has no {PurePath(y).name}")
    if rest := sorted(set(named) - {*pairs, *pairs.values()}):
        raise ValueError(f"{source}: {named[rest[0]].name} has no file of images")
    return [(named[x], named[y]) for x, y in pairs.items()]


def _plain(path: Path) -> str:
    return path.as_posix().removesuffix(".gz")


def _labels_of(name: str) -> str:
    path = PurePath(name)
    called = path.name.replace("images", "labels").replace("idx3", "idx1")
    return path.with_name(called).as_posix()


def read_idx(path: Path, *, ndim: int) -> np.ndarray:
    """Return the array uint8 of an idx file, plain or gzip, of so many axes.

    An idx file is the bytes 0, 0, 8 (for uint8) and the number of axes, then the length
    of each in 4 bytes, the highest first, then the values. Raises ValueError that names
    the file for anything else.
    """
    raw = path.read_bytes()
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: truncated or not gzip ({error})") from None
    if raw[:4] != bytes([0, 0, IDX_BYTES, ndim]):
        raise ValueError(
            f"{path}: not an idx file of bytes with {ndim} axes; it starts with "
            f"{raw[:4].hex(' ') or 'nothing'}"
        )
    start = 4 + 4 * ndim
    if len(raw) < start:
        raise ValueError(f"{path}: truncated in its header of {start} bytes")
    shape = [int(each) for each in np.frombuffer(raw, ">u4", ndim, offset=4)]
    if len(raw) != start + math.prod(shape):
        raise ValueError(
            f"{path}: expected {math.prod(shape)} bytes for shape {tuple(shape)}, "
            f"came {len(raw) - start}"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def image_folders(
    source: str, sha256: str | None = None, *, size: tuple[int, int] | None = None
) -> tuple[np.ndarray, list[str], list[str]]:
    """Return colour images (n, H, W, 3) uint8, the domain and the class of each.

    The files are `domain/class/name` below the one folder that holds them all; see
    `_read_folders`.
    """
    x, folders = _read_folders(source, sha256, size, levels=("domain", "class"))
    return x, [domain for domain, _ in folders], [label for _, label in folders]


def class_folders(
    source: str, sha256: str | None = None, *, size: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return colour images (n, H, W, 3) uint8 and the class (n,) of each.

    The files are `class/name` below the one folder that holds them all; see
    `_read_folders`.
    """
    x, folders = _read_folders(source, sha256, size, levels=("class",))
    return x, np.array([label for (label,) in folders])


def _read_folders(
    source: str,
    sha256: str | None,
    size: tuple[int, int] | None,
    *,
    levels: tuple[str, ...],
) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """Return the images of a source, and the folders that each lies in.

    Files other than .png, .jpg and .jpeg are left, and hidden ones. size: (H, W) that
    every image is brought to by linear interpolation over the pixels that it shrinks;
    without it all must have one. levels: what the folders tell, the outer one first.
    Raises ValueError as `fetch` does, for a folder without an image, a file elsewhere,
    and one that cannot be read, by its name.
    """
    if source.startswith("sklearn:"):
        raise ValueError(f"{source}: is no folder of images")
    files = [p for p in fetch(source, sha256) if p.suffix.lower() in SUFFIXES]
    if not files:
        raise ValueError(f"{source}: holds no image ({', '.join(SUFFIXES)})")
    top = Path(os.path.commonpath([path.parent for path in files]))
    parts = [path.relative_to(top).parts for path in files]
    for path, each in zip(files, parts, strict=True):
        if len(each) != len(levels) + 1:
            expected = "/".join([*levels, "name"])
            raise ValueError(f"{path}: expected a file {expected} below {top}")
    if empty := _empty_folders(top, depth=len(levels)):
        raise ValueError(f"{empty[0]}: a folder without an image")
    return _read_files(files, size), [each[:-1] for each in parts]


def _empty_folders(top: Path, *, depth: int) -> list[Path]:
    """Return the folders, down to those of classes, that hold no image."""
    return sorted(
        folder
        for pattern in ("*", "*/*")[:depth]
        for folder in top.glob(pattern)
        if folder.is_dir()
        and not folder.name.startswith(".")
        and not any(path.suffix.lower() in SUFFIXES for path in folder.rglob("*"))
    )


def _read_files(files: Sequence[Path], size: tuple[int, int] | None) -> np.ndarray:
    """Return the images of files; who decodes them need not see the files."""
    decode = partial(_decode_files, size=size)
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    raw = ([(path, path.read_bytes()) for path in chunk] for chunk in chunks)
    images = itertools.chain.from_iterable(map_chunks(decode, raw, count=len(chunks)))
    first = next(images)
    x = np.empty((len(files), *first.shape), np.uint8)
    for i, (path, image) in enumerate(
        zip(files, itertools.chain([first], images), strict=True)
    ):
        shapes = {files[0]: first.shape[:2], path: image.shape[:2]}
        one_size(shapes, advice="; image_size makes them one")
        x[i] = image
    return x


CHUNK = 64
"Files that are decoded in one piece."


def _decode_files(
    files: Sequence[tuple[Path, bytes]], *, size: tuple[int, int] | None
) -> list[np.ndarray]:
    return [_decode(path, raw, size) for path, raw in files]


def _decode(path: Path, raw: bytes, size: tuple[int, int] | None) -> np.ndarray:
    """Return the colours (H, W, 3) of an image file, from its name and content."""
    try:
        with Image.open(io.BytesIO(raw)) as opened:
            image = opened.convert("RGB")
    except UnidentifiedImageError:  # which would name the bytes in memory
        raise ValueError(f"{path}: cannot be read as an image") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: cannot be read as an image ({error})") from None
    if size is not None:
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(image)


def one_size(shapes: dict[Path, tuple[int, ...]], *, advice: str = "") -> None:
    """Raise ValueError that names two files whose images differ in height or width."""
    (first, shape), *rest = shapes.items()
    for path, other in rest:
        if other != shape:
            raise ValueError(
                f"images differ in size: {first} has {shape[0]} x {shape[1]} pixels, "
                f"{path} {other[0]} x {other[1]}{advice}"
            )
