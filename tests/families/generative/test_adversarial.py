"""Adversaries: the identities of the game, its steps, and the ring."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.spatial.distance import jensenshannon
from scipy.special import expit, log_expit

from ftml import Splits, fit
from ftml.data.ring import ring
from ftml.families.generative import conv_gan, gan
from ftml.families.generative._adversarial import (
    _turns,
    discriminator_loss,
    generator_loss,
    parts_of,
)
from ftml.nn.adversaries import Adversaries
from ftml.nn.layers import Draw
from ftml.tasks import generation
from tests.test_contract import small_data


def test_the_best_discriminator_and_the_value_are_those_of_the_theory() -> None:
    """On a discrete law: D* = p / (p + q), V(D*) = -log 4 + 2 JSD(p, q)."""
    p, q = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.1, 0.2, 0.3, 0.4])

    def less_value(log_odds: np.ndarray) -> float:
        return -float(p @ log_expit(log_odds) + q @ log_expit(-log_odds))

    found = minimize(less_value, np.zeros(4), tol=1e-10)
    np.testing.assert_allclose(expit(found.x), p / (p + q), atol=1e-5)
    best = np.log(p) - np.log(q)
    divergence = jensenshannon(p, q) ** 2
    assert less_value(best) == pytest.approx(math.log(4) - 2 * divergence, abs=1e-12)
    # The same value by the loss that is trained on, of rows in these shares.
    rows, made = (
        np.repeat(best, np.rint(20 * p).astype(int)),
        np.repeat(best, np.rint(20 * q).astype(int)),
    )
    loss = discriminator_loss(torch.from_numpy(rows), torch.from_numpy(made))
    assert 2 * loss.item() == pytest.approx(less_value(best), abs=1e-12)


def test_the_losses_are_the_value_and_the_two_objectives() -> None:
    real, made = torch.randn(2, 9, generator=torch.Generator().manual_seed(0)).double()
    D = torch.sigmoid(made)
    expected = torch.log(torch.sigmoid(real)).mean() + torch.log1p(-D).mean()
    torch.testing.assert_close(discriminator_loss(real, made), -0.5 * expected)
    torch.testing.assert_close(generator_loss(made, "minimax"), torch.log1p(-D).mean())
    torch.testing.assert_close(
        generator_loss(made, "non_saturating"), -torch.log(D).mean()
    )


def test_only_the_minimax_slope_vanishes_where_the_discriminator_is_sure() -> None:
    slopes = {}
    for objective in ("minimax", "non_saturating"):
        made = torch.full((1,), -12.0, requires_grad=True)
        generator_loss(made, objective).backward()
        slopes[objective] = abs(made.grad.item())
    assert slopes["minimax"] < 1e-5
    assert slopes["non_saturating"] == pytest.approx(1.0, abs=1e-4)


def turns(config: gan.Config) -> list:
    generator = torch.Generator().manual_seed(0)
    network = Adversaries((2,), config.n_code, hidden=(8,), generator=generator)
    x = torch.randn(config.batch_size * config.discriminator_steps, 2)
    return list(_turns(config, network, x, Draw([generator], stacked=False)))


def test_the_discriminator_has_k_turns_before_the_generator() -> None:
    config = gan.Config(discriminator_steps=3, batch_size=4)
    torch.manual_seed(0)
    found = [turn.player for turn in turns(config)]
    assert found == ["discriminator"] * 3 + ["generator"]


@pytest.mark.parametrize(
    ("n", "sizes"), [(12, [4, 4, 4]), (7, [3, 2, 2]), (3, [1, 1, 1]), (2, [1, 1, 1])]
)
def test_an_update_at_the_end_of_a_pass_has_k_turns_of_the_discriminator(
    n: int, sizes: list[int]
) -> None:
    x = torch.arange(n, dtype=torch.float32)[:, None]
    parts = parts_of(x, 3)
    assert [len(each) for each in parts] == sizes
    assert set(torch.cat(parts).flatten().tolist()) == set(range(n))


@pytest.mark.parametrize(("n", "d", "units"), [(5, 2, 8), (3, 9, 2), (1, 1, 1)])
def test_the_gradient_penalty_is_half_the_squared_slope_at_the_data(
    n: int, d: int, units: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    network = Adversaries((d,), 3, hidden=(units,), generator=generator).double()
    x = torch.randn(n, d, generator=generator).double()
    config = gan.Config(n_code=3, gradient_penalty=0.8, batch_size=5)
    draw = Draw([generator], stacked=False)
    first = next(iter(_turns(config, _in_double(network), x, draw)))
    slopes = [
        torch.autograd.functional.jacobian(lambda r: network.log_odds(r[None])[0], row)
        for row in x
    ]
    expected = 0.4 * torch.stack(slopes).square().sum(dim=1).mean()
    added = first.loss - first.scalars["discriminator_loss"]
    torch.testing.assert_close(added.detach(), expected)


def _in_double(network: Adversaries) -> Adversaries:
    decode = network.decode
    network.decode = lambda z: decode(z.double())
    return network


@pytest.mark.parametrize(
    ("family", "layers"), [(gan, {"hidden": (8, 4)}), (conv_gan, {"width": 4})]
)
def test_each_player_moves_its_own_parameters_alone(
    family: ModuleType, layers: dict[str, Any]
) -> None:
    train = small_data("generation").train
    few = {"n_epochs": 1, "batch_size": len(train), "learning_rate": 0.01}
    both = fit(family.Config(**few, **layers), train).model.weights
    generator = torch.Generator().manual_seed(0)
    start = Adversaries(
        (1, 6, 6), 16, **layers, pixels=True, generator=generator
    ).state_dict()
    for name, before in start.items():
        moved = (both[name] - before).abs().max().item()
        # One step of Adam each: by the learning rate.
        assert moved == pytest.approx(0.01, rel=0.01), name


def test_a_gan_draws_all_modes_of_the_ring() -> None:
    whole = ring(n_samples=1200)
    data = Splits(whole.rows(np.arange(1000)), None, whole.rows(np.arange(1000, 1200)))
    options = {"n_epochs": 33, "batch_size": 100, "learning_rate": 4e-3}
    config = gan.Config(n_code=2, hidden=(64, 64), **options)
    step = fit(config, data.train)
    scores = generation.evaluate(step.model, data.test)
    assert scores["classes_covered"] >= 7
    assert step.model.discriminate(data.test.X).mean() == pytest.approx(0.5, abs=0.1)
    assert [n for n, _ in step.model.snapshots] == [1, 2, 4, 8, 16, 32]
    assert len(step.model.history["train_generator_loss"]) == 33


def test_adversaries_that_diverge_say_so() -> None:
    config = gan.Config(learning_rate=1e30, n_epochs=5)
    with pytest.raises(FloatingPointError, match=r"^diverged: train_"):
        fit(config, small_data("generation").train)
