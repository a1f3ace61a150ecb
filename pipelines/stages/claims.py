"""The stage `claims` of dvc.yaml: measures the claims of the chapters of the notes that
params.yaml names.

A claim is measured again only when its key has changed: its code, seed or budget. A
claim that does not hold is a result: it is written, logged and printed, and the stage
succeeds. An error in a claim is printed, and the stage fails when the other claims are
measured.

Processes of this machine measure (`pipelines.cluster.processes`), each a claim at a
time with one thread. This process does all else: it logs each measurement to MLflow and
writes its folder as soon as it has come, so a killed stage loses only the measurements
in progress. A claim with a budget above the default is measured by this process, and
samples in Ray tasks.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from ftml.evidence import claims
from pipelines.cluster.parallel_map import claim_budget
from pipelines.cluster.processes import call, completed, start_server
from pipelines.common.errors import report, run_stage
from pipelines.common.explain import explain
from pipelines.common.files import is_foreign, remove_folder
from pipelines.common.formatting import counted
from pipelines.common.locks import chapter_lock
from pipelines.common.replacing import replaced_folder
from pipelines.params.claims import FACTORS, ClaimsSchema
from pipelines.params.keys import claim_key
from pipelines.params.read import read_params
from pipelines.study.measurements import (
    CLAIMS,
    EVIDENCE,
    RUN,
    ClaimRunMetadata,
    DueClaim,
    Measured,
    Measurement,
    libraries,
    load_run_metadata,
    measure,
    read_measurement,
    write_run_metadata,
)

if TYPE_CHECKING:
    from pipelines.tracking.claim_runs import ClaimRuns


MARKS = (EVIDENCE, RUN)
"Files that every version has written into the folder of a claim."

NONE = CLAIMS / "none"
"The only file of a project without claims: DVC warns of an empty folder."


def main() -> None:
    """Measure the claims of all chapters of params.yaml whose key has changed, and
    print for each chapter which of its claims do not hold.

    Raises ValueError, when all other claims are measured, if claims raise errors.
    """
    sections = dict(sorted(read_params().claims.items()))
    CLAIMS.mkdir(exist_ok=True)
    if not sections:
        NONE.touch()
    with ExitStack() as locks:
        for chapter in sections:
            locks.enter_context(chapter_lock(chapter))
        update_claims(sections)


def update_claims(sections: Mapping[str, ClaimsSchema]) -> None:
    """Do the work of `main`, which holds the locks of the chapters."""
    names = [name for name, chapter in claims().items() if chapter in sections]
    found = {name: read_measurement(CLAIMS / claims()[name] / name) for name in names}
    due = []
    for name in names:
        section = sections[claims()[name]]
        key = claim_key(name, section)
        if not is_finished(found[name], key):
            due.append(DueClaim(name, section, key))
    obsolete = [each for chapter in sections for each in obsolete_folders(chapter)]
    errors = run(due, obsolete, found) if due or obsolete else []
    for chapter in sections:
        measured = [each.name for each in due if claims()[each.name] == chapter]
        print_verdict(chapter, found, n_measured=len(set(measured) - set(errors)))
    if errors:
        count = counted(len(errors), "claim")
        raise ValueError(f"{count} could not be measured: {', '.join(sorted(errors))}")


def obsolete_folders(chapter: str) -> list[Path]:
    """Return the folders of claims that a chapter no longer has, and the temporary
    folders of a killed stage.
    """
    return [
        folder
        for folder in sorted((CLAIMS / chapter).glob("*"))
        if claims().get(folder.name) != chapter and not is_foreign(folder, MARKS)
    ]


def run(
    due: Sequence[DueClaim],
    obsolete: Sequence[Path],
    found: dict[str, Measurement | None],
) -> list[str]:
    """Measure claims, which go into `found`, and remove obsolete folders; return the
    names of the claims that raised an error, which is printed.
    """
    start_server(libraries(each.name for each in due), count=len(due))
    from pipelines.tracking.claim_runs import ClaimRuns

    claim_runs = ClaimRuns()
    for folder in obsolete:
        remove(folder, claim_runs)
    errors = []
    with closing(measure_all(due)) as results:
        for claim, result in results:
            if error := result.exception():
                text = f"the claim {claim.name} was not measured: {explain(error)}"
                failure = ValueError(text)
                failure.__cause__ = error
                report(failure)
                errors.append(claim.name)
            else:
                found[claim.name] = write(result.result(), claim_runs)
    return errors


def measure_all(
    due: Sequence[DueClaim],
) -> Generator[tuple[DueClaim, Future[Measured]]]:
    """Yield each claim and its measurement as soon as it has come."""
    default = [each for each in due if FACTORS[each.section.budget] == 1]
    yield from completed(measure, default)
    for each in due:
        if each not in default:
            with claim_budget(each.section) as budget:
                yield each, call(lambda claim: measure(claim, budget), each)


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


def write(measured: Measured, claim_runs: ClaimRuns) -> Measurement:
    """Log a measurement to MLflow, and write its folder as a whole."""
    folder, seconds = measured.measurement.folder, measured.seconds
    with replaced_folder(folder, root=CLAIMS, marks=MARKS) as temporary:
        for name, content in measured.files.items():
            (temporary / name).write_bytes(content)
        run = claim_runs.log(measured.measurement, temporary, seconds=seconds)
        metadata = ClaimRunMetadata(seconds=round(seconds, 3), mlflow=run)
        write_run_metadata(temporary, metadata)
    return measured.measurement


def remove(folder: Path, claim_runs: ClaimRuns) -> None:
    """Remove the folder of a claim that no longer exists, or a temporary folder of a
    killed stage.
    """
    claim_runs.withdraw(folder.name, chapter=folder.parent.name)
    remove_folder(folder, root=CLAIMS, marks=MARKS)


def print_verdict(
    chapter: str, found: Mapping[str, Measurement | None], *, n_measured: int
) -> None:
    """Print how many claims of a chapter were measured, and which do not hold."""
    names = [name for name in found if claims()[name] == chapter]
    failed = [name for name in names if (each := found[name]) and not each.passed]
    verdict = f"DO NOT HOLD: {', '.join(failed)}" if failed else "all hold"
    count = counted(len(names), "claim")
    print(f"{chapter}: {count}, {n_measured} measured now; {verdict}", flush=True)


if __name__ == "__main__":
    run_stage("claims", main)
