"""Nesterov's gradient: its bound at every step, its rate, and two steps by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ftml.families.optimization._finite_sum import gradient, objective
from ftml.families.optimization.nesterov import Config, train
from tests.families.optimization.sums import (
    SHAPES,
    breast_cancer,
    gaps,
    overlapping,
    problem,
)


@pytest.mark.parametrize("mu", [1e-3, 1e-1])
@pytest.mark.parametrize("make", [overlapping, breast_cancer])
def test_bound_on_the_gap_holds_at_every_step(make, mu: float) -> None:
    data = make()
    g, best = problem(data, mu)
    start = np.log(2) - objective(g, best) + 0.5 * mu * (best @ best)
    curve = gaps("nesterov", data, 200, alpha=mu)
    bound = (1 - np.sqrt(mu / g.smoothness)) ** np.arange(1, 201) * start
    assert (curve <= bound + 1e-15).all()


def test_it_needs_fewer_steps_than_gradient_descent() -> None:
    data = breast_cancer()
    ours = gaps("nesterov", data, 60, alpha=0.1)
    plain = gaps("gradient_descent", data, 60, alpha=0.1)
    assert ours[-1] < 1e-4 * plain[-1]


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_two_steps_by_hand(n: int, d: int) -> None:
    data = overlapping(n, d)
    g, _ = problem(data, 0.1)
    root = np.sqrt(0.1 / g.smoothness)
    one = -gradient(g, np.zeros(d + 1)) / g.smoothness
    ahead = one + (1 - root) / (1 + root) * one
    two = ahead - gradient(g, ahead) / g.smoothness
    first, second, *_ = train(Config(alpha=0.1, n_passes=2), data)
    np.testing.assert_allclose(first.state["theta"], one, rtol=1e-12)
    np.testing.assert_allclose(second.state["theta"], two, rtol=1e-12)
