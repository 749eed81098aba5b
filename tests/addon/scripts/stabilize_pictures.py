# SPDX-License-Identifier: Apache-2.0
"""Takes the picture of docs/stabilize_in_blender.md: ``python -m tests.addon.scripts.stabilize_pictures [FOLDER]``.

Blender 3.4 with a window does what the page says; ``walk`` is a test too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.addon import gui, guide_pictures, test_gui, tools

PANEL = "HYOID_PT_stabilize"
FRAMES = (5, 15)
MAKE = """
sys.path.append({scripts!r})
import pathlib
import stabilize_real, stabilize_scene
cache = sys.modules["hyoid.stabilize.result_files"].write_cache
head, _, _ = stabilize_real.talking_head(pathlib.Path({folder!r}), cache)
stabilize_scene.key_motion(head, 0.1)
head.location.y -= 0.1
scene = bpy.context.scene
scene.frame_start, scene.frame_end = 1, 20
for polygon in head.data.polygons:
    polygon.use_smooth = True
scene.frame_set(10)
bpy.ops.wm.save_as_mainfile(filepath=str(pathlib.Path({folder!r}) / "scan.blend"))
bpy.ops.ed.undo_push(message="scan")
"""
RECORD = "sys.modules['hyoid.stabilize.records'].of(bpy.data.objects['Scan'])"
SEEN = """
import stabilize_scene
scene = bpy.context.scene
here = scene.frame_current
answer = stabilize_scene.seen(bpy.data.objects["Scan"], (1, 8, 20)).tolist()
scene.frame_set(here)
"""


def walk(blender: gui.Window, folder: Path) -> dict[str, Any]:
    """Press the button, look at the three views, undo and redo; what was seen on the way."""
    told: dict[str, Any] = {}
    blender.ask(MAKE.format(scripts=str(tools.SCRIPTS), folder=str(folder)))
    blender.ask(guide_pictures.LOOK)
    blender.ask(guide_pictures.FACE.format(closer=1.3, higher=0.0))
    for name in ("HYOID_PT_character", "HYOID_PT_talk"):
        blender.close(name)
    blender.open(PANEL)
    told["before"] = blender.ask(SEEN)
    guide_pictures.widen(blender)
    told["settings"] = guide_pictures.sidebar(blender, "settings")
    blender.press("hyoid.stabilize", panel=PANEL)
    blender.wait(f"{RECORD} is not None", timeout=200)
    told["both"] = blender.ask(SEEN)
    told["result"] = guide_pictures.sidebar(blender, "result")
    blender.press("view='STABILIZED'", panel=PANEL, columns=(0.5,))
    blender.wait(f"{RECORD}.view == 'STABILIZED'")
    told["stabilized"] = blender.ask(SEEN)
    over = [*map(str, test_gui.VIEWPORT)]
    blender.keys("mousemove", *over)
    blender.keys("key", "ctrl+z")
    blender.wait(f"{RECORD} is not None and {RECORD}.view == 'BOTH'")
    told["one step back"] = blender.ask(SEEN)
    blender.keys("key", "ctrl+z")
    blender.wait(f"{RECORD} is None")
    told["two steps back"] = blender.ask(SEEN)
    told["armatures"] = blender.ask("answer = len([o for o in bpy.data.objects if o.type == 'ARMATURE'])")
    for _ in range(2):
        blender.keys("key", "ctrl+shift+z")
        time.sleep(0.5)
    blender.wait(f"{RECORD} is not None and {RECORD}.view == 'STABILIZED'")
    told["again"] = blender.ask(SEEN)
    return told


def faces(blender: gui.Window, view: str) -> list[str]:
    """Pictures of the head at two frames in one of the views."""
    blender.ask(f"bpy.ops.hyoid.view_stabilized(view={view!r})")
    shots = []
    for frame in FRAMES:
        blender.ask(f"bpy.context.scene.frame_set({frame})")
        guide_pictures.redraw(blender)
        shots.append(str(blender.shot(f"{view}_{frame}", (230, 80, 580, 600))))
    return shots


def main(folder: Path) -> None:
    """One picture: the settings, the head before and after, the result."""
    with tempfile.TemporaryDirectory() as work:
        environment = test_gui.environment(Path(work))
        with gui.window(Path(work) / "gui", environment=environment) as blender:
            test_gui.install(blender)
            test_gui.viewport(blender)
            told = walk(blender, Path(work))
            blender.ask("[o.hide_set(True) for o in bpy.data.objects if o.type == 'ARMATURE']")
            rows = []
            for view in ("ORIGINAL", "STABILIZED"):
                row = str(blender.folder / f"{view}.png")
                subprocess.run(["convert", *faces(blender, view), "+append", row], check=True)
                rows.append(row)
            joined, heads = str(blender.folder / "joined.png"), str(blender.folder / "heads.png")
            subprocess.run(["convert", *rows, "-append", "-resize", "45%", heads], check=True)
            panels = [str(told["settings"]), str(told["result"])]
            subprocess.run(["convert", "-background", "#303030", heads, *panels, "+append", joined], check=True)
            guide_pictures.save(Path(joined), folder, "stabilize")


if __name__ == "__main__":
    os.chdir(tools.ROOT)
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else tools.ROOT / "docs" / "pictures")
