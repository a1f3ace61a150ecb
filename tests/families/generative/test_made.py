"""MADE: a law that sums to one, and masks that hide what comes later."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ftml import Images, Table, fit
from ftml.families.generative import made
from ftml.nn.made import MADE, made_masks


@pytest.mark.parametrize("hidden", [(5,), (16, 9), (3, 40, 7)])
def test_probabilities_of_all_rows_sum_to_one(hidden: tuple[int, ...]) -> None:
    rows = np.array(list(itertools.product((0.0, 1.0), repeat=7)))
    some = np.random.default_rng(0).integers(2, size=(30, 7)).astype(float)
    config = made.Config(hidden=hidden, n_epochs=3, learning_rate=0.05)
    log_p = fit(config, Table(some)).model.log_likelihood(rows)
    assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("hidden", [(4,), (12, 9, 6)])
def test_an_output_depends_on_earlier_inputs_alone(hidden: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    network = MADE(6, hidden=hidden, activation="tanh", generator=generator)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: network(x[None])[0], torch.full((6,), 0.3)
    )
    assert (jacobian.triu() == 0).all(), "output i sees input i or a later one"
    assert (torch.stack([*jacobian.tril(-1)[1:]]).abs().sum(dim=1) > 0).all()


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
    with pytest.raises(ValueError, match=r"shape \(2,\), the model was fitted on \(3,"):
        model.log_likelihood(np.eye(2))
