"""Only a prior with one standard deviation per layer allows for rescaled inputs.

    x' = a x,  w'_1 = w_1 / a:   f'(x') = f(x),   R'(w') = R(w) + const  at
    sigma'_1 = sigma_1 / a

With inputs a times as large, a network with first weights a times as small is the same
function. With a standard deviation for each layer the penalties of any two such
networks then differ by as much as before, so that the same one is the most probable;
the notes give both layers one sigma (mistake 6), whose penalty prefers another. The
measured value is the largest change of a difference of penalties, in nats, over twenty
pairs of random networks at a = 10, and of an output.

Source: Exam solutions, "Exercise (2022)", (2.1) and (2.2).
"""

from __future__ import annotations

import torch

from ftml.evidence import Budget, Evidence
from ftml.nn.mlp import MLP
from ftml.nn.penalties import gaussian_prior

MISTAKES = (6,)

A, PAIRS = 10.0, 20
SIGMAS = (0.5, 2.0)


@torch.no_grad()
def check(seed: int, budget: Budget) -> Evidence:
    """Return the largest change with two standard deviations, and with one."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    found: dict[str, list[torch.Tensor]] = {"own": [], "one": []}
    outputs = []
    for _ in range(2 * PAIRS):
        net = MLP((4, 8, 3), activation="tanh", generator=generator).double()
        before, W = net(x), weights(net)
        net.layers[0].get_parameter("weight").div_(A)
        outputs.append((net(A * x) - before).abs().max())
        scaled = weights(net)
        own = (SIGMAS[0] / A, SIGMAS[1])
        for name, old, new in (("own", SIGMAS, own), ("one", (1.0, 1.0), (1.0, 1.0))):
            change = gaussian_prior(scaled, new) - gaussian_prior(W, old)
            found[name].append(change)
    gaps = {name: between_pairs(changes) for name, changes in found.items()}
    return Evidence(
        expected=0.0,
        measured=max(gaps["own"], float(max(outputs))),
        tolerance=1e-11,
        value_in_source=gaps["one"],
    )


def weights(net: MLP) -> list[torch.Tensor]:
    """Return copies of the weight matrices; biases have no prior."""
    return [each.detach().clone() for each in net.parameters() if each.ndim == 2]


def between_pairs(changes: list[torch.Tensor]) -> float:
    """Return the largest difference of neighbours, first and second and so on."""
    first, second = torch.stack(changes).view(-1, 2).unbind(dim=1)
    return float((first - second).abs().max())
