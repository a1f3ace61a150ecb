"""The git repository and the DVC project of a folder, which `ftml init` makes where
there are none.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def make_repositories(folder: Path) -> list[str]:
    """Make a git repository and a DVC project where there are none; return what was
    done and what was found.
    """
    done = []
    root = git_root(folder)
    if root is None:
        run(["git", "init", "--quiet"], folder)
        done.append("git: a repository was made here (git init)")
        root = folder
    else:
        done.append(f"git: the repository at {root} is used")
    if (found := dvc_root(folder)) is not None:
        return [*done, f"dvc: the project at {found} is used"]
    command = [sys.executable, "-P", "-m", "dvc", "init", "--quiet"]
    run([*command, *(["--subdir"] if root != folder else [])], folder)
    return [*done, "dvc: a project was made here (dvc init)"]


def git_root(folder: Path) -> Path | None:
    """Return the root of the git repository that holds a folder, if there is one."""
    command = ["git", "rev-parse", "--show-toplevel"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return None if done.returncode else Path(done.stdout.strip())


def dvc_root(folder: Path) -> Path | None:
    """Return the root of the DVC project that holds a folder, if there is one."""
    here = [folder, *folder.parents]
    return next((each for each in here if (each / ".dvc" / "config").is_file()), None)


def run(command: Sequence[str], folder: Path) -> None:
    """Run a command in a folder. Raises ValueError with its message if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        said = " ".join(
            command[command.index("-m") + 1 :] if "-m" in command else command
        )
        raise ValueError(f"the files are written, but `{said}` failed: {lines[-1]}")
