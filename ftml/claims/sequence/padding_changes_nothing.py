"""What follows the end of a sequence changes nothing, in any network that reads them.

    f(x, padded, mask) = f(x)  for each x of a batch

Sequences of 3 to 12 words are in one batch, followed by other words in place of zeros.
The measured value is the largest gap to the same sequence alone, relative to the
largest output, among recurrent networks of three cells in both directions, and networks
of convolutions over words.

Source: Deep learning cheat sheet, sections 15.2.1, 15.2.2 and 15.3.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch

from ftml.evidence import Budget, Evidence
from ftml.nn.sequence_networks import RecurrentClassifier
from ftml.nn.text_networks import DynamicCNN, TextCNN

LENGTHS = (3, 12, 5, 9)
SYMBOLS, D = 20, 6


@torch.no_grad()
def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest relative gap of an output."""
    generator = torch.Generator().manual_seed(seed)
    words: Any = {"n_inputs": SYMBOLS, "dropout": 0.0, "n_classes": 3}
    words |= {"generator": generator}
    networks: dict[str, torch.nn.Module] = {
        cell: RecurrentClassifier(
            cell=cell,
            embedding=D,
            units=5,
            n_layers=2,
            bidirectional=True,
            pooling=pooling,
            fused=False,
            **words,
        )
        for cell, pooling in (("rnn", "last"), ("lstm", "mean"), ("gru", "max"))
    }
    options: Any = {"d": 8, "widths": (3, 4), "channels": 4, **words}
    networks["convolutions"] = TextCNN(**options)
    networks["dynamic convolutions"] = DynamicCNN(k_top=3, **options)
    gaps = {name: gap(each.double(), generator) for name, each in networks.items()}
    return Evidence(
        expected=0.0,
        measured=max(gaps.values()),
        tolerance=1e-12,
        table=pd.DataFrame(gaps.items(), columns=["network", "relative gap"]),
    )


def gap(network: torch.nn.Module, generator: torch.Generator) -> float:
    """Return the largest gap between a batch and its sequences alone."""
    lengths = torch.tensor(LENGTHS)
    x = torch.randint(SYMBOLS, (len(LENGTHS), max(LENGTHS)), generator=generator)
    mask = torch.arange(max(LENGTHS)) < lengths[:, None]
    together = network(x, mask)
    alone = [
        network(x[i : i + 1, :n], torch.ones(1, n, dtype=torch.bool))
        for i, n in enumerate(LENGTHS)
    ]
    away = (together - torch.cat(alone)).abs().max()
    return float(away / together.abs().max())
