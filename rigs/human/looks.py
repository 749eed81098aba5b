# SPDX-License-Identifier: Apache-2.0
"""Writes the maps of the bundled human: deterministic, from nothing but the CC0 base mesh and masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from hyoid.files import part_file
from PIL import Image

from rigs.human import atlas, hairs, paint_eyes, paint_skin, teeth
from rigs.human.makehuman import Base

OPENNESS_DIRECTIONS = 96


def write(folder: Path, base: Base, read: Callable[[str], bytes], size: int = 2048) -> None:
    """Write every map of the bundled human into ``folder``; the same bytes each time.

    base: the MakeHuman base mesh. read: the bytes of a file of its data. size: of the skin maps, the others follow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_skin(folder, base, read, size)
    save(folder / "eye_colour.jpg", paint_eyes.eye(size // 2, "hazel"), 90)
    save(folder / "eye_brown.jpg", paint_eyes.eye(size // 2, "brown"), 90)
    save(folder / "teeth_colour.jpg", teeth.colour(size // 4), 90)
    save(folder / "tongue_colour.jpg", paint_eyes.tongue(size // 8), 88)
    save(folder / "lashes_colour.png", hairs.lash_card(size // 2), 0)
    save(folder / "brow_colour.png", hairs.brow_card(size // 4), 0)


def write_skin(folder: Path, base: Base, read: Callable[[str], bytes], size: int) -> None:
    """Colour, normal and roughness of the skin."""
    body = (base.faces < atlas.BODY.stop).all(axis=1)
    faces = base.faces[body]
    light = openness(base.vertices, faces)
    uv = atlas.stretch(base.uv)
    extra = np.stack([light, lid_rings(base, body)], axis=1)
    texels = atlas.rasterise(size, uv, base.face_uv[body], faces, base.vertices, extra)
    found = paint_skin.regions(texels, read)
    save(folder / "skin_colour.jpg", atlas.image(texels, paint_skin.colour(texels, found)), 88)
    save(folder / "skin_normal.jpg", paint_skin.normal_map(texels, paint_skin.relief(texels, found)), 88)
    rough = atlas.image(texels, paint_skin.roughness(texels, found)[:, None]).repeat(3, axis=2)
    save(folder / "skin_roughness.jpg", halve(rough), 85)


def lid_rings(base: Base, body: np.ndarray) -> np.ndarray:
    """How many edges each vertex (V,) of the face is away from where the lining of the eyelids begins, at most 8."""
    faces, uv = base.faces[body], base.uv[base.face_uv[body]]
    lining = paint_skin.is_lining(uv.mean(axis=1), base.vertices[faces][..., 1].mean(axis=1))
    rings = np.full(len(base.vertices), 8.0)
    seam = np.intersect1d(faces[lining], faces[~lining])
    rings[seam] = 0.0
    outside = faces[~lining]
    for _ in range(8):
        corners = np.minimum(
            rings[outside], np.minimum(np.roll(rings[outside], 1, 1), np.roll(rings[outside], -1, 1)) + 1
        )
        np.minimum.at(rings, outside, corners)
    return rings


def halve(values: np.ndarray) -> np.ndarray:
    """A map of half the size, each texel the mean of four."""
    height, width, channels = values.shape
    return values.reshape(height // 2, 2, width // 2, 2, channels).mean(axis=(1, 3))


def save(path: Path, values: np.ndarray, quality: int) -> None:
    """Write values (H, W, C) 0..1 as JPEG or, with alpha, as PNG."""
    picture = Image.fromarray(np.round(np.clip(values, 0, 1) * 255).astype(np.uint8))
    with part_file(path) as part:
        if path.suffix == ".png":
            picture.save(part, optimize=True)
        else:
            picture.save(part, quality=quality, subsampling=0 if "normal" in path.name else 2, optimize=True)


def openness(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """How much of the sky above its surface each vertex sees, (V,) 0..1: low in ears, nostrils, mouth and folds."""
    points = [vertices[: faces.max() + 1]]
    for shares in ((0.25, 0.25, 0.25, 0.25), (0.5, 0.5, 0, 0), (0, 0.5, 0.5, 0), (0, 0, 0.5, 0.5), (0.5, 0, 0, 0.5)):
        points.append(np.einsum("k,fkc->fc", shares, vertices[faces]))
    cover = np.concatenate(points)
    normals = atlas.vertex_normals(vertices, faces)
    turns = np.arange(OPENNESS_DIRECTIONS) + 0.5
    heights = 1 - 2 * turns / OPENNESS_DIRECTIONS
    around = np.pi * (1 + 5**0.5) * turns
    sky = np.stack(
        [np.sqrt(1 - heights**2) * np.cos(around), heights, np.sqrt(1 - heights**2) * np.sin(around)], axis=1
    )
    seen = np.zeros(len(vertices))
    total = np.full(len(vertices), 1e-9)
    for direction in sky:
        side = np.cross(direction, (0.0, 1.0, 0.0) if abs(direction[1]) < 0.9 else (1.0, 0.0, 0.0))
        side /= np.linalg.norm(side)
        frame = np.stack([side, np.cross(direction, side)])
        cells = np.floor((cover @ frame.T) / 0.0022).astype(np.int64)
        cells -= cells.min(axis=0)
        width = cells[:, 0].max() + 1
        flat = cells[:, 1] * width + cells[:, 0]
        top = np.full(int(flat.max()) + 1, -np.inf)
        depth = cover @ direction
        np.maximum.at(top, flat, depth)
        own = slice(0, len(points[0]))
        gap = top[flat[own]] - depth[own]
        facing = np.maximum(normals[own] @ direction, 0.0)
        seen[own] += facing * np.exp(-np.maximum(gap - 0.0015, 0.0) / 0.006)
        total[own] += facing
    return smooth(seen / total, faces, 1)


def smooth(values: np.ndarray, faces: np.ndarray, rounds: int) -> np.ndarray:
    """Values (V,) averaged with those of the faces around, ``rounds`` times."""
    for _ in range(rounds):
        sums, counts = np.zeros_like(values), np.zeros_like(values)
        means = values[faces].mean(axis=1)
        for corner in range(4):
            np.add.at(sums, faces[:, corner], means)
            np.add.at(counts, faces[:, corner], 1.0)
        values = np.where(counts > 0, 0.5 * values + 0.5 * sums / np.maximum(counts, 1.0), values)
    return values
