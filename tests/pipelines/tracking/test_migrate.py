"""Migration of a store; `test_server.py` moves a complete one to Postgres and S3."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

from pipelines.params.read import read_params
from pipelines.study.pruning import PruningDecision
from pipelines.study.record import Trial
from pipelines.tracking import client as tracking_client
from pipelines.tracking import migrate
from pipelines.tracking.migrate import ADDRESSES, MigrationError
from pipelines.tracking.study_run import StudyRun
from tests.conftest import forget_store

PARAMS = """
datasets: {tables: {toy: {source: s, task: regression}}}
experiments: {toy: {ridge: {trials: 2}}}
"""
SOURCE = "sqlite:///mlflow.db"


@pytest.fixture
def project(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Return a folder whose store holds a study, its trials, a model and a champion,
    and an empty store `new.db` next to it.
    """
    monkeypatch.chdir(tmp_path)
    for name in ("mlflow.db", "new.db"):
        shutil.copy(empty_store, tmp_path / name)
    (tmp_path / "params.yaml").write_text(PARAMS)
    plan = read_params()
    client = tracking_client.open_store()
    experiment = tracking_client.open_experiment(
        client, plan.datasets["toy"], digest="d"
    )
    (study,) = plan.experiments["toy"]
    with StudyRun(client, experiment, study, key="k", digest="d") as study_run:
        children = study_run.children("trial")
        trials = {
            i: Trial(
                {"alpha": 0.5},
                steps={n: {"train_mse": n / 3} for n in (1, 2)},
                ended=True,
            )
            for i in range(2)
        }
        children.log(trials, dict.fromkeys(trials, PruningDecision()), set(trials))
        client.log_text(study_run.run_id, "hello", "notes/hello.txt")
    client.create_registered_model("toy")
    address = client.get_run(study_run.run_id).info.artifact_uri
    client.create_model_version("toy", f"{address}/model", run_id=study_run.run_id)
    client.set_registered_model_alias("toy", "champion", "1")
    yield tmp_path
    forget_store()


def rows(path: Path) -> dict[str, list[tuple]]:
    """Return the rows of all tables, without the addresses of artifacts."""
    found = {}
    with sqlite3.connect(path) as connection:
        listed = "select name from sqlite_master where type = 'table'"
        for (table,) in connection.execute(listed).fetchall():
            columns = [
                row[1]
                for row in connection.execute(f"pragma table_info({table})")
                if row[1] not in ADDRESSES.get(table, ()) or table == "trace_tags"
            ]
            query = f"select {', '.join(columns)} from {table}"
            found[table] = sorted(connection.execute(query).fetchall(), key=repr)
    connection.close()
    return found


def test_a_moved_store_has_the_same_rows_and_its_artifacts_where_the_server_looks(
    project: Path,
) -> None:
    before = rows(project / "mlflow.db")
    moved = migrate.migrate(SOURCE, "sqlite:///new.db", str(project / "served"))
    said = migrate.summary(moved, "sqlite:///new.db")
    assert "2 experiments, 3 runs, 4 metrics, 1 registered models" in said
    assert said.endswith("1 files")
    assert rows(project / "new.db") == before == rows(project / "mlflow.db")
    address = f"sqlite:///{project}/new.db"  # MLflow caches stores by their address
    client = mlflow.MlflowClient(address, address)
    (run,) = client.search_runs(["1"], "tags.`ftml.role` = 'study'")
    assert run.info.artifact_uri == f"mlflow-artifacts:/1/{run.info.run_id}/artifacts"
    version = client.get_model_version_by_alias("toy", "champion")
    assert version.source == f"{run.info.artifact_uri}/model"
    served = (
        project / "served" / run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    )
    assert (served / "notes/hello.txt").read_text() == "hello"


def test_every_table_and_column_of_an_address_is_one_of_the_installed_mlflow(
    empty_store: Path,
) -> None:
    with sqlite3.connect(empty_store) as connection:
        columns = {
            (table, row[1])
            for table in rows(empty_store)
            for row in connection.execute(f"pragma table_info({table})")
        }
    connection.close()
    tables = {table for table, _ in columns}
    addresses = {(t, column) for t, names in ADDRESSES.items() for column in names}
    assert addresses <= columns
    assert tables >= migrate.SERVER_TABLES
    assert {("alembic_version", "version_num"), ("runs", "status")} <= columns
    assert ("logged_models", "experiment_id") in columns
    words = ("artifact", "location", "uri")
    suspects = {each for each in columns if any(word in each[1] for word in words)}
    not_of_artifacts = {
        ("workspaces", "default_artifact_root"),  # null unless a server sets it
        ("workspaces", "trace_archival_location"),
    }
    assert suspects - not_of_artifacts <= addresses, "a column that MLflow has added"


def test_an_empty_store_has_the_rows_that_a_move_replaces(empty_store: Path) -> None:
    found = {table: len(each) for table, each in rows(empty_store).items() if each}
    assert found == dict.fromkeys({"alembic_version", *migrate.INITIAL_ROWS}, 1)
    with sqlite3.connect(empty_store) as connection:
        for table, (column, value) in migrate.INITIAL_ROWS.items():
            query = f"select {column} from {table}"
            assert connection.execute(query).fetchall() == [(value,)]
    connection.close()


def test_a_target_that_is_not_empty_is_refused(project: Path) -> None:
    migrate.migrate(SOURCE, "sqlite:///new.db", "served")
    with pytest.raises(MigrationError, match="TARGET is not empty"):
        migrate.migrate(SOURCE, "sqlite:///new.db", "again")
    assert not (project / "again").exists()


def test_a_store_that_fails_on_the_way_leaves_the_target_as_it_was(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(project / "new.db")
    seen: list[Any] = []

    def fail_late(writing: Any, table: Any) -> None:
        seen.append(table.name)
        if table.name == "metrics":
            raise OSError("the line was cut")

    monkeypatch.setattr(migrate, "_advance_sequence", fail_late)
    with pytest.raises(OSError, match="the line was cut"):
        migrate.migrate(SOURCE, "sqlite:///new.db", "served")
    assert "runs" in seen
    assert rows(project / "new.db") == before
    monkeypatch.undo()
    monkeypatch.chdir(project)
    migrate.migrate(SOURCE, "sqlite:///new.db", "served")
    assert rows(project / "new.db") == rows(project / "mlflow.db")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update alembic_version set version_num = 'old'", "has the schema old, this"),
        ("update runs set status = 'RUNNING'", "3 runs are RUNNING"),
        (
            "update runs set artifact_uri = 'file:///elsewhere/a'",
            "file:///elsewhere/a: is outside of the folder of its experiment",
        ),
    ],
)
def test_a_source_that_cannot_be_moved_whole_is_refused(
    project: Path, change: str, said: str
) -> None:
    with sqlite3.connect(project / "mlflow.db") as connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(MigrationError, match=said):
        migrate.migrate(SOURCE, "sqlite:///new.db", "served")
    assert not (project / "served").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sqlite:///none.db", "sqlite:///b.db", "c"], "SOURCE: expected a store"),
        (["postgresql://u:hunter2@h/n", "sqlite:///b.db", "c"], "got postgresql://u:"),
        (["hunter2", "sqlite:///b.db", "c"], "expected the address of a database"),
    ],
)
def test_a_wrong_argument_is_one_error(arguments: list[str], said: str) -> None:
    with pytest.raises(MigrationError, match=said) as caught:
        migrate.migrate(*arguments)
    assert "hunter2" not in str(caught.value)


def test_a_storage_that_takes_nothing_is_one_error_and_nothing_is_moved(
    project: Path,
) -> None:
    before = rows(project / "new.db")
    (project / "file").touch()
    with pytest.raises(MigrationError, match="ARTIFACTS file"):
        migrate.migrate(SOURCE, "sqlite:///new.db", "file")
    assert rows(project / "new.db") == before


def test_a_database_that_does_not_answer_is_one_error_without_its_password(
    project: Path,
) -> None:
    target = "postgresql+psycopg://me:hunter2@127.0.0.1:9/mlflow"
    with pytest.raises(MigrationError, match=r"127\.0\.0\.1") as caught:
        migrate.migrate(SOURCE, target, "served")
    assert "hunter2" not in str(caught.value)
    assert "***" in str(caught.value)
