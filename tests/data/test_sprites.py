from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from ftml.data import Domains
from ftml.data.sprites import RADIUS, draw, draw_palette, sprites


def colour_of(data: Domains) -> np.ndarray:
    """The colour of each sprite as a number: that of its brightest pixel."""
    pixels = data.x.reshape(len(data), -1, 3).astype(int)
    brightest = pixels[np.arange(len(data)), pixels.sum(axis=2).argmax(axis=1)]
    return brightest @ [1 << 16, 1 << 8, 1]


def stretch_of(data: Domains) -> np.ndarray:
    """Longer over shorter axis of each sprite, by the second moments of its light."""
    light = data.x.sum(axis=3, dtype=float)
    light /= light.sum(axis=(1, 2), keepdims=True)
    place = np.stack(np.mgrid[: light.shape[1], : light.shape[2]]) + 0.5
    mean = np.einsum("nij,aij->na", light, place)
    second = np.einsum("nij,aij,bij->nab", light, place, place)
    spread = np.linalg.eigvalsh(second - mean[:, :, None] * mean[:, None])
    return np.sqrt(spread[:, 1] / spread[:, 0])


def colour_rule(data: Domains, trained: np.ndarray) -> np.ndarray:
    """The class of each sprite by its colour, as the training domains teach it."""
    colour = colour_of(data)
    classes = {
        each: np.bincount(data.y[trained & (colour == each)], minlength=2).argmax()
        for each in np.unique(colour[trained])
    }
    return np.array([classes[each] for each in colour])


def test_colour_tells_the_class_in_training_domains_and_nothing_in_the_test() -> None:
    data = sprites(n_domains=5, n_per_domain=2000)
    trained = data.domain < 5
    right = colour_rule(data, trained) == data.y
    assert right[trained].all()
    # Of 2000 fair coins the share of heads is within 4 standard errors, .045, of 1/2.
    assert abs(right[~trained].mean() - 0.5) < 0.045
    colour = colour_of(data)
    for s in range(5):
        rows = data.domain == s
        information = mutual_info_score(colour[rows], data.y[rows])
        assert information == pytest.approx(np.log(2))  # all there is to know
    # 2 n times the information is chi-square of 9 degrees: below 40 but for 1 in 10^5.
    test = mutual_info_score(colour[~trained], data.y[~trained])
    assert 2 * 2000 * test < 40


@pytest.mark.parametrize(("training", "test"), [(0.9, 0.5), (0.75, 0.0), (1.0, 0.1)])
def test_colour_agrees_with_the_class_as_often_as_is_asked(
    training: float, test: float
) -> None:
    data = sprites(
        n_domains=3,
        n_per_domain=3000,
        colour_agreement=training,
        test_colour_agreement=test,
    )
    trained = data.domain < 3
    right = colour_rule(data, trained) == data.y
    assert abs(right[trained].mean() - training) < 0.02  # 4 standard errors
    assert abs(right[~trained].mean() - test) < 0.04


@pytest.mark.parametrize("n_domains", [1, 5, 45])
def test_every_domain_has_two_colours_of_its_own_and_the_test_all_of_them(
    n_domains: int,
) -> None:
    data = sprites(n_domains=n_domains, n_per_domain=600)
    colour = colour_of(data)
    own = [set(colour[data.domain == s]) for s in range(n_domains)]
    assert all(len(each) == 2 for each in own)
    assert len(set.union(*own)) == 2 * n_domains
    assert set(colour[data.domain == n_domains]) == set.union(*own)
    assert data.domain_names == (*map(str, range(1, n_domains + 1)), "test")


@pytest.mark.parametrize("size", [(16, 16), (24, 32)])
def test_shape_tells_the_class_in_every_domain(size: tuple[int, int]) -> None:
    data = sprites(n_domains=4, n_per_domain=400, image_size=size)
    assert data.x.shape == (2000, *size, 3)
    assert data.class_names == ("square", "ellipse")
    # A square spreads alike along both axes, the ellipse twice as far along one.
    np.testing.assert_array_equal(stretch_of(data) > 1.4, data.y == 1)


def test_size_place_and_brightness_do_not_tell_the_class() -> None:
    data = sprites(n_domains=2, n_per_domain=2000)
    light = data.x.max(axis=3) / 255.0
    area = light.sum(axis=(1, 2))
    for quantity in (area, (light.sum(axis=2) @ (np.arange(16) + 0.5)) / area):
        square, ellipse = (quantity[data.y == c] for c in range(2))
        error = np.sqrt(square.var() / len(square) + ellipse.var() / len(ellipse))
        assert abs(square.mean() - ellipse.mean()) < 4 * error


@pytest.mark.parametrize("shape", [0, 1])
def test_sprites_stand_whole_in_the_image(shape: int) -> None:
    white = np.full((8000, 3), 255.0)
    rng = np.random.default_rng(0)
    x = draw(np.full(8000, shape), white, image_size=(16, 16), rng=rng)
    area = x[..., 0].sum(axis=(1, 2)) / 255
    # The radius is uniform in 16 [a, b]: the mean of r^2 is 16^2 (a^2 + ab + b^2) / 3.
    # r^2 spreads by .3 of its mean, so that four standard errors are 1.4 % of it.
    a, b = RADIUS
    expected = np.pi * (a * a + a * b + b * b) * 16**2 / 3
    assert area.mean() == pytest.approx(expected, rel=0.014)


def test_hues_are_at_equal_distances_and_dealt_by_the_seed() -> None:
    palette = draw_palette(3, np.random.default_rng(0)).reshape(-1, 3)
    six = {(255, 0, 0), (255, 255, 0), (0, 255, 0)}
    six |= {(0, 255, 255), (0, 0, 255), (255, 0, 255)}
    assert {tuple(np.rint(colour).astype(int).tolist()) for colour in palette} == six
    other = draw_palette(3, np.random.default_rng(1)).reshape(-1, 3)
    assert not np.array_equal(palette, other)


def test_seed_decides_every_pixel() -> None:
    first, again, other = (
        sprites(n_domains=2, n_per_domain=30, seed=seed).x for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_classes_of_a_domain_differ_by_one_sample_at_most() -> None:
    data = sprites(n_domains=2, n_per_domain=31)
    for s in range(3):
        assert abs(np.diff(np.bincount(data.y[data.domain == s]))) <= 1


@pytest.mark.parametrize(
    "change", [{"image_size": (16, 7)}, {"n_domains": 0}, {"n_per_domain": 1}]
)
def test_sprites_that_cannot_be_rendered_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected images of 8 x 8 at least"):
        sprites(**{"n_domains": 2, "n_per_domain": 20, **change})
