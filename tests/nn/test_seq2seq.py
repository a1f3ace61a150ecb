"""Encoders and decoders: attention, padding, and the beam against every target."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.nn.beam_search import Transducer, beam_search
from ftml.nn.seq2seq import (
    Attention,
    EncoderDecoder,
    Transformer,
    positions,
)

V, END = 2, 2
X = torch.tensor([[1, 2, 0, 3, 1], [3, 3, 0, 0, 0], [2, 0, 1, 0, 0]])
MASK = torch.arange(5) < torch.tensor([5, 2, 3])[:, None]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def network(kind: str, d: int = 8, units: int = 6) -> Any:
    options: Any = {
        "n_source": 4,
        "n_target": V,
        "d": d,
        "n_layers": 2,
        "dropout": 0.0,
        "generator": generator(),
    }
    if kind == "transformer":
        made: nn.Module = Transformer(**options, heads=2)
    else:
        attention = kind == "attention"
        made = EncoderDecoder(
            **options, units=units, reverse=not attention, attention=attention
        )
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" not in name:
                parameter *= 3  # or all targets are about as likely
    return made.double()


KINDS = ("plain", "attention", "transformer")


def log_prob(net: Transducer, x: Tensor, target: list[int]) -> float:
    """Return log P(target, end | x), symbol by symbol as in training."""
    memory, state = net.read(x[None], torch.ones(1, len(x), dtype=torch.bool))
    read = torch.tensor([[END, *target]])
    logits, _, _ = net.write(read, state, memory)
    following = torch.tensor([*target, END])
    return -F.cross_entropy(logits[0], following, reduction="sum").item()


@pytest.mark.parametrize(("d", "units", "longest"), [(8, 6, 4), (18, 3, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_beam_as_wide_as_all_targets_is_exhaustive(
    kind: str, d: int, units: int, longest: int
) -> None:
    net = network(kind, d, units)
    with torch.inference_mode():
        found, score = beam_search(net, X, MASK, width=1000, longest=longest, end=END)
        targets = [
            list(each)
            for length in range(longest + 1)
            for each in itertools.product(range(V), repeat=length)
        ]
        for i, length in enumerate(MASK.sum(dim=1).tolist()):
            law = {tuple(y): log_prob(net, X[i, :length], y) for y in targets}
            best = max(law, key=lambda y: law[y])
            written = tuple(found[i].tolist()[: found[i].tolist().index(END)])
            assert written == best
            assert score[i].item() == pytest.approx(law[best], rel=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_beam_of_one_takes_the_likeliest_symbol(kind: str) -> None:
    net = network(kind)
    with torch.inference_mode():
        found, score = beam_search(net, X, MASK, width=1, longest=6, end=END)
        for i, length in enumerate(MASK.sum(dim=1).tolist()):
            x, y = X[i : i + 1, :length], [END]
            memory, state = net.read(x, torch.ones_like(x, dtype=torch.bool))
            while len(y) < 7 and (len(y) == 1 or y[-1] != END):
                logits, _, _ = net.write(torch.tensor([y]), state, memory)
                y.append(int(logits[0, -1].argmax()))
            written = [v for v in y[1:] if v != END]
            assert [v for v in found[i].tolist() if v != END] == written
            expected = log_prob(net, x[0], written)
            assert score[i].item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_writing_step_by_step_is_writing_at_once(kind: str) -> None:
    net, y = network(kind), torch.tensor([[2, 0, 1], [2, 1, 1], [2, 0, 0]])
    memory, state = net.read(X, MASK)
    whole, share, _ = net.write(y, state, memory)
    for u in range(3):
        logits, one, state = net.write(y[:, u : u + 1], state, memory)
        torch.testing.assert_close(logits[:, 0], whole[:, u], rtol=0, atol=1e-12)
        torch.testing.assert_close(one[:, 0], share[:, u], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind: str) -> None:
    net, y = network(kind), torch.tensor([[2, 0, 1]])
    memory, state = net.read(X, MASK)
    together, share, _ = net.write(y.expand(3, -1), state, memory)
    for i, length in enumerate(MASK.sum(dim=1).tolist()):
        x = X[i : i + 1, :length]
        own, begun = net.read(x, torch.ones_like(x, dtype=torch.bool))
        alone, _, _ = net.write(y, begun, own)
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-12)
        assert not share[i, :, length:].any()


@pytest.mark.parametrize("kind", ["attention", "transformer"])
def test_attention_is_a_law_over_the_source(kind: str) -> None:
    net = network(kind)
    memory, state = net.read(X, MASK)
    _, share, _ = net.write(torch.tensor([[2, 0]] * 3), state, memory)
    torch.testing.assert_close(
        share.sum(dim=2), torch.ones(3, 2, dtype=torch.float64), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(("d", "heads", "U"), [(8, 2, 4), (30, 5, 1)])
def test_heads_are_those_of_torch(d: int, heads: int, U: int) -> None:
    ours = Attention(d, heads, generator()).double()
    theirs = nn.MultiheadAttention(d, heads, batch_first=True).double()
    with torch.no_grad():
        parts = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([each.weight for each in parts]))
        theirs.in_proj_bias.copy_(torch.cat([each.bias for each in parts]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    x = torch.randn(3, U, d, generator=generator(), dtype=torch.float64)
    other = torch.randn(3, 5, d, generator=generator(), dtype=torch.float64)
    expected, weights = theirs(x, other, other, key_padding_mask=~MASK)
    found, share = ours(x, other, MASK[:, None])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(share, weights, rtol=0, atol=1e-10)


def test_places_are_sines_and_cosines() -> None:
    found = positions(7, 4, torch.zeros((), dtype=torch.float64))
    t = torch.arange(7, dtype=torch.float64)
    rows = [t.sin(), t.cos(), (t / 100).sin(), (t / 100).cos()]
    expected = torch.stack(rows, dim=1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)  # float32 inside


def test_a_dimension_that_heads_cannot_share_is_refused() -> None:
    options: Any = {"n_source": 2, "n_target": 2, "n_layers": 1, "dropout": 0.0}
    with pytest.raises(ValueError, match="dimension 6 is odd or no multiple of 4"):
        Transformer(**options, d=6, heads=4)
