"""Every network of the chapter against the same network as anyone writes it in torch.

Forward pass, loss, penalties and optimizer are torch's own; only the random weights at
the start and the order of the rows come from the code under test. The rows are no
multiple of the batch, and one of the two shapes has more inputs than units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

import ftml
from ftml import Images, Splits, Table
from ftml.families.neural import (
    inception,
    lenet,
    locally_connected,
    maxout,
    multi_task,
    soft_weight_sharing,
)
from ftml.nn.image_networks import InceptionNet, LeNet, LocallyConnectedNet
from ftml.nn.mlp import MLP
from ftml.nn.soft_sharing import SharedMLP
from tests.families.plain_torch import Weights, affine, images, inputs, table

Outputs = Callable[[Weights, Tensor], Tensor]
BATCH = 5
N_EPOCHS = 3


def trained(
    network: Any,
    outputs: Outputs,
    data: Images | Table,
    generator: torch.Generator,
    config: Any,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    penalty: Callable[[Weights, int], Tensor] | None = None,
) -> Weights:
    """Return the weights after N_EPOCHS of Adam on the mean loss.

    loss: of the outputs and the row numbers, cross-entropy by default. penalty: of the
    weights and the epoch; by default that of `l2` is in the optimizer.
    """
    own = {name: each.clone() for name, each in network.state_dict().items()}
    learnt = [name for name, _ in network.named_parameters()]
    matrices, others = (
        [own[name].requires_grad_() for name in learnt if name.endswith("weight") == of]
        for of in (True, False)
    )
    adam = torch.optim.Adam(
        [{"params": matrices, "weight_decay": config.l2}, {"params": others}],
        lr=config.learning_rate,
    )
    x, y = inputs(data), torch.from_numpy(data.y)
    for epoch in range(1, N_EPOCHS + 1):
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            adam.zero_grad()
            found = outputs(own, x[rows])
            if loss is None:
                total = F.cross_entropy(found, y[rows])
            else:
                total = loss(found, rows)
            if penalty is not None:
                total = total + penalty(own, epoch)
            total.backward()
            adam.step()
    return {name: each.detach() for name, each in own.items()}


def assert_same_weights(config: Any, data: Images | Table, expected: Weights) -> None:
    found = ftml.fit(config, Splits(data)).model.weights
    assert set(found) == set(expected)
    for name, value in expected.items():
        # float32: the penalty is added to the loss here, to the gradient there.
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=2e-5, msg=name)


def conv(w: Weights, x: Tensor, name: str, padding: int) -> Tensor:
    return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=padding)


def lenet_outputs(w: Weights, x: Tensor) -> Tensor:
    """Of LeNet-5 on images below 12 pixels, whose second convolution is padded."""
    x = F.max_pool2d(F.relu(conv(w, x, "first", 2)), 2)
    x = F.max_pool2d(F.relu(conv(w, x, "second", 2)), 2).flatten(1)
    for i in range(2):
        x = F.relu(affine(w, x, f"dense.layers.{i}"))
    return affine(w, x, "dense.layers.2")


def inception_outputs(w: Weights, x: Tensor) -> Tensor:
    x = F.max_pool2d(F.relu(conv(w, x, "stem", 1)), 2)
    for block in ("blocks.0", "blocks.1"):
        parts = [
            conv(w, x, f"{block}.one", 0),
            conv(w, F.relu(conv(w, x, f"{block}.reduce3", 0)), f"{block}.three", 1),
            conv(w, F.relu(conv(w, x, f"{block}.reduce5", 0)), f"{block}.five", 2),
            conv(w, F.max_pool2d(x, 3, 1, 1), f"{block}.pooled", 0),
        ]
        x = F.relu(torch.cat(parts, dim=1))
    return affine(w, x.mean(dim=(2, 3)), "dense.layers.0")


def local_outputs(w: Weights, x: Tensor) -> Tensor:
    """Of a layer of 3 x 3 filters that differ by place, in a loop over places."""
    x = F.max_pool2d(F.relu(conv(w, x, "shared", 1)), 2)
    B, _, H, W = x.shape
    places = [(i, j) for i in range(H - 2) for j in range(W - 2)]
    maps = [
        x[:, :, i : i + 3, j : j + 3].reshape(B, -1) @ w["local.weight"][o].T
        + w["local.bias"][o]
        for o, (i, j) in enumerate(places)
    ]
    x = F.relu(torch.stack(maps, dim=2)).flatten(1)
    return affine(w, F.relu(affine(w, x, "dense.layers.0")), "dense.layers.1")


IMAGE_NETWORKS = {
    "lenet": (lenet.Config, LeNet, lenet_outputs, {}),
    "inception": (inception.Config, InceptionNet, inception_outputs, {"width": 4}),
    "locally_connected": (
        locally_connected.Config,
        LocallyConnectedNet,
        local_outputs,
        {"width": 3, "hidden": (4,)},
    ),
}


@pytest.mark.parametrize("shape", [(8, 11), (9, 8, 3)], ids=["grey", "colour"])
@pytest.mark.parametrize("name", IMAGE_NETWORKS)
def test_image_network_is_trained_as_in_torch(
    name: str, shape: tuple[int, ...]
) -> None:
    Config, Network, outputs, options = IMAGE_NETWORKS[name]
    config = Config(n_epochs=N_EPOCHS, batch_size=BATCH, l2=0.02, seed=3, **options)
    data, generator = images(13, *shape), torch.Generator().manual_seed(3)
    size = (shape[2] if len(shape) == 3 else 1, *shape[:2])
    network = Network(size, 3, **options, generator=generator)
    expected = trained(network, outputs, data, generator, config)
    assert_same_weights(config, data, expected)


@pytest.mark.parametrize(
    ("n", "d", "hidden", "n_pieces"), [(13, 3, (6, 4), 2), (16, 20, (3,), 5)]
)
def test_maxout_network_is_trained_as_in_torch(
    n: int, d: int, hidden: tuple[int, ...], n_pieces: int
) -> None:
    def outputs(w: Weights, x: Tensor) -> Tensor:
        for i, units in enumerate(hidden):
            z = affine(w, x, f"layers.{i}")
            pieces = [z[:, n_pieces * j : n_pieces * (j + 1)] for j in range(units)]
            x = torch.stack([each.max(dim=1).values for each in pieces], dim=1)
        return affine(w, x, f"layers.{len(hidden)}")

    options = {"hidden": hidden, "n_pieces": n_pieces, "l2": 0.02, "seed": 3}
    config = maxout.Config(n_epochs=N_EPOCHS, batch_size=BATCH, **options)
    data, generator = table(n, d), torch.Generator().manual_seed(3)
    network = MLP((d, *hidden, 3), n_pieces=n_pieces, generator=generator)
    assert_same_weights(
        config, data, trained(network, outputs, data, generator, config)
    )


def relu_net(w: Weights, x: Tensor, prefix: str = "") -> Tensor:
    """Return the outputs of a network of one hidden layer of ReLUs."""
    return affine(w, F.relu(affine(w, x, f"{prefix}layers.0")), f"{prefix}layers.1")


@pytest.mark.parametrize(
    ("n", "d", "units", "auxiliary"),
    [(13, 4, 8, ("x2",)), (16, 20, 3, ("x7", "x0")), (16, 20, 3, ())],
    ids=["narrow", "wide", "reconstruction"],
)
def test_tasks_on_one_trunk_are_trained_as_in_torch(
    n: int, d: int, units: int, auxiliary: tuple[str, ...]
) -> None:
    data, generator = table(n, d), torch.Generator().manual_seed(3)
    x, y = inputs(data), torch.from_numpy(data.y)
    columns = [int(name[1:]) for name in auxiliary]
    z = x[:, columns] if columns else x
    kept = [j for j in range(d) if j not in columns]

    def loss(found: Tensor, rows: Tensor) -> Tensor:
        squares = (found[:, 3:] - z[rows]).square().mean()
        return F.cross_entropy(found[:, :3], y[rows]) + 0.7 * squares

    options = {"hidden": (units,), "auxiliary": auxiliary, "auxiliary_weight": 0.7}
    config = multi_task.Config(
        n_epochs=N_EPOCHS, batch_size=BATCH, seed=3, l2=0.02, **options
    )
    network = MLP((len(kept), units, 3 + z.shape[1]), generator=generator)
    expected = trained(
        network,
        lambda w, rows: relu_net(w, rows[:, kept]),
        data,
        generator,
        config,
        loss=loss,
    )
    assert_same_weights(config, data, expected)


@pytest.mark.parametrize(("n", "d", "units", "K"), [(13, 4, 8, 4), (16, 20, 3, 1)])
def test_weights_and_their_mixture_are_trained_as_in_torch(
    n: int, d: int, units: int, K: int
) -> None:
    def begin(w: Weights) -> None:
        """Spread the components over the weights, by the rule of the family."""
        flat = np.concatenate([w[name].detach().numpy().ravel() for name in matrices])
        low, high = np.quantile(flat, [0.005, 0.995])
        means = np.linspace(low, high, K) if K > 1 else [(low + high) / 2]
        spacing = (high - low) / max(K - 1, 1)
        with torch.no_grad():
            w["means"].copy_(torch.tensor(np.array(means)))
            w["log_variances"].fill_(2 * math.log(spacing / 2))
            w["before"].copy_(torch.from_numpy(flat))

    def penalty(w: Weights, epoch: int) -> Tensor:
        mixture = [w[name] for name in ("means", "log_variances", "logits")]
        if epoch == 1:  # a gradient of 0, which Adam counts as an update
            return 0.0 * torch.stack(mixture).sum()
        if not w["before"].any():
            begin(w)
        means, log_variances, logits = mixture
        components = Normal(means, (log_variances / 2).exp())
        law = MixtureSameFamily(Categorical(logits=logits), components)
        flat = torch.cat([w[name].flatten() for name in matrices])
        return -config.strength / n * law.log_prob(flat).sum()

    options = {"hidden": (units,), "n_components": K, "strength": 1.0, "warm_up": 1}
    config = soft_weight_sharing.Config(
        n_epochs=N_EPOCHS, batch_size=BATCH, seed=3, learning_rate=0.01, **options
    )
    data, generator = table(n, d), torch.Generator().manual_seed(3)
    network = SharedMLP((d, units, 3), n_components=K, generator=generator)
    matrices = ["mlp.layers.0.weight", "mlp.layers.1.weight"]
    expected = trained(
        network,
        lambda w, rows: relu_net(w, rows, "mlp."),
        data,
        generator,
        config,
        penalty=penalty,
    )
    model = ftml.fit(config, Splits(data)).model
    torch.testing.assert_close(model.before, expected.pop("before"))
    assert_same_weights(config, data, expected)
