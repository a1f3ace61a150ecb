"""Non-negative factorisation against scikit-learn, its end, and odd data."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF

from ftml import Splits, Table, fit
from ftml.families.decomposition import nmf

DIGITS = load_digits().data


@pytest.mark.parametrize(("n", "q"), [(300, 10), (11, 4)])
def test_objective_is_within_a_percent_of_that_of_scikit_learn(n: int, q: int) -> None:
    X = DIGITS[:n]
    step = fit(nmf.Config(n_components=q, n_iterations=500), Table(X))
    theirs = NMF(q, max_iter=2000, tol=1e-5, random_state=0).fit(X)
    ours = step.state["objective"]
    assert ours == pytest.approx(0.5 * theirs.reconstruction_err_**2, rel=0.01)


def test_objective_never_rises_and_no_value_is_negative() -> None:
    config = nmf.Config(n_components=5, n_iterations=50, tolerance=0.0)
    steps = list(nmf.train(config, Splits(Table(DIGITS[:200]))))
    values = [step.state["objective"] for step in steps]
    assert np.diff(values).max() <= 1e-9 * values[0]
    state = steps[-1].state
    assert min(state["code"].min(), state["H"].min()) >= 0
    lost = np.sum((DIGITS[:200] - state["code"] @ state["H"]) ** 2)
    assert values[-1] == pytest.approx(0.5 * lost, rel=1e-9)


def test_end_is_stationary() -> None:
    X = np.random.default_rng(0).random((30, 8))
    config = nmf.Config(n_components=3, n_iterations=5000, tolerance=0.0)
    state = fit(config, Table(X)).state
    C, H = state["code"], state["H"]
    # Where a value is above 0 its derivative is 0, elsewhere it is not below.
    for value, slope in ((C, (C @ H - X) @ H.T), (H, C.T @ (C @ H - X))):
        assert slope.min() > -1e-4
        assert np.abs(value * slope).max() < 1e-4


def test_code_of_new_rows_is_the_best_one() -> None:
    rng = np.random.default_rng(0)
    model = nmf.Model(rng.random((3, 8)))
    code = rng.random((5, 3)) * (rng.random((5, 3)) < 0.6)
    np.testing.assert_allclose(
        model.transform(code @ model.components), code, atol=1e-4
    )


def test_large_column_does_not_hide_the_error_of_the_others() -> None:
    X = np.random.default_rng(0).random((60, 8)) * [1e8, *np.ones(7)]
    config = nmf.Config(n_components=3, n_iterations=1000, tolerance=1e-8)
    start, step = nmf.begin(config, X), fit(config, Table(X))
    state = step.state
    lost = np.mean((X - state["code"] @ state["H"]) ** 2)
    assert step.metrics["train_reconstruction_error"] == pytest.approx(lost, rel=1e-6)
    theirs = NMF(3, init="custom", max_iter=4000, tol=1e-6)
    theirs.fit_transform(X, W=start["code"], H=start["H"])
    assert lost <= theirs.reconstruction_err_**2 / X.size


def test_code_of_many_parts_is_the_best_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    # Parts that are much alike: sweeps settle slowly.
    H, X = 1.0 + 0.1 * rng.random((12, 20)), rng.random((7, 20))
    monkeypatch.setattr(nmf, "SWEEPS", 5)
    code = nmf.Model(H).transform(X)
    expected = np.array([scipy.optimize.nnls(H.T, x)[0] for x in X])
    np.testing.assert_allclose(code, expected, atol=1e-9)


@pytest.mark.parametrize("scale", [1e4, 1e9])
def test_code_is_the_best_one_where_a_column_has_another_scale(scale: float) -> None:
    X = np.random.default_rng(0).random((30, 6))
    X[:, 2] *= scale
    model = fit(nmf.Config(n_components=3, n_iterations=20), Table(X)).model
    least = [scipy.optimize.nnls(model.components.T, x)[1] ** 2 for x in X]
    lost = np.sum((X - model.reconstruct(X)) ** 2, axis=1)
    np.testing.assert_allclose(lost, least, rtol=2e-3)


def test_pixels_of_one_byte_do_not_wrap() -> None:
    pixels = DIGITS[:50].astype(np.uint8) * 15
    config = nmf.Config(n_components=4, n_iterations=20)
    one, other = (fit(config, Table(X)) for X in (pixels, pixels.astype(float)))
    assert one.metrics == other.metrics
    np.testing.assert_array_equal(
        one.model.transform(pixels), other.model.transform(pixels.astype(float))
    )


def test_odd_rows() -> None:
    zero = fit(nmf.Config(), Table(np.zeros((3, 4))))
    assert zero.metrics["train_reconstruction_error"] == 0.0
    assert zero.model.reconstruct(np.ones((2, 4))).tolist() == np.zeros((2, 4)).tolist()
    one = fit(nmf.Config(), Table(np.array([[1.0, 2.0, 0.0]])))
    assert one.metrics["train_reconstruction_error"] == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="values of 0 or more, got -1 in column x1"):
        fit(nmf.Config(), Table(np.array([[0.0, -1.0]])))
    with pytest.raises(ValueError, match="X must be finite"):
        one.model.transform(np.full((1, 3), np.nan))
