"""params.yaml of this repository, for the tests of what is written about it.

A clone may have a params.yaml of someone's own in its place, without the datasets of
the repository or without claims. These tests are skipped there; all others pass.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT


def shipped_params() -> dict[str, Any]:
    """Return the content of params.yaml, not to be changed; skip the test where the
    file lacks claims, or datasets that the README lists.
    """
    params, lacking = _read(ROOT)
    if lacking:
        pytest.skip(f"params.yaml is not the one of the repository: no {lacking[0]}")
    return params


@cache
def _read(root: Path) -> tuple[dict[str, Any], list[str]]:
    """Return params.yaml of a folder, and what it lacks of that of the repository."""
    params: dict[str, Any] = YAML(typ="safe").load(root / "params.yaml")
    present = {name for group in params["datasets"].values() for name in group or {}}
    table = (root / "README.md").read_text().partition("| dataset |")[2]
    first_cells = re.findall(r"(?m)^\| (`.*?) \|", table.partition("\n\n")[0])
    listed = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    lacking = [name for name in listed if name not in present]
    return params, lacking + ["claims"] * ("claims" not in params)
