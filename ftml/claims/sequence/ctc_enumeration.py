"""The forward sums of CTC are the probability of all paths that become the target.

    P(y | x) = sum over paths with B(path) = y of prod_t P(path_t | x)

B drops repeats, then blanks. All 3^5 paths of two symbols and a blank over five times
are written out, and summed by what they become. The measured value is the largest gap
of log P(y | x) over all targets that can be reached; together they have probability 1.

Source: Deep learning cheat sheet, section 16.3, by name; Graves et al. 2006.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product

import numpy as np
import torch

from ftml.evidence import Budget, Evidence
from ftml.nn.ctc import collapsed, ctc_loss

T, V = 5, 2


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a log-probability."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(T, V + 1, generator=generator, dtype=torch.float64)
    log_probs = (2 * drawn).log_softmax(dim=1)
    sums: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(V + 1), repeat=T):
        chance = float(log_probs[torch.arange(T), torch.tensor(path)].sum().exp())
        sums[tuple(collapsed(np.array(path), V).tolist())] += chance
    found = {y: log_probability(log_probs, y) for y in sums if y}
    gaps = [abs(found[y] - np.log(sums[y])) for y in found]
    whole = sums[()] + np.exp(list(found.values())).sum()
    return Evidence(
        expected=0.0, measured=float(max(*gaps, abs(whole - 1))), tolerance=1e-12
    )


def log_probability(log_probs: torch.Tensor, y: tuple[int, ...]) -> float:
    """Return log P(y | x) by the family's sums."""
    sizes = torch.tensor([T]), torch.tensor([len(y)])
    return -float(ctc_loss(log_probs[None], torch.tensor([y]), *sizes))
