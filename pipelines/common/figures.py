"""Figures that compare studies, and figures as parts of a page: SVG and PNG."""

from __future__ import annotations

import io
import re
import struct
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from numpy.typing import ArrayLike

from ftml.fonts import replace_missing, use_installed_fonts, without_glyph_warnings
from ftml.names import original
from ftml.plots import COLOURS, label_points, new_figure
from pipelines.common.estimate import Estimate
from pipelines.common.formatting import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILION = COLOURS[:2]
GREY = "#8c8c8c"
MARKERS = "osD^v<>P"
DECADES = 2
"An axis whose positive values span more decades than this is logarithmic."


@dataclass(frozen=True)
class Drawing:
    """A figure as SVG that is embedded in a page and takes the colours of the page."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Picture:
    """An image file that a page links to, with its size in CSS pixels."""

    path: Path
    width: int
    height: int
    caption: str


def draw(figure: Figure, caption: str, *, alt: str) -> Drawing:
    """Return a figure as SVG; equal figures give equal bytes.

    Black becomes the text colour of the page and the background is transparent, so that
    the figure is readable on light and dark pages. Text is kept as text, in the
    fonts of the browser.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    # Matplotlib reads both options on saving; without the salt, identifiers are random.
    use_installed_fonts(figure)  # by them, texts are measured
    with (
        rc_context({"svg.hashsalt": "ftml", "svg.fonttype": "none"}),
        without_glyph_warnings(),
    ):
        about = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", metadata=about, transparent=True)
    _, _, content = buffer.getvalue().partition("<svg")
    content = re.sub(r'width="[^"]*pt"|height="[^"]*pt"', "", content, count=2)
    content = re.sub(r"<metadata>.*?</metadata>", "", content, flags=re.DOTALL)
    content = re.sub('font: ([^;"]*) \'[^"]*"', r'font-size: 10px"', content)
    content = content.replace("#000000", "currentColor")
    width = round(96 * figure.get_size_inches()[0])
    head = f'<svg role="img" aria-label="{escape(alt)}" style="max-width: {width}px"'
    return Drawing(Markup(head + content), caption)


def read_png(path: Path, caption: str) -> Picture:
    """Return a PNG file as a picture; ValueError for a file that is not PNG."""
    with path.open("rb") as file:
        head = file.read(24)
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
        raise ValueError(f"{path}: not a PNG file")
    width, height = struct.unpack(">II", head[16:24])
    return Picture(path, width, height, caption)


def write_png(path: Path, figure: Figure) -> None:
    """Write a figure as a PNG file of at most 256 colours, for a smaller file."""
    write_pngs({path: figure})


def write_pngs(figures: Mapping[Path, Figure]) -> None:
    r"""Write figures that belong together as PNG files (see `write_png`).

    A line on stderr names the characters that no installed font has; these are written
    by their code, as in `\u6771`.
    """
    missing = {path: use_installed_fonts(each) for path, each in figures.items()}
    for path, figure in figures.items():
        replace_missing(figure, missing[path])
        _write_png(path, figure)
    if characters := sorted(set("".join(missing.values()))):
        where = next(path for path in figures if missing[path])
        listed = shorten(characters, separator=" ")
        print(
            f"{where.parent}: no installed font has {listed}; the figures show them by "
            "their codes. Install a font of the script, such as Noto Sans CJK "
            "(fonts-noto-cjk)",
            file=sys.stderr,
        )


def _write_png(path: Path, figure: Figure) -> None:
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    image = Image.open(buffer).convert("RGB")
    # The other methods of quantisation lose the colour of a thin line.
    method, without = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
    image.quantize(256, method=method, dither=without).save(path, optimize=True)


def study_pictures(folder: Path) -> list[Picture]:
    """Return the figures in the folder of a study, those of the search first."""
    order = ("search_", "training_curves", "learning_curve")

    def rank(path: Path) -> tuple[int, str]:
        ranks = [i for i, start in enumerate(order) if path.name.startswith(start)]
        return (ranks or [len(order)])[0], path.name

    paths = sorted((folder / "figures").glob("*.png"), key=rank)
    return [read_png(path, original(path.stem).replace("_", " ")) for path in paths]


def comparison_figure(
    studies: Sequence[tuple[str, Estimate]],
    *,
    metric: str,
    mode: str,
    best: str | None = None,
) -> Figure:
    """Return a dot plot of the test metric of each study, the first study on top.

    `studies` pairs the name of a study with its metric: a large dot marks the mean, a
    bar the standard error, small dots the seeds. The study named `best` is in red.
    """
    figure, axes = _rows_figure([name for name, _ in studies])
    for row, (name, test) in enumerate(studies):
        mean, error, values = test.mean, test.standard_error, test.values
        if error is not None:
            axes.plot(values, [row] * len(values), "o", color=GREY, ms=4, alpha=0.5)
        colour = VERMILION if name == best else BLUE
        axes.errorbar(mean, row, xerr=error, fmt="o", color=colour, ms=6, elinewidth=2)
    axes.margins(x=0.08)
    axes.set_xlabel(f"test {metric} ({_direction(mode)})")
    log_if_wide(axes, "x", [value for _, test in studies for value in test.values])
    return figure


def differences_figure(
    differences: Sequence[tuple[str, float, float]], *, to: str, metric: str, mode: str
) -> Figure:
    """Return a plot of the differences of studies to the study `to`.

    `differences` holds the name of a study, the mean difference and half the width of
    its 95 % interval. Dots are filled where the interval excludes zero.
    """
    figure, axes = _rows_figure([name for name, _, _ in differences])
    axes.axvline(0.0, color="black", linewidth=0.9)
    for row, (_, mean, half_width) in enumerate(differences):
        excludes_zero = abs(mean) > half_width
        axes.errorbar(
            mean,
            row,
            xerr=half_width,
            fmt="o",
            color=BLUE if excludes_zero else GREY,
            mfc=BLUE if excludes_zero else "none",
            ms=6,
            elinewidth=2,
        )
    axes.set_xlabel(f"test {metric} minus that of {to} ({_direction(mode)})")
    return figure


def cost_figure(
    studies: Sequence[tuple[str, float, float]], *, metric: str, mode: str
) -> Figure:
    """Return a scatter plot of the test metric of studies against their duration.

    `studies` holds the name of a study, its seconds and its metric. A line joins the
    Pareto front: studies for which no other study is both faster and better.
    """
    points = np.array([(seconds, value) for _, seconds, value in studies])
    front = pareto_front(points, mode=mode)
    figure, axes = new_figure(7.2, 4.4)
    axes.plot(*points.T, "o", color=BLUE, ms=6)
    axes.step(*points[front].T, where="post", color=VERMILION, linewidth=1.2)
    axes.plot(*points[front].T, "o", color=VERMILION, ms=6)
    axes.margins(0.12)
    axes.set(
        xlabel="seconds of the search and the final fits",
        ylabel=f"test {metric} ({_direction(mode)})",
    )
    log_if_wide(axes, "x", points[:, 0])
    log_if_wide(axes, "y", points[:, 1])
    others = [i for i in range(len(studies)) if i not in front]
    # Labels of the front are on the side of the dots that its line does not cross.
    up = 1 if mode == "max" else -1
    sides = [(-1, up)] * len(front) + [(1, -up)] * len(others)
    order = [*front, *others]
    label_points(axes, points[order], [studies[i][0] for i in order], prefer=sides)
    return figure


def pareto_front(points: np.ndarray, *, mode: str) -> list[int]:
    """Return the indices of the Pareto front of points (n, 2), the cheapest first.

    Columns are cost and value. A point is in the front unless another point costs no
    more and is better, or costs less and is equally good.
    """
    sign = 1.0 if mode == "min" else -1.0
    order = np.lexsort((sign * points[:, 1], points[:, 0]))
    front: list[int] = []
    for i in map(int, order):
        if not front or sign * points[i, 1] < sign * points[front[-1], 1]:
            front.append(i)
    return front


def _rows_figure(names: Sequence[str]) -> tuple[Figure, Axes]:
    """Return axes with a horizontal line for each name, the first name on top."""
    labels = [_wrapped(name) for name in names]
    lines = sum(label.count("\n") + 1 for label in labels)
    figure, axes = new_figure(6.0, 0.9 + 0.13 * lines + 0.2 * len(labels))
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    return figure, axes


def domains_figure(
    table: pd.DataFrame, domains: Sequence[str], *, metric: str, mode: str
) -> Figure:
    """Return the test metric of each study on each test domain, with 95 % intervals.

    `table` is the table of `pipelines.study.comparison.compare`; of several model
    selections, the figure shows each study's own. Domains whose names are numbers, such
    as angles, are placed at these numbers.
    """
    from scipy.stats import t as student_t

    numeric = all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in domains)
    x = np.array([float(name) if numeric else i for i, name in enumerate(domains)])
    rows = table.drop_duplicates("study").to_dict("records")
    gap = np.diff(np.sort(x)).min()
    figure, axes = new_figure(7.2, 4.6)
    for i, row in enumerate(rows):
        names = [f"{metric}/{name}" for name in domains]
        error = np.array([row[f"{name}_standard_error"] for name in names], float)
        half_width = error * student_t.ppf(0.975, max(1, row["seeds"] - 1))
        is_baseline = row["study"] == row["baseline"]
        axes.errorbar(
            x + gap * 0.5 * ((i + 0.5) / len(rows) - 0.5),
            np.array([row[name] for name in names], float),
            yerr=np.nan_to_num(half_width),
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


def training_curves_figure(name: str, curves: Mapping[str, pd.Series]) -> Figure:
    """Return a training metric of several studies by training step."""
    figure, axes = new_figure(7.2, 4.6)
    for i, (study, curve) in enumerate(curves.items()):
        style = ("-", "--", ":")[i // len(COLOURS) % 3]
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(curve.index, curve, style, color=colour, label=study, linewidth=1.4)
    axes.set(xlabel="training step", ylabel=name.replace("train_", "training ", 1))
    values = pd.concat(list(curves.values()))
    log_if_wide(axes, "x", values.index)
    # An optimality gap may end at zero, which a logarithmic axis cannot show.
    if (values >= 0).all():
        log_if_wide(axes, "y", values[values > 0])
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure


def _wrapped(name: str) -> str:
    """Return a name broken after underscores into lines of up to 28 characters."""
    return textwrap.fill(name.replace("_", "_ "), 28).replace("_ ", "_")


def log_if_wide(axes: Axes, axis: Literal["x", "y"], values: ArrayLike) -> None:
    """Make an axis logarithmic if its values are positive and span many decades."""
    numbers = np.asarray(values, float)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) and 0 < numbers.min() * 10**DECADES < numbers.max():
        axes.set(**{f"{axis}scale": "log"})


def _direction(mode: str) -> str:
    return "lower is better" if mode == "min" else "higher is better"
