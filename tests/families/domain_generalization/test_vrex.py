from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from ftml import fit
from ftml.data import Splits
from ftml.families.domain_generalization._training import domain_losses
from ftml.families.domain_generalization.vrex import Config, train, vrex
from tests.families.domain_generalization.checks import (
    SHAPES,
    assert_equals_erm,
    assert_resumes,
    assert_same,
    assert_steps_stand_still,
    blobs,
    generator,
    gradient,
    small_batch,
    small_network,
    turned_round,
    value,
)

SETTINGS = {"hidden": (8,), "batch_size": 16, "n_epochs": 5}


@pytest.mark.parametrize(("sizes", "d", "k"), SHAPES)
def test_objective_is_the_mean_of_the_losses_and_their_variance(
    sizes: tuple[int, ...], d: int, k: int
) -> None:
    batch, network = small_batch(sizes, d, k), small_network(5, d=d, k=k)
    losses = [F.cross_entropy(network(x), y).item() for x, y in batch.domains()]
    # The batch's weights 1 / (S n_s) are rounded to float32.
    assert value(vrex(penalty=3.0), network, batch).item() == pytest.approx(
        np.mean(losses) + 3 * np.var(losses), rel=1e-7
    )


@pytest.mark.parametrize(("sizes", "d", "k"), SHAPES)
def test_gradient_weighs_a_domain_by_how_far_its_loss_is_from_the_mean(
    sizes: tuple[int, ...], d: int, k: int
) -> None:
    batch, network = small_batch(sizes, d, k), small_network(5, d=d, k=k)
    losses = [F.cross_entropy(network(x), y) for x, y in batch.domains()]
    G = torch.stack([gradient(each, network) for each in losses])
    L = torch.tensor([each.item() for each in losses], dtype=torch.float64)
    # d/dtheta (1/S) sum (L_s - Lbar)^2 = (2/S) sum (L_s - Lbar) G_s
    expected = (1 + 2 * 3.0 * (L - L.mean())) / len(sizes) @ G
    ours = gradient(value(vrex(penalty=3.0), network, batch), network)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-8)


def test_gradients_agree_with_differences() -> None:
    batch, network = small_batch(), small_network(5)
    names = [name for name, _ in network.named_parameters()]

    def penalty(*values: torch.Tensor) -> torch.Tensor:
        given = dict(zip(names, values, strict=True))
        logits = functional_call(network, given, (batch.x,))
        return domain_losses(logits, batch).var(correction=0)

    start = [p.detach().requires_grad_() for p in network.parameters()]
    assert torch.autograd.gradcheck(penalty, start)


def test_order_of_the_domains_does_not_matter() -> None:
    batch, network = small_batch(), small_network(5)
    one, other = (
        value(vrex(penalty=3.0), network, each) for each in (batch, turned_round(batch))
    )
    torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


@pytest.mark.parametrize("batch_size", [16, None])
def test_without_penalty_it_is_erm(batch_size: int | None) -> None:
    settings = {**SETTINGS, "batch_size": batch_size}
    assert_equals_erm(
        train, Config(**settings, penalty=0.0, anneal_epochs=0), **settings
    )


def test_large_penalty_makes_the_losses_equal() -> None:
    data = blobs()
    X = torch.from_numpy((data.x - data.x.mean(axis=0)) / data.x.std(axis=0))

    def deviation(penalty: float) -> float:
        config = Config(
            hidden=(),
            batch_size=None,
            penalty=penalty,
            learning_rate=0.01,
            n_epochs=300,
            anneal_epochs=50,
        )
        weights = fit(config, data).model.weights
        z = X.float() @ weights["layers.0.weight"].T + weights["layers.0.bias"]
        losses = F.cross_entropy(z, torch.from_numpy(data.y), reduction="none").numpy()
        return float(np.std([losses[data.domain == s].mean() for s in range(3)]))

    assert deviation(1e4) < 1e-2 * deviation(0.0)


def test_penalty_sets_in_after_the_annealing() -> None:
    data = Splits(blobs())
    small, large = (
        list(train(Config(**SETTINGS, penalty=p, anneal_epochs=2), data))
        for p in (0.1, 1000.0)
    )
    assert_same(small[1].state, large[1].state)
    with pytest.raises(AssertionError):
        assert_same(small[2].model.weights, large[2].model.weights)


def test_one_domain_has_no_variance() -> None:
    with pytest.raises(ValueError, match="training needs 2 domains or more, got 1"):
        next(train(Config(), Splits(blobs((20,)))))


@pytest.mark.parametrize("anneal_epochs", [0, 2, 5])
def test_resumed_training_equals_uninterrupted_training(
    anneal_epochs: int, tmp_path: Path
) -> None:
    assert_resumes(train, Config(**SETTINGS, anneal_epochs=anneal_epochs), tmp_path)


def test_step_does_not_change_when_training_continues() -> None:
    assert_steps_stand_still(train, Config(**SETTINGS, anneal_epochs=2))


def test_nothing_is_drawn_or_remembered() -> None:
    drawing = generator()
    before = drawing.get_state()
    _, memory = vrex(penalty=1.0)(small_network(5), small_batch(), {}, drawing)
    assert memory == {}
    assert torch.equal(drawing.get_state(), before)
