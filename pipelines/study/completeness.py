"""Whether the results of a study in `experiments/` are whole.

`run.json` is written last and holds the SHA-256 of every other file of the folder. A
study is finished when its key is the current one and every listed file agrees with its
digest; a file that is missing or differs is named, and the study is made again. Its
search is not, if `trials.parquet` agrees with its digest (`restore.restore_search`).

Results of a version that listed no files count as whole if each file that a study needs
is there and can be read. They get digests when the study runs again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow.parquet as pq
from ruamel.yaml.error import YAMLError

from ftml.saving import load_tree
from pipelines.study.metrics import (
    METRICS,
    RUN_METADATA,
    load_metrics,
    load_run_metadata,
)
from pipelines.study.results import BEST, FITS, MODEL, TRIALS, load_best


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
    found = {name: disagreement(folder, name, listed) for name in listed}
    return [f"{name} {problem}" for name, problem in found.items() if problem]


def disagreement(folder: Path, name: str, listed: Mapping[str, str]) -> str:
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
        BEST: lambda: load_best(folder),
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
