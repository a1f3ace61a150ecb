"""Finds the commit that a run was made from.

The commit is checked out in a temporary clone, and the key of the study is computed
there with the code of that commit. If it equals the key of the run, then the code,
params and data of the run are those of the commit, and the run depends on nothing else.
Otherwise the run was made from a working tree with changes. These may have been
committed after the run, so the next commit and HEAD are tried too.

The key contains the digest of the prepared data. Where a commit holds local files of
the dataset, its stage prepares them in the clone, and the digest of the result must be
that of the run. Other sources are taken to be unchanged; `--verify` prepares them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from ruamel.yaml import YAML

from pipelines.cli import committed_data
from pipelines.cli.packages import other_packages
from pipelines.cli.records import ROLES, open_existing_store, role, run_of
from pipelines.common.names import check_name
from pipelines.common.project import holds_code
from pipelines.tracking import client as tracking_client

LOCK = "requirements.lock"
"The versions of all packages at a commit of ftml."

PROBE = """
import json, sys
try:
    from pipelines.params.keys import study_key
    from pipelines.params.read import ParamsError, read_params
except ModuleNotFoundError:  # a commit before the packages of pipelines
    from pipelines.keys import study_key
    from pipelines.params import ParamsError, read_params
dataset, name, digest = sys.argv[1:]
try:
    studies = read_params().experiments.get(dataset, ())
except ParamsError as error:
    sys.exit(" ".join(str(error).split()))
print(json.dumps([study_key(s, digest) for s in studies if s.name == name]))
"""
"Prints the key that a study has in the folder where this script runs."


@dataclass(frozen=True)
class Recorded:
    """A run of MLflow, and the study that it belongs to."""

    client: MlflowClient
    run: Run
    study: Run
    "the run itself, or its parent"

    dataset: str

    @property
    def name(self) -> str:
        return str(self.study.data.tags["ftml.study"])

    @property
    def commit(self) -> str:
        return str(self.study.data.tags["mlflow.source.git.commit"])


@dataclass(frozen=True)
class Origin:
    """The commit that a run was made from, and what it contains about the run."""

    commit: str
    "hash of the commit"

    subject: str
    "first line of the commit's message"

    params: Mapping[str, Any]
    "params.yaml, reduced to the dataset and the study"

    stage: str
    "the stage that prepares the dataset"

    has_code: bool
    "whether the commit holds the code of ftml"

    packages: tuple[str, ...]
    "packages whose version differs, as: name, version here, (version at the commit)"


def find(run_id: str) -> Recorded:
    """Return a run of the store by its id or the beginning of its id.

    Raises ValueError for a run that does not exist, is not one of ftml's, or names no
    commit.
    """
    client = open_existing_store()
    try:
        run = run_of(client, run_id)
        if role(run) not in ROLES:
            kind = role(run) or "not a run of ftml"
            raise ValueError(f"run {run_id} is {kind}, not a {', '.join(ROLES)}")
        study = run if role(run) == "study" else _parent(client, run)
    except MlflowException as error:
        if tracking_client.is_transient_error(error):
            raise
        raise ValueError(f"no run {run_id} in this MLflow store") from None
    dataset = client.get_experiment(run.info.experiment_id).name
    if not study.data.tags.get("mlflow.source.git.commit"):
        raise ValueError(
            f"run {run_id} names no commit: it was started outside of a git "
            "repository or before its first commit, so its code is unknown"
        )
    recorded = Recorded(client, run, study, dataset)
    for name in (dataset, recorded.name):  # they become parts of commands
        check_name(name)
    return recorded


def _parent(client: MlflowClient, run: Run) -> Run:
    return client.get_run(run.data.tags["mlflow.parentRunId"])


@contextmanager
def checked_out(recorded: Recorded) -> Iterator[Path]:
    """Provide the current folder in a temporary clone of its repository, at the commit
    of a run.

    Raises ValueError when this repository does not have the commit, or the commit does
    not have the folder.
    """
    commit = recorded.commit
    root = _git(Path.cwd(), "rev-parse", "--show-toplevel")
    if root is None:
        raise ValueError(
            f"{Path.cwd()} is in no git repository; run this in the project of the run"
        )
    if _git(Path(root), "cat-file", "-e", f"{commit}^{{commit}}") is None:
        raise ValueError(
            f"commit {commit} of run {recorded.run.info.run_id} is not in the history "
            "here; fetch it (git fetch --all), or ask the owner of the run to push it"
        )
    below = _git(Path.cwd(), "rev-parse", "--show-prefix") or ""
    with tempfile.TemporaryDirectory(prefix="ftml-reproduce-") as folder:
        # At the same depth, so that `../table.csv` is a file in the temporary folder.
        clone = Path(folder, *Path(root).parts[1:])
        # A shared clone also has commits that are on no branch.
        _git(Path(root), "clone", "--shared", "--no-checkout", root, str(clone))
        _git(clone, "checkout", "--detach", commit)
        if not (clone / below).is_dir():
            raise ValueError(f"commit {commit} has no folder {below}, the current one")
        yield clone / below


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None when it fails."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise ValueError("git is not installed") from None
    return done.stdout.strip() if done.returncode == 0 else None


def origin(recorded: Recorded, clone: Path) -> Origin:
    """Return the commit that a run was made from, with the clone at this commit: its
    own, or one in which changes of the working tree were committed after the run.

    Raises ValueError when the study's key is that of the run at none of them.
    """
    reasons = []
    for commit in candidates(recorded, clone):
        _git(clone, "checkout", "--force", "--detach", commit)
        reason = mismatch(recorded, clone, commit)
        if not reason:
            return _origin_at(recorded, clone, commit)
        reasons.append(reason)
    later = "; nor are they those of the next commit or of HEAD" * (len(reasons) > 1)
    raise ValueError(reasons[0] + later)


def candidates(recorded: Recorded, clone: Path) -> list[str]:
    """Return the commits from which a run may have been made: its own, the one after
    it, and HEAD of this repository.
    """
    own = recorded.commit
    head = _git(Path.cwd(), "rev-parse", "HEAD") or own
    path = ["--reverse", "--ancestry-path", f"{own}..{head}"]
    after = (_git(clone, "rev-list", *path) or "").split()
    return list(dict.fromkeys([own, *after[:1], head]))


def mismatch(recorded: Recorded, clone: Path, commit: str) -> str:
    """Return why a run was not made from the commit of a clone; "" if it was."""
    tags = recorded.study.data.tags
    # -P: a folder `pipelines` of a user's own project is not imported.
    command = [sys.executable, "-P", "-c", PROBE]
    command += [recorded.dataset, recorded.name, tags["ftml.data"]]
    done = subprocess.run(
        command, cwd=clone, env=environment(clone), capture_output=True, text=True
    )
    short = commit[:12]
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        return f"commit {short} cannot read the study: {reason}"
    keys = json.loads(done.stdout.rpartition("\n")[0] or done.stdout)
    if not keys:
        return (
            f"dirty tree: params.yaml of commit {short} has no study {recorded.name} "
            f"of {recorded.dataset}; commit it, and repeat the command"
        )
    if keys != [tags["ftml.key"]]:
        theirs = f"key {tags['ftml.key'][:12]}, of the commit {keys[0][:12]}"
        return _other_key(recorded.name, short, theirs, has_code=holds_code(clone))
    return committed_data.mismatch(
        clone,
        recorded.dataset,
        digest=tags["ftml.data"],
        commit=short,
        environment=environment(clone),
    )


def _other_key(name: str, commit: str, keys: str, *, has_code: bool) -> str:
    """Return why a study has another key at a commit than its run."""
    if has_code:
        return (
            f"dirty tree: code, params or data of {name} were not those of commit "
            f"{commit} ({keys}); commit what was changed, and repeat the command"
        )
    return (
        f"dirty tree: params or data of {name} were not those of commit {commit}, or "
        "the run was made by another version of ftml than the installed "
        f"{version('ftml')} ({keys}); commit what was changed or install that version, "
        "and repeat the command"
    )


def _origin_at(recorded: Recorded, clone: Path, commit: str) -> Origin:
    """Return what the commit of a clone contains about a run."""
    params = YAML(typ="safe", pure=True).load((clone / "params.yaml").read_text())
    stage, section = committed_data.prepared_by(params, recorded.dataset)
    study = params["experiments"][recorded.dataset][recorded.name]
    only: dict[str, Any] = {
        "datasets": {each: {} for each in params["datasets"]},
        "experiments": {recorded.dataset: {recorded.name: study}},
    }
    # The baseline is another study, which does not affect this one.
    kept = {key: value for key, value in section.items() if key != "baseline"}
    only["datasets"][stage] = {recorded.dataset: kept}
    subject = _git(clone, "log", "-1", "--format=%s") or ""
    packages = other_packages(clone / LOCK)
    return Origin(commit, subject, only, stage, holds_code(clone), packages)


def environment(clone: Path) -> dict[str, str]:
    """Return the environment variables of processes in a clone, which import its code,
    or the installed ftml where it has none, and use an MLflow store and a Ray of their
    own.
    """
    mine = ("MLFLOW_", "RAY_ADDRESS", "FTML_", "PYTHONPATH", "DVC_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(mine)}
    tools = Path(sys.executable).parent
    kept["PATH"] = f"{tools}{os.pathsep}{kept.get('PATH', '')}"
    if holds_code(clone):
        kept["PYTHONPATH"] = str(clone)
    return kept
