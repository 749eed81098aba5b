# SPDX-License-Identifier: Apache-2.0
"""The people that lifters are judged by in the benches."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from hyoid.errors import InputError
from hyoid.synthetic import motion_clips
from hyoid.synthetic.motion_clips import Motion


def folder_of(data: Path | None) -> Path:
    """The folder that was named, else ``$HYOID_MOCAP``, else ``shared/data/mocap`` beside the checkout.

    Raises:
        InputError: there is none.
    """
    named = data or os.environ.get("HYOID_MOCAP")
    if named:
        return Path(named)
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "mocap"
    if not (folder / "motion.npz").is_file():
        raise InputError(
            "there is no packed motion", path=folder, hint="Name a folder with --data or in the variable HYOID_MOCAP"
        )
    return folder


def judges(motion: Motion) -> np.ndarray:
    """Clips to be judged by: those of the test subjects in the database that was learned from, of any other all.

    It is that database when test subjects and subjects that are learned from are both in it.
    """
    parts = motion_clips.split(motion)
    learned = [clip for clip in parts.train.tolist() if motion.datasets[clip] == motion_clips.CMU]
    if len(parts.test) and learned:
        return parts.test
    return np.arange(len(motion.names))


def counts(motion: Motion, clips: np.ndarray) -> dict[str, int]:
    """How many clips, subjects and frames."""
    people = {(motion.datasets[clip], motion.subjects[clip]) for clip in clips.tolist()}
    return {
        "clips": len(clips), "subjects": len(people), "frames": int(motion_clips.frames_of(motion, clips).sum())
    }  # fmt: skip
