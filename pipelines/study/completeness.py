"""Whether the results of a study in `experiments/` are whole, and what can be kept of
those that are not.

`run.json` is written last and holds the SHA-256 of every other file of the folder. A
study is finished when its key is the current one and every listed file agrees with its
digest; a file that is missing or differs is named, and the study is made again. Its
search is not: if `trials.parquet` agrees with its digest, the record of the search is
written again from this table, and only the final fits are trained.

Results of a version that listed no files count as whole if each file that a study needs
is there and can be read. They get digests when the study runs again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ftml.saving import load_tree
from pipelines.study.metrics import (
    METRICS,
    RUN_METADATA,
    RunMetadata,
    load_metrics,
    load_run_metadata,
)
from pipelines.study.plan import Search, pruning_decisions
from pipelines.study.record import Record
from pipelines.study.results import BEST, FITS, MODEL, TRIALS, runs_table

NOT_METRICS = ("trial", "left_out", "n", "stopped", "error")
"Columns of trials.parquet that are no metrics, beside those of the configuration."


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a folder but its run.json, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: _digest(path) for name, path in names.items() if name != RUN_METADATA}


def problems(folder: Path) -> list[str]:
    """Return what is wrong with the files of a finished study, a text for each file;
    empty for a study that is whole.
    """
    try:
        listed = load_run_metadata(folder).files
    except FileNotFoundError:
        return [f"{RUN_METADATA} is missing"]
    except (OSError, ValueError) as error:
        return [f"{RUN_METADATA} is damaged ({error})"]
    if not listed:
        return _unreadable(folder)
    found = {name: _disagreement(folder, name, listed) for name in listed}
    return [f"{name} {problem}" for name, problem in found.items() if problem]


def _disagreement(folder: Path, name: str, listed: Mapping[str, str]) -> str:
    """Return how a listed file disagrees with its digest; empty if it agrees."""
    try:
        agrees = _digest(folder / name) == listed[name]
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if agrees else "has changed"


def _unreadable(folder: Path) -> list[str]:
    """Return which files of a study without digests are missing or cannot be read."""
    readers: dict[str, Callable[[], object]] = {
        METRICS: lambda: load_metrics(folder),
        BEST: lambda: YAML(typ="safe", pure=True).load(folder / BEST)[0]["config"],
        TRIALS: lambda: pq.read_table(folder / TRIALS),
        FITS: lambda: pq.read_table(folder / FITS),
        MODEL: lambda: load_tree(folder / MODEL),
    }
    found = []
    for name, read in readers.items():
        try:
            read()
        except FileNotFoundError:
            found.append(f"{name} is missing")
        except (OSError, ValueError, TypeError, KeyError, IndexError, YAMLError):
            there = (folder / name).exists()
            found.append(f"{name} {'is damaged' if there else 'is missing'}")
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def restore_search(search: Search, folder: Path, *, key: str, n_folds: int) -> bool:
    """Write the record of a search from the trials.parquet of an earlier finish of the
    same study; return whether this was possible.

    folder: the results of the study in `experiments/`. n_folds: number of folds that
    each configuration is tried on. Nothing is written if there is a record, if the
    results are of another key, or if the table disagrees with its digest or does not
    follow again from the record.
    """
    try:
        metadata = load_run_metadata(folder)
        if search.record_path.exists() or metadata.key != key:
            return False
        if metadata.files and _disagreement(folder, TRIALS, metadata.files):
            return False
        stored = pq.read_table(folder / TRIALS)
    except (OSError, ValueError, KeyError):
        return False
    record = _record_of(search, stored.to_pandas(), metadata, n_folds=n_folds)
    if record is None or not _follows(stored, record, search, n_folds=n_folds):
        return False
    record.path.replace(search.record_path)
    return True


def _record_of(
    search: Search, table: pd.DataFrame, metadata: RunMetadata, *, n_folds: int
) -> Record | None:
    """Return the record of a search, in a file beside the place of its record; None if
    a trial is not in the table of runs. The seconds of all trials together are those of
    the search, an equal part for each.
    """
    search.folder.mkdir(parents=True, exist_ok=True)
    path = search.record_path.with_name(".restored")
    path.unlink(missing_ok=True)
    record = Record(path)
    rows: dict[tuple[int, tuple[str, ...]], list[dict[str, Any]]] = {}
    for values in table.to_dict("records"):
        row = {str(name): value for name, value in values.items()}
        rows.setdefault((row["trial"], tuple(row["left_out"])), []).append(row)
    seconds = metadata.search_seconds / len(search.trials)
    for index, trial in enumerate(search.trials):
        found = rows.get((index // n_folds, trial.fold))
        if not found:
            return None
        record.start(index, dict(trial.config), trial.fold, trial.share)
        for row in found:
            if row["n"]:
                record.step(index, row["n"], _metrics(row), seconds)
        error = found[0]["error"]
        record.end(index, error=error if isinstance(error, str) else None)
    return record


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of a row of the table of runs: those that have a value, or all
    of them where none has.
    """
    metrics = {
        name: value
        for name, value in row.items()
        if name not in NOT_METRICS and not name.startswith("config.")
    }
    finite = {name: value for name, value in metrics.items() if not math.isnan(value)}
    return finite or metrics


def _follows(stored: pa.Table, record: Record, search: Search, *, n_folds: int) -> bool:
    """Return whether the table of runs of a record is the stored one."""
    decisions = pruning_decisions(search, record)
    file = BytesIO()
    runs_table(record, decisions, n_folds=n_folds).to_parquet(file, index=False)
    return bool(pq.read_table(file).equals(stored))
