"""Takes from each file type onto the human, into a file that has no character at first."""

import importlib

import bpy
import numpy as np

ROW = 20


def main(addon, args):
    find = importlib.import_module(f"{addon.__name__}.characters.find")
    create = importlib.import_module(f"{addon.__name__}.characters.create")
    scene = bpy.context.scene
    scene.render.fps = 30
    before = _counts()
    bpy.ops.hyoid.import_take(filepath=f"{args['place']}/plain.csv", place="FRAME", start=5)
    answer = {"alone": {"created": [rig.armature.name for rig in find.rigs(scene)], "counts_before": before}}
    rig = find.rigs(scene)[0]
    for name in ("plain.csv", "phone.csv", "neck.bvh"):
        bpy.ops.hyoid.import_take(filepath=f"{args['place']}/{name}", start=5)
        scene.frame_set(5 + ROW)
        graph = bpy.context.evaluated_depsgraph_get()
        head = rig.armature.evaluated_get(graph).pose.bones["oc1"]
        turn = np.array(head.matrix)[:3, :3] @ np.array(head.bone.matrix_local)[:3, :3].T
        angle = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
        answer[name] = {"smile": rig.body.data.shape_keys.key_blocks["mouthSmileLeft"].value, "turned": float(angle)}
    for action in list(bpy.data.actions):  # what was kept of earlier takes
        action.use_fake_user = False
    create.remove(rig)
    for action in [action for action in bpy.data.actions if not action.users]:
        bpy.data.actions.remove(action)
    answer["alone"]["counts_after_remove"] = _counts()
    return answer


def _counts():
    kinds = ("actions", "objects", "meshes", "armatures", "materials", "images", "scenes", "collections")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}
