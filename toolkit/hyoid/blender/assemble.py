# SPDX-License-Identifier: Apache-2.0
"""What joins the armature and the meshes of a character into one rig: properties, constraints and drivers."""

from __future__ import annotations

from typing import Any

from . import controls, correctives, rig


def join(
    armature: Any, character: dict[str, Any], objects: list[Any], *, jaw: bool = True, limited: bool = True
) -> None:
    """Let the meshes follow the armature's properties, the parts the body, the eyes their curves, the neck its
    handle, and the correctives the joints.

    Args:
        character: see ``pack.record``. objects: the meshes, body first.
        jaw: add the shape key ``jaw``, which opens the jaw on top of the animated jawOpen.
        limited: the first value of ``neck_limits``.
    """
    controls.add(armature, character, limited=limited)
    rig.add_properties(armature, objects[0])
    rig.drive_shapes(armature, objects, character["shapes"], character["shape_millimetres"])
    correctives.add(armature, objects[0], character["correctives"])
    rig.drive_eyes(armature, character["drivers"], objects[0])
    if jaw:
        rig.add_jaw_keys(armature, objects)
