"""The stage `installed` of a project that `ftml init` has made: a file with the version
of ftml and the hash of its code, on which all other stages depend.

The dvc.yaml of such a project cannot name folders of the installed package, whose path
differs between machines. It runs this stage each time (`always_changed`), and DVC runs
the others again if the file differs. Studies whose own key is the same are then reused.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import ftml
import pipelines
from pipelines.common.errors import run_stage
from pipelines.common.files import write_files

FILE = Path("data/.ftml")


def main() -> None:
    """Write the file."""
    folders = [Path(str(each.__file__)).parent for each in (ftml, pipelines)]
    text = f"version: {ftml.__version__}\ncode: {code_digest(*folders)}\n"
    write_files(FILE.parent, {FILE.name: text})


def code_digest(*folders: Path) -> str:
    """Return the SHA-256 hash of all files of packages, except compiled ones."""
    total = hashlib.sha256()
    for folder in folders:
        files = sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        )
        for path in files:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            name = path.relative_to(folder.parent).as_posix()
            total.update(f"{name} {content}\n".encode())
    return total.hexdigest()


if __name__ == "__main__":
    run_stage("installed", main)
