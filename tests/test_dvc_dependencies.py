"""What can change the output of a stage is a dependency of the stage in dvc.yaml."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT

STAGES: dict[str, dict[str, Any]] = {
    name: stage.get("do", stage)
    for name, stage in YAML(typ="safe")
    .load((ROOT / "dvc.yaml").read_text())["stages"]
    .items()
}
CHECKS = ("ftml.core", "ftml.tasks", "ftml.evidence")
"""What the package params imports to check studies and claims. These imports are not
followed for a stage that prepares data, whose values come from its own section."""


def source(name: str) -> Path | None:
    """Return the file of a module of the project; None for any other name."""
    path = ROOT.joinpath(*name.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if name.split(".")[0] in ("ftml", "pipelines") and file.exists():
            return file
    return None


def imported(path: Path) -> Iterator[str]:
    """Yield the names of all modules that a file may import, in functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def import_closure(module: str, *, skipped: Sequence[str]) -> set[str]:
    """Return the files, relative to the root, that running a module may import.

    skipped: modules whose import by the package params is not followed.
    """
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = source(name)
        if path is None or name in found:
            continue
        found[name] = path
        parents = [name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1)]
        in_params = name.startswith("pipelines.params.")
        waiting += [
            each
            for each in imported(path)
            if not (in_params and each.startswith(tuple(skipped)))
        ]
        waiting += parents
    return {path.relative_to(ROOT).as_posix() for path in found.values()}


def missing(stage: str) -> set[str]:
    """Return the files that a stage may import and that no dependency covers."""
    command = re.search(r"python -m ([\w.]+)", STAGES[stage]["cmd"])
    assert command is not None
    prepares_data = any(out == "data/${key}" for out in STAGES[stage]["outs"])
    files = import_closure(command.group(1), skipped=CHECKS if prepares_data else ())
    dependencies = [Path(each) for each in STAGES[stage]["deps"]]
    return {
        file
        for file in files
        if not any(Path(file).is_relative_to(each) for each in dependencies)
        and _has_code(ROOT / file)
    }


def _has_code(file: Path) -> bool:
    """Return whether a file has more than a docstring."""
    return any(
        not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in ast.parse(file.read_text()).body
    )


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_that_a_stage_may_import_is_a_dependency(stage: str) -> None:
    assert missing(stage) == set()


@pytest.mark.parametrize("stage", STAGES)
def test_every_dependency_on_code_exists_and_no_stage_lacks_its_own_module(
    stage: str,
) -> None:
    code = [each for each in STAGES[stage]["deps"] if each.startswith(("ftml", "pipe"))]
    assert all((ROOT / each).exists() for each in code)
    assert f"pipelines/stages/{stage}.py" in code


def test_a_missing_dependency_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    without = [each for each in STAGES["domains"]["deps"] if each != "pipelines/params"]
    monkeypatch.setitem(STAGES, "domains", {**STAGES["domains"], "deps": without})
    assert "pipelines/params/read.py" in missing("domains")


@pytest.mark.parametrize("stage", ["experiment", "claims", "tables"])
def test_the_report_and_the_command_line_rerun_no_experiment(stage: str) -> None:
    unrelated = ("pipelines/report", "pipelines/cli", "pipelines/stages/report.py")
    assert not set(unrelated) & set(STAGES[stage]["deps"])
    assert "pipelines" not in STAGES[stage]["deps"]
