"""Repairs dvc.lock, and DVC's file of read and write locks, after a kill.

DVC truncates `dvc.lock` and writes it again, all stages of it, whenever a stage has
ended. A signal in that time leaves the beginning of the file, and every later command
of DVC ends with `'./dvc.lock' validation failed` or `is invalid`.
`repair` puts it together again, stage by stage, from

1. the beginning that is left, without its last stage, which may be incomplete;
2. `.dvc/tmp/ftml-dvc.lock`, the last whole file that `repair` has seen;
3. the file in the last commit of git.

Nothing is trained for that. An entry that is too old is one that DVC finds changed: it
runs the stage, which takes its results from the run cache of DVC if it prepares data,
and reuses its finished studies if it runs an experiment. The same holds for a stage
that has no entry any more, and for a file that ends between two stages, which is valid.

`.dvc/tmp/rwlock` says which stages read and write what while they run. It is written
in the same way; a file that is not JSON is removed, which is what DVC's message says.
While a command of DVC holds its lock on the folder, nothing is repaired.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

from pipelines.common.files import write_files
from pipelines.common.locks import is_locked

LOCK = Path("dvc.lock")
TEMPORARY = Path(".dvc/tmp")
DVC_LOCK, RWLOCK = TEMPORARY / "lock", TEMPORARY / "rwlock"
COPY = TEMPORARY / "ftml-dvc.lock"
"The last whole dvc.lock."


def repair() -> None:
    """Repair what a killed DVC has left in the current folder, and say so in a line for
    each file; keep a copy of a dvc.lock that is whole.
    """
    if is_locked(DVC_LOCK):
        return
    if RWLOCK.exists() and not _is_json(RWLOCK):
        RWLOCK.unlink()
        _say(f"{RWLOCK}: a killed dvc has left it incomplete; it is removed")
    if not LOCK.exists():
        return
    content = LOCK.read_bytes()
    if COPY.exists() and COPY.read_bytes() == content:
        return  # known to be whole; reading its stages takes seconds
    if stages_of(content) is None:
        _restore(content)
    elif TEMPORARY.is_dir():
        write_files(COPY.parent, {COPY.name: content.decode()})


def stages_of(content: bytes) -> dict[str, object] | None:
    """Return the stages of a dvc.lock; None for a file that DVC rejects."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA  # type: ignore[import-untyped]
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from voluptuous import Invalid

    try:
        found = COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe", pure=True).load(content))
    except (YAMLError, Invalid, UnicodeDecodeError):
        return None
    stages: dict[str, object] = found.get("stages") or {}
    return stages


def _restore(content: bytes) -> None:
    """Write dvc.lock from the beginning that is left and from earlier versions."""
    beginning = _beginning(content)
    earlier = _earlier()
    stages = earlier | beginning
    if not stages:
        LOCK.unlink()
        _say(
            f"{LOCK}: a killed dvc has left it incomplete, and there is no copy; it is "
            "removed, and finished studies are reused"
        )
        return
    write_files(Path(), {LOCK.name: _format(stages)})
    _say(
        f"{LOCK}: a killed dvc has left it incomplete; {len(beginning)} stages are "
        f"restored from it and {len(stages) - len(beginning)} from an earlier version, "
        "and nothing is trained again"
    )


def _beginning(content: bytes) -> dict[str, object]:
    """Return the stages of an incomplete dvc.lock but the last one that it begins."""
    heads = [match.start() for match in re.finditer(rb"(?m)^  [^\s#-]", content)]
    return (stages_of(content[: heads[-1]]) or {}) if len(heads) > 1 else {}


def _earlier() -> dict[str, object]:
    """Return the stages of the last whole file, and others of the last commit."""
    try:
        kept = stages_of(COPY.read_bytes()) or {}
    except OSError:
        kept = {}
    command = ["git", "show", f"HEAD:./{LOCK}"]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return kept
    return (stages_of(done.stdout) or {}) | kept


def _format(stages: dict[str, object]) -> str:
    """Return the text of a dvc.lock, as DVC writes it."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    text = StringIO()
    yaml.dump({"schema": "2.0", "stages": stages}, text)
    return text.getvalue()


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
