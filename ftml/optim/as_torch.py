"""An optimizer of `optimizers.py` as a torch optimizer, for loops of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ftml.optim.optimizers import Optimizer


class TorchOptimizer(torch.optim.Optimizer):
    """Steps of an `Optimizer` on the gradients that `backward` leaves in `.grad`.

    parameters: each with a gradient at every step. `lr`, 1 at the start, multiplies the
    learning rate of the optimizer, so that torch's schedulers work on it.
    """

    def __init__(self, parameters: Iterable[Tensor], optimizer: Optimizer) -> None:
        super().__init__(parameters, {"lr": 1.0})
        self.optimizer = optimizer

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; return what `closure` returns, if one is given.

        Raises ValueError for a parameter that has no gradient.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = group["params"]
            gradient = [each.grad for each in parameters]
            if any(each is None for each in gradient):
                raise ValueError("step needs a gradient of every parameter")
            state = self.state[parameters[0]]  # of them all
            self.optimizer(parameters, gradient, state, scale=group["lr"])
        return loss
