"""The pages that are written from the code: a family each, and the keys of params.yaml.

A family's page holds the docstring of its module, its configuration, and the figures of
its studies in `experiments/`, where there are any.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ftml.core import families, family
from ftml.data.reading import ReadOptions
from ftml.evidence import claim, claims
from pipelines.cli.catalogue import allowed, docstring, outlines, settings, source_file
from pipelines.common import formatting
from pipelines.params.arrays import SplitSchema
from pipelines.params.base import DatasetSchema
from pipelines.params.claims import ClaimsSchema
from pipelines.params.kinds import KINDS
from pipelines.params.read import data_kinds
from pipelines.params.study import EarlyStopping, Resources, StudySchema
from pipelines.params.text import ReadTextSchema, TextSchema, WordSetsSchema
from pipelines.study.metrics import load_metrics

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ROOT / "experiments"

SCHEMAS = {
    "dataset": DatasetSchema,
    "read": ReadOptions,
    "text": TextSchema,
    "read_text": ReadTextSchema,
    "word_sets": WordSetsSchema,
    "study": StudySchema,
    "resources": Resources,
    "early_stopping": EarlyStopping,
    "split": SplitSchema,
    "claims": ClaimsSchema,
}
"""The sections of params.yaml whose keys are shown beside those of the data kinds, by
the name of the page."""


def write(folder: str) -> None:
    """Write all generated pages below the folder of the documentation."""
    pages = {
        f"generated/{name}.md": keys(schema, schema.model_json_schema())
        for name, schema in SCHEMAS.items()
    }
    for kind in KINDS:
        pages[f"generated/{kind.stage}.md"] = keys(kind.schema, kind.json_schema())
    pages["generated/claims_list.md"] = claims_list()
    pages["families/index.md"] = index()
    pages |= {f"families/{name}.md": page(name) for name in families()}
    for name, text in pages.items():
        path = Path(folder) / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text() != text:  # else built again in vain
            path.write_text(text)


def claims_list() -> str:
    """Return the tables of all claims, by chapter."""
    lines: list[str] = []
    for chapter in sorted(set(claims().values())):
        found = [claim(name) for name, its in claims().items() if its == chapter]
        rows = [
            [
                f"`{each.name}`",
                prose(each.title),
                ", ".join(map(str, each.mistakes)),
                prose(each.source),
            ]
            for each in found
        ]
        columns = ["claim", "statement", "mistake of the notes", "source"]
        lines += [f"### {chapter.replace('_', ' ').capitalize()}", ""]
        lines += [*table(columns, rows), ""]
    return "\n".join(lines)


def index() -> str:
    """Return the page that lists the families by chapter."""
    found = outlines()
    lines = ["# Families", "", f"{len(found)} families, by chapter.", ""]
    for chapter in dict.fromkeys(each.chapter for each in found):
        rows = [
            [f"[{each.name}]({each.name}.md)", each.task.replace("_", " "), each.title]
            for each in found
            if each.chapter == chapter
        ]
        rows = [[row[0], row[1], prose(row[2])] for row in rows]
        lines += [f"## {chapter.replace('_', ' ').capitalize()}", ""]
        lines += [*table(["family", "task", "what it is"], rows), ""]
    names = [each.name for each in found]
    return "\n".join([*lines, "```{toctree}", ":hidden:", "", *names, "```", ""])


def page(name: str) -> str:
    """Return the page of a family."""
    kind = family(name)
    kinds = " or ".join(each.__name__ for each in data_kinds(kind))
    two = f" of {kind.n_classes} classes" if kind.n_classes else ""
    title, _, rest = docstring(kind).partition("\n\n")
    fields = [
        [
            f"`{each.name}`",
            code(each.default),
            prose(each.allowed),
            code(each.search),
            prose(each.about),
        ]
        for each in settings(kind.Config)
    ]
    return "\n".join(
        [
            f"# {name}",
            "",
            prose(title),
            "",
            f"*Task:* {kind.task.replace('_', ' ')}. *Trained on:* {kinds}{two}. "
            f"*Code:* `{source_file(name).relative_to(ROOT)}`",
            "",
            text(rest),
            "",
            "## Configuration",
            "",
            *table(
                ["field", "default", "allowed", "searched by default", "meaning"],
                fields,
            ),
            "",
            *results(name),
        ]
    )


def results(name: str) -> list[str]:
    """Return what the studies of a family left in `experiments/`, with figures."""
    lines: list[str] = []
    for path in sorted(EXPERIMENTS.glob("*/*/metrics.json")):
        metrics = load_metrics(path.parent)
        if metrics.family != name:
            continue
        where = f"{metrics.study} on {metrics.dataset}"
        lines += [
            f"## Last run: {where}",
            "",
            f"Test {metrics.metric}: {metrics.test_score.text}.",
            "",
        ]
        for figure in sorted((path.parent / "figures").glob("*.png")):
            what = f"{figure.stem.replace('_', ' ')} of {where}"
            lines += [f"![{what}](/../{figure.relative_to(ROOT)})", ""]
    return lines


def keys(schema: type[BaseModel], content: dict[str, Any]) -> str:
    """Return the table of the keys that a schema itself declares."""
    rows = [
        [
            f"`{name}`",
            default(each),
            prose(shown(each)),
            prose(" ".join(each.get("description", "").split())),
        ]
        for name, each in content["properties"].items()
        if name in schema.__annotations__  # without the keys of every dataset
    ]
    return "\n".join(table(["key", "default", "allowed", "meaning"], rows)) + "\n"


def default(schema: dict[str, Any]) -> str:
    """Return the default of a key; of a long section only that its keys have some."""
    if "default" not in schema:
        return "required"
    text = json.dumps(schema["default"])
    return code(text) if "$ref" not in schema or len(text) < 80 else "its defaults"


def shown(schema: dict[str, Any]) -> str:
    """Return what a key allows; for a section within a section only that it is one."""
    if "$ref" in schema or any("$ref" in each for each in schema.get("anyOf", [])):
        return "a section of its own"
    if "$ref" in schema.get("items", {}):
        return "a list of sections"
    return allowed(schema).replace("^[0-9a-f]{64}$", "64 hexadecimal digits")


def text(docstring: str) -> str:
    """Return a docstring as Markdown: formulas, which are indented, unchanged."""
    return "\n\n".join(
        f"```text\n{part}\n```" if formula else prose(part)
        for formula, part in formatting.parts(docstring)
    )


def prose(words: str) -> str:
    """Return text in which only `code` means anything to Markdown."""
    parts = re.split(r"(`[^`\n]+`)", words)
    return "".join(
        part if j % 2 else re.sub(r"([\\*_\[\]<>|#$~{}])", r"\\\1", part)
        for j, part in enumerate(parts)
    )


def code(words: str) -> str:
    return f"`{words}`" if words else ""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table of Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return [
        f"| {' | '.join(cell.replace('|', BAR) for cell in row)} |" for row in lines
    ]


BAR = "&#124;"
