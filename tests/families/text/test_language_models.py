"""Language models: windows, n-grams against counting, networks against a plain loop."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ftml.core import family, fit
from ftml.data import Sequences
from ftml.data.ragged import Ragged, encoded
from ftml.families.text import lstm_lm, ngram_lm
from ftml.families.text._windows import windows
from ftml.nn import prediction
from ftml.nn.language_networks import LogBilinear, LSTMLanguage
from ftml.tasks import language_model
from tests.test_contract import small_data

WORDS = ("a", "b", "c", "d")
V = len(WORDS)
TEXT = encoded(
    [line.split() for line in ("a b c a b", "b c", "a b d", "c a b c d a", "b b")],
    WORDS,
)
HELD_OUT = encoded([line.split() for line in ("d d a b", "c", "a b c b")], WORDS)
NAMES = ("ngram_lm", "log_bilinear_lm", "lstm_lm")


def text_of(X: Ragged) -> Sequences:
    return Sequences(X.values, X.offsets, vocabulary=X.vocabulary)


def naive_windows(X: Ragged, order: int) -> list[tuple[int, ...]]:
    V, found = len(X.vocabulary), []
    for i in range(len(X)):
        line = [V] * (order - 1) + X[i].tolist() + [V]
        found += [tuple(line[t : t + order]) for t in range(len(line) - order + 1)]
    return found


@pytest.mark.parametrize("order", [1, 2, 4])
def test_windows_are_those_of_a_plain_loop(order: int) -> None:
    assert list(map(tuple, windows(TEXT, order))) == naive_windows(TEXT, order)


def add_k(X: Ragged, order: int, k: float) -> Callable[..., float]:
    """Return P(w | h) as its definition says it, from a dictionary of counts."""
    grams = naive_windows(X, order)
    pairs, histories = Counter(grams), Counter(gram[:-1] for gram in grams)
    V = len(X.vocabulary)

    def probability(history: tuple[int, ...], word: int) -> float:
        return (pairs[(*history, word)] + k) / (histories[history] + k * (V + 1))

    return probability


def kneser_ney(X: Ragged, order: int, D: float) -> Callable[..., float]:
    """Return P(w | h) by recursion, from sets of what is before and behind."""
    longest, V = Counter(naive_windows(X, order)), len(X.vocabulary)
    before: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for gram in longest:
        for length in range(1, order):
            before[gram[-length:]].add(gram[-length - 1])

    def count(gram: tuple[int, ...]) -> int:
        return longest[gram] if len(gram) == order else len(before[gram])

    def probability(history: tuple[int, ...], word: int) -> float:
        lower = probability(history[1:], word) if history else 1 / (V + 1)
        follow = [count((*history, w)) for w in range(V + 1)]
        if not sum(follow):
            return lower
        kinds = sum(each > 0 for each in follow)
        own = max(follow[word] - D, 0)
        return (own + D * kinds * lower) / sum(follow)

    return probability


ONE = encoded([["a"], ["a"] * 40, ["a"] * 3], ("a",))
"A vocabulary of one symbol, and sequences of very different lengths."


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("smoothing", ["add_k", "kneser_ney"])
@pytest.mark.parametrize("texts", [(TEXT, HELD_OUT), (ONE, ONE)])
def test_n_grams_are_what_counting_says(
    texts: tuple[Ragged, Ragged], order: int, smoothing: Any
) -> None:
    config = ngram_lm.Config(order=order, smoothing=smoothing, k=0.3, discount=0.6)
    model = fit(config, text_of(texts[0])).model
    naive = (add_k if smoothing == "add_k" else kneser_ney)(
        texts[0], order, 0.3 if smoothing == "add_k" else 0.6
    )
    for X in texts:
        expected = [naive(g[:-1], g[-1]) for g in naive_windows(X, order)]
        found = np.exp(model.log_prob(X))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("smoothing", ["add_k", "kneser_ney"])
def test_n_grams_sum_to_one_after_every_history(order: int, smoothing: Any) -> None:
    model = fit(ngram_lm.Config(order=order, smoothing=smoothing), text_of(TEXT)).model
    for history in np.ndindex(*[V + 1] * (order - 1)):
        grams = np.column_stack(
            [np.tile(np.array(history, np.int64), (V + 1, 1)), np.arange(V + 1)]
        )
        assert model.probability(grams).sum() == pytest.approx(1, rel=1e-12)


def test_the_discount_is_that_of_counts_of_counts() -> None:
    model = fit(ngram_lm.Config(order=2), text_of(TEXT)).model
    counts = Counter(Counter(naive_windows(TEXT, 2)).values())
    expected = counts[1] / (counts[1] + 2 * counts[2])
    assert model.discounts[1] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("symbols", "d", "n_past"), [(V, 3, 2), (1, 9, 5)])
def test_log_bilinear_logits_are_its_formula(symbols: int, d: int, n_past: int) -> None:
    generator = torch.Generator().manual_seed(0)
    options: Any = {"n_symbols": symbols + 1, "d": d, "n_past": n_past, "dropout": 0.0}
    network = LogBilinear(**options, generator=generator).double()
    past = torch.randint(symbols + 1, (7, n_past), generator=generator)
    R, C = network.past.weight, network.places.weight.view(d, n_past, d)
    z = sum(R[past[:, j]] @ C[:, j].T for j in range(n_past)) + network.places.bias
    expected = z @ network.next.weight.T + network.next.bias
    torch.testing.assert_close(network(past), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    ("text", "d", "units", "n_layers"), [(TEXT, 3, 5, 1), (ONE, 9, 2, 2)]
)
def test_lstm_gives_the_probabilities_of_torchs_layers(
    text: Ragged, d: int, units: int, n_layers: int, tied: bool
) -> None:
    options = {"units": units, "n_layers": n_layers, "tied": tied, "dimension": d}
    config = lstm_lm.Config(n_epochs=1, batch_size=2, **options)
    model = fit(config, text_of(text)).model
    w, k = model.weights, len(text.vocabulary)
    core = torch.nn.LSTM(d, units, n_layers, batch_first=True)
    core.load_state_dict(
        {name[5:]: each for name, each in w.items() if name.startswith("core.")}
    )
    read = w["embedding.weight"]
    written = read if tied else w["next.weight"]
    found = np.split(model.log_prob(text), np.cumsum(text.lengths + 1)[:-1])
    for i, each in enumerate(found):
        line = torch.tensor([k, *text[i].tolist(), k])
        with torch.no_grad():
            h, _ = core(read[line[None, :-1]])
            z = F.linear(h[0], w["project.weight"], w["project.bias"])
            expected = F.log_softmax(z @ written.T + w["bias"], dim=1)
        following = expected[torch.arange(len(line) - 1), line[1:]]
        np.testing.assert_allclose(each, following.numpy(), atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_lstm_reads_what_came_before_alone(tied: bool) -> None:
    config = lstm_lm.Config(tied=tied, n_epochs=1, units=8, dimension=6, n_layers=2)
    model = fit(config, text_of(TEXT)).model
    together = model.log_prob(TEXT)
    alone = [model.log_prob(TEXT.rows(np.array([i]))) for i in range(len(TEXT))]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)
    # The first symbols of a sequence are as probable whatever follows.
    other = encoded([["a", "b", "c", "b", "b", "d"]], WORDS)
    np.testing.assert_allclose(model.log_prob(other)[:3], together[:3], atol=1e-6)


def test_what_is_read_and_told_is_shifted_by_one() -> None:
    read, following, mask = lstm_lm.shifted(TEXT, np.array([1, 2]))
    np.testing.assert_array_equal(read, [[4, 1, 2, 0], [4, 0, 1, 3]])
    np.testing.assert_array_equal(following, [[1, 2, 4, 0], [0, 1, 3, 4]])
    np.testing.assert_array_equal(mask, [[True] * 3 + [False], [True] * 4])


@pytest.mark.parametrize("name", NAMES)
def test_a_pattern_is_learnt(name: str) -> None:
    lines = [("a b c d " * n).split() for n in (1, 2, 3)] * 10
    data = text_of(encoded(lines, WORDS))
    options = {} if name == "ngram_lm" else {"n_epochs": 40, "learning_rate": 0.02}
    model = fit(family(name).Config(**options), data).model
    # Only after d two symbols can stand, a or the end: about 1.2 on the whole.
    assert language_model.evaluate(model, data)["perplexity"] < 1.4


@pytest.mark.parametrize("name", NAMES)
def test_another_vocabulary_is_refused(name: str) -> None:
    options = {} if name == "ngram_lm" else {"n_epochs": 1}
    model = fit(family(name).Config(**options), text_of(TEXT)).model
    other = dataclasses.replace(TEXT, vocabulary=("a", "b", "c", "e"))
    with pytest.raises(ValueError, match="fitted on another, of 4"):
        model.log_prob(other)
    with pytest.raises(ValueError, match="the vocabularies differ"):
        language_model.evaluate(model, text_of(other))
    series = small_data("classification", kind=Sequences).train
    with pytest.raises(ValueError, match="needs sequences of symbols"):
        fit(family(name).Config(), series)


def test_perplexity_of_a_uniform_law_is_the_number_of_outcomes() -> None:
    @dataclasses.dataclass
    class Uniform:
        vocabulary: tuple[str, ...]

        def log_prob(self, X: Ragged) -> np.ndarray:
            logits = torch.zeros(len(X.values) + len(X), V + 1, dtype=torch.float64)
            return F.log_softmax(logits, dim=1)[:, 0].numpy()

    found = language_model.evaluate(Uniform(WORDS), text_of(TEXT))
    assert found["perplexity"] == pytest.approx(V + 1, rel=1e-12)
    served = language_model.serve(Uniform(WORDS), language_model.example(text_of(TEXT)))
    np.testing.assert_allclose(served["perplexity"], V + 1)
    np.testing.assert_allclose(
        served["log_probability"], -np.log(V + 1) * np.array([6, 3, 4])
    )


@pytest.mark.parametrize("tied", [True, False])
def test_chunks_of_logits_give_what_all_at_once_give(
    tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    real = LSTMLanguage.logits

    def watched(self: LSTMLanguage, states: torch.Tensor) -> torch.Tensor:
        sizes.append(len(states) * (V + 1))
        return real(self, states)

    monkeypatch.setattr(LSTMLanguage, "logits", watched)
    config = lstm_lm.Config(tied=tied, n_epochs=2, units=5, dimension=4)
    whole = fit(config, text_of(TEXT))
    assert max(sizes) > 35
    monkeypatch.setattr(prediction, "NUMBERS", 35)
    sizes.clear()
    parts = fit(config, text_of(TEXT))
    assert max(sizes) <= 35
    for name, weight in whole.model.weights.items():
        torch.testing.assert_close(weight, parts.model.weights[name], atol=1e-5, rtol=0)
    sizes.clear()
    found = parts.model.log_prob(HELD_OUT)
    assert max(sizes) <= 35
    np.testing.assert_allclose(found, whole.model.log_prob(HELD_OUT), atol=1e-5)
