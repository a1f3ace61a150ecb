"""A local store gives the folder of a model without MLflow, as MLflow's client does."""

from __future__ import annotations

import shutil
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

from pipelines.common.explain import explain
from pipelines.tracking import local_store
from pipelines.tracking.database_check import check_database, is_locked
from pipelines.tracking.local_store import model_folder
from tests.conftest import forget_store, modules_imported_by


@pytest.fixture(scope="module")
def store(
    empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Return the addresses of a store with a logged model, which is registered with an
    alias, and of its parts.
    """
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(empty_store, folder / "mlflow.db")
    address = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(address)
    client = mlflow.MlflowClient(address)
    experiment = client.create_experiment("toy", (folder / "artifacts").as_uri())
    run = client.create_run(experiment, run_name="seed 0: ridge").info.run_id
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logged = client.create_logged_model(experiment, "model", run)
    Path(logged.artifact_location.removeprefix("file://")).mkdir(parents=True)
    client.create_registered_model("toy")
    client.create_model_version(
        "toy", f"models:/{logged.model_id}", run_id=run, model_id=logged.model_id
    )
    client.set_registered_model_alias("toy", "champion", "1")
    yield {"address": address, "run": run, "model": logged.model_id}
    forget_store()


def test_every_address_of_a_model_leads_to_the_folder_that_mlflow_names(
    store: dict[str, str],
) -> None:
    mlflow.set_tracking_uri(store["address"])
    for model in (
        "models:/toy@champion",
        "models:/toy/1",
        f"models:/{store['model']}",
        f"runs:/{store['run']}/model",
        f"runs:/{store['run'][:8]}/model",
    ):
        found = model_folder(store["address"], model)
        assert found is not None, model
        if model.startswith("models:"):
            named = ModelsArtifactRepository.get_underlying_uri(model)
            assert found.as_uri() == named
        else:
            assert found.name == "artifacts"
            assert found.parent.name == store["model"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("models:/tyo@champion", "no such model: unknown model 'tyo'; nearest: toy"),
        ("models:/toy@champ", "toy has no alias 'champ'; nearest: champion"),
        ("models:/toy/7", "toy has no version 7; its versions: 1"),
        ("runs:/abcdef/model", "no run abcdef in this MLflow store"),
        ("runs:/a/model", "no run a in this MLflow store"),
    ],
)
def test_a_wrong_name_is_an_error_with_the_nearest(
    store: dict[str, str], model: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        model_folder(store["address"], model)


@pytest.mark.parametrize(
    "model",
    ["models:/toy/Production", "models:/toy@champion/x", "runs:/{run}/other", "x"],
)
def test_what_only_mlflow_can_tell_is_left_to_it(
    store: dict[str, str], model: str, tmp_path: Path
) -> None:
    assert model_folder(store["address"], model.format(**store)) is None
    assert model_folder("http://127.0.0.1:9", "models:/toy/1") is None
    (tmp_path / "other.db").write_text("no database")
    assert model_folder(f"sqlite:///{tmp_path}/other.db", "models:/toy/1") is None
    assert local_store._local_folder("s3://bucket/model") is None


def test_several_runs_of_one_beginning_are_listed() -> None:
    runs = [(f"abcd{i}", f"seed {i}") for i in range(6)]
    with pytest.raises(
        ValueError, match=r"begin with abcd: abcd0 \(seed 0\), .*, \.\.\."
    ):
        local_store.one_run("abcd", runs)


@pytest.mark.slow
def test_predicting_needs_neither_mlflow_nor_torch() -> None:
    found = modules_imported_by("pipelines.cli.prediction")
    assert not found & {"mlflow", "torch", "sklearn", "ray", "dvc"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no database, but a text of some length\n" * 99, "database is damaged"),
        (None, "cannot write the MLflow database"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line_within_seconds(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "mlflow.db"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(sqlite3.Error) as caught:
        check_database(path)
    assert reason in explain(caught.value)


def test_a_database_that_another_process_holds_is_an_error_after_the_timeout(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("create table runs (a)")
        check_database(path)
        other.execute("begin exclusive")
        with pytest.raises(sqlite3.OperationalError) as caught:
            check_database(path, timeout=0.01)
        assert is_locked(caught.value)
        other.execute("rollback")
    check_database(path)


def test_a_database_that_this_user_may_not_write_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is opened without the right to write, which root always has."""
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table runs (a)")
    connect = sqlite3.connect

    def read_only(address: str, **options: Any) -> sqlite3.Connection:
        return connect(address.replace("mode=rw", "mode=ro"), **options)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    with pytest.raises(sqlite3.OperationalError) as caught:
        check_database(path)
    assert explain(caught.value) == (
        "attempt to write a readonly database; this user cannot write the MLflow "
        "database; change the rights of the file and of its folder, then rerun"
    )
