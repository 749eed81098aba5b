# SPDX-License-Identifier: Apache-2.0
# pyright: reportPrivateImportUsage=false
"""Views of crops for training: the picture is mirrored, turned, moved, scaled, and spoilt as photographs are.

A view is a pure function of the crops, the settings and (seed, step). What is learned from renders must not hang on
their colours and their sharpness, so these are varied far beyond what a camera does. Crops come with a margin: the
view of a box that fits exactly is the middle of them. What a view needs from outside is black, as in ``infer.crop``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hyoid.systems.semiuhpe.config import MEAN, SPREAD

_BOX_IN_CROP = 1 / 1.3  # the crop of the evaluation is 1.3 times as large as the box
_PUBLISHED_SIZE = 224  # in whose pixels the paper gives its occluders
_OCCLUDERS, _HALF_SIDES = 3, (10, 20)
_LUMA = (0.299, 0.587, 0.114)
_JPEG_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How strongly a view differs from its crop; shares are of crops that a change befalls.

    Attributes:
        flip: share that is mirrored. turn: largest angle in degrees, turned: share. area: of the random resized crop,
            from and to. jitter: largest move of the box, of its side. colour: 0 leaves colours and light, 1 is strong.
        grey, blur, sharpen, small, jpeg, noise, texture, cut: shares. smallest: side in pixels that ``small`` goes
            down to. ``texture`` filters crops with random kernels and lays soft spots of light on them; ``cut`` is the
            paper's cut-occlusion (cutout, then pieces of another crop).
    """

    flip: float = 0.5
    turn: float = 30.0
    turned: float = 0.5
    area: tuple[float, float] = (0.6, 1.5)
    jitter: float = 0.1
    colour: float = 1.0
    grey: float = 0.15
    blur: float = 0.3
    sharpen: float = 0.15
    small: float = 0.35
    smallest: int = 20
    jpeg: float = 0.35
    noise: float = 0.4
    texture: float = 0.3
    cut: float = 0.5


LABELLED = Settings()
STRONG = replace(LABELLED, cut=1.0)
WEAK = Settings(
    turned=0.0, area=(0.8, 1.25), jitter=0.03, colour=0.0, grey=0.0, blur=0.05, sharpen=0.0, small=0.0, jpeg=0.0,
    noise=0.0, texture=0.0, cut=0.0,
)  # fmt: skip


@dataclass(frozen=True)
class View:
    """Images (B, 3, S, S) float32 as the network takes them; mirrored (B,) bool, and turned counter-clockwise by
    turns (B,) radians after that."""

    images: Tensor
    mirrored: Tensor
    turns: Tensor


def view(
    crops: np.ndarray | Tensor, size: int, settings: Settings, seed: int, step: int, *, margin: float = 1.0,
    device: str | torch.device = "cpu",
) -> View:  # fmt: skip
    """A view of crops (B, T, T, 3) uint8; the same arguments give the same one.

    Args:
        size: S. margin: side of the crops over that of the crop of a box that fits.
    """
    drawn = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, step]).generate_state(1)[0]))
    pixels = torch.as_tensor(crops).to(device).float().permute(0, 3, 1, 2)
    found = _moved(pixels, size, settings, margin, drawn)
    x = found.images
    if settings.colour:
        x = _coloured(x, settings, drawn)
    if settings.texture:
        x = _textured(x, settings.texture, drawn)
    x = _sharpness(x, settings, drawn)
    if settings.small:
        x = _coarse(x, settings, drawn)
    if settings.noise:
        x = _noisy(x, settings.noise, drawn)
    if settings.jpeg:
        x = _compressed(x, settings.jpeg, drawn)
    mean, spread = (x.new_tensor(values)[:, None, None] for values in (MEAN, SPREAD))
    x = x.clamp_(0, 1).sub_(mean).div_(spread)
    if settings.cut:
        x = _cut(x, settings.cut, drawn)
    return replace(found, images=x.contiguous(memory_format=torch.channels_last))


def carried(matrices: Tensor, seen: View) -> Tensor:
    """Rotations or parameters (B, 3, 3), common or DAD-3DHeads convention, of crops as their view shows them."""
    return _turn(seen) @ _mirrored(matrices, seen)


def brought_back(matrices: Tensor, seen: View) -> Tensor:
    """Undoes :func:`carried`."""
    return _mirrored(_turn(seen).transpose(-1, -2) @ matrices, seen)


def _mirrored(matrices: Tensor, seen: View) -> Tensor:
    signs = matrices.new_tensor([-1.0, 1.0, 1.0])
    flipped = matrices * signs[:, None] * signs
    return torch.where(seen.mirrored[:, None, None], flipped, matrices)


def _turn(seen: View) -> Tensor:
    c, s = seen.turns.cos(), seen.turns.sin()
    o, i = torch.zeros_like(c), torch.ones_like(c)
    return torch.stack([c, s, o, -s, c, o, o, o, i], -1).unflatten(-1, (3, 3))


# --- what a view does, one after the other ----------------------------------------------------------------------------


def _uniform(drawn: torch.Generator, count: int, low: float, high: float, *more: int) -> Tensor:
    return low + (high - low) * torch.rand((count, *more), generator=drawn)


def _some(drawn: torch.Generator, count: int, share: float) -> Tensor:
    """Numbers of the crops that a change befalls."""
    return (torch.rand(count, generator=drawn) < share).nonzero()[:, 0]


def _column(values: Tensor, x: Tensor) -> Tensor:
    return values.to(x)[:, None, None, None]


def _moved(x: Tensor, size: int, settings: Settings, margin: float, drawn: torch.Generator) -> View:
    count = len(x)
    mirrored = torch.rand(count, generator=drawn) < settings.flip
    turns = _uniform(drawn, count, -settings.turn, settings.turn).deg2rad()
    turns = turns * (torch.rand(count, generator=drawn) < settings.turned)
    scale = _uniform(drawn, count, *settings.area).sqrt() / margin
    move = _uniform(drawn, count, -1, 1, 2) * (2 * settings.jitter * _BOX_IN_CROP / margin)
    c, s = turns.cos() * scale, turns.sin() * scale
    sign = torch.where(mirrored, -1.0, 1.0)
    # Where each place of the view lies in the crop: turned back, then mirrored; y is down.
    across, down, offset = (
        torch.stack(pair, -1)[:, None, None].to(x) for pair in ((sign * c, s), (-sign * s, c), move.unbind(-1))
    )
    line = (2 * torch.arange(size, device=x.device) + 1) / size - 1
    grid = line[:, None] * across + (line[:, None, None] * down + offset)
    images = functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    images = images.contiguous().mul_(1 / 255)
    return View(images, mirrored.to(x.device), turns.to(x))


def _coloured(x: Tensor, settings: Settings, drawn: torch.Generator) -> Tensor:
    count, much = len(x), settings.colour
    grey = (torch.rand(count, generator=drawn) < settings.grey)[:, None, None]
    luma = torch.tensor(_LUMA).expand(3, 3)
    saturation = _uniform(drawn, count, 1 - 0.7 * much, 1 + 0.5 * much, 1, 1)
    saturation = torch.where(grey, 0.0, saturation)
    hue = _about_grey(_uniform(drawn, count, -0.4, 0.4) * much * (torch.rand(count, generator=drawn) < 0.5))
    gains = (_uniform(drawn, count, -0.25, 0.25, 3, 1) * much).exp()
    matrices = gains * (hue @ (saturation * torch.eye(3) + (1 - saturation) * luma))
    contrast = (_uniform(drawn, count, -0.6, 0.5, 1, 1) * much).exp()
    brightness = _uniform(drawn, count, -0.15, 0.15, 1, 1) * much
    middle = (matrices @ x.mean((2, 3)).cpu()[..., None]).mean(1, keepdim=True)
    offset = middle * (1 - contrast) + brightness
    x = torch.baddbmm(offset.to(x), (contrast * matrices).to(x), x.flatten(2)).view_as(x)
    x = x.add_(_ramp(x, 0.25 * much, drawn)).clamp_(0, 1)
    rows = _some(drawn, count, 0.6 * much)
    gamma = _column((_uniform(drawn, len(rows), -0.6, 0.6) * much).exp(), x)
    x[rows] = (x[rows] + 1e-4).pow_(gamma)
    return x


def _about_grey(angles: Tensor) -> Tensor:
    """Rotations (B, 3, 3) of colours about the axis of greys."""
    c, s = angles.cos()[:, None, None], angles.sin()[:, None, None] / 3**0.5
    third = torch.full((3, 3), 1 / 3)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    return c * torch.eye(3) + (1 - c) * third + s * cross


def _ramp(x: Tensor, much: float, drawn: torch.Generator) -> Tensor:
    """Light from one side: rises over the picture in a random direction."""
    slopes = (_uniform(drawn, len(x), -1, 1, 2) * much).to(x)
    line = torch.linspace(-1, 1, x.shape[-1], device=x.device)
    return (slopes[:, :1, None] * line + (slopes[:, 1:, None] * line[:, None]))[:, None]


def _textured(x: Tensor, share: float, drawn: torch.Generator) -> Tensor:
    rows = _some(drawn, len(x), share)
    if len(rows):
        spots = torch.randn((len(rows), 3, 6, 6), generator=drawn) * _uniform(drawn, len(rows), 0, 0.1, 1, 1, 1)
        soft = functional.interpolate(spots.to(x), x.shape[-2:], mode="bicubic")
        x[rows] += soft
    # A random filter for a third of these (Xu et al., "Robust and Generalizable Visual Representation Learning via
    # Random Convolutions", ICLR 2021): shapes stay, colours and fine texture do not.
    rows = rows[::3]
    if len(rows):
        kernels = torch.randn((len(rows), 3, 3, 3, 3), generator=drawn) / 27**0.5
        part = x[rows]
        flat = functional.pad(part, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[None]
        found = functional.conv2d(flat, kernels.flatten(0, 1).to(x), groups=len(rows))[0].unflatten(0, part.shape[:2])
        spread, middle = part.std((2, 3), keepdim=True), part.mean((2, 3), keepdim=True)
        found = (found - found.mean((2, 3), keepdim=True)) / (found.std((2, 3), keepdim=True) + 1e-3) * spread + middle
        x[rows] = torch.lerp(part, found, _column(_uniform(drawn, len(rows), 0.2, 0.9), x))
    return x


def _sharpness(x: Tensor, settings: Settings, drawn: torch.Generator) -> Tensor:
    """Blurred evenly or along one axis, or sharpened, by moving away from the blurred."""
    chance = torch.rand(len(x), generator=drawn)
    rows = (chance < settings.blur + settings.sharpen).nonzero()[:, 0]
    amounts = _uniform(drawn, len(rows), 0.3, 1)
    amounts = torch.where(chance[rows] < settings.blur, amounts, -1.2 * amounts)
    for part, much in zip(rows.tensor_split(4), amounts.tensor_split(4), strict=True):
        side = 2 * int(torch.randint(1, 4, (1,), generator=drawn)) + 1
        across, down = ((True, False), (False, True), (True, True), (True, True))[
            int(torch.randint(0, 4, (1,), generator=drawn))
        ]
        if len(part):
            blur = _averaging(x.shape[-1], side).to(x)
            soft = x[part] @ blur.T if across else x[part]
            x[part] = torch.lerp(x[part], blur @ soft if down else soft, _column(much, x))
    return x.clamp_(0, 1)


@cache
def _averaging(size: int, side: int) -> Tensor:
    """(size, size) what takes means of so many pixels along a line, twice."""
    line = torch.arange(size)
    near = ((line[:, None] - line).abs() <= side // 2).float()
    near /= near.sum(1, keepdim=True)
    return near @ near


def _coarse(x: Tensor, settings: Settings, drawn: torch.Generator) -> Tensor:
    """Down to a few pixels and up again: heads far away."""
    rows, size = _some(drawn, len(x), settings.small), x.shape[-1]
    for part in rows.tensor_split(4):
        if len(part):
            low = np.log(min(settings.smallest, size))
            side = int(np.exp(low + (np.log(size) - low) * float(torch.rand(1, generator=drawn))))
            mode = ("bilinear", "bicubic")[int(torch.randint(0, 2, (1,), generator=drawn))]
            less = functional.interpolate(x[part], (side, side), mode="bilinear", antialias=True)
            x[part] = functional.interpolate(less, (size, size), mode=mode).clamp_(0, 1)
    return x


def _noisy(x: Tensor, share: float, drawn: torch.Generator) -> Tensor:
    rows = _some(drawn, len(x), share)
    much = _column(_uniform(drawn, len(rows), 0, 0.06), x)
    grains = torch.randn((len(rows), *x.shape[1:]), generator=drawn).to(x)
    x[rows] += much * grains
    return x


def _compressed(x: Tensor, share: float, drawn: torch.Generator) -> Tensor:
    """As JPEG does: cosines of blocks of 8 pixels, rounded to steps; colours more coarsely than light."""
    rows = _some(drawn, len(x), share)
    if not len(rows):
        return x
    side = x.shape[-1]
    more = -side % 8
    part = functional.pad(x[rows].clamp(0, 1), (0, more, 0, more), mode="replicate")
    blue, red, luma = part[:, 2], part[:, 0], torch.einsum("bchw,c->bhw", part, x.new_tensor(_LUMA))
    planes = torch.stack([luma - 0.5, 0.564 * (blue - luma), 0.713 * (red - luma)], 1) * 255
    blocks = planes.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8)).transpose(-3, -2)
    cosines, steps = _cosines().to(x), x.new_tensor(_JPEG_LUMA)
    quality = _uniform(drawn, len(rows), 0.15, 2.5).to(x)
    scale = quality[:, None] * x.new_tensor([1.0, 1.6, 1.6])
    steps = (steps * scale[..., None, None]).clamp(min=1)[:, :, None, None]
    found = cosines @ blocks @ cosines.T
    blocks = cosines.T @ ((found / steps).round() * steps) @ cosines
    y, cb, cr = (blocks.transpose(-3, -2).flatten(-2).flatten(-3, -2) / 255).unbind(1)
    y = y + 0.5
    part = torch.stack([y + 1.403 * cr, y - 0.344 * cb - 0.714 * cr, y + 1.773 * cb], 1)
    x[rows] = part[..., :side, :side]
    return x


@cache
def _cosines() -> Tensor:
    """(8, 8) the orthonormal cosine transform."""
    n = torch.arange(8.0)
    found = (torch.pi * (n + 0.5) * n[:, None] / 8).cos() * 0.5
    found[0] /= 2**0.5
    return found


def _cut(x: Tensor, share: float, drawn: torch.Generator) -> Tensor:
    """Cut-occlusion (paper, section 3.3): boxes of nothing, then boxes of another crop."""
    rows, size = _some(drawn, len(x), share), x.shape[-1]
    empty, foreign = (_boxes(len(rows), size, drawn).to(x.device) for _ in range(2))
    x[rows] = x[rows].masked_fill_(empty, 0.0)
    x[rows] = torch.where(foreign, x[rows - 1], x[rows])
    return x


def _boxes(count: int, size: int, drawn: torch.Generator) -> Tensor:
    """(B, 1, S, S) bool: in one of three boxes near the middle."""
    shape = (count, _OCCLUDERS, 2)
    centres = size / 2 + size / 6 * torch.randn(shape, generator=drawn)
    halves = torch.randint(*_HALF_SIDES, shape, generator=drawn) * (size / _PUBLISHED_SIZE)
    line = torch.arange(size) + 0.5
    inside = (line - centres[..., None]).abs() < halves[..., None]
    return (inside[:, :, 0, :, None] & inside[:, :, 1, None, :]).any(1, keepdim=True)
