"""Steps of descent as functions of the parameters, the gradient and the moments.

    descend(parameters, gradient, moments, scale=1.0)

changes the parameters in place, and `moments`, a tree that is empty at the first step
and that `ftml.saving` can write. `scale` multiplies the learning rate: a schedule. The
steps of `sgd` and `adam` are those of torch.optim, bit for bit, without what its
classes do besides at every step (hooks, records for the profiler, groups of
parameters): for a small network that took longer than the step itself, 0.17 against
0.03 ms of an update of 1.3 ms.

A learning rate is a number, or one for each of M members of a stack, (M,), whose
parameters then are (M, ...). t counts steps from 1, g is the gradient, eta the learning
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

Rate = float | Tensor


class Descent(Protocol):
    """A step along a gradient."""

    def __call__(
        self,
        parameters: list[Tensor],
        gradient: Sequence[Tensor],
        moments: State,
        *,
        scale: float = 1.0,
    ) -> None: ...


Along = tuple[Sequence[Tensor], float]
"What is subtracted, once it is divided by that number and times the learning rate."


def _descent(
    along: Callable[[list[Tensor], State, list[Tensor]], Along], learning_rate: Rate
) -> Descent:
    """Return the step along what a rule says of gradient, moments and parameters."""

    @torch.no_grad()
    def descend(
        parameters: list[Tensor],
        gradient: Sequence[Tensor],
        moments: State,
        *,
        scale: float = 1.0,
    ) -> None:
        found, divisor = along(list(gradient), moments, parameters)
        _subtract(parameters, found, learning_rate, scale / divisor)

    return descend


def sgd(*, learning_rate: Rate, weight_decay: float = 0.0) -> Descent:
    """Return the step theta <- theta - eta (g + decay theta); it has no moments."""

    def along(g: list[Tensor], moments: State, parameters: list[Tensor]) -> Along:
        if not weight_decay:
            return g, 1.0
        return torch._foreach_add(g, parameters, alpha=weight_decay), 1.0

    return _descent(along, learning_rate)


def momentum(*, learning_rate: Rate, alpha: float = 0.9) -> Descent:
    """Return the step against the mean of the gradients seen, the last ones first.

        m <- alpha m + (1 - alpha) g,   theta <- theta - eta m / (1 - alpha^t)

    Of a constant gradient m / (1 - alpha^t) is g at every t. torch's SGD with momentum
    and dampening alpha begins with m = g instead. alpha: in [0, 1).
    """

    def along(g: list[Tensor], moments: State, parameters: list[Tensor]) -> Along:
        _begin(moments, parameters, "mean")
        moments["step"] = moments.get("step", 0) + 1
        torch._foreach_lerp_(moments["mean"], g, 1 - alpha)
        return moments["mean"], 1 - alpha ** moments["step"]

    return _descent(along, learning_rate)


def nesterov(*, learning_rate: Rate, alpha: float = 0.9) -> Descent:
    """Return Nesterov's step, of a gradient taken where the velocity leads.

        v <- alpha v - eta grad R(theta + alpha v),   theta <- theta + v

    The parameters here are phi = theta + alpha v, where the gradient is taken: with b
    = -v / eta that is b <- alpha b + g, phi <- phi - eta (g + alpha b), as torch's SGD
    with `nesterov` has it. alpha: in [0, 1).
    """

    def along(g: list[Tensor], moments: State, parameters: list[Tensor]) -> Along:
        _begin(moments, parameters, "sum")
        torch._foreach_mul_(moments["sum"], alpha)
        torch._foreach_add_(moments["sum"], g)
        return torch._foreach_add(g, moments["sum"], alpha=alpha), 1.0

    return _descent(along, learning_rate)


def adagrad(*, learning_rate: Rate, delta: float = 1e-10) -> Descent:
    """Return AdaGrad's step theta <- theta - eta g / (delta + gamma).

    gamma = sqrt(sum of all g^2 so far), for each coordinate.

    Source: also Duchi, Hazan and Singer 2011, "Adaptive subgradient methods".
    """

    def along(g: list[Tensor], moments: State, parameters: list[Tensor]) -> Along:
        _begin(moments, parameters, "squares")
        torch._foreach_addcmul_(moments["squares"], g, g)
        return _scaled(g, moments["squares"], delta), 1.0

    return _descent(along, learning_rate)


def rmsprop(*, learning_rate: Rate, rho: float = 0.9, delta: float = 1e-8) -> Descent:
    """Return RMSprop's step theta <- theta - eta g / (delta + gamma).

    gamma^2 <- rho gamma^2 + (1 - rho) g^2, from 0. rho: in [0, 1).
    """

    def along(g: list[Tensor], moments: State, parameters: list[Tensor]) -> Along:
        _begin(moments, parameters, "squares")
        torch._foreach_mul_(moments["squares"], rho)
        torch._foreach_addcmul_(moments["squares"], g, g, 1 - rho)
        return _scaled(g, moments["squares"], delta), 1.0

    return _descent(along, learning_rate)


def adam(
    *,
    learning_rate: Rate,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Descent:
    """Return the step of Adam, with g + decay theta for g.

        m <- beta_1 m + (1 - beta_1) g,   v <- beta_2 v + (1 - beta_2) g^2
        theta <- theta - eta (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + eps)

    Source: also Kingma and Ba 2015, "Adam: a method for stochastic optimization".
    """

    @torch.no_grad()
    def descend(
        parameters: list[Tensor],
        gradient: Sequence[Tensor],
        moments: State,
        *,
        scale: float = 1.0,
    ) -> None:
        # The kernel does not look at strides, and the second derivative of a
        # convolution comes in another order than its weights.
        g = [each.contiguous() for each in gradient]
        if not moments:
            moments["exp_avg"] = [torch.zeros_like(each) for each in parameters]
            moments["exp_avg_sq"] = [torch.zeros_like(each) for each in parameters]
            moments["step"] = torch.zeros((), device=parameters[0].device)
        if isinstance(learning_rate, Tensor):
            _adam_of_stack(parameters, g, moments, learning_rate, scale, betas, eps)
            return
        moments["step"].add_(1)
        torch._fused_adam_(
            parameters,
            g,
            moments["exp_avg"],
            moments["exp_avg_sq"],
            [],
            [moments["step"]] * len(parameters),
            lr=learning_rate * scale,
            beta1=betas[0],
            beta2=betas[1],
            weight_decay=weight_decay,
            eps=eps,
            amsgrad=False,
            maximize=False,
        )

    return descend


def _adam_of_stack(
    parameters: list[Tensor],
    g: list[Tensor],
    moments: State,
    learning_rate: Tensor,
    scale: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """Take the step of each member; the fused kernel has one learning rate for all."""
    mean, square = moments["exp_avg"], moments["exp_avg_sq"]
    moments["step"].add_(1)
    t = moments["step"].item()
    torch._foreach_lerp_(mean, g, 1 - betas[0])
    torch._foreach_mul_(square, betas[1])
    torch._foreach_addcmul_(square, g, g, 1 - betas[1])
    root = torch._foreach_sqrt(square)
    torch._foreach_div_(root, (1 - betas[1] ** t) ** 0.5)
    torch._foreach_add_(root, eps)
    along = torch._foreach_div(mean, root)
    _subtract(parameters, along, learning_rate, scale / (1 - betas[0] ** t))


def _begin(moments: State, parameters: list[Tensor], name: str) -> None:
    """Make the moments of the first step."""
    if not moments:
        moments[name] = [torch.zeros_like(each) for each in parameters]


def _scaled(g: list[Tensor], squares: list[Tensor], delta: float) -> Sequence[Tensor]:
    """Return g / (delta + sqrt(squares))."""
    root = torch._foreach_sqrt(squares)
    torch._foreach_add_(root, delta)
    return torch._foreach_div(g, root)


def _subtract(
    parameters: list[Tensor], along: Sequence[Tensor], rate: Rate, scale: float
) -> None:
    if not isinstance(rate, Tensor):
        torch._foreach_add_(parameters, list(along), alpha=-rate * scale)
        return
    for parameter, each in zip(parameters, along, strict=True):
        own = rate.view(-1, *[1] * (parameter.ndim - 1))
        parameter.addcmul_(each, own, value=-scale)
