"""Whether MLflow's pages and API answer while a search runs, without harm to it.

    python benchmarks/pages.py [--trials 30] [--write]

A stage searches and logs twice: to the default store mlflow.db, which a server of
MLflow reads at the same time (`make ui`), and to a server. Meanwhile a page of MLflow
is read each second, one kind after the other: the list of experiments, the runs of an
experiment, a run with the history of its metrics and its artifacts, and the models. An
answer other than 200, an error in the log of the server, and anything unusual that the
stage prints count. A server needs CPU time for a page, which the stage lacks if both
share few cores: all pages at each second would take most of a core.

--write writes benchmarks/pages.md. The exit status is 1 if something is wrong.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # `tests` is a package of this folder only

from tests.conftest import free_port
from tests.pipelines import faults
from tests.pipelines.faults import Place
from tests.pipelines.servers import sqlite_server

PAGE = Path(__file__).with_suffix(".md")
INTERVAL_S = 1.0
TIMEOUT_S = 30.0

BESIDE, THROUGH = "a server beside the driver's mlflow.db", "the driver's server"

ABOUT = """# MLflow's pages during a search

Written by `python benchmarks/pages.py --trials {trials} --write`. A stage of {trials}
trials runs while a page of MLflow is read each second, one kind after the other.

| the pages are of | seconds | page | read | median ms | slowest ms | errors |
|---|---|---|---|---|---|---|
"""


API = "ajax-api/2.0/mlflow"


@dataclass
class Reader:
    """Asks a server what its pages ask, and notes what goes wrong."""

    address: str
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    "how long each page took, by the name of the page"

    errors: list[str] = field(default_factory=list)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the answer to a request: JSON, or {} for a page or an error."""
        request = urllib.request.Request(
            f"{self.address}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                text = answer.read()
        except OSError as error:
            detail = error.read() if isinstance(error, urllib.error.HTTPError) else b""
            self.errors.append(f"{path}: {error} {detail[:200]!r}")
            return {}
        return json.loads(text) if text.startswith(b"{") else {}

    def ask_in_experiments(self, kind: str) -> Any:
        """Return the first 100 objects of a kind, such as runs, of all experiments."""
        found = self.ask(f"{API}/experiments/search", {"max_results": 100})
        ids = [each["experiment_id"] for each in found.get("experiments", [])]
        return self.ask(f"{API}/{kind}/search", {"experiment_ids": ids})

    def read(self, page: str) -> None:
        """Read a page, and note how long that took."""
        start = time.perf_counter()
        PAGES[page](self)
        taken = 1000 * (time.perf_counter() - start)
        self.milliseconds.setdefault(page, []).append(taken)


def read_experiments(reader: Reader) -> None:
    reader.ask("")
    reader.ask(f"{API}/experiments/search", {"max_results": 100})


def read_run(reader: Reader) -> None:
    """Read the newest run, the history of its metrics, and its artifacts."""
    for run in reader.ask_in_experiments("runs").get("runs", [])[:1]:
        run_id = run["info"]["run_id"]
        reader.ask(f"{API}/runs/get?run_id={run_id}")
        reader.ask(f"{API}/artifacts/list?run_id={run_id}")
        for metric in run["data"].get("metrics", []):
            asked = f"run_id={run_id}&metric_key={metric['key']}"
            reader.ask(f"{API}/metrics/get-history?{asked}")


def read_models(reader: Reader) -> None:
    reader.ask(f"{API}/registered-models/search?max_results=100")
    reader.ask(f"{API}/model-versions/search?max_results=100")
    reader.ask_in_experiments("logged-models")


PAGES: dict[str, Callable[[Reader], object]] = {
    "experiments": read_experiments,
    "runs": lambda reader: reader.ask_in_experiments("runs"),
    "a run": read_run,
    "models": read_models,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="fp-", dir="/tmp"))  # Ray needs a short path
    try:
        rows: list[str] = []
        problems: list[str] = []
        for found, wrong in run(root, options.trials):
            rows += found
            problems += wrong
    finally:
        shutil.rmtree(root, ignore_errors=True)
    lines = [ABOUT.format(trials=options.trials) + "\n".join(rows), ""]
    text = "\n".join([*lines, *(f"- {each}" for each in problems)]).rstrip() + "\n"
    print(text)
    if options.write:
        PAGE.write_text(text)
    return 1 if problems else 0


def run(root: Path, trials: int) -> Iterator[tuple[list[str], list[str]]]:
    """Yield rows of the table, and what was wrong, for both servers."""
    faults.write_project(root / "template", dvc=False)
    params = root / "template/params.yaml"
    params.write_text(re.sub("trials: 6", f"trials: {trials}", params.read_text()))
    for number, which in enumerate((BESIDE, THROUGH)):
        place = faults.make_place(root / f"p{number}", root / "template")
        place.temporary.mkdir()
        faults.make_store(place.folder, **place.variables())
        port = free_port()
        with sqlite_server(place.folder, port):
            reader = Reader(f"http://127.0.0.1:{port}")
            if which == THROUGH:
                place.address = reader.address
            seconds = read_while_it_runs(place, reader)
        yield rows_of(which, seconds, reader), problems_of(which, place, reader)


def read_while_it_runs(place: Place, reader: Reader) -> float:
    """Run the stage and read a page each second; return the seconds that the stage
    took.
    """
    start, process = time.monotonic(), place.start()
    for page in itertools.cycle(PAGES):
        if process.poll() is not None:
            break
        asked = time.monotonic()
        reader.read(page)
        time.sleep(max(0.0, INTERVAL_S - (time.monotonic() - asked)))
    if process.returncode:
        reader.errors.append(f"the stage has ended with status {process.returncode}")
    return time.monotonic() - start


def rows_of(which: str, seconds: float, reader: Reader) -> list[str]:
    rows = []
    for page, taken in reader.milliseconds.items():
        cells = [which, f"{seconds:.0f}", page, len(taken), f"{median(taken):.0f}"]
        cells += [f"{max(taken):.0f}", len(reader.errors)]
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return rows


def problems_of(which: str, place: Place, reader: Reader) -> list[str]:
    """Return errors of the requests, of the server and of the stage."""
    faults.check_output(place)
    log = (place.folder / "server.log").read_text(errors="replace")
    wrong = [line for line in log.splitlines() if re.search("ERROR|Traceback", line)]
    found = [*dict.fromkeys(reader.errors), *dict.fromkeys(wrong), *place.said]
    return [f"{which}: {each}" for each in found]


if __name__ == "__main__":
    for name in ("RAY_TMPDIR", "FTML_STORAGE", "FTML_IDENTITY"):
        os.environ.pop(name, None)
    sys.exit(main())
