"""The stage `sources` of dvc.yaml: links to all local files that other stages read, at
names that dvc.yaml can have (`pipelines.common.watched`).

It also writes the sections of params.yaml, a file each, on which stages depend in place
of parameters, and the digests of the code of each stage
(`pipelines.common.stage_code`). Every stage depends on such a file, so that DVC runs
this stage first.

Of params.yaml it checks the names alone, since the names are part of the commands of
the stages after it. The values are checked by these stages, so this one is short, and
a fault in one dataset does not stop the stages of another.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Any

from pipelines.common import stage_code, watched
from pipelines.common.errors import run_stage
from pipelines.common.files import PREPARED, check_target
from pipelines.common.names import name_errors
from pipelines.common.yaml_files import read_yaml

PARAMS, DATA = Path("params.yaml"), Path("data")
CHECKED = watched.LINKS / "checked"
"A file that the dvc.yaml of projects has which an earlier `ftml init` has made."
CLAIMS = watched.LINKS / "claims"
"""The section `claims` of params.yaml, on which the stage `claims` depends. DVC refuses
a stage with a parameter that params.yaml does not have, and this section may be absent.
"""
REPORT = watched.LINKS / "report"
"The sections of params.yaml on which the stage `report` depends, in their order."


def main() -> None:
    """Make the links of all datasets and studies of params.yaml.

    A value in the configuration of a study that names a file gets a link even if it is
    no input file; the stage `experiment` makes the links of input files alone. Raises
    ValueError for names that break the rule, and for a folder `data/<dataset>` that is
    not prepared data: DVC would remove it before the dataset is prepared.
    """
    if not PARAMS.is_file():
        raise ValueError(f"{PARAMS}: no such file; run from the project's root")
    params = read_yaml(PARAMS)
    if found := name_errors(params):
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        raise ValueError("\n  ".join([f"{PARAMS}: {count}", *found]))
    datasets: dict[str, Any] = {
        name: {kind: section}
        for kind, sections in _sections(params, "datasets").items()
        for name, section in _named(sections).items()
    }
    for name, section in datasets.items():
        check_target(DATA / name, root=DATA, marks=PREPARED)
        for place in watched.sources_in(section):
            watched.provide(place)
            if not watched.files_of(place):
                print(
                    f"{name}: file:{place}: no such file{_nearest_file(Path(place))}",
                    file=sys.stderr,
                )
    watched.link_datasets(datasets)
    experiments = _sections(params, "experiments")
    watched.write_sections(watched.DATASETS, datasets)
    watched.write_sections(watched.EXPERIMENTS, experiments)
    for name, studies in experiments.items():
        watched.link_studies(name, watched.inputs_in(studies))
    watched.write_section(CLAIMS, dict(sorted(_sections(params, "claims").items())))
    shown = {key: _sections(params, key) for key in ("datasets", "experiments")}
    watched.write_section(REPORT, shown)
    if changed := sorted(watched.write_code(stage_code.digests())):
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        print(f"changed code: {', '.join(changed[:5])}{more}")
    CHECKED.write_text("the names in params.yaml obey the rule\n")


def _nearest_file(path: Path) -> str:
    """Return the nearest name in the folder of a file; "" for none."""
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    found = difflib.get_close_matches(path.name, [each.name for each in beside], n=1)
    return f"; nearest: {path.with_name(found[0])}" if found else ""


def _sections(params: Any, key: str) -> dict[str, Any]:
    return _named(_named(params).get(key))


def _named(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


if __name__ == "__main__":
    run_stage("sources", main)
