"""MADE: a law that sums to one, and masks that hide what comes later."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from ftml import Images, Table, fit
from ftml.families.generative import made
from ftml.nn.made import MADE, made_degrees, made_masks


@pytest.mark.parametrize("hidden", [(5,), (16, 9), (3, 40, 7)])
def test_probabilities_of_all_rows_sum_to_one(hidden: tuple[int, ...]) -> None:
    rows = np.array(list(itertools.product((0.0, 1.0), repeat=7)))
    some = np.random.default_rng(0).integers(2, size=(30, 7)).astype(float)
    config = made.Config(hidden=hidden, n_epochs=3, learning_rate=0.05)
    log_p = fit(config, Table(some)).model.log_likelihood(rows)
    assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-5)


SIZES = [(6, (4,)), (6, (12, 9, 6)), (9, (1,)), (13, (40, 3, 40)), (2, (1,)), (1, (2,))]


@pytest.mark.parametrize(("d", "hidden"), SIZES)
def test_an_output_depends_on_exactly_the_earlier_inputs(
    d: int, hidden: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(0)
    network = MADE(d, hidden=hidden, activation="tanh", generator=generator)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: network(x[None])[0], torch.full((d,), 0.3)
    )
    expected = torch.ones(d, d).tril(-1).bool()
    assert torch.equal(jacobian != 0, expected)


@pytest.mark.parametrize(
    ("d", "hidden", "degrees"),
    [
        (5, (8,), [[1, 2, 3, 4, 1, 2, 3, 4]]),
        (5, (6,), [[1, 2, 3, 4, 2, 4]]),
        (101, (4,), [[13, 38, 63, 88]]),
        (101, (4, 2, 3), [[13, 38, 63, 88], [38, 88], [38, 88, 88]]),
    ],
)
def test_degrees_spread_over_all_values_and_over_those_of_the_layer_before(
    d: int, hidden: tuple[int, ...], degrees: list[list[int]]
) -> None:
    assert [each.tolist() for each in made_degrees(d, hidden)] == degrees


@pytest.mark.parametrize(("d", "hidden"), SIZES)
def test_values_are_generated_by_the_chances_of_the_network(
    d: int, hidden: tuple[int, ...]
) -> None:
    """Value by value by whole passes, as the definition has it."""
    generator = torch.Generator().manual_seed(0)
    network = MADE(d, hidden=hidden, generator=generator)
    uniform = torch.rand(d, 20, generator=generator)
    found = network.sample(20, iter(uniform).__next__)
    x = torch.zeros(20, d)
    for i in range(d):
        x[:, i] = (uniform[i] < torch.sigmoid(network(x)[:, i])).float()
    assert torch.equal(found, x)


@pytest.mark.parametrize("hidden", [(2,), (20, 2, 20)])
def test_a_copy_of_an_earlier_value_is_seen(hidden: tuple[int, ...]) -> None:
    X = np.random.default_rng(0).integers(2, size=(200, 10)).astype(float)
    X[:, 9] = X[:, 8]
    flipped = X.copy()
    flipped[:, 9] = 1 - X[:, 9]
    config = made.Config(hidden=hidden, n_epochs=12, learning_rate=0.05, batch_size=10)
    model = fit(config, Table(X)).model
    gain = model.log_likelihood(X) - model.log_likelihood(flipped)
    assert gain.mean() > 1.5  # blind: 0
    rows = model.sample(300, seed=0)
    assert np.mean(rows[:, 9] == rows[:, 8]) > 0.8  # blind: .5


def test_too_many_direct_weights_are_refused_with_their_size() -> None:
    with pytest.raises(ValueError, match=r"30,000 values a sample: .* take 3\.4 GiB"):
        MADE(30_000, hidden=(1,))


def test_a_saved_model_that_ignored_values_is_refused() -> None:
    model = fit(made.Config(hidden=(2,), n_epochs=1), Table(np.eye(5))).model
    old = {name: each for name, each in model.weights.items() if name != "direct"}
    with pytest.raises(ValueError, match="ignored values; train it again"):
        dataclasses.replace(model, weights=old).log_likelihood(np.eye(5))


def test_masks_let_every_earlier_input_through() -> None:
    masks = made_masks(5, (8, 8))
    paths = masks[2] @ masks[1] @ masks[0]
    torch.testing.assert_close((paths > 0).float(), torch.ones(5, 5).tril(-1))


def test_it_learns_a_law_of_dependent_values() -> None:
    """x_2 = x_1, x_3 = 1 - x_1: one bit, log 2 nats."""
    first = np.arange(400) % 2
    X = np.column_stack([first, first, 1 - first]).astype(float)
    model = fit(made.Config(n_epochs=20, learning_rate=0.02), Table(X)).model
    assert model.log_likelihood(X).mean() == pytest.approx(-np.log(2), abs=0.02)
    drawn = model.sample(500, seed=1)
    assert np.mean(drawn[:, 0] == drawn[:, 1]) > 0.98
    assert drawn[:, 0].mean() == pytest.approx(0.5, abs=0.08)


def test_images_are_drawn_in_black_and_white_of_their_shape() -> None:
    X = np.where(np.random.default_rng(0).random((12, 3, 4)) < 0.3, 255, 0)
    images = Images(X.astype(np.uint8), np.arange(12) % 2, ("a", "b"))
    drawn = fit(made.Config(n_epochs=1), images).model.sample(5, seed=0)
    assert drawn.shape == (5, 3, 4)
    assert drawn.dtype == np.uint8
    assert set(np.unique(drawn)) == {0, 255}


def test_grey_values_and_other_shapes_are_refused() -> None:
    grey = Images(np.full((4, 2, 2), 7, np.uint8), np.arange(4) % 2, ("a", "b"))
    with pytest.raises(ValueError, match="values of 0 and 255, got 7; `binarize`"):
        fit(made.Config(), grey)
    model = fit(made.Config(n_epochs=1), Table(np.eye(3))).model
    with pytest.raises(ValueError, match="X has 2 columns, the model was fitted on 3"):
        model.log_likelihood(np.eye(2))
