# SPDX-License-Identifier: Apache-2.0
"""Smooths rotations and values as Redo does."""

import heads_scene as heads
import numpy as np


def main(addon, args):
    steady = heads.modules(addon)("toolkit.motion.head_smoothing")
    times, trust = np.array(args["times"]), np.array(args["trust"])
    answer = {}
    for strength in (0.0, 0.5, 1.0):
        turned = steady.smooth_rotations(np.array(args["quaternions"]), times, trust, strength=strength)
        answer[f"rotations {strength}"] = turned.tolist()
        smooth = steady.smooth_values(np.array(args["boxes"]), times, trust, steady.BOX_CUTOFF, strength=strength)
        answer[f"values {strength}"] = smooth.tolist()
    return answer
