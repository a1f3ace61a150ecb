"""Loops compiled by numba: the only module that sets numba's options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable) -> Any:
    """Return the function compiled at its first call, with the result cached beside its
    source.

    The compiled function releases the interpreter's lock, so Python threads run it in
    parallel. It raises no exceptions.
    """
    return numba.njit(cache=True, nogil=True)(function)


def compiled_fast(function: Callable) -> Any:
    """Return the function compiled as by `compiled`, with sums in any order.

    The compiler may then vectorise sums. The order is fixed on one machine, so the same
    call returns bit-identical results there.
    """
    flags = {"reassoc", "contract", "nsz", "arcp"}
    return numba.njit(cache=True, nogil=True, fastmath=flags)(function)
