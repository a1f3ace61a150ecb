from __future__ import annotations

import copy
import math
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ftml import fit, load, save
from ftml.core import Step
from ftml.data import Domains, Splits
from ftml.families.domain_generalization import _model, _training
from ftml.families.domain_generalization._training import domain_weights
from ftml.families.domain_generalization.erm import Config, erm_loss, train
from ftml.nn.mlp import MLP
from ftml.saving import load_tree, save_tree

SIZES = (30, 50, 120)


def blobs(seed: int = 0, *, d: int = 3) -> Domains:
    """Two overlapping classes, their border another in each of three domains; of d
    columns all but three are noise.
    """
    rng = np.random.default_rng(seed)
    domain = np.repeat(np.arange(3), SIZES)
    x = rng.normal(0.0, [1.0, 4.0, 0.5], (len(domain), 3)) + domain[:, None]
    border = x[:, 0] + (domain - 1) * x[:, 1] / 4 + rng.logistic(size=len(domain))
    x = np.hstack([x, rng.normal(size=(len(x), d - 3))])
    return Domains(
        x, (border > domain).astype(np.int64), domain, ("a", "b", "c"), ("0", "1")
    )


def digits(n: int = 60) -> Domains:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (n, 4, 4), dtype=np.uint8), np.arange(n) % 3
    return Domains(x, y, np.repeat([0, 1], n // 2), ("0", "90"), ("a", "b", "c"))


DATA = {"features": blobs(), "images": digits()}


def assert_same(a: Step, b: Step) -> None:
    assert (a.n, a.metrics) == (b.n, b.metrics)
    for name, weight in a.model.weights.items():
        assert torch.equal(weight, b.model.weights[name])
    assert torch.equal(a.state["generator"], b.state["generator"])


def test_loss_is_the_mean_of_the_domain_means_and_not_of_the_samples() -> None:
    data = blobs()
    logits = torch.randn(len(data), 2, generator=torch.Generator().manual_seed(0))
    logits = logits * torch.from_numpy(data.domain + 1)[:, None]  # losses grow with s
    y = torch.from_numpy(data.y)
    means = [
        float(F.cross_entropy(logits[a:b], y[a:b]))
        for a, b in zip(data.offsets[:-1], data.offsets[1:], strict=True)
    ]
    loss = float(erm_loss(logits, y, domain_weights(data.offsets)))
    assert loss == pytest.approx(sum(means) / 3, rel=1e-6)  # float32
    assert abs(loss - float(F.cross_entropy(logits, y))) > 1e-2


@pytest.mark.parametrize("d", [3, 17])
def test_gradient_is_the_mean_of_the_gradients_of_the_domains(d: int) -> None:
    data = blobs(d=d)
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    theta = torch.zeros(d, 2, dtype=torch.float64, requires_grad=True)
    weight = domain_weights(data.offsets).double()
    (balanced,) = torch.autograd.grad(erm_loss(x @ theta, y, weight), theta)
    gradients = []
    for a, b in zip(data.offsets[:-1], data.offsets[1:], strict=True):
        (each,) = torch.autograd.grad(F.cross_entropy(x[a:b] @ theta, y[a:b]), theta)
        gradients.append(each)
    # The weights are float32, with a relative error of 6e-8.
    torch.testing.assert_close(balanced, sum(gradients) / 3, rtol=1e-6, atol=1e-7)


def test_batch_holds_as_many_rows_of_each_domain_and_can_hold_any() -> None:
    offsets = np.array([0, 3, 10, 11])
    rows = _training.draw_batches(
        offsets, batch_size=5, n_batches=200, generator=torch.Generator().manual_seed(0)
    )
    assert rows.shape == (200, 15)
    domain = np.searchsorted(offsets, rows.numpy(), side="right") - 1
    np.testing.assert_array_equal(domain, np.tile(np.repeat([0, 1, 2], 5), (200, 1)))
    assert set(rows.flatten().tolist()) == set(range(11))


def test_batches_are_unbiased_for_the_balanced_loss() -> None:
    data = blobs()
    losses = torch.from_numpy(data.x[:, 0] ** 2)
    rows = _training.draw_batches(
        data.offsets,
        batch_size=50,
        n_batches=2000,
        generator=torch.Generator().manual_seed(0),
    )
    means = losses[rows].mean(dim=1)
    expected = domain_weights(data.offsets).double() @ losses
    assert abs(means.mean() - expected) < 4 * means.std() / 2000**0.5
    assert abs(losses.mean() - expected) > 0.1 * expected


@pytest.mark.parametrize(
    ("d", "hidden", "batch_size"), [(3, (8,), None), (17, (5, 4), 7), (17, (), 64)]
)
def test_training_is_that_of_a_plain_loop_in_torch(
    d: int, hidden: tuple[int, ...], batch_size: int | None
) -> None:
    data, generator = blobs(d=d), torch.Generator().manual_seed(4)
    options = {"hidden": hidden, "batch_size": batch_size, "weight_decay": 0.01}
    found = fit(Config(seed=4, n_epochs=3, **options), data).model.weights
    network = MLP((d, *hidden, 2), generator=generator)
    X = torch.from_numpy(StandardScaler().fit_transform(data.x)).float()
    y, ends = torch.from_numpy(data.y), data.offsets
    adam = torch.optim.Adam(
        network.parameters(), lr=Config().learning_rate, weight_decay=0.01
    )
    for _ in range(3):
        batches = [torch.arange(len(X))]
        sizes = np.diff(ends).tolist()
        if batch_size is not None:
            sizes, count = [batch_size] * 3, math.ceil(len(X) / (3 * batch_size))
            drawn = {"batch_size": batch_size, "n_batches": count}
            batches = list(_training.draw_batches(ends, **drawn, generator=generator))
        for rows in batches:
            adam.zero_grad()
            means = [
                F.cross_entropy(network(X[part]), y[part]) for part in rows.split(sizes)
            ]
            (sum(means) / 3).backward()
            adam.step()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


def test_linear_model_converges_to_logistic_regression_with_balanced_weights() -> None:
    data = blobs()
    config = Config(
        hidden=(), learning_rate=0.1, weight_decay=0.0, batch_size=None, n_epochs=400
    )
    weights = fit(config, data).model.weights
    X = StandardScaler().fit_transform(data.x)
    share = domain_weights(data.offsets).double().numpy() * len(data)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(X, data.y, sample_weight=share)
    W, b = weights["layers.0.weight"].numpy(), weights["layers.0.bias"].numpy()
    # Adam in float32 ends within its rounding of the optimum, 1e-5 or so.
    np.testing.assert_allclose(W[1] - W[0], oracle.coef_[0], atol=1e-4)
    np.testing.assert_allclose(b[1] - b[0], oracle.intercept_[0], atol=1e-4)
    pooled = LogisticRegression(C=np.inf, tol=1e-10).fit(X, data.y)
    assert np.abs(pooled.coef_ - oracle.coef_).max() > 1e-2


def pitfall() -> Domains:
    """The three domains of the notes' section "Pitfalls of ERM", 100 samples each."""
    x, y = [], []
    for s in range(3):
        often = [1.0, 0.0, 0.0, 0.0]
        often[s + 1] = 1.0
        x += [[0.0] * 4] * 50 + [often] * 40 + [[1.0, 0.0, 0.0, 0.0]] * 10
        y += [0] * 50 + [1] * 40 + [1] * 3 + [0] * 7
    domain = np.repeat([0, 1, 2], 100)
    return Domains(np.array(x), np.array(y), domain, ("D1", "D2", "D3"), ("0", "1"))


def test_erm_falls_into_the_pitfall_of_the_notes() -> None:
    data = pitfall()
    # The decay takes the weight of f4, which D1 and D2 never show, from its start to 0.
    config = Config(
        hidden=(), learning_rate=0.05, weight_decay=1e-4, batch_size=None, n_epochs=500
    )
    model = fit(config, data.only(["D1", "D2"])).model
    correct = model.predict(data.x) == data.y
    # It learns y = f2 or f3: right on 0.5 + 0.4 + 0.07 where one of them marks a 1, and
    # on D3, where none does, always 0: 0.5 + 0.07. It misses y = f1, right on 0.93 of
    # all.
    assert [round(correct[data.domain == s].mean(), 2) for s in range(3)] == [
        0.97,
        0.97,
        0.57,
    ]
    assert ((data.x[:, 0] == data.y)[data.domain == 2]).mean() == 0.93


@pytest.mark.parametrize("kind", DATA)
def test_resumed_training_equals_uninterrupted_training(
    kind: str, tmp_path: Path
) -> None:
    data, config = Splits(DATA[kind]), Config(hidden=(8,), batch_size=16, n_epochs=5)
    whole = list(train(config, data))
    for step in whole[:-1]:
        save_tree(tmp_path, step.state)
        state, _ = load_tree(tmp_path)
        rest = list(train(config, data, state))
        assert [each.n for each in rest] == list(range(step.n + 1, 6))
        for a, b in zip(rest, whole[step.n :], strict=True):
            assert_same(a, b)


def test_step_and_state_do_not_change_when_training_continues() -> None:
    data, config = Splits(blobs()), Config(hidden=(8,), n_epochs=4)
    steps = train(config, data)
    first = next(steps)
    before = copy.deepcopy(first)
    list(steps)
    list(train(config, data, first.state))
    assert_same(first, before)
    for name in ("exp_avg", "exp_avg_sq"):
        for a, b in zip(
            *(s.state["optimizer"][name] for s in (first, before)), strict=True
        ):
            assert torch.equal(a, b)


def test_one_seed_gives_one_model_and_global_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    first, second = (fit(Config(n_epochs=2), blobs()) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(first, second)
    other = fit(Config(n_epochs=2, seed=1), blobs())
    assert not torch.equal(
        first.model.weights["layers.0.weight"], other.model.weights["layers.0.weight"]
    )


def test_epoch_is_as_many_updates_as_a_mean_domain_holds_batches() -> None:
    step = fit(Config(batch_size=20, n_epochs=3), blobs())  # 200 / 3 / 20 = 3.3 batches
    assert step.state["optimizer"]["step"] == 3 * 4


def test_scaling_is_learnt_from_the_training_domains_alone() -> None:
    data = blobs()
    splits = Splits(data.only(["a", "b"]), data.only(["c"]), data.only(["c"]))
    steps = [fit(Config(n_epochs=2), each) for each in (splits, splits.train)]
    assert_same(*steps)
    scaling = steps[0].model.scaling
    np.testing.assert_allclose(scaling.center, splits.train.x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaling.scale, splits.train.x.std(axis=0), rtol=1e-12)


def test_missing_value_predicts_as_the_median_of_training() -> None:
    data = blobs()
    x = data.x.copy()
    x[::7, 1] = np.nan
    model = fit(Config(n_epochs=2), replace(data, x=x)).model
    filled = np.where(np.isnan(x), np.nanmedian(x, axis=0), x)
    np.testing.assert_array_equal(model.predict_proba(x), model.predict_proba(filled))


@pytest.mark.parametrize("kind", DATA)
def test_probabilities_sum_to_one_and_survive_saving(kind: str, tmp_path: Path) -> None:
    config = Config(hidden=(8, 4), n_epochs=2)
    model, x = fit(config, DATA[kind]).model, DATA[kind].x
    proba = model.predict_proba(x)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-15)
    np.testing.assert_array_equal(model.predict(x), proba.argmax(axis=1))
    save(tmp_path / "model", model, config)
    predictor = load(tmp_path / "model")
    loaded, read = predictor.model, predictor.config
    assert read == config
    np.testing.assert_array_equal(loaded.predict_proba(x), proba)


def test_rows_in_chunks_predict_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = fit(Config(n_epochs=1), blobs()).model, blobs().x
    whole = model.predict_proba(x)
    monkeypatch.setattr(_model, "CHUNK", 33)
    # float32: a product of other shape may add in another order.
    np.testing.assert_allclose(model.predict_proba(x), whole, rtol=1e-5)
    assert model.predict_proba(x[:0]).shape == (0, 2)


def test_pixels_are_divided_by_255() -> None:
    white = torch.full((1, 4), 255, dtype=torch.uint8)
    assert _model.as_float(white, network="mlp").tolist() == [[1.0] * 4]


def test_wrong_input_is_refused() -> None:
    model = fit(Config(n_epochs=1), blobs()).model
    with pytest.raises(ValueError, match="x has 2 columns, the model was fitted on 3"):
        model.predict_proba(blobs().x[:, :2])
    with pytest.raises(
        ValueError, match="the model was fitted on features, x is uint8"
    ):
        model.predict_proba(digits().x)


def test_domain_without_training_samples_is_refused() -> None:
    empty = blobs().rows(np.arange(80))  # the third domain has none
    with pytest.raises(ValueError, match="every domain needs training samples"):
        next(train(Config(), Splits(empty)))


def test_training_lowers_the_balanced_loss() -> None:
    losses = [
        step.metrics["train_loss"]
        for step in islice(train(Config(), Splits(blobs())), 60)
    ]
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("kind", DATA)
def test_arrays_of_shared_memory_cannot_be_written_and_need_not_be(kind: str) -> None:
    data = copy.deepcopy(DATA[kind])
    for array in (data.x, data.y, data.domain):
        array.setflags(write=False)  # as Ray's object store gives them
    assert_same(fit(Config(n_epochs=1), data), fit(Config(n_epochs=1), DATA[kind]))
    fit(Config(n_epochs=1), data).model.predict(data.x)
