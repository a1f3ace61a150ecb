"""Draws the figures of studies small and without a layout: a figure of full size takes
0.3 s, and an experiment has a dozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from pipelines.study import results


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the figures of studies by `write_pngs`. They are not readable."""
    monkeypatch.setattr(results, "write_pngs", write_pngs)


def write_pngs(figures: Mapping[Path, Figure]) -> None:
    """Write figures as small PNG files; equal figures give equal bytes."""
    for path, figure in figures.items():
        figure.set_layout_engine("none")
        figure.savefig(path, dpi=10)
