"""Downloads with limits: of files by https, and of packages by commands.

A download is stopped after FTML_DOWNLOAD_GB gibibytes (4 by default) or after
FTML_DOWNLOAD_MINUTES minutes (60 by default). https is never left: a redirect to
another scheme is an error.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

GIBIBYTES, MINUTES = "FTML_DOWNLOAD_GB", "FTML_DOWNLOAD_MINUTES"
"Environment variables: the largest size and the longest time of a download."
DEFAULTS = {GIBIBYTES: 4.0, MINUTES: 60.0}
CHUNK = 1 << 16
BLOCK = 512
"Bytes in a block of `ulimit -f`."


def max_bytes() -> int:
    """Return the largest size of a download, and of what is taken out of an archive."""
    return int(_limit(GIBIBYTES) * 2**30)


def max_seconds() -> float:
    """Return the longest time of a download."""
    return 60 * _limit(MINUTES)


def _limit(variable: str) -> float:
    text = os.environ.get(variable) or str(DEFAULTS[variable])
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise ValueError(f"{variable}: expected a number above 0, got {text!r}")
    return value


def too_large(what: str) -> ValueError:
    """Return the error of a download or an archive that is too large."""
    size = f"{max_bytes() / 2**30:.3g}"
    return ValueError(f"{what}: larger than {size} GiB; {GIBIBYTES} sets the limit")


def _too_slow(what: str) -> ValueError:
    minutes = f"{max_seconds() / 60:g}"
    return ValueError(f"{what}: took longer than {minutes} min; {MINUTES} sets it")


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme != "https":
            raise ValueError(
                f"{req.full_url}: the server redirects to {scheme or 'no scheme'}:, "
                "which is not followed; expected https"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_https(address: str) -> Any:
    """Return the answer of a server to a request for an https address."""
    return urllib.request.build_opener(_HttpsOnly).open(address, timeout=60)


def download(source: str, target: Path) -> None:
    """Write what is at an https address into a file.

    Raises ValueError when the server cannot be reached or refuses, when the answer is
    incomplete, too large or too slow, and for a redirect to another scheme.
    """
    deadline = time.monotonic() + max_seconds()
    try:
        with open_https(source) as answer, open(target, "wb") as file:
            expected = answer.headers.get("Content-Length")
            size = 0
            if expected is not None and int(expected) > max_bytes():
                raise too_large(source)
            while chunk := answer.read1(CHUNK):
                size += len(chunk)
                if size > max_bytes():
                    raise too_large(source)
                if time.monotonic() > deadline:
                    raise _too_slow(source)
                file.write(chunk)
    except urllib.error.HTTPError as error:
        raise ValueError(
            f"{source}: the server answered {error.code} {error.reason}"
        ) from None
    except (http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise ValueError(f"{source}: cannot be reached ({reason})") from None
    if expected is not None and size != int(expected):
        raise ValueError(f"{source}: incomplete: {size} of {expected} bytes")


def run(source: str, command: Sequence[str], folder: Path | None = None) -> None:
    """Run a command in a folder, with limits of time and of the size of each file.

    Raises ValueError with the error message of the command if it fails; all processes
    that it has started are killed when it takes too long, and when this one is stopped.
    """
    limited: list[str] = list(command)
    if shell := shutil.which("sh"):
        script = f'ulimit -f {max_bytes() // BLOCK}; exec "$@"'
        limited = [shell, "-c", script, shell, *command]
    process = subprocess.Popen(
        limited,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, errors = process.communicate(timeout=max_seconds())
    except subprocess.TimeoutExpired:
        raise _too_slow(source) from None
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode:
        if process.returncode == -signal.SIGXFSZ or "File too large" in errors:
            raise too_large(source)
        name = "pip" if command[0] == sys.executable else command[0]
        raise ValueError(f"{source}: {name} failed: {_reason(errors)}")


def _reason(errors: str) -> str:
    """Return the line of a command's error messages that says most."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()] or ["?"]
    faults = [line for line in lines if line.startswith(("ERROR:", "error:", "E:"))]
    # pip lists the available versions in the line before the last one.
    versions = [line for line in faults if "from versions" in line]
    reason = (versions or faults or lines)[-1]
    reason = reason.removeprefix("ERROR: ").removeprefix("E: ")
    if re.search(r"NewConnectionError|NameResolutionError|Failed to resolve", errors):
        reason = f"no network; {reason}"
    return reason
