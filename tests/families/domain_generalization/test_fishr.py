from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftml.data import Splits
from ftml.families.domain_generalization import erm
from ftml.families.domain_generalization.fishr import (
    Config,
    distance,
    fishr,
    gradient_variances,
    train,
)
from ftml.nn.cnn import CNN
from tests.families.domain_generalization.checks import (
    SHAPES,
    SIZES,
    assert_equals_erm,
    assert_resumes,
    assert_same,
    assert_steps_stand_still,
    blobs,
    generator,
    gradient,
    labels,
    normal,
    small_batch,
    small_network,
    turned_round,
    value,
)

SETTINGS = {"hidden": (8,), "batch_size": 16, "n_epochs": 5}


def row_gradients(network, x: Tensor, y: Tensor) -> Tensor:
    """Return the gradient of each row's loss in the head by autograd, (m, P)."""
    head = [network.head.weight, network.head.bias]
    rows = []
    for each, label in zip(x, y, strict=True):
        loss = F.cross_entropy(network(each[None]), label[None])
        W, b = torch.autograd.grad(loss, head, create_graph=True)
        rows.append(torch.cat([W, b[:, None]], dim=1).flatten())
    return torch.stack(rows)


def variances_of(network, batch) -> Tensor:
    features = network.features(batch.x)
    return gradient_variances(features, network.head(features), batch.y, batch.sizes)


@pytest.mark.parametrize(("sizes", "d", "k"), [*SHAPES, ((4, 4, 4), 4, 3)])
@pytest.mark.parametrize("hidden", [(), (5,), (6, 5)])
def test_variances_are_those_of_each_rows_own_gradient(
    sizes: tuple[int, ...], d: int, k: int, hidden: tuple[int, ...]
) -> None:
    batch, network = small_batch(sizes, d, k), small_network(*hidden, d=d, k=k)
    rows = row_gradients(network, batch.x, batch.y).detach().numpy()
    parts = np.split(rows, np.cumsum(sizes)[:-1])
    expected = np.stack([np.var(part, axis=0, ddof=1) for part in parts])
    ours = variances_of(network, batch).detach().numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("sizes", "d", "k"), SHAPES)
def test_gradient_of_the_penalty_is_that_of_the_naive_double_backward(
    sizes: tuple[int, ...], d: int, k: int
) -> None:
    batch, network = small_batch(sizes, d, k), small_network(6, 5, d=d, k=k)
    rows = row_gradients(network, batch.x, batch.y)
    naive = torch.stack([part.var(dim=0) for part in rows.split(sizes)])
    expected = (naive - naive.mean(dim=0)).square().sum(dim=1).mean()
    ours = distance(variances_of(network, batch))
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(
        gradient(ours, network), gradient(expected, network), rtol=1e-8, atol=1e-14
    )


def test_variances_of_a_convolutional_networks_head() -> None:
    network = CNN(1, 3, width=8, generator=generator()).double()
    x, y = normal(6, 1, 4, 4), labels(6, 3)
    features = network.features(x)
    ours = gradient_variances(features, network.head(features), y, (6,))
    expected = row_gradients(network, x, y).var(dim=0)
    torch.testing.assert_close(ours[0], expected, rtol=1e-9, atol=1e-14)


def test_gradients_agree_with_differences() -> None:
    features, logits = normal(12, 4).requires_grad_(), normal(12, 3, seed=3)
    y = labels(12, 3)
    assert torch.autograd.gradcheck(
        lambda z, out: distance(gradient_variances(z, out, y, SIZES)),
        (features, logits.requires_grad_()),
    )


def test_float32_keeps_the_variances_when_the_head_is_sure() -> None:
    # Confident logits make gradients of all sizes; float32 has 6e-8, sums of 100 more.
    features, y = 3 * normal(200, 16).relu(), labels(200, 5)
    logits = 4 * normal(200, 5, seed=3)
    exact = gradient_variances(features, logits, y, (100, 100))
    single = gradient_variances(features.float(), logits.float(), y, (100, 100))
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-9)


def test_order_of_the_domains_does_not_matter() -> None:
    batch, network = small_batch(), small_network(5)
    objective = fishr(penalty=10.0, ema=0.5)
    one, other = (
        value(objective, network, each) for each in (batch, turned_round(batch))
    )
    torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_average_follows_its_recursion_from_the_first_variances() -> None:
    networks = [small_network(5), small_network(5)]
    with torch.no_grad():
        networks[1].head.weight.mul_(3)
    batch, objective = small_batch(), fishr(penalty=10.0, ema=0.8)
    first, second = (variances_of(each, batch).detach() for each in networks)
    _, memory = objective(networks[0], batch, {}, generator())
    torch.testing.assert_close(memory["variances"], first, rtol=1e-12, atol=0)
    scalars, memory = objective(networks[1], batch, memory, generator())
    expected = 0.8 * first + 0.2 * second
    torch.testing.assert_close(memory["variances"], expected, rtol=1e-12, atol=0)
    assert not memory["variances"].requires_grad
    plain = erm.erm_loss(networks[1](batch.x), batch.y, batch.weight)
    penalty = distance(expected)
    torch.testing.assert_close(scalars["penalty"], penalty, rtol=1e-12, atol=0)
    torch.testing.assert_close(
        scalars["loss"], plain + 10 * penalty, rtol=1e-12, atol=0
    )


def test_gradient_goes_through_the_new_term_of_the_average_alone() -> None:
    batch, network, ema = small_batch(), small_network(5), 0.8
    now = variances_of(network, batch)
    old = 2 * now.detach()
    scalars, _ = fishr(penalty=10.0, ema=ema)(
        network, batch, {"variances": old}, generator()
    )
    loss = scalars["loss"]
    average = ema * old + (1 - ema) * now.detach()
    slope = 2 / 3 * (average - average.mean(dim=0)) * (1 - ema)
    plain = erm.erm_loss(network(batch.x), batch.y, batch.weight)
    expected = gradient(plain, network) + 10 * gradient((slope * now).sum(), network)
    torch.testing.assert_close(gradient(loss, network), expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("batch_size", [16, None])
def test_without_penalty_it_is_erm(batch_size: int | None) -> None:
    settings = {**SETTINGS, "batch_size": batch_size}
    assert_equals_erm(
        train, Config(**settings, penalty=0.0, anneal_epochs=0), **settings
    )


def test_before_the_annealing_ends_it_is_erm_that_follows_the_variances() -> None:
    data = Splits(blobs())
    steps = list(train(Config(**SETTINGS, anneal_epochs=2), data))
    plain = list(erm.train(erm.Config(**SETTINGS), data))
    for n in (0, 1):
        assert_same(steps[n].model.weights, plain[n].model.weights)
        assert steps[n].state["memory"]["variances"].shape == (3, 2 * (8 + 1))
    with pytest.raises(AssertionError):
        assert_same(steps[2].model.weights, plain[2].model.weights)
    assert steps[4].state["optimizer"]["step"] == 3 * 5  # since epoch 2


def test_too_few_domains_or_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="training needs 2 domains or more, got 1"):
        next(train(Config(), Splits(blobs((20,)))))
    with pytest.raises(
        ValueError, match="needs 2 samples of each domain or more, got 1"
    ):
        next(train(Config(batch_size=1), Splits(blobs())))


@pytest.mark.parametrize("anneal_epochs", [0, 2, 5])
def test_resumed_training_equals_uninterrupted_training(
    anneal_epochs: int, tmp_path: Path
) -> None:
    assert_resumes(train, Config(**SETTINGS, anneal_epochs=anneal_epochs), tmp_path)


def test_step_does_not_change_when_training_continues() -> None:
    assert_steps_stand_still(train, Config(**SETTINGS, anneal_epochs=2))
