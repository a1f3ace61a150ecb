"""Whether a process of some machine is alive."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest

from pipelines.common import processes
from pipelines.common.processes import (
    Process,
    is_alive,
    read_process,
    this_process,
)

HERE = this_process()
BOOT, NAMESPACE, START = HERE.origin.split(":")
GONE = 2**22 + 1


@pytest.mark.parametrize(
    ("process", "alive"),
    [
        pytest.param(HERE, True, id="this process"),
        pytest.param(replace(HERE, origin=""), True, id="of an earlier version"),
        pytest.param(replace(HERE, pid=GONE), False, id="no process has the id"),
        pytest.param(replace(HERE, pid=GONE, origin=""), False, id="earlier, gone"),
        pytest.param(
            replace(HERE, origin=f"{BOOT}:{NAMESPACE}:1{START}"),
            False,
            id="another process has the id",
        ),
        pytest.param(
            replace(HERE, origin=f"x:{NAMESPACE}:{START}"), False, id="booted since"
        ),
        pytest.param(
            replace(HERE, origin=f"{BOOT}:1:{START}"), None, id="another container"
        ),
        pytest.param(replace(HERE, host="elsewhere"), None, id="another host"),
    ],
)
def test_a_process_is_alive_if_its_host_boot_and_start_say_so(
    process: Process, alive: bool | None
) -> None:
    assert is_alive(process) is alive


def test_a_process_that_nobody_has_waited_for_is_not_alive() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        origin = processes._origin(child.pid)
        assert origin
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_alive(Process(HERE.host, child.pid, origin)) is False


def test_the_name_of_a_process_is_read_back() -> None:
    assert read_process(HERE.name, HERE.origin) == HERE
    assert read_process("", "") is None
    assert read_process("host:x", "") is None
