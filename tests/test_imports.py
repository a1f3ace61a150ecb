"""What each entry point imports before it is at its work, and what it does not.

The imports are read from the source, without a process: those at the top of modules,
and of the modules that these import. Imports in functions and those for type checking
are not followed. A package whose names are imported when they are asked for
(`__getattr__`) is followed to the module of a name. A library that another library
imports is not seen; `tests/pipelines/cli/test_commands.py` looks at processes.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from pipelines.params import kinds
from tests.conftest import ROOT

READING = {"numpy", "pandas", "pyarrow", "pydantic", "ruamel"}
"What reading params.yaml needs."

DATA = READING | {"markupsafe", "safetensors"}
"What a stage that prepares data needs as well, to format numbers and write a folder."

MEASURING = DATA | {"cycler"}

ALLOWED: dict[str, set[str]] = {
    "ftml": set(),
    "ftml.data": set(),
    "ftml.config": {"pydantic"},
    "pipelines.params.read": READING,
    "pipelines.stages.sources": {"ruamel"},
    "pipelines.stages.installed": set(),
    **{f"pipelines.stages.{kind.stage}": DATA for kind in kinds.KINDS},
    "pipelines.stages.images": DATA | {"PIL"},
    "pipelines.stages.domains": DATA | {"PIL"},
    "pipelines.stages.cooccurrence": DATA | {"numba"},
    "pipelines.stages.sequences": DATA | {"numba"},
    "pipelines.stages.experiment": MEASURING | {"rich"},
    "pipelines.stages.claims": MEASURING,
    "pipelines.stages.report": MEASURING | {"jinja2"},
    "pipelines.cli.app": {"typer"},
    # Commands: `pipelines.cli.commands_*` import these modules when they are run.
    "pipelines.cli.catalogue": {"pydantic", "rich"},
    "pipelines.cli.terminal": {"rich"},
    "pipelines.cli.evidence": MEASURING | {"rich", "typer"},
    "pipelines.cli.schema": READING,
    "pipelines.cli.init": MEASURING | {"jinja2", "typer"},
    "pipelines.cli.prediction": DATA | {"typer"},
    "pipelines.cluster.job": READING,
    "pipelines.common.dvc_lock": set(),
}
"The third-party packages that importing an entry point may import."

HEAVY = {"torch", "scipy", "sklearn", "matplotlib"}
"What only training, scores and figures need."

READING_RUNS = (
    "pipelines.cli.study_table",
    "pipelines.cli.results_on_disk",
    "pipelines.cli.reproduction",
    "pipelines.cli.verification",
    "pipelines.tracking.client",
    "pipelines.tracking.migrate",
)
"Entry points that import MLflow, which imports much, but nothing that trains."


@cache
def file_of(module: str) -> Path | None:
    """Return the file of a module of the project; None for any other module."""
    path = ROOT.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if module.split(".")[0] in ("ftml", "pipelines") and file.is_file():
            return file
    return None


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(body: list[ast.stmt]) -> Iterator[tuple[str, str | None]]:
    """Yield module and name of each import that is executed when a module is."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "finalbody", "handlers"):
                inner = getattr(node, part, [])
                inner = [each for each in inner if isinstance(each, ast.AST)]
                yield from imports_of(inner)


def later_names(path: Path) -> dict[str, str]:
    """Return the module of each name that a package imports when it is asked for."""
    tree = tree_of(path)
    functions = [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
    if "__getattr__" not in functions:
        return {}
    blocks = [
        node.body
        for node in tree.body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    found: dict[str, str] = {}
    for module, name in (each for body in blocks for each in imports_of(body)):
        if name == "*" and (package := file_of(module)):
            found |= later_names(package)
        elif name is not None:
            found[name] = module
    return found


def packages_imported_by(entry: str) -> set[str]:
    """Return the third-party packages that importing a module imports."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        path = file_of(module)
        if path is None:
            found.add(module.split(".")[0])
            continue
        parts = module.split(".")
        waiting += [".".join(parts[:i]) for i in range(1, len(parts))]
        if module == kinds.__name__:  # it imports the records of all data kinds
            waiting += [f"{module}.{stage}" for stage in kinds.KIND_OF_STAGE]
        for name, attribute in imports_of(tree_of(path).body):
            waiting.append(name)
            if attribute is None or (package := file_of(name)) is None:
                continue
            if file_of(f"{name}.{attribute}"):
                waiting.append(f"{name}.{attribute}")
            elif attribute in (later := later_names(package)):
                waiting.append(later[attribute])
                deeper = file_of(later[attribute])
                if deeper and attribute in (inner := later_names(deeper)):
                    waiting.append(inner[attribute])
    return found - set(sys.stdlib_module_names) - {"__future__", "ftml", "pipelines"}


@pytest.mark.parametrize("entry", ALLOWED)
def test_an_entry_point_imports_only_what_it_needs(entry: str) -> None:
    assert file_of(entry) is not None
    assert packages_imported_by(entry) - ALLOWED[entry] == set()


@pytest.mark.parametrize("entry", [*ALLOWED, *READING_RUNS])
def test_what_does_not_train_imports_nothing_for_training(entry: str) -> None:
    assert file_of(entry) is not None
    assert not packages_imported_by(entry) & HEAVY


def test_every_stage_is_listed() -> None:
    stages = {path.stem for path in (ROOT / "pipelines/stages").glob("*.py")}
    parts = {"__init__", "compare", "reuse", "run_study"}
    listed = {each.rpartition(".")[2] for each in (*ALLOWED, *READING_RUNS)}
    assert stages - parts <= listed


def test_an_import_that_an_entry_point_reaches_is_found() -> None:
    assert "torch" in packages_imported_by("ftml.families.neural.mlp")
    assert "mlflow" in packages_imported_by("pipelines.cli.study_table")
    assert "pandas" in packages_imported_by("ftml.data.table")
    linear = packages_imported_by("ftml.families.linear.ridge")
    assert "pandas" in linear  # by the name Table of ftml.data
    assert "torch" not in linear
