"""Every family is right at every size of its data kinds, and proof that each check of
`tests.contract` can fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest
from pydantic import Field
from sklearn.linear_model import LogisticRegression

from ftml.config import FamilyConfig, LogUniform
from ftml.core import Family, Step, families, family
from pipelines.params.kinds import KINDS
from tests.contract import checks
from tests.contract.examine import TRAINS, examine, failures
from tests.contract.refusals import unclear_refusal
from tests.contract.run import Run
from tests.contract.size import N_TEST, Size
from tests.contract.sizes import sizes_of
from tests.test_contract import family_of


@pytest.mark.parametrize("name", families())
def test_family_is_right_at_every_size(name: str) -> None:
    kind = family(name)
    found = failures(kind, sizes_of(kind))
    assert not found, "\n".join(
        f"{size}: {check}: {outcome}" for (size, check), outcome in found.items()
    )


def test_every_data_kind_has_sizes_that_some_family_trains_at() -> None:
    kinds = map(family, families())
    trained = {type(sizes_of(kind)[0].make().train) for kind in kinds}
    assert trained == {record.data for record in KINDS}


@pytest.mark.parametrize("name", families())
def test_names_of_sizes_differ_and_refer_to_each_other(name: str) -> None:
    names = [size.name for size in sizes_of(family(name))]
    assert len(set(names)) == len(names)
    assert {size.same_as for size in sizes_of(family(name))} - {""} <= set(names)


# A sound family: ridge regression on scaled columns, and its broken relatives


class Config(FamilyConfig):
    alpha: Annotated[float, Field(gt=0), LogUniform(1e-3, 1e-1)] = 0.01
    "penalty"

    batch_size: int = 8
    "rows of an update"


@dataclass(frozen=True)
class Model:
    mean: np.ndarray
    scale: np.ndarray
    theta: np.ndarray
    intercept: float

    def scaled(self, X: np.ndarray) -> np.ndarray:
        if X.ndim != 2 or X.shape[1] != len(self.mean):
            raise ValueError(
                f"X has shape {X.shape}, the model was fitted on {len(self.mean)}"
            )
        if not np.isfinite(X).all():
            raise ValueError("X must be finite, got another value")
        if isinstance(X, np.ma.MaskedArray):
            raise TypeError("X is a masked array, expected one without a mask")
        return (X - self.mean) / self.scale

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.scaled(X) @ self.theta + self.intercept


def fitted(config: Config, X: np.ndarray, y: np.ndarray, *, model=Model) -> Model:
    mean, scale = X.mean(axis=0), X.std(axis=0)
    scale = np.where(scale > 1e-12 * np.abs(X).max(axis=0), scale, 1.0)
    Z = (X - mean) / scale
    penalty = config.alpha * len(X) * np.eye(X.shape[1])
    theta = np.linalg.solve(Z.T @ Z + penalty, Z.T @ (y - y.mean()))
    return model(mean, scale, theta, float(y.mean()))


def steps_of(config, data, state, *, model=Model):
    """Yield two steps: the fit of half the rows, and that of all."""
    first = 1 if state is None else state["n"] + 1
    for n in range(first, 3):
        rows = len(data.train) if n == 2 else (len(data.train) + 1) // 2
        X, y = data.train.X[:rows], data.train.y[:rows]
        made = fitted(config, X, y, model=model)
        mse = float(np.mean((y - made.predict(X)) ** 2))
        yield Step(n, {"train_mse": mse}, made, {"n": n})


def sound(config, data, state=None):
    yield from steps_of(config, data, state)


def of_model(model: type):
    def train(config, data, state=None):
        yield from steps_of(config, data, state, model=model)

    return train


class IgnoresWideInputs(Model):
    def predict(self, X):
        return self.scaled(X)[:, :8] @ self.theta[:8] + self.intercept


class CentresTheChunk(Model):
    def predict(self, X):
        return (self.scaled(X) - self.scaled(X).mean(axis=0)) @ self.theta


class CountsTheRows(Model):
    def predict(self, X):
        return super().predict(X) + np.arange(len(X))


class AcceptsAnyWidth(Model):
    def predict(self, X):
        return super().predict(X[:, : len(self.mean)])


class FillsMissingValues(Model):
    def predict(self, X):
        return super().predict(np.nan_to_num(X))


class RefusesNoRows(Model):
    def predict(self, X):
        if not len(X):
            raise ValueError(f"X must have rows, got {len(X)}")
        return super().predict(X)


class LeavesOutARow(Model):
    def predict(self, X):
        found = super().predict(X)
        return np.where(np.arange(len(X)) == 1100 - 1, np.nan, found)


class GrowsFar(Model):
    def predict(self, X):
        return super().predict(X) + 1e12 * (X[:, 1:].sum(axis=1) == 0)


class HugeScores(Model):
    def predict(self, X):
        return super().predict(X) + (1e200 if len(X) == N_TEST else 0.0)


@dataclass(frozen=True)
class Rounds(Model):
    def __post_init__(self) -> None:
        # Fields that a saved model does not have.
        object.__setattr__(self, "theta", np.round(self.theta + 0.3, 1))


def divides_by_zero(config, data, state=None):
    scale = data.train.X.std(axis=0)
    ones = np.ones_like(scale) / scale
    yield from (step for step in sound(config, data, state) if ones.any())


def stays_in_units(config, data, state=None):
    for step in sound(config, data, state):
        X, y = data.train.X, data.train.y
        Z = X - X.mean(axis=0)
        theta = np.linalg.solve(Z.T @ Z + np.eye(X.shape[1]), Z.T @ (y - y.mean()))
        model = Model(X.mean(axis=0), np.ones(X.shape[1]), theta, float(y.mean()))
        yield Step(step.n, step.metrics, model, step.state)


def measures_infinity(config, data, state=None):
    for step in sound(config, data, state):
        value = np.inf if len(data.train) == 7 else 0.0
        yield Step(step.n, {"train_mse": value}, step.model, step.state)


def fails_within_numpy(config, data, state=None):
    if data.train.X.shape[1] == 1:
        np.linalg.inv(np.zeros((2, 2)))
    yield from sound(config, data, state)


def refuses_what_it_should_accept(config, data, state=None):
    if len(data.train) == 9:
        raise ValueError(f"expected an even number of rows, got {len(data.train)}")
    yield from sound(config, data, state)


def refuses_in_other_words(config, data, state=None):
    if len(data.train) == 1:
        raise ValueError("bad data")
    yield from sound(config, data, state)


def resumes_elsewhere(config, data, state=None):
    for step in sound(config, data, state):
        moved = Model(step.model.mean, step.model.scale, step.model.theta, 0.0)
        yield step if state is None else Step(step.n, step.metrics, moved, step.state)


def regression(train) -> Family:
    return family_of(train, Config=Config, Model=Model)


def outcomes(kind: Family) -> dict[tuple[str, str], str]:
    return failures(kind, sizes_of(kind))


def test_sound_family_is_right_at_every_size() -> None:
    assert not outcomes(regression(sound))


BROKEN = [
    (of_model(IgnoresWideInputs), "40 inputs", "inputs_matter"),
    (of_model(CentresTheChunk), "base", "chunks_have_the_answers_of_the_whole"),
    (of_model(CountsTheRows), "7 rows", "permuted_rows_have_permuted_answers"),
    (of_model(AcceptsAnyWidth), "base", "inputs_of_another_shape_are_refused"),
    (of_model(FillsMissingValues), "base", "inputs_that_are_not_finite_are_refused"),
    (of_model(RefusesNoRows), "base", "no_rows_have_no_answers_and_no_scores"),
    (of_model(LeavesOutARow), "1,100 rows to predict", "answers_are_finite"),
    (of_model(GrowsFar), "one-hot columns", "predictions_lie_near_the_targets"),
    (of_model(Rounds), "base", "a_saved_and_loaded_model_has_the_same_answers"),
    (divides_by_zero, "1 row", TRAINS),
    (of_model(HugeScores), "base", "scores_are_finite"),
    (stays_in_units, "a column x 1e-8", "a_unit_changes_no_answer"),
    (measures_infinity, "7 rows", "metrics_are_finite"),
    (fails_within_numpy, "1 input", TRAINS),
    (refuses_what_it_should_accept, "batch + 1 rows", TRAINS),
    (refuses_in_other_words, "1 row", TRAINS),
    (resumes_elsewhere, "base", "resumed_training_equals_uninterrupted_training"),
]


@pytest.mark.parametrize(("train", "size", "check"), BROKEN)
def test_check_fails_on_a_family_broken_for_it(train, size: str, check: str) -> None:
    kind = regression(train)
    (made,) = (each for each in sizes_of(kind) if each.name == size)
    assert examine(kind, made)[check].startswith("FAIL")


class Shares:
    """Probabilities of a classifier that are broken for 30 classes."""

    def __init__(self, k: int) -> None:
        self.k = k

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.full((len(X), self.k), 1 / min(self.k, 20))


def run_of(kind: Family, model: object, name: str) -> Run:
    """Return a run whose training has ended with this model."""
    (size,) = (each for each in sizes_of(kind) if each.name == name)
    run = Run(kind, size)
    run.__dict__["steps"] = [Step(1, {"train_loss": 0.0}, model, {})]
    return run


def test_probabilities_that_do_not_sum_to_one_are_caught() -> None:
    kind = family_of(sound, TASK="classification", Config=Config, Model=Model)
    checks.probabilities_sum_to_one(run_of(kind, Shares(2), "base"))
    with pytest.raises(AssertionError, match=r"probabilities sum to 1\.5"):
        checks.probabilities_sum_to_one(run_of(kind, Shares(30), "30 classes"))


def test_density_that_does_not_integrate_to_one_is_caught() -> None:
    class Normal:
        def __init__(self, scale: float) -> None:
            self.scale = scale

        def log_density(self, X):
            return -0.5 * (X[:, 0] ** 2 + np.log(2 * np.pi)) + np.log(self.scale)

    kind = family_of(sound, TASK="density", Config=Config, Model=Model)
    checks.probabilities_sum_to_one(run_of(kind, Normal(1.0), "1 input"))
    with pytest.raises(AssertionError, match=r"probabilities sum to 1\.5"):
        checks.probabilities_sum_to_one(run_of(kind, Normal(1.5), "1 input"))


def test_earlier_columns_that_do_not_matter_are_caught() -> None:
    class SeesThree:
        """The odds of the last column depend on the first three columns only."""

        def log_likelihood(self, X: np.ndarray) -> np.ndarray:
            odds = X[:, :3] @ [1.0, 2.0, 3.0]
            return -np.logaddexp(0.0, np.where(X[:, -1] == 1, -odds, odds))

    name = "Table: 40 inputs"
    with pytest.raises(AssertionError, match=r"36 of 39 columns before the last do"):
        checks.earlier_columns_matter_to_the_last(
            run_of(family("made"), SeesThree(), name)
        )


def test_reconstruction_that_is_worse_than_the_mean_is_caught() -> None:
    class Doubles(Model):
        def reconstruct(self, X: np.ndarray) -> np.ndarray:
            return 3.0 * X

    def doubles(config, data, state=None):
        theta = np.zeros(data.train.X.shape[1])
        yield Step(1, {"train_mse": 0.0}, Doubles(theta, theta, theta, 0.0), {})

    kind = family_of(doubles, TASK="decomposition", Config=Config, Model=Doubles)
    (size,) = (each for each in sizes_of(kind) if each.name == "1 input")
    with pytest.raises(AssertionError, match=r"of the mean"):
        checks.a_whole_fit_reconstructs_better_than_the_mean(Run(kind, size))


def test_every_check_has_a_test_in_which_it_fails() -> None:
    with_a_test_of_its_own = {
        checks.probabilities_sum_to_one.__name__,
        checks.earlier_columns_matter_to_the_last.__name__,
        checks.a_whole_fit_reconstructs_better_than_the_mean.__name__,
    }
    found = {check for _, _, check in BROKEN} | with_a_test_of_its_own
    assert found == {TRAINS, *(check.__name__ for check in checks.CHECKS)}


@pytest.mark.parametrize(
    "error",
    [
        IndexError("index 3 is out of bounds for axis 0 with size 3"),
        np.linalg.LinAlgError("singular matrix"),
        RuntimeWarning("divide by zero encountered in divide"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x3 and 4x8)"),
        ValueError("bad data"),
        ValueError("expected 3 columns\ngot 4"),
    ],
    ids=repr,
)
def test_error_that_says_nothing_is_no_refusal(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        raise error
    assert unclear_refusal(raised.value) is not None


def test_error_of_another_library_is_no_refusal() -> None:
    with pytest.raises(ValueError, match="reshape") as raised:
        np.zeros(3).reshape(2, 2)
    assert unclear_refusal(raised.value) is None  # raised by a line of this file
    with pytest.raises(ValueError, match="1D array") as raised:
        LogisticRegression().fit(np.zeros(3), np.zeros(3))
    assert unclear_refusal(raised.value) is not None


def test_size_that_may_not_be_refused_is_not() -> None:
    size = Size("odd", lambda: sizes_of(family("ridge"))[0].make())
    kind = regression(refuses_always)
    assert examine(kind, size)[TRAINS].startswith("FAIL: refused")


def refuses_always(config, data, state=None):
    raise ValueError(f"expected no rows, got {len(data.train)}")
    yield
