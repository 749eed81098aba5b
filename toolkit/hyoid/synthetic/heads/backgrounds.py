# SPDX-License-Identifier: Apache-2.0
"""Backgrounds from nothing: rooms, streets, foliage, skies, clutter; (H, W, 3) float32 0..1, display values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.spatial import KDTree

from hyoid.synthetic.heads.settings import Settings

_SKIN = np.array([0.86, 0.66, 0.55])


def background(random: np.random.Generator, width: int, height: int, settings: Settings) -> np.ndarray:
    """A random background; each domain has kinds of its own, and others for what is held out."""
    kinds = _HELD_OUT if settings.held_out else _USUAL
    if settings.domain == "shifted":
        kinds = _SHIFTED_HELD_OUT if settings.held_out else _SHIFTED
    image = kinds[random.integers(len(kinds))](random, width, height)
    soft = random.random()
    if soft < 0.6:
        radius = float(random.exponential(0.02) * width)
        image = image.filter(ImageFilter.GaussianBlur(min(radius, 0.08 * width)))
    values = np.asarray(image, np.float32) / 255
    gain = np.float32(np.exp(random.normal(-0.1, 0.35)))
    return np.clip(values * gain, 0, 1)


def _colour(random: np.random.Generator, grey: float = 0.5) -> tuple[int, int, int]:
    level = random.beta(1.2, 1.2)
    values = level + (1 - grey) * random.normal(0, 0.18, 3)
    if random.random() < 0.12:
        values = _SKIN * random.uniform(0.4, 1.1)
    return _shown(values)


def _shown(values: np.ndarray) -> tuple[int, int, int]:
    """A colour (3,) as bytes."""
    red, green, blue = (int(v) for v in np.clip(255 * values, 0, 255))
    return red, green, blue


def _noise(random: np.random.Generator, width: int, height: int, cells: float, octaves: int = 4) -> np.ndarray:
    """Smooth noise (H, W) 0..1 of several scales; ``cells``: the coarsest number of cells across."""
    total = np.zeros((height, width), np.float32)
    scale, weight = max(cells, 1.0), 1.0
    for _ in range(octaves):
        columns, rows = min(int(scale) + 2, width), min(int(scale * height / width) + 2, height)
        small = Image.fromarray(random.integers(0, 256, (rows, columns), np.uint8))
        total += weight * np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.float32)
        scale, weight = scale * 2.1, weight * 0.55
    low, high = total.min(), total.max()
    return (total - low) / max(high - low, 1e-6)


def _blend(low: tuple[int, int, int], high: tuple[int, int, int], share: np.ndarray) -> Image.Image:
    values = np.array(low) + share[..., None] * (np.array(high) - np.array(low))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _gradient(random: np.random.Generator, width: int, height: int) -> Image.Image:
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:height, :width]
    share = (np.cos(angle) * x / width + np.sin(angle) * y / height + 1) / 2
    share = share + 0.05 * _noise(random, width, height, 3)
    return _blend(_colour(random), _colour(random), np.clip(share, 0, 1))


def _wall(random: np.random.Generator, width: int, height: int) -> Image.Image:
    image = _gradient(random, width, height)
    draw = ImageDraw.Draw(image, "RGBA")
    if random.random() < 0.6:
        floor = int(height * random.uniform(0.6, 1.1))
        draw.rectangle((0, floor, width, floor + height), fill=_colour(random))
    for _ in range(int(random.integers(1, 9))):
        _furniture(random, draw, width, height)
    return image


def _furniture(random: np.random.Generator, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    x, y = random.uniform(-0.2, 1, 2) * (width, height)
    w, h = random.uniform(0.08, 0.6, 2) * (width, height)
    kind = random.integers(5)
    if kind == 0:  # a window or a picture
        draw.rectangle(
            (x, y, x + w, y + h), fill=_colour(random), outline=_colour(random), width=max(1, int(0.02 * width))
        )
        bright = tuple(int(v) for v in random.uniform(180, 255, 3))
        draw.rectangle(
            (x + 0.1 * w, y + 0.1 * h, x + 0.9 * w, y + 0.9 * h),
            fill=bright if random.random() < 0.5 else _colour(random),
        )
        draw.line((x + w / 2, y, x + w / 2, y + h), fill=_colour(random), width=max(1, int(0.012 * width)))
    elif kind == 1:  # a shelf with books
        draw.rectangle((x, y, x + w, y + h), fill=_colour(random))
        for row in np.linspace(y, y + h, int(random.integers(2, 5)))[:-1]:
            at = x
            while at < x + w:
                book = random.uniform(0.01, 0.04) * width
                draw.rectangle(
                    (at, row + random.uniform(0, 0.05) * h, at + book, row + 0.22 * h), fill=_colour(random, 0.2)
                )
                at += book
    elif kind == 2:  # a lamp
        r = random.uniform(0.02, 0.09) * width
        glow = (255, int(random.integers(200, 256)), int(random.integers(140, 256)))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=glow)
    elif kind == 3:  # a curtain
        for at in np.arange(x, x + w, max(2.0, 0.03 * width)):
            shade = int(random.integers(40, 220))
            draw.rectangle((at, 0, at + 0.02 * width, height), fill=(shade, shade, int(shade * 0.9), 160))
    else:
        draw.rectangle((x, y, x + w, y + h), fill=_colour(random))


def _clutter(random: np.random.Generator, width: int, height: int) -> Image.Image:
    image = _gradient(random, width, height)
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(int(random.integers(8, 50))):
        x, y = random.uniform(-0.1, 1.1, 2) * (width, height)
        size = random.exponential(0.12) * width + 2
        kind = random.integers(4)
        box = (x - size, y - size * random.uniform(0.3, 1.5), x + size, y + size * random.uniform(0.3, 1.5))
        if kind == 0:
            draw.ellipse(box, fill=_colour(random, 0.3))
        elif kind == 1:
            draw.rectangle(box, fill=_colour(random, 0.3))
        elif kind == 2:
            corners = [(x + size * c, y + size * s) for c, s in random.normal(0, 1, (int(random.integers(3, 7)), 2))]
            draw.polygon(corners, fill=_colour(random, 0.3))
        else:
            points = [(x + size * c, y + size * s) for c, s in random.normal(0, 2, (3, 2))]
            draw.line(points, fill=_colour(random, 0.3), width=max(1, int(0.1 * size)))
    return image


def _foliage(random: np.random.Generator, width: int, height: int) -> Image.Image:
    base = np.array([0.25, 0.42, 0.12]) * random.uniform(0.3, 1.5) + random.normal(0, 0.05, 3)
    share = _noise(random, width, height, random.uniform(5, 25), 5) ** 1.6
    return _blend(_shown(0.25 * base), _shown(random.uniform(1.2, 2.4) * base), share)


def _sky(random: np.random.Generator, width: int, height: int) -> Image.Image:
    clouds = _noise(random, width, height, random.uniform(2, 6), 5)
    blue = _shown(np.array([0.35, 0.55, 0.84]) * random.uniform(0.5, 1.15))
    image = _blend(blue, (245, 245, 245), np.clip((clouds - random.uniform(0.2, 0.7)) * 3, 0, 1))
    draw = ImageDraw.Draw(image)
    horizon = height * random.uniform(0.4, 1.1)
    at = -0.1 * width
    while at < width:  # houses or hills
        wide, tall = random.uniform(0.1, 0.4) * width, random.uniform(0.0, 0.5) * height
        colour = _colour(random)
        draw.rectangle((at, horizon - tall, at + wide, horizon + height), fill=colour)
        for y in np.arange(horizon - tall + 3, horizon, max(4.0, 0.08 * height)):
            for x in np.arange(at + 3, at + wide - 3, max(4.0, 0.07 * width)):
                shade = int(random.integers(30, 230))
                draw.rectangle((x, y, x + 0.03 * width, y + 0.04 * height), fill=(shade, shade, shade))
        at += wide + random.uniform(-0.05, 0.1) * width
    ground = _colour(random)
    draw.rectangle((0, horizon + 0.1 * height, width, horizon + height), fill=ground)
    return image


def _texture(random: np.random.Generator, width: int, height: int) -> Image.Image:
    share = _noise(random, width, height, random.uniform(1.5, 40), int(random.integers(1, 6)))
    return _blend(_colour(random, 0.3), _colour(random, 0.3), share)


def _plain(random: np.random.Generator, width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), _colour(random, 0.7))


def _stripes(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """Blinds, planks, bricks."""
    image = Image.new("RGB", (width, height), _colour(random))
    draw = ImageDraw.Draw(image)
    step, gap = random.uniform(0.03, 0.2) * height, max(1.0, random.uniform(0.003, 0.03) * height)
    long = random.uniform(0.1, 2) * width
    line, tone = _colour(random), np.array(_colour(random))
    for number, y in enumerate(np.arange(-step, height, step)):
        for x in np.arange(-long * random.random() - (number % 2) * long / 2, width, long):
            shade = tuple(int(v) for v in np.clip(tone * random.uniform(0.8, 1.15), 0, 255))
            draw.rectangle((x, y, x + max(long - gap, 1), y + max(step - gap, 1)), fill=shade, outline=line)
    return image.rotate(float(random.choice([0, 0, 90, random.uniform(-20, 20)])), resample=Image.Resampling.BILINEAR)


def _lights(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """A stage or a street at night: discs of light on the dark."""
    dark = _blend((4, 4, 8), _colour(random), 0.4 * _noise(random, width, height, 3, 3))
    draw = ImageDraw.Draw(dark, "RGBA")
    for _ in range(int(random.integers(5, 45))):
        x, y = random.uniform(0, 1, 2) * (width, height)
        r = random.uniform(0.005, 0.07) * width
        red, green, blue = (int(v) for v in random.uniform(60, 255, 3))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(red, green, blue, int(random.integers(60, 255))))
    return dark


def _waves(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """Folds of cloth, water, hills: bands that bend."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / width
    bend = _noise(random, width, height, random.uniform(1, 5), 3) * random.uniform(0.5, 4)
    angle = random.uniform(0, np.pi)
    share = 0.5 + 0.5 * np.sin((np.cos(angle) * x + np.sin(angle) * y) * random.uniform(10, 90) + 3 * bend)
    return _blend(_colour(random), _colour(random), share ** random.uniform(0.5, 2))


def _cells(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """Stones, leaves, panes: each pixel has the colour of the nearest of many points."""
    points = random.uniform(0, 1, (int(random.integers(12, 220)), 2)) * [height, width]
    grid = np.indices((height, width)).reshape(2, -1).T
    found = KDTree(points).query(grid, 2)
    far, near = np.asarray(found[0]), np.asarray(found[1])
    base, spread = random.uniform(0.1, 0.8, 3), random.uniform(0.03, 0.3)
    colours = np.clip(
        base + spread * random.standard_normal((len(points), 1)) + 0.04 * random.standard_normal((len(points), 3)), 0, 1
    )
    gap = random.uniform(0, 0.012) * width
    values = colours[near[:, 0]] * np.where(far[:, 1] - far[:, 0] < gap, 0.35, 1)[:, None]
    return Image.fromarray((255 * values).astype(np.uint8).reshape(height, width, 3))


def _crowd(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """Far blurred people: ovals of skin and hair over blocks of cloth."""
    image = _gradient(random, width, height)
    draw = ImageDraw.Draw(image)
    size = random.uniform(0.04, 0.18) * width
    for _ in range(int(random.integers(4, 22))):
        x, y, r = random.uniform(0, width), random.uniform(0.1, 1) * height, size * random.uniform(0.7, 1.3)
        skin = tuple(int(v) for v in np.clip(255 * _SKIN * random.uniform(0.2, 1.05), 0, 255))
        draw.ellipse((x - 2.2 * r, y + 1.1 * r, x + 2.2 * r, y + 6 * r), fill=_colour(random))
        draw.ellipse((x - r, y - 1.3 * r, x + r, y + 1.3 * r), fill=_colour(random) if random.random() < 0.3 else skin)
        draw.pieslice((x - 1.05 * r, y - 1.4 * r, x + 1.05 * r, y + 1.2 * r), 180, 360, fill=(25, 18, 14))
    return image.filter(ImageFilter.GaussianBlur(float(0.25 * size)))


_Kind = Callable[[np.random.Generator, int, int], Image.Image]
_USUAL: tuple[_Kind, ...] = (_wall, _wall, _clutter, _foliage, _sky, _gradient, _plain, _texture)
_HELD_OUT: tuple[_Kind, ...] = (_stripes, _crowd)
_SHIFTED: tuple[_Kind, ...] = (_lights, _waves)
_SHIFTED_HELD_OUT: tuple[_Kind, ...] = (_cells,)
