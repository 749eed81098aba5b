# SPDX-License-Identifier: GPL-3.0-or-later
"""A file with a take into the scene: the operator, and what a finished job calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, StringProperty

from ..characters import create, find, from_files
from ..timeline.frames import scene_rate
from ..toolkit import characters, formats
from ..toolkit.blender import compat
from ..toolkit.errors import HyoidError, InputError, UsageError
from ..toolkit.formats import take_npz
from ..toolkit.take import Take
from . import choices, insert
from .channels import Placement

SUFFIXES = (".take.npz", ".npz", ".bvh", ".csv", ".glb")
_showing_phones: list[Callable[[Any, Any, Take, Placement, str], None]] = []
GLOB = "*.npz;*.bvh;*.csv;*.glb"


def read(path: str | Path) -> Take:
    """The take in a file.

    Raises:
        HyoidError: the file is missing, damaged, or of a type that holds no take; what to do instead is said.
    """
    path = Path(path)
    if not path.name:
        raise UsageError("no file is chosen")
    if not path.name.lower().endswith(SUFFIXES):
        heard = path.suffix.lower() in bpy.path.extensions_audio | bpy.path.extensions_movie
        hint = "Use Blender's own import (File > Import) for scenes and models"
        hint = "Choose a recording of a voice in the section Talk" if heard else hint
        raise UsageError(f"a {path.suffix or 'file without an ending'} holds no take", path=path,
                         expected="a .take.npz, .bvh, .csv or .glb", hint=hint)  # fmt: skip
    if not path.is_file():
        raise InputError("there is no such file", path=path)
    if path.suffix.lower() == ".npz" and not path.name.lower().endswith(".take.npz"):
        return take_npz.read(path)
    return formats.read_take(path)


def name_of(path: str | Path) -> str:
    """What a take from a file is called: the name of the file without its endings."""
    name = Path(path).name
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def target_of(context: Any, name: str = "") -> Any:
    """The object that a take goes onto: by name, else the chosen one, the active one, the only character; or None.

    Raises:
        UsageError: no object has that name.
    """
    if name:
        found = context.scene.objects.get(name)
        if found is None:
            raise UsageError(f"there is no object '{name}' in the scene '{context.scene.name}'")
        return found
    chosen = context.scene.hyoid_takes.target
    if chosen is not None and context.scene.objects.get(chosen.name) == chosen:
        return chosen
    active = context.view_layer.objects.active
    if active is not None and (find.rig_of(active) is not None or playable(active)):
        return active
    rigs = find.rigs(context.scene)
    return rigs[0].armature if len(rigs) == 1 else None


def playable(obj: Any) -> bool:
    """Whether a take can be put on an object that is no Hyoid character."""
    return obj.type == "ARMATURE" or (obj.type == "MESH" and obj.data.shape_keys is not None)


def create_for(context: Any, take: Take) -> Any:
    """The character that a take was made for, new in the scene: its armature.

    Raises:
        UsageError: its settings are unknown to this version.
    """
    asked = take.character
    if asked.name.endswith(characters.FILE_SUFFIX) and Path(asked.name).is_file():
        return from_files.from_file(context, asked.name).armature
    settings = dict(asked.settings) if asked.name == "human" else {}
    rig = create.create(context, settings, asked.part if asked.part in ("head", "full") else "full")
    return rig.armature


def add_sound(scene: Any, take: Take, start: float) -> str:
    """Put the sound of a take on the timeline at the frame of its second 0; a remark when that cannot be, else ''."""
    if take.audio is None:
        return ""
    path = Path(bpy.path.abspath(take.audio.path))
    if not path.is_file():
        return f"its sound is not there: {path}"
    if not bpy.app.build_options.audaspace:
        return "this build of Blender has no sound: the strip is left out"
    first = round(start + take.audio.offset * scene_rate(scene))
    try:
        strip = compat.new_sound_strip(scene, path.stem[:60], str(path), first, 1)
    except RuntimeError as error:
        return f"Blender cannot read its sound ({' '.join(str(error).split())})"
    others = [other for other in compat.strips(scene) if other != strip]
    begin, end = strip.frame_final_start, strip.frame_final_end
    taken = {other.channel for other in others if other.frame_final_start < end and other.frame_final_end > begin}
    strip.channel = next(channel for channel in range(1, 129) if channel not in taken)
    return ""


def set_range(scene: Any, take: Take, placement: Placement) -> None:
    """Let the scene play exactly the take."""
    rate = scene_rate(scene)
    scene.frame_start = round(placement.start)
    scene.frame_end = max(round(placement.start + (take.frames - 1) / take.fps * rate), scene.frame_start)


def when_phones_are_shown(show: Callable[[Any, Any, Take, Placement, str], None] | None) -> None:
    """Let ``show(scene, holder, take, placement, keys)`` do it for imports with phoneme markers; None: nothing does."""
    _showing_phones[:] = [] if show is None else [show]


def show_markers(scene: Any, take: Take, target: Any, placement: Placement, keys: str) -> None:
    """Have markers shown for the phones of a take, where it has any."""
    if not any(event.kind == "phone" for event in take.events):
        return
    rig = find.rig_of(target)
    for show in _showing_phones:
        show(scene, target if rig is None else rig.armature, take, placement, keys)


def place(
    context: Any, take: Take, target: Any, placement: Placement, *, keys: str, whole_frames: bool, sound: bool,
    markers: bool, scene_range: bool,
) -> str:  # fmt: skip
    """Everything that an import does; one line for the user.

    Args:
        target: the object that plays the take; None makes the character that it was made for.

    Raises:
        HyoidError: the take does not fit; a character that was made for it is gone again.
    """
    scene = context.scene
    made = target is None
    target = create_for(context, take) if made else target
    try:
        said = [insert.insert(scene, target, take, placement, keys=keys, whole_frames=whole_frames)]
    except HyoidError:
        rig = find.rig_of(target)
        if made and rig is not None:
            create.remove(rig)
        raise
    if made:
        other = take.character.name
        said.append(f"on the new character '{target.name}'" + (f" in place of '{other}'" if other != "human" else ""))
    if sound:
        said.append(add_sound(scene, take, placement.start))
    if markers:
        show_markers(scene, take, target, placement, keys)
    if scene_range:
        set_range(scene, take, placement)
    scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)
    return "; ".join(filter(None, said))


class HYOID_OT_import_take(bpy.types.Operator):
    """Put a performance from a file on a character, on a mesh with shape keys or on an armature"""

    bl_idname = "hyoid.import_take"
    bl_label = "Import Take"
    bl_options = {"REGISTER", "UNDO"}

    __annotations__ = {
        "filepath": StringProperty(subtype="FILE_PATH", options={"HIDDEN", "SKIP_SAVE"} | compat.RELATIVE),
        "filter_glob": StringProperty(default=GLOB, options={"HIDDEN"}),
        "target": StringProperty(
            name="Target", options={"SKIP_SAVE"},
            description="Object that plays the take; empty: the chosen one, the active one or the only character",
        ),
        "create": BoolProperty(
            name="New Character", options={"SKIP_SAVE"}, description="Make the character that the take was made for"
        ),
        **choices.properties(options={"SKIP_SAVE"}),
    }  # fmt: skip

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a scene."""
        if context.scene is None:
            cls.poll_message_set("Open a scene first")
            return False
        return True

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Take over the choices of the panel; then a file browser, or for a dropped file the same choices."""
        settings = context.scene.hyoid_takes
        for name in choices.properties():
            if not self.properties.is_property_set(name):
                setattr(self, name, getattr(settings, name))
        if self.filepath:
            return context.window_manager.invoke_props_dialog(self)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def draw(self, context: Any) -> None:
        """The choices, beside the file browser and in the panel of the last operation."""
        choices.draw(self.layout, self, choose_target=True)

    def execute(self, context: Any) -> set[str]:
        """Read the file and put the take into the scene."""
        try:
            message = self._run(context)
        except HyoidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, message)
        return {"FINISHED"}

    def _run(self, context: Any) -> str:
        take = read(bpy.path.abspath(self.filepath))
        target = None if self.create else target_of(context, self.target)
        if target is None and not self.create and self.filepath.lower().endswith(".glb"):
            hint = "Choose a target or New Character; to import the file as it is use File > Import > glTF 2.0"
            raise UsageError("nothing in the scene can play the take", path=self.filepath, hint=hint)
        by_frame = self.place == "FRAME" or (
            self.properties.is_property_set("start") and not self.properties.is_property_set("place")
        )
        start = self.start if by_frame else context.scene.frame_current
        placement = Placement(start, self.mode, self.blend_in, self.blend_out, name_of(self.filepath))
        return place(
            context, take, target, placement, keys=self.keys, whole_frames=self.whole_frames, sound=self.sound,
            markers=self.markers, scene_range=self.scene_range,
        )  # fmt: skip


def takes_of(result: Mapping[str, Any]) -> list[Path]:
    """The takes that a job wrote.

    Raises:
        UsageError: there are none.
    """
    paths = [Path(path) for path in result.get("outputs", ()) if str(path).endswith(".take.npz")]
    if not paths:
        raise UsageError("the job wrote no take")
    return paths


def performer(scene: Any, payload: Mapping[str, Any], active: Callable[[Any], Any]) -> Any:
    """Who was to perform when a job was started, or with ``anywhere`` the one that ``active`` finds in the context.

    Raises:
        UsageError: it is not in the scene any more.
    """
    found = active(bpy.context) if payload.get("anywhere") else find.found(scene, payload)
    if found is None:
        hint = "Select who shall perform, then import the result"
        raise UsageError(f"'{payload.get('target') or 'the character'}' is not in the scene any more", hint=hint)
    return found


def finish_job(scene: Any, payload: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Import the first take that a job wrote; called by the jobs when one has ended well.

    Args:
        payload: ``target`` (name) and ``target_id`` (of a Hyoid character) of the object that plays it; ``start``
            (frame), ``mode``, ``blend_in``, ``blend_out``, ``keys``, ``whole_frames``, ``sound``, ``markers``,
            ``scene_range`` as in the operator, each with its default; ``create`` makes a new character at once;
            ``anywhere`` takes the target of an import instead.

    Raises:
        HyoidError: the job wrote no take, or it fits nothing; the file is named.
    """
    outputs = [str(path) for path in result.get("outputs", ())]
    path = next((path for path in outputs if path.endswith(".take.npz")), None)
    if path is None:
        raise UsageError("the job wrote no take", expected=f"a .take.npz among {', '.join(outputs) or 'its files'}")
    take = read(path)
    context = _SceneContext(scene)
    wanted = bool(payload.get("target") or payload.get("target_id")) and not payload.get("create")
    target = find.found(scene, payload) if wanted else None
    if payload.get("anywhere"):
        target = target_of(context)
    placement = Placement(
        float(payload.get("start", scene.frame_current)), str(payload.get("mode", "new")),
        float(payload.get("blend_in", 0.0)), float(payload.get("blend_out", 0.0)),
        str(payload.get("name") or name_of(path)),
    )  # fmt: skip
    message = place(
        context, take, target, placement, keys=str(payload.get("keys", "dense")),
        whole_frames=bool(payload.get("whole_frames", True)), sound=bool(payload.get("sound", True)),
        markers=bool(payload.get("markers", False)), scene_range=bool(payload.get("scene_range", False)),
    )  # fmt: skip
    if wanted and target is None:
        message += f"; '{payload.get('target')}' is gone ({path})"
    return message


class _SceneContext:
    """A context for a scene that need not be the one in the window."""

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self.view_layer = bpy.context.view_layer if bpy.context.scene == scene else scene.view_layers[0]


class HYOID_FH_take:
    """A take that is dropped into the viewport; a file handler from Blender 4.1 on."""

    bl_idname = "HYOID_FH_take"
    bl_label = "Hyoid take"
    bl_import_operator = "hyoid.import_take"
    bl_file_extensions = ".npz;.bvh;.csv"

    @classmethod
    def poll_drop(cls, context: Any) -> bool:
        """Whether a file may be dropped here."""
        return context.area is not None and context.area.type == "VIEW_3D"
