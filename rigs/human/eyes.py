# SPDX-License-Identifier: Apache-2.0
"""The eyes of the bundled human: :mod:`hyoid.characters.lent.eyes` bound to six vertices of the data's own eyeball.

So they follow every identity linearly.
"""

from __future__ import annotations

import numpy as np
from hyoid.characters.lent.eyes import CORNEA_BULGE, LIMBUS, PUPIL, SEGMENTS, cornea, inner

__all__ = ["CORNEA_BULGE", "LIMBUS", "PUPIL", "SEGMENTS", "bind", "cornea", "inner"]


def bind(points: np.ndarray, ball: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights that place unit-frame points by vertices of the data's eyeball, linearly.

    Args:
        points: (n, 3) unit frame. ball: (m, 3) the eyeball's vertices at the identity in which it is a sphere.

    Returns:
        chosen: (6,) rows of ``ball`` (its extremes along the axes); weights: (n, 6), rows sum to 1.
    """
    centre = 0.5 * (ball.min(0) + ball.max(0))
    radius = 0.5 * (ball[:, 2].max() - ball[:, 2].min())
    unit = (ball - centre) / radius
    directions = np.concatenate([np.eye(3), -np.eye(3)])
    chosen = np.array([int(np.argmax(unit @ direction)) for direction in directions])
    system = np.concatenate([np.ones((1, 6)), unit[chosen].T])
    wanted = np.concatenate([np.ones((1, len(points))), points.T])
    return chosen, (np.linalg.pinv(system) @ wanted).T
