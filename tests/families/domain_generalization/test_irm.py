from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftml.data import Splits
from ftml.families.domain_generalization.irm import (
    Config,
    invariance,
    irm,
    scale_gradients,
    train,
)
from tests.families.domain_generalization.checks import (
    SHAPES,
    SIZES,
    assert_equals_erm,
    assert_resumes,
    assert_same,
    assert_steps_stand_still,
    blobs,
    gradient,
    labels,
    normal,
    small_batch,
    small_network,
    turned_round,
    value,
)

SETTINGS = {"hidden": (8,), "batch_size": 16, "n_epochs": 5}


def dummy_gradient(logits: Tensor, y: Tensor) -> Tensor:
    """Return dL(w z)/dw at w = 1 as the paper's code does, with a graph of its own."""
    w = torch.ones((), dtype=logits.dtype, requires_grad=True)
    (g,) = torch.autograd.grad(F.cross_entropy(w * logits, y), w, create_graph=True)
    return g


def test_closed_form_is_the_derivative_in_the_dummy_classifier() -> None:
    logits, y = 3 * normal(7, 4), labels(7, 4)
    expected = [
        dummy_gradient(z[None], c[None]) for z, c in zip(logits, y, strict=True)
    ]
    torch.testing.assert_close(
        scale_gradients(logits, y), torch.stack(expected), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(("sizes", "d", "k"), SHAPES)
def test_plain_square_and_its_gradient_are_those_of_the_double_backward(
    sizes: tuple[int, ...], d: int, k: int
) -> None:
    batch, network = small_batch(sizes, d, k), small_network(5, d=d, k=k)
    logits = network(batch.x)
    pairs = zip(logits.split(sizes), batch.y.split(sizes), strict=True)
    expected = torch.stack([dummy_gradient(z, y).square() for z, y in pairs]).mean()
    ours = invariance(logits, batch.y, sizes, sampled=False)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=0)
    (a,), (b,) = (
        torch.autograd.grad(each, logits, retain_graph=True)
        for each in (ours, expected)
    )
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


def test_estimate_is_the_mean_of_domainbeds_over_all_ways_to_halve() -> None:
    logits, y = 2 * normal(6, 3), labels(6, 3)
    products = []
    for half in combinations(range(6), 3):
        other = [i for i in range(6) if i not in half]
        first, second = (
            dummy_gradient(logits[list(rows)], y[list(rows)]) for rows in (half, other)
        )
        products.append(first * second)
    torch.testing.assert_close(
        invariance(logits, y, (6,), sampled=True),
        torch.stack(products).mean(),
        rtol=1e-12,
        atol=1e-15,
    )


def test_estimate_is_unbiased_and_the_plain_square_is_not() -> None:
    logits, y = 2 * normal(3, 4), labels(3, 4)
    whole = invariance(logits, y, (3,), sampled=False)
    draws = [torch.tensor(rows) for rows in product(range(3), repeat=3)]  # all 27

    def expectation(sampled: bool) -> Tensor:
        each = [invariance(logits[r], y[r], (3,), sampled=sampled) for r in draws]
        return torch.stack(each).mean()

    torch.testing.assert_close(expectation(True), whole, rtol=1e-12, atol=1e-15)
    bias = scale_gradients(logits, y).var(correction=0) / 3
    torch.testing.assert_close(expectation(False), whole + bias, rtol=1e-12, atol=0)


@pytest.mark.parametrize("sampled", [True, False])
def test_gradients_agree_with_differences(sampled: bool) -> None:
    logits, y = normal(12, 3).requires_grad_(), labels(12, 3)
    assert torch.autograd.gradcheck(
        lambda z: invariance(z, y, SIZES, sampled=sampled), logits
    )


def test_calibrated_predictions_have_no_penalty() -> None:
    # Two classes at rates 1/4 and 3/4, given in one domain and in doubled rows.
    y = torch.tensor([0, 1, 1, 1] * 2)
    logits = torch.tensor([1.0, 3.0], dtype=torch.float64).log().expand(8, 2)
    for sizes in ((8,), (4, 4)):
        penalty = invariance(logits, y, sizes, sampled=False)
        assert float(penalty) == pytest.approx(0.0, abs=1e-30)
    assert float(invariance(2 * logits, y, (4, 4), sampled=False)) > 1e-2


@pytest.mark.parametrize("sampled", [True, False])
def test_order_of_the_domains_does_not_matter(sampled: bool) -> None:
    batch, network = small_batch(), small_network(5)
    objective = irm(penalty=3.0, sampled=sampled)
    one, other = (
        value(objective, network, each) for each in (batch, turned_round(batch))
    )
    torch.testing.assert_close(one, other, rtol=1e-12, atol=0)
    torch.testing.assert_close(
        gradient(one, network), gradient(other, network), rtol=1e-10, atol=1e-14
    )


def test_domain_of_one_row_has_no_estimate() -> None:
    with pytest.raises(
        ValueError, match="needs 2 samples of each domain or more, got 1"
    ):
        invariance(normal(4, 3), labels(4, 3), (3, 1), sampled=True)
    with pytest.raises(ValueError, match="needs 2 samples"):
        next(train(Config(batch_size=1, n_epochs=1), Splits(blobs())))
    next(train(Config(batch_size=None, n_epochs=1), Splits(blobs((1, 20)))))


@pytest.mark.parametrize("batch_size", [16, None])
def test_without_penalty_it_is_erm(batch_size: int | None) -> None:
    settings = {**SETTINGS, "batch_size": batch_size}
    assert_equals_erm(
        train, Config(**settings, penalty=0.0, anneal_epochs=0), **settings
    )


def test_penalty_and_a_new_optimizer_set_in_after_the_annealing() -> None:
    data = Splits(blobs())
    small, large, unit = (
        list(train(Config(**SETTINGS, penalty=p, anneal_epochs=a), data))
        for p, a in ((0.1, 2), (1000.0, 2), (1.0, 0))
    )
    for n in (0, 1):
        assert_same(small[n].state, large[n].state)
        assert_same(small[n].state, unit[n].state)
    with pytest.raises(AssertionError):
        assert_same(small[2].model.weights, large[2].model.weights)
    # 200 rows, 3 domains, 16 of each: 5 updates an epoch, 3 epochs since the start.
    counted = [s[4].state["optimizer"]["step"] for s in (large, unit)]
    assert counted == [15, 25]


@pytest.mark.parametrize("anneal_epochs", [0, 2, 5, 9])
def test_resumed_training_equals_uninterrupted_training(
    anneal_epochs: int, tmp_path: Path
) -> None:
    assert_resumes(train, Config(**SETTINGS, anneal_epochs=anneal_epochs), tmp_path)


def test_step_does_not_change_when_training_continues() -> None:
    assert_steps_stand_still(train, Config(**SETTINGS, anneal_epochs=2))
