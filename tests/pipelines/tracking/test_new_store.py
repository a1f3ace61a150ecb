"""The database of a store is created once and as a whole, whoever starts at once."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.common import files
from pipelines.common.processes import this_process
from pipelines.tracking import new_store


@pytest.fixture
def tables(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> list[Callable]:
    """Copy an empty database instead of creating tables, which takes seconds; return
    the calls that are made before, first to last.
    """
    before: list[Callable[[], None]] = []

    def create_tables(path: Path) -> None:
        for call in before:
            call()
        shutil.copyfile(empty_store, path)

    monkeypatch.setattr(new_store, "_create_tables", create_tables)
    return before


def test_of_two_starts_at_once_the_first_makes_the_store_and_nothing_is_lost(
    tmp_path: Path, tables: list[Callable[[], None]]
) -> None:
    path = tmp_path / "mlflow.db"

    def other_start() -> None:
        tables.clear()
        new_store.create(path)
        with sqlite3.connect(path) as database:
            database.execute("insert into experiments (name) values ('of the other')")
        database.close()

    tables.append(other_start)
    new_store.create(path)
    assert [each.name for each in tmp_path.iterdir()] == ["mlflow.db"]
    with sqlite3.connect(path) as database:
        found = database.execute("select name from experiments").fetchall()
    database.close()
    assert ("of the other",) in found


def test_a_store_that_is_killed_while_it_is_made_is_made_again(
    tmp_path: Path, tables: list[Callable[[], None]]
) -> None:
    def killed() -> None:
        raise KeyboardInterrupt

    tables.append(killed)
    with pytest.raises(KeyboardInterrupt):
        new_store.create(tmp_path / "mlflow.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize(
    ("maker", "removed"),
    [
        pytest.param(this_process().origin, False, id="alive"),
        pytest.param(f"{this_process().origin}0", True, id="ended"),
        pytest.param(None, False, id="unknown"),
    ],
)
def test_what_another_process_has_begun_is_removed_only_after_its_end(
    tmp_path: Path,
    tables: list[Callable],
    maker: str | None,
    removed: bool,
    complete: bool,
) -> None:
    (begun := tmp_path / ".mlflow.db.x").mkdir()
    if maker is not None:
        process = [this_process().name, maker]
        (begun / new_store.MAKER).write_text(json.dumps(process))
    if complete:  # by a third process
        (tmp_path / "mlflow.db").touch()
    new_store.create(tmp_path / "mlflow.db")
    assert begun.exists() != removed


def test_a_file_system_without_links_is_no_obstacle(
    tmp_path: Path, tables: list[Callable], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(files.os, "link", no_links)
    new_store.create(tmp_path / "mlflow.db")
    assert [each.name for each in tmp_path.iterdir()] == ["mlflow.db"]
