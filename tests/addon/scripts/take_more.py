"""Takes on other targets, from .glb, with sound, with few keys, onto bones in other rotation modes; and refusals."""

import importlib

import bpy
import numpy as np

ROW = 20


def main(addon, args):
    case = Case(addon, args)
    handler = getattr(bpy.types, "HYOID_FH_take", None)
    answer = {"drop": handler.bl_file_extensions if handler else None}
    for what in (glb, modes, sparse, sound, mapped, refused, elsewhere):
        answer[what.__name__] = what(case, args)
    return answer


class Case:
    """The modules of the add-on and a scene at 30 frames a second."""

    def __init__(self, addon, args):
        self.addon, self.scene = addon, bpy.context.scene
        self.scene.render.fps = 30
        self.take = self.module("takes.importer").read(args["take"])

    def module(self, name):
        return importlib.import_module(f"{self.addon.__name__}.{name}")

    def rig(self):
        return self.module("characters.create").create(bpy.context, {}, "head")

    def said(self, **options):
        """What an import answers: ``done``, or the words of its error."""
        try:
            bpy.ops.hyoid.import_take(**options)
        except RuntimeError as error:
            return str(error)
        return "done"


def glb(case, args):
    """A .glb is a take for a character; without one it is Blender's own business."""
    alone = case.said(filepath=args["glb"])
    rig = case.rig()
    done = case.said(filepath=args["glb"], target=rig.armature.name, start=1)
    case.scene.frame_set(1 + ROW)
    smile = rig.body.data.shape_keys.key_blocks["mouthSmileLeft"].value
    turn = np.array(rig.armature.pose.bones["c3c4"].rotation_quaternion)
    case.module("characters.create").remove(rig)
    return {
        "alone": alone,
        "done": done,
        "smile": smile,
        "turn": float(2 * np.degrees(np.arccos(min(abs(turn[0]), 1)))),
    }


def modes(case, args):
    """Bones that the artist keeps in Euler angles or as axis and angle turn the same."""
    rig = case.rig()
    bones = rig.armature.pose.bones
    bones["c3c4"].rotation_mode, bones["c4c5"].rotation_mode, bones["jaw"].rotation_mode = "ZXY", "AXIS_ANGLE", "YZX"
    case.said(filepath=args["take"], target=rig.armature.name, start=1)
    turned = {name: [] for name in ("c3c4", "c4c5", "c2c3")}
    rest = {name: np.array(bones[name].bone.matrix_local.to_3x3()) for name in turned}
    for row in (3, 11, 29):
        case.scene.frame_set(1 + row)
        for name, found in turned.items():
            found.append((rest[name] @ np.array(bones[name].matrix_basis.to_3x3()) @ rest[name].T).tolist())
    modes = [bones[name].rotation_mode for name in ("c3c4", "c4c5")]
    case.module("characters.create").remove(rig)
    return {"turned": turned, "modes": modes}


def sparse(case, args):
    """Few keys: fewer than frames, and the values of the take at them."""
    rig = case.rig()
    case.said(filepath=args["sparse"], target=rig.armature.name, start=1, keys="sparse", mode="nla")
    playing = case.module("toolkit.blender.compat").strip_curves
    track = rig.body.data.shape_keys.animation_data.nla_tracks[-1]
    curve = playing(track.strips[0]).fcurves.find('key_blocks["mouthSmileLeft"].value')
    shown = []
    for row in range(0, case.take.frames, 3):
        case.scene.frame_set(1 + row)
        shown.append(rig.body.data.shape_keys.key_blocks["mouthSmileLeft"].value)
    ends = [track.strips[0].frame_start, track.strips[0].frame_end]
    case.module("characters.create").remove(rig)
    return {"keys": len(curve.keyframe_points), "shown": shown, "ends": ends}


def sound(case, args):
    """The sound lies on the timeline at the take's start, on a channel that is free."""
    rig = case.rig()
    strips = case.module("toolkit.blender.compat").strips
    where = []
    for start in (10, 12):
        message = []
        importer = case.module("takes.importer")
        take = importer.read(args["heard"])
        message.append(importer.add_sound(case.scene, take, start))
        where.append([[strip.channel, strip.frame_final_start] for strip in strips(case.scene)] + message)
    case.module("characters.create").remove(rig)
    return {"where": where, "audaspace": bpy.app.build_options.audaspace, "fps": case.scene.render.fps}


def mapped(case, args):
    """A face and an armature of somebody else, in one import."""
    mesh = bpy.data.meshes.new('Ge"sicht')
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    face = bpy.data.objects.new('Ge"sicht', mesh)
    armature = bpy.data.objects.new("their rig", bpy.data.armatures.new("their rig"))
    for thing in (face, armature):
        case.scene.collection.objects.link(thing)
    face.shape_key_add(name="Basis")
    for name in ("jawOpen", "mouthSmileLeft", "eyeBlinkLeft", "mouthFunnel", "browInnerUp"):
        face.shape_key_add(name=name)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    below = None
    for number, name in enumerate(("mixamorig:Hips", "mixamorig:Spine", "mixamorig:Neck", "mixamorig:Head")):
        bone = armature.data.edit_bones.new(name)
        bone.head, bone.tail, bone.parent = (0, 0, 1 + 0.2 * number), (0, 0, 1.2 + 0.2 * number), below
        below = bone
    bpy.ops.object.mode_set(mode="OBJECT")
    face.modifiers.new("Armature", "ARMATURE").object = armature
    first = case.said(filepath=args["take"], target=face.name, start=1)
    idle = armature.animation_data is None
    case.module("takes.mapping_table").guess_bone_table(armature)
    second = case.said(filepath=args["take"], target=face.name, start=1)
    case.scene.frame_set(1 + ROW)
    head = np.array(armature.pose.bones["mixamorig:Head"].matrix.to_3x3())
    still = np.array(armature.pose.bones["mixamorig:Head"].bone.matrix_local.to_3x3())
    angle = np.degrees(np.arccos(np.clip((np.trace(head @ still.T) - 1) / 2, -1, 1)))
    keys = mesh.shape_keys
    shared = keys.animation_data.action == armature.animation_data.action
    placed = [entry.name for entry in case.module("takes.placed").takes_on(face)]
    answer = {
        "first": first, "idle": idle, "second": second, "smile": keys.key_blocks["mouthSmileLeft"].value,
        "angle": float(angle), "shared": shared, "placed": placed,
    }  # fmt: skip
    plain = bpy.data.objects.new("plain", bpy.data.meshes.new("plain"))
    case.scene.collection.objects.link(plain)
    plain.data.from_pydata([(0, 0, 0)], [], [])
    answer["no keys"] = case.said(filepath=args["take"], target="plain")
    plain.shape_key_add(name="Basis")
    plain.shape_key_add(name="qqq")
    answer["no names"] = case.said(filepath=args["take"], target="plain")
    return answer


def refused(case, args):
    """What cannot be done is said before anything changes."""
    rig = case.rig()
    keys = rig.body.data.shape_keys
    case.said(filepath=args["take"], target=rig.armature.name, start=1)
    before = [len(bpy.data.actions), rig.armature.animation_data.action.name]
    insert, channels = case.module("takes.insert"), case.module("takes.channels")
    told = {}

    def attempt(name, take=None, **placement):
        place = channels.Placement(**{"start": 1, "name": name, **placement})
        try:
            insert.insert(case.scene, rig.armature, take or case.take, place)
            told[name] = "done"
        except case.module("toolkit.errors").UsageError as error:
            told[name] = str(error)

    strange = insert.replace(case.take, curve_names=tuple(f"x{i}" for i in range(len(case.take.curve_names))),
                             joint_names=tuple(f"y{i}" for i in range(len(case.take.joint_names))),
                             root=0 * case.take.root)  # fmt: skip
    attempt("nothing", strange)
    attempt("mode", mode="sideways")
    attempt("seconds", first=3.0, last=2.0)
    case.said(filepath=args["take"], target=rig.armature.name, start=1, mode="nla")
    track = keys.animation_data.nla_tracks[-1]
    after = [len(bpy.data.actions), track.name]
    keys.animation_data.nla_tracks.active = track
    track.select = track.strips[0].select = True
    for other in keys.animation_data.nla_tracks:
        other.is_solo = False
    keys.animation_data.use_tweak_mode = True
    tweaked = keys.animation_data.use_tweak_mode
    if tweaked:
        attempt("tweaked", mode="replace")
        keys.animation_data.use_tweak_mode = False
    case.module("characters.create").remove(rig)
    return {"told": told, "before": before, "after": after, "tweaked": tweaked}


def elsewhere(case, args):
    """A job that ends while another scene is in the window plays in its own scene."""
    importer, find = case.module("takes.importer"), case.module("characters.find")
    other = bpy.data.scenes.new("other")
    here = len(case.scene.objects)
    message = importer.finish_job(other, {"create": True, "start": 3}, {"outputs": [args["take"]]})
    rigs = find.rigs(other)
    playing = case.module("toolkit.blender.compat").playing(rigs[0].body.data.shape_keys)
    jaw = playing.fcurves.find('key_blocks["jawOpen"].value')
    shown = jaw.evaluate(3 + ROW / case.take.fps * other.render.fps)
    before = len(bpy.data.objects)
    strange = case.module("takes.insert").replace(
        case.take, curve_names=(), curves=case.take.curves[:, :0], joint_names=(), rotations=case.take.rotations[:, :0],
        root=0 * case.take.root,
    )  # fmt: skip
    told = ""
    try:
        importer.place(
            importer._SceneContext(other), strange, None, case.module("takes.channels").Placement(1), keys="dense",
            whole_frames=True, sound=True, markers=False, scene_range=False,
        )  # fmt: skip
    except case.module("toolkit.errors").UsageError as error:
        told = str(error)
    return {
        "message": message, "rigs": len(rigs), "here": len(case.scene.objects) - here, "told": told,
        "left": len(bpy.data.objects) - before, "shown": shown,
    }  # fmt: skip
