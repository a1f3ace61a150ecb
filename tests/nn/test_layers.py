"""Layers: batch normalisation and dropout against torch and by enumeration, stacks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from ftml.nn.cnn import CNN
from ftml.nn.image_networks import InceptionNet, LeNet, LocallyConnectedNet
from ftml.nn.layers import BatchNorm, Draw, Inception, LocallyConnected, dropout
from ftml.nn.mlp import MLP
from ftml.nn.one_hidden import OneHiddenNet
from ftml.nn.resnet import ResNet
from ftml.nn.sequence_networks import Embedding


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


def test_batch_norm_is_torchs_in_training_and_evaluation() -> None:
    ours, theirs = BatchNorm(4).double(), nn.BatchNorm1d(4).double()
    with torch.no_grad():
        for mine, other in ((ours.scale, theirs.weight), (ours.shift, theirs.bias)):
            mine.copy_(normal(4, seed=3))
            other.copy_(mine)
    for n in range(3):
        x = 2 * normal(7, 4, seed=n) + 1
        torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)
    torch.testing.assert_close(ours.mean, theirs.running_mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(ours.var, theirs.running_var, rtol=0, atol=1e-12)


def test_gradient_of_batch_norm_goes_through_its_statistics() -> None:
    norm, x = BatchNorm(3).double(), normal(5, 3).requires_grad_()
    assert torch.autograd.gradcheck(norm, (x,))


def test_batch_norm_forgets_a_bias_and_a_positive_factor_before_it() -> None:
    norm, x = BatchNorm(3).double(), normal(50, 3)
    # But for delta beside a variance near 1.
    torch.testing.assert_close(norm(7 * x + 2), norm(x), rtol=0, atol=1e-4)


def test_dropout_keeps_the_mean_and_zeroes_its_share() -> None:
    x = torch.ones(100_000)
    y = dropout(x, 0.3, Draw([generator()], stacked=False))
    # 5 sigma of a share: 5 sqrt(.3 * .7 / 1e5) = .0072; kept units are 1 / .7.
    assert abs((y == 0).double().mean().item() - 0.3) < 0.0072
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / 0.7))
    assert dropout(x, 0.3, None) is x


class Given:
    """Uniform numbers that leave out what a mask has as 0."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def uniform(self, like: Tensor) -> Tensor:
        return self.mask.to(like.dtype)


def test_ensemble_of_all_dropout_masks_is_the_network_without_dropout() -> None:
    # One softmax layer: the normalised geometric mean over the 64 subnets of 6 inputs,
    # each to the power of its probability (the notes' root is wrong, mistake 38).
    x, W, b, rate = normal(6), normal(3, 6, seed=1), normal(3, seed=2), 0.2
    log_mean = torch.zeros(3, dtype=torch.float64)
    for bits in product((0, 1), repeat=6):
        mask = torch.tensor(bits)
        chance = (1 - rate) ** sum(bits) * rate ** (6 - sum(bits))
        logits = W @ dropout(x, rate, Given(mask)) + b
        log_mean += chance * F.log_softmax(logits, dim=0)
    torch.testing.assert_close(
        F.softmax(log_mean, dim=0), F.softmax(W @ x + b, dim=0), rtol=1e-14, atol=1e-15
    )


def test_locally_connected_layer_with_equal_filters_is_a_convolution() -> None:
    layer = LocallyConnected(2, 3, 3, (6, 5)).double()
    w, b = normal(3, 2, 3, 3), normal(3, seed=1)
    with torch.no_grad():
        layer.weight.copy_(w.flatten(1).expand_as(layer.weight))
        layer.bias.copy_(b.expand_as(layer.bias))
    x = normal(4, 2, 6, 5, seed=2)
    torch.testing.assert_close(layer(x), F.conv2d(x, w, b), rtol=0, atol=1e-10)


def test_filter_of_a_locally_connected_layer_acts_at_its_place_alone() -> None:
    layer, x = LocallyConnected(1, 1, 2, (3, 3)).double(), normal(1, 1, 3, 3)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
        layer.weight[3] = 1.0  # the fourth place: row 1, column 1
    expected = torch.zeros(2, 2, dtype=torch.float64)
    expected[1, 1] = x[0, 0, 1:, 1:].sum()
    torch.testing.assert_close(layer(x)[0, 0], expected)


def test_one_by_one_convolution_is_a_dense_layer_at_each_pixel() -> None:
    block, x = Inception(3, 4).to_empty(device="cpu").double(), normal(2, 3, 5, 5)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.uniform_(-1.0, 1.0, generator=generator())
    W, b = block.one.weight[:, :, 0, 0], block.one.bias
    by_pixel = (x.movedim(1, 3) @ W.T + b).movedim(3, 1)
    torch.testing.assert_close(block(x)[:, :4], F.relu(by_pixel), rtol=0, atol=1e-12)
    assert block(x).shape == (2, 16, 5, 5)


NETWORKS = {
    "lenet": lambda image, g: LeNet(image, 5, generator=g),
    "inception": lambda image, g: InceptionNet(image, 5, width=4, generator=g),
    "local": lambda image, g: LocallyConnectedNet(
        image, 5, width=4, hidden=(8,), generator=g
    ),
}


@pytest.mark.parametrize(
    "build",
    [
        *(lambda n=n: NETWORKS[n]((1, 8, 8), None) for n in NETWORKS),
        lambda: CNN(1, 3, width=8),
        lambda: ResNet(18, 3),
        lambda: MLP((3, 4, 2)),
        lambda: OneHiddenNet(3, 4, 2, activation="tanh"),
        lambda: Embedding(5, 2),
    ],
)
def test_network_on_meta_computes_no_initial_weights(
    build: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kaiming_uniform_", "uniform_", "normal_"):
        monkeypatch.setattr(nn.init, name, None)
    assert all(each.is_meta for each in build().parameters())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("image", [(1, 4, 6), (1, 8, 8), (3, 28, 28)])
def test_network_takes_small_and_large_images(
    name: str, image: tuple[int, int, int]
) -> None:
    network = NETWORKS[name](image, generator())
    x = torch.rand((2, *image), generator=generator(1))
    assert network(x).shape == (2, 5)
    again = NETWORKS[name](image, generator())
    assert torch.equal(again(x), network(x))
    assert not torch.equal(NETWORKS[name](image, generator(1))(x), network(x))


@pytest.mark.parametrize("name", NETWORKS)
def test_too_small_images_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="images of 3 x 8 pixels are too small"):
        NETWORKS[name]((1, 3, 8), None)


def test_lenet_on_28_pixels_has_the_parameters_of_lenet_5() -> None:
    # 6 (25 + 1), 16 (6 * 25 + 1), 120 (400 + 1), 84 (120 + 1), 10 (84 + 1)
    network = LeNet((1, 28, 28), 10)
    assert sum(p.numel() for p in network.parameters()) == (
        156 + 2_416 + 48_120 + 10_164 + 850
    )


OPTIONS = [
    {},
    {"activation": "tanh", "batch_norm": True},
    {"n_pieces": 3, "hidden_dropout": 0.5, "input_dropout": 0.2},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_stack_of_mlps_gives_what_each_gives_alone(options: dict) -> None:
    entries = [
        MLP((4, 6, 3), generator=generator(s), **options).double() for s in range(3)
    ]
    x = normal(3, 5, 4)
    stack = {
        key: torch.stack([each.state_dict()[key] for each in entries])
        for key in entries[0].state_dict()
    }
    together = functional_call(
        MLP((4, 6, 3), **options),
        stack,
        (x, Draw([generator(9 + s) for s in range(3)], stacked=True)),
    )
    for s, entry in enumerate(entries):
        alone = entry(x[s], Draw([generator(9 + s)], stacked=False))
        torch.testing.assert_close(together[s], alone, rtol=0, atol=1e-12)
        for key, value in entry.state_dict().items():  # running statistics too
            torch.testing.assert_close(stack[key][s], value, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS[:2])
def test_gradients_of_an_mlp_agree_with_differences(options: dict) -> None:
    mlp = MLP((3, 5, 2), generator=generator(), **options).double()
    names = [name for name, _ in mlp.named_parameters()]
    x = normal(6, 3)

    def outputs(*values: Tensor) -> Tensor:
        return functional_call(mlp, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(
        outputs, [p.detach().requires_grad_() for p in mlp.parameters()]
    )


def test_start_of_an_image_network_keeps_the_size_of_what_goes_through() -> None:
    network = LeNet((3, 28, 28), 10, generator=generator())
    for layer in (network.second, network.dense.layers[0]):
        fan_in = layer.weight[0].numel()
        # Of uniform weights the variance errs by (0.8 / n)^(1/2); the least n is 2400.
        torch.testing.assert_close(
            layer.weight.var(), torch.tensor(2 / fan_in), rtol=0.1, atol=0
        )
        assert not layer.bias.any()
