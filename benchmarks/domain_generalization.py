"""What our loop costs against a plain one in the manner of DomainBed, side by side.

    python benchmarks/domain_generalization.py

Writes benchmarks/domain_generalization.md. The rival, written here, has one loader a
domain that draws with replacement and collates in Python (in this process: workers
make it slower on two cores), rebuilds what Fish steps on at every update, reads each
loss at once, and scores in batches of 64. Both see the same shapes, in turns, on one
thread; the seconds are those of the process (CPU), the best of the rounds.
"""

from __future__ import annotations

import copy
import os
import platform
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler, TensorDataset

from ftml.data import Domains, Splits
from ftml.families.domain_generalization import erm, fish, idgm
from ftml.families.domain_generalization._training import (
    Batch,
    Direction,
    DomainConfig,
    batch_of,
    domain_losses,
    domain_weights,
    epoch_rows,
    gradient_of,
    outer_adam,
)
from ftml.nn.cnn import CNN
from ftml.nn.mlp import MLP
from ftml.optim.optimizers import MakeOptimizer, sgd

S, B, K = 5, 64, 10
"Training domains, rows of each in an update, classes."

TRAIN, VALID = 6400, 1600
"Rows of each domain: 6400 / 64 makes an epoch of 100 updates."

WHY = [
    "An update of ERM or Fish on the MLP is mostly products of matrices, the same for",
    "both; a run gains by its batches, its scoring and what lies between products.",
    "IDGM at 20 domains and 784 inputs stays below four times the pairs: of the 10 ms",
    "by vmap, the four products that no way can do without take 6.5, each measured",
    "alone. Where the layers are smaller, or the domains more, it is above.",
]
"What the table shows, and where it falls short."

Task = Callable[[], object]


def best_of(rounds: int, **tasks: Task) -> dict[str, float]:
    """Return the least CPU seconds of each task, all run in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds + 1):  # the first round warms up
        for name, task in tasks.items():
            start = time.process_time()
            task()
            seconds[name].append(time.process_time() - start)
    return {name: min(each[1:]) for name, each in seconds.items()}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def make_data() -> Splits[Domains]:
    """Return random images of 28 x 28 pixels: S domains, and one more for the test."""
    rng = np.random.default_rng(0)

    def images(n_domains: int, each: int) -> Domains:
        n = n_domains * each
        return Domains(
            rng.integers(0, 256, (n, 28, 28), dtype=np.uint8),
            rng.integers(0, K, n),
            np.repeat(np.arange(n_domains), each),
            tuple(f"domain {s}" for s in range(n_domains)),
            tuple(map(str, range(K))),
        )

    return Splits(images(S, TRAIN), images(S, VALID), images(1, TRAIN + VALID))


# The rival


class Split(Dataset):
    """Rows of a dataset, one at a time, as `misc.split_dataset` gives them."""

    def __init__(self, dataset: TensorDataset) -> None:
        self.dataset = dataset
        self.keys = list(range(len(dataset)))

    def __getitem__(self, key: int) -> tuple[Tensor, ...]:
        return self.dataset[self.keys[key]]

    def __len__(self) -> int:
        return len(self.keys)


def loaders(data: Domains) -> list[Iterator[list[Tensor]]]:
    """Return an endless loader of B rows for each domain."""
    found = []
    for a, b in zip(data.offsets[:-1], data.offsets[1:], strict=True):
        dataset = split_of(data.rows(np.arange(a, b)))
        sampler = RandomSampler(
            dataset, replacement=True, num_samples=2**31, generator=generator()
        )
        found.append(iter(DataLoader(dataset, batch_size=B, sampler=sampler)))
    return found


class PlainERM:
    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.optimizer = torch.optim.Adam(
            network.parameters(), lr=3e-3, weight_decay=1e-4
        )

    def update(self, minibatches: list[tuple[Tensor, Tensor]]) -> float:
        x = torch.cat([x for x, _ in minibatches])
        y = torch.cat([y for _, y in minibatches])
        loss = F.cross_entropy(self.network(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


class PlainFish:
    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.moments: dict | None = None

    def update(self, minibatches: list[tuple[Tensor, Tensor]]) -> float:
        inner = copy.deepcopy(self.network)
        inner.load_state_dict(copy.deepcopy(self.network.state_dict()))
        optimizer = torch.optim.Adam(inner.parameters(), lr=3e-3, weight_decay=1e-4)
        if self.moments is not None:
            optimizer.load_state_dict(self.moments)
        for x, y in minibatches:
            loss = F.cross_entropy(inner(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self.moments = optimizer.state_dict()
        here, there = self.network.state_dict(), inner.state_dict()
        moved = {name: here[name] + 0.5 * (there[name] - here[name]) for name in here}
        self.network.load_state_dict(copy.deepcopy(moved))
        return loss.item()


def plain_accuracy(network: nn.Module, dataset: Split) -> float:
    """Return the accuracy as `misc.accuracy` counts it, one batch after the other."""
    correct = total = 0.0
    with torch.no_grad():
        for x, y in DataLoader(dataset, batch_size=B):
            p = network(x)
            weights = torch.ones(len(x))
            correct += (p.argmax(1).eq(y).float() * weights).sum().item()
            total += weights.sum().item()
    return correct / total


def split_of(part: Domains) -> Split:
    rows = torch.from_numpy(part.x.reshape(len(part), -1)).float() / 255
    return Split(TensorDataset(rows, torch.from_numpy(part.y)))


# Ours


def stepper(
    network: nn.Module,
    batch: Batch,
    direction: Direction,
    config: DomainConfig,
    optimizer: MakeOptimizer,
) -> Task:
    """Return one update as `ftml.training.run` makes it."""
    optimize = optimizer(learning_rate=config.learning_rate)
    memory, state, draw = {}, {}, generator()
    parameters = list(network.parameters())

    def update() -> None:
        nonlocal memory
        _, gradient, memory = direction(network, batch, memory, draw)
        optimize(parameters, gradient, state)

    return update


def random_batch(n_domains: int, *shape: int) -> Batch:
    m = n_domains * B
    x = torch.rand(m, *shape, generator=generator())
    y = torch.randint(K, (m,), generator=generator())
    weight = domain_weights(np.arange(n_domains + 1) * B)
    return Batch(x, y, (B,) * n_domains, weight)


# What is measured: (what, seconds of the rival, ours)

Row = tuple[str, float, float]


def measure_updates() -> Iterator[Row]:
    def mlp() -> nn.Module:
        return MLP((784, 64, K), generator=generator())

    def cnn() -> nn.Module:
        return CNN(1, K, width=16, generator=generator())

    for name, make, shape, rounds in (
        ("MLP 784-64-10", mlp, (784,), 100),
        ("CNN, width 16", cnn, (1, 28, 28), 5),
    ):
        batch = random_batch(S, *shape)
        pairs = batch.domains()
        config = fish.Config(
            order="fixed", inner_optimizer="adam", inner_learning_rate=3e-3
        )
        plain_erm, plain_fish = PlainERM(make()), PlainFish(make())
        found = best_of(
            rounds,
            plain_erm=lambda plain=plain_erm, p=pairs: plain.update(p),
            erm=stepper(
                make(),
                batch,
                gradient_of(erm.objective),
                erm.Config(),
                outer_adam(erm.Config()),
            ),
            plain_fish=lambda plain=plain_fish, p=pairs: plain.update(p),
            fish=stepper(make(), batch, fish.fish(config), config, sgd),
        )
        yield f"an update of ERM, {name}", found["plain_erm"], found["erm"]
        yield (
            f"an update of Fish (Adam, fixed order), {name}",
            found["plain_fish"],
            found["fish"],
        )


def pairwise_gradient(network: nn.Module, batch: Batch, *, gamma: float) -> object:
    """Return the gradient of L_IDGM by the double sum over i < j, as one writes it."""
    parameters = list(network.parameters())
    gradients = []
    for x, y in batch.domains():
        loss = F.cross_entropy(network(x), y)
        gradients.append(torch.autograd.grad(loss, parameters, create_graph=True))
    total = torch.zeros(())
    for one, other in combinations(gradients, 2):
        total = total + sum((a * b).sum() for a, b in zip(one, other, strict=True))
    S = len(gradients)
    P = 2 * total / (S * (S - 1))
    loss = domain_losses(network(batch.x), batch).mean() - gamma * P
    return torch.autograd.grad(loss, parameters)


def flat_pairwise_gradient(network: nn.Module, batch: Batch, *, gamma: float) -> object:
    """Return the same, each gradient made one vector first: a faster rival."""
    parameters = list(network.parameters())
    gradients = []
    for x, y in batch.domains():
        loss = F.cross_entropy(network(x), y)
        each = torch.autograd.grad(loss, parameters, create_graph=True)
        gradients.append(torch.cat([g.flatten() for g in each]))
    pairs = combinations(gradients, 2)
    P = torch.stack([one @ other for one, other in pairs]).mean()
    loss = domain_losses(network(batch.x), batch).mean() - gamma * P
    return torch.autograd.grad(loss, parameters)


def measure_idgm() -> Iterator[Row]:
    ways = {
        "pairs": pairwise_gradient,
        "flat pairs": flat_pairwise_gradient,
        "autograd": partial(idgm.idgm_gradient, mode="autograd"),
        "vmap": partial(idgm.idgm_gradient, mode="vmap"),
    }
    for sizes in ((784, 64, K), (64, 64, K)):
        network = MLP(sizes, generator=generator())
        for n_domains in (5, 20, 50):
            batch = random_batch(n_domains, sizes[0])
            tasks = {
                name: partial(way, network, batch, gamma=0.01)
                for name, way in ways.items()
            }
            found = best_of(20, **tasks)
            name = f"gradient of IDGM, {n_domains} domains, {'-'.join(map(str, sizes))}"
            for rival in ("pairs", "flat pairs"):
                for mode in ("autograd", "vmap"):
                    yield f"{name}: {rival}; {mode}", found[rival], found[mode]


def measure_data(data: Splits[Domains]) -> Iterator[Row]:
    endless = loaders(data.train)
    x = torch.from_numpy(data.train.x.reshape(len(data.train), -1))
    y, draw, config = torch.from_numpy(data.train.y), generator(), erm.Config()

    def plain() -> None:
        for _ in range(100):
            for loader in endless:
                next(loader)

    def ours() -> None:
        for rows in epoch_rows(config, data.train.offsets, x.device, draw):
            batch_of(config, x, y, rows)

    found = best_of(3, plain=plain, ours=ours)
    yield "loading 100 batches", found["plain"], found["ours"]

    (step,) = erm.train(erm.Config(n_epochs=1), data)
    network = MLP(step.model.sizes, generator=generator())
    network.load_state_dict(step.model.weights)
    held = split_of(data.test)
    found = best_of(
        3,
        plain=lambda: plain_accuracy(network, held),
        ours=lambda: step.model.predict(data.test.x),
    )
    what = f"scoring {TRAIN + VALID} images, MLP"
    yield what, found["plain"], found["ours"]


def measure_runs(data: Splits[Domains]) -> Iterator[Row]:
    parts = [
        part.only([name])
        for part in (data.train, data.valid, data.test)
        for name in part.domain_names
    ]
    splits = [split_of(part) for part in parts]
    pool = Domains(
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        tuple(f"split {i}" for i in range(len(parts))),
        data.train.class_names,
    )

    def plain(algorithm: type[PlainERM] | type[PlainFish]) -> None:
        trained = algorithm(MLP((784, 64, K), generator=generator()))
        endless = zip(*loaders(data.train), strict=True)
        for step in range(300):
            trained.update([(x, y) for x, y in next(endless)])
            if step % 100 == 99:
                for split in splits:
                    plain_accuracy(trained.network, split)

    def ours(module: object, config: DomainConfig) -> None:
        for step in module.train(config, data):
            correct = step.model.predict(pool.x) == pool.y
            np.add.reduceat(correct, pool.offsets[:-1], dtype=np.int64)

    adam_inside = fish.Config(
        n_epochs=3, order="fixed", inner_optimizer="adam", inner_learning_rate=3e-3
    )
    found = best_of(
        5,
        plain_erm=lambda: plain(PlainERM),
        erm=lambda: ours(erm, erm.Config(n_epochs=3)),
        plain_fish=lambda: plain(PlainFish),
        fish=lambda: ours(fish, adam_inside),
    )
    scored = f"300 updates, {len(pool)} images scored each 100"
    yield f"a run of ERM, {scored}, MLP", found["plain_erm"], found["erm"]
    yield f"a run of Fish, {scored}, MLP", found["plain_fish"], found["fish"]


def main() -> None:
    """Measure all and write the table."""
    torch.set_num_threads(1)
    data = make_data()
    rows = [
        *measure_updates(),
        *measure_idgm(),
        *measure_data(data),
        *measure_runs(data),
    ]
    lines = [
        "# Domain generalization against a plain loop",
        "",
        f"{S} domains x {B} where not said otherwise, one thread of "
        f"{os.cpu_count()}, {platform.processor() or platform.machine()}, torch "
        f"{torch.__version__}; CPU milliseconds, the best of the rounds, in turns",
        "(`python benchmarks/domain_generalization.py`).",
        "",
        "| | plain | ours | times faster |",
        "|---|---|---|---|",
    ]
    for what, plain, ours in rows:
        times = f"{plain * 1e3:.2f} | {ours * 1e3:.2f} | {plain / ours:.2f}"
        lines.append(f"| {what} | {times} |")
    lines += ["", *WHY]
    target = Path(__file__).with_suffix(".md")
    target.write_text("\n".join(lines) + "\n")
    print(target.read_text())


if __name__ == "__main__":
    main()
