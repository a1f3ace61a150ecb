"""Trains the network of a `Problem`, alone or as a stack, one epoch per step.

The order within an update is fixed, because all random numbers come from one generator
per configuration: noise on the weights, then what the turn draws itself. The gradient
then passes through penalties, clipping, the optimizer, projection and averaging.

The state of a step holds everything that training needs to resume bit-identically on
the CPU: weights, optimizer state, average, memory, record, generator, and the counters
of early stopping. A step shares no tensor with the loop.

Axes: M entries of a stack.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from ftml.core import State, Step, device
from ftml.nn.layers import Draw
from ftml.nn.penalties import l1, l2
from ftml.nn.trees import copied, entry, stacked
from ftml.optim import foreach
from ftml.optim.constraints import clip, project_units, update_mean
from ftml.optim.schedules import SCHEDULES
from ftml.training.metrics import Means
from ftml.training.problem import Context, Problem, Turn


@dataclass(frozen=True)
class Rates:
    """What may differ between the entries of a stack: numbers, or (M,) each."""

    learning_rate: float | Tensor
    l1: float | Tensor
    l2: float | Tensor

    lead: int = 0
    "number of leading axes of each parameter: 1 for a stack"


def _per_weight(rate: float | Tensor, w: Tensor) -> float | Tensor:
    """Return a rate as a factor of w, (M, 1, ...) for a stack."""
    return rate.view(-1, *[1] * (w.ndim - 1)) if isinstance(rate, Tensor) else rate


class Loop:
    """A network in training, alone or as a stack, with all of its state."""

    def __init__(
        self, configs: Sequence[Any], problem: Problem, *, rates: Rates
    ) -> None:
        self.config, self.problem, self.rates = configs[0], problem, rates
        self.generators = [torch.Generator().manual_seed(c.seed) for c in configs]
        networks = [problem.network(each).to(device()) for each in self.generators]
        self.network = networks[0].train()
        self.draw = Draw(self.generators, stacked=bool(rates.lead))
        self.optimizer = problem.optimizer(learning_rate=rates.learning_rate)
        self.optimizer_state, self.memory, self.record = State(), State(), State()
        self.average: list[Tensor] = []
        self.n, self.best, self.waited = 0, math.inf, 0
        self.weights: dict[str, Tensor] = {}
        if rates.lead:
            self.weights = stacked([copied(each.state_dict()) for each in networks])

    def start(self) -> None:
        """Prepare a new network for its first epoch."""
        if self.problem.prepare is not None:
            self.problem.prepare(self.network, self.generators[0])
        self._bind()

    def resume(self, states: Sequence[State]) -> None:
        """Continue from the states of the entries, which have the same step number."""
        state = stacked(states) if self.rates.lead else states[0]
        where = device()
        self.n, self.best, self.waited = state["n"], state["best"], state["waited"]
        if self.rates.lead:
            self.weights = copied(state["weights"], where=where)
        else:
            self.network.load_state_dict(state["weights"])
        # Copied, because the loop changes them in place.
        self.optimizer_state = copied(state["optimizer"], where=where)
        self.average = copied(state["average"], where=where)
        self.memory = copied(state["memory"], where=where)
        self.record = state["record"]
        for generator, each in zip(self.generators, states, strict=True):
            generator.set_state(each["generator"])
        self._bind()

    def _bind(self) -> None:
        """Find the parameters, and those that l1, l2 and max_norm apply to."""
        named = [
            name for name, each in self.network.named_parameters() if each.requires_grad
        ]
        if not self.rates.lead:
            self.weights = self.network.state_dict(keep_vars=True)
        self.names = named
        parameters = [self.weights[name] for name in named]
        for each in parameters:
            each.requires_grad_()
        self.parameters = {"": parameters}
        self.places = [i for i, name in enumerate(named) if name.endswith("weight")]
        self.penalised = [parameters[i] for i in self.places]
        self.units = [self._units_of(named[i], parameters[i]) for i in self.places]

    def _units_of(self, name: str, w: Tensor) -> Tensor:
        """Return a view of a weight in which one axis, after `lead`, counts units."""
        module = self.network.get_submodule(name.rpartition(".")[0])
        lead = self.rates.lead
        return w.detach().flatten(lead, lead + getattr(module, "unit_axes", 1) - 1)

    def _parameters_of(self, player: str) -> list[Tensor]:
        """Return the parameters of a player, found once."""
        if player not in self.parameters:
            found = self.network.get_submodule(player).parameters()
            self.parameters[player] = [each for each in found if each.requires_grad]
        return self.parameters[player]

    def _optimizer_state_of(self, player: str) -> State:
        """Return the optimizer state of a player: each has its own."""
        state: State = self.optimizer_state
        return state.setdefault(player, State()) if player else state

    @property
    def callable(self) -> Any:
        """The network, or for a stack the function that the stack computes."""
        if not self.rates.lead:
            return self.network
        return lambda *inputs: functional_call(self.network, self.weights, inputs)

    def epoch(self) -> list[dict[str, float]]:
        """Take the updates of an epoch; return the metrics of each entry."""
        self.n += 1
        problem = self.problem
        if self.n in problem.optimizer_restarts:
            self.optimizer_state = State()
        if problem.begin is not None:
            problem.begin(self.weights, self.n)
        batches = problem.batches(self.draw)
        factor, T = SCHEDULES[problem.schedule], len(batches)
        means, norms = problem.means(), list[Tensor]()
        for b, batch in enumerate(batches):
            t = (self.n - 1) * T + b
            scale = factor(t, self.config.n_epochs * T)
            self._update(batch, scale, means, norms)
            self._count_in_average(t, T)
        return self._read(means, norms)

    def _update(
        self, batch: Any, scale: float, means: Means, norms: list[Tensor]
    ) -> None:
        """Take the turns of an update; add their metrics to `means` and `norms`."""
        before = self.add_noise() if self.problem.weight_noise else []
        context = Context(self.draw, self.memory, self.n)
        for turn in self.problem.turns(self.callable, batch, context):
            parameters = self._parameters_of(turn.player)
            gradient = self.gradient(turn, parameters, before)
            if "gradient_norm" in self.problem.metrics:
                norms.append(torch.stack(foreach.norm(gradient)).norm())
            if self.problem.clip is not None:
                gradient = clip(gradient, self.problem.clip, lead=self.rates.lead)
            state = self._optimizer_state_of(turn.player)
            self.optimizer(parameters, gradient, state, scale=scale)
            if self.problem.max_norm is not None:
                radius = self.problem.max_norm
                project_units(self.units, radius, lead=self.rates.lead)
            if turn.memory is not None:
                self.memory = turn.memory
            means.add(turn.scalars, size=turn.size)

    def gradient(
        self, turn: Turn, parameters: list[Tensor], before: list[Tensor]
    ) -> list[Tensor]:
        """Return the gradient of a turn with those of all penalties.

        before: the parameters without noise, which are put back; none without noise.
        """
        if turn.gradient is not None:
            return list(turn.gradient)
        if turn.loss is None:
            raise ValueError("a turn needs a loss or a gradient, got neither")
        total = turn.loss
        if self.problem.penalty is not None:
            penalty = self.problem.penalty(self.weights, self.rates.lead, self.n)
            total = total + penalty
        # A batch need not use every parameter, as one of one-leaf trees: its gradient
        # is then 0.
        found = list(
            torch.autograd.grad(total.sum(), parameters, materialize_grads=True)
        )
        if before:
            with torch.no_grad():
                foreach.copy_(parameters, before)
        self._add_penalty_gradients(found)
        return found

    @torch.no_grad()
    def _add_penalty_gradients(self, found: list[Tensor]) -> None:
        """Add l2 w + l1 sign(w) to the gradient of each weight, in the list given.

        Through torch's graph this takes a third of an update of a small network.
        """
        for i, w in zip(self.places, self.penalised, strict=True):
            if self.rates.lead or self.rates.l2:
                found[i] = found[i] + _per_weight(self.rates.l2, w) * w
            if self.rates.lead or self.rates.l1:
                found[i] = found[i] + _per_weight(self.rates.l1, w) * w.sign()

    @torch.no_grad()
    def _penalties(self) -> Tensor:
        """Return the sum of all penalties on the current weights, () or (M,)."""
        found = l1(self.penalised, self.rates.l1) + l2(self.penalised, self.rates.l2)
        if self.problem.penalty is None:
            return found
        return found + self.problem.penalty(self.weights, self.rates.lead, self.n)

    @torch.no_grad()
    def add_noise(self) -> list[Tensor]:
        """Add noise to the parameters; return copies of them without noise."""
        parameters = self.parameters[""]
        before = [each.detach().clone() for each in parameters]
        for each in parameters:
            each.add_(self.draw.normal(each), alpha=self.problem.weight_noise)
        return before

    def _count_in_average(self, t: int, n_batches: int) -> None:
        """Include the weights after update t, counted from 0, in the average."""
        start = self.problem.average_from
        if start is None or self.n < start:
            return
        if not self.average:
            self.average = [torch.zeros_like(each) for each in self.parameters[""]]
        t_average = t + 1 - (start - 1) * n_batches
        update_mean(self.average, self.parameters[""], t=t_average)

    def _read(self, means: Means, norms: list[Tensor]) -> list[dict[str, float]]:
        """Return the metrics of each entry, after one transfer from the device.

        Raises FloatingPointError, whose message begins with `diverged`, for a metric
        that is not finite, where the problem asks for this check.
        """
        found = means.result()
        if norms:
            found["gradient_norm"] = torch.stack(norms).mean()
        if "objective" in self.problem.metrics:
            found["objective"] = found["loss"] + self._penalties()
        values = torch.stack(list(found.values())).view(len(found), -1).T.tolist()
        names = [f"train_{name}" for name in found]
        metrics = [dict(zip(names, each, strict=True)) for each in values]
        if self.problem.check_divergence:
            for name, value in metrics[0].items():
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"diverged: {name} is {value} in epoch {self.n}"
                    )
        return metrics

    @torch.no_grad()
    def validate(self) -> None:
        """Compare the validation loss with the lowest; count epochs without a lower."""
        if self.problem.patience is None or self.problem.validate is None:
            return
        self.network.eval()
        loss = self.problem.validate(self.network)
        self.network.train()
        self.waited = 0 if loss < self.best else self.waited + 1
        self.best = min(self.best, loss)

    @property
    def ended(self) -> bool:
        """Whether all epochs are done, or early stopping ends training."""
        patience = self.problem.patience
        return self.n >= self.config.n_epochs or (
            patience is not None and self.waited >= patience
        )

    @torch.no_grad()
    def update_record(self, metrics: Mapping[str, float]) -> None:
        """Let the problem add the epoch to the record."""
        if self.problem.record is not None:
            self.record = self.problem.record(
                self.network, self.n, metrics, self.record
            )

    def step(self, metrics: Mapping[str, float], i: int | None = None) -> Step:
        """Return the step of the network, or of entry i of a stack."""

        def own(tree: Any) -> Any:
            return copied(tree) if i is None else entry(tree, i)

        weights: dict[str, Tensor] = own(dict(self.weights))
        state = {
            "n": self.n,
            "weights": weights,
            "optimizer": own(self.optimizer_state),
            "average": own(self.average),
            "memory": own(self.memory),
            "record": self.record,
            "generator": self.generators[i or 0].get_state(),
            "best": self.best,
            "waited": self.waited,
        }
        shown = dict(weights)
        if self.average:
            shown |= zip(self.names, state["average"], strict=True)
        return Step(self.n, metrics, self.problem.model(shown, self.record), state)


def run(config: Any, problem: Problem, state: State | None) -> Iterator[Step]:
    """Yield after each epoch of one network, resuming from `state`.

    config: has `seed`, `learning_rate` and `n_epochs`. Raises
    FloatingPointError as `Problem.check_divergence` says.
    """
    rates = Rates(config.learning_rate, problem.l1, problem.l2)
    loop = Loop([config], problem, rates=rates)
    if state is None:
        loop.start()
    else:
        loop.resume([state])
    while not loop.ended:
        (metrics,) = loop.epoch()
        loop.validate()
        loop.update_record(metrics)
        yield loop.step(metrics)
