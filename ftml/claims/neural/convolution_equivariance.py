"""A convolution is equivariant to shifts of its image; only a pool of it is invariant.

    conv(shift x) = shift conv(x),   pool conv(shift x) = pool conv(x)

The notes call convolutional nets invariant to translation (mistake 28). A random
pattern on an empty ground is moved by (2, 3) pixels. The measured value is the largest
gap between the moved maps and the maps of the moved image, relative to the largest
value; the value in the source is that between the maps as they are. The table adds what
the largest value of each map does, and a locally connected layer, which does not even
move along.

Source: Deep learning cheat sheet, section 14.12.1, invariant architectures.
"""

from __future__ import annotations

import pandas as pd
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from ftml.evidence import Budget, Evidence
from ftml.nn.by_hand import Convolution
from ftml.nn.layers import LocallyConnected
from ftml.plots import STYLE

MISTAKES = (28,)

BY = (2, 3)


@torch.no_grad()
def check(seed: int, budget: Budget) -> Evidence:
    """Return the gap of equivariance, and that of the printed invariance."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    x[0, 0, 4:9, 4:9] = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    w = torch.randn(2, 1, 3, 3, generator=generator, dtype=torch.float64)
    maps, of_moved = convolution(x, w), convolution(moved(x), w)
    local = LocallyConnected(1, 2, 3, (16, 16)).double()
    for each in local.parameters():
        each.normal_(generator=generator)
    local.bias.zero_()
    top, top_moved = maps.amax(dim=(2, 3)), of_moved.amax(dim=(2, 3))
    rows = [
        ("convolution, maps moved", relative(of_moved, moved(maps))),
        ("convolution, maps as they are", relative(of_moved, maps)),
        ("convolution, largest value of each map", relative(top_moved, top)),
        ("locally connected, maps moved", relative(local(moved(x)), moved(local(x)))),
    ]
    return Evidence(
        expected=0.0,
        measured=max(rows[0][1], rows[2][1]),
        tolerance=1e-12,
        value_in_source=rows[1][1],
        table=pd.DataFrame(rows, columns=["what is compared", "relative gap"]),
        figure=lambda: pictures([x, maps, moved(x), of_moved]),
    )


def convolution(x: Tensor, w: Tensor) -> Tensor:
    """Return the maps of x by filters w, without bias."""
    maps: Tensor = Convolution.apply(x, w, torch.zeros(len(w), dtype=x.dtype))
    return maps


def moved(x: Tensor) -> Tensor:
    """Return x (..., H, W) moved down and to the right; its edge is empty."""
    return x.roll(BY, dims=(2, 3))


def relative(found: Tensor, expected: Tensor) -> float:
    """Return the largest gap relative to the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


def pictures(images: list[Tensor]) -> Figure:
    """Plot an image, the image moved, and a map of each."""
    titles = ("image", "its map", "image moved", "its map")
    with rc_context(STYLE):
        figure = Figure(figsize=(8.0, 2.4), dpi=120, layout="constrained")
        for axes, each, title in zip(
            figure.subplots(1, 4), images, titles, strict=True
        ):
            axes.grid(False)
            limit = float(each[0, 0].abs().max())
            axes.imshow(each[0, 0].numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes.set(title=title, xticks=[], yticks=[])
    return figure
