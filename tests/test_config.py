"""Distributions, how params.yaml writes them, and the problems of a study."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from ftml.config import (
    Choice,
    FamilyConfig,
    Grid,
    Integers,
    LogUniform,
    Uniform,
    nearest,
    read_config,
    read_distribution,
    search_space,
    study_problems,
)


class Config(FamilyConfig):
    alpha: Annotated[float, Field(ge=0), LogUniform(1e-6, 1e3)] = 1.0
    "penalty"

    depth: Annotated[int, Field(ge=1, le=8), Integers(1, 4)] = 2
    "layers"

    kind: Annotated[Literal["soft", "hard"], Choice("soft", "hard")] = "soft"
    "of the margin"

    hidden: tuple[int, ...] = (8, 8)
    "width of each layer"

    standardize: bool = True
    "scale the features"


finite = st.floats(-1e6, 1e6)
seeds = st.integers(0, 2**32)


@given(low=finite, width=st.floats(1e-3, 1e6), seed=seeds)
def test_uniform_samples_lie_between_its_ends(
    low: float, width: float, seed: int
) -> None:
    each = Uniform(low, low + width)
    value = each.sample(np.random.default_rng(seed))
    assert each.low <= value <= each.high
    assert type(value) is float


@given(low=st.floats(1e-12, 1e6), factor=st.floats(1.001, 1e9), seed=seeds)
def test_log_uniform_samples_lie_between_its_ends(
    low: float, factor: float, seed: int
) -> None:
    each = LogUniform(low, low * factor)
    value = each.sample(np.random.default_rng(seed))
    assert each.low <= value <= each.high
    assert type(value) is float


def test_log_uniform_is_uniform_in_the_logarithm() -> None:
    rng = np.random.default_rng(0)
    logs = np.log([LogUniform(1e-6, 1e3).sample(rng) for _ in range(2000)])
    uniform = scipy.stats.uniform(math.log(1e-6), math.log(1e9))
    # Under the null p is uniform: a right sampler fails for one seed in a thousand.
    assert scipy.stats.kstest(logs, uniform.cdf).pvalue > 1e-3


def test_uniform_is_uniform() -> None:
    rng = np.random.default_rng(0)
    values = [Uniform(-2, 3).sample(rng) for _ in range(2000)]
    assert scipy.stats.kstest(values, scipy.stats.uniform(-2, 5).cdf).pvalue > 1e-3


def test_integers_reach_both_ends_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    values = [Integers(2, 4).sample(rng) for _ in range(100)]
    assert set(values) == {2, 3, 4}
    assert {type(value) for value in values} == {int}


def test_choice_gives_each_option_as_it_was_written() -> None:
    rng = np.random.default_rng(0)
    each = Choice("relu", [8, 8], None)
    drawn = [each.sample(rng) for _ in range(60)]
    assert all(any(value is option for value in drawn) for option in each.options)


def test_ends_are_what_the_samples_lie_between() -> None:
    assert Uniform(1, 2).ends() == (1.0, 2.0)
    assert LogUniform(1, 10).ends() == (1.0, 10.0)
    assert Integers(1, 3).ends() == (1, 3)
    assert Choice("a", "b", "c").ends() == ("a", "b", "c")


@pytest.mark.parametrize("each", [Uniform(1, 100), LogUniform(1, 100)])
def test_ends_of_real_distributions_are_floats_as_their_samples_are(each: Any) -> None:
    assert {type(end) for end in each.ends()} == {float}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(2, 1), "expected low < high, both finite, got 2, 1"),
        (lambda: Uniform(1, 1), "expected low < high"),
        (lambda: Uniform(0, math.inf), "both finite"),
        (lambda: Uniform(math.nan, 1), "both finite"),
        (lambda: LogUniform(0, 1), "log_uniform needs low > 0, got 0"),
        (lambda: LogUniform(-1, 1), "log_uniform needs low > 0, got -1"),
        (lambda: Integers(1, 2.5), "integers needs whole numbers, got 1, 2.5"),
        (lambda: Choice(), "at least one option"),
    ],
)
def test_distribution_refuses_bounds_that_hold_nothing(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_choices_are_equal_by_their_options() -> None:
    assert Choice(1, 2) == Choice(1, 2)
    assert hash(Choice(1, 2)) == hash(Choice(1, 2))
    assert Choice(1, 2) != Choice(2, 1)
    assert Choice(1, 2) != Grid(1, 2)
    assert repr(Choice("a", 1)) == "Choice('a', 1)"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"uniform": [0, 1]}, Uniform(0, 1)),
        ({"log_uniform": [1e-3, 1.0]}, LogUniform(1e-3, 1.0)),
        ({"integers": [1, 9]}, Integers(1, 9)),
        ({"choice": [16, 32]}, Choice(16, 32)),
        ({"choice": ["one"]}, Choice("one")),
        ({"grid": [16, 32]}, Grid(16, 32)),
        ({"log_grid": [1, 100, 3]}, Grid(1.0, 10.0, 100.0)),
    ],
)
def test_distribution_reads_as_params_yaml_writes_it(written: Any, read: Any) -> None:
    assert read_distribution(written) == read


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (0.1, r"expected one of \{uniform: \[\.\.\.\]\}.*, got 0\.1"),
        ([1, 2], r"got \[1, 2\]"),
        ({}, r"got \{\}"),
        ({"uniform": [0, 1], "choice": [1]}, "expected one of"),
        (
            {"loguniform": [1, 2]},
            "unknown distribution 'loguniform'; nearest: log_uniform",
        ),
        ({"uniform": 3}, "uniform expects a list, got 3"),
        ({"uniform": [1]}, r"uniform expects \[low, high\], got \[1\]"),
        ({"uniform": [1, 2, 3]}, r"uniform expects \[low, high\]"),
        (
            {"uniform": ["1e-3", 1]},
            r"uniform expects \[low, high\], got \['1e-3', 1\]",
        ),
        ({"integers": [True, 3]}, r"integers expects \[low, high\]"),
        ({"integers": [1.5, 3]}, "integers needs whole numbers, got 1.5, 3"),
        ({"log_uniform": [0, 1]}, "log_uniform needs low > 0"),
        ({"uniform": [2, 1]}, "expected low < high"),
        ({"choice": []}, "choice needs at least one option"),
        ({"grid": []}, "grid needs at least one option"),
        ({"log_grid": [1, 2]}, r"log_grid expects \[low, high, count\]"),
        ({"log_grid": [0, 2, 3]}, "log_grid needs low > 0, got 0"),
        ({"log_grid": [1, 2, 1]}, "log_grid needs a count of 2 to 10000, got 1"),
        ({"log_grid": [1, 2, 2.5]}, "log_grid needs a count of 2 to 10000, got 2.5"),
        ({3: [1, 2]}, "unknown distribution 3"),
    ],
)
def test_unreadable_distribution_says_what_was_expected(
    written: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_distribution(written)


def test_long_values_are_shortened_in_errors() -> None:
    with pytest.raises(ValueError, match=r"\.\.\.$") as caught:
        read_distribution({"uniform": list(range(1000))})
    assert len(str(caught.value)) < 120


def test_search_space_holds_the_distribution_of_each_marked_field() -> None:
    assert search_space(Config) == {
        "alpha": LogUniform(1e-6, 1e3),
        "depth": Integers(1, 4),
        "kind": Choice("soft", "hard"),
    }


def test_configuration_is_frozen_described_and_refuses_unknown_keys() -> None:
    config = Config()
    with pytest.raises(ValidationError, match="frozen"):
        config.alpha = 2.0
    with pytest.raises(ValidationError, match="Extra inputs"):
        Config(alhpa=1.0)
    assert Config.model_fields["alpha"].description == "penalty"


def test_configuration_reads_whole_numbers_as_floats_and_lists_as_tuples() -> None:
    config = read_config(Config, {"alpha": 2, "hidden": [3, 4]})
    assert config.alpha == 2.0
    assert type(config.alpha) is float
    assert config.hidden == (3, 4)


def test_zero_is_a_seed_and_seeds_are_whole_and_not_negative() -> None:
    assert Config().seed == 0
    assert read_config(Config, {"seed": 2**63 - 1}).seed == 2**63 - 1
    for refused in (-1, 2**63, 1.5, True, None):
        with pytest.raises(ValidationError):
            read_config(Config, {"seed": refused})


def found(values: dict[str, Any], search: dict[str, Any] | None = None) -> list[str]:
    return study_problems(Config, values, search or {}, where="here")


def test_sound_study_has_no_problem() -> None:
    assert found({"depth": 3, "seed": 0}, {"alpha": {"uniform": [0, 1]}}) == []


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"alhpa": 1}, "here.config.alhpa: unknown key; nearest: alpha"),
        ({"zzz": 1}, "here.config.zzz: unknown key; known: seed, alpha, depth, kind, "),
        ({"alpha": "1e-3"}, "here.config.alpha: expected a valid number, got '1e-3'"),
        ({"alpha": None}, "here.config.alpha: expected a valid number, got None"),
        ({"alpha": True}, "here.config.alpha: expected a valid number, got True"),
        (
            {"alpha": -1},
            "here.config.alpha: expected greater than or equal to 0, got -1",
        ),
        ({"alpha": math.nan}, "here.config.alpha: expected a finite number, got nan"),
        ({"alpha": math.inf}, "here.config.alpha: expected a finite number, got inf"),
        ({"depth": 2.5}, "here.config.depth: expected a valid integer, got 2.5"),
        ({"depth": 9}, "here.config.depth: expected less than or equal to 8, got 9"),
        ({"kind": "sotf"}, "here.config.kind: expected 'soft' or 'hard', got 'sotf'"),
        (
            {"standardize": "yes"},
            "here.config.standardize: expected a valid boolean, got ",
        ),
        (
            {"hidden": [8, "x"]},
            "here.config.hidden.1: expected a valid integer, got 'x'",
        ),
        (
            {"seed": -1},
            "here.config.seed: expected greater than or equal to 0, got -1",
        ),
    ],
)
def test_wrong_value_is_named_with_what_was_expected(values: Any, line: str) -> None:
    (problem,) = found(values)
    assert problem.startswith(line)


@pytest.mark.parametrize(
    ("search", "line"),
    [
        (
            {"alhpa": {"uniform": [0, 1]}},
            "here.search.alhpa: unknown key; nearest: alpha",
        ),
        (
            {"alpha": {"unform": [0, 1]}},
            "here.search.alpha: unknown distribution 'unform'",
        ),
        (
            {"alpha": {"uniform": [-1, 1]}},
            "here.search.alpha: expected greater than or equal to 0, got -1.0",
        ),
        (
            {"depth": {"integers": [1, 9]}},
            "here.search.depth: expected less than or equal to 8, got 9",
        ),
        (
            {"kind": {"choice": ["soft", "loud"]}},
            "here.search.kind: expected 'soft' or 'hard', got 'loud'",
        ),
        (
            {"hidden": {"choice": [[8], ["x"]]}},
            "here.search.hidden.0: expected a valid integer, got 'x'",
        ),
    ],
)
def test_search_of_unknown_or_refused_values_is_a_problem(
    search: Any, line: str
) -> None:
    (problem,) = found({}, search)
    assert problem.startswith(line)


@pytest.mark.parametrize("name", ["uniform", "log_uniform"])
def test_real_numbers_cannot_be_searched_for_a_whole_number(name: str) -> None:
    # The ends 1 and 8 are whole, but what lies between them is not.
    assert len(found({}, {"depth": {name: [1, 8]}})) == 2


def test_seeds_are_not_searched() -> None:
    (problem,) = found({}, {"seed": {"integers": [0, 9]}})
    assert problem.startswith("here.search.seed: unknown key; known: alpha, ")


def test_key_that_is_fixed_and_searched_is_a_problem() -> None:
    (problem,) = found({"alpha": 1}, {"alpha": {"uniform": [0, 1]}})
    assert problem == "here.search.alpha: also fixed under config; keep one of the two"


def test_all_problems_of_a_study_come_at_once() -> None:
    problems = found({"alhpa": 1, "depth": 0}, {"kind": 3, "seed": {"choice": [1]}})
    assert len(problems) == 4


def test_ends_of_a_search_are_read_together_with_the_fixed_values() -> None:
    class Pair(FamilyConfig):
        low: float = 0.0
        high: float = 1.0

        @model_validator(mode="after")
        def check(self) -> Pair:
            if self.low >= self.high:
                raise ValueError("low must be below high")
            return self

    search = {"low": {"uniform": [2, 3]}}
    assert study_problems(Pair, {"high": 5}, search, where="s") == []
    problems = study_problems(Pair, {"high": 2.5}, search, where="s")
    assert len(problems) == 1
    assert problems[0].startswith("s.search.low: low must be below high")


def test_nearest_name_is_given_where_one_is_near_and_all_names_elsewhere() -> None:
    assert nearest("rigde", ["ridge", "erm"]) == "; nearest: ridge"
    assert nearest("zzz", ["ridge", "erm"]) == "; known: ridge, erm"
