"""Distributions from which a search samples the fields of a configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Uniform:
    """Real numbers between `low` and `high`, all equally likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)

    def ends(self) -> tuple[Any, ...]:
        # Ends are floats because samples are: a field of whole numbers then refuses
        # both.
        return float(self.low), float(self.high)

    def sample(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class LogUniform:
    """Positive real numbers whose logarithm is uniform between those of `low` and
    `high`.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)
        if self.low <= 0:
            raise ValueError(f"log_uniform needs low > 0, got {self.low}")

    def ends(self) -> tuple[Any, ...]:
        return float(self.low), float(self.high)

    def sample(self, rng: np.random.Generator) -> float:
        value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class Integers:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high)
        if not (isinstance(self.low, int) and isinstance(self.high, int)):
            raise ValueError(
                f"integers needs whole numbers, got {self.low}, {self.high}"
            )

    def ends(self) -> tuple[Any, ...]:
        return self.low, self.high

    def sample(self, rng: np.random.Generator) -> int:
        return int(rng.integers(self.low, self.high, endpoint=True))


class Choice:
    """One of the given options."""

    def __init__(self, *options: Any) -> None:
        if not options:
            kind = type(self).__name__.lower()
            raise ValueError(f"{kind} needs at least one option")
        self.options = options

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.options}"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.options == vars(other)["options"]

    def __hash__(self) -> int:
        return hash(repr(self.options))

    def ends(self) -> tuple[Any, ...]:
        return self.options

    def sample(self, rng: np.random.Generator) -> Any:
        return self.options[int(rng.integers(len(self.options)))]


class Grid(Choice):
    """Every one of the given options: a search tries them all."""


MAX_GRID = 10_000
"Largest number of points of a grid that is computed."


def log_grid(low: float, high: float, count: int) -> Grid:
    """Return `count` numbers from `low` to `high` at equal ratios."""
    import numpy as np

    _check_bounds(low, high)
    if low <= 0:
        raise ValueError(f"log_grid needs low > 0, got {low}")
    if not isinstance(count, int) or not 2 <= count <= MAX_GRID:
        raise ValueError(f"log_grid needs a count of 2 to {MAX_GRID}, got {count}")
    return Grid(*np.geomspace(low, high, count).tolist())


Distribution = Uniform | LogUniform | Integers | Choice
DISTRIBUTIONS: dict[str, Any] = {
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "integers": Integers,
    "choice": Choice,
    "grid": Grid,
    "log_grid": log_grid,
}
"The distributions by their names in params.yaml."

FORMS = {"choice": [], "grid": [], "log_grid": ["low", "high", "count"]}
"The arguments of a distribution other than low and high; an empty form takes options."


def _check_bounds(low: Any, high: Any) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"expected low < high, both finite, got {low}, {high}")
