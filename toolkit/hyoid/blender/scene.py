# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""The scene that an artist would make: rig, meshes, materials, action, sound, markers, camera and light."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from . import action_units, animation, assemble, compat, materials, meshes, rig, stage


@dataclass(frozen=True)
class Built:
    """What the scene holds: the armature object, the mesh objects (body first) and whether a take plays."""

    armature: Any
    meshes: list[Any]
    animated: bool


def build(scene: Any, job: dict[str, Any], arrays: dict[str, Any], folder: Path, emit: Any) -> Built:
    """Fill the scene of an empty file.

    Args:
        scene: what ``compat.new_scene`` gave.
        job: see ``pack.pack``. arrays: its arrays, in Blender's axes.
        folder: the job's folder, for temporary files.
        emit: takes progress events.
    """
    character = job["character"]
    scene.unit_settings.system = "METRIC"
    collection = bpy.data.collections.new(f"Hyoid {character['name']}")
    collection["hyoid_collection"] = True
    scene.collection.children.link(collection)

    emit(event="progress", fraction=0.1, what="building the rig")
    editable = job["format"] == ".blend"
    armature = rig.build(character, arrays, collection, control=editable)
    emit(event="progress", fraction=0.2, what="building the meshes")
    made_materials = materials.build(character["materials"], folder if job["format"] == ".fbx" else None)
    subdivide = job["options"]["subdivide"] and editable
    objects = meshes.build(character, arrays, armature, collection, made_materials, subdivide)
    body, take = objects[0], job["take"]
    assemble.join(armature, character, objects, jaw=editable, limited=take is None or take["within_limits"])
    if take is not None and take["action_units"]:
        action_units.add(armature, objects, take["action_units"])
    rig.mark(armature, character, uuid.uuid5(uuid.NAMESPACE_URL, job["path"]).hex)

    heard = False
    if take is not None:
        emit(event="progress", fraction=0.4, what="keying the take")
        animation.add_take(scene, armature, body, take, arrays)
        if job["format"] == ".blend":
            animation.add_markers(scene, take)
            heard = animation.add_sound(scene, take, job["options"]["audio"], emit)
    if not heard:
        compat.remove_unused_strip(scene)
    if job["format"] == ".blend":
        stage.build(scene, armature, arrays["vertices"])
        stage.set_views(armature, arrays["vertices"])
    scene.frame_set(scene.frame_start)
    rig.refresh(armature)
    return Built(armature, objects, take is not None)
