"""Stage `trees`: generated formulas, or trees in brackets from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ftml.data import trees as kind
from ftml.data.formulas import formulas
from ftml.data.text import read_lines
from ftml.data.trees import Forest, Trees, read_brackets
from pipelines.datasets.folders import shown
from pipelines.datasets.missing import refuse_or_note
from pipelines.datasets.similar import note_similar
from pipelines.datasets.sources import fetch
from pipelines.datasets.splits import draw_split, encode_labels, refuse_one_class
from pipelines.params.text import TreesSchema

N_SAMPLES, N_OPERATORS = 4000, 10


def prepare(section: TreesSchema, folder: Path) -> None:
    """Write the trees that a section describes into a folder.

    The splits are stratified by class. Raises ValueError that names the text which is
    not a tree.
    """
    if validation_errors := section.validation_errors():
        raise ValueError(f"{section.source}: {'; '.join(validation_errors)}")
    if section.source.startswith("made:"):
        data = formulas(
            section.source.partition(":")[2],
            n=section.n_samples or N_SAMPLES,
            most=section.n_operators or N_OPERATORS,
            seed=section.seed,
        )
    else:
        data = _read(section)
    names = [f"class {name}" for name in data.classes]
    fractions = {"valid": section.valid_fraction, "test": section.test_fraction}
    kind.write(
        folder, data, draw_split(data.y, names, fractions=fractions, seed=section.seed)
    )


def _read(section: TreesSchema) -> Trees:
    """Return the trees of a source's files: each line holds a class and a tree."""
    files = fetch(section.source, section.sha256)
    lines = [line for path in files for line in _lines_of(path, section)]
    if not lines:
        raise ValueError(f"{section.source}: holds no tree")
    order = np.random.default_rng(section.seed).permutation(len(lines))
    chosen = [lines[i] for i in np.sort(order[: section.n_samples])]
    signs = {sign for line in chosen for sign in line.tree.split()} - {"(", ")"}
    forest = _forest(chosen, tuple(sorted(signs)))
    labels = pd.Series([line.label for line in chosen])
    y, classes = encode_labels(labels)
    refuse_one_class(section.source, classes, what="trees")
    note_similar(section.source, {"the classes": labels}, noun="tree")
    return Trees(
        forest.symbols,
        forest.parents,
        forest.offsets,
        y,
        classes,
        forest.vocabulary,
    )


@dataclass(frozen=True)
class Line:
    """A line of a file: where it is, the class and the tree."""

    where: str
    label: str
    tree: str


def _lines_of(path: Path, section: TreesSchema) -> list[Line]:
    """Return the lines of a file; those that lack a class or a tree are refused or
    left out.
    """
    found, lacking = [], []
    for i, line in enumerate(read_lines(path, encoding=section.read.encoding), start=1):
        label, tab, tree = line.partition("\t")
        if not line.strip():
            continue
        if not tab or "\t" in tree.rstrip():
            raise ValueError(f"{path}: line {i}: expected class, tab, tree")
        if label.strip() and tree.strip():
            found.append(Line(f"{path}: line {i}", label, tree))
        else:
            lacking.append(i)
    name, drop = shown(path, section.source), section.missing == "drop"
    refuse_or_note(f"{name}: no class or no tree", lacking, drop=drop)
    return found


def _forest(lines: Sequence[Line], vocabulary: tuple[str, ...]) -> Forest:
    """Return the trees of lines; ValueError names the line that has none."""
    try:
        return read_brackets([line.tree for line in lines], vocabulary)
    except ValueError:
        for line in lines:
            try:
                read_brackets([line.tree], vocabulary)
            except ValueError as error:
                raise ValueError(f"{line.where}: {error}") from None
        raise
