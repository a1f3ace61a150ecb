"""What a search consists of, and what its section may say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ftml import family
from ftml.config import (
    Choice,
    Grid,
    Integers,
    LogUniform,
    Uniform,
    log_grid,
    search_space,
)
from pipelines.params.read import ParamsError, read_params
from pipelines.study.plan import on_every_fold, sample_configurations

SPACE = {
    "rate": LogUniform(1e-3, 1.0),
    "hidden": Choice((8,), (16, 16), None),
    "depth": Integers(1, 3),
    "share": Uniform(0.0, 0.5),
}
DEFAULTS = {"rate": 0.1, "hidden": [8], "depth": 2, "share": 0.25, "other": 1}


def drawn(count: int, seed: int = 0) -> list[dict]:
    return sample_configurations(SPACE, count=count, defaults=DEFAULTS, seed=seed)


def test_the_first_configuration_is_the_default_one_and_the_others_are_of_the_space():
    first, *others = drawn(40)
    assert first == {name: DEFAULTS[name] for name in SPACE}
    assert all(1e-3 <= each["rate"] <= 1.0 for each in others)
    assert {str(each["hidden"]) for each in others} == {"[8]", "[16, 16]", "None"}
    assert {each["depth"] for each in others} == {1, 2, 3}
    assert len({each["share"] for each in others}) == 39


def test_a_larger_budget_begins_with_the_configurations_of_a_smaller_one():
    assert drawn(9)[:4] == drawn(4)
    assert drawn(4, seed=1) != drawn(4)


def test_configurations_are_what_a_record_gives_back():
    assert json.loads(json.dumps(drawn(5))) == drawn(5)


def test_without_a_space_there_is_one_configuration_that_says_nothing():
    assert sample_configurations({}, count=1, defaults=DEFAULTS, seed=0) == [{}]


def test_a_grid_is_tried_whole_with_each_configuration_of_the_rest():
    space = {
        "a": log_grid(1.0, 100.0, 3),
        "rate": Uniform(0.0, 1.0),
        "b": Grid("x", "y"),
    }
    defaults = {"a": 7.0, "rate": 0.5, "b": "z"}
    found = sample_configurations(space, count=2, defaults=defaults, seed=0)
    points = [(a, b) for a in (1.0, 10.0, 100.0) for b in ("x", "y")]
    assert [(each["a"], each["b"]) for each in found] == points * 2
    assert [each["rate"] for each in found[:6]] == [0.5] * 6
    assert len({each["rate"] for each in found[6:]}) == 1
    assert list(found[0]) == ["a", "rate", "b"]


def test_each_configuration_is_tried_on_every_fold_before_the_next():
    trials = on_every_fold([{"a": 1}, {"a": 2}], [("x",), ("y",)])
    assert [(each.config["a"], each.fold) for each in trials] == [
        (1, ("x",)),
        (1, ("y",)),
        (2, ("x",)),
        (2, ("y",)),
    ]


def test_a_search_samples_fields_in_the_order_in_which_the_family_lists_them():
    """The generator gives its values to the fields one after the other: another order
    of the same fields would give every study other configurations.
    """
    Config = family("mlp").Config
    space = {**search_space(Config), "optimizer": Choice("adam", "rmsprop")}
    ordered = {name: space[name] for name in Config.model_fields if name in space}
    assert list(ordered) == ["optimizer", "learning_rate", "l2"]
    defaults = Config().model_dump(mode="json")
    _, found = sample_configurations(ordered, count=2, defaults=defaults, seed=7)
    rng = np.random.default_rng(7)
    assert found == {name: each.sample(rng) for name, each in ordered.items()}


def test_the_old_name_of_a_key_is_an_error_that_names_the_new_one(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(
        "datasets: {tables: {d: {source: 'sklearn:diabetes', task: regression}}}\n"
        "experiments: {d: {ridge: {pack: 4, trails: 2}}}\n"
    )
    with pytest.raises(ParamsError) as caught:
        read_params(path)
    assert "experiments.d.ridge.pack: renamed to batch_trials" in str(caught.value)
    assert "experiments.d.ridge.trails: unknown key; nearest: trials" in str(
        caught.value
    )
