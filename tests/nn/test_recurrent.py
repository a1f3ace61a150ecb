"""Recurrent cells: torch's layers with the same weights, slopes by hand, padding.

Everything is float64; a forward pass agrees to 1e-10, slopes to 1e-8.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ftml.nn.bptt import lstm_gradients, rnn_gradients
from ftml.nn.recurrent import Recurrent, lstm_memory, no_state, unrolled

TORCH: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
B, T, D, U = 5, 7, 3, 4
LENGTHS = torch.tensor([7, 3, 1, 5, 7])
MASK = torch.arange(T) < LENGTHS[:, None]
SHAPES = (((7, 3, 1, 5, 7), D, U), ((1, 40), 9, 2))
"Lengths, channels and units; of the second there are more channels than units."


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def recurrent(cell: str, d: int = D, u: int = U, **options: Any) -> Recurrent:
    generator = torch.Generator().manual_seed(1)
    return Recurrent(cell, d, u, generator=generator, **options).double()


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "by_hand"])
@pytest.mark.parametrize("bidirectional", [True, False], ids=["both", "one"])
@pytest.mark.parametrize("cell", TORCH)
@pytest.mark.parametrize(("lengths", "d", "u"), SHAPES)
def test_layers_are_those_of_torch(
    lengths: tuple[int, ...],
    d: int,
    u: int,
    cell: str,
    bidirectional: bool,
    fused: bool,
) -> None:
    options = {"bidirectional": bidirectional}
    ours = recurrent(cell, d, u, n_layers=2, fused=fused, **options)
    theirs = TORCH[cell](d, u, num_layers=2, batch_first=True, **options).double()
    theirs.load_state_dict(ours.state_dict())  # the same names and shapes
    n, longest = len(lengths), max(lengths)
    x = normal(n, longest, d).requires_grad_()
    e = normal(n, longest, u * (1 + bidirectional), seed=2)
    packed = nn.utils.rnn.pack_padded_sequence(
        x, torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    found = ours(x, torch.arange(longest) < torch.tensor(lengths)[:, None])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    one = torch.autograd.grad((found * e).sum(), [x, *ours.parameters()])
    other = torch.autograd.grad((expected * e).sum(), [x, *theirs.parameters()])
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-8)


def test_the_table_of_the_notes() -> None:
    """Problem 1: the memory and what is shown, from a memory of 0; no squashing."""
    gates = {
        "i": (90, 90, 190, 90),
        "f": (10, 10, -90, 10),
        "g": (3, -2, 4, 0),
        "o": (-10, 90, 90, 90),
    }
    c, shown, kept = torch.zeros(1, dtype=torch.float64), [], []
    for z in zip(*gates.values(), strict=True):
        given = [torch.tensor([float(each)], dtype=torch.float64) for each in z]
        h, c = lstm_memory(given, c, squash=lambda each: each)
        shown.append(h.item())
        kept.append(c.item())
    # By the exact sigmoid; rounded, 3 1 4 4 and 0 1 4 4.
    assert kept == pytest.approx(
        [3.0, 0.9998638063938929, 4.0, 3.9998184085251904], rel=1e-14
    )
    assert shown == pytest.approx(
        [1.3619360610730318e-4, 0.9998638063938929, 4.0, 3.9998184085251904], rel=1e-12
    )
    assert [round(each) for each in kept] == [3, 1, 4, 4]
    assert [round(each) for each in shown] == [0, 1, 4, 4]


@pytest.mark.parametrize(
    ("cell", "slopes", "gates"),
    [("rnn", rnn_gradients, 1), ("lstm", lstm_gradients, 4)],
)
@pytest.mark.parametrize(("n", "steps", "d", "u"), [(B, T, D, U), (1, 12, 9, 2)])
def test_slopes_by_hand_are_those_of_autograd(
    n: int, steps: int, d: int, u: int, cell: str, slopes: Any, gates: int
) -> None:
    x, e = normal(n, steps, d), normal(n, steps, u, seed=3)
    W, N, b = normal(gates * u, d), normal(gates * u, u, seed=4), normal(gates * u)
    given = [each.requires_grad_() for each in (W, N, b, x)]
    states = unrolled(cell, x, no_state(cell, n, N), (W, N, b, torch.zeros_like(b)))
    h = [state[0] for state in states]
    loss = (torch.stack(h, dim=1) * e).sum()
    expected = torch.autograd.grad(loss, [*given, *h])
    found = slopes(x.detach(), e, W.detach(), N.detach(), b.detach())
    for one, other in zip(found[:4], expected[:4], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-8)
    by_time = torch.stack(expected[4:], dim=1)
    torch.testing.assert_close(found.h, by_time, rtol=0, atol=1e-8)


def test_the_error_stands_in_both_terms_of_the_notes() -> None:
    """Problem 2, two steps and one output: dL/dW = e (D1 U' D2 V' x1' + D2 V' x2')."""
    x, W, N, V = normal(1, 2, D), normal(U, D), normal(U, U, seed=5), normal(1, U)
    zero = torch.zeros(U, dtype=torch.float64)
    h1 = torch.tanh(W @ x[0, 0])
    h2 = torch.tanh(W @ x[0, 1] + N @ h1)
    error = torch.sigmoid(V @ h2) - 1.0  # y = 1
    slopes = torch.zeros(1, 2, U, dtype=torch.float64)
    slopes[0, 1] = error * V[0]
    D1, D2 = torch.diag(1 - h1**2), torch.diag(1 - h2**2)
    first = torch.outer(D1 @ N.T @ D2 @ V[0], x[0, 0])
    second = torch.outer(D2 @ V[0], x[0, 1])
    found = rnn_gradients(x, slopes, W, N, zero)
    torch.testing.assert_close(found.W, error * (first + second), rtol=0, atol=1e-12)
    notes = error * first + second  # mistake 14
    assert (found.W - notes).abs().max() > 0.01
    torch.testing.assert_close(
        found.U, error * torch.outer(D2 @ V[0], h1), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("bidirectional", [True, False], ids=["both", "one"])
@pytest.mark.parametrize("cell", TORCH)
def test_padding_changes_nothing(cell: str, bidirectional: bool) -> None:
    network = recurrent(cell, n_layers=2, bidirectional=bidirectional)
    x = normal(B, T, D)
    h = network(x, MASK)
    other = network(torch.where(MASK[..., None], x, 1e3), MASK)
    torch.testing.assert_close(h, other, rtol=0, atol=0)
    last = network.last(h, MASK)
    for i, length in enumerate(LENGTHS.tolist()):
        alone = x[i : i + 1, :length]
        mask = torch.ones(1, length, dtype=torch.bool)
        by_itself = network(alone, mask)
        torch.testing.assert_close(h[i, :length], by_itself[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(
            last[i], network.last(by_itself, mask)[0], rtol=0, atol=1e-12
        )
        assert not h[i, length:].any()


def test_drawn_weights_depend_on_the_generator_alone() -> None:
    before = torch.get_rng_state()
    one, other = recurrent("lstm"), recurrent("lstm")
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.abs().max() <= U**-0.5
