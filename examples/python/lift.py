# SPDX-License-Identifier: Apache-2.0
"""Keypoints lifted to three dimensions: python examples/python/lift.py KEYPOINTS OUT.npy

KEYPOINTS is what a detector wrote and states the size of its picture. `hyoid lift` does this and more: people over
time, gaps, the ground, planted feet, an armature (docs/lift.md).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from hyoid.errors import InputError
from hyoid.formats import keypoints
from hyoid.motion import gap_filling
from hyoid.systems.hopfir import checkpoint, infer


def main(source: Path, out: Path) -> None:
    """Lift every detection on its own, and write the joints as one array (N, 17, 3), metres, camera axes."""
    found = keypoints.read(source)
    points, _ = keypoints.to_human36m(found.layout, found.points, found.confidence)
    lifter = infer.load(checkpoint.find())
    if found.width is None or found.height is None:
        raise InputError("does not say how large the pictures are", path=source)
    joints = infer.lift(lifter, gap_filling.complete(points), found.width, found.height)
    np.save(out, joints)
    tall = np.median(np.linalg.norm(joints[:, 10] - joints[:, [3, 6]].mean(1), axis=-1))
    sys.stdout.write(f"{len(joints)} poses ({found.reason}); about {tall:.2f} m from ankles to the top of the head\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
