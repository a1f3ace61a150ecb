"""Kernel density against scikit-learn, its left-out likelihood, its rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.datasets import load_wine
from sklearn.neighbors import KernelDensity

from ftml import Splits, Table, fit
from ftml.families.density import kde

X = load_wine().data[:, :4]


WIDE = np.random.default_rng(0).normal(size=(9, 12))


@pytest.mark.parametrize(("rows", "n"), [(X, 100), (WIDE, 5), (WIDE[:, :1], 8)])
def test_log_density_is_that_of_scikit_learn(rows: np.ndarray, n: int) -> None:
    config = kde.Config(bandwidth=0.7, standardize=False)
    ours = fit(config, Table(rows[:n])).model.log_density(rows[n:])
    theirs = KernelDensity(bandwidth=0.7).fit(rows[:n]).score_samples(rows[n:])
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_standard_bandwidth_is_that_of_scaled_columns() -> None:
    scale = X.std(axis=0)
    ours = fit(kde.Config(bandwidth=0.4), Table(X)).model.log_density(X)
    scaled = KernelDensity(bandwidth=0.4).fit(X / scale).score_samples(X / scale)
    np.testing.assert_allclose(ours, scaled - np.log(scale).sum(), atol=1e-9)


@pytest.mark.parametrize("standardize", [True, False])
def test_left_out_likelihood_is_that_of_as_many_fits(standardize: bool) -> None:
    rows = X[:20]
    config = kde.Config(bandwidth=0.6, standardize=standardize)
    step = fit(config, Table(rows))
    singles = []
    for i in range(20):
        rest = kde.Model(np.delete(rows, i, axis=0), step.model.bandwidths)
        singles.append(rest.log_density(rows[i : i + 1])[0])
    found = step.metrics["train_left_out_log_likelihood"]
    assert found == pytest.approx(np.mean(singles), abs=1e-10)


def test_rows_in_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit(kde.Config(), Table(X))
    monkeypatch.setattr(kde, "AT_ONCE", 1000)
    parts = fit(kde.Config(), Table(X))
    name = "train_left_out_log_likelihood"
    assert parts.metrics[name] == pytest.approx(whole.metrics[name], rel=1e-12)
    np.testing.assert_allclose(parts.model.log_density(X), whole.model.log_density(X))


def test_integrated_squared_error_falls_as_n_to_the_minus_four_fifths() -> None:
    # n^(-4 / (4 + d)) at the best bandwidth of each n, d = 1 (the notes: log log n).
    grid = np.linspace(-5, 5, 201)
    truth = np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi)
    rng, best = np.random.default_rng(0), []
    for n in (50, 800):
        errors = np.zeros(8)
        for _ in range(20):
            rows = rng.normal(size=(n, 1))
            for j, h in enumerate(np.geomspace(0.15, 0.8, 8)):
                found = kde.Model(rows, np.array([h])).log_density(grid[:, None])
                errors[j] += np.mean((np.exp(found) - truth) ** 2)
        best.append(errors.min())
    slope = np.log(best[1] / best[0]) / np.log(16)
    assert slope == pytest.approx(-0.8, abs=0.2)


def test_samples_have_the_moments_of_the_kernels() -> None:
    model = fit(kde.Config(bandwidth=0.5), Table(X)).model
    drawn = model.sample(20_000, seed=0)
    scale = X.std(axis=0)
    np.testing.assert_allclose(
        drawn.mean(axis=0) / scale, X.mean(axis=0) / scale, atol=0.03
    )
    # Variances add: 1 of the rows and .25 of the kernels.
    np.testing.assert_allclose(drawn.var(axis=0) / scale**2, 1.25, rtol=0.05)


def test_odd_rows() -> None:
    flat = np.column_stack([np.repeat([0.0, 1.0], 5), np.full(10, 5.0)])
    assert np.isfinite(fit(kde.Config(), Table(flat)).model.log_density(flat)).all()
    with pytest.raises(ValueError, match="2 training rows or more, got 1"):
        fit(kde.Config(), Table(np.ones((1, 2))))
    with pytest.raises(ValueError, match=r"squares .* got 1e\+160 in row 1, col"):
        fit(kde.Config(standardize=False), Table(np.array([[0.0], [1e160]])))
    with pytest.raises(ValueError, match="X must be finite"):
        fit(kde.Config(), Table(flat)).model.log_density(np.full((1, 2), np.nan))


def test_figure_marks_the_bandwidth_of_the_model() -> None:
    config, data = kde.Config(bandwidth=0.3), Splits(Table(X))
    drawn = kde.figures(config, fit(config, data).model, data)
    _, mark = drawn["bandwidth"].axes[0].get_lines()
    assert list(mark.get_xdata()) == [0.3, 0.3]


def far_sides(X: np.ndarray) -> np.ndarray:
    X[:, 0] += 1e8 * (2 * (np.arange(len(X)) % 2) - 1)
    return X


def one_far_row(X: np.ndarray) -> np.ndarray:
    X[0] = 1e17
    return X


@pytest.mark.parametrize("moved", [far_sides, one_far_row])
def test_kernels_far_from_the_mean_keep_their_distances(
    moved: Callable[[np.ndarray], np.ndarray],
) -> None:
    far = moved(np.random.default_rng(0).normal(size=(40, 2)))
    step = fit(kde.Config(standardize=False, bandwidth=1.0), Table(far))
    squared = np.sum((far[:, None] - far) ** 2, axis=2)
    constant = kde.log_constant(np.ones(2), n=40)
    expected = logsumexp(-0.5 * squared, axis=1) + constant
    np.testing.assert_allclose(step.model.log_density(far), expected, atol=1e-6)
    np.fill_diagonal(squared, np.inf)
    expected = logsumexp(-0.5 * squared, axis=1) + kde.log_constant(np.ones(2), n=39)
    found = step.metrics["train_left_out_log_likelihood"]
    assert found == pytest.approx(expected.mean(), rel=1e-9)
