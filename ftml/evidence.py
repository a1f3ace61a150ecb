"""The contract of a claim, and the registry of claims (a folder).

A claim is a statement of the notes that numbers can check: one module in
`ftml/claims/<chapter>/`. Its docstring has the statement, the formula, the source and,
if the claim samples at random, a bound on the probability that a true claim fails and
its derivation. `check(seed, budget)` measures the claim on the code that users call and
returns `Evidence`. A module with `MISTAKES = (5,)` shows that the printed version of
the notes is wrong; `docs/sources.md` lists the mistakes by number.
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
"""sample(rng, n) returns n independent samples, (n,) or (n, k)."""

STANDARD_ERRORS = 5.5
"""Largest accepted distance of a sample mean from the expected value, in standard
errors.
"""

CHANCE = 1e-7
"""Bound on the probability that a normal variable is farther away: 3.8e-8, rounded up
for means that are only approximately normal.
"""


@dataclass(frozen=True)
class Budget:
    """How many random samples a claim may use, and the map function that computes them.

    `factor` multiplies the number of samples of the default budget. `map_function`
    applies a function to each item, as the built-in `map` does; another one may run in
    other processes.
    """

    factor: int = 1
    map_function: Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]] = map

    def draw(self, sample: Sample, *, seed: int, n: int) -> np.ndarray:
        """Return `factor` times n independent samples, by `factor` generators."""
        seeds = np.random.SeedSequence(seed).spawn(self.factor)
        parts = self.map_function(functools.partial(_draw, sample, n), seeds)
        return np.concatenate(list(parts))


def _draw(sample: Sample, n: int, seed: np.random.SeedSequence) -> np.ndarray:
    return sample(np.random.default_rng(seed), n)


@dataclass(frozen=True)
class Evidence:
    """The expected and the measured value of a claim.

    `tolerance` is the largest accepted distance between the two. `value_in_source`, for
    a mistake in the notes, is the value of the printed version: it must lie outside the
    tolerance. `standard_error` is that of `measured` if it is a mean of random samples,
    and `chance` bounds the probability that a true claim fails. `table` has the numbers
    behind the measured value; `figure` plots them.
    """

    expected: float
    measured: float
    tolerance: float
    value_in_source: float | None = None
    standard_error: float = 0.0
    chance: float = 0.0
    table: pd.DataFrame | None = None
    figure: Callable[[], Figure] | None = None

    @property
    def passed(self) -> bool:
        """Whether the measured value is within the tolerance and the value in source is
        not.
        """
        return self._agrees(self.measured) and not (
            self.value_in_source is not None and self._agrees(self.value_in_source)
        )

    def _agrees(self, value: float) -> bool:
        return math.isfinite(value) and abs(value - self.expected) <= self.tolerance


def evidence_of_mean(
    draws: np.ndarray,
    *,
    expected: float,
    value_in_source: float | None = None,
    table: pd.DataFrame | None = None,
    figure: Callable[[], Figure] | None = None,
) -> Evidence:
    """Return the evidence that samples `draws` (n,) have the mean `expected`.

    The tolerance of their mean is STANDARD_ERRORS standard errors: by the central limit
    theorem a true claim then fails with probability below CHANCE. More samples make the
    check sharper. Raises ValueError for fewer than 100 samples, for which the theorem
    is too inexact.
    """
    if draws.ndim != 1 or len(draws) < 100:
        raise ValueError(f"a mean needs 100 draws or more, (n,); got {draws.shape}")
    error = float(draws.std(ddof=1) / math.sqrt(len(draws)))
    return Evidence(
        expected=expected,
        measured=float(draws.mean()),
        tolerance=STANDARD_ERRORS * error,
        value_in_source=value_in_source,
        standard_error=error,
        chance=CHANCE,
        table=table,
        figure=figure,
    )


@dataclass(frozen=True)
class Claim:
    """The contents of a claim's module."""

    name: str
    chapter: str
    statement: str
    "the docstring without its source; its first line states the claim in words"

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
    """Return the contract's view of a claim's module; TypeError if a part is
    missing.
    """
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
