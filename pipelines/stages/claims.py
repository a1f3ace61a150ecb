"""The stage `claims` of dvc.yaml: measures the claims of one chapter of the notes.

A claim is measured again only when its key has changed: its code, seed or budget. A
claim that does not hold is a result: it is written, logged and printed, and the stage
succeeds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ftml.config import nearest
from ftml.evidence import Budget, claim, claims
from pipelines.cluster.parallel_map import claim_budget
from pipelines.common.errors import run_stage
from pipelines.common.files import is_foreign, remove_folder
from pipelines.common.formatting import counted
from pipelines.common.locks import chapter_lock
from pipelines.common.replacing import replaced_folder
from pipelines.params.claims import ClaimsSchema
from pipelines.params.keys import claim_key
from pipelines.params.read import read_params
from pipelines.study.measurements import (
    CLAIMS,
    EVIDENCE,
    RUN,
    ClaimRunMetadata,
    Measurement,
    load_run_metadata,
    measurement_of,
    read_measurement,
    write_evidence,
    write_run_metadata,
)

if TYPE_CHECKING:
    from pipelines.tracking.claim_runs import ClaimRuns


MARKS = (EVIDENCE, RUN)
"Files that every version has written into the folder of a claim."


def main(chapter: str) -> None:
    """Measure the claims of a chapter whose key has changed, and print which of the
    chapter's claims do not hold.
    """
    chapters = sorted(set(claims().values()))
    if chapter not in chapters:
        raise ValueError(f"unknown chapter {chapter!r}{nearest(chapter, chapters)}")
    with chapter_lock(chapter):
        update_claims(chapter)


def update_claims(chapter: str) -> None:
    """Do the work of `main`, which holds the lock of the chapter."""
    section = read_params().claims.get(chapter, ClaimsSchema())
    names = [name for name, where in claims().items() if where == chapter]
    obsolete = [
        folder
        for folder in (CLAIMS / chapter).glob("*")
        if folder.name not in names and not is_foreign(folder, MARKS)
    ]
    keys = {name: claim_key(name, section) for name in names}
    found = {name: read_measurement(CLAIMS / chapter / name) for name in names}
    due = [n for n in names if not is_finished(found[n], keys[n])]
    if due or obsolete:
        from pipelines.tracking.claim_runs import ClaimRuns

        claim_runs = ClaimRuns()
        for folder in obsolete:
            remove(folder, claim_runs)
        with claim_budget(section) as budget:
            for name in due:
                found[name] = measure(name, section, budget, claim_runs, key=keys[name])
    failed = [name for name, each in found.items() if each and not each.passed]
    verdict = f"DO NOT HOLD: {', '.join(failed)}" if failed else "all hold"
    count = counted(len(names), "claim")
    print(f"{chapter}: {count}, {len(due)} measured now; {verdict}")


def is_finished(found: Measurement | None, key: str) -> bool:
    """Return whether a claim is measured with this key and has its run metadata."""
    if found is None or found.key != key:
        return False
    try:
        load_run_metadata(found.folder)
    except (OSError, ValueError, KeyError, TypeError):
        print(
            f"{found.folder}: no valid run.json; the claim is measured again",
            file=sys.stderr,
            flush=True,
        )
        return False
    return True


def measure(
    name: str,
    section: ClaimsSchema,
    budget: Budget,
    claim_runs: ClaimRuns,
    *,
    key: str,
) -> Measurement:
    """Measure a claim, log it to MLflow, and write its folder as a whole."""
    checked = claim(name)
    start = time.perf_counter()
    evidence = checked.check(section.seed, budget)
    seconds = time.perf_counter() - start
    measurement = measurement_of(checked, evidence, section, key=key)
    with replaced_folder(measurement.folder, root=CLAIMS, marks=MARKS) as folder:
        write_evidence(folder, measurement, evidence)
        run = claim_runs.log(measurement, folder, seconds=seconds)
        metadata = ClaimRunMetadata(seconds=round(seconds, 3), mlflow=run)
        write_run_metadata(folder, metadata)
    return measurement


def remove(folder: Path, claim_runs: ClaimRuns) -> None:
    """Remove the folder of a claim that no longer exists, or a temporary folder of a
    killed stage.
    """
    claim_runs.withdraw(folder.name, chapter=folder.parent.name)
    remove_folder(folder, root=CLAIMS, marks=MARKS)


if __name__ == "__main__":
    run_stage("claims", main)
