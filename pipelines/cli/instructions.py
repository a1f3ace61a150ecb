"""What `ftml reproduce` prints: a run, and the commands that make it again."""

from __future__ import annotations

from importlib.metadata import version
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from pipelines.cli.records import role_and_index
from pipelines.cli.reproduction import Origin, Recorded


def instructions(recorded: Recorded, found: Origin) -> str:
    """Return a description of a run and the commands that reproduce it."""
    run, dataset = recorded.run, recorded.dataset
    digest = recorded.study.data.tags["ftml.data"]
    which, number = role_and_index(run)
    what = {
        "study": "the study",
        "trial": f"trial {number} of",
        "fit": "a final fit of",
    }
    contents = "code, params and data" if found.has_code else "params and data"
    lines = [
        f"run      {run.info.run_id}: {what[which]} {recorded.name} on {dataset} "
        f"({run.info.run_name})",
        f"commit   {found.commit} ({found.subject}); {contents} of the run are its own",
        f"data     stage {found.stage}@{dataset}, from {', '.join(_sources(found))}; "
        f"DVC's hash {digest}",
    ]
    if found.commit != recorded.commit:
        lines.append(
            f"started  at commit {recorded.commit} with changes of the working tree, "
            "which the commit above contains"
        )
    if which != "study":
        values = ", ".join(f"{k}={v}" for k, v in sorted(run.data.params.items()))
        lines.append(f"config   {values or 'the default'}")
    if not found.has_code:
        lines.append(f"code     of the installed ftml {version('ftml')}")
    if found.packages:
        lines.append(f"packages other here than there: {', '.join(found.packages)}")
    lines += [
        "",
        f"git checkout {found.commit}",
        "make setup"
        if found.has_code
        else f"pip install 'ftml[pipeline]=={version('ftml')}'",
        f"dvc repro experiment@{dataset}",
        "",
        "# params.yaml there says of it",
        _yaml(found.params["experiments"]).rstrip(),
    ]
    return "\n".join(lines)


def _sources(found: Origin) -> list[str]:
    (section,) = (
        each
        for sections in found.params["datasets"].values()
        for each in sections.values()
    )
    parts = [
        section,
        *section.get("also", []),
        *([section["word_sets"]] if "word_sets" in section else []),
    ]
    return [each["source"] for each in parts] + (
        [section["test"]] if "test" in section else []
    )


def _yaml(value: Any) -> str:
    stream = StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.dump(value, stream)
    return stream.getvalue()
