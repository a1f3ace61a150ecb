"""Recurrent families: both loops agree, they learn, they refuse what does not fit."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ftml.core import family, fit
from ftml.data import Sequences
from ftml.data.ragged import Ragged
from ftml.families.sequence._recurrent import gradient_by_time
from ftml.tasks import classification
from tests.test_contract import small_data

DATA = small_data("classification", kind=Sequences)
TEXT = dataclasses.replace(
    small_data("language_model").train,
    y=np.arange(24) % 2,
    classes=("even", "odd"),
)
NAMES = ("rnn", "lstm", "gru", "bidirectional_lstm")


@pytest.mark.parametrize("name", NAMES)
def test_both_loops_over_time_train_the_same_network(name: str) -> None:
    models = []
    for fused in (True, False):
        config = family(name).Config(fused=fused, units=8, n_epochs=2, n_layers=2)
        models.append(fit(config, DATA.train).model)
    one, other = (model.predict_proba(DATA.test.X) for model in models)
    np.testing.assert_allclose(one, other, atol=1e-5)  # float32


TORCH = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU, "bidirectional_lstm": nn.LSTM}


def of_torch(model: Any, name: str, X: Ragged) -> np.ndarray:
    """Return the probabilities by torch's layers, one sequence at a time."""
    w, options = model.weights, model.options
    core = TORCH[name](
        len(model.scaling.center),
        options["units"],
        options["n_layers"],
        batch_first=True,
        bidirectional=name.startswith("bi"),
    )
    core.load_state_dict(
        {each[5:]: value for each, value in w.items() if each.startswith("core.")}
    )
    found = []
    for i in range(len(X)):
        x = (X[i] - model.scaling.center) / model.scaling.scale
        h = core(torch.from_numpy(x).float()[None])[0][0]
        pooled = {
            "last": torch.cat([h[-1, : options["units"]], h[0, options["units"] :]]),
            "mean": h.mean(dim=0),
            "max": h.amax(dim=0),
        }[options["pooling"]]
        z = w["head.weight"] @ pooled + w["head.bias"]
        found.append(z.double().softmax(dim=0).detach().numpy())
    return np.stack(found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("lengths", "d", "units", "n_layers", "pooling"),
    [((3, 7, 4), 2, 5, 2, "mean"), ((1, 12), 9, 2, 1, "last"), ((2,), 3, 1, 1, "max")],
)
def test_probabilities_are_those_of_torchs_layers(
    lengths: tuple[int, ...],
    d: int,
    units: int,
    n_layers: int,
    pooling: Any,
    name: str,
) -> None:
    ends = np.cumsum((0, *lengths))
    values = np.random.default_rng(0).normal(size=(ends[-1], d))
    y = np.arange(len(lengths)) % 2
    data = Sequences(values, ends, y, classes=("a", "b"))
    options = {"units": units, "n_layers": n_layers, "pooling": pooling}
    model: Any = fit(family(name).Config(n_epochs=1, **options), data).model
    found = model.predict_proba(data.X)
    np.testing.assert_allclose(found, of_torch(model, name, data.X), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_what_is_predicted_does_not_depend_on_the_company(
    name: str, pooling: Any
) -> None:
    config = family(name).Config(pooling=pooling, units=8, n_epochs=1)
    model = fit(config, DATA.train).model
    together = model.predict_proba(DATA.test.X)
    alone = [model.predict_proba(DATA.test.X.rows(np.array([i]))) for i in range(9)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_speakers_of_a_toy_are_learnt(name: str) -> None:
    # What distinguishes the speakers is which channel is larger on the mean.
    options = {"n_epochs": 30, "units": 16, "learning_rate": 0.01, "pooling": "mean"}
    config = family(name).Config(**options)
    model = fit(config, DATA.train).model
    assert classification.evaluate(model, DATA.test)["accuracy"] == 1.0


def test_symbols_have_vectors() -> None:
    model = fit(family("gru").Config(n_epochs=60, learning_rate=0.01), TEXT).model
    assert classification.evaluate(model, TEXT)["accuracy"] > 0.9
    with pytest.raises(ValueError, match="the model was fitted on another, of 5"):
        model.predict_proba(DATA.test.X)


def test_the_slope_of_a_contracting_network_vanishes_backwards() -> None:
    model = fit(family("rnn").Config(n_epochs=1), DATA.train).model
    weights = {
        name: 0.2 * value if "weight_hh" in name else value
        for name, value in model.weights.items()
    }
    norms = gradient_by_time(dataclasses.replace(model, weights=weights), DATA.train)
    assert all(early < 0.5 * late for early, late in itertools.pairwise(norms))


def test_what_does_not_fit_is_refused() -> None:
    config = family("lstm").Config(n_epochs=1)
    with pytest.raises(ValueError, match="the sequences have no classes"):
        fit(config, dataclasses.replace(DATA.train, classes=()))
    model = fit(config, DATA.train).model
    with pytest.raises(ValueError, match="have 2 channels, the model was fitted on 3"):
        model.predict_proba(Ragged(np.zeros((4, 2)), np.array([0, 4])))
