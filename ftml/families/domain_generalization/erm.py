"""Empirical risk minimisation over domains: the mean of the domains' mean losses.

    L_ERM(theta) = (1/S) sum_s E_{(x, y) in D_s}[l(x, y; theta)],   l = cross-entropy

Axes: n samples, d features, k classes, S domains, B batch of each domain. Every domain
counts the same, however large: this is not the mean over the pooled samples, which
agrees only where all domains have one size. Each update draws B samples of every
domain, with replacement, so that its gradient is unbiased for that of L_ERM; then a
step of Adam. The network is an MLP on scaled features, or on the pixels of images
divided by 255.

Source: 000_dd65aead3f2d61f3.txt, "Domain generalization (2023)", the loss L_ERM.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ftml.config import FamilyConfig, LogUniform
from ftml.core import State, Step, device
from ftml.data import Domains, Splits
from ftml.data.standardize import Scaling, apply_scaling, learn_scaling
from ftml.nn.mlp import MLP, apply

TASK = "domain_generalization"
CHUNK = 8192
"Rows that are predicted at once."


class Config(FamilyConfig):
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (64,)
    "units of each hidden layer; none makes the model linear"

    learning_rate: Annotated[float, Field(gt=0), LogUniform(1e-4, 1e-1)] = 3e-3
    "step size of Adam"

    weight_decay: Annotated[float, Field(ge=0), LogUniform(1e-6, 1e-1)] = 1e-4
    "L2 penalty on weights and biases, as Adam adds it to the gradient"

    batch_size: Annotated[int, Field(ge=1)] | None = 64
    "samples of each domain in an update; `null` takes all: the loss is L_ERM itself"

    n_epochs: Annotated[int, Field(ge=1)] = 60
    "an epoch is as many updates as a domain of mean size holds batches"


@dataclass(frozen=True)
class Model:
    sizes: tuple[int, ...]
    "units of each layer, the inputs first, the classes last"

    weights: dict[str, Tensor]
    "of the MLP of these sizes, float32"

    scaling: Scaling | tuple[np.ndarray, ...] | None
    "of the features, learnt from the training domains; None for images"

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (n, k) float64.

        x: (n, d) float64, NaN where a value is missing, or images (n, H, W) uint8.
        """
        where = next(iter(self.weights.values())).device
        chunks = []
        with torch.inference_mode():
            for start in range(0, max(len(x), 1), CHUNK):
                part = network_input(
                    x[start : start + CHUNK], self.scaling, self.sizes[0]
                )
                logits = apply(self.weights, as_float(part.to(where)), sizes=self.sizes)
                chunks.append(F.softmax(logits.double(), dim=1).cpu().numpy())
        return np.concatenate(chunks)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the index of the most probable class, (n,)."""
        index: np.ndarray = self.predict_proba(x).argmax(axis=1)
        return index


def network_input(x: np.ndarray, scaling: Any, d: int) -> Tensor:
    """Return x as rows of d numbers: pixels uint8, or scaled features float32.

    Raises ValueError when x has not d columns, or is not what the model was fitted on.
    """
    kind = "uint8 images" if scaling is None else "features"
    if (x.dtype == np.uint8) != (scaling is None):
        raise ValueError(f"the model was fitted on {kind}, x is {x.dtype}")
    rows = x.reshape(len(x), math.prod(x.shape[1:]))
    if rows.shape[1] != d:
        raise ValueError(f"x has {rows.shape[1]} columns, the model was fitted on {d}")
    if scaling is None:
        return torch.from_numpy(rows.copy())
    return torch.from_numpy(apply_scaling(rows, Scaling(*scaling)).astype(np.float32))


def as_float(x: Tensor) -> Tensor:
    """Return float32: pixels divided by 255, features as they are."""
    return x.float() / 255 if x.dtype == torch.uint8 else x


def domain_weights(offsets: np.ndarray) -> Tensor:
    """Return the weight 1 / (S n_s) of each row, (n,); all together they sum to one.

    offsets: (S + 1,), of domain-major rows. Raises ValueError for a domain without any.
    """
    sizes = np.diff(offsets)
    if not sizes.all():
        raise ValueError(f"every domain needs training samples, came {sizes.tolist()}")
    return torch.from_numpy(np.repeat(1.0 / (len(sizes) * sizes), sizes)).float()


def erm_loss(logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Return sum_i weight_i l_i, which is L_ERM for the weights of `domain_weights`."""
    return weight @ F.cross_entropy(logits, y, reduction="none")


def draw_batches(
    offsets: np.ndarray, *, batch_size: int, n_batches: int, generator: torch.Generator
) -> Tensor:
    """Return row numbers (n_batches, S B): B of each domain, with replacement."""
    sizes = torch.from_numpy(np.diff(offsets))[:, None]
    shape = (n_batches, len(sizes), batch_size)
    # float64: float32 would leave rows of a domain beyond 2^24 undrawn.
    place = torch.rand(shape, generator=generator, dtype=torch.float64)
    rows = (place * sizes).long() + torch.from_numpy(offsets[:-1])[:, None]
    return rows.flatten(1)


def plan_epoch(
    offsets: np.ndarray, *, batch_size: int | None, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the rows (n_batches, m) of an epoch's updates, and their weights (m,)."""
    n, S = int(offsets[-1]), len(offsets) - 1
    if batch_size is None:
        return torch.arange(n)[None], domain_weights(offsets)
    rows = draw_batches(
        offsets,
        batch_size=batch_size,
        n_batches=math.ceil(n / (S * batch_size)),
        generator=generator,
    )
    return rows, torch.full((S * batch_size,), 1.0 / (S * batch_size))


def train(
    config: Config, data: Splits[Domains], state: State | None = None
) -> Iterator[Step]:
    """Yield after each epoch. Raises ValueError for a domain without samples."""
    where, block = device(), data.train
    scaling = None if block.is_images else learn_scaling(block.x)
    d = math.prod(block.x.shape[1:])
    sizes = (d, *config.hidden, len(block.class_names))
    x = network_input(block.x, scaling, d).to(where)
    y = torch.tensor(block.y, device=where)
    domain_weights(block.offsets)  # checks that no domain is empty
    generator = torch.Generator().manual_seed(config.seed)
    network = MLP(sizes, generator=generator).to(where)
    optimizer = torch.optim.Adam(
        network.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    n = 0
    if state is not None:
        n = state["n"]
        network.load_state_dict(state["weights"])
        # Copied, for Adam goes on in place with the very tensors that it is given.
        optimizer.load_state_dict(copied(state["optimizer"]))
        generator.set_state(state["generator"])
    while n < config.n_epochs:
        n += 1
        rows, weight = plan_epoch(
            block.offsets, batch_size=config.batch_size, generator=generator
        )
        loss = _run_epoch(
            network, optimizer, x, y, rows=rows.to(where), weight=weight.to(where)
        )
        weights = copied(network.state_dict())
        state = {
            "n": n,
            "weights": weights,
            "optimizer": copied(optimizer.state_dict()),
            "generator": generator.get_state(),
        }
        yield Step(n, {"train_loss": loss}, Model(sizes, weights, scaling), state)


def _run_epoch(
    network: MLP,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    *,
    rows: Tensor,
    weight: Tensor,
) -> float:
    """Update the network once for each row of `rows`; return the mean of the losses."""
    losses = []
    for batch in rows:
        optimizer.zero_grad()
        loss = erm_loss(network(as_float(x[batch])), y[batch], weight)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    # One transfer an epoch: reading each loss would make a GPU wait for every update.
    return float(torch.stack(losses).mean())


def copied(tree: Any) -> Any:
    """Return a tree of dicts and lists with its tensors cloned."""
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        return {key: copied(value) for key, value in tree.items()}
    return [copied(value) for value in tree] if isinstance(tree, list) else tree
