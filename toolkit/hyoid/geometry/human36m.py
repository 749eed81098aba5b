# SPDX-License-Identifier: Apache-2.0
"""The seventeen body joints of Human3.6M, the common language of everything that lifts 2D joints."""

from __future__ import annotations

NAMES = (
    "pelvis", "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle", "spine", "thorax",
    "neck", "head", "left shoulder", "left elbow", "left wrist", "right shoulder", "right elbow", "right wrist",
)  # fmt: skip
"""In the order of the field; ``neck`` is the nose or the base of the skull, ``head`` the top of the head."""
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
LEGS = ((1, 2, 3), (4, 5, 6))
"""Right and left, from root to tip."""
ARMS = ((11, 12, 13), (14, 15, 16))
"""Left and right, from root to tip."""
LEFT = (*LEGS[1], *ARMS[0])
RIGHT = (*LEGS[0], *ARMS[1])
MIRRORED = (0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13)
"""The joint on the other side of the body."""
LOSS_WEIGHTS = (1.0, 1.0, 2.5, 2.5, 1.0, 2.5, 2.5, 1.0, 1.0, 1.0, 1.5, 1.5, 4.0, 4.0, 1.5, 4.0, 4.0)
"""How much a joint counts in training, the ends of limbs most (KTPFormer, MixSTE and their kin)."""
