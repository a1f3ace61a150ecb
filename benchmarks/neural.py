"""What neural networks cost and reach: our loop against plain torch, stacks, bars.

    python benchmarks/neural.py

Writes benchmarks/neural.md. One process, one thread, rivals in turns; seconds are those
of the process (CPU). Fashion-MNIST comes from its Debian package, as a source of the
pipeline does.
"""

from __future__ import annotations

import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from ftml import Images, Splits, Table, fit
from ftml.data.inverse_sinusoid import inverse_sinusoid
from ftml.data.standardize import apply_scaling, learn_scaling
from ftml.families.neural import lenet, mixture_density, mlp, soft_weight_sharing
from ftml.nn.mlp import MLP
from ftml.tasks import classification, conditional_density
from pipelines.datasets.image_files import images

ROUNDS = 3
SEEDS = range(5)
MEMBERS = 16
GOAL = 0.97
T_975 = 2.776
"Student's quantile for the differences of five seeds."
FASHION = "deb:dataset-fashion-mnist/usr/share/datasets/fashion-mnist/{}-*"
NAMES = tuple("0123456789")

WHY = [
    "Timings of one noisy machine: rivals of a row were timed in turns, so that",
    "ratios say more than numbers. The loop stays below 5 % over a plain one. To .97",
    "on digits scikit-learn needs fewer milliseconds an epoch, in batches of 32. A",
    "stack gains most where networks are small. The last row is of networks above",
    "50,000 parameters, which `train_many` trains one by one: as a stack they took",
    "2.3 times as long.",
]
"What the tables show, and where they fall short."


def seconds(task: Callable[[], Any]) -> float:
    """Return the CPU seconds of a task."""
    start = time.process_time()
    task()
    return time.process_time() - start


def in_turns(**tasks: Callable[[], Any]) -> dict[str, list[float]]:
    """Return the CPU seconds of each round of each task, the first round left out."""
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(ROUNDS + 1):
        for name, task in tasks.items():
            found[name].append(seconds(task))
    return {name: each[1:] for name, each in found.items()}


def paired(differences: Sequence[float]) -> str:
    """Return the mean of five differences and its 95 % interval."""
    mean = statistics.mean(differences)
    half = T_975 * statistics.stdev(differences) / len(differences) ** 0.5
    return f"{mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f})"


def spread(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def digits() -> tuple[Table, Table]:
    """Return 70 % of the digits to train on and the rest, stratified."""
    X, y = load_digits(return_X_y=True)
    split = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    return tuple(Table(split[i], split[i + 2], classes=NAMES) for i in (0, 1))  # type: ignore[return-value]


def plain(config: mlp.Config, data: Table, *, fused: bool) -> None:
    """Train the network of `config` on the same batches, as anyone writes it."""
    generator = torch.Generator().manual_seed(config.seed)
    sizes = (data.X.shape[1], *config.hidden, len(NAMES))
    network = MLP(sizes, generator=generator)
    scaled = apply_scaling(data.X, learn_scaling(data.X)).astype(np.float32)
    x, y = torch.from_numpy(scaled), torch.from_numpy(data.y)
    weights = [each for each in network.parameters() if each.ndim == 2]
    biases = [each for each in network.parameters() if each.ndim == 1]
    groups = [{"params": weights, "weight_decay": config.l2}, {"params": biases}]
    optimizer = torch.optim.Adam(groups, lr=config.learning_rate, fused=fused)
    for _ in range(config.n_epochs):
        total = 0.0
        for rows in torch.randperm(len(x), generator=generator).split(
            config.batch_size
        ):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item()


def overhead_rows() -> list[str]:
    """Return what our loop takes over a plain one."""
    small, _ = digits()
    pixels = small.X.reshape(-1, 8, 8).repeat(4, axis=1).repeat(4, axis=2)
    noise = np.random.default_rng(0).normal(size=(len(small), 1024))
    large = Table(pixels.reshape(-1, 1024) + noise, small.y, classes=NAMES)
    rows = []
    for name, data, hidden, batch_size, n_epochs in (
        ("64-64-10, batches of 32", small, (64,), 32, 10),
        ("64-64-10, batches of 128", small, (64,), 128, 20),
        ("1024-256-256-10, batches of 128", large, (256, 256), 128, 4),
    ):
        config = mlp.Config(hidden=hidden, batch_size=batch_size, n_epochs=n_epochs)
        bare = config.model_copy(update={"l2": 0.0})
        found = in_turns(
            ours=lambda config=config, data=data: fit(config, data),
            bare=lambda bare=bare, data=data: fit(bare, data),
            plain=lambda config=config, data=data: plain(config, data, fused=False),
            fused=lambda config=config, data=data: plain(config, data, fused=True),
        )
        best = {key: min(each) for key, each in found.items()}
        per_update = 1e6 / (n_epochs * -(-len(data) // batch_size))
        rows.append(
            f"| {name} | {best['plain'] * per_update:.0f} "
            f"| {best['fused'] * per_update:.0f} | {best['ours'] * per_update:.0f} "
            f"| {best['bare'] * per_update:.0f} "
            f"| {100 * (best['ours'] / best['plain'] - 1):+.0f} % "
            f"| {100 * (best['ours'] / best['fused'] - 1):+.0f} % |"
        )
    return rows


def time_to_goal() -> list[str]:
    """Return the rows of ours and scikit-learn's seconds to the goal on digits."""
    train, test = digits()
    found: dict[str, list[float]] = {"ours": [], "theirs": []}
    epochs: dict[str, list[int]] = {"ours": [], "theirs": []}
    scaling = learn_scaling(train.X)
    X, Z = (apply_scaling(each.X, scaling) for each in (train, test))
    for seed in [0, *SEEDS]:  # the first warms up
        config = mlp.Config(seed=seed, n_epochs=100, learning_rate=1e-3)
        used, start = 0.0, time.process_time()
        for step in mlp.train(config, Splits(train)):
            used += time.process_time() - start
            if classification.evaluate(step.model, test)["accuracy"] >= GOAL:
                break
            start = time.process_time()
        found["ours"].append(used)
        epochs["ours"].append(step.n)
        rival = MLPClassifier((64,), batch_size=32, random_state=seed)
        used, n = 0.0, 0
        while n < 100 and (n == 0 or rival.score(Z, test.y) < GOAL):
            used += seconds(
                lambda r=rival: r.partial_fit(X, train.y, classes=np.arange(10))
            )
            n += 1
        found["theirs"].append(used)
        epochs["theirs"].append(n)
    rows = []
    for name, called in (("ours", "`mlp`"), ("theirs", "MLPClassifier")):
        own, counted = found[name][1:], epochs[name][1:]
        each = [1e3 * s / n for s, n in zip(own, counted, strict=True)]
        rows.append(
            f"| {called} | {statistics.mean(own):.3f} "
            f"({min(own):.3f} to {max(own):.3f}) | {statistics.mean(counted):.1f} "
            f"| {statistics.mean(each):.1f} |"
        )
    return rows


def packing_rows() -> list[str]:
    """Return how long 16 networks take as a stack, and one by one."""
    train, _ = digits()
    data, rows = Splits(train), []
    rates = np.geomspace(1e-3, 3e-2, MEMBERS)
    for hidden, batch_size in (
        ((8,), 32),
        ((64,), 32),
        ((64,), 256),
        ((256,), 32),
        ((256,), 256),
        ((512, 512), 64),
    ):
        configs = [
            mlp.Config(
                hidden=hidden,
                batch_size=batch_size,
                n_epochs=1,
                seed=i,
                learning_rate=float(rate),
                l2=1e-5 * (i + 1),
            )
            for i, rate in enumerate(rates)
        ]

        def together(configs: Sequence[mlp.Config] = configs) -> None:
            for _ in mlp.train_many(configs, data):
                pass

        def alone(configs: Sequence[mlp.Config] = configs) -> None:
            for config in configs:
                fit(config, data)

        found = in_turns(together=together, alone=alone)
        one, many = (min(found[key]) for key in ("alone", "together"))
        sizes = "-".join(map(str, (64, *hidden, 10)))
        rows.append(
            f"| {sizes} | {batch_size} | {1e3 * one:.0f} | {1e3 * many:.0f} "
            f"| {one / many:.2f} |"
        )
    return rows


def digits_rows() -> list[str]:
    """Return the accuracy of the perceptron on digits, over five seeds."""
    train, test = digits()
    found = [
        classification.evaluate(fit(mlp.Config(seed=s), train).model, test)["accuracy"]
        for s in SEEDS
    ]
    return [f"| digits, `mlp` 64-64-10, 30 epochs | accuracy .97 | {spread(found)} |"]


def density_rows() -> list[str]:
    """Return the likelihoods of one and of five components, over five seeds."""
    gain, nll = [], []
    for s in SEEDS:
        train = inverse_sinusoid(n_samples=800, seed=s)
        test = inverse_sinusoid(n_samples=2000, seed=100 + s)
        one, five = (
            conditional_density.evaluate(
                fit(mixture_density.Config(seed=s, n_components=k), train).model, test
            )["nll"]
            for k in (1, 5)
        )
        nll.append(five)
        gain.append(one - five)
    return [
        "| inverse sinusoid, 5 components, 800 rows | .2 nats better than one Gaussian "
        f"| nll {spread(nll)}; better by {paired(gain)} |"
    ]


def sharing_rows() -> list[str]:
    """Return what quantising costs and saves, over five seeds."""
    train, test = digits()
    lost, loose, bits = [], [], []
    for s in SEEDS:
        pair = [
            fit(soft_weight_sharing.Config(seed=s, quantised=q), train).model
            for q in (False, True)
        ]
        own, tight = (classification.evaluate(m, test)["accuracy"] for m in pair)
        loose.append(own)
        lost.append(own - tight)
        bits.append(pair[1].bits_per_weight)
    return [
        "| digits, `soft_weight_sharing` 64-64-10, 16 centres | loses 1 point at most "
        f"| accuracy {spread(loose)}; quantised loses {paired(lost)}, largest "
        f"{max(lost):.4f}; {statistics.mean(bits):.2f} bits a weight for 32 |"
    ]


def fashion_rows() -> list[str]:
    """Return the accuracy on Fashion-MNIST's own test images, over three seeds."""
    parts = []
    for name in ("train", "t10k"):
        X, y = images(FASHION.format(name))
        parts.append(Images(X, y.astype(np.int64), NAMES))
    train, test = parts
    rows = []
    for what, bar, module, config in (
        (
            "`mlp` 784-128-10, 10 epochs",
            "accuracy .87",
            mlp,
            mlp.Config(hidden=(128,), batch_size=128, n_epochs=10, learning_rate=1e-3),
        ),
        (
            "`lenet`, 3 epochs",
            "accuracy .88 in 60 s",
            lenet,
            lenet.Config(batch_size=64, n_epochs=3, learning_rate=2e-3),
        ),
    ):
        found, used = [], []
        for s in range(3):
            own = config.model_copy(update={"seed": s})
            start = time.process_time()
            *_, step = module.train(own, Splits(train))
            used.append(time.process_time() - start)
            found.append(classification.evaluate(step.model, test)["accuracy"])
        rows.append(
            f"| Fashion-MNIST, {what} | {bar} | {spread(found)}; "
            f"{statistics.mean(used):.1f} s of CPU |"
        )
    return rows


def main() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    threadpool_limits(1)
    torch.set_num_threads(1)
    parts: dict[str, list[str]] = {}
    for part in (
        overhead_rows,
        time_to_goal,
        packing_rows,
        digits_rows,
        density_rows,
        sharing_rows,
        fashion_rows,
    ):
        parts[part.__name__] = part()
        print(*parts[part.__name__], sep="\n", flush=True)
    text = "\n".join(
        [
            "# Neural networks: what they cost and reach",
            "",
            f"CPU time on one thread ({platform.machine()}), torch "
            f"{torch.__version__.split('+')[0]}, scikit-learn {sklearn.__version__}, "
            "rivals in turns (`python benchmarks/neural.py`).",
            "",
            "## The loop against a plain one",
            "",
            "The same network on the same batches; microseconds per update, minimum of "
            f"{ROUNDS} rounds. Our loop also computes penalties and metrics and keeps "
            "a state from which training resumes bit-identically.",
            "",
            "| network | torch.optim.Adam | Adam, fused | ours | ours, l2 = 0 "
            "| over Adam | over fused Adam |",
            "|---|---|---|---|---|---|---|",
            *parts["overhead_rows"],
            "",
            "## Seconds to an accuracy of .97 on digits",
            "",
            "One hidden layer of 64, batches of 32, Adam at 1e-3 for both, scaled "
            "features; held-out accuracy is looked at after each epoch and not timed. "
            "Mean of five seeds (least to most).",
            "",
            "| | seconds to .97 | epochs | ms an epoch |",
            "|---|---|---|---|",
            *parts["time_to_goal"],
            "",
            f"## {MEMBERS} networks as one stack",
            "",
            "Learning rates, penalties and seeds differ. Milliseconds of all for an "
            "epoch of digits, least of the rounds.",
            "",
            "| network | batch | one by one | `train_many` | times faster |",
            "|---|---|---|---|---|",
            *parts["packing_rows"],
            "",
            "## Bars",
            "",
            "Mean (least to most) over five seeds, three for Fashion-MNIST; "
            "differences are paired by seed, with a 95 % interval.",
            "",
            "| what | bar | measured |",
            "|---|---|---|",
            *parts["digits_rows"],
            *parts["density_rows"],
            *parts["sharing_rows"],
            *parts["fashion_rows"],
            "",
            *WHY,
            "",
        ]
    )
    Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
