# SPDX-License-Identifier: GPL-3.0-or-later
"""The eight neck joints as an artist sees them: names, nod, turn and tilt in degrees, and how far each can go."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import bpy
from mathutils import Quaternion, Vector

from ..toolkit.characters.character import NeckLimits
from ..toolkit.characters.neck import JOINTS

TITLES = dict(
    zip(JOINTS, ("C7-T1", "C6-C7", "C5-C6", "C4-C5", "C3-C4", "C2-C3", "C1-C2", "Skull"), strict=True)
)  # fmt: skip
PROPERTIES = ("head_turn", "head_nod", "head_tilt")
"""Custom properties of the armature object that do the same in degrees."""

_PLAY = 1.1
"""Of a range, what a joint may reach before it is told: a little less than the head control itself lets it go."""


@dataclass(frozen=True)
class Range:
    """How far one joint can go, degrees: nods from ``-up`` to ``down``, turns and tilts to either side.

    A turn brings a tilt of ``coupling`` times its angle along, which a tilt of the joint's own may add to.
    """

    down: float
    up: float
    turn: float
    tilt: float
    coupling: float = 0.0

    def beyond(self, nod: float, turn: float, tilt: float) -> str:
        """What of a pose (degrees) a living neck could not do, in words; empty when it could."""
        found = []
        limit = self.down if nod > 0 else self.up
        brought = self.coupling * max(-self.turn * _PLAY, min(self.turn * _PLAY, turn))
        if abs(tilt - brought) < abs(tilt):
            tilt -= brought
        for name, value, most in (("nod", nod, limit), ("turn", turn, self.turn), ("tilt", tilt, self.tilt)):
            if abs(value) > most * _PLAY:
                found.append(f"{name} {value:.1f}° of {math.copysign(most, value):g}°")
        return ", ".join(found)


def range_of(limits: NeckLimits, joint: str) -> Range:
    """The range of one joint by its bone name."""
    index = JOINTS.index(joint)
    rows = (limits.flexion, limits.extension, limits.axial, limits.lateral, limits.coupling)
    return Range(*(float(row[index]) for row in rows))


def angles(rotation: Quaternion) -> tuple[float, float, float]:
    """Nod (down positive), turn (left positive) and tilt (to the left shoulder positive), radians.

    The neck's bones stand upright with X to the left and Z forward, so these are the components of the rotation vector.
    """
    vector = (rotation if rotation.w >= 0 else -rotation).normalized().to_exponential_map()
    return vector.x, vector.y, -vector.z


def own_rotation(bone: Any) -> Quaternion:
    """The rotation that an artist or an action gave a pose bone, before constraints, whatever its rotation mode."""
    return bone.rotation_quaternion.copy() if bone.rotation_mode == "QUATERNION" else bone.matrix_basis.to_quaternion()


def shown_rotation(bone: Any) -> Quaternion:
    """The rotation of a pose bone against its parent as the viewport shows it, constraints included."""
    rest, posed = bone.bone.matrix_local, bone.matrix
    if bone.parent is not None:
        rest = bone.parent.bone.matrix_local.inverted() @ rest
        posed = bone.parent.matrix.inverted() @ posed
    return (rest.inverted() @ posed).to_quaternion()


def set_rotation(bone: Any, rotation: Quaternion) -> None:
    """Give a pose bone a rotation in whatever mode it is."""
    if bone.rotation_mode == "QUATERNION":
        # The opposite sign is the same rotation, but between the two an f-curve would spin.
        bone.rotation_quaternion = rotation if rotation.dot(bone.rotation_quaternion) >= 0 else -rotation
    elif bone.rotation_mode == "AXIS_ANGLE":
        axis, angle = rotation.to_axis_angle()
        bone.rotation_axis_angle = (angle, *axis)
    else:
        bone.rotation_euler = rotation.to_euler(bone.rotation_mode, bone.rotation_euler)


def key_rotation(bone: Any) -> None:
    """Key the rotation of a pose bone at the current frame, in the channels of its rotation mode."""
    bone.keyframe_insert(rotation_path(bone), group=bone.name)


def rotation_path(bone: Any) -> str:
    """The name of the property that holds a pose bone's rotation in its mode."""
    return {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(
        bone.rotation_mode, "rotation_euler"
    )


def auto_key(context: bpy.types.Context) -> bool:
    """Whether the artist has automatic keying on."""
    return context.scene.tool_settings.use_keyframe_insert_auto


def _get(bone: Any) -> tuple[float, float, float]:
    nod, turn, tilt = angles(own_rotation(bone))
    return math.degrees(nod), math.degrees(turn), math.degrees(tilt)


def _set(bone: Any, values: tuple[float, float, float]) -> None:
    nod, turn, tilt = (math.radians(value) for value in values)
    set_rotation(bone, Quaternion(Vector((nod, turn, -tilt))))
    if auto_key(bpy.context):
        key_rotation(bone)


def register() -> None:
    """Add ``PoseBone.hyoid_neck``: nod, turn and tilt in degrees."""
    bpy.types.PoseBone.hyoid_neck = bpy.props.FloatVectorProperty(
        name="Nod, turn, tilt",
        description="Own rotation of this joint on top of the head control, degrees: nod down, turn to the left, tilt "
        "to the left shoulder. It is the bone's ordinary rotation, read about the joint's axes",
        size=3, precision=0, step=100, options={"SKIP_SAVE"}, soft_min=-90, soft_max=90, min=-180, max=180,
        get=_get, set=_set,
    )  # fmt: skip


def unregister() -> None:
    """Remove it."""
    del bpy.types.PoseBone.hyoid_neck
