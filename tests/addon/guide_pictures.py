# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of docs/addon.md: ``python -m tests.addon.guide_pictures [FOLDER]`` goes the guide's ten steps.

Blender 3.4 with a window does what the guide says, on a head that is not one of ours as far as the add-on can tell:
one mesh, no armature, shape keys named in another way.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.addon import gui, test_gui, tools

COLOURS = 96
SECTIONS = tuple(
    f"HYOID_PT_{name}"
    for name in ("character", "own_head", "stabilize", "talk", "lift", "import", "mapping", "neck", "units", "export")
)
OWN_HEAD = """
import bmesh
bpy.ops.object.select_all(action="SELECT")
bpy.ops.object.delete()
bpy.ops.hyoid.create_character(part="head", preset={preset!r})
parts = [obj for obj in bpy.data.objects if "hyoid_part" in obj]
body = next(obj for obj in parts if obj["hyoid_part"] == "body")
for obj in parts:
    for modifier in list(obj.modifiers):
        obj.modifiers.remove(modifier)
    obj.parent = None
    if obj.data.shape_keys:
        obj.data.shape_keys.animation_data_clear()
    obj.select_set(True)
bpy.context.view_layer.objects.active = body
bpy.ops.object.join()
for key in list(body.data.shape_keys.key_blocks[1:]):
    if key.name.startswith("larynx") or key.name == "jaw":
        body.shape_key_remove(key)
    else:
        words = re.sub("([A-Z])", " \\\\1", key.name).split()
        side = {{"Left": "_L", "Right": "_R"}}.get(words[-1], "")
        key.name = "".join(word.capitalize() for word in (words[:-1] if side else words)) + side
for name in list(body.keys()):
    del body[name]
for obj in list(bpy.data.objects):
    if obj != body:
        bpy.data.objects.remove(obj)
for collection in list(bpy.data.collections):
    if body.name not in collection.objects:
        bpy.data.collections.remove(collection)
    else:
        collection.name = "Characters"
body.name, body.data.name = "Victor", "Victor"
body.vertex_groups.clear()
body.select_set(True)
bpy.context.view_layer.objects.active = body
bpy.data.orphans_purge(do_recursive=True)
bpy.ops.ed.undo_push(message="own head")
answer = [key.name for key in body.data.shape_keys.key_blocks]
"""
LOOK = """
window, area, place = region_of("VIEW_3D", "WINDOW")
space = area.spaces[0]
space.shading.color_type = "TEXTURE"
space.shading.show_cavity = True
space.overlay.show_floor = space.overlay.show_axis_x = space.overlay.show_axis_y = False
space.overlay.show_cursor = space.show_gizmo = False
space.show_region_toolbar = space.show_region_tool_header = False
space.overlay.show_outline_selected = space.overlay.show_object_origins = False
space.lens = 85
"""
FACE = """
window, area, place = region_of("VIEW_3D", "WINDOW")
with bpy.context.temp_override(window=window, area=area, region=place):
    bpy.ops.view3d.view_axis(type="FRONT")
    bpy.ops.view3d.view_selected()
area.spaces[0].region_3d.view_perspective = "PERSP"
area.spaces[0].region_3d.view_distance *= {closer}
area.spaces[0].region_3d.view_location.z += {higher}
"""


WIDEST = """
keys = bpy.context.object.data.shape_keys
scene = bpy.context.scene
opened = {}
for frame in range(20, 60):
    scene.frame_set(frame)
    opened[frame] = keys.key_blocks["JawOpen"].value
scene.frame_set(max(opened, key=opened.get))
"""
SHOW_BODY = """
bpy.ops.object.select_all(action="DESELECT")
body = next(obj for obj in bpy.data.objects if obj.get("hyoid_part") == "body")
body.select_set(True)
bpy.context.view_layer.objects.active = body
body.parent.hide_set(True)
"""
RIGGED = """
mesh = bpy.data.objects["Mira"]
keys = mesh.data.shape_keys.key_blocks
for name, value in (("jawOpen", 0.35), ("browInnerUp", 0.8), ("mouthSmileLeft", 0.7), ("mouthSmileRight", 0.7)):
    keys[name].value = value
mesh.parent["head_turn"] = 25.0
mesh.parent.update_tag()
[bpy.ops.hyoid.dismiss_job(job=job.id) for job in sys.modules["hyoid.jobs.queue"].jobs() if job.state == "failed"]
"""
ALL_KEYS = """
window, area, place = region_of("DOPESHEET_EDITOR", "WINDOW")
with bpy.context.temp_override(window=window, area=area, region=place):
    bpy.ops.action.view_all()
"""


def save(path: Path, folder: Path, name: str) -> None:
    """Fewer colours make the file small; a screenshot has few."""
    target = folder / f"addon_{name}.png"
    words = ["convert", str(path), "-strip", "-dither", "None", "-colors", str(COLOURS), f"PNG8:{target}"]
    subprocess.run(words, check=True)


def area_of(blender: gui.Window, kind: str) -> tuple[int, int, int, int]:
    """Left, top, width and height of the first area of a kind."""
    found = blender.ask(f"a = area_of({kind!r})[1]; answer = [a.x, a.y, a.width, a.height]")
    return found[0], gui.HEIGHT - found[1] - found[3], found[2], found[3]


def sidebar(blender: gui.Window, name: str) -> Path:
    """A picture of the sidebar as far down as it is filled."""
    redraw(blender)
    x, y, width, height = blender.ask("r = region_of('VIEW_3D', 'UI')[2]; answer = [r.x, r.y, r.width, r.height]")
    panels = blender.panels()
    ends = [panel["header"][1] - 16 for panel in panels.values()]
    ends += [panel["body"][1] - 6 for key, panel in panels.items() if panel["open"] and key != "HYOID_PT_root"]
    bottom = max(int(min(ends)), y)
    return blender.shot(name, (x, gui.HEIGHT - y - height, width, y + height - bottom))


def redraw(blender: gui.Window) -> None:
    """Draw everything anew, and let animations of the panels end."""
    for _ in range(3):
        blender.ask("[area.tag_redraw() for area in bpy.context.window_manager.windows[0].screen.areas]")
        time.sleep(0.4)


def only(blender: gui.Window, *panels: str) -> None:
    """Open some sections, close the others."""
    for name in SECTIONS:
        if name in blender.panels():
            (blender.open if name in panels else blender.close)(name)
    redraw(blender)


def drag(blender: gui.Window, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press the left button at one place and let it go at another."""
    for step in (3, 1, 0):
        blender.keys("mousemove", str(int(start[0]) + step), str(int(gui.HEIGHT - 1 - start[1])))
        time.sleep(0.2)
    blender.keys("mousedown", "1")
    for part in (0.3, 0.6, 1.0):
        x, y = (start[i] + part * (end[i] - start[i]) for i in range(2))
        blender.keys("mousemove", str(int(x)), str(int(gui.HEIGHT - 1 - y)))
        time.sleep(0.2)
    blender.keys("mouseup", "1")


def main(folder: Path) -> None:
    """Go the ten steps, and keep a picture of most."""
    import soundfile

    samples, rate = soundfile.read(tools.ROOT / "examples" / "talk" / "jfk.flac")
    work = Path(tempfile.gettempdir()) / "hyoid"  # its name is seen in the pictures
    work.mkdir()
    try:
        (work / "venv").symlink_to(Path(sys.executable).parents[1])
        voice = work / "voice.wav"
        soundfile.write(voice, samples[: round(test_gui.SECONDS * rate)], rate)
        environment = test_gui.environment(work) | {"PATH": f"{work / 'venv' / 'bin'}:{os.environ['PATH']}"}
        with gui.window(work / "gui", environment=environment) as blender:
            steps(blender, voice, folder)
    finally:
        shutil.rmtree(work)


def steps(blender: gui.Window, voice: Path, folder: Path) -> None:
    """What the guide says, in its order."""
    test_gui.install(blender)
    blender.press("preferences.addon_expand", region=test_gui.PREFERENCES, columns=(0.015, 0.02, 0.01))
    time.sleep(1)
    blender.press("hyoid.check_toolkit", region=test_gui.PREFERENCES, columns=(0.045, 0.06))
    blender.wait("sys.modules['hyoid.jobs.check'].answer()[0] is not None")
    redraw(blender)
    left, top, width, _ = area_of(blender, "PREFERENCES")
    save(blender.shot("preferences", (left + 170, top + 55, width - 172, 500)), folder, "preferences")
    test_gui.viewport(blender)
    blender.ask("import re" + OWN_HEAD.format(preset="AFRICAN_MAN"))
    blender.ask(LOOK)
    blender.ask(FACE.format(closer=0.62, higher=0.05))
    blender.ask("a = area_of('PROPERTIES')[1]; a.spaces[0].context = 'DATA'")
    for _ in range(3):  # a taller timeline, so that markers show
        _, top, width, height = area_of(blender, "DOPESHEET_EDITOR")
        if height < 110:
            edge = gui.HEIGHT - top + 1
            drag(blender, (width / 2, edge), (width / 2, edge + 60))
    only(blender)
    save(blender.shot("own_head", (140, 28, 1460, 760)), folder, "own_head")
    only(blender, "HYOID_PT_mapping")
    blender.press("hyoid.guess_shape_map", panel="HYOID_PT_mapping")
    blender.wait("len(bpy.context.object.hyoid_shape_map) > 40")
    save(sidebar(blender, "mapping"), folder, "mapping")
    only(blender, "HYOID_PT_talk")
    whole = tools.ROOT / "examples" / "talk" / "jfk.flac"
    blender.ask(f"s = bpy.context.scene.hyoid_speech; s.audio = {str(whole)!r}")
    blender.press("hyoid.talk", panel="HYOID_PT_talk")
    blender.wait(f"any(job.state == 'running' for job in {test_gui.JOBS})", timeout=20)
    time.sleep(2)
    blender.ask(f"s = bpy.context.scene.hyoid_speech; s.audio = {str(voice)!r}; s.transcript = 'TYPED'")
    blender.ask(f"bpy.context.scene.hyoid_speech.text = {test_gui.WORDS!r}")
    save(sidebar(blender, "talk"), folder, "talk")
    blender.press("hyoid.cancel_job", panel="HYOID_PT_root", columns=(0.3, 0.2, 0.9))
    blender.wait(f"not {test_gui.JOBS}")
    blender.press("hyoid.talk", panel="HYOID_PT_talk")
    blender.wait(f"any(job.state == 'done' for job in {test_gui.JOBS})")
    blender.ask("bpy.context.scene.frame_end = 72")
    blender.ask(WIDEST)
    blender.ask(f"[bpy.ops.hyoid.dismiss_job(job=job.id) for job in {test_gui.JOBS}]")
    blender.ask(ALL_KEYS)
    redraw(blender)
    save(blender.shot("speaking", (140, 28, 1182, 960)), folder, "speaking")
    sections(blender, folder)
    units(blender, folder)
    rigged(blender, folder)


def sections(blender: gui.Window, folder: Path) -> None:
    """The sections for a character of Hyoid's own, side by side."""
    blender.ask("bpy.ops.object.delete(); bpy.ops.hyoid.create_character(part='head', preset='YOUNG_WOMAN')")
    shots = []
    for name in ("character", "neck", "export", "import"):
        only(blender, f"HYOID_PT_{name}")
        shots.append(str(sidebar(blender, name)))
    joined = blender.folder / "sections.png"
    subprocess.run(["convert", "-background", "#303030", *shots, "+append", str(joined)], check=True)
    save(joined, folder, "sections")


def units(blender: gui.Window, folder: Path) -> None:
    """A face made of action units, and their sliders."""
    blender.ask("bpy.ops.hyoid.remove_character(); bpy.ops.hyoid.create_character(part='head', preset='AFRICAN_MAN')")
    blender.ask(SHOW_BODY)
    blender.ask(FACE.format(closer=0.62, higher=0.05))
    only(blender, "HYOID_PT_units")
    widen(blender)
    blender.press("hyoid.add_action_units", panel="HYOID_PT_units")
    blender.wait("'AU12' in bpy.context.object.parent")
    blender.ask("bpy.ops.hyoid.set_emotion(emotion='happiness'); bpy.context.scene.hyoid_units.region = 'MOUTH'")
    redraw(blender)
    save(blender.shot("units", (140, 28, 1182, 760)), folder, "action_units")


def rigged(blender: gui.Window, folder: Path) -> None:
    """A head without a rig gets one, and shows it."""
    blender.ask("bpy.ops.hyoid.remove_character()")
    blender.ask("import re" + OWN_HEAD.format(preset="YOUNG_WOMAN"))
    blender.ask("o = bpy.context.object; o.shape_key_clear(); o.name = 'Mira'")
    blender.ask(FACE.format(closer=0.62, higher=0.05))
    only(blender, "HYOID_PT_own_head")
    before = blender.shot("unrigged", (140, 28, 1182, 760))
    blender.press("hyoid.rig_own_head", panel="HYOID_PT_own_head")
    blender.wait("'jawOpen' in getattr(bpy.data.objects['Mira'].data.shape_keys, 'key_blocks', {})", timeout=200)
    blender.ask(RIGGED)
    redraw(blender)
    after = blender.shot("rigged", (140, 28, 1182, 760))
    joined = blender.folder / "rig_own_head.png"
    subprocess.run(["convert", str(before), str(after), "-resize", "70%", "+append", str(joined)], check=True)
    save(joined, folder, "rig_own_head")


def widen(blender: gui.Window) -> None:
    """A sidebar of half as much width again."""
    x, y, height = blender.ask("r = region_of('VIEW_3D', 'UI')[2]; answer = [r.x, r.y, r.height]")
    drag(blender, (x, y + height / 3), (x - 110, y + height / 3))
    redraw(blender)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else tools.ROOT / "docs" / "pictures")
