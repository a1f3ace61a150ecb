"""Run stages as a job of a Ray cluster, and bring back what DVC tracks.

    python -m pipelines.cluster.job submit [STAGE ...]

sends the project's files to the cluster whose job server is at RAY_ADDRESS
(`http://host:8265`), shows the job's log, and then fetches its results from the DVC
remote. STAGE is as `dvc repro` takes it, `experiment@digits`; none means all. Ray reads
its token from RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH; nothing secret is sent along.

    python -m pipelines.cluster.job run [STAGE ...]

is what the cluster runs. With FTML_FOLDER set there, a folder that all nodes see, it
works in that folder, so that a job sent again goes on from where the last one died.
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
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.common.errors import fail
from pipelines.params.keys import COMMIT, commit

LOCK = Path("dvc.lock")
BEGIN, END = "--- dvc.lock ---", "--- end of dvc.lock ---"


class JobError(ValueError):
    """A job could not be sent, or did not end well."""


def main(arguments: Sequence[str]) -> None:
    """Send a job, or be one."""
    usage = "usage: python -m pipelines.cluster.job submit|run [STAGE ...]"
    if not arguments or arguments[0] not in ("submit", "run"):
        raise JobError(usage)
    command, *stages = arguments
    if wrong := [stage for stage in stages if not re.fullmatch(r"[\w@.-]+", stage)]:
        raise JobError(f"{usage}, came {wrong[0]!r}")
    (submit if command == "submit" else run)(stages)


def submit(stages: Sequence[str]) -> None:
    """Run stages on the cluster and fetch what they made."""
    address, variables = check_surroundings()
    log = asyncio.run(follow(address, stages, variables))
    LOCK.with_suffix(".new").write_bytes(read_lock(log))
    LOCK.with_suffix(".new").replace(LOCK)
    dvc("pull", "--allow-missing", *stages)


def check_surroundings() -> tuple[str, dict[str, str]]:
    """Return the job server's address and the job's environment variables.

    Raises JobError for an address, a tracking server or a DVC remote that is missing.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if not address.startswith(("http://", "https://")):
        raise JobError(
            "RAY_ADDRESS: expected the job server, http://host:8265, "
            f"came {address or 'nothing'}"
        )
    tracking = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not tracking.startswith(("http://", "https://")):
        raise JobError(
            "MLFLOW_TRACKING_URI: expected a server that the cluster reaches, "
            f"http://host:5000, came {tracking or 'nothing'}"
        )
    if urlsplit(tracking).password:
        raise JobError(
            "MLFLOW_TRACKING_URI: holds a password, which everyone who sees the job "
            "would read; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD on "
            "the cluster"
        )
    if not has_remote():
        raise JobError(
            "no DVC remote, so results could not come back; "
            "add one that the cluster reaches: dvc remote add --default NAME URL"
        )
    return address, {"MLFLOW_TRACKING_URI": tracking, COMMIT: commit()}


async def follow(
    address: str, stages: Sequence[str], variables: dict[str, str]
) -> list[str]:
    """Send a job, print its log as it comes, and return the log's lines."""
    from ray.exceptions import RayError
    from ray.job_submission import JobStatus, JobSubmissionClient

    logging.getLogger("ray").setLevel(logging.WARNING)  # of what it packs
    try:
        client = JobSubmissionClient(address)
        identity = client.submit_job(
            entrypoint=" ".join(["python -m pipelines.cluster.job run", *stages]),
            runtime_env={"working_dir": ".", "env_vars": variables},
        )
    except (ConnectionError, RuntimeError, RayError) as error:
        raise JobError(f"no job sent to RAY_ADDRESS={address}: {error}") from None
    print(f"job {identity} at {address}", flush=True)
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
    """Return the dvc.lock that a job has written at the end of its log."""
    try:
        begin, end = log.index(BEGIN), log.index(END)
        return zlib.decompress(base64.b64decode("".join(log[begin + 1 : end])))
    except (ValueError, zlib.error):
        raise JobError("the job's log holds no dvc.lock; see the log above") from None


def shown_lock(content: bytes) -> str:
    """Return a dvc.lock as lines of a log."""
    text = base64.b64encode(zlib.compress(content)).decode()
    lines = [text[i : i + 120] for i in range(0, len(text), 120)]
    return "\n".join([BEGIN, *lines, END])


def run(stages: Sequence[str]) -> None:
    """Run stages here, on the cluster, between a pull and a push of the DVC remote."""
    if folder := os.environ.get("FTML_FOLDER"):
        lay_out(Path(folder))
        os.chdir(folder)
    if not Path(".git").exists():
        dvc("config", "--local", "core.no_scm", "true")
    if LOCK.exists():
        dvc("pull", "--allow-missing")
    dvc("repro", *stages)
    dvc("push", "--quiet")
    print(shown_lock(LOCK.read_bytes()), flush=True)


def lay_out(folder: Path) -> None:
    """Put the project's files into a folder in place of those of an earlier job; what
    was made there stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in Path().iterdir():
        target = folder / path.name
        if path.is_dir():
            if path.name != ".dvc":  # holds the cache
                shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            shutil.copy2(path, target)


def has_remote() -> bool:
    command = [sys.executable, "-m", "dvc", "config", "core.remote"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip())


def dvc(*arguments: str) -> None:
    """Run DVC; JobError when it fails, which it has then explained."""
    command = [sys.executable, "-m", "dvc", *arguments]
    status = subprocess.run(command, check=False).returncode
    if status:
        raise JobError(f"dvc {' '.join(arguments)}: exit status {status}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        fail(error)
