"""The stage `claims`: what it writes, logs, reuses and says, and what shows it."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from typer.testing import CliRunner

from ftml.evidence import Budget, claim, claims
from ftml.folders import chapter_by_name
from pipelines.cli.app import app
from pipelines.cluster import connect, processes
from pipelines.cluster.parallel_map import claim_budget, map_over_ray_tasks
from pipelines.common.errors import call_stage
from pipelines.params import keys
from pipelines.params.claims import ClaimsSchema
from pipelines.report import render
from pipelines.report.claim_pages import read_claims
from pipelines.stages import claims as stage
from pipelines.study.measurements import DueClaim, Measured, measure, measurement_of
from tests.conftest import forget_store
from tests.shipped import shipped_params

HOLDS = '''"""Two is twice one <on paper>.

    2 = 1 + 1

Nothing is drawn.

Source: a source.
"""
import pandas as pd

from ftml.evidence import Budget, Evidence
from ftml.plots import new_figure

MISTAKES = (46, 47)


def check(seed, budget):
    def figure():
        made, axes = new_figure()
        axes.plot([1, 2])
        return made

    table = pd.DataFrame({"n": ["one"], "twice": [2.0]})
    parts = {"table": table, "figure": figure}
    return Evidence(2.0, 2.0 + seed, 0.5, value_in_source=3.5, **parts)
'''
FAILS = '''"""Three is twice one.

Source: nobody.
"""
from ftml.evidence import Budget, Evidence


def check(seed, budget):
    return Evidence(3.0, float("nan"), 0.5)
'''


@pytest.fixture
def toy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> Iterator[Path]:
    """An empty project, and a registry of two claims in the chapter `toy_chapter`."""
    folder = tmp_path / "registry" / "toy_chapter"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "twice.py").write_text(HOLDS)
    (folder / "thrice.py").write_text(FAILS)
    package = importlib.import_module("ftml.claims")
    monkeypatch.setattr(package, "__path__", [str(folder.parent)])
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setattr(processes, "available_cpus", lambda: 1)  # has the registry
    shutil.copy(empty_store, "mlflow.db")
    forget_claims()
    write_params(seed=0)
    yield folder
    forget_claims()
    forget_store()


def forget_claims() -> None:
    """Let the folder of claims be read again, and the modules in it be found again."""
    for cached in (chapter_by_name, claim, keys._module_path):
        cached.cache_clear()
    for name in [each for each in sys.modules if ".toy_chapter" in each]:
        del sys.modules[name]


def write_params(seed: int) -> None:
    claims = f"{{toy_chapter: {{seed: {seed}}}}}"
    Path("params.yaml").write_text(
        f"datasets: {{}}\nexperiments: {{}}\nclaims: {claims}\n"
    )


def recorded(name: str) -> dict:
    path = Path("claims/toy_chapter") / name / "evidence.json"
    content: dict = json.loads(path.read_text())
    return content


def store() -> MlflowClient:
    return MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")


def runs() -> list[Run]:
    client = store()
    experiment = client.get_experiment_by_name("claims")
    return client.search_runs([experiment.experiment_id])


def test_the_stage_writes_and_logs_claims_that_hold_and_that_do_not(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.main()
    said = capsys.readouterr().out
    assert "2 claims, 2 measured now; DO NOT HOLD: thrice" in said
    assert recorded("twice")["passed"]
    assert recorded("twice")["mistakes"] == [46, 47]
    assert not recorded("thrice")["passed"]
    assert recorded("thrice")["measured"] == "nan"
    assert (
        Path("claims/toy_chapter/twice/table.csv").read_text() == "n,twice\none,2.0\n"
    )
    logged = {run.info.run_name: run for run in runs()}
    assert {run.info.status for run in logged.values()} == {"FINISHED"}
    assert logged["twice"].data.metrics["value_in_source"] == 3.5
    assert logged["twice"].data.tags["ftml.holds"] == "true"
    assert logged["thrice"].data.tags["ftml.holds"] == "false"
    about = logged["twice"].data.tags["mlflow.note.content"]
    assert about.startswith("**The claim holds**: expected 2.000, measured 2.000")
    files = store().list_artifacts(logged["twice"].info.run_id)
    assert {each.path for each in files} == {"table.csv", "figure.png"}


def test_claims_are_measured_again_only_when_something_changed(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.main()
    stage.main()
    assert "0 measured now" in capsys.readouterr().out
    assert len(runs()) == 2
    (toy / "thrice.py").unlink()
    chapter_by_name.cache_clear()
    write_params(seed=9)
    stage.main()
    assert "1 claim, 1 measured now; DO NOT HOLD: twice" in capsys.readouterr().out
    assert recorded("twice")["measured"] == 11.0
    assert not Path("claims/toy_chapter/thrice").exists()
    current = [run for run in runs() if run.data.tags["ftml.current"] == "true"]
    assert [run.data.metrics["measured"] for run in current] == [11.0]
    assert len(runs()) == 3


def test_what_a_killed_stage_left_is_done_again_and_logged_once(toy: Path) -> None:
    stage.main()
    (half,) = (run for run in runs() if run.info.run_name == "twice")
    store().update_run(half.info.run_id, status="RUNNING")
    evidence = Path("claims/toy_chapter/twice/evidence.json")
    evidence.unlink()
    beside = Path("claims/toy_chapter/.twice.abc")
    beside.mkdir()
    stage.main()
    assert evidence.exists()
    assert not beside.exists()
    twice = [run for run in runs() if run.info.run_name == "twice"]
    assert sorted(run.info.status for run in twice) == ["FINISHED", "KILLED"]
    counted = {run.info.status: run.data.tags["ftml.current"] for run in twice}
    assert counted == {"FINISHED": "true", "KILLED": "false"}


def test_an_argument_is_refused_with_the_usage(toy: Path) -> None:
    with pytest.raises(ValueError, match=r"usage: ftml stage claims$"):
        call_stage("claims", stage.main, ["toy_chapter"])
    assert not Path("claims").exists()


def test_an_error_in_a_claim_is_said_and_the_other_claims_are_measured(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure_twice(due: DueClaim) -> Measured:
        if due.name == "thrice":
            raise ValueError("no such number")
        return measure(due)

    monkeypatch.setattr(stage, "measure", measure_twice)
    with pytest.raises(ValueError, match=r"^1 claim could not be measured: thrice$"):
        stage.main()
    said = capsys.readouterr()
    assert said.err == "error: the claim thrice was not measured: no such number\n"
    assert "toy_chapter: 2 claims, 1 measured now; all hold" in said.out
    assert recorded("twice")["passed"]
    assert not Path("claims/toy_chapter/thrice").exists()


def test_chapters_that_params_do_not_name_are_not_measured(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(toy, toy.parent / "other_chapter")
    for old, new in (("twice", "two"), ("thrice", "three")):
        folder = toy.parent / "other_chapter"
        (folder / f"{old}.py").rename(folder / f"{new}.py")
    chapter_by_name.cache_clear()
    stage.main()
    assert capsys.readouterr().out.startswith("toy_chapter: 2 claims, 2 measured now")
    assert sorted(path.name for path in Path("claims").iterdir()) == ["toy_chapter"]


def test_a_project_without_claims_has_a_folder_that_is_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("datasets: {}\nexperiments: {}\n")
    stage.main()
    assert [path.name for path in Path("claims").iterdir()] == ["none"]
    assert capsys.readouterr().out == ""


def test_a_larger_budget_is_computed_by_the_stage_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_processes: list[str] = []

    def completed(_: object, due: list[DueClaim]) -> Iterator[None]:
        in_processes.extend(each.name for each in due)
        yield from ()

    def measure(due: DueClaim, budget: Budget) -> int:
        return budget.factor

    monkeypatch.setattr(stage, "completed", completed)
    monkeypatch.setattr(stage, "measure", measure)
    monkeypatch.setattr(connect, "ray_cluster", contextlib.nullcontext)
    large = DueClaim("a", ClaimsSchema(budget="large"), "k")
    due = [large, DueClaim("b", ClaimsSchema(), "k")]
    assert [(c, r.result()) for c, r in stage.measure_all(due)] == [(large, 100)]
    assert in_processes == ["b"]


def test_a_large_budget_draws_a_hundredfold_by_ray_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connect, "ray_cluster", contextlib.nullcontext)
    with claim_budget(ClaimsSchema(budget="large")) as budget:
        assert budget == Budget(factor=100, map_function=map_over_ray_tasks)
    with claim_budget(ClaimsSchema()) as budget:
        assert budget == Budget()


def test_the_page_shows_every_claim_with_its_formula_figure_and_numbers(
    toy: Path,
) -> None:
    stage.main()
    page = render.render("claims.html.j2", claims=read_claims())
    assert "2 claims" in page
    assert re.search(r"1 does not hold:</strong> <a href=\"#thrice\"", page)
    assert "2 mistakes of the notes are shown" in page
    assert "Two is twice one &lt;on paper&gt;." in page
    assert "<pre>2 = 1 + 1</pre>" in page
    assert 'src="claims/twice.png"' in page
    assert "mistakes 46, 47" in page


def test_markdown_counts_the_claims_and_names_those_that_do_not_hold(toy: Path) -> None:
    stage.main()
    text = render.render("report.md.j2", pages=[], claims=read_claims())
    assert "| toy_chapter | 2 | 1 | thrice |" in text.splitlines()


def test_the_console_lists_claims_and_measures_one_with_its_verdict(toy: Path) -> None:
    ran = CliRunner().invoke(app, ["claims"])
    assert ran.exit_code == 0
    assert "2 claims, 0 measured here" in ran.output
    stage.main()
    ran = CliRunner().invoke(app, ["claims", "--chapter", "toy_chapter"])
    assert "2 claims, 2 measured here" in ran.output
    assert re.search(r"thrice +toy_chapter +3.000 +not a number.* NO ", ran.output)
    ran = CliRunner().invoke(app, ["claims", "twice", "--figure", "a.png"])
    assert ran.exit_code == 0
    lines = ["expected        2.000 ± 0.5", "measured        2.000"]
    assert "\n".join([*lines, "value in source 3.500"]) in ran.output
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    ran = CliRunner().invoke(app, ["claims", "twice", "--seed", "3"])
    assert ran.exit_code == 1
    assert "The claim does NOT hold." in ran.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["twise"], "unknown claim 'twise'; nearest: twice"),
        (["--chapter", "x"], "unknown chapter 'x'"),
        (["twice", "--budget", "big"], "unknown budget 'big'"),
        (["thrice", "--figure", "a.png"], "the claim thrice has no figure"),
    ],
)
def test_a_mistake_on_the_console_is_one_line(
    toy: Path, arguments: list[str], message: str
) -> None:
    ran = CliRunner().invoke(app, ["claims", *arguments])
    assert ran.exit_code == 1
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_what_is_drawn_at_random_has_an_interval() -> None:
    read, block = claim("ols_excess_risk"), ClaimsSchema()
    evidence = read.check(0, Budget())
    drawn = measurement_of(read, evidence, block, key="")
    assert drawn.interval is not None
    low, high = drawn.interval
    assert high - low == pytest.approx(3.92 * evidence.standard_error)
    assert low < drawn.measured < high
    exact = dataclasses.replace(evidence, standard_error=0.0)
    assert measurement_of(read, exact, block, key="").interval is None


def test_the_params_of_the_repository_have_each_chapter() -> None:
    assert sorted(shipped_params()["claims"]) == sorted(set(claims().values()))
