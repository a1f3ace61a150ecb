"""A corpus as two files: its vocabulary, and the sentences of each split as ids.

The text is read once, piece by piece. Words are numbered in the order in which they
occur, and sentences are spooled to disk, one file per split, until the counts of the
training sentences decide which words are kept. So memory holds the different words and
one piece, however long the text is.

Axes: V words, S sentences of a piece.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ftml.data import parquet
from ftml.data.tokens import Sentences, Tokenizer, Vocabulary, choose_words, renumber

IDS, VOCABULARY = "ids.parquet", "vocabulary.parquet"
GROUP = 1 << 18
"Words of a row group of `ids.parquet`, the unit that is read at once."

SCHEMA = pa.schema(
    [("split", pa.dictionary(pa.int8(), pa.string())), ("ids", pa.list_(pa.int32()))]
)


@dataclass(frozen=True)
class Encoding:
    """How text becomes ids."""

    sentences: str = "line"
    "where a sentence ends, one of `ftml.data.tokens.RULES`"
    min_count: int = 5
    max_size: int | None = None
    valid_fraction: float = 0.05
    test_fraction: float = 0.05
    seed: int = 0


def encode_corpus(
    texts: Iterable[tuple[Path, Iterable[bytes]]],
    folder: Path,
    *,
    how: Encoding,
    about: Mapping[str, Any],
    group: int = GROUP,
) -> None:
    """Write `ids.parquet` and `vocabulary.parquet` of some texts into a folder.

    Each sentence is held out for validation or for the test with the probability of
    their fraction; the vocabulary is that of the training sentences. texts: the pieces
    of each file. about: JSON for the metadata of both files. Raises ValueError for a
    file without a sentence of two words, and if no word is left.
    """
    if how.valid_fraction + how.test_fraction >= 1:
        raise ValueError(
            f"valid_fraction {how.valid_fraction} and test_fraction "
            f"{how.test_fraction} leave nothing to train on"
        )
    with tempfile.TemporaryDirectory(dir=folder) as place:
        tokenizer, counts = _spool(texts, Path(place), how=how)
        kept = choose_words(
            tokenizer.words(),
            counts["train"],
            min_count=how.min_count,
            max_size=how.max_size,
        )
        if not kept.words:
            raise ValueError(
                f"no word occurs min_count = {how.min_count} times in the training "
                f"sentences, which have {counts['train'].sum()} words"
            )
        _write_ids(folder / IDS, Path(place), kept, about=about, group=group)
    _write_vocabulary(folder / VOCABULARY, kept, counts, about=about)


def _spool(
    texts: Iterable[tuple[Path, Iterable[bytes]]], place: Path, *, how: Encoding
) -> tuple[Tokenizer, dict[str, np.ndarray]]:
    """Write the sentences of each split, with provisional word numbers; return the
    words, and the number of occurrences of each in each split.
    """
    tokenizer, rng = Tokenizer(rule=how.sentences), np.random.default_rng(how.seed)
    counts = {split: np.zeros(0, np.int64) for split in parquet.SPLITS}
    ends = np.cumsum([how.valid_fraction, how.test_fraction])
    with ExitStack() as stack:
        files = {
            split: tuple(
                stack.enter_context(open(place / f"{split}.{part}", "wb"))
                for part in ("ids", "lengths")
            )
            for split in parquet.SPLITS
        }
        for file, pieces in texts:
            S = 0
            for sentences in tokenizer.read(pieces):
                # One random number per sentence, so that the size of the pieces changes
                # nothing.
                part_of = np.searchsorted(
                    ends, rng.random(len(sentences)), side="right"
                )
                for number, split in enumerate(("valid", "test", "train")):
                    part = select(sentences, part_of == number)
                    _append(files[split], part)
                    counts[split] = _plus(counts[split], np.bincount(part.ids))
                S += len(sentences)
            if not S:
                raise ValueError(f"{file}: no sentence of two words or more")
    V = len(tokenizer.words())
    return tokenizer, {
        split: _plus(np.zeros(V, np.int64), count) for split, count in counts.items()
    }


def select(sentences: Sentences, chosen: np.ndarray) -> Sentences:
    """Return the sentences where `chosen` (S,) is true."""
    lengths = np.diff(sentences.offsets)
    offsets = np.concatenate([[0], np.cumsum(lengths[chosen])])
    return Sentences(sentences.ids[np.repeat(chosen, lengths)], offsets)


def _append(files: tuple[BinaryIO, ...], part: Sentences) -> None:
    for file, array in zip(files, (part.ids, np.diff(part.offsets)), strict=True):
        file.write(array.tobytes())


def _plus(longer: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the sum of two count arrays, of which either may have more words."""
    size = max(len(longer), len(counts))
    total = np.zeros(size, np.int64)
    total[: len(longer)] += longer
    total[: len(counts)] += counts
    return total


def _write_ids(
    path: Path,
    place: Path,
    kept: Vocabulary,
    *,
    about: Mapping[str, Any],
    group: int,
) -> None:
    """Write the sentences, one per row: train, valid, test, each in the order of the
    text.
    """
    with parquet.writer(path, SCHEMA, {"kind": "Sentences", **about}) as write:
        for split in parquet.SPLITS:
            for sentences in _spooled(place, split, group=group):
                encoded = renumber(sentences, kept.new_id)
                write(_table(split, encoded))


def _spooled(place: Path, split: str, *, group: int) -> Iterator[Sentences]:
    """Yield the sentences of a split, at least `group` words at once except for the
    last.

    A sentence has at most 10,000 words, so the groups are hardly larger.
    """
    with (
        open(place / f"{split}.ids", "rb") as ids,
        open(place / f"{split}.lengths", "rb") as lengths,
    ):
        rest = np.zeros(0, np.int64)
        while True:
            # A sentence has at least two words, so this many lengths fill a group.
            more = np.frombuffer(lengths.read(8 * (group // 2 + 1)), np.int64)
            rest = np.concatenate([rest, more])
            if not len(rest):
                return
            ends = np.cumsum(rest)
            S = min(int(np.searchsorted(ends, group)) + 1, len(rest))
            read = np.frombuffer(ids.read(4 * int(ends[S - 1])), np.int32)
            yield Sentences(read, np.concatenate([[0], ends[:S]]))
            rest = rest[S:]


def _table(split: str, sentences: Sentences) -> pa.Table:
    lists = pa.ListArray.from_arrays(
        pa.array(sentences.offsets, pa.int32()), pa.array(sentences.ids)
    )
    names = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(len(sentences), np.int8)), pa.array([split])
    )
    return pa.Table.from_arrays([names, lists], schema=SCHEMA)


def _write_vocabulary(
    path: Path,
    kept: Vocabulary,
    counts: Mapping[str, np.ndarray],
    *,
    about: Mapping[str, Any],
) -> None:
    order = np.empty(len(kept.words), np.int64)
    at = np.flatnonzero(kept.new_id >= 0)
    order[kept.new_id[at]] = at
    columns: dict[str, Any] = {
        "id": np.arange(len(order), dtype=np.int32),
        "word": list(kept.words),
    }
    columns |= {f"{split}_count": counts[split][order] for split in parquet.SPLITS}
    parquet.write(path, pa.table(columns), {"kind": "Vocabulary", **about})


@dataclass(frozen=True)
class Group:
    """A row group of `ids.parquet`: its number, its split, and how many ids it has."""

    number: int
    split: str
    size: int


def groups(path: Path) -> list[Group]:
    """Return the row groups of an ids file, in order."""
    parquet.check(path, kind="Sentences")
    metadata = pq.read_metadata(path)
    found = []
    for number in range(metadata.num_row_groups):
        split, ids = (metadata.row_group(number).column(c) for c in (0, 1))
        found.append(Group(number, split.statistics.min, ids.num_values))
    return found


def read_group(path: Path, number: int) -> Sentences:
    """Return the sentences of a row group of an ids file."""
    with pq.ParquetFile(path) as file:
        lists = file.read_row_group(number, columns=["ids"]).column(0).combine_chunks()
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return Sentences(lists.values.to_numpy(), offsets)


def chain(parts: Sequence[Sentences]) -> Sentences:
    """Return the sentences of all parts, one after the other."""
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    ids = np.concatenate([part.ids for part in parts])
    return Sentences(ids, np.concatenate([[0], np.cumsum(lengths)]))
