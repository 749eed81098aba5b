# SPDX-License-Identifier: Apache-2.0
"""Runs inside Blender: opens a .blend, .fbx or .abc and prints what is in it as one line of JSON. Nothing is executed
from the file: auto-run scripts are off."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PREFIX = "hyoid-facts "


def facts(path: Path) -> dict[str, Any]:
    """What a file holds, by Blender's own readers."""
    import bpy

    suffix = path.suffix.lower()
    if suffix == ".blend":
        bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
    else:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        if suffix == ".fbx":
            bpy.ops.import_scene.fbx(filepath=str(path))
        elif bpy.ops.wm.alembic_import(filepath=str(path), as_background_job=False) != {"FINISHED"}:
            raise RuntimeError("cannot be read as Alembic")
    scene = bpy.context.scene
    meshes = [item for item in bpy.data.objects if item.type == "MESH"]
    armatures = [item for item in bpy.data.objects if item.type == "ARMATURE"]
    shapes: dict[str, None] = {}
    for item in meshes:
        keys = item.data.shape_keys
        shapes.update(dict.fromkeys(key.name for key in keys.key_blocks[1:]) if keys else {})
    found: dict[str, Any] = {
        "saved_by": ".".join(map(str, bpy.data.version[:2])) if suffix == ".blend" else None,
        "meshes": {item.name: len(item.data.vertices) for item in meshes},
        "shapes": list(shapes),
        "joints": [bone.name for item in armatures for bone in item.data.bones],
        "actions": {action.name: [float(value) for value in action.frame_range] for action in bpy.data.actions},
        "fps": scene.render.fps / scene.render.fps_base,
        "frames": scene.frame_end - scene.frame_start + 1,
        "sounds": [sound.name for sound in bpy.data.sounds],
        "markers": len(scene.timeline_markers),
    }
    for item in armatures:
        if "hyoid_provenance" in item:
            found["provenance"] = json.loads(item["hyoid_provenance"])
        if "hyoid_licence" in item:
            found["character_licence"] = str(item["hyoid_licence"])
    return found


def main() -> None:
    """Print the facts of the file that stands after ``--``."""
    path = Path(sys.argv[sys.argv.index("--") + 1])
    try:
        answer = facts(path)
    except RuntimeError as error:  # Blender's readers raise it with a readable first line
        answer = {"error": str(error).strip().splitlines()[0]}
    sys.stdout.write(f"\n{PREFIX}{json.dumps(answer)}\n")


if __name__ == "__main__":
    main()
