# SPDX-License-Identifier: GPL-3.0-or-later
"""Named people to start from, as data: each was rendered and looked at."""

from __future__ import annotations

PRESETS: dict[str, tuple[str, dict[str, float]]] = {
    "YOUNG_WOMAN": (
        "Young woman",
        {"gender": 1.0, "age": 0.66, "muscle": 0.45, "weight": 0.42, "height": 0.5, "proportions": 0.8,
         "african": 0.0, "asian": 0.1, "caucasian": 0.9, "cupsize": 0.5, "firmness": 0.7},
    ),
    "YOUNG_MAN": (
        "Young man",
        {"gender": 0.0, "age": 0.67, "muscle": 0.6, "weight": 0.48, "height": 0.55, "proportions": 0.8,
         "african": 0.1, "asian": 0.15, "caucasian": 0.75},
    ),
    "AFRICAN_WOMAN": (
        "Woman, African",
        {"gender": 1.0, "age": 0.7, "muscle": 0.5, "weight": 0.5, "height": 0.5, "proportions": 0.75,
         "african": 1.0, "asian": 0.0, "caucasian": 0.0, "cupsize": 0.5, "firmness": 0.6},
    ),
    "AFRICAN_MAN": (
        "Man, African",
        {"gender": 0.0, "age": 0.72, "muscle": 0.65, "weight": 0.5, "height": 0.6, "proportions": 0.75,
         "african": 1.0, "asian": 0.0, "caucasian": 0.0},
    ),
    "ASIAN_WOMAN": (
        "Woman, Asian",
        {"gender": 1.0, "age": 0.7, "muscle": 0.45, "weight": 0.42, "height": 0.4, "proportions": 0.75,
         "african": 0.0, "asian": 1.0, "caucasian": 0.0, "cupsize": 0.4, "firmness": 0.6},
    ),
    "ASIAN_MAN": (
        "Man, Asian",
        {"gender": 0.0, "age": 0.74, "muscle": 0.55, "weight": 0.5, "height": 0.45, "proportions": 0.75,
         "african": 0.0, "asian": 1.0, "caucasian": 0.0},
    ),
    "OLDER_WOMAN": (
        "Woman of fifty",
        {"gender": 0.95, "age": 0.82, "muscle": 0.42, "weight": 0.58, "height": 0.42, "proportions": 0.6,
         "african": 0.1, "asian": 0.1, "caucasian": 0.8, "cupsize": 0.6, "firmness": 0.35},
    ),
    "HEAVY_MAN": (
        "Heavy man",
        {"gender": 0.0, "age": 0.78, "muscle": 0.55, "weight": 1.0, "height": 0.4, "proportions": 0.4,
         "african": 0.1, "asian": 0.1, "caucasian": 0.8,
         "measure-waist-circ-incr": 1.0, "measure-hips-circ-incr": 0.6, "measure-bust-circ-incr": 0.5,
         "measure-neck-circ-incr": 0.4, "stomach-tone-incr": -0.8, "torso-scale-depth-incr": 0.5,
         "l-upperarm-fat-incr": 0.8, "r-upperarm-fat-incr": 0.8, "l-upperleg-fat-incr": 0.7,
         "r-upperleg-fat-incr": 0.7, "neck-double-incr": 0.5, "head-fat-incr": 0.3},
    ),
    "OLD_WOMAN": (
        "Old woman",
        {"gender": 1.0, "age": 0.96, "muscle": 0.35, "weight": 0.42, "height": 0.3, "proportions": 0.5,
         "african": 0.0, "asian": 0.2, "caucasian": 0.8, "cupsize": 0.5, "firmness": 0.2},
    ),
    "OLD_MAN": (
        "Old man",
        {"gender": 0.0, "age": 0.93, "muscle": 0.4, "weight": 0.5, "height": 0.45, "proportions": 0.5,
         "african": 0.1, "asian": 0.15, "caucasian": 0.75},
    ),
    "GIRL": (
        "Girl",
        {"gender": 1.0, "age": 0.36, "muscle": 0.45, "weight": 0.45, "height": 0.5, "proportions": 0.7,
         "african": 0.2, "asian": 0.3, "caucasian": 0.5, "cupsize": 0.0, "firmness": 0.5},
    ),
    "BOY": (
        "Boy",
        {"gender": 0.0, "age": 0.26, "muscle": 0.5, "weight": 0.48, "height": 0.5, "proportions": 0.7,
         "african": 0.15, "asian": 0.3, "caucasian": 0.55},
    ),
    "TODDLER": (
        "Toddler",
        {"gender": 0.5, "age": 0.12, "muscle": 0.5, "weight": 0.55, "height": 0.5, "proportions": 0.6,
         "african": 0.1, "asian": 0.3, "caucasian": 0.6, "cupsize": 0.0},
    ),
}  # fmt: skip
"""By identifier: what the artist reads, and the identity (see ``characters.load``)."""

DEFAULT = "YOUNG_WOMAN"


def items() -> list[tuple[str, str, str]]:
    """The presets for an enumeration property."""
    return [(identifier, label, f"Start from: {label.lower()}") for identifier, (label, _) in PRESETS.items()]


def settings(identifier: str) -> dict[str, float]:
    """The identity of a preset."""
    return dict(PRESETS[identifier][1])
