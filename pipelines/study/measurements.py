"""The measurements of claims, as files in `claims/<chapter>/<claim>/`.

`evidence.json` depends only on code, params and seeds. `run.json` holds the duration
and the MLflow ids. `table.csv` and `figure.png` exist for claims that have them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import with_config

from ftml.evidence import Budget, Claim, Evidence, claim, claims
from pipelines.common.json_files import json_text, read_json
from pipelines.params.claims import ClaimsSchema
from pipelines.params.keys import imported, source_modules

CLAIMS = Path("claims")
EVIDENCE, RUN, TABLE, FIGURE = "evidence.json", "run.json", "table.csv", "figure.png"
DEFAULT = Budget()


@with_config(extra="forbid")
@dataclass(frozen=True)
class Measurement:
    """The content of evidence.json: a claim, how it was measured, and the result."""

    claim: str
    chapter: str
    statement: str
    source: str
    mistakes: list[int]
    seed: int
    budget: str
    key: str
    expected: float
    measured: float
    tolerance: float
    value_in_source: float | None
    standard_error: float
    chance: float
    passed: bool

    @property
    def title(self) -> str:
        """The first line of the statement."""
        return self.statement.partition("\n")[0]

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the measured value; None if the value is not
        a mean over random samples.
        """
        if not self.standard_error:
            return None
        half_width = 1.96 * self.standard_error
        return self.measured - half_width, self.measured + half_width

    @property
    def folder(self) -> Path:
        return CLAIMS / self.chapter / self.claim


@with_config(extra="forbid")
@dataclass(frozen=True, kw_only=True)
class ClaimMlflowIds:
    """The ids by which MLflow finds a measurement: its experiment and its run."""

    experiment: str
    run: str


@with_config(extra="forbid")
@dataclass(frozen=True, kw_only=True)
class ClaimRunMetadata:
    """The content of run.json of a claim: the duration and the MLflow ids."""

    seconds: float
    mlflow: ClaimMlflowIds


@dataclass(frozen=True)
class DueClaim:
    """A claim that is to be measured, how, and the key of its measurement."""

    name: str
    section: ClaimsSchema
    key: str


@dataclass(frozen=True)
class Measured:
    """A measurement that is not written yet: the content of its files by name, but of
    run.json, and the time that it took, in s.
    """

    measurement: Measurement
    files: Mapping[str, bytes]
    seconds: float


def measure(due: DueClaim, budget: Budget = DEFAULT) -> Measured:
    """Measure a claim, in any process: nothing is written but a temporary folder."""
    checked = claim(due.name)
    start = time.perf_counter()
    evidence = checked.check(due.section.seed, budget)
    seconds = time.perf_counter() - start
    measurement = measurement_of(checked, evidence, due.section, key=due.key)
    with tempfile.TemporaryDirectory(prefix="ftml-claim-") as temporary:
        folder = Path(temporary)
        write_evidence(folder, measurement, evidence)
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return Measured(measurement, files, seconds)


def libraries(names: Iterable[str]) -> set[str]:
    """Return what the modules of these claims, and all that these import from ftml, may
    import from elsewhere. Not each of these names is a module (see `imported`).
    """
    known = claims()
    sources = source_modules(*(f"ftml.claims.{known[name]}.{name}" for name in names))
    found = {each for path in sources.values() for each in imported(path)}
    return {each for each in found if each.split(".")[0] != "ftml"}


def measurement_of(
    claim: Claim, evidence: Evidence, section: ClaimsSchema, *, key: str
) -> Measurement:
    """Return the measurement of a claim from its evidence."""
    printed = evidence.value_in_source
    return Measurement(
        claim=claim.name,
        chapter=claim.chapter,
        statement=claim.statement,
        source=claim.source,
        mistakes=list(claim.mistakes),
        seed=section.seed,
        budget=section.budget,
        key=key,
        expected=float(evidence.expected),
        measured=float(evidence.measured),
        tolerance=float(evidence.tolerance),
        value_in_source=None if printed is None else float(printed),
        standard_error=float(evidence.standard_error),
        chance=float(evidence.chance),
        passed=evidence.passed,
    )


def write_evidence(folder: Path, measurement: Measurement, evidence: Evidence) -> None:
    """Write evidence.json, the table and the figure into a folder."""
    (folder / EVIDENCE).write_text(json_text(measurement))
    if evidence.table is not None:
        evidence.table.to_csv(folder / TABLE, index=False)
    if evidence.figure is not None:
        from pipelines.common.figures import write_png

        write_png(folder / FIGURE, evidence.figure())


def read_measurement(folder: Path) -> Measurement | None:
    """Return the content of evidence.json in a folder; None if the file is absent or
    damaged, which is said, so that the claim is measured again.
    """
    path = folder / EVIDENCE
    if not path.exists():
        return None
    try:
        return read_json(path, Measurement)
    except ValueError as error:
        reason = " ".join(str(error).split())
        print(f"{path}: is damaged ({reason})", file=sys.stderr, flush=True)
        return None


def write_run_metadata(folder: Path, metadata: ClaimRunMetadata) -> None:
    """Write run.json into the folder of a claim."""
    (folder / RUN).write_text(json_text(metadata))


def load_run_metadata(folder: Path) -> ClaimRunMetadata:
    """Return the content of run.json in the folder of a claim."""
    return read_json(folder / RUN, ClaimRunMetadata)


def read_measurements() -> list[Measurement]:
    """Return the measurements of all claims, by chapter and name."""
    folders = sorted(path.parent for path in CLAIMS.glob(f"*/*/{EVIDENCE}"))
    return [found for each in folders if (found := read_measurement(each))]
