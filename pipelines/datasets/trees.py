"""Stage `trees`: generated formulas, or trees in brackets from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ftml.data import trees as kind
from ftml.data.formulas import formulas
from ftml.data.text import read_lines
from ftml.data.trees import Trees, read_brackets
from pipelines.datasets.folders import shown
from pipelines.datasets.missing import refuse_or_note
from pipelines.datasets.sources import fetch
from pipelines.datasets.splits import draw_split, encode_labels
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
    labels, texts = [], []
    for path in fetch(section.source, section.sha256):
        lacking = []
        lines = read_lines(path, encoding=section.read.encoding)
        for i, line in enumerate(lines, start=1):
            label, tab, text = line.partition("\t")
            if not line.strip():
                continue
            if not tab:
                raise ValueError(f"{path}: line {i}: expected class, tab, tree")
            if label.strip() and text.strip():
                labels.append(label)
                texts.append(text)
            else:
                lacking.append(i)
        name, drop = shown(path, section.source), section.missing == "drop"
        refuse_or_note(f"{name}: no class or no tree", lacking, drop=drop)
    order = np.random.default_rng(section.seed).permutation(len(texts))
    chosen = np.sort(order[: section.n_samples])
    texts = [texts[i] for i in chosen]
    signs = {sign for text in texts for sign in text.split()} - {"(", ")"}
    forest = read_brackets(texts, tuple(sorted(signs)))
    y, classes = encode_labels(pd.Series([labels[i] for i in chosen]))
    return Trees(
        forest.symbols,
        forest.parents,
        forest.offsets,
        y,
        classes,
        forest.vocabulary,
    )
