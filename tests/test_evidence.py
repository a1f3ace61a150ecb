"""The contract of a claim: evidence, budgets and the registry."""

from __future__ import annotations

import types

import numpy as np
import pytest

from ftml.evidence import (
    Budget,
    Evidence,
    claim,
    evidence_of_mean,
    read_claim,
)


@pytest.mark.parametrize(
    ("measured", "value_in_source", "passed"),
    [
        (1.05, None, True),
        (1.2, None, False),
        (float("nan"), None, False),
        (1.0, 2.0, True),
        (1.0, 1.05, False),
        (1.2, 2.0, False),
    ],
)
def test_evidence_passes_where_the_claim_holds_and_the_printed_version_does_not(
    measured: float, value_in_source: float | None, passed: bool
) -> None:
    evidence = Evidence(1.0, measured, tolerance=0.1, value_in_source=value_in_source)
    assert evidence.passed == passed


def test_a_printed_version_that_is_no_number_is_no_agreement() -> None:
    evidence = Evidence(1.0, 1.0, tolerance=0.1, value_in_source=float("nan"))
    assert evidence.passed


def test_a_larger_budget_samples_more_and_sharpens_the_tolerance() -> None:
    def normal(rng: np.random.Generator, n: int) -> np.ndarray:
        return rng.normal(3.0, size=n)

    small, large = (Budget(factor=f).draw(normal, seed=1, n=200) for f in (1, 9))
    assert (len(small), len(large)) == (200, 1800)
    assert len(np.unique(large)) == 1800
    np.testing.assert_array_equal(large[:200], small)
    evidence = evidence_of_mean(large, expected=3.0)
    assert evidence.passed
    assert evidence.standard_error == pytest.approx(1 / np.sqrt(1800), rel=0.1)
    wider = evidence_of_mean(small, expected=3.0).tolerance
    assert evidence.tolerance == pytest.approx(wider / 3, rel=0.2)
    assert not evidence_of_mean(large, expected=3.2).passed


@pytest.mark.parametrize("draws", [np.ones(99), np.ones((200, 2))])
def test_a_mean_of_few_samples_is_refused(draws: np.ndarray) -> None:
    with pytest.raises(ValueError, match="100 draws or more"):
        evidence_of_mean(draws, expected=1.0)


def test_a_claim_is_read_with_its_statement_and_source() -> None:
    read = claim("sums_of_squares")
    assert read.chapter == "linear"
    assert read.title.startswith("TSS = ESS + RSS")
    assert "Source" not in read.statement
    assert read.source.startswith("FTML lecture 9")
    assert read.mistakes == (12,)


def test_unknown_claim_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="unknown claim 'sum_of_squares'; nearest: su"):
        claim("sum_of_squares")


def test_a_claim_without_check_or_source_is_refused() -> None:
    module = types.ModuleType("ftml.claims.linear.odd", "Says much. Cites nothing.")
    with pytest.raises(TypeError, match="odd lacks check"):
        read_claim(module)
    module.check = lambda seed, budget: None  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="statement and 'Source:'"):
        read_claim(module)
