# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons of the action units. Each works without a window too."""

from __future__ import annotations

from typing import Any

import bpy

from ..characters import find, update
from ..characters.active import has_character, rig_in, told
from ..toolkit.blender import action_units, compat, pack
from ..toolkit.characters import facs
from ..toolkit.errors import UsageError

_LETTERS = {"A": "trace", "B": "slight", "C": "marked", "D": "severe", "E": "maximum"}
LETTERS = [
    ("0", "None", "The unit at rest"),
    *((letter, f"{letter}  {word}", f"{facs.INTENSITIES[letter]:g}") for letter, word in _LETTERS.items()),
]
EMOTIONS = [
    (name, name.capitalize(), ", ".join(f"{unit} {facs.letter(value)}" for unit, value in weights.items()))
    for name, weights in facs.EMOTIONS.items()
]


def recipes_of(rig: find.Rig) -> dict[str, dict[str, Any]]:
    """The units that the face of a character can show; see ``pack.action_units``."""
    keys = rig.body.data.shape_keys
    return pack.action_units([key.name for key in keys.key_blocks]) if keys else {}


def set_unit(armature: Any, name: str, value: float, keyed: bool) -> None:
    """Give a unit a value, and a key at the current frame."""
    armature[name] = float(value)
    if keyed:
        armature.keyframe_insert(f'["{name}"]', group="Action Units")


class _OnUnits:
    """Base of operators that need a character with action units."""

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A character is at hand, and has them."""
        if not has_character(cls, context):
            return False
        if not action_units.units(find.active_rig(context).armature):
            cls.poll_message_set("This character has no action units yet: press Add Action Units")
            return False
        return True


class HYOID_OT_add_action_units(bpy.types.Operator):
    """Give this character sliders for the action units of FACS (AU1 to AU46). They add to the face keys, which stay
    free for the animation; the file grows by a second key for each face key that units move"""

    bl_idname = "hyoid.add_action_units"
    bl_label = "Add Action Units"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A character that can be changed."""
        if not has_character(cls, context):
            return False
        reason = update.hindrance(find.active_rig(context))
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, context: Any) -> set[str]:
        """Add them."""

        def work() -> str:
            rig = rig_in(context)
            recipes = recipes_of(rig)
            if not recipes:
                raise UsageError(
                    f"'{rig.body.name}' has no face keys that action units move", hint="Give it ARKit keys"
                )
            action_units.add(rig.armature, rig.parts, recipes)
            return (
                f"'{rig.armature.name}' has sliders for {len(action_units.units(rig.armature))} action units and sides"
            )

        return told(self, work)


class HYOID_OT_remove_action_units(_OnUnits, bpy.types.Operator):
    """Take the sliders of all action units away, with what they add to the face; their keys in actions stay, unused"""

    bl_idname = "hyoid.remove_action_units"
    bl_label = "Remove Action Units"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Any) -> set[str]:
        """Remove them."""

        def work() -> str:
            rig = rig_in(context)
            reason = update.hindrance(rig)
            if reason:
                raise UsageError(reason[0].lower() + reason[1:])
            action_units.remove(rig.armature, rig.parts)
            return f"'{rig.armature.name}' has no action units any more"

        return told(self, work)


class HYOID_OT_set_action_unit(_OnUnits, bpy.types.Operator):
    """Set this action unit to a grade of FACS, from A (trace, 0.2) to E (maximum, 1); keyed with automatic keying"""

    bl_idname = "hyoid.set_action_unit"
    bl_label = "Set Action Unit"
    bl_options = {"REGISTER", "UNDO"}

    unit: bpy.props.StringProperty(name="Unit", description="AU12, or AU12L and AU12R for one side")
    intensity: bpy.props.EnumProperty(name="Intensity", items=LETTERS, default="C")

    def execute(self, context: Any) -> set[str]:
        """Set it."""

        def work() -> str:
            rig = rig_in(context)
            name = facs.unit(self.unit) or self.unit
            if name not in action_units.units(rig.armature):
                facs.recipe(name)  # says what is wrong with the name
                raise UsageError(f"the face of '{rig.armature.name}' cannot show '{name}'")
            value = 0.0 if self.intensity == "0" else facs.INTENSITIES[self.intensity]
            set_unit(rig.armature, name, value, context.scene.tool_settings.use_keyframe_insert_auto)
            rig.armature.update_tag()
            return f"{name} is {value:g}"

        return told(self, work)


class HYOID_OT_set_emotion(_OnUnits, bpy.types.Operator):
    """Set the action units that are read as this emotion, all others to rest; keyed if automatic keying is on"""

    bl_idname = "hyoid.set_emotion"
    bl_label = "Emotion"
    bl_options = {"REGISTER", "UNDO"}

    emotion: bpy.props.EnumProperty(name="Emotion", items=EMOTIONS)
    strength: bpy.props.FloatProperty(name="Strength", default=1.0, min=0.0, max=1.5, subtype="FACTOR")

    def execute(self, context: Any) -> set[str]:
        """Set them."""
        wanted = facs.emotion(self.emotion, self.strength)
        armature = find.active_rig(context).armature
        _set_all(context, armature, {name: min(value, 1.0) for name, value in wanted.items()})
        return {"FINISHED"}


class HYOID_OT_reset_action_units(_OnUnits, bpy.types.Operator):
    """All action units to rest; keyed if automatic keying is on"""

    bl_idname = "hyoid.reset_action_units"
    bl_label = "Reset Action Units"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Any) -> set[str]:
        """Reset them."""
        _set_all(context, find.active_rig(context).armature, {})
        return {"FINISHED"}


class HYOID_OT_key_action_units(_OnUnits, bpy.types.Operator):
    """Key all action units that are not at rest, or that have keys already, at the current frame"""

    bl_idname = "hyoid.key_action_units"
    bl_label = "Key Action Units"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Any) -> set[str]:
        """Key them."""
        armature = find.active_rig(context).armature
        container = compat.playing(armature)
        names = []
        for name in action_units.units(armature):
            keyed = container is not None and container.fcurves.find(f'["{name}"]') is not None
            if keyed or armature[name]:
                set_unit(armature, name, armature[name], True)
                names.append(name)
        said = f"Keyed {', '.join(names)}" if names else "All action units are at rest: nothing to key"
        self.report({"INFO"}, said)
        return {"FINISHED"}


def _set_all(context: Any, armature: Any, wanted: dict[str, float]) -> None:
    auto = context.scene.tool_settings.use_keyframe_insert_auto
    for name in action_units.units(armature):
        value = wanted.get(name, 0.0)
        if armature[name] != value:
            set_unit(armature, name, value, auto)
    armature.update_tag()


CLASSES = (
    HYOID_OT_add_action_units,
    HYOID_OT_remove_action_units,
    HYOID_OT_set_action_unit,
    HYOID_OT_set_emotion,
    HYOID_OT_reset_action_units,
    HYOID_OT_key_action_units,
)
