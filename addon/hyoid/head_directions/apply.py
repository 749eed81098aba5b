# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads as Empties that go with the camera; everything is computed here, so that another smoothing shows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..takes import channels, nla
from ..timeline import fcurves
from ..toolkit.blender import animation, compat
from ..toolkit.errors import UsageError
from ..toolkit.geometry import head_angles
from ..toolkit.geometry import rotations as turns
from ..toolkit.motion import head_smoothing as steady
from ..toolkit.motion.heads import Heads, HeadShot
from . import camera, records

SEEN = "seen"
"""Custom property of an Empty, keyed: 1 where the head was seen, 0 in gaps and outside."""
_SEEN_PATH = f'["{SEEN}"]'
_CONSTANT = 0  # the number of 'CONSTANT' in the enum of keyframe interpolation


@dataclass(frozen=True)
class Course:
    """A head over time, in the axes of Blender's camera, on whole frames of the scene.

    Attributes:
        frames: (n,) float64. quaternions: (n, 4) of the Empty, see ``camera.FACING``. places: (n, 3) metres.
        seen: (n,) bool.
    """

    frames: np.ndarray
    quaternions: np.ndarray
    places: np.ndarray
    seen: np.ndarray


def course(
    scene: Any, lens: Any, shot: HeadShot, person: Heads, *, start: float, rate: float, smoothing: float, height: float
) -> Course:
    """Where the head of a person is and looks, frame by frame.

    Args:
        lens: the camera. person: rows of one person; those in gaps are made anew.
        start, rate: frame of second 0 and frames a second. smoothing: 0 to 1. height: metres of a head.

    Raises:
        UsageError: see ``camera.view``.
    """
    person = person[person.seen]
    times = np.array([shot.pictures[number].time or 0.0 for number in person.picture.tolist()], np.float64)
    trust = person.trust()
    boxes = steady.smooth_values(person.boxes, times, person.confidence, steady.BOX_CUTOFF, strength=smoothing)
    rays, focal = _rays(scene, lens, shot, person, boxes)
    turned = head_angles.in_camera(person.apparent, rays) if shot.perspective else person.rotations
    quaternions = steady.smooth_rotations(turns.from_matrix(camera.axes(turned)), times, trust, strength=smoothing)
    larger = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(1), 1e-3)
    away = np.log(focal * height / larger)[:, None]
    confidence = np.maximum(person.confidence, 1e-3)
    away = np.exp(steady.smooth_values(away, times, confidence, steady.DEPTH_CUTOFF, strength=smoothing))
    places = rays / rays[:, 2:] * away @ head_angles.FLIP
    there = start + times * rate
    frames = np.arange(round(there[0]), round(there[-1]) + 1, dtype=np.float64)
    nearest = np.abs(there[np.clip(np.searchsorted(there, frames), 0, len(there) - 1)] - frames)
    before = np.abs(there[np.clip(np.searchsorted(there, frames) - 1, 0, len(there) - 1)] - frames)
    reach = 0.5 * max(1.0, rate / (shot.fps or rate)) + 1e-3
    return Course(
        frames, steady.between(there, quaternions, frames),
        np.stack([np.interp(frames, there, column) for column in places.T], -1), np.minimum(nearest, before) <= reach,
    )  # fmt: skip


def _rays(scene: Any, lens: Any, shot: HeadShot, person: Heads, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit rays (n, 3) through the middles of boxes, in the toolkit's axes, and focal lengths (n,) in pixels."""
    sizes = [(shot.pictures[number].width, shot.pictures[number].height) for number in person.picture.tolist()]
    views = {size: camera.view(scene, lens, size) for size in set(sizes)}
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    centres = np.array([views[size].centre for size in sizes])
    focal = np.array([views[size].focal for size in sizes])
    return head_angles.rays((middles - centres) / focal[:, None], 1.0, (0.0, 0.0)), focal


def chosen(shot: HeadShot, person: str) -> dict[int, str]:
    """Numbers and names of those who are asked for: ``main``, ``all`` or a name.

    Raises:
        UsageError: nobody was found, or there is no such person.
    """
    names = shot.names
    if not names:
        raise UsageError(
            "no head was found", hint="Lower the Threshold, or take a picture in which heads are larger"
        )  # fmt: skip
    if person == "all":
        return names
    if person == "main":
        return {min(names): names[min(names)]}
    found = {number: name for number, name in names.items() if name == person}
    if not found:
        raise UsageError(f"there is no person '{person}'", expected=f"one of {', '.join(list(names.values())[:20])}")
    return found


def put(
    scene: Any, lens: Any, shot: HeadShot, people: Mapping[int, str], draft: records.Record, settings: Mapping[str, Any]
) -> list[Any]:
    """Empties for people, before a camera; those of the same search are changed in place.

    Args:
        draft: what all have in common. settings: ``smoothing``, ``head_height``, ``shown`` (``ARROW`` or ``AXES``).

    Raises:
        UsageError: the camera is no perspective one, or the animation of an Empty cannot be changed.
    """
    there = {records.of(obj).person: obj for obj in records.together(scene, draft.uid)}
    for obj in there.values():
        fcurves.check_editable(obj, mixed=False)
    ways = {
        number: course(
            scene, lens, shot, shot.heads[shot.heads.ids == number], start=draft.start, rate=draft.rate,
            smoothing=settings["smoothing"], height=settings["head_height"],
        )
        for number in people
    }  # fmt: skip
    made = []
    for number, name in people.items():
        obj = there.get(name) or _new(scene, name, draft, settings)
        if obj.parent is None or obj.parent.type == "CAMERA":
            camera.hang(obj, lens)
        seen = int(((shot.heads.ids == number) & shot.heads.seen).sum())
        record = records.Record(**{**vars(draft), "person": name, "name": f"{draft.name}.{name}", "seen": seen})
        write(obj, channels_of(obj, ways[number], draft), record, f"head.{name}")
        records.keep(obj, record)
        made.append(obj)
    return made


def _new(scene: Any, name: str, draft: records.Record, settings: Mapping[str, Any]) -> Any:
    """An Empty for a person: a ball with an arrow out of the face, or the axes."""
    obj = bpy.data.objects.new(f"head.{name}", None)
    collection = _collection(scene, draft)
    collection.objects.link(obj)
    obj.rotation_mode = "QUATERNION"
    compat.set_property(obj, SEEN, 1.0, 0.0, 1.0, "1 where the head was seen, 0 in gaps and outside", most=1)
    height = settings["head_height"]
    obj.empty_display_size = 0.5 * height
    if settings["shown"] == "AXES":
        obj.empty_display_type = "ARROWS"
        return obj
    obj.empty_display_type = "SPHERE"
    look = bpy.data.objects.new(f"head.{name}.look", None)
    collection.objects.link(look)
    look.parent = obj
    look.rotation_euler = (np.pi / 2, 0.0, 0.0)  # the arrow is drawn along z, the face looks along -y
    look.empty_display_type, look.empty_display_size = "SINGLE_ARROW", 1.5 * height
    return obj


def _collection(scene: Any, draft: records.Record) -> Any:
    """The collection of a search, new where it has none that the scene shows."""
    found = next((one for one in scene.collection.children_recursive if one.get(records.MARK) == draft.uid), None)
    if found is None:
        found = bpy.data.collections.new(f"Heads {draft.name}")
        found[records.MARK] = draft.uid
        scene.collection.children.link(found)
    return found


def channels_of(obj: Any, way: Course, draft: records.Record) -> list[channels.Channel]:
    """What a course moves on an Empty."""
    times = (way.frames - draft.start) / draft.rate
    name, turned = animation.rotation_values(obj.rotation_mode, way.quaternions)
    made = [
        channels.Channel(obj, "location", 3, "Head", times, way.places),
        channels.Channel(obj, name, turned.shape[1], "Head", times, turned),
    ]
    if len(times) > 1:  # a picture is no time that one could be seen in
        frames = np.concatenate([[way.frames[0] - 1], way.frames, [way.frames[-1] + 1]])
        seen = np.concatenate([[0.0], way.seen, [0.0]])
        made.append(channels.Channel(obj, _SEEN_PATH, 0, "Head", (frames - draft.start) / draft.rate, seen))
    return made


def write(owner: Any, wanted: Sequence[channels.Channel], record: records.Record, title: str = "") -> None:
    """Key channels of one owner in the action of a result, a new one where nothing of it plays there.

    Keys outside the time of the result stay.

    Args:
        record: of the result; its action remembers its name. title: of a new action, which is refused without it.

    Raises:
        UsageError: it does not play there any more.
    """
    container = playing(owner, record.name)
    if container is None:
        if not title:
            hint = "Let its action play again, or look for heads again"
            raise UsageError(f"the animation of '{owner.name}' does not play there any more", hint=hint)
        before = owner.animation_data.action if owner.animation_data else None
        if before is not None:
            before.use_fake_user = True
        action = bpy.data.actions.new(title)
        action["hyoid_take"] = record.name
        container = compat.fcurve_owner(owner, action)
    for channel in wanted:
        _put(container, channel, record.start, record.rate)
    owner.update_tag()


def playing(owner: Any, name: str) -> Any:
    """The f-curves of a result on an owner: of its action, else of an NLA strip; None where they are gone."""
    data = owner.animation_data
    if data is None:
        return None
    if data.action is not None and data.action.get("hyoid_take") == name:
        return compat.playing(owner)
    return nla.container_of(owner, name)


def _put(container: Any, channel: channels.Channel, start: float, rate: float) -> None:
    frames = start + np.asarray(channel.times, np.float64) * rate
    given = np.asarray(channel.values, np.float32)
    for index, column in enumerate((given[:, None] if given.ndim == 1 else given).T):
        curve = container.fcurves.find(channel.path, index=index)
        moving = len(column) > 1 and np.ptp(column) > 0
        points = np.stack([frames, column], -1) if moving else np.array([[frames[0], column[0]]])
        if curve is None:
            if channel.optional:
                continue
            curve = compat.new_fcurve(container, channel.path, index, channel.group)
            animation.set_keys(curve, points)
        else:
            there = fcurves.coordinates(curve)[:, 0] if len(curve.keyframe_points) else np.zeros(0)
            if ((there < frames[0] - fcurves.NEAR) | (there > frames[-1] + fcurves.NEAR)).any():
                fcurves.put_range(curve, frames, column)
            else:
                curve.keyframe_points.clear()
                animation.set_keys(curve, points)
        if channel.path == _SEEN_PATH:
            _step(curve)


def _step(curve: Any) -> None:
    """Let a curve jump from key to key."""
    curve.keyframe_points.foreach_set("interpolation", np.full(len(curve.keyframe_points), _CONSTANT, np.int32))
    curve.update()
