# SPDX-License-Identifier: Apache-2.0
"""Runs inside Blender: action units are added, imported, set by letter, sampled, baked, thinned and taken away."""

import importlib

import bpy
import numpy as np
from evaluated import world_points


def main(addon, args):
    def module(path):
        return importlib.import_module(f"{addon.__name__}.{path}")

    create, insert, channels = module("characters.create"), module("takes.insert"), module("takes.channels")
    sample, bake = module("export.sample"), module("export.bake")
    take_npz, units = module("toolkit.formats.take_npz"), module("toolkit.blender.action_units")
    section, scene, answer = module("action_units.section"), bpy.context.scene, {}
    scene.render.fps, scene.render.fps_base = 30, 1.0
    take = take_npz.read(args["take"])
    rig = create.create(bpy.context, {}, "head")
    armature, keys = rig.armature, rig.body.data.shape_keys
    bpy.context.view_layer.objects.active = armature
    plain = [key.name for key in keys.key_blocks]
    answer["without"] = [bpy.ops.hyoid.set_action_unit.poll(), units.units(armature)]

    bpy.ops.hyoid.add_action_units()
    still = world_points(rig.body.evaluated_get(bpy.context.evaluated_depsgraph_get()))
    bpy.ops.hyoid.set_emotion(emotion="happiness")
    smiles = world_points(rig.body.evaluated_get(bpy.context.evaluated_depsgraph_get()))
    answer["smile"] = float(np.abs(smiles - still).max())
    lashes = next(part for part in rig.parts if part["hyoid_part"] == "lashes")
    answer["lashes"] = max(abs(key.value) for key in lashes.data.shape_keys.key_blocks if key.name[:3] == "AU ")
    bpy.ops.hyoid.remove_action_units()
    answer["said"] = insert.insert(scene, armature, take, channels.Placement(1, "new", 0, 0, "units"))
    answer["units"] = units.units(armature)
    answer["keys"] = [key.name for key in keys.key_blocks][len(plain) :]
    answer["pickers"] = [name for name in module("takes.mapping_table").key_names(rig.body) if name not in plain]
    shown = {}
    for frame in args["frames"]:
        scene.frame_set(frame + 1)
        graph = bpy.context.evaluated_depsgraph_get()
        for part in rig.parts:
            shown.setdefault(part["hyoid_part"], []).append(world_points(part.evaluated_get(graph)))
    np.savez(args["out"], **{name: np.array(rows) for name, rows in shown.items()})
    owners = [armature, *(part.data.shape_keys for part in rig.parts if part.data.shape_keys)]
    answer["bad"] = [
        curve.driver.expression
        for owner in owners
        if owner.animation_data
        for curve in owner.animation_data.drivers
        if not (curve.is_valid and curve.driver.is_valid and curve.driver.is_simple_expression)
    ]

    sampled = sample.take_of(rig, scene, 1, take.frames)
    take_npz.write(args["sampled"], sampled)
    bake.performance(rig, scene, np.arange(1.0, take.frames + 1), "baked")
    again = sample.take_of(rig, scene, 1, take.frames)
    answer["baked"] = float(np.abs(again.curves - sampled.curves).max())
    playing = module("toolkit.blender.compat").playing
    answer["keyed"] = sorted({c.data_path for owner in owners[:2] if playing(owner) for c in playing(owner).fcurves})

    armature.animation_data.action = keys.animation_data.action = None
    bpy.ops.hyoid.reset_action_units()
    bpy.ops.hyoid.set_action_unit(unit="au12", intensity="C")
    answer["letter"] = round(armature["AU12"], 4)
    try:
        bpy.ops.hyoid.set_action_unit(unit="AU31")
    except RuntimeError as error:
        answer["refused"] = str(error)
    bpy.ops.hyoid.set_emotion(emotion="happiness")
    answer["emotion"] = {name: round(armature[name], 4) for name in units.units(armature) if armature[name]}
    regions = section.REGIONS
    answer["shown"] = [
        section.shown_units(armature, units.units(armature), region, sides)
        for region in regions
        for sides in (False, True)
    ]
    answer["titles"] = [section.title("AU12"), section.title("AU12L")]
    bpy.ops.hyoid.key_action_units()
    answer["unit_keys"] = sorted(c.data_path for c in playing(armature).fcurves)
    armature.animation_data.action = None
    bpy.ops.hyoid.remove_action_units()
    answer["after"] = [[key.name for key in keys.key_blocks] == plain, units.units(armature)]
    answer["left"] = sum(curve.data_path.startswith('key_blocks["AU ') for curve in keys.animation_data.drivers)
    return answer
