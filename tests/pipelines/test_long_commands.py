"""What takes minutes: runs made again in a clone, and models behind MLflow's server.

make test-long

Deselected otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

import ftml
from ftml.core import family
from ftml.data import Images, Sequences, Trees
from ftml.tasks import task
from pipelines.params.read import read_params
from pipelines.tracking import client as tracking_client
from pipelines.tracking.model_version import register
from pipelines.tracking.study_run import StudyRun
from tests.conftest import ROOT, forget_store, free_port, run_stage
from tests.pipelines.cli.test_reproduction import git
from tests.pipelines.servers import answers, with_children
from tests.test_contract import small_data

pytestmark = [pytest.mark.long, pytest.mark.slow]

PARAMS = """
datasets:
  tables:
    cells:
      source: "sklearn:breast_cancer"
      task: density
      features: [mean radius, mean texture]
      scale: true
  images: {}
  domains: {}
  cooccurrence:
    words: {source: "file:texts/*.txt", window: 3, min_count: 2}
  sequences: {}
  pairs: {}
  trees: {}
experiments:
  cells:
    gmm: {trials: 2, report_every: 20}
  words:
    skipgram: {trials: 2, seeds: 2, config: {dimension: 8, n_passes: 2}}
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with small studies, and what they left in its store."""
    folder = tmp_path_factory.mktemp("repository")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("ftml", "pipelines", ".dvc"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("dvc.yaml", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "texts").mkdir()
    for path in ROOT.glob("*.md"):
        shutil.copy(path, folder / "texts" / f"{path.stem}.txt")
    (folder / "params.yaml").write_text(PARAMS)
    git("init", "--quiet", str(folder))
    git("-C", str(folder), "add", "--all")
    git("-C", str(folder), "commit", "--quiet", "--message", "Small studies")
    for name, dataset in (("tables", "cells"), ("cooccurrence", "words")):
        for module in (name, "experiment"):
            status, printed = run_stage(folder, f"pipelines.stages.{module}", dataset)
            assert status == 0, printed
    return folder


@pytest.mark.parametrize(
    ("dataset", "role", "expected"),
    [("cells", "fit", "of 1 run"), ("words", "study", "of 5 runs")],
)
def test_a_run_is_reproduced_to_the_bit_in_a_clone(
    repository: Path, dataset: str, role: str, expected: str
) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{repository}/mlflow.db")
    experiment = client.get_experiment_by_name(dataset).experiment_id
    run = tracking_client.search_runs(
        client, experiment, f"tags.`ftml.role` = '{role}'"
    )[0]
    status, printed = verify(repository, run.info.run_id)
    assert status == 0, printed
    assert f"{expected}, all bit-identical" in printed
    # Not one of the seconds, which differ whenever it runs.
    tested = [name for name in run.data.metrics if name.startswith("test_")]
    metric = min(tested)
    value = run.data.metrics[metric]
    client.log_metric(run.info.run_id, metric, value + 1e-9, step=10**6)
    status, printed = verify(repository, run.info.run_id)
    assert status == 1
    assert "not reproduced: 1 of " in printed
    assert f"{metric} was {value + 1e-9}, is {value}" in printed


def verify(folder: Path, run: str) -> tuple[int, str]:
    return run_stage(folder, "pipelines.cli", "reproduce", run, "--verify")


FAMILIES = {
    "regression": "ridge",
    "classification": "softmax_regression",
    "domain_generalization": "erm",
    "conditional_density": "mixture_density",
    "clustering": "kmeans",
    "decomposition": "pca",
    "density": "gmm",
    "binary_density": "rbm",
    "embedding": "skipgram",
    "language_model": "ngram_lm",
    "transduction": "seq2seq",
    "generation": "vae",
    "representation": "autoencoder",
}
STAGES = {
    "domain_generalization": "domains",
    "embedding": "cooccurrence",
    "language_model": "sequences",
    "transduction": "pairs",
    "generation": "images",
    "representation": "images",
}
CASES = {
    **{
        task: (task, family, STAGES.get(task, "tables"))
        for task, family in FAMILIES.items()
    },
    "images": ("classification", "lenet", "images"),
    "series": ("classification", "rnn", "sequences"),
    "trees": ("classification", "recursive_net", "trees"),
    "a missing value": ("domain_generalization", "erm", "domains"),
}


def test_every_task_has_a_family_that_is_served() -> None:
    assert set(FAMILIES) == set(ftml.tasks.tasks())


@pytest.mark.parametrize("case", CASES)
def test_the_server_of_mlflow_answers_as_the_model_predicts(
    case: str, tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, "mlflow.db")
    task_name, name, stage = CASES[case]
    kinds = {"images": Images, "series": Sequences, "trees": Trees}
    kind, data = task(task_name), small_data(task_name, kind=kinds.get(case))
    config = family(name).Config()
    model = ftml.fit(config, data).model
    example = kind.example(data.test)
    if case == "a missing value":
        example.iloc[0, 0] = float("nan")
    try:
        uri = logged(name, stage, task_name, model, config, example)
    finally:
        forget_store()
    answer = pd.DataFrame(asked(uri, example, tmp_path)["predictions"])
    expected = kind.serve(model, example)
    assert list(answer) == list(expected)
    pd.testing.assert_frame_equal(answer, expected, check_dtype=False, rtol=1e-6)


def logged(
    name: str,
    stage: str,
    task_name: str,
    model: Any,
    config: Any,
    example: pd.DataFrame,
) -> str:
    """Register a model as the pipeline does; return its URI."""
    block = "source: s"
    if stage in ("tables", "images", "sequences"):
        block = f"task: {task_name}, source: s"
    more = {"domains": "rotate: [0, 1]"}.get(stage)
    block = f"{block}, {more}" if more else block
    study = "{test_domains: [0]}" if stage == "domains" else "{}"
    Path("params.yaml").write_text(
        f"datasets: {{{stage}: {{toy: {{{block}}}}}}}\n"
        f"experiments: {{toy: {{{name}: {study}}}}}\n"
    )
    (study,) = read_params().experiments["toy"]
    client = tracking_client.open_store()
    experiment = tracking_client.open_experiment(client, study.dataset, digest="d")
    ftml.save(Path("model"), model, config)
    log = StudyRun(client, experiment, study, key="k", digest="d")
    with warnings.catch_warnings(), log:
        warnings.simplefilter("ignore")  # MLflow's hints on types
        version = register(client, study, log.run_id, Path("model"), example, tags={})
    return f"models:/toy/{version}"


def asked(uri: str, example: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """Return what a server of the model answers to its example."""
    rows = example.to_json(orient="split", index=False, double_precision=15)
    content = f'{{"dataframe_split": {rows}}}'  # a missing value is null
    with served(uri, folder) as port:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            content.encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return dict(json.load(response))


@contextmanager
def served(uri: str, folder: Path) -> Iterator[int]:
    """Serve a model of the store in a folder with MLflow, in this environment."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", uri]
    command += ["--env-manager", "local", "--port", str(port), "--workers", "1"]
    # No PYTHONPATH: a model brings the code along that it needs.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 180
        while not answers(port):
            assert server.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.2)
        yield port
    finally:
        with_children(server.pid, signal.SIGKILL)
        server.wait()
