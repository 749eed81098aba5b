# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads on characters: takes of the toolkit come in through the importer, before the camera, and later in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix

from ..characters import create, find
from ..lift import camera as shots
from ..lift import records as markers
from ..takes import channels, importer, insert
from ..timeline import fcurves
from ..toolkit import take_edit
from ..toolkit.blender import pack
from ..toolkit.errors import HyoidError, UsageError
from ..toolkit.take import Take
from . import apply, camera, records


def person_of(take: Take) -> str:
    """Who a take shows."""
    return str(take.provenance.settings.get("person", "person"))


def options_of(armature: Any) -> dict[str, Any]:
    """What the toolkit has to know of who performs: the place of the skull depends on it."""
    if armature is None:
        return {}
    if find.is_bundled(armature):
        return {"set": dict(find.identity(armature).get("settings", {}))}
    path = find.file_of(armature)
    return {"character": str(path)} if path is not None and path.is_file() else {}


def place(
    scene: Any, target: Any, take: Take, payload: Mapping[str, Any], path: Path, draft: records.Record
) -> tuple[str, Any]:
    """Put a take on a character, and that before the camera; one line for the user, and the armature.

    Args:
        target: an armature; None makes a new head of the bundled human. draft: what all of the search have in common.

    Raises:
        HyoidError: the take does not fit, or the armature cannot be keyed; a character that was made is gone again.
    """
    made = target is None
    armature = create.create(bpy.context, dict(take.character.settings), "head").armature if made else target
    placement = channels.Placement(draft.start, payload["mode"], name=importer.name_of(path))
    try:
        said = importer.place(
            bpy.context, take, armature, placement, keys="dense", whole_frames=True, sound=False, markers=False,
            scene_range=bool(payload["scene_range"]),
        )  # fmt: skip
        if payload["place"] == "CAMERA":
            stand(scene, armature, take, made)
    except HyoidError:
        rig = find.rig_of(armature)
        if made and rig is not None:
            create.remove(rig)
        raise
    earlier = records.of(armature)
    if earlier is not None:
        markers.unmark(scene, earlier)
    name = person_of(take)
    record = replace(
        draft, person=name, take=str(path), name=placement.name, seen=round(float((take.confidence > 0).sum())),
        markers=markers.mark_hidden(scene, take.events, name, draft.start, draft.rate) if take.frames > 1 else [],
    )  # fmt: skip
    records.keep(armature, record)
    return f"{said} on '{armature.name}'" + (" (new)" if made else ""), armature


def stand(scene: Any, armature: Any, take: Take, made: bool) -> None:
    """Move a character so that the scene's camera sees its head as the camera of the shot did.

    Args:
        made: it is new: it goes with a camera that moves.

    Raises:
        UsageError: the take does not tell where the camera stood.
    """
    bpy.context.view_layer.update()
    lens = scene.camera
    _, _, scale = armature.matrix_world.decompose()
    size = Matrix.Diagonal(scale).to_4x4()
    facts = take.provenance.settings.get("camera") or {}
    rigid = armature.matrix_world @ size.inverted_safe()
    seen_from = rigid.inverted_safe() @ shots.matrix(armature, facts)
    wanted = camera.placed(lens) @ seen_from.inverted_safe() @ size
    if made and camera.moves(lens):
        camera.hang(armature, lens)
    armature.matrix_world = wanted
    bpy.context.view_layer.update()


def rewrite(scene: Any, armature: Any, take: Take) -> None:
    """Replace what an earlier search has keyed on an armature: the same action, the same f-curves, other values.

    Raises:
        UsageError: it does not play there any more, or it cannot be changed.
    """
    record = records.of(armature)
    if record is None:
        raise UsageError(f"no head moves '{armature.name}'")
    fcurves.check_editable(armature, mixed=False)
    source = replace(pack.with_gestures(replace(take, points=None)), keys={})
    if abs(record.rate - source.fps) > 1e-6:
        source = take_edit.resample(source, record.rate)
    wanted = [one for one in insert.channels_for(armature, source, "dense", []) if one.owner == armature]
    apply.write(armature, wanted, record)
    markers.unmark(scene, record)  # pyright: ignore[reportArgumentType]  it asks for the markers alone
    marked = markers.mark_hidden(scene, take.events, record.person, record.start, record.rate)
    records.keep(armature, replace(record, markers=marked if take.frames > 1 else []))
