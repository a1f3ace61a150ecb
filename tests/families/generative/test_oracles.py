"""Autoencoders and the VAE against the same networks as anyone writes them in torch.

Forward pass, loss, penalties and optimizer are torch's own; only the random weights at
the start and the generator of the rows' order and of noise come from the code under
test. The rows are no multiple of the batch, and two of the shapes have more values than
units.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from ftml import Images, Splits, Table, fit
from ftml.families.generative import (
    autoencoder,
    contractive_autoencoder,
    conv_autoencoder,
    denoising_autoencoder,
    linear_autoencoder,
    sparse_autoencoder,
    tied_autoencoder,
    vae,
)
from ftml.nn.autoencoder_networks import (
    Autoencoder,
    ConvAutoencoder,
    LinearAutoencoder,
)
from ftml.nn.latent_networks import LatentGaussian
from tests.families.plain_torch import Weights, affine, images, inputs, table

Loss = Callable[[Weights, Tensor, torch.Generator], Tensor]
BATCH = 5


SHAPES = {"narrow": table(13, 3), "wide": table(16, 20), "pixels": images(13, 5, 7)}
shapes = pytest.mark.parametrize("shape", SHAPES)


def assert_trained_as_in_torch(
    family: ModuleType,
    options: dict[str, Any],
    data: Table | Images,
    network: Callable[[torch.Generator], torch.nn.Module],
    loss: Loss,
) -> None:
    """Compare the weights after three epochs of Adam with those of a plain loop.

    loss: of the weights and a batch; it draws its noise from the generator.
    """
    config = family.Config(
        n_epochs=3, batch_size=BATCH, schedule="constant", seed=3, **options
    )
    generator = torch.Generator().manual_seed(3)
    made = network(generator)
    own = {name: each.clone() for name, each in made.state_dict().items()}
    learnt = [own[name].requires_grad_() for name, _ in made.named_parameters()]
    adam = torch.optim.Adam(learnt, lr=config.learning_rate)
    x = inputs(data)
    if "center" in own:
        own["center"] = x.flatten(1).mean(dim=0)
    for _ in range(3):
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            adam.zero_grad()
            loss(own, x[rows], generator).backward()
            adam.step()
    found = fit(config, Splits(data)).model.weights
    assert set(found) == set(own)
    for name, value in own.items():
        torch.testing.assert_close(
            found[name], value.detach(), rtol=1e-4, atol=2e-5, msg=name
        )


def half_squares(x: Tensor, rebuilt: Tensor) -> Tensor:
    """Return (1 / 2n) sum |x - x'|^2."""
    return 0.5 * (x.flatten(1) - rebuilt.flatten(1)).square().sum() / len(x)


def two_layers(w: Weights, x: Tensor, name: str) -> Tensor:
    return affine(w, F.relu(affine(w, x, f"{name}.layers.0")), f"{name}.layers.1")


@shapes
@pytest.mark.parametrize("tied", [False, True])
def test_linear_autoencoder(tied: bool, shape: str) -> None:
    data = SHAPES[shape]

    def loss(w: Weights, x: Tensor, _: torch.Generator) -> Tensor:
        z = (x.flatten(1) - w["center"]) @ w["C"].T
        return half_squares(x, w["center"] + z @ (w["C"] if tied else w["D"].T))

    assert_trained_as_in_torch(
        tied_autoencoder if tied else linear_autoencoder,
        {"n_code": 4},
        data,
        lambda g: LinearAutoencoder(inputs(data).shape[1:], 4, tied=tied, generator=g),
        loss,
    )


def dense(data: Table | Images, code: int, **options: Any) -> Any:
    size, pixels = inputs(data).shape[1:], isinstance(data, Images)
    return lambda g: Autoencoder(size, code, pixels=pixels, generator=g, **options)


@shapes
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_autoencoder_and_denoising_autoencoder(noise: float, shape: str) -> None:
    data = SHAPES[shape]

    def loss(w: Weights, x: Tensor, generator: torch.Generator) -> Tensor:
        given = x + noise * torch.randn(x.shape, generator=generator) if noise else x
        z = two_layers(w, given.flatten(1), "encoder")
        rebuilt = two_layers(w, z, "decoder")
        if shape == "pixels":
            rebuilt = rebuilt.sigmoid()
        penalty = 0.0 if noise else 0.2 * z.square().sum() / len(x)
        return half_squares(x, rebuilt) + penalty

    family = denoising_autoencoder if noise else autoencoder
    own = {"noise": noise} if noise else {"code_l2": 0.2}
    options = {"n_code": 2, "hidden": (6,), **own}
    network = dense(data, 2, hidden=(6,))
    assert_trained_as_in_torch(family, options, data, network, loss)


@shapes
def test_sparse_autoencoder(shape: str) -> None:
    data = SHAPES[shape]

    def loss(w: Weights, x: Tensor, _: torch.Generator) -> Tensor:
        z = F.relu(affine(w, x.flatten(1), "encoder.layers.0"))
        rebuilt = affine(w, z, "decoder.layers.0")
        if shape == "pixels":
            rebuilt = rebuilt.sigmoid()
        decay = 0.05 * w["decoder.layers.0.weight"].square().sum()
        return half_squares(x, rebuilt) + 0.3 * z.norm(p=1) / len(x) + decay

    options = {"n_code": 6, "sparsity": 0.3, "decoder_l2": 0.1}
    network = dense(data, 6, code_activation="relu")
    assert_trained_as_in_torch(sparse_autoencoder, options, data, network, loss)


@shapes
def test_contractive_autoencoder(shape: str) -> None:
    data = SHAPES[shape]

    def loss(w: Weights, x: Tensor, _: torch.Generator) -> Tensor:
        def encoded(row: Tensor) -> Tensor:
            return affine(w, row, "encoder.layers.0").sigmoid()

        rows = x.flatten(1)
        rebuilt = affine(w, encoded(rows), "decoder.layers.0")
        if shape == "pixels":
            rebuilt = rebuilt.sigmoid()
        slopes = torch.func.vmap(torch.func.jacrev(encoded))(rows)
        return half_squares(x, rebuilt) + 0.5 * slopes.square().sum() / len(x)

    options = {"n_code": 4, "contraction": 0.5}
    network = dense(data, 4, code_activation="sigmoid")
    assert_trained_as_in_torch(contractive_autoencoder, options, data, network, loss)


@pytest.mark.parametrize("size", [(5, 7), (9, 8, 3)], ids=["grey", "colour"])
def test_convolutional_autoencoder(size: tuple[int, ...]) -> None:
    data = images(13, *size)
    shape = tuple(inputs(data).shape[1:])
    H, W = shape[1:]

    def loss(w: Weights, x: Tensor, _: torch.Generator) -> Tensor:
        z = x
        for name in ("encoder.first", "encoder.second"):
            parameters = w[f"{name}.weight"], w[f"{name}.bias"]
            z = F.relu(F.conv2d(z, *parameters, stride=2, padding=1))
        h = F.relu(affine(w, affine(w, z.flatten(1), "encoder.dense"), "decoder.dense"))
        h = h.view(len(x), 4, -(-H // 4), -(-W // 4))
        for name in ("decoder.first", "decoder.second"):
            parameters = w[f"{name}.weight"], w[f"{name}.bias"]
            h = F.conv_transpose2d(h, *parameters, stride=2, padding=1)
            h = F.relu(h) if name == "decoder.first" else h
        return half_squares(x, h[..., :H, :W].sigmoid())

    assert_trained_as_in_torch(
        conv_autoencoder,
        {"n_code": 3, "width": 2},
        data,
        lambda g: ConvAutoencoder(shape, 3, width=2, generator=g),
        loss,
    )


@shapes
def test_vae(shape: str) -> None:
    data = SHAPES[shape]
    size, gaussian = inputs(data).shape[1:], shape != "pixels"

    def loss(w: Weights, x: Tensor, generator: torch.Generator) -> Tensor:
        mu, log_v = two_layers(w, x.flatten(1), "encoder").split(2, dim=1)
        q = Normal(mu, (log_v / 2).exp())
        z = mu + q.scale * torch.randn(mu.shape, generator=generator)
        outputs = two_layers(w, z, "decoder")
        if gaussian:
            law: Any = Normal(outputs, (w["log_noise"] / 2).exp())
        else:
            law = Bernoulli(logits=outputs, validate_args=False)  # of grey pixels
        expected = Independent(law, 1, validate_args=False).log_prob(x.flatten(1))
        kl = kl_divergence(q, Normal(0.0, 1.0)).sum(dim=1)
        return (0.5 * kl - expected).mean()

    assert_trained_as_in_torch(
        vae,
        {"n_code": 2, "hidden": (6,), "beta": 0.5},
        data,
        lambda g: LatentGaussian(size, 2, hidden=(6,), gaussian=gaussian, generator=g),
        loss,
    )
