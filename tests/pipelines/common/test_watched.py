"""Links by which DVC sees local files, and the project folder of an experiment."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipelines.common import watched
from pipelines.common.project import project_folder
from pipelines.stages import sources
from tests.conftest import ROOT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with a table, folders of texts and images, and word vectors."""
    folder = tmp_path / "project"
    for name in ("a.csv", "b.csv", "texts/a.txt", "texts/in/b.txt", "pets/cat/1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (tmp_path / "beside.csv").write_text("beside")
    monkeypatch.chdir(folder)
    return folder


def seen(folder: Path) -> dict[str, str]:
    """Return the content of the files that DVC hashes in a dependency: it follows the
    dependency itself and links to files, but no link to a folder.
    """
    found = {}
    for root, _, names in os.walk(folder):
        for path in (Path(root) / name for name in names):
            found[path.relative_to(folder).as_posix()] = path.read_text()
    return found


def test_a_file_is_linked_at_its_own_name(project: Path) -> None:
    places = ["file:a.csv", "file:../beside.csv", f"file:{project}/b.csv"]
    watched.link_datasets({"d": {"source": places[0], "also": places[1:]}})
    absolute = f"absolute{project}/b.csv"
    files = watched.FILES / "d"
    assert seen(files) == {
        "project/a.csv": "a.csv",
        "above1/beside.csv": "beside",
        absolute: "b.csv",
    }
    Path("a.csv").write_text("changed")
    assert seen(files)["project/a.csv"] == "changed"


@pytest.mark.parametrize(
    ("source", "content"),
    [
        ("file:texts", {"a.txt", "in/b.txt"}),
        ("file:texts/*.txt", {"a.txt", "in/b.txt"}),
        ("file:texts/*/b.txt", {"a.txt", "in/b.txt"}),
        ("file:texts/in/", {"b.txt"}),
    ],
)
def test_new_files_of_a_folder_or_pattern_are_seen(
    project: Path, source: str, content: set[str]
) -> None:
    watched.link_datasets({"d": {"source": source}})
    folder = watched.FOLDERS / "d/1"
    assert set(seen(folder)) == content
    (folder.resolve() / "new.txt").write_text("new")
    assert set(seen(folder)) == content | {"new.txt"}
    assert not watched.ALWAYS.is_symlink()


@pytest.mark.parametrize(
    "section", [None, {"source": "sklearn:iris"}, {"source": "file:a.csv"}]
)
def test_no_dependency_is_an_empty_file_or_folder(
    project: Path, section: dict | None
) -> None:
    # DVC warns of both: 'data/.sources/names' is empty.
    watched.link_datasets({} if section is None else {"d": section})
    watched.link_studies("d", [])
    names = [] if section is None else [watched.NAMES / "d", watched.FILES / "d"]
    if section:
        names += [watched.FOLDERS / f"d/{i + 1}" for i in range(watched.N_FOLDERS)]
    for path in [watched.NAMES, watched.STUDIES / "d", *names]:
        assert any(path.iterdir()) if path.is_dir() else path.stat().st_size


def test_sources_are_found_at_any_depth_and_one_folder_is_linked_once(
    project: Path,
) -> None:
    section = {
        "source": "file:texts/a*",
        "test": {"source": "file:texts/in/../b*"},
        "also": [{"source": "file:pets"}, {"source": "sklearn:digits"}],
        "n": 3,
    }
    watched.link_datasets({"d": section})
    assert [each.name for each in sorted((watched.FOLDERS / "d").iterdir())] == [*"12"]
    assert set(seen(watched.FOLDERS / "d/2")) == {"cat/1.png"}
    names = (watched.NAMES / "d").read_text().splitlines()
    assert names == ["file:texts/a*", "file:texts/in/../b*", "file:pets"]


@pytest.mark.parametrize("source", ["file:*.csv", "file:./[ab].csv"])
def test_files_of_a_pattern_in_the_project_folder_are_linked_again_each_time(
    project: Path, source: str
) -> None:
    watched.link_datasets({"d": {"source": source}})
    found = {"project/a.csv": "a.csv", "project/b.csv": "b.csv"}
    assert seen(watched.FILES / "d") == found
    assert watched.ALWAYS.readlink() == project / "dvc.lock"


def test_every_folder_that_a_stage_depends_on_exists_and_is_not_empty(
    project: Path,
) -> None:
    watched.link_datasets({"d": {"source": "sklearn:iris"}})
    watched.link_studies("d", [])
    for folder in ("files/d", "folders/d/1", "folders/d/2", "studies/d"):
        assert seen(watched.LINKS / folder) == {"none": ""}
    assert len(list((watched.FOLDERS / "d").iterdir())) == watched.N_FOLDERS


def test_a_link_to_a_missing_file_leads_to_it_when_it_is_there(project: Path) -> None:
    watched.link_datasets({"d": {"source": "file:c.csv"}})
    Path("c.csv").write_text("c")
    assert seen(watched.FILES / "d") == {"project/c.csv": "c"}


def test_making_links_again_removes_links_and_no_files(project: Path) -> None:
    for source in ("file:texts", "file:a.csv"):
        watched.link_datasets({"d": {"source": source}})
    assert seen(watched.FOLDERS / "d/1") == {"none": ""}
    assert seen(Path("texts")) == {"a.txt": "texts/a.txt", "in/b.txt": "texts/in/b.txt"}


def test_the_stage_links_the_input_files_of_studies(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("params.yaml").write_text(
        """
datasets:
  tables: {d: {source: "file:c.csv"}, e: {source: "sklearn:iris"}}
experiments:
  d: {mlp: {config: {vectors: a.csv, activation: relu}}, ols: }
  e: {ols: {}}
"""
    )
    sources.main()
    assert seen(watched.STUDIES / "d") == {"project/a.csv": "a.csv"}
    assert seen(watched.STUDIES / "e") == {"none": ""}
    sections = {k: json.loads(v) for k, v in seen(watched.DATASETS).items()}
    table = {"source": "file:c.csv"}
    assert sections == {
        "d": {"tables": table},
        "e": {"tables": {"source": "sklearn:iris"}},
    }
    assert json.loads(seen(watched.EXPERIMENTS)["e"]) == {"ols": {}}
    assert capsys.readouterr().err == "d: file:c.csv: no such file; nearest: b.csv\n"


@pytest.mark.parametrize(
    ("claims", "content"),
    [
        ("", {}),
        ("claims: {tree: {}, linear: {seed: 1, budget: large}}", None),
        ("claims: [linear]", {}),
        ("claims: {linear: {2026-11-30: 2026-12-01, a: 1}}", {"linear": {"a": 1}}),
    ],
)
def test_the_stage_writes_the_section_on_which_the_stage_of_claims_depends(
    claims: str, content: dict | None, project: Path
) -> None:
    Path("params.yaml").write_text(f"datasets: {{}}\nexperiments: {{}}\n{claims}\n")
    sources.main()
    text = sources.CLAIMS.read_text()
    if content is None:
        content = {"linear": {"seed": 1, "budget": "large"}, "tree": {}}
        assert text.index("linear") < text.index("tree")
    assert json.loads(text) == content


@pytest.mark.parametrize("name", ["standalone/tmp1", "tmp2", "tmp2/inside"])
def test_the_project_folder_of_a_copy_for_an_experiment_is_found(
    tmp_path: Path, name: str
) -> None:
    assert project_folder(tmp_path / ".dvc/tmp/exps" / name) == tmp_path
    assert project_folder(tmp_path) == tmp_path


def test_files_without_git_are_linked_into_the_copy_for_an_experiment(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = project / ".dvc/tmp/exps/standalone/tmp1"
    (copy / "texts").mkdir(parents=True)
    (copy / "texts/a.txt").write_text("of the experiment")
    monkeypatch.chdir(copy)
    watched.link_datasets(
        {"d": {"source": "file:a.csv"}, "e": {"source": "file:texts"}}
    )
    assert seen(watched.FILES / "d") == {"project/a.csv": "a.csv"}
    assert seen(watched.FOLDERS / "e/1") == {
        "a.txt": "of the experiment",
        "in/b.txt": "texts/in/b.txt",
    }


def test_dvc_ignores_what_python_writes() -> None:
    assert "__pycache__" in (ROOT / ".dvcignore").read_text().split()
