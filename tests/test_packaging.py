"""What the library needs to be installed: it works without the pipeline's packages."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

PROGRAM = """
import importlib, pkgutil, sys
from importlib.abc import MetaPathFinder

class NotInstalled(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

MISSING = set(sys.argv[1].split(","))
sys.meta_path.insert(0, NotInstalled())
import ftml
modules = [each.name for each in pkgutil.walk_packages(ftml.__path__, "ftml.")]
for name in modules:
    importlib.import_module(name)
print(len(modules))
"""


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(requirements: list[str]) -> set[str]:
    """Return the names of distributions that requirements install in all."""
    found: set[tuple[str, str]] = set()
    waiting = [(Requirement(each), "") for each in requirements]
    while waiting:
        requirement, parent_extra = waiting.pop()
        marker = requirement.marker
        if marker and not marker.evaluate({"extra": parent_extra}):
            continue
        name = normalised(requirement.name)
        for extra in {"", *requirement.extras} - {e for n, e in found if n == name}:
            try:
                needed = metadata.requires(name) or []
            except metadata.PackageNotFoundError:  # for another platform
                continue
            found.add((name, extra))
            waiting += [(Requirement(each), extra) for each in needed]
    return {name for name, _ in found}


def modules_outside(distributions: set[str]) -> set[str]:
    """Return the top-level modules that other installed distributions provide."""
    provided = metadata.packages_distributions()
    return {
        module
        for module, names in provided.items()
        if not distributions.intersection(map(normalised, names))
    } - {"ftml", "pipelines"}


def test_every_module_of_the_library_imports_without_the_pipelines_packages() -> None:
    missing = modules_outside(closure(PROJECT["dependencies"])) | {"pipelines"}
    assert {"ray", "mlflow", "dvc", "typer", "rich", "ruamel"} <= missing
    assert not {"numpy", "torch", "pandas", "sklearn"} & missing
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(sorted(missing))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(list(Path(ROOT / "ftml").rglob("*.py"))) - 1


def test_the_library_says_that_it_is_typed() -> None:
    assert (ROOT / "ftml/py.typed").exists()
