"""Jobs: what they need, what they bring back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.cluster import job
from pipelines.cluster.job import JobError, format_lock, read_lock
from pipelines.common.locks import LockHeldError, is_locked, lock_file

SERVERS = {
    "RAY_ADDRESS": "http://head:8265",
    "MLFLOW_TRACKING_URI": "http://tracking:5000",
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with DVC and a remote."""
    folder = tmp_path_factory.mktemp("repository")
    for command in ("init --no-scm -q", "remote add -q --default store store"):
        dvc = [sys.executable, "-m", "dvc", *command.split()]
        subprocess.run(dvc, check=True, cwd=folder)
    return folder


@pytest.fixture
def surroundings(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Go to a folder with DVC and a remote, and name a cluster and a server."""
    shutil.copytree(repository, tmp_path, dirs_exist_ok=True)
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    monkeypatch.chdir(tmp_path)
    for name, value in SERVERS.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_a_job_gets_the_server_and_the_commit_and_no_secret(
    surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    address, variables = job.check_environment()
    assert address == "http://head:8265"
    assert set(variables) == {"MLFLOW_TRACKING_URI", "FTML_COMMIT", "FTML_IDENTITY"}
    assert "secret" not in variables.values()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RAY_ADDRESS", "head:6379", "RAY_ADDRESS: expected the job server"),
        ("RAY_ADDRESS", "", "got nothing"),
        ("MLFLOW_TRACKING_URI", "sqlite:///a.db", "expected a server"),
        ("MLFLOW_TRACKING_URI", "http://u:secret@host", "contains a password"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_sent(
    surroundings: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(JobError, match=said) as caught:
        job.submit([])
    assert "secret" not in str(caught.value)


def test_a_project_without_the_code_of_ftml_says_that_the_nodes_need_it(
    surroundings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    async def refuse(*_: object) -> list[str]:
        raise JobError("not submitted")

    monkeypatch.setattr(job, "stream_log", refuse)
    monkeypatch.setattr(job, "has_remote", lambda: True)
    for command, said in ((job.INSTALLED, 1), (job.ENTRYPOINT, 0)):
        assert job.entrypoint() == command
        with pytest.raises(JobError, match="not submitted"):
            job.submit([])
        assert len(capsys.readouterr().err.splitlines()) == said
        (surroundings / "ftml").mkdir(exist_ok=True)
        (surroundings / "ftml/core.py").touch()


def test_a_folder_without_stages_is_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (job.submit, job.run):
        with pytest.raises(JobError, match=r"no dvc\.yaml in .*: run this in the fol"):
            command([])


def test_without_a_remote_nothing_could_come_back(
    surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "has_remote", lambda: False)
    with pytest.raises(JobError, match="no DVC remote"):
        job.submit([])


@pytest.mark.parametrize("command", [job.submit, job.run])
def test_a_name_that_a_shell_would_interpret_is_refused(
    command: Callable[[list[str]], None],
) -> None:
    with pytest.raises(JobError, match="such as experiment@digits, got 'a; rm b'"):
        command(["copy", "a; rm b"])


def test_the_lock_comes_back_through_the_log_as_it_was() -> None:
    content = b"schema: '2.0'\n" + os.urandom(3000)
    log = ["dvc said", *format_lock(content).splitlines(), "Ray said"]
    assert read_lock(log) == content
    with pytest.raises(JobError, match=r"has no dvc\.lock"):
        read_lock(log[:-3])
    with pytest.raises(JobError, match=r"has no dvc\.lock"):
        read_lock([log[1], "not base64!", log[-2]])


def test_a_run_pulls_makes_and_pushes_in_the_folder_that_all_nodes_see(
    surroundings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    stages = "stages: {copy: {cmd: cp a b, deps: [a], outs: [b]}}"
    (surroundings / "dvc.yaml").write_text(stages)
    (surroundings / "a").write_text("content")
    folder = surroundings.parent / "shared"
    (surroundings / "code").mkdir()
    (folder / "code").mkdir(parents=True)
    (folder / "code/of_an_earlier_job.py").touch()
    (folder / "made").mkdir()
    monkeypatch.setenv("FTML_FOLDER", str(folder))
    job.run(["copy"])
    assert (folder / "b").read_text() == "content"
    assert not (surroundings / "b").exists()
    assert list((folder / "code").iterdir()) == []
    assert (folder / "made").exists()
    lock = read_lock(capsys.readouterr().out.splitlines())
    assert lock == (folder / "dvc.lock").read_bytes()

    monkeypatch.chdir(surroundings)
    assert not (surroundings / "dvc.lock").exists()
    (surroundings / "dvc.lock").write_bytes(lock)
    (surroundings / "store").symlink_to(folder / "store")
    job.dvc("pull", "--quiet")
    assert (surroundings / "b").read_text() == "content"


def test_a_second_job_in_the_folder_of_a_running_one_is_refused(
    surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = surroundings.parent / "of_a_job"
    monkeypatch.setenv("FTML_FOLDER", str(folder))
    with (
        lock_file(folder / job.JOB_LOCK, purpose="a job"),
        pytest.raises(LockHeldError, match=r"a job in FTML_FOLDER=.* is in progress"),
    ):
        job.run([])
    assert not folder.exists(), "no file of the project was copied"


def test_results_are_fetched_when_no_local_stage_works_on_the_dataset(
    surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = b"stages:\n  experiment@toy:\n    cmd: x\n  claims@linear:\n    cmd: x\n"

    async def log(*_: object) -> list[str]:
        return format_lock(lock).splitlines()

    def pull(*arguments: str) -> None:
        assert is_locked(Path(".search/.toy.lock")), arguments

    monkeypatch.setattr(job, "check_environment", lambda: ("http://head:8265", {}))
    monkeypatch.setattr(job, "stream_log", log)
    monkeypatch.setattr(job, "dvc", pull)
    job.submit([])
    assert Path("dvc.lock").read_bytes() == lock
    assert not Path(".search").exists()
    assert job.datasets_of(["tables@b", "experiment@a", "report"], lock) == ["a", "b"]


def test_a_stage_that_fails_is_one_error(
    surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0 if "config" in command else 255)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(JobError, match="dvc repro: exit status"):
        job.run([])
