# SPDX-License-Identifier: Apache-2.0
"""Telling moments of a take: the frames that show whether a performance is good."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from hyoid.take import Take

LIPS_CLOSE = ("M", "B", "P")
WIDE = ("AA", "AE", "AH", "AY", "AW", "AO", "EH", "IY")
ROUND = ("UW", "OW", "W", "OY", "UH", "AO", "SH", "ZH")


@dataclass(frozen=True)
class Moment:
    """A frame and what it shows; ``frame`` is None for the character at rest."""

    frame: int | None
    title: str


def find(take: Take) -> list[Moment]:
    """Rest, closed lips (m, b, p), a wide vowel, a rounded sound, the farthest head turn, a swallow or a blink.

    What a take does not have is left out.
    """
    jaw, pucker = take.curve("jawOpen"), np.maximum(take.curve("mouthPucker"), take.curve("mouthFunnel"))
    blink = np.maximum(take.curve("eyeBlinkLeft"), take.curve("eyeBlinkRight"))
    found = [Moment(None, "rest")]
    found += _phone(take, "lips closed", LIPS_CLOSE, lambda frame: take.curve("mouthClose")[frame] - blink[frame])
    found += _phone(take, "wide vowel", WIDE, lambda frame: jaw[frame] - pucker[frame] - blink[frame])
    found += _phone(take, "rounded", ROUND, lambda frame: pucker[frame] - blink[frame])
    angle = head_angle(take)
    if angle.max(initial=0) > 1:
        frame = int(np.argmax(angle - 20 * blink))
        found.append(Moment(frame, f"head turned {angle[frame]:.0f}°  {frame / take.fps:.2f} s"))
    swallow = take.curve("swallow")
    if swallow.max(initial=0) > 0.3:
        found.append(_at(take, int(np.argmax(swallow)), "swallow"))
    elif blink.max(initial=0) > 0.5:
        found.append(_at(take, int(np.argmax(blink)), "blink"))
    return found


def telling_frame(take: Take) -> int:
    """The frame with the widest open mouth between blinks."""
    blink = np.maximum(take.curve("eyeBlinkLeft"), take.curve("eyeBlinkRight"))
    return int(np.argmax(take.curve("jawOpen") - blink))


def head_angle(take: Take) -> np.ndarray:
    """(frames,) degrees: how far the head has turned against its mean direction, all neck joints together."""
    from hyoid.geometry.rotations import multiply

    total = np.zeros((take.frames, 4))
    total[:, 0] = 1
    for index, name in enumerate(take.joint_names):
        if name in _NECK:
            total = multiply(total, take.rotations[:, index].astype(np.float64))
    return np.degrees(2 * np.arccos(np.clip(np.abs(total[:, 0]), 0, 1)))


_NECK = ("c7t1", "c6c7", "c5c6", "c4c5", "c3c4", "c2c3", "c1c2", "oc1", "neck", "head")


def _phone(take: Take, title: str, names: Iterable[str], score: Callable[[int], float]) -> list[Moment]:
    """The best-scoring middle of a phone with one of these names (stress digits do not count)."""
    best: tuple[float, int, str] | None = None
    for event in take.events:
        name = event.name.rstrip("012").upper()
        if event.kind != "phone" or name not in names:
            continue
        frame = min(round((event.start + event.end) / 2 * take.fps), take.frames - 1)
        value = float(score(frame))
        if best is None or value > best[0]:
            best = value, frame, name
    return [_at(take, best[1], f"{title} ({best[2]})")] if best else []


def _at(take: Take, frame: int, title: str) -> Moment:
    return Moment(frame, f"{title}  {frame / take.fps:.2f} s")
