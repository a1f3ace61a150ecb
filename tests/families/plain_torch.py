"""What the plain torch versions of the families share: their data and a dense layer."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ftml import Images, Table

Weights = dict[str, Tensor]


def images(n: int, *shape: int) -> Images:
    """Return images of three classes, the third without a row."""
    pixels = np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)
    return Images(pixels, np.arange(n) % 2, ("a", "b", "c"))


def table(n: int, d: int) -> Table:
    """Return rows of three classes, the third without a row."""
    X = np.random.default_rng(0).normal(size=(n, d)) * 3.0 + 1.0
    return Table(X, np.arange(n) % 2, classes=("a", "b", "c"))


def inputs(data: Images | Table) -> Tensor:
    """Return pixels from 0 to 1, channels first, or features of variance 1."""
    if isinstance(data, Table):
        return torch.from_numpy(StandardScaler().fit_transform(data.X)).float()
    X = torch.from_numpy(data.X).float() / 255
    return X.permute(0, 3, 1, 2) if X.ndim == 4 else X[:, None]


def affine(w: Weights, x: Tensor, name: str) -> Tensor:
    """Return W x + b of a layer, (n, o)."""
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
