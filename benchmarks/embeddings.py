"""Counting and training of word vectors beside gensim, on the corpus of `make
corpus-large`: CPU seconds, peak memory, objective, held-out score and word lists.

    python benchmarks/embeddings.py [CORPUS] [WORD LISTS ...]

A corpus that is not there is assembled, lists that are not given are fetched. Every job
is a process of its own with one thread, one after the other; gensim (`pip install
gensim`) is in the middle of them. Its sentences are shuffled once: in their order,
it ends on the last of the sources.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ftml.data import Splits, cooccurrence, encoding, word_sets
from ftml.data.sharding import Counting, count_split, write_pairs
from ftml.data.text import pieces
from ftml.families.embedding import glove, ppmi_svd, skipgram
from ftml.families.embedding._matrix import symmetric
from ftml.plots import COLOURS, new_figure
from ftml.tasks import embedding
from ftml.tasks._word_lists import word_list_scores
from pipelines.datasets.large_corpus import DEFAULT, assemble
from pipelines.datasets.sources import fetch

HOW = Counting(window=5, weighting="dynamic", subsample=1e-3)
READ = encoding.Encoding(
    sentences="stop", min_count=10, valid_fraction=0.02, test_fraction=0.02
)
WORD_LISTS = (
    "pypi:gensim==4.4.0/gensim/test/test_data/"
    "{questions-words,simlex999,wordsim353}.t[sx][tv]"
)
DIMENSION, MEMORY = 100, 1 << 30
SKIPGRAM: dict[str, Any] = {
    "dimension": DIMENSION,
    "positives": 4,
    "noise_size": 8,
    "learning_rate": 0.05,
    "n_passes": 3,
}


def encode(folder: Path, corpus: str, *lists: str) -> dict[str, Any]:
    """Read the text twice: the first time compiles."""
    for _ in range(2):
        start = time.process_time()
        texts = [(Path(corpus), pieces(Path(corpus)))]
        encoding.encode_corpus(texts, folder, how=READ, about={})
        seconds = time.process_time() - start
    word_sets.write(folder, word_sets.read_files([Path(each) for each in lists]))
    words, counts = cooccurrence.load_vocabulary(folder)
    return {"cpu": seconds, "words": len(words), "tokens": int(counts["train"].sum())}


def count(folder: Path, weighting: str, subsample: str) -> dict[str, Any]:
    """Count the training split into a table and write it; write the others too."""
    counts = cooccurrence.load_vocabulary(folder)[1]["train"]
    how = replace(HOW, weighting=weighting, subsample=float(subsample))
    found: dict[str, Any] = {}
    for split in ("valid", "test", "train"):  # the first one compiles
        with tempfile.TemporaryDirectory(dir=folder) as runs:
            start = time.process_time()
            total, tables = count_split(
                folder / encoding.IDS,
                split,
                Path(runs),
                counts=counts,
                how=how,
                memory=MEMORY,
            )
            kept = list(tables)
            found = {"cpu": time.process_time() - start}
        write_pairs(folder / f"{split}.parquet", kept, {"total_weight": total})
    entries = sum(len(table) for table in kept)
    speed = int(counts.sum()) / found["cpu"] / 1e6
    return {**found, "entries": entries, "million tokens a CPU second": speed}


def train(folder: Path, name: str, seed: str, values: str) -> dict[str, Any]:
    family = {"glove": glove, "ppmi_svd": ppmi_svd, "skipgram": skipgram}[name]
    data = cooccurrence.load(folder)
    config = family.Config(seed=int(seed), **json.loads(values))
    tiny = family.Config(dimension=DIMENSION)  # compiles
    next(family.train(tiny, Splits(train=replace_pairs(data.valid, 1000))))
    start = time.process_time()
    path = []
    for step in family.train(config, data.without_test()):
        cpu = time.process_time() - start
        path.append((round(cpu, 1), embedding.evaluate(step.model, data.valid)["auc"]))
        start += time.process_time() - start - cpu  # scoring does not count
    return {"cpu": cpu, "path": path, **scores(step.model, data)}


def replace_pairs(data: Any, n: int) -> Any:
    return replace(data, row=data.row[:n], col=data.col[:n], weight=data.weight[:n])


def gensim(folder: Path, epochs: str) -> dict[str, Any]:
    from gensim.models import Word2Vec

    data = cooccurrence.load(folder)
    ids, names = folder / encoding.IDS, np.array(data.train.words, dtype=object)
    sentences = []
    for group in encoding.groups(ids):
        if group.split == "train":
            read = encoding.read_group(ids, group.number)
            words, ends = names[read.ids].tolist(), read.offsets.tolist()
            sentences += [words[a:b] for a, b in itertools.pairwise(ends)]
    np.random.default_rng(0).shuffle(sentences)
    model = Word2Vec(
        vector_size=DIMENSION, sg=1, min_count=1, workers=1, seed=1, sample=1e-3
    )
    model.build_vocab(sentences)
    start = time.process_time()
    model.train(sentences, total_examples=len(sentences), epochs=int(epochs))
    cpu = time.process_time() - start
    order = [model.wv.key_to_index[word] for word in data.train.words]
    X, Z = model.wv.vectors[order], model.syn1neg[order]
    found = skipgram.Model(data.train.words, X, Z)
    auc = embedding.evaluate(found, data.valid)["auc"]
    return {"cpu": cpu, "path": [(round(cpu, 1), auc)], **scores(found, data)}


def scores(model: Any, data: Splits) -> dict[str, Any]:
    """Return objective, held-out score, and the word lists for x and for x + z."""
    config = skipgram.Config(dimension=DIMENSION)
    rows, counts = symmetric(data.train), data.train.counts
    found: dict[str, Any] = {
        "objective": skipgram.objective(
            model.X, model.Z, rows, counts=counts, config=config
        )["train_objective"],
        "auc": embedding.evaluate(model, replace(data.test, word_sets=None))["auc"],
    }
    for name, table in (("x", model.X), ("x+z", model.X + model.Z)):
        plain = SimpleNamespace(words=model.words, embed=Embed(model.words, table))
        found[name] = word_list_scores(plain, data.test.word_sets)
    return found


class Embed:
    def __init__(self, words: tuple[str, ...], table: np.ndarray) -> None:
        self.number, self.table = {w: n for n, w in enumerate(words)}, table

    def __call__(self, words: tuple[str, ...]) -> np.ndarray:
        return self.table[[self.number[word] for word in words]]


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    "encode": encode,
    "count": count,
    "train": train,
    "gensim": gensim,
}


def run(job: str, *arguments: str) -> dict[str, Any]:
    """Run a job in a process of its own; print what it found and its peak memory."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--job", job, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    out = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        print(f"{job} {arguments[1:]}: failed", flush=True)
        return {}
    found = json.loads(out.splitlines()[-1])
    found["peak_mb"] = usage.ru_maxrss // 1024
    show(job, arguments[1:], dict(found))
    return found


def show(job: str, arguments: tuple[str, ...], found: dict[str, Any]) -> None:
    lists = {name: found.pop(name) for name in ("x", "x+z") if name in found}
    plain = {k: round(v, 4) if isinstance(v, float) else v for k, v in found.items()}
    print(f"{job} {' '.join(arguments)}: {plain}", flush=True)
    for name, of in lists.items():
        shown = [
            f"{key} {of[key]:.3f} ({of[f'{key}_coverage']:.0%})"
            for key in ("wordsim353", "simlex999", "analogy")
        ]
        low, high = of["wordsim353_low"], of["wordsim353_high"]
        print(
            f"    {name}: {', '.join(shown)}; WordSim {low:.3f}-{high:.3f}", flush=True
        )


def draw(curves: list[tuple[str, list[tuple[float, float]]]], path: Path) -> None:
    """Write the figure of the held-out score against CPU seconds."""
    figure, axes = new_figure()
    colour: dict[str, str] = {}
    for name, curve in curves:
        seconds, auc = zip(*curve, strict=True)
        label = None if name in colour else name
        colour.setdefault(name, COLOURS[len(colour)])
        axes.plot(seconds, auc, marker="o", color=colour[name], label=label)
    axes.set(xscale="log", xlabel="CPU seconds", ylabel="held-out auc")
    axes.legend()
    figure.savefig(path, metadata={"Software": None})


def main(corpus: str, *lists: str) -> None:
    curves: list[tuple[str, list[tuple[float, float]]]] = []

    def trained(job: str, *arguments: str) -> None:
        found = run(job, folder, *arguments)
        if found:
            curves.append((arguments[0] if job == "train" else job, found["path"]))
            draw(curves, Path(__file__).with_suffix(".png"))

    with tempfile.TemporaryDirectory(prefix="embeddings-") as folder:
        run("encode", folder, corpus, *lists)
        for _ in range(3):
            run("count", folder, "harmonic", "0")
        run("count", folder, HOW.weighting, str(HOW.subsample))
        pmi = json.dumps({"dimension": DIMENSION, "exponent": 0.0})
        climb = json.dumps(SKIPGRAM)
        for seed in "123":
            trained("train", "ppmi_svd", seed, pmi)
            trained("train", "skipgram", seed, climb)
            if seed == "1" and importlib.util.find_spec("gensim"):
                trained("gensim", "5")
        many = json.dumps(
            {"dimension": DIMENSION, "n_passes": 6, "learning_rate": 0.05}
        )
        trained("train", "skipgram", "1", many)
        five = json.dumps({"dimension": DIMENSION, "count_max": 10.0, "n_passes": 5})
        trained("train", "glove", "1", five)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        job, folder, *arguments = sys.argv[2:]
        print(json.dumps(JOBS[job](Path(folder), *arguments)))
    else:
        corpus = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
        if not corpus.exists():
            assemble(corpus)
        main(str(corpus), *(sys.argv[2:] or map(str, fetch(WORD_LISTS))))
