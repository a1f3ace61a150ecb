"""The rule that the names of datasets, studies and chapters of claims obey.

A name becomes a folder, a part of a file's name, a stage of dvc.yaml (whose command a
shell runs), an experiment of MLflow and a registered model. So `name_errors` checks all
names of params.yaml before anything else is done with them: in `read_params`, and in
the stage `sources`, which DVC runs before every other stage. `check_name` checks a name
that is typed on the command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

MAX_LENGTH = 64
RULE = (
    f"a name has 1 to {MAX_LENGTH} of the characters A-Z a-z 0-9 _ . -, begins with a "
    "letter or a digit, is unique regardless of case, and is none that Windows or ftml "
    "reserves"
)
"The rule, as messages state it."

RESERVED = {
    "dataset": {
        "claims": "the MLflow experiment of the claims has this name",
        "default": "an experiment of MLflow has this name",
    },
    "study": {"comparison": "the name of a study cannot be comparison"},
}
"Why ftml reserves a name, by what is named."

DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(10)
}
"Names that Windows reserves, also with a suffix: `con`, `con.csv`."


def name_error(name: str, *, what: str = "name") -> str | None:
    """Return why a text is no name, without the rule; None for a name.

    what: dataset, study, chapter, or name where it is not known.
    """
    if found := re.search(r"[^A-Za-z0-9_.-]", name):
        legal = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
        return f"has the character {found[0]!r}" + (f", use {legal}" if legal else "")
    if not name[:1].isalnum():
        return f"begins with {name[0]!r}" if name else "is empty"
    if len(name) > MAX_LENGTH:
        return f"has {len(name)} characters"
    if name.endswith("."):
        return "ends with a dot, which Windows leaves out"
    if name.partition(".")[0].lower() in DEVICES:
        return "is reserved by Windows"
    if what == "dataset" and "." in name:
        return (
            "has a dot, and in the name of a parameter DVC reads that as a step into a "
            "section"
        )
    return RESERVED.get(what, {}).get(name.lower())


def check_name(name: str, *, what: str = "name") -> None:
    """Raise ValueError, which states the rule, for a text that is no name."""
    if reason := name_error(name, what=what):
        raise ValueError(f"{shown(name)}: {reason}; {RULE}")


def name_errors(params: object) -> list[str]:
    """Return a line for each wrong name in the content of params.yaml.

    What is not a mapping, or not named by a text, is left to the schemas.
    """
    lines: list[str] = []
    seen: dict[tuple[str, ...], str] = {}
    for where, what, name in _names(params):
        if reason := name_error(name, what=what):
            lines.append(f"{'.'.join((*where, shown(name)))}: {reason}; {RULE}")
            continue
        # The sections of all stages share the names of datasets.
        place = (what,) if what == "dataset" else where
        other = seen.setdefault((*place, name.lower()), name)
        if other != name:
            same = f"differs from {other} in case only"
            lines.append(f"{'.'.join((*where, name))}: {same}; {RULE}")
    return list(dict.fromkeys(lines))


def without_wrong_names(params: Mapping[str, object]) -> dict[str, object]:
    """Return the content of params.yaml without the sections whose name is wrong."""
    wrong = {name for _, what, name in _names(params) if name_error(name, what=what)}

    def kept(sections: object) -> object:
        if not isinstance(sections, dict):
            return sections
        return {name: each for name, each in sections.items() if name not in wrong}

    parts = dict(params)
    for part in ("datasets", "experiments"):
        if isinstance(groups := params.get(part), dict):
            named = part == "experiments"  # the keys of datasets are stages
            parts[part] = {
                key: kept(each)
                for key, each in groups.items()
                if not named or key not in wrong
            }
    if "claims" in parts:
        parts["claims"] = kept(parts["claims"])
    return parts


def shown(name: str) -> str:
    """Return a name for a message: in quotes and on one line if it is no name."""
    return name if re.fullmatch(r"[\w.-]+", name) else repr(name[: 2 * MAX_LENGTH])


def _names(params: object) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield the section of each name, what it names, and the name."""
    for stage, sections in _items(_get(params, "datasets")):
        for name, _ in _items(sections):
            yield ("datasets", shown(stage)), "dataset", name
    for dataset, studies in _items(_get(params, "experiments")):
        yield ("experiments",), "dataset", dataset
        for name, _ in _items(studies):
            yield ("experiments", shown(dataset)), "study", name
    for chapter, _ in _items(_get(params, "claims")):
        yield ("claims",), "chapter", chapter


def _get(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, Mapping) else None


def _items(value: object) -> list[tuple[str, object]]:
    pairs = value.items() if isinstance(value, Mapping) else ()
    return [(name, each) for name, each in pairs if isinstance(name, str)]
