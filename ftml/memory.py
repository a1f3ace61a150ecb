"""How much memory a computation may take, and the refusal of one that needs more.

Available is what the operating system says can be had without swapping, and not more
than the control group of the process (a container, a job of a cluster) has left. Where
neither is known, as on macOS, nothing is refused.
"""

from __future__ import annotations

from pathlib import Path

MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Return the bytes that this process can still take, None if that is unknown."""
    known = [each for each in (_of_machine(), _of_group()) if each is not None]
    return min(known, default=None)


def check_fits(n_bytes: int, *, what: str, instead: str) -> None:
    """Raise ValueError unless so many bytes are available.

    what: the array that needs them. instead: what to do where it does not fit, a clause
    of a sentence.
    """
    limit = available()
    if limit is not None and n_bytes > limit:
        raise ValueError(
            f"{what} takes {n_bytes / 2**30:.1f} GiB, {limit / 2**30:.1f} GiB are "
            f"available; {instead}"
        )


def _of_machine() -> int | None:
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _of_group() -> int | None:
    try:
        limit = (GROUP / "memory.max").read_text().strip()
        used = int((GROUP / "memory.current").read_text())
        # Cached files count as used, but are given up for a request.
        cached = dict(
            line.split() for line in (GROUP / "memory.stat").read_text().splitlines()
        ).get("inactive_file", "0")
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used + int(cached))
