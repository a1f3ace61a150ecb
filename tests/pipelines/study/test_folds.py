"""What a study leaves out of training."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ftml import Domains
from ftml.data import Table, domains, table
from pipelines.params.read import read_params
from pipelines.study.folds import DatasetReader, Folds, read_folds

PARAMS = """
datasets: {{domains: {{toy: {{source: s, rotate: [0, 15]}}}}}}
experiments: {{toy: {{erm: {study}}}}}
"""


@pytest.fixture
def folds_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function from a study's section to its folds, of four domains."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/toy"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    y, domain = np.arange(40) % 2, np.arange(40) // 10
    names = ("d", "a", "c", "b")
    data = Domains(
        rng.normal(size=(40, 2)), y, domain, names, ("no", "yes"), ("p", "q")
    )
    domains.write(folder, data, np.where(np.arange(40) % 5, "train", "valid"))

    def made(study: str) -> Folds:
        (tmp_path / "params.yaml").write_text(PARAMS.format(study=study))
        (planned,) = read_params().experiments["toy"]
        return read_folds(planned)

    return made


def test_domains_named_together_are_left_out_together(folds_of) -> None:
    folds = folds_of("{test_domains: [b, d]}")
    assert folds.tested == folds.tried == (("d", "b"),)
    splits = folds.splits(("d", "b"))
    assert splits.test.domain_names == ("d", "b")
    assert splits.train.domain_names == ("a", "c")
    assert folds.splits(("d", "b")) is splits


def test_studies_of_a_dataset_that_is_read_once_share_the_splits_of_equal_folds(
    folds_of, tmp_path: Path
) -> None:
    folds_of("{test_domains: each}")
    studies = ("{test_domains: each}", "{test_domains: [b]}", "{test_domains: [b]}")
    listed = ", ".join(
        f"s{i}: {{family: erm, {s[1:-1]}}}" for i, s in enumerate(studies)
    )
    (tmp_path / "params.yaml").write_text(
        "datasets: {domains: {toy: {source: s, rotate: [0, 15]}}}\n"
        f"experiments: {{toy: {{{listed}}}}}\n"
    )
    planned = read_params().experiments["toy"]
    reader = DatasetReader(planned[0].dataset)
    first = reader.folds(planned[0])
    shutil.rmtree(tmp_path / "data")
    each, one, other = (reader.folds(study) for study in planned)
    assert each is first
    assert one.splits is other.splits is not each.splits
    assert one.splits(("b",)).test.domain_names == ("b",)


def test_each_leaves_out_one_after_the_other(folds_of) -> None:
    folds = folds_of("{test_domains: each}")
    assert folds.tested == folds.tried == (("d",), ("a",), ("c",), ("b",))
    assert folds.splits(("c",)).test.domain_names == ("c",)


def test_leave_one_domain_out_selection_tries_every_pair_once(folds_of) -> None:
    folds = folds_of(
        "{test_domains: each, selections: [validation, leave_one_domain_out]}"
    )
    assert folds.tried[:4] == folds.tested
    assert folds.tried[4:] == (
        ("d", "a"),
        ("d", "c"),
        ("d", "b"),
        ("a", "c"),
        ("a", "b"),
        ("c", "b"),
    )
    assert folds.splits(("a", "b")).train.domain_names == ("d", "c")


def test_an_unknown_test_domain_is_named_before_any_work(folds_of) -> None:
    with pytest.raises(ValueError, match="test domain 'e' is not in toy"):
        folds_of("{test_domains: [e, a]}")


def test_a_fold_that_leaves_nothing_to_train_on_is_an_error(folds_of) -> None:
    with pytest.raises(ValueError, match="test_domains holds every domain of toy"):
        folds_of("{test_domains: [a, b, c, d]}")
    with pytest.raises(ValueError, match="test_domains holds every domain of toy"):
        folds_of("{test_domains: [a, b, c], selections: [leave_one_domain_out]}")


def test_family_of_two_classes_refuses_more_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    y = np.arange(30) % 3
    data = Table(np.eye(30, 2), y, classes=("a", "b", "c"))
    (tmp_path / "data/iris").mkdir(parents=True)
    split = np.repeat(["train", "valid", "test"], [18, 6, 6])
    table.write(tmp_path / "data/iris", data, split)
    (tmp_path / "params.yaml").write_text(
        "datasets: {tables: {iris: {source: s, task: classification}}}\n"
        "experiments: {iris: {newton: {}, softmax_regression: {}}}\n"
    )
    newton, softmax = read_params().experiments["iris"]
    with pytest.raises(
        ValueError,
        match=r"experiments\.iris\.newton: family newton classifies 2 classes, the "
        "dataset has 3; one_vs_rest",
    ):
        read_folds(newton)
    assert read_folds(softmax).tested == ((),)


def test_metric_of_two_classes_refuses_more_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = Table(np.eye(9, 2), np.arange(9) % 3, classes=("a", "b", "c"))
    (tmp_path / "data/iris").mkdir(parents=True)
    table.write(tmp_path / "data/iris", data, np.repeat(["train", "valid", "test"], 3))
    (tmp_path / "params.yaml").write_text(
        "datasets: {tables: {iris: {source: s, task: classification, metric: auc}}}\n"
        "experiments: {iris: {softmax_regression: {}}}\n"
    )
    (study,) = read_params().experiments["iris"]
    expected = r"datasets\.tables\.iris\.metric: auc is for two classes, the dataset"
    with pytest.raises(ValueError, match=expected):
        read_folds(study)
