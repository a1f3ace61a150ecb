"""Connectionist temporal classification: a loss over all alignments, and decoding.

At each time a network gives the probability of each symbol and of a blank. A path is a
symbol or the blank at each time; B drops repeats, then blanks. So

    P(y | x) = sum over paths with B(path) = y of prod_t P(path_t | x)

Let l be y with a blank around each symbol, l = (-, y_1, -, y_2, ..., -), S = 2 U + 1.
The sum over all beginnings of paths that are at l_s at time t is

    a_t(s) = P(l_s at t) (a_{t-1}(s) + a_{t-1}(s-1) + [l_s not blank, l_s != l_{s-2}]
             a_{t-1}(s-2))

and -log P is what is minimised, in log space. b_t(s) is the same from the end, so that
a_t(s) b_t(s) / P(l_s at t) sums to P(y | x) at each t: its share at a symbol is the
gradient. The alignment is monotonic: a target with R repeats needs U + R times.

Axes: B batch, T time, U symbols of a target, S places of the extended target, V symbols
and the blank, which is number V.

Source: Deep learning cheat sheet, section 16.3 (by name); Graves et al. 2006,
"Connectionist temporal classification"; for the beam Hannun et al. 2014, "First-pass
large vocabulary continuous speech recognition using bi-directional recurrent DNNs".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

LanguageModel = Callable[[tuple[int, ...], int], float]
"log P of the next symbol, -1 for the end, after those so far."
IMPOSSIBLE = -1e30
"In place of log 0, because the difference of two infinities is NaN."


def times_needed(target: np.ndarray) -> int:
    """Return how many times a target takes at least: a blank parts what repeats."""
    return len(target) + int((target[1:] == target[:-1]).sum())


class _Loss(torch.autograd.Function):
    """The loss, with its gradient by the backward sums and not through T steps."""

    @staticmethod
    def forward(
        ctx: Any,
        log_probs: Tensor,
        labels: Tensor,
        skip: Tensor,
        lengths: Tensor,
        ends: Tensor,
    ) -> Tensor:
        at = log_probs.gather(2, labels[:, None].expand(-1, log_probs.shape[1], -1))
        forwards = _sums(at, skip)
        last = forwards[torch.arange(len(ends)), lengths - 1]
        found = torch.logaddexp(
            last.gather(1, ends[:, None] - 1), last.gather(1, ends[:, None] - 2)
        )[:, 0]
        ctx.save_for_backward(
            log_probs, labels, skip, lengths, ends, at, forwards, found
        )
        return -found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple:
        log_probs, labels, skip, lengths, ends, at, forwards, found = ctx.saved_tensors
        backwards = _backward_sums(at, skip, lengths, ends)
        inside = _before(lengths, at.shape[1])[:, :, None]
        inside = inside & _before(ends, at.shape[2])[:, None]
        share = forwards + backwards - at - found[:, None, None]
        # Hidden before exp: past the end it may be anything, and infinity.
        share = share.masked_fill(~inside, -torch.inf).exp()
        into = torch.zeros_like(log_probs)
        into.scatter_add_(2, labels[:, None].expand_as(share), share)
        return -gradients[0][:, None, None] * into, None, None, None, None


def _before(ends: Tensor, n: int) -> Tensor:
    """Return which of n places are before each end, (B, n)."""
    return torch.arange(n, device=ends.device) < ends[:, None]


def _sums(at: Tensor, skip: Tensor) -> Tensor:
    """Return log a_t(s), (B, T, S), for log P(l_s at t) (B, T, S).

    skip: (B, S), where a_{t-1}(s-2) counts.
    """
    B, T, S = at.shape
    floor = at.new_full((B, 2), IMPOSSIBLE)
    start = at.new_full((B, S), IMPOSSIBLE)
    start[:, :2] = at[:, 0, :2]
    found = [start]
    for t in range(1, T):
        before = torch.cat([floor, found[-1]], dim=1)
        jump = torch.where(skip, before[:, :-2], IMPOSSIBLE)
        parts = torch.stack([before[:, 2:], before[:, 1:-1], jump])
        found.append(torch.logsumexp(parts, dim=0) + at[:, t])
    return torch.stack(found, dim=1)


def _backward_sums(at: Tensor, skip: Tensor, lengths: Tensor, ends: Tensor) -> Tensor:
    """Return log b_t(s), (B, T, S): forward sums with times and places turned."""
    turned = _turned(_turned(at, lengths, 1), ends, 2)
    # From s + 2 one may come where it is s + 2 that is no blank and no repeat.
    ahead = torch.cat([skip[:, 2:], torch.zeros_like(skip[:, :2])], dim=1)
    sums = _sums(turned, _turned(ahead, ends, 1))
    return _turned(_turned(sums, ends, 2), lengths, 1)


def _turned(x: Tensor, lengths: Tensor, dim: int) -> Tensor:
    """Return x with the first `lengths` (B,) entries of an axis in reverse."""
    place = torch.arange(x.shape[dim], device=x.device)
    index = lengths[:, None] - 1 - place
    index = torch.where(index >= 0, index, place)
    shape = [len(x), *[1] * (x.ndim - 1)]
    shape[dim] = x.shape[dim]
    return x.gather(dim, index.view(shape).expand_as(x))


def ctc_loss(
    log_probs: Tensor, targets: Tensor, lengths: Tensor, target_lengths: Tensor
) -> Tensor:
    """Return -log P(y | x) of each sequence, (B,), in nats.

    log_probs: (B, T, V + 1), the blank last. targets: (B, U) long, padded with
    anything. lengths, target_lengths: (B,) of both. Raises ValueError that names the
    first target too long for its sequence.
    """
    blank, (B, U) = log_probs.shape[2] - 1, targets.shape
    inside = _before(target_lengths, U)
    repeats = (targets[:, 1:] == targets[:, :-1]) & inside[:, 1:]
    needed = target_lengths + repeats.sum(dim=1)
    if len(late := torch.nonzero(needed > lengths)):
        i = int(late[0])
        raise ValueError(
            f"target {i} has {int(target_lengths[i])} symbols and needs "
            f"{int(needed[i])} times, its sequence has {int(lengths[i])}"
        )
    labels = targets.new_full((B, 2 * U + 1), blank)
    labels[:, 1::2] = torch.where(inside, targets, blank)
    skip = torch.zeros_like(labels, dtype=torch.bool)
    skip[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    found: Tensor = _Loss.apply(
        log_probs, labels, skip, lengths, 2 * target_lengths + 1
    )
    return found


def collapsed(path: np.ndarray, blank: int) -> np.ndarray:
    """Return B(path): repeats dropped, then blanks."""
    kept = np.ones(len(path), bool)
    kept[1:] = path[1:] != path[:-1]
    return path[kept & (path != blank)]


def greedy(log_probs: np.ndarray) -> np.ndarray:
    """Return what the most probable path (T, V + 1) becomes: not always the best y."""
    return collapsed(log_probs.argmax(axis=1), log_probs.shape[1] - 1)


def beam(
    log_probs: np.ndarray,
    width: int,
    *,
    language_model: LanguageModel | None = None,
    weight: float = 0.0,
    bonus: float = 0.0,
) -> list[tuple[tuple[int, ...], float]]:
    """Return the best targets and the score of each, the best first.

    The score is log P(y | x) + weight log P_language(y) + bonus U. Targets that begin
    alike are one: of each the paths that end in a blank and those that end in its last
    symbol are summed apart, (T, V + 1) log_probs, and at each time `width` stay. With
    `width` as large as the number of targets nothing is lost.
    """
    V = log_probs.shape[1] - 1
    prior: dict[tuple[int, ...], float] = {(): 0.0}
    ahead: dict[tuple[int, ...], tuple[float, float]]
    ahead = {(): (0.0, -np.inf)}  # paths that end in a blank, in the last symbol

    def extended(y: tuple[int, ...], v: int) -> tuple[int, ...]:
        longer = (*y, v)
        if longer not in prior:
            log_prob = language_model(y, v) if language_model else 0.0
            prior[longer] = prior[y] + weight * log_prob + bonus
        return longer

    for row in log_probs:
        found: dict[tuple[int, ...], list[float]] = defaultdict(
            lambda: [-np.inf, -np.inf]
        )
        for y, (blank, symbol) in ahead.items():
            either = np.logaddexp(blank, symbol)
            own = found[y]
            own[0] = np.logaddexp(own[0], either + row[V])
            if y:
                own[1] = np.logaddexp(own[1], symbol + row[y[-1]])
            for v in range(V):
                begun = blank if y and v == y[-1] else either
                other = found[extended(y, v)]
                other[1] = np.logaddexp(other[1], begun + row[v])
        score = {y: np.logaddexp(e[0], e[1]) + prior[y] for y, e in found.items()}
        possible = [y for y, value in score.items() if value > -np.inf]
        best = sorted(possible, key=lambda y: -score[y])
        ahead = {y: (found[y][0], found[y][1]) for y in best[:width]}
    return sorted(_ended(ahead, prior, language_model, weight), key=lambda r: -r[1])


def _ended(
    ahead: dict[tuple[int, ...], tuple[float, float]],
    prior: dict[tuple[int, ...], float],
    language_model: LanguageModel | None,
    weight: float,
) -> Iterator[tuple[tuple[int, ...], float]]:
    for y, ends in ahead.items():
        end = weight * language_model(y, -1) if language_model else 0.0
        yield y, float(np.logaddexp(ends[0], ends[1])) + prior[y] + end
