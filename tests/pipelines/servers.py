"""Servers that tests start: Postgres, a stand-in for S3, MLflow."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import free_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
NOBODY = 65534
"Postgres refuses to run as root."


@contextmanager
def postgres(*databases: str) -> Iterator[dict[str, str]]:
    """Start Postgres with databases and a password; give the variables that lead there.

    The test is skipped where Debian's package `postgresql` is not installed.
    """
    if not PROGRAMS or not shutil.which("setpriv"):
        pytest.skip("needs the Postgres server of the package `postgresql`")
    folder = Path(tempfile.mkdtemp(prefix="ftml-postgres-"))
    data, port, log = folder / "data", free_port(), folder / "log"
    (folder / "password").write_text("hunter2:@/")
    unprivileged = []
    if os.geteuid() == 0:
        user = f"--reuid={NOBODY} --regid={NOBODY} --clear-groups"
        unprivileged = ["setpriv", *user.split()]
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)

    def run(name: str, *arguments: str) -> None:
        command = [*unprivileged, str(PROGRAMS[-1] / name), *arguments]
        subprocess.run(command, check=True, cwd=folder, capture_output=True)

    made = (
        f"--username=mlflow --pwfile={folder}/password --auth=scram-sha-256 --no-sync"
    )
    run("initdb", str(data), *made.split())
    options = f"-F -p {port} -h 127.0.0.1 -k {folder}"
    run("pg_ctl", "start", "-w", "-D", str(data), "-l", str(log), "-o", options)
    variables = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(port),
        "PGUSER": "mlflow",
        "PGPASSWORD": (folder / "password").read_text(),
    }
    try:
        for name in databases:
            command = [str(PROGRAMS[-1] / "createdb"), name]
            subprocess.run(command, check=True, env={**os.environ, **variables})
        yield variables
    finally:
        run("pg_ctl", "stop", "-D", str(data), "-m", "immediate")
        shutil.rmtree(folder)


@contextmanager
def storage(bucket: str) -> Iterator[dict[str, str]]:
    """Start moto's S3 with a bucket; give the variables that lead there."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "MLFLOW_S3_ENDPOINT_URL": f"http://{host}:{port}",
    }
    s3_client(variables).create_bucket(Bucket=bucket)
    try:
        yield variables
    finally:
        server.stop()


def s3_client(variables: dict[str, str]) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_DEFAULT_REGION"],
    )


@contextmanager
def mlflow_server(
    log: Path, port: int, *options: str, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run MLflow's server; what is left of it is killed at the end."""
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), *options]
    merged = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **environment,
    }
    with log.open("ab") as file:
        server = subprocess.Popen(
            command, env=merged, stdout=file, stderr=file, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while not answers(port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.2)
        yield server
    finally:
        with_children(server.pid, signal.SIGKILL)
        server.wait()


def sqlite_server(
    folder: Path, port: int
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Serve the store in a folder."""
    return mlflow_server(
        folder / "server.log",
        port,
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", str(folder / "artifacts"), "--workers", "1"),
    )


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
    except OSError:
        return False
    return True


def with_children(pid: int, number: int) -> None:
    """Send a signal to a process and all that it has started."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in family:
        try:
            each.send_signal(number)
        except psutil.NoSuchProcess:
            continue
