# SPDX-License-Identifier: Apache-2.0
"""Runs the scripts that the documents show, each page in a file with a character and a mesh called Head."""

import os

import bpy


def main(addon, args):
    preferences = bpy.context.preferences.addons[addon.__name__].preferences
    preferences.toolkit = args["toolkit"]
    os.chdir(args["place"])
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.name = "Head"
    for name in ("Basis", "jawOpen", "EyeBlink_L", "EyeBlink_R", "lips pressed"):
        bpy.context.object.shape_key_add(name=name)
    bpy.ops.hyoid.create_character(part="head")
    start = os.path.join(args["place"], "start.blend")
    bpy.ops.wm.save_as_mainfile(filepath=start)
    answer = {}
    for page, scripts in args["pages"].items():
        bpy.ops.wm.open_mainfile(filepath=start)
        bpy.ops.wm.save_as_mainfile(filepath=os.path.join(args["place"], "shot.blend"))
        for script in scripts:
            exec(compile(script, page, "exec"), {"bpy": bpy})
        answer[page] = sorted({obj.name for obj in bpy.data.objects if "hyoid_events" in obj})
    return answer
