"""What the current folder is: a project, or the copy of one that DVC has made.

`dvc exp run --temp` and `dvc exp run --queue` run the stages in a copy of the project,
`.dvc/tmp/exps/<name>/` of the project folder. The copy holds what git tracks, and DVC
removes it at the end. What is not tracked, and the default MLflow store, are those of
the project folder.
"""

from __future__ import annotations

from pathlib import Path

COPIES = (".dvc", "tmp", "exps")
"Where DVC makes the copies, below the project folder."


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
