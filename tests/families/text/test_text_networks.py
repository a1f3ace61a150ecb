"""Networks on texts: against plain loops, padding, vectors to begin with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from ftml.core import Family, family, fit
from ftml.data import Sequences
from ftml.families.embedding._vectors import Vectors
from ftml.families.sequence._classifier import made
from ftml.families.text import dynamic_cnn, text_cnn
from ftml.families.text._networks import parameters_by_part, read_vectors
from ftml.nn.text_networks import DynamicCNN, TextCNN, k_max
from ftml.tasks import classification
from tests.test_contract import small_data, whole_data

NAMES = ("text_cnn", "dynamic_cnn")
DATA = whole_data(family("text_cnn"))
LENGTHS = torch.tensor([6, 2, 4])
MASK = torch.arange(6) < LENGTHS[:, None]
X = torch.tensor([[1, 2, 3, 4, 0, 2], [4, 1, 0, 0, 0, 0], [3, 3, 1, 2, 0, 0]])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def naive_text_cnn(network: TextCNN, words: Tensor) -> Tensor:
    """Return the logits of one text, filter by filter and word by word."""
    vectors, found = network.embedding(words), []
    for each, width in zip(network.filters, network.widths, strict=True):
        missing = max(width - len(words), 0)
        longer = torch.cat([vectors, vectors.new_zeros(missing, vectors.shape[1])])
        answers = [
            (each.weight * longer[t : t + width].T).sum(dim=(1, 2)) + each.bias
            for t in range(len(longer) - width + 1)
        ]
        found.append(torch.stack(answers).relu().amax(dim=0))
    return network.head(torch.cat(found))


@pytest.mark.parametrize(
    ("d", "widths", "channels"), [(3, (2, 5), 4), (17, (1, 9, 3), 2)]
)
def test_text_cnn_is_a_loop_over_filters_and_words(
    d: int, widths: tuple[int, ...], channels: int
) -> None:
    network = TextCNN(
        n_inputs=5,
        d=d,
        widths=widths,
        channels=channels,
        dropout=0.0,
        n_classes=2,
        generator=generator(),
    ).double()
    found = network(X, MASK)
    for i, length in enumerate(LENGTHS.tolist()):
        expected = naive_text_cnn(network, X[i, :length])
        torch.testing.assert_close(found[i], expected, rtol=0, atol=1e-12)


def naive_dynamic_cnn(network: DynamicCNN, words: Tensor) -> Tensor:
    """Return the logits of one text by loops over rows, maps, places and filters."""
    L, C = len(network.widths), network.channels
    rows = [[each] for each in network.embedding(words).T]  # rows of maps (T,)
    for number, width in enumerate(network.widths, start=1):
        layer: Any = network.layers[number - 1]
        wide = []
        for r, maps in enumerate(rows):
            longer = [
                torch.cat([m.new_zeros(width - 1), m, m.new_zeros(width - 1)])
                for m in maps
            ]
            T = len(longer[0]) - width + 1
            filters = layer.weight[r * C : (r + 1) * C]
            bias = layer.bias[r * C : (r + 1) * C]
            wide.append(
                [
                    torch.stack(
                        [
                            sum(
                                (each[m] * longer[m][t : t + width]).sum()
                                for m in range(len(maps))
                            )
                            + bias[c]
                            for t in range(T)
                        ]
                    )
                    for c, each in enumerate(filters)
                ]
            )
        folded = [
            [one + other for one, other in zip(wide[r], wide[r + 1], strict=True)]
            for r in range(0, len(wide), 2)
        ]
        k = network.k_top
        if number < L:
            k = max(k, -(-(L - number) * len(words) // L))
        rows = [[_k_largest(m, k) for m in maps] for maps in folded]
    h = torch.cat([m for maps in rows for m in maps])
    return network.head(h)


def _k_largest(x: Tensor, k: int) -> Tensor:
    x = torch.cat([x, x.new_zeros(max(k - len(x), 0))])
    places = sorted(sorted(range(len(x)), key=lambda t: -x[t].item())[:k])
    return torch.tanh(x[places])


@pytest.mark.parametrize("k_top", [2, 7])
@pytest.mark.parametrize(
    ("d", "widths", "channels"), [(4, (3, 2), 2), (8, (1, 8, 2), 1)]
)
def test_dynamic_cnn_is_a_loop_over_rows_and_places(
    d: int, widths: tuple[int, ...], channels: int, k_top: int
) -> None:
    network = DynamicCNN(
        n_inputs=5,
        d=d,
        widths=widths,
        channels=channels,
        k_top=k_top,
        dropout=0.0,
        n_classes=2,
        generator=generator(),
    ).double()
    with torch.no_grad():
        found = network(X, MASK)
        for i, length in enumerate(LENGTHS.tolist()):
            expected = naive_dynamic_cnn(network, X[i, :length])
            torch.testing.assert_close(found[i], expected, rtol=0, atol=1e-12)


def test_the_largest_stand_as_they_stood() -> None:
    x = torch.tensor([[[3.0, 1.0, 9.0, 5.0]], [[2.0, 8.0, 7.0, 99.0]]])
    mask = torch.tensor([[True] * 4, [True] * 3 + [False]])
    found, kept = k_max(x, mask, torch.tensor([3, 2]))
    assert found[:, 0].tolist() == [[3.0, 9.0, 5.0], [8.0, 7.0, 0.0]]
    assert kept.tolist() == [[True] * 3, [True, True, False]]


@pytest.mark.parametrize("name", NAMES)
def test_a_word_that_tells_the_class_is_found(name: str) -> None:
    config = family(name).Config(
        n_epochs=40, learning_rate=0.01, dimension=16, dropout=0.2
    )
    model = fit(config, DATA.train).model
    assert classification.evaluate(model, DATA.train)["accuracy"] == 1.0
    alone = [model.predict_proba(DATA.test.X.rows(np.array([i]))) for i in range(9)]
    together = model.predict_proba(DATA.test.X)
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)


@pytest.fixture
def vectors(tmp_path: Path) -> str:
    """Return the file that an embedding of b, z and d writes."""
    path = tmp_path / "vectors.txt"
    rows = np.array([[1, 0, 0, 0], [9, 9, 9, 9], [0, 3, 0, 0]], np.float32)
    Vectors(("b", "z", "d"), rows, rows).write_word2vec(path)
    return str(path)


@pytest.mark.parametrize("tuned", [True, False])
@pytest.mark.parametrize("kind", [text_cnn, dynamic_cnn])
def test_vectors_begin_as_those_of_a_file(kind: Any, tuned: bool, vectors: str) -> None:
    config = kind.Config(dimension=4, vectors=vectors, tuned=tuned, n_epochs=2)
    network: Any = made(fit(config, DATA.train).model)[0]
    found = network.embedding.weight[[2, 4]].detach().numpy()
    expected = np.array([[0.5, 0, 0, 0], [0, 1.5, 0, 0]])  # of mean length 1
    assert np.allclose(found, expected) != tuned
    np.testing.assert_allclose(found, expected, atol=0.5)


def test_most_parameters_are_in_the_vectors_of_words() -> None:
    many = dataclasses.replace(
        DATA.train, vocabulary=(*DATA.train.vocabulary, *map(str, range(2000)))
    )
    counts = parameters_by_part(fit(text_cnn.Config(n_epochs=1), many).model)
    assert counts == {
        "embedding": 2005 * 64,
        "filters": 64 * (64 * (3 + 4 + 5) + 3),
        "head": 2 * (3 * 64 + 1),
    }


@pytest.mark.parametrize("kind", [family(name) for name in NAMES])
def test_what_does_not_fit_is_refused(
    kind: Family, vectors: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="vectors of 4 numbers, dimension is 64"):
        fit(kind.Config(vectors=vectors), DATA.train)
    series = small_data("classification", kind=Sequences).train
    with pytest.raises(ValueError, match="needs sequences of symbols, got numbers"):
        fit(kind.Config(), series)
    (tmp_path / "good.txt").write_text("2 1\na\x85 1\nb 2\n\n")
    assert read_vectors(tmp_path / "good.txt", ("b",))[0].tolist() == [0]
    (tmp_path / "bad.txt").write_text("1 4\nb 1 2\n")
    with pytest.raises(ValueError, match="not word2vec's text format"):
        read_vectors(tmp_path / "bad.txt", ("b",))


def test_vectors_that_cannot_be_folded_are_refused() -> None:
    with pytest.raises(ValueError, match="dimension 6 cannot be halved in each"):
        fit(dynamic_cnn.Config(dimension=6), DATA.train)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_without_filters_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        family(name).Config(widths=())
