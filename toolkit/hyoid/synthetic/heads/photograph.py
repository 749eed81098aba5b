# SPDX-License-Identifier: Apache-2.0
"""What a camera does to a picture: lights, exposure, colour, lens, motion, sensor, codec; and things in front."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from hyoid.synthetic.heads.drawing import Lights
from hyoid.synthetic.heads.settings import Settings

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def lights(random: np.random.Generator, up: np.ndarray, settings: Settings) -> Lights:
    """Random lights around a head: soft rooms, suns, one-sided lamps, light from behind, low and high keys."""
    kind = random.choice(
        5, p=[0.46, 0.22, 0.13, 0.12, 0.07] if settings.domain == "usual" else [0.1, 0.1, 0.3, 0.25, 0.25]
    )
    directions = random.standard_normal((3, 3))
    directions[:, 2] = np.abs(directions[:, 2]) * 0.8
    directions += 0.9 * up
    colours = np.zeros((3, 3))
    sky = _tint(random, 0.05) * random.uniform(0.35, 0.8)
    ground = sky * _tint(random, 0.06) * random.uniform(0.3, 0.8)
    if kind == 0:  # a bright room: one wide light and much of the sky
        colours[0] = _tint(random, 0.06) * random.uniform(0.5, 1.1)
        colours[1] = _tint(random, 0.06) * random.uniform(0.0, 0.5)
        sky *= 1.2
    elif kind == 1:  # the sun
        colours[0] = np.array([1.0, 0.95, 0.86]) * random.uniform(1.4, 2.8)
        sky = np.array([0.85, 0.95, 1.1]) * random.uniform(0.2, 0.6)
    elif kind == 2:  # one side
        directions[0] = [
            random.choice([-1.0, 1.0]) * random.uniform(0.7, 1.5),
            random.uniform(-0.2, 0.8),
            random.uniform(-0.5, 0.5),
        ]
        colours[0] = _tint(random, 0.1) * random.uniform(1.2, 2.6)
        sky, ground = sky * random.uniform(0.1, 0.5), ground * random.uniform(0.1, 0.5)
    elif kind == 3:  # from behind
        directions[0] = [random.normal(0, 0.7), random.uniform(0.1, 1), -random.uniform(0.5, 1.2)]
        colours[0] = _tint(random, 0.08) * random.uniform(1.5, 3.5)
        sky, ground = sky * random.uniform(0.4, 0.9), ground * 0.8
    else:  # coloured lamps
        colours = np.stack([_tint(random, 0.35) * random.uniform(0.2, 1.3) for _ in range(3)])
        directions[1, 2] *= -1
        sky, ground = sky * 0.4, ground * 0.4
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    made = Lights(directions, colours, sky, ground, up, 1.0, float(random.uniform(0.4, 1.0)))
    return replace(made, exposure=_exposure(random, made))


def _tint(random: np.random.Generator, spread: float) -> np.ndarray:
    return np.exp(random.normal(0, spread, 3) + np.array([0.5, 0, -0.5]) * random.normal(0, 2 * spread))


def _exposure(random: np.random.Generator, made: Lights) -> float:
    """What brings a surface of middle brightness, turned a little towards the viewer, near its usual place."""
    normals = np.array([[0, 0, 1.0], [0.6, 0.3, 0.74], [-0.6, 0.3, 0.74]])
    arriving = np.maximum(normals @ made.directions.T, 0) @ made.colours + 0.4 * (made.sky + made.ground)
    level = float(0.6 * arriving.mean(1).mean() + 0.4 * arriving.mean(1).max())
    return 0.85 / max(level, 0.12) * float(np.exp(random.normal(0, 0.33)))


def in_front(random: np.random.Generator, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Draw things before heads into ``image`` (H, W, 3) 0..1 in place; returns (H, W) bool where they are."""
    height, width = image.shape[:2]
    layer = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(layer)
    for box in boxes:
        size = 0.5 * (box[2] - box[0] + box[3] - box[1])
        middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
        away = random.standard_normal(2)
        at = middle + size * random.uniform(0.3, 0.75) * away / np.linalg.norm(away)
        half = size * random.uniform(0.1, 0.5, 2)
        kind = random.integers(4)
        if kind == 0:
            draw.ellipse((*(at - half), *(at + half)), fill=255)
        elif kind == 1:
            draw.polygon([tuple(at + size * 0.4 * p) for p in random.standard_normal((5, 2))], fill=255)
        elif kind == 2:
            end = at + 3 * size * random.standard_normal(2)
            draw.line([tuple(at), tuple(end)], fill=255, width=max(1, int(size * random.uniform(0.03, 0.25))))
        else:
            draw.rectangle((*(at - half), *(at + half)), fill=255)
    soft = layer.filter(ImageFilter.GaussianBlur(float(random.exponential(0.008) * width)))
    cover = np.asarray(soft, np.float32)[..., None] / 255
    tone = random.uniform(0, 1, 3).astype(np.float32)
    if random.random() < 0.35:
        tone = np.array([0.85, 0.62, 0.5], np.float32) * np.float32(random.uniform(0.3, 1.1))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    shade = 0.8 + 0.3 * np.sin(x * random.uniform(0, 0.2) + y * random.uniform(0, 0.2) + random.uniform(0, 6))
    image += cover * (np.clip(tone * shade[..., None], 0, 1) - image)
    return cover[..., 0] > 0.5


def photograph(random: np.random.Generator, image: np.ndarray, settings: Settings, head: float) -> np.ndarray:
    """The picture (H, W, 3) uint8 that a camera makes of (H, W, 3) float32 0..1; ``head``: pixels of a usual head."""
    if settings.clean:
        return (255 * image.clip(0, 1) + 0.5).astype(np.uint8)
    shifted = settings.domain == "shifted"
    image = _colours(random, image, shifted)
    image = _optics(random, image, head, shifted)
    noise = random.random()
    if noise < 0.7:
        height, width = image.shape[:2]
        spread = float(random.exponential(0.016 if not shifted else 0.022))
        grain = random.standard_normal((height, width, 3), np.float32)
        if random.random() < 0.4:
            grain = np.repeat(grain[..., :1], 3, 2)
        image = image + np.float32(min(spread, 0.1)) * grain * (0.5 + np.sqrt(image.clip(0, 1)))
    pixels = (255 * image.clip(0, 1) + 0.5).astype(np.uint8)
    if random.random() < 0.75:
        store = io.BytesIO()
        Image.fromarray(pixels).save(store, "JPEG", quality=int(random.integers(30, 96)))
        pixels = np.asarray(Image.open(store))
    return pixels


def _colours(random: np.random.Generator, image: np.ndarray, shifted: bool) -> np.ndarray:
    """Exposure, contrast, cast, saturation, vignetting."""
    wide = 1.8 if shifted else 1.0
    gain = np.exp(random.normal(0, 0.05 * wide, 3)).astype(np.float32) * np.float32(np.exp(random.normal(0.05, 0.13)))
    bent = np.float32(np.exp(random.normal(0, 0.16 * wide)))
    image = (image * gain).clip(0, 1) ** bent
    contrast = np.float32(np.exp(random.normal(0.05, 0.14 * wide)))
    lift = np.float32(random.normal(0, 0.03))
    image = (image - 0.45) * contrast + 0.45 + lift
    saturation = random.normal(1.0, 0.25 * wide)
    if random.random() < (0.2 if shifted else 0.06):
        saturation = 0.0
    grey = (image @ _LUMA)[..., None]
    image = grey + np.float32(max(saturation, 0)) * (image - grey)
    if random.random() < 0.25:
        height, width = image.shape[:2]
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        image = image * (1 - np.float32(random.uniform(0.05, 0.3)) * (x**2 + y**2).astype(np.float32)[..., None])
    return image.clip(0, 1).astype(np.float32)


def _optics(random: np.random.Generator, image: np.ndarray, head: float, shifted: bool) -> np.ndarray:
    """Low resolution, defocus, motion."""
    height, width = image.shape[:2]
    if random.random() < 0.3:
        target = float(np.exp(random.uniform(np.log(18), np.log(80))))
        share = min(target / head, 1.0)
        pixels = Image.fromarray((255 * image + 0.5).astype(np.uint8))
        small = pixels.resize((max(8, int(width * share)), max(8, int(height * share))), Image.Resampling.BOX)
        way = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.NEAREST)[
            random.choice(3, p=[0.45, 0.45, 0.1])
        ]
        image = np.asarray(small.resize((width, height), way), np.float32) / 255
    if random.random() < 0.35:
        radius = float(random.exponential(0.008 if not shifted else 0.014) * head)
        image = np.stack([ndimage.gaussian_filter(image[..., c], radius, truncate=2.5) for c in range(3)], -1)
    if random.random() < 0.08:
        image = _moved(image, random.uniform(0, np.pi), random.uniform(0.03, 0.12) * head)
    elif random.random() < 0.12:
        soft = np.stack([ndimage.gaussian_filter(image[..., c], 1.0) for c in range(3)], -1)
        image = (image + np.float32(random.uniform(0.3, 1.2)) * (image - soft)).clip(0, 1)
    return image.astype(np.float32)


def _moved(image: np.ndarray, angle: float, length: float) -> np.ndarray:
    """A picture smeared along a line."""
    steps = max(3, int(length))
    offsets = np.round(np.linspace(-0.5, 0.5, steps)[:, None] * length * [np.sin(angle), np.cos(angle)]).astype(int)
    pad = int(np.abs(offsets).max())
    wide = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    height, width = image.shape[:2]
    return np.mean([wide[pad + y : pad + y + height, pad + x : pad + x + width] for y, x in offsets], axis=0)
