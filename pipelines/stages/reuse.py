"""Studies that the stage `experiment` does not run again: whether their results are
whole, and what MLflow lacks of them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.common.formatting import shorten
from pipelines.params.read import Study
from pipelines.study import completeness
from pipelines.study.metrics import (
    finished_key,
    load_run_metadata,
    write_run_metadata,
)
from pipelines.study.restore import RestoreError, count_fits
from pipelines.tracking import local_store

if TYPE_CHECKING:  # a stage that reuses all its studies imports neither Ray nor MLflow
    from pipelines.tracking.log_again import Store


def is_finished(study: Study, key: str) -> bool:
    """Return whether a study has whole results with this key; name the files that are
    missing or have changed.
    """
    problems = completeness.problems(study.folder) if study.folder.exists() else []
    if problems:
        print(
            f"{study.name}: {study.folder} is not as it was written: "
            f"{shorten(problems, 3)}; the study is made again",
            file=sys.stderr,
            flush=True,
        )
    return not problems and finished_key(study.folder) == key


def log_missing_runs(
    studies: Sequence[Study], *, keys: Mapping[str, str], digest: str
) -> bool:
    """Log what the store has lost of studies that are reused, from their results on
    disk, with one line for each study; return whether anything was logged.

    A local store is asked without MLflow first, whose import takes seconds. A server
    that does not respond is not waited for.
    """
    wanted = [
        study
        for study in studies
        if not local_store.has_study(keys[study.name], n_fits=count_fits(study))
    ]
    if not wanted:
        return False
    from pipelines.tracking.client import ServerUnavailableError, open_store
    from pipelines.tracking.log_again import Store

    try:
        client = open_store()
    except ServerUnavailableError as error:
        print(f"{error}; whether it has the reused studies is unknown", file=sys.stderr)
        return False
    store = Store(client, wanted[0].dataset, keys=keys, digest=digest)
    logged = False
    for study in wanted:
        try:
            lacking = store.log_missing(study)
        except RestoreError as error:  # the other studies are logged
            print(f"{study.name}: not logged again, {error}", file=sys.stderr)
            continue
        if lacking:
            logged = True
            print(
                f"{study.name}: logged again, since MLflow lacked {', '.join(lacking)}",
                flush=True,
            )
            update_ids(study, store)
    return logged


def update_ids(study: Study, store: Store) -> None:
    """Write the ids that a study has in the store into its run.json."""
    metadata, ids = load_run_metadata(study.folder), store.ids(study)
    if ids is not None and ids != metadata.mlflow:
        write_run_metadata(study.folder, replace(metadata, mlflow=ids))
