"""A tiny project whose processes are killed, and what must hold afterwards.

`prepare` runs the project undisturbed, `Place` is a folder in which it runs again,
`strike` sends a signal to one of its processes at a moment, `complete` reruns the stage
until it succeeds, and `problems` says what differs from the undisturbed run. Used by
`test_faults.py` and by `benchmarks/faults.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.conftest import ROOT

DATASET = "cancer"
PARAMS = """
datasets:
  tables:
    cancer: {source: "sklearn:breast_cancer", task: classification}
experiments:
  cancer:
    wide:
      family: softmax_regression
      trials: 6
      batch_trials: 2
      seeds: 2
      report_every: 20
      early_stopping: {grace: 2, reduction_factor: 2}
      config: {n_iterations: 400, tolerance: 0.0}
    narrow:
      family: softmax_regression
      trials: 2
      seeds: 1
      report_every: 10
      config: {n_iterations: 50, tolerance: 0.0}
"""
STUDIES = {"wide", "narrow"}
STAGE = "pipelines.stages.experiment"
MARK = "FTML_FAULTS"
"Environment variable by which the processes of a place are known."

MOST_LINES = 5
ATTEMPTS = 3
"Reruns after a kill, of which one has to succeed."

TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}|\.new\..*|\.identity\.json\..*")
"Names of the temporary files and folders of a project."

USUAL = re.compile(
    r"starting Ray|\w+: (reused|\d+ trials, .*)|champion of .*|\w+/\w+/\w+ +\d+/\d+.*"
    r"|Running stage .*|> .*|Stage .* (skipping|didn't change.*)|Updating lock .*"
    r"|To track the changes .*|Use `dvc push`.*|\s*git add .*|To enable auto .*"
    r"|\s*dvc config core.autostage true|Data and pipelines are up to date\.|\s*"
)
"Lines that an undisturbed run prints."


@dataclass(frozen=True)
class Kill:
    """A signal, to a process, at a moment: after a fraction of the duration of an
    undisturbed run, or `delay` seconds after one of MOMENTS.
    """

    target: str
    number: signal.Signals
    moment: float | str
    delay: float = 0.0

    def __str__(self) -> str:
        when = self.moment if isinstance(self.moment, str) else f"{self.moment:.0%}"
        return f"{self.number.name} to {self.target} at {when} + {self.delay:.2f} s"


@dataclass(frozen=True)
class Reference:
    """What an undisturbed run leaves, and the seconds that it takes."""

    seconds: float
    files: dict[Path, bytes]
    names: set[Path]
    points: Counter[tuple]
    runs: Counter[tuple]


@dataclass
class Place:
    """A folder in which the project runs, and the processes that run in it."""

    folder: Path
    store: Path
    address: str = ""
    "MLFLOW_TRACKING_URI; by default the store of the folder"

    dvc: bool = False
    outputs: list[Path] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    "problems that were seen while the stage ran"

    before: dict[str, int] = field(default_factory=dict)
    "the state of the files that MOMENTS look at, when the stage was started"

    @property
    def temporary(self) -> Path:
        """The temporary directory of the stage; Ray's sockets need a short path."""
        return self.folder.with_name(f"{self.folder.name}t")

    def start(self) -> subprocess.Popen[bytes]:
        """Start the stage in a process group of its own; its output goes to a file."""
        self.temporary.mkdir(exist_ok=True)
        _make_old(self.temporary)
        self.before = {name: look(self) for name, look in STATES.items()}
        self.outputs.append(Path(f"{self.folder}.out{len(self.outputs)}"))
        with self.outputs[-1].open("wb") as file:
            return subprocess.Popen(
                self._command(),
                cwd=self.folder,
                env=self.variables(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def _command(self) -> list[str]:
        if not self.dvc:
            return [sys.executable, "-m", STAGE, DATASET]
        # As `make repro` does.
        repaired = f"{sys.executable} -m pipelines.cli restore-lock"
        repro = f"{sys.executable} -m dvc repro experiment@{DATASET}"
        return ["sh", "-c", f"{repaired} && exec {repro}"]

    def variables(self) -> dict[str, str]:
        return {
            **os.environ,
            MARK: str(self.folder),
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(self.temporary),
            "DVC_SITE_CACHE_DIR": f"{self.folder}.site",
            "FTML_CHECKPOINT_SECONDS": "0.5",
            "RAY_AUTH_MODE": "disabled",
            **({"MLFLOW_TRACKING_URI": self.address} if self.address else {}),
        }

    def identity(self) -> str:
        """Return the identity under which the folder owns runs in MLflow."""
        path = self.folder / ".ftml/identity.json"
        return str(json.loads(path.read_text())["identity"]) if path.exists() else ""

    def printed(self) -> str:
        """Return what the last run has printed."""
        return self.outputs[-1].read_text(errors="replace")

    def drivers(self) -> list[psutil.Process]:
        """Return the processes of stages that run in this folder."""
        stages = (p for p in psutil.process_iter() if STAGE in _title(p, None))
        return [process for process in stages if self._is_own(process)]

    def processes(self) -> list[psutil.Process]:
        """Return the processes that were started here. Those of Ray, which overwrite
        their environment with their title, are known by their log files.
        """
        return [process for process in psutil.process_iter() if self._is_own(process)]

    def _is_own(self, process: psutil.Process) -> bool:
        try:
            if process.environ().get(MARK) == str(self.folder):
                return True
            if not _command_of(process)[:1] or "ray::" not in _command_of(process)[0]:
                return False
            root = f"{self.temporary}/"
            return any(file.path.startswith(root) for file in process.open_files())
        except psutil.Error:
            return False


def _make_old(temporary: Path) -> None:
    """Make the checkpoints that were left there as old as those that are removed."""
    for path in temporary.glob("ftml-checkpoint-*"):
        with contextlib.suppress(FileNotFoundError):
            os.utime(path, (time.time() - 3600,) * 2)


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _title(process: psutil.Process, length: int | None = 100) -> str:
    return " ".join(_command_of(process))[:length]


def _reports(place: Place, phase: str) -> int:
    """Return how many steps the trials of a phase have reported."""
    records = place.folder.glob(f".search/{DATASET}/*/{phase}/record.jsonl")
    with contextlib.suppress(OSError):
        return sum(path.read_bytes().count(b'"n"') for path in records)
    return 0


def _changed(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


def _count(folder: Path, pattern: str) -> int:
    return sum(1 for _ in folder.glob(pattern))


STATES: dict[str, Callable[[Place], int]] = {
    "trials report": lambda place: _reports(place, "search") // 10,
    "final fits report": lambda place: _reports(place, "fits"),
    "results are written": lambda place: _count(
        place.folder, f"experiments/{DATASET}/.*.*"
    ),
    "results are renamed": lambda place: _count(
        place.folder, f"experiments/{DATASET}/.*.*/new/run.json"
    ),
    "mlflow.db is created": lambda place: _count(place.store.parent, ".mlflow.db.*"),
    "dvc.lock is written": lambda place: _changed(place.folder / "dvc.lock"),
}
"For each aimed moment, a number that changes when the moment comes."

SHORTEST = {"results are renamed": 0.001}
"Seconds between two looks for a moment that passes in less than a hundredth of one."


def _has_come(place: Place, moment: str) -> bool:
    found = STATES[moment](place)
    if moment == "dvc.lock is written":
        return found != place.before[moment]
    return found > place.before[moment]


def strike(
    place: Place,
    process: subprocess.Popen[bytes],
    kill: Kill,
    *,
    started: float,
    duration: float,
) -> bool:
    """Send a signal at its moment; return whether there was something to kill."""
    fraction = kill.moment
    while _runs(process, place):
        if isinstance(fraction, str):
            come = _has_come(place, fraction)
            time.sleep(0 if come else SHORTEST.get(fraction, 0.01))
        else:
            come = time.monotonic() - started >= fraction * duration
            time.sleep(0 if come else 0.01)
        if come:
            break
    time.sleep(kill.delay)
    while _runs(process, place):
        if sent := _send(place, process, kill):
            return sent
        time.sleep(0.05)
    return False


def _runs(process: subprocess.Popen[bytes], place: Place) -> bool:
    return process.poll() is None or bool(place.drivers())


TITLES = {
    "worker": "ImplicitFunc",
    "coordinator": "ray::Coordinator",
    "raylet": "raylet/raylet",
    "gcs": "gcs_server",
}
"What the command of a process of Ray contains."


def _send(place: Place, process: subprocess.Popen[bytes], kill: Kill) -> bool:
    """Send a signal to a target, if there is such a process; return whether it is."""
    try:
        if kill.target == "group":
            os.killpg(process.pid, kill.number)
            return True
        if kill.target == "dvc":
            process.send_signal(kill.number)
            return process.returncode is None
        drivers = place.drivers()
        if kill.target == "driver":
            found = drivers
        else:
            below = [each for d in drivers for each in d.children(recursive=True)]
            title = TITLES[kill.target]
            found = [each for each in below if title in _title(each, None)]
        for each in found[:1]:
            each.send_signal(kill.number)
        return bool(found)
    except (psutil.Error, ProcessLookupError):
        return False


def wait(place: Place, process: subprocess.Popen[bytes], *, limit: float) -> int | None:
    """Return the exit status of a run, and None, with a problem, for one that is stuck:
    its processes are killed then.
    """
    try:
        return process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        place.said.append(f"the run has not ended after {limit:.0f} s")
        end(place)
        process.wait()
        return None


def end(place: Place) -> None:
    """Kill all processes of a place."""
    for process in place.processes():
        with contextlib.suppress(psutil.Error):
            process.kill()


def wait_for_drivers(place: Place, *, limit: float) -> None:
    """Wait for stages whose dvc was killed."""
    deadline = time.monotonic() + limit
    while place.drivers():
        if time.monotonic() > deadline:
            place.said.append(f"a stage without its dvc runs after {limit:.0f} s")
            end(place)
        time.sleep(0.1)


def check_output(place: Place) -> None:
    """Note a traceback, and a message of more than MOST_LINES lines."""
    text = place.printed()
    lines = [line for line in re.split(r"[\r\n]", text) if not USUAL.fullmatch(line)]
    if "Traceback (most recent call last)" in text:
        place.said.append(f"a traceback was printed: {lines[-1]}")
    elif len(lines) > MOST_LINES:
        place.said.append(
            f"{len(lines)} lines were printed: {lines[0]} ... {lines[-1]}"
        )


def check_closed(place: Place, process: subprocess.Popen[bytes]) -> None:
    """Note runs that a driver which could clean up has left RUNNING."""
    if not place.store.exists():
        return
    query = (
        "select count(*) from runs join tags using (run_uuid) "
        "where status = 'RUNNING' and key = 'ftml.driver' and tags.value like ?"
    )
    with opened(place.store) as connection:
        (left,) = connection.execute(query, [f"%:{process.pid}"]).fetchone()
    if left:
        place.said.append(f"{left} runs were RUNNING after their driver had ended")


def complete(place: Place, *, limit: float) -> int:
    """Run the stage until it succeeds; return how many runs that took. A stage that
    has failed ATTEMPTS times is a problem.
    """
    for attempt in range(1, ATTEMPTS + 1):
        status = wait(place, place.start(), limit=limit)
        check_output(place)
        if status == 0:
            return attempt
    lines = place.printed().split("\n")
    place.said.append(f"{ATTEMPTS} reruns have failed: {' / '.join(lines[-4:])}")
    return ATTEMPTS


@contextlib.contextmanager
def opened(store: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def writable(store: Path) -> sqlite3.Connection:
    return sqlite3.connect(store)


NAMED = """
    from {table} join runs using (run_uuid)
    join tags owner on owner.run_uuid = runs.run_uuid and owner.key = 'ftml.folder'
    left join tags study on study.run_uuid = runs.run_uuid and study.key = 'ftml.study'
    left join tags role on role.run_uuid = runs.run_uuid and role.key = 'ftml.role'
    left join tags number on number.run_uuid = runs.run_uuid
        and number.key = 'ftml.index'
    where owner.value = ?
"""


def runs_of(place: Place) -> Counter[tuple]:
    """Count the runs of a place by status, study, role and index."""
    if not place.store.exists():
        return Counter()
    columns = "status, study.value, role.value, number.value"
    joined = NAMED.format(table="(select run_uuid from runs)")
    with opened(place.store) as connection:
        query = f"select {columns} {joined} and lifecycle_stage = 'active'"
        return Counter(connection.execute(query, [place.identity()]))


def points_of(place: Place) -> Counter[tuple]:
    """Count the metric points of a place, except measured times."""
    columns = "study.value, role.value, number.value, m.key, m.step, m.value, m.is_nan"
    joined = NAMED.format(table="metrics m")
    with opened(place.store) as connection:
        query = f"select {columns} {joined} and m.key not like '%seconds'"
        return Counter(connection.execute(query, [place.identity()]))


def models_of(place: Place) -> dict[str, Counter[str]]:
    """Count the logged models and the model versions of a place by study."""
    sources = {"logged models": "source_run_id run_uuid from logged_models"}
    sources["model versions"] = "run_id run_uuid from model_versions"
    with opened(place.store) as connection:
        return {
            name: Counter(
                study
                for (study,) in connection.execute(
                    f"select study.value {NAMED.format(table=f'(select {source}) m')}",
                    [place.identity()],
                )
            )
            for name, source in sources.items()
        }


def results(folder: Path) -> dict[Path, bytes]:
    """Return the content of the files of results, by path."""
    roots = (folder / "experiments", folder / "metrics")
    return {
        path.relative_to(folder): path.read_bytes()
        for root in roots
        for path in root.rglob("*")
        if path.is_file()
    }


def reference(place: Place, seconds: float, *, twin: Place | None = None) -> Reference:
    """Return what an undisturbed run has left. Files that differ from those of a twin,
    such as those with times, are not compared.
    """
    files = results(place.folder)
    others = results(twin.folder) if twin else files
    same = {p: content for p, content in files.items() if others.get(p) == content}
    same = {p: content for p, content in same.items() if p.name != "run.json"}
    return Reference(seconds, same, set(files), points_of(place), runs_of(place))


def problems(place: Place, expected: Reference) -> list[str]:
    """Return what is wrong in a place whose stage has succeeded."""
    found = list(place.said)
    files = results(place.folder)
    changed = [
        str(p) for p, content in expected.files.items() if files.get(p) != content
    ]
    found += _listed("results differ", changed)
    extra = {str(p) for p in files.keys() - expected.names if p.suffix != ".log"}
    found += _listed("files were left in the results", extra)
    found += _differences("runs", runs_of(place), expected.runs)
    found += _differences("points", points_of(place), expected.points)
    for name, counts in models_of(place).items():
        found += _differences(name, counts, Counter(STUDIES))
    return [*found, *_left_behind(place)]


def _listed(what: str, names: object) -> list[str]:
    listed = sorted(names)  # type: ignore[call-overload]
    return [f"{what}: {', '.join(listed[:4])}, {len(listed)} in all"] if listed else []


def _differences(what: str, ours: Counter, theirs: Counter) -> list[str]:
    more, less = ours - theirs, theirs - ours
    return [
        f"{sum(counts.values())} {what} {word}, such as {next(iter(counts))}"
        for counts, word in ((more, "too many"), (less, "missing"))
        if counts
    ]


def _left_behind(place: Place) -> list[str]:
    """Return what was left in folders, and processes that have not ended."""
    deadline = time.monotonic() + 60
    while (processes := place.processes()) and time.monotonic() < deadline:
        time.sleep(0.2)
    found = _listed("processes have not ended", map(_title, processes))
    inside = [
        path.relative_to(place.folder)
        for path in place.folder.rglob("*")
        if TEMPORARY.fullmatch(path.name) or path.parts[-2:-1] == (".search",)
    ]
    kept = [path for path in inside if path.parts[0] not in ("mlartifacts", ".dvc")]
    found += _listed("files were left in the folder", map(str, kept))
    sessions = [*place.temporary.glob("ray/session_2*")]
    unmarked = [each for each in sessions if not (each / "started-by-ftml").exists()]
    if len(sessions) - len(unmarked) > 2:
        found.append(f"{len(sessions)} sessions of Ray were left")
    found += _listed("unmarked sessions of Ray were left", [p.name for p in unmarked])
    others = [p.name for p in place.temporary.iterdir() if p.name != "ray"]
    return found + _listed("files were left in the temporary directory", others)


def make_place(root: Path, source: Path, *, dvc: bool = False) -> Place:
    """Return a folder in which the project has yet to run, a copy of another."""
    folder = Path(root)
    shutil.copytree(source, folder, symlinks=True)
    return Place(folder, store=folder / "mlflow.db", dvc=dvc)


DVC_YAML = f"""
stages:
  tables:
    foreach: ${{datasets.tables}}
    do:
      cmd: python -m pipelines.stages.tables ${{key}}
      params: ["datasets.tables.${{key}}"]
      outs: ["data/${{key}}"]
  experiment:
    foreach: ${{experiments}}
    do:
      cmd: python -m {STAGE} ${{key}}
      params: ["experiments.${{key}}"]
      deps: ["data/${{key}}"]
      outs: [{{"experiments/${{key}}": {{persist: true}}}}]
      metrics: [{{"metrics/${{key}}.json": {{cache: false, persist: true}}}}]
"""


def make_store(folder: Path, **variables: str) -> Path:
    """Make an empty MLflow store in a folder, in a process of its own; return it."""
    made = "from pipelines.tracking.client import open_store; open_store()"
    command = [sys.executable, "-c", made]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return folder / "mlflow.db"


def write_project(folder: Path, *, dvc: bool = True) -> None:
    """Make the project in a folder, with prepared data."""
    folder.mkdir()
    (folder / "params.yaml").write_text(PARAMS)
    command = [sys.executable, "-m", "pipelines.stages.tables", DATASET]
    if dvc:
        (folder / "dvc.yaml").write_text(DVC_YAML)
        run = [sys.executable, "-m", "dvc"]
        subprocess.run([*run, "init", "-q", "--no-scm"], cwd=folder, check=True)
        for name in ("analytics", "check_update"):
            configure = [*run, "config", f"core.{name}", "false"]
            subprocess.run(configure, cwd=folder, check=True)
        command = [*run, "repro", "-q", f"tables@{DATASET}"]
    place = Place(folder, folder / "mlflow.db")
    place.temporary.mkdir()
    subprocess.run(command, cwd=folder, env=place.variables(), check=True)
    shutil.rmtree(folder / ".ftml", ignore_errors=True)


def pad_lock(folder: Path, count: int) -> None:
    """Add stages to dvc.lock, which DVC writes again with each stage."""
    from dvc.utils.serialize import dump_yaml, load_yaml

    path = folder / "dvc.lock"
    lock = load_yaml(str(path))
    entry = {
        "cmd": f"python -m {STAGE} padding",
        "deps": [
            {"path": f"pipelines/{n}", "hash": "md5", "md5": "0" * 32, "size": 1}
            for n in range(16)
        ],
        "params": {"params.yaml": {"datasets.tables.padding": {"source": "none"}}},
        "outs": [{"path": "data/padding", "hash": "md5", "md5": "0" * 32, "size": 1}],
    }
    lock["stages"] |= {f"tables@padding{n}": entry for n in range(count)}
    dump_yaml(str(path), lock)
