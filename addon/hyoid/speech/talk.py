# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator that makes a character speak, and what happens with the take that comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .. import jobs
from ..characters import create, find
from ..takes import importer, insert, placed
from ..takes.channels import Placement
from ..timeline.frames import scene_rate
from ..toolkit.errors import HyoidError, UsageError
from ..toolkit.formats import take_npz
from ..toolkit.take import Take
from . import fields, markers, phones, voices

HANDLER = "talk"
_OVERRIDES = (
    "audio",
    "text",
    *fields.OPTIONS,
    "part",
    "mode",
    "density",
    "blend_in",
    "blend_out",
    "add_sound",
    "add_markers",
)


class _Settings:
    """The scene's settings, with those that a script gave to the operator in their place."""

    def __init__(self, operator: Any, scene: bpy.types.Scene) -> None:
        self._stored = scene.hyoid_speech
        self._given = {
            name: getattr(operator, name) for name in _OVERRIDES if operator.properties.is_property_set(name)
        }
        if "audio" in self._given:
            self._given["voice"] = "FILE"
        if "text" in self._given:
            self._given["transcript"] = "TYPED" if operator.text.strip() else "NONE"
        if operator.properties.is_property_set("frame"):
            self._given |= {"start": "FRAME", "frame": operator.frame}
        if operator.properties.is_property_set("target"):
            self._given |= {"target": "CHOSEN", "character": bpy.data.objects.get(operator.target)}
            if operator.target == "":
                self._given["target"] = "CREATE"

    def __getattr__(self, name: str) -> Any:
        given = self.__dict__.get("_given", {})
        return given[name] if name in given else getattr(self.__dict__["_stored"], name)


class HYOID_OT_talk(bpy.types.Operator):
    """Solve a performance from the voice with the Hyoid toolkit and put it on the character, ready to be edited"""

    bl_idname = "hyoid.talk"
    bl_label = "Talk"
    bl_options = {"REGISTER"}

    __annotations__ = {
        **fields.option_properties(),
        "audio": bpy.props.StringProperty(name="Audio", description="Sound file to use instead of the scene's choice"),
        "text": bpy.props.StringProperty(name="Words", description='What is said; "" has the words recognised'),
        "target": bpy.props.StringProperty(
            name="Character", description='Name of the object that performs; "" adds a new character'
        ),
        "frame": bpy.props.FloatProperty(name="Frame", description="Frame at which the voice begins"),
        "part": bpy.props.EnumProperty(name="Part", description="What a new character is", items=fields.PARTS),
        "mode": bpy.props.EnumProperty(name="Insert", description="How the keys go into the file", items=fields.MODES),
        "density": bpy.props.EnumProperty(name="Keys", description="How many keys are made", items=fields.KEYS),
        "blend_in": bpy.props.FloatProperty(name="Blend In", description="Seconds", min=0),
        "blend_out": bpy.props.FloatProperty(name="Blend Out", description="Seconds", min=0),
        "add_sound": bpy.props.BoolProperty(name="Sound Strip", default=True),
        "add_markers": bpy.props.BoolProperty(name="Phoneme Markers", default=True),
        "wait": bpy.props.BoolProperty(
            name="Wait", description="Come back when the performance is in the file", options={"SKIP_SAVE", "HIDDEN"}
        ),
    }

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Blender must know a scene."""
        return context.scene is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Start the job, or do it here and now where there is no window."""
        try:
            said = start(context, _Settings(self, context.scene), self.wait)
        except (HyoidError, jobs.JobError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if said:
            self.report({"INFO"}, said)
        return {"FINISHED"}


def start(context: bpy.types.Context, settings: Any, wait: bool = False) -> str:
    """Hand a talk to the toolkit; what came out where it was waited for, else "".

    Raises:
        HyoidError: something that was chosen cannot be used. JobError: there is no toolkit, or it failed.
    """
    scene = context.scene
    jobs.toolkit(context)  # without it nothing else matters
    target, character = _target(context, settings)
    if settings.voice == "STRIP":
        strip = voices.strip_of(context)
        if strip is None:
            hint = "Select a sound strip in the Video Sequencer, or choose a file"
            raise UsageError("No sound strip is selected", hint=hint)
        voice = voices.of_strip(scene, strip, jobs.output_folder(context))
    else:
        voice = voices.of_file(settings.audio)
    words = voices.words_of(settings)
    output = jobs.output_path(context, Path(voice.path).stem)
    options: dict[str, Any] = {
        "audio": voice.path, "output": [str(output)], "fps": jobs.frame_rate(context),
        **{name: _plain(getattr(settings, name)) for name in fields.OPTIONS}, **character,
    }  # fmt: skip
    if voice.start or voice.end is not None:
        options |= {"start": voice.start, "end": voice.end}
    if words is not None:
        options["text"] = str(_written(output, words))
    payload = {
        **({} if target is None else find.named(target)), "create": target is None, "part": settings.part,
        "keys": settings.density,
        "start": _start_frame(scene, settings, voice), "mode": settings.mode, "blend_in": settings.blend_in,
        "blend_out": settings.blend_out, "sound": settings.add_sound and settings.voice == "FILE",
        "markers": settings.add_markers, "voice": voice.sound, "options": {**options, "output": []},
    }  # fmt: skip
    label = f"Talk: {Path(voice.path).stem[:40]}"
    made = [Path(options["text"])] if words is not None else []
    job = jobs.submit(context, "talk", options, label=label, handler=HANDLER, payload=payload, made=made, wait=wait)
    return getattr(job, "message", "") if wait or bpy.app.background else ""


def _plain(value: Any) -> Any:
    """A number without the noise of single precision: 1.100000023 is 1.1."""
    return round(value, 6) if isinstance(value, float) else value


def _target(context: bpy.types.Context, settings: Any) -> tuple[bpy.types.Object | None, dict[str, Any]]:
    """Who performs (None: a new character), and what the toolkit has to know of it."""
    if settings.target == "CREATE":
        return None, {"part": settings.part}
    if settings.target == "CHOSEN":
        obj = settings.character
        if obj is None or obj.name not in context.scene.objects:
            raise UsageError(
                "No character is chosen", hint="Pick an armature or mesh of this scene in the Talk section"
            )
        rig = find.rig_of(obj)
    else:
        obj = phones.performer(context)
        rig = find.rig_of(obj)
        if obj is None:
            hint = "Select one, or let the Talk section add a new one"
            raise UsageError("No character is active", hint=hint)
    reason = phones.hindrance(obj)
    if reason:
        raise UsageError(reason)
    if rig is None:
        return obj, {}
    mark = find.identity(rig.armature)
    if find.is_bundled(rig.armature):
        return rig.armature, {"set": mark.get("settings", {}), "part": mark.get("part", "full")}
    path = find.file_of(rig.armature)
    return rig.armature, {"character": str(path)} if path is not None and path.is_file() else {}


def _start_frame(scene: bpy.types.Scene, settings: Any, voice: voices.Voice) -> float:
    if settings.start == "FRAME":
        return settings.frame
    if settings.start == "AUTO" and voice.frame is not None:
        return voice.frame
    return scene.frame_current_final


def _written(output: Path, words: str) -> Path:
    """The words in a text file beside the output, so that they are never taken for the name of a file."""
    path = output.with_name(output.name.replace(".take.npz", ".words.txt"))
    path.write_text(words, encoding="utf-8")
    return path


def found(scene: bpy.types.Scene, payload: dict[str, Any]) -> bpy.types.Object:
    """The object that a job was for.

    Raises:
        UsageError: it is not in the scene any more.
    """
    if payload.get("anywhere"):
        obj = phones.performer(bpy.context)
        if obj is None:
            raise UsageError("No character is active", hint="Select who shall perform")
        return obj
    obj = find.found(scene, payload)
    if obj is None:
        raise UsageError(f"'{payload.get('target', '')}' is not in the scene any more", hint="Import it onto another")
    return obj


def finish(scene: bpy.types.Scene, payload: dict[str, Any], result: dict[str, Any]) -> str:
    """Put the take of a talk into the scene; a sentence on what was done.

    Raises:
        HyoidError: the take cannot be read, or its character is gone.
    """
    path = next(Path(name) for name in result["outputs"] if name.endswith(".take.npz"))
    take = take_npz.read(path)
    holder = _created(payload) if payload["create"] else found(scene, payload)
    name = path.name.removesuffix(".take.npz")
    placement = Placement(
        start=payload["start"], mode=payload["mode"], blend_in=payload["blend_in"], blend_out=payload["blend_out"],
        name=name,
    )  # fmt: skip
    said = [insert.insert(scene, holder, take, placement, keys=payload["keys"])]
    rate = scene_rate(scene)
    talk = phones.add(
        holder, name, take.events, take.seconds, payload["start"], rate, payload["options"], payload["voice"],
        payload["mode"], payload["keys"],
    )  # fmt: skip
    uid = talk.uid
    markers.reconcile(scene, holder)
    talk = next(entry for entry in holder.hyoid_talk.talks if entry.uid == uid)
    if payload["sound"] and not voices.is_on_timeline(scene, payload["options"]["audio"], payload["start"]):
        said.append(importer.add_sound(scene, take, payload["start"]))
    if payload["markers"] and len(talk.phones) > 1:
        markers.show(scene, talk)
    if take.mode == "idle":
        said.append("No voice is to be heard in the recording: the face idles")
    return ". ".join(part.rstrip(".") for part in said if part)


def adopt(scene: bpy.types.Scene, holder: bpy.types.Object, take: Take, placement: Placement, keys: str) -> None:
    """Make a take that was imported known as a talk, whose markers can be dragged, and show them."""
    options = dict(placed.provenance_of(take)["settings"])
    sound = "" if take.audio is None else take.audio.path
    talk = phones.add(
        holder, placement.name, take.events, take.seconds, placement.start, scene_rate(scene), options, sound,
        placement.mode, keys,
    )  # fmt: skip
    markers.show(scene, talk)


def _created(payload: dict[str, Any]) -> bpy.types.Object:
    return create.create(bpy.context, {}, payload["part"]).armature


def register() -> None:
    """Register the operator, what is done with its results, and with phones that come in by an import."""
    bpy.utils.register_class(HYOID_OT_talk)
    jobs.register_handler(HANDLER, finish)
    importer.when_phones_are_shown(adopt)


def unregister() -> None:
    """Remove the operator."""
    importer.when_phones_are_shown(None)
    bpy.utils.unregister_class(HYOID_OT_talk)
