# SPDX-License-Identifier: Apache-2.0
"""Smooths rotations and values as Redo does."""

import heads_scene as heads
import numpy as np


def main(addon, args):
    steady = heads.modules(addon)("head_directions.steady")
    times, trust = np.array(args["times"]), np.array(args["trust"])
    answer = {}
    for strength in (0.0, 0.5, 1.0):
        turned = steady.rotations(np.array(args["quaternions"]), times, trust, strength)
        answer[f"rotations {strength}"] = turned.tolist()
        smooth = steady.values(np.array(args["boxes"]), times, trust, steady.BOX_CUTOFF, strength)
        answer[f"values {strength}"] = smooth.tolist()
    return answer
