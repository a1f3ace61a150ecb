"""A claim is about the code that users call: when that breaks, the claim fails."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from ftml.evidence import Budget, claim

# The claim, the function to break as module:name, and how: from the right function to
# a wrong one that a hasty change could leave behind.
MUTATIONS: list[tuple[str, str, Callable[[Any], Any]]] = [
    (
        "sums_of_squares",
        "ftml.claims.linear.sums_of_squares:solve_ols",
        lambda solve: lambda X, y: solve(X, y - 0.01 * X[:, 0] * y.std()),
    ),
]


@pytest.mark.parametrize(("name", "target", "broken"), MUTATIONS)
def test_claim_fails_when_its_family_is_broken(
    name: str, target: str, broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module_name, _, attribute = target.partition(":")
    module = importlib.import_module(module_name)
    assert claim(name).check(0, Budget()).passed
    monkeypatch.setattr(module, attribute, broken(getattr(module, attribute)))
    assert not claim(name).check(0, Budget()).passed
