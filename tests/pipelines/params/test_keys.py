"""What a study's result depends on, as a hash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipelines.params import keys
from pipelines.params.keys import data_digest, imported, source_modules, study_key
from pipelines.params.read import Study, read_params

PARAMS = """
datasets:
  tables:
    diabetes: {source: "sklearn:diabetes", task: regression}
experiments:
  diabetes:
    ridge: STUDY
"""


def study(folder: Path, block: str) -> Study:
    path = folder / "params.yaml"
    path.write_text(PARAMS.replace("STUDY", block))
    return read_params(path).experiments["diabetes"][0]


def test_a_key_changes_with_params_data_and_threads_but_not_with_other_resources(
    tmp_path: Path,
) -> None:
    blocks = [
        "{trials: 3}",
        "{trials: 4}",
        "{trials: 3, seeds: 2}",
        "{trials: 3, config: {standardize: false}}",
        "{trials: 3, search: {alpha: {log_uniform: [1.0, 2.0]}}}",
    ]
    found = [study_key(study(tmp_path, block), "data") for block in blocks]
    assert len(set(found)) == len(blocks)
    assert study_key(study(tmp_path, blocks[0]), "data") == found[0]
    assert study_key(study(tmp_path, blocks[0]), "other") != found[0]
    same, other = ("cpu: 0.5", "cpu: 1, gpu: 0.5", "cpu: 1.5"), ("cpu: 2", "cpu: 3.0")
    keys = {
        each: study_key(
            study(tmp_path, f"{{trials: 3, resources: {{{each}}}}}"), "data"
        )
        for each in (*same, *other, "cpu: 2.5")
    }
    assert {keys[each] for each in same} == {found[0]}
    assert len({found[0], *(keys[each] for each in other)}) == 3
    assert keys["cpu: 2.5"] == keys["cpu: 2"], "the same number of threads"


def test_a_key_changes_with_the_content_of_a_file_that_the_study_reads(
    tmp_path: Path,
) -> None:
    weights, params = tmp_path / "weights", tmp_path / "params.yaml"
    params.write_text(
        f"""
datasets: {{domains: {{d: {{source: s, rotate: [0, 15]}}}}}}
experiments:
  d:
    erm:
      test_domains: each
      config: {{network: resnet18, pretrained: {weights}}}
"""
    )
    found = []
    for content in (b"one", b"other", b"one"):
        weights.write_bytes(content)
        (planned,) = read_params(params).experiments["d"]
        found.append(study_key(planned, "data"))
    assert found[0] == found[2] != found[1]


@pytest.mark.parametrize(
    ("module", "matters"),
    [
        ("ftml.families.linear.ridge", True),
        ("ftml.data.standardize", True),
        ("ftml.tasks.regression", True),
        ("ftml.families.linear.softmax_regression", False),
        ("ftml.nn.mlp", False),
    ],
)
def test_a_key_changes_with_the_source_of_what_the_family_imports_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, matters: bool
) -> None:
    before = study_key(study(tmp_path, "{trials: 3}"), "data")
    whole = source_modules(module)[module]
    changed = tmp_path / "changed.py"
    changed.write_text(whole.read_text() + "\n# another line\n")
    find = keys._module_path
    monkeypatch.setattr(
        keys, "_module_path", lambda name: changed if name == module else find(name)
    )
    after = study_key(study(tmp_path, "{trials: 3}"), "data")
    assert (after != before) == matters


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("import a.b\ndef f():\n    from c import d, e as g\n")
    assert list(imported(path)) == ["a.b", "c", "c.d", "c.e"]


@pytest.mark.slow
def test_the_digest_of_a_folder_is_the_one_of_dvc(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "inner").mkdir(parents=True)
    (folder / "b.txt").write_text("two\n")
    (folder / "a-ä.bin").write_bytes(bytes(range(256)))
    (folder / "inner" / "c.txt").write_text("")
    for command in (["init", "--no-scm", "-q"], ["add", "-q", "data"]):
        subprocess.run(
            [sys.executable, "-m", "dvc", *command], cwd=tmp_path, check=True
        )
    (out,) = YAML(typ="safe").load((tmp_path / "data.dvc").read_text())["outs"]
    assert data_digest(folder) == out["md5"]


def test_uncommitted_files_are_those_that_a_run_is_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ftml/a.py", "params.yaml", "notes.md", "dvc.lock", "metrics/d.json"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("1")
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q"], ["add", "--all"], ["commit", "-qm", "All"]):
        subprocess.run(["git", *identity, *command], check=True)
    for name in ("dvc.lock", "metrics/d.json", "metrics/new.json", "other.txt"):
        Path(name).write_text("2")
    keys.uncommitted.cache_clear()
    assert keys.uncommitted() == ()
    for name in ("params.yaml", "notes.md", "ftml/b.py"):
        Path(name).write_text("2")
    keys.uncommitted.cache_clear()
    assert keys.uncommitted() == ("ftml/b.py", "notes.md", "params.yaml")
    keys.uncommitted.cache_clear()
