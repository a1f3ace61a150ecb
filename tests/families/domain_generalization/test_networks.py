"""Every family on the networks of the chapter."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from ftml import families, family, fit, load, save
from ftml.data import Domains, Splits
from ftml.families.domain_generalization import erm, idgm
from ftml.families.domain_generalization._model import as_float, network_input
from ftml.families.domain_generalization._training import Batch, domain_weights
from ftml.nn.cnn import CNN
from ftml.nn.resnet import ResNet, set_statistics
from ftml.saving import load_tree, save_tree
from tests.families.domain_generalization.checks import assert_same, generator

CHAPTER = [name for name, of in families().items() if of == "domain_generalization"]
CNN_CONFIG = {"network": "cnn", "width": 8, "batch_size": 4}


def images(*colours: int, size: tuple[int, int] = (5, 6)) -> Domains:
    """Return 3 domains of 8 images: class 1 is bright where class 0 is dark."""
    rng = np.random.default_rng(0)
    y, domain = np.tile([0, 1], 12), np.repeat([0, 1, 2], 8)
    x = rng.integers(0, 100, (24, *size, *colours), dtype=np.uint8)
    x[y == 1, 1:3] += 150
    return Domains(x, y, domain, ("a", "b", "c"), ("dark", "bright"))


@pytest.mark.parametrize("name", CHAPTER)
def test_family_trains_a_cnn_and_resumes_bit_identically(
    name: str, tmp_path: Path
) -> None:
    kind, data = family(name), Splits(images())
    config = kind.Config(**CNN_CONFIG, n_epochs=3)
    first, *_, last = kind.train(config, data, None)
    save_tree(tmp_path, first.state)
    *_, resumed = kind.train(config, data, load_tree(tmp_path)[0])
    assert resumed.metrics == last.metrics
    for key, weight in last.model.weights.items():
        assert torch.equal(resumed.model.weights[key], weight)
    assert any(
        not torch.equal(first.model.weights[key], weight)
        for key, weight in last.model.weights.items()
    )


@pytest.mark.parametrize("colours", [(), (3,)])
def test_cnn_learns_and_survives_saving(
    colours: tuple[int, ...], tmp_path: Path
) -> None:
    data = images(*colours)
    config = erm.Config(**CNN_CONFIG, n_epochs=30)
    model = fit(config, data).model
    assert (model.predict(data.x) == data.y).all()
    save(tmp_path / "model", model, config)
    loaded = load(tmp_path / "model").model
    np.testing.assert_array_equal(
        loaded.predict_proba(data.x), model.predict_proba(data.x)
    )


def test_pixels_of_a_cnn_keep_their_place() -> None:
    x = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    rows = network_input(x, network="cnn", sizes=(3, 8, 2), scaling=None)
    assert rows.shape == (2, 3, 4, 5)
    assert rows[1, 2, 3, 4] == x[1, 3, 4, 2]
    grey = network_input(x[..., 0], network="cnn", sizes=(1, 8, 2), scaling=None)
    assert grey[1, 0, 3, 4] == x[1, 3, 4, 0]


def test_gradient_of_idgm_is_the_same_in_both_modes_on_a_cnn() -> None:
    draw = torch.Generator().manual_seed(0)
    network = CNN(1, 3, width=8, generator=draw).double()
    sizes = (2, 3, 4)
    x = torch.rand(9, 1, 5, 6, generator=draw, dtype=torch.float64)
    y = torch.randint(3, (9,), generator=draw)
    weight = domain_weights(np.cumsum((0, *sizes))).double()
    batch = Batch(x, y, sizes, weight)
    (_, one), (_, other) = (
        idgm.idgm_gradient(network, batch, gamma=0.5, mode=mode)
        for mode in ("autograd", "vmap")
    )
    for a, b in zip(one, other, strict=True):
        # The weights of rows are float32, with a relative error of 6e-8.
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


# ResNets: as few updates and as small images as show it

RESNET_CONFIG = {"network": "resnet18", "batch_size": 2, "learning_rate": 1e-3}
PIXELS = images(3, size=(16, 15))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file of a ResNet-18 with 7 classes whose statistics are not the first."""
    network = ResNet(18, 7, generator=generator(5))
    set_statistics(network, torch.rand(4, 3, 32, 32, generator=generator(6)))
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(network.state_dict(), path)
    return path


def statistics(weights: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([each for key, each in weights.items() if "running" in key])


@pytest.mark.parametrize("name", ["fish", "mldg", "idgm", "fishr"])
def test_family_trains_a_resnet_with_fixed_statistics_and_resumes_bit_identically(
    name: str,
) -> None:
    kind, data = family(name), Splits(PIXELS.rows(np.arange(16)).only(["a", "b"]))
    # With fixed statistics a step of 0.1, which the MLP bears, goes to infinity here.
    extra = {"idgm": {"mode": "vmap"}, "fish": {"inner_learning_rate": 1e-3}}
    config = kind.Config(
        **{**RESNET_CONFIG, "batch_size": 8}, n_epochs=2, **extra.get(name, {})
    )
    first, last = kind.train(config, data, None)
    (resumed,) = kind.train(config, data, first.state)
    assert resumed.metrics == last.metrics
    assert_same(resumed.state, last.state)
    before, after = first.model.weights, last.model.weights
    assert torch.equal(statistics(before), statistics(after))
    for key in ("conv1.weight", "bn1.weight", "layer4.1.bn2.bias", "fc.bias"):
        assert not torch.equal(before[key], after[key])


def test_resnet_learns_from_its_drawn_weights_and_survives_saving(
    tmp_path: Path,
) -> None:
    settings = {"network": "resnet18", "batch_size": 8, "learning_rate": 3e-4}
    config = erm.Config(**settings, n_epochs=6)
    model = fit(config, PIXELS).model
    assert (model.predict(PIXELS.x) == PIXELS.y).all()
    save(tmp_path / "model", model, config)
    loaded = load(tmp_path / "model").model
    np.testing.assert_array_equal(
        loaded.predict_proba(PIXELS.x), model.predict_proba(PIXELS.x)
    )


def test_resnet_starts_from_a_file_that_it_needs_no_more_to_go_on(
    pretrained: Path, tmp_path: Path
) -> None:
    path = tmp_path / "copy.safetensors"
    path.write_bytes(pretrained.read_bytes())
    config = erm.Config(
        **{**RESNET_CONFIG, "batch_size": 8, "learning_rate": 1e-9},
        pretrained=str(path),
        n_epochs=2,
    )
    first, _ = erm.train(config, Splits(PIXELS), None)
    given, weights = load_file(path), first.model.weights
    assert torch.equal(statistics(weights), statistics(given))
    # An update of Adam moves no weight by more than about its rate.
    for key in ("conv1.weight", "layer3.0.downsample.0.weight", "bn1.bias"):
        torch.testing.assert_close(weights[key], given[key], rtol=0, atol=1e-8)
    assert weights["fc.weight"].shape == (2, 512)
    path.unlink()
    (last,) = erm.train(config, Splits(PIXELS), first.state)
    assert last.n == 2


def test_pretrained_weights_that_do_not_fit_are_refused(pretrained: Path) -> None:
    config = erm.Config(**RESNET_CONFIG, pretrained=str(pretrained))
    with pytest.raises(
        ValueError, match=r"conv1.weight \(64, 3, 7, 7\) instead of \(64, 1, 7, 7\)"
    ):
        next(erm.train(config, Splits(images())))
    with pytest.raises(ValidationError, match="the network is cnn, no ResNet"):
        erm.Config(network="cnn", pretrained="some.safetensors")


def test_resnet_scores_images_of_another_size_and_depth_50_has_its_name() -> None:
    grey = images(size=(16, 16))
    model = fit(
        erm.Config(**{**RESNET_CONFIG, "network": "resnet50"}, n_epochs=1), grey
    ).model
    assert (model.network, model.sizes) == ("resnet50", (1, 2))
    assert model.predict_proba(images(size=(9, 20)).x).shape == (24, 2)


def test_colours_of_a_resnet_are_scaled_as_imagenets() -> None:
    x = torch.randint(256, (2, 3, 4, 5), generator=torch.Generator().manual_seed(0))
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    torch.testing.assert_close(
        as_float(x.to(torch.uint8), network="resnet50"), (x / 255 - mean) / deviation
    )
    grey = x[:, :1].to(torch.uint8)
    torch.testing.assert_close(as_float(grey, network="resnet50"), grey / 255)


def test_gradient_of_idgm_is_the_same_in_both_modes_on_a_resnet() -> None:
    draw = torch.Generator().manual_seed(0)
    network = ResNet(18, 2, freeze_norm=True, generator=draw).double()
    x = torch.rand(6, 3, 9, 8, generator=draw, dtype=torch.float64)
    set_statistics(network, x)
    y, weight = torch.arange(6) % 2, torch.full((6,), 1 / 6, dtype=torch.float64)
    batch = Batch(x, y, (2, 4), weight * torch.tensor([1.5] * 2 + [0.75] * 4))
    (_, one), (_, other) = (
        idgm.idgm_gradient(network, batch, gamma=0.5, mode=mode)
        for mode in ("autograd", "vmap")
    )
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def test_cnn_on_features_is_refused() -> None:
    data = images()
    features = Domains(
        data.x.reshape(24, -1).astype(float),
        data.y,
        data.domain,
        data.domain_names,
        data.class_names,
    )
    with pytest.raises(ValueError, match="network: cnn needs images, these"):
        next(erm.train(erm.Config(network="cnn"), Splits(features)))


def test_images_of_another_colour_are_refused() -> None:
    (step,) = islice(erm.train(erm.Config(**CNN_CONFIG), Splits(images())), 1)
    with pytest.raises(ValueError, match="x has 3 channels, the model was fitted on 1"):
        step.model.predict(images(3).x)
