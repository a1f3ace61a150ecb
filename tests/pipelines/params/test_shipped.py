"""The params.yaml of this repository has a study of every family; one that someone has
written in its place need not, and is known by what it lacks.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ftml.core import families
from pipelines.params.read import read_params
from tests import shipped
from tests.conftest import ROOT
from tests.shipped import shipped_params


def test_every_family_has_a_study() -> None:
    shipped_params()
    plan = read_params(ROOT / "params.yaml")
    studied = {
        study.family.name for each in plan.experiments.values() for study in each
    }
    assert set(families()) == studied


OWN = "houses: {source: 'file:houses.csv', task: regression, target: y}"


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        (f"datasets: {{tables: {{{OWN}}}}}\nexperiments: {{}}\n", "diabetes"),
        (f"datasets: {{tables: {{{OWN}}}, images: }}\nclaims: {{}}\n", "diabetes"),
    ],
)
def test_a_clone_with_other_datasets_skips_the_tests_of_those_of_the_repository(
    text: str, lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "ROOT", tmp_path)
    shutil.copy(ROOT / "README.md", tmp_path)
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(pytest.skip.Exception, match=f"no {lacking}"):
        shipped_params()


def test_own_datasets_beside_those_of_the_repository_skip_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = shipped_params()
    monkeypatch.setattr(shipped, "ROOT", tmp_path)
    shutil.copy(ROOT / "README.md", tmp_path)
    text = (ROOT / "params.yaml").read_text()
    more = text.replace("\n  tables:\n", f"\n  tables:\n    {OWN}\n", 1)
    (tmp_path / "params.yaml").write_text(more)
    found = shipped_params()
    assert set(found["datasets"]["tables"]) - set(given["datasets"]["tables"]) == {
        "houses"
    }
