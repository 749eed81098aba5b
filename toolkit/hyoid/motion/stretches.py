# SPDX-License-Identifier: Apache-2.0
"""A long clip cut into stretches that overlap, each worked on alone, and joined where neighbours agree best.

What smooths and plants feet looks some seconds around each frame, so a stretch with as much of its neighbours as that
is worked on as it would be in the whole clip. The memory of the work is that of one stretch.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

WHOLE = 9000
"""Frames up to which a clip is one stretch."""
_CORE = 6000  # frames of a stretch without what it shares with its neighbours, at least
_AROUND = 10.0  # seconds before and after its core that a stretch sees
_OVER = 4  # cores are so many times as long as that: at high frame rates little is done twice
_FADE = 0.5  # seconds over which one stretch passes into the next
_SAMPLES, _SAMPLE = 12, 15.0  # stretches, and seconds of each, that stand for a long clip


def of(frames: int, fps: float) -> list[tuple[int, int]]:
    """First frame and end of each stretch of a clip; neighbours share twice :data:`_AROUND` seconds."""
    around = round(_AROUND * fps)
    core = max(_CORE, _OVER * around)
    count = 1 if frames <= WHOLE else max(1, round(frames / core))
    edges = np.linspace(0, frames, count + 1).round().astype(int).tolist()
    return [(max(0, edges[k] - around), min(frames, edges[k + 1] + around)) for k in range(count)]


def samples(seen: np.ndarray, fps: float) -> list[tuple[int, int]]:
    """Short stretches that stand for a long clip: spread over the frames in which somebody was seen (F,) bool."""
    length = min(round(_SAMPLE * fps), len(seen))
    places = np.flatnonzero(seen)
    middles = places[((np.arange(_SAMPLES) + 0.5) / _SAMPLES * len(places)).astype(int)]
    starts = sorted({int(np.clip(middle - length // 2, 0, len(seen) - length)) for middle in middles})
    return [(start, start + length) for start in starts]


def seam(before: np.ndarray, after: np.ndarray, fps: float) -> tuple[int, np.ndarray]:
    """Where one stretch passes into the next, by points (n, k, 3) of both in the frames that they share.

    Returns:
        The first frame in which the later one counts, and its share (m,) from there on; it counts in full after that.
        Near the ends of what they share one of the two knows too little of what is beyond.
    """
    count = len(before)
    length = max(2, min(round(_FADE * fps), count // 2))
    away = ((before - after) ** 2).sum(-1).mean(-1)
    total = uniform_filter1d(away, length, mode="nearest", origin=-(length // 2))[: count - length + 1]
    low = (count - length) // 4
    first = low + int(np.argmin(total[low : count - length - low + 1]))
    rising = (np.arange(length) + 1) / (length + 1)
    return first, rising * rising * (3 - 2 * rising)
