"""Whether a command of the documentation is one that its program would take."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import typer
from ruamel.yaml import YAML

from pipelines.cli.app import app
from pipelines.params.study import StudySchema
from tests.conftest import ROOT
from tests.doc_pages import blocks, commands, exists, pages
from tests.shipped import shipped_params

NOT_CHECKED = {
    ".venv/bin/pre-commit": "changes the hooks of the repository",
    "cd": "a part of the shell",
    "cp": "its paths are checked",
    "docker": "not installed here",
    "export": "a part of the shell; its names FTML_... are checked",
    "git": "acts on a repository and its remote",
    "kubectl": "not installed here",
    "mkdir": "makes an empty folder",
    "pip": "installs packages",
    "rm": "removes results",
    "source": "a part of the shell",
}
"Programs of which only the paths that they are given are checked, and why."

PLACEHOLDERS = {
    "<dataset>": "diabetes",
    "<study>": "ridge",
    "<run id>": "0123abcd",
    "<stage>": "tables",
    "<version>": "1",
    "MINUTES": "60",
    "DATASET": "diabetes",
    "CHAPTER": "linear",
    "KEY=VALUE": "++experiments.diabetes.ridge.trials=2",
}
"What a reader would write for a word of a command."


def filled(text: str) -> str:
    """Return a script with its placeholders filled in."""
    for name, value in PLACEHOLDERS.items():
        text = text.replace(name, value)
    return re.sub(r"<[^<>\n]+>", "WORD", text)


def without_brackets(usage: str) -> str:
    """Return a command of a table of usages with all that is optional."""
    return re.sub(r"(?<!\S)\[|\](?!\S)", "", usage).replace(" ...", "")


def parse(command: Any, words: Sequence[str]) -> None:
    """Let click parse a command line without running it; ValueError says what is wrong.

    command: the group of click (or of typer, which has a copy of click).
    """
    name, rest = str(command.name), list(words)
    while known := getattr(command, "commands", None):
        if not rest or rest[0].startswith("-"):
            # Not parsed: one of these options installs completion in the shell.
            options = {option for each in command.params for option in each.opts}
            if unknown := set(rest) - options - {"--help"}:
                raise ValueError(f"{name} has no option {unknown}")
            return
        if rest[0] not in known:
            raise ValueError(f"{name} has no command {rest[0]!r}")
        command, name, rest = known[rest[0]], f"{name} {rest[0]}", rest[1:]
    rest = [word for word in rest if word != "--help"]
    try:
        with _without_output():
            command.make_context(name, rest)
    except Exception as error:
        message = getattr(error, "format_message", error.__str__)()
        raise ValueError(f"{name}: {message}") from error


@contextlib.contextmanager
def _without_output() -> Iterator[None]:
    nothing = io.StringIO()
    with contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
        yield


def check_ftml(words: Sequence[str]) -> None:
    if words[0] != "COMMAND":
        parse(typer.main.get_command(app), words)


def check_mlflow(words: Sequence[str]) -> None:
    check_by_source("mlflow", words, *MLFLOW_CLI)


def check_ray(words: Sequence[str]) -> None:
    check_by_source("ray", words, "scripts/scripts.py")


MLFLOW_CLI = ("cli/__init__.py", "models/cli.py", "utils/cli_args.py", "db.py")


def check_by_source(package: str, words: Sequence[str], *files: str) -> None:
    """Raise ValueError for a command or an option that the modules of a command line do
    not define. They are read and not imported, which would take seconds.
    """
    folder = Path(sysconfig.get_path("purelib")) / package
    code = "\n".join((folder / file).read_text() for file in files)
    first = next((i for i, word in enumerate(words) if "-" in word[:1]), len(words))
    for word in [w for w in words[:first] if re.fullmatch(r"[a-z-]+", w)]:
        name = word.replace("-", "_")
        if not re.search(rf'def {name}\b|\("{word}"|="{word}"|== "{word}"', code):
            raise ValueError(f"{package} has no command {word!r}")
    for word in words[first:]:
        if word.startswith("--") and f'"{word}"' not in code:
            raise ValueError(f"{package} {' '.join(words[:first])} has no {word}")


def check_make(words: Sequence[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        name, _, value = word.partition("=")
        known = rf"\$\((if \$\()?{name}\)" if value else rf"(?m)^{name}:"
        if not re.search(known, makefile):
            raise ValueError(f"the Makefile has no {word!r}")


def check_pytest(words: Sequence[str]) -> None:
    markers = re.findall(r'(?m)^    "(\w+): ', (ROOT / "pyproject.toml").read_text())
    for option, value in pairwise(words):
        if option == "-m" and value.split()[-1] not in markers:
            raise ValueError(f"no marker {value!r}")


def check_dvc(words: Sequence[str]) -> None:
    from dvc.cli import DvcParserError, parser

    # DVC reads its options -v and -q from the arguments of the process.
    own = mock.patch.object(sys, "argv", ["dvc"])
    with own, mock.patch.object(parser.logger, "error") as error, _without_output():
        try:
            given = parser.get_main_parser().parse_args(list(words))
        except (DvcParserError, SystemExit) as reason:
            raise ValueError(f"dvc: {error.call_args}") from reason
    runs = words[0] == "repro" or list(words[:2]) == ["exp", "run"]
    for target in given.targets if runs else []:
        check_stage(target)
    for assignment in getattr(given, "set_param", None) or []:
        check_param(assignment)


def check_stage(target: str) -> None:
    """Raise ValueError for a stage, or a dataset of one, that is unknown."""
    stage, _, key = target.partition("@")
    if stage not in stages():
        raise ValueError(f"no stage {stage!r}")
    named = params()
    known = {"experiment": named["experiments"]}
    names = known.get(stage, named["datasets"].get(stage, {}))
    if key and key not in names:
        raise ValueError(f"stage {stage} has no {key!r}")


def check_param(assignment: str) -> None:
    """Raise ValueError for a key that no study of the pages has, or a wrong value."""
    key, _, value = assignment.removeprefix("++").partition("=")
    section, dataset, study, *field = key.split(".")
    if section != "experiments" or study not in params()[section][dataset]:
        raise ValueError(f"no study {dataset}.{study}")
    for each in value.split(","):
        StudySchema.model_validate({".".join(field): YAML(typ="safe").load(each)})


@cache
def stages() -> frozenset[str]:
    """Return the names of the stages of dvc.yaml."""
    return frozenset(YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"])


@cache
def params() -> dict[str, Any]:
    """Return params.yaml of this repository, with the examples of all pages."""
    found = deepcopy(shipped_params())
    for page, text in pages().items():
        for block in blocks(page, text):
            if block.language == "yaml":
                merge(found, YAML(typ="safe").load(block.text))
    return found


def merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    """Add the datasets and studies of a params.yaml to another one."""
    for part, groups in other.items():
        for group, sections in groups.items():
            into.setdefault(part, {}).setdefault(group, {}).update(sections)


def check_curl(words: Sequence[str]) -> None:
    json.loads(words[words.index("--json") + 1])


def check_python(words: Sequence[str]) -> None:
    if words[0] == "-c":
        ast.parse(words[1])


CHECKS: dict[str, Callable[[Sequence[str]], None]] = {
    "ftml": check_ftml,
    "make": check_make,
    "dvc": check_dvc,
    "mlflow": check_mlflow,
    "ray": check_ray,
    "pytest": check_pytest,
    "curl": check_curl,
    "python": check_python,
}


def check_paths(program: str, words: Sequence[str]) -> None:
    """Raise for a path below a folder of the repository that is not in it."""
    made = words[-1:] if program == "cp" else []
    for word in words:
        if re.match(r"(infra|docs|tests|benchmarks|pipelines|ftml)/", word):
            assert word in made or exists(word, page="README.md"), f"no {word}"


def check_quoted(text: str, place: str) -> None:
    """Check a quotation if it is a command. A sentence may name a command without the
    arguments that it needs.
    """
    program, _, rest = text.partition(" ")
    if program not in CHECKS or program in ("curl", "python") or not rest:
        return
    if text in MESSAGES:
        return
    for words in commands(filled(without_brackets(text))):
        try:
            check_paths(words[0], words[1:])
            CHECKS.get(words[0], lambda words: None)(words[1:])
        except (ValueError, AssertionError) as error:
            if not re.search(r"Missing (argument|command)|required: ", str(error)):
                raise AssertionError(f"{place}: `{text}`: {error}") from error


MESSAGES = ("ftml needs Python 3.11.5 or newer",)
"What begins like a command and is none."
