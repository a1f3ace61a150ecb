from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ftml.data import Splits
from ftml.families.domain_generalization.coral import Config, coral, distance, train
from ftml.families.domain_generalization.erm import erm_loss
from tests.families.domain_generalization.checks import (
    SHAPES,
    SIZES,
    assert_equals_erm,
    assert_resumes,
    assert_steps_stand_still,
    blobs,
    normal,
    small_batch,
    small_network,
    turned_round,
    value,
)

SETTINGS = {"hidden": (8,), "batch_size": 16, "n_epochs": 4}


def by_pairs(parts: list[np.ndarray]) -> float:
    """Return DomainBed's penalty: the mean over pairs, each by numpy."""
    each = []
    for a, b in combinations(parts, 2):
        covariance = np.cov(a.T) - np.cov(b.T)
        mean = a.mean(axis=0) - b.mean(axis=0)
        each.append((mean**2).mean() + (covariance**2).mean())
    return float(np.mean(each))


@pytest.mark.parametrize("sizes", [SIZES, (4, 4, 4), (7, 5), (2, 2, 2, 2, 4)])
@pytest.mark.parametrize("h", [3, 20])
def test_distance_is_the_mean_over_pairs_of_domains(
    h: int, sizes: tuple[int, ...]
) -> None:
    features = normal(12, h)
    parts = [part.numpy() for part in features.split(sizes)]
    ours = float(distance(features, sizes))
    assert ours == pytest.approx(by_pairs(parts), rel=1e-12)


def test_distance_of_two_domains_of_one_feature_by_hand() -> None:
    # Means 1 and 4; variances with n - 1: 2 and 8. (1 - 4)^2 + (2 - 8)^2 = 45.
    features = torch.tensor([[0.0], [2.0], [2.0], [6.0]], dtype=torch.float64)
    assert float(distance(features, (2, 2))) == pytest.approx(45.0, rel=1e-15)


def test_gradients_agree_with_differences() -> None:
    features = normal(12, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: distance(z, SIZES), features)


def test_shift_and_mirror_of_all_domains_and_their_order_do_not_matter() -> None:
    features = normal(12, 3)
    expected = distance(features, SIZES)
    others = [
        (features + 5.0, SIZES),
        (features.flip(0), SIZES[::-1]),
        (-features, SIZES),
    ]
    for other, sizes in others:
        torch.testing.assert_close(distance(other, sizes), expected, rtol=1e-12, atol=0)


def test_domains_of_one_law_have_no_distance_and_a_zero_gradient() -> None:
    part = normal(4, 3)
    features = part.repeat(2, 1).requires_grad_()  # (a + a) / 2 is a, bit-identical
    penalty = distance(features, (4, 4))
    (slope,) = torch.autograd.grad(penalty, features)
    assert penalty.item() == 0.0
    assert slope.abs().max() == 0.0


@pytest.mark.parametrize(("sizes", "d", "k"), SHAPES)
def test_features_are_those_of_the_last_hidden_layer(
    sizes: tuple[int, ...], d: int, k: int
) -> None:
    batch, network = small_batch(sizes, d, k), small_network(6, 5, d=d, k=k)
    W1, b1, W2, b2, *_ = network.parameters()
    z = ((batch.x @ W1.T + b1).relu() @ W2.T + b2).relu()
    loss = erm_loss(network(batch.x), batch.y, batch.weight)
    expected = loss + 2.5 * distance(z, sizes)
    ours = value(coral(penalty=2.5), network, batch)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(
        value(coral(penalty=2.5), network, turned_round(batch)),
        ours,
        rtol=1e-12,
        atol=0,
    )


@pytest.mark.parametrize("batch_size", [16, None])
def test_without_penalty_it_is_erm(batch_size: int | None) -> None:
    settings = {**SETTINGS, "batch_size": batch_size}
    assert_equals_erm(train, Config(**settings, penalty=0.0), **settings)


def test_penalty_brings_the_features_together() -> None:
    data = blobs()
    x = torch.from_numpy((data.x - data.x.mean(axis=0)) / data.x.std(axis=0)).float()
    found = []
    for penalty in (0.0, 100.0):
        options = {"batch_size": None, "n_epochs": 100, "learning_rate": 0.01}
        config = Config(hidden=(8,), penalty=penalty, **options)
        *_, step = train(config, Splits(data))
        W, b, *_ = step.model.weights.values()
        found.append(float(distance((x @ W.T + b).relu(), (30, 50, 120))))
    assert found[1] < 0.1 * found[0]


def test_linear_model_has_nothing_to_align() -> None:
    with pytest.raises(ValidationError, match=r"hidden\n.*expected one layer or more"):
        Config(hidden=())
    Config(network="cnn", hidden=())  # whose features are not of the MLP's layers


def test_too_few_domains_or_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="training needs 2 domains or more, got 1"):
        next(train(Config(), Splits(blobs((20,)))))
    with pytest.raises(
        ValueError, match="needs 2 samples of each domain or more, got 1"
    ):
        next(train(Config(batch_size=None), Splits(blobs((1, 20)))))


def test_resumed_training_equals_uninterrupted_training(tmp_path: Path) -> None:
    assert_resumes(train, Config(**SETTINGS), tmp_path)


def test_step_does_not_change_when_training_continues() -> None:
    assert_steps_stand_still(train, Config(**SETTINGS))
