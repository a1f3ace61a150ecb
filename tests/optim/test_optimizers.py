"""Steps of the optimizers against those of torch and the formulas of the notes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ftml.optim.as_torch import TorchOptimizer
from ftml.optim.optimizers import (
    Optimizer,
    adagrad,
    adam,
    momentum,
    nesterov,
    rmsprop,
    sgd,
)
from tests.families.domain_generalization.checks import normal

RATES = {"learning_rate": 0.03, "weight_decay": 0.1}
SHAPES = [(5, 4), (5,), (3, 5), (3,)]


@pytest.mark.parametrize(
    ("optimizer", "oracle"),
    [
        (adam(**RATES), lambda p: torch.optim.Adam(p, 0.03, weight_decay=0.1, fused=1)),
        (sgd(**RATES), lambda p: torch.optim.SGD(p, 0.03, weight_decay=0.1)),
        (sgd(learning_rate=0.03), lambda p: torch.optim.SGD(p, 0.03)),
    ],
)
def test_steps_are_those_of_torchs_optimizer(
    optimizer: Optimizer, oracle: Callable[[list[Tensor]], torch.optim.Optimizer]
) -> None:
    ours, theirs = (
        [normal(*shape, dtype=torch.float32) for shape in SHAPES] for _ in range(2)
    )
    state: dict = {}
    reference = oracle(theirs)
    for n in range(6):
        gradient = [normal(*shape, seed=n, dtype=torch.float32) for shape in SHAPES]
        before = [each.clone() for each in gradient]
        optimizer(ours, gradient, state)
        for parameter, each in zip(theirs, gradient, strict=True):
            parameter.grad = each
        reference.step()
        assert all(map(torch.equal, gradient, before))
        assert all(map(torch.equal, ours, theirs))


@pytest.mark.parametrize("optimizer", [adam(**RATES), sgd(**RATES)])
def test_gradient_that_lies_otherwise_in_memory_is_the_same_gradient(
    optimizer: Optimizer,
) -> None:
    one, other = (normal(5, 4, dtype=torch.float32) for _ in range(2))
    gradient = normal(5, 4, seed=1, dtype=torch.float32)
    optimizer([one], [gradient], {})
    optimizer([other], [gradient.T.contiguous().T], {})
    assert torch.equal(one, other)


FLOAT64 = {"dtype": torch.float64}


def trajectory(step: Callable[[list[Tensor], list[Tensor]], None]) -> list[Tensor]:
    """Return the points of 100 steps on one quadratic with noise, float64."""
    parameters = [normal(*shape, **FLOAT64) for shape in SHAPES]
    points = []
    for n in range(100):
        noise = [normal(*shape, seed=n + 1, **FLOAT64) for shape in SHAPES]
        step(parameters, [p + e for p, e in zip(parameters, noise, strict=True)])
        points.append(torch.cat([p.detach().flatten() for p in parameters]).clone())
    return points


def of_torch(make: Callable[[list[Tensor]], torch.optim.Optimizer]) -> list[Tensor]:
    kept: dict = {}

    def step(parameters: list[Tensor], gradient: list[Tensor]) -> None:
        kept.setdefault("optimizer", make(parameters))
        for parameter, each in zip(parameters, gradient, strict=True):
            parameter.grad = each
        kept["optimizer"].step()

    return trajectory(step)


# torch's Adam with an enormous eps takes m / (1 - beta_1^t) * lr / eps: our momentum.
HUGE = 1e18
CONVENTIONS = [
    (
        momentum(learning_rate=0.03, alpha=0.8),
        lambda p: torch.optim.Adam(p, 0.03 * HUGE, betas=(0.8, 0.5), eps=HUGE),
    ),
    (
        nesterov(learning_rate=0.03, alpha=0.8),
        lambda p: torch.optim.SGD(p, 0.03, momentum=0.8, nesterov=True),
    ),
    (
        adagrad(learning_rate=0.1, delta=1e-6),
        lambda p: torch.optim.Adagrad(p, 0.1, eps=1e-6),
    ),
    (
        rmsprop(learning_rate=0.01, rho=0.95, delta=1e-6),
        lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.95, eps=1e-6),
    ),
    (
        adam(learning_rate=0.03, betas=(0.8, 0.99), eps=1e-6),
        lambda p: torch.optim.Adam(p, 0.03, betas=(0.8, 0.99), eps=1e-6),
    ),
]
IDS = ["momentum", "nesterov", "adagrad", "rmsprop", "adam"]


@pytest.mark.parametrize(("optimizer", "oracle"), CONVENTIONS, ids=IDS)
def test_hundred_steps_in_float64_are_those_of_torch(
    optimizer: Optimizer, oracle: Callable[[list[Tensor]], torch.optim.Optimizer]
) -> None:
    state: dict = {}
    ours = trajectory(lambda p, g: optimizer(p, g, state))
    torch.testing.assert_close(ours, of_torch(oracle), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("optimizer", [pair[0] for pair in CONVENTIONS], ids=IDS)
def test_optimizer_as_a_torch_optimizer_takes_the_same_steps(
    optimizer: Optimizer,
) -> None:
    state: dict = {}
    ours = trajectory(lambda p, g: optimizer(p, g, state, scale=0.5))

    def halved(parameters: list[Tensor]) -> torch.optim.Optimizer:
        wrapped = TorchOptimizer(parameters, optimizer)
        wrapped.param_groups[0]["lr"] = 0.5
        return wrapped

    assert all(map(torch.equal, of_torch(halved), ours))


def test_torch_optimizer_without_a_gradient_is_refused() -> None:
    optimizer = TorchOptimizer([normal(2, **FLOAT64)], sgd(learning_rate=0.1))
    with pytest.raises(ValueError, match="step needs a gradient of every parameter"):
        optimizer.step()


MAKERS = [sgd, momentum, nesterov, adagrad, rmsprop, adam]


@pytest.mark.parametrize("make", MAKERS, ids=lambda each: each.__name__)
def test_stack_takes_the_step_of_each_entry_with_its_own_rate(
    make: Callable[..., Optimizer],
) -> None:
    rates = torch.tensor([0.1, 0.001, 0.03], **FLOAT64)
    stack, state = [normal(3, 4, 5, **FLOAT64), normal(3, 4, seed=1, **FLOAT64)], {}
    alone = [[each[i].clone() for each in stack] for i in range(3)]
    own: list[dict] = [{}, {}, {}]
    for n in range(5):
        gradient = [normal(*each.shape, seed=n + 2, **FLOAT64) for each in stack]
        make(learning_rate=rates)(stack, gradient, state, scale=0.7)
        for i, rate in enumerate(rates.tolist()):
            part = [each[i] for each in gradient]
            make(learning_rate=rate)(alone[i], part, own[i], scale=0.7)
    for i in range(3):
        for one, other in zip(stack, alone[i], strict=True):
            torch.testing.assert_close(one[i], other, rtol=1e-12, atol=1e-12)


def test_corrected_momentum_of_a_constant_gradient_is_the_gradient() -> None:
    # The notes divide by (1 - alpha)^t: at t = 5 and alpha = .95 7.2e5 times as much.
    optimizer, state = momentum(learning_rate=1.0, alpha=0.95), {}
    point, g = [torch.zeros(3, **FLOAT64)], torch.tensor([1.0, -2.0, 0.5], **FLOAT64)
    for t in range(1, 8):
        optimizer(point, [g], state)
        torch.testing.assert_close(point[0], -t * g, rtol=1e-14, atol=0)


def test_nesterov_is_the_look_ahead_of_the_notes() -> None:
    H = torch.tensor([3.0, 0.2], **FLOAT64)
    eta, alpha = 0.1, 0.9
    theta, v = torch.ones(2, **FLOAT64), torch.zeros(2, **FLOAT64)
    phi, state = [torch.ones(2, **FLOAT64)], {}
    optimizer = nesterov(learning_rate=eta, alpha=alpha)
    for _ in range(30):
        v = alpha * v - eta * H * (theta + alpha * v)
        theta = theta + v
        optimizer(phi, [H * phi[0]], state)
        torch.testing.assert_close(phi[0], theta + alpha * v, rtol=1e-12, atol=1e-14)
