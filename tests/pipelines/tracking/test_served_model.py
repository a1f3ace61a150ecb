"""What MLflow stores of a model besides its files."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import ftml
from pipelines.params.keys import imported
from pipelines.params.read import read_params
from pipelines.tracking import served_model


def test_each_module_that_ftml_imports_is_of_the_package_that_is_required() -> None:
    files = Path(ftml.__file__).parent.rglob("*.py")
    tops = {name.split(".")[0] for path in files for name in imported(path)}
    owners = metadata.packages_distributions()
    named = {
        top: served_model.PACKAGES.get(top, top)
        for top in tops - sys.stdlib_module_names - {"ftml"}
        if top in owners
    }
    assert named == {top: owners[top][0] for top in named}


def test_a_package_that_is_not_installed_is_not_required() -> None:
    assert served_model.version_of("a-package-that-nobody-has") is None
    assert served_model.version_of("numpy") == metadata.version("numpy")


PARAMS = """
datasets: {tables: {toy: {source: "file:toy.csv", task: regression, target: y}}}
experiments: {toy: {ridge: {trials: 1}}}
"""


def test_a_model_has_the_modules_of_its_family_and_none_of_other_families_or_claims(
    tmp_path: Path,
) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    (study,) = read_params(tmp_path / "params.yaml").experiments["toy"]
    with served_model.code_of(study) as place:
        files = {
            path.relative_to(place).as_posix() for path in Path(place).rglob("*.py")
        }
    assert {"__init__.py", "predictor.py", "families/linear/ridge.py"} <= files
    assert not [name for name in files if name.startswith("claims/")]
    others = {"families/linear/logistic_regression.py", "families/neural/mlp.py"}
    assert not others & files
