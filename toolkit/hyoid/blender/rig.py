# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""The armature of a character: bones in collections, properties, and the drivers that join them to bones and shapes."""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np

from . import compat

NECK = ("c7t1", "c6c7", "c5c6", "c4c5", "c3c4", "c2c3", "c1c2", "oc1")
SHORTEST = 0.004
"""Metres; Blender deletes bones of no length."""

_UP = np.array([0.0, 0.0, 1.0])
_LEFT = np.array([1.0, 0.0, 0.0])
_FORWARD = np.array([0.0, -1.0, 0.0])
_COLLECTIONS = ("Head", "Neck", "Face", "Spine", "Arms.L", "Arms.R", "Hands.L", "Hands.R", "Legs.L", "Legs.R")
_COLOURS = {"Head": "THEME09", "Neck": "THEME09", "Face": "THEME02", "L": "THEME04", "R": "THEME01"}
_LIMBS = (("Hands", ("wrist", "hand", "metacarpal", "finger", "thumb")),
          ("Arms", ("clavicle", "shoulder", "upperarm", "lowerarm", "arm", "elbow")),
          ("Legs", ("upperleg", "lowerleg", "leg", "foot", "toe", "knee")))  # fmt: skip


def build(character: dict[str, Any], arrays: dict[str, np.ndarray], collection: Any) -> Any:
    """The armature object with bones at the character's joints, sorted into bone collections."""
    data = bpy.data.armatures.new(f"{character['name']}_rig")
    armature = bpy.data.objects.new(f"{character['name']}_rig", data)
    collection.objects.link(armature)
    data.display_type = "STICK"
    armature.show_in_front = True
    turning = {driver["joint"] for driver in character["drivers"]}
    _bones(armature, character["joints"], arrays, turning)
    _sort(armature, character["joints"], arrays["parents"])
    _add_rings(armature, character, arrays, collection)
    return armature


def _bones(armature: Any, joints: list[str], arrays: dict[str, np.ndarray], turning: set[str]) -> None:
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    edit = armature.data.edit_bones
    for index, name in enumerate(joints):
        bone = edit.new(name)
        head, tail, across = _placement(name, arrays["heads"][index], arrays["tails"][index], turning)
        bone.head, bone.tail = head.tolist(), tail.tolist()
        bone.align_roll(np.cross(across, tail - head).tolist())
        parent = int(arrays["parents"][index])
        if parent >= 0:
            bone.parent = edit[joints[parent]]
        bone.use_deform = bool((arrays["weights"][arrays["weight_joints"] == index] > 0).any())
    bpy.ops.object.mode_set(mode="OBJECT")


def _placement(
    name: str, head: np.ndarray, tail: np.ndarray, turning: set[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Head, tail and the wanted X axis of a bone, all (3,).

    The neck and the head stand upright and the eyes look straight ahead, so that a local axis of each is exactly turn,
    nod or tilt; a bone on the middle line nods about its X axis; a limb that points sideways has its Z axis up.
    """
    head, tail = head.astype(float), tail.astype(float)
    length = max(float(np.linalg.norm(tail - head)), SHORTEST)
    if name in NECK:
        return head, head + _UP * max(tail[2] - head[2], SHORTEST), _LEFT
    if name in turning:
        return head, head + _FORWARD * length, _LEFT
    if np.linalg.norm(tail - head) < SHORTEST:
        tail = head + _UP * SHORTEST
    along = (tail - head) / np.linalg.norm(tail - head)
    across = _LEFT if abs(along @ _LEFT) < 0.6 else np.cross(along, _UP)
    return head, tail, across


def _sort(armature: Any, joints: list[str], parents: np.ndarray) -> None:
    """Put each bone into its collection; collections that stay empty are not made."""
    members: dict[str, list[str]] = {}
    under_head: set[str] = set()
    for index, name in enumerate(joints):
        above = joints[parents[index]] if parents[index] >= 0 else ""
        if above == "oc1" or above in under_head:
            under_head.add(name)
        members.setdefault(_collection_of(name, name in under_head), []).append(name)
    for title in sorted(members, key=lambda title: _COLLECTIONS.index(title)):
        made = armature.data.collections.new(title)
        for name in members[title]:
            bone = armature.data.bones[name]
            made.assign(bone)
            colour = _COLOURS.get(title) or _COLOURS.get(title.rpartition(".")[2])
            if colour:
                bone.color.palette = colour


def _collection_of(name: str, under_head: bool) -> str:
    if name in NECK:
        return "Head" if name == "oc1" else "Neck"
    if under_head:
        return "Face"
    stem, _, side = name.rpartition(".")
    if side in ("L", "R"):
        for title, beginnings in _LIMBS:
            if stem.lower().startswith(beginnings):
                return f"{title}.{side}"
    return "Spine"


def _add_rings(armature: Any, character: dict[str, Any], arrays: dict[str, np.ndarray], collection: Any) -> None:
    """Rings around the neck and the head as the handles of their bones."""
    angle = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    mesh = bpy.data.meshes.new("ring")
    points = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], -1)
    mesh.from_pydata(points.tolist(), [(i, (i + 1) % 48) for i in range(48)], [])
    ring = bpy.data.objects.new("ring", mesh)
    widgets = bpy.data.collections.new(f"{collection.name} widgets")
    widgets.objects.link(ring)
    collection.children.link(widgets)
    widgets.hide_viewport = widgets.hide_render = True
    first = arrays["weight_joints"][:, 0]
    for name in NECK:
        if name not in character["joints"]:
            continue
        index = character["joints"].index(name)
        near = np.abs(arrays["vertices"][:, 2] - arrays["heads"][index, 2]) < 0.02
        distance = np.linalg.norm((arrays["vertices"] - arrays["heads"][index])[(first == index) & near, :2], axis=-1)
        radius = float(np.percentile(distance, 98)) * 1.05 if len(distance) else 0.08
        bone = armature.pose.bones[name]
        bone.custom_shape = ring
        bone.use_custom_shape_bone_size = False
        bone.custom_shape_scale_xyz = (radius,) * 3


def add_properties(armature: Any, character: dict[str, Any], body: Any) -> None:
    """The controls of the character: custom properties of the armature object."""
    neck = character["neck"]
    turn, tilt = sum(neck["axial"]), sum(neck["lateral"])
    nod = max(sum(neck["flexion"]), sum(neck["extension"]))
    say = "degrees, shared by the eight neck joints, on top of the animation"
    compat.set_property(armature, "head_turn", 0.0, -turn, turn, f"Turn of the head to its left, {say}")
    compat.set_property(armature, "head_nod", 0.0, -nod, nod, f"Nod of the head, down positive, {say}")
    compat.set_property(armature, "head_tilt", 0.0, -tilt, tilt, f"Tilt of the head to its left shoulder, {say}")
    keys = body.data.shape_keys.key_blocks if body.data.shape_keys else {}
    if "larynxUp" in keys:
        compat.set_property(
            armature, "larynx_height", 0.0, -25.0, 25.0, "Height of the larynx, millimetres, up positive"
        )
    if "larynxSize" in keys:
        compat.set_property(armature, "larynx_size", 1.0, 0.0, 3.0, "Size of the larynx, 1 = the character's own")
    if "jawOpen" in keys:
        compat.set_property(armature, "jaw", 0.0, 0.0, 1.0, "Opening of the jaw, 0 to 1, on top of the animation")


def drive_neck(armature: Any, neck: dict[str, list[float]]) -> None:
    """Carry head_turn, head_nod and head_tilt to the neck, each joint in proportion to its range.

    A constraint adds them in front of the joint's own rotation, so the action and the properties never meet.
    """
    present = [name for name in NECK if name in armature.pose.bones]
    shares = {key: _shares(neck[key], present) for key in ("axial", "flexion", "extension", "lateral")}
    for index, name in enumerate(present):
        constraint = _rotation_constraint(armature, name, "Hyoid head")
        constraint.to_euler_order = "XYZ"
        degree = math.pi / 180
        turn = (armature, '["head_turn"]')
        nod = (armature, '["head_nod"]')
        tilt = (armature, '["head_tilt"]')
        forth, back = shares["flexion"][index] * degree, shares["extension"][index] * degree
        # Upright bones: X points to the left, Y up, Z forward.
        drive(constraint, "to_min_x_rot", f"max(nod, 0) * {forth:.9f} + min(nod, 0) * {back:.9f}", nod=nod)
        drive(constraint, "to_min_y_rot", f"turn * {shares['axial'][index] * degree:.9f}", turn=turn)
        drive(constraint, "to_min_z_rot", f"tilt * {-shares['lateral'][index] * degree:.9f}", tilt=tilt)


def _shares(ranges: list[float], present: list[str]) -> list[float]:
    values = [ranges[NECK.index(name)] for name in present]
    return [value / sum(values) for value in values]


def drive_shapes(armature: Any, objects: list[Any], millimetres: float) -> None:
    """Drive the body's larynx keys by the properties, and every key of the other parts by the body's of that name."""
    body = objects[0]
    if body.data.shape_keys is None:
        return
    keys = body.data.shape_keys.key_blocks
    height, size = (armature, '["larynx_height"]'), (armature, '["larynx_size"]')
    if "larynxUp" in keys:
        drive(keys["larynxUp"], "value", f"max(height, 0) / {millimetres}", height=height)
    if "larynxDown" in keys:
        drive(keys["larynxDown"], "value", f"max(-height, 0) / {millimetres}", height=height)
    if "larynxSize" in keys:
        drive(keys["larynxSize"], "value", "size - 1", size=size)
    for part in objects[1:]:
        if part.data.shape_keys is None:
            continue
        for key in part.data.shape_keys.key_blocks[1:]:
            drive(key, "value", "body", body=(body.data.shape_keys, f'key_blocks["{key.name}"].value'))


def add_jaw_keys(armature: Any, objects: list[Any]) -> None:
    """A key ``jaw`` beside each ``jawOpen``, driven by the property, so that it opens on top of an animated jawOpen."""
    for part in objects:
        keys = part.data.shape_keys
        if keys is None or "jawOpen" not in keys.key_blocks:
            continue
        points = np.empty(3 * len(part.data.vertices), np.float32)
        keys.key_blocks["jawOpen"].data.foreach_get("co", points)
        key = part.shape_key_add(name="jaw", from_mix=False)
        key.data.foreach_set("co", points)
        key.value = 0.0
        drive(key, "value", "jaw", jaw=(armature, '["jaw"]'))


def drive_eyes(armature: Any, drivers: list[dict[str, Any]], body: Any) -> None:
    """Turn the joints that follow curves (the eyes follow eyeLook*) by the body's key values."""
    keys = body.data.shape_keys
    for joint in dict.fromkeys(driver["joint"] for driver in drivers):
        rest = np.array(armature.data.bones[joint].matrix_local.to_3x3())
        terms: dict[str, list[str]] = {"x": [], "y": [], "z": []}
        variables = {}
        for driver in drivers:
            if driver["joint"] != joint or keys is None or driver["curve"] not in keys.key_blocks:
                continue
            variable = f"v{len(variables)}"
            variables[variable] = (keys, f'key_blocks["{driver["curve"]}"].value')
            for axis, part in zip("xyz", rest.T @ _turn(driver["axis"]), strict=True):
                if abs(part) > 1e-6:
                    terms[axis].append(f"{variable} * {part * math.radians(driver['degrees']):.9f}")
        if not variables:
            continue
        constraint = _rotation_constraint(armature, joint, "Hyoid look")
        constraint.to_euler_order = "XZY"
        for axis, sums in terms.items():
            if sums:
                expression = " + ".join(sums)
                used = {name: value for name, value in variables.items() if f"{name} " in expression}
                drive(constraint, f"to_min_{axis}_rot", expression, **used)


def _turn(axis: list[float]) -> np.ndarray:
    """An axis of the character (+Y up) in Blender's axes."""
    return np.array([axis[0], -axis[2], axis[1]])


def _rotation_constraint(armature: Any, bone: str, name: str) -> Any:
    """A constraint that puts a driven rotation in front of the bone's own.

    A Transformation constraint whose input range is empty gives its minimum, whatever its target does; it must have a
    target all the same: the root bone, which nothing here constrains.
    """
    constraint = armature.pose.bones[bone].constraints.new("TRANSFORM")
    constraint.name = name
    constraint.target = armature
    constraint.subtarget = next(bone.name for bone in armature.data.bones if bone.parent is None)
    constraint.owner_space = "LOCAL"
    constraint.target_space = "LOCAL"
    constraint.map_to = "ROTATION"
    constraint.map_to_x_from, constraint.map_to_y_from, constraint.map_to_z_from = "X", "Y", "Z"
    constraint.mix_mode_rot = "BEFORE"
    return constraint


def drive(owner: Any, path: str, expression: str, **variables: tuple[Any, str]) -> None:
    """Drive ``owner.path`` by an expression over properties of IDs; each variable is (ID, data path).

    Only arithmetic, ``min`` and ``max``: such expressions are evaluated without Python, so they work although
    Blender refuses to run scripts of files from elsewhere.
    """
    driver = owner.driver_add(path).driver
    driver.type = "SCRIPTED"
    for name, (owner_id, data_path) in variables.items():
        variable = driver.variables.new()
        variable.name = name
        variable.type = "SINGLE_PROP"
        target = variable.targets[0]
        target.id_type = owner_id.id_type
        target.id = owner_id
        target.data_path = data_path
    driver.expression = expression
