# SPDX-License-Identifier: Apache-2.0
"""Heads as a table, one row a head: for spreadsheets and simple scripts."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from hyoid.files import write_bytes
from hyoid.geometry import head_angles
from hyoid.motion.heads import HeadShot

COLUMNS = (
    "picture", "frame", "time", "id", "person", "seen", "left", "top", "right", "bottom", "confidence",
    "pitch", "yaw", "roll", "entropy",
)  # fmt: skip


def write(path: Path, shot: HeadShot) -> None:
    """Write all heads of a shot; equal shots give equal bytes.

    Pixels, seconds and degrees; ``time``, ``entropy`` and ``id`` are empty where there is none. ``seen`` is 0 in gaps.

    Raises:
        OutputError: see :func:`hyoid.files.part_file`.
    """
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(COLUMNS)
    angles, names = head_angles.angles(shot.heads.rotations), shot.names
    for row in range(len(shot.heads)):
        head = shot.heads[row]
        number, who = int(head.picture), int(head.ids)
        picture = shot.pictures[number]
        table.writerow([
            picture.name, number, "" if picture.time is None else f"{picture.time:.6f}", who or "",
            names.get(who, ""), int(head.seen), *(f"{value:.2f}" for value in head.boxes),
            f"{float(head.confidence):.4f}", *(f"{value:.3f}" for value in angles[row]),
            f"{float(head.entropy):.4f}" if np.isfinite(head.entropy) else "",
        ])  # fmt: skip
    write_bytes(path, stream.getvalue().encode())
