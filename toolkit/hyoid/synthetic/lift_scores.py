# SPDX-License-Identifier: Apache-2.0
"""How well a lifter does on clips that are held out: the errors of the field, weighted by frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hyoid.geometry import joint_errors
from hyoid.geometry.human36m import PARENTS
from hyoid.report import SILENT, Report
from hyoid.synthetic.lift_pairs import Clip

Lift = Callable[[np.ndarray, float, float], np.ndarray]
"""Of keypoints (F, 17, 2) pixels, width and height of the picture: joints (F, 17, 3) metres, camera axes."""


@dataclass(frozen=True)
class Scores:
    """Millimetres; both sides have their pelvis at the origin.

    Attributes:
        mpjpe, p_mpjpe: mean distance of joints, as they are and after each frame was moved, turned and scaled as fits.
        mpjve: mean error of the joints' steps from one frame to the next of a clip; NaN where no clip has two.
        bone_spread: standard deviation of a bone's length within a clip.
        joints: (17,) mean distance of each joint.
    """

    mpjpe: float
    p_mpjpe: float
    mpjve: float
    bone_spread: float
    joints: np.ndarray


def scores(lift: Lift, clips: Sequence[Clip], noise: float = 1.0, report: Report = SILENT) -> Scores:
    """The errors of a lifter on whole clips with detector errors of this strength, see ``lift_pairs.held_out``."""
    joints, fitted, steps, spread, weights = [], [], [], [], []
    for number, clip in enumerate(clips):
        report.progress(number / len(clips), clip.name)
        found = _rooted(lift(clip.keypoints[noise], clip.width, clip.height))
        truth = _rooted(clip.joints)
        joints.append(np.linalg.norm(found - truth, axis=-1))
        fitted.append(joint_errors.p_mpjpe(found, truth))
        if len(found) > 1:
            steps.append(joint_errors.mpjve(found, truth))
        spread.append(bone_spread(found))
        weights.append(len(found))
    each = np.concatenate(joints)
    return Scores(
        1000 * float(each.mean()), 1000 * float(np.concatenate(fitted).mean()),
        1000 * float(np.concatenate(steps).mean()) if steps else float("nan"),
        1000 * float(np.average(spread, weights=weights)), 1000 * each.mean(0),
    )  # fmt: skip


def bone_spread(joints: np.ndarray) -> float:
    """Standard deviation over time of the length of a bone, mean over bones, in the unit of joints (F, 17, 3)."""
    lengths = np.linalg.norm(joints[:, 1:] - joints[:, list(PARENTS[1:])], axis=-1)
    return float(lengths.std(0).mean())


def same_pose(pose: np.ndarray) -> Lift:
    """A lifter that says the same pose (17, 3), metres, of every picture."""
    return lambda keypoints, _width, _height: np.broadcast_to(pose, (len(keypoints), *pose.shape))


def _rooted(joints: np.ndarray) -> np.ndarray:
    joints = np.asarray(joints, np.float64)
    return joints - joints[:, :1]
