"""A run made again in a clone, and its final metrics compared with those recorded."""

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

from pipelines.cli.records import children, experiment_of, place
from pipelines.cli.reproduction import Origin, Recorded, environment
from pipelines.common import formatting
from pipelines.tracking import client as tracking_client
from pipelines.tracking import views


@dataclass(frozen=True)
class Compared:
    """A final metric as it was recorded and as it came again; None where one lacks."""

    run: str
    metric: str
    recorded: float | None
    again: float | None
    differs: bool

    @property
    def difference(self) -> float:
        """Return the relative difference; infinity where one of the two lacks."""
        return _difference(self.recorded, self.again)


def verify(
    recorded: Recorded, found: Origin, clone: Path, *, tolerance: float
) -> list[Compared]:
    """Run a study in the clone, and return its metrics beside those recorded.

    Those of a trial or a final fit are its own; of a study those of all its runs. The
    clone has the store that the stages make there. Raises ValueError for a study that
    asks for a GPU where no tolerance is given, and when a stage fails.
    """
    (study,) = found.params["experiments"][recorded.dataset].values()
    gpu = ((study or {}).get("resources") or {}).get("gpu", 0)
    if gpu and not tolerance:
        raise ValueError(
            f"{recorded.name} asks for a GPU, whose sums have no fixed order: say what "
            "counts as equal, such as --tolerance 1e-3"
        )
    with (clone / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(dict(found.params), file)
    carry_out(clone, f"experiment@{recorded.dataset}")
    again = MlflowClient(f"sqlite:///{clone / tracking_client.DATABASE}")
    experiment = experiment_of(again, recorded.dataset).experiment_id
    (rerun,) = tracking_client.search_runs(
        again, experiment, "tags.`ftml.role` = 'study'"
    )
    digests = [each.data.tags["ftml.data"] for each in (recorded.study, rerun)]
    if digests[0] != digests[1]:
        raise ValueError(
            f"the data prepared here are others: DVC's hash {digests[1]}, of the run "
            f"{digests[0]}; the source has changed"
        )
    ours, theirs = runs(recorded.client, recorded.study), runs(again, rerun)
    if recorded.run is not recorded.study:
        ours = {place(recorded.run): recorded.run}
        theirs = {key: run for key, run in theirs.items() if key in ours}
    return compared(ours, theirs, tolerance=tolerance)


def carry_out(clone: Path, stage: str) -> None:
    """Run a stage of DVC, and what it needs; its output goes to standard error.

    Raises ValueError with the last line that it printed as an error.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", stage],
        cwd=clone,
        env=environment(clone),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = ""
    for line in process.stdout or ():
        print(f"  {line.rstrip()}", file=sys.stderr, flush=True)
        if line.startswith("error: "):
            said = line.removeprefix("error: ").strip()
    if process.wait():
        raise ValueError(
            f"dvc repro {stage} failed in the clone: {said or 'see above'}"
        )


def runs(client: MlflowClient, study: Run) -> dict[tuple[str, int], Run]:
    """Return a study's run and those of its trials and final fits, by what they are."""
    return {place(run): run for run in (study, *children(client, study))}


def compared(
    recorded: Mapping[tuple[str, int], Run],
    again: Mapping[tuple[str, int], Run],
    *,
    tolerance: float,
) -> list[Compared]:
    """Return every final metric of the runs of either side."""
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
    """Return the final metrics of a run but those that say how long it took."""
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
    """Return what came out: how many metrics are equal, and each that is not."""
    metrics = formatting.counted(len(found), "final metric")
    of = f"{metrics} of {formatting.counted(len({each.run for each in found}), 'run')}"
    limit = f"within a relative {tolerance:g}" if tolerance else "to the bit"
    wrong = [each for each in found if each.differs]
    if not wrong:
        return f"reproduced: {of}, all equal {limit}"
    lines = [f"not reproduced: {len(wrong)} of {of} differ, not equal {limit}"]
    lines += [
        f"  {each.run}: {each.metric} was {each.recorded}, is {each.again} "
        f"(relative {each.difference:.1e})"
        for each in wrong
    ]
    return "\n".join(lines)
