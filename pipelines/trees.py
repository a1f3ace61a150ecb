"""Stage `trees`: formulas that are drawn, or trees in brackets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ftml.data import trees as kind
from ftml.data.formulas import formulas
from ftml.data.trees import Trees, read_brackets
from pipelines.blocks import TreesBlock
from pipelines.sources import fetch
from pipelines.stage import prepare_dataset
from pipelines.tables import draw_split, number

N_SAMPLES, N_OPERATORS = 4000, 10


def prepare(block: TreesBlock, folder: Path) -> None:
    """Write the trees of a block into a folder; each class has its share of every
    split.

    Raises ValueError that names the tree for one that is none.
    """
    if misfits := block.misfits():
        raise ValueError(f"{block.source}: {'; '.join(misfits)}")
    if block.source.startswith("made:"):
        data = formulas(
            block.source.partition(":")[2],
            n=block.n_samples or N_SAMPLES,
            most=block.n_operators or N_OPERATORS,
            seed=block.seed,
        )
    else:
        data = _read(block)
    names = [f"class {name}" for name in data.classes]
    shares = {"valid": block.valid_fraction, "test": block.test_fraction}
    kind.write(folder, data, draw_split(data.y, names, shares=shares, seed=block.seed))


def _read(block: TreesBlock) -> Trees:
    """Return the trees of a source's files, a class and a tree in each line."""
    labels, texts = [], []
    for path in fetch(block.source, block.sha256):
        for i, line in enumerate(path.read_text().splitlines(), start=1):
            label, tab, text = line.partition("\t")
            if not line.strip():
                continue
            if not tab:
                raise ValueError(f"{path}: line {i}: expected class, tab, tree")
            labels.append(label)
            texts.append(text)
    order = np.random.default_rng(block.seed).permutation(len(texts))
    chosen = np.sort(order[: block.n_samples])
    texts = [texts[i] for i in chosen]
    signs = {sign for text in texts for sign in text.split()} - {"(", ")"}
    forest = read_brackets(texts, tuple(sorted(signs)))
    y, classes = number(pd.Series([labels[i] for i in chosen]))
    return Trees(
        forest.symbols,
        forest.parents,
        forest.offsets,
        y,
        classes,
        forest.vocabulary,
    )


if __name__ == "__main__":
    prepare_dataset(prepare)
