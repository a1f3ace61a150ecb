"""Autoencoders against PCA, autograd and the formulas of the notes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits

from ftml import Images, Splits, Table, fit
from ftml.core import family
from ftml.families.decomposition import pca
from ftml.families.generative import (
    autoencoder,
    contractive_autoencoder,
    conv_autoencoder,
    denoising_autoencoder,
    linear_autoencoder,
    sparse_autoencoder,
    tied_autoencoder,
)
from ftml.families.generative._autoencoder import Model
from ftml.nn.autoencoder_networks import Autoencoder, Upward
from ftml.nn.convolution import transposed_convolution
from tests.test_contract import small_data


def digits() -> Images:
    X, y = load_digits(return_X_y=True)
    pixels = np.rint(X.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return Images(pixels, y.astype(np.int64), tuple("0123456789"))


@pytest.fixture(scope="module")
def data() -> Splits[Images]:
    rows = digits()
    return Splits(rows.rows(np.arange(1200)), None, rows.rows(np.arange(1200, 1797)))


LONG = {"n_code": 8, "n_epochs": 60, "batch_size": 64, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def components(data: Splits[Images]) -> pca.Model:
    table = Table(data.train.X.reshape(1200, 64) / 255.0)
    return fit(pca.Config(n_components=8), table).model


@pytest.fixture(scope="module")
def tied(data: Splits[Images]) -> Model:
    return fit(tied_autoencoder.Config(**LONG), data).model


@pytest.mark.parametrize("kind", [linear_autoencoder, tied_autoencoder])
def test_linear_autoencoders_find_the_plane_of_principal_components(
    kind, data: Splits[Images], components: pca.Model, tied: Model
) -> None:
    linear = kind is linear_autoencoder
    model = fit(kind.Config(**LONG), data).model if linear else tied
    rows = data.train.X
    error = np.mean(((rows - model.reconstruct(rows)) / 255) ** 2)
    flat = rows.reshape(len(rows), 64) / 255
    least = np.mean((flat - components.reconstruct(flat)) ** 2)
    assert least <= error * (1 + 1e-6)
    assert error <= 1.001 * least
    decoder = model.weights.get("D", model.weights["C"].T).numpy()
    assert np.degrees(subspace_angles(decoder, components.components.T)).max() < 2


@pytest.mark.parametrize("kind", [linear_autoencoder, tied_autoencoder])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_more_codes_than_columns_lose_nothing(kind, d: int) -> None:
    """PCA of as many components has error 0; the mean alone has 1. n % 32 is not 0."""
    X = np.random.default_rng(0).normal(size=(150, d)) @ np.triu(np.ones((d, d)))
    model = fit(kind.Config(n_epochs=30), Table(X)).model
    rebuilt = model.reconstruct(X)
    assert np.mean((X - rebuilt) ** 2 / X.var(axis=0)) < 0.01


def test_the_tied_encoder_becomes_orthogonal(tied: Model) -> None:
    C = tied.weights["C"]
    torch.testing.assert_close(C @ C.T, torch.eye(8), atol=5e-3, rtol=0)


def test_codes_of_a_linear_autoencoder_are_its_formula(data: Splits[Images]) -> None:
    model = fit(linear_autoencoder.Config(n_epochs=1), data).model
    C, D, c = (model.weights[name].double().numpy() for name in ("C", "D", "center"))
    x = data.test.X[:5].reshape(5, 64) / 255
    np.testing.assert_allclose(c, data.train.X.reshape(-1, 64).mean(0) / 255, atol=1e-6)
    z = (x - c) @ C.T
    np.testing.assert_allclose(model.transform(data.test.X[:5]), z, atol=1e-5)
    rebuilt = 255 * (c + z @ D.T).reshape(5, 8, 8)
    np.testing.assert_allclose(model.reconstruct(data.test.X[:5]), rebuilt, atol=1e-2)


@pytest.mark.parametrize(("n", "d", "m"), [(3, 7, 5), (1, 2, 9), (4, 1, 1)])
def test_the_contractive_penalty_is_the_jacobian_of_autograd(
    n: int, d: int, m: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    network = Autoencoder((d,), m, code_activation="sigmoid", generator=generator)
    network = network.double()
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    found = contractive_autoencoder.squared_jacobian(
        network.encode(x), network.encoder.head.weight
    )
    for row, value in zip(x, found, strict=True):
        jacobian = torch.autograd.functional.jacobian(
            lambda each: network.encode(each[None])[0], row
        )
        torch.testing.assert_close(jacobian.square().sum(), value, rtol=1e-12, atol=0)


def test_contraction_makes_codes_change_less(data: Splits[Images]) -> None:
    few = Splits(data.train.rows(np.arange(300)))
    nudged = np.clip(data.test.X.astype(int) + 20, 0, 255).astype(np.uint8)
    moved = []
    for contraction in (0.0, 1.0):
        config = contractive_autoencoder.Config(contraction=contraction, n_epochs=10)
        model = fit(config, few).model
        change = model.transform(nudged) - model.transform(data.test.X)
        moved.append(np.mean(change**2))
    assert moved[1] < 0.5 * moved[0]


def test_sparsity_leaves_few_numbers_above_zero(data: Splits[Images]) -> None:
    few = Splits(data.train.rows(np.arange(600)))
    shares = []
    for sparsity in (0.0, 0.1):
        config = sparse_autoencoder.Config(sparsity=sparsity, n_epochs=20)
        codes = fit(config, few).model.transform(data.test.X)
        assert codes.min() >= 0
        shares.append(np.mean(codes > 0.01))
    assert shares[1] < 0.6 * shares[0]


def test_the_l2_penalty_shortens_codes(data: Splits[Images]) -> None:
    few = Splits(data.train.rows(np.arange(300)))
    lengths = []
    for code_l2 in (0.0, 1.0):
        config = autoencoder.Config(code_l2=code_l2, n_epochs=5)
        codes = fit(config, few).model.transform(data.test.X)
        lengths.append(np.mean(codes**2))
    assert lengths[1] < 0.5 * lengths[0]


def test_denoising_removes_two_fifths_of_the_error(data: Splits[Images]) -> None:
    model = fit(denoising_autoencoder.Config(noise=0.3, n_epochs=15), data).model
    noisy, rebuilt = model.denoise(data.test.X, seed=1)
    added = noisy - data.test.X
    assert added.std() == pytest.approx(0.3 * 255, rel=0.02)
    assert np.mean((rebuilt - data.test.X) ** 2) < 0.6 * np.mean(added**2)


def test_the_loss_is_that_of_the_notes() -> None:
    """At learning rates near 0 the metrics are those of the weights at the start."""
    train = small_data("representation").train
    config = autoencoder.Config(learning_rate=1e-12, n_epochs=1, batch_size=len(train))
    step = fit(config, train)
    square = ((train.X - step.model.reconstruct(train.X)) / 255) ** 2
    assert step.metrics["train_loss"] == pytest.approx(
        0.5 * square.reshape(len(train), -1).sum(axis=1).mean(), rel=1e-5
    )
    assert step.metrics["train_reconstruction_error"] == pytest.approx(
        square.mean(), rel=1e-5
    )


@pytest.mark.parametrize("size", [(5, 7), (6, 6), (9, 8)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_size_and_colour_keep_their_shape(size, channels) -> None:
    shape = (6, *size) if channels == 1 else (6, *size, 3)
    X = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images = Images(X, np.arange(6) % 2, ("a", "b"))
    model = fit(conv_autoencoder.Config(n_epochs=1, n_code=3), images).model
    assert model.transform(X).shape == (6, 3)
    assert model.reconstruct(X).shape == shape


def test_the_decoder_doubles_maps_by_the_transposed_convolution_of_the_notes() -> None:
    generator = torch.Generator().manual_seed(1)
    layer = Upward(2, (1, 8, 8), width=1, generator=generator).second
    z = torch.randn(1, 1, 4, 4, generator=generator)
    derived = transposed_convolution(z[0, 0], layer.weight[0, 0], stride=2)
    # Padding of 1 takes a line from each side.
    torch.testing.assert_close(layer(z)[0, 0], derived[1:-1, 1:-1] + layer.bias)


def test_features_are_rebuilt_in_their_units() -> None:
    rng = np.random.default_rng(0)
    X = np.outer(rng.normal(size=200), [1.0, 100.0, -5.0])
    X += [0.0, 1e4, 3.0]
    config = autoencoder.Config(n_code=1, n_epochs=60, hidden=(), learning_rate=0.03)
    model = fit(config, Table(X)).model
    error = ((X - model.reconstruct(X)) ** 2).mean(axis=0) / X.var(axis=0)
    assert error.max() < 0.01


def test_a_family_of_images_refuses_features() -> None:
    with pytest.raises(ValueError, match="needs data of the kind Images, got Table"):
        next(
            conv_autoencoder.train(
                conv_autoencoder.Config(), Splits(train=Table(np.zeros((4, 9))))
            )
        )


def test_features_of_another_width_are_refused() -> None:
    model = fit(autoencoder.Config(n_epochs=1), Table(np.eye(4))).model
    with pytest.raises(ValueError, match="X has 3 columns, the model was fitted on 4"):
        model.transform(np.eye(3))


def test_training_that_diverges_says_so() -> None:
    train = small_data("representation").train
    config = linear_autoencoder.Config(learning_rate=1e30, n_epochs=9)
    with pytest.raises(FloatingPointError, match=r"^diverged: train_loss is (nan|inf)"):
        fit(config, train)


def test_every_family_of_the_chapter_says_what_it_is() -> None:
    folder = Path(autoencoder.__file__).parent
    names = {path.stem for path in folder.glob("[a-z]*.py")}
    tasks = {name: family(name).task for name in names}
    assert set(tasks.values()) == {"generation", "representation"}
    coders = {name for name in names if name.endswith("autoencoder")}
    assert {name for name in tasks if tasks[name] == "representation"} == coders
