"""The report, on results that are written by hand."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shutil
import statistics
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
from matplotlib.figure import Figure
from ruamel.yaml import YAML

from pipelines.common import formatting
from pipelines.common.estimate import estimate
from pipelines.params.read import read_params
from pipelines.report import render
from pipelines.study.failures import write_failure
from pipelines.study.figures import best_of_trials, study_figures
from pipelines.study.metrics import (
    MlflowIds,
    RunMetadata,
    write_metrics,
    write_run_metadata,
)
from pipelines.study.results import write_figures
from tests.pipelines.metrics import choice, study_metrics
from tests.pipelines.study.test_figures import search_of

pytestmark = pytest.mark.xdist_group("report")

LONG = "erm_with_every_augmentation_we_know_and_a_name_that_goes_on_for_long"
NASTY = 'a<b>&"c"|*d*'
VOID = {"meta", "img", "br", "link", "wbr"}

PARAMS = {
    "datasets": {
        "tables": {"diabetes": {"source": "sklearn:diabetes", "task": "regression"}},
        "domains": {"angles": {"source": "sklearn:digits", "rotate": [0, 15, 75]}},
    },
    "experiments": {
        "diabetes": {
            "wide": {"family": "ridge", "trials": 6, "seeds": 5},
            "narrow": {"family": "ridge", "seeds": 5, "config": {"alpha": 0.25}},
            NASTY: {"family": "ridge"},
        },
        "angles": {
            "erm": {"trials": 8, "seeds": 3, "test_domains": [75]},
            LONG: {"family": "erm", "trials": 8, "seeds": 3, "test_domains": [75]},
        },
    },
}


def write_study(
    dataset: str,
    name: str,
    *,
    metric: str,
    test: dict[str, list[float]],
    valid: float,
    family: str = "ridge",
    config: tuple[str, ...] = (),
    trials: int = 1,
    steps: int = 1,
    seconds: float = 12.5,
) -> Path:
    """Write what the stage `experiment` writes for a study."""
    folder = Path("experiments") / dataset / name
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    mode = "min" if metric == "mse" else "max"
    tried = search_of(metric, list(config), trials, steps)
    best = best_of_trials(tried, metric=f"valid_{metric}", mode=mode)
    index = best[f"valid_{metric}"].agg("idxmin" if mode == "min" else "idxmax")
    chosen = {each: float(best.loc[index, f"config.{each}"]) for each in config}
    seeds = list(range(1, 1 + len(next(iter(test.values())))))
    left_out = [name.partition("/")[2] for name in test if "/" in name]
    tried["left_out"] = [left_out] * len(tried)
    tried.to_parquet(folder / "trials.parquet", index=False)
    rows = [
        {"share": 1.0, "seed": s, "n": n + 1, "train_loss": 1 / (s + n)}
        for s in seeds
        for n in range(steps)
    ]
    fits = pd.DataFrame(rows)
    fits.to_parquet(folder / "fits.parquet", index=False)
    metrics = study_metrics(
        name,
        dataset=dataset,
        family=family,
        metric=metric,
        mode=mode,
        trials=trials,
        failed_trials=int(trials > 1),
        seeds=seeds,
        chosen=[
            choice(
                left_out=tuple(left_out),
                trial=int(index),
                steps=int(best.loc[index, "n"]),
                **chosen,
            )
        ],
        search={
            "train_loss": 0.1,
            f"valid_{metric}": valid,
            f"valid_{metric}/15": 0.5,
        },
        test={each: estimate(values) for each, values in test.items()},
    )
    write_metrics(folder, metrics)
    with (folder / "best.yaml").open("w") as file:
        fixed = PARAMS["experiments"][dataset][name].get("config", {})
        YAML(typ="safe").dump([{"config": {**chosen, **fixed}, "steps": steps}], file)
    write_run(folder, seconds)
    figure = Figure(figsize=(4, 3))
    figure.add_subplot().plot([0, 1])
    figures = study_figures(metrics, tried, fits) | {"predicted_against_true": figure}
    write_figures(folder, figures, ())
    return folder


def write_run(folder: Path, seconds: float) -> None:
    ids = MlflowIds(experiment="7", run="0123abc", model="m", model_version="1")
    times = {"seconds": seconds, "search_seconds": seconds, "fit_seconds": seconds}
    write_run_metadata(folder, RunMetadata(key="k", **times, mlflow=ids))


def write_params(params: dict[str, Any]) -> None:
    Path("params.yaml").write_text(json.dumps(params))  # JSON is YAML, in this order


def write_project() -> None:
    """Write params.yaml and the results of all its studies into the current folder."""
    write_params(PARAMS)
    noise = [0.0, 3.0, -2.0, 5.0, 1.0]
    write_study(
        "diabetes",
        "wide",
        metric="mse",
        test={"mse": [3100.0 + 2 * e for e in noise], "r2": [0.41] * 5},
        valid=2900.0,
        config=("alpha",),
        trials=6,
    )
    write_study(
        "diabetes",
        "narrow",
        metric="mse",
        test={"mse": [3000.0 + e for e in noise], "r2": [0.45] * 5},
        valid=2950.0,
    )
    write_study("diabetes", NASTY, metric="mse", test={"mse": [3050.125]}, valid=2975.5)
    for name, level in (("erm", 0.71), (LONG, 0.78)):
        values = [level, level + 0.02, level - 0.013]
        write_study(
            "angles",
            name,
            family="erm",
            metric="accuracy",
            test={
                "accuracy": values,
                "accuracy/75": values,
                "log_loss": [1.2, 1.3, 1.1],
            },
            valid=level + 0.1,
            config=("learning_rate", "weight_decay", "dropout"),
            trials=8,
            steps=12,
        )


def allow_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names obey a rule; that they are escaped does not depend on it."""
    monkeypatch.setattr("pipelines.params.read.name_errors", lambda params: [])
    monkeypatch.setattr("pipelines.params.read.without_wrong_names", lambda raw: raw)


@pytest.fixture(autouse=True)
def every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    allow_every_name(monkeypatch)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose report is written; tests only read it."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        allow_every_name(patch)
        write_project()
        render.main()
    return folder


@pytest.fixture
def project(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without a report."""
    here = tmp_path / "project"
    shutil.copytree(finished, here, ignore=shutil.ignore_patterns("reports"))
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def read(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)


class Page(HTMLParser):
    """Walks a page: its tags must nest; keeps tables, links and images."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: list[list[list[tuple[str, str | None]]]] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.cell: list[str] | None = None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        assert len(named) == len(attrs), f"<{tag}> has an attribute twice"
        self.attributes.append((tag, named))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.cell, self.value = [], named.get("data-value")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th") and self.cell is not None:
            self.tables[-1][-1].append(("".join(self.cell).strip(), self.value))
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell.append(data)

    def column(self, table: int, header: str) -> list[tuple[str, str | None]]:
        head, *rows = self.tables[table]
        names = [text for text, _ in head]
        return [row[names.index(header)] for row in rows]


def made(name: str) -> str:
    return (Path("reports") / name).read_text(encoding="utf-8")


def page(dataset: str | None = None) -> Page:
    """The overview, or the page of a dataset."""
    return Page(made(f"datasets/{dataset}.html" if dataset else "index.html"))


RESULTS, CHOSEN, OTHERS, PARTS = range(4)
"Tables of a dataset's page."


def test_pages_nest_and_say_what_the_inputs_say(read):
    found = page("diabetes")
    shown = found.column(RESULTS, "test mse ↓")
    assert [float(value) for _, value in shown] == [3001.4, 3050.125, 3102.8]
    assert [text for text, _ in shown] == ["3001.4 ± 1.2", "3050", "3102.8 ± 2.4"]
    assert [text for text, _ in found.column(RESULTS, "seeds")] == ["5", "1", "5"]
    valid = found.column(RESULTS, "validation")
    assert [float(value) for _, value in valid] == [2950.0, 2975.5, 2900.0]
    r2 = found.column(OTHERS, "r2 ↑")
    assert [text for text, _ in r2] == ["0.4500 ± 0", "—", "0.4100 ± 0"]
    trials = found.column(RESULTS, "trials")
    assert [text for text, _ in trials] == ["1", "1", "6 (1 failed)"]
    seconds = found.column(CHOSEN, "search")
    assert [text for text, _ in seconds] == ["12.5 s"] * 3
    settings = [text for text, _ in found.column(CHOSEN, "hyper-parameters")]
    assert settings[0] == "alpha 0.25 (set)"
    assert settings[1] == "all default values"
    assert re.fullmatch(r"alpha [\d.e-]+", settings[2])


def test_champion_is_the_best_in_validation_and_not_in_test(read):
    (overview,) = page().tables
    assert [row[1][0] for row in overview[1:]] == ["wide", LONG]
    assert overview[1][2] == ("3102.8 ± 2.4", "3102.8")
    studies = [text for text, _ in page("diabetes").column(RESULTS, "study")]
    assert ["best in validation" in name for name in studies] == [False, False, True]


def test_the_overview_shows_the_significance_and_the_model_of_the_best(read):
    (overview,) = page().tables
    said = [row[4][0] for row in overview[1:]]
    # wide is 101.4 above narrow in mse, beyond its interval; NASTY has one seed.
    assert said == [
        "worse than 1, not tested against 1 of 2 others",
        "not tested: fewer than 5 seeds",
    ]
    models = [row[5][0] for row in overview[1:]]
    assert models == ["models:/diabetes@champion", "models:/angles@champion"]


def test_a_best_that_is_no_better_in_validation_says_so(project):
    path = Path("experiments/angles/erm/metrics.json")
    metrics = json.loads(path.read_text())
    metrics["search"]["valid_accuracy"] = 0.78 + 0.1
    path.write_text(json.dumps(metrics))
    render.main()
    said = page().tables[0][2]
    assert said[4][0] == (
        "not tested: fewer than 5 seeds; no better in validation than 1 other"
    )


def test_there_is_no_champion_among_studies_that_other_folds_validate(project):
    sections = PARAMS["experiments"]["diabetes"]
    wide = {**sections["wide"], "cv": 5}
    tables = {**PARAMS["experiments"], "diabetes": {**sections, "wide": wide}}
    write_params({**PARAMS, "experiments": tables})
    render.main()
    assert [row[5][0] for row in page().tables[0][1:]] == [
        "",
        "models:/angles@champion",
    ]
    assert "models:/" not in made("datasets/diabetes.html")


def test_studies_are_sorted_in_the_direction_of_the_metric(read):
    rows = list(csv.DictReader(io.StringIO(made("comparison.csv"))))
    assert [(row["dataset"], row["study"]) for row in rows] == [
        ("diabetes", "narrow"),
        ("diabetes", NASTY),
        ("diabetes", "wide"),
        ("angles", LONG),
        ("angles", "erm"),
    ]
    names = [value for _, value in page("angles").column(RESULTS, "study")]
    assert names == [LONG, "erm"]
    assert rows[0]["test"] == "3001.4"
    assert rows[1]["standard_error"] == ""


def test_metrics_hold_what_is_of_no_single_domain(read):
    metrics = json.loads(made("metrics.json"))
    accuracy = estimate([0.71, 0.73, 0.697])
    losses = estimate([1.2, 1.3, 1.1])
    assert metrics["angles"]["erm"] == {
        "test_accuracy": accuracy.mean,
        "test_accuracy_standard_error": accuracy.standard_error,
        "test_log_loss": losses.mean,
        "test_log_loss_standard_error": losses.standard_error,
        "valid_accuracy": 0.71 + 0.1,
    }
    assert metrics["diabetes"][NASTY] == {"test_mse": 3050.125, "valid_mse": 2975.5}


def test_domains_have_a_table_of_their_own(read):
    parts = page("angles").column(PARTS, "accuracy/75")
    assert [float(value) for _, value in parts] == [
        statistics.fmean([0.78, 0.80, 0.767]),
        statistics.fmean([0.71, 0.73, 0.697]),
    ]
    assert all(text != "accuracy/75" for text, _ in page("angles").tables[RESULTS][0])


def test_markdown_has_the_same_numbers(read):
    lines = made("report.md").splitlines()
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    wide = next(row for row in cells if row and row[0] == "wide")
    assert wide[2] == "3102.8 ± 2.4"
    nasty = next(row for row in cells if row and row[2] == "3050")
    assert nasty[0] == 'a&lt;b&gt;&amp;"c"\\|\\*d\\*'
    header = next(row for row in cells if row and row[0] == "study")
    assert len(wide) == len(nasty) == len(header)


@pytest.mark.parametrize("name", [None, "diabetes", "angles"])
def test_pages_fetch_nothing_and_link_only_to_mlflow_and_each_other(read, name):
    found = page(name)
    folder = Path("reports/datasets" if name else "reports")
    links = [n["href"] for tag, n in found.attributes if tag == "a"]
    inside = [link for link in links if not link.startswith("http")]
    outside = {link for link in links if link.startswith("http")}
    assert inside
    assert all((folder / link).resolve().is_file() for link in inside)
    start = "http://127.0.0.1:5000/#/experiments/7/runs"
    assert all(link.startswith(start) for link in outside)
    assert bool(outside) == bool(name)
    sources = [named["src"] for _, named in found.attributes if "src" in named]
    assert bool(sources) == bool(name)
    assert all((folder / unquote(source)).is_file() for source in sources)
    assert not any(tag in ("link", "iframe", "object") for tag, _ in found.attributes)
    path = "datasets/" + name if name else "index"
    text = re.sub("url\\(#|#/|http://www.w3.org/", "", made(f"{path}.html"))
    assert not re.search(r"@import|url\(", text)


def test_every_picture_has_a_text_and_its_size(read):
    pages = [page("diabetes"), page("angles")]
    pictures = [n for each in pages for tag, n in each.attributes if tag == "img"]
    # One search and one own figure of `wide`, one figure of each of the other tables;
    # three searches, the curves and one own figure of each of two ERMs.
    assert len(pictures) == 2 + 1 + 1 + 2 * 5
    for named in pictures:
        assert named["alt"]
        assert int(named["width"]) > 100
        assert named["loading"] == "lazy"
    drawings = [
        [n["aria-label"] for tag, n in each.attributes if tag == "svg"]
        for each in pages
    ]
    # The comparison, the differences and the cost; of two studies no cost.
    assert [len(each) for each in drawings] == [3, 1]
    assert all(label for each in drawings for label in each)


def test_names_are_escaped(read):
    text = made("datasets/diabetes.html")
    assert "a<b>" not in text
    shown, value = page("diabetes").column(RESULTS, "study")[1]
    assert (shown, value) == (f"{NASTY}ridge", NASTY)


def test_few_seeds_are_said_and_many_are_compared_in_pairs(read):
    for name in ("diabetes", "angles"):
        text = made(f"datasets/{name}.html")
        assert text.count("are not tested where a study has fewer than 5 seeds") == 1
        assert not re.search(r"\bwins?\b|\bwinner|significant", text)
    found = page("diabetes")
    differences = [cell for cell, _ in found.column(RESULTS, "minus wide")]
    # wide - narrow is 100 + e for e of standard deviation sqrt(7.3), over five seeds;
    # 2.7764 is the t quantile of four degrees of freedom.
    half = 2.7764 * (7.3 / 5) ** 0.5
    assert differences == [f"-101.4 ± {half:.1f}", "—", "—"]
    findings = [cell for cell, _ in found.column(RESULTS, "finding")]
    assert findings == ["lower", "", ""]
    assert "finding" not in [text for text, _ in page("angles").tables[RESULTS][0]]


def test_the_others_are_compared_with_the_baseline_that_params_name(project):
    datasets = PARAMS["datasets"]
    tables = {"diabetes": {**datasets["tables"]["diabetes"], "baseline": "narrow"}}
    write_params({**PARAMS, "datasets": {**datasets, "tables": tables}})
    render.main()
    cells = [text for text, _ in page("diabetes").column(RESULTS, "minus narrow")]
    assert cells[:2] == ["—", "—"]
    assert cells[2].startswith("+101.4")
    findings = page("diabetes").column(RESULTS, "finding")
    assert findings[2][0] == "higher"


def test_studies_on_different_domains_are_not_compared(project):
    erm = PARAMS["experiments"]["angles"]["erm"]
    other = {
        **PARAMS["experiments"]["angles"],
        "erm": {**erm, "test_domains": [15]},
    }
    write_params({**PARAMS, "experiments": {**PARAMS["experiments"], "angles": other}})
    render.main()
    assert "tested on different domains" in made("datasets/angles.html")
    domains = page("angles").column(RESULTS, "test domains")
    assert [text for text, _ in domains] == ["75", "15"]
    said = page().tables[0][2]
    assert said[4][0] == "not compared: tested on different domains"
    assert said[5][0] == ""


def test_missing_results_are_one_error_and_nothing_is_written(project):
    for part in (Path("run.json"), Path("trials.parquet")):
        (Path("experiments/angles") / LONG / part).unlink()
    for path in sorted(Path("experiments/diabetes/wide").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    Path("experiments/diabetes/wide").rmdir()
    with pytest.raises(ValueError, match="not every study has a result") as caught:
        render.main()
    problems = str(caught.value).splitlines()[1:]
    assert problems == [
        "  experiments/diabetes/wide is not there; "
        "make it with: ftml stage experiment diabetes",
        f"  experiments/angles/{LONG} has no run.json; "
        "make it with: ftml stage experiment angles",
    ]
    assert not Path("reports").exists()


def test_a_failed_study_is_on_its_page_with_its_reason_and_an_old_result_is_not(
    project,
):
    reason = "all 6 trials failed, the first with KeyError: <b>"
    for name in ("wide", "narrow"):
        write_failure(Path(".search/diabetes") / name, f"{name}: {reason}")
    render.main()
    text = made("datasets/diabetes.html")
    assert f"wide has failed and has no result: {escape(reason)}" in text
    assert [row[0][0] for row in page("diabetes").tables[RESULTS][1:]] == [
        f"{NASTY} best in validationridge"
    ]
    assert "1 study, 2 failed" in made("index.html")
    written = formatting.escape_markdown(reason)
    assert f"narrow has failed and has no result: {written}" in made("report.md")
    write_failure(Path(".search/diabetes") / NASTY, "no space")
    with pytest.raises(ValueError, match="diabetes: every study has failed: all 6"):
        render.main()


def test_results_of_another_metric_are_an_error(project):
    datasets = PARAMS["datasets"]
    tables = {"diabetes": {**datasets["tables"]["diabetes"], "metric": "mae"}}
    write_params({**PARAMS, "datasets": {**datasets, "tables": tables}})
    with pytest.raises(ValueError, match="compared by mse, not by mae"):
        render.main()


def test_damaged_results_are_an_error_that_names_them(project):
    Path("experiments/angles/erm/metrics.json").write_text("{")
    with pytest.raises(ValueError, match="experiments/angles/erm is damaged"):
        render.main()


def content(folder: str = "reports") -> dict[str, bytes]:
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_only_a_page_changes_when_only_seconds_change(project):
    render.main()
    before = content()
    for study in PARAMS["experiments"]["diabetes"]:
        write_run(Path("experiments/diabetes") / study, seconds=99.0)
    render.main()
    after = content()
    changed = [name for name in after if after[name] != before[name]]
    assert changed == ["datasets/diabetes.html"]


def test_the_same_inputs_give_the_same_bytes(project):
    render.main()
    before = content()
    render.main()
    assert before == content()


def test_other_files_of_the_folder_stay_and_pages_of_gone_datasets_do_not(project):
    Path("reports/datasets").mkdir(parents=True)
    Path("reports/claims.csv").write_text("kept")
    Path("reports/datasets/gone.html").write_text("not kept")
    render.main()
    assert sorted(path.name for path in Path("reports").iterdir()) == [
        "claims.csv",
        "comparison.csv",
        "datasets",
        "index.html",
        "metrics.json",
        "report.md",
        "training_curves.csv",
    ]
    pages = sorted(path.name for path in Path("reports/datasets").glob("*.html"))
    assert pages == ["angles.html", "diabetes.html"]


def test_a_project_without_claims_has_no_page_of_claims_unless_dvc_requires_it(project):
    Path("dvc.yaml").write_text("stages: {report: {outs: [reports/claims.html]}}")
    render.main()
    assert "No claim has been measured" in made("claims.html")
    assert Path("reports/claims").is_dir()
    Path("dvc.yaml").unlink()
    render.main()
    assert not Path("reports/claims.html").exists(), "it is of an earlier report"
    assert not Path("reports/claims").exists()
    assert "claims.html" not in made("index.html")
    Path("reports/claims.html").write_text("a page of the user")
    render.remove_claims()
    assert Path("reports/claims.html").exists()


def test_values_that_are_not_numbers_come_last_and_stay_json(project):
    folder = write_study(
        "diabetes",
        NASTY,
        metric="mse",
        test={"mse": [float("nan")]},
        valid=float("nan"),
    )
    assert folder.name == NASTY
    render.main()
    assert json.loads(made("metrics.json"))["diabetes"][NASTY]["test_mse"] is None
    shown = [text for text, _ in page("diabetes").column(RESULTS, "test mse ↓")]
    assert shown[-1] == "not a number"


def test_training_curves_are_those_of_fits_of_several_steps(read):
    curves = pd.read_csv("reports/training_curves.csv")
    assert set(curves["dataset"]) == {"angles"}
    assert len(curves) == 2 * 3 * 12
    assert curves.loc[0, "value"] == 1.0
    assert curves.loc[0, "metric"] == "train_loss"


@pytest.mark.parametrize(
    ("test", "shown"),
    [
        ((0.931234, 0.00412), "0.9312 ± 0.0041"),
        ((3053.78, 123.4), "3054 ± 123"),
        ((28653.4, None), "28653"),
        ((0.9777158, None), "0.9777"),
        ((9.9996e-8, None), "1.000e-07"),
        ((-0.5, 0.0), "-0.5000 ± 0"),
        ((0.0, None), "0"),
    ],
)
def test_results_are_rounded_by_their_error(test, shown):
    assert formatting.format_mean_and_error(*test) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0012, "1.2 ms"),
        (7.35, "7.35 s"),
        (80, "80 s"),
        (600, "10 min"),
        (9000, "2.5 h"),
    ],
)
def test_seconds_are_said_in_the_unit_that_people_use(seconds, shown):
    assert formatting.duration(seconds) == shown


def test_the_plan_of_these_tests_is_valid(project):
    assert list(read_params().experiments) == ["diabetes", "angles"]
