"""A served model under many clients at once: errors, and whether its memory grows.

    python benchmarks/serving.py [--clients 50] [--seconds 60] [--write]

A model is registered as the pipeline does, and `mlflow models serve` serves it, with
one worker. Clients ask in turn for the prediction of one row, of many rows, and of a
row with an error, which has to be answered with 400. Any other answer is an error. The
memory is that of the server and all of its processes (resident, summed).

--write writes benchmarks/serving.md. The exit status is 1 if there was an error, or if
the memory at the end is more than MOST_GROWTH of that after WARM_UP_S seconds.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pandas as pd
import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # `tests` is a package of this folder only

import ftml
import ftml.tasks
from tests.pipelines.test_long_commands import logged, served
from tests.test_contract import small_data

PAGE = Path(__file__).with_suffix(".md")
WARM_UP_S = 5.0
MOST_GROWTH = 1.1
TIMEOUT_S = 60.0


@dataclass
class Load:
    """What clients have asked, and what was answered."""

    requests: list[tuple[bytes, int]]
    "bodies of requests, and the expected status of each"

    milliseconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def ask(self, port: int, until: float) -> None:
        """Ask in turn, as one client, until a time of `time.monotonic`."""
        for body, expected in itertools.cycle(self.requests):
            if time.monotonic() >= until:
                return
            start = time.perf_counter()
            status = self._status(port, body)
            self.milliseconds.append(1000 * (time.perf_counter() - start))
            if status != str(expected):
                self.errors[f"{status} where {expected} was expected"] += 1

    def _status(self, port: int, body: bytes) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            body,
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                json.load(answer)
                return str(answer.status)
        except urllib.error.HTTPError as error:
            error.read()
            return str(error.code)
        except (OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fs-", dir="/tmp") as folder:
        os.chdir(folder)
        load, memory = measured(Path(folder), options.clients, options.seconds)
        os.chdir("/")
    text = page(options, load, memory)
    print(text)
    if options.write:
        PAGE.write_text(text)
    grown = memory[-1] > MOST_GROWTH * memory[0]
    return 1 if load.errors or grown else 0


def measured(folder: Path, clients: int, seconds: float) -> tuple[Load, list[float]]:
    """Return what the clients have seen, and the memory of the server in MB after
    WARM_UP_S seconds and at the end.
    """
    config = ftml.family("softmax_regression").Config()
    data = small_data("classification")
    model = ftml.fit(config, data).model
    example = ftml.tasks.task("classification").example(data.test)
    uri = logged(
        "softmax_regression", "tables", "classification", model, config, example
    )
    load = Load(requests_of(example))
    with served(uri, folder) as port:
        (server,) = (
            each for each in psutil.Process().children() if "serve" in each.cmdline()
        )
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(target=load.ask, args=(port, until))
            for _ in range(clients)
        ]
        for thread in threads:
            thread.start()
        time.sleep(min(WARM_UP_S, seconds / 2))
        memory = [resident(server)]
        for thread in threads:
            thread.join()
        memory.append(resident(server))
    return load, memory


def requests_of(example: pd.DataFrame) -> list[tuple[bytes, int]]:
    """Return requests for one row, for 100 rows, and with a text for a number."""
    row = example[:1].astype(float)
    many = pd.concat([row] * 100, ignore_index=True)
    wrong = row.astype(object)
    wrong.iloc[0, 0] = "no number"
    return [(body(row), 200), (body(many), 200), (body(wrong), 400)]


def body(rows: pd.DataFrame) -> bytes:
    return (
        f'{{"dataframe_split": {rows.to_json(orient="split", index=False)}}}'.encode()
    )


def resident(server: psutil.Process) -> float:
    """Return the resident memory of a process and all that it has started, in MB."""
    processes = [server, *server.children(recursive=True)]
    return sum(each.memory_info().rss for each in processes) / 1e6


def page(options: argparse.Namespace, load: Load, memory: list[float]) -> str:
    errors = ", ".join(f"{n} x {text}" for text, n in load.errors.items()) or "none"
    early, late = f"MB at {WARM_UP_S:.0f} s", "MB at the end"
    head = ["seconds", "requests", "median ms", "slowest ms", early, late, "errors"]
    taken, numbers = load.milliseconds, f"{memory[0]:.0f} | {memory[-1]:.0f}"
    return f"""# A served model under {options.clients} clients

Written by `python benchmarks/serving.py --write`: `mlflow models serve`, one worker, on
{os.cpu_count()} cores, which the clients share, with a load average of \
{os.getloadavg()[0]:.0f}.

| {" | ".join(head)} |
{"|---" * len(head)}|
| {options.seconds:.0f} | {len(taken)} | {median(taken):.0f} | {max(taken):.0f} \
| {numbers} | {errors} |
"""


if __name__ == "__main__":
    sys.exit(main())
