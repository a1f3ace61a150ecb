"""Models with latent variables against factor analysis, Monte Carlo and enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from ftml import Splits, Table, fit
from ftml.families.decomposition import factor_analysis
from ftml.families.generative import deep_latent_gaussian, vae
from ftml.families.generative._latent import (
    drawn_code,
    gaussian_kl,
    importance_bound,
    log_likelihood,
)
from ftml.nn.latent_networks import DeepLatentGaussian, DrawOfRows, LatentGaussian
from ftml.nn.layers import Draw
from tests.test_contract import small_data


def draw_of(seed: int = 0) -> Draw:
    return Draw([torch.Generator().manual_seed(seed)], stacked=False)


def test_the_closed_form_of_the_kl_is_its_mean_over_draws() -> None:
    mu, log_v = torch.tensor([[0.5, -1.0, 2.0]]), torch.tensor([[0.3, -1.5, 0.0]])
    many = 200_000
    z = drawn_code(mu.expand(many, 3), log_v.expand(many, 3), draw_of())
    q = torch.distributions.Normal(mu, (0.5 * log_v).exp())
    log_ratio = (q.log_prob(z) - torch.distributions.Normal(0, 1).log_prob(z)).sum(1)
    error = 4 * log_ratio.std().item() / math.sqrt(many)
    assert gaussian_kl(mu, log_v).item() == pytest.approx(
        log_ratio.mean().item(), abs=error
    )


def linear_network(
    d: int, m: int, *, exact: bool
) -> tuple[LatentGaussian, np.ndarray, np.ndarray]:
    """Return a linear-Gaussian VAE, float64, the mean and the covariance of its law.

    The columns of W are orthogonal, those beyond d zero, so that the posterior's
    covariance, I / (1 + w'w / s^2) of each, is diagonal. exact: the encoder gives the
    posterior.
    """
    generator = torch.Generator().manual_seed(0)
    network = LatentGaussian((d,), m, gaussian=True, generator=generator).double()
    rng, W = np.random.default_rng(0), torch.zeros(d, m).double()
    columns = np.linalg.qr(rng.normal(size=(d, min(d, m))))[0]
    lengths = np.linspace(0.5, 2.5, min(d, m))
    W[:, : min(d, m)] = torch.from_numpy(columns * lengths)
    mean, noise = torch.linspace(-2.0, 3.0, d).double(), 0.7
    v = 1 / (1 + W.square().sum(dim=0) / noise)
    head, decoder = network.encoder.head, network.decoder.head
    with torch.no_grad():
        decoder.weight.copy_(W)
        decoder.bias.copy_(mean)
        network.log_noise.fill_(math.log(noise))
        if exact:
            forward = v[:, None] * W.T / noise
            head.weight.copy_(torch.cat([forward, torch.zeros(m, d)]))
            head.bias.copy_(torch.cat([-forward @ mean, v.log()]))
    return network, mean.numpy(), (W @ W.T + noise * torch.eye(d).double()).numpy()


@pytest.mark.parametrize(("n", "d", "m"), [(6, 4, 2), (1, 13, 3), (5, 2, 4)])
def test_the_bound_is_equal_where_the_encoder_is_the_posterior(
    n: int, d: int, m: int
) -> None:
    """log p(x, z) - log q(z | x) is then log p(x) for every z, so for one draw."""
    network, mean, covariance = linear_network(d, m, exact=True)
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(2)).double()
    expected = multivariate_normal(mean, covariance).logpdf(x.numpy())
    found = importance_bound(network, x, draw_of(), n_draws=1).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    # In closed form: E_q log p(x | z) - KL.
    mu, log_v = network.encode(x)
    slack = (network.decoder.head.weight.square() @ log_v.exp().T).T / 0.7
    elbo = log_likelihood(network, x, mu) - 0.5 * slack.sum(1) - gaussian_kl(mu, log_v)
    np.testing.assert_allclose(elbo.detach().numpy(), expected, rtol=1e-10)


def test_more_draws_come_nearer_to_the_likelihood_from_below() -> None:
    network, mean, covariance = linear_network(4, 2, exact=False)
    x = torch.from_numpy(
        np.random.default_rng(0).multivariate_normal(mean, covariance, 200)
    )
    exact = multivariate_normal(mean, covariance).logpdf(x.numpy()).mean()
    bounds = [
        importance_bound(network, x, draw_of(1), n_draws=n).mean().item()
        for n in (1, 8, 64, 500)
    ]
    assert bounds == sorted(bounds)
    assert bounds[-1] < exact + 0.02
    assert exact - bounds[-1] < 0.25 * (exact - bounds[0])


def factors() -> Splits[Table]:
    """Return rows of two factors in five columns of different noise and unit."""
    rng = np.random.default_rng(3)
    W = rng.normal(size=(5, 2))
    X = rng.normal(size=(900, 2)) @ W.T + rng.normal(size=(900, 5)) * [
        0.3,
        0.5,
        0.4,
        0.6,
        0.3,
    ]
    table = Table(X * [1.0, 10.0, 0.1, 1.0, 5.0] + 2.0)
    return Splits(table.rows(np.arange(600)), None, table.rows(np.arange(600, 900)))


LINEAR = vae.Config(
    hidden=(), n_code=2, n_epochs=150, learning_rate=0.03, batch_size=100
)


@pytest.fixture(scope="module")
def linear() -> vae.Model:
    return fit(LINEAR, factors().train).model


def test_a_linear_vae_reaches_the_likelihood_of_factor_analysis(
    linear: vae.Model,
) -> None:
    data = factors()
    rival = fit(factor_analysis.Config(n_components=2), data.train).model
    rows = data.test.X
    expected = rival.log_density(rows).mean()
    assert linear.elbo(rows).mean() == pytest.approx(expected, abs=0.1)
    assert linear.log_likelihood(rows).mean() == pytest.approx(expected, abs=0.1)


def test_gaussian_samples_have_the_moments_of_the_rows(linear: vae.Model) -> None:
    drawn, rows = linear.sample(5000, seed=0), factors().train.X
    np.testing.assert_allclose(drawn.std(axis=0), rows.std(axis=0), rtol=0.12)
    np.testing.assert_allclose(
        (drawn.mean(axis=0) - rows.mean(axis=0)) / rows.std(axis=0), 0, atol=0.1
    )


def test_the_elbo_of_pixels_is_a_bound_by_enumeration_of_codes() -> None:
    """log p(x) by a grid over a code of one number; x black and white."""
    data = small_data("generation")
    model = fit(vae.Config(n_code=1, n_epochs=5), data.train).model
    grid = np.linspace(-8, 8, 4001)
    p = model.decode(grid[:, None]).reshape(4001, -1) / 255
    x = (data.test.X > 0).reshape(len(data.test), -1).astype(float)
    joint = x @ np.log(p).T + (1 - x) @ np.log1p(-p).T - grid**2 / 2
    step = grid[1] - grid[0]
    exact = np.log(np.exp(joint).sum(axis=1) * step / math.sqrt(2 * math.pi))
    many = model.log_likelihood(data.test.X, n_draws=2000)
    # Of single rows the estimate of so many draws is some hundredths off.
    assert many.mean() == pytest.approx(exact.mean(), abs=0.05)
    assert model.elbo(data.test.X).mean() < exact.mean()


@pytest.mark.parametrize("bound", ["elbo", "log_likelihood"])
def test_the_bound_of_a_row_does_not_depend_on_the_other_rows(bound: str) -> None:
    data = small_data("generation")
    model = fit(vae.Config(n_code=20, n_epochs=2), data.train).model
    X = data.test.X
    whole = getattr(model, bound)(X)
    alone = np.concatenate([getattr(model, bound)(row[None]) for row in X])
    backwards = getattr(model, bound)(X[::-1])[::-1]
    for other in (alone, backwards):
        np.testing.assert_allclose(other, whole, rtol=1e-5)


def test_draws_of_rows_are_normal_and_independent() -> None:
    x = torch.arange(3000.0)[:, None]
    draw = DrawOfRows(x, n_draws=2)
    one, two = (draw.normal(torch.empty(3000, 4)) for _ in range(2))
    both = torch.cat([one, two], dim=1)
    # Standard errors of 3,000 rows: .02 of a mean or a correlation.
    assert both.mean(dim=0).abs().max() < 0.08
    assert (both.T.corrcoef() - torch.eye(8)).abs().max() < 0.08
    assert both.std().item() == pytest.approx(1.0, abs=0.03)
    # Neither are the numbers of neighbouring rows alike.
    assert abs(np.corrcoef(both[:-1].flatten(), both[1:].flatten())[0, 1]) < 0.03


def test_black_and_white_pixels_are_drawn_black_and_white() -> None:
    data = small_data("generation")
    model = fit(vae.Config(n_epochs=1), data.train).model
    assert set(np.unique(model.sample(20, seed=0))) == {0, 255}
    assert len(np.unique(model.decode(np.zeros((1, 8))))) > 2


def test_beta_weighs_the_kl() -> None:
    data = small_data("generation")
    kl = [
        fit(vae.Config(beta=beta, n_epochs=30), data.train).metrics["train_kl"]
        for beta in (0.1, 10.0)
    ]
    assert kl[1] < 0.5 * kl[0]


@pytest.mark.parametrize(("n", "d", "code"), [(5, 6, (3, 2, 1)), (1, 2, (4, 1, 6))])
def test_layers_of_a_deep_model_are_its_recursion(
    n: int, d: int, code: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(0)
    network = DeepLatentGaussian((d,), code, hidden=(4,), generator=generator)
    e1, e2, e3 = torch.randn(n, sum(code), generator=generator).split(code, dim=1)
    h3 = e3 @ network.mixing[2].weight.T
    h2 = network.maps[1](h3) + e2 @ network.mixing[1].weight.T
    h1 = network.maps[0](h2) + e1 @ network.mixing[0].weight.T
    found = network.outputs(torch.cat([e1, e2, e3], dim=1))
    torch.testing.assert_close(found, network.decoder(h1))


def test_a_deep_model_learns_a_law_that_no_gaussian_is() -> None:
    """A ring: factor analysis can only say how wide it is."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 800)
    X = np.column_stack([np.cos(angle), np.sin(angle)]) + 0.1 * rng.normal(
        size=(800, 2)
    )
    config = deep_latent_gaussian.Config(
        code=(2, 2),
        hidden=(32,),
        activation="tanh",
        n_epochs=40,
        batch_size=64,
        learning_rate=0.03,
    )
    model = fit(config, Table(X[:600])).model
    gaussian = multivariate_normal(X[:600].mean(0), np.cov(X[:600].T)).logpdf(X[600:])
    assert model.log_likelihood(X[600:]).mean() > gaussian.mean() + 0.3


def test_features_have_no_bernoulli_law() -> None:
    with pytest.raises(ValueError, match="bernoulli is for pixels, these are features"):
        fit(vae.Config(likelihood="bernoulli"), Table(np.eye(3)))
