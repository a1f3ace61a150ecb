"""Word lists rated by people: how similar two words are, and analogies.

Read from files in the formats of gensim (WordSim-353, SimLex-999, Google's analogies),
saved as two Parquet files beside the counts of a corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ftml.data import parquet
from ftml.data.checks import check_different
from ftml.data.text import read_lines

SIMILARITIES, ANALOGIES = "similarities.parquet", "analogies.parquet"


@dataclass(frozen=True)
class WordSets:
    """similarities: (set, word, word, score), a higher score for more similar words.

    analogies: (section, a, b, c, d), d is to c as b is to a. All words in lower case.
    """

    similarities: tuple[tuple[str, str, str, float], ...]
    analogies: tuple[tuple[str, str, str, str, str], ...]


def read_files(files: Iterable[Path]) -> WordSets:
    """Return the sets in some files. The form of each line decides its type: `word word
    score`, separated by tabs, or `a b c d` below a line `: section`; `#` begins a
    comment.

    A set of similarities has the name of its file. Raises ValueError that names file
    and line for any other line, for files without any, and for two files of one name,
    whose sets would be one.
    """
    files = list(files)
    check_different([file.stem for file in files], "word_sets: the names of the files")
    similarities: list[tuple[str, str, str, float]] = []
    analogies: list[tuple[str, str, str, str, str]] = []
    for file in files:
        section = file.stem
        lines = [line.lower() for line in read_lines(file)]
        for number, line in enumerate(lines, start=1):
            parts = line.split("\t") if "\t" in line else line.split()
            if not parts or line.startswith("#"):
                continue
            if line.startswith(":"):
                section = line[1:].strip()
            elif len(parts) == 4:
                analogies.append((section, parts[0], parts[1], parts[2], parts[3]))
            elif len(parts) == 3 and _is_number(parts[2]):
                similarities.append((file.stem, parts[0], parts[1], float(parts[2])))
            else:
                raise ValueError(
                    f"{file}: line {number}: expected `word word score` or `a b c d`, "
                    f"got {line!r}"
                )
    if not similarities and not analogies:
        raise ValueError("word_sets: the files hold no pair and no analogy")
    return WordSets(tuple(similarities), tuple(analogies))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def write(folder: Path, sets: WordSets) -> None:
    """Write both kinds of sets into a folder."""
    parts: dict[str, tuple[Sequence[str], Sequence[tuple[Any, ...]]]] = {
        SIMILARITIES: (("set", "a", "b", "score"), sets.similarities),
        ANALOGIES: (("section", "a", "b", "c", "d"), sets.analogies),
    }
    for name, (columns, rows) in parts.items():
        table = pa.table(
            {column: [row[n] for row in rows] for n, column in enumerate(columns)}
        )
        parquet.write(folder / name, table, {"kind": "WordSets"})


def load(folder: Path) -> WordSets | None:
    """Return the sets of a folder, or None if it has none."""
    if not (folder / SIMILARITIES).exists():
        return None
    rows = [
        tuple(
            tuple(row.values())
            for row in parquet.read(folder / name, kind="WordSets")[0].to_pylist()
        )
        for name in (SIMILARITIES, ANALOGIES)
    ]
    return WordSets(*rows)
