"""Noise-contrastive estimation: its constant, its derivatives, its end."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from scipy.special import expit

from ftml import Splits, Table, fit
from ftml.families.density import nce, score_matching
from ftml.families.density._energy import bumps_at, gaussian_log_z


def test_constant_of_a_gaussian_is_minus_log_z() -> None:
    # Variance 2.25 at 20,000 rows: -log Z = -log sqrt(2 pi v) in the rows' own units.
    x = 1.5 * np.random.default_rng(0).normal(size=(20_000, 1))
    config = nce.Config(n_bumps=0, noise_ratio=1, penalty=1e-6)
    model = fit(config, Table(x)).model
    log_scale = float(np.log(model.root[0, 0]))
    variance = model.root[0, 0] ** 2 / model.precision[0, 0]
    assert variance == pytest.approx(2.25, rel=0.03)
    c = -model.log_z - log_scale
    assert c == pytest.approx(-0.5 * np.log(2 * np.pi * 2.25), abs=0.03)
    assert model.log_z == pytest.approx(
        gaussian_log_z(model.precision, model.slope), abs=0.03
    )


def test_features_in_blocks_give_the_same_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(1).normal(size=(43, 3)) ** 3
    config = nce.Config(n_bumps=4, n_draws=100)
    whole = fit(config, Table(X))
    monkeypatch.setattr(nce, "AT_ONCE", 700)  # 50 rows of 14 features
    blocks = fit(config, Table(X))
    np.testing.assert_allclose(
        blocks.state["theta"], whole.state["theta"], rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("family", [nce, score_matching])
def test_too_many_columns_are_refused_with_the_memory_they_take(
    family: ModuleType,
) -> None:
    """784 columns: 24 GiB of features and 709 GiB of second derivatives."""
    message = "784 columns and 50 bumps have 308,554 coefficients, .* take 709 GiB"
    with pytest.raises(ValueError, match=message):
        fit(family.Config(), Table(np.zeros((900, 784))))


@pytest.mark.parametrize(("n", "d", "n_bumps"), [(40, 3, 5), (7, 1, 9), (9, 2, 0)])
def test_derivatives_by_central_differences(n: int, d: int, n_bumps: int) -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(n, d))
    bumps = bumps_at(y, rng.permutation(len(y))[:n_bumps], width=0.5)
    problem = nce.make_problem(nce.Config(penalty=0.3), y, bumps)
    theta = problem.start + 0.05 * rng.normal(size=len(problem.start))
    gradient, hessian = nce.derivatives(problem, theta)
    eps = 1e-6
    for i, e in enumerate(eps * np.eye(len(theta))):
        up, down = theta + e, theta - e
        slope = (nce.loss(problem, up) - nce.loss(problem, down)) / (2 * eps)
        assert gradient[i] == pytest.approx(slope, rel=1e-6, abs=1e-8)
        curved = nce.derivatives(problem, up)[0] - nce.derivatives(problem, down)[0]
        np.testing.assert_allclose(hessian[i], curved / (2 * eps), rtol=1e-5, atol=1e-7)


def test_end_is_stationary_and_rows_and_noise_balance() -> None:
    X = np.random.default_rng(1).normal(size=(200, 2)) ** 3
    config = nce.Config(n_bumps=10)
    steps = list(nce.train(config, Splits(Table(X))))
    losses = [step.metrics["train_loss"] for step in steps]
    assert np.diff(losses).max() < 1e-12
    assert steps[-1].metrics["train_gradient"] < 1e-8
    # The constant is not penalised: rows not recognised weigh as much as noise taken.
    y, rng = nce.whitened_rows(Table(X))[0], np.random.default_rng(0)
    bumps = bumps_at(y, rng.permutation(len(y))[:10], width=config.width)
    problem = nce.make_problem(config, y, bumps)
    p = expit(nce.scores(problem, steps[-1].state["theta"]))
    assert (1 - p[:200]).sum() == pytest.approx(p[200:].sum(), rel=1e-8)


def test_mass_is_near_one_and_said() -> None:
    X = np.random.default_rng(1).normal(size=(2000, 2))
    model = fit(nce.Config(n_bumps=20), Table(X)).model
    assert abs(model.log_mass) < 0.05
    assert 0 <= model.log_z_error < 0.01


def test_rows_that_determine_no_gaussian_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fix a Gaussian"):
        fit(nce.Config(), Table(np.ones((5, 2))))
