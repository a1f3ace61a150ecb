"""MLflow's own pages, as a browser shows what was logged.

With FTML_SCREENSHOTS set to a folder, a picture of each page is left there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.tracking import mlflow_ui, views
from tests.conftest import free_port, runs, stage
from tests.pipelines.browser import Watched, chromium, watched
from tests.pipelines.servers import sqlite_server

pytestmark = [pytest.mark.long, pytest.mark.slow]

PARAMS = """
datasets:
  tables:
    cancer: {source: "sklearn:breast_cancer", task: classification}
  images: {}
  domains: {}
  cooccurrence: {}
experiments:
  cancer:
    logistic_regression: {trials: 3, report_every: 10, seeds: 2}
    gradient_descent: {config: {n_passes: 20}}
    nesterov: {config: {n_passes: 20}}
    newton: {}
    linear_svm: {config: {n_iterations: 100}, report_every: 50}
"""
SLOW = 60_000
"Milliseconds that a page may take on a busy machine."


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which an experiment of five families has run."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "params.yaml").write_text(PARAMS)
    for name in ("pipelines.stages.tables", "pipelines.stages.experiment"):
        process = stage(folder, name, "cancer")
        printed, _ = process.communicate(timeout=900)
        assert process.returncode == 0, printed
    return folder


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[str]:
    port = free_port()
    with sqlite_server(project, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def seen(server: str) -> Iterator[Watched]:
    with chromium() as browser:
        size = {"width": 1440, "height": 900}
        found = watched(browser, base_url=server, viewport=size)
        found.page.set_default_timeout(SLOW)
        yield found
        outside = [u for u in found.requests if not u.startswith((server, "data:"))]
        assert [url for url in outside if url.startswith("http")] == []


@pytest.fixture
def identity(project: Path) -> str:
    """The MLflow experiment of the project."""
    return str(measured(project, "run", "newton")["mlflow"]["experiment"])


def measured(project: Path, name: str, study: str) -> dict[str, Any]:
    path = project / "experiments/cancer" / study / f"{name}.json"
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def open_page(seen: Watched, address: str, *texts: str) -> None:
    """Open a page of the UI and wait until it shows some texts."""
    seen.page.goto(f"/{address}")
    for text in texts:
        seen.page.get_by_text(text).first.wait_for()


def keep(seen: Watched, name: str) -> None:
    """Leave a picture where the one who runs the tests wants to look."""
    if folder := os.environ.get("FTML_SCREENSHOTS"):
        seen.page.screenshot(path=f"{folder}/{name}.png")


def ranked(project: Path) -> list[float]:
    """Return the values of the test metric, best first."""
    studies = (project / "experiments/cancer").glob("*/metrics.json")
    tests = [json.loads(path.read_text())["test"]["accuracy"] for path in studies]
    return sorted((test["mean"] for test in tests), reverse=True)


def column(seen: Watched, name: str, part: str = "") -> list[str]:
    """Return the cells of a column of the table of runs, from top to bottom; a part of
    each that CSS finds.
    """
    cells = seen.page.locator(f'.ag-row [col-id="{name}"]{part}')
    cells.first.wait_for()
    placed = "all => all.map(e => [e.closest('.ag-row').getAttribute('row-index'), e])"
    read = f"all => ({placed})(all).map(([i, e]) => [Number(i), e.textContent])"
    rows: list[tuple[int, str]] = cells.evaluate_all(read)
    return [text.strip() for _, text in sorted(rows)]


def test_the_list_of_experiments_says_which_study_is_best(
    seen: Watched, project: Path
) -> None:
    open_page(seen, "#/experiments?workflowType=machine_learning", "cancer")
    seen.page.get_by_text("Best in validation: ").first.wait_for()
    assert seen.page.get_by_text("classification").first.is_visible()
    keep(seen, "experiments")


def test_the_studies_stand_best_first_with_the_facts_beside_them(
    seen: Watched, project: Path, identity: str
) -> None:
    open_page(
        seen,
        mlflow_ui.view_address(identity, views.BEST),
        "newton",
        "Studies, best first",
    )
    names = column(seen, "attributes.`Run Name`", " a")
    assert sorted(names) == sorted(
        path.parent.name
        for path in (project / "experiments/cancer").glob("*/metrics.json")
    )
    shown = [float(text) for text in column(seen, "metrics.`test_accuracy`")]
    assert shown == pytest.approx(ranked(project))
    families = column(seen, "tags.`ftml.family`")
    assert families == names
    keep(seen, "studies")
    seen.page.get_by_text("Studies, best first").first.click()
    seen.page.get_by_text("Training by step, a line for each study").first.wait_for()


def test_charts_compare_the_studies_and_their_cost(
    seen: Watched, identity: str
) -> None:
    page = mlflow_ui.view_address(identity, views.BEST, charts=True)
    open_page(seen, page, "test_accuracy", "search_seconds vs. test_accuracy")
    seen.page.locator(".js-plotly-plot").nth(2).wait_for()
    keep(seen, "charts")


def test_curves_have_a_line_for_each_study(seen: Watched, identity: str) -> None:
    page = mlflow_ui.view_address(identity, views.CURVES, charts=True)
    open_page(seen, page, "Training by step", "Group: nesterov")
    lines = seen.page.locator(".js-plotly-plot").first.locator(".scatterlayer .trace")
    lines.nth(2).wait_for()
    keep(seen, "curves")


def test_a_search_is_drawn_as_parallel_coordinates(
    seen: Watched, identity: str
) -> None:
    page = mlflow_ui.view_address(
        identity, views.search_key("logistic_regression"), charts=True
    )
    open_page(seen, page, "Parallel Coordinates", "trial 0: logistic_regression")
    seen.page.get_by_text("valid_accuracy").first.wait_for()
    keep(seen, "search")


def test_a_parent_folds_its_trials_and_fits(seen: Watched, identity: str) -> None:
    page = f"#/experiments/{identity}/runs?workflowType=machine_learning"
    open_page(seen, page, "newton")
    assert seen.page.get_by_text("trial 0: ").count() == 0
    row = seen.page.locator(".ag-row").filter(has_text="logistic_regression")
    row.get_by_role("button").first.click()
    for child in ("trial 0", "trial 2", "seed 1", "seed 2"):
        seen.page.get_by_text(f"{child}: logistic_regression").first.wait_for()
    keep(seen, "parent")


def test_four_runs_are_compared(seen: Watched, project: Path, identity: str) -> None:
    names = ("newton", "nesterov", "gradient_descent", "linear_svm")
    chosen = [measured(project, "run", name)["mlflow"]["run"] for name in names]
    which = f"runs={json.dumps(chosen)}&experiments={json.dumps([identity])}"
    open_page(seen, f"#/compare-runs?{which}", "Comparing 4 Runs")
    seen.page.locator(".js-plotly-plot").first.wait_for()
    for name in names:
        assert seen.page.get_by_text(name).first.is_visible()
    keep(seen, "compared")


def test_a_study_tells_its_result_its_formula_and_its_model(
    seen: Watched, project: Path, identity: str
) -> None:
    run = measured(project, "run", "newton")["mlflow"]
    start = f"#/experiments/{identity}/runs/{run['run']}"
    open_page(seen, f"{start}?workflowType=machine_learning", "Test accuracy")
    seen.page.get_by_text("Show more").first.click()
    seen.page.get_by_text("dvc repro experiment@cancer").first.wait_for()
    seen.page.get_by_text("Logged models").first.wait_for()
    seen.page.get_by_text(f"cancer, version {run['model_version']}").first.wait_for()
    keep(seen, "study")
    open_page(seen, f"{start}/artifacts/figures/confusion.png", "figures")
    picture = seen.page.locator("img[src^='blob:'], img[src*='confusion']").first
    picture.wait_for()
    keep(seen, "artifact")


def test_the_model_tells_the_champion_and_how_it_is_loaded(
    seen: Watched, project: Path
) -> None:
    open_page(seen, "#/models/cancer?workflowType=machine_learning", "Version 5")
    best = max(
        (
            measured(project, "metrics", path.parent.name)
            for path in (project / "experiments/cancer").glob("*/metrics.json")
        ),
        key=lambda each: each["search"]["valid_accuracy"],
    )
    row = seen.page.get_by_role("row").filter(has_text="champion")
    row.first.wait_for()
    (alias,) = runs(project, "select version from registered_model_aliases")
    versions = {
        measured(project, "run", path.parent.name)["mlflow"]["model_version"]: path
        for path in (project / "experiments/cancer").glob("*/metrics.json")
    }
    champion = versions[str(alias[0])].parent.name
    assert (
        measured(project, "metrics", champion)["search"]["valid_accuracy"]
        == (best["search"]["valid_accuracy"])
    )
    assert champion in row.first.inner_text()
    seen.page.get_by_text('load_model("models:/cancer@champion")').wait_for()
    keep(seen, "model")
