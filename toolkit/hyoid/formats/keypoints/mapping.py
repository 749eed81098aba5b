# SPDX-License-Identifier: Apache-2.0
"""From any layout to the seventeen joints of Human3.6M, as those who learn to lift from motion capture know them.

Spine halfway from pelvis to thorax; thorax where the neck begins; ``neck`` between the ears, where motion capture has
the joint of the head; ``head`` the top of the head.
"""

from __future__ import annotations

import numpy as np

from hyoid.formats.keypoints.layouts import Layout
from hyoid.geometry import human36m

HEAD_TOP = 0.6
"""From the ears to the top of the head, as a share of the way from the middle of the shoulders to the ears: about
0.12 m of 0.20 m on grown people."""

_PELVIS, _SPINE, _THORAX, _NECK, _HEAD = 0, 7, 8, 9, 10
_EARS, _SHOULDERS, _HIPS = ("left ear", "right ear"), ("left shoulder", "right shoulder"), ("left hip", "right hip")
Recipe = dict[str, float]


def _mean(names: tuple[str, ...]) -> Recipe:
    return {name: 1 / len(names) for name in names}


RECIPES: dict[int, tuple[Recipe, ...]] = {
    **{number: ({name: 1.0},) for number, name in enumerate(human36m.NAMES) if not _SPINE <= number <= _HEAD},
    _PELVIS: ({"pelvis": 1.0}, _mean(_HIPS)),
    _THORAX: ({"thorax": 1.0}, {"neck": 1.0}, _mean(_SHOULDERS)),
    _NECK: (
        {"head": 1.0}, _mean(_EARS), {"left ear": 1.0}, {"right ear": 1.0}, {"nose": 1.0},
        {"upper neck": 0.6, "head top": 0.4}, {"neck": 0.5, "head top": 0.5},
    ),
    _HEAD: ({"head top": 1.0},),
}  # fmt: skip
"""For a joint of Human3.6M: sums of a layout's joints with weights, the best first; the first that is all there counts.
A single ear stands for both: from the side they cover each other."""


def to_human36m(layout: Layout, points: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The seventeen joints of Human3.6M, in the order of :data:`hyoid.geometry.human36m.NAMES`.

    A joint that is made of several has the least of their confidences; one that cannot be made is NaN with 0.

    Args:
        points: (N, K, 2), NaN where missing. confidence: (N, K) 0..1, 0 where missing.

    Returns:
        points: (N, 17, 2) in the same unit, NaN where missing. confidence: (N, 17), 0 there.
    """
    assert points.shape == (*confidence.shape, 2)
    assert confidence.shape[1] == layout.count
    place = {name: index for index, name in enumerate(layout.joints)}
    result = np.full((len(points), 17, 2), np.nan)
    sure = np.zeros((len(points), 17))
    for number, recipes in RECIPES.items():
        for recipe in recipes:
            if not set(recipe) <= set(place):
                continue
            indices = [place[name] for name in recipe]
            least = confidence[:, indices].min(1)
            rows = np.flatnonzero((least > 0) & (sure[:, number] == 0))
            weights = np.array(list(recipe.values()))
            result[rows, number] = np.einsum("njk,j->nk", points[rows][:, indices], weights)
            sure[rows, number] = least[rows]
    if layout.name == "human36m17":
        result[:, _SPINE], sure[:, _SPINE] = points[:, _SPINE], confidence[:, _SPINE]
    _fill(result, sure, _SPINE, {_PELVIS: 0.5, _THORAX: 0.5})
    _fill(result, sure, _HEAD, {_NECK: 1 + HEAD_TOP, _THORAX: -HEAD_TOP})
    return result, sure


def _fill(points: np.ndarray, confidence: np.ndarray, number: int, recipe: dict[int, float]) -> None:
    """Make a joint of others of the seventeen where there is none yet."""
    indices, weights = list(recipe), np.array(list(recipe.values()))
    least = confidence[:, indices].min(1)
    rows = np.flatnonzero((least > 0) & (confidence[:, number] == 0))
    points[rows, number] = np.einsum("njk,j->nk", points[rows][:, indices], weights)
    confidence[rows, number] = least[rows]


def feet_of(layout: Layout, points: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Heels and big toes, for the floor and the way that feet point; None when the layout has none.

    Returns:
        points: (N, 2, 2, 2): right and left as in :data:`hyoid.geometry.human36m.LEGS`, then heel and big toe, then x
        and y; NaN where missing. confidence: (N, 2, 2), 0 there.
    """
    names = [f"{side} {part}" for side in ("right", "left") for part in ("heel", "big toe")]
    if not set(names) <= set(layout.joints):
        return None
    indices = [layout.joints.index(name) for name in names]
    return points[:, indices].reshape(-1, 2, 2, 2), confidence[:, indices].reshape(-1, 2, 2)
