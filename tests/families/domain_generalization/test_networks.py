"""Every family on the networks of the chapter."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from ftml import families, family, fit, load, save
from ftml.data import Domains, Splits
from ftml.families.domain_generalization import erm, idgm
from ftml.families.domain_generalization._model import network_input
from ftml.families.domain_generalization._training import Batch, domain_weights
from ftml.nn.cnn import CNN
from ftml.saving import load_tree, save_tree

CHAPTER = [name for name, of in families().items() if of == "domain_generalization"]
CNN_CONFIG = {"network": "cnn", "width": 8, "batch_size": 4}


def images(*colours: int) -> Domains:
    """Return 3 domains of 8 images: class 1 is bright where class 0 is dark."""
    rng = np.random.default_rng(0)
    y, domain = np.tile([0, 1], 12), np.repeat([0, 1, 2], 8)
    x = rng.integers(0, 100, (24, 5, 6, *colours), dtype=np.uint8)
    x[y == 1, 1:3] += 150
    return Domains(x, y, domain, ("a", "b", "c"), ("dark", "bright"))


@pytest.mark.parametrize("name", CHAPTER)
def test_family_trains_a_cnn_and_goes_on_to_the_bit(name: str, tmp_path: Path) -> None:
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
    loaded, _ = load(tmp_path / "model")
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


def test_cnn_on_features_is_refused() -> None:
    data = images()
    features = Domains(
        data.x.reshape(24, -1).astype(float),
        data.y,
        data.domain,
        data.domain_names,
        data.class_names,
    )
    with pytest.raises(ValueError, match="network: cnn needs images"):
        next(erm.train(erm.Config(network="cnn"), Splits(features)))


def test_images_of_another_colour_are_refused() -> None:
    (step,) = islice(erm.train(erm.Config(**CNN_CONFIG), Splits(images())), 1)
    with pytest.raises(ValueError, match="x has 3 channels, the model was fitted on 1"):
        step.model.predict(images(3).x)
