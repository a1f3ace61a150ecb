"""Deep linear networks: gradients, the closed form of their modes, least squares."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import ftml
from ftml import Splits, Table
from ftml.families.neural.deep_linear import (
    Config,
    Model,
    figures,
    first_layers,
    gradient,
    mode_strength,
    moments_of,
    product,
)
from tests.test_contract import small_data

TABLE: Table = small_data("classification").train


@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_gradient_equals_central_differences(n_layers: int) -> None:
    moments = moments_of(TABLE)
    config = Config(n_layers=n_layers, start="random", strength=0.5)
    layers = first_layers(config, moments)
    slopes = gradient(layers, moments.G)
    h = 1e-6
    for layer, slope in enumerate(slopes):
        for place in np.ndindex(slope.shape):
            ends = []
            for sign in (1, -1):
                moved = [each.copy() for each in layers]
                moved[layer][place] += sign * h
                ends.append(np.sum((product(moved) - moments.G) ** 2))
            assert slope[place] == pytest.approx(
                (ends[0] - ends[1]) / (2 * h), rel=1e-6, abs=1e-8
            )


def test_gradient_of_two_layers_is_that_of_the_notes() -> None:
    rng = np.random.default_rng(0)
    W, Q, G = (rng.normal(size=s) for s in ((2, 5), (3, 2), (3, 5)))
    apart = Q @ W - G
    ours = gradient([W, Q], G)
    np.testing.assert_allclose(ours[0], 2 * Q.T @ apart, rtol=1e-13)
    np.testing.assert_allclose(ours[1], 2 * apart @ W.T, rtol=1e-13)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_modes_follow_their_closed_form(n_layers: int) -> None:
    # Euler's method errs by the step: 5e-4 by less than 1e-4 at these strengths.
    config = Config(n_layers=n_layers, strength=0.02, learning_rate=5e-4, n_epochs=1000)
    *_, last = ftml.family("deep_linear").train(config, Splits(TABLE), None)
    for j, s in enumerate(last.model.strengths[:2]):
        closed = mode_strength(
            last.model.time, s=s, u_0=config.strength, n_layers=n_layers
        )
        np.testing.assert_allclose(last.model.modes[:, j], closed, atol=1e-4)


def test_closed_form_of_two_layers_solves_its_equation() -> None:
    t = np.linspace(0, 4, 100_001)
    u = mode_strength(t, s=1.875, u_0=0.01, n_layers=2)
    assert u[0] == pytest.approx(0.01)
    slope = np.gradient(u, t)[1:-1]
    np.testing.assert_allclose(slope, (4 * u * (1.875 - u))[1:-1], atol=1e-6)


def test_integrated_strengths_join_the_closed_form_of_two_layers() -> None:
    # For L = 2 + 1e-9 the equation is integrated, and its solution is nearly the same.
    t = np.linspace(0, 3, 50)
    closed = mode_strength(t, s=1.2, u_0=0.05, n_layers=2)
    integrated = mode_strength(t, s=1.2, u_0=0.05, n_layers=2 + 1e-9)  # type: ignore[arg-type]
    np.testing.assert_allclose(integrated, closed, atol=1e-6)


def test_stronger_modes_are_learnt_first_and_all_at_once() -> None:
    config = Config(strength=1e-4, learning_rate=0.02, n_epochs=400)
    model = ftml.fit(config, TABLE).model
    reached = [
        int(np.argmax(model.modes[:, j] > model.strengths[j] / 2)) for j in range(2)
    ]
    assert 0 < reached[0] < reached[1]
    one = ftml.fit(Config(n_layers=1, strength=1e-4, n_epochs=40), TABLE).model
    together = [
        int(np.argmax(one.modes[:, j] > one.strengths[j] / 2)) for j in range(2)
    ]
    assert together[0] == together[1]


RNG = np.random.default_rng(0)
WIDE = Table(
    RNG.normal(size=(31, 9)) * 10.0 ** np.arange(-4, 5),
    np.arange(31) % 2,
    classes=("a", "b"),
)


@pytest.mark.parametrize("table", [TABLE, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("start", ["balanced", "random"])
def test_end_of_training_is_least_squares(start: str, table: Table) -> None:
    config = Config(start=start, strength=0.1, learning_rate=0.1, n_epochs=400)
    step = ftml.fit(config, table)
    y = np.eye(len(table.classes))[table.y]
    # Scaled, because scikit-learn drops directions by the units of the columns.
    scale = table.X.std(axis=0)
    oracle = LinearRegression().fit(table.X / scale, y)
    found = step.model.theta[:-1].T * scale
    np.testing.assert_allclose(found, oracle.coef_, atol=1e-6)
    np.testing.assert_allclose(step.model.theta[-1], oracle.intercept_, atol=1e-6)
    risk = np.mean(np.sum((y - oracle.predict(table.X / scale)) ** 2, axis=1))
    assert step.metrics["train_risk"] == pytest.approx(risk, rel=1e-6)
    assert step.metrics["train_excess_risk"] < 1e-10


def test_columns_that_say_nothing_new_are_left_out() -> None:
    X = np.column_stack([TABLE.X, TABLE.X[:, 0], np.full(len(TABLE), 3.0)])
    wide = Table(X, TABLE.y, classes=TABLE.classes)
    moments = moments_of(wide)
    assert moments.whitening.shape == (6, 4)
    config = Config(n_epochs=20)
    np.testing.assert_allclose(
        ftml.fit(config, wide).model.predict_proba(X),
        ftml.fit(config, TABLE).model.predict_proba(TABLE.X),
        rtol=1e-8,
    )


@pytest.mark.parametrize("scale", [1e-8, 1e3, 1e8])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_units_of_a_column_change_no_probability(scale: float, offset: float) -> None:
    X = TABLE.X.copy()
    X[:, 1] = scale * (X[:, 1] + offset)
    other = Table(X, TABLE.y, classes=TABLE.classes)
    config = Config(n_epochs=20)
    np.testing.assert_allclose(
        ftml.fit(config, other).model.predict_proba(X),
        ftml.fit(config, TABLE).model.predict_proba(TABLE.X),
        atol=1e-6,
    )


def test_sure_prediction_of_many_classes_is_not_capped_by_the_floors() -> None:
    k = 300
    table = Table(np.eye(k), np.arange(k), classes=tuple(map(str, range(k))))
    moments = moments_of(table)
    theta = np.vstack([np.eye(k), np.zeros(k)])
    model = Model(theta, moments.strengths, np.zeros((1, 1)), np.zeros(1))
    assert model.predict_proba(np.eye(k)).max() > 0.99


@pytest.mark.parametrize(("n", "value"), [(4, 1.0), (10, 0.1), (1000, 0.1)])
def test_constant_table_is_refused(n: int, value: float) -> None:
    flat = Table(np.full((n, 2), value), np.arange(n) % 2, classes=("a", "b"))
    with pytest.raises(ValueError, match="every column is constant"):
        ftml.fit(Config(), flat)


def test_wrong_number_of_columns_is_refused() -> None:
    model = ftml.fit(Config(n_epochs=1), TABLE).model
    with pytest.raises(ValueError, match="X has 3 columns, the model was fitted on 4"):
        model.predict_proba(TABLE.X[:, :3])


@pytest.mark.parametrize("start", ["balanced", "random"])
def test_figure_has_a_line_for_each_mode_and_its_closed_form(start: str) -> None:
    config = Config(start=start, n_epochs=3)
    drawn = figures(config, ftml.fit(config, TABLE).model, Splits(TABLE))
    (axes,) = drawn["mode_dynamics"].axes
    lines = [line for line in axes.lines if len(line.get_xdata())]
    # Three classes, centred, have two modes.
    assert len(lines) == (4 if start == "balanced" else 2)
