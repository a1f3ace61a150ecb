"""Figures that compare studies, and how they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ftml.plots import new_figure
from pipelines.common.figures import Drawing, draw, pareto_front, read_png, write_png


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("min", [3, 0, 4]), ("max", [3, 1])],
)
def test_the_front_holds_what_no_other_study_beats(mode, expected):
    #                   cost, value
    points = np.array([[2.0, 5.0], [2.0, 9.0], [4.0, 6.0], [1.0, 7.0], [5.0, 1.0]])
    front = pareto_front(points, mode=mode)
    assert front == expected
    sign = 1 if mode == "min" else -1
    for i, (cost, value) in enumerate(points):
        beaten = any(
            c <= cost and sign * v <= sign * value and (c, v) != (cost, value)
            for c, v in points
        )
        assert beaten == (i not in front)


def test_a_drawing_takes_the_colours_of_its_page_and_escapes_its_text():
    def drawing() -> Drawing:
        figure, axes = new_figure(3, 2)
        axes.plot([0, 1], color="black")
        return draw(figure, "caption", alt='a "quoted" <text>')

    drawn = drawing()
    assert drawn.svg.startswith('<svg role="img" aria-label="a &#34;quoted&#34; &lt;')
    assert "currentColor" in drawn.svg
    assert "#000000" not in drawn.svg
    assert "#ffffff" not in drawn.svg
    assert drawn == drawing()


def test_a_written_figure_keeps_its_size_and_its_bytes(tmp_path: Path):
    for name in ("a.png", "b.png"):
        figure, axes = new_figure(4, 3)
        axes.plot([0, 1])
        write_png(tmp_path / name, figure)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    picture = read_png(tmp_path / "a.png", "a")
    assert (picture.width, picture.height) == (480, 360)
    figure.savefig(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").stat().st_size
    assert (tmp_path / "a.png").stat().st_size < 0.6 * whole
