"""Learning rates that change: the factor of the update t, counted from 0, of T.

Source: Deep learning cheat sheet, sections 14.5 (decay) and 14.9 (Robbins-Monro).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

Schedule = Literal["constant", "inverse", "robbins_monro", "cosine"]


def _constant(t: int, T: int) -> float:
    return 1.0


def _inverse(t: int, T: int) -> float:
    return 1.0 / (1.0 + 10.0 * t / T)


def _robbins_monro(t: int, T: int) -> float:
    return float((1.0 + 10.0 * t / T) ** -0.75)


def _cosine(t: int, T: int) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * min(t / T, 1.0)))


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": _constant,
    "inverse": _inverse,
    "robbins_monro": _robbins_monro,
    "cosine": _cosine,
}
"""1; 1 / (1 + 10 t/T), an eleventh at the end; (1 + 10 t/T)^(-3/4), whose sum diverges
and whose squares' sum does not, as Robbins and Monro ask; and half a cosine, 1 to 0."""
