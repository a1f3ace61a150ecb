"""Every family at every size of its data kinds, and what is checked there.

    python benchmarks/sizes.py [FAMILY ...]

Writes benchmarks/sizes.md: the outcome of the checks of `tests/contract/checks.py` for
each family and size of `tests/contract/sizes.py`. tests/test_sizes.py makes the same
checks, and fails for a defect.
"""

# ruff: noqa: E402
from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # `tests` is a package of this folder only

from ftml.core import Family, families, family
from tests.contract.checks import CHECKS
from tests.contract.examine import TRAINS, examine
from tests.contract.sizes import sizes_of

PAGE = Path(__file__).with_suffix(".md")
Outcomes = Mapping[str, Mapping[str, str]]
"The outcome of each check, by size and check."

ABOUT = """# Families at awkward sizes

Written by `python benchmarks/sizes.py`. A family is trained for two steps at each size,
with narrow layers and batches of 8 rows, and each check is made that applies to it.

- a number: so many checks pass, and all others do not apply;
- refused: training, or a score, raises one clear ValueError; the messages are below;
- FAIL: a defect, listed below;
- an empty cell: the size is of another data kind or task.

Where a check does not apply to a family, the reason is below, too.
"""


def main(names: Iterable[str]) -> None:
    found = {name: outcomes_of(family(name)) for name in names}
    parts = [ABOUT, _checks(found), *_tables(found), _refusals(found)]
    parts += [_exemptions(found), _defects(found)]
    PAGE.write_text("\n".join(parts))


def outcomes_of(kind: Family) -> Outcomes:
    print(kind.name, flush=True)
    return {size.name: examine(kind, size) for size in sizes_of(kind)}


def _checks(found: Mapping[str, Outcomes]) -> str:
    """Return how often each check passed, was refused, failed and did not apply."""
    names = [TRAINS, *(check.__name__ for check in CHECKS)]
    lines = ["## Checks\n", "| check | pass | refused | FAIL | n/a |", "|---" * 5 + "|"]
    for name in names:
        counts = Counter(
            checked[name].split(":")[0]
            for outcomes in found.values()
            for checked in outcomes.values()
            if name in checked
        )
        counted = [str(counts[key]) for key in ("pass", "refused", "FAIL", "n/a")]
        lines.append("| " + " | ".join([name.replace("_", " "), *counted]) + " |")
    return "\n".join([*lines, ""])


def _tables(found: Mapping[str, Outcomes]) -> Iterable[str]:
    """Yield a table for each chapter: its sizes as rows, its families as columns."""
    chapters: dict[str, list[str]] = {}
    for name in found:
        chapters.setdefault(family(name).chapter, []).append(name)
    for chapter, names in chapters.items():
        sizes = dict.fromkeys(size for name in names for size in found[name])
        lines = [f"## {chapter.replace('_', ' ').capitalize()}\n"]
        lines += ["| size | " + " | ".join(names) + " |"]
        lines += ["|---" * (len(names) + 1) + "|"]
        for size in sizes:
            cells = [_cell(found[name].get(size)) for name in names]
            lines.append("| " + " | ".join([size, *cells]) + " |")
        yield "\n".join([*lines, ""])


def _cell(checked: Mapping[str, str] | None) -> str:
    counts = Counter(each.split(":")[0] for each in (checked or {}).values())
    if counts["FAIL"]:
        return "FAIL"
    if counts["refused"]:
        return "refused"
    return str(counts["pass"]) if counts else ""


def _refusals(found: Mapping[str, Outcomes]) -> str:
    lines = ["## What is refused\n"]
    said: dict[str, list[str]] = {}
    for name, outcomes in found.items():
        for size, checked in outcomes.items():
            for outcome in checked.values():
                if outcome.startswith("refused: "):
                    where = f"{name} ({size})"
                    said.setdefault(outcome.removeprefix("refused: "), []).append(where)
    lines += [f"- {message}: {', '.join(where)}" for message, where in said.items()]
    return "\n".join([*lines, ""])


def _exemptions(found: Mapping[str, Outcomes]) -> str:
    """Return for each check why it does not apply, and to how many sizes of which
    families.
    """
    sizes: dict[tuple[str, str], Counter[str]] = {}
    for name, outcomes in found.items():
        for checked in outcomes.values():
            for check, outcome in checked.items():
                if outcome.startswith("n/a: "):
                    key = check.replace("_", " "), outcome.removeprefix("n/a: ")
                    sizes.setdefault(key, Counter())[name] += 1
    lines = []
    for (check, reason), counts in sorted(sizes.items()):
        where = ", ".join(f"{name} ({n})" for name, n in counts.items())
        if len(counts) > MANY:
            where = f"{len(counts)} families, {counts.total()} sizes"
        lines.append(f"- {check}: {reason}: {where}")
    return "\n".join(["## What does not apply\n", *lines, ""])


MANY = 12
"Families that a reason lists by their names; of more, it counts them."


def _defects(found: Mapping[str, Outcomes]) -> str:
    lines = [
        f"- {name}, {size}, {check.replace('_', ' ')}: {outcome.removeprefix('FAIL: ')}"
        for name, outcomes in found.items()
        for size, checked in outcomes.items()
        for check, outcome in checked.items()
        if outcome.startswith("FAIL")
    ]
    return "\n".join(["## Defects\n", *(lines or ["None."]), ""])


if __name__ == "__main__":
    main(sys.argv[1:] or families())
