# SPDX-License-Identifier: Apache-2.0
"""Which network, and at which size; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from hyoid.errors import UsageError
from hyoid.systems.semiuhpe.conventions import CONVENTIONS

BACKBONES = ("resnet50", "repvgg", "effinetv2", "effinet", "tinyvit", "mobilenet", "resnet18", "plain")
"""The seven published ones, and ``plain``: 3x3 convolutions with shortcuts, quick to train on a processor."""
SCALABLE = ("mobilenet", "plain")
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours, of 1, that are taken off and divided by before the network."""
_TINYVIT_SIZE = 224
_SMALLEST, _LARGEST = 32, 1024
_SHALLOW, _DEEP = 2, 32


@dataclass(frozen=True)
class Config:
    """A network.

    Attributes:
        backbone: one of ``BACKBONES``. size: side of its crops in pixels. width: multiple of the channels of
            ``mobilenet`` and ``plain``. convention: of the rotations it answers, see ``conventions``. depth: blocks of
            each of the last two stages of ``plain``.

    Raises:
        UsageError: there is no such network.
    """

    backbone: str = "mobilenet"
    size: int = 224
    width: float = 1.0
    convention: str = "dad3dheads"
    depth: int = _SHALLOW

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise UsageError(f"backbone '{self.backbone}'", expected=" or ".join(BACKBONES))
        if self.convention not in CONVENTIONS:
            raise UsageError(f"convention '{self.convention}'", expected=" or ".join(CONVENTIONS))
        if not (isinstance(self.size, int) and _SMALLEST <= self.size <= _LARGEST):
            raise UsageError(f"crops of {self.size} pixels", expected=f"{_SMALLEST} to {_LARGEST}")
        if self.backbone == "tinyvit" and self.size != _TINYVIT_SIZE:
            raise UsageError(f"tinyvit at {self.size} pixels", expected=str(_TINYVIT_SIZE))
        if not 0.1 <= self.width <= 4 or (self.width != 1 and self.backbone not in SCALABLE):
            raise UsageError(
                f"{self.backbone} of {self.width} times the width",
                expected=f"0.1 to 4 for {' or '.join(SCALABLE)}, 1 for others",
            )
        if not _SHALLOW <= self.depth <= (_DEEP if self.backbone == "plain" else _SHALLOW):
            found = f"{self.backbone} with a depth of {self.depth}"
            raise UsageError(found, expected=f"{_SHALLOW} to {_DEEP} for plain, {_SHALLOW} for others")
