"""What autoencoders and generative models cost and reach: loops, memory, bars, probes.

    python benchmarks/generative.py

Writes benchmarks/generative.md. One process, one thread, rivals in turns; seconds are
those of the process (CPU). Fashion-MNIST comes from its Debian package, as a source of
the pipeline does.
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from torch import nn

from ftml import Images, Splits, Table, fit
from ftml.core import family
from ftml.data.ring import ring
from ftml.families.decomposition import factor_analysis, pca, ppca
from ftml.families.generative import gan, vae
from ftml.families.neural import lenet
from ftml.tasks import generation, representation
from pipelines.datasets.image_files import images

ROUNDS = 3
SEEDS = range(3)
RING_SEEDS = range(5)
FASHION = "deb:dataset-fashion-mnist/usr/share/datasets/fashion-mnist/{}-*"
NAMES = tuple("0123456789")
BATCH, WIDTH, CODE = 128, 256, 16
"Of the networks whose loops are compared."

CODERS: dict[str, dict[str, Any]] = {
    "linear_autoencoder": {"n_code": 16},
    "tied_autoencoder": {"n_code": 16},
    "autoencoder": {"n_code": 16},
    "sparse_autoencoder": {"n_code": 64},
    "contractive_autoencoder": {"n_code": 32},
    "denoising_autoencoder": {"n_code": 16},
    "conv_autoencoder": {"n_code": 16},
}

WHY = [
    "Means over three seeds, the least and the most in brackets; no interval, so that",
    "no difference between neighbours is claimed. Rows as they are, with all their",
    "numbers, and principal components of the test rows, as many as the code has",
    "numbers, are probed with the same ten labels of a class.",
]


def seconds(task: Callable[[], Any]) -> float:
    """Return the CPU seconds of a task."""
    start = time.process_time()
    task()
    return time.process_time() - start


def spread(found: Sequence[float], digits: int = 3) -> str:
    """Return mean (least to most)."""
    low, high = min(found), max(found)
    mean = statistics.mean(found)
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


@cache
def fashion() -> Splits[Images]:
    """Return Fashion-MNIST's training and test images."""
    parts = []
    for name in ("train", "t10k"):
        X, y = images(FASHION.format(name))
        parts.append(Images(X, y.astype(np.int64), NAMES))
    return Splits(parts[0], None, parts[1])


@cache
def digits() -> Splits[Images]:
    """Return the digits, a third of them for the test, with a feature extractor."""
    X, y = load_digits(return_X_y=True)
    pixels = np.rint(X.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    train, test = train_test_split(
        np.arange(len(y)), test_size=1 / 3, random_state=0, stratify=y
    )
    whole = Images(pixels, y.astype(np.int64), NAMES)
    extractor = fit(
        lenet.Config(n_epochs=20, schedule="cosine"), Splits(whole.rows(train))
    ).model
    whole = Images(whole.X, whole.y, NAMES, extractor)
    return Splits(whole.rows(train), None, whole.rows(test))


# Loops


def plain_vae(X: np.ndarray, n_epochs: int) -> None:
    """Train the same VAE with torch's modules and Adam."""
    torch.manual_seed(0)
    x = torch.from_numpy(X.reshape(len(X), -1))
    d = x.shape[1]
    encoder = nn.Sequential(nn.Linear(d, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2 * CODE))
    decoder = nn.Sequential(nn.Linear(CODE, WIDTH), nn.ReLU(), nn.Linear(WIDTH, d))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    adam = torch.optim.Adam(parameters, lr=3e-3, fused=True)
    for _ in range(n_epochs):
        for index in torch.randperm(len(x)).split(BATCH):
            rows = x[index].float() / 255
            mu, log_v = encoder(rows).chunk(2, dim=1)
            z = mu + (0.5 * log_v).exp() * torch.randn_like(mu)
            found = F.binary_cross_entropy_with_logits(
                decoder(z), rows, reduction="none"
            ).sum(dim=1)
            kl = 0.5 * (mu.square() + log_v.exp() - 1 - log_v).sum(dim=1)
            adam.zero_grad()
            (found + kl).mean().backward()
            adam.step()


def our_vae(X: np.ndarray, n_epochs: int) -> None:
    config = vae.Config(
        hidden=(WIDTH,),
        n_code=CODE,
        batch_size=BATCH,
        n_epochs=n_epochs,
        schedule="constant",
    )
    fit(config, Images(X, np.zeros(len(X), np.int64), ("one",)))


def plain_gan(X: np.ndarray, n_epochs: int) -> None:
    """Train the same adversaries with torch's modules and Adam; no penalty."""
    torch.manual_seed(0)
    x = torch.from_numpy(X.reshape(len(X), -1))
    d = x.shape[1]

    def dense(*sizes: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for i, o in pairwise(sizes):
            layers += [nn.Linear(i, o), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    maker, discriminator = dense(CODE, WIDTH, WIDTH, d), dense(d, WIDTH, WIDTH, 1)
    options: Any = {"lr": 1e-3, "betas": (0.5, 0.999), "fused": True}
    first = torch.optim.Adam(discriminator.parameters(), **options)
    second = torch.optim.Adam(maker.parameters(), **options)
    for _ in range(n_epochs):
        for index in torch.randperm(len(x)).split(BATCH):
            rows = x[index].float() / 255
            made_up = torch.sigmoid(maker(torch.randn(len(rows), CODE)))
            real, fake = discriminator(rows), discriminator(made_up.detach())
            first.zero_grad()
            (0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())).backward()
            first.step()
            made_up = torch.sigmoid(maker(torch.randn(len(rows), CODE)))
            second.zero_grad()
            F.softplus(-discriminator(made_up)).mean().backward()
            second.step()


def our_gan(X: np.ndarray, n_epochs: int) -> None:
    config = gan.Config(
        hidden=(WIDTH, WIDTH),
        n_code=CODE,
        batch_size=BATCH,
        n_epochs=n_epochs,
        schedule="constant",
        gradient_penalty=0.0,
    )
    fit(config, Images(X, np.zeros(len(X), np.int64), ("one",)))


LOOPS = {"vae": (plain_vae, our_vae), "gan": (plain_gan, our_gan)}


def loop_rows() -> list[str]:
    """Return images a second of our loops and of plain ones, and their memory."""
    X = fashion().train.X[:12_800]
    rows = []
    for name, (plain, ours) in LOOPS.items():
        found: dict[str, list[float]] = {"plain": [], "ours": []}
        for _ in range(ROUNDS + 1):
            for key, loop in (("plain", plain), ("ours", ours)):
                found[key].append(seconds(lambda loop=loop: loop(X, 1)))
        least = {key: min(each[1:]) for key, each in found.items()}
        memory = [peak_memory(name, which) for which in ("plain", "ours")]
        rows.append(
            f"| `{name}` | {len(X) / least['plain']:,.0f} | "
            f"{len(X) / least['ours']:,.0f} | "
            f"{least['ours'] / least['plain']:.2f} | {memory[0]} | {memory[1]} |"
        )
    return rows


def peak_memory(name: str, which: str) -> str:
    """Return how far the memory of a process rises in an epoch."""
    command = [sys.executable, __file__, name, which]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def measure_memory(name: str, which: str) -> None:
    """Train in this process, and print how far its memory rose above the data's."""
    torch.set_num_threads(1)
    X = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28), dtype=np.uint8)
    LOOPS[name][which == "ours"](X[:1280], 1)  # what torch loads at first use
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = kilobytes("VmRSS")
    LOOPS[name][which == "ours"](X, 1)
    print(f"{(kilobytes('VmHWM') - before) / 1024:.0f} MB")


def kilobytes(name: str) -> int:
    """Return a number of this process that Linux keeps."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (each for each in lines if each.startswith(f"{name}:"))
    return int(line.split()[1])


# Bars


def over_seeds(name: str, data: Any, **options: Any) -> Iterator[Any]:
    """Yield the models of three seeds."""
    Config = family(name).Config
    for seed in SEEDS:
        yield fit(Config(seed=seed, **options), data).model


def linear_bars() -> list[str]:
    """Return the error of linear autoencoders over PCA's, on their training rows."""
    rows = []
    train = digits().train
    flat = train.X.reshape(len(train), -1) / 255
    plane = fit(pca.Config(n_components=16), Table(flat)).model
    least = float(np.mean((flat - plane.reconstruct(flat)) ** 2))
    for name in ("linear_autoencoder", "tied_autoencoder"):
        ratios = [
            generation.reconstruction_error(model, train.X) / least
            for model in over_seeds(name, train, n_epochs=100, learning_rate=0.01)
        ]
        rows.append(
            f"| digits, `{name}`, 16 numbers | error at most 1.001 of PCA's | "
            f"{spread(ratios, 5)} |"
        )
    return rows


def linear_vae_bar() -> list[str]:
    """Return how far a linear VAE is from factor analysis and PPCA, held-out."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3)) @ rng.normal(size=(3, 8))
    X += rng.normal(size=X.shape) * rng.uniform(0.3, 0.9, size=8)
    train, test = Table(X[:1500]), X[1500:]
    rivals = {
        module.__name__.rpartition(".")[2]: float(
            fit(module.Config(n_components=3), train).model.log_density(test).mean()
        )
        for module in (factor_analysis, ppca)
    }
    found = [
        float(model.log_likelihood(test).mean())
        for model in over_seeds(
            "vae",
            train,
            hidden=(),
            n_code=3,
            n_epochs=150,
            learning_rate=0.03,
            batch_size=100,
        )
    ]
    named = ", ".join(f"`{name}` {value:.3f}" for name, value in rivals.items())
    return [
        f"| 8 columns of 3 factors, linear `vae` | within .1 nat of {named} | "
        f"{spread(found)} nats |"
    ]


def vae_bar() -> list[str]:
    """Return the ELBO on Fashion-MNIST's test images, and the CPU seconds spent."""
    elbo, better, used = [], [], []
    for seed in SEEDS:
        config = vae.Config(
            seed=seed, hidden=(WIDTH,), n_code=CODE, batch_size=BATCH, n_epochs=8
        )
        start = time.process_time()
        model = fit(config, fashion().train).model
        used.append(time.process_time() - start)
        elbo.append(float(model.elbo(fashion().test.X).mean()))
        better.append(float(model.log_likelihood(fashion().test.X[:1000]).mean()))
    return [
        "| Fashion-MNIST, `vae` 784-256-16, 8 epochs | ELBO -255 nats in 60 s | "
        f"{spread(elbo, 2)} in {spread(used, 1)} s; by 64 weighted draws, of 1000 "
        f"images, {spread(better, 2)} |"
    ]


def denoising_bars() -> list[str]:
    """Return how much noise of deviation .3 is removed from test images."""
    rows = []
    for what, data, options in (
        ("digits", digits(), {}),
        (
            "Fashion-MNIST, 6000 images",
            few(),
            {"hidden": (WIDTH,), "n_code": 32, "batch_size": 64, "n_epochs": 10},
        ),
    ):
        found = [
            representation.evaluate(model, data.test)["noise_removed"]
            for model in over_seeds("denoising_autoencoder", data.train, **options)
        ]
        rows.append(
            f"| {what}, `denoising_autoencoder` | error less by 40 % at .3 | "
            f"{spread([100 * each for each in found], 1)} % |"
        )
    return rows


def ring_bars() -> list[str]:
    """Return the modes of the ring that are drawn, seed by seed."""
    rows = []
    whole = ring(n_samples=2400)
    train, test = whole.rows(np.arange(2000)), whole.rows(np.arange(2000, 2400))
    for what, options in (
        ("", {}),
        (", minimax", {"objective": "minimax"}),
        (", no gradient penalty", {"gradient_penalty": 0.0}),
    ):
        scores = [
            generation.evaluate(
                fit(
                    gan.Config(
                        seed=seed, n_code=2, n_epochs=80, batch_size=64, **options
                    ),
                    train,
                ).model,
                test,
            )
            for seed in RING_SEEDS
        ]
        modes = ", ".join(f"{each['classes_covered']:.0f}" for each in scores)
        precision = [each["precision"] for each in scores]
        rows.append(
            f"| ring, `gan`{what} | 7 of 8 modes in 5 of 5 seeds | {modes}; precision "
            f"{spread(precision, 2)} |"
        )
    return rows


@cache
def few() -> Splits[Images]:
    """Return 6000 training and 2000 test images of Fashion-MNIST."""
    data = fashion()
    return Splits(
        data.train.rows(np.arange(6000)), None, data.test.rows(np.arange(2000))
    )


def probe_rows() -> list[str]:
    """Return the accuracy of linear probes by ten labels of a class."""
    rows = []
    for what, data, options in (
        ("digits", digits(), {}),
        ("Fashion-MNIST, 6000 images", few(), {"batch_size": 64, "n_epochs": 10}),
    ):
        for name, own in CODERS.items():
            scores = [
                representation.evaluate(model, data.test)
                for model in over_seeds(name, data.train, **own, **options)
            ]
            found = [each["probe_accuracy"] for each in scores]
            rows.append(
                f"| {what} | `{name}` | {own['n_code']} | {spread(found)} | "
                f"{scores[0]['pca_probe_accuracy']:.3f} | "
                f"{scores[0]['pixel_probe_accuracy']:.3f} | "
                f"{statistics.mean(s['reconstruction_error'] for s in scores):.4f} |"
            )
    return rows


class Other:
    """Draws images of another part of the data: what the metrics can reach at best."""

    def __init__(self, X: np.ndarray) -> None:
        self.X = X

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        return self.X[np.random.default_rng(seed).permutation(len(self.X))[:n]]


def sample_rows() -> list[str]:
    """Return what draws of digits score, and what real ones do."""
    data = digits()
    scored = {"training digits, not drawn": [Other(data.train.X)]}
    for name, options in (
        ("vae", {}),
        ("vae, gaussian", {"likelihood": "gaussian"}),
        ("deep_latent_gaussian", {}),
        ("gan", {"gradient_penalty": 2.0}),
        ("conv_gan", {"gradient_penalty": 1.0}),
    ):
        kind = name.partition(",")[0]
        scored[f"`{name}`"] = list(over_seeds(kind, data.train, **options))
    rows = []
    for name, models in scored.items():
        scores = [generation.evaluate(model, data.test) for model in models]
        cells = [
            spread([each[key] for each in scores], 2)
            for key in ("frechet_distance", "precision", "recall")
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


def likelihood_rows() -> list[str]:
    """Return held-out log-likelihoods of digits in black and white, in nats."""
    data = digits()
    ink = Splits(
        *(
            part and Images((255 * (part.X > 127)).astype(np.uint8), part.y, NAMES)
            for part in (data.train, None, data.test)
        )
    )
    rows = []
    for name, options in (
        ("made", {"learning_rate": 0.01}),
        ("vae", {}),
        ("deep_latent_gaussian", {}),
    ):
        found = [
            float(model.log_likelihood(ink.test.X).mean())
            for model in over_seeds(name, ink.train, **options)
        ]
        rows.append(f"| `{name}` | {spread(found, 2)} |")
    return rows


def main() -> None:
    threadpool_limits(1)
    torch.set_num_threads(1)
    parts: dict[str, list[str]] = {}
    for part in (
        loop_rows,
        linear_bars,
        linear_vae_bar,
        vae_bar,
        denoising_bars,
        ring_bars,
        probe_rows,
        sample_rows,
        likelihood_rows,
    ):
        parts[part.__name__] = part()
        print(*parts[part.__name__], sep="\n", flush=True)
    Path(__file__).with_suffix(".md").write_text(document(parts))


def document(parts: dict[str, list[str]]) -> str:
    """Return the page of all tables."""
    bars = ("linear_bars", "linear_vae_bar", "vae_bar", "denoising_bars", "ring_bars")
    return "\n".join(
        [
            "# Autoencoders and generative models: what they cost and reach",
            "",
            f"CPU time on one thread ({platform.machine()}), torch "
            f"{torch.__version__.split('+')[0]}, rivals in turns "
            "(`python benchmarks/generative.py`). No GPU was at hand.",
            "",
            "## The loop against a plain one",
            "",
            f"Dense networks of {WIDTH} units on Fashion-MNIST, batches of {BATCH}, "
            "the plain loop with fused Adam; images per second, best of "
            f"{ROUNDS} epochs of 12,800 images. Our loop also computes metrics and "
            "keeps samples and a state from which training resumes bit-identically. "
            "Memory: the growth of a separate process during an epoch of 60,000 images "
            "that are already in memory.",
            "",
            "| network | plain torch | ours | times as long "
            "| memory, plain | memory, ours |",
            "|---|---|---|---|---|---|",
            *parts["loop_rows"],
            "",
            "Ours holds a copy of the images as they lie. For the step of the "
            "generator it takes no slopes of the discriminator, as `backward` does.",
            "",
            "## Bars",
            "",
            "Mean (least to most) over three seeds; of the ring each of five. The "
            "precision on the ring counts draws between modes as wrong.",
            "",
            "| what | bar | measured |",
            "|---|---|---|",
            *[row for name in bars for row in parts[name]],
            "",
            "## Linear probes on codes learnt without labels",
            "",
            *WHY,
            "",
            "| data | family | numbers | code | components | rows | error |",
            "|---|---|---|---|---|---|---|",
            *parts["probe_rows"],
            "",
            "## Draws of digits",
            "",
            "Against held-out digits, by features of a LeNet-5 that learnt the "
            "training digits; the first line is what real digits score. A Bernoulli "
            "`vae` shows means, which are blurred.",
            "",
            "| what is drawn | Frechet distance | precision | recall |",
            "|---|---|---|---|",
            *parts["sample_rows"],
            "",
            "## Held-out digits in black and white",
            "",
            "Nats; `made` exact, the others bounds by 64 weighted draws.",
            "",
            "| family | log-likelihood |",
            "|---|---|",
            *parts["likelihood_rows"],
            "",
            "## Implementation choices measured",
            "",
            "- A grid of pictures is one image of one axes object: an axes object for "
            "each picture took ten times as long to render.",
            "",
        ]
    )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure_memory(*sys.argv[1:])
    else:
        main()
