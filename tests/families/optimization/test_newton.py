"""Newton's method: digits double, and a quadratic needs one step."""

from __future__ import annotations

import numpy as np
import pytest

from ftml.families.optimization._finite_sum import gradient, hessian
from ftml.families.optimization.newton import Config, train
from tests.families.optimization.sums import (
    SHAPES,
    breast_cancer,
    gaps,
    overlapping,
    problem,
)


def test_gap_falls_quadratically_near_the_optimum() -> None:
    # The gap after a step is at most C gap^2: 1e-12 needs few steps from 1e-3.
    curve = gaps("newton", breast_cancer(), 10, alpha=1e-2)
    near = curve[(curve > 1e-9) & (curve < 1e-2)]
    after = curve[1:][(curve[:-1] > 1e-9) & (curve[:-1] < 1e-2)]
    assert len(near) >= 2
    assert (after <= 50 * near**2).all()


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_first_step_solves_the_second_order_model(n: int, d: int) -> None:
    data = overlapping(n, d)
    g, _ = problem(data, 0.5)
    zero = np.zeros(d + 1)
    step = next(train(Config(alpha=0.5), data))
    expected = -np.linalg.inv(hessian(g, zero)) @ gradient(g, zero)
    np.testing.assert_allclose(step.state["theta"], expected, atol=1e-14)


def test_objective_never_rises_and_its_end_is_stationary() -> None:
    data = breast_cancer()
    g, _ = problem(data, 1e-4)
    *_, last = train(Config(alpha=1e-4, tolerance=0.0, n_passes=30), data)
    assert (np.diff(gaps("newton", data, 30, alpha=1e-4)) <= 1e-15).all()
    np.testing.assert_allclose(gradient(g, last.state["theta"]), 0, atol=1e-9)
