"""Runs stages as a job of a Ray cluster and fetches the results from the DVC remote.

`submit` runs on the machine of a person, `run` on the cluster. In order: `submit` sends
the project's files to the job server at RAY_ADDRESS (`http://host:8265`) and prints the
job's log; `run` pulls the prepared data that the DVC remote has, runs `dvc repro`,
pushes the outputs, and writes dvc.lock to the end of the log; `submit` reads dvc.lock
from there and pulls the outputs. `submit` alone writes to the project folder of the
person, `run` to the folder of the job.

Ray reads its token from RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH; no secret is sent with
the job. With FTML_FOLDER set on the cluster to a folder that all nodes share, `run`
works in that folder, so that a job that is submitted again resumes a crashed one. One
job at a time works there, which a lock in the folder holds; and `submit` waits for the
local stages of a dataset before it replaces their results.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from pipelines.common import dvc_lock
from pipelines.common.locks import dataset_lock, lock_file
from pipelines.common.project import IDENTITY_VARIABLE, holds_code, job_identity
from pipelines.common.redaction import has_password, without_passwords
from pipelines.params.keys import COMMIT, commit

LOCK = Path("dvc.lock")
JOB_LOCK = ".ftml-job.lock"
"Lock file in FTML_FOLDER."
BEGIN, END = "--- dvc.lock ---", "--- end of dvc.lock ---"

ENTRYPOINT = "python -m pipelines.cli job run"
"The command `ftml job run` of a project that holds the code of ftml."
INSTALLED = "ftml job run"
"The command in a project without that code: the nodes need the package ftml."


class JobError(ValueError):
    """A job could not be submitted, or it failed."""


def submit(stages: Sequence[str]) -> None:
    """Run stages on the cluster and fetch their outputs; no stages means all.

    stages: names as `dvc repro` takes them, such as `experiment@digits`. Raises
    JobError when the job cannot be submitted or fails.
    """
    check_names(stages)
    dvc_lock.repair()
    address, variables = check_environment()
    if entrypoint() == INSTALLED:
        print(
            f"the nodes at {address} need ftml[pipeline]=={version('ftml')}: this "
            "folder does not hold the code of ftml, and its dvc.yaml calls the command",
            file=sys.stderr,
        )
    content = read_lock(asyncio.run(stream_log(address, stages, variables)))
    with ExitStack() as locks:
        for dataset in datasets_of(stages, content):
            locks.enter_context(dataset_lock(dataset, wait=True))
        LOCK.with_suffix(".new").write_bytes(content)
        LOCK.with_suffix(".new").replace(LOCK)
        dvc("pull", "--allow-missing", *stages)


def datasets_of(stages: Sequence[str], lock: bytes) -> list[str]:
    """Return the datasets of stages, sorted; those of all stages of a dvc.lock for no
    stages.
    """
    names = stages or re.findall(r"^  ([\w@.-]+):$", lock.decode(), re.MULTILINE)
    pairs = [name.split("@", 1) for name in names if "@" in name]
    return sorted({key for stage, key in pairs if stage != "claims"})


def entrypoint() -> str:
    """Return the command that a node runs in a copy of the current folder."""
    return ENTRYPOINT if holds_code(Path()) else INSTALLED


def check_names(stages: Sequence[str]) -> None:
    """Raise JobError for a text that cannot be the name of a stage: the names become
    part of a shell command on the cluster.
    """
    for stage in stages:
        if not re.fullmatch(r"[\w@.-]+", stage):
            raise JobError(
                f"STAGES: expected names such as experiment@digits, got {stage!r}"
            )


def check_project() -> None:
    """Raise JobError where the current folder has no stages."""
    if not Path("dvc.yaml").is_file():
        raise JobError(
            f"no dvc.yaml in {Path.cwd()}: run this in the folder of a project"
        )


def check_environment() -> tuple[str, dict[str, str]]:
    """Return the job server's address and the job's environment variables.

    Raises JobError when dvc.yaml, the address, the tracking server or the DVC remote is
    missing.
    """
    check_project()
    address = os.environ.get("RAY_ADDRESS", "")
    if not address.startswith(("http://", "https://")):
        raise JobError(
            "RAY_ADDRESS: expected the job server, http://host:8265, "
            f"got {address or 'nothing'}"
        )
    tracking = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not tracking.startswith(("http://", "https://")):
        raise JobError(
            "MLFLOW_TRACKING_URI: expected a server that the cluster reaches, "
            f"http://host:5000, got {tracking or 'nothing'}"
        )
    if has_password(tracking):
        raise JobError(
            "MLFLOW_TRACKING_URI: contains a password, which everyone who sees the job "
            "could read; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD on "
            "the cluster"
        )
    if not has_remote():
        raise JobError(
            "no DVC remote, so results cannot be fetched; add one that the cluster "
            "reaches: dvc remote add --default NAME URL"
        )
    return address, {
        "MLFLOW_TRACKING_URI": tracking,
        COMMIT: commit(),
        IDENTITY_VARIABLE: job_identity(),
    }


async def stream_log(
    address: str, stages: Sequence[str], variables: dict[str, str]
) -> list[str]:
    """Submit a job, print its log while it runs, and return the lines of the log.

    The lines with dvc.lock are returned, but not printed.
    """
    from ray.exceptions import RayError
    from ray.job_submission import JobStatus, JobSubmissionClient

    logging.getLogger("ray").setLevel(logging.WARNING)  # Ray logs each uploaded file
    try:
        client = JobSubmissionClient(address)
        identity = client.submit_job(
            entrypoint=" ".join([entrypoint(), *stages]),
            runtime_env={"working_dir": ".", "env_vars": variables},
        )
    except (ConnectionError, RuntimeError, RayError) as error:
        text = f"no job submitted to RAY_ADDRESS={address}: {error}"
        raise JobError(without_passwords(text)) from None
    print(f"job {identity} at {without_passwords(address)}", flush=True)
    lines, rest, hidden = [], "", False
    async for chunk in client.tail_job_logs(identity):
        *whole, rest = (rest + chunk).split("\n")
        for line in whole:
            lines.append(line)
            hidden |= line == BEGIN
            if not hidden:
                print(line, flush=True)
            hidden &= line != END
    info = client.get_job_info(identity)
    if info.status != JobStatus.SUCCEEDED:
        raise JobError(f"job {identity} ended as {info.status}; see its log above")
    return lines


def read_lock(log: Sequence[str]) -> bytes:
    """Return the content of dvc.lock that a job has written to the end of its log.

    Raises JobError when the log has no complete dvc.lock.
    """
    try:
        begin, end = log.index(BEGIN), log.index(END)
        return zlib.decompress(base64.b64decode("".join(log[begin + 1 : end])))
    except (ValueError, zlib.error):
        raise JobError("the job's log has no dvc.lock; see the log above") from None


def format_lock(content: bytes) -> str:
    """Return the content of dvc.lock as lines of a log, which `read_lock` reads."""
    text = base64.b64encode(zlib.compress(content)).decode()
    lines = [text[i : i + 120] for i in range(0, len(text), 120)]
    return "\n".join([BEGIN, *lines, END])


def run(stages: Sequence[str]) -> None:
    """Run stages on this machine, a node of the cluster, between a pull from the DVC
    remote and a push to it; no stages means all.
    """
    check_names(stages)
    check_project()
    folder = os.environ.get("FTML_FOLDER")
    if not folder:
        _repro_and_push(stages)
        return
    purpose = f"a job in FTML_FOLDER={folder}"
    with lock_file(Path(folder) / JOB_LOCK, purpose=purpose):
        copy_project(Path(folder))
        os.chdir(folder)
        _repro_and_push(stages)


def _repro_and_push(stages: Sequence[str]) -> None:
    """Run stages in the current folder, between a pull and a push, and print dvc.lock
    for the machine that has submitted the job.
    """
    if not Path(".git").exists():
        dvc("config", "--local", "core.no_scm", "true")
    dvc_lock.repair()
    if LOCK.exists():
        dvc("pull", "--allow-missing")
    dvc("repro", *stages)
    dvc("push", "--quiet")
    print(format_lock(LOCK.read_bytes()), flush=True)


def copy_project(folder: Path) -> None:
    """Copy the project's files into a folder, where they replace those of an earlier
    job; the outputs of the earlier job stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in Path().iterdir():
        target = folder / path.name
        if path.is_dir():
            if path.name != ".dvc":  # contains the cache
                shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            shutil.copy2(path, target)


def has_remote() -> bool:
    """Return whether DVC has a default remote."""
    command = [sys.executable, "-m", "dvc", "config", "core.remote"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip())


def dvc(*arguments: str) -> None:
    """Run a DVC command; raise JobError when it fails. DVC prints the reason."""
    command = [sys.executable, "-m", "dvc", *arguments]
    status = subprocess.run(command, check=False).returncode
    if status:
        raise JobError(f"dvc {' '.join(arguments)}: exit status {status}")
