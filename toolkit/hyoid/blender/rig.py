# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""The armature of a character: bones in collections, properties, and the drivers that join them to bones and shapes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy
import numpy as np

from . import compat

NECK = ("c7t1", "c6c7", "c5c6", "c4c5", "c3c4", "c2c3", "c1c2", "oc1")
CONTROL = "head_control"
"""A handle that turns head and neck; no joint of the character and no part of its surface (see ``controls``)."""

MARK = "hyoid_character"
"""Custom property of the armature object: a JSON record with character, name, settings, part and id."""

FACTS = "hyoid_rig"
"""Custom property of the armature object: a JSON record of what has to be known of the rig to read it."""

SHORTEST = 0.004
"""Metres; Blender deletes bones of no length."""

HEADS = ("oc1", "head", "Head")
"""What the joint that carries the skull is called: in Hyoid's necks, else in body models."""

_UP = np.array([0.0, 0.0, 1.0])
_LEFT = np.array([1.0, 0.0, 0.0])
_FORWARD = np.array([0.0, -1.0, 0.0])
_COLLECTIONS = (
    "Control", "Head", "Neck", "Face", "Spine", "Arms.L", "Arms.R", "Hands.L", "Hands.R", "Legs.L", "Legs.R",
)  # fmt: skip
_COLOURS = {
    "Control": "THEME02", "Head": "THEME09", "Neck": "THEME09", "Face": "THEME02",
    "Arms.L": "THEME04", "Hands.L": "THEME04", "Legs.L": "THEME04",
    "Arms.R": "THEME01", "Hands.R": "THEME01", "Legs.R": "THEME01",
}  # fmt: skip
_LIMBS = (("Hands", ("wrist", "hand", "metacarpal", "finger", "thumb", "index", "middle", "ring", "pinky")),
          ("Arms", ("clavicle", "collar", "shoulder", "upperarm", "lowerarm", "arm", "elbow")),
          ("Legs", ("hip", "upperleg", "lowerleg", "leg", "foot", "toe", "knee", "ankle")))  # fmt: skip


def build(character: dict[str, Any], arrays: dict[str, np.ndarray], collection: Any, *, control: bool = False) -> Any:
    """The armature object with bones at the character's joints, sorted into bone collections.

    It works in whatever mode, scene or view the artist is in, and leaves all that as it is.

    Args:
        character, arrays: see ``pack.record``.
        collection: a collection that the armature and the shape of its handles are put into.
        control: add the handle ``head_control``; see ``controls``.
    """
    data = bpy.data.armatures.new(f"{character['name']}_rig")
    armature = bpy.data.objects.new(f"{character['name']}_rig", data)
    collection.objects.link(armature)
    data.display_type = "STICK"
    armature.show_in_front = True
    place_bones(armature, character, arrays, control=control)
    joints, parents = character["joints"], arrays["parents"]
    _sort(armature, joints, parents, control)
    ringed = [bone for bone in armature.pose.bones if bone.name in NECK or bone.name == CONTROL]
    ring = _ring(collection) if ringed else None
    for bone in ringed:
        bone.custom_shape = ring
        bone.use_custom_shape_bone_size = False
    if control and NECK[-1] in joints:
        armature.pose.bones[CONTROL].custom_shape_transform = armature.pose.bones[NECK[-1]]
    set_rings(armature, character, arrays)
    return armature


def place_bones(armature: Any, character: dict[str, Any], arrays: dict[str, np.ndarray], *, control: bool) -> None:
    """Put bones at the joints of a character: make those that are missing, move the others; nothing else changes.

    Raises:
        RuntimeError: the armature is in edit mode.
    """
    joints, parents = character["joints"], arrays["parents"]
    turning = {driver["joint"] for driver in character["drivers"]}
    with edit_bones(armature.data) as edit:
        for index, name in enumerate(joints):
            bone = edit.get(name)
            if bone is None:
                bone = edit.new(name)
                if parents[index] >= 0:
                    bone.parent = edit[joints[parents[index]]]
                bone.use_deform = bool((arrays["weights"][arrays["weight_joints"] == index] > 0).any())
            head, tail, across = _placement(name, arrays["heads"][index], arrays["tails"][index], turning)
            bone.head, bone.tail = head.tolist(), tail.tolist()
            bone.align_roll(np.cross(across, tail - head).tolist())
        if control and NECK[0] in joints and NECK[-1] in joints:
            bone = edit.get(CONTROL)
            if bone is None:
                bone = edit.new(CONTROL)
                bone.parent = edit[NECK[0]].parent
                bone.use_deform = False
            head = edit[NECK[-1]]
            bone.head, bone.tail = head.head, head.tail
            bone.roll = head.roll
    armature.update_tag(refresh={"OBJECT", "DATA"})


@contextmanager
def edit_bones(data: Any) -> Iterator[Any]:
    """The edit bones of an armature, whose objects keep their modes: a stand-in in a scene of its own is edited."""
    if data.is_editmode:
        raise RuntimeError("the armature is in edit mode; leave it first (Tab)")
    scene = bpy.data.scenes.new("Hyoid")
    stand_in = bpy.data.objects.new("Hyoid", data)
    try:
        scene.collection.objects.link(stand_in)
        layer = scene.view_layers[0]
        layer.objects.active = stand_in
        with bpy.context.temp_override(scene=scene, view_layer=layer, active_object=stand_in, object=stand_in):
            bpy.ops.object.mode_set(mode="EDIT")
            try:
                yield data.edit_bones
            finally:
                bpy.ops.object.mode_set(mode="OBJECT")
    finally:
        bpy.data.objects.remove(stand_in)
        bpy.data.scenes.remove(scene)


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


def _sort(armature: Any, joints: list[str], parents: np.ndarray, control: bool) -> None:
    """Put each bone into its collection; collections that stay empty are not made."""
    members: dict[str, list[str]] = {}
    under_head: set[str] = set()
    for index, name in enumerate(joints):
        above = joints[parents[index]] if parents[index] >= 0 else ""
        if above in HEADS or above in under_head:
            under_head.add(name)
        members.setdefault(_collection_of(name, name in under_head), []).append(name)
    if control and CONTROL in armature.data.bones:
        members["Control"] = [CONTROL]
    titles = sorted(members, key=lambda title: _COLLECTIONS.index(title))
    # Below a bust the bones of trunk and arms hang in the air: they are there, but not shown.
    bust = "Neck" in members and "Legs.L" not in members
    hidden = frozenset(("Spine", "Arms.L", "Arms.R") if bust else ())
    compat.sort_bones(armature, {title: members[title] for title in titles}, _COLOURS, hidden)


def _collection_of(name: str, under_head: bool) -> str:
    if name in NECK:
        return "Head" if name == "oc1" else "Neck"
    if under_head:
        return "Face"
    if name in HEADS or name == "neck":
        return "Neck" if name == "neck" else "Head"
    stem, side = _side_of(name)
    for title, beginnings in _LIMBS:
        if side and stem.startswith(beginnings):
            return f"{title}.{side}"
    return "Spine"


def _side_of(name: str) -> tuple[str, str]:
    """A name without its side, in lower case, and ``L``, ``R`` or nothing: ``foot.L``, ``left_foot``, ``L_Foot``."""
    low = name.lower()
    for side in "LR":
        word = {"L": "left_", "R": "right_"}[side]
        if low.endswith(f".{side.lower()}"):
            return low[:-2], side
        if low.startswith((word, f"{side.lower()}_")):
            return low.partition("_")[2], side
    return low, ""


def _ring(collection: Any) -> Any:
    """A ring of radius 1 about +Y, in a hidden collection."""
    angle = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    mesh = bpy.data.meshes.new("ring")
    points = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], -1)
    mesh.from_pydata(points.tolist(), [(i, (i + 1) % 48) for i in range(48)], [])
    ring = bpy.data.objects.new("ring", mesh)
    widgets = bpy.data.collections.new(f"{collection.name} widgets")
    ring["hyoid_widget"] = widgets["hyoid_collection"] = True
    widgets.objects.link(ring)
    collection.children.link(widgets)
    widgets.hide_viewport = widgets.hide_render = True
    return ring


def set_rings(armature: Any, character: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Size the rings around the neck and the head, the handles of their bones."""
    first = arrays["weight_joints"][:, 0]
    for name in NECK:
        if name not in character["joints"]:
            continue
        index = character["joints"].index(name)
        near = np.abs(arrays["vertices"][:, 2] - arrays["heads"][index, 2]) < 0.02
        distance = np.linalg.norm((arrays["vertices"] - arrays["heads"][index])[(first == index) & near, :2], axis=-1)
        # The median keeps the shoulders out of the lowest ring.
        radius = float(np.median(distance)) * 1.25 if len(distance) else 0.08
        armature.pose.bones[name].custom_shape_scale_xyz = (radius,) * 3
        if name == NECK[-1] and CONTROL in armature.pose.bones:
            handle = armature.pose.bones[CONTROL]
            handle.custom_shape_scale_xyz = (1.7 * radius,) * 3
            handle.custom_shape_translation = (0.0, 0.6 * handle.bone.length, 0.0)  # about the forehead


def refresh(armature: Any) -> None:
    """Bring the pose that scripts read up to date; a new armature needs it, its first evaluation leaves it at zero."""
    layer = bpy.context.view_layer
    layer.update()
    armature.update_tag(refresh={"OBJECT", "DATA"})
    layer.update()


def mark(armature: Any, character: dict[str, Any], identifier: str) -> None:
    """Say on the armature object which character it is, so that the add-on finds it, and under which licence."""
    record = {
        "character": character["source"],
        "name": character["name"],
        "settings": character["settings"],
        "part": character["part"],
        "id": identifier,
    }
    armature[MARK] = json.dumps(record, sort_keys=True)
    armature[FACTS] = json.dumps(
        {key: character[key] for key in ("joints", "own_shapes", "drivers", "neck")}, sort_keys=True
    )
    armature["hyoid_licence"] = character["licence"]


def add_properties(armature: Any, body: Any) -> None:
    """The controls of larynx and jaw: custom properties of the armature object."""
    keys = body.data.shape_keys.key_blocks if body.data.shape_keys else {}
    if "larynxUp" in keys:
        compat.set_property(
            armature, "larynx_height", 0.0, -25.0, 25.0, "Height of the larynx, millimetres, up positive"
        )
    if "larynxSize" in keys:
        compat.set_property(armature, "larynx_size", 1.0, 0.0, 3.0, "Size of the larynx, 1 = the character's own")
    if "jawOpen" in keys:
        compat.set_property(armature, "jaw", 0.0, 0.0, 1.0, "Opening of the jaw, 0 to 1, on top of the animation")


def drive_shapes(armature: Any, objects: list[Any], shapes: list[str], millimetres: float) -> None:
    """Drive the body's larynx keys by the properties, and the shapes of the other parts by the body's keys."""
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
        for key in [key for key in part.data.shape_keys.key_blocks[1:] if key.name in shapes]:
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
    """Turn the joints that follow curves (the eyes follow eyeLook*) by the body's key values.

    The drivers of a joint add up to one rotation vector in the bone's axes, which lies in three properties of the bone;
    a constraint behind the bone's own rotation turns it by the Euler angles of that vector.
    """
    keys = body.data.shape_keys
    for joint in dict.fromkeys(driver["joint"] for driver in drivers):
        bone = armature.pose.bones[joint]
        rest = np.array(bone.bone.matrix_local.to_3x3())
        followed = [d for d in drivers if d["joint"] == joint and keys is not None and d["curve"] in keys.key_blocks]
        if not followed:
            continue
        for column, axis in enumerate("xyz"):
            terms, variables = [], {}
            for number, driver in enumerate(followed):
                part = float(rest[:, column] @ _turned(driver["axis"])) * math.radians(driver["degrees"])
                if abs(part) > 1e-6:
                    terms.append(f"v{number} * {part:.9f}")
                    variables[f"v{number}"] = (keys, f'key_blocks["{driver["curve"]}"].value')
            bone[f"look_{axis}"] = 0.0
            if terms:
                drive(bone, f'["look_{axis}"]', " + ".join(terms), **variables)
        constraint = rotation_constraint(armature, joint, "Hyoid look", "AFTER")
        look = {axis: (armature, f'pose.bones["{joint}"]["look_{axis}"]') for axis in "xyz"}
        for axis, expression in EULER_OF_VECTOR.items():
            drive(constraint, f"to_min_{axis}_rot", expression, **look)


def _euler_of_vector() -> dict[str, str]:
    """Expressions for the XYZ Euler angles of the rotation vector x, y, z.

    With t the squared angle, s = sin / angle and h = (1 - cos) / angle^2 the rotation matrix is
    cos I + s [v] + h v v^T, and the angles follow from its last row and first column.
    """
    t = "(x*x+y*y+z*z+0.000000000001)"
    s, h = f"sin(sqrt{t})/sqrt{t}", f"(1-cos(sqrt{t}))/{t}"
    return {
        "x": f"atan2(x*{s}+y*z*{h},1-(x*x+y*y)*{h})",
        "y": f"asin(y*{s}-x*z*{h})",
        "z": f"atan2(z*{s}+x*y*{h},1-(y*y+z*z)*{h})",
    }


EULER_OF_VECTOR = _euler_of_vector()


def _turned(axis: list[float]) -> np.ndarray:
    """An axis of the character (+Y up) in Blender's axes."""
    return np.array([axis[0], -axis[2], axis[1]])


def rotation_constraint(armature: Any, bone: str, name: str, mix: str) -> Any:
    """A constraint that puts a driven rotation (XYZ Euler angles) before or after the bone's own.

    A Transformation constraint whose input range is empty gives its minimum, whatever its target does; it must have a
    target all the same: the root bone, which nothing here constrains.
    """
    constraint = armature.pose.bones[bone].constraints.new("TRANSFORM")
    constraint.name = name
    constraint.target = armature
    constraint.subtarget = next(bone.name for bone in armature.data.bones if bone.parent is None)
    constraint.owner_space = constraint.target_space = "LOCAL"
    constraint.map_to = "ROTATION"
    constraint.to_euler_order = "XYZ"
    constraint.mix_mode_rot = mix
    return constraint


def drive(owner: Any, path: str, expression: str, **variables: tuple[Any, ...]) -> None:
    """Drive ``owner.path`` by an expression over properties of IDs and rotations of bones.

    Only arithmetic and the functions of Blender's simple expressions: those are evaluated without Python, so they work
    although Blender refuses to run scripts of files from elsewhere.

    Args:
        variables: (ID, data path), or (armature object, bone, ``ROT_W`` to ``ROT_Z``) for a part of the quaternion that
            turns the bone from its rest pose.
    """
    driver = owner.driver_add(path).driver
    driver.type = "SCRIPTED"
    for name, (owner_id, *source) in variables.items():
        variable = driver.variables.new()
        variable.name = name
        variable.type = "SINGLE_PROP" if len(source) == 1 else "TRANSFORMS"
        target = variable.targets[0]
        if len(source) == 1:
            target.id_type = compat.id_type(owner_id)
            target.id, target.data_path = owner_id, source[0]
            continue
        target.id = owner_id
        target.bone_target, target.transform_type = source
        target.transform_space, target.rotation_mode = "LOCAL_SPACE", "QUATERNION"
    driver.expression = expression
