"""The shared training loop on a network of two parts, against steps written out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ftml.config import FamilyConfig
from ftml.core import State, Step
from ftml.nn.layers import Draw, LocallyConnected
from ftml.optim.optimizers import adam, sgd
from ftml.training import (
    Context,
    MeanOfUpdates,
    Problem,
    RunningMean,
    Turn,
    run,
)

X = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))


class Config(FamilyConfig):
    """The fields that the loop reads."""

    learning_rate: float = 0.1
    n_epochs: int = 4


CONFIG = Config()


class TwoParts(nn.Module):
    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.first, self.second = (nn.Linear(3, 1, bias=False) for _ in range(2))
        for each in (self.first, self.second):
            nn.init.normal_(each.weight, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) + self.second(x)


def batches(draw: Draw) -> tuple[Tensor, ...]:
    return torch.randperm(len(X), generator=draw.generators[0]).split(5)


def turns(network: Any, index: Tensor, context: Context) -> Iterator[Turn]:
    loss = (network(X[index]) - 1).square().mean()
    memory = {"updates": context.memory.get("updates", 0) + 1}
    yield Turn({"loss": loss}, loss=loss, memory=memory)


PROBLEM = Problem(
    network=TwoParts,
    batches=batches,
    turns=turns,
    optimizer=adam,
    model=lambda weights, record: weights,
)


def steps(state: State | None = None, **changes: Any) -> list[Step]:
    return list(run(CONFIG, replace(PROBLEM, **changes), state))


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_loop_takes_the_steps_that_a_plain_loop_of_torch_takes() -> None:
    generator = torch.Generator().manual_seed(CONFIG.seed)
    network = TwoParts(generator)
    optimizer = torch.optim.SGD(network.parameters(), CONFIG.learning_rate)
    for step in steps(optimizer=sgd):
        losses = []
        for index in torch.randperm(len(X), generator=generator).split(5):
            optimizer.zero_grad()
            loss = (network(X[index]) - 1).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        assert equal(step.model, network.state_dict())
        assert step.metrics == {"train_loss": torch.stack(losses).mean().item()}


def test_resumed_training_equals_uninterrupted_training_bit_identically() -> None:
    def record(network: Any, n: int, metrics: Any, before: State) -> State:
        return {"epochs": [*before.get("epochs", []), n]}

    options = {
        "schedule": "cosine",
        "clip": 0.5,
        "average_from": 2,
        "l1": 0.01,
        "weight_noise": 0.1,
        "record": record,
        "metrics": frozenset({"objective", "gradient_norm"}),
    }
    whole = steps(**options)
    rest = steps(whole[1].state, **options)
    assert [each.metrics for each in rest] == [each.metrics for each in whole[2:]]
    for one, other in zip(rest, whole[2:], strict=True):
        assert equal(one.model, other.model)
        assert torch.equal(one.state["generator"], other.state["generator"])
        assert one.state["memory"] == other.state["memory"]
    assert rest[-1].state["record"] == {"epochs": [1, 2, 3, 4]}
    assert rest[-1].state["memory"] == {"updates": 4 * 3}


def test_player_steps_its_part_alone_with_an_optimizer_state_of_its_own() -> None:
    def play(network: Any, index: Tensor, context: Context) -> Iterator[Turn]:
        for player in ("first", "first", "second"):
            loss = (network(X[index]) - 1).square().mean()
            yield Turn({player: loss}, loss=loss, player=player)

    *_, last = steps(turns=play)
    state = last.state["optimizer"]
    assert {name: each["step"].item() for name, each in state.items()} == {
        "first": 2 * 4 * 3,
        "second": 4 * 3,
    }
    assert set(last.metrics) == {"train_first", "train_second"}


def test_gradient_of_a_turn_takes_the_place_of_a_loss() -> None:
    def given(network: Any, index: Tensor, context: Context) -> Iterator[Turn]:
        ones = [torch.ones_like(each) for each in network.parameters()]
        yield Turn({"loss": torch.zeros(())}, gradient=ones)

    first, second, *_ = steps(turns=given, optimizer=sgd)
    for name in first.model:
        moved = first.model[name] - second.model[name]
        torch.testing.assert_close(moved, torch.full_like(moved, 3 * 0.1))


def test_turn_without_loss_and_gradient_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a loss or a gradient, got neither"):
        steps(turns=lambda network, index, context: iter([Turn({})]))


def test_optimizer_state_is_cleared_before_the_epochs_that_ask_for_it() -> None:
    found = steps(optimizer_restarts=frozenset({3}))
    assert [each.state["optimizer"]["step"] for each in found] == [3, 6, 3, 6]


def test_training_stops_after_epochs_without_a_lower_validation_loss() -> None:
    losses = iter([1.0, 2.0, 3.0, 4.0])
    found = steps(validate=lambda network: next(losses), patience=2)
    assert [each.state["waited"] for each in found] == [0, 1, 2]


def test_metric_that_is_not_finite_is_a_divergence_where_it_is_checked() -> None:
    def diverging(network: Any, index: Tensor, context: Context) -> Iterator[Turn]:
        loss = network(X[index]).sum()
        yield Turn({"loss": loss * torch.nan}, loss=loss)

    assert len(steps(turns=diverging)) == 4
    with pytest.raises(FloatingPointError, match="diverged: train_loss is nan in epo"):
        steps(turns=diverging, check_divergence=True)


def test_prepare_changes_a_new_network_and_no_resumed_one() -> None:
    def zeros(network: Any, generator: torch.Generator) -> None:
        for each in network.parameters():
            nn.init.zeros_(each)

    first, second, *_ = steps(prepare=zeros, optimizer=partial(sgd, weight_decay=0.1))
    resumed, *_ = steps(
        first.state, prepare=zeros, optimizer=partial(sgd, weight_decay=0.1)
    )
    assert equal(resumed.model, second.model)


def test_running_mean_takes_sums_and_mean_of_updates_takes_means() -> None:
    of_sums, of_means = RunningMean(), MeanOfUpdates()
    for mean, size in ((2.0, 1), (3.0, 3)):
        of_sums.add({"loss": torch.tensor(mean * size)}, size=size)
        of_means.add({"loss": torch.tensor(mean)}, size=size)
    assert of_sums.result() == of_means.result() == {"loss": 11.0 / 4}


def test_mean_of_updates_weights_each_entry_of_a_stack() -> None:
    means = MeanOfUpdates()
    means.add({"loss": torch.tensor([1.0, 0.0])}, size=3)
    means.add({"loss": torch.tensor([5.0, 4.0])}, size=1)
    torch.testing.assert_close(means.result()["loss"], torch.tensor([2.0, 1.0]))


class Local(nn.Module):
    """A locally connected layer of 4 places and 3 filters of 8 weights."""

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.local = LocallyConnected(2, 3, 2, (3, 3))
        for each in self.parameters():
            nn.init.normal_(each, std=5.0, generator=generator)


def test_each_filter_of_a_place_is_projected_by_itself() -> None:
    def rest(network: Any, index: Tensor, context: Context) -> Iterator[Turn]:
        still = [torch.zeros_like(each) for each in network.parameters()]
        yield Turn({"loss": torch.zeros(())}, gradient=still)

    *_, last = steps(network=Local, turns=rest, optimizer=sgd, max_norm=0.5)
    norms = last.model["local.weight"].norm(dim=-1)  # (places, filters)
    torch.testing.assert_close(norms, torch.full((4, 3), 0.5))
