"""The maximum response of a filter does not depend on the position of its phrase.

    h = max_t relu(w' (x_t, ..., x_{t+k-1}) + b)

A phrase of five words is put at each place of a text of one neutral word. The measured
value is the largest gap of a logit between the places inside; the table has how far a
network that reads to the end, an RNN, is moved.

Source: Deep learning cheat sheet, section 15.2.1, max-over-time pooling.
"""

from __future__ import annotations

import pandas as pd
import torch

from ftml.evidence import Budget, Evidence
from ftml.nn.sequence_networks import RecurrentClassifier
from ftml.nn.text_networks import TextCNN

SYMBOLS, T, PHRASE, WIDEST = 12, 20, 5, 4


@torch.no_grad()
def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap of a logit between two places of the phrase."""
    generator = torch.Generator().manual_seed(seed)
    convolutions = TextCNN(
        n_inputs=SYMBOLS,
        d=6,
        widths=(2, 3, WIDEST),
        channels=5,
        dropout=0.0,
        n_classes=3,
        generator=generator,
    )
    recurrent = RecurrentClassifier(
        cell="rnn",
        n_inputs=SYMBOLS,
        embedding=6,
        units=8,
        n_layers=1,
        bidirectional=False,
        pooling="last",
        dropout=0.0,
        fused=False,
        n_classes=3,
        generator=generator,
    )
    phrase = torch.randint(1, SYMBOLS, (PHRASE,), generator=generator)
    # Away from the ends every filter sees the phrase whole, with neutral words around.
    places = range(WIDEST - 1, T - PHRASE - WIDEST + 2)
    texts = torch.zeros(len(places), T, dtype=torch.long)
    for row, place in enumerate(places):
        texts[row, place : place + PHRASE] = phrase
    mask = torch.ones_like(texts, dtype=torch.bool)
    gaps = {}
    for name, net in (("convolutions", convolutions), ("rnn", recurrent)):
        logits = net.double()(texts, mask)
        gaps[name] = float((logits - logits[:1]).abs().max())
    return Evidence(
        expected=0.0,
        measured=gaps["convolutions"],
        tolerance=1e-12,
        table=pd.DataFrame(gaps.items(), columns=["network", "largest gap"]),
    )
