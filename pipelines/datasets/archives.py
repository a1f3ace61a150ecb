"""Takes members out of wheels, source archives and Debian packages.

An archive need not be trusted: nothing is written outside of the folder, a link is no
file, and there is a limit of the number of members (`MAX_MEMBERS`) and of the bytes
that they unpack to, which is that of a download.
"""

from __future__ import annotations

import difflib
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pipelines.datasets.downloads import max_bytes, too_large

Entry = TypeVar("Entry", zipfile.ZipInfo, tarfile.TarInfo)
MAX_MEMBERS = 200_000
"Largest number of members of an archive."


def take_from_zip(source: str, archive: Path, member: str, folder: Path) -> None:
    """Copy the members of a zip file that match a pattern into a folder."""
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _check_number(source, len(entries))
            infos = {i.filename: i for i in entries if not i.is_dir()}
            if archive.suffix != ".whl":
                infos = without_top_folder(infos)
            _take(source, member, infos, opened.open, folder, lambda i: i.file_size)
    # RuntimeError is for an encrypted member; NotImplementedError, which is one, for a
    # compression that zipfile does not have.
    except (zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise ValueError(f"{source}: not a whole archive ({error})") from None


def take_from_tar(
    source: str, archive: Path, member: str, folder: Path, *, top_folder: bool
) -> None:
    """Copy the members of a tar file that match a pattern into a folder.

    top_folder: whether all members are in a folder that their names leave out.
    """
    try:
        with tarfile.open(archive) as opened:
            entries: dict[str, tarfile.TarInfo] = {}
            unpacked = 0
            # Reading the next entry unpacks the member before it.
            for number, info in enumerate(opened, start=1):
                unpacked += info.size
                _check_number(source, number)
                if unpacked > max_bytes():
                    raise too_large(f"{source}: its archive")
                # A symbolic link could point out of the archive.
                if info.isfile() or (info.islnk() and not top_folder):
                    entries[info.name.removeprefix("./")] = info
            if top_folder:
                entries = without_top_folder(entries)
            sizes: Callable[[tarfile.TarInfo], int] = lambda i: i.size  # noqa: E731
            _take(source, member, entries, opened.extractfile, folder, sizes)
    except (tarfile.TarError, zlib.error, EOFError, KeyError) as error:
        raise ValueError(f"{source}: not a whole archive ({error})") from None


def _check_number(source: str, number: int) -> None:
    if number > MAX_MEMBERS:
        raise ValueError(f"{source}: its archive has more than {MAX_MEMBERS} members")


def _take(
    source: str,
    member: str,
    names: Mapping[str, Entry],
    opened: Callable[[Entry], Any],
    folder: Path,
    size: Callable[[Entry], int],
) -> None:
    """Copy the members that match into a folder; `names` maps names to entries."""
    matching = (
        [member] if member in names else [n for n in names if _matches(n, member)]
    )
    if not matching:
        raise ValueError(f"{source}: no such member{_similar(member, names)}")
    if sum(size(names[name]) for name in matching) > max_bytes():
        raise too_large(f"{source}: its members")
    for name in matching:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{source}: the member {name} would be written outside")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        # zipfile and tarfile read no more than the size that the archive states.
        with opened(names[name]) as read, open(folder / path, "wb") as written:
            shutil.copyfileobj(read, written)


def without_top_folder(names: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the members of a source archive, named without its top folder."""
    return {
        name.partition("/")[2]: place for name, place in names.items() if "/" in name
    }


def _matches(name: str, pattern: str) -> bool:
    choice = re.fullmatch(r"(.*?)\{([^{}]*)\}(.*)", pattern)
    if choice is not None:
        before, options, after = choice.groups()
        return any(_matches(name, before + o + after) for o in options.split(","))
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _similar(member: str, names: Iterable[str]) -> str:
    names = sorted(names)
    last = PurePosixPath(member).name
    close = [name for name in names if PurePosixPath(name).name == last]
    close += difflib.get_close_matches(member, names, n=3)
    return (
        f"; similar: {', '.join(dict.fromkeys(close))}"
        if close
        else f" of {len(names)}"
    )
