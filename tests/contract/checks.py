"""What a trained family keeps at every size: one function for each property.

A check takes a `Run`, the training of a family at a size, and raises AssertionError
where the property does not hold, or `NotApplicable` where the family has nothing to
check. `examine` makes all checks of a family at one size.

Axes: n rows, d inputs, k classes, V symbols.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ftml import saving
from ftml.config import FamilyConfig
from ftml.core import Family, Step, fit
from ftml.data import Splits
from ftml.data.ragged import Ragged
from ftml.data.trees import Forest
from ftml.tasks import task
from tests.contract.answers import (
    Answers,
    Rows,
    answers,
    changed_answers,
    difference,
    joined,
    likelihood,
    rows_of,
    taken,
)
from tests.contract.sizes import BATCH, WIDTH, Size
from tests.test_contract import fields_of

STEPS = 2
"Steps of training at sizes where all checks are made; one at the others."
SETTINGS: dict[str, Any] = {
    "batch_size": BATCH,
    "channels": 4,
    "code": (4, 2),
    "dimension": WIDTH,
    "embedding": WIDTH,
    "heads": 2,
    "hidden": (WIDTH,),
    "n_bumps": 10,
    "n_draws": 2000,
    "n_epochs": 3,
    "n_hidden": WIDTH,
    "n_init": 1,
    "n_iterations": 20,
    "n_passes": 5,
    "n_rounds": 3,
    "n_trees": 3,
    "n_units": WIDTH,
    "noise_ratio": 3,
    "oversampling": 4,
    "units": WIDTH,
    "width": WIDTH,
}
"Fields that make training cheap, where a family has them and they are whole numbers."

CLOSE = 2e-4
"Largest difference of answers that are the same up to the rounding of float32."
ROUNDING = 1e-6
"Largest difference of answers that are the same up to the order of sums."
SAME_UNIT = 1e-2
"Largest difference of answers when the unit of an input has changed."
NOTHING = 1e-12
"A change of an input that changes no answer by more does not matter."
LARGEST = 100.0
"Predictions lie within this many times the range of the target."


class NotApplicable(Exception):  # noqa: N818 - it is no error
    """There is nothing to check; the message says why."""


@dataclass(frozen=True)
class Run:
    """The training of a family at a size."""

    kind: Family
    size: Size

    @functools.cached_property
    def data(self) -> Splits:
        return self.size.make()

    @functools.cached_property
    def config(self) -> FamilyConfig:
        return small_config(self.kind.Config, self.size)

    @functools.cached_property
    def steps(self) -> list[Step]:
        made = self.kind.train(self.config, self.data.without_test(), None)
        return list(itertools.islice(made, STEPS if self.size.whole else 1))

    @property
    def model(self) -> Any:
        return self.steps[-1].model

    @functools.cached_property
    def rows(self) -> Rows:
        """The rows of the test split."""
        return rows_of(self.data.test)

    @functools.cached_property
    def answers(self) -> Answers:
        """The answers to the rows of the test split."""
        found = answers(self.kind.task, self.model, self.rows)
        if found is None:
            raise NotApplicable("the model generates samples and says nothing of a row")
        return found


def small_config(config: type[FamilyConfig], size: Size) -> FamilyConfig:
    """Return the configuration of a family that trains fast at a size."""
    chosen = {}
    for name, value in (SETTINGS | dict(size.settings)).items():
        field = config.model_fields.get(name)
        if field is not None and type(field.default) is type(value):
            chosen[name] = value
    return config(**chosen)


# The checks


def metrics_are_finite(run: Run) -> None:
    for step in run.steps:
        for name, value in step.metrics.items():
            assert math.isfinite(value), f"{name} is {value}"


def scores_are_finite(run: Run) -> None:
    if not run.size.scored:
        raise NotApplicable("scores are checked at other sizes")
    if run.kind.task == "representation" and run.size.name in PROBED_AS_IMAGES:
        raise NotApplicable("fifteen fits of a probe are dear: checked for images")
    for name, value in task(run.kind.task).evaluate(run.model, run.data.test).items():
        assert math.isfinite(value), f"{name} is {value}"


PROBED_AS_IMAGES = {
    f"Table: {title}"
    for title in ("30 classes", "1 class", "1 class absent", "1 class to score")
}
"Sizes at which the task `representation` is scored for images only."


def answers_are_finite(run: Run) -> None:
    samples = hasattr(run.model, "sample") and run.kind.task != "conditional_density"
    # Chains of a density are dear: at the sizes where all is checked.
    if samples and (run.size.whole or run.kind.task == "generation"):
        sample = np.asarray(run.model.sample(3, seed=0))
        assert np.isfinite(sample).all(), "samples are not finite"
        expected = (3, *np.shape(run.rows.X)[1:])
        assert sample.shape == expected, f"samples are {sample.shape}, not {expected}"
    found = run.answers
    values = np.concatenate(found) if isinstance(found, list) else found
    assert np.isfinite(values).all(), "answers are not finite"


def inputs_matter(run: Run) -> None:
    if run.kind.task == "transduction":
        raise NotApplicable("a few steps of training decide no symbol")
    if run.kind.name == "ngram_lm":
        raise NotApplicable("symbols of equal counts are alike to it")
    if run.kind.task == "embedding":
        raise NotApplicable("words are the rows; a model has no inputs")
    if run.kind.task in PROBABILITIES and np.shape(run.answers)[1] == 1:
        raise NotApplicable("there is one class")
    if run.size.unit and run.kind.name in IN_UNITS:
        raise NotApplicable(IN_UNITS[run.kind.name])
    rows = run.rows.take(np.arange(min(4, len(run.rows))))
    if isinstance(rows.X, np.ndarray) and rows.X.ndim > 2:
        rows = rows.take(np.arange(min(2, len(rows))))
    names, changed = inputs_changed(rows.X)
    moved = changed_answers(run.kind.task, run.model, rows, changed)
    if len(moved) and np.isnan(moved).all():
        raise NotApplicable("the model generates samples and says nothing of a row")
    wanted = range(len(names)) if run.size.inputs is None else run.size.inputs
    if run.kind.name in CHOOSES_INPUTS:
        wanted = run.size.decisive
    dead = [names[j] for j in wanted if not moved[j] > NOTHING]
    assert not dead, (
        f"{len(dead)} of {len(wanted)} inputs change nothing: {', '.join(dead[:4])}"
    )


PROBABILITIES = ("classification", "domain_generalization")
CHOOSES_INPUTS = {"decision_tree", "random_forest", "adaboost"}
"Families that rightly ignore an input, except one that decides the target."


def inputs_changed(X: Any) -> tuple[list[str], list[Any]]:
    """Return the name of each input, and the inputs with that one changed in all rows.

    An input is a column, a pixel, a channel of a series or a symbol.
    """
    if isinstance(X, Forest):
        V = len(X.vocabulary)
        values = X.symbols
        make = functools.partial(_with_symbols, X)
    elif isinstance(X, Ragged) and X.vocabulary:
        V, values = len(X.vocabulary), X.values
        make = functools.partial(_with_values, X)
    elif isinstance(X, Ragged):
        names = [f"channel {j}" for j in range(X.values.shape[1])]
        parts = [_with_values(X, each) for each in _columns_moved(X.values)]
        return names, parts
    elif X.dtype == np.uint8 and X.ndim > 2:
        pixels = list(np.ndindex(X.shape[1:]))
        return [f"pixel {p}" for p in pixels], [_flipped(X, p) for p in pixels]
    else:
        names = [f"column {j}" for j in range(X.shape[1])]
        return names, list(_columns_moved(X))
    found = [v for v in np.unique(values[values >= 0]) if V > 1]
    changed = [make(np.where(values == v, (v + 1) % V, values)) for v in found]
    return [f"symbol {v}" for v in found], changed


def _with_symbols(X: Forest, symbols: np.ndarray) -> Forest:
    return Forest(symbols, X.parents, X.offsets, X.vocabulary)


def _with_values(X: Ragged, values: np.ndarray) -> Ragged:
    return Ragged(values, X.offsets, X.vocabulary)


def _columns_moved(X: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows with one column moved by about its deviation, or exchanged where
    it holds zeros and ones.
    """
    for j in range(X.shape[1]):
        moved, column = X.copy(), X[:, j]
        if np.isin(column, (0.0, 1.0)).all():
            moved[:, j] = 1 - column
        elif np.isnan(column).all():
            pass
        elif X.dtype.kind in "iu":
            moved[:, j] = np.where(column > 100, column - 60, column + 60)
        else:
            spread = np.nanmax(column) - np.nanmin(column)
            moved[:, j] = column + (spread if spread > 0 else 1.0)
        yield moved


def _flipped(X: np.ndarray, pixel: tuple[int, ...]) -> np.ndarray:
    flipped = X.copy()
    flipped[(slice(None), *pixel)] = 255 - X[(slice(None), *pixel)]
    return flipped


def earlier_columns_matter_to_the_last(run: Run) -> None:
    if run.kind.name not in AUTOREGRESSIVE or run.size.inputs is not None:
        raise NotApplicable("the model predicts no column from those before it")
    X = run.rows.take(np.arange(min(4, len(run.rows)))).X
    flat = X.reshape(len(X), -1)
    flipped = np.where(flat == 0, flat.dtype.type(255 if X.ndim > 2 else 1), 0)

    def log_likelihood(*columns: int) -> np.ndarray:
        chosen = np.isin(np.arange(flat.shape[1]), columns)
        changed = np.where(chosen, flipped, flat).astype(X.dtype)
        return run.model.log_likelihood(changed.reshape(X.shape))

    last, unchanged = flat.shape[1] - 1, log_likelihood()
    of_last = log_likelihood(last) - unchanged
    # The odds of the last column, with another column as it is and flipped.
    dead = [
        str(j)
        for j in range(last)
        if np.max(np.abs(log_likelihood(j, last) - log_likelihood(j) - of_last)) < TINY
    ]
    assert not dead, (
        f"{len(dead)} of {last} columns before the last do not matter to it: "
        f"{', '.join(dead[:4])}"
    )


AUTOREGRESSIVE = {"made"}
"Families that predict each column from all those before it."
TINY = 1e-5
"Log-odds that differ by less are the same up to the rounding of float32."


def permuted_rows_have_permuted_answers(run: Run) -> None:
    order = np.random.default_rng(1).permutation(len(run.rows))
    expected = taken(run.answers, order)
    found = answers(run.kind.task, run.model, run.rows.take(order))
    gap = difference(found, expected)
    assert gap <= CLOSE, f"answers differ by {gap:.2g}"


def chunks_have_the_answers_of_the_whole(run: Run) -> None:
    n = len(run.rows)
    if n == 1:
        raise NotApplicable("there is only one row")
    whole = run.answers
    cuts = np.split(np.arange(n), [1])
    parts = [answers(run.kind.task, run.model, run.rows.take(cut)) for cut in cuts]
    gap = difference(joined(parts), whole)
    assert gap <= CLOSE, f"answers differ by {gap:.2g}"


def resumed_training_equals_uninterrupted_training(run: Run) -> None:
    if len(run.steps) < STEPS:
        raise NotApplicable("one step of training, or checked at other sizes")
    state = _saved_and_loaded(run.steps[0].state)
    made = run.kind.train(run.config, run.data.without_test(), state)
    one, other = (_step(step) for step in (next(made), run.steps[1]))
    assert _same(one, other), "resumed, training goes another way"


def _step(step: Step) -> list[Any]:
    return [dict(step.metrics), fields_of(step.model), step.state]


def _same(one: Any, other: Any) -> bool:
    """Return whether two trees are equal, bit by bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(
            _same(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if hasattr(one, "dtype"):
        one, other = np.asarray(one), np.asarray(other)
        return one.dtype == other.dtype and np.array_equal(
            one, other, equal_nan=one.dtype.kind == "f"
        )
    return one == other or (one != one and other != other)


def _saved_and_loaded(tree: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        saving.save_tree(Path(folder), tree)
        return saving.load_tree(Path(folder))[0]


def a_saved_and_loaded_model_has_the_same_answers(run: Run) -> None:
    if not run.size.whole:
        raise NotApplicable("checked at other sizes")
    expected = run.answers
    loaded = type(run.model)(**_saved_and_loaded(fields_of(run.model)))
    found = answers(run.kind.task, loaded, run.rows)
    # Not 0: BLAS adds up arrays of another memory layout in another order.
    gap = difference(found, expected)
    assert gap <= ROUNDING, f"the answers of the loaded model differ by {gap:.2g}"


def probabilities_sum_to_one(run: Run) -> None:
    from tests.contract.mass import total_masses

    masses = total_masses(run.kind.task, run.model, run.data)
    if masses is None:
        raise NotApplicable("there are no probabilities to sum")
    total, tolerance = masses
    worst = float(np.max(np.abs(total - 1.0)))
    assert worst <= tolerance, f"probabilities sum to {total.max():.6g}"


def a_unit_changes_no_answer(run: Run) -> None:
    if not run.size.same_as:
        raise NotApplicable("the size has no other unit")
    if run.size.unit and run.kind.name in IN_UNITS:
        raise NotApplicable(IN_UNITS[run.kind.name])
    base = base_run(run.kind, run.size.same_as)
    one, other = run.answers, base.answers
    if run.size.unit:
        one, other = _unitless(run), _unitless(base)
    else:  # another type: even the metrics are the same
        one = _columns_of(run, one)
        other = _columns_of(base, other)
    gap = difference(one, other)
    assert gap <= SAME_UNIT, f"answers differ by {gap:.2g} from those in another unit"


def _columns_of(run: Run, found: Answers) -> Answers:
    """Return answers (n, m) with the metrics of the last step as columns."""
    metrics = list(run.steps[-1].metrics.values())
    return np.column_stack([np.asarray(found), np.tile(metrics, (len(found), 1))])


def _unitless(run: Run) -> Answers:
    """Return the answers without those that have the unit of an input."""
    if run.kind.task in ("representation", "decomposition"):
        return np.asarray(run.model.transform(run.rows.X))
    if run.kind.task == "generation":
        names = [
            name for name in ("log_likelihood", "elbo") if hasattr(run.model, name)
        ]
        if not names:
            raise NotApplicable("the model generates samples and says nothing of a row")
        found = np.column_stack([likelihood(run.model, n, run.rows.X) for n in names])
        return found - found.mean(axis=0)
    if run.kind.task in ("density", "conditional_density"):
        found = np.asarray(run.answers)
        return found - found.mean(axis=0)  # a unit adds a constant to a log-density
    return run.answers


IN_UNITS = {
    "kmeans": "distances of the columns as they are define its clusters",
    "pca": "variances of the columns as they are define its components",
    "ppca": "its noise has one variance for all columns as they are",
    "nmf": "squared errors of the columns as they are define its factors",
    "gmm": "its components do not depend on a unit, its starts do",
}
"Families whose definition depends on the units of the columns, and why."


@functools.cache
def base_run(kind: Family, name: str) -> Run:
    """Return the run at the size of this name, made once."""
    from tests.contract.sizes import sizes_of

    (size,) = (size for size in sizes_of(kind) if size.name == name)
    return Run(kind, replace(size, whole=False))


def predictions_lie_near_the_targets(run: Run) -> None:
    if run.kind.task not in ("regression", "conditional_density"):
        raise NotApplicable("no target has a unit")
    y = run.data.train.y
    middle, reach = float(y.mean()), LARGEST * max(float(np.ptp(y)), 1e-6)
    far = float(np.max(np.abs(run.model.predict(run.rows.X) - middle)))
    assert far <= reach, f"a prediction is {far:.2g} from the mean of the targets"


def a_whole_fit_reconstructs_better_than_the_mean(run: Run) -> None:
    if run.kind.task not in ("representation", "decomposition"):
        raise NotApplicable("the model reconstructs nothing")
    X = run.data.train.X
    if run.size.name.split(": ")[-1] != "1 input":
        raise NotApplicable("checked at 1 input")
    model = fit(run.kind.Config(), run.data.without_test()).model
    error = float(np.mean((X - model.reconstruct(X)) ** 2))
    of_mean = float(np.mean((X - X.mean(axis=0)) ** 2))
    assert error <= 1.05 * of_mean, f"error {error:.3g}, of the mean {of_mean:.3g}"


def inputs_of_another_width_are_refused(run: Run) -> None:
    X = run.rows.X
    if run.size.name.split(": ")[-1] != "base" or run.kind.task == "embedding":
        raise NotApplicable("checked at the base size, for columns and pixels")
    if not isinstance(X, np.ndarray) or len(run.answers) != len(X):
        raise NotApplicable("checked at the base size, for columns and pixels")
    wider = np.concatenate([X, X[..., :1]], axis=-1)
    try:
        answers(run.kind.task, run.model, Rows(wider, run.rows.y))
    except Exception as error:
        unclear = unclear_refusal(error)
        assert unclear is None, unclear
    else:
        raise AssertionError(f"inputs {wider.shape} are accepted, trained on {X.shape}")


CHECKS: tuple[Callable[[Run], None], ...] = (
    metrics_are_finite,
    answers_are_finite,
    scores_are_finite,
    inputs_matter,
    earlier_columns_matter_to_the_last,
    permuted_rows_have_permuted_answers,
    chunks_have_the_answers_of_the_whole,
    resumed_training_equals_uninterrupted_training,
    a_saved_and_loaded_model_has_the_same_answers,
    probabilities_sum_to_one,
    a_unit_changes_no_answer,
    predictions_lie_near_the_targets,
    a_whole_fit_reconstructs_better_than_the_mean,
    inputs_of_another_width_are_refused,
)

TRAINS = "trains_or_refuses_clearly"
"The name of what is checked before all checks."


# All checks of a family at a size


def unclear_refusal(error: Exception) -> str | None:
    """Return what is wrong with an error that refuses a size; None if nothing is.

    It must be a ValueError that ftml raises itself, of one line that says what was
    expected and what was given.
    """
    said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if isinstance(error, AssertionError):
        return str(error)
    if type(error) is not ValueError:
        return said
    raised = traceback.extract_tb(error.__traceback__)[-1]
    if (
        not re.search(r"/(ftml|tests)/", raised.filename)
        or "site-packages" in raised.filename
    ):
        return f"{said}, raised by {Path(raised.filename).name}"
    if "\n" in str(error) or not re.search(
        r"got |\d| not |needs|must|constant", str(error)
    ):
        return f"{said}: it does not say what was expected and given"
    return None


def may_refuse(run: Run) -> bool:
    """Return whether a size may be refused by this family."""
    if run.size.refused or run.size.name in REFUSES.get(run.kind.name, ()):
        return True
    if run.size.unit and run.kind.name in IN_UNITS:
        return True
    wanted = run.kind.n_classes
    return wanted is not None and len(run.data.train.classes) != wanted


REFUSES: dict[str, set[str]] = {
    # Their base is a Gaussian with the covariance of the rows.
    "nce": {"40 inputs", "constant column", "duplicated column", "one-hot columns"},
    # They have fewer dimensions than columns, 2 unless told otherwise.
    "factor_analysis": {"1 input"},
    "ppca": {"1 input"},
}
REFUSES["score_matching"] = REFUSES["nce"]
"Sizes that a family may refuse by its definition."


@contextmanager
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def examine(kind: Family, size: Size) -> dict[str, str]:
    """Return the outcome of each check by its name: "pass", "refused: ...",
    "n/a: ..." or "FAIL: ...".
    """
    run = Run(kind, size)
    with warnings_are_errors():
        trained = _outcome(run, lambda run: run.steps)
        if trained != "pass":
            return {TRAINS: trained}
        found = {check.__name__: _outcome(run, check) for check in CHECKS}
    return {TRAINS: "pass", **found}


def _outcome(run: Run, check: Callable[[Run], Any]) -> str:
    try:
        check(run)
    except NotApplicable as reason:
        return f"n/a: {reason}"
    except Exception as error:
        unclear = unclear_refusal(error)
        if unclear is None and may_refuse(run):
            return f"refused: {error}"
        return f"FAIL: {unclear or f'refused: {error}'}"
    return "pass"


def failures(kind: Family, sizes: list[Size]) -> dict[tuple[str, str], str]:
    """Return what fails by size and check, over all sizes of a family."""
    return {
        (size.name, check): outcome
        for size in sizes
        for check, outcome in examine(kind, size).items()
        if outcome.startswith("FAIL")
    }
