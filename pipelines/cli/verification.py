"""Reproduces a run in a clone and compares its final metrics with the recorded ones."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from ruamel.yaml import YAML

from pipelines.cli.records import children, experiment_of, role_and_index
from pipelines.cli.reproduction import Origin, Recorded, environment
from pipelines.common import formatting, watched
from pipelines.tracking import client as tracking_client
from pipelines.tracking import views
from pipelines.tracking.local_store import DATABASE


@dataclass(frozen=True)
class Compared:
    """A final metric of the recorded and of the reproduced run; None where missing."""

    run: str
    metric: str
    recorded: float | None
    again: float | None
    differs: bool

    @property
    def difference(self) -> float:
        """Return the relative difference; infinity where one of the two is None."""
        return _difference(self.recorded, self.again)


def verify(
    recorded: Recorded, found: Origin, clone: Path, *, tolerance: float
) -> list[Compared]:
    """Run a study in the clone, and return its metrics with the recorded ones.

    For a trial or a final fit these are the metrics of its run; for a study those of
    all its runs. The clone has an MLflow store of its own. Raises ValueError when the
    study asks for a GPU and no tolerance is given, and when a stage fails.
    """
    studies = found.params["experiments"][recorded.dataset]
    (study,) = studies.values()
    gpu = ((study or {}).get("resources") or {}).get("gpu", 0)
    if gpu and not tolerance:
        raise ValueError(
            f"{recorded.name} asks for a GPU, whose sums have no fixed order: give a "
            "tolerance, such as --tolerance 1e-3"
        )
    with (clone / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(dict(found.params), file)
    files = watched.sources_in(found.params["datasets"])
    for place in (*files, *watched.inputs_in(studies)):
        watched.provide(place, copy=clone)
    run_stage(clone, f"experiment@{recorded.dataset}")
    again = MlflowClient(f"sqlite:///{clone / DATABASE}")
    experiment = experiment_of(again, recorded.dataset).experiment_id
    (rerun,) = tracking_client.search_runs(
        again, experiment, "tags.`ftml.role` = 'study'"
    )
    digests = [each.data.tags["ftml.data"] for each in (recorded.study, rerun)]
    if digests[0] != digests[1]:
        raise ValueError(
            f"the data prepared here differ: DVC's hash is {digests[1]}, that of the "
            f"run is {digests[0]}; the source has changed"
        )
    ours, theirs = runs(recorded.client, recorded.study), runs(again, rerun)
    if recorded.run is not recorded.study:
        ours = {role_and_index(recorded.run): recorded.run}
        theirs = {key: run for key, run in theirs.items() if key in ours}
    return compared(ours, theirs, tolerance=tolerance)


def run_stage(clone: Path, stage: str) -> None:
    """Run a stage and its dependencies by DVC; the output goes to standard error.

    Raises ValueError when a stage fails, with the reason that the stage has printed, or
    else that of DVC.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "dvc", "repro", stage],
        cwd=clone,
        env=environment(clone),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    reasons: dict[str, str] = {}  # of a stage by `error`, of DVC by `ERROR`
    for line in process.stdout or ():
        print(f"  {line.rstrip()}", file=sys.stderr, flush=True)
        origin, _, text = line.rstrip().partition(": ")
        if origin in ("error", "ERROR"):
            reasons[origin] = text
    if process.wait():
        reason = reasons.get("error") or reasons.get("ERROR") or "see above"
        raise ValueError(f"dvc repro {stage} failed in the clone: {reason}")


def runs(client: MlflowClient, study: Run) -> dict[tuple[str, int], Run]:
    """Return the runs of a study, its trials and its final fits, by role and index."""
    return {role_and_index(run): run for run in (study, *children(client, study))}


def compared(
    recorded: Mapping[tuple[str, int], Run],
    again: Mapping[tuple[str, int], Run],
    *,
    tolerance: float,
) -> list[Compared]:
    """Return every final metric that a recorded or a reproduced run has."""
    found = []
    for key in sorted({*recorded, *again}):
        ours, theirs = (_metrics(each.get(key)) for each in (recorded, again))
        name = (recorded.get(key) or again[key]).info.run_name
        for metric in sorted({*ours, *theirs}):
            a, b = ours.get(metric), theirs.get(metric)
            differs = _difference(a, b) > tolerance
            found.append(Compared(name, metric, a, b, differs))
    return found


def _metrics(run: Run | None) -> dict[str, float]:
    """Return the final metrics of a run without its training times."""
    found = {} if run is None else run.data.metrics
    return {name: value for name, value in found.items() if name not in views.SECONDS}


def _difference(a: float | None, b: float | None) -> float:
    if a is None or b is None:
        return math.inf
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    difference = abs(a - b) / max(abs(a), abs(b))
    return math.inf if math.isnan(difference) else difference


def verdict(found: Sequence[Compared], *, tolerance: float) -> str:
    """Return how many metrics are equal, and a line for each that differs."""
    metrics = formatting.counted(len(found), "final metric")
    of = f"{metrics} of {formatting.counted(len({each.run for each in found}), 'run')}"
    wrong = [each for each in found if each.differs]
    if not wrong:
        equal = (
            f"equal within a relative {tolerance:g}" if tolerance else "bit-identical"
        )
        return f"reproduced: {of}, all {equal}"
    limit = f" by more than a relative {tolerance:g}" if tolerance else ""
    lines = [f"not reproduced: {len(wrong)} of {of} differ{limit}"]
    lines += [
        f"  {each.run}: {each.metric} was {each.recorded}, is {each.again} "
        f"(relative {each.difference:.1e})"
        for each in wrong
    ]
    return "\n".join(lines)
