"""SAG: steps one by one, its bar on breast cancer, its line search and its sampling."""

from __future__ import annotations

import numpy as np
import pytest

from ftml.families.optimization.sag import (
    Config,
    descend,
    enlarged,
    sampling_probabilities,
    step_size,
    train,
)
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
    rows, gamma = np.array([3, 1, 3, n - 1, 1]), 0.3
    theta, memory = np.random.default_rng(0).normal(size=d + 1), {}
    start = theta
    for i in rows:
        memory[i] = -g.y[i] / (1 + np.exp(g.y[i] * (g.X[i] @ theta)))
        mean = sum(a * g.X[j] for j, a in memory.items()) / len(memory)
        theta = theta - gamma * (mean + 0.1 * theta)
    ours, slopes, _ = descend(g.X, g.y, start, np.zeros(n), rows, gamma, 1.0, 0.1)
    np.testing.assert_allclose(ours, theta, rtol=1e-12)
    np.testing.assert_allclose(
        slopes, [memory.get(i, 0.0) for i in range(n)], rtol=1e-13
    )


@pytest.mark.parametrize(
    ("step", "sampling", "passes"),
    [
        ("1/L", "lipschitz", 60),
        ("line_search", "uniform", 60),
        ("line_search", "lipschitz", 60),
    ],
)
def test_gap_is_one_hundred_millionth_after_sixty_passes_over_breast_cancer(
    step: str, sampling: str, passes: int
) -> None:
    data = breast_cancer()
    curve = gaps("sag", data, passes, alpha=1e-2, step=step, sampling=sampling)
    assert curve[-1] <= 1e-8


def test_rate_that_is_proved_holds_for_the_small_step() -> None:
    # The bound on the expected gap, (1 - min(mu/(16L), 1/(8n)))^t C_0, with
    # C_0 = gap_0 + (4L/n) |theta_0 - theta*|^2 + sigma^2 / (16 L), mean of gradients^2.
    data, mu = overlapping(), 0.1
    g, best = problem(data, mu)
    L, n = g.smoothness_of_each.max(), len(g.y)
    gradients = -(g.y / (1 + np.exp(g.y * (g.X @ best))))[:, None] * g.X + mu * best
    start = (
        np.log(2)
        - np.logaddexp(0, -g.y * (g.X @ best)).mean()
        - 0.5 * mu * best @ best
        + 4 * L / n * best @ best
        + np.sum(gradients**2) / n / (16 * L)
    )
    curve = np.mean(
        [
            gaps(
                "sag",
                data,
                100,
                alpha=mu,
                step="1/16L",
                sampling="uniform",
                seed=seed,
            )
            for seed in range(3)
        ],
        axis=0,
    )
    t = n * np.arange(1, 101)
    assert (curve <= (1 - min(mu / (16 * L), 1 / (8 * n))) ** t * start).all()


def test_line_search_doubles_until_the_step_lowers_the_loss_enough() -> None:
    # Loss log(1 + exp(-m)) along x, |x|^2 = 4; a step 1/l moves m by |a| |x|^2 / l.
    margin, norm = 0.3, 4.0
    a = 1 / (1 + np.exp(margin))
    found = enlarged(1e-3, margin, a**2 * norm)

    def lowers(guess: float) -> bool:
        after = np.log1p(np.exp(-(margin + a * norm / guess)))
        return after <= np.log1p(np.exp(-margin)) - 0.5 * a**2 * norm / guess

    assert lowers(found)
    assert not lowers(found / 2)
    assert enlarged(norm / 4, margin, a**2 * norm) == norm / 4  # |x|^2/4 always does


def test_half_of_the_samples_come_in_proportion_to_their_constants() -> None:
    constants = np.array([1.0, 2.0, 5.0])
    p = sampling_probabilities(constants, Config(sampling="lipschitz"))
    np.testing.assert_allclose(p, [1 / 6 + 1 / 16, 1 / 6 + 2 / 16, 1 / 6 + 5 / 16])
    assert sampling_probabilities(constants, Config(sampling="uniform")) is None


def test_step_sizes_of_the_rules() -> None:
    constants = np.array([1.0, 2.0, 6.0])
    uniform = {"sampling": "uniform"}
    assert step_size(constants, Config(step="1/L", **uniform)) == 1 / 6
    assert step_size(constants, Config(step="1/16L", **uniform)) == 1 / 96
    assert step_size(constants, Config(step="line_search")) == 0.0
    assert step_size(constants, Config(step="1/L")) == (1 / 6 + 1 / 3) / 2


def test_resumed_training_equals_uninterrupted_training() -> None:
    config, data = Config(step="line_search", n_passes=6), breast_cancer()
    whole = list(train(config, data))
    resumed = list(train(config, data, whole[2].state))
    for one, other in zip(whole[3:], resumed, strict=True):
        assert one.metrics == other.metrics
