"""CTC: against nn.CTCLoss and all alignments; the beam against all targets."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftml.nn.ctc import beam, collapsed, ctc_loss, greedy, times_needed


def log_probs(B: int, T: int, V: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(B, T, V + 1, generator=generator, dtype=torch.float64)
    return F.log_softmax(2 * logits, dim=2)


def by_target(rows: np.ndarray) -> dict[tuple[int, ...], float]:
    """Return P(y) of every target, summed over every path of (T, V + 1)."""
    T, n = rows.shape
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(n), repeat=T):
        y = tuple(collapsed(np.array(path), n - 1).tolist())
        found[y] += float(np.exp(rows[np.arange(T), path].sum()))
    return found


@pytest.mark.parametrize("T", [1, 2, 4, 6])
def test_loss_is_the_sum_over_all_alignments(T: int) -> None:
    rows = log_probs(1, T, 2)
    law = by_target(rows[0].numpy())
    assert sum(law.values()) == pytest.approx(1, rel=1e-12)
    for y, p in law.items():
        if y:
            found = ctc_loss(
                rows, torch.tensor([y]), torch.tensor([T]), torch.tensor([len(y)])
            )
            assert found.item() == pytest.approx(-np.log(p), rel=1e-12)


TARGETS = torch.tensor([[0, 0, 1, 2], [3, 1, 0, 0], [2, 0, 0, 0]])
LENGTHS, TARGET_LENGTHS = torch.tensor([9, 6, 7]), torch.tensor([4, 2, 1])


def drawn(lengths: list[int], target_lengths: list[int], V: int) -> tuple:
    generator = torch.Generator().manual_seed(3)
    targets = torch.randint(V, (len(lengths), max(target_lengths)), generator=generator)
    return targets, torch.tensor(lengths), torch.tensor(target_lengths), V


@pytest.mark.parametrize(
    ("targets", "lengths", "target_lengths", "V"),
    [
        (TARGETS, LENGTHS, TARGET_LENGTHS, 4),
        drawn([80, 1, 60, 2], [25, 1, 30, 1], V=30),
        drawn([12, 5], [3, 2], V=1),
    ],
)
def test_loss_and_slopes_are_those_of_torch(
    targets: Tensor, lengths: Tensor, target_lengths: Tensor, V: int
) -> None:
    B, T = len(lengths), int(lengths.max())
    logits = torch.randn(
        B, T, V + 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    ).requires_grad_()
    rows = F.log_softmax(logits, dim=2)
    ours = ctc_loss(rows, targets, lengths, target_lengths)
    theirs = F.ctc_loss(
        rows.transpose(0, 1),
        targets,
        lengths,
        target_lengths,
        blank=V,
        reduction="none",
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
    weight = torch.tensor([1.0, -2.0, 0.5, 1.5], dtype=torch.float64)[:B]
    one, other = (
        torch.autograd.grad((each * weight).sum(), logits, retain_graph=True)[0]
        for each in (ours, theirs)
    )
    torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


def test_slopes_are_those_of_differences() -> None:
    rows = log_probs(3, 9, 4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: ctc_loss(x, TARGETS, LENGTHS, TARGET_LENGTHS), rows
    )


def test_padding_changes_nothing() -> None:
    rows = log_probs(3, 9, 4)
    together = ctc_loss(rows, TARGETS, LENGTHS, TARGET_LENGTHS)
    for i, (T, U) in enumerate(zip(LENGTHS, TARGET_LENGTHS, strict=True)):
        alone = ctc_loss(rows[i : i + 1, :T], TARGETS[i : i + 1, :U], T[None], U[None])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-12)


def test_slopes_past_the_end_are_zero_however_improbable_the_target() -> None:
    logits = 40 * torch.randn(2, 50, 4, generator=torch.Generator().manual_seed(2))
    logits.requires_grad_()  # float32
    lengths = torch.tensor([50, 6])
    loss = ctc_loss(
        logits.log_softmax(dim=2),
        torch.tensor([[0, 1, 2] * 8, [0] * 24]),
        lengths,
        torch.tensor([24, 2]),
    )
    assert loss.max() > 100  # its exponential is above what float32 holds
    (slopes,) = torch.autograd.grad(loss.sum(), logits)
    assert torch.isfinite(slopes).all()
    assert not slopes[1, 6:].any()


def test_a_target_too_long_is_refused() -> None:
    rows = log_probs(2, 4, 2)
    targets = torch.tensor([[0, 1, 0, 1], [0, 0, 1, 1]])
    lengths = torch.tensor([4, 4])
    with pytest.raises(ValueError, match="target 1 has 4 symbols and needs 6 times"):
        ctc_loss(rows, targets, lengths, lengths)
    assert times_needed(np.array([0, 0, 1, 1])) == 6


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_as_wide_as_all_targets_is_exhaustive(seed: int) -> None:
    rows = log_probs(1, 5, 2, seed=seed)[0].numpy()
    law = by_target(rows)
    found = beam(rows, width=10_000)
    assert dict(found).keys() == law.keys()
    for y, score in found:
        assert score == pytest.approx(np.log(law[y]), rel=1e-12)
    assert found[0][0] == max(law, key=lambda y: law[y])


def test_a_language_model_counts_in_the_beam() -> None:
    rows = log_probs(1, 4, 2)[0].numpy()
    law = by_target(rows)
    table = np.log([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])  # of 0, 1 and the end

    def language_model(y: tuple[int, ...], v: int) -> float:
        return float(table[len(y) % 2, v])

    found = dict(
        beam(rows, width=10_000, language_model=language_model, weight=0.7, bonus=0.2)
    )
    for y, p in law.items():
        language = sum(language_model(y[:u], y[u]) for u in range(len(y)))
        language += language_model(y, -1)
        expected = np.log(p) + 0.7 * language + 0.2 * len(y)
        assert found[y] == pytest.approx(expected, rel=1e-12)


def test_the_best_path_is_not_the_best_target() -> None:
    # Graves' example: blanks are likeliest at both times, yet a is likelier than "".
    rows = np.log(np.array([[0.4, 0.6], [0.4, 0.6]]))
    assert greedy(rows).tolist() == []
    assert beam(rows, width=4)[0][0] == (0,)
    assert beam(rows, width=4)[0][1] == pytest.approx(np.log(0.64), rel=1e-12)


def test_repeats_are_dropped_before_blanks() -> None:
    path = np.array([0, 0, 2, 0, 1, 1, 2])
    assert collapsed(path, 2).tolist() == [0, 0, 1]
