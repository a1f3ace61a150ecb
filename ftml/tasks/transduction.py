"""Transduction: map a sequence of symbols to another, such as a word to its phonemes.

Models have `source_symbols`, `target_symbols` and `decode(X) -> list of (U,)`, indices
of target symbols, one array for each source; it may be empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ftml.data.pairs import Pairs
from ftml.data.ragged import encoded
from ftml.plots import new_figure
from ftml.tasks._inputs import check_samples
from ftml.tasks._models import Transducer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = (Pairs,)
METRICS = {"error_rate": "min", "exact_match": "max"}
SHOWN = 12
"Sources that a figure shows with their decoded targets."


def evaluate(model: Transducer, split: Pairs) -> dict[str, float]:
    """Return the errors of the decoded sequences.

    `error_rate`: symbols to be inserted, deleted or replaced, divided by the number of
    symbols of the targets; for phonemes the phoneme error rate. `exact_match`: fraction
    of the targets that are decoded without an error. Raises ValueError for a split
    without samples.
    """
    check_samples(split)
    distances = _distances(model.decode(split.X), split)
    return {
        "error_rate": float(distances.sum() / len(split.target)),
        "exact_match": float((distances == 0).mean()),
    }


def _distances(decoded: Sequence[np.ndarray], split: Pairs) -> np.ndarray:
    Y = split.Y
    pairs = zip(decoded, (Y[i] for i in range(len(Y))), strict=True)
    return np.array([edit_distance(one.tolist(), y.tolist()) for one, y in pairs])


def edit_distance(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the fewest insertions, deletions and replacements that make b of a.

    Source: Wagner and Fischer 1974, "The string-to-string correction problem".
    """
    above = list(range(len(b) + 1))
    for i, one in enumerate(a, start=1):
        row = [i]
        for j, other in enumerate(b, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (one != other)))
        above = row
    return above[-1]


def figures(model: Transducer, split: Pairs) -> dict[str, Figure]:
    """Return the error rate by the source's length, and some decoded sequences."""
    from matplotlib.ticker import MaxNLocator

    decoded = model.decode(split.X)
    distances = _distances(decoded, split)
    lengths, sizes = split.X.lengths, split.Y.lengths
    found = np.unique(lengths)
    figure, axes = new_figure()
    rates = [distances[lengths == n].sum() / sizes[lengths == n].sum() for n in found]
    axes.plot(found, rates, marker=".")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="symbols of the source", ylabel="error rate")
    axes.set_ylim(bottom=0)
    return {"error_by_length": figure, "decoded": _decoded(decoded, split)}


def _decoded(decoded: Sequence[np.ndarray], split: Pairs) -> Figure:
    shown = list(range(min(SHOWN, len(split))))
    some = split.rows(np.array(shown))
    rows = [
        [source, target, texts(decoded[i : i + 1], split.target_symbols)[0]]
        for i, source, target in zip(shown, some.X.texts(), some.Y.texts(), strict=True)
    ]
    figure, axes = new_figure(8.4, 0.8 + 0.26 * len(rows))
    axes.set_axis_off()
    table = axes.table(
        rows,
        colLabels=["source", "target", "decoded"],
        colWidths=[0.24, 0.38, 0.38],
        loc="center",
        cellLoc="left",
        colLoc="left",
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    return figure


def texts(sequences: Sequence[np.ndarray], symbols: Sequence[str]) -> list[str]:
    """Return sequences of indices as text, with spaces between symbols."""
    return [" ".join(symbols[v] for v in each) for each in sequences]


def example(split: Pairs) -> pd.DataFrame:
    """Return the first three sources as text, in the column `source`."""
    first = split.rows(np.arange(min(3, len(split))))
    return pd.DataFrame({"source": first.X.texts()})


def serve(model: Transducer, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the decoded target of each source, as text in the column `prediction`.

    Raises ValueError for a symbol that the model does not know.
    """
    sources = [str(text).split() for text in frame["source"]]
    found = model.decode(encoded(sources, tuple(model.source_symbols)))
    return pd.DataFrame({"prediction": texts(found, model.target_symbols)})
