"""Whether MLflow's pages and API answer while a search runs, without harm to it.

    python benchmarks/pages.py [--trials 100] [--write]

A stage searches and logs twice: to the default store mlflow.db, which a server of
MLflow reads at the same time (`make ui`), and to a server. Meanwhile what the pages of
MLflow ask for is read each second: experiments, runs, the history of a metric,
artifacts, registered and logged models, and the page itself. An answer other than 200,
an error in the log of the server, and anything unusual that the stage prints count.

--write writes benchmarks/pages.md. The exit status is 1 if something is wrong.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
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
trials runs while what the pages of MLflow ask for is read each second.

| the pages are of | seconds | requests | median ms | slowest ms | errors |
|---|---|---|---|---|---|
"""


@dataclass
class Reader:
    """Asks a server what its pages ask, and notes what goes wrong."""

    address: str
    milliseconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the answer to a request: JSON, or {} for a page or an error."""
        request = urllib.request.Request(
            f"{self.address}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        start = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                text = answer.read()
        except OSError as error:
            detail = error.read() if isinstance(error, urllib.error.HTTPError) else b""
            self.errors.append(f"{path}: {error} {detail[:200]!r}")
            return {}
        self.milliseconds.append(1000 * (time.perf_counter() - start))
        return json.loads(text) if text.startswith(b"{") else {}

    def look(self) -> None:
        """Ask for what the pages of an experiment, a run and a model show."""
        api = "ajax-api/2.0/mlflow"
        self.ask("")
        found = self.ask(f"{api}/experiments/search", {"max_results": 100})
        ids = [each["experiment_id"] for each in found.get("experiments", [])]
        asked = {"experiment_ids": ids, "max_results": 100}
        runs = self.ask(f"{api}/runs/search", asked).get("runs", [])
        self.ask(f"{api}/registered-models/search?max_results=100")
        self.ask(f"{api}/model-versions/search?max_results=100")
        self.ask(f"{api}/logged-models/search", asked)
        for run in runs[:3]:
            run_id = run["info"]["run_id"]
            self.ask(f"{api}/runs/get?run_id={run_id}")
            self.ask(f"{api}/artifacts/list?run_id={run_id}")
            for metric in run["data"].get("metrics", [])[:2]:
                key = metric["key"]
                self.ask(f"{api}/metrics/get-history?run_id={run_id}&metric_key={key}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="fp-", dir="/tmp"))  # Ray needs a short path
    try:
        rows: list[str] = []
        problems: list[str] = []
        for row, found in run(root, options.trials):
            rows.append(row)
            problems += found
    finally:
        shutil.rmtree(root, ignore_errors=True)
    lines = [ABOUT.format(trials=options.trials) + "\n".join(rows), ""]
    text = "\n".join([*lines, *(f"- {each}" for each in problems)]).rstrip() + "\n"
    print(text)
    if options.write:
        PAGE.write_text(text)
    return 1 if problems else 0


def run(root: Path, trials: int) -> Iterator[tuple[str, list[str]]]:
    """Yield a row of the table, and what was wrong, for both servers."""
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
        yield row_of(which, seconds, reader), problems_of(which, place, reader)


def read_while_it_runs(place: Place, reader: Reader) -> float:
    """Run the stage and read each second; return the seconds that the stage took."""
    start, process = time.monotonic(), place.start()
    while process.poll() is None:
        asked = time.monotonic()
        reader.look()
        time.sleep(max(0.0, INTERVAL_S - (time.monotonic() - asked)))
    if process.returncode:
        reader.errors.append(f"the stage has ended with status {process.returncode}")
    return time.monotonic() - start


def row_of(which: str, seconds: float, reader: Reader) -> str:
    taken = sorted(reader.milliseconds)
    cells = [which, f"{seconds:.0f}", len(taken), f"{taken[len(taken) // 2]:.0f}"]
    cells += [f"{taken[-1]:.0f}", len(reader.errors)]
    return "| " + " | ".join(map(str, cells)) + " |"


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
