"""Checks of params.yaml that were passed are not repeated, and no fault is missed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ftml
from ftml import core
from ftml.core import Family
from pipelines.params import passed_checks, plan, read_study
from pipelines.params.read import ParamsError, Plan, read_params

SOUND = """
datasets:
  tables: {houses: {source: "s", task: regression}}
  domains: {turned: {source: "s", rotate: [0, 15]}}
experiments:
  houses: {ridge: {trials: 20}, plain: {family: ridge, config: {alpha: 1.0}}}
  turned: {erm: {test_domains: each}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the families that are imported from now on."""
    names: list[str] = []
    find = core.family

    def recorded(name: str) -> Family:
        names.append(name)
        return find(name)

    for module in (read_study, plan):
        monkeypatch.setattr(module, "family", recorded)
    return names


def read(text: str) -> Plan:
    Path("params.yaml").write_text(text)
    return read_params()


def fault(text: str) -> list[str]:
    with pytest.raises(ParamsError) as caught:
        read(text)
    return str(caught.value).split("\n  ")[1:]


def test_a_study_that_has_passed_its_check_imports_no_family_until_it_is_asked_for(
    project: Path, asked: list[str]
) -> None:
    first = read(SOUND)
    asked.clear()
    again = read(SOUND)
    assert asked == []
    assert again == first
    (erm,) = again.experiments["turned"]
    assert erm.family_name == "erm"
    assert asked == []
    assert erm.config == first.experiments["turned"][0].config
    assert asked == ["erm"]
    plain: Any = again.experiments["houses"][1].config
    assert plain.alpha == 1.0


def test_only_a_changed_study_is_checked_again(project: Path, asked: list[str]) -> None:
    read(SOUND)
    asked.clear()
    read(SOUND.replace("trials: 20", "trials: 21"))
    assert set(asked) == {"ridge"}
    asked.clear()
    read(SOUND.replace("alpha: 1.0", "alpha: 1"))  # equal in Python, another in YAML
    assert "ridge" in asked


def test_all_problems_are_found_at_once_whatever_was_passed_before(
    project: Path, asked: list[str]
) -> None:
    read(SOUND)
    faulty = SOUND.replace("trials: 20", "trails: 20").replace("alpha: 1.0", "alhpa: 1")
    expected = [
        "experiments.houses.ridge.trails: unknown key; nearest: trials",
        "experiments.houses.plain.config.alhpa: unknown key; nearest: alpha",
    ]
    assert fault(faulty) == expected
    asked.clear()
    assert fault(faulty) == expected  # a fault is not remembered as passed
    assert "erm" not in asked


def test_a_study_is_checked_again_for_a_dataset_of_another_task(project: Path) -> None:
    read(SOUND)
    (line,) = fault(SOUND.replace("task: regression", "task: classification"))[:1]
    assert "family ridge is for regression" in line


def test_a_missing_input_file_is_found_each_time(project: Path) -> None:
    weights = Path("weights")
    weights.touch()
    text = SOUND.replace(
        "test_domains: each",
        "test_domains: each, config: {network: resnet18, pretrained: weights}",
    )
    read(text)
    weights.unlink()
    (line,) = fault(text)
    assert line == "experiments.turned.erm.config.pretrained: no file 'weights'"


def test_other_code_checks_everything_again(
    project: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read(SOUND)
    asked.clear()
    monkeypatch.setattr(passed_checks, "_code", lambda: "other")
    read(SOUND)
    assert {"ridge", "erm"} == set(asked)


def test_the_hash_of_the_code_changes_with_a_family(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = tmp_path / "families/linear/ridge.py"
    family.parent.mkdir(parents=True)
    found = []
    monkeypatch.setattr(ftml, "__file__", str(tmp_path / "__init__.py"))
    for text in ("a = 1\n", "a = 2\n", "a = 1\n"):
        family.write_text(text)
        found.append(passed_checks._code.__wrapped__())
    assert found[0] == found[2] != found[1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_text("{"),
        lambda file: file.write_text("[]"),
        lambda file: file.write_bytes(b"\xff"),
        lambda file: file.write_text(file.read_text().replace('"studies"', '"other"')),
        lambda file: file.write_text(
            json.dumps({"code": passed_checks._code(), "values": [], "studies": {}})
        ),
        lambda file: file.unlink(),
        lambda file: (file.unlink(), file.mkdir()),
    ],
)
def test_a_damaged_file_remembers_nothing(
    project: Path, asked: list[str], damage: Callable[[Path], object]
) -> None:
    first = read(SOUND)
    damage(project / passed_checks.FILE)
    asked.clear()
    assert read(SOUND) == first
    assert {"ridge", "erm"} == set(asked)


def test_nothing_is_written_where_there_is_no_folder_of_data(
    project: Path, asked: list[str]
) -> None:
    Path("data").rmdir()
    read(SOUND)
    assert [path.name for path in project.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    "value", ["2026-01-01", "{1: a}", "{true: a}", "{0.5: a}", "{null: a}"]
)
def test_values_that_json_changes_are_read_from_the_file_each_time(
    project: Path, value: str
) -> None:
    text = f"{SOUND}claims: {{linear: {{seed: {value}}}}}\n"
    assert fault(text) == fault(text)
    kept = json.loads(Path(passed_checks.FILE).read_text())
    assert kept["values"] == {}


def test_values_that_are_remembered_are_those_of_the_file(project: Path) -> None:
    Path("params.yaml").write_text("a: [1, 1.0, true, .nan, -.inf, 1e-3, null, 'b']\n")
    found = []
    for _ in range(2):
        passed = passed_checks.PassedChecks(Path("params.yaml"))
        found.append(repr(passed.load(Path("params.yaml"))))
        passed.save()
    assert (
        found[0]
        == found[1]
        == repr({"a": [1, 1.0, True, float("nan"), float("-inf"), 1e-3, None, "b"]})
    )
