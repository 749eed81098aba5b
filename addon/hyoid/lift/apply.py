# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifted people onto armatures: at first through the importer, later in place of what an earlier lift has keyed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..characters import create, find
from ..takes import channels, importer, insert, nla, placed
from ..timeline import fcurves
from ..timeline.frames import scene_rate
from ..toolkit import take_edit
from ..toolkit.blender import animation, compat, pack
from ..toolkit.errors import HyoidError, UsageError
from ..toolkit.take import Take
from . import camera, records


def person_of(take: Take) -> str:
    """Who a take shows."""
    return str(take.provenance.settings.get("person", "person"))


def place(scene: Any, target: Any, take: Take, payload: Mapping[str, Any], path: Path, seen: float) -> str:
    """Put a person into the scene; one line for the user.

    Args:
        target: an armature; None makes the character that the take was made for. seen: seconds.

    Raises:
        HyoidError: the take does not fit, or the armature cannot be keyed; a character that was made is gone again.
    """
    made = target is None
    armature = importer.create_for(bpy.context, take) if made else target
    placement = channels.Placement(float(payload["start"]), payload["mode"], name=importer.name_of(path))
    try:
        said = importer.place(
            bpy.context, take, armature, placement, keys="dense", whole_frames=True, sound=False, markers=False,
            scene_range=bool(payload["scene_range"]),
        )  # fmt: skip
    except HyoidError:
        rig = find.rig_of(armature)
        if made and rig is not None:
            create.remove(rig)
        raise
    earlier = records.of(armature)
    if earlier is not None:
        records.unmark(scene, earlier)
        if records.CAMERA in armature:
            del armature[records.CAMERA]
    rate = scene_rate(scene)
    record = records.Record(
        uid=payload["uid"], person=person_of(take), several=payload["several"], lifted=payload["lifted"],
        take=str(path), footage=payload["footage"], start=placement.start, rate=rate, name=placement.name,
        **_told(take), seen=seen,
        markers=records.mark_hidden(scene, take.events, person_of(take), placement.start, rate),
    )  # fmt: skip
    _stamp(armature, record)
    records.keep(armature, record)
    if made:
        rig = find.rig_of(armature)
        if rig is not None and _nothing_selected():  # the artist has turned to nothing else
            create.show(bpy.context, rig)
    return f"{said} on '{armature.name}'" + (" (new)" if made else "")


def _nothing_selected() -> bool:
    active = bpy.context.view_layer.objects.active
    return active is None or not active.select_get()


def _told(take: Take) -> dict[str, Any]:
    settings = take.provenance.settings
    return {name: dict(settings.get(name) or {}) for name in ("camera", "quality")}


def _stamp(armature: Any, record: records.Record) -> None:
    """Mark the action that plays a lift, so that it is found under another name too."""
    data = armature.animation_data
    strips = [strip for track in data.nla_tracks for strip in track.strips]
    below = [strip.action for strip in strips if strip.action and strip.action.get("hyoid_take") == record.name]
    for action in [data.action] if data.action is not None else below:
        action[records.ACTION] = _key(record)


def _key(record: records.Record) -> str:
    return f"{record.uid} {record.person}"


def rewrite(scene: Any, armature: Any, take: Take) -> None:
    """Replace what an earlier lift has keyed on an armature: the same action, the same f-curves, other values.

    Raises:
        UsageError: it does not play there any more, or it cannot be changed.
    """
    record = records.of(armature)
    if record is None:
        raise UsageError(f"nothing was lifted onto '{armature.name}'")
    fcurves.check_editable(armature, mixed=False)
    source = replace(pack.with_gestures(replace(take, points=None)), keys={})
    if abs(record.rate - source.fps) > 1e-6:
        source = take_edit.resample(source, record.rate)
    wanted = insert.channels_for(armature, source, "dense", [])
    containers = {channel.owner: _playing(channel.owner, record) for channel in wanted}
    if containers.get(armature) is None:
        hint = "Let its action play again, or press Lift"
        raise UsageError(
            f"the animation that was lifted onto '{armature.name}' does not play there any more", hint=hint
        )
    for channel in wanted:
        if containers[channel.owner] is not None:
            _put(containers[channel.owner], channel, record)
    records.unmark(scene, record)
    record.markers = records.mark_hidden(scene, take.events, record.person, record.start, record.rate)
    record.camera, record.quality = _told(take)["camera"], _told(take)["quality"]
    records.keep(armature, record)
    _remember(armature, take, record)
    shot = armature.get(records.CAMERA)
    counts = records.first(scene, record.uid) == armature
    if counts and shot is not None and scene.objects.get(shot.name) == shot:
        camera.set_up(shot, armature, record.camera)
    for owner in containers:
        owner.update_tag()


def _playing(owner: Any, record: records.Record) -> Any:
    """The f-curves of a lift on an owner: of the action that plays, else of an NLA strip; None where they are gone."""
    data = owner.animation_data
    if data is None:
        return None
    if data.action is not None and data.action.get(records.ACTION) == _key(record):
        return compat.playing(owner)
    strips = [strip for track in data.nla_tracks for strip in track.strips]
    ours = [strip for strip in strips if strip.action and strip.action.get(records.ACTION) == _key(record)]
    found = next((curves for curves in map(compat.strip_curves, reversed(ours)) if curves is not None), None)
    return found if found is not None else nla.container_of(owner, record.name)


def _put(container: Any, channel: channels.Channel, record: records.Record) -> None:
    """New values for a channel; keys outside the time of the lift stay."""
    frames = record.start + np.asarray(channel.times, np.float64) * record.rate
    values = np.asarray(channel.values, np.float32)
    values = values[:, None] if values.ndim == 1 else values
    for index, column in enumerate(values.T):
        curve = container.fcurves.find(channel.path, index=index)
        moving = len(column) > 1 and np.ptp(column) > 0
        points = np.stack([frames, column], -1) if moving else np.array([[frames[0], column[0]]])
        if curve is None:
            if not channel.optional:
                animation.set_keys(compat.new_fcurve(container, channel.path, index, channel.group), points)
            continue
        there = fcurves.coordinates(curve)[:, 0] if len(curve.keyframe_points) else np.zeros(0)
        if ((there < frames[0] - fcurves.NEAR) | (there > frames[-1] + fcurves.NEAR)).any():
            fcurves.put_range(curve, frames, column)
            continue
        curve.keyframe_points.clear()
        animation.set_keys(curve, points)


def _remember(armature: Any, take: Take, record: records.Record) -> None:
    """Let the list of takes on an armature tell the new settings."""
    same = (record.name, round(record.start))
    takes: Sequence[placed.Placed] = [
        replace(entry, events=take.events, provenance=placed.provenance_of(take))
        if (entry.name, round(entry.start)) == same
        else entry
        for entry in placed.takes_on(armature)
    ]
    placed.set_takes(armature, takes)
