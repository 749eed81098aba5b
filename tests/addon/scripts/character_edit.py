# SPDX-License-Identifier: Apache-2.0
"""Changes an existing character by its sliders and compares it with one that is made new."""

import importlib
import json
import time

import bpy
import numpy as np


def main(addon, args):
    part = args["part"]
    shown = importlib.import_module(addon.__name__ + ".characters.settings").shown
    find = importlib.import_module(addon.__name__ + ".characters.find")
    bpy.ops.hyoid.create_character(preset="YOUNG_WOMAN", part=part)
    changed = find.active_rig(bpy.context)
    group = changed.armature.hyoid_identity
    key = changed.body.data.shape_keys.key_blocks["mouthSmileLeft"]
    key.keyframe_insert("value", frame=1)
    changed.armature.pose.bones["oc1"].keyframe_insert("rotation_quaternion", frame=1)
    times = []
    for age in (0.5, 0.9, 0.3, args["settings"]["set_age"]):
        start = time.process_time()
        group.set_age = age
        times.append(time.process_time() - start)
    for name, value in args["settings"].items():
        setattr(group, name, value)
    fresh_settings = find.identity(changed.armature)["settings"]
    create = importlib.import_module(addon.__name__ + ".characters.create")
    fresh = create.create(bpy.context, fresh_settings, part)
    answer = {
        "times": times,
        "message": group.message,
        "settings": fresh_settings,
        "read": {name: getattr(group, name) for name in args["settings"]},
        "surface": surface_difference(changed, fresh),
        "bones": bone_difference(changed, fresh),
        "tint": tint_difference(changed, fresh),
        "animated": key.id_data.animation_data.action is not None,
        "scenes": len(bpy.data.scenes),
    }
    # Edits by hand survive the next change.
    points = np.empty(3 * len(changed.body.data.vertices), np.float32)
    key.data.foreach_get("co", points)
    points[0] += 0.01
    key.data.foreach_set("co", points)
    group.set_age = 0.8
    answer["message_after_edit"] = group.message
    after, rest = np.empty_like(points), np.empty_like(points)
    key.data.foreach_get("co", after)
    changed.body.data.shape_keys.reference_key.data.foreach_get("co", rest)
    answer["edit_kept"] = float(after[0] - rest[0])
    bpy.ops.hyoid.apply_preset(preset="OLD_MAN")
    bpy.ops.hyoid.randomise_character(seed=3)
    once = dict(find.identity(changed.armature)["settings"])
    bpy.ops.hyoid.randomise_character(seed=3)
    answer["same_seed"] = once == find.identity(changed.armature)["settings"]
    bpy.ops.hyoid.reset_character()
    answer["after_reset"] = find.identity(changed.armature)["settings"]
    group.pair_cheek_volume_incr = 0.5
    answer["pair"] = find.identity(changed.armature)["settings"]
    bpy.ops.hyoid.update_character(setting="age", value=0.9)
    answer["set"] = find.identity(changed.armature)["settings"]["age"]
    bpy.ops.hyoid.add_detail(detail="nose-base-up")
    answer["added"] = [detail.title for detail in shown(changed.armature)]
    bpy.ops.hyoid.remove_detail(detail="cheek-volume-incr")
    answer["left"] = [detail.title for detail in shown(changed.armature)]
    answer["name"] = find.identity(changed.armature)["name"]
    answer["refusals"] = [refused(**wrong) for wrong in ({"settings": "age"}, {"settings": '{"agee": 1}'})]
    bpy.context.view_layer.objects.active = changed.body
    bpy.ops.object.mode_set(mode="EDIT")
    answer["refusals"].append(refused(operator=bpy.ops.hyoid.reset_character))
    group.set_age = 0.2
    answer["refusals"].append(group.message)
    return json.loads(json.dumps(answer))


def refused(operator=None, **given):
    try:
        (operator or bpy.ops.hyoid.create_character)(**given)
    except RuntimeError as error:
        return str(error)
    return ""


def surface_difference(a, b):
    worst = 0.0
    for one, other in zip(a.parts, b.parts, strict=True):
        assert one["hyoid_part"] == other["hyoid_part"]
        worst = max(worst, difference(one.data.vertices, other.data.vertices))
        if one.data.shape_keys:
            for key in one.data.shape_keys.key_blocks:
                worst = max(worst, difference(key.data, other.data.shape_keys.key_blocks[key.name].data))
    return worst


def difference(a, b):
    values = []
    for points in (a, b):
        found = np.empty(3 * len(points), np.float32)
        points.foreach_get("co", found)
        values.append(found)
    return float(np.abs(values[0] - values[1]).max())


def bone_difference(a, b):
    names = [bone.name for bone in b.armature.data.bones]
    assert names == [bone.name for bone in a.armature.data.bones]
    rests = [[np.array(rig.armature.data.bones[name].matrix_local) for name in names] for rig in (a, b)]
    rings = [[np.array(rig.armature.pose.bones[name].custom_shape_scale_xyz) for name in names] for rig in (a, b)]
    return max(float(np.abs(np.array(rests[0]) - rests[1]).max()), float(np.abs(np.array(rings[0]) - rings[1]).max()))


def tint_difference(a, b):
    worst = 0.0
    for one, other in zip(a.parts, b.parts, strict=True):
        if one.material_slots:
            colours = [np.array(part.material_slots[0].material.diffuse_color) for part in (one, other)]
            worst = max(worst, float(np.abs(colours[0] - colours[1]).max()))
            images = [
                {
                    node.image.name
                    for node in part.material_slots[0].material.node_tree.nodes
                    if node.type == "TEX_IMAGE"
                }
                for part in (one, other)
            ]
            assert images[0] == images[1]
    return worst
