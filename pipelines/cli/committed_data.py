"""Whether the local files of a commit are the data of a run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipelines.common import watched
from pipelines.params.keys import data_digest


def prepared_by(params: Mapping[str, Any], dataset: str) -> tuple[str, dict[str, Any]]:
    """Return the stage that prepares a dataset, and its section of params.yaml."""
    return next(
        (stage, sections[dataset])
        for stage, sections in params["datasets"].items()
        if dataset in (sections or {})
    )


def mismatch(
    clone: Path,
    dataset: str,
    *,
    digest: str,
    commit: str,
    environment: Mapping[str, str],
) -> str:
    """Return why a dataset, prepared by its stage in a clone at a commit, has not this
    digest; "" if it has, or if the commit holds no local file of the dataset.

    Files that git does not track are those of the project folder.
    """
    params = YAML(typ="safe", pure=True).load((clone / "params.yaml").read_text())
    stage, section = prepared_by(params, dataset)
    places = list(dict.fromkeys(watched.sources_in(section)))
    inside = [each for each in places if not os.path.isabs(each)]
    if not any(watched.files_of(str(clone / each)) for each in inside):
        return ""
    for place in places:
        watched.provide(place, copy=clone)
    done = subprocess.run(
        [sys.executable, "-P", "-m", f"pipelines.stages.{stage}", dataset],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
    )
    what = f"{', '.join(places)} of commit {commit}"
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2].removeprefix("error: ")
        return f"the stage {stage}@{dataset} refuses {what}: {reason}"
    found = data_digest(clone / "data" / dataset)
    if found == digest:
        return ""
    return (
        f"dirty tree: the data of the run were not prepared from {what} (digest "
        f"{digest[:12]}, of the commit {found[:12]}); commit the files that the run "
        "has read, and repeat the command"
    )
