"""The defects that the sizes of `tests.contract.sizes` show and that are not fixed yet.

`known_of(kind)` maps (size, check) to the cause. The contract test fails for a defect
that is not here, and for one that is here and gone, so that the tables only shrink. The
name of a size is here without its data kind; ANY stands for some sizes or all.
"""

from __future__ import annotations

from ftml.core import Family
from tests.contract.sizes import sizes_of

Defects = dict[tuple[str, str], str]

ANY = "any size"

OF_TASK: dict[str, Defects] = {}
"Defects of a task, which all its families show."

KNOWN: dict[str, Defects] = {
    "ppca": {
        (
            "a column x 1e-8",
            "permuted_rows_have_permuted_answers",
        ): "products with an inverse noise of 1e16 round as the rows beside a row do"
    },
}
"Defects of a family."


def known_of(kind: Family) -> Defects:
    """Return the known defects of a family and of its task."""
    titles = {title_of(size.name) for size in sizes_of(kind)}
    shared = {
        (size, check): cause
        for (size, check), cause in OF_TASK.get(kind.task, {}).items()
        # A family of two classes refuses any other number of them.
        if size in titles and not (kind.n_classes and "class" in size)
    }
    return shared | KNOWN.get(kind.name, {})


def new_and_gone(
    kind: Family, found: dict[tuple[str, str], str]
) -> tuple[dict[tuple[str, str], str], set[tuple[str, str]]]:
    """Return which defects are not known, and which known ones are not found."""
    known, seen, new = known_of(kind), set(), {}
    for (size, check), outcome in found.items():
        keys = {(title_of(size), check), (ANY, check)} & known.keys()
        seen |= keys
        if not keys:
            new[size, check] = outcome
    return new, known.keys() - seen


def title_of(name: str) -> str:
    """Return the name of a size without its data kind."""
    return name.split(": ")[-1]
