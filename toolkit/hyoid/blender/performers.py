# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""The Hyoid characters of an opened scene, and a take put onto one of them. Runs inside Blender."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from . import action_units, animation, compat, rig
from .export import ExportError

_KEY_PATH = re.compile(r'key_blocks\["(.+)"\]\.value')


@dataclass(frozen=True)
class Performer:
    """A character in a scene: its armature object, the mesh object with the face keys, and all mesh objects."""

    armature: Any
    body: Any
    parts: list[Any]


def found(scene: Any) -> list[Performer]:
    """Every character of a scene by the mark on its armature, in the order of the scene's objects."""
    made = []
    for armature in scene.objects:
        if armature.type != "ARMATURE" or rig.MARK not in armature:
            continue
        parts = [item for item in scene.objects if item.type == "MESH" and "hyoid_part" in item]
        parts = [item for item in parts if _follows(item, armature)]
        keyed = [item for item in parts if item.data.shape_keys]
        bodies = [item for item in parts if item["hyoid_part"] == "body"]
        body = bodies[0] if bodies else max(keyed, key=lambda item: len(item.data.shape_keys.key_blocks), default=None)
        if body is not None:
            made.append(Performer(armature, body, [body, *(item for item in parts if item != body)]))
    return made


def chosen(scene: Any, name: str | None) -> Performer:
    """The character whose armature object has a name; without a name the only one.

    Raises:
        ExportError: there is none, there are several, or none has this name.
    """
    performers = found(scene)
    names = ", ".join(f"'{performer.armature.name}'" for performer in performers)
    if not performers:
        hint = "Make one with 'hyoid talk' or 'hyoid rig human' and -o SCENE.blend, or append it from there"
        raise ExportError("holds no Hyoid character", "input", hint=hint)
    if name is not None:
        match = [performer for performer in performers if performer.armature.name == name]
        if not match:
            raise ExportError(f"holds no Hyoid character '{name}'", "usage", hint=f"Its characters are {names}")
        return match[0]
    if len(performers) > 1:
        raise ExportError(
            f"holds {len(performers)} Hyoid characters: {names}", "usage", hint="Choose one with --armature NAME"
        )
    return performers[0]


def check_own(performer: Performer) -> None:
    """Refuse a character that is only linked into the scene.

    Raises:
        ExportError: the character belongs to another file.
    """
    for owner in (performer.armature, performer.body.data.shape_keys):
        if owner is not None and owner.library is not None:
            found = f"'{performer.armature.name}' is linked from another file, so that no take can be put onto it"
            raise ExportError(found, "input", hint="Make it local in the scene (Object, Relations, Make Local)")


def described(performer: Performer) -> dict[str, Any]:
    """What the parent has to know of a character to pack a take for it, and where it comes from, as JSON has it.

    ``shapes`` are all keys of the body; ``follows`` those that drivers move: no take touches them.
    """
    armature, keys = performer.armature, performer.body.data.shape_keys
    bones = [bone for bone in armature.data.bones if bone.name != rig.CONTROL]
    return {
        "name": armature.name,
        "joints": [bone.name for bone in bones],
        "root": next((bone.name for bone in bones if bone.parent is None), ""),
        "shapes": [key.name for key in keys.key_blocks[1:]] if keys else [],
        "follows": sorted(_driven(keys)),
        "facts": _parsed(armature, rig.FACTS),
        "character": _parsed(armature, rig.MARK).get("name", armature.name),
        "licence": str(armature.get("hyoid_licence", "")),
        "provenance": _parsed(armature, "hyoid_provenance"),
    }


def perform(performer: Performer, take: dict[str, Any], arrays: dict[str, np.ndarray], first: int) -> None:
    """Let a character play a take from frame ``first`` of the scene on.

    What the take has replaces what the character did there; all else that moves in the scene stays as it is. Actions
    are changed in a copy: others may play them too.

    Args:
        take: see ``pack.channels``, with ``joints``, the names of all joints that it speaks of, and ``root``, the one
            that carries the character: where the take speaks of it, it also says where the character stands.
    """
    armature, keys = performer.armature, performer.body.data.shape_keys
    if take["action_units"]:
        action_units.add(armature, performer.parts, take["action_units"])
    _rest(armature, take)
    kinds = {"armature": (armature, {"property", "rotation", "root"}), "keys": (keys, {"shape"})}
    containers = {}
    for place, (owner, wanted) in kinds.items():
        if owner is None or not any(channel["kind"] in wanted for channel in take["channels"]):
            continue
        containers[place] = _container(owner, take["name"])
    _clear(containers, take)
    animation.key_channels(armature, keys, containers, take["channels"], arrays, first)
    if not take["within_limits"] and armature.get("neck_limits", 0):
        armature["neck_limits"] = 0.0
    armature.update_tag()


def _rest(armature: Any, take: dict[str, Any]) -> None:
    """Bring the joints of a take to rest: those that it leaves still have no channel."""
    for name in take["joints"]:
        bone = armature.pose.bones[name]
        bone.rotation_mode = "QUATERNION"
        bone.rotation_quaternion = (1.0, 0.0, 0.0, 0.0)
        if name == take["root"]:
            bone.location = (0.0, 0.0, 0.0)


def _container(owner: Any, name: str) -> Any:
    """Where the channels of an owner go: a copy of what plays on it, or a new action."""
    data = owner.animation_data
    if data is None or compat.playing(owner) is None:
        return compat.fcurve_owner(owner, bpy.data.actions.new(name))
    compat.swap_action(owner, data.action.copy())
    data.action_blend_type, data.action_influence = "REPLACE", 1.0
    return compat.playing(owner)


def _clear(containers: dict[str, Any], take: dict[str, Any]) -> None:
    """Remove the channels that a take replaces."""
    escape = bpy.utils.escape_identifier
    paths = {f'pose.bones["{escape(name)}"].rotation_quaternion' for name in take["joints"]}
    if take["root"] in take["joints"]:
        paths.add(f'pose.bones["{escape(take["root"])}"].location')
    paths |= {animation.data_path(channel) for channel in take["channels"]}
    for container in containers.values():
        for curve in [curve for curve in container.fcurves if curve.data_path in paths]:
            container.fcurves.remove(curve)


def _follows(mesh: Any, armature: Any) -> bool:
    """Whether a mesh object hangs on an armature: as its child, or by a modifier where the artist took it off."""
    if mesh.parent == armature:
        return True
    return any(modifier.type == "ARMATURE" and modifier.object == armature for modifier in mesh.modifiers)


def _driven(keys: Any) -> set[str]:
    if keys is None or keys.animation_data is None:
        return set()
    matches = (_KEY_PATH.fullmatch(driver.data_path) for driver in keys.animation_data.drivers)
    return {bpy.utils.unescape_identifier(match[1]) for match in matches if match}


def _parsed(armature: Any, name: str) -> dict[str, Any]:
    try:
        found = json.loads(str(armature.get(name, "")))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
