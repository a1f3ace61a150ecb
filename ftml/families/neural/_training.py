"""How neural networks are trained: batches, regularisers, the loop, and stacks of them.

A family makes a `Problem` (`_problem.py`). `run` trains it, one epoch a step, and
resumes to the bit. `run_many` trains many configurations at once: those that differ in
the seed, the learning rate and the penalties alone are one network whose parameters lie
side by side, (M, ...), so that an update of all is one pass; each draws what it would
draw alone.

Axes: n rows, B batch, M members of a stack.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from ftml.core import State, Step, device
from ftml.families.neural._config import TrainingConfig
from ftml.families.neural._model import NETWORKS, arranged, as_float
from ftml.families.neural._problem import Problem, Rows, gather, moved
from ftml.nn.layers import Draw
from ftml.nn.penalties import l1, l2
from ftml.nn.trees import copied, member, stacked
from ftml.optim import descent
from ftml.optim.constraints import clip, project_units, update_mean
from ftml.optim.schedules import SCHEDULES

OPTIMIZERS: dict[str, Callable[..., descent.Descent]] = {
    "sgd": descent.sgd,
    "momentum": descent.momentum,
    "nesterov": descent.nesterov,
    "adagrad": descent.adagrad,
    "rmsprop": descent.rmsprop,
    "adam": descent.adam,
}
OWN = ("seed", "learning_rate", "l1", "l2")
"What members of one stack may differ in."

LARGEST = 50_000
"Parameters of a network in a stack: larger ones are slower so than one by one."


@dataclass(frozen=True)
class Rates:
    """What may differ between members of a stack: numbers, or (M,) each."""

    learning_rate: float | Tensor
    l1: float | Tensor
    l2: float | Tensor
    lead: int
    "1 for a stack"


def rates_of(configs: Sequence[TrainingConfig], *, stack: bool) -> Rates:
    """Return the rates of one configuration, or of the members of a stack."""
    if not stack:
        (config,) = configs
        return Rates(config.learning_rate, config.l1, config.l2, 0)
    own = {
        name: torch.tensor([getattr(each, name) for each in configs], device=device())
        for name in ("learning_rate", "l1", "l2")
    }
    return Rates(**own, lead=1)


def _along(rate: float | Tensor, w: Tensor) -> float | Tensor:
    """Return a rate as it multiplies weights, (M, 1, ...) for those of a stack."""
    return rate.view(-1, *[1] * (w.ndim - 1)) if isinstance(rate, Tensor) else rate


class Loop:
    """A network in training, alone or as a stack, and all that it carries along."""

    def __init__(
        self, configs: Sequence[Any], problem: Problem, *, stack: bool
    ) -> None:
        self.config, self.problem = configs[0], problem
        self.rates = rates_of(configs, stack=stack)
        self.generators = [torch.Generator().manual_seed(c.seed) for c in configs]
        make = NETWORKS[problem.network]
        networks = [
            make(**problem.options, generator=generator).to(device())
            for generator in self.generators
        ]
        self.network = networks[0].train()
        trees = [copied(each.state_dict()) for each in networks]
        self.weights: dict[str, Tensor] = stacked(trees) if stack else trees[0]
        self.draw = Draw(self.generators, stacked=stack)
        self.descend = OPTIMIZERS[self.config.optimizer](
            learning_rate=self.rates.learning_rate
        )
        self.moments, self.average, self.n = State(), list[Tensor](), 0
        self.best, self.waited = math.inf, 0
        self._own()

    def _own(self) -> None:
        """Let the network, where it is alone, hold the weights; find the parameters."""
        names = [name for name, _ in self.network.named_parameters()]
        if not self.rates.lead:
            self.network.load_state_dict(self.weights)
            self.weights = self.network.state_dict(keep_vars=True)
        else:
            for name in names:
                self.weights[name].requires_grad_()
        self.parameters = [self.weights[name] for name in names]
        self.places = [i for i, name in enumerate(names) if name.endswith("weight")]
        self.penalised = [self.parameters[i] for i in self.places]

    def resume(self, states: Sequence[State]) -> None:
        """Go on from the states of the members; they have the same number of steps."""
        state = copied(stacked(states) if self.rates.lead else states[0])
        where = device()
        self.n, self.best, self.waited = state["n"], state["best"], state["waited"]
        self.weights = copied(state["weights"], where=where)
        self.moments = copied(state["optimizer"], where=where)
        self.average = copied(state["average"], where=where)
        for generator, each in zip(self.generators, states, strict=True):
            generator.set_state(each["generator"])
        self._own()

    def apply(self, x: Tensor, draw: Draw | None) -> Tensor:
        """Return the outputs for inputs x, as they lie in memory."""
        x = arranged(x, self.problem.network)
        if self.rates.lead:
            found: Tensor = functional_call(self.network, self.weights, (x, draw))
            return found
        outputs: Tensor = self.network(x, draw)
        return outputs

    def loss(self, rows: Rows) -> Tensor:
        """Return the loss on a batch, (), or (M,)."""
        x, *targets = rows
        x = as_float(x)
        if shift := getattr(self.config, "shift", 0):
            if x.ndim < 4:
                raise ValueError("shift: moves images, these are features")
            x = moved(x, shift, self.draw)
        if self.config.input_noise:
            x = x + self.config.input_noise * self.draw.normal(x)
        return self.problem.loss(self.apply(x, self.draw), *targets)

    def gradient(self, rows: Rows) -> tuple[list[Tensor], Tensor]:
        """Return the gradient of loss and penalties on a batch, and the loss."""
        before = self._disturbed() if self.config.weight_noise else []
        loss = total = self.loss(rows)
        if self.problem.penalty is not None:
            total = loss + self.problem.penalty(self.weights, self.rates.lead, self.n)
        found = list(torch.autograd.grad(total.sum(), self.parameters))
        if before:
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, before)
        self._add_slopes(found)
        return found, loss.detach()

    @torch.no_grad()
    def _add_slopes(self, found: list[Tensor]) -> None:
        """Add l2 w + l1 sign(w) to the gradient of each weight, in the list given.

        Through torch's graph that took a third of an update of a small network.
        """
        for i, w in zip(self.places, self.penalised, strict=True):
            if self.rates.lead or self.rates.l2:
                found[i] = found[i] + _along(self.rates.l2, w) * w
            if self.rates.lead or self.rates.l1:
                found[i] = found[i] + _along(self.rates.l1, w) * w.sign()

    @torch.no_grad()
    def penalties(self) -> Tensor:
        """Return all penalties on the weights as they are, (), or (M,)."""
        found = l1(self.penalised, self.rates.l1) + l2(self.penalised, self.rates.l2)
        if self.problem.penalty is None:
            return found
        return found + self.problem.penalty(self.weights, self.rates.lead, self.n)

    @torch.no_grad()
    def _disturbed(self) -> list[Tensor]:
        """Add noise to the parameters; return what they were."""
        before = [each.detach().clone() for each in self.parameters]
        for each in self.parameters:
            each.add_(self.draw.normal(each), alpha=self.config.weight_noise)
        return before

    def epoch(self) -> tuple[Tensor, Tensor]:
        """Take the updates of an epoch; return their mean loss, and the objective.

        The objective is that loss with the penalties on the weights at the end.
        """
        self.n += 1
        if self.problem.begin is not None:
            self.problem.begin(self.weights, self.n)
        n, B = len(self.problem.train[0]), self.config.batch_size
        n_batches = math.ceil(n / B)
        orders = [torch.randperm(n, generator=each) for each in self.generators]
        order = torch.stack(orders) if self.rates.lead else orders[0]
        order = order.to(device())
        factor = SCHEDULES[self.config.schedule]
        met = []
        for b, index in enumerate(order.split(B, dim=-1)):
            t = (self.n - 1) * n_batches + b
            found, loss = self.gradient(gather(self.problem.train, index))
            if self.config.clip is not None:
                found = clip(found, self.config.clip, lead=self.rates.lead)
            scale = factor(t, self.config.n_epochs * n_batches)
            self.descend(self.parameters, found, self.moments, scale=scale)
            if self.config.max_norm is not None:
                project_units(
                    self.penalised, self.config.max_norm, lead=self.rates.lead
                )
            self._average(t, n_batches)
            met.append(loss)
        mean = torch.stack(met).mean(dim=0)
        return mean.cpu(), (mean + self.penalties()).cpu()

    def _average(self, t: int, n_batches: int) -> None:
        """Count the weights of update t, from 0, in the average that is asked for."""
        start = self.config.average_from
        if start is None or self.n < start:
            return
        if not self.average:
            self.average = [torch.zeros_like(each) for each in self.parameters]
        update_mean(self.average, self.parameters, t=t + 1 - (start - 1) * n_batches)

    @torch.no_grad()
    def look(self) -> None:
        """Compare the validation loss with the best; count epochs without a better."""
        if self.config.patience is None or self.problem.valid is None:
            return
        x, *targets = self.problem.valid
        self.network.eval()
        loss = self.problem.loss(self.apply(as_float(x), None), *targets).item()
        self.network.train()
        self.waited = 0 if loss < self.best else self.waited + 1
        self.best = min(self.best, loss)

    @property
    def ended(self) -> bool:
        """Whether all epochs are done, or patience has run out."""
        patience = self.config.patience
        return self.n >= self.config.n_epochs or (
            patience is not None and self.waited >= patience
        )

    def step(self, loss: Tensor, objective: Tensor, i: int | None = None) -> Step:
        """Return the step of the network, or of member i of a stack."""

        def own(tree: Any) -> Any:
            return copied(tree) if i is None else member(tree, i)

        weights: dict[str, Tensor] = own(dict(self.weights))
        state = {
            "n": self.n,
            "weights": weights,
            "optimizer": own(dict(self.moments)),
            "average": own(self.average),
            "generator": self.generators[i or 0].get_state(),
            "best": self.best,
            "waited": self.waited,
        }
        metrics = {"train_loss": loss, "train_objective": objective}
        found = {key: value[i or 0].item() for key, value in metrics.items()}
        shown = dict(weights)
        if self.average:
            names = [name for name, _ in self.network.named_parameters()]
            shown |= zip(names, state["average"], strict=True)
        return Step(self.n, found, self.problem.model(shown), state)


def run(config: Any, problem: Problem, state: State | None) -> Iterator[Step]:
    """Yield after each epoch of one network, going on from `state`."""
    loop = Loop([config], problem, stack=False)
    if state is not None:
        loop.resume([state])
    while not loop.ended:
        loss, objective = loop.epoch()
        loop.look()
        yield loop.step(loss[None], objective[None])


def run_many(
    configs: Sequence[Any],
    problem_of: Callable[[Any], Problem],
    states: Sequence[State | None] | None,
) -> Iterator[list[Step | None]]:
    """Yield after each epoch of all configurations, None for one that has ended."""
    states = list(states or [None] * len(configs))
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, (config, state) in enumerate(zip(configs, states, strict=True)):
        shared = config.model_dump_json(exclude=set(OWN))
        # Patience ends members at different epochs: each is then by itself.
        alone = i if config.patience is not None else None
        groups.setdefault((shared, state and state["n"], alone), []).append(i)
    runs = [
        _run_group([configs[i] for i in group], problem_of, [states[i] for i in group])
        for group in groups.values()
    ]
    for found in zip_longest(*runs):
        steps: list[Step | None] = [None] * len(configs)
        for group, each in zip(groups.values(), found, strict=True):
            for i, step in zip(group, each or [None] * len(group), strict=True):
                steps[i] = step
        yield steps


def _size(problem: Problem) -> int:
    """Return the number of parameters of a problem's network."""
    network = NETWORKS[problem.network](**problem.options)
    return sum(each.numel() for each in network.parameters())


def _run_group(
    configs: Sequence[Any],
    problem_of: Callable[[Any], Problem],
    states: Sequence[State | None],
) -> Iterator[list[Step]]:
    """Yield after each epoch of configurations that make one stack."""
    problem = problem_of(configs[0])
    if len(configs) == 1 or _size(problem) > LARGEST:
        runs = [run(c, problem, s) for c, s in zip(configs, states, strict=True)]
        yield from map(list, zip(*runs, strict=True))
        return
    loop = Loop(configs, problem, stack=True)
    given = [state for state in states if state is not None]
    if given:
        loop.resume(given)
    while not loop.ended:
        loss, objective = loop.epoch()
        yield [loop.step(loss, objective, i) for i in range(len(configs))]
