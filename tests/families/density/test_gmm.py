"""EM against scikit-learn from the same start, its stationary end, and odd data."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from ftml import Splits, Step, Table, fit
from ftml.families.density import _em, gmm
from ftml.families.density._em import expect
from ftml.families.density._mixture import Model, whitening

IRIS = load_iris().data
KINDS = ("full", "tied", "diag", "spherical")


def start(X: np.ndarray, config: gmm.Config) -> tuple[dict[str, Any], Model]:
    """Return the state before the first step and the mixture that it holds."""
    problem = gmm.make_problem(Table(X))
    state = gmm.begin(config, problem)
    roots = state["roots"][0]
    if config.covariance == "tied":
        roots = roots[:1]
    if config.covariance == "spherical":
        roots = roots[:, :1]
    return state, Model(state["weights"][0], state["means"][0] + X.mean(axis=0), roots)


def rival(model: Model, kind: str, X: np.ndarray, *, n: int) -> GaussianMixture:
    """Return scikit-learn's mixture after n steps from the same parameters."""
    precisions = {
        "full": lambda: np.linalg.inv(model.covariances),
        "tied": lambda: np.linalg.inv(model.covariances[0]),
        "diag": lambda: model.roots**-2,
        "spherical": lambda: model.roots[:, 0] ** -2,
    }[kind]()
    theirs = GaussianMixture(
        len(model.weights),
        covariance_type=kind,
        tol=0.0,
        max_iter=n,
        weights_init=model.weights,
        means_init=model.means,
        precisions_init=precisions,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return theirs.fit(X)


GROUPS = np.arange(61)[:, None] % 3
WIDE = np.random.default_rng(0).normal(size=(61, 9)) + 4.0 * GROUPS


@pytest.mark.parametrize("X", [IRIS, WIDE, WIDE[:, :1]], ids=["iris", "wide", "one"])
@pytest.mark.parametrize("kind", KINDS)
def test_lower_bound_of_every_iteration_is_that_of_scikit_learn(
    kind: Any, X: np.ndarray
) -> None:
    config = gmm.Config(
        n_components=3, covariance=kind, n_init=1, tolerance=0.0, n_iterations=30
    )
    state, first = start(X, config)
    theirs = rival(first, kind, X, n=31)
    steps = list(gmm.train(config, Splits(Table(X)), state))
    ours = [float(first.log_density(X).mean())]
    ours += [step.metrics["train_log_likelihood"] for step in steps]
    n = len(theirs.lower_bounds_)  # it stops where nothing changes any more
    np.testing.assert_allclose(ours[:n], theirs.lower_bounds_, atol=1e-8)
    model = steps[-1].model
    order = np.argsort(model.means[:, 0])
    their_order = np.argsort(theirs.means_[:, 0])
    np.testing.assert_allclose(
        model.means[order], theirs.means_[their_order], atol=1e-2
    )
    np.testing.assert_allclose(model.log_density(X).mean(), theirs.score(X), atol=2e-3)
    assert model.n_parameters == theirs._n_parameters()


def test_parameters_after_five_steps_are_those_of_scikit_learn() -> None:
    X = load_wine().data[:, :5]
    config = gmm.Config(n_components=4, n_init=1, tolerance=0.0, n_iterations=5)
    state, first = start(X, config)
    theirs = rival(first, "full", X, n=5)
    model = list(gmm.train(config, Splits(Table(X)), state))[-1].model
    np.testing.assert_allclose(model.weights, theirs.weights_, rtol=1e-9)
    np.testing.assert_allclose(model.means, theirs.means_, rtol=1e-9)
    np.testing.assert_allclose(
        model.covariances, theirs.covariances_, rtol=1e-7, atol=1e-9
    )
    np.testing.assert_allclose(model.log_density(X), theirs.score_samples(X), rtol=1e-9)
    assert gmm.bic(model, X) == pytest.approx(theirs.bic(X), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_likelihood_never_falls_and_the_end_is_stationary(kind: Any) -> None:
    config = gmm.Config(
        n_components=2,
        covariance=kind,
        reg_covar=1e-12,
        tolerance=1e-13,
        n_iterations=3000,
        n_init=1,
    )
    data = Splits(Table(IRIS))
    steps = list(gmm.train(config, data))
    values = [step.metrics["train_log_likelihood"] for step in steps]
    assert np.diff(values).min() > -1e-12
    model = steps[-1].model
    resp = np.exp(model.log_components(IRIS) - model.log_density(IRIS)[:, None])
    # Where only monotony is asked, weights that are never updated pass.
    np.testing.assert_allclose(resp.mean(axis=0), model.weights, atol=1e-5)
    # The multiplier of the constraint is n for every component (the notes: n / K).
    np.testing.assert_allclose((resp / model.weights).sum(axis=0), len(IRIS), rtol=1e-4)
    means = resp.T @ IRIS / resp.sum(axis=0)[:, None]
    np.testing.assert_allclose(means, model.means, atol=1e-4)


def test_em_step_is_a_preconditioned_gradient_step() -> None:
    config = gmm.Config(n_components=3, n_init=1, reg_covar=0.0, n_iterations=1)
    state, before = start(IRIS, config)
    (step,) = gmm.train(config, Splits(Table(IRIS)), state)
    log_p = before.log_components(IRIS)
    resp = np.exp(log_p - before.log_density(IRIS)[:, None])
    N, n = resp.sum(axis=0), len(IRIS)
    in_means = [
        np.linalg.solve(before.covariances[k], resp[:, k] @ (IRIS - before.means[k]))
        for k in range(3)
    ]
    in_weights = N / before.weights
    for k in range(3):
        moved = step.model.means[k] - before.means[k]
        np.testing.assert_allclose(
            moved, before.covariances[k] @ in_means[k] / N[k], atol=1e-10
        )
    pi = before.weights
    metric = (np.diag(pi) - np.outer(pi, pi)) / n
    np.testing.assert_allclose(step.model.weights - pi, metric @ in_weights, atol=1e-12)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_tensors_give_the_same_moments(kind: Any) -> None:
    config = gmm.Config(n_components=3, n_init=2, covariance=kind)
    state = gmm.begin(config, gmm.make_problem(Table(IRIS)))
    X = IRIS - IRIS.mean(axis=0)
    flat = [state[name].reshape(6, *state[name].shape[2:]) for name in gmm_parts()]
    given = (np.log(flat[0]), flat[1], whitening(flat[2]), np.array([3, 3]))
    ours, theirs = expect(X, *given), expect(torch.tensor(X), *given)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_mixtures_looked_at_in_groups_give_the_same_moments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    sizes, d = np.array([2, 1, 4, 3]), 4
    given = (
        np.log(rng.dirichlet(np.ones(10))),
        rng.normal(size=(10, d)),
        np.triu(rng.random((10, d, d))) + np.eye(d),
        sizes,
    )
    together = expect(IRIS, *given)
    monkeypatch.setattr(_em, "CACHE", 5 * d * _em.FEWEST_ROWS)
    for one, other in zip(together, expect(IRIS, *given), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)


def gmm_parts() -> tuple[str, ...]:
    return "weights", "means", "roots"


def test_training_on_tensors_gives_the_same_mixture(monkeypatch: Any) -> None:
    data, config = Splits(Table(IRIS)), gmm.Config(n_components=3, n_iterations=10)
    expected = fit(config, data)

    def on_device(X: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(X)

    monkeypatch.setattr(gmm, "on_gpu", on_device)
    found = fit(config, data)
    np.testing.assert_allclose(found.model.means, expected.model.means, rtol=1e-9)


def test_restarts_and_several_k_at_once_are_each_alone() -> None:
    configs = [
        gmm.Config(n_components=k, covariance=kind, n_init=3, n_iterations=20)
        for k, kind in ((1, "full"), (3, "diag"), (4, "tied"), (2, "spherical"))
    ]
    data = Splits(Table(IRIS))
    last: dict[int, Step] = {}
    for steps in gmm.train_many(configs, data):
        last |= {i: step for i, step in enumerate(steps) if step}
    for i, config in enumerate(configs):
        alone = fit(config, data)
        assert last[i].n == alone.n
        np.testing.assert_allclose(last[i].model.means, alone.model.means, rtol=1e-9)


def test_samples_have_the_moments_of_the_mixture() -> None:
    for kind in KINDS:
        model = fit(gmm.Config(n_components=3, covariance=kind), Table(IRIS)).model
        drawn = model.sample(20_000, seed=0)
        mean = model.weights @ model.means
        within = np.einsum("k,kij->ij", model.weights, model.covariances)
        away = model.means - mean
        total = within + np.einsum("k,ki,kj->ij", model.weights, away, away)
        # Standard errors: about 2 / sqrt(20,000) = .014 for means, more for squares.
        np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.06)
        np.testing.assert_allclose(np.cov(drawn.T), total, atol=0.15)


def test_odd_rows_have_a_defined_answer() -> None:
    duplicates = np.repeat([[0.0, 5.0], [1.0, 5.0]], 6, axis=0)  # 5: a constant column
    for kind in KINDS:
        config = gmm.Config(n_components=3, covariance=kind)
        model = fit(config, Table(duplicates)).model
        assert np.isfinite(model.log_density(duplicates)).all()
        assert model.weights.sum() == pytest.approx(1.0)
    one = fit(gmm.Config(n_components=1), Table(np.array([[3.0, 4.0]]))).model
    assert one.means.tolist() == [[3.0, 4.0]]
    np.testing.assert_allclose(one.covariances, [1e-6 * np.eye(2)])


def test_rows_far_from_zero_have_the_same_mixture() -> None:
    config = gmm.Config(n_components=3, n_iterations=20)
    near, far = fit(config, Table(IRIS)), fit(config, Table(IRIS + 1e6))
    name = "train_log_likelihood"
    assert far.metrics[name] == pytest.approx(near.metrics[name], abs=1e-6)


def test_faults_are_one_clear_error() -> None:
    with pytest.raises(ValueError, match="n_components is 3, the training data has 2"):
        fit(gmm.Config(n_components=3), Table(np.eye(2)))
    model = fit(gmm.Config(), Table(IRIS)).model
    with pytest.raises(ValueError, match="X must be finite"):
        model.log_density(np.full((1, 4), np.nan))


def test_components_far_apart_begin_as_the_clusters_of_the_rows() -> None:
    label = np.repeat([0, 1, 2], [12, 12, 36])
    X = np.random.default_rng(0).normal(size=(60, 1)) + 1e5 * label[:, None]
    model = fit(gmm.Config(n_components=3, n_iterations=1), Table(X)).model
    order = np.argsort(model.means[:, 0])
    expected = [X[label == j].var() for j in range(3)]
    np.testing.assert_allclose(model.weights[order], [0.2, 0.2, 0.6])
    np.testing.assert_allclose(model.roots[order, 0, 0] ** 2, expected, rtol=1e-5)


DEPENDENT = np.arange(9.0)[:, None] * [1.0, 2.0]
CONSTANT = np.arange(9.0)[:, None] * [1.0, 0.0]
REPEATED = np.repeat([[0.0, 0.0], [3.0, 5.0]], 4, axis=0)


@pytest.mark.parametrize(
    ("X", "kind", "k", "said"),
    [
        (DEPENDENT, "full", 1, "of component 0, of 9 .* depends on the others in it"),
        (DEPENDENT, "tied", 1, "that all components share, .* depends on the others"),
        (CONSTANT, "full", 1, r"column 1 \(from 0\) has one value in it"),
        (CONSTANT, "diag", 1, r"column 1 \(from 0\) has one value in it"),
        (CONSTANT, "tied", 1, r"column 1 \(from 0\) has one value in each"),
        (REPEATED, "full", 2, "of 4 rows .* of the 2 columns is constant or depends"),
        (REPEATED, "spherical", 2, "every column has .* lower n_components below 2"),
    ],
)
def test_a_covariance_without_full_rank_is_refused_with_its_reason(
    X: np.ndarray, kind: Any, k: int, said: str
) -> None:
    config = gmm.Config(n_components=k, covariance=kind, reg_covar=0.0)
    with pytest.raises(ValueError, match=said):
        fit(config, Table(X))


def test_figure_over_components_has_held_out_likelihood_and_bic() -> None:
    config = gmm.Config(n_components=2, n_init=1, n_iterations=20)
    data = Splits(Table(IRIS))
    drawn = gmm.figures(config, fit(config, data).model, data)
    (axes,) = drawn["number_of_components"].axes
    names = [line.get_label() for line in axes.get_lines()]
    assert names == ["training rows", "held-out rows", "BIC / -2n", "this model"]


def test_figure_of_a_sample_says_how_many_rows_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gmm, "FIGURE_ROWS", 40)
    config = gmm.Config(n_components=1, n_init=1, n_iterations=2)
    data = Splits(Table(IRIS))
    drawn = gmm.figures(config, fit(config, data).model, data)
    (axes,) = drawn["number_of_components"].axes
    assert axes.get_ylabel() == "mean log-likelihood of 40 of 150 rows, nats"
