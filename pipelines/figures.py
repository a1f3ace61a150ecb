"""Figures that compare studies, and the pictures that a page embeds."""

from __future__ import annotations

import base64
import io
import re
import struct
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t as student_t

from ftml.plots import COLOURS, new_figure

BLUE, VERMILION = COLOURS[:2]
GREY = "#8c8c8c"
MARKERS = "osD^v<>P"
DECADES = 2
"An axis whose positive values span more decades than this is logarithmic."


@dataclass(frozen=True)
class Picture:
    """An image that stands in the page itself, with its size in CSS pixels."""

    uri: str
    width: int
    height: int
    caption: str


def draw(figure: Figure, caption: str) -> Picture:
    """Return a figure as an SVG picture: the same bytes for the same figure."""
    buffer = io.BytesIO()
    # Identifiers are random without it, and it is read when the file is written.
    with rc_context({"svg.hashsalt": "ftml"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Picture(_uri("svg+xml", buffer.getvalue()), width, height, caption)


def read_png(path: Path, caption: str) -> Picture:
    """Return a PNG file as a picture; ValueError names a file that is none."""
    content = path.read_bytes()
    if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 24:
        raise ValueError(f"{path}: not a PNG file")
    width, height = struct.unpack(">II", content[16:24])
    return Picture(_uri("png", content), width, height, caption)


def study_pictures(folder: Path) -> list[Picture]:
    """Return the figures of a study's folder: its search first."""
    order = ("search_", "training_curves", "learning_curve")

    def place(path: Path) -> tuple[int, str]:
        places = [i for i, start in enumerate(order) if path.name.startswith(start)]
        return (places or [len(order)])[0], path.name

    paths = sorted((folder / "figures").glob("*.png"), key=place)
    return [read_png(path, path.stem.replace("_", " ")) for path in paths]


def comparison_figure(
    studies: Sequence[tuple[str, Mapping[str, Any]]], *, metric: str, mode: str
) -> Figure:
    """Return the test metric of each study, first on top: mean, standard error, seeds.

    `studies` holds pairs of a name and `{"mean", "standard_error", "values"}`.
    """
    labels = [_wrapped(name) for name, _ in studies]
    lines = sum(label.count("\n") + 1 for label in labels)
    figure, axes = new_figure(5.6, 0.9 + 0.13 * lines + 0.2 * len(labels))
    for row, (_, test) in enumerate(studies):
        mean, error, values = test["mean"], test["standard_error"], test["values"]
        if error is not None:
            axes.plot(values, [row] * len(values), "o", color=GREY, ms=4, alpha=0.5)
        axes.errorbar(mean, row, xerr=error, fmt="o", color=BLUE, ms=6, elinewidth=2)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.set_xlabel(f"test {metric} ({_direction(mode)})")
    log_if_wide(axes, "x", [value for _, test in studies for value in test["values"]])
    return figure


def domains_figure(
    table: pd.DataFrame, domains: Sequence[str], *, metric: str, mode: str
) -> Figure:
    """Return the test metric of each study on each test domain, with 95 % intervals.

    `table` is that of `pipelines.comparison.compare`; the studies' own selection is
    shown. Domains whose names are numbers, angles for one, stand at these.
    """
    numeric = all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in domains)
    x = np.array([float(name) if numeric else i for i, name in enumerate(domains)])
    rows = table.drop_duplicates("study").to_dict("records")
    gap = np.diff(np.sort(x)).min()
    figure, axes = new_figure(7.2, 4.6)
    for i, row in enumerate(rows):
        names = [f"{metric}/{name}" for name in domains]
        error = np.array([row[f"{name}_standard_error"] for name in names], float)
        half = error * student_t.ppf(0.975, max(1, row["seeds"] - 1))
        is_baseline = row["study"] == row["baseline"]
        axes.errorbar(
            x + gap * 0.5 * ((i + 0.5) / len(rows) - 0.5),
            np.array([row[name] for name in names], float),
            yerr=np.nan_to_num(half),
            fmt=MARKERS[i % len(MARKERS)] + ("-" if numeric else ""),
            color="black" if is_baseline else COLOURS[i % (len(COLOURS) - 1)],
            label=row["study"],
            markersize=4,
            linewidth=1.6 if is_baseline else 0.8,
            elinewidth=0.9,
        )
    axes.set_xticks(x, domains)
    axes.set(xlabel="test domain", ylabel=f"test {metric} ({_direction(mode)})")
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure


def shared_curves_figure(name: str, curves: Mapping[str, pd.Series]) -> Figure:
    """Return a training metric of several studies by step, in one pair of axes."""
    figure, axes = new_figure(7.2, 4.6)
    for i, (study, curve) in enumerate(curves.items()):
        style = ("-", "--", ":")[i // len(COLOURS) % 3]
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(curve.index, curve, style, color=colour, label=study, linewidth=1.4)
    axes.set(xlabel="training step", ylabel=name.replace("train_", "training ", 1))
    values = pd.concat(list(curves.values()))
    log_if_wide(axes, "x", values.index)
    if (values >= 0).all():  # an optimality gap ends at zero, where no line can go
        log_if_wide(axes, "y", values[values > 0])
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure


def _wrapped(name: str) -> str:
    """Return a name in lines of up to 28 characters, broken after underscores."""
    return textwrap.fill(name.replace("_", "_ "), 28).replace("_ ", "_")


def log_if_wide(axes: Axes, axis: Literal["x", "y"], values: Any) -> None:
    """Make an axis logarithmic where its values are positive and span many decades."""
    numbers = np.asarray(values, float)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) and 0 < numbers.min() * 10**DECADES < numbers.max():
        axes.set(**{f"{axis}scale": "log"})


def _direction(mode: str) -> str:
    return "lower is better" if mode == "min" else "higher is better"


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
