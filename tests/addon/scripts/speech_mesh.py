# SPDX-License-Identifier: Apache-2.0
"""An artist's own mesh with ARKit shapes talks and is re-solved, beside a character; an imported take too."""

from pathlib import Path

import bpy

SHAPES = ("jawOpen", "mouthPressLeft", "mouthClose", "browInnerUp", "eyeBlinkLeft")


def own_mesh(scene):
    mesh = bpy.data.meshes.new("Monster 'ö'")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    obj = bpy.data.objects.new("Monster 'ö'", mesh)
    scene.collection.objects.link(obj)
    obj.shape_key_add(name="Basis")
    for name in SHAPES:
        obj.shape_key_add(name=name)
    return obj


def moved(helper, scene, obj, keys, talk):
    """Drag the first M of a talk by five frames and re-solve; what it did to two shapes."""

    def values(name):
        curve = next(curve for curve in helper["fcurves"](keys) if name in curve.data_path)
        return [curve.evaluate(frame) for frame in range(int(talk.start), int(talk.start) + 72)]

    before = {name: values(name) for name in SHAPES}
    marker = next(marker for marker in scene.timeline_markers if marker.name == "M (my)")
    home, marker.frame = marker.frame - int(talk.start), marker.frame - 5
    bpy.ops.hyoid.resolve_phonemes()
    after = {name: values(name) for name in SHAPES}
    return {
        "home": home, "before": before["mouthPressLeft"], "after": after["mouthPressLeft"],
        "still": [before[name] == after[name] for name in ("browInnerUp", "eyeBlinkLeft")],
    }  # fmt: skip


def main(addon, args):
    helper = {"__name__": "helper"}
    exec(Path(__file__).with_name("speech_loop.py").read_text(encoding="utf-8"), helper)
    scene = bpy.context.scene
    rig = helper["setup"](addon, args)
    obj = own_mesh(scene)
    bpy.context.view_layer.objects.active = obj
    bpy.ops.hyoid.guess_shape_map()
    bpy.ops.hyoid.talk(audio=args["audio"], text=args["text"], frame=100)
    talk = obj.hyoid_talk.talks[0]
    answer = {"rig moved": bool(helper["keys"](rig)), "mesh": moved(helper, scene, obj, obj.data.shape_keys, talk)}
    bpy.ops.hyoid.hide_phonemes()
    # The same take by Import on the character, which was never told to talk.
    take = next(Path(args["output"]).glob("*-001.take.npz"))
    bpy.context.view_layer.objects.active = rig.armature
    bpy.ops.hyoid.import_take(filepath=str(take), place="FRAME", start=300, markers=True, sound=False)
    answer["marks"] = [len(scene.timeline_markers)]
    bpy.ops.hyoid.show_phonemes()
    answer["marks"].append(len(scene.timeline_markers))
    talk = rig.armature.hyoid_talk.talks[0]
    answer["imported"] = moved(helper, scene, rig.armature, rig.body.data.shape_keys, talk) | {"start": talk.start}
    # It is replaced by another: the phones of the first are forgotten with it.
    bpy.ops.hyoid.talk(audio=args["audio"], text=args["text"], frame=300)
    answer["talks"] = [[talk.name, talk.start] for talk in rig.armature.hyoid_talk.talks]
    return answer
