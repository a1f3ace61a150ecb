"""MLflow's server as `infra/mlflow` runs it: on Postgres and S3, with accounts.

The default store of a project is moved there, and later studies are logged to it.
Starts Debian's Postgres and moto's S3; `make test-long` runs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import requests
from mlflow.entities import Run

from ftml.data import table
from tests.conftest import ROOT, forget_store, free_port, run_stage
from tests.pipelines.servers import mlflow_server, postgres, storage

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*type hint:UserWarning"),  # of MLflow's own
]

TABLES = """
datasets:
  tables:
    breast_cancer: {source: "sklearn:breast_cancer", task: classification}
    diabetes: {source: "sklearn:diabetes", task: regression}
"""
PARAMS = (
    TABLES
    + """
experiments:
  breast_cancer:
    decision_tree: {trials: 2, seeds: 2}
    logistic_regression: {trials: 2, report_every: 50}
  diabetes:
    ridge: {trials: 3, seeds: 2}
    ols: {}
"""
)
ADMINISTRATOR, PERSON = ("root", "a-long-password"), ("ann", "another-password")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with one experiment in its default store, another to come."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "params.yaml").write_text(PARAMS)
    for name in ("breast_cancer", "diabetes"):
        assert run_stage(folder, "pipelines.stages.tables", name) == (0, "")
    status, printed = run_stage(folder, "pipelines.stages.experiment", "breast_cancer")
    assert status == 0, printed
    return folder


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """Start Postgres and S3; give the variables that lead there."""
    with postgres("mlflow") as database, storage("ftml-mlflow") as bucket:
        yield database | bucket


@pytest.fixture(scope="module")
def address(
    project: Path, servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Move the store, start the server on it, make an account; give its address."""
    move = (
        *("pipelines.cli", "migrate", "sqlite:///mlflow.db"),
        *("postgresql+psycopg:///mlflow", "s3://ftml-mlflow"),
    )
    status, printed = run_stage(project, *move, **servers)
    assert status == 0, printed
    assert printed.startswith("moved to postgresql+psycopg:///mlflow: 2 experiments, ")
    status, printed = run_stage(project, *move, **servers)
    assert (status, printed.count("\n")) == (1, 1)
    assert "error: TARGET is not empty" in printed
    configured = {
        "MLFLOW_ARTIFACTS_DESTINATION": "s3://ftml-mlflow",
        "MLFLOW_AUTH_CONFIG_PATH": str(ROOT / "infra/mlflow/basic_auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "secret",
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMINISTRATOR[0],
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMINISTRATOR[1],
    }
    options = "--backend-store-uri postgresql+psycopg:///mlflow --app-name basic-auth"
    port, log = free_port(), tmp_path_factory.mktemp("server") / "log"
    with mlflow_server(log, port, *options.split(), **servers, **configured):
        address = f"http://127.0.0.1:{port}"
        account = {"username": PERSON[0], "password": PERSON[1]}
        made = requests.post(
            f"{address}/api/2.0/mlflow/users/create", json=account, auth=ADMINISTRATOR
        )
        assert made.status_code == 200, made.text
        yield address


@pytest.fixture
def client(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[mlflow.MlflowClient]:
    """Return a client of the server with the account of a person."""
    for name, value in client_of(address).items():
        monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(address)
    yield mlflow.MlflowClient(address)
    forget_store()


def client_of(address: str, *, password: str = PERSON[1]) -> dict[str, str]:
    return {
        "MLFLOW_TRACKING_URI": address,
        "MLFLOW_TRACKING_USERNAME": PERSON[0],
        "MLFLOW_TRACKING_PASSWORD": password,
    }


def all_of(client: mlflow.MlflowClient, experiment: str) -> dict[str, Run]:
    identity = client.get_experiment_by_name(experiment).experiment_id
    return {run.info.run_id: run for run in client.search_runs([identity])}


def described(run: Run) -> dict[str, Any]:
    """Return a run as it is shown, but for the address of its artifacts."""
    shown = run.to_dictionary()
    del shown["info"]["artifact_uri"]
    return shown


def history(client: mlflow.MlflowClient, run: str, key: str) -> list[tuple]:
    points = client.get_metric_history(run, key)
    return sorted((point.step, point.timestamp, point.value) for point in points)


def artifacts(
    client: mlflow.MlflowClient, runs: Iterable[str], folder: Path
) -> dict[str, bytes]:
    """Return the content of the files of all runs, by run and name."""
    for run in runs:
        (folder / run).mkdir(parents=True)
        client.download_artifacts(run, "", str(folder / run))
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def versions(client: mlflow.MlflowClient) -> dict[str, tuple]:
    """Return the versions of the registered model, and the champion's."""
    found = client.search_model_versions("name = 'breast_cancer'")
    champion = client.get_model_version_by_alias("breast_cancer", "champion")
    about = {
        str(v.version): (v.run_id, v.model_id, v.creation_timestamp) for v in found
    }
    return {**about, "champion": (str(champion.version),)}


def test_a_moved_store_is_read_through_the_server_as_it_was(
    project: Path, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    path = f"sqlite:///{project}/mlflow.db"
    local = mlflow.MlflowClient(path, path)
    before, after = all_of(local, "breast_cancer"), all_of(client, "breast_cancer")
    assert before.keys() == after.keys()
    assert len(before) == 2 + 4 + 3 + 1  # studies, trials, fits, the comparison
    for identity, run in before.items():
        assert described(after[identity]) == described(run)
        for key in run.data.metrics:
            moved = history(client, identity, key)
            assert moved == history(local, identity, key)
    ours = artifacts(local, before, tmp_path / "ours")
    assert ours == artifacts(client, before, tmp_path / "theirs")
    assert sum(name.endswith("metrics.json") for name in ours) == 2, "of each study"
    assert versions(client) == versions(local) != {}
    served = mlflow.pyfunc.load_model("models:/breast_cancer@champion")
    data = table.load(project / "data/breast_cancer")
    frame = pd.DataFrame(data.test.X, columns=data.test.feature_names)
    predicted = served.predict(frame)["prediction"]
    assert (predicted == data.test.y).mean() > 0.8


def test_a_whole_experiment_goes_through_the_server(
    project: Path, client: mlflow.MlflowClient, address: str, servers: dict[str, str]
) -> None:
    wrong = client_of(address, password="wrong")
    status, printed = run_stage(
        project, "pipelines.stages.experiment", "diabetes", **wrong
    )
    assert status == 1
    assert "not authenticated" in printed.lower() or "401" in printed
    assert "Traceback" not in printed
    status, printed = run_stage(
        project, "pipelines.stages.experiment", "diabetes", **client_of(address)
    )
    assert status == 0, printed
    assert PERSON[1] not in printed
    found = all_of(client, "diabetes")
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    roles = [run.data.tags["ftml.role"] for run in found.values()]
    assert sorted(roles) == ["comparison", *["fit"] * 3, *["study"] * 2, *["trial"] * 4]
    trials = pd.read_parquet(project / "experiments/diabetes/ridge/trials.parquet")
    logged = [
        history(client, identity, "valid_mse")[0][2]
        for identity, run in found.items()
        if run.data.tags["ftml.role"] == "trial"
        and run.data.tags["ftml.study"] == "ridge"
    ]
    assert sorted(logged) == sorted(trials["valid_mse"])
    (study,) = (
        run
        for run in found.values()
        if run.data.tags["ftml.role"] == "study"
        and run.data.tags["ftml.study"] == "ridge"
    )
    text = client.download_artifacts(study.info.run_id, "metrics.json")
    kept = project / "experiments/diabetes/ridge/metrics.json"
    assert Path(text).read_bytes() == kept.read_bytes()
    served = mlflow.pyfunc.load_model("models:/diabetes@champion")
    data = table.load(project / "data/diabetes")
    frame = pd.DataFrame(data.test.X, columns=data.test.feature_names)
    assert len(served.predict(frame)) == len(data.test.y)
