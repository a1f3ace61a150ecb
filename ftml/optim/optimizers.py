"""Optimizers as functions of the parameters, the gradient and the optimizer state.

    optimizer(parameters, gradient, state, scale=1.0)

changes the parameters in place, and `state`, a tree that is empty at the first step
and that `ftml.saving` can write. `scale` multiplies the learning rate; a schedule sets
it. The steps of `sgd` and `adam` are bit-identical to those of torch.optim. They leave
out what torch's classes do besides at every step (hooks, records for the profiler,
groups of parameters), which takes longer than the step itself for a small network.

A learning rate is a number, or one number for each of M entries of a stack, (M,), whose
parameters are (M, ...). t counts steps from 1, g is the gradient, eta the learning
rate. The rules are those of the notes with their mistakes 32 to 35 corrected: signs,
1 - alpha^t for (1 - alpha)^t, 1 - rho before g^2, division by the bias.

Source: Deep learning cheat sheet, sections 14.9.3 to 14.9.6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ftml.core import State
from ftml.optim import foreach

Rate = float | Tensor


class Optimizer(Protocol):
    """One step of an optimizer, in place."""

    def __call__(
        self,
        parameters: list[Tensor],
        gradient: Sequence[Tensor],
        state: State,
        *,
        scale: float = 1.0,
    ) -> None: ...


class MakeOptimizer(Protocol):
    """What makes an optimizer from its learning rate, as `sgd` and `adam` do."""

    def __call__(self, *, learning_rate: Rate) -> Optimizer: ...


Update = tuple[Sequence[Tensor], float]
"An update direction and a divisor: eta / divisor times the direction is subtracted."


def _optimizer(
    rule: Callable[[list[Tensor], State, list[Tensor]], Update], learning_rate: Rate
) -> Optimizer:
    """Return the optimizer whose update is a rule of gradient, state and parameters."""

    @torch.no_grad()
    def step(
        parameters: list[Tensor],
        gradient: Sequence[Tensor],
        state: State,
        *,
        scale: float = 1.0,
    ) -> None:
        direction, divisor = rule(list(gradient), state, parameters)
        _subtract(parameters, direction, learning_rate, scale / divisor)

    return step


def sgd(*, learning_rate: Rate, weight_decay: float = 0.0) -> Optimizer:
    """Return the optimizer theta <- theta - eta (g + decay theta); it has no state."""

    def rule(g: list[Tensor], state: State, parameters: list[Tensor]) -> Update:
        if not weight_decay:
            return g, 1.0
        return foreach.add(g, parameters, alpha=weight_decay), 1.0

    return _optimizer(rule, learning_rate)


def momentum(*, learning_rate: Rate, alpha: float = 0.9) -> Optimizer:
    """Return momentum: a step against the exponential mean of the gradients.

        m <- alpha m + (1 - alpha) g,   theta <- theta - eta m / (1 - alpha^t)

    Of a constant gradient m / (1 - alpha^t) is g at every t. torch's SGD with momentum
    and dampening alpha begins with m = g instead. alpha: in [0, 1).
    """

    def rule(g: list[Tensor], state: State, parameters: list[Tensor]) -> Update:
        _begin(state, parameters, "mean")
        state["step"] = state.get("step", 0) + 1
        foreach.lerp_(state["mean"], g, 1 - alpha)
        return state["mean"], 1 - alpha ** state["step"]

    return _optimizer(rule, learning_rate)


def nesterov(*, learning_rate: Rate, alpha: float = 0.9) -> Optimizer:
    """Return Nesterov's momentum, whose gradient is taken ahead of the parameters.

        v <- alpha v - eta grad R(theta + alpha v),   theta <- theta + v

    The parameters here are phi = theta + alpha v, where the gradient is taken: with b
    = -v / eta that is b <- alpha b + g, phi <- phi - eta (g + alpha b), as torch's SGD
    with `nesterov` has it. alpha: in [0, 1).
    """

    def rule(g: list[Tensor], state: State, parameters: list[Tensor]) -> Update:
        _begin(state, parameters, "sum")
        foreach.mul_(state["sum"], alpha)
        foreach.add_(state["sum"], g)
        return foreach.add(g, state["sum"], alpha=alpha), 1.0

    return _optimizer(rule, learning_rate)


def adagrad(*, learning_rate: Rate, delta: float = 1e-10) -> Optimizer:
    """Return AdaGrad, theta <- theta - eta g / (delta + gamma).

    gamma = sqrt(sum of all g^2 so far), for each coordinate.

    Source: also Duchi, Hazan and Singer 2011, "Adaptive subgradient methods".
    """

    def rule(g: list[Tensor], state: State, parameters: list[Tensor]) -> Update:
        _begin(state, parameters, "squares")
        foreach.addcmul_(state["squares"], g, g)
        return _scaled(g, state["squares"], delta), 1.0

    return _optimizer(rule, learning_rate)


def rmsprop(*, learning_rate: Rate, rho: float = 0.9, delta: float = 1e-8) -> Optimizer:
    """Return RMSprop, theta <- theta - eta g / (delta + gamma).

    gamma^2 <- rho gamma^2 + (1 - rho) g^2, from 0. rho: in [0, 1).
    """

    def rule(g: list[Tensor], state: State, parameters: list[Tensor]) -> Update:
        _begin(state, parameters, "squares")
        foreach.mul_(state["squares"], rho)
        foreach.addcmul_(state["squares"], g, g, 1 - rho)
        return _scaled(g, state["squares"], delta), 1.0

    return _optimizer(rule, learning_rate)


def adam(
    *,
    learning_rate: Rate,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Optimizer:
    """Return Adam, with g + decay theta for g.

        m <- beta_1 m + (1 - beta_1) g,   v <- beta_2 v + (1 - beta_2) g^2
        theta <- theta - eta (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + eps)

    Source: also Kingma and Ba 2015, "Adam: a method for stochastic optimization".
    """

    @torch.no_grad()
    def step(
        parameters: list[Tensor],
        gradient: Sequence[Tensor],
        state: State,
        *,
        scale: float = 1.0,
    ) -> None:
        # The kernel ignores strides, and the second derivative of a convolution has
        # another memory layout than its weights.
        g = [each.contiguous() for each in gradient]
        if not state:
            state["exp_avg"] = [torch.zeros_like(each) for each in parameters]
            state["exp_avg_sq"] = [torch.zeros_like(each) for each in parameters]
            state["step"] = torch.zeros((), device=parameters[0].device)
        if isinstance(learning_rate, Tensor):
            _adam_of_stack(parameters, g, state, learning_rate, scale, betas, eps)
            return
        state["step"].add_(1)
        foreach.fused_adam_(
            parameters,
            g,
            state["exp_avg"],
            state["exp_avg_sq"],
            [],
            [state["step"]] * len(parameters),
            lr=learning_rate * scale,
            beta1=betas[0],
            beta2=betas[1],
            weight_decay=weight_decay,
            eps=eps,
            amsgrad=False,
            maximize=False,
        )

    return step


def _adam_of_stack(
    parameters: list[Tensor],
    g: list[Tensor],
    state: State,
    learning_rate: Tensor,
    scale: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """Take the step of each entry; the fused kernel has one learning rate for all."""
    mean, square = state["exp_avg"], state["exp_avg_sq"]
    state["step"].add_(1)
    t = state["step"].item()
    foreach.lerp_(mean, g, 1 - betas[0])
    foreach.mul_(square, betas[1])
    foreach.addcmul_(square, g, g, 1 - betas[1])
    root = foreach.sqrt(square)
    foreach.div_(root, (1 - betas[1] ** t) ** 0.5)
    foreach.add_(root, eps)
    direction = foreach.div(mean, root)
    _subtract(parameters, direction, learning_rate, scale / (1 - betas[0] ** t))


def _begin(state: State, parameters: list[Tensor], name: str) -> None:
    """Fill the empty state of the first step with zeros."""
    if not state:
        state[name] = [torch.zeros_like(each) for each in parameters]


def _scaled(g: list[Tensor], squares: list[Tensor], delta: float) -> Sequence[Tensor]:
    """Return g / (delta + sqrt(squares))."""
    root = foreach.sqrt(squares)
    foreach.add_(root, delta)
    return foreach.div(g, root)


def _subtract(
    parameters: list[Tensor], direction: Sequence[Tensor], rate: Rate, scale: float
) -> None:
    if not isinstance(rate, Tensor):
        foreach.add_(parameters, list(direction), alpha=-rate * scale)
        return
    for parameter, each in zip(parameters, direction, strict=True):
        own = rate.view(-1, *[1] * (parameter.ndim - 1))
        parameter.addcmul_(each, own, value=-scale)
