"""An error is one line with what to do; its traceback is in a file."""

from __future__ import annotations

import errno
import os
import re
import signal
import sqlite3
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from ray.exceptions import RayTaskError
from sqlalchemy.exc import OperationalError

import pipelines
from pipelines.common import errors
from pipelines.common.explain import LONGEST, explain
from pipelines.tracking.client import TrackingError


def of_sqlalchemy(reason: str) -> OperationalError:
    original = sqlite3.OperationalError(reason)
    return OperationalError("UPDATE runs SET status=?\nWHERE 1", {}, original)


LINES = [
    (of_sqlalchemy("database is locked"), "another process holds the MLflow database"),
    (sqlite3.DatabaseError("file is not a database"), "MLflow database is damaged"),
    (MlflowException("(sqlite3) disk image is malformed\n[SQL]"), ""),
    (
        of_sqlalchemy("attempt to write a readonly database"),
        "this user cannot write the MLflow database",
    ),
    (MlflowException("Run with id=12 not found"), "was deleted in MLflow meanwhile"),
    (
        MlflowException("The run 12 must be in the 'active' state. It is deleted."),
        "was deleted in MLflow meanwhile",
    ),
    (OSError(errno.ENOSPC, "No space left on device", "x/y"), "the disk is full"),
    (PermissionError(errno.EACCES, "Permission denied", "x"), "change the rights"),
    (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
    (RuntimeError("Failed to connect to GCS at 1.2.3.4"), "a process of Ray has ended"),
    (RayTaskError("f", "Traceback\n  File\nKeyError: 'a'", KeyError("a")), "KeyError"),
    (KeyError("a"), "KeyError: 'a'"),
    (AssertionError(), "AssertionError"),
    (RuntimeError("x" * 10_000), "xxx ..."),
]


@pytest.mark.parametrize(("error", "part"), LINES, ids=lambda e: type(e).__name__)
def test_an_error_of_a_library_is_one_line_with_what_to_do(
    error: Exception, part: str
) -> None:
    line = explain(error)
    assert part in line
    assert "\n" not in line
    assert "[SQL" not in line
    assert len(line) < LONGEST + 250


def test_the_advice_follows_from_the_cause_of_an_error() -> None:
    error = RuntimeError("cannot commit")
    error.__cause__ = of_sqlalchemy("database or disk is full")
    assert explain(error) == (
        "RuntimeError: cannot commit; the disk is full; free some space, then rerun"
    )


@pytest.mark.parametrize("error", [ValueError("a\nb"), TrackingError("a\nb")])
def test_an_error_of_our_own_is_complete_as_it_is(error: Exception) -> None:
    assert explain(error) == "a\nb"


def test_any_error_of_a_stage_is_one_line_and_its_traceback_is_in_the_log(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(errors.DEBUG, raising=False)
    log = errors.log_file("experiment", ["iris"])
    assert log == Path("experiments/iris.log")
    for _ in range(2):
        with pytest.raises(SystemExit) as exit_, errors.stage_process(log):
            raise KeyError("a")
        assert exit_.value.code == 1
    assert capsys.readouterr().err == "error: KeyError: 'a'\n" * 2
    assert log.read_text().count("Traceback (most recent call last)") == 2
    monkeypatch.setenv(errors.DEBUG, "1")
    with pytest.raises(SystemExit), errors.stage_process(log):
        raise KeyError("a")
    assert 'raise KeyError("a")' in capsys.readouterr().err


def test_a_stage_that_succeeds_leaves_no_log(tmp_path: Path) -> None:
    with errors.stage_process(tmp_path / "experiments/iris.log"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_is_no_further_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit), errors.stage_process(tmp_path / "file/iris.log"):
        raise ValueError("no")
    assert capsys.readouterr().err == "error: no\n"


def test_a_log_does_not_grow_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "LOG_BYTES", 10)
    for _ in range(3):
        with pytest.raises(SystemExit), errors.stage_process(tmp_path / "iris.log"):
            raise ValueError("no")
    assert (tmp_path / "iris.log").read_text().count("Traceback") == 1


@pytest.mark.parametrize(
    ("stage", "arguments", "path"),
    [
        ("claims", [], "data/claims.log"),
        ("report", [], "reports/report.log"),
        ("tables", ["iris"], "data/iris.log"),
        ("tables", ["../../iris"], None),
        ("tables", [".iris"], None),
    ],
)
def test_a_log_is_beside_the_results_and_never_elsewhere(
    stage: str, arguments: list[str], path: str | None
) -> None:
    assert errors.log_file(stage, arguments) == (path and Path(path))


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
@pytest.mark.parametrize("swallowed", [False, True])
def test_a_signal_ends_a_stage_even_if_a_library_turns_it_into_its_own_error(
    number: int, status: int, swallowed: bool
) -> None:
    def library() -> None:
        try:
            signal.raise_signal(number)
        except BaseException:
            if not swallowed:
                raise ImportError("numpy.core failed to import") from None

    with pytest.raises(SystemExit) as exit_, errors.stage_process():
        library()
    assert exit_.value.code == status


def test_ctrl_c_during_an_import_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    hook = getattr(pipelines, "_report_uncaught")  # noqa: B009
    wrapped = ImportError("numpy")
    wrapped.__cause__ = KeyboardInterrupt()
    for error in (KeyboardInterrupt(), wrapped):
        hook(type(error), error, None)
    assert capsys.readouterr().err == f"{errors.INTERRUPTED}\n" * 2
    assert statuses == [130, 130]
    hook(KeyError, KeyError("a"), None)
    assert capsys.readouterr().err == "KeyError: 'a'\n"


def test_the_hook_for_interrupts_is_set_before_anything_else_is_imported() -> None:
    text = Path(str(pipelines.__file__)).read_text()
    imported = re.findall(r"^(?:import|from) (\w+)", text, flags=re.MULTILINE)
    assert imported == ["os", "sys", "types"]
    assert text.endswith("sys.excepthook = _report_uncaught\n")
