"""One hash of everything that the result of a study depends on.

If the hash has not changed, the study is not run again.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftml.config import input_files
from ftml.core import families
from ftml.evidence import claims

if TYPE_CHECKING:
    from pipelines.params.claims import ClaimsSchema
    from pipelines.params.plan import Study

COMMIT = "FTML_COMMIT"

WRITTEN_BY_DVC = ("dvc.lock", "metrics/", "reports/")
"Files that `dvc repro` rewrites and git tracks."

CODE = ("ftml/", "pipelines/", "params.yaml", "dvc.yaml")
"What a run is made from; of other files, only changes of tracked ones matter."

FORMAT = 3
"Raise this when a change of the pipeline itself makes earlier results incomparable."


def study_key(study: Study, data_digest: str) -> str:
    """Return the hash of a study's params, its data, and the source of its family and
    task. Of its resources, only a number of threads other than 1 is part of it.
    """
    section = study.section.model_dump(mode="json", exclude={"resources"})
    content = {
        "format": FORMAT,
        "block": section,
        "metric": study.dataset.metric,
        "data": data_digest,
        "source": _hashes(source_modules(*study_modules(study))),
        "files": _hashes(input_files(study.config)),
    }
    if (threads := study.section.resources.threads) != 1:
        content["threads"] = threads
    return _hash(json.dumps(content, sort_keys=True).encode())


def claim_key(name: str, section: ClaimsSchema) -> str:
    """Return the hash of how a claim is measured and of all source that it reaches."""
    content = {
        "format": FORMAT,
        "block": section.model_dump(mode="json"),
        "source": _hashes(source_modules(f"ftml.claims.{claims()[name]}.{name}")),
    }
    return _hash(json.dumps(content, sort_keys=True).encode())


def study_modules(study: Study) -> list[str]:
    """Return the modules that a study begins with: its task, its family, and families
    that its configurations name.
    """
    known = families()
    drawn = [each for space in study.space.values() for each in space.ends()]
    values = [*study.config.model_dump().values(), *drawn]
    named = [value for value in values if isinstance(value, str) and value in known]
    return [
        study.family.Config.__module__,
        f"ftml.tasks.{study.family.task}",
        *(f"ftml.families.{known[name]}.{name}" for name in named),
    ]


def data_digest(folder: Path) -> str:
    """Return DVC's own hash of a folder, as dvc.lock has it: `<md5>.dir`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = [
        {
            "md5": hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(),
            "relpath": path.relative_to(folder).as_posix(),
        }
        for path in files
    ]
    listed.sort(key=lambda entry: entry["relpath"])
    text = json.dumps(listed, sort_keys=True).encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest() + ".dir"


def source_modules(*names: str) -> dict[str, Path]:
    """Return the source file of these modules and of all that they import from ftml."""
    found: dict[str, Path] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        path = _module_path(name)
        if path is not None and name not in found:
            found[name] = path
            waiting += [each for each in imported(path) if each.split(".")[0] == "ftml"]
    return dict(sorted(found.items()))


def imported(path: Path) -> tuple[str, ...]:
    """Return the names of all modules that a source file may import.

    `from a import b` gives both `a` and `a.b`, whether or not b is a module.
    """
    return _imported_by(path.read_bytes())


@cache  # by content: studies of one stage share most modules
def _imported_by(source: bytes) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(found)


@cache
def _module_path(name: str) -> Path | None:
    """Return the file of a module of ftml; None where the name is not a module."""
    try:
        spec: Any = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _hashes(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: _hash(path.read_bytes()) for name, path in files.items()}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@cache
def commit() -> str:
    """Return the commit that this code is of: the checked-out one, or what COMMIT in
    the environment says, for a copy without a repository; nothing where neither is.
    """
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get(COMMIT, "")
    return done.stdout.strip()


@cache
def uncommitted() -> tuple[str, ...]:
    """Return the files whose content is not that of `commit()`, sorted: changed files,
    and untracked files of the code and params. Files that DVC writes do not count, nor
    does anything where git or a repository is missing.
    """
    command = ["git", "status", "--porcelain", "-z", "--untracked-files=all", "."]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        root = subprocess.run(
            ["git", "rev-parse", "--show-prefix"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ()
    prefix = root.stdout.strip()
    entries = iter(done.stdout.split("\0"))
    found = []
    for entry in entries:
        status, path = entry[:2], entry[3:].removeprefix(prefix)
        if status[:1] in ("R", "C"):
            next(entries)  # the former name
        matters = status != "??" or path.startswith(CODE)
        if path and matters and not path.startswith(WRITTEN_BY_DVC):
            found.append(path)
    return tuple(sorted(found))
