"""All checks of a family at one size, and what comes of each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ftml.core import Family
from tests.contract.checks import CHECKS
from tests.contract.refusals import may_refuse, unclear_refusal
from tests.contract.run import NotApplicable, Run
from tests.contract.size import Size

TRAINS = "trains_or_refuses_clearly"
"The name of what is checked before all checks."


@contextmanager
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def examine(kind: Family, size: Size) -> dict[str, str]:
    """Return the outcome of each check by its name: "pass", "refused: ...",
    "n/a: ..." or "FAIL: ...".
    """
    run = Run(kind, size)
    with warnings_are_errors():
        trained = _outcome(run, lambda run: run.steps)
        if trained != "pass":
            return {TRAINS: trained}
        found = {check.__name__: _outcome(run, check) for check in CHECKS}
    return {TRAINS: "pass", **found}


def _outcome(run: Run, check: Callable[[Run], Any]) -> str:
    try:
        check(run)
    except NotApplicable as reason:
        return f"n/a: {reason}"
    except Exception as error:
        unclear = unclear_refusal(error)
        if unclear is None and may_refuse(run):
            return f"refused: {error}"
        return f"FAIL: {unclear or f'refused: {error}'}"
    return "pass"


def failures(kind: Family, sizes: list[Size]) -> dict[tuple[str, str], str]:
    """Return what fails by size and check, over all sizes of a family."""
    return {
        (size.name, check): outcome
        for size in sizes
        for check, outcome in examine(kind, size).items()
        if outcome.startswith("FAIL")
    }
