"""What the networks' families share: the loop against torch's, regularisers, stacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import ftml
from ftml import Images, Splits, Step, Table
from ftml.families.neural import lenet, maxout, mlp, one_hidden_layer
from ftml.families.neural._problem import batch_sizes, cross_entropy, moved
from ftml.nn import prediction
from ftml.nn.image_networks import InceptionNet, LeNet, LocallyConnectedNet
from ftml.nn.inputs import inputs_of
from ftml.nn.layers import Draw
from ftml.nn.mlp import MLP
from ftml.training import Context, stacks
from ftml.training.loop import Loop, Rates
from tests.test_contract import small_data

TABLE = small_data("classification")
IMAGES = small_data("classification", kind=Images)


def run_of(config: Any, data: Splits = TABLE, **options: Any) -> list[Step]:
    module = {mlp.Config: mlp, maxout.Config: maxout, lenet.Config: lenet}[type(config)]
    return list(module.train(config, data.without_test(), **options))


def plain_torch(config: mlp.Config, data: Table) -> dict[str, Tensor]:
    """Train the same network on the same batches as anyone writes it in torch."""
    generator = torch.Generator().manual_seed(config.seed)
    sizes = (data.X.shape[1], *config.hidden, len(data.classes))
    network = MLP(sizes, generator=generator)
    x = inputs_of(data).tensor(data.X)
    y = torch.from_numpy(data.y)
    matrices = [each for each in network.parameters() if each.ndim == 2]
    biases = [each for each in network.parameters() if each.ndim == 1]
    optimizer = torch.optim.Adam(
        [{"params": matrices, "weight_decay": config.l2}, {"params": biases}],
        lr=config.learning_rate,
    )
    for _ in range(config.n_epochs):
        for rows in torch.randperm(len(x), generator=generator).split(
            config.batch_size
        ):
            optimizer.zero_grad()
            F.cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
    return network.state_dict()


def wide() -> Splits[Table]:
    """Return 25 rows of more columns than units, and many classes, one without rows."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(25, 20)), np.arange(25) % 6
    return Splits(Table(X, y, classes=tuple("abcdefg")))


@pytest.mark.parametrize(
    ("data", "hidden", "batch_size"),
    [(TABLE, (8, 5), 7), (wide(), (3,), 8), (wide(), (), 100)],
    ids=["narrow", "wide", "linear"],
)
def test_training_is_that_of_a_plain_loop_in_torch(
    data: Splits[Table], hidden: tuple[int, ...], batch_size: int
) -> None:
    options = {"hidden": hidden, "batch_size": batch_size}
    config = mlp.Config(n_epochs=6, l2=0.02, seed=3, **options)
    ours = run_of(config, data)[-1].model.weights
    for key, value in plain_torch(config, data.train).items():
        # float32: the penalty is added to the loss here, to the gradient there.
        torch.testing.assert_close(ours[key], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("data", "n_units"), [(TABLE, 6), (wide(), 2)])
def test_one_hidden_layer_by_hand_learns_what_autograd_makes_the_perceptron_learn(
    data: Splits[Table], n_units: int
) -> None:
    options = {"activation": "tanh", "n_epochs": 4, "batch_size": 8}
    hand = ftml.fit(one_hidden_layer.Config(n_units=n_units, **options), data)
    auto = ftml.fit(mlp.Config(hidden=(n_units,), **options), data)
    for one, other in (("hidden", "layers.0"), ("head", "layers.1")):
        for part in ("weight", "bias"):
            torch.testing.assert_close(
                hand.model.weights[f"{one}.{part}"],
                auto.model.weights[f"{other}.{part}"],
                rtol=1e-4,
                atol=1e-5,
            )


def matrices(step: Step) -> list[Tensor]:
    return [w for name, w in step.model.weights.items() if name.endswith("weight")]


SHORT = {"n_epochs": 4, "learning_rate": 0.02, "l2": 0.0}


def test_max_norm_holds_every_unit_in_its_ball() -> None:
    free = run_of(mlp.Config(**SHORT))[-1]
    held = run_of(mlp.Config(max_norm=0.3, **SHORT))[-1]
    assert max(w.norm(dim=1).max() for w in matrices(free)) > 0.5
    assert max(w.norm(dim=1).max() for w in matrices(held)) <= 0.3 + 1e-6


def test_penalties_shrink_the_weights_and_l1_makes_zeros() -> None:
    size = {
        name: sum(w.abs().sum().item() for w in matrices(run_of(config)[-1]))
        for name, config in {
            "free": mlp.Config(**SHORT),
            "l2": mlp.Config(**{**SHORT, "l2": 0.1}),
            "l1": mlp.Config(l1=0.05, **SHORT),
            "prior": mlp.Config(prior_sigmas=(0.1, 0.1), **SHORT),
        }.items()
    }
    assert max(size["l2"], size["l1"], size["prior"]) < size["free"]
    small = [
        (torch.cat([w.flatten() for w in matrices(run_of(c)[-1])]).abs() < 1e-2).sum()
        for c in (mlp.Config(n_epochs=60, l1=0.03), mlp.Config(n_epochs=60, l2=0.1))
    ]
    assert small[0] > small[1]


def test_prior_of_each_layer_is_a_penalty_of_its_own() -> None:
    # sigma and n make l2 = 1 / (n sigma^2); the constant has no gradient.
    n, sigma = len(TABLE.train), 0.5
    prior = run_of(mlp.Config(prior_sigmas=(sigma, sigma), **SHORT))
    l2 = run_of(mlp.Config(**{**SHORT, "l2": 1 / (n * sigma**2)}))
    for one, other in zip(matrices(prior[-1]), matrices(l2[-1]), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="sigmas: expected one for each of 2 layers"):
        run_of(mlp.Config(prior_sigmas=(1.0,)))


def test_averaged_weights_are_the_mean_of_all_later_updates() -> None:
    config = mlp.Config(batch_size=24, average_from=2, **SHORT)  # an update an epoch
    averaged = run_of(config)
    plain = run_of(mlp.Config(batch_size=24, **SHORT))
    assert torch.equal(
        averaged[0].model.weights["layers.0.bias"],
        plain[0].model.weights["layers.0.bias"],
    )
    for n in (2, 3, 4):
        mean = torch.stack([s.model.weights["layers.0.bias"] for s in plain[1:n]])
        torch.testing.assert_close(
            averaged[n - 1].model.weights["layers.0.bias"], mean.mean(dim=0)
        )


def test_training_ends_when_validation_gets_no_better() -> None:
    config = mlp.Config(n_epochs=200, patience=3, learning_rate=0.05, l2=0.0)
    run = run_of(config)
    assert len(run) < 200
    assert [step.state["waited"] for step in run[-3:]] == [1, 2, 3]
    assert run_of(config, state=run[-1].state) == []
    # Without validation data the point is unknown.
    alone = Splits(TABLE.train)
    short = config.model_copy(update={"n_epochs": 20})
    assert len(list(mlp.train(short, alone))) == 20


def test_state_of_patience_is_resumed() -> None:
    config = mlp.Config(n_epochs=200, patience=3, learning_rate=0.05, l2=0.0)
    run = run_of(config)
    rest = run_of(config, state=run[len(run) // 2].state)
    assert [step.metrics for step in rest] == [
        step.metrics for step in run[len(run) // 2 + 1 :]
    ]


EVERYTHING = {
    "n_epochs": 4,
    "batch_norm": True,
    "hidden_dropout": 0.3,
    "input_dropout": 0.2,
    "input_noise": 0.1,
    "weight_noise": 0.01,
    "label_smoothing": 0.1,
    "max_norm": 1.0,
    "clip": 0.5,
    "average_from": 2,
    "schedule": "cosine",
    "prior_sigmas": (1.0, 2.0),
}


@pytest.mark.parametrize("optimizer", ["nesterov", "adam", "rmsprop"])
def test_training_with_regularisers_resumes_bit_identically(
    optimizer: str,
) -> None:
    config = mlp.Config(optimizer=optimizer, **EVERYTHING)
    whole = run_of(config)
    rest = run_of(config, state=whole[1].state)
    assert [s.metrics for s in rest] == [s.metrics for s in whole[2:]]
    for one, other in zip(rest, whole[2:], strict=True):
        for key, value in one.model.weights.items():
            assert torch.equal(value, other.model.weights[key])


def test_stack_with_every_regulariser_gives_what_each_gives_alone() -> None:
    configs = [
        mlp.Config(seed=s, learning_rate=r, l1=s * 1e-3, **EVERYTHING)
        for s, r in enumerate((1e-3, 1e-2, 3e-2))
    ]
    together = list(mlp.train_many(configs, TABLE.without_test()))
    for i, config in enumerate(configs):
        for step, alone in zip(
            (each[i] for each in together), run_of(config), strict=True
        ):
            assert step.metrics == pytest.approx(alone.metrics, rel=1e-3)
            for key, value in step.model.weights.items():
                # A bias before batch norm is redundant: its gradient is rounding, which
                # Adam makes steps of.
                if key not in ("layers.0.bias", "norms.0.mean"):
                    expected = alone.model.weights[key]
                    torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-5)


def test_pack_of_different_networks_is_as_many_stacks() -> None:
    configs = [
        mlp.Config(hidden=(5,), n_epochs=2),
        mlp.Config(hidden=(6,), n_epochs=3),
        mlp.Config(hidden=(5,), n_epochs=2, seed=1),
        mlp.Config(hidden=(5,), n_epochs=2, patience=1),
    ]
    together = list(mlp.train_many(configs, TABLE.without_test()))
    assert [[step is not None for step in each] for each in together[:1]] == [
        [True] * 4
    ]
    ended = [
        sum(step is not None for step in column)
        for column in zip(*together, strict=True)
    ]
    assert ended[:3] == [2, 3, 2]
    for i, config in enumerate(configs):
        last = [each[i] for each in together if each[i] is not None][-1]
        np.testing.assert_allclose(
            last.model.predict_proba(TABLE.test.X),
            run_of(config)[-1].model.predict_proba(TABLE.test.X),
            rtol=1e-3,
        )


def test_large_networks_of_a_trial_batch_are_trained_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stacks, "LARGEST", 10)
    configs = [mlp.Config(seed=s, n_epochs=3) for s in range(2)]
    together = list(mlp.train_many(configs, TABLE.without_test()))
    for i, config in enumerate(configs):
        for step, alone in zip(together, run_of(config), strict=True):
            assert step[i].metrics == alone.metrics  # bit-identical, unlike in a stack


def test_images_in_a_stack_are_moved_as_alone() -> None:
    configs = [mlp.Config(seed=s, shift=1, n_epochs=2) for s in range(2)]
    *_, last = mlp.train_many(configs, IMAGES.without_test())
    for step, config in zip(last, configs, strict=True):
        alone = run_of(config, IMAGES)[-1]
        assert step.metrics == pytest.approx(alone.metrics, rel=1e-4)


class Offsets(Draw):
    """Gives the offsets that a test wants, of three."""

    def __init__(self, *offsets: tuple[int, int]) -> None:
        self.offsets = offsets

    def uniform(self, like: Tensor) -> Tensor:
        return (torch.tensor(self.offsets, dtype=torch.float32) + 0.5) / 3


def test_moved_image_is_the_image_elsewhere_and_black_comes_in() -> None:
    x = torch.arange(1.0, 13.0).reshape(1, 1, 3, 4)
    draw = Offsets((1, 1), (0, 1), (2, 0))
    same, down, up_right = moved(x.expand(3, 1, 3, 4), 1, draw)
    assert torch.equal(same, x[0])
    assert down[0].tolist() == [[0] * 4, *x[0, 0, :2].tolist()]
    assert up_right[0].tolist() == [[0, 5, 6, 7], [0, 9, 10, 11], [0] * 4]


def test_label_smoothing_is_the_expectation_over_replaced_labels() -> None:
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 2, 1, 0])
    each = torch.stack([F.cross_entropy(z, torch.full((5,), c)) for c in range(3)])
    expected = 0.7 * F.cross_entropy(z, y) + 0.3 * each.mean()
    torch.testing.assert_close(cross_entropy(z, y, label_smoothing=0.3), expected)


def test_noise_on_weights_is_gone_after_the_gradient() -> None:
    config = mlp.Config(weight_noise=0.5)
    rates = Rates(config.learning_rate, config.l1, config.l2)
    loop = Loop([config], mlp.problem_of(config, TABLE), rates=rates)
    loop.start()
    parameters, context = loop.parameters[""], Context(loop.draw, {}, 1)
    before = [each.detach().clone() for each in parameters]

    def noisy_gradient() -> list[Tensor]:
        without = loop.add_noise()
        (turn,) = loop.problem.turns(loop.network, torch.arange(8), context)
        return loop.gradient(turn, parameters, without)

    first, second = (noisy_gradient() for _ in range(2))
    assert all(map(torch.equal, before, parameters))
    assert not torch.equal(first[0], second[0])


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adagrad"])
@pytest.mark.parametrize("schedule", ["inverse", "robbins_monro"])
def test_every_optimizer_and_schedule_lowers_the_loss(
    optimizer: str, schedule: str
) -> None:
    config = mlp.Config(
        optimizer=optimizer,
        schedule=schedule,
        learning_rate=0.1,
        n_epochs=10,
        batch_size=4,
    )
    losses = [step.metrics["train_loss"] for step in run_of(config)]
    assert losses[-1] < 0.7 * losses[0]


def test_pixels_and_features_of_another_shape_are_refused() -> None:
    of_images = run_of(lenet.Config(n_epochs=1), IMAGES)[-1].model
    of_table = run_of(mlp.Config(n_epochs=1))[-1].model
    X, pixels = TABLE.test.X, IMAGES.test.X
    for model, given, message in (
        (of_images, X, "the model was fitted on uint8 images, X is float64"),
        (of_table, pixels, "the model was fitted on features, X is uint8"),
        (of_table, X[:, :3], "X has 3 columns, the model was fitted on 4"),
        (of_images, pixels[:, :5], r"\(1, 5, 6\), the model was fitted on \(1, 6, 6\)"),
        (of_images, np.stack([pixels] * 3, axis=3), r"\(3, 6, 6\), the model was"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict_proba(given)


def test_network_of_images_on_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="needs data of the kind Images, got Table"):
        run_of(lenet.Config(), TABLE)
    with pytest.raises(ValueError, match="shift: moves images, these are features"):
        run_of(mlp.Config(shift=1))


def test_coloured_images_are_taken_channels_first() -> None:
    grey = IMAGES.train
    coloured = replace(grey, X=np.stack([grey.X, 0 * grey.X, 0 * grey.X], axis=3))
    tensor = inputs_of(coloured).tensor(coloured.X)
    assert tensor.shape == (24, 3, 6, 6)
    assert torch.equal(tensor[:, 0], torch.from_numpy(grey.X))
    assert not tensor[:, 1:].any()


def test_prediction_in_chunks_is_that_of_all_rows() -> None:
    model = run_of(mlp.Config(n_epochs=1))[-1].model
    X = np.tile(TABLE.test.X, (300, 1))
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba[-9:], model.predict_proba(X[-9:]), rtol=1e-5)
    np.testing.assert_array_equal(model.predict(X), proba.argmax(axis=1))
    assert model.predict_proba(X[:0]).shape == (0, 3)


def test_batch_norm_predicts_a_row_without_regard_to_the_others() -> None:
    model = run_of(mlp.Config(batch_norm=True, n_epochs=3))[-1].model
    X = TABLE.test.X
    one_by_one = np.concatenate([model.predict_proba(row[None]) for row in X])
    np.testing.assert_allclose(model.predict_proba(X), one_by_one, rtol=1e-5)


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(7, 3, [3, 4]), (8, 3, [3, 3, 2]), (6, 3, [3, 3]), (2, 5, [2]), (4, 3, [4])],
)
def test_batch_norm_gets_no_batch_of_one_row(
    n: int, batch_size: int, sizes: list[int]
) -> None:
    assert batch_sizes(n, batch_size, pairs_at_least=True) == sizes
    plain = torch.arange(n).split(batch_size)
    assert batch_sizes(n, batch_size, pairs_at_least=False) == [len(p) for p in plain]


def test_running_variances_do_not_shrink_by_a_last_row_alone() -> None:
    """24 rows in batches of 23: the last one alone would have no variance."""
    config = mlp.Config(batch_norm=True, batch_size=23, n_epochs=20)
    weights = run_of(config)[-1].model.weights
    whole = run_of(config.model_copy(update={"batch_size": 24}))[-1].model.weights
    for name in (each for each in weights if each.endswith("var")):
        torch.testing.assert_close(weights[name], whole[name])


def test_batches_of_one_row_are_refused_with_batch_norm_alone() -> None:
    with pytest.raises(ValueError, match="batches of at least two rows, got batch_siz"):
        run_of(mlp.Config(batch_norm=True, batch_size=1))
    assert run_of(mlp.Config(batch_size=1, n_epochs=1))


@pytest.mark.parametrize("side", [8, 15, 19, 28])
def test_every_pixel_reaches_the_outputs_of_every_image_network(side: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for network in (
        LeNet((1, side, side + 1), 3, generator=generator),
        InceptionNet((1, side, side + 1), 3, width=4, generator=generator),
        LocallyConnectedNet(
            (1, side, side + 1), 3, width=4, hidden=(9,), generator=generator
        ),
    ):
        x = torch.rand(8, 1, side, side + 1, requires_grad=True)
        (slope,) = torch.autograd.grad(network.double()(x.double()).square().sum(), x)
        assert (slope.abs().amax(dim=(0, 1)) > 0).all(), type(network)


@pytest.mark.parametrize(("side", "maps"), [(8, 2), (14, 1), (28, 5), (32, 6)])
def test_lenet_of_other_sides_is_that_of_the_paper(side: int, maps: int) -> None:
    network = LeNet((1, side, side), 3)
    assert not network.keeps_end
    assert network.dense.layers[0].in_features == 16 * maps**2


def test_validation_in_chunks_is_that_of_all_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = mlp.Config(n_epochs=3, patience=2)
    whole = run_of(config)[-1].state["best"]
    monkeypatch.setattr(prediction, "MOST_ROWS", 4)
    assert run_of(config)[-1].state["best"] == pytest.approx(whole, rel=1e-6)


def test_large_images_are_predicted_few_at_a_time() -> None:
    assert prediction.rows_at_once((28, 28)) == prediction.rows_at_once((20,)) == 1024
    assert prediction.rows_at_once((224, 224, 3)) == 27
    assert prediction.rows_at_once((10**8,)) == prediction.rows_at_once((2**22,)) == 1


def test_train_loss_is_the_mean_over_rows_of_unequal_batches() -> None:
    """Weights that hardly move: the loss of all 24 rows, in batches of 23 and 1."""
    options = {"n_epochs": 1, "learning_rate": 1e-12, "l2": 0.0}
    losses = [
        run_of(mlp.Config(batch_size=size, **options))[-1].metrics["train_loss"]
        for size in (24, 23)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("name", ["mlp", "maxout", "lenet", "locally_connected"])
def test_network_learns_the_bright_row(name: str) -> None:
    kind = ftml.family(name)
    model = ftml.fit(kind.Config(n_epochs=25, learning_rate=0.01), IMAGES).model
    assert (model.predict(IMAGES.test.X) == IMAGES.test.y).all()
