"""The LSTM cell of the worked table keeps, adds and outputs what its gates let pass.

    c' = f(z_i) z + f(z_f) c,   y = f(z_o) c',   f the sigmoid
    z_i = (90, 90, 190, 90), z_f = (10, 10, -90, 10), z_o = (-10, 90, 90, 90),
    z = (3, -2, 4, 0):   c' = (3, 1, 4, 4),  y = (0, 1, 4, 4)

The row of the forget gate has the input gate's label (mistake 13); read so, the memory
is never cleared and c' = (3, 1, 5, 5). The measured value is the largest gap of the
cell to the table, below 2e-4 by the gates that the table rounds: 1 - f(10) = 4.5e-5,
times 4.

Source: Homework 4 answers, "Problem 1".
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from ftml.evidence import Budget, Evidence
from ftml.nn.recurrent import lstm_memory

MISTAKES = (13,)

Z_I = torch.tensor([90.0, 90.0, 190.0, 90.0], dtype=torch.float64)
Z_F = torch.tensor([10.0, 10.0, -90.0, 10.0], dtype=torch.float64)
Z_O = torch.tensor([-10.0, 90.0, 90.0, 90.0], dtype=torch.float64)
Z = torch.tensor([3.0, -2.0, 4.0, 0.0], dtype=torch.float64)
TABLE = torch.tensor([[3.0, 1, 4, 4], [0, 1, 4, 4]], dtype=torch.float64)


def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest gap to the table, and the value in the source; nothing is
    random.
    """
    found, printed = run(Z_F), run(Z_I)
    rows = {"z": Z, "memory c'": found[0], "output y": found[1]}
    table = pd.DataFrame({name: row.tolist() for name, row in rows.items()})
    table["c' with the gate as labelled"] = printed[0].tolist()
    return Evidence(
        expected=0.0,
        measured=float((found - TABLE).abs().max()),
        tolerance=2e-4,
        value_in_source=float((printed - TABLE).abs().max()),
        table=table,
    )


def run(forget: Tensor) -> Tensor:
    """Return c' and y at the four times, (2, 4), from an empty memory."""
    c, found = torch.zeros((), dtype=torch.float64), []
    for t in range(4):
        gates = (Z_I[t], forget[t], Z[t], Z_O[t])
        y, c = lstm_memory(gates, c, squash=lambda z: z)
        found.append(torch.stack([c, y]))
    return torch.stack(found, dim=1)
