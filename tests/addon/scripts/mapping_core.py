# SPDX-License-Identifier: Apache-2.0
"""A take on a mesh with renamed keys and on an armature with other bones, rolls and axes."""

import importlib
import math
from dataclasses import replace

import bpy
import numpy as np
from mathutils import Matrix, Quaternion, Vector

QUOTED = 'Kö\'rper "a".blink'


def main(addon, args):
    work = {name: importlib.import_module(f"{addon.__name__}.{path}") for name, path in {
        "mapping": "takes.mapping", "insert": "takes.insert", "channels": "takes.channels", "take": "toolkit.take",
        "retarget": "takes.retarget", "table": "takes.mapping_table", "arkit": "toolkit.characters.arkit",
    }.items()}  # fmt: skip
    answers = {}
    for name, case in args["cases"].items():
        bpy.ops.wm.read_homefile(use_factory_startup=True)
        answers[name] = globals()[case["case"]](work, case)
    return answers


def take_of(work, seconds=1.0, fps=24.0):
    """A head that turns, nods and tilts at once, joint by joint; arms that lift; a root that walks; ARKit curves."""
    frames = round(seconds * fps)
    time = np.arange(frames) / fps
    joints = ["root", "spine05", "spine02", *NECK, "upperarm01.L", "lowerarm01.L", "upperarm01.R", "wrist.L"]
    half = np.zeros((frames, len(joints), 4))
    for index in range(len(joints)):
        axis = np.array([0.6, 0.7, -0.4]) if index % 2 else np.array([-0.3, 0.9, 0.3])
        axis /= np.linalg.norm(axis)
        angle = 0.16 * np.sin(2 * np.pi * time * (0.5 + 0.1 * index) + index) / 2
        half[:, index, 0] = np.cos(angle)
        half[:, index, 1:] = np.sin(angle)[:, None] * axis
    names = work["arkit"].CURVES
    curves = 0.5 + 0.5 * np.sin(2 * np.pi * time[:, None] + np.arange(len(names)))
    root = np.stack([0.1 * time, 0.02 * np.sin(time), 0.3 * time], -1)
    return work["take"].Take(
        fps=fps, curve_names=names, curves=curves.astype(np.float32), joint_names=tuple(joints),
        rotations=half.astype(np.float32), root=root.astype(np.float32), confidence=np.ones(frames, np.float32),
    )  # fmt: skip


NECK = ("c7t1", "c6c7", "c5c6", "c4c5", "c3c4", "c2c3", "c1c2", "oc1")
MIXAMO = (
    ("Hips", None, (0, 100, 0)), ("Spine", "Hips", (0, 112, 0)), ("Spine1", "Spine", (0, 124, 1)),
    ("Spine2", "Spine1", (0, 136, 0)), ("Neck", "Spine2", (0, 150, -1)), ("Head", "Neck", (0, 160, 2)),
    ("LeftShoulder", "Spine2", (6, 146, 0)), ("LeftArm", "LeftShoulder", (18, 147, 0)),
    ("LeftForeArm", "LeftArm", (45, 147, 0)), ("LeftHand", "LeftForeArm", (72, 147, 0)),
    ("LeftHandMiddle1", "LeftHand", (82, 147, 0)),
    ("RightShoulder", "Spine2", (-6, 146, 0)), ("RightArm", "RightShoulder", (-18, 147, 0)),
    ("RightForeArm", "RightArm", (-45, 147, 0)), ("RightHand", "RightForeArm", (-72, 147, 0)),
    ("LeftUpLeg", "Hips", (9, 95, 0)), ("LeftLeg", "LeftUpLeg", (9, 50, 1)), ("LeftFoot", "LeftLeg", (9, 8, -2)),
    ("RightUpLeg", "Hips", (-9, 95, 0)), ("RightLeg", "RightUpLeg", (-9, 50, 1)),
    ("RightFoot", "RightLeg", (-9, 8, -2)),
)  # fmt: skip


def mixamo(prefix="mixamorig:", turn=0.0):
    """A T-posed armature in centimetres that stands along its own Y, with odd rolls and tails; upright in the world."""
    data = bpy.data.armatures.new("Rig")
    rig = bpy.data.objects.new("Armature", data)
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    random = np.random.default_rng(3)
    for name, parent, head in MIXAMO:
        bone = data.edit_bones.new(prefix + name)
        bone.head = head
        bone.tail = Vector(head) + Vector(random.normal(0, 4, 3).tolist())
        bone.roll = float(random.uniform(-3, 3))
        bone.parent = data.edit_bones[prefix + parent] if parent else None
    bpy.ops.object.mode_set(mode="OBJECT")
    rig.matrix_world = (
        Matrix.Translation((0.4, -2, 0.1)) @ Matrix.Rotation(turn, 4, "Z") @ Matrix.Rotation(math.pi / 2, 4, "X")
        @ Matrix.Scale(0.01, 4)
    )  # fmt: skip
    return rig


def mesh_with(names):
    data = bpy.data.meshes.new("Head")
    data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    obj = bpy.data.objects.new("Head", data)
    bpy.context.scene.collection.objects.link(obj)
    obj.shape_key_add(name="Basis")
    for name in names:
        obj.shape_key_add(name=name)
    bpy.context.view_layer.objects.active = obj
    return obj


def insert(work, obj, take):
    placement = work["channels"].Placement(start=10, mode="new", name="shot")
    bpy.context.scene.render.fps = round(take.fps)
    bpy.context.scene.render.fps_base = 1.0
    return work["insert"].insert(bpy.context.scene, obj, take, placement)


def head_turns(rig, bone, frames):
    """World rotation of a bone against its rest, at some frames after the start."""
    rest = (rig.matrix_world @ rig.data.bones[bone].matrix_local).to_quaternion()
    result = []
    for frame in frames:
        bpy.context.scene.frame_set(10 + frame)
        now = (rig.matrix_world @ rig.pose.bones[bone].matrix).to_quaternion()
        result.append(now @ rest.inverted())
    return result


def wanted_turn(take, frame, last, turn=0.0):
    """The product of the take's joints up to one, in Blender's world axes."""
    total = Quaternion()
    for index, _name in enumerate(take.joint_names[: take.joint_names.index(last) + 1]):
        w, x, y, z = take.rotations[frame, index].tolist()
        total = total @ Quaternion((w, x, -z, y))
    frame_turn = Quaternion((0, 0, 1), turn)
    return frame_turn @ total @ frame_turn.inverted()


def angle(a, b):
    """Radians between two rotations, exact for small ones too."""
    apart = a.inverted() @ b
    return 2 * math.asin(min(Vector(apart[1:]).length, 1.0))


def armature(work, args):
    """The largest difference of the head's direction in radians, and where the arms point."""
    take, turn = take_of(work), args.get("turn", 0.0)
    rig = mixamo(turn=turn)
    for name, mode in (("mixamorig:Head", "XYZ"), ("mixamorig:Neck", "AXIS_ANGLE"), ("mixamorig:Spine1", "ZXY")):
        rig.pose.bones[name].rotation_mode = mode
    message = insert(work, rig, take)
    frames = [0, 5, 11, 17, 23]
    worst, most = 0.0, 0.0
    for frame, now in zip(frames, head_turns(rig, "mixamorig:Head", frames), strict=True):
        worst = max(worst, angle(now, wanted_turn(take, frame, "oc1", turn)))
        most = max(most, angle(now, Quaternion()))
    bpy.context.scene.frame_set(10 + 20)
    hips = rig.matrix_world @ rig.pose.bones["mixamorig:Hips"].head
    still = rig.matrix_world @ rig.data.bones["mixamorig:Hips"].head_local
    arm = rig.pose.bones["mixamorig:LeftForeArm"].head - rig.pose.bones["mixamorig:LeftArm"].head
    return {
        "worst": worst, "most": most, "message": message, "travel": list(hips - still), "root": take.root[20].tolist(),
        "rows": [[row.target, row.sources] for row in rig.hyoid_bone_map],
        "arm": list((rig.matrix_world.to_3x3() @ arm).normalized()),
        "wanted_arm": wanted_arm(take, 20, turn),
    }  # fmt: skip


def wanted_arm(take, frame, turn):
    """Where the left upper arm of the human points in the world; a breath lifts its collar bone."""
    package = type(take).__module__.rpartition(".")[0]
    gestures = importlib.import_module(f"{package}.characters.gestures")
    lifted = gestures.added(take).joints["clavicle.L"][frame].tolist()
    total = Quaternion()
    for name in ("root", "spine05", "spine02", "clavicle.L", "upperarm01.L"):
        own = name in take.joint_names
        w, x, y, z = take.rotations[frame, take.joint_names.index(name)].tolist() if own else lifted
        total = total @ Quaternion((w, x, -z, y))
    rest = Vector((0.6618, -0.0233, -0.7493)).normalized()
    return list(Quaternion((0, 0, 1), turn) @ (total @ rest))


def mesh(work, args):
    """Renamed keys, one with quotes: values as in the take, clamped to the slider."""
    take = take_of(work)
    names = [name.replace("Left", "_L").replace("Right", "_R") for name in work["arkit"].NAMES]
    obj = mesh_with([*names, QUOTED, "larynxUp", "Smirk"])
    bpy.ops.hyoid.guess_shape_map()
    bpy.ops.hyoid.add_map_row(source="eyeBlinkLeft", target=QUOTED, factor=-0.5)
    bpy.ops.hyoid.add_map_row(source="eyeBlinkRight", target=QUOTED, factor=2.5)
    message = insert(work, obj, take)
    bpy.context.scene.frame_set(10 + 7)
    keys = obj.data.shape_keys.key_blocks
    worst = max(
        abs(keys[renamed].value - float(take.curve(name)[7]))
        for renamed, name in zip(names, work["arkit"].NAMES, strict=True)
    )
    both = -0.5 * float(take.curve("eyeBlinkLeft")[7]) + 2.5 * float(take.curve("eyeBlinkRight")[7])
    return {
        "worst": worst, "message": message, "quoted": keys[QUOTED].value, "both": both,
        "slider": [keys[QUOTED].slider_min, keys[QUOTED].slider_max], "rows": len(obj.hyoid_shape_map),
        "larynx": keys["larynxUp"].value, "height": float(take.curve("larynxHeight")[7]),
    }  # fmt: skip


def speech(work, args):
    """A mesh with visemes only: from sounds, and from face curves when the take has no sounds."""
    take = take_of(work)
    obj = mesh_with(["Basis 2", *(f"viseme_{name}" for name in ("sil", "PP", "FF", "aa", "E", "I", "O", "U", "SS"))])
    guessed = insert(work, obj, take)
    rows = {row.target: row.source for row in obj.hyoid_shape_map}
    event = work["take"].Event
    told = replace(take, events=(event("phone", "AA", 0.1, 0.3), event("phone", "M", 0.3, 0.4)))
    message = insert(work, obj, told)
    bpy.context.scene.frame_set(10 + round(0.33 * take.fps))
    keys = obj.data.shape_keys.key_blocks
    closed = keys["viseme_PP"].value
    bpy.context.scene.frame_set(10 + round(0.16 * take.fps))
    return {"guessed": guessed, "message": message, "rows": rows, "closed": closed, "open": keys["viseme_aa"].value}


def saved(work, args):
    """Tables survive saving and loading of the .blend, and travel through a JSON file."""
    obj = mesh_with(["jaw_open", QUOTED])
    bpy.ops.hyoid.guess_shape_map()
    bpy.ops.hyoid.add_map_row(source="mouthPucker", target=QUOTED, factor=1.5)
    obj.hyoid_map.widen = True
    bpy.ops.hyoid.save_map(filepath=args["json"])
    bpy.ops.wm.save_as_mainfile(filepath=args["blend"])
    bpy.ops.wm.open_mainfile(filepath=args["blend"])
    obj = bpy.data.objects["Head"]
    rows = [[row.source, row.target, row.factor] for row in obj.hyoid_shape_map]
    bpy.context.view_layer.objects.active = obj
    bpy.ops.hyoid.clear_map()
    empty = len(obj.hyoid_shape_map)
    bpy.ops.hyoid.load_map(filepath=args["json"])
    loaded = [[row.source, row.target, row.factor] for row in obj.hyoid_shape_map]
    return {"rows": rows, "empty": empty, "loaded": loaded, "widen": obj.hyoid_map.widen}


def linked(work, args):
    """A character linked from another file and overridden here: its table is filled, saved and there again."""
    source, shot = args["place"] + "/character.blend", args["place"] + "/shot.blend"
    obj = mesh_with(["jaw_open", "Ö"])
    bpy.ops.wm.save_as_mainfile(filepath=source)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=False)
    with bpy.data.libraries.load(source, link=True) as (_, wanted):
        wanted.objects = ["Head"]
    own = wanted.objects[0].override_create(remap_local_usages=True)
    bpy.context.scene.collection.objects.link(own)
    bpy.context.view_layer.objects.active = own
    bpy.ops.hyoid.guess_shape_map()
    bpy.ops.hyoid.add_map_row(source="mouthPucker", target="Ö", factor=0.5)
    bpy.ops.wm.save_as_mainfile(filepath=shot)
    bpy.ops.wm.open_mainfile(filepath=shot)
    obj = next(obj for obj in bpy.data.objects if obj.override_library)
    return [[row.source, row.target, row.factor] for row in obj.hyoid_shape_map]


def faults(work, args):
    """What each operator says when it cannot do its work."""
    folder = args["place"]
    obj = mesh_with(["Key 1", "Key 2"])
    answer = {"empty": said(bpy.ops.hyoid.save_map, filepath=folder + "/empty.json")}
    bpy.ops.hyoid.add_map_row(source="jawOpen", target="Key 1")
    answer["names"] = said(bpy.ops.hyoid.guess_shape_map)
    answer["kept"] = len(obj.hyoid_shape_map)
    for name, text in (("garbage", "[1, 2"), ("newer", '{"format": "hyoid.map", "version": 9}')):
        with open(f"{folder}/{name}.json", "w", encoding="utf-8") as stream:
            stream.write(text)
        answer[name] = said(bpy.ops.hyoid.load_map, filepath=f"{folder}/{name}.json")
    answer["missing"] = said(bpy.ops.hyoid.load_map, filepath=f"{folder}/none.json")
    bpy.context.view_layer.objects.active = None
    answer["poll"] = bpy.ops.hyoid.guess_shape_map.poll()
    return answer


def said(operator, **properties):
    """The error that an operator reports."""
    try:
        operator(**properties)
    except RuntimeError as error:
        return str(error)
    return "nothing"
