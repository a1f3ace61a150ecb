"""A whole experiment: files, MLflow, reuse, errors.

One experiment runs on Ray, and MLflow logs its models. The others run in this process
without Ray and with small figures, and the files of their models alone are logged.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import ray
from sqlalchemy import event
from sqlalchemy.pool import Pool

import ftml
import ftml.tasks
from ftml.data import domains, table
from ftml.data.ring import ring
from ftml.names import name_part
from pipelines.cluster import connect
from pipelines.cluster.watch import SearchError
from pipelines.common.errors import StudyError
from pipelines.common.estimate import Estimate
from pipelines.params.read import ParamsError
from pipelines.stages import experiment
from pipelines.study.failures import read_failure
from pipelines.tracking import mlflow_ui, views
from pipelines.tracking.client import TrackingError
from pipelines.tuning import driver
from pipelines.tuning.queue import StudyCoroutine
from tests.conftest import forget_store
from tests.pipelines import in_process, quick_figures, quick_models
from tests.pipelines.searching import coordinator

pytestmark = pytest.mark.slow

PARAMS = """
datasets:
  tables:
    toy: {source: "file:none.csv", task: regression}
experiments:
  toy:
    ridge: {trials: 3, cv: 4, resources: {cpu: 2}}
    twice:
      family: ridge
      seeds: 2
      cv: 4
      learning_curve: [0.5]
      config: {alpha: 0.5}
      resources: {cpu: 2}
"""
"One worker trains all, since the start of a worker takes seconds."


@pytest.fixture
def folder(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Go to a folder with params, prepared data and a store."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "data/toy").mkdir(parents=True)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=60)
    split = np.repeat(["train", "valid", "test"], 20)
    table.write(tmp_path / "data/toy", ftml.Table(X, y), split)
    yield tmp_path
    forget_store()


@pytest.fixture
def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run experiments in this process, with small figures, and log the files of their
    models alone.
    """
    in_process.use(monkeypatch)
    quick_models.use(monkeypatch)
    quick_figures.use(monkeypatch)
    return folder


@pytest.fixture
def on_ray(folder: Path, local_cluster: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run experiments on the Ray of all tests, with one coordinator."""
    monkeypatch.setattr(ray, "init", lambda *args, **kwargs: None)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(driver, "start_coordinator", coordinator)
    return folder


def runs(**tags: str) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient()
    found = client.search_runs([client.get_experiment_by_name("toy").experiment_id])
    return [
        run
        for run in found
        if all(run.data.tags.get(f"ftml.{k}") == v for k, v in tags.items())
    ]


def modified() -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in Path("experiments").rglob("*.json")}


def results() -> dict[str, bytes]:
    """Return the content of every file of a result that does not depend on time."""
    files = [path for path in Path("experiments").rglob("*") if path.is_file()]
    return {str(p): p.read_bytes() for p in files if p.name != "run.json"}


def test_a_study_leaves_its_files_its_runs_and_a_model_that_predicts(
    on_ray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.main("toy")
    *studies, champion = capsys.readouterr().out.splitlines()
    printed = [*sorted(studies), champion]  # they end in either order
    assert printed[0].startswith("ridge: 3 trials, 1 final fit, test mse ")
    assert printed[1].startswith("twice: 1 trial, 4 final fits, test mse ")
    assert "+- 0" in printed[1], "a closed form does not depend on the seed"
    assert printed[2].startswith("champion of toy in validation: ")

    folder = Path("experiments/toy/ridge")
    metrics = json.loads((folder / "metrics.json").read_text())
    trials = pd.read_parquet(folder / "trials.parquet")
    assert list(trials["trial"]) == [0, 1, 2]
    best = trials.loc[trials["valid_mse"].idxmin()]
    (chosen,) = metrics["chosen"]
    assert chosen["trial"] == best["trial"]
    assert chosen["config"]["alpha"] == best["config.alpha"]
    data = table.load(on_ray / "data/toy")
    again = ftml.fit(
        ftml.family("ridge").Config(alpha=best["config.alpha"], seed=1),
        data.for_final_fit(),
    )
    errors = again.model.predict(data.test.X) - data.test.y
    assert metrics["test"]["mse"]["mean"] == float(np.mean(errors**2))
    assert (folder / "figures/residuals.png").stat().st_size > 0
    assert not Path(".search").exists()

    crossed = pd.read_parquet("experiments/toy/twice/trials.parquet").iloc[0]
    singles = [crossed[f"valid_mse/fold_{i}"] for i in range(4)]
    assert crossed["valid_mse"] == pytest.approx(np.mean(singles), rel=1e-12)

    fits = pd.read_parquet("experiments/toy/twice/fits.parquet")
    assert list(zip(fits["share"], fits["seed"], fits["train_rows"], strict=True)) == [
        (1.0, 1, 40),
        (1.0, 2, 40),
        (0.5, 1, 20),
        (0.5, 2, 20),
    ]
    assert Path("experiments/toy/twice/figures/learning_curve.png").exists()
    names = {run.info.run_name for run in runs(role="fit", study="twice")}
    assert "seed 2, 50% of the rows: twice" in names

    study = runs(role="study", study="ridge")[0]
    assert study.info.status == "FINISHED"
    assert study.data.metrics["test_mse"] == metrics["test"]["mse"]["mean"]
    assert study.inputs.dataset_inputs[0].dataset.digest == study.data.tags["ftml.data"]
    assert len(runs(role="trial", study="ridge")) == 3
    assert len(runs(role="fit", study="twice")) == 4
    assert {run.info.status for run in runs()} == {"FINISHED"}
    assert "dvc repro experiment@toy" in study.data.tags["ftml.reproduce"]
    alpha = json.dumps(chosen["config"]["alpha"])
    assert study.data.params["alpha"] == alpha
    assert study.data.params["configurations"] == study.data.params["trials"] == "3"
    assert study.data.metrics["search_seconds"] > 0
    assert study.outputs is not None
    assert len(study.outputs.model_outputs) == 1
    said = study.data.tags["mlflow.note.content"]
    assert f"Test mse **{Estimate(**metrics['test']['mse']).text}**" in said
    client = mlflow.MlflowClient()
    about = client.get_experiment(study.info.experiment_id).tags
    best = printed[2].split(": ")[1].split()[0]
    assert f"Best in validation: {best}, " in about["mlflow.note.content"]
    assert mlflow_ui.VIEW_TAG_PREFIX + views.BEST in about
    assert mlflow_ui.VIEW_TAG_PREFIX + views.search_key("ridge") in about
    assert mlflow_ui.VIEW_TAG_PREFIX + views.search_key("twice") not in about
    current = runs(role="study", current="true")
    assert {run.info.run_name for run in current} == {"ridge", "twice"}

    served = mlflow.pyfunc.load_model("models:/toy@champion")
    name = printed[2].split(": ")[1].split()[0]
    model = ftml.load(Path("experiments/toy") / name / "model").model
    frame = pd.DataFrame(data.test.X, columns=["x0", "x1", "x2"])
    turned = served.predict(frame[["x2", "x0", "x1"]])["prediction"]
    expected = model.predict(data.test.X)  # X in another memory order: other last bits
    np.testing.assert_allclose(turned, expected, rtol=1e-12)


def test_what_has_not_changed_is_reused_and_only_what_has_changed_runs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.main("toy")
    before = modified()
    capsys.readouterr()
    experiment.main("toy")
    assert capsys.readouterr().out == "ridge: reused\ntwice: reused\n"
    assert modified() == before

    changed = PARAMS.replace("alpha: 0.5", "alpha: 0.25").replace(
        "2\n      cv: 4", "2\n      cv: 5"
    )
    (project / "params.yaml").write_text(changed)
    experiment.main("toy")
    printed = capsys.readouterr().out
    assert "ridge: reused" in printed
    assert "twice: 1 trial," in printed
    assert "champion of toy: none, the studies are validated on other folds" in printed
    after = modified()
    same = {path for path in before if after[path] == before[path]}
    assert same == {path for path in before if "/ridge/" in path}
    for role, count in (("study", 1), ("fit", 4)):
        replaced = runs(role=role, study="twice", current="false")
        assert len(replaced) == len(runs(role=role, study="twice", current="true"))
        assert len(replaced) == count

    (project / "params.yaml").write_text(changed.partition("    twice")[0])
    experiment.main("toy")
    assert not Path("experiments/toy/twice").exists()
    assert Path("experiments/toy/ridge").exists()


def test_results_made_again_go_into_the_same_runs_and_nothing_is_doubled(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ridge = "    ridge: {trials: 3, cv: 4, resources: {cpu: 2}}\n"
    head, _, tail = PARAMS.partition(ridge)
    (project / "params.yaml").write_text(head + tail)
    experiment.main("toy")
    first = {run.info.run_id: dict(run.data.metrics) for run in runs()}
    versions = mlflow.MlflowClient().search_model_versions("name = 'toy'")
    before = results()
    Path("experiments/toy/twice/metrics.json").unlink()
    Path("experiments/toy/twice/figures/residuals.png").write_bytes(b"")
    capsys.readouterr()
    experiment.main("toy")
    said = capsys.readouterr().err
    assert "twice is not as it was written: figures/residuals.png has changed, " in said
    assert "metrics.json is missing; the study is made again" in said
    assert "twice: its search is taken from experiments/toy/twice/trials.parq" in said
    assert results() == before
    assert {run.info.run_id: dict(run.data.metrics) for run in runs()} == first
    client = mlflow.MlflowClient()
    for run, metrics in first.items():
        for key in metrics:
            assert len(client.get_metric_history(run, key)) == 1
    assert len(client.search_model_versions("name = 'toy'")) == len(versions)


def test_a_failing_search_closes_its_runs_and_says_why(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(studies: Iterable[StudyCoroutine], **about: object) -> None:
        study, *_ = studies
        next(study)
        study.throw(SearchError("a trial crashed: no space left on device"))

    monkeypatch.setattr(driver, "run", fail)
    with pytest.raises(StudyError, match="ridge: a trial crashed: no space left"):
        experiment.main("toy")
    (run,) = runs()
    reason = "a trial crashed: no space left on device"
    assert (run.info.status, run.data.tags["ftml.error"]) == ("FAILED", reason)
    assert read_failure(Path(".search/toy/ridge")) == f"ridge: {reason}"
    assert not Path("experiments").exists()


def delete_experiment() -> None:
    client = mlflow.MlflowClient()
    client.delete_experiment(client.get_experiment_by_name("toy").experiment_id)


def delete_study() -> None:
    mlflow.MlflowClient().delete_run(runs(role="study")[0].info.run_id)


def refuse_writing(connection: Any, *_: object) -> None:
    """Make SQLite answer as for a database whose file cannot be written."""
    connection.execute("pragma query_only = on")


def allow_writing(connection: Any, *_: object) -> None:
    connection.execute("pragma query_only = off")


LISTENERS = (("checkout", refuse_writing), ("checkin", allow_writing))


def make_read_only() -> None:
    for name, listener in LISTENERS:
        event.listen(Pool, name, listener)


def make_writable() -> None:
    for name, listener in LISTENERS:
        if event.contains(Pool, name, listener):
            event.remove(Pool, name, listener)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        pytest.param(
            delete_experiment,
            "was deleted in MLflow meanwhile; rerun the stage",
            marks=pytest.mark.long,
        ),
        (delete_study, "was deleted in MLflow meanwhile; rerun the stage"),
        (make_read_only, "this user cannot write the MLflow database; change the"),
    ],
)
def test_a_store_that_is_changed_during_a_search_is_one_line_and_a_rerun_completes(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[], None],
    advice: str,
) -> None:
    monkeypatch.setattr(in_process, "after_search", change)
    try:
        with pytest.raises(StudyError, match=advice) as caught:
            experiment.main("toy")
    finally:
        make_writable()
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(in_process, "after_search", lambda: None)
    experiment.main("toy")
    assert {run.info.status for run in runs()} <= {"FINISHED", "KILLED"}
    assert len(runs(role="study", current="true")) == 2


def test_a_trial_that_diverges_is_left_out_with_that_word(project: Path) -> None:
    (project / "params.yaml").write_text(
        """
datasets:
  tables:
    toy: {source: "made:ring", task: generation, target: mode}
experiments:
  toy:
    gan:
      config: {n_epochs: 4, hidden: [8], gradient_penalty: 0.5}
      search: {learning_rate: {grid: [1.0e+30, 1.0e-3, 1.0e-2]}}
      early_stopping: {grace: 1}
"""
    )
    split = np.repeat(["train", "valid", "test"], 40)
    table.write(project / "data/toy", ring(n_samples=120), split)
    experiment.main("toy")
    measured = json.loads(Path("experiments/toy/gan/metrics.json").read_text())
    assert (measured["diverged_trials"], measured["failed_trials"]) == (1, 0)
    assert measured["metric"] == "frechet_distance"
    trials = runs(role="trial")
    assert len(trials) == 3
    (lost,) = runs(role="trial", outcome="diverged")
    assert lost.info.status == "FINISHED"
    assert lost.data.tags["ftml.error"].startswith("FloatingPointError: diverged: ")
    assert float(lost.data.params["learning_rate"]) == 1e30


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_damaged_data_are_one_error_before_any_work_starts(
    project: Path, damage: str
) -> None:
    path = project / "data/toy/table.parquet"
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    else:
        pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(ValueError, match=r"data/toy/table\.parquet: "):
        experiment.main("toy")
    assert not Path("experiments").exists()
    assert not Path(".search").exists()
    assert (
        mlflow.MlflowClient(
            f"sqlite:///{Path('mlflow.db').resolve()}"
        ).get_experiment_by_name("toy")
        is None
    )


def test_a_server_that_does_not_answer_is_one_error_before_any_work_starts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(TrackingError, match=r"http://127\.0\.0\.1:9 does not answer"):
        experiment.main("toy")
    assert time.monotonic() - start < 30
    assert not Path(".search").exists()


def test_an_unknown_experiment_is_named_with_those_that_there_are(
    project: Path,
) -> None:
    with pytest.raises(ValueError, match="unknown experiment 'toys'; known: toy"):
        experiment.main("toys")


def test_a_typo_in_params_stops_everything_before_it_starts(project: Path) -> None:
    (project / "params.yaml").write_text(PARAMS.replace("trials: 3", "trails: 3"))
    with pytest.raises(
        ParamsError, match=r"toy\.ridge\.trails: unknown key; nearest: trials"
    ):
        experiment.main("toy")


EACH = """
datasets:
  domains:
    toy: {source: "file:none.csv", domain: place, baseline: erm}
experiments:
  toy:
    erm:
      trials: 2
      seeds: 2
      test_domains: each
      selections: [validation, leave_one_domain_out, oracle]
      config: {hidden: [], n_epochs: 2}
"""


@pytest.fixture
def places(project: Path) -> Path:
    """Turn the project into one of three domains, each of them left out in turn."""
    shutil.rmtree(project / "data/toy")
    (project / "data/toy").mkdir()
    rng = np.random.default_rng(0)
    y, domain = np.arange(90) % 2, np.arange(90) // 30
    x = rng.normal(size=(90, 2)) + y[:, None]
    names = ("Омск", "A+", "A/")
    data = ftml.Domains(x, y, domain, names, ("no", "yes"), ("p", "q"))
    split = np.where(np.arange(90) % 5, "train", "valid")
    domains.write(project / "data/toy", data, split)
    (project / "params.yaml").write_text(EACH)
    return project


def test_each_domain_is_left_out_searched_fitted_and_tested(places: Path) -> None:
    experiment.main("toy")
    folder = Path("experiments/toy/erm")
    measured = json.loads((folder / "metrics.json").read_text())
    trials = pd.read_parquet(folder / "trials.parquet")
    folds = set(map(tuple, trials["left_out"]))
    assert len(folds) == 3 + 3
    assert len(trials) == 2 * 6 * 2
    assert len(measured["chosen"]) == 3 * 3

    data, split = domains.read(places / "data/toy")
    for chosen in measured["chosen"]:
        if chosen["selection"] != "validation":
            continue
        (name,) = chosen["left_out"]
        splits = domains.leave_out(data, split, [name], where="toy")
        config = {**chosen["config"], "hidden": (), "n_epochs": chosen["steps"]}
        fitted = ftml.fit(
            ftml.family("erm").Config(seed=1, **config), splits.for_final_fit()
        )
        scores = ftml.tasks.task("domain_generalization").evaluate(
            fitted.model, splits.test
        )
        test = measured["test"][f"accuracy/{name_part(name)}"]["values"]
        assert test[0] == scores["accuracy"]
    keys = [f"accuracy/{name_part(name)}" for name in data.domain_names]
    single = [measured["test"][key]["values"] for key in keys]
    assert measured["test"]["accuracy"]["values"] == pytest.approx(
        np.mean(single, axis=0).tolist(), rel=1e-12
    )
    worst = measured["test"]["worst_accuracy"]["values"]
    assert worst == np.min(single, axis=0).tolist()
    assert set(measured["tests"]) == {"leave_one_domain_out", "oracle"}
    confusion = {path.stem for path in (folder / "figures").glob("confusion_*.png")}
    assert confusion == {f"confusion_{name_part(name)}" for name in data.domain_names}

    fits = runs(role="fit")
    left_out = {run.data.params["left_out"] for run in fits}
    assert left_out == set(data.domain_names)
    assert all("test_accuracy" in run.data.metrics for run in fits)
    (study,) = runs(role="study")
    oracle = measured["tests"]["oracle"]["accuracy"]["mean"]
    assert study.data.metrics["test_accuracy_by_oracle"] == oracle

    table = pd.read_parquet("experiments/toy/comparison/table.parquet")
    assert list(zip(table["study"], table["selection"], strict=True)) == [
        ("erm", "validation"),
        ("erm", "leave_one_domain_out"),
        ("erm", "oracle"),
    ]
    (compared,) = runs(role="comparison")
    assert compared.info.status == "FINISHED"
    files = mlflow.MlflowClient().list_artifacts(compared.info.run_id)
    names = {file.path for file in files}
    assert names == {"figure.png", "table.md", "table.parquet", "table.tex"}
    assert "| erm | oracle |" in compared.data.tags["mlflow.note.content"]


@pytest.mark.parametrize(
    ("address", "line"),
    [
        (None, "starting Ray"),
        ("ray://her:secret@host:10001", "connecting to Ray at ray://***@host:10001"),
    ],
)
def test_the_stage_says_at_once_that_it_starts_ray(
    address: str | None,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(experiment, "DatasetReader", stop)
    if address:
        monkeypatch.setenv("RAY_ADDRESS", address)
    study: Any = SimpleNamespace(dataset=None)
    with pytest.raises(InterruptedError):
        experiment.run_studies([study], keys={}, digest="")
    assert capsys.readouterr().err == f"{line}\n"


def test_ray_starts_before_the_folds_are_made_and_ends_if_a_study_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    @contextmanager
    def ray_cluster() -> Iterator[None]:
        calls.append("ray starts")
        try:
            yield
        finally:
            calls.append("ray ends")

    def folds(study: Any) -> None:
        calls.append(f"folds of {study.name}")
        if study.name == "bad":
            raise ValueError("9 samples, expected 10 or more")

    in_process.use(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(connect, "ray_cluster", ray_cluster)
    monkeypatch.setattr(driver, "run", lambda *_, **__: calls.append("run"))
    monkeypatch.setattr(experiment, "import_tracking", lambda: None)
    monkeypatch.setattr(
        experiment, "DatasetReader", lambda _: SimpleNamespace(folds=folds)
    )
    studies: Any = [
        SimpleNamespace(
            name=name,
            dataset=SimpleNamespace(name="toy"),
            folder=Path("experiments") / "toy" / name,
            section=SimpleNamespace(resources=None),
        )
        for name in ("good", "bad")
    ]
    with pytest.raises(StudyError, match=r"^bad: 9 samples, expected 10"):
        experiment.run_studies(studies, keys={}, digest="")
    assert calls == ["ray starts", "folds of good", "folds of bad", "ray ends"]
