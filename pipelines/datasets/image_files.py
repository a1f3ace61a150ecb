"""Reads grey images: scikit-learn's digits, and idx files (the format of MNIST).

Folders of images are read in `image_folders.py`. Axes: n images, H x W pixels.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePath

import numpy as np

from ftml.memory import check_fits
from pipelines.datasets.folders import listed
from pipelines.datasets.notes import note
from pipelines.datasets.sources import fetch
from pipelines.datasets.table_sources import frame

IDX_BYTES = 8
"Code of an idx file for values of one byte each."


def images(source: str, sha256: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the grey images (n, H, W) uint8 of a source, and their labels (n,).

    `sklearn:digits` has 8 x 8 pixels of 0 to 16, which are scaled to 0 to 255. Any
    other source is idx files, plain or gzip: `<any>images-idx3-ubyte` with the labels
    in `<any>labels-idx1-ubyte`; several pairs are read in the order of their names.
    Raises ValueError as `fetch` does, and for files that are truncated or have no
    partner.
    """
    if source == "sklearn:digits":
        data = frame(source, sha256)
        pixels = data.drop(columns="target").to_numpy().reshape(-1, 8, 8)
        labels = data["target"].to_numpy(str)
        return np.rint(pixels * (255 / 16)).astype(np.uint8), labels
    if source.startswith("sklearn:"):
        raise ValueError(f"{source}: contains no images; sklearn:digits does")
    pairs = _pairs(source, fetch(source, sha256))
    read = [(read_idx(x, ndim=3), read_idx(y, ndim=1)) for x, y in pairs]
    for (x, y), (pixels, labels) in zip(pairs, read, strict=True):
        if len(pixels) != len(labels):
            raise ValueError(
                f"{x} has {len(pixels)} images, {y.name} has {len(labels)} labels"
            )
    one_size({x: each.shape[1:] for (x, _), (each, _) in zip(pairs, read, strict=True)})
    pixels, labels = zip(*read, strict=True)
    return np.concatenate(pixels), np.concatenate(labels)


def _pairs(source: str, files: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Return each file of images with its file of labels."""
    files = list(files)
    named = {_plain(path): path for path in files if "ubyte" in path.name}
    pairs = {x: _labels_of(x) for x in named if "images" in PurePath(x).name}
    if not pairs:
        raise ValueError(
            f"{source}: expected a source of grey images: sklearn:digits, or idx "
            "files named ...images-idx3-ubyte and ...labels-idx1-ubyte, also .gz"
        )
    for x, y in pairs.items():
        if y not in named:
            raise ValueError(f"{source}: {named[x].name} has no {PurePath(y).name}")
    if rest := sorted(set(named) - {*pairs, *pairs.values()}):
        raise ValueError(f"{source}: {named[rest[0]].name} has no file of images")
    if others := [path for path in files if path not in named.values()]:
        note(f"{source}: left out {listed(others, 'other file', source=source)}")
    return [(named[x], named[y]) for x, y in pairs.items()]


def _plain(path: Path) -> str:
    return path.as_posix().removesuffix(".gz")


def _labels_of(name: str) -> str:
    path = PurePath(name)
    called = path.name.replace("images", "labels").replace("idx3", "idx1")
    return path.with_name(called).as_posix()


def read_idx(path: Path, *, ndim: int) -> np.ndarray:
    """Return the array uint8 with `ndim` axes of an idx file, plain or gzip.

    An idx file is the bytes 0, 0, 8 (for uint8) and the number of axes, then the length
    of each axis as a big-endian integer of 4 bytes, then the values. Raises ValueError
    that names the file for anything else.
    """
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    if not zipped:
        raw = path.read_bytes()
    else:
        try:
            with gzip.open(path) as unzipped:
                raw = unzipped.read(4 + 4 * ndim)
                # No more than the header states: zeros pack to a thousandth.
                expected = math.prod(int(n) for n in _shape(raw, ndim))
                check_fits(expected, what=f"{path}", instead="take fewer images")
                raw += unzipped.read(expected + 1)
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
    shape = _shape(raw, ndim)
    if len(raw) != start + math.prod(shape):
        raise ValueError(
            f"{path}: expected {math.prod(shape)} bytes for shape {tuple(shape)}, "
            f"got {len(raw) - start}"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def _shape(raw: bytes, ndim: int) -> list[int]:
    """Return the lengths of the axes in a header; fewer if it is too short."""
    lengths = raw[4 : 4 + 4 * ndim]
    return np.frombuffer(lengths[: len(lengths) // 4 * 4], ">u4").tolist()


def one_size(shapes: dict[Path, tuple[int, ...]], *, advice: str = "") -> None:
    """Raise ValueError naming two files whose images differ in height or width."""
    (first, shape), *rest = shapes.items()
    for path, other in rest:
        if other != shape:
            raise ValueError(
                f"images differ in size: {first} has {shape[0]} x {shape[1]} pixels, "
                f"{path} has {other[0]} x {other[1]}{advice}"
            )
