# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of two guides: ``python -m tests.addon.head_pictures [FOLDER]``.

``addon_headpose.png`` is Head Directions over a picture of three characters, whose directions are known: no network is
asked, the picture shows the section and what comes of it. ``addon_lift.png`` is Body from Video after a lift.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.addon import gui, guide_pictures, stand_in, test_gui, tools

TOOLKIT = f"""
import json
import sys
import types
from pathlib import Path

sys.path[:0] = [{str(tools.ROOT / "toolkit")!r}, {str(tools.ROOT)!r}]
import numpy as np
import pytest
from hyoid.__main__ import main
from tests.verbs import head_files

if sys.argv[1] == "run":
    job = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    head_files.install(pytest.MonkeyPatch(), Path(sys.argv[2]).parent)
    truth = json.loads(Path(job["footage"]).with_suffix(".json").read_text(encoding="utf-8"))
    boxes, turned = np.array(truth["boxes"]), np.array(truth["rotations"])
    found = types.SimpleNamespace(boxes=boxes, confidence=np.full(len(boxes), 0.9), rotations=turned)
    told = types.SimpleNamespace(rotations=turned, entropy=np.full(len(boxes), -6.5))
    sys.modules["hyoid.systems.directmhp"].infer.detect = lambda *words, **options: found
    sys.modules["hyoid.systems.semiuhpe"].infer.estimate = lambda *words, **options: told
main()
"""
INSTALL = """
bpy.ops.preferences.addon_install(filepath={zip!r})
bpy.ops.preferences.addon_enable(module="hyoid")
bpy.context.preferences.addons["hyoid"].preferences.toolkit = {toolkit!r}
bpy.ops.wm.save_as_mainfile(filepath={blend!r})
"""
CROWD = """
import math
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
bpy.ops.object.select_all(action="SELECT")
bpy.ops.object.delete()
scene = bpy.context.scene
scene.render.resolution_x, scene.render.resolution_y = 960, 540
camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
scene.collection.objects.link(camera)
scene.camera = camera
camera.location, camera.rotation_euler = (0.0, -1.75, 1.72), (math.pi / 2, 0, 0)
places = (("AFRICAN_MAN", -0.42, 0.1, 45, 5), ("YOUNG_WOMAN", 0.0, 0.0, -8, -12), ("OLD_MAN", 0.42, 0.25, -60, 10))
presets = [item.identifier for item in bpy.ops.hyoid.create_character.get_rna_type().properties["preset"].enum_items]
for number, (preset, x, y, turn, nod) in enumerate(places):
    bpy.ops.object.select_all(action="DESELECT")
    bpy.ops.hyoid.create_character(part="head", preset=preset if preset in presets else presets[-1 - number])
    rig = bpy.context.view_layer.objects.active
    rig = rig if rig.type == "ARMATURE" else rig.parent
    rig.location.x, rig.location.y = x, y
    rig["head_turn"], rig["head_nod"] = float(turn), float(nod)
    rig.update_tag()
scene.frame_set(1)
bpy.context.view_layer.update()
boxes, rotations = [], []
flip, facing = np.diag([1.0, -1.0, -1.0]), np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
for rig in [obj for obj in scene.objects if obj.type == "ARMATURE"]:
    posed = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
    bone = posed.pose.bones["oc1"]
    moved = posed.matrix_world @ bone.matrix @ bone.bone.matrix_local.inverted()
    joint = bone.bone.head_local
    low, high = Vector((-0.08, joint.y - 0.12, joint.z - 0.08)), Vector((0.08, joint.y + 0.08, joint.z + 0.14))
    corners = [Vector((x, y, z)) for x in (low.x, high.x) for y in (low.y, high.y) for z in (low.z, high.z)]
    seen = [world_to_camera_view(scene, camera, moved @ corner) for corner in corners]
    x, y = [960 * point.x for point in seen], [540 * (1 - point.y) for point in seen]
    boxes.append([min(x), min(y), max(x), max(y)])
    turned = np.array((camera.matrix_world.inverted() @ moved).to_3x3().normalized())
    rotations.append((flip @ turned @ facing.T @ flip).tolist())
scene.render.engine = "BLENDER_WORKBENCH"
scene.display.shading.color_type, scene.display.shading.show_cavity = "TEXTURE", True
scene.render.filepath = {crowd!r}
bpy.ops.render.render(write_still=True)
import json, pathlib
pathlib.Path({crowd!r}).with_suffix(".json").write_text(json.dumps({{"boxes": boxes, "rotations": rotations}}))
for obj in list(bpy.data.objects):
    if obj != camera:
        bpy.data.objects.remove(obj)
behind = camera.data.background_images.new()
behind.image, behind.alpha, behind.frame_method = bpy.data.images.load({crowd!r}), 1.0, "FIT"
camera.data.show_background_images, camera.data.show_passepartout = True, False
settings = scene.hyoid_heads
settings.source, settings.person = "CAMERA", "ALL"
window, area, place = region_of("VIEW_3D", "WINDOW")
space = area.spaces[0]
space.region_3d.view_perspective = "CAMERA"
space.overlay.show_floor = space.overlay.show_axis_x = space.overlay.show_axis_y = space.overlay.show_cursor = False
space.show_gizmo = space.show_region_toolbar = space.show_region_tool_header = False
with bpy.context.temp_override(window=window, area=area, region=place):
    bpy.ops.view3d.view_center_camera()
"""
STANDING = """
window, area, place = region_of("VIEW_3D", "WINDOW")
space = area.spaces[0]
space.shading.color_type, space.shading.show_cavity = "TEXTURE", True
space.overlay.show_cursor = space.show_gizmo = space.show_region_toolbar = space.show_region_tool_header = False
scene = bpy.context.scene
scene.frame_set(40)
rig = next(obj for obj in scene.objects if obj.type == "ARMATURE")
bpy.ops.hyoid.add_lift_camera(resolution=False)
for obj in scene.objects:
    obj.select_set(obj.type == "MESH" and obj.parent == rig)
with bpy.context.temp_override(window=window, area=area, region=place):
    bpy.ops.view3d.view_axis(type="FRONT")
    bpy.ops.view3d.view_orbit(angle=0.6, type="ORBITLEFT")
    bpy.ops.view3d.view_selected()
for obj in scene.objects:
    obj.select_set(obj == rig)
bpy.context.view_layer.objects.active = rig
"""


def main(folder: Path) -> None:
    """Take both pictures."""
    work = Path(tempfile.gettempdir()) / "hyoid"  # its name is seen in the pictures
    work.mkdir()
    try:
        for name, steps in (("heads", heads), ("lift", lift)):
            (work / name).mkdir()
            with gui.window(work / name / "gui", environment=test_gui.environment(work / name)) as blender:
                steps(blender, work / name, folder)
    finally:
        shutil.rmtree(work)


def begin(blender: gui.Window, work: Path, toolkit: Path) -> None:
    """Install the add-on and show its tab."""
    words = {"zip": str(tools.built_zip()), "toolkit": str(toolkit), "blend": str(work / "shot.blend")}
    blender.ask(INSTALL.format(**words), timeout=120)
    blender.tab("Hyoid")
    blender.wait("'HYOID_PT_root' in panels()")


def heads(blender: gui.Window, work: Path, folder: Path) -> None:
    """Three heads, and the Empties of their directions."""
    begin(blender, work, stand_in.install(work / "bin", text=TOOLKIT))
    blender.ask(CROWD.format(crowd=str(work / "crowd.png")), timeout=300)
    only(blender, "HYOID_PT_heads")
    blender.press("hyoid.find_heads", panel="HYOID_PT_heads")
    blender.wait(f"any(job.state in ('done', 'failed') for job in {test_gui.JOBS})", timeout=200)
    assert blender.ask(f"answer = [job.error for job in {test_gui.JOBS}]") == [""]
    finish(blender, folder, "headpose")


def lift(blender: gui.Window, work: Path, folder: Path) -> None:
    """The example, lifted."""
    begin(blender, work, Path(sys.executable).with_name("hyoid"))
    keypoints = work / "walk.npz"
    shutil.copy(tools.ROOT / "examples" / "lift" / "walk.npz", keypoints)
    blender.ask("bpy.ops.object.select_all(action='SELECT'); bpy.ops.object.delete()")
    blender.ask(f"bpy.context.scene.hyoid_lift.keypoints = {str(keypoints)!r}")
    only(blender, "HYOID_PT_lift")
    blender.press("hyoid.lift", panel="HYOID_PT_lift")
    blender.wait(f"any(job.state in ('done', 'failed') for job in {test_gui.JOBS})", timeout=400)
    assert blender.ask(f"answer = [job.error for job in {test_gui.JOBS}]") == [""]
    blender.ask(STANDING, timeout=120)
    finish(blender, folder, "lift")


def only(blender: gui.Window, panel: str) -> None:
    """Open one section, close the others."""
    for name, state in blender.panels().items():
        if state["open"] and name not in (panel, "HYOID_PT_root") and name.startswith("HYOID_PT_"):
            blender.close(name)
    blender.open(panel)
    guide_pictures.redraw(blender)


def finish(blender: gui.Window, folder: Path, name: str) -> None:
    """The picture of the viewport with the sidebar, in few colours."""
    blender.ask(f"[bpy.ops.hyoid.dismiss_job(job=job.id) for job in {test_gui.JOBS}]")
    guide_pictures.redraw(blender)
    left, top, width, height = guide_pictures.area_of(blender, "VIEW_3D")
    path = blender.shot(name, (left, top, width, height))
    subprocess.run(["convert", str(path), "-resize", "85%", str(path)], check=True)
    guide_pictures.save(path, folder, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else tools.ROOT / "docs" / "pictures")
