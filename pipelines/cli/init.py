"""Starts a project around one table: writes params.yaml, dvc.yaml and notes."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines.cli.init_repositories import make_repositories
from pipelines.cli.init_request import example_request
from pipelines.cli.init_table import flow, read_options, read_table
from pipelines.cli.proposal import Proposal, choose_target, propose
from pipelines.common.files import write_files
from pipelines.common.names import MAX_LENGTH, name_error
from pipelines.datasets import notes, tables
from pipelines.datasets.fold_counts import check_folds
from pipelines.params.arrays import TableSchema
from pipelines.params.read import read_params
from pipelines.report.render import TEMPLATES as REPORT

TEMPLATES = Path(__file__).parent / "templates"
PARAMS = "params.yaml"
PLOTS = ("comparison.json", "training_curves.json")
"Templates of the plots that DVC draws."

FILES = (PARAMS, "dvc.yaml", "ftml.md", *(f"plots/{name}" for name in PLOTS))
REPORTS = (
    "comparison.csv",
    "datasets",
    "index.html",
    "metrics.json",
    "report.md",
    "training_curves.csv",
)
"What the stage `report` writes into `reports/`."

OUTPUTS = ("data/{}", "experiments/{}", "metrics/{}.json")
"What the stages of a dataset write."

MAY_EXIST = (".gitignore",)
"A file that is kept if it exists; what it lacks is said."


def init(
    file: Path, *, target: str | None, task: str | None, read: str | None, folder: Path
) -> str:
    """Write a project around a table into a folder; return what was found and done.

    Raises ValueError, and writes nothing, for a file that is no table, a target that is
    not certain, a table that the stage `tables` refuses, and a file that exists.
    """
    file, folder = (Path(os.path.abspath(each)) for each in (file, folder))
    refuse_to_overwrite(folder)
    with notes.collect_notes():
        data, options = read_table(file, read_options(read))
        chosen = choose_target(data, target)
        project = Project(
            name=free_name(dataset_name(file), folder),
            file=file,
            folder=folder,
            data=data,
            read=options.model_dump(exclude_defaults=True),
            proposal=propose(data, target=chosen, task=task),
        )
        project, content = checked(project)
    kept = [name for name in MAY_EXIST if (folder / name).exists()]
    for place, text in content.items():
        if place not in kept:
            path = folder / place
            write_files(path.parent, {path.name: text})
    done = make_repositories(folder)
    written = [place for place in content if place not in kept]
    return report(
        project,
        written=written,
        kept={place: content[place] for place in kept},
        done=done,
    )


@dataclass(frozen=True)
class Project:
    """What is known of the project before anything is written."""

    name: str
    file: Path
    folder: Path
    data: pd.DataFrame
    read: Mapping[str, Any]
    proposal: Proposal

    @property
    def source(self) -> str:
        """The path of the table, relative to the project."""
        return os.path.relpath(self.file, self.folder)

    @property
    def baseline(self) -> str:
        return next(iter(self.proposal.studies))


def refuse_to_overwrite(folder: Path) -> None:
    """Raise ValueError if a file that would be written exists."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    files = [*FILES, *(f"reports/{name}" for name in REPORTS)]
    if there := [name for name in files if (folder / name).exists()]:
        verb = "exists" if len(there) == 1 else "exist"
        raise ValueError(
            f"{', '.join(there)} {verb} in {folder}; nothing is overwritten, so remove "
            "what you do not need, or give another folder by --folder"
        )


def free_name(name: str, folder: Path) -> str:
    """Return the name, or with `_table` added where a folder has files that the stages
    of a dataset of this name would replace.
    """
    while any((folder / place.format(name)).exists() for place in OUTPUTS):
        name = f"{name}_table"
    return name


def dataset_name(file: Path) -> str:
    """Return the name of a dataset for a file: ASCII letters, digits and `_`, which
    obeys the rule of names with `_table` added to it, too.
    """
    name = re.sub(r"[^a-z0-9]+", "_", file.name.partition(".")[0].lower()).strip("_")
    if not name[:1].isalpha():
        name = f"table_{name}".strip("_")
    name = name[: MAX_LENGTH // 2]
    taken = name == "comparison" or name_error(name, what="dataset")
    return f"{name}_table" if taken else name


def render(project: Project) -> dict[str, str]:
    """Return the text of each file of a project, by its place in the folder."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["yaml"] = flow
    values = {
        "name": project.name,
        "file": project.file.name,
        "source": project.source,
        "n_rows": len(project.data),
        "n_columns": len(project.data.columns),
        "read": project.read,
        "baseline": project.baseline,
        "request": example_request(project.data, project.proposal, project.read),
        "p": project.proposal,
    }
    plots = {f"plots/{name}": (REPORT / name).read_text() for name in PLOTS}
    return {
        PARAMS: environment.get_template("params.yaml.j2").render(values),
        "dvc.yaml": (TEMPLATES / "dvc.yaml.j2").read_text(),
        "ftml.md": environment.get_template("ftml.md.j2").render(values),
        ".gitignore": environment.get_template("gitignore.j2").render(values),
        **plots,
    }


def checked(project: Project) -> tuple[Project, dict[str, str]]:
    """Return a project that the stage `tables` accepts, and its files.

    Where the rows cannot be split in the order of time, since a class would be in one
    split only, that split is only proposed. Raises ValueError for what the stage would
    refuse.
    """
    content, time = render(project), project.proposal.time
    try:
        check(project, content[PARAMS])
    except ValueError:
        if time is None:
            raise
        plain = replace(project.proposal, time=None, ordered=time)
        project = replace(project, proposal=plain)
        content = render(project)
        check(project, content[PARAMS])
    return project, content


def check(project: Project, text: str) -> None:
    """Prepare the dataset in a temporary folder, as the stage will.

    Raises ValueError for what the stage would refuse.
    """
    with tempfile.TemporaryDirectory(prefix="ftml-init-") as place:
        path = Path(place) / PARAMS
        path.write_text(text, encoding="utf-8")
        plan = read_params(path)
        section = plan.datasets[project.name].section
        local = section.model_copy(update={"source": f"file:{project.file.name}"})
        with contextlib.chdir(project.file.parent):
            tables.prepare(cast(TableSchema, local), Path(place))
        check_folds(Path(place), plan.experiments[project.name])


def report(
    project: Project,
    *,
    written: Sequence[str],
    kept: Mapping[str, str],
    done: Sequence[str],
) -> str:
    """Return what was found, proposed and written, and the next commands."""
    p, data = project.proposal, project.data
    lines = [
        f"{project.file.name}: {len(data)} rows, {len(data.columns)} columns",
        f"  target    {p.target.value}: {p.target.about.partition(': ')[2]}",
        f"  task      {p.task.value}: {p.task.about}",
        f"  metric    {p.metric.value}: {p.metric.about}",
    ]
    if p.missing_target:
        lines.append(f"  left out  {p.missing_target.about}")
    lines += [f"  left out  {name}: {why}" for name, why in p.drop.items()]
    lines += [
        f"  missing   {name}: {each.about}; {each.value}"
        for name, each in p.missing.items()
    ]
    lines.append(f"  split     {split_of(p)}")
    lines += [f"  no cv     {p.no_folds}"] if p.no_folds else []
    lines += [f"  note      {each}" for each in p.remarks]
    lines.append(
        f"  studies   {', '.join(p.studies)}; {project.baseline} is the baseline"
    )
    lines += ["", f"written: {', '.join(written)}"]
    lines += [f"kept: {name}; add to it:\n{text}" for name, text in kept.items()]
    lines += [*done, "", "next:"]
    here = Path.cwd()
    if project.folder != here:
        lines.append(f"  cd {os.path.relpath(project.folder, here)}")
    return "\n".join(
        [
            *lines,
            "  dvc repro                    # prepare, search, test, report",
            f"  ftml compare {project.name}",
            f"  ftml predict models:/{project.name}@champion rows.csv",
        ]
    )


def split_of(proposal: Proposal) -> str:
    """Return how the rows are split, as a sentence."""
    if proposal.time:
        return f"in the order of time, by {proposal.time.value}: {proposal.time.about}"
    if proposal.groups:
        return f"at random; by {proposal.groups.value}? See params.yaml"
    if proposal.ordered:
        return f"at random, but {proposal.ordered.about}; see params.yaml"
    return "at random"
