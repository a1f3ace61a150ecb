"""Families that turn a sequence into another: what they learn and refuse; scores."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from ftml.core import family, fit
from ftml.data.numerals import numerals
from ftml.data.pairs import Pairs, of_ragged
from ftml.data.ragged import Ragged, encoded
from ftml.families.sequence import ctc
from ftml.nn import prediction
from ftml.nn.ctc import beam, times_needed
from ftml.tasks import transduction
from ftml.tasks.transduction import edit_distance

NAMES = ("ctc", "seq2seq", "seq2seq_attention", "transformer_seq2seq")
RNG = np.random.default_rng(0)
WORDS = [["abc"[v] for v in RNG.integers(3, size=n)] for n in [2, 3, 4] * 20]


def shifted_alphabet() -> Pairs:
    """Return words of a, b and c, and the same in capitals."""
    X = encoded(WORDS, ("a", "b", "c"))
    Y = encoded([[v.upper() for v in word] for word in WORDS], ("A", "B", "C"))
    return of_ragged(X, Y)


DATA = shifted_alphabet()


@pytest.mark.parametrize("name", NAMES)
def test_capitals_are_learnt(name: str) -> None:
    small = {"n_layers": 1, "heads": 2} if name.startswith("trans") else {"units": 32}
    n_epochs = 12 if name == "ctc" else 30
    options = {"dimension": 32, "dropout": 0.0, "n_epochs": n_epochs, "batch_size": 8}
    config = family(name).Config(**options, **small, learning_rate=0.01)
    model = fit(config, DATA).model
    assert transduction.evaluate(model, DATA)["exact_match"] > 0.95


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_decoded_does_not_depend_on_the_company(name: str, width: int) -> None:
    config = family(name).Config(n_epochs=2, beam_width=width)
    model = fit(config, DATA).model
    some = DATA.X.rows(np.arange(6))
    for i, together in enumerate(model.decode(some)):
        (alone,) = model.decode(some.rows(np.array([i])))
        np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("name", NAMES)
def test_other_symbols_are_refused(name: str) -> None:
    model = fit(family(name).Config(n_epochs=1), DATA).model
    with pytest.raises(ValueError, match="fitted on another, of 3"):
        model.decode(dataclasses.replace(DATA, source_symbols=("a", "b", "d")).X)


def test_a_target_longer_than_ctc_allows_is_refused_or_left_out() -> None:
    pairs = of_ragged(
        encoded([["a"], ["b", "a"]], ("a", "b")),
        encoded([["x", "x"], ["x", "y"]], ("x", "y")),
    )
    message = r"target 0 \(1 of 2 are such\) needs 3 times, its source gives 2"
    with pytest.raises(ValueError, match=message):
        fit(ctc.Config(n_epochs=1), pairs)
    config = ctc.Config(n_epochs=1, too_long="leave_out")
    assert len(ctc.possible(pairs, config)) == 1
    assert times_needed(pairs.Y[0]) == 3
    with pytest.raises(ValueError, match="no target has times enough"):
        fit(config, pairs.rows(np.array([0])))


def test_a_language_model_of_the_targets_counts_in_the_beam() -> None:
    config = ctc.Config(
        n_epochs=1, beam_width=50, language_order=2, language_weight=0.8
    )
    model: Any = fit(config, DATA).model
    X = DATA.X.rows(np.array([0]))
    (rows,) = model.log_probs(X)
    language = ctc.language_of(model.language)
    assert language is not None
    # Against all targets of up to 4 symbols, each scored by itself.
    acoustic = dict(beam(rows, 100_000))
    targets = itertools.chain(
        *(itertools.product(range(3), repeat=n) for n in range(5))
    )
    score = {
        y: acoustic[y]
        + 0.8 * (sum(language(y[:u], y[u]) for u in range(len(y))) + language(y, -1))
        for y in targets
        if y in acoustic
    }
    (found,) = model.decode(X)
    assert tuple(found) == max(score, key=lambda y: score[y])


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("ab", "ab", 0)],
)
def test_edit_distance_counts_changes(a: str, b: str, distance: int) -> None:
    assert edit_distance(list(map(ord, a)), list(map(ord, b))) == distance


def test_scores_are_those_of_the_decoded() -> None:
    pairs = numerals(below=24).rows(np.array([3, 21, 22]))  # 1, 2 and 2 words

    @dataclasses.dataclass
    class Model:
        source_symbols: tuple[str, ...] = pairs.source_symbols
        target_symbols: tuple[str, ...] = pairs.target_symbols

        def decode(self, X: Any) -> list[np.ndarray]:
            empty = np.zeros(0, np.int64)
            return [pairs.Y[0], pairs.Y[1][:1], empty][: len(X)]

    found = transduction.evaluate(Model(), pairs)
    assert found == pytest.approx({"error_rate": 3 / 5, "exact_match": 1 / 3})
    served = transduction.serve(Model(), transduction.example(pairs))
    assert served["prediction"].tolist() == ["three", "twenty", ""]


@pytest.mark.parametrize("name", NAMES)
def test_sources_are_read_in_smaller_chunks_where_there_are_many_symbols(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fit(family(name).Config(n_epochs=1, beam_width=2), DATA).model
    some = DATA.X.rows(np.arange(9))
    together = model.decode(some)
    read, real = list[int](), Ragged.padded

    def watched(self: Ragged, index: np.ndarray | None = None) -> Any:
        read.append(len(self if index is None else index))
        return real(self, index)

    monkeypatch.setattr(Ragged, "padded", watched)
    monkeypatch.setattr(prediction, "NUMBERS", 65)
    for one, other in zip(together, model.decode(some), strict=True):
        np.testing.assert_array_equal(one, other)
    assert max(read) < 9
