"""Stage `pairs`: source and target sequences, such as words and their phonemes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ftml.data import pairs as kind
from ftml.data.numerals import numerals, random_pairs
from ftml.data.pairs import Pairs, of_ragged
from ftml.data.ragged import encoded
from pipelines.datasets.sources import fetch
from pipelines.datasets.splits import draw_split
from pipelines.params.text import PairsSchema

BELOW = 10_000
Lines = list[tuple[list[str], list[str]]]
"The source and the target of each line, as lists of symbols."


def prepare(section: PairsSchema, folder: Path) -> None:
    """Write the pairs that a section describes into a folder.

    Each source is in one split only. Raises ValueError that names the file and the line
    that has no source or no target.
    """
    if validation_errors := section.validation_errors():
        raise ValueError(f"{section.source}: {'; '.join(validation_errors)}")
    if section.source.startswith("made:"):
        data = numerals(below=section.below or BELOW)
    else:
        data = _read(section)
    if section.n_samples is not None:
        data = random_pairs(data, section.n_samples, seed=section.seed)
    fractions = {"valid": section.valid_fraction, "test": section.test_fraction}
    strata = np.zeros(len(data), np.int64)
    split = draw_split(strata, ["the file"], fractions=fractions, seed=section.seed)
    kind.write(folder, data, split)


def _read(section: PairsSchema) -> Pairs:
    """Return the pairs of a source's files; of pairs with equal sources, the first."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for path in fetch(section.source, section.sha256):
        read = _reader(path, stress=section.stress)
        for i, line in enumerate(path.read_text().splitlines(), start=1):
            if not line.strip():
                continue
            source, target = read(line)
            if not source or not target:
                raise ValueError(f"{path}: line {i} lacks a source or a target")
            lines.setdefault(tuple(source), target)
    if not lines:
        raise ValueError(f"{section.source}: holds no pair")
    sources, targets = list(lines), list(lines.values())
    return of_ragged(
        encoded(sources, _symbols(sources)), encoded(targets, _symbols(targets))
    )


def _reader(
    path: Path, *, stress: bool
) -> Callable[[str], tuple[list[str], list[str]]]:
    """Return the function that reads a line of a .dict or .tsv file.

    A line of a pronouncing dictionary is a word, with `(2)` after it for a second
    pronunciation, and its phonemes, whose last digit marks the stress; a comment begins
    with #. A line of a .tsv file is two columns of symbols separated by spaces.
    """

    def dictionary(line: str) -> tuple[list[str], list[str]]:
        word, *sounds = line.partition("#")[0].split() or [""]
        letters = list(re.sub(r"\(\d+\)$", "", word))
        return letters, sounds if stress else [each.rstrip("012") for each in sounds]

    def columns(line: str) -> tuple[list[str], list[str]]:
        source, _, target = line.partition("\t")
        return source.split(), target.split()

    if path.suffix not in (".dict", ".tsv"):
        raise ValueError(f"{path}: expected a .dict or .tsv file")
    return dictionary if path.suffix == ".dict" else columns


def _symbols(sequences: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({symbol for each in sequences for symbol in each}))
