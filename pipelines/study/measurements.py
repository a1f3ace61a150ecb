"""What was measured of each claim, as files: `claims/<chapter>/<claim>/`.

evidence.json holds what data, code, params and seeds determine, run.json what it took
and where MLflow has it; beside them a table and a figure, where the claim has them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ftml.evidence import Claim, Evidence
from pipelines.common.figures import write_png
from pipelines.params.claims import ClaimsSchema

CLAIMS = Path("claims")
EVIDENCE, RUN, TABLE, FIGURE = "evidence.json", "run.json", "table.csv", "figure.png"
NUMBERS = (
    "expected",
    "measured",
    "tolerance",
    "value_in_source",
    "standard_error",
    "chance",
)
"The numbers of `ftml.evidence.Evidence`."


@dataclass(frozen=True)
class Measurement:
    """What evidence.json holds of a claim."""

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
        """The statement in a line."""
        return self.statement.partition("\n")[0]

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of what was measured; None of what is no mean of
        random draws.
        """
        if not self.standard_error:
            return None
        half = 1.96 * self.standard_error
        return self.measured - half, self.measured + half

    @property
    def folder(self) -> Path:
        return CLAIMS / self.chapter / self.claim


def measurement_of(
    claim: Claim, evidence: Evidence, section: ClaimsSchema, *, key: str
) -> Measurement:
    """Return what is recorded of a claim's evidence."""
    values = {name: getattr(evidence, name) for name in NUMBERS}
    numbers: dict[str, Any] = {
        name: None if value is None else float(value) for name, value in values.items()
    }
    return Measurement(
        claim=claim.name,
        chapter=claim.chapter,
        statement=claim.statement,
        source=claim.source,
        mistakes=list(claim.mistakes),
        seed=section.seed,
        budget=section.budget,
        key=key,
        **numbers,
        passed=evidence.passed,
    )


def write_evidence(folder: Path, measurement: Measurement, evidence: Evidence) -> None:
    """Write evidence.json, the table and the figure into a folder."""
    content = {name: _as_json(value) for name, value in asdict(measurement).items()}
    (folder / EVIDENCE).write_text(json.dumps(content, indent=1) + "\n")
    if evidence.table is not None:
        evidence.table.to_csv(folder / TABLE, index=False)
    if evidence.figure is not None:
        write_png(folder / FIGURE, evidence.figure())


def _as_json(value: Any) -> Any:
    """Return a value as JSON has it, which knows no NaN and no infinity."""
    special = isinstance(value, float) and not math.isfinite(value)
    return str(value) if special else value


def read_measurement(folder: Path) -> Measurement | None:
    """Return what evidence.json in a folder holds; None where there is none."""
    path = folder / EVIDENCE
    if not path.exists():
        return None
    content: Mapping[str, Any] = json.loads(path.read_text())
    numbers = {k: float(content[k]) for k in NUMBERS if content[k] is not None}
    return Measurement(**{**content, **numbers})


def read_run(folder: Path) -> dict[str, Any]:
    """Return what run.json in a folder holds: seconds, and where MLflow has it."""
    found: dict[str, Any] = json.loads((folder / RUN).read_text())
    return found


def read_measurements() -> list[Measurement]:
    """Return what was measured of all claims, by chapter and name."""
    folders = sorted(path.parent for path in CLAIMS.glob(f"*/*/{EVIDENCE}"))
    return [found for each in folders if (found := read_measurement(each))]
