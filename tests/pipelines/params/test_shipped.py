"""The params.yaml of this repository has a study of every family.

A params.yaml that someone has written in its place need not: it is known by datasets
that the README does not list.
"""

from __future__ import annotations

import re

import pytest

from ftml.core import families
from pipelines.params.read import read_params
from tests.conftest import ROOT


def test_every_family_has_a_study() -> None:
    plan = read_params(ROOT / "params.yaml")
    table = (ROOT / "README.md").read_text().partition("| dataset |")[2]
    listed = re.findall(r"`(\w+)`", table.partition("\n\n")[0])
    if not set(plan.datasets) <= set(listed):
        pytest.skip("params.yaml is not the one of the repository")
    studied = {
        study.family.name for each in plan.experiments.values() for study in each
    }
    assert set(families()) == studied
