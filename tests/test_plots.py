"""What figures share: labels that find room, intervals of shares, calibration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.font_manager import findfont

from ftml import fonts
from ftml.plots import calibration_figure, label_points, new_figure, share_interval
from pipelines.common.figures import write_pngs


def test_labels_cover_neither_each_other_nor_a_point() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(80, 2))
    names = [f"word{i}" for i in range(80)]
    figure, axes = new_figure()
    axes.scatter(*points.T)
    written = label_points(axes, points, names)
    boxes = [text.get_window_extent() for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == written
    assert len(written) > 40
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    places = axes.transData.transform(points)
    assert not any(box.contains(*place) for box in boxes for place in places)
    assert all(axes.get_window_extent().contains(*box.p0) for box in boxes)
    figure.draw_without_rendering()
    assert [text.get_window_extent().bounds for text in axes.texts] == [
        pytest.approx(box.bounds) for box in boxes
    ]


def test_the_interval_of_a_share_is_wilsons() -> None:
    # Wilson (1927), z = 1.959964: about (p + z^2 / 2n) / (1 + z^2 / n).
    z = 1.959964
    middle = (0.8 + z**2 / 20) / (1 + z**2 / 10)
    half = z / (1 + z**2 / 10) * (0.8 * 0.2 / 10 + z**2 / 400) ** 0.5
    assert share_interval(8, 10) == pytest.approx((middle - half, middle + half))
    assert share_interval(0, 5)[0] == 0.0
    assert share_interval(5, 5)[1] == 1.0


def test_calibration_counts_the_rows_of_each_bin() -> None:
    confidence = np.array([0.31, 0.39, 0.35, 0.95, 1.0])
    correct = np.array([True, False, False, True, True])
    (axes,) = calibration_figure(confidence, correct).axes
    (model,) = axes.containers
    np.testing.assert_allclose(model.lines[0].get_xydata(), [[0.35, 1 / 3], [0.975, 1]])
    assert [text.get_text() for text in axes.texts] == ["3", "2"]


def test_names_in_any_script_are_drawn_without_a_warning_and_the_missing_ones_named(
    tmp_path, capsys
) -> None:
    # U+1F9FF is in no font without colours; a private character is in no font at all.
    names = ["Bonn", "東京", "\ue0f1 town"]
    figures = {}
    for name in ("a", "b"):
        figure, axes = new_figure()
        axes.bar([0, 1, 2], [1.0, 2.0, 3.0])
        axes.set_xticks(range(3), names)
        axes.set(title=names[2], xlabel=names[1])
        label_points(axes, np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 2.5]]), names)
        figures[tmp_path / f"{name}.png"] = figure
    write_pngs(figures)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path}: no installed font has ")
    assert "\ue0f1" in line
    axes = figures[tmp_path / "a.png"].axes[0]
    assert axes.get_title() == r"\ue0f1 town"
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert (labels[0], labels[2]) == ("Bonn", r"\ue0f1 town")
    assert labels[1] in ("東京", r"\u6771\u4eac"), "as fonts are installed"


def test_an_installed_font_that_has_a_character_is_used_and_others_are_not(
    monkeypatch,
) -> None:
    # STIX comes with Matplotlib, and has what DejaVu Sans lacks.
    monkeypatch.setattr(fonts, "installed_fonts", lambda: ("cmb10", "STIXNonUnicode"))
    (code,) = sorted(
        _characters("STIXNonUnicode")
        - _characters("DejaVu Sans")
        - _characters("cmb10")
    )[:1]
    figure, axes = new_figure()
    plain, other = axes.text(0, 0, "plain"), axes.text(0, 1, f"a{code}")
    before = plain.get_fontfamily()
    assert fonts.use_installed_fonts(figure) == ""
    assert plain.get_fontfamily() == before
    assert other.get_fontfamily() == [*before, "STIXNonUnicode"]
    figure.draw_without_rendering()


def _characters(family: str) -> frozenset[str]:
    return fonts._characters(str(findfont(family)))
