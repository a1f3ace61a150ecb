"""What compares the studies of a dataset in the report, one drawing each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipelines.common import figures
from pipelines.common.figures import Drawing
from pipelines.study.comparison import domains_of, shared_curves

if TYPE_CHECKING:
    from pipelines.report.sections import Section


def drawings(section: Section) -> list[Drawing]:
    """Return the drawings of a section; none for a single study."""
    if section.size == 1:
        return []
    found = [
        _comparison(section),
        _differences(section),
        _domains(section),
        _cost(section),
    ]
    return [*(each for each in found if each), *_curves(section)]


def _comparison(section: Section) -> Drawing:
    metric = section.dataset.metric
    figure = figures.comparison_figure(
        [(result.name, result.test) for result in section.results],
        metric=metric,
        mode=section.dataset.mode,
        best=section.champion.name,
    )
    return figures.draw(
        figure,
        f"Test {metric}: mean ± standard error; small dots are single seeds. "
        "In red: best in validation.",
        alt=f"Dot plot of the test {metric} of each study of {section.name}; the "
        "numbers stand in the table above.",
    )


def _differences(section: Section) -> Drawing | None:
    known = [(result.name, section.difference(result)) for result in section.results]
    rows = [(name, each.mean, each.half) for name, each in known if each]
    if not rows:
        return None
    metric, to = section.dataset.metric, section.baseline.name
    figure = figures.differences_figure(
        rows, to=to, metric=metric, mode=section.dataset.mode
    )
    return figures.draw(
        figure,
        f"Difference to {to}, paired by seed, with its 95 % interval; hollow: no "
        "difference shown.",
        alt=f"Differences of test {metric} to {to}; the numbers stand in the table "
        "above.",
    )


def _domains(section: Section) -> Drawing | None:
    """The studies by test domain, where there are several."""
    domains, metric = domains_of(section.compared), section.dataset.metric
    if section.differing_domains or len(domains) < 2:
        return None
    figure = figures.domains_figure(
        section.compared, domains, metric=metric, mode=section.dataset.mode
    )
    return figures.draw(
        figure,
        f"Test {metric} by test domain: mean, 95 % interval.",
        alt=f"Test {metric} of each study of {section.name} on each test domain; the "
        "numbers stand in a table below.",
    )


def _cost(section: Section) -> Drawing | None:
    points = [(r.name, r.seconds, r.test["mean"]) for r in section.results]
    points = [each for each in points if all(map(math.isfinite, each[1:]))]
    if section.differing_domains or len(points) < 3:
        return None
    metric = section.dataset.metric
    figure = figures.cost_figure(points, metric=metric, mode=section.dataset.mode)
    return figures.draw(
        figure,
        f"Cost against quality: test {metric} by what search and final fits took. "
        "In red: no other study is both cheaper and better.",
        alt=f"Scatter plot of test {metric} by seconds for each study of "
        f"{section.name}.",
    )


def _curves(section: Section) -> list[Drawing]:
    """The training metrics that several studies share, by step."""
    measured = [result.measured for result in section.results]
    trials = {result.name: result.trials for result in section.results}
    found = []
    for name, curves in shared_curves(measured, trials).items():
        spoken_name = name.removeprefix("train_")
        figure = figures.shared_curves_figure(name, curves)
        caption = f"Training {spoken_name} of the chosen trial by step."
        alt = f"Training {spoken_name} by step for {', '.join(curves)}."
        found.append(figures.draw(figure, caption, alt=alt))
    return found
