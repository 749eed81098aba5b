# SPDX-License-Identifier: Apache-2.0
"""The 52 ARKit blend shape names, in the alphabetical order that the project uses everywhere."""

NAMES: tuple[str, ...] = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
    "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip

LARYNX_SHAPES: tuple[str, ...] = ("larynxUp", "larynxDown", "larynxSize")
"""The baked larynx shapes that follow the 52 in every character (see ``Shapes``)."""

SHAPE_MILLIMETRES = 10.0
"""The travel of the larynx at weight 1 of ``larynxUp`` or ``larynxDown``."""

CURVES: tuple[str, ...] = (*NAMES, "larynxHeight", "larynxSize", "breath", "swallow", "effort")
"""The curves of a talking take: ARKit weights, larynx height in mm and size (1 = own), breath, swallow, effort 0..1."""
