"""Of m hyperplanes in general position R^n has sum_{i <= n} C(m, i) cells, no more.

    R(m) = sum_{i=0}^{min(m, n)} C(m, i),   2^m for m <= n

A layer of m ReLUs is linear on each cell. Random hyperplanes are in general position;
every cell of m >= n of them then has a corner, where n of them cross: there the signs
of the others are fixed and those of the n take all 2^n values. The measured value is
the largest difference of the number of cells, for n up to 3 and m up to 8; in the plane
`count_regions` counts a second time.

Source: Deep learning cheat sheet, section 10.5.2, Zaslavsky.
"""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ftml.evidence import Budget, Evidence
from ftml.nn.activations import count_regions, region_bound
from ftml.plots import new_figure


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest difference between the counted cells and the formula."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in (1, 2, 3):
        for m in range(n, 9):
            W, b = rng.normal(size=(m, n)), rng.normal(size=m)
            found = {"by signs": count_signs(W, b)}
            if n == 2:
                found["by crossings"] = count_regions(W, b)
            for how, cells in found.items():
                rows.append((n, m, region_bound(m, n), how, cells))
    columns = ["inputs n", "hyperplanes m", "formula", "counted", "cells"]
    table = pd.DataFrame(rows, columns=columns)
    return Evidence(
        expected=0.0,
        measured=float((table["cells"] - table["formula"]).abs().max()),
        tolerance=0.0,
        table=table,
        figure=lambda: coloured(seed),
    )


def count_signs(W: np.ndarray, b: np.ndarray) -> int:
    """Return the number of sign patterns of W x + b around its crossings.

    W: (m, n), b: (m,), m >= n.
    """
    m, n = W.shape
    found = set()
    for own in combinations(range(m), n):
        chosen = list(own)
        corner = np.linalg.solve(W[chosen], -b[chosen])
        signs = W @ corner + b > 0
        for around in product((False, True), repeat=n):
            signs[chosen] = around
            found.add(signs.tobytes())
    return len(found)


def coloured(seed: int) -> Figure:
    """Plot six lines and the cells that they cut the plane into."""
    m = 6
    rng = np.random.default_rng(seed)
    # Lines that touch circles around the origin: their crossings are near it.
    angles = np.pi * (np.arange(m) + rng.uniform(0.2, 0.8, size=m)) / m
    W = np.column_stack([np.cos(angles), np.sin(angles)])
    b = rng.uniform(0.1, 0.6, size=m) * (-1.0) ** np.arange(m)
    side = np.linspace(-2.5, 2.5, 400)
    points = np.stack(np.meshgrid(side, side), axis=-1)
    signs = (points @ W.T + b > 0) @ 2 ** np.arange(m)
    # Cells are coloured by the number of active units, and each is drawn separately.
    on = (points @ W.T + b > 0).sum(axis=-1)
    figure, axes = new_figure(5.2, 4.6)
    axes.grid(False)
    image = axes.pcolormesh(side, side, on, cmap="Blues", vmin=0, vmax=m + 1)
    for w, offset in zip(W, b, strict=True):
        axes.contour(side, side, points @ w + offset, levels=[0.0], colors="black")
    seen, most = len(np.unique(signs)), region_bound(m, 2)
    axes.set(title=f"{m} lines: {seen} cells seen here, {most} at most")
    axes.set(xlabel="input x1", ylabel="input x2", aspect="equal")
    figure.colorbar(image, ax=axes, label="units that are on", ticks=range(m + 1))
    return figure
