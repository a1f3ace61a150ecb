"""The installed packages, and those of a lock file."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path


def other_packages(lock: Path) -> tuple[str, ...]:
    """Return the packages whose installed version differs from that of a lock file."""
    if not lock.exists():
        return ()
    lines = [line.partition("==") for line in lock.read_text().splitlines()]
    here = {name: _installed(name) for name, pinned, _ in lines if pinned}
    return tuple(
        f"{name} {here[name]} ({there})"
        for name, pinned, there in lines
        if pinned and here[name] is not None and here[name] != there
    )


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None
