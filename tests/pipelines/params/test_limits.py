"""Params that ask for too much are one line, in seconds and little memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.common import yaml_files
from pipelines.common.yaml_files import read_yaml
from pipelines.params.read import ParamsError, read_params
from pipelines.stages import sources

DOUBLED = "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
MERGED = "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 12)
)
HOSTILE = {
    "aliases": ("a0: &a0 [x, x]\n" + DOUBLED, "expected at most 20000 values"),
    "merged": ("a0: &a0 {x: 1}\n" + MERGED, "expected at most 20000 values"),
    "nested": ("[" * 300 + "]" * 300, "expected at most 100 lists"),
    "blocks": ("".join(" " * i + "a:\n" for i in range(300)), "at most 100 lists"),
    "cycle": ("a: &a [*a]", "the anchor 'a' contains itself"),
    "own key": ("&a {*a : 1}", "the anchor 'a' contains itself"),
    "number": (f"a: {'9' * 5000}", "not valid YAML: Exceeds the limit"),
    "date": ("a: 2001-99-99", "month must be in 1..12"),
    "object": ("a: !!python/object:os.system x", "could not determine a constructor"),
    "large": ("#" * (1 << 20) + "\n", "expected at most 1048576 bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, expected = HOSTILE[name]
    Path("params.yaml").write_text(text)
    for read in (read_params, sources.main):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            read()
        assert expected in str(caught.value)
        assert str(caught.value).startswith("params.yaml: ")
        assert "\n" not in str(caught.value)
    assert os.listdir() == ["params.yaml"]


def test_aliases_of_what_is_small_are_read(tmp_path: Path) -> None:
    text = "a: &a {x: [1, 2]}\nb: [*a, *a]\nc: {<<: *a, y: 3}\n"
    (tmp_path / "a.yaml").write_text(text)
    one = {"x": [1, 2]}
    expected = {"a": one, "b": [one, one], "c": {"x": [1, 2], "y": 3}}
    assert read_yaml(tmp_path / "a.yaml") == expected


def test_every_alias_counts_as_what_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_text("a: &a [1, 2]\nb: *a\n")
    monkeypatch.setattr(yaml_files, "MAX_VALUES", 9)
    read_yaml(tmp_path / "a.yaml")  # a mapping, two keys, and twice a list of two
    monkeypatch.setattr(yaml_files, "MAX_VALUES", 8)
    with pytest.raises(ValueError, match="at most 8 values"):
        read_yaml(tmp_path / "a.yaml")


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "params.yaml")
    with pytest.raises(ParamsError, match="expected a file"):
        read_params(tmp_path / "params.yaml")


TABLE = "tables: {d: {source: 'sklearn:diabetes', task: regression}}"


@pytest.mark.parametrize(
    ("study", "line"),
    [
        ("trials: 1000000000", "trials: expected less than or equal to 100000, got 1"),
        ("seeds: 1000000000", "seeds: expected less than or equal to 10000, got 1000"),
        (
            "search: {alpha: {log_grid: [1.0e-3, 1, 10000000000]}}",
            "log_grid needs a count of 2 to 10000, got 10000000000",
        ),
        (
            "trials: 1000, search: {alpha: {log_grid: [1.0e-3, 1, 1000]}, "
            "standardize: {choice: [true, false]}}",
            "trials: expected at most 100000 configurations, got 1000000",
        ),
    ],
)
def test_a_study_that_is_too_large_is_one_line(
    study: str, line: str, tmp_path: Path
) -> None:
    path = tmp_path / "params.yaml"
    text = f"datasets: {{{TABLE}}}\nexperiments: {{d: {{ridge: {{{study}}}}}}}\n"
    path.write_text(text)
    with pytest.raises(ParamsError) as caught:
        read_params(path)
    assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("stage", "section"),
    [
        ("tables", "source: 'made:ring', task: density, n_samples: 1000000000000"),
        ("domains", "source: 'made:sprites', n_domains: 1000000000"),
        ("domains", "source: 'made:sprites', n_per_domain: 1000000000"),
        ("domains", "source: 'made:sprites', image_size: [100000, 100000]"),
        ("domains", "source: 'made:sprites', image_size: [4096, 4096]"),
        ("images", "source: 'file:a', image_size: [100000, 100000]"),
        ("trees", "source: 'made:boolean', n_operators: 1000000000"),
        ("trees", "source: 'made:boolean', n_samples: 1000000000"),
        ("pairs", "source: 'made:numerals', below: 1000000000000"),
        ("cooccurrence", "source: 'file:a', window: 1000000000"),
        ("cooccurrence", "source: 'file:a', subsample: 0.001, passes: 1000000000"),
    ],
)
def test_a_dataset_that_is_too_large_is_one_line(
    stage: str, section: str, tmp_path: Path
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"datasets: {{{stage}: {{d: {{{section}}}}}}}\nexperiments: {{}}\n")
    with pytest.raises(ParamsError, match=r"expected (at most|less than)"):
        read_params(path)
