# SPDX-License-Identifier: GPL-3.0-or-later
"""A swallow as a few keys on the height of the larynx that an artist can move."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..timeline import fcurves
from ..timeline.frames import scene_rate

PHASES = (0.0, 0.12, 0.42, 0.58, 1.0)
"""Shares of the whole: rest, the dip before it, up, held up, rest again."""

HEIGHTS = (0.0, -3.0, 20.0, 20.0, 0.0)
"""Millimetres. Docs/neck.md: 20 to 25 mm of travel in about a second; the way up takes 0.3 of it."""

_PATH = '["larynx_height"]'


def key(armature: Any, scene: Any, seconds: float, strength: float) -> tuple[float, float]:
    """Key a swallow from the current frame on, on top of where the larynx is then and at its end.

    What the larynx did in between is replaced; the keys are smooth and few, so that they can be dragged.

    Returns:
        First and last frame.
    """
    start = float(scene.frame_current)
    times = np.round(start + np.array(PHASES) * seconds * scene_rate(scene), 2)
    container = fcurves.container_of(armature, f"{armature.name} larynx")
    curve = fcurves.find(armature, _PATH)
    still = np.full(2, float(armature["larynx_height"]))
    around = still if curve is None else fcurves.values_at(curve, times[[0, -1]])
    base = around[0] + (around[1] - around[0]) * np.array(PHASES)
    values = base + strength * np.array(HEIGHTS)
    curve = fcurves.put(container, _PATH, 0, "Controls", times, values)
    for point in curve.keyframe_points:
        if times[0] - 1e-3 <= point.co.x <= times[-1] + 1e-3:
            point.handle_left_type = point.handle_right_type = "AUTO_CLAMPED"
            if point.co.x < times[-1] - 1e-3:
                point.interpolation = "BEZIER"
    curve.update()
    return float(times[0]), float(times[-1])
