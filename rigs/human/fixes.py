# SPDX-License-Identifier: Apache-2.0
# pyright: reportArgumentType=false, reportIndexIssue=false
"""What the data's facial shapes need so that each looks right at full weight, and lips that touch at rest.

Everything works on dense offsets (19158, 3) in metres over the base mesh; parity is tested on the raw text data.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree

from rigs.human.makehuman import UNIT, Base, Target

BODY = slice(0, 13380)
JAW_SCALE = 0.75  # the data opens 34 mm at the lips: more than a yawn
PUCKER_SCALE = 1.3
LIP_UPPER, LIP_LOWER = 474, 523  # midline vertices of the lips where they meet
REST_GAP = 0.00062  # metres between the lips of the default adult after subdivision


def dense(target: Target, count: int) -> np.ndarray:
    """A target as offsets of all vertices, metres; eyeballs stay: joints turn them."""
    offsets = np.zeros((count, 3))
    offsets[target.vertices] = UNIT * 1e-3 * target.steps
    offsets[14598:14742] = 0
    return offsets


def fixed(base: Base, faces: dict[str, Target]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The 52 shapes as dense offsets after all fixes, and the offsets that close the lips at rest."""
    shapes = {name: dense(target, len(base.vertices)) for name, target in faces.items()}
    symmetric(base, shapes)
    closing = lip_closing(base, shapes["jawOpen"])
    shapes["jawOpen"] *= JAW_SCALE
    shapes["mouthClose"] = JAW_SCALE * shapes["mouthClose"] + 0.25 * closing
    average = skin_average(base)
    mouth = 0.5 * (base.vertices[LIP_UPPER] + base.vertices[LIP_LOWER])
    for side in ("Left", "Right"):
        smile = soften(shapes[f"mouthSmile{side}"], average, cheek(base, mouth, 1 if side == "Left" else -1))
        shapes[f"mouthSmile{side}"] = 0.9 * smile + 0.3 * shapes[f"cheekSquint{side}"]
        # Lids follow the gaze: the eyeballs are large, so a full turn takes the iris far.
        shapes[f"eyeLookUp{side}"] += 0.35 * shapes[f"eyeWide{side}"]
        shapes[f"eyeLookDown{side}"] += 0.12 * shapes[f"eyeBlink{side}"]
    shapes["mouthPucker"] *= PUCKER_SCALE
    return shapes, closing


def symmetric(base: Base, shapes: dict[str, np.ndarray]) -> None:
    """Make the shapes mirror images of each other, or of themselves, in place; the data is 0.3 mm off."""
    distance, mirror = KDTree(base.vertices).query(base.vertices * [-1, 1, 1])
    paired = (distance < 2e-4) & (mirror[mirror] == np.arange(len(mirror)))
    for name in shapes:
        other = name.replace("Left", "Right")
        if name.endswith("Right") and name.replace("Right", "Left") in shapes:
            continue
        left, right = shapes[name], shapes[other]
        mirrored = right[mirror] * [-1, 1, 1]
        mean = np.where(paired[:, None], 0.5 * (left + mirrored), left)
        shapes[name] = mean
        shapes[other] = np.where(paired[:, None], mean[mirror] * [-1, 1, 1], right)


def lip_closing(base: Base, jaw_open: np.ndarray) -> np.ndarray:
    """Offsets that bring the lips together: the upper down, the lower up, fading away from the line where they meet."""
    vertices = base.vertices
    meeting = 0.5 * (vertices[LIP_UPPER] + vertices[LIP_LOWER])
    away = vertices - meeting
    # Corners of the mouth lie 4 mm deeper per 12 mm of width, the line is level.
    across = np.clip(1 - (np.abs(away[:, 0]) / 0.0215) ** 4, 0, 1)
    height = np.exp(-((away[:, 1] / 0.0065) ** 2))
    depth = 1 / (1 + np.exp(-(away[:, 2] + 0.011 + 9 * away[:, 0] ** 2) / 0.0015))
    # The lower lip follows the jaw, the upper does not: a smooth sign between the two at the corners.
    lower = np.clip(-jaw_open[:, 1] / (-jaw_open[LIP_LOWER, 1] * np.maximum(1 - (away[:, 0] / 0.024) ** 2, 0.25)), 0, 1)
    sign = np.where(lower > 0.5, 1.0, -1.0)
    offsets = np.zeros_like(vertices)
    offsets[BODY, 1] = (0.5 * REST_GAP * sign * across * height * depth)[BODY]
    return offsets


def skin_average(base: Base) -> sparse.csr_matrix:
    """The mean over the neighbours of each vertex of the body (the others keep their value)."""
    faces = base.faces[base.groups == "body"]
    edges = np.concatenate([faces[:, [i, (i + 1) % 4]] for i in range(4)])
    count = len(base.vertices)
    pairs = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    links = sparse.csr_matrix((np.ones(len(pairs)), pairs.T), shape=(count, count))
    degree = np.asarray(links.sum(1)).ravel()
    alone = sparse.diags((degree == 0).astype(float))
    return (sparse.diags(1 / np.maximum(degree, 1)) @ links + alone).tocsr()


def cheek(base: Base, mouth: np.ndarray, side: int) -> np.ndarray:
    """Where a smile may be smoothed, (V,) 0..1: the cheek outside the lips, not the lips themselves."""
    away = (base.vertices - mouth) * [1, 1, 0.6]
    oval = np.hypot(away[:, 0] / 0.028, away[:, 1] / 0.016)
    mask = np.clip((oval - 1.0) / 0.35, 0, 1) * np.exp(-((np.linalg.norm(away, axis=1) / 0.075) ** 6))
    mask *= 1 / (1 + np.exp(-side * base.vertices[:, 0] / 0.004))
    mask[BODY.stop :] = 0
    return mask * mask * (3 - 2 * mask)


def soften(offsets: np.ndarray, average: sparse.csr_matrix, mask: np.ndarray, rounds: int = 14) -> np.ndarray:
    """Offsets smoothed over the skin where ``mask`` is 1."""
    share = 0.6 * mask[:, None]
    for _ in range(rounds):
        offsets = (1 - share) * offsets + share * (average @ offsets)
    return offsets
