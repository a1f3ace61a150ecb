from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    log_loss,
    roc_auc_score,
)

from ftml.data import Domains
from ftml.tasks import domain_generalization, task
from ftml.tasks._inputs import frame_of, input_of
from ftml.tasks.domain_generalization import (
    METRICS,
    evaluate,
    example,
    figures,
    over_domains,
    serve,
)

SIZES = (10, 25, 40)


@dataclass(frozen=True)
class Fixed:
    """Predicts from the first feature or the first pixel alone."""

    k: int

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        z = np.nan_to_num(x.reshape(len(x), -1)[:, :1]) * np.arange(self.k)
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def domains(k: int = 2) -> Domains:
    rng = np.random.default_rng(k)
    domain = np.repeat([0, 1, 2], SIZES)
    x, y = rng.normal(size=(75, 3)), rng.integers(0, k, 75)
    names = tuple("abcd"[:k])
    return Domains(x, y, domain, ("0", "Long Beach", "x/y"), names, ("f", "g", "h"))


def by_domain(score, data: Domains) -> list[float]:
    proba = Fixed(len(data.class_names)).predict_proba(data.x)
    return [score(data.y[data.domain == s], proba[data.domain == s]) for s in range(3)]


@pytest.mark.parametrize("k", [2, 4])
def test_metrics_are_means_over_domains_of_those_of_scikit_learn(k: int) -> None:
    data = domains(k)
    metrics = evaluate(Fixed(k), data)
    accuracy = by_domain(lambda y, p: accuracy_score(y, p.argmax(axis=1)), data)
    balanced = by_domain(
        lambda y, p: balanced_accuracy_score(y, p.argmax(axis=1)), data
    )
    losses = by_domain(lambda y, p: log_loss(y, p, labels=range(k)), data)
    expected = {
        "accuracy": np.mean(accuracy),
        "worst_accuracy": min(accuracy),
        "balanced_accuracy": np.mean(balanced),
        "log_loss": np.mean(losses),
        "log_loss_clipped": 0.0,
    }
    single = {"accuracy": accuracy, "balanced_accuracy": balanced, "log_loss": losses}
    single["log_loss_clipped"] = [0.0] * 3
    if k == 2:
        single["auc"] = by_domain(lambda y, p: roc_auc_score(y, p[:, 1]), data)
        expected["auc"] = np.mean(single["auc"])
    for name, values in single.items():
        for domain, value in zip(("0", "Long Beach", "x-u002fy"), values, strict=True):
            expected[f"{name}/{domain}"] = value
    assert metrics == pytest.approx(expected, rel=1e-12)
    assert all(type(value) is float for value in metrics.values())


def test_domains_scored_apart_give_the_metrics_of_all_together() -> None:
    data, model = domains(), Fixed(2)
    parts = [evaluate(model, data.only([name])) for name in data.domain_names]
    assert over_domains(parts) == evaluate(model, data)


def test_every_domain_counts_the_same_however_large() -> None:
    data = domains()
    pooled = accuracy_score(data.y, Fixed(2).predict_proba(data.x).argmax(axis=1))
    assert abs(evaluate(Fixed(2), data)["accuracy"] - pooled) > 1e-3


def test_area_under_the_curve_is_of_the_domains_that_hold_both_classes() -> None:
    data = domains()
    y = np.where(data.domain == 1, 1, data.y)
    area = evaluate(Fixed(2), replace(data, y=y))["auc"]
    both = by_domain(lambda y, p: roc_auc_score(y, p[:, 1]), data)
    assert area == pytest.approx((both[0] + both[2]) / 2)
    assert "auc" not in evaluate(Fixed(2), replace(data, y=np.ones_like(y)))


def test_class_that_a_domain_lacks_does_not_count_in_its_balanced_accuracy() -> None:
    data = domains(4)
    y = np.where(data.y == 3, 0, data.y)
    proba = Fixed(4).predict_proba(data.x)
    recalls = [
        [
            (proba[(data.domain == s) & (y == c)].argmax(axis=1) == c).mean()
            for c in range(3)
        ]
        for s in range(3)
    ]
    metrics = evaluate(Fixed(4), replace(data, y=y))
    assert metrics["balanced_accuracy"] == pytest.approx(np.mean(recalls))


def test_domain_without_rows_is_left_out() -> None:
    part = domains().rows(domains().domain != 1)
    assert "accuracy/Long Beach" not in evaluate(Fixed(2), part)


def test_task_is_found_by_its_name_and_looks_at_accuracy_first() -> None:
    assert task("domain_generalization") is domain_generalization
    assert next(iter(METRICS)) == "accuracy"


def test_figures_show_each_domain_and_each_pair_of_classes() -> None:
    data = domains(4)
    made = figures(Fixed(4), data)
    accuracy = by_domain(lambda y, p: accuracy_score(y, p.argmax(axis=1)), data)
    lines = made["accuracy_by_domain"].axes[0].lines
    intervals, dots = lines[::2], lines[1::2]
    shown = [dot.get_xdata()[0] for dot in dots]
    assert shown == pytest.approx(sorted(accuracy))
    for interval, share in zip(intervals, shown, strict=True):
        low, high = interval.get_xdata()
        assert 0 <= low <= share <= high <= 1
    counts = confusion_matrix(data.y, Fixed(4).predict_proba(data.x).argmax(axis=1))
    shown = [int(text.get_text()) for text in made["confusion"].axes[0].texts]
    assert shown == [count for count in counts.flatten() if count]


def test_served_features_predict_as_the_model_does() -> None:
    data = domains(4)
    data.x[1, 0] = np.nan
    frame = example(data)
    assert list(frame.columns) == ["f", "g", "h"]
    check_served(frame, data)


@pytest.mark.parametrize(
    ("shape", "last"), [((2, 3), "pixel_1_2"), ((2, 4, 3), "pixel_1_3_2")]
)
def test_served_images_predict_as_the_model_does(shape: tuple, last: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 3, (75, *shape), dtype=np.uint8)
    data = replace(domains(4), x=pixels, feature_names=())
    frame = example(data)
    first = f"pixel_0_0{'_0' if len(shape) == 3 else ''}"
    assert (frame.columns[0], frame.columns[-1]) == (first, last)
    np.testing.assert_array_equal(input_of(frame), pixels[:3])
    check_served(frame, data)


def check_served(frame: pd.DataFrame, data: Domains) -> None:
    served, proba = serve(Fixed(4), frame), Fixed(4).predict_proba(data.x[:3])
    names = [f"probability_{j}" for j in range(4)]
    assert list(served.columns) == ["prediction", *names]
    np.testing.assert_array_equal(served["prediction"], proba.argmax(axis=1))
    np.testing.assert_array_equal(served[names], proba)


def test_domains_of_one_class_and_one_row_are_scored() -> None:
    data = domains(2)
    part = replace(data, y=np.zeros_like(data.y)).rows(np.array([0, 10]))
    found = evaluate(Fixed(2), part)
    assert found["balanced_accuracy"] == found["accuracy"]
    assert "auc" not in found
    assert set(figures(Fixed(2), part)) >= {"accuracy_by_domain"}
    with pytest.raises(ValueError, match="the split has no samples"):
        evaluate(Fixed(2), data.rows(np.zeros(0, int)))


def test_names_that_look_alike_have_scores_of_their_own() -> None:
    data = domains(2)
    names = ("site/1", "site:1", "\u5317\u4eac")
    y = np.where(data.domain == 0, 1 - Fixed(2).predict_proba(data.x).argmax(1), 0)
    found = evaluate(Fixed(2), replace(data, domain_names=names, y=y))
    keys = [key for key in found if key.startswith("accuracy/")]
    assert len(keys) == 3
    assert found["worst_accuracy"] == found["accuracy/site-u002f1"] == 0.0
    assert found["accuracy"] == pytest.approx(np.mean([found[key] for key in keys]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(pixel_0_1=[0, 256, 0]), "got 256 in pixel_0_1 of row 1"),
        (lambda f: f.assign(pixel_0_0=[-1, 0, 0]), "got -1 in pixel_0_0 of row 0"),
        (lambda f: f.drop(columns="pixel_0_1"), "pixel_0_1 is missing"),
    ],
)
def test_pixels_that_do_not_fit_are_refused(change, message: str) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    frame = frame_of(pixels)
    np.testing.assert_array_equal(input_of(frame[frame.columns[::-1]]), pixels)
    with pytest.raises(ValueError, match=message):
        input_of(change(frame))
