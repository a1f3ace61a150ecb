from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ftml.data import Splits
from ftml.families.domain_generalization.erm import erm_loss
from ftml.families.domain_generalization.mixup import (
    Config,
    draw_partners,
    draw_shares,
    mixed_loss,
    mixup,
    train,
)
from tests.families.domain_generalization.checks import (
    SHAPES,
    SIZES,
    assert_resumes,
    assert_steps_stand_still,
    blobs,
    generator,
    gradient,
    small_batch,
    small_network,
    turned_round,
)

SETTINGS = {"hidden": (8,), "batch_size": 16, "n_epochs": 4}


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 2.0])
def test_shares_have_the_moments_of_beta(alpha: float) -> None:
    shares = draw_shares(40_000, alpha=alpha, generator=generator())
    assert shares.min() >= 0
    assert shares.max() <= 1
    # Mean 1/2, variance 1 / (4 (2 alpha + 1)), and 5 standard errors of each.
    variance = 1 / (4 * (2 * alpha + 1))
    assert float(shares.mean()) == pytest.approx(
        0.5, abs=5 * (variance / 40_000) ** 0.5
    )
    squares = (shares - 0.5).square()
    error = float(squares.std()) / 200
    assert float(squares.mean()) == pytest.approx(variance, abs=5 * error)


def test_draws_come_from_the_generator_alone_and_differ_each_time() -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    one, other = generator(), generator()
    first = draw_shares(3, alpha=0.2, generator=one)
    assert torch.equal(first, draw_shares(3, alpha=0.2, generator=other))
    assert not torch.equal(first, draw_shares(3, alpha=0.2, generator=one))
    draw_partners(SIZES, one)
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)


@pytest.mark.parametrize("sizes", [SIZES, (4, 4, 4), (1, 9, 2, 6), (3, 2)])
def test_domain_is_mixed_with_the_next_of_one_circle(sizes: tuple[int, ...]) -> None:
    drawing, domain = generator(), np.repeat(np.arange(len(sizes)), sizes)
    circles, rows = set(), set()
    for _ in range(200):
        partner = draw_partners(sizes, drawing).numpy()
        rows |= set(partner.tolist())
        following = [set(domain[partner[domain == s]]) for s in range(len(sizes))]
        assert all(len(each) == 1 for each in following)  # one domain for all its rows
        nexts = [each.pop() for each in following]
        visited, s = [], 0
        while s not in visited:
            visited.append(s)
            s = nexts[s]
        assert sorted(visited) == list(range(len(sizes)))
        circles.add(tuple(nexts))
    assert len(circles) == {2: 1, 3: 2, 4: 6}[len(sizes)]  # (S - 1)! circles
    assert rows == set(range(sum(sizes)))  # and any row can be a partner


def test_domain_alone_is_mixed_with_itself() -> None:
    rows = {i for _ in range(50) for i in draw_partners((5,), generator(_)).tolist()}
    assert rows == set(range(5))
    next(train(Config(n_epochs=1), Splits(blobs((20,)))))


@pytest.mark.parametrize(("sizes", "d", "k"), SHAPES)
def test_loss_is_the_mean_over_the_domains_of_the_rows_mixed_one_by_one(
    sizes: tuple[int, ...], d: int, k: int
) -> None:
    batch, network = small_batch(sizes, d, k), small_network(5, d=d, k=k)
    m = sum(sizes)
    share = torch.rand(m, generator=generator(), dtype=torch.float64)
    partner = torch.randperm(m, generator=generator())
    each = []
    for i, j in enumerate(partner.tolist()):
        lam = share[i]
        z = network((lam * batch.x[i] + (1 - lam) * batch.x[j])[None])
        log_p = z.log_softmax(dim=1)[0]
        each.append(-lam * log_p[batch.y[i]] - (1 - lam) * log_p[batch.y[j]])
    means = [part.mean() for part in torch.stack(each).split(sizes)]
    ours = mixed_loss(network, batch, share, partner)
    expected = torch.stack(means).mean()
    # The batch's weights 1 / (S n_s) are rounded to float32.
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        gradient(ours, network), gradient(expected, network), rtol=1e-5, atol=1e-8
    )


def test_rows_with_a_share_of_one_are_those_of_erm_bit_identically() -> None:
    batch = small_batch(dtype=torch.float32)
    network = small_network(5, dtype=torch.float32)
    partner = torch.randperm(12, generator=generator())
    erm = erm_loss(network(batch.x), batch.y, batch.weight)
    ours = mixed_loss(network, batch, torch.ones(12), partner)
    assert torch.equal(ours, erm)
    assert torch.equal(gradient(ours, network), gradient(erm, network))


def test_loss_for_a_share_of_zero_is_that_of_the_partner() -> None:
    batch, network = small_batch((4, 4)), small_network(5)
    partner = torch.arange(8).roll(4)
    swapped = mixed_loss(network, batch, torch.zeros(8).double(), partner)
    assert torch.equal(
        swapped, mixed_loss(network, batch, torch.ones(8).double(), partner)
    )
    other = turned_round(batch)
    erm = F.cross_entropy(network(other.x), other.y)
    torch.testing.assert_close(swapped, erm, rtol=1e-12, atol=0)


def test_shares_are_one_number_for_a_pair_of_domains() -> None:
    seen = []

    def network(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return x[:, :3]

    batch = small_batch((50, 50, 50))
    mixup(alpha=1.0)(network, batch, {}, generator(4))
    drawing = generator(4)
    partner = draw_partners(batch.sizes, drawing)
    shares = draw_shares(3, alpha=1.0, generator=drawing)
    lam = shares.repeat_interleave(50)[:, None]
    assert torch.equal(seen[0], lam * batch.x + (1 - lam) * batch.x[partner])


def test_gradients_agree_with_differences() -> None:
    batch, network = small_batch(), small_network()
    share = torch.rand(12, generator=generator(), dtype=torch.float64)
    partner = torch.randperm(12, generator=generator())
    W, b = network.parameters()

    def loss(W: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return mixed_loss(lambda x: x @ W.T + b, batch, share, partner)

    assert torch.autograd.gradcheck(loss, (W, b))


@pytest.mark.parametrize("batch_size", [16, None])
def test_resumed_training_equals_uninterrupted_training(
    batch_size: int | None, tmp_path: Path
) -> None:
    config = Config(**{**SETTINGS, "batch_size": batch_size})
    assert_resumes(train, config, tmp_path)


def test_step_does_not_change_when_training_continues() -> None:
    assert_steps_stand_still(train, Config(**SETTINGS))


def test_training_lowers_the_mixed_loss() -> None:
    losses = [s.metrics["train_loss"] for s in train(Config(), Splits(blobs()))]
    assert np.mean(losses[-10:]) < losses[0] - 0.1
