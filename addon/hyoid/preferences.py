# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: where the toolkit lives, whether it works, where results go."""

from __future__ import annotations

from typing import Any

import bpy

from .jobs import check
from .jobs.places import RATES
from .toolkit.blender import compat


class HyoidPreferences(bpy.types.AddonPreferences):
    """What the artist sets once."""

    bl_idname = __package__

    toolkit: bpy.props.StringProperty(
        name="Toolkit",
        description="The Hyoid program, or the folder of the virtual environment it is installed in. "
        "Empty: it is looked for (on the PATH, in the active virtual environment, in the home folder)",
        subtype="FILE_PATH",
        update=check.forget,
    )
    output_folder: bpy.props.StringProperty(
        name="Output Folder",
        description="Where results are written. Empty: the folder 'hyoid' beside the .blend file, or a temporary "
        "folder while that is not saved",
        subtype="DIR_PATH",
        options=compat.RELATIVE,
    )
    frame_rate: bpy.props.EnumProperty(
        name="Frame Rate",
        description="Frames a second of performances that the toolkit makes. The scene's own rate is never changed; "
        "a performance is placed by time",
        items=[
            ("SCENE", "As the scene", "The rate that is nearest to that of the scene"),
            *((str(rate), f"{rate} fps", "") for rate in RATES),
        ],
        default="SCENE",
    )
    at_once: bpy.props.IntProperty(
        name="Jobs at Once",
        description="How many jobs run beside each other; the others wait. Each needs a processor and about 1 GB",
        min=1,
        max=8,
        default=1,
    )
    show_checks: bpy.props.BoolProperty(name="All That Was Looked At", description="Show what works, too")
    keep_files: bpy.props.BoolProperty(
        name="Keep Job Files",
        description="Keep job file and log of every job in the temporary folder, to look for faults or to run it again",
        default=False,
    )

    def draw(self, context: Any) -> None:
        """Draw the toolkit with its check, then the rest."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column()
        column.prop(self, "toolkit")
        check.draw(column, context)
        column = layout.column()
        column.prop(self, "output_folder")
        column.prop(self, "frame_rate")
        column.prop(self, "at_once")
        column.prop(self, "keep_files")
        note = layout.column()
        note.label(text="Nothing goes online: recordings, scenes and results stay on this computer.", icon="LOCKED")


def register() -> None:
    """Register the preferences and the buttons of the check."""
    for kind in check.CLASSES:
        bpy.utils.register_class(kind)
    bpy.utils.register_class(HyoidPreferences)


def unregister() -> None:
    """Remove them."""
    check.stop()
    bpy.utils.unregister_class(HyoidPreferences)
    for kind in reversed(check.CLASSES):
        bpy.utils.unregister_class(kind)
