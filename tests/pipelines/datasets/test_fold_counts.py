"""Studies that ask for more folds than their table allows are refused in the stage."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ftml.data import table
from ftml.data.splits import fold_limit
from pipelines.datasets.fold_counts import check_folds
from pipelines.stages import tables


def study_of(name: str, cv: int | None) -> Any:
    """Return what `check_folds` reads of a study."""
    return SimpleNamespace(
        name=name, dataset=SimpleNamespace(name="d"), section=SimpleNamespace(cv=cv)
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"groups": np.arange(20) // 6}, "have 3 groups; at most 3 folds are possible"),
        ({"time": np.arange(20) // 4 * 1.0}, "have 4 different times: parts in"),
        (
            {"y": np.arange(20) // 17, "classes": ("many", "rare")},
            "have 0 samples of the rarest class, rare; at most 0 folds are possible: "
            "leave `cv` out",
        ),
    ],
)
def test_all_studies_with_too_many_folds_are_named(
    tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    given = {"y": np.arange(20.0), **fields}
    whole = table.Table(np.arange(20.0)[:, None], **given)
    table.write(tmp_path, whole, np.repeat(["train", "valid", "test"], [12, 4, 4]))
    check_folds(tmp_path, [study_of("none", None)])
    with pytest.raises(ValueError, match=re.escape(reason)) as error:
        check_folds(tmp_path, [study_of("a", 4), study_of("b", 99)])
    assert str(error.value).startswith("experiments.d.a.cv: 4 folds; experiments.d.b.")


def test_too_many_folds_are_refused_before_an_experiment_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(
        'datasets: {tables: {d: {source: "file:d.csv", task: regression, target: y, '
        "split: {groups: g}}}}\nexperiments: {d: {ols: {cv: 4}}}\nclaims: {}\n"
    )
    rows = [f"{i},{i // 5},{i}" for i in range(20)]
    Path("d.csv").write_text("x,g,y\n" + "\n".join(rows))
    with pytest.raises(ValueError, match=r"^experiments.d.ols.cv: 4 folds: the train"):
        tables.main("d")
    assert not Path("data/d").exists()


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({}, 12),
        ({"groups": np.arange(12) % 5}, 5),
        ({"time": np.arange(12) // 2}, 5),
        ({"time": np.zeros(12)}, 0),
        ({"groups": np.arange(12) % 5, "classes": ("a", "b", "c")}, 4),
        ({"classes": ("a", "b", "c", "d")}, 0),
    ],
)
def test_the_largest_number_of_folds(fields: dict[str, Any], most: int) -> None:
    limit = fold_limit(y=np.arange(12) % 3, **{"classes": (), **fields})
    assert limit.most == most
    limit.check(most)
    with pytest.raises(ValueError, match=f"^cv: {most + 1} folds of "):
        limit.check(most + 1)
