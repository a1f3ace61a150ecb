"""What k-means, PCA and Gaussian mixtures cost against scikit-learn, side by side.

    python benchmarks/unsupervised.py [--rounds 3] [--picture quantised.png]

Writes benchmarks/unsupervised.md and, if asked, the picture of scikit-learn's
photograph china.jpg in 16 colours. All run in one process, in turns; the seconds are
the least of the rounds, of the processor at one thread and of the clock at two. Each
row says what both computed, so that no speed is bought with a worse answer. Rows are
Fashion-MNIST's 60,000, from the Debian package dataset-fashion-mnist.
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_digits, load_iris, load_sample_image
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from ftml import Splits, Table, fit
from ftml.families.clustering import kmeans
from ftml.families.decomposition import pca
from ftml.families.density import gmm
from ftml.plots import new_figure
from pipelines.datasets.image_files import images

SOURCE = "deb:dataset-fashion-mnist/usr/share/datasets/fashion-mnist/train-*-ubyte.gz"
STEPS = {"kmeans": 20, "gmm": 10}
"Steps of both sides from the same start."

BARS = {"kmeans": 1.01 * 1.9256e6, "pca": 0.8627, "gmm": -11.62}
"Inertia at most, explained variance of 50 components, nats per sample at least."

WHY = [
    "Passes over the rows run on one thread but for their products of matrices.",
    "Restarts at once share the reading of the rows and what a step costs besides",
    "arithmetic: small tables gain; where products of matrices fill the time, none do.",
]
"What the table shows, and where it falls short."

Task = Callable[[], Any]


def best_of(rounds: int, *, threads: int, **tasks: Task) -> dict[str, float]:
    """Return the least seconds of each task, all run in turns.

    One thread is timed by the processor, so that what else runs does not count; two by
    the clock.
    """
    clock = time.process_time if threads == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds + 1):  # the first round warms up
        for name, task in tasks.items():
            start = clock()
            task()
            seconds[name].append(clock() - start)
    return {name: min(each[1:]) for name, each in seconds.items()}


def last_of(steps: Any) -> Any:
    (last,) = deque(steps, maxlen=1)
    return last


def kmeans_row(X: np.ndarray, *, threads: int, rounds: int) -> str:
    """Return the row of k = 10 from the same centres, as many steps on both sides."""
    n = STEPS["kmeans"]
    start, _ = kmeans_plusplus(X, 10, random_state=0)
    data = Splits(Table(X))
    # Step n + 1 measures the centres after n moves.
    config = kmeans.Config(n_clusters=10, n_init=1, n_iterations=n + 1, tolerance=0.0)
    state = {
        "n": 0,
        "centers": (start - X.mean(axis=0))[None],
        "seen": np.zeros((1, 10)),
        "inertia": np.full(1, np.inf),
        "done": np.zeros(1, bool),
        "kept": start[None],
    }

    def ours() -> Any:
        return last_of(kmeans.train(config, data, state))

    def theirs() -> KMeans:
        rival = KMeans(10, init=start, n_init=1, max_iter=n, tol=0.0, algorithm="lloyd")
        return rival.fit(X)

    seconds = best_of(rounds, threads=threads, ours=ours, theirs=theirs)
    inertia = ours().metrics["train_inertia"] * len(X)
    apart = abs(inertia / theirs().inertia_ - 1)
    return row(
        f"k-means, 60,000 x 784, k = 10, {n} steps",
        "KMeans(algorithm='lloyd')",
        threads,
        seconds,
        f"inertia differs by {apart:.0e}",
    )


def gmm_row(X: np.ndarray, *, threads: int, rounds: int) -> str:
    """Return the row of 10 full components from the same start."""
    n = STEPS["gmm"]
    data = Splits(Table(X))
    config = gmm.Config(n_components=10, n_init=1, n_iterations=n, tolerance=0.0)
    state = gmm.begin(config, gmm.make_problem(data.train))
    roots = state["roots"][0]
    precisions = np.linalg.inv(roots @ roots.transpose(0, 2, 1))

    def ours() -> Any:
        return last_of(gmm.train(config, data, state))

    def theirs() -> GaussianMixture:
        rival = GaussianMixture(
            10,
            tol=0.0,
            max_iter=n,
            weights_init=state["weights"][0],
            means_init=state["means"][0] + X.mean(axis=0),
            precisions_init=precisions,
        )
        return rival.fit(X)

    seconds = best_of(rounds, threads=threads, ours=ours, theirs=theirs)
    apart = abs(float(ours().model.log_density(X).mean()) - theirs().score(X))
    return row(
        f"Gaussian mixture, 60,000 x 30, k = 10 full, {n} steps",
        "GaussianMixture",
        threads,
        seconds,
        f"nats per sample differ by {apart:.0e}",
    )


def restart_rows(X: np.ndarray, name: str, *, rounds: int) -> list[str]:
    """Return the rows of restarts, and of several k, at once and one after another."""
    data = Splits(Table(X))

    def at_once(family: Any, configs: list[Any]) -> None:
        last_of(family.train_many(configs, data))

    def in_turn(family: Any, configs: list[Any]) -> None:
        for config in configs:
            last_of(family.train(config, data))

    rows = []
    for family, field, called in (
        (kmeans, "n_clusters", "k-means"),
        (gmm, "n_components", "Gaussian mixture"),
    ):
        few = {"n_init": 1, "n_iterations": 15, "tolerance": 0.0}
        packs = {
            "10 restarts of k = 10": [
                family.Config(**{field: 10}, seed=s, **few) for s in range(10)
            ],
            "k = 2, ..., 12": [
                family.Config(**{field: k}, **few) for k in range(2, 13)
            ],
        }
        for what, configs in packs.items():
            seconds = best_of(
                rounds,
                threads=1,
                ours=lambda family=family, configs=configs: at_once(family, configs),
                theirs=lambda family=family, configs=configs: in_turn(family, configs),
            )
            rows.append(
                row(
                    f"{called}, {name}, {what}, 15 steps, by `train_many`",
                    "ours, one after another",
                    1,
                    seconds,
                    "the same to rounding (tests)",
                )
            )
    return rows


def row(
    what: str, rival: str, threads: int, seconds: dict[str, float], same: str
) -> str:
    theirs, ours = seconds["theirs"], seconds["ours"]
    return (
        f"| {what} | {rival} | {threads} | {theirs:.2f} | {ours:.2f} "
        f"| {theirs / ours:.2f} | {same} |"
    )


def bar_rows(X: np.ndarray, reduced: np.ndarray) -> list[str]:
    """Return what is reached on Fashion-MNIST, and what was asked."""
    clusters = fit(kmeans.Config(n_clusters=10, n_init=4), Table(X))
    inertia = clusters.metrics["train_inertia"] * len(X)
    explained = fit(pca.Config(n_components=50), Table(X)).model.explained
    config = gmm.Config(n_components=10, n_init=10, n_iterations=20, tolerance=0.0)
    mixture = last_of(gmm.train(config, Splits(Table(reduced))))
    best = mixture.metrics["train_log_likelihood"]
    worst = float(mixture.state["log_lik"].min()) / len(reduced)
    return [
        f"| k-means, k = 10, 4 restarts: inertia | {inertia:.5g} "
        f"| at most {BARS['kmeans']:.5g} | {met(inertia <= BARS['kmeans'])} |",
        f"| PCA, 50 components: explained variance | {explained:.4f} "
        f"| {BARS['pca']} | {met(round(explained, 4) == BARS['pca'])} |",
        "| Gaussian mixture, PCA-30, k = 10 full, 20 steps: nats per sample | "
        f"{best:.4f}, the best of 10 restarts; the worst {worst:.4f} "
        f"| at least {BARS['gmm']} | {met(best >= BARS['gmm'])} |",
    ]


def met(reached: bool) -> str:
    return "yes" if reached else "no"


def quantised_photograph(path: Path | None, *, n_colours: int) -> float:
    """Return what few colours keep of a photograph; draw both into a file, if given.

    Each pixel is a row of red, green and blue and is shown as its centre: vector
    quantisation. What is kept is the share of the pixels' variance.
    """
    photograph = load_sample_image("china.jpg")[::2, ::2] / 255
    pixels = photograph.reshape(-1, 3)
    config = kmeans.Config(n_clusters=n_colours, n_init=4)
    model = fit(config, Table(pixels)).model
    shown = model.centers[model.predict(pixels)]
    if path is not None:
        figure, axes = new_figure(8.4, 3.0)
        axes.imshow(np.hstack([photograph, shown.reshape(photograph.shape)]))
        axes.set_axis_off()
        axes.set_title(f"as it came, and in {n_colours} colours", fontsize=10)
        figure.savefig(path)
    return float(
        1 - np.sum((pixels - shown) ** 2) / np.sum((pixels - pixels.mean(0)) ** 2)
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    rounds = options.rounds
    warnings.simplefilter("ignore", ConvergenceWarning)
    pixels, _ = images(SOURCE)
    X = pixels.reshape(len(pixels), -1) / 255.0
    with threadpool_limits(1):
        reduced = PCA(30, svd_solver="covariance_eigh").fit_transform(X)
        reached = bar_rows(X, reduced)
    rows = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            rows.append(kmeans_row(X, threads=threads, rounds=rounds))
            rows.append(gmm_row(reduced, threads=threads, rounds=rounds))
    with threadpool_limits(1):
        rows += restart_rows(load_iris().data, "150 x 4", rounds=rounds)
        rows += restart_rows(load_digits().data, "1,797 x 64", rounds=rounds)
        rows += restart_rows(reduced[:10_000], "10,000 x 30", rounds=rounds)
        kept = quantised_photograph(options.picture, n_colours=16)
    text = "\n".join(
        [
            "# Clusters, components and mixtures against scikit-learn",
            "",
            f"Seconds, of the processor at one thread and of the clock at two "
            f"({platform.machine()}), scikit-learn "
            f"{sklearn.__version__}, numpy {np.__version__}; least of {rounds} rounds, "
            "in turns (`python benchmarks/unsupervised.py`).",
            "",
            "| what | rival | threads | rival, s | ftml, s | times faster | same |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            *WHY,
            "",
            "| on Fashion-MNIST | reached | asked | met |",
            "|---|---|---|---|",
            *reached,
            "",
            "Vector quantisation: sixteen colours keep "
            f"{kept:.1%} of the variance of the pixels of a photograph (china.jpg).",
            "",
        ]
    )
    Path(__file__).with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
