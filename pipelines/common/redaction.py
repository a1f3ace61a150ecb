"""Texts without passwords: for everything that is printed, logged or written.

A password is the part before `@` in an address, and the value of an environment
variable whose name says so (`MLFLOW_TRACKING_PASSWORD`, `AWS_SECRET_ACCESS_KEY`).
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from types import TracebackType

HIDDEN = "***"
SECRET = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|API_?KEY|ACCESS_KEY$")
"Names of environment variables whose values are secret."
IN_ADDRESS = re.compile(r"(?<=://)[^/\s'\"?#]*@")
SHORTEST = 4
"Shortest value that is hidden; a shorter one would hide parts of words."


def without_passwords(text: object) -> str:
    """Return a text in which each password is `***`."""
    hidden = IN_ADDRESS.sub(f"{HIDDEN}@", str(text))
    secrets = {
        value
        for name, value in os.environ.items()
        if SECRET.search(name.upper()) and len(value) >= SHORTEST
    }
    for value in sorted(secrets, key=len, reverse=True):
        hidden = hidden.replace(value, HIDDEN)
    return hidden


def has_password(address: str) -> bool:
    """Return whether an address has a user or a password, `scheme://user:...@host`."""
    return IN_ADDRESS.search(address) is not None


def print_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print an error with its traceback, without passwords, on standard error."""
    text = "".join(traceback.format_exception(kind, error, trace))
    print(without_passwords(text), file=sys.stderr, end="")
