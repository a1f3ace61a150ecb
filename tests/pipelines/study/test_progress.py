"""The rows on the terminal that show the progress of searches."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.study.progress import Progress, ProgressDisplay
from pipelines.study.record import Record
from tests.conftest import ROOT


def test_the_line_gives_finished_total_best_and_time_left(tmp_path: Path) -> None:
    progress = Progress(
        "digits/erm/search", 4, "valid_accuracy", "max", ProgressDisplay()
    )
    record = Record(tmp_path / "record.jsonl")
    record.start(0, {})
    progress.update(record, 0)
    assert progress.line(record, 0.0) == "digits/erm/search  0/4"
    for index, value in enumerate([0.5, 0.9, float("nan")]):
        record.start(index, {})
        record.step(index, 1, {"valid_accuracy": value}, 1.0)
        progress.update(record, index)
    record.end(0)
    expected = "digits/erm/search  1/4  best valid_accuracy 0.9  0:30 left"
    assert progress.line(record, 10.0) == expected


def test_time_left_counts_only_what_this_driver_has_finished(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    for index in range(3):
        record.start(index, {})
    record.end(0)
    progress = Progress("x", 3, "valid_mse", "min", ProgressDisplay())
    progress.update(record, 2)
    assert progress.line(record, 5.0) == "x  1/3"
    record.end(1)
    assert progress.line(record, 7.0) == "x  2/3  0:07 left"


def test_a_log_gets_a_line_a_minute(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress("d/ridge/search", 9, "valid_mse", "min", ProgressDisplay())
    record = Record(tmp_path / "record.jsonl")
    written = []
    for index in range(9):
        now = 20.0 * index
        record.start(index, {})
        progress.show(record, index)
        written.append(capsys.readouterr().err)
        record.step(index, 1, {"valid_mse": 9.0 - index}, 1.0)
        progress.update(record, index)
        record.end(index)
    progress.clear()
    lines = {i: line for i, line in enumerate(written) if line}
    assert lines == {
        3: "d/ridge/search  3/9  best valid_mse 7  2:00 left\n",
        6: "d/ridge/search  6/9  best valid_mse 4  1:00 left\n",
    }
    assert capsys.readouterr() == ("", "")


TWO_SEARCHES = """
import sys, time
from pipelines.study.progress import ProgressDisplay
display = ProgressDisplay()
display.show("ridge", "ridge  0/3")
display.remove("ridge")
for step in range(3):
    display.show("ridge", f"ridge  {step}/3")
    display.show("lasso", f"lasso  {step}/3 " + "x" * 200)
    time.sleep(0.3)
print("ridge: 3 trials", flush=True)
display.remove("ridge")
time.sleep(0.3)
display.remove("lasso")
print("lasso: 3 trials", flush=True)
"""


def run_on_terminal(*, stdout: int | None) -> tuple[str, str]:
    """Run two searches with standard error on a terminal of 80 columns; return what
    the terminal and standard output got. Without `stdout` that is the terminal, too.
    """
    master, terminal = pty.openpty()
    environment = {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(
        [sys.executable, "-c", TWO_SEARCHES],
        env={**os.environ, **environment},
        stdout=terminal if stdout is None else stdout,
        stderr=terminal,
    )
    os.close(terminal)
    printed = b""
    try:
        while part := os.read(master, 4096):
            printed += part
    except OSError:  # Linux: the terminal was closed by the process
        pass
    os.close(master)
    piped = process.stdout.read() if process.stdout else b""
    if process.stdout:
        process.stdout.close()
    assert process.wait(timeout=60) == 0
    return printed.decode(), piped.decode()


def screen(printed: str) -> list[list[str]]:
    """Return the visible lines after each change of a terminal that gets this text."""
    lines, row, column, shown = [""], 0, 0, []
    for token in re.findall(r"\x1b\[\??[\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", printed):
        if token == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif token == "\r":
            column = 0
        elif token.startswith("\x1b"):
            if token.endswith("A"):
                row = max(0, row - int(token[2:-1] or 1))
            elif token.endswith("K"):
                lines[row] = ""
        else:
            lines[row] = lines[row][:column].ljust(column) + token
            column += len(token)
            shown.append([line for line in lines if line.strip()])
    return [*shown, [line for line in lines if line.strip()]]


@pytest.mark.slow
def test_searches_side_by_side_have_a_row_each_below_what_is_printed() -> None:
    printed, _ = run_on_terminal(stdout=None)
    states = screen(printed)
    widths = {len(line) for state in states for line in state}
    assert max(widths) <= 80, "a row never wraps"
    assert any(
        [line.split()[:2] for line in state] == [["ridge", "2/3"], ["lasso", "2/3"]]
        for state in states
    )
    assert any(
        state[0] == "ridge: 3 trials" and state[-1].startswith("lasso  2/3")
        for state in states
    )
    assert states[-1] == ["ridge: 3 trials", "lasso: 3 trials"]


@pytest.mark.slow
def test_standard_output_in_a_file_gets_no_rows_and_loses_no_line() -> None:
    printed, piped = run_on_terminal(stdout=subprocess.PIPE)
    assert piped == "ridge: 3 trials\nlasso: 3 trials\n"
    assert "ridge  2/3" in printed
    assert "trials" not in printed
