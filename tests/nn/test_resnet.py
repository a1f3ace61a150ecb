from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.func import functional_call

from ftml.nn.resnet import Block, ResNet, load_pretrained, set_statistics


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 2, size: int = 33) -> Tensor:
    return torch.rand((n, 3, size, size), generator=generator(7))


@pytest.fixture(scope="module")
def network() -> ResNet:
    """Give a ResNet-18 whose batch-norm has seen two batches; nobody changes it."""
    made = ResNet(18, 4, generator=generator())
    with torch.no_grad():
        made(images(4))
        made(2 * images(4))
    return made.eval()


@pytest.mark.parametrize(
    ("depth", "parameters", "buffers"),
    # The published counts; a batch-norm of c channels has 2 c + 1 numbers of buffer.
    [(18, 11_689_512, 9_600 + 20), (50, 25_557_032, 53_120 + 53)],
)
def test_parameters_are_as_many_as_torchvisions(
    depth: int, parameters: int, buffers: int
) -> None:
    shape = ResNet(depth, 1000)
    assert all(parameter.is_meta for parameter in shape.parameters())
    assert sum(p.numel() for p in shape.parameters()) == parameters
    assert sum(b.numel() for b in shape.buffers()) == buffers


@pytest.mark.parametrize(
    ("depth", "keys"),
    [
        (18, {"layer2.0.downsample.0.weight": (128, 64, 1, 1), "fc.weight": (9, 512)}),
        (
            50,
            {
                "layer1.0.downsample.1.running_var": (256,),
                "layer3.5.conv2.weight": (256, 256, 3, 3),
                "layer4.2.bn3.num_batches_tracked": (),
                "fc.weight": (9, 2048),
            },
        ),
    ],
)
def test_keys_and_shapes_are_torchvisions(
    depth: int, keys: dict[str, tuple[int, ...]]
) -> None:
    own = {key: tuple(v.shape) for key, v in ResNet(depth, 9).state_dict().items()}
    top = {key.split(".")[0] for key in own}
    stages = {f"layer{i}" for i in (1, 2, 3, 4)}
    assert top == {"conv1", "bn1", *stages, "fc"}
    assert own["conv1.weight"] == (64, 3, 7, 7)
    assert keys.items() <= own.items()
    assert len(own) == {18: 122, 50: 320}[depth]  # of torchvision's files


def by_hand(own: dict[str, Tensor], x: Tensor) -> Tensor:
    """Return ResNet-18's outputs in evaluation mode, from its state dict alone."""

    def norm(z: Tensor, name: str) -> Tensor:
        mean, var, scale, shift = (
            own[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (z - mean) / (var + 1e-5).sqrt() * scale + shift

    z = F.conv2d(x, own["conv1.weight"], stride=2, padding=3)
    z = F.max_pool2d(norm(z, "bn1").clamp(min=0), 3, stride=2, padding=1)
    for stage, block in [(s, b) for s in (1, 2, 3, 4) for b in (0, 1)]:
        at, short = f"layer{stage}.{block}", z
        stride = 2 if stage > 1 and block == 0 else 1
        if stride == 2:
            short = F.conv2d(z, own[f"{at}.downsample.0.weight"], stride=2)
            short = norm(short, f"{at}.downsample.1")
        z = F.conv2d(z, own[f"{at}.conv1.weight"], stride=stride, padding=1)
        z = norm(z, f"{at}.bn1").clamp(min=0)
        z = norm(F.conv2d(z, own[f"{at}.conv2.weight"], padding=1), f"{at}.bn2")
        z = (z + short).clamp(min=0)
    return z.mean(dim=(2, 3)) @ own["fc.weight"].T + own["fc.bias"]


def test_outputs_are_those_of_the_paper_written_out(network: ResNet) -> None:
    with torch.no_grad():
        expected = by_hand(network.state_dict(), images())
        # float32 through 18 layers
        torch.testing.assert_close(network(images()), expected, rtol=1e-4, atol=1e-4)


def test_deep_block_has_its_stride_in_the_middle() -> None:
    block = Block(8, 4, stride=2, deep=True)
    assert [c.stride for c in (block.conv1, block.conv2, block.conv3)] == [
        (1, 1),
        (2, 2),
        (1, 1),
    ]
    assert block(torch.empty(2, 8, 5, 5, device="meta")).shape == (2, 16, 3, 3)


@pytest.mark.parametrize(("depth", "features"), [(18, 512), (50, 2048)])
def test_images_of_any_size_give_one_row_of_outputs_each(
    depth: int, features: int
) -> None:
    shape = ResNet(depth, 7, channels=1)
    for size in (32, 47, 224):
        x = torch.empty(2, 1, size, size, device="meta")
        assert shape(x).shape == (2, 7)
        assert shape.features(x).shape == (2, features)


def test_image_is_scored_without_regard_to_its_batch(network: ResNet) -> None:
    x = images(3)
    with torch.no_grad():
        alone = torch.cat([network(each[None]) for each in x])
        torch.testing.assert_close(network(x), alone, rtol=1e-4, atol=1e-5)


def test_frozen_norm_ignores_the_batch_and_keeps_its_statistics_but_learns() -> None:
    network = ResNet(18, 4, freeze_norm=True, generator=generator())
    before = {key: value.clone() for key, value in network.named_buffers()}
    assert network.training
    x = images(3)
    with torch.no_grad():
        both = torch.cat([network.eval()(x), network.train()(x)])
    torch.testing.assert_close(both[:3], both[3:], rtol=0, atol=0)
    assert all(torch.equal(v, before[key]) for key, v in network.named_buffers())
    network(x).square().sum().backward()
    assert network.layer4[1].bn2.weight.grad.abs().max() > 0


def test_norm_that_is_not_frozen_learns_its_statistics() -> None:
    network = ResNet(18, 4, generator=generator())
    with torch.no_grad():
        network(images(3))
    assert network.bn1.num_batches_tracked == 1
    assert network.bn1.running_mean.abs().max() > 0


def test_statistics_that_are_set_are_those_of_the_batch_and_stay_frozen() -> None:
    network = ResNet(18, 4, freeze_norm=True, generator=generator())
    x = images(6)
    set_statistics(network, x)
    assert not any(
        m.training for m in network.modules() if isinstance(m, nn.BatchNorm2d)
    )
    with torch.no_grad():
        z = network.conv1(x)
        mean, variance = z.mean(dim=(0, 2, 3)), z.var(dim=(0, 2, 3))
        torch.testing.assert_close(network.bn1.running_mean, mean)
        torch.testing.assert_close(network.bn1.running_var, variance)
        inside = network.layer4[1].bn1
        seen = []
        inside.register_forward_hook(lambda _, given, out: seen.append(out))
        network(x)
    # A running variance is that with n - 1 and the batch's own that with n, 24 in the
    # last layers: 4 % in each of them, one after the other.
    mean, variance = seen[0].mean(dim=(0, 2, 3)), seen[0].var(dim=(0, 2, 3))
    torch.testing.assert_close(mean, torch.zeros(512), rtol=0, atol=0.25)
    torch.testing.assert_close(variance, torch.ones(512), rtol=0, atol=0.25)


def test_gradients_are_finite_and_reach_every_parameter() -> None:
    network = ResNet(18, 4, generator=generator())
    F.cross_entropy(network(images(4)), torch.arange(4)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_one_generator_state_gives_one_network_and_global_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    first, second, other = (ResNet(18, 4, generator=generator(s)) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])
        drawn = value.ndim == 4 or key.startswith("fc.")
        assert torch.equal(value, other.state_dict()[key]) != drawn


def test_weights_are_drawn_by_torchvisions_laws() -> None:
    network = ResNet(18, 4, generator=generator())
    weight = network.layer4[1].conv2.weight
    # Normal, variance 2 / (512 * 9); of 2.4 million draws 5 sigma are 0.5 %.
    torch.testing.assert_close(
        weight.var(), torch.tensor(2 / (512 * 9)), rtol=0.005, atol=0
    )
    assert network.fc.weight.abs().max() <= 512**-0.5
    assert set(network.bn1.weight.tolist()) == {1.0}


# Pretrained weights


def write(path: Path, weights: dict[str, Tensor]) -> Path:
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path)
    return path


def same_but_head(a: ResNet, b: ResNet) -> bool:
    other = b.state_dict()
    return all(
        torch.equal(value, other[key])
        for key, value in a.state_dict().items()
        if not key.startswith("fc.") and not key.endswith("num_batches_tracked")
    )


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_file_gives_its_weights_and_head_of_other_classes_stays(
    network: ResNet, name: str, tmp_path: Path
) -> None:
    path = write(tmp_path / name, network.state_dict())
    same, fewer = (ResNet(18, k, generator=generator(5)) for k in (4, 3))
    drawn = fewer.fc.weight.detach().clone()
    load_pretrained(same, path)
    load_pretrained(fewer, path)
    with torch.no_grad():
        assert torch.equal(same.eval()(images()), network(images()))
    assert same_but_head(fewer, network)
    assert torch.equal(fewer.fc.weight, drawn)


def test_file_may_lack_head_and_counters(network: ResNet, tmp_path: Path) -> None:
    weights = {
        key: value
        for key, value in network.state_dict().items()
        if not key.startswith("fc.") and not key.endswith("num_batches_tracked")
    }
    other = ResNet(18, 4, generator=generator(5))
    load_pretrained(other, write(tmp_path / "w.safetensors", weights))
    assert same_but_head(other, network)


def test_wrong_keys_and_shapes_are_one_error_that_names_them_and_loads_nothing(
    network: ResNet, tmp_path: Path
) -> None:
    weights = network.state_dict()
    weights["layer1.0.conv_1.weight"] = weights.pop("layer1.0.conv1.weight")
    weights["layer1.0.conv2.weight"] = torch.zeros(64, 64, 1, 1)
    path = write(tmp_path / "w.safetensors", weights)
    other = ResNet(18, 4, generator=generator(5))
    before = {key: value.clone() for key, value in other.state_dict().items()}
    with pytest.raises(ValueError, match="not weights of this network") as caught:
        load_pretrained(other, path)
    for part in (
        "w.safetensors",
        "missing: layer1.0.conv1.weight",
        "layer1.0.conv_1.weight (nearest missing: layer1.0.conv1.weight)",
        "layer1.0.conv2.weight (64, 64, 1, 1) instead of (64, 64, 3, 3)",
    ):
        assert part in str(caught.value)
    assert all(torch.equal(v, before[key]) for key, v in other.state_dict().items())


def test_weights_of_another_depth_are_refused_in_a_few_words(
    network: ResNet, tmp_path: Path
) -> None:
    path = write(tmp_path / "w.pt", network.state_dict())
    with pytest.raises(ValueError, match=r"missing: .* and \d+ more") as caught:
        load_pretrained(ResNet(50, 4, generator=generator()), path)
    assert len(str(caught.value)) < 2000


def test_wrapped_state_dict_is_refused(network: ResNet, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"state_dict": dict(network.state_dict())}, path)
    with pytest.raises(ValueError, match="expected a state dict, names with tensors"):
        load_pretrained(ResNet(18, 4, generator=generator()), path)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_file_that_is_no_weights_is_refused(name: str, tmp_path: Path) -> None:
    network = ResNet(18, 4, generator=generator())
    with pytest.raises(FileNotFoundError, match=name):
        load_pretrained(network, tmp_path / name)
    (tmp_path / name).write_bytes(b"nothing of the sort")
    with pytest.raises(ValueError, match=f"{name}: cannot be read as weights"):
        load_pretrained(network, tmp_path / name)


def test_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"fc.weight": generator}, path)  # a function is pickled by its name
    with pytest.raises(ValueError, match="cannot be read as weights"):
        load_pretrained(ResNet(18, 4, generator=generator()), path)


def test_weights_applied_elsewhere_give_the_same_outputs(network: ResNet) -> None:
    with torch.no_grad():
        applied = functional_call(
            ResNet(18, 4).eval(), network.state_dict(), (images(),)
        )
        assert torch.equal(applied, network(images()))


@pytest.mark.parametrize(
    ("depth", "n_classes", "channels", "message"),
    [
        (34, 3, 3, "depth: expected 18 or 50, got 34"),
        (18, 0, 3, "n_classes: expected >= 1, got 0"),
        (18, 3, 0, "channels: expected >= 1, got 0"),
    ],
)
def test_sizes_that_make_no_network_are_refused(
    depth: int, n_classes: int, channels: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ResNet(depth, n_classes, channels=channels)
