"""How a command reports an error."""

from __future__ import annotations

import sys
from typing import NoReturn


def fail(error: BaseException) -> NoReturn:
    """Print one error, without a traceback, and leave with status 1."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)
