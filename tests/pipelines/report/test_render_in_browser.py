"""The report as a browser shows it, opened from disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.report import render
from tests.pipelines.browser import chromium, overflow, watched
from tests.pipelines.report.test_render import (
    LONG,
    PARAMS,
    allow_every_name,
    finished,
    write_params,
    write_study,
)

__all__ = ["finished"]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("report")]

PAGES = ["index.html", "datasets/diabetes.html", "datasets/angles.html"]
MARKUP = "<img src=x onerror=\"document.title='ran'\">'*`javascript:1`"
PHONE = {"width": 390, "height": 844}
LAPTOP = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with chromium() as found:
        yield found


def address(folder: Path, page: str) -> str:
    return (folder / "reports" / page).as_uri()


def test_a_page_is_quiet_on_any_screen_and_asks_nothing_of_the_network(
    browser, finished: Path
) -> None:
    for screen in (PHONE, LAPTOP):
        seen = watched(browser, viewport=screen)
        for page in PAGES:
            seen.page.goto(address(finished, page))
            assert overflow(seen.page) <= 0, (page, screen)
        assert seen.errors == []
        assert all(url.startswith(("file:", "data:")) for url in seen.requests)


def test_main_facts_need_no_scrolling_on_a_laptop(browser, finished: Path) -> None:
    seen = watched(browser, viewport=LAPTOP)
    for page in PAGES:
        seen.page.goto(address(finished, page))
        hidden = seen.page.eval_on_selector_all(
            ".scroll", "all => all.map(one => one.scrollWidth - one.clientWidth)"
        )
        assert hidden
        assert max(hidden) <= 0, page


def test_a_click_on_the_metric_puts_the_best_first(browser, finished: Path) -> None:
    page = watched(browser, viewport=LAPTOP).page
    page.goto(address(finished, "datasets/diabetes.html"))
    table = page.locator("table.sortable").first
    header = table.get_by_role("button", name="test mse")
    first = table.locator("tbody tr").first
    header.click()
    assert "narrow" in first.inner_text()
    assert "3001.4 ± 1.2" in first.inner_text()
    header.click()
    assert first.inner_text().startswith("wide")
    page.goto(address(finished, "datasets/angles.html"))
    page.get_by_role("button", name="test accuracy").click(click_count=2)
    best = page.locator("table.sortable").first.locator("tbody tr").first
    assert best.inner_text().startswith(LONG)
    assert "best in validation" in best.inner_text()


def test_the_overview_leads_to_a_dataset_and_its_figures(
    browser, finished: Path
) -> None:
    seen = watched(browser, viewport=LAPTOP)
    seen.page.goto(address(finished, "index.html"))
    seen.page.get_by_role("link", name="diabetes").click()
    assert seen.page.locator("h1").inner_text() == "diabetes"
    assert "wide" in seen.page.locator(".answer .best").inner_text()
    picture = seen.page.locator("details[open] img").first
    picture.scroll_into_view_if_needed()
    shown = seen.page.wait_for_function(
        "image => image.complete && image.naturalWidth", arg=picture.element_handle()
    )
    assert shown.json_value() > 100
    assert seen.errors == []


def test_dark_pages_have_light_text_in_tables_and_figures(
    browser, finished: Path
) -> None:
    brightness = """element => {
        const style = getComputedStyle(element);
        const colour = element.closest("svg") ? style.fill : style.color;
        return Math.max(...colour.match(/\\d+/g).slice(0, 3).map(Number));
    }"""
    found = {}
    for scheme in ("light", "dark"):
        page = watched(browser, viewport=LAPTOP, color_scheme=scheme).page
        page.goto(address(finished, "datasets/diabetes.html"))
        page_colour = "getComputedStyle(document.body).backgroundColor"
        found[scheme] = (
            page.evaluate(page_colour),
            page.locator("td.n").first.evaluate(brightness),
            page.locator("figure svg text").first.evaluate(brightness),
        )
    assert found["light"][0] == "rgb(255, 255, 255)"
    assert found["dark"][0] == "rgb(21, 23, 26)"
    assert max(found["light"][1:]) < 64
    assert min(found["dark"][1:]) > 192


def test_markup_in_a_name_runs_no_script(
    browser, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    allow_every_name(monkeypatch)
    monkeypatch.setitem(PARAMS["experiments"]["diabetes"], MARKUP, {"family": "ridge"})
    write_params(PARAMS)
    write_study("diabetes", MARKUP, metric="mse", test={"mse": [3000.0]}, valid=2000.0)
    render.main()
    seen = watched(browser, viewport=LAPTOP)
    for page in PAGES[:2]:
        seen.page.goto(address(folder, page))
        assert MARKUP in seen.page.locator("main, body").first.inner_text()
        assert seen.page.title() != "ran"
        assert seen.page.locator("img[onerror], img[src=x]").count() == 0
    assert seen.errors == []
