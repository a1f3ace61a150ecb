"""What Fish, IDGM and MLDG have to do with each other, in float64, over all orders.

a is the inner step, U = theta - theta~ the way of Fish's inner loop, G_i the gradient
of domain i at theta. Halving a divides a residual of order a^p by 2^p.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.families.domain_generalization._training import Batch, domain_losses
from ftml.families.domain_generalization.fish import gamma_of, inner_loop
from ftml.families.domain_generalization.idgm import (
    alignment,
    idgm_gradient,
    losses_one_by_one,
)
from ftml.families.domain_generalization.mldg import mldg_loss
from ftml.optim.optimizers import sgd

SIZES = (6, 4, 9, 7)
A = 0.02
"The inner step: its third power is far above the rounding of float64."

ORDERS: dict[str, list[Sequence[int]]] = {
    "all": list(permutations(range(4))),
    "antithetic": [(2, 0, 3, 1), (1, 3, 0, 2)],
    "fixed": [range(4)],
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth_network(d: int = 3, units: int = 5) -> nn.Module:
    """A network without ReLU, whose third derivatives exist, in float64."""
    first = nn.Linear(d, units)
    network = nn.Sequential(first, nn.Tanh(), nn.Linear(units, 3)).double()
    draw = generator()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=draw)
        first.weight *= (3 / d) ** 0.5  # so that the units stay as large
    return network


def batch_of(sizes: tuple[int, ...] = SIZES, d: int = 3) -> Batch:
    draw, m = generator(1), sum(sizes)
    x = torch.randn(m, d, generator=draw, dtype=torch.float64)
    y = torch.randint(3, (m,), generator=draw)
    each = [torch.full((n,), 1 / (len(sizes) * n), dtype=torch.float64) for n in sizes]
    weight = torch.cat(each)
    return Batch(x, y, sizes, weight)


Shape = tuple[int, int, tuple[int, ...]]
NARROW: Shape = (3, 5, SIZES)
WIDE: Shape = (11, 4, (3, 9, 2, 6))
"Features, hidden units and sizes of the domains; the second has more features."
shapes = pytest.mark.parametrize("shape", [NARROW, WIDE])


def problem_of(shape: Shape) -> tuple[nn.Module, Batch]:
    d, units, sizes = shape
    return smooth_network(d, units), batch_of(sizes, d)


def flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([each.reshape(-1) for each in tensors])


def gradient(value: Tensor, network: nn.Module, **options: bool) -> Tensor:
    return flat(torch.autograd.grad(value, list(network.parameters()), **options))


def pairwise_sum(
    network: nn.Module,
    batch: Batch,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> tuple[list[Tensor], Tensor]:
    """Return G_i of each domain, and sum_{i<j} <G_i, G_j>, one pair after the other."""
    gradients = [
        gradient(loss(network(x), y), network, create_graph=True)
        for x, y in batch.domains()
    ]
    pairs = combinations(gradients, 2)
    return gradients, torch.stack([one @ other for one, other in pairs]).sum()


def mean_way(
    network: nn.Module,
    batch: Batch,
    orders: Sequence[Sequence[int]],
    a: float,
    **options: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    step = sgd(learning_rate=a)
    ways = [flat(inner_loop(network, batch, o, step, {}, **options)[1]) for o in orders]
    return torch.stack(ways).mean(dim=0)


def fish_residual(orders: str, a: float, shape: Shape) -> float:
    """Return |E U - a sum G + (a^2 / 2) grad sum_{i<j} <G_i, G_j>|."""
    network, batch = problem_of(shape)
    gradients, pairs = pairwise_sum(network, batch)
    curvature = gradient(pairs, network, retain_graph=True)
    way = mean_way(network, batch, ORDERS[orders], a)
    return float((way - a * sum(gradients) + a**2 / 2 * curvature).detach().norm())


@pytest.mark.parametrize(
    ("orders", "low", "high"),
    [("all", 7.5, 8.5), ("antithetic", 7.5, 8.5), ("fixed", 3.6, 4.4)],
)
@shapes
def test_way_of_fish_is_that_of_idgm_to_third_order_unless_the_order_is_fixed(
    shape: Shape, orders: str, low: float, high: float
) -> None:
    ratio = fish_residual(orders, A, shape) / fish_residual(orders, A / 2, shape)
    assert low < ratio < high


def test_direction_of_fish_is_the_gradient_of_idgm_with_gamma_of_the_inner_step() -> (
    None
):
    network, batch = smooth_network(), batch_of()

    def residual(a: float, scale: float) -> float:
        gamma = scale * gamma_of(a, S=4)
        idgm = flat(idgm_gradient(network, batch, gamma=gamma)[1])
        way = mean_way(network, batch, ORDERS["all"], a)
        return float((way / (4 * a) - idgm).norm())

    right = residual(A, 1.0) / residual(A / 2, 1.0)
    wrong = residual(A, 2.0) / residual(A / 2, 2.0)
    assert 3.6 < right < 4.4
    assert 1.8 < wrong < 2.2  # so that a wrong constant is seen


def test_two_quadratic_losses_leave_no_remainder() -> None:
    network = nn.Linear(3, 2).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=generator())
    x = torch.randn(12, 3, generator=generator(2), dtype=torch.float64)
    y = torch.randn(12, 2, generator=generator(3), dtype=torch.float64)
    weight = torch.full((12,), 1 / 12, dtype=torch.float64)
    batch, a = Batch(x, y, (5, 7), weight), 0.3
    gradients, pairs = pairwise_sum(network, batch, F.mse_loss)
    way = mean_way(network, batch, [(0, 1), (1, 0)], a, loss=F.mse_loss)
    curvature = gradient(pairs, network, retain_graph=True)
    expected = a * sum(gradients) - a**2 / 2 * curvature
    torch.testing.assert_close(way, expected, rtol=1e-12, atol=1e-12)
    assert float((a**2 / 2 * curvature).detach().norm()) > 1e-2


def test_inner_loop_leaves_the_weights_as_they_were() -> None:
    network, batch = smooth_network(), batch_of()
    before = flat(network.parameters()).clone()
    inner_loop(network, batch, [0, 1, 2, 3], sgd(learning_rate=0.1), {})
    assert torch.equal(flat(network.parameters()), before)


def test_decay_of_the_inner_step_is_that_of_a_penalty_on_each_loss() -> None:
    network, batch = smooth_network(), batch_of()
    theta = flat(network.parameters()).detach()
    step = sgd(learning_rate=0.1, weight_decay=0.5)
    way = flat(inner_loop(network, batch, [0], step, {})[1])
    plain = flat(inner_loop(network, batch, [0], sgd(learning_rate=0.1), {})[1])
    torch.testing.assert_close(way, plain + 0.1 * 0.5 * theta, rtol=0, atol=1e-14)


@shapes
def test_idgm_by_pairs_by_the_identity_and_by_vmap_are_the_same(shape: Shape) -> None:
    network, ragged = problem_of(shape)
    for batch in (ragged, batch_of((5, 5, 5), shape[0])):  # vmap fills up ragged ones
        S = len(batch.sizes)
        _, pairs = pairwise_sum(network, batch)
        erm = domain_losses(network(batch.x), batch).mean()
        naive = erm - 0.7 * 2 / (S * (S - 1)) * pairs
        for mode in ("autograd", "vmap", "auto"):
            met, found = idgm_gradient(network, batch, gamma=0.7, mode=mode)
            loss, P = met["loss"], 2 / (S * (S - 1)) * pairs.detach()
            torch.testing.assert_close(loss, naive.detach(), rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(met["alignment"], P, rtol=1e-10, atol=1e-10)
            expected = gradient(naive, network, retain_graph=True)
            torch.testing.assert_close(flat(found), expected, rtol=1e-10, atol=1e-10)


@shapes
def test_gradient_of_idgm_is_that_of_central_differences(shape: Shape) -> None:
    network, batch = problem_of(shape)
    parameters = list(network.parameters())
    exact = flat(idgm_gradient(network, batch, gamma=0.7)[1])
    theta, h, found = flat(parameters).detach(), 1e-5, []
    for i in range(len(theta)):
        values = []
        for sign in (1, -1):
            moved = theta.clone()
            moved[i] += sign * h
            nn.utils.vector_to_parameters(moved, parameters)
            met, _ = idgm_gradient(network, batch, gamma=0.7)
            values.append(met["loss"].item())
        found.append((values[0] - values[1]) / (2 * h))
    difference = (exact - torch.tensor(found, dtype=torch.float64)).norm()
    assert difference < 1e-8 * exact.norm()


def test_alignment_is_the_mean_over_ordered_pairs() -> None:
    network, batch = smooth_network(), batch_of()
    gradients, pairs = pairwise_sum(network, batch)
    ordered = sum(
        gradients[i] @ gradients[j] for i in range(4) for j in range(4) if i != j
    )
    P, totals = alignment(losses_one_by_one(network, batch)[1])
    torch.testing.assert_close(flat(totals), sum(gradients), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(P, ordered.detach() / 12, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(P, 2 * pairs.detach() / 12, rtol=1e-12, atol=1e-12)


def mldg_residual(
    a: float, shape: Shape, *, second_order: bool, beta: float = 0.8
) -> float:
    """Return |grad L_meta - grad[L_A + beta L_B - a beta <G_A, G_B>]|."""
    network, batch = problem_of(shape)
    train, test = batch.only([0, 3]), batch.only([1, 2])
    L_A, L_B = (domain_losses(network(part.x), part).mean() for part in (train, test))
    G_A, G_B = (gradient(each, network, create_graph=True) for each in (L_A, L_B))
    expected = gradient(L_A + beta * L_B - a * beta * (G_A @ G_B), network)
    loss = mldg_loss(
        network,
        train,
        test,
        inner_learning_rate=a,
        beta=beta,
        second_order=second_order,
    )["loss"]
    return float((gradient(loss, network) - expected).norm())


@pytest.mark.parametrize(
    ("second_order", "low", "high"), [(True, 3.6, 4.4), (False, 1.8, 2.2)]
)
@shapes
def test_mldg_rewards_the_inner_product_unless_it_is_first_order(
    shape: Shape, second_order: bool, low: float, high: float
) -> None:
    ratio = mldg_residual(A, shape, second_order=second_order) / mldg_residual(
        A / 2, shape, second_order=second_order
    )
    assert low < ratio < high


def test_first_order_mldg_over_both_roles_rewards_half_the_inner_product() -> None:
    network, batch = smooth_network(), batch_of()
    parts = batch.only([0, 3]), batch.only([1, 2])
    losses = [domain_losses(network(part.x), part).mean() for part in parts]
    G_A, G_B = (gradient(each, network, create_graph=True) for each in losses)

    def residual(a: float) -> float:
        loss = sum(
            mldg_loss(network, *each, inner_learning_rate=a, second_order=False)["loss"]
            for each in (parts, parts[::-1])
        )
        target = losses[0] + losses[1] - a / 2 * (G_A @ G_B)
        expected = gradient(target, network, retain_graph=True)
        return float((gradient(loss / 2, network) - expected).norm())

    ratio = residual(A) / residual(A / 2)
    assert 3.6 < ratio < 4.4
