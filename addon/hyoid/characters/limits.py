# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take asks of a neck beyond the range of its vertebrae, in words for the artist."""

from __future__ import annotations

from ..toolkit.blender import neck_control
from ..toolkit.take import Take
from . import find


def exceeded(rig: find.Rig, take: Take) -> list[str]:
    """One line for each neck joint that goes beyond its limit; empty when the limits leave the take as it is.

    Raises:
        UsageError: see ``find.facts_of``.
    """
    box = neck_control.box(find.facts_of(rig).neck)
    found = neck_control.beyond(box, take.joint_names, take.rotations)
    return [
        f"{joint} {motion} {abs(angle):.0f} degrees at {frame / take.fps:.2f} s; its limit is {abs(limit):.0f}"
        for joint, (frame, motion, angle, limit) in found.items()
    ]
