"""Mixture density networks: torch's densities, gradients by hand, laws of moments."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

import ftml
from ftml import Splits, Table
from ftml.data.inverse_sinusoid import inverse_sinusoid
from ftml.families.neural.mixture_density import Config, Model, figures
from ftml.nn.mixture import (
    LIMIT,
    NegativeLogLikelihood,
    cdf_of,
    mean_of,
    mixture_of,
    variance_of,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


Y = normal(6, seed=1)


def of_torch(outputs: Tensor) -> MixtureSameFamily:
    logits, mean, log_variance = outputs.chunk(3, dim=1)
    return MixtureSameFamily(
        Categorical(logits=logits), Normal(mean, (log_variance / 2).exp())
    )


SHAPES = [(6, 3), (1, 1), (5, 40)]
"Rows and components."


@pytest.mark.parametrize(("n", "k"), SHAPES)
def test_density_and_moments_are_those_of_torch(n: int, k: int) -> None:
    outputs, y = normal(n, 3 * k), normal(n, seed=1)
    law, mixture = of_torch(outputs), mixture_of(outputs)
    ours = NegativeLogLikelihood.apply(outputs, y)
    torch.testing.assert_close(ours, -law.log_prob(y), rtol=0, atol=1e-10)
    for one, other in (
        (mean_of(mixture), law.mean),
        (variance_of(mixture), law.variance),
        (cdf_of(mixture, y), law.cdf(y)),
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("n", "k"), SHAPES)
def test_gradient_by_hand_is_that_of_autograd_and_of_differences(
    n: int, k: int
) -> None:
    outputs, y = normal(n, 3 * k).requires_grad_(), normal(n, seed=1)
    ours, theirs = (
        torch.autograd.grad(each.sum(), outputs)[0]
        for each in (
            NegativeLogLikelihood.apply(outputs, y),
            -of_torch(outputs).log_prob(y),
        )
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    assert torch.autograd.gradcheck(
        lambda given: NegativeLogLikelihood.apply(given, y), (outputs,)
    )


def test_log_variance_beyond_its_limit_is_held_and_has_no_gradient() -> None:
    outputs = torch.tensor([[0.0, 1.0, 40.0], [0.0, 1.0, -40.0]]).double()
    outputs.requires_grad_()
    mixture = mixture_of(outputs)
    assert mixture.log_variance.flatten().tolist() == [LIMIT, -LIMIT]
    loss = NegativeLogLikelihood.apply(outputs, torch.zeros(2).double())
    (slope,) = torch.autograd.grad(loss.sum(), outputs)
    assert torch.isfinite(loss).all()
    assert slope[:, 2].tolist() == [0, 0]


def test_one_component_of_constant_variance_is_least_squares() -> None:
    # v = e^0: -ln p = (y - g)^2 / 2 + const, so its slope in g is that of the squares.
    g = normal(6, seed=2).requires_grad_()
    outputs = torch.stack([torch.zeros(6), g, torch.zeros(6)], dim=1).double()
    loss = NegativeLogLikelihood.apply(outputs, Y).sum()
    squares = 0.5 * (Y - g).square().sum()
    torch.testing.assert_close(loss, squares + 3 * math.log(2 * math.pi))
    (one,), (other,) = (torch.autograd.grad(each, g) for each in (loss, squares))
    torch.testing.assert_close(one, other, rtol=1e-13, atol=0)


@pytest.fixture(scope="module")
def model() -> Model:
    # Other units than the sinusoid's, so that a lost scale is seen.
    data = inverse_sinusoid(n_samples=300)
    return ftml.fit(Config(n_epochs=40), replace(data, y=100 * data.y + 7)).model


X = np.array([[0.1], [0.5], [0.9]])


def test_density_integrates_to_one_and_has_its_mean_and_variance(model: Model) -> None:
    # No deviation is below 0.2 here: steps of 0.02 leave nothing between them.
    y = np.linspace(-2000, 2100, 205_001)
    for row, mean, variance in zip(X, model.predict(X), model.variance(X), strict=True):
        density = np.exp(model.log_density(np.tile(row, (len(y), 1)), y))
        assert np.trapezoid(density, y) == pytest.approx(1, abs=1e-6)
        assert np.trapezoid(y * density, y) == pytest.approx(mean, rel=1e-6)
        apart = (y - mean) ** 2
        assert np.trapezoid(apart * density, y) == pytest.approx(variance, rel=1e-4)
        below = np.trapezoid(density[y <= 50], y[y <= 50])
        assert model.cdf(row[None], np.array([50.0]))[0] == pytest.approx(
            below, abs=1e-6
        )


def test_modes_are_where_the_density_is_highest_around(model: Model) -> None:
    modes = model.modes(X)
    assert len(modes[1]) >= 2  # in the middle one x has several y
    for row, found in zip(X, modes, strict=True):
        assert (np.diff(found) > 0).all()
        for y in found:
            around = model.log_density(
                np.tile(row, (3, 1)), y + np.array([-0.5, 0, 0.5])
            )
            assert around[1] >= around.max() - 1e-6
    grid = np.linspace(-20, 130, 3001)
    for row, found in zip(X, modes, strict=True):
        density = model.log_density(np.tile(row, (len(grid), 1)), grid)
        assert np.abs(found - grid[density.argmax()]).min() < 0.1


def test_samples_have_the_mean_and_the_variance(model: Model) -> None:
    n = 20_000
    for row, mean, variance in zip(X, model.predict(X), model.variance(X), strict=True):
        drawn = model.sample(np.tile(row, (n, 1)), np.random.default_rng(0))
        # 5 standard errors; the kurtosis of these mixtures is below 5.
        assert abs(drawn.mean() - mean) < 5 * math.sqrt(variance / n)
        assert drawn.var() == pytest.approx(variance, rel=5 * math.sqrt(4 / n))


def test_loss_is_that_of_the_model_on_the_scale_of_the_target(model: Model) -> None:
    data = inverse_sinusoid(n_samples=300)
    data = replace(data, y=100 * data.y + 7)
    step = ftml.fit(Config(n_epochs=1, batch_size=30, learning_rate=1e-9), data)
    ours = -step.model.log_density(data.X, data.y).mean()
    assert ours == pytest.approx(step.metrics["train_loss"], rel=1e-3)


def test_several_components_beat_one_on_the_inverse_sinusoid() -> None:
    train, test = (inverse_sinusoid(n_samples=500, seed=s) for s in (0, 1))
    nll = {
        k: -ftml.fit(Config(n_components=k, n_epochs=20), train)
        .model.log_density(test.X, test.y)
        .mean()
        for k in (1, 5)
    }
    assert nll[5] < nll[1] - 0.2


def test_figure_is_of_one_feature_alone(model: Model) -> None:
    data = inverse_sinusoid(n_samples=50)
    assert list(figures(Config(), model, Splits(data))) == ["conditional_density"]
    two = Table(np.ones((3, 2)), np.arange(3.0))
    assert figures(Config(), model, Splits(two)) == {}


@pytest.mark.parametrize(("n", "y"), [(1, 2.0), (5, 2.0), (10, 0.1), (1000, 0.1)])
def test_target_that_never_varies_is_refused(n: int, y: float) -> None:
    data = Table(np.arange(float(n))[:, None], np.full(n, y))
    with pytest.raises(ValueError, match=f"the target is {y:g} in every row"):
        ftml.fit(Config(), data)
