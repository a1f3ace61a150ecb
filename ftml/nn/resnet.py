"""ResNet-18 and ResNet-50 against torch alone, and pretrained weights from a file.

Axes: B batch, C channels, H x W pixels, k classes. The keys and shapes of the state
dict are torchvision's, so that its weights, and those of timm's `resnet18` and
`resnet50`, load.

Source: He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition",
table 1; the stride of a ResNet-50 block is in its 3 x 3 convolution, as in torchvision
and not in the paper.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from ftml.nn.layers import Conv2d, Linear

STAGES = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
"Blocks of each stage, by depth."
SHOWN = 5
"Keys of each kind that an error lists."


def _convolution(c_in: int, c_out: int, size: int, stride: int = 1) -> nn.Conv2d:
    return Conv2d(c_in, c_out, size, stride=stride, padding=size // 2, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, device="meta")


class Block(nn.Module):
    """relu(shortcut(x) + branch(x)); the branch has two or three convolutions.

    (c_in, H, W) becomes (c_out, H / stride, W / stride), rounded up. The shortcut is a
    1 x 1 convolution where the shape changes, else x itself.
    """

    def __init__(self, c_in: int, planes: int, *, stride: int, deep: bool) -> None:
        super().__init__()
        c_out = 4 * planes if deep else planes
        if deep:
            self.conv1, self.bn1 = _convolution(c_in, planes, 1), _norm(planes)
            self.conv2 = _convolution(planes, planes, 3, stride)
            self.bn2 = _norm(planes)
            self.conv3, self.bn3 = _convolution(planes, c_out, 1), _norm(c_out)
        else:
            self.conv1 = _convolution(c_in, planes, 3, stride)
            self.bn1 = _norm(planes)
            self.conv2, self.bn2 = _convolution(planes, c_out, 3), _norm(c_out)
        self.deep = deep
        self.downsample = None
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(
                _convolution(c_in, c_out, 1, stride), _norm(c_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        z = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.deep:
            z = self.bn3(self.conv3(F.relu(z)))
        return F.relu(z + (x if self.downsample is None else self.downsample(x)))


def _stage(
    c_in: int, planes: int, count: int, *, stride: int, deep: bool
) -> nn.Sequential:
    """Return `count` blocks, of which the first has the stride."""
    c_out = 4 * planes if deep else planes
    return nn.Sequential(
        Block(c_in, planes, stride=stride, deep=deep),
        *(Block(c_out, planes, stride=1, deep=deep) for _ in range(count - 1)),
    )


class ResNet(nn.Module):
    """A residual network of depth 18 or 50.

    depth: 18 or 50. n_classes: k >= 1. channels: C of the images, 3 for pretrained
    weights. freeze_norm: batch-norm uses its running means and variances in training
    too and leaves them as they are, as DomainBed does; its scale and shift still learn.
    They are 0 and 1 at the start, which normalises nothing: load weights, or see
    `set_statistics`. Without `freeze_norm` a batch of several domains is normalised by
    the statistics of all.

    Convolutions are normal with variance 2 / fan_out, batch-norm starts at scale one
    and shift zero, the head is uniform in +- 1 / sqrt(fan_in): torchvision's laws, but
    drawn from `generator` alone; without one the weights are on the device "meta", as
    a shape for `torch.func.functional_call`.
    """

    def __init__(
        self,
        depth: int,
        n_classes: int,
        *,
        channels: int = 3,
        freeze_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if depth not in STAGES:
            raise ValueError(f"depth: expected 18 or 50, got {depth}")
        for name, value in (("channels", channels), ("n_classes", n_classes)):
            if value < 1:
                raise ValueError(f"{name}: expected >= 1, got {value}")
        self.freeze_norm = freeze_norm
        self.conv1, self.bn1 = _convolution(channels, 64, 7, stride=2), _norm(64)
        first, second, third, fourth = STAGES[depth]
        deep = depth == 50
        wide = 4 if deep else 1
        self.layer1 = _stage(64, 64, first, stride=1, deep=deep)
        self.layer2 = _stage(64 * wide, 128, second, stride=2, deep=deep)
        self.layer3 = _stage(128 * wide, 256, third, stride=2, deep=deep)
        self.layer4 = _stage(256 * wide, 512, fourth, stride=2, deep=deep)
        self.fc = Linear(512 * wide, n_classes)
        if generator is not None:
            self.to_empty(device=generator.device)
            self._draw(generator)
        self.train()

    @torch.no_grad()
    def _draw(self, generator: torch.Generator) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.weight[:, 0].numel()
                module.weight.normal_(0.0, (2 / fan_out) ** 0.5, generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()  # constants: no random numbers
        bound = self.fc.in_features**-0.5
        self.fc.weight.uniform_(-bound, bound, generator=generator)
        self.fc.bias.uniform_(-bound, bound, generator=generator)

    def train(self, mode: bool = True) -> Self:  # torch's signature
        """Set training or evaluation mode; a frozen batch-norm stays in evaluation."""
        super().train(mode)
        for module in self.modules():
            if self.freeze_norm and isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    @property
    def head(self) -> nn.Linear:
        """The last layer, which turns the features into the outputs."""
        return self.fc

    def features(self, x: Tensor) -> Tensor:
        """Return the inputs of the head, (B, 512) or (B, 2048), for x (B, C, H, W).

        x: float; for pretrained weights normalised as they were trained.
        """
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (B, k) for float images x (B, C, H, W)."""
        z: Tensor = self.fc(self.features(x))
        return z


@torch.no_grad()
def set_statistics(network: ResNet, x: Tensor) -> None:
    """Set the running means and variances of each batch-norm to those of a batch.

    x: (B, C, H, W), B >= 2, float. A network that is drawn afresh with `freeze_norm` is
    so normalised at its start, at least. On the rotated digits (75 degrees left out,
    ResNet-18, Adam with rate 1e-4, 4 epochs of ERM) it then validates at 0.69, at 0.24
    where means and variances stay 0 and 1.
    """
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0  # the share of the new in the running statistics
    network(x)
    for norm in norms:
        norm.momentum = 0.1
    network.train(network.training)


def load_pretrained(network: ResNet, path: Path) -> None:
    """Put the weights of a local file into the network, all of them or none.

    path: a `.safetensors` file, or a state dict that torch saved; no code in it runs. A
    head `fc` that the file lacks or has for other classes stays as it was drawn, and so
    do the counters `num_batches_tracked`, which no forward pass reads.

    Raises ValueError that names the keys that are missing, unexpected or of another
    shape, and FileNotFoundError.
    """
    found, own = _read_weights(path), network.state_dict()
    shapes = {key: tuple(value.shape) for key, value in own.items()}
    head = {key for key in own if key.startswith("fc.")}
    if any(key not in found or found[key].shape != shapes[key] for key in head):
        found = {key: value for key, value in found.items() if key not in head}
        found |= {key: own[key] for key in head}
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    missing = [key for key in own if key not in found and key not in counters]
    unexpected = [key for key in found if key not in own]
    wrong = [
        f"{key} {tuple(value.shape)} instead of {shapes[key]}"
        for key, value in found.items()
        if key in own and value.shape != shapes[key]
    ]
    faults = {
        "missing": missing,
        "unexpected": [_with_nearest(key, missing) for key in unexpected[:SHOWN]]
        + unexpected[SHOWN:],
        "other shape": wrong,
    }
    lines = [f"{what}: {_listed(keys)}" for what, keys in faults.items() if keys]
    if lines:
        raise ValueError(f"{path}: not weights of this network; " + "; ".join(lines))
    network.load_state_dict({**{key: own[key] for key in counters}, **found})


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of weights")
    try:
        read: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise ValueError(f"{path}: cannot be read as weights ({reason})") from None
    if not isinstance(read, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor)
        for key, value in read.items()
    ):
        raise ValueError(f"{path}: expected a state dict, names with tensors")
    return dict(read)


def _with_nearest(key: str, missing: list[str]) -> str:
    close = difflib.get_close_matches(key, missing, n=1)
    return f"{key} (nearest missing: {close[0]})" if close else key


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(keys[:SHOWN]) + more
