"""The adapter: scikit-learn's own checks, its searches, and the errors of a user."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_diabetes, load_wine
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import ftml
from ftml.sklearn import Estimator

CHECKED = (
    Estimator("ridge"),
    Estimator("ols"),
    Estimator("logistic_regression"),
    Estimator("softmax_regression"),
    Estimator("kernel_ridge"),
    # Ten rounds: the checks train some forty times.
    Estimator("adaboost", n_rounds=10),
    Estimator("mlp", n_epochs=15),
    Estimator("deep_linear"),
)
SKIPPED = {
    # The families compute in numpy and claim no more; scikit-learn skips it unless
    # SCIPY_ARRAY_API is set.
    "check_array_api_input",
}
"Every check that is not run, and why."


LIMITS = {
    "check_class_weight_classifiers": "class_weight is balanced or None, not a weight "
    "for each class"
}


@pytest.mark.parametrize("estimator", CHECKED, ids=lambda each: each.name)
def test_estimator_passes_the_checks_of_scikit_learn(estimator: Estimator) -> None:
    results = check_estimator(
        estimator, on_skip=None, on_fail=None, expected_failed_checks=LIMITS
    )
    assert [each for each in results if each["status"] == "failed"] == []
    assert len(results) > 50
    missed = {each["check_name"] for each in results if each["status"] != "passed"}
    assert missed <= SKIPPED | set(LIMITS)


WINE, DIABETES = load_wine(return_X_y=True), load_diabetes(return_X_y=True)


def test_predictions_are_those_of_the_family() -> None:
    X, y = DIABETES
    ours = Estimator("ridge", alpha=0.1).fit(X, y)
    config = ftml.family("ridge").Config(alpha=0.1)
    expected = ftml.fit(config, ftml.Table(X, y)).model.predict(X)
    np.testing.assert_array_equal(ours.predict(X), expected)


def test_labels_of_any_kind_come_back() -> None:
    X, y = WINE
    names = np.array(["red", "white", "blush"])[y]
    ours = Estimator("softmax_regression").fit(X, names)
    np.testing.assert_array_equal(ours.classes_, ["blush", "red", "white"])
    assert ours.score(X, names) > 0.98
    predicted = ours.classes_[ours.predict_proba(X).argmax(axis=1)]
    np.testing.assert_array_equal(ours.predict(X), predicted)


def test_grid_search_and_pipeline_take_it() -> None:
    X, y = DIABETES
    grid = {"estimator__alpha": np.logspace(-3, 1, 4)}
    steps = make_pipeline(StandardScaler(), Estimator("ridge"))
    steps.steps[-1] = ("estimator", steps.steps[-1][1])
    search = GridSearchCV(steps, grid, cv=3).fit(X, y)
    assert search.best_params_["estimator__alpha"] in grid["estimator__alpha"]
    assert cross_val_score(Estimator("ols"), X, y, cv=3).mean() > 0.4


def test_clone_has_the_same_parameters_and_no_fit() -> None:
    first = Estimator("kernel_ridge", width=2.0).fit(*DIABETES)
    second = clone(first)
    assert second.get_params() == first.get_params()
    assert second.get_params()["width"] == 2.0
    assert not hasattr(second, "model_")


def test_it_says_what_it_is() -> None:
    assert is_regressor(Estimator("ols"))
    assert is_classifier(Estimator("adaboost"))
    assert not hasattr(Estimator("ols"), "predict_proba")


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (Estimator("rigde"), "nearest: ridge"),
        (Estimator("ridge", alhpa=1.0), "alhpa"),
        (Estimator("ridge", alpha=-1.0), "greater than or equal to 0"),
        (Estimator("ridge", alhpa=1.0), "^alhpa: unknown key; nearest: alpha$"),
        (
            Estimator("ridge", preprocessing={"missng": "mean"}),
            r"^preprocessing\.missng: unknown key; nearest: missing$",
        ),
        (Estimator("skipgram"), "skipgram is for embedding and trained on Cooc"),
        (Estimator("lstm"), "lstm is for classification and trained on Sequences; Est"),
    ],
)
def test_wrong_name_or_value_is_refused_by_fit(
    estimator: Estimator, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        estimator.fit(*DIABETES)


@pytest.mark.parametrize(
    "y",
    [
        np.array(["x", "y"] * 3),
        np.array(["x", "y"] * 3, object),
        pd.Series(["x", "y"] * 3, dtype="category"),
        pd.Series(pd.date_range("2020-01-01", periods=6)),
        pd.Series(pd.date_range("2020-01-01", periods=6, tz="UTC")),
    ],
    ids=["text", "object", "category", "dates", "dates of a zone"],
)
@pytest.mark.parametrize("preprocessing", [None, {"scale": True}])
def test_a_target_of_text_or_dates_is_refused_for_regression(
    y: Any, preprocessing: dict[str, Any] | None
) -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 2)))
    estimator = Estimator("ridge", preprocessing=preprocessing)
    with pytest.raises(ValueError, match="ridge is for regression and expects numbers"):
        estimator.fit(X, y)


def test_family_of_two_classes_refuses_three() -> None:
    with pytest.raises(ValueError, match="Only binary classification is supported"):
        Estimator("logistic_regression").fit(*WINE)


def passengers(n: int = 60) -> tuple[pd.DataFrame, np.ndarray]:
    """Return rows with text, booleans, dates and missing values, and whether each
    survived, which depends on sex and age.
    """
    rng = np.random.default_rng(0)
    sex, age = rng.choice(["male", "female"], n), rng.uniform(1, 80, n)
    frame = pd.DataFrame(
        {
            "sex": sex,
            "age": np.where(rng.random(n) < 0.2, np.nan, age),
            "port": pd.Series(rng.choice(["S", "C", None], n), dtype=object),
            "alone": rng.random(n) < 0.5,
            "boarded": pd.Timestamp("1912-04-10") + pd.to_timedelta(range(n), "D"),
        }
    )
    survived = (sex == "female") | (age < 16)
    return frame, np.where(survived, "yes", "no")


def test_a_frame_of_text_dates_and_missing_values_is_searched() -> None:
    frame, y = passengers()
    how = [{"missing": "median", "scale": scale} for scale in (False, True)]
    grid = {"preprocessing": how, "alpha": [1e-3, 1e-1]}
    search = GridSearchCV(Estimator("logistic_regression"), grid, cv=3).fit(frame, y)
    assert search.best_score_ > 0.8
    assert set(search.predict(frame)) == {"yes", "no"}
    best = search.best_estimator_
    assert list(best.feature_names_in_) == list(frame)
    names = best.preprocessor_.feature_names
    assert {"sex=female", "age", "port=C", "boarded elapsed days"} <= set(names)


def test_what_rows_become_is_learnt_in_fit_and_applied_in_predict() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, np.nan, 5.0], "c": ["a", "b", "a", "b"]})
    y = np.array([1.0, 2.0, 2.0, 5.0])
    ours = Estimator("ridge", preprocessing={"missing": "median"}).fit(frame, y)
    features = [[1.0, 1, 0], [2.0, 0, 1], [2.0, 1, 0], [5.0, 0, 1]]
    same = Estimator("ridge").fit(features, y)
    np.testing.assert_array_equal(ours.predict(frame), same.predict(features))
    new = pd.DataFrame({"x": [np.nan], "c": ["z"]})
    np.testing.assert_array_equal(ours.predict(new), same.predict([[2.0, 0, 0]]))
    with pytest.raises(ValueError, match="feature names"):
        ours.predict(frame[["c", "x"]])
    with pytest.raises(ValueError, match="column x: no value in row 3; `missing`"):
        Estimator("ridge").fit(frame, y)


def test_an_array_with_missing_values_is_filled_where_that_is_asked() -> None:
    X, y = np.array([[1.0], [np.nan], [3.0], [9.0]]), np.arange(4.0)
    ours = Estimator("ridge", preprocessing={"missing": "median"}).fit(X, y)
    filled = np.nan_to_num(X, nan=3.0)
    np.testing.assert_array_equal(
        ours.predict(X), Estimator("ridge").fit(filled, y).predict(filled)
    )
    with pytest.raises(ValueError, match="contains NaN"):
        Estimator("ridge").fit(X, y)
