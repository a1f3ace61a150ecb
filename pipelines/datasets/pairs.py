"""Stage `pairs`: source and target sequences, such as words and their phonemes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ftml.data import pairs as kind
from ftml.data.numerals import numerals, random_pairs
from ftml.data.pairs import Pairs, of_ragged
from ftml.data.ragged import encoded
from ftml.data.text import read_lines
from ftml.data.text_preparation import TextPreparation
from pipelines.common.formatting import counted
from pipelines.datasets.folders import shown
from pipelines.datasets.missing import refuse_or_note
from pipelines.datasets.notes import note
from pipelines.datasets.sources import fetch
from pipelines.datasets.splits import draw_split
from pipelines.params.text import PairsSchema

BELOW = 10_000
CHARACTERS = TextPreparation("characters")
PREPARATIONS = {".dict": CHARACTERS, ".tsv": TextPreparation("spaces")}
"How a raw source becomes symbols, by the suffix of the files."
Lines = list[tuple[list[str], list[str]]]
"The source and the target of each line, as lists of symbols."


def prepare(section: PairsSchema, folder: Path) -> None:
    """Write the pairs that a section describes into a folder.

    Each source is in one split only. Raises ValueError that names the file and the
    lines that have no source or no target, or another column.
    """
    if validation_errors := section.validation_errors():
        raise ValueError(f"{section.source}: {'; '.join(validation_errors)}")
    if section.source.startswith("made:"):
        digits = numerals(below=section.below or BELOW)
        data = replace(digits, preparation=CHARACTERS)
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
    files = fetch(section.source, section.sha256)
    preparation = PREPARATIONS[_suffix(section, files)]
    pairs: dict[tuple[str, ...], list[str]] = {}
    n_again = n_other = 0
    for path in files:
        for source, target in _pairs_of(path, section):
            first = pairs.setdefault(tuple(source), target)
            n_again += first is not target
            n_other += first != target
    if not pairs:
        raise ValueError(f"{section.source}: holds no pair")
    if n_again:
        again = counted(n_again, "pair")
        note(
            f"{section.source}: left out {again} whose source occurs before, {n_other} "
            "of them with another target"
        )
    sources, targets = list(pairs), list(pairs.values())
    X, Y = (encoded(each, _symbols(each)) for each in (sources, targets))
    return replace(of_ragged(X, Y), preparation=preparation)


def _suffix(section: PairsSchema, files: Sequence[Path]) -> str:
    """Return the suffix that all files have."""
    for path in files:
        if path.suffix not in PREPARATIONS:
            raise ValueError(f"{path}: expected a .dict or .tsv file")
        if path.suffix != files[0].suffix:
            raise ValueError(f"{section.source}: holds .dict and .tsv files")
    if files[0].suffix == ".dict" and section.columns is not None:
        raise ValueError(f"{section.source}: columns are for .tsv files")
    return files[0].suffix


def _pairs_of(path: Path, section: PairsSchema) -> Lines:
    """Return the pairs of a file; those that lack a side are refused or left out."""
    pairs, lacking = [], []
    lines = read_lines(path, encoding=section.read.encoding)
    for i, line in enumerate(lines, start=1):
        if path.suffix == ".dict":
            source, target = _from_dictionary(line, stress=section.stress)
            if not source:  # a comment
                continue
        elif line.strip():
            source, target = _from_columns(f"{path}: line {i}", line, section.columns)
        else:
            continue
        if source and target:
            pairs.append((source, target))
        else:
            lacking.append(i)
    name, drop = shown(path, section.source), section.missing == "drop"
    refuse_or_note(f"{name}: no source or no target", lacking, drop=drop)
    return pairs


def _from_dictionary(line: str, *, stress: bool) -> tuple[list[str], list[str]]:
    """Return the letters and the phonemes of a line of a pronouncing dictionary.

    It is a word, with `(2)` after it for a second pronunciation, and its phonemes,
    whose last digit marks the stress; a comment begins with #.
    """
    word, *sounds = line.partition("#")[0].split() or [""]
    letters = PREPARATIONS[".dict"].symbols(re.sub(r"\(\d+\)$", "", word))
    return letters, sounds if stress else [each.rstrip("012") for each in sounds]


def _from_columns(
    where: str, line: str, columns: tuple[int, int] | None
) -> tuple[list[str], list[str]]:
    """Return the symbols of two columns of a line, which are separated by tabs."""
    cells = [PREPARATIONS[".tsv"].symbols(cell) for cell in line.split("\t")]
    if columns is None and any(cells[2:]):
        raise ValueError(
            f"{where} has {len(cells)} columns, expected a source and a target; set "
            "columns: [1, 2] to read these two"
        )
    source, target = columns or (1, 2)
    if columns and len(cells) < max(columns):
        raise ValueError(
            f"{where} has {counted(len(cells), 'column')}, columns names {max(columns)}"
        )
    cells += [[], []]
    return cells[source - 1], cells[target - 1]


def _symbols(sequences: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({symbol for each in sequences for symbol in each}))
