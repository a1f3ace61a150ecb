"""What a trained family keeps at every size: one function for each property.

A check takes a `Run`, the training of a family at a size, and raises AssertionError
where the property does not hold, or `NotApplicable` where the family has nothing to
check. `tests.contract.examine` makes all checks of a family at one size.

Axes: n rows, d inputs, k classes, V symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ftml.core import Step
from ftml.tasks import task
from tests.contract.answers import (
    Answers,
    Rows,
    answers,
    changed_answers,
    difference,
    taken,
)
from tests.contract.inputs import inputs_changed
from tests.contract.mass import total_masses
from tests.contract.refusals import IN_UNITS, unclear_refusal
from tests.contract.run import (
    STEPS,
    NotApplicable,
    Run,
    base_run,
    is_same,
    saved_and_loaded,
)
from tests.test_contract import fields_of

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
    if (run.kind.name, run.size.name) == ("ngram_lm", "40 words"):
        raise NotApplicable("it answers alike for words of equal counts, as some are")
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


def earlier_columns_matter_to_the_last(run: Run) -> None:
    if run.kind.name not in AUTOREGRESSIVE or run.size.inputs is not None:
        raise NotApplicable("the model predicts no column from those before it")
    X = run.rows.take(np.arange(min(4, len(run.rows)))).X
    flat = X.reshape(len(X), -1)
    last = flat.shape[1] - 1
    # Each row as it is and with each other column flipped, (d, n, d); then both again
    # with the last column flipped.
    flips = np.tile(np.eye(last + 1, dtype=bool)[:, None], (1, len(X), 1))
    flips[last] = False
    flips = np.stack([flips, flips])
    flips[1, :, :, last] = True
    ones = flat.dtype.type(255 if X.ndim > 2 else 1)
    changed = np.where(flips, ones - flat, flat).reshape(-1, *X.shape[1:])
    found = run.model.log_likelihood(changed).reshape(2, last + 1, len(X))
    odds = found[1] - found[0]  # of the last column, up to the sign
    moved = np.abs(odds[:last] - odds[last]).max(axis=1, initial=0.0)
    dead = [str(j) for j in np.flatnonzero(moved < TINY)]
    assert not dead, (
        f"{len(dead)} of {last} columns before the last do not matter to it: "
        f"{', '.join(dead[:4])}"
    )


AUTOREGRESSIVE = {"made"}
"Families that predict each column from all those before it."
TINY = 1e-5
"Log-odds that differ by less are the same up to the rounding of float32."


def permuted_rows_have_permuted_answers(run: Run) -> None:
    # One row less, so that an answer that depends on the other rows changes, too.
    order = np.random.default_rng(1).permutation(len(run.rows))[1:]
    if not len(order):
        raise NotApplicable("there is only one row")
    expected = taken(run.answers, order)
    found = answers(run.kind.task, run.model, run.rows.take(order))
    gap = difference(found, expected)
    assert gap <= CLOSE, f"answers differ by {gap:.2g}"


def chunks_have_the_answers_of_the_whole(run: Run) -> None:
    if len(run.rows) == 1:
        raise NotApplicable("there is only one row")
    if not run.size.whole:
        raise NotApplicable("checked at other sizes")
    first = np.array([0])
    expected = taken(run.answers, first)
    gap = difference(answers(run.kind.task, run.model, run.rows.take(first)), expected)
    assert gap <= CLOSE, f"the answer to a row alone differs by {gap:.2g}"


def resumed_training_equals_uninterrupted_training(run: Run) -> None:
    if len(run.steps) < STEPS:
        raise NotApplicable("one step of training, or checked at other sizes")
    state = saved_and_loaded(run.steps[0].state)
    made = run.kind.train(run.config, run.data.without_test(), state)
    one, other = (_step(step) for step in (next(made), run.steps[1]))
    assert is_same(one, other), "resumed, training goes another way"


def _step(step: Step) -> list[Any]:
    return [dict(step.metrics), fields_of(step.model), step.state]


def a_saved_and_loaded_model_has_the_same_answers(run: Run) -> None:
    if not run.size.whole:
        raise NotApplicable("checked at other sizes")
    expected = run.answers
    loaded = type(run.model)(**saved_and_loaded(fields_of(run.model)))
    found = answers(run.kind.task, loaded, run.rows)
    # Not 0: BLAS adds up arrays of another memory layout in another order.
    gap = difference(found, expected)
    assert gap <= ROUNDING, f"the answers of the loaded model differ by {gap:.2g}"


def probabilities_sum_to_one(run: Run) -> None:
    masses = total_masses(run)
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
    # A bound on a likelihood has noise, which depends on the row.
    if hasattr(run.model, "transform"):
        return np.asarray(run.model.transform(run.rows.X))
    if run.kind.task in ("density", "conditional_density", "generation"):
        found = np.asarray(run.answers)
        return found - found.mean(axis=0)  # a unit adds a constant to a log-density
    return run.answers


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
    *_, last = run.kind.train(run.kind.Config(), run.data.without_test(), None)
    model = last.model
    error = float(np.mean((X - model.reconstruct(X)) ** 2))
    of_mean = float(np.mean((X - X.mean(axis=0)) ** 2))
    assert error <= 1.05 * of_mean, f"error {error:.3g}, of the mean {of_mean:.3g}"


def _arrays_of(run: Run) -> np.ndarray:
    """Return the rows of columns or pixels of the base size."""
    X = run.rows.X
    if run.size.name.split(": ")[-1] != "base" or run.kind.task == "embedding":
        raise NotApplicable("checked at the base size, for columns and pixels")
    if not isinstance(X, np.ndarray) or len(run.answers) != len(X):
        raise NotApplicable("checked at the base size, for columns and pixels")
    return X


def _assert_refused(run: Run, X: np.ndarray, what: str) -> None:
    y = None if run.rows.y is None else run.rows.y[: len(X)]
    try:
        answers(run.kind.task, run.model, Rows(X, y))
    except Exception as error:
        if isinstance(X, np.ma.MaskedArray) and isinstance(error, TypeError):
            return
        unclear = unclear_refusal(error)
        assert unclear is None, f"{what}: {unclear}"
    else:
        raise AssertionError(f"{what} are accepted, trained on {run.rows.X.shape}")


def inputs_of_another_shape_are_refused(run: Run) -> None:
    X = _arrays_of(run)
    wider = np.concatenate([X, X[..., :1]], axis=-1)
    for other in (wider, X[..., :-1], X[..., :0], X[0]):
        _assert_refused(run, other, f"inputs {other.shape}")
    _assert_refused(run, np.ma.array(X, mask=X == X[0]), "masked inputs")


def inputs_that_are_not_finite_are_refused(run: Run) -> None:
    X = _arrays_of(run)
    if X.dtype.kind != "f":
        raise NotApplicable("pixels are finite")
    # Features of domains may be missing.
    wrong = (np.inf,) if run.kind.task == "domain_generalization" else (np.nan, -np.inf)
    for value in wrong:
        other = X.copy()
        other[-1, 0] = value
        _assert_refused(run, other, f"inputs with {value}")


def no_rows_have_no_answers_and_no_scores(run: Run) -> None:
    _arrays_of(run)
    found = np.asarray(answers(run.kind.task, run.model, run.rows.take(np.arange(0))))
    expected = (0, *np.shape(run.answers)[1:])
    assert found.shape == expected, f"the answers {found.shape}, not {expected}"
    try:
        task(run.kind.task).evaluate(run.model, run.data.test.rows(np.arange(0)))
    except ValueError as error:
        said = str(error)
    else:
        said = "they have scores"
    assert "no samples" in said, f"a split without rows: {said}"


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
    inputs_of_another_shape_are_refused,
    inputs_that_are_not_finite_are_refused,
    no_rows_have_no_answers_and_no_scores,
)
