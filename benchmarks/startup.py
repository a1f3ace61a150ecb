"""How long what starts often takes: commands, stages, DVC with nothing to do, imports.

    python benchmarks/startup.py [--project FOLDER] [--baseline COMMIT]
        [--repetitions 3] [--only TEXT] [--write]

FOLDER is a project in which `make repro` has ended; by default it is the current one.
The code that is measured is the commit of the repository of this script. With
--baseline, COMMIT is measured as well, in turn with it, with the same installed
packages. Each commit is cloned into a temporary folder with a copy of the results of
FOLDER, which stays as it is. There DVC is told that these results are up to date, and
everything runs once before it is measured.

The table has the medians of the wall time and of the user and system CPU time of a
command and of what it started and waited for; the processes of a Ray cluster are not
among these. --only measures the rows whose name contains TEXT. --write writes
benchmarks/startup.md. The exit status is 1 if a command of the measured commit fails.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_suffix(".md")
PYTHON = sys.executable
DATASET = "diabetes"
STUDY = Path("experiments", DATASET)
RESULTS = ("claims", "data", "experiments", "metrics", "reports")
"What is copied from the project. The copy logs to an MLflow store of its own."
ROWS_FILE = "startup-rows.csv"
ROWS = """age,sex,bmi,bp,s1,s2,s3,s4,s5,s6
0.04,0.05,0.06,0.02,-0.04,-0.03,-0.04,0.00,0.02,-0.02
0.00,-0.04,-0.05,-0.03,-0.01,-0.02,0.07,-0.04,-0.07,-0.09
"""

FTML = "from pipelines.cli.app import main; main()"
UNTIL_AT_WORK = f"""
import os
from pipelines.stages import tables
tables.prepare = lambda *_, **__: os._exit(0)
tables.main("{DATASET}")
raise SystemExit("the stage did not call `prepare`")
"""
ENTRY_POINTS = (
    *("ftml", "ftml.data", "pipelines.cli.app", "pipelines.params.read"),
    *(f"pipelines.stages.{name}" for name in ("sources", "tables", "experiment")),
    *("pipelines.stages.claims", "pipelines.stages.report"),
    "pipelines.tracking.client",
)


class Row(NamedTuple):
    "A command that is measured, and a folder that is removed before it."

    name: str
    arguments: tuple[str, ...]
    removed: Path | None = None


class Cost(NamedTuple):
    "Seconds of a command."

    wall: float
    cpu: float


class Clone(NamedTuple):
    "A commit with results, in a folder of its own."

    folder: Path
    commit: str

    def measure(self, row: Row) -> Cost | None:
        if row.removed:
            shutil.rmtree(self.folder / row.removed, ignore_errors=True)
        return self.run(*row.arguments)

    def run(self, *arguments: str) -> Cost | None:
        """Return the cost of a Python command; None if it fails, which is printed."""
        before, start = children_cpu(), time.perf_counter()
        command = [PYTHON, *arguments]
        place = {"cwd": self.folder, "env": environment(self.folder)}
        done = subprocess.run(command, **place, capture_output=True, text=True)
        cost = Cost(time.perf_counter() - start, children_cpu() - before)
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
            print(f"{self.commit[:7]}: {arguments}: failed\n{last}", file=sys.stderr)
        return None if done.returncode else cost

    def accept_results(self) -> None:
        """Tell DVC that all results are up to date."""
        sources = self.run("-m", "pipelines.stages.sources")
        if not (sources and self.run("-m", "dvc", "commit", "--quiet", "--force")):
            raise SystemExit(f"{self.commit[:7]}: DVC does not take the results")


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a command that runs the code of a folder."""
    path = os.pathsep.join([str(Path(PYTHON).parent), os.environ.get("PATH", "")])
    own = {name for name in os.environ if name.startswith(("MLFLOW_", "RAY_"))}
    kept = {name: os.environ[name] for name in os.environ.keys() - own}
    return {**kept, "PATH": path, "PYTHONPATH": str(folder)}


def children_cpu() -> float:
    """Return the CPU seconds of all processes that this one has waited for."""
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def rows() -> list[Row]:
    """Return what is measured. What leaves results that DVC does not know is last."""
    stage, repro = "pipelines.stages.", ("-m", "dvc", "repro")
    experiment, idle = f"experiment@{DATASET}", "nothing to do"
    forced = (*repro, "--force", "--single-item", experiment)
    model = str(STUDY / "ridge/model")
    return [
        Row(f"dvc repro, {idle}", repro),
        Row(f"dvc repro --all-pipelines, {idle}", (*repro, "--all-pipelines")),
        Row(f"dvc repro {experiment}, {idle}", (*repro, experiment)),
        Row("ftml --help", ("-c", FTML, "--help")),
        Row("ftml families", ("-c", FTML, "families")),
        Row(f"ftml compare {DATASET}", ("-c", FTML, "compare", DATASET)),
        Row("ftml predict, 2 rows", ("-c", FTML, "predict", model, ROWS_FILE)),
        Row("stage sources", ("-m", f"{stage}sources")),
        Row("stage tables, until it prepares", ("-c", UNTIL_AT_WORK)),
        Row("stage tables, to its end", ("-m", f"{stage}tables", DATASET)),
        Row("stage claims, none changed", ("-m", f"{stage}claims")),
        *(Row(f"import {name}", ("-c", f"import {name}")) for name in ENTRY_POINTS),
        Row("python, no import", ("-c", "pass")),
        Row(f"dvc repro -f -s {experiment}, results reused", forced),
        Row(f"dvc repro -f -s {experiment}, all trained", forced, STUDY),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--project", type=Path, default=Path(), metavar="FOLDER")
    parser.add_argument("--baseline", metavar="COMMIT")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    options = parser.parse_args()
    if missing := [name for name in RESULTS if not (options.project / name).is_dir()]:
        parser.error(f"{options.project} has no {missing[0]}: run `make repro` there")
    commits = ["HEAD", *([options.baseline] if options.baseline else [])]
    chosen = [row for row in rows() if options.only in row.name]
    with tempfile.TemporaryDirectory(prefix="su-", dir="/tmp") as folder:
        clones = [
            clone(commit, Path(folder, str(i)), options.project)
            for i, commit in enumerate(commits)
        ]
        costs = [medians(each) for each in repeat(clones, chosen, options.repetitions)]
    text = page([row.name for row in chosen], *costs, repetitions=options.repetitions)
    print(text)
    if options.write:
        PAGE.write_text(text)
    return 1 if None in costs[0] else 0


def clone(commit: str, folder: Path, project: Path) -> Clone:
    """Clone this repository at a commit, and copy the results of a project into it."""
    git = ["git", "-C", str(ROOT), "rev-parse", commit]
    found = subprocess.check_output(git, text=True).strip()
    subprocess.run(["git", "clone", "-q", "-n", ROOT, folder], check=True)
    subprocess.run(["git", "-C", folder, "checkout", "-q", found], check=True)
    for name in RESULTS:
        target = folder / name
        shutil.copytree(project / name, target, symlinks=True, dirs_exist_ok=True)
    (folder / ROWS_FILE).write_text(ROWS)
    return Clone(folder, found)


def repeat(
    clones: Sequence[Clone], chosen: Sequence[Row], repetitions: int
) -> list[list[list[Cost | None]]]:
    """Return the costs of each clone by row and repetition. The clones take turns.

    A first round, from the last row to the first, is not measured: it compiles modules
    and brings the results to what the commit makes.
    """
    for each in clones:
        each.accept_results()
        for row in reversed(chosen):
            each.measure(row)
    costs: list[list[list[Cost | None]]] = [[[] for _ in chosen] for _ in clones]
    for _ in range(repetitions):
        for each in clones:
            each.accept_results()
        for i, row in enumerate(chosen):
            for of_clone, each in zip(costs, clones, strict=True):
                of_clone[i].append(each.measure(row))
    return costs


def medians(costs: Sequence[Sequence[Cost | None]]) -> list[Cost | None]:
    """Return the median cost of each row; None for a row that has failed."""
    found: list[Cost | None] = []
    for row in costs:
        done = [cost for cost in row if cost]
        middle = map(median, zip(*done, strict=True))
        found.append(Cost(*middle) if len(done) == len(row) else None)
    return found


def page(
    names: Sequence[str],
    now: Sequence[Cost | None],
    before: Sequence[Cost | None] = (),
    *,
    repetitions: int,
) -> str:
    """Return the table as a page, with ratios if there is a baseline."""
    head = ["", "s", "CPU s"]
    if before:
        head += ["baseline s", "baseline CPU s", "ratio", "CPU ratio"]
    lines = [head, ["---"] * len(head)]
    for i, name in enumerate(names):
        line = [name, *cells(now[i])]
        if before:
            pairs = zip(now[i] or (), before[i] or (), strict=False)
            line += [*cells(before[i]), *(f"{a / b:.2f}" for a, b in pairs)]
        lines.append(line)
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"""# How long what starts often takes

Written by `python benchmarks/startup.py --write`, which says what is measured: medians
of {repetitions}, on {os.cpu_count()} cores, with a load average of \
{os.getloadavg()[0]:.1f} at the end.

{table}
"""


def cells(cost: Cost | None) -> list[str]:
    return [f"{value:.2f}" for value in cost] if cost else ["failed"] * 2


if __name__ == "__main__":
    sys.exit(main())
