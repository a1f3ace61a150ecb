"""Boltzmann machines: Z by enumeration and annealing, gradients, what training does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM

from ftml import Table, fit
from ftml.families.density import rbm
from ftml.families.density.rbm import Model

DIGITS = (load_digits().data > 7.5).astype(np.float64)


def random_model(d: int, h: int, *, scale: float = 0.5) -> Model:
    rng = np.random.default_rng(0)
    W, a, b = (scale * rng.normal(size=shape) for shape in ((d, h), d, h))
    return Model(W, a, b, base=np.zeros(d))


def all_rows(d: int) -> np.ndarray:
    return np.array([[(i >> j) & 1 for j in range(d)] for i in range(2**d)], float)


@pytest.mark.parametrize(("d", "h"), [(6, 4), (4, 6), (5, 5)])
def test_probabilities_of_all_rows_sum_to_one(d: int, h: int) -> None:
    model = random_model(d, h)
    rows = all_rows(d)
    assert np.exp(model.log_density(rows)).sum() == pytest.approx(1.0, rel=1e-12)
    assert model.log_z == pytest.approx(logsumexp(model.negative_free_energy(rows)))
    assert model.log_z_error == 0.0


@pytest.mark.parametrize(("d", "h"), [(9, 3), (3, 9), (5, 5)])
def test_normaliser_in_blocks_is_the_same(
    d: int, h: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_model(d, h)
    whole = rbm.exact_log_z(model)
    monkeypatch.setattr(rbm, "AT_ONCE", 30)
    assert rbm.exact_log_z(model) == pytest.approx(whole, rel=1e-13)


@pytest.mark.parametrize(("d", "h"), [(6, 4), (3, 7), (1, 1)])
def test_free_energy_is_that_of_scikit_learn(d: int, h: int) -> None:
    model, theirs = random_model(d, h), BernoulliRBM(h)
    theirs.components_ = model.W.T
    theirs.intercept_hidden_, theirs.intercept_visible_ = model.b, model.a
    rows = all_rows(d)
    np.testing.assert_allclose(
        model.negative_free_energy(rows), -theirs._free_energy(rows), rtol=1e-12
    )


def test_annealed_normaliser_is_the_exact_one_within_a_twentieth_of_a_nat() -> None:
    config = rbm.Config(n_hidden=10, n_epochs=5)
    model = fit(config, Table(DIGITS[:600])).model
    log_z, error = rbm.annealed_log_z(model, n_chains=200, n_temperatures=1000, seed=1)
    assert log_z == pytest.approx(rbm.exact_log_z(model), abs=0.05)
    assert 0 < error < 0.05


def test_large_machine_is_annealed_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rbm, "MOST_SUMMED", 3)
    model = random_model(6, 4)
    assert model.log_z_error > 0
    assert model.log_z == pytest.approx(rbm.exact_log_z(model), abs=0.05)


def test_gradient_is_that_of_the_exact_log_likelihood() -> None:
    model, rows = random_model(4, 3), all_rows(4)
    data = rows[[1, 3, 3, 7]]
    # Fantasies in proportion to their probability: each row so often as its share says.
    p = np.exp(model.log_density(rows))
    often = np.repeat(rows, np.rint(p * 200_000).astype(int), axis=0)
    found = rbm.gradients(data, often, model.W, model.b)

    def log_lik(W: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        return float(Model(W, a, b, model.base).log_density(data).mean())

    given, eps = [model.W, model.a, model.b], 1e-5
    for k, gradient in enumerate(found):
        for place in np.ndindex(gradient.shape):
            moved = []
            for sign in (1, -1):
                changed = [each.copy() for each in given]
                changed[k][place] += sign * eps
                moved.append(log_lik(*changed))
            numeric = (moved[0] - moved[1]) / (2 * eps)
            # Shares are rounded to 1 / 200,000.
            assert gradient[place] == pytest.approx(numeric, abs=1e-4)


def test_gibbs_steps_preserve_the_distribution_of_the_model() -> None:
    model, rows = random_model(4, 3), all_rows(4)
    drawn = model.sample(5000, seed=0)
    index = (drawn @ 2 ** np.arange(4)).astype(int)
    share = np.bincount(index, minlength=16) / 5000
    # Standard error of a share of .1: .004.
    np.testing.assert_allclose(share, np.exp(model.log_density(rows)), atol=0.02)


@pytest.mark.parametrize("persistent", [False, True])
def test_training_beats_independent_columns_by_far(persistent: bool) -> None:
    train, held = DIGITS[:1000], DIGITS[1000:]
    config = rbm.Config(
        n_hidden=10, n_epochs=15, learning_rate=0.3, persistent=persistent
    )
    model = fit(config, Table(train)).model
    alone = Model(
        np.zeros_like(model.W), model.base, np.zeros_like(model.b), model.base
    )
    gain = model.log_density(held).mean() - alone.log_density(held).mean()
    assert gain > 3.0  # nats per sample


def test_rows_that_are_not_binary_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected rows of 0 and 1, got 0\.5"):
        fit(rbm.Config(), Table(np.array([[0.0, 1.0], [0.5, 1.0]])))


def test_constant_columns_and_one_row_have_finite_probabilities() -> None:
    for rows in (np.ones((6, 4)), np.zeros((1, 3))):
        model = fit(rbm.Config(n_epochs=3), Table(rows)).model
        assert np.isfinite(model.log_density(rows)).all()
