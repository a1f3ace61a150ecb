"""A champion belongs to data and a metric; two people at once are in no conflict."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
)

from pipelines.tracking import champion
from pipelines.tracking import client as tracking_client
from pipelines.tracking.champion import Candidate, set_champion
from pipelines.tracking.client import (
    get_or_create_experiment,
    is_conflict,
    retry_until_available,
    try_call,
)
from tests.conftest import forget_store

ANNA, BOB = "a" * 32, "b" * 32


@pytest.fixture
def client(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MlflowClient]:
    shutil.copy(empty_store, tmp_path / "shared.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared.db")
    yield tracking_client.open_store()
    forget_store()


class Registry:
    """The calls of a client that concern the registered model `toy`."""

    def __init__(self) -> None:
        self.versions: dict[str, ModelVersion] = {}
        self.aliases: dict[str, str] = {}

    def register(self, **tags: str) -> str:
        number = str(len(self.versions) + 1)
        listed = [ModelVersionTag(name, value) for name, value in tags.items()]
        self.versions[number] = ModelVersion("toy", number, 0, tags=listed)
        return number

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        if version not in self.versions:
            raise MlflowException("not found", error_code=RESOURCE_DOES_NOT_EXIST)
        return self.versions[version]

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        return self.get_model_version(name, self.aliases.get(alias, ""))

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        self.aliases[alias] = version

    def set_model_version_tag(
        self, name: str, version: str, key: str, value: str
    ) -> None:
        self.versions[version].tags[key] = value


def candidate(registry: Registry, *, digest: str, score: float) -> Candidate:
    """Register a version of the model `toy`; return it as a candidate."""
    found = Candidate("toy", "0", digest, "mse", "min", score)
    return replace(found, version=registry.register(**found.tags()))


def set_alias(registry: Registry, found: Candidate, *, force: bool = False) -> Any:
    client: Any = registry
    return set_champion(client, found, force=force)


@pytest.mark.parametrize(
    ("folder", "digest", "score", "taken", "obstacle"),
    [
        pytest.param(
            BOB, "d1", 2.0, ["@champion", "@champion-d1-mse"], "", id="better"
        ),
        pytest.param(
            BOB, "d1", 4.0, ["/2"], "is another folder's, which is better", id="worse"
        ),
        pytest.param(
            BOB, "d1", 3.0, ["/2"], "is another folder's, which is as good", id="equal"
        ),
        pytest.param(
            BOB,
            "toy",
            0.1,
            ["@champion-toy-mse"],
            "is another folder's, of other data",
            id="of other data",
        ),
        pytest.param(ANNA, "d1", 4.0, ["@champion", "@champion-d1-mse"], "", id="own"),
        pytest.param(ANNA, "d2", 9.0, ["@champion", "@champion-d2-mse"], "", id="new"),
    ],
)
def test_a_champion_is_replaced_by_a_better_one_on_its_data_or_by_its_own_folder(
    folder: str,
    digest: str,
    score: float,
    taken: list[str],
    obstacle: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry()
    monkeypatch.setenv("FTML_IDENTITY", ANNA)
    first = set_alias(registry, candidate(registry, digest="d1", score=3.0))
    assert first.addresses == ["models:/toy@champion", "models:/toy@champion-d1-mse"]
    monkeypatch.setenv("FTML_IDENTITY", folder)
    second = candidate(registry, digest=digest, score=score)
    found = set_alias(registry, second)
    assert found.addresses == [f"models:/toy{name}" for name in taken]
    assert found.obstacle.startswith(obstacle)
    assert bool(found.obstacle) == bool(obstacle)
    assert {f"@{k}" for k, v in registry.aliases.items() if v == "2"} == set(taken) - {
        "/2"
    }
    assert not set_alias(registry, second, force=True).obstacle
    assert registry.aliases["champion"] == "2"


@pytest.mark.parametrize("default", [True, False])
def test_a_champion_of_an_earlier_version_is_replaced_in_the_store_of_the_folder_alone(
    default: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTML_IDENTITY", ANNA)
    registry = Registry()
    registry.aliases["champion"] = registry.register(study="ridge")
    monkeypatch.setattr(champion, "is_default_store", lambda: default)
    taken = set_alias(registry, candidate(registry, digest="d", score=1.0))
    assert ("models:/toy@champion" in taken.addresses) == default
    assert taken.obstacle == (
        "" if default else "was set by an earlier version of ftml"
    )


def test_a_version_that_the_store_lacks_becomes_no_champion() -> None:
    assert set_alias(Registry(), Candidate("toy", "7", "d", "mse", "min", 1.0)) is None


def test_drivers_that_start_at_once_make_one_experiment_and_one_model(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call is a race that MLflow loses without the repetition."""
    monkeypatch.setattr(tracking_client, "CONFLICT_PAUSE_S", 0.02)

    def start(number: int) -> str:
        identity = retry_until_available(
            partial(get_or_create_experiment, client, "toy")
        )
        for name in ("a", "b"):
            retry_until_available(
                partial(client.set_experiment_tag, identity, name, "value")
            )
        retry_until_available(partial(make_model, number))
        return identity

    def make_model(number: int) -> None:
        if client.search_model_versions(f"run_id = '{number}'"):
            return
        if not client.search_registered_models("name = 'toy'"):
            client.create_registered_model("toy")
        client.create_model_version("toy", "s3://bucket/model", run_id=str(number))
        client.set_registered_model_alias("toy", "champion", "1")

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(start, range(4)))) == 1
    runs = Counter(each.run_id for each in client.search_model_versions("name='toy'"))
    assert runs == {"0": 1, "1": 1, "2": 1, "3": 1}


def test_a_conflict_is_settled_at_once_and_an_error_of_the_call_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracking_client, "CONFLICT_PAUSE_S", 0.0)
    said = [
        MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed: tags.key"),
        MlflowException("(psycopg.errors.UniqueViolation) duplicate key value"),
        MlflowException("Model(name=toy) exists", error_code=RESOURCE_ALREADY_EXISTS),
    ]
    assert is_conflict(said[0])
    assert not is_conflict(ValueError("UNIQUE constraint failed"))

    def call() -> str:
        if said:
            raise said.pop()
        return "made"

    assert retry_until_available(call) == "made"

    def always() -> None:
        asked.append(1)
        raise MlflowException("UNIQUE constraint failed: tags.key")

    asked: list[int] = []
    with pytest.raises(MlflowException, match="UNIQUE"):
        try_call(always)
    assert len(asked) == tracking_client.CONFLICT_ATTEMPTS
