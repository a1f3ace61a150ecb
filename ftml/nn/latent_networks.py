"""Networks of Gaussian latent variables: an encoder q(z | x) and a decoder p(x | z).

They take and return data in their shape, (B, d) or (B, C, H, W). Random weights come
from `generator` alone; without one they are on the device "meta".

Axes: B batch, d values of a sample, m dimension of a code, L layers of variables.

Source: Deep learning cheat sheet, sections 17.4.2 and 19.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from ftml.nn.autoencoder_networks import start
from ftml.nn.layers import Linear
from ftml.nn.mlp import MLP

LOG_NOISE = -1.0
"Logarithm of the variances of Gaussian data before training."


class DrawOfRows:
    """Normal numbers for rows x (B, ...), of each row from a generator of its own.

    It is seeded by the row's values alone, so that the bound of a row depends neither
    on its place nor on the other rows, while the errors of the rows are independent.
    n_draws: calls of `normal`; all numbers of a row are made at once, which is faster.
    """

    def __init__(self, x: Tensor, *, n_draws: int) -> None:
        rows = np.ascontiguousarray(x.cpu().numpy())
        self.seeds = [
            int.from_bytes(blake2b(row.tobytes(), digest_size=8).digest(), "big")
            for row in rows
        ]
        self.n_draws = n_draws
        self.noise: Iterator[Tensor] = iter(())

    def normal(self, like: Tensor) -> Tensor:
        """Return standard normal numbers of the shape of `like` (B, m)."""
        found = next(self.noise, None)
        if found is None:
            whole = torch.empty(len(like), self.n_draws, like.shape[1])
            for part, seed in zip(whole, self.seeds, strict=True):
                part.normal_(generator=torch.Generator().manual_seed(seed))
            self.noise = iter(whole.to(like).unbind(1))
            found = next(self.noise)
        return found


class LatentGaussian(nn.Module):
    """An encoder q(z | x) = N(mu(x), diag v(x)) and a decoder p(x | z).

    The decoder gives logits of pixels or, where `gaussian`, means of values whose
    variances are learnt, one for each value.
    """

    def __init__(
        self,
        shape: Sequence[int],
        code: int,
        *,
        hidden: Sequence[int] = (),
        activation: str = "relu",
        gaussian: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.shape, d = tuple(shape), math.prod(shape)
        self.encoder = MLP(
            (d, *hidden, 2 * code), activation=activation, generator=generator
        )
        self.decoder = MLP(
            (code, *reversed(hidden), d), activation=activation, generator=generator
        )
        self.log_noise = _log_noise(d, gaussian=gaussian, generator=generator)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and log v, (B, m) each."""
        mu, log_v = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, log_v

    def outputs(self, z: Tensor) -> Tensor:
        """Return logits or means of codes z (B, m)."""
        x: Tensor = self.decoder(z)
        return x.unflatten(1, self.shape)

    def decode(self, z: Tensor) -> Tensor:
        """Return the mean of p(x | z) for codes z (B, m)."""
        x = self.outputs(z)
        return torch.sigmoid(x) if self.log_noise is None else x


class DeepLatentGaussian(nn.Module):
    """Layers of Gaussian variables, each a function of the one above and of noise.

        h_L = G_L e_L,   h_l = T_l(h_{l+1}) + G_l e_l,   p(x | h_1),   e_l ~ N(0, I)

    The encoder describes all e at once, N(mu(x), diag v(x)), so that the code of x is
    (e_1, ..., e_L). code: the sizes of the layers, that of h_1 first. Each T_l has a
    hidden layer of `hidden[0]` units.
    """

    def __init__(
        self,
        shape: Sequence[int],
        code: Sequence[int],
        *,
        hidden: Sequence[int],
        activation: str = "relu",
        gaussian: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.code, d = tuple(shape), tuple(code), math.prod(shape)

        def dense(*sizes: int) -> MLP:
            return MLP(sizes, activation=activation, generator=generator)

        self.encoder = dense(d, *hidden, 2 * sum(code))
        self.decoder = dense(code[0], *reversed(hidden), d)
        self.maps = nn.ModuleList(
            dense(above, hidden[0], size) for size, above in pairwise(code)
        )
        self.mixing = nn.ModuleList(Linear(size, size, bias=False) for size in code)
        start(self.mixing, generator)
        self.log_noise = _log_noise(d, gaussian=gaussian, generator=generator)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and log v of all layers' e, (B, m) each, those of h_1 first."""
        mu, log_v = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, log_v

    def outputs(self, z: Tensor) -> Tensor:
        """Return logits or means of z = (e_1, ..., e_L), (B, m)."""
        *parts, top = z.split(self.code, dim=1)
        h = self.mixing[-1](top)
        for i in reversed(range(len(parts))):
            h = self.maps[i](h) + self.mixing[i](parts[i])
        x: Tensor = self.decoder(h)
        return x.unflatten(1, self.shape)

    def decode(self, z: Tensor) -> Tensor:
        """Return the mean of p(x | z) for z = (e_1, ..., e_L), (B, m)."""
        x = self.outputs(z)
        return torch.sigmoid(x) if self.log_noise is None else x


def _log_noise(
    d: int, *, gaussian: bool, generator: torch.Generator | None
) -> nn.Parameter | None:
    """Return the logarithms of the variances of d values.

    They begin below those of scaled features, whose logarithm is 0: with as much noise
    as signal the decoder would learn at once to do without the code.
    """
    if not gaussian:
        return None
    where = "meta" if generator is None else None
    return nn.Parameter(torch.full((d,), LOG_NOISE, device=where))
