"""Stage `sequences`: time series, labelled texts, or sentences for a language model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ftml.data import sequences as kind
from ftml.data.ragged import UNKNOWN, encoded, of_sequences
from ftml.data.sequences import Sequences
from ftml.data.text_preparation import TextPreparation
from ftml.data.tokens import Tokenizer
from pipelines.common.formatting import counted
from pipelines.datasets.labelled_texts import labelled_texts
from pipelines.datasets.notes import note
from pipelines.datasets.separate_test import refuse_same_files
from pipelines.datasets.series import read_series
from pipelines.datasets.similar import note_similar
from pipelines.datasets.sources import fetch
from pipelines.datasets.splits import draw_split, encode_labels, refuse_one_class
from pipelines.datasets.text_sources import text_pieces
from pipelines.params.text import ReadTextSchema, SequencesSchema, TextSchema

TEST_FRACTION = 0.2
WORDS = TextPreparation("words", lower=True)
"How a labelled text becomes words."
ENGLISH_WORDS = TextPreparation("english_words", lower=True)
"How the text of a language model becomes words, which `Tokenizer` does."


def prepare(section: SequencesSchema, folder: Path) -> None:
    """Write the sequences that a section describes into a folder.

    The splits are stratified by class. Raises ValueError for a source that cannot be
    read, an empty sequence, and a class with too few sequences for every split to get
    one.
    """
    if validation_errors := section.validation_errors():
        raise ValueError(f"{section.source}: {'; '.join(validation_errors)}")
    if section.task == "language_model":
        data, split = _sentences(section)
    elif section.column is not None:
        data, split = _texts(section)
    else:
        data, split = _series(section)
    kind.write(folder, data, split)


def _split(section: SequencesSchema, y: np.ndarray, names: Sequence[str]) -> np.ndarray:
    fractions = {"valid": section.valid_fraction}
    if section.test is None:
        fractions["test"] = section.test_fraction or TEST_FRACTION
    return draw_split(y, names, fractions=fractions, seed=section.seed)


def _classes(
    section: SequencesSchema, labels: pd.Series
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the class (n,) of each sequence, and the names of the classes."""
    y, classes = encode_labels(labels)
    refuse_one_class(section.source, classes, what="sequences")
    note_similar(section.source, {"the classes": labels}, noun="sequence")
    return y, classes


def _chosen(n: int, section: SequencesSchema) -> np.ndarray:
    """Return the sorted indices of `n_samples` random samples, or of all samples."""
    order = np.random.default_rng(section.seed).permutation(n)
    return np.sort(order[: section.n_samples])


def _series(section: SequencesSchema) -> tuple[Sequences, np.ndarray]:
    """Return time series and their splits; series of `test` are the test data."""
    series, labels = _read(section, section.source, section.sha256)
    chosen = _chosen(len(series), section)
    series, labels = [series[i] for i in chosen], [labels[i] for i in chosen]
    y, classes = _classes(section, pd.Series(labels))
    split = _split(section, y, [f"class {name}" for name in classes])
    if section.test is not None:
        refuse_same_files(section)
        more, test_labels = _read(section, section.test, section.test_sha256)
        if unseen := set(test_labels) - set(labels):
            raise ValueError(
                f"{section.test}: class {', '.join(sorted(unseen))} is not in "
                f"{section.source}"
            )
        series += more
        y = np.append(y, [classes.index(label) for label in test_labels])
        split = np.append(split, np.full(len(more), "test"))
    channels = {each.shape[1] for each in series}
    if len(channels) > 1:
        raise ValueError(f"{section.source}: series have {sorted(channels)} channels")
    X = of_sequences(series)
    return Sequences(X.values, X.offsets, y, classes), split


def _read(
    section: SequencesSchema, source: str, sha256: str | None
) -> tuple[list[np.ndarray], list[str]]:
    encoding, drop = section.read.encoding, section.missing == "drop"
    return read_series(source, sha256, encoding=encoding, drop=drop)


def _texts(section: SequencesSchema) -> tuple[Sequences, np.ndarray]:
    """Return labelled texts as words, and their splits."""
    found = labelled_texts(section)
    words = [WORDS.symbols(text) for text in found.texts]
    kept = np.flatnonzero([bool(each) for each in words])
    if not len(kept):
        raise ValueError(f"{section.source}: no text is left")
    if n_empty := len(words) - len(kept):
        of_them = counted(n_empty, "text")
        note(f"{section.source}: left out {of_them} without a word")
    kept = kept[_chosen(len(kept), section)]
    y, classes = _classes(section, found.labels.iloc[kept])
    split = _split(section, y, [f"class {name}" for name in classes])
    texts = [words[i] for i in kept]
    X = encoded(texts, _vocabulary(texts, split, section))
    return Sequences(X.values, X.offsets, y, classes, X.vocabulary, WORDS), split


def _sentences(section: SequencesSchema) -> tuple[Sequences, np.ndarray]:
    """Return the sentences with at least two words of a text, and their splits."""
    own = TextSchema(
        source=section.source,
        sha256=section.sha256,
        column=section.column,
        read=ReadTextSchema(encoding=section.read.encoding),
    )
    tokenizer, parts = Tokenizer(rule=section.sentences), []
    for text in [own, *section.also]:
        for file in fetch(text.source, text.sha256):
            for found in tokenizer.read(text_pieces(file, text)):
                parts += np.split(found.ids, found.offsets[1:-1]) if len(found) else []
    if not parts:
        raise ValueError(f"{section.source}: holds no sentence of two words")
    spelling = tokenizer.words()
    texts = [
        [spelling[word] for word in parts[i]] for i in _chosen(len(parts), section)
    ]
    split = _split(section, np.zeros(len(texts), np.int64), ["the text"])
    X = encoded(texts, _vocabulary(texts, split, section))
    data = Sequences(
        X.values, X.offsets, vocabulary=X.vocabulary, preparation=ENGLISH_WORDS
    )
    return data, split


def _vocabulary(
    texts: Iterable[Sequence[str]], split: np.ndarray, section: SequencesSchema
) -> tuple[str, ...]:
    """Return `UNKNOWN` and the words of the training texts, most frequent first."""
    counts = Counter(
        word
        for text, part in zip(texts, split, strict=True)
        if part == "train"
        for word in text
    )
    words = [word for word, n in counts.items() if n >= section.min_count]
    words.sort(key=lambda word: (-counts[word], word))
    return (UNKNOWN, *words[: section.max_size])
