"""The rule of names, and the guard of the folders that are made from them."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipelines.common.errors import call_stage
from pipelines.common.files import (
    PREPARED,
    check_target,
    is_foreign,
    leftovers,
    remove_folder,
)
from pipelines.common.names import (
    MAX_LENGTH,
    RULE,
    check_name,
    name_error,
    name_errors,
    without_wrong_names,
)
from pipelines.params import passed_checks
from pipelines.params.kinds import KINDS
from pipelines.params.read import ParamsError, read_params
from pipelines.stages import sources
from tests.conftest import ROOT

GOOD = ["ridge", "a", "7b", "A-b_c.d", "x" * MAX_LENGTH, "console", "com10", "a..b"]
BAD = {
    "": "is empty",
    ".": "begins with '.'",
    "..": "begins with '.'",
    "-rf": "begins with '-'",
    "_a": "begins with '_'",
    "ridge/small": "has the character '/'",
    "../../outside": "has the character '/'",
    "a\\b": r"has the character '\\'",
    "$(cmd)": "has the character '$'",
    "it's": 'has the character "\'"',
    "a:b": "has the character ':'",
    "a b": "has the character ' '",
    "a\nb": r"has the character '\n'",
    "naïve": "has the character 'ï'",
    "\u0661": "has the character '\u0661'",
    "x" * (MAX_LENGTH + 1): "has 65 characters",
    "a.": "ends with a dot",
    "con": "is reserved by Windows",
    "NUL.csv": "is reserved by Windows",
    "Lpt9": "is reserved by Windows",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_name_obeys_the_rule(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", BAD)
def test_another_text_is_refused_in_a_line_that_states_the_rule(name: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check_name(name)
    assert BAD[name] in str(caught.value)
    assert str(caught.value).endswith(RULE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("what", "name"),
    [("dataset", "Claims"), ("dataset", "Default"), ("study", "comparison")],
)
def test_the_project_reserves_names(what: str, name: str) -> None:
    assert name_error(name, what=what)
    assert name_error(name) is None


def test_a_dataset_has_no_dot_since_dvc_reads_it_as_a_step() -> None:
    assert "DVC" in str(name_error("a.b", what="dataset"))
    assert name_error("a.b", what="study") is None


def params_with(name: str) -> list[dict[str, Any]]:
    """Return params with a name as a dataset, a study and a chapter."""
    table = {"source": "sklearn:diabetes", "task": "regression"}
    sound = {"tables": {"d": table}}
    return [
        {"datasets": {"tables": {name: table}}, "experiments": {}},
        {"datasets": {"images": {name: {}}}, "experiments": {name: {"ridge": None}}},
        {"datasets": sound, "experiments": {"d": {name: {"family": "ridge"}}}},
        {"datasets": sound, "experiments": {}, "claims": {name: {}}},
    ]


@pytest.mark.parametrize("name", [each for each in BAD if "\n" not in each])
@pytest.mark.parametrize("place", range(4))
def test_params_with_a_wrong_name_are_read_by_nobody(
    place: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("data/other", "docs", "data/.sources/studies/x"):
        (tmp_path / folder).mkdir(parents=True)
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(params_with(name)[place], file)
    before = sorted(tmp_path.rglob("*"))
    for read in (read_params, sources.main):
        with pytest.raises(ValueError, match=r"params.yaml: \d problem") as caught:
            read()
        assert BAD[name] in str(caught.value)
        assert RULE in str(caught.value)
        assert "problem" in str(caught.value).splitlines()[0]
    passed_checks.FILE.unlink(missing_ok=True)  # which studies are in order, remembered
    assert sorted(tmp_path.rglob("*")) == before


def test_names_that_differ_in_case_are_refused() -> None:
    studies = {"Ridge": None, "ridge": None, "lasso": None}
    params = {
        "datasets": {"tables": {"Cells": {}}, "images": {"cells": {}}},
        "experiments": {"cells": studies, "Cells": {"ridge": None}},
    }
    lines = [line.partition(";")[0] for line in name_errors(params)]
    assert lines == [
        "datasets.images.cells: differs from Cells in case only",
        "experiments.cells: differs from Cells in case only",
        "experiments.cells.ridge: differs from Ridge in case only",
    ]


def test_one_name_of_two_datasets_studies_is_no_clash() -> None:
    params = {"experiments": {"a": {"ridge": None}, "b": {"ridge": None}}}
    assert name_errors(params) == []


@pytest.mark.parametrize("params", [None, [], {"datasets": 3}, {"claims": [1]}])
def test_what_is_no_mapping_has_no_names(params: Any) -> None:
    assert name_errors(params) == []


def test_sections_with_wrong_names_are_not_read_further() -> None:
    params = {"datasets": {"tables": {"a/b": {}, "c": {}}}, "experiments": {"a/b": {}}}
    kept = without_wrong_names(params)
    assert kept == {"datasets": {"tables": {"c": {}}}, "experiments": {}}


def test_the_shipped_names_obey_the_rule() -> None:
    assert name_errors(YAML(typ="safe").load((ROOT / "params.yaml").read_text())) == []


@pytest.mark.parametrize("name", ["../docs", "", "$(cmd)", "a b"])
def test_a_stage_takes_names_only(name: str) -> None:
    with pytest.raises(ValueError, match="begins with a letter or a digit"):
        call_stage("tables", lambda dataset: pytest.fail("called"), [name])


def test_every_stage_with_names_in_its_command_runs_after_the_check() -> None:
    for path in ("dvc.yaml", "pipelines/cli/templates/dvc.yaml.j2"):
        stages = YAML(typ="safe").load((ROOT / path).read_text())["stages"]
        checked = [next(iter(each)) for each in stages["sources"]["outs"]]
        for name, stage in stages.items():
            if "${key}" in str(stage.get("do", {}).get("cmd")):
                deps = stage["do"]["deps"]
                assert any(d.startswith(tuple(checked)) for d in deps), (path, name)
        whole = "params.yaml" in stages["sources"]["deps"]
        assert whole or "claims" not in stages, "claims must be watched, too"


# The guard of folders


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("data/own/table.parquet", "data/mine/raw.csv", "docs/index.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    Path("data/empty").mkdir()
    Path("data/link").symlink_to(tmp_path / "docs")
    Path("data/file").write_text("a file")
    return tmp_path


@pytest.mark.parametrize("name", ["own", "empty", "absent", "absent/deeper"])
def test_a_folder_of_the_pipeline_may_be_replaced(here: Path, name: str) -> None:
    check_target(Path("data") / name, root=Path("data"), marks=PREPARED)
    check_target(here / "data" / name, root=here / "data", marks=PREPARED)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("data", "is the folder of all results"),
        ("data/.", "is the folder of all results"),
        ("data/own/..", "is the folder of all results"),
        ("docs", "is outside of data"),
        ("data/../docs", "is outside of data"),
        (".", "is outside of data"),
        ("..", "is outside of data"),
        ("/", "is outside of data"),
        ("data/link", "is a link"),
        ("data/link/inside", "is outside of data"),
        ("data/file", "expected a folder"),
        ("data/mine", "holds raw.csv, which ftml did not write"),
    ],
)
def test_anything_else_is_refused_and_kept(
    here: Path, target: str, reason: str
) -> None:
    before = sorted(here.rglob("*"))
    with pytest.raises(ValueError, match=reason) as caught:
        remove_folder(Path(target), root=Path("data"), marks=PREPARED)
    assert "\n" not in str(caught.value)
    assert sorted(here.rglob("*")) == before


def test_the_root_may_be_a_link_to_another_disk(here: Path) -> None:
    (here / "data").rename(here / "disk")
    Path("data").symlink_to(here / "disk")
    remove_folder(Path("data/own"), root=Path("data"), marks=PREPARED)
    assert not (here / "disk/own").exists()


def test_every_data_kind_has_a_mark() -> None:
    assert len(KINDS) == len(PREPARED)
    for kind, mark in zip(KINDS, PREPARED, strict=True):
        source = inspect.getsource(inspect.getmodule(kind.data) or kind.data)
        assert f'"{mark}"' in source


def test_temporary_folders_of_a_killed_stage_are_recognized(here: Path) -> None:
    for name in (".own.abcdefg1", ".own.x.abcdefg1", ".own.short", ".owns.abcdefg1"):
        (here / "data" / name / "new").mkdir(parents=True)
    assert leftovers(Path("data/own")) == [Path("data/.own.abcdefg1")]
    assert not is_foreign(Path("data/.own.abcdefg1"), PREPARED)
    foreign = [p.name for p in Path("data").iterdir() if is_foreign(p, PREPARED)]
    assert sorted(foreign) == [".own.short", "file", "link", "mine"]


def test_raw_data_in_the_place_of_a_dataset_are_not_removed(here: Path) -> None:
    table = "{source: 'file:data/mine/raw.csv', task: regression}"
    text = f"datasets: {{tables: {{mine: {table}}}}}\nexperiments: {{}}\n"
    Path("params.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"data/mine: holds raw\.csv"):
        sources.main()
    assert Path("data/mine/raw.csv").exists()


def test_params_errors_are_params_errors(here: Path) -> None:
    Path("params.yaml").write_text("datasets: {tables: {a/b: {}}}\nexperiments: {}\n")
    with pytest.raises(ParamsError):
        read_params()
