"""Stochastic gradient descent: steps one by one, unbiasedness, schedules."""

from __future__ import annotations

import numpy as np
import pytest

from ftml.families.optimization._finite_sum import gradient
from ftml.families.optimization.sgd import Config, descend, train
from tests.families.optimization.sums import (
    SHAPES,
    breast_cancer,
    gaps,
    overlapping,
    problem,
)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_steps_by_the_formula_one_by_one(n: int, d: int) -> None:
    g, _ = problem(overlapping(n, d), 0.1)
    rows, sizes = np.array([3, 1, 3, n - 1]), np.array([0.5, 0.4, 0.3, 0.2])
    start = np.random.default_rng(0).normal(size=d + 1)
    expected, visited = start, []
    for i, size in zip(rows, sizes, strict=True):
        z = g.X[i] @ expected
        of_sample = -g.y[i] / (1 + np.exp(g.y[i] * z)) * g.X[i] + 0.1 * expected
        expected = expected - size * of_sample
        visited.append(expected)
    shares = 1.0 / np.arange(1, 5)
    theta, mean = descend(g.X, g.y, start, start, rows, sizes, shares, 0.1)
    np.testing.assert_allclose(theta, expected, rtol=1e-13)
    np.testing.assert_allclose(mean, np.mean(visited, axis=0), rtol=1e-13)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_mean_step_over_all_samples_is_a_gradient_step(n: int, d: int) -> None:
    g, _ = problem(overlapping(n, d), 0.1)
    start, size = np.random.default_rng(0).normal(size=d + 1), np.array([0.5])
    moved = [
        descend(g.X, g.y, start, start, np.array([i]), size, size, 0.1)[0]
        for i in range(n)
    ]
    expected = start - 0.5 * gradient(g, start)
    np.testing.assert_allclose(np.mean(moved, axis=0), expected, atol=1e-14)


def test_a_constant_step_stays_in_a_ball_and_its_average_leaves_it() -> None:
    data, settings = overlapping(400), {"alpha": 0.1, "step": 1.0}
    ball = gaps("sgd", data, 60, schedule="constant", **settings)
    mean = gaps("sgd", data, 60, schedule="averaged", **settings)
    assert np.median(ball[-20:]) > 0.3 * np.median(ball[10:30])
    assert mean[-20:].mean() < 0.1 * ball[-20:].mean()


def test_decreasing_steps_have_a_gap_of_the_order_of_one_over_t() -> None:
    data = overlapping(200)
    passes = np.mean(
        [
            gaps("sgd", data, 80, alpha=0.1, schedule="decreasing", seed=seed)
            for seed in range(6)
        ],
        axis=0,
    )
    slope = np.polyfit(np.log(np.arange(10, 81)), np.log(passes[9:]), 1)[0]
    assert -1.5 < slope < -0.6


@pytest.mark.parametrize("schedule", ["constant", "decreasing", "averaged"])
def test_resumed_training_equals_uninterrupted_training(schedule: str) -> None:
    config, data = Config(schedule=schedule, n_passes=6), breast_cancer()
    whole = list(train(config, data))
    resumed = list(train(config, data, whole[2].state))
    for one, other in zip(whole[3:], resumed, strict=True):
        assert one.metrics == other.metrics
