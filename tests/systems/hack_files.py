# SPDX-License-Identifier: Apache-2.0
"""A model folder in the published layout, made of a tube: small, or of the full 14 062 vertices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from hyoid.systems.hack import EXPRESSIONS, checkpoint
from PIL import Image

NAMES = ("c7t1", "c6c7", "c5c6", "c4c5", "c3c4", "c2c3", "c1c2", "oc1")
RING = 79  # 79 x 178 = 14 062, the published number of vertices


def tube(rings: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (79 n, 3) in centimetres, faces (m, 4), uv, face_uv of an open tube with a seam at the back."""
    turn = 2 * np.pi * np.arange(RING) / RING + np.pi  # the first column is at the back
    height = np.linspace(-19, 14, rings)
    wide = 5 + 4 / (1 + np.exp(-(height + 7)))
    circle = np.stack([np.sin(turn), 0 * turn, np.cos(turn)], -1)
    vertices = (wide[:, None, None] * circle + height[:, None, None] * [0, 1, 0]).reshape(-1, 3)
    column, row = np.meshgrid(np.arange(RING), np.arange(rings - 1))
    corners = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)]
    faces = np.stack([(r * RING + c % RING).ravel() for r, c in corners], -1)
    face_uv = np.stack([(r * (RING + 1) + c).ravel() for r, c in corners], -1)
    u, v = np.meshgrid(np.linspace(0, 1, RING + 1), np.linspace(0.01, 0.99, rings))
    return vertices, faces, np.stack([u.ravel(), v.ravel()], -1), face_uv


def bones() -> dict:
    """Eight bones with tilted axes; the last one points to the front, as the published one does."""

    def tilt(degrees: float) -> list[list[float]]:
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return [[1, 0, 0], [0, c, -s], [0, s, c]]

    table = {}
    for index, name in enumerate(NAMES):
        table[name] = {
            "matrix": tilt((15, -3, -2, -3, -5, -15, 14, 88)[index]),
            "head": [0, -12.2, -1.5] if index == 0 else [0, 0, 0],
            "tail": [0, 0, 0], "length": 10.0 if index == 7 else 1.6,
            "parent": NAMES[index - 1] if index else None,
        }  # fmt: skip
    return table


def write(folder: Path, rings: int = 12, modes: int = 3, seed: int = 0, big: bool = True) -> Path:
    """Write the folder; ``big``: with S, E, P and blendshape."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    vertices, faces, uv, face_uv = tube(rings)
    count = len(vertices)
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    lines += [f"vt {u!r} {v!r}" for u, v in uv.tolist()]
    pairs = np.stack([faces, face_uv], -1) + 1
    lines += ["f " + " ".join(f"{v}/{t}" for v, t in face) for face in pairs.tolist()]
    (folder / checkpoint.MESH).write_text("\n".join([*lines, ""]))
    (folder / checkpoint.BONES).write_text(json.dumps(bones()))
    level = np.interp(vertices[:, 1], [-13, -1], [0, 7])
    weights = np.maximum(1 - np.abs(level - np.arange(8)[:, None]) / 2, 0) * random.uniform(0.5, 1.4, count)
    np.save(folder / checkpoint.WEIGHTS, weights)
    np.save(folder / checkpoint.DIRECTION, np.array([0, -0.45, 0.89], np.float32))
    y, x = np.mgrid[:256, :256]
    blob = np.exp(-(((x - 127) / 14) ** 2) - ((y - 185) / 16) ** 2)
    Image.fromarray((230 * np.where(blob > 0.02, blob, 0)).astype(np.uint8)).save(folder / checkpoint.MAP)
    if big:
        write_big(folder, vertices, modes, random)
    return folder


def write_big(folder: Path, vertices: np.ndarray, modes: int, random: np.random.Generator) -> None:
    """The four large files: smooth random fields, expressions on the upper half only."""
    count = len(vertices)

    def fields(*shape: int, scale: float) -> np.ndarray:
        waves = random.normal(0, 0.4, (3, int(np.prod(shape))))
        smooth = np.sin(vertices @ waves + random.uniform(0, 6, waves.shape[1]))
        along = random.normal(0, scale, (int(np.prod(shape)), 3))
        return (smooth.T[:, :, None] * along[:, None]).reshape(*shape, count, 3).astype(np.float32)

    face = (vertices[:, 1] > -6)[:, None]
    expressions = fields(len(EXPRESSIONS), scale=0.3) * face
    spaces = {
        "S": (vertices.astype(np.float32), fields(modes, scale=0.4)),
        "E": (expressions, fields(1, len(EXPRESSIONS), scale=0.02)),
        "P": (fields(8, 3, 3, scale=0.4), np.zeros((0, 8, 3, 3, count, 3), np.float32)),
    }
    for name, (mean, change) in spaces.items():
        np.save(folder / f"{name}.npy", np.array({"mean": mean, "VT_std": change}, dtype=object))
    absolute = np.concatenate([np.zeros((1, count, 3)), 0.5 * expressions]) + vertices
    np.save(folder / checkpoint.BLENDSHAPES, absolute.astype(np.float32))
