"""What the current folder is: a project, or the copy of one that DVC has made; and the
identity of the project.

`dvc exp run --temp` and `dvc exp run --queue` run the stages in a copy of the project,
`.dvc/tmp/exps/<name>/` of the project folder. The copy holds what git tracks, and DVC
removes it at the end. What is not tracked, and the default MLflow store, are those of
the project folder.

A project folder has an identity, a random number in `.ftml/identity.json`, by which the
runs that it has started in MLflow are known (`pipelines.tracking.ownership`). Whoever
needs the identity first writes it, once. `git clone` does not copy the file, since
`.ftml` holds a `.gitignore` of its own. Any other copy of the folder is noticed by the
path and the inode that the file records, and gets an identity of its own; a folder that
is moved, or mounted at another path, keeps its identity.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import sys
import uuid
from contextlib import suppress
from pathlib import Path

from pipelines.common.files import place_new

COPIES = (".dvc", "tmp", "exps")
"Where DVC makes the copies, below the project folder."

OWN_FOLDER = ".ftml"
"Folder for what belongs to this project folder and is neither tracked nor copied."

IDENTITY = f"{OWN_FOLDER}/identity.json"

IDENTITY_VARIABLE = "FTML_IDENTITY"
"Environment variable: the identity of a folder that is made anew for each job."


def project_folder(folder: Path | None = None) -> Path:
    """Return the project folder of a copy that DVC has made for an experiment; any
    other folder is its own project folder. `folder` is the current one by default.
    """
    here = (folder or Path.cwd()).resolve()
    for parent in here.parents:
        if parent.parts[-len(COPIES) :] == COPIES:
            return parent.parents[len(COPIES) - 1]
    return here


def holds_code(folder: Path) -> bool:
    """Return whether a folder holds the code of ftml; a project that `ftml init` has
    made holds none, and uses the installed package.
    """
    return (folder / "ftml" / "core.py").is_file()


def folder_identity(folder: Path | None = None, *, create: bool = True) -> str:
    """Return the identity of the project folder, 32 hexadecimal digits, which is
    written if the folder has none; FTML_IDENTITY replaces it.

    create: whether it is written; if not, a folder without an identity has "".
    Raises ValueError for a file or a variable that holds no identity.
    """
    if given := os.environ.get(IDENTITY_VARIABLE):
        if not _is_identity(given):
            raise ValueError(
                f"{IDENTITY_VARIABLE}: expected 32 hexadecimal digits, got {given!r}"
            )
        return given
    path = project_folder(folder) / IDENTITY
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _write(path, uuid.uuid4().hex, replace=False) if create else ""
    except ValueError:
        content = None
    if not (isinstance(content, dict) and _is_identity(content.get("identity"))):
        raise ValueError(
            f"{path}: holds no identity; remove the file, and this folder gets a new "
            "one, under which it does not continue its earlier runs in MLflow"
        )
    identity = str(content["identity"])
    if content.get("folder") == str(path.parent.parent):
        return identity
    if _is_copy(path, content):
        print(
            f"{path.parent.parent} is a copy of {content.get('folder')}, and gets an "
            "identity of its own in MLflow",
            file=sys.stderr,
        )
        identity = uuid.uuid4().hex
    return _write(path, identity, replace=True)


def job_identity(folder: Path | None = None) -> str:
    """Return the identity of the jobs that this project folder submits to a cluster:
    jobs continue the runs of earlier jobs, and never those of a driver in the folder.
    """
    text = f"{folder_identity(folder)} job"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _is_identity(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{32}", value) is not None


def _is_copy(path: Path, content: dict[str, object]) -> bool:
    """Return whether an identity that was written at another path has been copied: the
    file is another one, and that of the other path is still there, or is on another
    machine, where this cannot be known.
    """
    if path.stat().st_ino == content.get("inode"):
        return False
    if content.get("host") != socket.gethostname():
        return True
    with suppress(OSError, ValueError):
        other = json.loads((Path(str(content["folder"])) / IDENTITY).read_text())
        return bool(other["identity"] == content["identity"])
    return False


def _write(path: Path, identity: str, *, replace: bool) -> str:
    """Write the identity of a folder as a whole and return it; without `replace`,
    return the identity that another process has written first.
    """
    path.parent.mkdir(exist_ok=True)
    (path.parent / ".gitignore").write_text("*\n")
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with beside.open("x", encoding="utf-8") as file:
        content = {
            "identity": identity,
            "folder": str(path.parent.parent),
            "host": socket.gethostname(),
            "inode": os.fstat(file.fileno()).st_ino,
        }
        json.dump(content, file, indent=1)
    try:
        if replace:
            os.replace(beside, path)
        else:
            place_new(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return str(json.loads(path.read_text(encoding="utf-8"))["identity"])
