"""Reads folders of images: `class/name`, or `domain/class/name`.

What is left out or converted, and how many images there are of each class and domain,
is said in lines. Axes: n images, H x W pixels.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pipelines.cluster.parallel_map import map_chunks
from pipelines.common.formatting import counted
from pipelines.datasets.folders import listed, walk
from pipelines.datasets.image_decoding import Decoded, decode
from pipelines.datasets.image_files import one_size
from pipelines.datasets.notes import note
from pipelines.datasets.sources import fetch

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"Ends of the names of the files that are read, in small or capital letters."
SYSTEM_FILES = ("thumbs.db", "desktop.ini", "__macosx")
"Files and folders of operating systems, which are left out without a word."
LISTED = 12
"Largest number of classes or domains whose counts a line lists."
CHUNK = 64
"Number of files that one task decodes."

Folders = tuple[str, ...]
"The names of the folders of an image: its domain and class, or its class."


@dataclass(frozen=True)
class Reading:
    """How images are read; the fields are keys of the section of a dataset.

    size: (H, W) that every image is resized to; without it all images must have one
    size. pixel_range: the values of images with more than 8 bits that become 0 and 255.
    """

    size: tuple[int, int] | None = None
    pixel_range: tuple[float, float] | None = None


def image_folders(
    source: str, sha256: str | None = None, *, reading: Reading = Reading()
) -> tuple[np.ndarray, list[str], list[str]]:
    """Return colour images (n, H, W, 3) uint8, and the domain and the class of each.

    The files are `domain/class/name` below their common folder; see `_read_folders`.
    """
    x, folders = _read_folders(source, sha256, reading, levels=("domain", "class"))
    return x, [domain for domain, _ in folders], [label for _, label in folders]


def class_folders(
    source: str, sha256: str | None = None, *, reading: Reading = Reading()
) -> tuple[np.ndarray, np.ndarray]:
    """Return colour images (n, H, W, 3) uint8 and the class (n,) of each.

    The files are `class/name` below their common folder; see `_read_folders`.
    """
    x, folders = _read_folders(source, sha256, reading, levels=("class",))
    return x, np.array([label for (label,) in folders])


def _read_folders(
    source: str, sha256: str | None, reading: Reading, *, levels: tuple[str, ...]
) -> tuple[np.ndarray, list[Folders]]:
    """Return the images of a source, and the names of the folders of each.

    Files with other names than `SUFFIXES` are counted in a line, and hidden ones are
    left out. levels: what the folders mean, the outer one first. Raises ValueError as
    `fetch` does, for a folder without an image, and, by its name, for a file at another
    depth or one that cannot be read.
    """
    if source.startswith("sklearn:"):
        raise ValueError(f"{source}: is not a folder of images")
    fetched = [path for path in fetch(source, sha256) if not _of_system(path)]
    files = [path for path in fetched if is_image(path)]
    if not files:
        raise ValueError(f"{source}: contains no image ({', '.join(SUFFIXES)})")
    top = _top(source, files, depth=len(levels))
    parts = [path.relative_to(top).parts for path in files]
    for path, each in zip(files, parts, strict=True):
        if len(each) != len(levels) + 1:
            expected = "/".join([*levels, "name"])
            raise ValueError(f"{path}: expected a file {expected} below {top}")
    _check_folders(top, depth=len(levels))
    folders = [each[:-1] for each in parts]
    if others := [path for path in fetched if not is_image(path)]:
        note(f"{source}: left out {listed(others, 'other file', source=source)}")
    note(f"{source}: {_counts(folders, levels)}")
    return _read_files(source, files, reading), folders


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _of_system(path: Path) -> bool:
    return any(part.lower() in SYSTEM_FILES for part in path.parts)


def _top(source: str, files: Sequence[Path], *, depth: int) -> Path:
    """Return the folder of the domains or classes: `depth` folders above most files.

    The common folder of all files is below it if all images are of one class; if the
    source is a folder, nothing above that folder is returned.
    """
    common = Path(os.path.commonpath([path.parent for path in files]))
    (usual, _), *_ = Counter(len(path.parts) for path in files).most_common(1)
    above = max(0, len(common.parts) - (usual - depth - 1))
    candidates = [common, *common.parents][: above + 1]
    place = Path(source.partition(":")[2])
    if source.startswith("file:") and place.is_dir():
        candidates = [each for each in candidates if each.is_relative_to(place)]
    return candidates[-1]


def _check_folders(top: Path, *, depth: int) -> None:
    """Raise ValueError for a folder, down to those of classes, without an image."""
    tree = walk(top)
    filled = {
        folder
        for path in tree.files
        if is_image(path)
        for folder in path.relative_to(top).parents
    }
    for folder in tree.folders:
        inner = folder.relative_to(top)
        if len(inner.parts) > depth or inner in filled or _of_system(inner):
            continue
        inside = [path for path in tree.files if path.is_relative_to(folder)]
        content = f" ({listed(inside, 'other file')})" if inside else ""
        raise ValueError(f"{folder}: a folder without an image{content}")


def _counts(folders: Sequence[Folders], levels: tuple[str, ...]) -> str:
    """Return how many images each class has, or each domain and each class of it."""
    total = counted(len(folders), "image")
    of_class = _named(Counter(each[-1] for each in folders), "class")
    if len(levels) == 1:
        return f"{total} of {of_class}"
    domains = Counter(each[0] for each in folders)
    if len(domains) > LISTED:
        return f"{total} of {_named(domains, 'domain')}; {of_class}"
    lines = []
    for domain, n in domains.items():
        inner = Counter(label for name, label in folders if name == domain)
        lines.append(f"{domain} {n} ({_named(inner, 'class')})")
    return f"{total} of {counted(len(domains), 'domain')}: {'; '.join(lines)}"


def _named(counts: Counter[str], noun: str) -> str:
    """Return the number of names and the count of each, or the range of the counts."""
    number = counted(len(counts), noun)
    if len(counts) <= LISTED:
        return f"{number}: {', '.join(f'{name} {n}' for name, n in counts.items())}"
    (most, n_most), *_, (least, n_least) = counts.most_common()
    return f"{number}, from {least} {n_least} to {most} {n_most}"


def _read_files(source: str, files: Sequence[Path], reading: Reading) -> np.ndarray:
    """Return the images of files, and say what was converted.

    The bytes are read here, so that a worker on another node needs no access to the
    files.
    """
    task = partial(_decode_files, reading=reading)
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    raw = ([(path, _bytes(path)) for path in chunk] for chunk in chunks)
    images: Iterator[Decoded] = itertools.chain.from_iterable(
        map_chunks(task, raw, count=len(chunks))
    )
    said = Conversions(source, len(files), reading)
    first = next(images)
    x = np.empty((len(files), *first.pixels.shape), np.uint8)
    for i, (path, image) in enumerate(
        zip(files, itertools.chain([first], images), strict=True)
    ):
        shapes = {files[0]: first.pixels.shape[:2], path: image.pixels.shape[:2]}
        one_size(shapes, advice="; set image_size to resize them")
        x[i] = image.pixels
        said.add(image)
    said.write()
    return x


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None


def _decode_files(
    files: Sequence[tuple[Path, bytes]], *, reading: Reading
) -> list[Decoded]:
    return [
        decode(path, raw, size=reading.size, pixel_range=reading.pixel_range)
        for path, raw in files
    ]


class Conversions:
    """Counts what is converted in the images of a source, and says it in lines."""

    def __init__(self, source: str, n: int, reading: Reading) -> None:
        self._source, self._n, self._range = source, n, reading.pixel_range
        self._counts: Counter[str] = Counter()
        self._deep: dict[tuple[float, float], list[tuple[float, float]]] = {}

    def add(self, image: Decoded) -> None:
        self._counts.update(image.conversions)
        if image.limits is not None:
            self._deep.setdefault(image.limits, []).append(image.values)

    def write(self) -> None:
        of_all = f"of {self._n} images"
        for conversion, count in sorted(self._counts.items()):
            note(f"{self._source}: {count} {of_all} are {conversion}")
        for (low, high), values in sorted(self._deep.items()):
            least, most = min(a for a, _ in values), max(b for _, b in values)
            line = (
                f"{self._source}: {len(values)} {of_all} have more than 8 bits: "
                f"{low:g} to {high:g} become 0 to 255; their values are {least:g} to "
                f"{most:g}"
            )
            if n_clipped := sum(a < low or b > high for a, b in values):
                line += (
                    f"; values outside, in {counted(n_clipped, 'image')}, are clipped"
                )
            note(line if self._range else f"{line}; pixel_range sets other limits")
        if self._range and not self._deep:
            note(f"{self._source}: pixel_range has no effect: all images have 8 bits")
