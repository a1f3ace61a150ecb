"""The networks of domain generalization: their config, and the model that predicts.

Batch-norm of a ResNet, in every family, normalises by fixed running statistics: those
of the pretrained weights, or else of some random rows before training. Its scale and
shift are trained like any weight. DomainBed does the same (its `freeze_bn` only calls
`eval()`). A loss is then a mean over independent rows, which the mathematics of the
families requires: an inner step of Fish or MLDG must not change a statistic, a row's
gradient in Fishr must not depend on the other rows, and one domain in IDGM's vmap must
be normalised as all domains together are.

Axes: n samples, d features, k classes, C channels, H x W pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from ftml.config import FamilyConfig, InputFile, LogUniform
from ftml.data import Domains
from ftml.data.checks import check_array, check_rows
from ftml.data.pixels import check_images
from ftml.data.standardize import Scaling, apply_scaling
from ftml.nn.cnn import CNN
from ftml.nn.mlp import MLP
from ftml.nn.prediction import in_chunks, loaded
from ftml.nn.resnet import ResNet

CHUNK = 1024
"Rows that are predicted at once: few enough to stay in the cache."

RESNET_CHUNK = 64
"The same for a ResNet, whose features of large images fill a memory."

DEPTHS = {"resnet18": 18, "resnet50": 50}

IMAGENET = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))
"Mean and standard deviation of red, green and blue, as ResNets are pretrained with."


class DomainConfig(FamilyConfig):
    """What the configuration of every family of this chapter has."""

    network: Literal["mlp", "cnn", "resnet18", "resnet50"] = "mlp"
    "an MLP on features, or on the pixels of images; a small CNN or a ResNet on images"

    pretrained: Annotated[str | None, InputFile()] = None
    "file of the weights that a ResNet starts from, safetensors or a state dict"

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (64,)
    "units of each hidden layer of the MLP; none makes the model linear"

    width: Annotated[int, Field(ge=8, multiple_of=8)] = 16
    "channels of the CNN's first convolution; the others have twice as many"

    learning_rate: Annotated[float, Field(gt=0), LogUniform(1e-3, 1e-1)] = 3e-3
    "step size of Adam; a ResNet wants 1e-5 to 1e-3"

    weight_decay: Annotated[float, Field(ge=0), LogUniform(1e-6, 1e-2)] = 1e-4
    "L2 penalty on weights and biases, as Adam adds it to the gradient"

    batch_size: Annotated[int, Field(ge=1)] | None = 64
    "samples of each domain in an update; `null` takes all: the loss is L_ERM itself"

    n_epochs: Annotated[int, Field(ge=1)] = 60
    "an epoch is as many updates as a domain of mean size holds batches"

    @field_validator("pretrained")
    @classmethod
    def _is_of_a_resnet(cls, path: str | None, info: ValidationInfo) -> str | None:
        network = info.data.get("network")
        if path is not None and network not in (None, *DEPTHS):
            raise ValueError(f"expected none, for the network is {network}, no ResNet")
        return path


@dataclass(frozen=True)
class Model:
    network: str
    "mlp, cnn, resnet18 or resnet50"

    sizes: tuple[int, ...]
    "of an MLP d, the hidden units and k; of a CNN C, its width and k; else C and k"

    weights: dict[str, Tensor]
    "of the network of these sizes, float32, and a ResNet's statistics"

    scaling: Scaling | tuple[np.ndarray, ...] | None
    "of the features, learnt from the training domains; None for images"

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (n, k) float64.

        x: (n, d) float64, NaN where a value is missing, or images, (n, H, W) or
        (n, H, W, 3) uint8.
        """
        network = make_network(self.network, self.sizes)
        network, where = loaded(network, self.weights)
        about: dict[str, Any] = {
            "network": self.network,
            "sizes": self.sizes,
            "scaling": self.scaling,
        }
        check_input(x, **about)  # here too: an error names a row of x, not of a chunk

        def probabilities(rows: slice) -> Tensor:
            part = network_input(x[rows], **about)
            logits = network(as_float(part.to(where), network=self.network))
            # Classes first: torch's softmax is then faster for few classes.
            return F.softmax(logits.T.double(), dim=0).T

        size = RESNET_CHUNK if self.network in DEPTHS else CHUNK
        return in_chunks(probabilities, len(x), size=size).numpy()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the index of the most probable class, (n,)."""
        index: np.ndarray = self.predict_proba(x).argmax(axis=1)
        return index


def sizes_of(config: DomainConfig, data: Domains) -> tuple[int, ...]:
    """Return the sizes of the network that the config asks for on these data.

    Raises ValueError for a CNN or a ResNet on features.
    """
    k = len(data.class_names)
    if config.network == "mlp":
        return (math.prod(data.x.shape[1:]), *config.hidden, k)
    if not data.is_images:
        raise ValueError(f"network: {config.network} needs images, these are features")
    channels = data.x.shape[3] if data.x.ndim == 4 else 1
    return (channels, k) if config.network in DEPTHS else (channels, config.width, k)


def make_network(
    network: str, sizes: tuple[int, ...], generator: torch.Generator | None = None
) -> MLP | CNN | ResNet:
    """Return the network of these sizes, drawn from `generator`, or without weights."""
    if network == "mlp":
        return MLP(sizes, generator=generator)
    channels, *width, k = sizes
    if network == "cnn":
        return CNN(channels, k, width=width[0], generator=generator)
    return ResNet(
        DEPTHS[network], k, channels=channels, freeze_norm=True, generator=generator
    )


def check_input(
    x: np.ndarray, *, network: str, sizes: tuple[int, ...], scaling: Any
) -> None:
    """Raise ValueError unless x is of the kind and width that the model was fitted on,
    and no feature infinite; TypeError for what is not an array of numbers.
    """
    check_array(x, "x")
    kind = "uint8 images" if scaling is None else "features"
    if (x.dtype == np.uint8) != (scaling is None):
        raise ValueError(f"the model was fitted on {kind}, x is {x.dtype}")
    if scaling is not None:
        check_rows(x, sizes[0], what="x", missing=True)
        return
    check_images(x)
    if network == "mlp":
        what, found = "pixels an image", math.prod(x.shape[1:])
    else:
        what, found = "channels", x.shape[3] if x.ndim == 4 else 1
    if found != sizes[0]:
        raise ValueError(f"x has {found} {what}, the model was fitted on {sizes[0]}")


def network_input(
    x: np.ndarray, *, network: str, sizes: tuple[int, ...], scaling: Any
) -> Tensor:
    """Return what `as_float` makes the network's input of.

    That is (n, d), pixels uint8 or scaled features float32; or else (n, C, H, W)
    uint8. Raises as `check_input`.
    """
    check_input(x, network=network, sizes=sizes, scaling=scaling)
    if scaling is not None:
        rows = apply_scaling(x, Scaling(*scaling)).astype(np.float32)
    elif network == "mlp":
        rows = x.reshape(len(x), sizes[0])
    else:
        rows = x[..., None] if x.ndim == 3 else x
    # Of an array that cannot be written, as Ray shares it, torch would warn.
    tensor = torch.from_numpy(rows if rows.flags.writeable else rows.copy())
    if network == "mlp":
        return tensor
    return tensor.permute(0, 3, 1, 2).contiguous()


def as_float(x: Tensor, *, network: str) -> Tensor:
    """Return float32: pixels divided by 255, features as they are.

    The colours of a ResNet's are centred and scaled as for ImageNet, pretrained or not.
    """
    if x.dtype != torch.uint8:
        return x
    x = x.float().mul_(1 / 255)  # dividing is slower
    if network in DEPTHS and x.shape[1] == len(IMAGENET):
        for channel, (mean, deviation) in enumerate(IMAGENET):
            x[:, channel].sub_(mean).div_(deviation)
    return x
