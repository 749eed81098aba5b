# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters of other sources: from a ``.character.npz``, and from the models of others, which the toolkit reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import bpy
from bpy_extras.io_utils import ImportHelper

from .. import jobs
from ..toolkit import characters
from ..toolkit.errors import HyoidError, InputError, UsageError
from . import create, find

SUFFIX = characters.FILE_SUFFIX
HANDLER = "create_character"
MODELS = (
    ("ict", "ICT-FaceKit", "The folder FaceXModel of ICT-FaceKit (MIT): 100 identities, the whole face"),
    ("hack", "HACK", "The folder of the published HACK model: head and neck"),
    ("flame", "FLAME", "A FLAME model, .pkl or .npz, as its authors give it out"),
    ("smplx", "SMPL-X, SMPL-H, SMPL", "A body model, .npz or .pkl, as its authors give it out"),
)
"""Models that users bring; what the toolkit calls them, and what it expects at their path."""


def from_file(context: Any, path: str, name: str = "") -> find.Rig:
    """The character in a ``.character.npz``, new in the scene.

    Raises:
        HyoidError: no file is chosen, or it is missing, damaged, or no character.
    """
    if not path.strip():
        raise UsageError("no file is chosen", expected=f"a {SUFFIX}, made by 'hyoid rig ... -o NAME{SUFFIX}'")
    place = Path(os.path.abspath(bpy.path.abspath(path.strip())))
    if not place.name.lower().endswith(SUFFIX):
        raise UsageError("is no file of a character", path=place, expected=f"a {SUFFIX}")
    if not place.is_file():
        raise InputError("there is no such file", path=place)
    character = characters.load(str(place))
    return create.put(context, character, name.strip() or place.name[: -len(SUFFIX)] or character.name, str(place))


def finish(scene: Any, payload: dict[str, Any], result: dict[str, Any]) -> str:
    """Handler of the jobs that build a character: it comes into the scene.

    Raises:
        HyoidError: its file cannot be read.
    """
    rig = from_file(bpy.context, str(result["outputs"][0]), str(payload.get("name", "")))
    if payload.get("location"):
        rig.armature.location = payload["location"]
    active = bpy.context.view_layer.objects.active
    if active is None or not active.select_get():  # the artist has turned to nothing else
        create.show(bpy.context, rig)
    return f"Created '{rig.armature.name}'. {terms(rig.armature)}".strip()


def terms(armature: Any) -> str:
    """What an artist must know of the licence of a character; empty where anything may be done with it."""
    licence = str(armature.get("hyoid_licence", ""))
    return (
        "" if licence in ("", "CC0-1.0", "LicenseRef-own") else f"Its licence is {licence.removeprefix('LicenseRef-')}"
    )


class HYOID_OT_create_character_from_file(bpy.types.Operator, ImportHelper):
    """Add a character from a .character.npz, which the toolkit writes of any head that it knows or has rigged"""

    bl_idname = "hyoid.create_character_from_file"
    bl_label = "Character from File"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = SUFFIX
    filter_glob: bpy.props.StringProperty(default=f"*{SUFFIX};*.npz", options={"HIDDEN"})
    name: bpy.props.StringProperty(name="Name", description="What the new objects are called after; empty: the file")
    location: bpy.props.EnumProperty(
        name="Place",
        items=[("WORLD", "World origin", "At the world origin"), ("CURSOR", "3D cursor", "At the 3D cursor")],
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A scene that can be changed."""
        return context.scene is not None and context.scene.library is None

    def execute(self, context: Any) -> set[str]:
        """Create it, and make it active unless the artist is inside a mode."""
        try:
            rig = from_file(context, self.filepath, self.name)
        except HyoidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if self.location == "CURSOR":
            rig.armature.location = context.scene.cursor.location
        create.show(context, rig)
        self.report({"INFO"}, f"Created '{find.identity(rig.armature)['name']}'. {terms(rig.armature)}".strip())
        return {"FINISHED"}


class HYOID_OT_build_character(bpy.types.Operator):
    """Let the toolkit make a Hyoid character of a model that you have: its face, jaw and eyes, and a neck of eight
    joints. The model stays where it is; its licence goes with the character"""

    bl_idname = "hyoid.build_character"
    bl_label = "Build Character"
    bl_options = {"REGISTER"}

    model: bpy.props.EnumProperty(name="Model", items=MODELS, default="ict")
    filepath: bpy.props.StringProperty(name="Path", description="Folder or file of the model", subtype="FILE_PATH")
    settings: bpy.props.StringProperty(
        name="Identity", description='For scripts: settings of the model as JSON: {"identity000": 1.5}'
    )
    name: bpy.props.StringProperty(name="Name", description="What the new objects are called after")
    location: bpy.props.EnumProperty(
        name="Place",
        items=[("WORLD", "World origin", "At the world origin"), ("CURSOR", "3D cursor", "At the 3D cursor")],
    )
    wait: bpy.props.BoolProperty(name="Wait", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A scene that can be changed."""
        return context.scene is not None and context.scene.library is None

    def execute(self, context: Any) -> set[str]:
        """Start the job."""
        try:
            said = self._start(context)
        except (HyoidError, jobs.JobError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, said)
        return {"FINISHED"}

    def _start(self, context: Any) -> str:
        title = next(title for key, title, _ in MODELS if key == self.model)
        if not self.filepath.strip():
            raise UsageError(f"no {title} is chosen", hint="Choose the folder or file that its authors give out")
        path = os.path.abspath(bpy.path.abspath(self.filepath.strip()))
        if not os.path.exists(path):
            raise InputError("there is no such file or folder", path=Path(path))
        try:
            wanted = json.loads(self.settings) if self.settings.strip() else {}
        except ValueError as error:
            raise UsageError(f"the settings are no JSON object of names and numbers: {error}") from error
        output = jobs.output_path(context, self.name.strip() or self.model, SUFFIX)
        place = list(context.scene.cursor.location) if self.location == "CURSOR" else []
        job = jobs.submit(
            context, "rig", {"character": f"{self.model}:{path}", "set": wanted, "output": [str(output)]},
            label=f"Character: {title}", handler=HANDLER, payload={"name": self.name, "location": place},
            wait=self.wait,
        )  # fmt: skip
        return job.message or f"{title} is being read; see the panel"


CLASSES = (HYOID_OT_create_character_from_file, HYOID_OT_build_character)
