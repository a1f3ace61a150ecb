"""Convolutions over the words of a text.

Axes: B batch, T words, d dimension of a vector, C channels, k classes.

Source: Deep learning cheat sheet, sections 15.2.1 and 15.2.2; Kim 2014, "Convolutional
neural networks for sentence classification"; Kalchbrenner et al. 2014, "A convolutional
neural network for modelling sentences".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftml.nn.layers import Draw, dropout
from ftml.nn.recurrent import draw_uniform
from ftml.nn.sequence_networks import Embedding, linear, pooled


def convolution(
    d: int, channels: int, width: int, generator: torch.Generator | None
) -> nn.Conv1d:
    """Return filters over `width` words, uniform in +- 1 / sqrt(d width)."""
    layer = nn.Conv1d(d, channels, width, device="meta")
    if generator is not None:
        layer.to_empty(device=generator.device)
        draw_uniform(layer, (d * width) ** -0.5, generator)
    return layer


class TextCNN(nn.Module):
    """Filters of several widths, each its largest answer over the text, then a softmax.

    A text shorter than a filter is followed by zeros; otherwise no filter looks beyond
    its end.
    """

    def __init__(
        self,
        *,
        n_inputs: int,
        d: int,
        widths: Sequence[int],
        channels: int,
        dropout: float,
        n_classes: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.dropout, self.widths = dropout, tuple(widths)
        self.embedding = Embedding(n_inputs, d, generator=generator)
        self.filters = nn.ModuleList(
            convolution(d, channels, width, generator) for width in widths
        )
        self.head = linear(channels * len(widths), n_classes, generator)

    def forward(self, x: Tensor, mask: Tensor, draw: Draw | None = None) -> Tensor:
        """Return the logits (B, k) for words x (B, T); mask (B, T) is true before the
        end.
        """
        vectors = (self.embedding(x) * mask[..., None]).transpose(1, 2)  # (B, d, T)
        lengths = mask.sum(dim=1, keepdim=True)
        found = []
        for each, width in zip(self.filters, self.widths, strict=True):
            z = torch.relu(each(F.pad(vectors, (0, max(width - x.shape[1], 0)))))
            places = torch.arange(z.shape[2], device=x.device)
            whole = places < (lengths - width + 1).clamp(min=1)
            found.append(pooled(z.transpose(1, 2), whole, "max"))
        h = dropout(torch.cat(found, dim=1), self.dropout, draw)
        logits: Tensor = self.head(h)
        return logits


def k_max(x: Tensor, mask: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Return the k largest numbers of each row of x, in their original order.

    x: (B, C, T). mask: (B, T), true where there are numbers. k: (B,), no more than
    there are. What comes out is (B, C, largest k), 0 past a text's own k, and its mask.
    Of equal numbers the first are kept, as those of a repeated word under a filter of
    one word.
    """
    most = int(k.max())
    hidden = x.masked_fill(~mask[:, None], -torch.inf)
    # Not topk, which takes any of equal numbers, depending on the padding.
    value, place = (
        each[..., :most] for each in hidden.sort(dim=2, descending=True, stable=True)
    )
    kept = torch.arange(most, device=x.device) < k[:, None]  # (B, most)
    # What is not kept goes to the end; the others keep the order of the text.
    place = place.masked_fill(~kept[:, None], x.shape[2])
    order = place.argsort(dim=2, stable=True)
    value = value.masked_fill(~kept[:, None], 0.0)
    return value.gather(2, order), kept


class DynamicCNN(nn.Module):
    """Wide convolutions, folding, and k-max pooling whose k depends on the length.

    After layer l of L a text of T words keeps max(k_top, ceil((L - l) / L T)) places,
    after the last one k_top. A filter of w words is wide: it begins before the text and
    ends behind it, so that T + w - 1 places come out. Folding adds two neighbouring
    channels. As in the paper, filters go along single channels: of layer l each of its
    maps is a sum over the maps below.
    """

    def __init__(
        self,
        *,
        n_inputs: int,
        d: int,
        widths: Sequence[int],
        channels: int,
        k_top: int,
        dropout: float,
        n_classes: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.dropout, self.k_top, self.channels = dropout, k_top, channels
        self.widths = tuple(widths)
        self.embedding = Embedding(n_inputs, d, generator=generator)
        layers, maps, rows = [], 1, d
        for width in widths:
            # A group is a row of the vectors: its own filters, from all maps below.
            layer = nn.Conv1d(
                maps * rows, channels * rows, width, groups=rows, device="meta"
            )
            if generator is not None:
                layer.to_empty(device=generator.device)
                draw_uniform(layer, (maps * width) ** -0.5, generator)
            layers.append(layer)
            maps, rows = channels, rows // 2
        self.layers = nn.ModuleList(layers)
        self.head = linear(maps * rows * k_top, n_classes, generator)

    def forward(self, x: Tensor, mask: Tensor, draw: Draw | None = None) -> Tensor:
        """Return the logits (B, k) for words x (B, T); mask (B, T) is true before the
        end.
        """
        words = mask.sum(dim=1)
        h = (self.embedding(x) * mask[..., None]).transpose(1, 2)  # (B, rows maps, T)
        for number, width in enumerate(self.widths, start=1):
            h = F.pad(h * mask[:, None], (width - 1, width - 1))
            h = self.layers[number - 1](h)
            lengths = mask.sum(dim=1) + width - 1
            mask = torch.arange(h.shape[2], device=x.device) < lengths[:, None]
            h = self._folded(h)
            k = self._kept(words, number)
            h, mask = k_max(*self._at_least(h, mask, k), k)
            h = torch.tanh(h) * mask[:, None]
        logits: Tensor = self.head(dropout(h.flatten(1), self.dropout, draw))
        return logits

    def _kept(self, words: Tensor, number: int) -> Tensor:
        L = len(self.layers)
        if number == L:
            return torch.full_like(words, self.k_top)
        return (((L - number) * words + L - 1) // L).clamp(min=self.k_top)

    def _folded(self, h: Tensor) -> Tensor:
        """Return the sum of each two neighbouring rows, (B, rows / 2 maps, T)."""
        by_row = h.unflatten(1, (-1, 2, self.channels))
        return by_row.sum(dim=2).flatten(1, 2)

    def _at_least(self, h: Tensor, mask: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Return h and its mask; a text with less than k places gets zeros."""
        needed = torch.maximum(mask.sum(dim=1), k)
        short = int(needed.max()) - h.shape[2]
        h = F.pad(h * mask[:, None], (0, max(short, 0)))
        places = torch.arange(h.shape[2], device=h.device)
        return h, places < needed[:, None]


def halvings(d: int) -> int:
    """Return how often d can be halved: the largest number of layers with folding."""
    return int(math.log2(d & -d))
