"""The drawings that compare the studies on the page of a dataset."""

from __future__ import annotations

import math

from pipelines.common import figures
from pipelines.common.figures import Drawing
from pipelines.report.dataset_pages import DatasetPage
from pipelines.study.comparison import common_training_curves, domains_of_table


def drawings(page: DatasetPage) -> list[Drawing]:
    """Return the drawings of a page, none for a dataset with a single study."""
    if page.n_studies == 1:
        return []
    found = [
        _comparison(page),
        _differences(page),
        _domains(page),
        _cost(page),
    ]
    return [*(each for each in found if each), *_curves(page)]


def _comparison(page: DatasetPage) -> Drawing:
    """Return the test metric of each study."""
    metric = page.dataset.metric
    figure = figures.comparison_figure(
        [(result.name, result.test) for result in page.results],
        metric=metric,
        mode=page.dataset.mode,
        best=page.best.name,
    )
    return figures.draw(
        figure,
        f"Test {metric}: mean ± standard error; small dots are single seeds. "
        "The study that is best in validation is orange.",
        alt=f"Dot plot of the test {metric} of each study of {page.name}; the "
        "numbers are in the table above.",
    )


def _differences(page: DatasetPage) -> Drawing | None:
    """Return the differences to the baseline; None if no difference is known."""
    known = [(result.name, page.difference(result)) for result in page.results]
    differences = [(name, each.mean, each.half_width) for name, each in known if each]
    if not differences:
        return None
    metric, to = page.dataset.metric, page.baseline.name
    figure = figures.differences_figure(
        differences, to=to, metric=metric, mode=page.dataset.mode
    )
    return figures.draw(
        figure,
        f"Difference to {to}, paired by seed, with its 95 % interval. A hollow dot: "
        "no difference shown.",
        alt=f"Differences of test {metric} to {to}; the numbers are in the table "
        "above.",
    )


def _domains(page: DatasetPage) -> Drawing | None:
    """Return the test metric by test domain; None for a single test domain."""
    domains, metric = domains_of_table(page.comparison), page.dataset.metric
    if page.differing_domains or len(domains) < 2:
        return None
    figure = figures.domains_figure(
        page.comparison, domains, metric=metric, mode=page.dataset.mode
    )
    return figures.draw(
        figure,
        f"Test {metric} by test domain: mean and 95 % interval.",
        alt=f"Test {metric} of each study of {page.name} on each test domain; the "
        "numbers are in a table below.",
    )


def _cost(page: DatasetPage) -> Drawing | None:
    """Return the test metric against the duration; None for fewer than 3 studies."""
    points = [(r.name, r.seconds, r.test.mean) for r in page.results]
    points = [each for each in points if all(map(math.isfinite, each[1:]))]
    if page.differing_domains or len(points) < 3:
        return None
    metric = page.dataset.metric
    figure = figures.cost_figure(points, metric=metric, mode=page.dataset.mode)
    return figures.draw(
        figure,
        f"Test {metric} against the duration of the search and the final fits. For a "
        "study in orange, no other study is both faster and better.",
        alt=f"Scatter plot of test {metric} by seconds for each study of {page.name}.",
    )


def _curves(page: DatasetPage) -> list[Drawing]:
    """Return the training metrics that several studies have in common, by step."""
    metrics = [result.metrics for result in page.results]
    trials = {result.name: result.trials for result in page.results}
    found = []
    for name, curves in common_training_curves(metrics, trials).items():
        display_name = name.removeprefix("train_")
        figure = figures.training_curves_figure(name, curves)
        caption = f"Training {display_name} of the chosen trial by step."
        alt = f"Training {display_name} by step for {', '.join(curves)}."
        found.append(figures.draw(figure, caption, alt=alt))
    return found
