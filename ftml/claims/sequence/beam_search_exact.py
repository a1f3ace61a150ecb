"""A beam as wide as the number of targets finds the best one; greedy search may not.

    argmax_y sum_u log P(y_u | y_1, ..., y_{u-1}, x)

A random encoder and decoder with two symbols, targets of at most four: 31 targets, all
scored one by one. The measured value is the largest gap of log P between the beam's
answer and the best target, over forty random sources; greedy search loses what the
table says.

Source: Deep learning cheat sheet, section 16.3, "How to make the RNN encoder/decoder
work?".
"""

from __future__ import annotations

from itertools import product

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ftml.evidence import Budget, Evidence
from ftml.nn.beam_search import beam_search
from ftml.nn.seq2seq import EncoderDecoder
from ftml.plots import new_figure

V, LONGEST, SOURCES = 2, 4, 40


@torch.no_grad()
def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of the widest beam's score to the best one."""
    generator = torch.Generator().manual_seed(seed)
    network = EncoderDecoder(
        n_source=5,
        n_target=V,
        d=6,
        units=8,
        n_layers=1,
        reverse=False,
        attention=True,
        dropout=0.0,
        generator=generator,
    ).double()
    for each in network.parameters():
        each.mul_(4.0)  # so that what follows depends on what was written
    x = torch.randint(5, (SOURCES, 6), generator=generator)
    mask = torch.ones_like(x, dtype=torch.bool)
    best = scores(network, x, mask).amax(dim=1)
    gaps = {}
    for width in (1, 2, 4, 31):
        _, found = beam_search(network, x, mask, width=width, longest=LONGEST, end=V)
        gaps[width] = best - found
    rows = [
        (width, float((gap < 1e-9).double().mean()), float(gap.mean()))
        for width, gap in gaps.items()
    ]
    columns = ["width", "fraction of best answers", "nats lost on average"]
    table = pd.DataFrame(rows, columns=columns)
    return Evidence(
        expected=0.0,
        measured=float(gaps[31].abs().max()),
        tolerance=1e-10,
        table=table,
        figure=lambda: widths(table),
    )


def scores(network: EncoderDecoder, x: Tensor, mask: Tensor) -> Tensor:
    """Return log P of every target for each source, (B, targets)."""
    memory, state = network.read(x, mask)
    found = []
    for length in range(LONGEST + 1):
        for target in product(range(V), repeat=length):
            read = torch.tensor([V, *target]).expand(len(x), -1)
            target_and_end = torch.tensor([*target, V])
            logits, _, _ = network.write(read, state, memory)
            each = logits.log_softmax(dim=2)[
                :, torch.arange(length + 1), target_and_end
            ]
            found.append(each.sum(dim=1))
    return torch.stack(found, dim=1)


def widths(table: pd.DataFrame) -> Figure:
    """Plot how often a beam finds the best target, over its width."""
    figure, axes = new_figure()
    axes.plot(table["width"], table["fraction of best answers"], marker="o")
    axes.set(xscale="log", xlabel="width of the beam", ylim=(0, 1.03))
    axes.set_xticks(table["width"], [str(width) for width in table["width"]])
    axes.minorticks_off()
    axes.set(ylabel="fraction of sources whose best target is found")
    return figure
