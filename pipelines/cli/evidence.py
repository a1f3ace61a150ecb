"""What `ftml claims` prints: all claims with their measurements, or one."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pandas as pd
from rich.table import Table

from ftml.config import nearest
from ftml.evidence import claim, claims
from pipelines.cli.output import closest
from pipelines.cli.terminal import table
from pipelines.cluster.parallel_map import claim_budget
from pipelines.common.figures import write_png
from pipelines.common.formatting import counted, format_number, setting
from pipelines.params.claims import FACTORS, ClaimsSchema
from pipelines.study.measurements import (
    CLAIMS,
    Measurement,
    measurement_of,
    read_measurement,
)

COLUMNS = ["claim", "chapter", "expected", "measured", "tolerance", "value in source"]


def listed(*, chapter: str | None = None) -> list[Table | str]:
    """Return the table of all claims, or those of a chapter, with the measurements of
    the stage `claims`.

    Raises ValueError for an unknown chapter.
    """
    known = sorted(set(claims().values()))
    if chapter is not None and chapter not in known:
        raise ValueError(f"unknown chapter {chapter!r}{nearest(chapter, known)}")
    rows = [
        _row(name, its, read_measurement(CLAIMS / its / name))
        for name, its in sorted(claims().items(), key=lambda item: item[::-1])
        if chapter in (None, its)
    ]
    measured = sum(bool(row[-2]) for row in rows)
    below = (
        f"{counted(len(rows), 'claim')}, {measured} measured here; `dvc repro claims` "
        "measures all, `ftml claims NAME` one."
    )
    return [table([*COLUMNS, "holds", "statement"], rows, unbroken=2), below]


def _row(name: str, chapter: str, found: Measurement | None) -> list[str]:
    if found is None:
        return [name, chapter, "", "", "", "", "", _title(name, chapter)]
    printed = (
        "" if found.value_in_source is None else format_number(found.value_in_source)
    )
    return [
        name,
        chapter,
        format_number(found.expected),
        format_number(found.measured),
        setting(found.tolerance),
        printed,
        "yes" if found.passed else "NO",
        found.title,
    ]


def _title(name: str, chapter: str) -> str:
    """Return the first line of a claim's docstring.

    The module is parsed, not imported, because importing torch takes seconds.
    """
    spec = importlib.util.find_spec(f"ftml.claims.{chapter}.{name}")
    source = (
        Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    )
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def section(seed: int, budget: str) -> ClaimsSchema:
    """Return the settings of a measurement. Raises ValueError for an unknown budget."""
    if budget not in FACTORS:
        raise ValueError(f"unknown budget {budget!r}{nearest(budget, FACTORS)}")
    return ClaimsSchema.model_validate({"seed": seed, "budget": budget})


def measured(
    name: str, section: ClaimsSchema, *, figure: Path | None = None
) -> tuple[bool, list[Table | str]]:
    """Measure a claim now; return whether it holds, and what is printed about it.

    figure: the PNG file to which the claim's figure is written. Raises ValueError for
    an unknown claim, and for the figure of a claim that has none.
    """
    if name not in claims():
        known = closest(name, sorted(claims())) or "; `ftml claims` lists all"
        raise ValueError(f"unknown claim {name!r}{known}")
    checked = claim(name)
    with claim_budget(section) as budget:
        evidence = checked.check(section.seed, budget)
    if figure is not None:
        if evidence.figure is None:
            raise ValueError(f"the claim {name} has no figure")
        write_png(figure, evidence.figure())
    found = measurement_of(checked, evidence, section, key="")
    shown: list[Table | str] = [
        f"{name}, chapter {checked.chapter}\n",
        checked.statement,
    ]
    shown += [f"\nSource: {checked.source}\n"]
    if evidence.table is not None:
        shown.append(_numbers(evidence.table))
    return evidence.passed, [*shown, _verdict(found)]


def _numbers(frame: pd.DataFrame) -> Table:
    rows = [
        [format_number(v) if isinstance(v, float) else str(v) for v in row]
        for row in frame.values.tolist()
    ]
    return table(list(map(str, frame.columns)), rows)


def _verdict(found: Measurement) -> str:
    lines = [
        f"expected        {format_number(found.expected)} ± {setting(found.tolerance)}",
        f"measured        {format_number(found.measured)}",
    ]
    if found.interval is not None:
        low, high = map(format_number, found.interval)
        lines[-1] += f", 95 % interval {low} to {high}"
    if found.value_in_source is not None:
        lines.append(f"value in source {format_number(found.value_in_source)}")
    if found.chance:
        lines.append(f"A true claim fails with probability below {found.chance:g}.")
    lines.append("The claim holds." if found.passed else "The claim does NOT hold.")
    return "\n".join(lines)
