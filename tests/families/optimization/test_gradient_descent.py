"""Gradient descent: its two bounds at every step, and one step by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ftml.families.optimization._finite_sum import objective
from ftml.families.optimization.gradient_descent import Config, train
from tests.families.optimization.sums import (
    SHAPES,
    breast_cancer,
    gaps,
    overlapping,
    problem,
)


@pytest.mark.parametrize("mu", [1e-3, 1e-1])
@pytest.mark.parametrize("make", [overlapping, breast_cancer])
def test_both_bounds_on_the_gap_hold_at_every_step(make, mu: float) -> None:
    data = make()
    g, best = problem(data, mu)
    start = np.log(2) - objective(g, best)
    t = np.arange(1, 201)
    curve = gaps("gradient_descent", data, 200, alpha=mu)
    # Rounding of an objective near 1 is all that a bound is given besides.
    assert (curve <= g.smoothness * (best @ best) / (2 * t) + 1e-15).all()
    assert (curve <= (1 - mu / g.smoothness) ** t * start + 1e-15).all()


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_first_step_is_along_the_mean_of_the_labelled_rows(n: int, d: int) -> None:
    # At theta = 0 every derivative is -y/2.
    data = overlapping(n, d)
    g, _ = problem(data, 0.1)
    step = next(train(Config(alpha=0.1, step=0.5), data))
    expected = 0.5 / g.smoothness * 0.5 * (g.X.T @ g.y) / len(g.y)
    np.testing.assert_allclose(step.state["theta"], expected, rtol=1e-12)


def test_objective_never_rises_and_its_end_is_stationary() -> None:
    data = overlapping()
    curve = gaps("gradient_descent", data, 2000, alpha=0.1)
    assert (np.diff(curve) <= 1e-15).all()
    assert curve[-1] <= 1e-14
