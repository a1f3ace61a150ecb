"""The stage `sources` of dvc.yaml: links to all local files that other stages read, at
names that dvc.yaml can have (`pipelines.common.watched`).

It does not check params.yaml, which the stages after it do: so it takes less than a
second, and a fault in one dataset does not stop the stages of another.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipelines.common import watched
from pipelines.common.errors import run_stage

PARAMS, CLAIMS = Path("params.yaml"), Path("claims")


def main() -> None:
    """Make the links of all datasets and studies of params.yaml.

    A value in the configuration of a study that names a file gets a link even if it is
    no input file; the stage `experiment` makes the links of input files alone.
    """
    if not PARAMS.is_file():
        raise ValueError(f"{PARAMS}: no such file; run from the project's root")
    params = YAML(typ="safe", pure=True).load(PARAMS.read_text())
    datasets: dict[str, Any] = {
        name: section
        for sections in _sections(params, "datasets").values()
        for name, section in _named(sections).items()
    }
    for name, section in datasets.items():
        for place in watched.sources_in(section):
            watched.provide(place)
            if not watched.files_of(place):
                print(f"{name}: file:{place}: no such file", file=sys.stderr)
    watched.link_datasets(datasets)
    for name, studies in _sections(params, "experiments").items():
        watched.link_studies(name, watched.inputs_in(studies))
    # The report depends on this folder; without `claims` in params.yaml no other stage
    # makes it. DVC warns of an empty one.
    CLAIMS.mkdir(exist_ok=True)
    if not _sections(params, "claims"):
        (CLAIMS / "none").touch()


def _sections(params: Any, key: str) -> dict[str, Any]:
    return _named(_named(params).get(key))


def _named(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


if __name__ == "__main__":
    run_stage("sources", main)
