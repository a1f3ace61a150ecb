"""The contract of a claim, and the registry of claims, which is a folder.

A claim is a statement of the notes that numbers can check: one module in
`ftml/claims/<chapter>/`. Its docstring holds the statement, the formula, where chance
enters how small the probability of a failure by chance is and how that follows, and
the source. `check(seed, budget)` measures it on the code that users call and returns
`Evidence`. A module with `MISTAKES = (5,)` shows that the notes, as printed, are wrong
there: the numbers are those that the docstrings of the families give.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ftml.folders import chapter_by_name, module_named, statement_and_source

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Sample = Callable[[np.random.Generator, int], np.ndarray]
"""sample(rng, n) returns n independent draws, (n,) or (n, k)."""

STANDARD_ERRORS = 5.5
"""How far the mean of draws may lie from what a claim expects, in standard errors."""

CHANCE = 1e-7
"""Bound on the probability that a normal variable is farther off: 3.8e-8, rounded up
for means that are normal only nearly.
"""


@dataclass(frozen=True)
class Budget:
    """How much the claims that draw at random may draw, and who draws it.

    `factor` is how many times the draws of the default budget; `spread` applies a
    function to each item, as `map` does, perhaps in other processes.
    """

    factor: int = 1
    spread: Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]] = map

    def draw(self, sample: Sample, *, seed: int, n: int) -> np.ndarray:
        """Return `factor` times n independent draws, by `factor` generators."""
        seeds = np.random.SeedSequence(seed).spawn(self.factor)
        parts = self.spread(functools.partial(_draw, sample, n), seeds)
        return np.concatenate(list(parts))


def _draw(sample: Sample, n: int, seed: np.random.SeedSequence) -> np.ndarray:
    return sample(np.random.default_rng(seed), n)


@dataclass(frozen=True)
class Evidence:
    """What a claim expects, and what was measured.

    `tolerance` is the largest distance between the two that passes. `as_printed` is,
    for a mistake in the notes, what is measured when one computes as they print it: it
    must lie outside of the tolerance. `standard_error` is that of `measured` where it
    is a mean of random draws, and `chance` bounds the probability that a true claim
    fails. `table` has the numbers behind; `figure` draws them.
    """

    expected: float
    measured: float
    tolerance: float
    as_printed: float | None = None
    standard_error: float = 0.0
    chance: float = 0.0
    table: pd.DataFrame | None = None
    figure: Callable[[], Figure] | None = None

    @property
    def passed(self) -> bool:
        """Whether the claim holds, and what the notes misprint does not."""
        return self._agrees(self.measured) and not (
            self.as_printed is not None and self._agrees(self.as_printed)
        )

    def _agrees(self, value: float) -> bool:
        return math.isfinite(value) and abs(value - self.expected) <= self.tolerance


def evidence_of_mean(
    draws: np.ndarray,
    *,
    expected: float,
    as_printed: float | None = None,
    table: pd.DataFrame | None = None,
    figure: Callable[[], Figure] | None = None,
) -> Evidence:
    """Return the evidence that draws (n,) have the mean `expected`.

    Their mean is compared within STANDARD_ERRORS of it: by the central limit theorem a
    true claim then fails with probability below CHANCE. The more draws, the sharper.
    Raises ValueError for fewer than 100 draws, of which that cannot be said.
    """
    if draws.ndim != 1 or len(draws) < 100:
        raise ValueError(f"a mean needs 100 draws or more, (n,); got {draws.shape}")
    error = float(draws.std(ddof=1) / math.sqrt(len(draws)))
    return Evidence(
        expected=expected,
        measured=float(draws.mean()),
        tolerance=STANDARD_ERRORS * error,
        as_printed=as_printed,
        standard_error=error,
        chance=CHANCE,
        table=table,
        figure=figure,
    )


@dataclass(frozen=True)
class Claim:
    """A claim's module, read."""

    name: str
    chapter: str
    statement: str
    "the docstring without its source: the first line says it in words"

    source: str
    mistakes: Sequence[int]
    check: Callable[[int, Budget], Evidence]

    @property
    def title(self) -> str:
        """The first line of the statement."""
        return self.statement.partition("\n")[0]


def claims() -> dict[str, str]:
    """Return the name of every claim and its chapter; nothing is imported."""
    return chapter_by_name("ftml.claims")


@functools.cache
def claim(name: str) -> Claim:
    """Return the claim of that name, its module imported.

    Raises ValueError for a name that no chapter holds (the nearest is given) and
    TypeError for a module that lacks a part of the contract.
    """
    return read_claim(module_named("ftml.claims", name, what="claim"))


def read_claim(module: Any) -> Claim:
    """Return the contract's view of a claim's module; TypeError for what it lacks."""
    if not hasattr(module, "check"):
        raise TypeError(f"{module.__name__} lacks check, which every claim has")
    statement, source = statement_and_source(module)
    if not (statement and source):
        raise TypeError(
            f"{module.__name__} needs a docstring with its statement and 'Source:'"
        )
    parts = module.__name__.split(".")
    return Claim(
        name=parts[-1],
        chapter=parts[-2] if len(parts) > 1 else "",
        statement=statement,
        source=source,
        mistakes=getattr(module, "MISTAKES", ()),
        check=module.check,
    )
