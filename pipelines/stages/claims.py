"""The stage `claims`: what the notes say, measured, a chapter at a time.

    python -m pipelines.stages.claims CHAPTER

A claim whose code, seed and budget have not changed is not measured again. One that
does not hold is a result as any other: it is written, logged and said.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftml.config import nearest
from ftml.evidence import Budget, claim, claims
from ftml.saving import whole_folder
from pipelines.cluster.parallel_map import drawing
from pipelines.common.errors import fail
from pipelines.common.formatting import counted
from pipelines.params.claims import ClaimsSchema
from pipelines.params.keys import claim_key
from pipelines.params.read import read_params
from pipelines.study.measurements import (
    CLAIMS,
    ClaimRunMetadata,
    Measurement,
    measurement_of,
    read_measurement,
    write_evidence,
    write_run_metadata,
)

if TYPE_CHECKING:
    from pipelines.tracking.claim_runs import ClaimRuns


def main(arguments: Sequence[str]) -> None:
    """Measure the claims of a chapter that have changed, and say which do not hold."""
    chapters = sorted(set(claims().values()))
    if len(arguments) != 1:
        raise ValueError("usage: python -m pipelines.stages.claims CHAPTER")
    [chapter] = arguments
    if chapter not in chapters:
        raise ValueError(f"unknown chapter {chapter!r}{nearest(chapter, chapters)}")
    section = read_params().claims
    names = [name for name, its in claims().items() if its == chapter]
    gone = [
        folder for folder in (CLAIMS / chapter).glob("*") if folder.name not in names
    ]
    keys = {name: claim_key(name, section) for name in names}
    found = {name: read_measurement(CLAIMS / chapter / name) for name in names}
    waiting = [n for n in names if not (had := found[n]) or had.key != keys[n]]
    if waiting or gone:
        from pipelines.tracking.claim_runs import ClaimRuns

        log = ClaimRuns()
        for folder in gone:
            remove(folder, log)
        with drawing(section) as budget:
            for name in waiting:
                found[name] = measure(name, section, budget, log, key=keys[name])
    failed = [name for name, each in found.items() if each and not each.passed]
    verdict = f"DO NOT HOLD: {', '.join(failed)}" if failed else "all hold"
    count = counted(len(names), "claim")
    print(f"{chapter}: {count}, {len(waiting)} measured now; {verdict}")


def measure(
    name: str, section: ClaimsSchema, budget: Budget, log: ClaimRuns, *, key: str
) -> Measurement:
    """Measure a claim, log it, and write its folder, whole or not at all."""
    read = claim(name)
    start = time.perf_counter()
    evidence = read.check(section.seed, budget)
    seconds = time.perf_counter() - start
    measurement = measurement_of(read, evidence, section, key=key)
    with whole_folder(measurement.folder) as folder:
        write_evidence(folder, measurement, evidence)
        run = log.log(measurement, folder, seconds=seconds)
        metadata = ClaimRunMetadata(seconds=round(seconds, 3), mlflow=run)
        write_run_metadata(folder, metadata)
    return measurement


def remove(folder: Path, log: ClaimRuns) -> None:
    """Remove a claim that is no more, or what a stage that was killed left."""
    log.withdraw(folder.name, chapter=folder.parent.name)
    shutil.rmtree(folder)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        fail(error)
