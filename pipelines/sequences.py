"""Stage `sequences`: time series, labelled texts, or sentences for a language model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ftml.data import sequences as kind
from ftml.data.ragged import UNKNOWN, encoded, of_sequences
from ftml.data.sequences import Sequences
from ftml.data.text import pieces
from ftml.data.tokens import Tokenizer
from pipelines.blocks import SequencesBlock, TextBlock
from pipelines.sources import fetch, frame
from pipelines.stage import prepare_dataset
from pipelines.tables import check_columns, draw_split, number

TEST_FRACTION = 0.2
WORD = re.compile(r"[^\W_]+(?:'[^\W\d_]+)?|[!?]")
"A word of a labelled text, in lower case: letters and digits, ! and ? by themselves."


def prepare(block: SequencesBlock, folder: Path) -> None:
    """Write the sequences of a block into a folder.

    Each class has its share of every split. Raises ValueError for a source that cannot
    be read, a sequence that is empty, and a class too small to stand in every split.
    """
    if misfits := block.misfits():
        raise ValueError(f"{block.source}: {'; '.join(misfits)}")
    if block.task == "language_model":
        data, split = _sentences(block)
    elif block.column is not None:
        data, split = _texts(block)
    else:
        data, split = _series(block)
    kind.write(folder, data, split)


def _split(block: SequencesBlock, y: np.ndarray, names: Sequence[str]) -> np.ndarray:
    shares = {"valid": block.valid_fraction}
    if block.test is None:
        shares["test"] = block.test_fraction or TEST_FRACTION
    return draw_split(y, names, shares=shares, seed=block.seed)


def _chosen(n: int, block: SequencesBlock) -> np.ndarray:
    """Return the samples that are kept, in their order."""
    order = np.random.default_rng(block.seed).permutation(n)
    return np.sort(order[: block.n_samples])


def _series(block: SequencesBlock) -> tuple[Sequences, np.ndarray]:
    """Return time series and their splits; those of `test` are the test's."""
    series, labels = _read_ts(block.source, block.sha256)
    chosen = _chosen(len(series), block)
    series, labels = [series[i] for i in chosen], [labels[i] for i in chosen]
    y, classes = number(pd.Series(labels))
    split = _split(block, y, [f"class {name}" for name in classes])
    if block.test is not None:
        more, test_labels = _read_ts(block.test, block.test_sha256)
        if unseen := set(test_labels) - set(labels):
            raise ValueError(
                f"{block.test}: class {', '.join(sorted(unseen))} is not in "
                f"{block.source}"
            )
        series += more
        y = np.append(y, [classes.index(label) for label in test_labels])
        split = np.append(split, np.full(len(more), "test"))
    channels = {each.shape[1] for each in series}
    if len(channels) > 1:
        raise ValueError(f"{block.source}: series have {sorted(channels)} channels")
    X = of_sequences(series)
    return Sequences(X.values, X.offsets, y, classes), split


def _read_ts(source: str, sha256: str | None) -> tuple[list[np.ndarray], list[str]]:
    """Return the series of a .ts file, (T, d) float64 each, and their labels.

    A line of data is the channels, their numbers apart by commas, then the label, all
    apart by colons; what begins with # or @ is not data.
    """
    series, labels = [], []
    for path in fetch(source, sha256):
        if path.suffix != ".ts":
            raise ValueError(f"{source}: expected .ts files, came {path.name}")
        for i, line in enumerate(path.read_text().splitlines(), start=1):
            if not line.strip() or line[0] in "#@":
                continue
            *channels, label = line.split(":")
            try:
                rows = [np.array(c.split(","), np.float64) for c in channels]
                series.append(np.column_stack(rows))
            except ValueError as error:
                raise ValueError(f"{path}: line {i} is no series ({error})") from None
            labels.append(label.strip())
    if not series:
        raise ValueError(f"{source}: holds no series")
    return series, labels


def _texts(block: SequencesBlock) -> tuple[Sequences, np.ndarray]:
    """Return labelled texts as words, and their splits.

    A text that stands in the table more than once is kept once, so that none is in two
    splits; one without a word is left out.
    """
    data = frame(block.source, block.sha256)
    column, label = str(block.column), str(block.label)
    check_columns(data, [column, label, *block.rows], source=block.source)
    for name, value in block.rows.items():
        data = data[data[name].astype(str) == value]
    data = data.drop_duplicates(column)
    words = [WORD.findall(str(text).lower()) for text in data[column]]
    kept = np.flatnonzero([bool(each) for each in words])
    if not len(kept):
        raise ValueError(f"{block.source}: no text is left")
    kept = kept[_chosen(len(kept), block)]
    y, classes = number(data[label].iloc[kept])
    split = _split(block, y, [f"class {name}" for name in classes])
    texts = [words[i] for i in kept]
    X = encoded(texts, _vocabulary(texts, split, block))
    return Sequences(X.values, X.offsets, y, classes, X.vocabulary), split


def _sentences(block: SequencesBlock) -> tuple[Sequences, np.ndarray]:
    """Return the sentences of a text, of two words or more, and their splits."""
    own = TextBlock(source=block.source, sha256=block.sha256, column=block.column)
    tokenizer, parts = Tokenizer(rule=block.sentences), []
    for text in [own, *block.also]:
        for file in fetch(text.source, text.sha256):
            for found in tokenizer.read(pieces(file, column=text.column)):
                parts += np.split(found.ids, found.offsets[1:-1]) if len(found) else []
    if not parts:
        raise ValueError(f"{block.source}: holds no sentence of two words")
    spelling = tokenizer.words()
    texts = [[spelling[word] for word in parts[i]] for i in _chosen(len(parts), block)]
    split = _split(block, np.zeros(len(texts), np.int64), ["the text"])
    X = encoded(texts, _vocabulary(texts, split, block))
    return Sequences(X.values, X.offsets, vocabulary=X.vocabulary), split


def _vocabulary(
    texts: Iterable[Sequence[str]], split: np.ndarray, block: SequencesBlock
) -> tuple[str, ...]:
    """Return the words of the training texts by falling count, `UNKNOWN` first."""
    counts = Counter(
        word
        for text, part in zip(texts, split, strict=True)
        if part == "train"
        for word in text
    )
    words = [word for word, n in counts.items() if n >= block.min_count]
    words.sort(key=lambda word: (-counts[word], word))
    return (UNKNOWN, *words[: block.max_size])


if __name__ == "__main__":
    prepare_dataset(prepare)
