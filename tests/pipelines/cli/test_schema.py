"""The JSON schema of params.yaml takes what `read_params` takes, and no typo."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from ftml.core import families
from pipelines.cli.schema import params_schema
from tests.conftest import ROOT

SOUND = """
datasets:
  tables:
    d: {source: "sklearn:diabetes", task: regression, sha256: null}
  images: {}
  domains:
    r: {source: "sklearn:digits", rotate: [0, 15], image_size: [8, 8]}
experiments:
  d:
    ridge:
    ols: {cv: 5, config: {seed: 3}}
    plain: {family: ridge, search: {alpha: null}}
    grid: {family: ridge, search: {alpha: {log_grid: [1.0e-6, 1, 3]}}}
    choice: {family: ridge, search: {standardize: {choice: [true, false]}}}
  r:
    erm: {test_domains: each, config: {hidden: [], batch_size: null}}
    fish: {test_domains: [15, "0"], search: {learning_rate: {uniform: [0.1, 1]}}}
    mlp: {family: erm, test_domains: [0]}
"""

FAULTS = [
    ("source:", "sourcee:"),
    ("task: regression", "task: regresion"),
    ("sha256: null", "sha256: abc"),
    ("cv: 5", "cv: 1"),
    ("cv: 5", "cvs: 5"),
    ("seed: 3", "seed: -1"),
    ("seed: 3", "alpha: 1"),
    ("alpha: null", "alhpa: null"),
    ("family: ridge, search: {alpha: null}", "search: {alpha: null}"),
    ("family: ridge, search: {alpha: null}", "family: rigde"),
    ("log_grid: [1.0e-6, 1, 3]", "log_grid: [1.0e-6, 1]"),
    ("log_grid: [1.0e-6, 1, 3]", "log_uniform: [-1, 1]"),
    ("log_grid: [1.0e-6, 1, 3]", "log_unifrom: [1, 2]"),
    ("choice: [true, false]", "choice: [1]"),
    ("choice: [true, false]", "choice: []"),
    ("choice: [true, false]", "uniform: [0, 1]"),
    ("uniform: [0.1, 1]", "uniform: [0.1, 2]"),
    ("each", "every"),
    ("hidden: []", "hidden: [0]"),
    ("images: {}", "pictures: {}"),
    ("ridge:\n", "ridge: 3\n"),
    ("family: erm", "family: erm, trials: 1.5"),
]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = params_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_the_params_of_the_repository_are_valid(
    validator: Draft202012Validator,
) -> None:
    validator.validate(read((ROOT / "params.yaml").read_text()))
    validator.validate(read(SOUND))


@pytest.mark.parametrize(("right", "wrong"), FAULTS)
def test_a_typo_is_not_valid(
    validator: Draft202012Validator, right: str, wrong: str
) -> None:
    assert right in SOUND
    assert not validator.is_valid(read(SOUND.replace(right, wrong, 1)))


def test_every_family_has_its_fields_and_their_descriptions(
    validator: Draft202012Validator,
) -> None:
    definitions = validator.schema["$defs"]
    for name in families():
        parts = definitions[f"of_{name}"]["properties"]
        fields = parts["config"]["properties"]
        assert set(parts["search"]["properties"]) == set(fields) - {"seed"}
        assert all("description" in field for field in fields.values())
