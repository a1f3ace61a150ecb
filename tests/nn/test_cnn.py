from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from ftml.nn.cnn import CNN


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(shape, generator=generator(7), dtype=dtype)


def test_parameters_are_as_many_as_domainbeds() -> None:
    # 64 (9 + 1) + 128 (64 * 9 + 1) + 2 * 128 (128 * 9 + 1) for the convolutions,
    # 2 (64 + 3 * 128) for the norms, 10 (128 + 1) for the head.
    network = CNN(1, 10, generator=generator())
    assert sum(p.numel() for p in network.parameters()) == 369_664 + 896 + 1_290


def test_outputs_are_those_of_domainbeds_layers_in_their_order() -> None:
    network, x = CNN(2, 3, width=8, generator=generator()), images(4, 2, 9, 7)
    z = x
    for i, stride in enumerate((1, 2, 1, 1)):
        layer, norm = network.convolutions[i], network.norms[i]
        z = F.conv2d(z, layer.weight, layer.bias, stride=stride, padding=1).clamp(min=0)
        grouped = z.reshape(4, 8, -1)  # (B, groups, channels * H * W)
        centred = grouped - grouped.mean(dim=2, keepdim=True)
        scale = (centred.square().mean(dim=2, keepdim=True) + norm.eps).sqrt()
        z = (centred / scale).reshape(z.shape)
    assert z.shape == (4, 16, 5, 4)
    mean = F.adaptive_avg_pool2d(z, 1).flatten(1)
    # float32: the same sums in another order.
    torch.testing.assert_close(network.features(x), mean, rtol=1e-4, atol=1e-5)
    outputs = F.linear(mean, network.head.weight, network.head.bias)
    torch.testing.assert_close(network(x), outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (8, 8), (28, 28)])
def test_images_of_any_size_give_one_row_of_outputs_each(
    shape: tuple[int, int],
) -> None:
    network = CNN(3, 5, width=8, generator=generator())
    assert network(images(2, 3, *shape)).shape == (2, 5)
    assert network.features(images(2, 3, *shape)).shape == (2, 16)


@pytest.mark.parametrize("training", [True, False])
def test_image_is_scored_without_regard_to_its_batch(training: bool) -> None:
    network = CNN(1, 3, width=8, generator=generator()).double().train(training)
    x = images(6, 1, 8, 8, dtype=torch.float64)
    alone = torch.cat([network(each[None]) for each in x])
    torch.testing.assert_close(network(x), alone, rtol=1e-12, atol=1e-12)


def test_gradients_agree_with_differences() -> None:
    network = CNN(1, 2, width=8, generator=generator()).double()
    x = images(2, 1, 3, 3, dtype=torch.float64)
    names = ["convolutions.0.weight", "norms.3.weight", "norms.3.bias", "head.weight"]
    own = {key: value.detach() for key, value in network.named_parameters()}

    def outputs(*values: torch.Tensor) -> torch.Tensor:
        given = {**own, **dict(zip(names, values, strict=True))}
        return functional_call(network, given, (x,))

    start = [own[name].clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(outputs, start)


def test_one_generator_state_gives_one_network_and_global_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    first, second, other = (
        CNN(1, 3, width=8, generator=generator(s)) for s in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])
        drawn = not key.startswith("norms")
        assert torch.equal(value, other.state_dict()[key]) != drawn


def test_weights_are_uniform_as_torch_draws_them() -> None:
    layer = CNN(1, 3, generator=generator()).convolutions[3]
    bound = (128 * 9) ** -0.5
    assert layer.weight.abs().max() <= bound
    assert layer.bias.abs().max() <= bound
    # The variance of a uniform on +-a is a^2 / 3, its relative error (0.8 / n)^(1/2).
    expected = torch.tensor(bound**2 / 3)
    torch.testing.assert_close(layer.weight.var(), expected, rtol=0.012, atol=0)


def test_network_without_generator_is_a_shape_for_weights_from_elsewhere() -> None:
    network, x = CNN(1, 3, width=8, generator=generator()), images(2, 1, 8, 8)
    shape = CNN(1, 3, width=8)
    assert all(parameter.is_meta for parameter in shape.parameters())
    applied = functional_call(shape, network.state_dict(), (x,))
    assert torch.equal(applied, network(x))


@pytest.mark.parametrize(
    ("channels", "n_classes", "width", "message"),
    [
        (0, 3, 8, "channels: expected >= 1, got 0"),
        (1, 0, 8, "n_classes: expected >= 1, got 0"),
        (1, 3, 12, "width: expected a multiple of 8, got 12"),
        (1, 3, 0, "width: expected a multiple of 8, got 0"),
    ],
)
def test_sizes_that_make_no_network_are_refused(
    channels: int, n_classes: int, width: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CNN(channels, n_classes, width=width)
