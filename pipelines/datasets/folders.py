"""Lists the files below a folder, and says what of it is not read.

Links to files and to folders are followed. Hidden files and folders (`.name`) are left
out without a word; a link that points to nothing or back to a folder that contains it
is left out and named.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.common.formatting import counted, shorten
from pipelines.datasets.notes import note

NAMED = 3
"Number of paths that a line names; the others are counted."


@dataclass(frozen=True)
class Tree:
    """What is below a folder, each list sorted.

    files: files and links to files. folders: folders and links to folders. dead: links
    that point to nothing. cycles: links to a folder that contains them.
    """

    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    dead: list[Path] = field(default_factory=list)
    cycles: list[Path] = field(default_factory=list)


def walk(folder: Path) -> Tree:
    """Return everything below a folder that is not hidden, at any depth.

    Raises ValueError that names a folder which cannot be read.
    """
    tree = Tree()
    _fill(tree, folder, above=(_identity(folder.stat()),))
    for found in vars(tree).values():
        found.sort()
    return tree


def _fill(tree: Tree, folder: Path, *, above: tuple[tuple[int, int], ...]) -> None:
    """Add what is below a folder; `above` are the folders that contain its content."""
    for path in _visible(folder):
        try:
            status = path.stat()
        except OSError as error:
            if not path.is_symlink():
                raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
            tree.dead.append(path)
            continue
        if stat.S_ISREG(status.st_mode):
            tree.files.append(path)
        elif stat.S_ISDIR(status.st_mode):
            if _identity(status) in above:
                tree.cycles.append(path)
            else:
                tree.folders.append(path)
                _fill(tree, path, above=(*above, _identity(status)))


def _visible(folder: Path) -> Iterator[Path]:
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be read ({error.strerror})") from None
    return (folder / name for name in names if not name.startswith("."))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def note_links(
    source: str, *, dead: Sequence[Path], cycles: Sequence[Path] = ()
) -> None:
    """Say which links of a source are left out."""
    for paths, ending in ((dead, "to nothing"), (cycles, "to a containing folder")):
        if paths:
            note(f"{source}: left out {listed(paths, 'link', ending, source=source)}")


def listed(
    paths: Sequence[Path], noun: str, ending: str = "", *, source: str = "file:"
) -> str:
    """Return a number of paths and the first of them: `2 links to nothing: a, b`."""
    number = f"{counted(len(paths), noun)} {ending}".rstrip()
    names = (shown(path, source) for path in paths)
    return f"{number}: {shorten(names, NAMED)}"


def shown(path: Path, source: str) -> str:
    """Return the path of a file of a source; its name alone if it is in the cache.

    The place of the cache depends on the machine, which notes must not.
    """
    return str(path) if source.startswith("file:") else path.name
