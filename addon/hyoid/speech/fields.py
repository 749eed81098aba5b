# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be set for a talk: one table of the toolkit's options, and where voice, words and character come from.

The table is fixed here, because the section works before the toolkit was found; a test holds it against the job model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy

from ..toolkit.blender import compat


@dataclass(frozen=True)
class Number:
    """An option of the toolkit that is a number: default, limits and what its slider says."""

    name: str
    label: str
    default: float
    low: float
    high: float
    about: str
    whole: bool = False


@dataclass(frozen=True)
class Choice:
    """An option of the toolkit that is one of several words; the first is the default."""

    name: str
    label: str
    entries: tuple[tuple[str, str, str], ...]
    about: str


LAYERS = (
    Number("jaw", "Jaw", 1, 0, 3, "How far the jaw opens; 0 keeps it shut"),
    Number("lips", "Lips", 1, 0, 3, "How far the lips stretch, round and part; they close on M, B and P in any case"),
    Number("tongue", "Tongue", 1, 0, 3, "How far the tongue shows between the teeth on TH"),
    Number("brows", "Brows", 1, 0, 3, "How far the brows rise with the pitch of the voice"),
    Number("blinks", "Blinks", 1, 0, 3, "How far the eyes close in blinks; 0 leaves them open"),
    Number("gaze", "Gaze", 1, 0, 3, "How far the eyes look aside"),
    Number("head", "Head", 1, 0, 3, "How far the head nods and turns with the voice"),
    Number("breath", "Breath", 1, 0, 3, "How much breathing shows"),
    Number("larynx", "Larynx", 1, 0, 3, "How far the larynx rises with pitch and in swallows"),
)
NUMBERS = (
    *LAYERS,
    Number("seed", "Seed", 0, 0, 2**31 - 1, "Another number gives other blinks, glances and idle motion", True),
    Number("offset_ms", "Offset", 0, -500, 500, "Milliseconds by which the face comes later than the sound"),
)
CHOICES = (
    Choice(
        "style", "Style",
        (
            ("neutral", "Neutral", "An even delivery"),
            ("calm", "Calm", "Smaller motion of face and head"),
            ("energetic", "Energetic", "Larger motion of face and head"),
        ),
        "How lively the performance is",
    ),
    Choice(
        "language", "Language",
        (
            ("english", "English", "Words are looked for, in the transcript or by recognition"),
            ("other", "Another", "The sounds are followed one by one, without words"),
        ),
        "What is spoken",
    ),
)  # fmt: skip
OPTIONS = (*(field.name for field in NUMBERS), *(field.name for field in CHOICES))
"""The toolkit's options that the section sets directly."""

VOICES = (
    ("FILE", "File", "A sound file, or a video with sound"),
    ("STRIP", "Strip", "The sound strip that is selected in the Video Sequencer: the part that is visible of it"),
)
TRANSCRIPTS = (
    ("NONE", "None", "The toolkit recognises the words; with a transcript the mouth is always better"),
    ("TYPED", "Typed", "Type the words here"),
    ("BLOCK", "Text", "A text in the Text Editor"),
    ("FILE", "File", "A text file"),
)
TARGETS = (
    ("ACTIVE", "Active", "The character or mapped mesh that is active; without one the only character of the scene"),
    ("CHOSEN", "Chosen", "The object below"),
    ("CREATE", "New", "A new character is added to the scene"),
)
STARTS = (
    ("AUTO", "Automatic", "The performance of a strip lies where the strip lies, that of a file at the current frame"),
    ("PLAYHEAD", "Playhead", "The voice begins at the current frame"),
    ("FRAME", "Frame", "The voice begins at the frame below"),
)
MODES = (
    ("replace", "Replace", "Keys in the time of the voice are replaced; others stay"),
    ("new", "New Action", "A new action is made; the old one stays in the file"),
    ("nla", "NLA Strip", "The performance becomes a strip of the NLA"),
)
KEYS = (
    ("dense", "Each Frame", "A key on every frame: exactly what was solved"),
    ("sparse", "Sparse", "Few keys that are easy to edit by hand; closed lips and blinks stay exact"),
)
PARTS = (("head", "Head", "Head, neck and shoulders"), ("full", "Whole Body", "The whole body"))


def _can_perform(_self: Any, obj: bpy.types.Object) -> bool:
    return obj.type in ("ARMATURE", "MESH")


def option_properties() -> dict[str, Any]:
    """The toolkit's options as Blender properties, by name."""
    made: dict[str, Any] = {}
    for field in NUMBERS:
        limits = {"min": field.low, "max": field.high, "default": field.default}
        if field.whole:
            whole = {name: int(value) for name, value in limits.items()}
            made[field.name] = bpy.props.IntProperty(name=field.label, description=field.about, **whole)
        else:
            made[field.name] = bpy.props.FloatProperty(
                name=field.label, description=field.about, precision=2, step=5, **limits
            )
    for choice in CHOICES:
        made[choice.name] = bpy.props.EnumProperty(name=choice.label, description=choice.about, items=choice.entries)
    return made


class HyoidTalkSettings(bpy.types.PropertyGroup):
    """What the Talk section shows, kept with the scene."""

    __annotations__ = {
        **option_properties(),
        "voice": bpy.props.EnumProperty(name="Voice", description="Where the voice comes from", items=VOICES),
        "audio": bpy.props.StringProperty(
            name="Audio", description="The recording: any sound file, or a video with sound", subtype="FILE_PATH",
            options=compat.RELATIVE,
        ),
        "transcript": bpy.props.EnumProperty(
            name="Words", description="Where the spoken words are written", items=TRANSCRIPTS
        ),
        "text": bpy.props.StringProperty(name="Words", description="What is said, word by word"),
        "text_block": bpy.props.PointerProperty(
            name="Text", description="The text that holds the words", type=bpy.types.Text
        ),
        "text_file": bpy.props.StringProperty(
            name="Text File", description="The text file that holds the words", subtype="FILE_PATH",
            options=compat.RELATIVE,
        ),
        "target": bpy.props.EnumProperty(name="Character", description="Who performs", items=TARGETS),
        "character": bpy.props.PointerProperty(
            name="Character", description="The armature or a mesh of who performs", type=bpy.types.Object,
            poll=_can_perform,
        ),
        "part": bpy.props.EnumProperty(name="Part", description="What is added", items=PARTS),
        "start": bpy.props.EnumProperty(name="Start", description="Where the performance begins", items=STARTS),
        "frame": bpy.props.FloatProperty(name="Frame", description="The frame at which the voice begins", default=1),
        "mode": bpy.props.EnumProperty(name="Insert", description="How the keys go into the file", items=MODES),
        "density": bpy.props.EnumProperty(name="Keys", description="How many keys are made", items=KEYS),
        "blend_in": bpy.props.FloatProperty(
            name="Blend In", description="Seconds over which the performance grows out of what is there", min=0,
            soft_max=2, default=0.0, subtype="TIME_ABSOLUTE",
        ),
        "blend_out": bpy.props.FloatProperty(
            name="Blend Out", description="Seconds over which it gives way to what follows", min=0, soft_max=2,
            default=0.0, subtype="TIME_ABSOLUTE",
        ),
        "add_sound": bpy.props.BoolProperty(
            name="Sound Strip", description="Put the voice on the timeline, unless it is there already", default=True
        ),
        "add_markers": bpy.props.BoolProperty(
            name="Phonemes", description="Mark each sound of speech on the timeline, to be dragged", default=True
        ),
        "show_strengths": bpy.props.BoolProperty(
            name="Strengths", description="How much each part of the face does", default=False
        ),
        "show_placement": bpy.props.BoolProperty(
            name="Placement", description="Where and how the performance goes into the file", default=False
        ),
    }  # fmt: skip


def register() -> None:
    """Give scenes their settings."""
    bpy.utils.register_class(HyoidTalkSettings)
    bpy.types.Scene.hyoid_speech = bpy.props.PointerProperty(type=HyoidTalkSettings)


def unregister() -> None:
    """Take them away."""
    del bpy.types.Scene.hyoid_speech
    bpy.utils.unregister_class(HyoidTalkSettings)
