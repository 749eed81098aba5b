# SPDX-License-Identifier: Apache-2.0
"""Where the heads in a picture look: python examples/python/headpose.py PICTURE OUT.npy

`hyoid headpose` does this and more: films, people over time, drawings, takes (docs/headpose.md).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from hyoid.geometry import head_angles
from hyoid.media import images
from hyoid.systems.directmhp import checkpoint as detectors
from hyoid.systems.directmhp import infer as detecting
from hyoid.systems.semiuhpe import checkpoint as estimators
from hyoid.systems.semiuhpe import infer as estimating


def main(source: Path, out: Path) -> None:
    """Find heads, tell where each looks in the axes of a camera of 60 degrees, and write the rotations (N, 3, 3)."""
    picture = images.read(source)
    height, width = picture.shape[:2]
    boxes = detecting.detect(detecting.load(detectors.find()), picture).boxes
    if not len(boxes):
        np.save(out, np.zeros((0, 3, 3)))
        sys.stdout.write("no head was found\n")
        return
    found = estimating.estimate(estimating.load(estimators.find()), picture, boxes)
    focal = head_angles.focal_length(width, height, 60)
    rays = head_angles.rays((boxes[:, :2] + boxes[:, 2:]) / 2, focal, (width / 2, height / 2))
    rotations = head_angles.in_camera(found.rotations, rays)
    np.save(out, rotations)
    for (pitch, yaw, roll), entropy in zip(head_angles.angles(rotations), found.entropy, strict=True):
        sys.stdout.write(f"pitch {pitch:.0f} yaw {yaw:.0f} roll {roll:.0f}, entropy {entropy:.1f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
