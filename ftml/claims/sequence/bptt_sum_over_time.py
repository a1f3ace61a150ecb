"""The gradient of a recurrent weight at time t uses dR/dh^t, not dR/dh^{t-1}.

    dR/dW = sum_t D_t (dR/dh^t) (h^{t-1})',   dR/dU = sum_t D_t (dR/dh^t) (x^t)'

dR/dh^t goes through all later times, D_t = diag(1 - (h^t)^2). The notes have
dR/dh^{t-1} (mistake 41). A network of five units over seven times, a loss at each. The
measured value is the largest gap of the family's gradients of both matrices to torch's,
relative to the largest; in the printed version each dR/dh^t is that of one time
earlier, and 0 before the first.

Source: Deep learning cheat sheet, section 15.3, algorithm 2.
"""

from __future__ import annotations

import torch

from ftml.evidence import Budget, Evidence
from ftml.nn.bptt import rnn_gradients
from ftml.nn.recurrent import no_state, unrolled

MISTAKES = (41,)

T, D, UNITS = 7, 3, 5


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative gap of the gradients, and the value in the source."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return 0.6 * torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, into = normal(2, T, D), normal(2, T, UNITS)
    U, W, b = normal(UNITS, D), normal(UNITS, UNITS), normal(UNITS)
    for each in (U, W):
        each.requires_grad_()
    start = no_state("rnn", 2, W)
    states = unrolled("rnn", x, start, [U, W, b, torch.zeros_like(b)])
    h = torch.stack([state[0] for state in states], dim=1)
    expected = torch.autograd.grad((h * into).sum(), (U, W))
    h = h.detach()
    found = rnn_gradients(x, into, U.detach(), W.detach(), b)
    earlier = torch.cat([torch.zeros_like(found.h[:, :1]), found.h[:, :-1]], dim=1)
    delta = (1 - h**2) * earlier
    before = torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], dim=1)
    printed = [torch.einsum("btu,btd->ud", delta, each) for each in (x, before)]
    return Evidence(
        expected=0.0,
        measured=gap([found.W, found.U], expected),
        tolerance=1e-12,
        value_in_source=gap(printed, expected),
    )


def gap(found: list[torch.Tensor], expected: tuple[torch.Tensor, ...]) -> float:
    """Return the largest gap of two lists of gradients, relative to the largest."""
    away = [(a - b).abs().max() for a, b in zip(found, expected, strict=True)]
    return float(max(away) / max(each.abs().max() for each in expected))
