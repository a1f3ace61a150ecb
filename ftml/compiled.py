"""Loops compiled by numba: the one place that says how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable) -> Any:
    """Return the function compiled at its first call, and kept beside its source.

    It runs without the interpreter's lock, so that threads of Python run it side by
    side; it raises nothing.
    """
    return numba.njit(cache=True, nogil=True)(function)


def compiled_fast(function: Callable) -> Any:
    """Return the function compiled as `compiled` does, with sums in any order.

    Sums then fill the lanes of the processor. The order is fixed on one machine, so
    that the same call gives the same bits there.
    """
    flags = {"reassoc", "contract", "nsz", "arcp"}
    return numba.njit(cache=True, nogil=True, fastmath=flags)(function)
