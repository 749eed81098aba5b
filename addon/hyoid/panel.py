# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar panel "Hyoid": what its sections (subpanels of other modules) have in common."""

from __future__ import annotations

import bpy

ROOT = "HYOID_PT_root"


class Section:
    """Base of a section: ``class HYOID_PT_talk(panel.Section, bpy.types.Panel)`` with ``bl_label``, ``bl_order``."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Hyoid"
    bl_parent_id = ROOT
    bl_options = {"DEFAULT_CLOSED"}


class HYOID_PT_root(bpy.types.Panel):
    """The frame around the sections."""

    bl_idname = ROOT
    bl_label = "Hyoid"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Hyoid"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw running jobs, if there are any; the sections follow."""
        from . import jobs

        jobs.draw(self.layout, context)


def register() -> None:
    """Register the frame."""
    bpy.utils.register_class(HYOID_PT_root)


def unregister() -> None:
    """Remove the frame."""
    bpy.utils.unregister_class(HYOID_PT_root)
