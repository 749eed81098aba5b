# SPDX-License-Identifier: Apache-2.0
"""The neck's controls: the handle ``head_control``, its share for every joint, and limits that can be switched off."""

from __future__ import annotations

import re
from typing import Any

from . import compat
from .rig import CONTROL, EULER_OF_VECTOR, NECK, drive, rotation_constraint

HEAD, LIMITS = "Hyoid head", "Hyoid limits"
"""Names of the constraints on the neck bones, in the order in which they act."""

_PROPERTIES = {
    "head_turn": "Turn of the head to its left",
    "head_nod": "Nod of the head, down positive",
    "head_tilt": "Tilt of the head to its left shoulder",
}


def add(armature: Any, character: dict[str, Any], *, limited: bool = True) -> None:
    """Join the handle and the properties ``head_*`` to the eight neck joints; nothing where there is no handle.

    The head's rotation is the handle's rotation vector plus one of the properties. The formulas of
    ``neck_control.formulas`` carry it to the joints: each step lies in a property of the handle, each joint's rotation
    vector in three of its bone, and a constraint puts it in front of the joint's own rotation, so that the action and
    the controls never meet.

    Args:
        character: see ``pack.record``. limited: the first value of ``neck_limits``.
    """
    if CONTROL not in armature.pose.bones:
        return
    for name, text in _PROPERTIES.items():
        say = f"{text}, degrees, shared by the eight neck joints, on top of the animation"
        reach = character["neck_ranges"][name]
        compat.set_property(armature, name, 0.0, -reach, reach, say)
    say = "1 keeps each neck joint inside the range of its vertebra, 0 lets it go anywhere"
    compat.set_property(armature, "neck_limits", float(limited), 0.0, 1.0, say, most=1.0)
    handle = armature.pose.bones[CONTROL]
    handle.rotation_mode = "ZXY"  # a turn carries the nod, a nod carries the tilt: the way an animator thinks of a head
    handle.lock_location = handle.lock_scale = (True,) * 3
    _ask(armature, handle)
    formulas = character["neck_control"]
    for name, expression in formulas["steps"]:
        _step(armature, handle, name, expression)
    for joint in NECK:
        _share(armature, joint, formulas["joints"][joint])
        _limit(armature, joint, character["neck_box"][joint])


def _ask(armature: Any, handle: Any) -> None:
    """The wanted rotation of the head as three properties of the handle, radians: nod, turn, tilt to the right."""
    turned = {axis: (armature, CONTROL, f"ROT_{axis.upper()}") for axis in "wxyz"}
    square = "(x*x+y*y+z*z+0.000000000001)"
    handle["angle"] = 2.0
    drive(handle, '["angle"]', f"2*atan2(sqrt{square},abs(w))/sqrt{square}*(1 if w>=0 else -1)", **turned)
    for axis, name, factor in (("x", "head_nod", 1), ("y", "head_turn", 1), ("z", "head_tilt", -1)):
        handle[f"ask_{axis}"] = 0.0
        drive(
            handle, f'["ask_{axis}"]', f"angle*turned+{factor}*radians(head)", turned=turned[axis],
            angle=(armature, f'pose.bones["{CONTROL}"]["angle"]'), head=(armature, f'["{name}"]'),
        )  # fmt: skip


def _step(armature: Any, owner: Any, name: str, expression: str) -> None:
    """Drive a property of a pose bone by a formula over properties of the handle."""
    handle = armature.pose.bones[CONTROL]
    used = [word for word in dict.fromkeys(re.findall(r"[a-z]\w*", expression)) if word in handle]
    owner[name] = 1.0 if name == "reach" else 0.0
    drive(owner, f'["{name}"]', expression, **{word: (armature, f'pose.bones["{CONTROL}"]["{word}"]') for word in used})


def _share(armature: Any, joint: str, vector: list[str]) -> None:
    bone = armature.pose.bones[joint]
    for axis, expression in zip("xyz", vector, strict=True):
        _step(armature, bone, f"head_{axis}", expression)
    constraint = rotation_constraint(armature, joint, HEAD, "BEFORE")
    # Upright bones: X points to the left, Y up, Z forward, as in the formulas.
    head = {axis: (armature, f'pose.bones["{joint}"]["head_{axis}"]') for axis in "xyz"}
    for axis, expression in EULER_OF_VECTOR.items():
        drive(constraint, f"to_min_{axis}_rot", expression, **head)


def _limit(armature: Any, joint: str, box: list[list[float]]) -> None:
    constraint = armature.pose.bones[joint].constraints.new("LIMIT_ROTATION")
    constraint.name = LIMITS
    constraint.owner_space = "LOCAL"
    constraint.euler_order = "XYZ"
    for axis, (low, high) in zip("xyz", box, strict=True):
        setattr(constraint, f"use_limit_{axis}", True)
        setattr(constraint, f"min_{axis}", low)
        setattr(constraint, f"max_{axis}", high)
    drive(constraint, "influence", "limits", limits=(armature, '["neck_limits"]'))
