"""The docstring of each package of pipelines says what it may import, and where to
begin reading.
"""

from __future__ import annotations

import ast
import re

import pytest

from pipelines.params.keys import imported
from tests.conftest import ROOT

PIPELINES = ROOT / "pipelines"
PACKAGES = sorted(each.parent.name for each in PIPELINES.glob("*/__init__.py"))
MODULE = re.compile(r"`(\w+)\.py`")
LAYERS = (
    "cli, stages, report, tracking, tuning, study, datasets, cluster, params, common"
)
"What many of them quote, which does not say what a package imports."


def docstring(package: str) -> str:
    tree = ast.parse((PIPELINES / package / "__init__.py").read_text())
    return " ".join((ast.get_docstring(tree) or "").split())


def packages_imported(package: str) -> set[str]:
    """Return the other packages of pipelines that the modules of one import."""
    files = (PIPELINES / package).rglob("*.py")
    names = (name.split(".") for path in files for name in imported(path))
    return {
        parts[1] for parts in names if parts[0] == "pipelines" and len(parts) > 1
    } & {*PACKAGES} - {package}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_it_imports_and_where_to_begin(package: str) -> None:
    text = docstring(package)
    assert re.search(r"\bimports?\b", text)
    assert re.search(r"\bBegin\b|can be read on its own", text)
    own = text.replace(LAYERS, "")
    unnamed = {
        each
        for each in packages_imported(package)
        if not re.search(rf"\b{each}\b", own)
    }
    assert not unnamed or "every other package" in text or "every package" in text


@pytest.mark.parametrize("package", PACKAGES)
def test_the_modules_that_a_package_names_exist(package: str) -> None:
    missing = [
        name
        for name in MODULE.findall(docstring(package))
        if not (PIPELINES / package / f"{name}.py").exists()
    ]
    assert missing == []
