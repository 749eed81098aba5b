# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist chooses for an import: the same for the operator, its dialogue and the panel."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty

MODE_ITEMS = (
    ("new", "New Action", "Play the take in a new action; the action that played before is kept in the file"),
    ("replace", "Replace Range", "Change only the frames of the take in the action that plays now"),
    ("nla", "NLA Strip", "Lay the take over the animation as a strip of the NLA editor, on the track 'Hyoid'"),
)
PLACE_ITEMS = (
    ("PLAYHEAD", "At Playhead", "The take starts at the current frame"),
    ("FRAME", "At Frame", "The take starts at a frame that you name"),
)
KEYS_ITEMS = (
    ("dense", "Every Frame", "A key on each frame, exactly as in the take"),
    ("sparse", "Few Keys", "The editable keys that the take holds; every frame where it holds none"),
)


def properties(**more: Any) -> dict[str, Any]:
    """What an artist chooses for an import, as properties by name: those of the operator, which the panel keeps.

    Args:
        more: goes to every property.
    """
    fade = {"min": 0.0, "soft_max": 2.0, "unit": "TIME_ABSOLUTE", **more}
    return {
        "mode": EnumProperty(name="Insert As", items=MODE_ITEMS, default="new", **more),
        "place": EnumProperty(name="Place", items=PLACE_ITEMS, default="PLAYHEAD", **more),
        "start": IntProperty(name="Frame", default=1, description="Where the take starts", **more),
        "blend_in": FloatProperty(
            name="Blend In", description="Time in which the take fades in over what was there before", **fade
        ),
        "blend_out": FloatProperty(
            name="Blend Out", description="Time in which the take fades out into what was there before", **fade
        ),
        "keys": EnumProperty(name="Keys", items=KEYS_ITEMS, default="dense", **more),
        "whole_frames": BoolProperty(
            name="Keys on whole frames", default=True, **more,
            description="Lay keys on the frames of the scene when the take has another frame rate",
        ),
        "sound": BoolProperty(
            name="Sound strip", default=True, description="Put the sound of the take on the timeline", **more
        ),
        "markers": BoolProperty(
            name="Phoneme markers", default=False, description="Mark phones and words on the timeline", **more
        ),
        "scene_range": BoolProperty(
            name="Scene range of the take", default=False, description="Let the scene start and end with the take",
            **more,
        ),
    }  # fmt: skip


def draw(layout: Any, options: Any, *, choose_target: bool) -> None:
    """The choices of an import, in the file browser (all of them) or in the panel's details."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    if choose_target:
        column = layout.column()
        row = column.row()
        row.enabled = not options.create
        row.prop_search(options, "target", bpy.context.scene, "objects", icon="OBJECT_DATA")
        column.prop(options, "create")
        layout.prop(options, "mode")
    layout.prop(options, "place")
    if options.place == "FRAME":
        layout.prop(options, "start")
    column = layout.column(align=True)
    column.prop(options, "blend_in")
    column.prop(options, "blend_out", text="Out")
    layout.prop(options, "keys")
    boxes = layout.column(align=True)
    boxes.use_property_split = False
    row = boxes.row()
    row.enabled = options.keys == "dense"
    row.prop(options, "whole_frames")
    for name in ("sound", "markers", "scene_range"):
        boxes.prop(options, name)
