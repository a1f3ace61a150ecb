"""SAGA: steps one by one, unbiasedness, and its proved rate."""

from __future__ import annotations

import numpy as np
import pytest

from ftml.families.optimization._finite_sum import gradient
from ftml.families.optimization.saga import Config, descend, train
from tests.families.optimization.sums import SHAPES, gaps, overlapping, problem


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_steps_by_the_formula_one_by_one(n: int, d: int) -> None:
    g, _ = problem(overlapping(n, d), 0.1)
    rows, gamma = np.array([3, 1, 3, n - 1, 1]), 0.3
    theta, memory = np.random.default_rng(0).normal(size=d + 1), np.zeros(n)
    start = theta
    for i in rows:
        a = -g.y[i] / (1 + np.exp(g.y[i] * (g.X[i] @ theta)))
        bracket = (a - memory[i]) * g.X[i] + memory @ g.X / n + 0.1 * theta
        theta = theta - gamma * bracket
        memory[i] = a
    ours, slopes = descend(g.X, g.y, start, np.zeros(n), rows, gamma, 0.1)
    np.testing.assert_allclose(ours, theta, rtol=1e-12)
    np.testing.assert_allclose(slopes, memory, rtol=1e-13)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_mean_step_over_all_samples_is_a_gradient_step(n: int, d: int) -> None:
    g, _ = problem(overlapping(n, d), 0.1)
    rng = np.random.default_rng(0)
    start, memory = rng.normal(size=d + 1), rng.normal(size=n)
    moved = [
        descend(g.X, g.y, start, memory, np.array([i]), 0.5, 0.1)[0] for i in range(n)
    ]
    expected = start - 0.5 * gradient(g, start)
    np.testing.assert_allclose(np.mean(moved, axis=0), expected, atol=1e-13)


def test_distance_to_the_optimum_falls_at_the_proved_rate() -> None:
    # E|theta_t - theta*|^2 <= (1 - min(1/4n, mu/3L))^t [|theta_0 - theta*|^2 + C], with
    # C = 2n/(3(mu n + L)) (mean loss part of the gap to theta*): below twice the gap.
    data, mu = overlapping(), 0.1
    g, best = problem(data, mu)
    L, n = g.smoothness_of_each.max(), len(g.y)
    start = best @ best + 2 * n / (3 * (mu * n + L)) * 2 * np.log(2)
    config = Config(alpha=mu, n_passes=60, tolerance=0.0)
    distances = np.array(
        [np.sum((step.state["theta"] - best) ** 2) for step in train(config, data)]
    )
    t = n * np.arange(1, len(distances) + 1)
    assert (distances <= (1 - min(1 / (4 * n), mu / (3 * L))) ** t * start).all()


def test_larger_steps_reach_the_optimum_to_rounding() -> None:
    assert gaps("saga", overlapping(), 120, alpha=0.1, step=3.0)[-1] < 1e-12
