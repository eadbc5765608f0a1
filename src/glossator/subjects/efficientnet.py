"""EfficientNet-Lite0 (Tan and Le 2019, "EfficientNet", in TensorFlow's variant for phones): no squeeze-and-excitation,
ReLU6 in place of swish, stem and head of fixed width.

Modules are named by what they do, so that they read well as sites: `blocks.5.depthwise` is the map after the depthwise
convolution of a block, `blocks.5` what the block hands on, `head` the last map, `classifier` the logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import nn
from torch.nn.functional import pad

SIDE, CLASSES = 224, 1000
MEAN, DEVIATION = (127 / 255,) * 3, (128 / 255,) * 3
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
           (1, 3, 1, 6, 320))  # fmt: skip
"""Repeats, kernel, stride, expansion and width of each stage."""


class Convolution(nn.Sequential):
    """A convolution padded as TensorFlow does ('SAME': more at the end than at the beginning), its norm, and ReLU6."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True):
        norm = nn.BatchNorm2d(after, eps=1e-3, momentum=0.01)
        parts = [SameConv2d(before, after, kernel, stride, groups=groups, bias=False), norm]
        super().__init__(*parts, *([nn.ReLU6()] if active else []))


class SameConv2d(nn.Conv2d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        rows, columns = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in input.shape[-2:])
        if rows or columns:
            input = pad(input, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        return super().forward(input)


class Block(nn.Module):
    """Expand, convolve each channel by itself, project; what came in is added where the shape stays the same."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = before * expansion
        if expansion != 1:
            self.expand = Convolution(before, inner, 1)
        self.depthwise = Convolution(inner, inner, kernel, stride, groups=inner)
        self.project = Convolution(inner, after, 1, active=False)
        self.adds = stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.expand(x) if hasattr(self, "expand") else x
        found = cast(torch.Tensor, self.project(self.depthwise(inner)))
        return found + x if self.adds else found


class EfficientNetLite0(nn.Module):
    """Images (n, 3, 224, 224), scaled as `MEAN` and `DEVIATION` say, to logits (n, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, 32, 3, 2)
        blocks, before = [], 32
        for repeats, kernel, stride, expansion, width in _STAGES:
            for number in range(repeats):
                blocks.append(Block(before, width, kernel, stride if number == 0 else 1, expansion))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.head = Convolution(before, 1280, 1)
        self.classifier = nn.Linear(1280, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.head(self.blocks(self.stem(x)))
        return cast(torch.Tensor, self.classifier(maps.mean(dim=(2, 3))))


_NAMES = {"_expand_conv": "expand.0", "_bn0": "expand.1", "_depthwise_conv": "depthwise.0", "_bn1": "depthwise.1",
          "_project_conv": "project.0", "_bn2": "project.1"}  # fmt: skip
_OUTER = {"_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "head.0", "_bn1": "head.1", "_fc": "classifier"}


def renamed(checkpoint: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of the published checkpoint by the names of the modules here."""
    found = {}
    for key, tensor in checkpoint.items():
        parts = key.split(".")
        if parts[0] == "_blocks":
            name = f"blocks.{parts[1]}.{_NAMES[parts[2]]}.{parts[3]}"
        else:
            name = f"{_OUTER[parts[0]]}.{parts[1]}"
        found[name] = tensor.contiguous()
    return found
