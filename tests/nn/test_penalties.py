"""Priors and penalties: gradients, torch's densities, invariances, closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from ftml.nn.penalties import (
    gaussian_prior,
    l1,
    l2,
    mixture_prior,
    mixture_prior_gradient,
    nearest_component,
    soft_threshold,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_l1_and_l2_of_members_are_those_of_each_alone() -> None:
    stack, strength = [normal(3, 4, 2), normal(3, 5, seed=1)], normal(3, seed=2).abs()
    for penalty in (l1, l2):
        together = penalty(stack, strength)
        for i in range(3):
            alone = penalty([each[i] for each in stack], strength[i].item())
            torch.testing.assert_close(together[i], alone)
    flat = torch.cat([each[0].flatten() for each in stack])
    torch.testing.assert_close(
        l1([each[0] for each in stack], 0.3), 0.3 * flat.norm(p=1)
    )
    torch.testing.assert_close(
        l2([each[0] for each in stack], 0.3), 0.15 * flat.square().sum()
    )


def test_l2_shrinks_a_quadratic_as_its_closed_form_says() -> None:
    # argmin 1/2 (v - w)' H (v - w) + lambda/2 |v|^2 = (H + lambda I)^-1 H w; with H =
    # Q diag(e) Q' it is Q diag(e / (e + lambda)) Q' w, for one common lambda alone.
    rng = np.random.default_rng(0)
    A = rng.normal(size=(4, 4))
    H, w = torch.from_numpy(A @ A.T), normal(4)
    values, Q = torch.linalg.eigh(H)
    v = (Q @ (values / (values + 0.7) * (Q.T @ w))).requires_grad_()
    loss = 0.5 * (v - w) @ H @ (v - w) + l2([v], 0.7)
    (slope,) = torch.autograd.grad(loss, v)  # convex: 0 at the minimum alone
    torch.testing.assert_close(slope, torch.zeros_like(w), rtol=0, atol=1e-12)


def test_l1_of_a_diagonal_quadratic_is_minimised_by_the_soft_threshold() -> None:
    H, w, strength = normal(6).abs() + 0.2, normal(6, seed=1), 0.4
    v = soft_threshold(w, strength / H)

    def objective(u: Tensor) -> Tensor:
        return 0.5 * H * (u - w) ** 2 + strength * u.abs()  # (..., 6), each by itself

    grid = torch.linspace(-4, 4, 4001, dtype=torch.float64)[:, None]
    assert (objective(v) <= objective(grid).amin(dim=0) + 1e-12).all()
    assert (v == 0).any()
    assert (v != 0).any()


def test_gaussian_prior_is_the_density_of_torch() -> None:
    weights, sigmas = [normal(3, 4), normal(5, seed=1)], (0.7, 2.0)
    density = [
        Normal(0.0, s).log_prob(w).sum() for w, s in zip(weights, sigmas, strict=True)
    ]
    torch.testing.assert_close(gaussian_prior(weights, sigmas), -sum(density))


def test_prior_of_two_deviations_does_not_mind_the_scale_of_the_inputs() -> None:
    # x' = a x has the same function with w1 / a: sigma_1 / a makes up for it, up to a
    # constant; one sigma for both layers does not (mistake 6).
    a, first, second = 7.0, normal(3, 4), normal(2, 3, seed=1)
    other = normal(3, 4, seed=2)

    def difference(sigmas: tuple[float, float], scale: float) -> Tensor:
        one = gaussian_prior([first / scale, second], sigmas)
        return one - gaussian_prior([other / scale, second], sigmas)

    torch.testing.assert_close(
        difference((0.5, 2.0), 1.0), difference((0.5 / a, 2.0), a)
    )
    assert not torch.isclose(difference((2.0, 2.0), 1.0), difference((2.0, 2.0), a))


def test_ridge_with_rescaled_inputs_and_penalty_predicts_the_same() -> None:
    # lambda = 1 / (2 sigma^2) grows by a^2 when sigma_1 falls by a.
    X, y, a = normal(20, 3), normal(20, seed=1), 7.0

    def fit(X: Tensor, strength: float) -> Tensor:
        gram = X.T @ X + strength * torch.eye(3, dtype=X.dtype)
        return X @ torch.linalg.solve(gram, X.T @ y)

    torch.testing.assert_close(fit(a * X, 0.3 * a**2), fit(X, 0.3), rtol=0, atol=1e-8)
    assert not torch.allclose(fit(a * X, 0.3), fit(X, 0.3), atol=1e-3)


def test_prior_of_another_number_of_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="sigmas: expected one for each of 2 layers"):
        gaussian_prior([normal(2), normal(3)], (1.0,))


PRIOR = (normal(3, seed=1), 0.3 * normal(3, seed=2), normal(3, seed=3))


def test_mixture_prior_is_the_density_of_torch() -> None:
    means, log_variances, logits = PRIOR
    law = MixtureSameFamily(
        Categorical(logits=logits), Normal(means, (log_variances / 2).exp())
    )
    w = normal(40)
    torch.testing.assert_close(mixture_prior(w, *PRIOR), -law.log_prob(w).sum())


def test_gradient_of_the_mixture_prior_is_that_of_autograd_and_of_differences() -> None:
    given = [each.clone().requires_grad_() for each in (normal(40), *PRIOR)]
    expected = torch.autograd.grad(mixture_prior(*given), given)
    for one, other in zip(mixture_prior_gradient(*given), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    assert torch.autograd.gradcheck(mixture_prior, given)


def test_prior_of_weights_far_from_every_centre_stays_finite() -> None:
    w = torch.tensor([1e6, -1e6], dtype=torch.float64)
    assert torch.isfinite(mixture_prior(w, *PRIOR))
    assert all(torch.isfinite(each).all() for each in mixture_prior_gradient(w, *PRIOR))


def test_weight_belongs_to_the_component_most_probable_for_it() -> None:
    means = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64)
    zeros = torch.zeros(3, dtype=torch.float64)
    found = nearest_component(
        torch.tensor([-0.9, 0.1, 5.0]).double(), means, zeros, zeros
    )
    assert found.tolist() == [0, 1, 2]
    rare = torch.tensor([0.0, 0.0, -50.0], dtype=torch.float64)
    assert nearest_component(means, means, zeros, rare).tolist() == [0, 1, 1]


def test_early_stopping_follows_the_ridge_path() -> None:
    # Gradient descent from 0 on 1/2 (v - w)' H (v - w) is I - (I - eta H)^t of w; ridge
    # is H (H + lambda I)^-1, and lambda = 1 / (eta t) ties the two.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 10)) * np.logspace(0, -2, 10)
    y = X @ rng.normal(size=10) + 0.1 * rng.normal(size=200)
    H, c = X.T @ X / 200, X.T @ y / 200
    eta = 0.1 / np.linalg.eigvalsh(H).max()
    theta, stopped, ridge = np.zeros(10), [], []
    for t in range(1, 3001):
        theta = theta - eta * (H @ theta - c)
        if t % 100 == 0:
            stopped.append(theta)
            ridge.append(np.linalg.solve(H + np.eye(10) / (eta * t), c))
    for one, other in zip(stopped, ridge, strict=True):
        assert np.corrcoef(X @ one, X @ other)[0, 1] > 0.99
    # What is left of a direction of curvature e: (1 - eta e)^t against lambda / (e +
    # lambda), within 2e-3 where e / lambda = e eta t <= .05.
    t, e = 500, np.linspace(1e-6, 0.05, 50) / (eta * 500)
    kept, shrunk = (1 - eta * e) ** t, 1 / (1 + e * eta * t)
    assert np.abs(kept - shrunk).max() < 2e-3
