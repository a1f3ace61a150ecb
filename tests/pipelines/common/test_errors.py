"""How a signal ends a stage."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from pipelines.common.errors import stage_process


def signalled(*numbers: signal.Signals) -> tuple[object, list[str]]:
    """Return the exit status of a stage that gets signals, the first while it works and
    the others while it cleans up, and what its cleanup has done.
    """
    closed: list[str] = []

    def work() -> None:
        first, *others = numbers
        try:
            os.kill(os.getpid(), first)
        finally:
            for number in others:
                os.kill(os.getpid(), number)
            closed.append("run")

    with pytest.raises(SystemExit) as ended, stage_process():
        work()
    return ended.value.code, closed


@pytest.mark.parametrize(
    ("numbers", "status"),
    [
        ([signal.SIGTERM], 143),
        ([signal.SIGHUP], 129),
        ([signal.SIGHUP, signal.SIGHUP], 129),
    ],
)
def test_a_signal_ends_a_stage_after_its_cleanup_which_a_second_hangup_does_not_stop(
    numbers: list[signal.Signals], status: int
) -> None:
    before = {number: signal.getsignal(number) for number in numbers}
    assert signalled(*numbers) == (status, ["run"])
    assert {number: signal.getsignal(number) for number in numbers} == before


def test_the_status_is_that_of_the_signal_whatever_ray_makes_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def get() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except SystemExit:
            sys.exit(1)  # as ray.get does

    with pytest.raises(SystemExit) as ended, stage_process():
        get()
    assert ended.value.code == 143
    line = "ended by SIGTERM; rerun the stage to complete it\n"
    assert capsys.readouterr().err == line


def test_a_stage_that_exits_has_its_own_status() -> None:
    with pytest.raises(SystemExit) as ended, stage_process():
        sys.exit(2)
    assert ended.value.code == 2


def test_a_stage_under_nohup_ignores_the_hangup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stage_process():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
