# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist does with head, neck and larynx. Every operator runs without a window too."""

from typing import Any

import bpy
import numpy as np

from ..characters import find
from ..characters.active import has_character, rig_in, told
from ..timeline import fcurves, frames
from ..toolkit.blender import compat
from ..toolkit.blender.rig import CONTROL
from ..toolkit.characters import neck as anatomy
from ..toolkit.errors import UsageError
from . import joints, motion, swallow

_JOINTS = (
    ("ALL", "All Joints", "The whole neck"),
    *((name, title, f"The joint {title}") for name, title in joints.TITLES.items()),
)


class HYOID_OT_select_head_control(bpy.types.Operator):
    """Go to Pose Mode with the handle of the head selected and the Rotate tool: all eight neck joints follow it"""

    bl_idname = "hyoid.select_head_control"
    bl_label = "Select Head Control"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return has_character(cls, context)

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            rig = rig_in(context)
            armature = rig.armature
            handle = armature.data.bones.get(CONTROL)
            if handle is None:
                raise UsageError(
                    f"'{armature.name}' has no head control", hint="Use the sliders below, or create it anew"
                )
            if not armature.visible_get():
                raise UsageError(f"'{armature.name}' is hidden", hint="Show it in the outliner (the eye icon)")
            if context.mode != "OBJECT" and context.view_layer.objects.active is not armature:
                bpy.ops.object.mode_set(mode="OBJECT")
            for obj in context.selected_objects:
                obj.select_set(obj is armature)
            armature.select_set(True)
            context.view_layer.objects.active = armature
            bpy.ops.object.mode_set(mode="POSE")
            bpy.ops.pose.select_all(action="DESELECT")
            compat.select_bone(armature, CONTROL)
            if context.area is not None and context.area.type == "VIEW_3D":
                bpy.ops.wm.tool_set_by_id(name="builtin.rotate")
            return "Rotate with R; R twice turns freely. The eight joints share it"

        return told(self, work)


class HYOID_OT_toggle_neck_limits(bpy.types.Operator):
    """Keep every neck joint within what a living neck can do, or let it go as far as it is posed"""

    bl_idname = "hyoid.toggle_neck_limits"
    bl_label = "Anatomical Limits"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        rig = find.active_rig(context)
        if rig is not None and "neck_limits" in rig.armature:
            return True
        cls.poll_message_set("The character has no limits on its neck: create it with this add-on")
        return False

    def execute(self, context: Any) -> set[str]:
        armature = find.active_rig(context).armature
        armature["neck_limits"] = type(armature["neck_limits"])(not armature["neck_limits"])
        armature.update_tag()
        if joints.auto_key(context):
            armature.keyframe_insert('["neck_limits"]', group="Controls")
        return {"FINISHED"}


class HYOID_OT_reset_neck(bpy.types.Operator):
    """Put the joint's own rotation to rest; the head control keeps what it does"""

    bl_idname = "hyoid.reset_neck"
    bl_label = "Reset Joint"
    bl_options = {"REGISTER", "UNDO"}

    joint: bpy.props.EnumProperty(name="Joint", description="Which joint", items=_JOINTS, default="ALL")
    control: bpy.props.BoolProperty(
        name="Head Control Too", description="Put the head control to rest as well", default=False
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return has_character(cls, context)

    @classmethod
    def description(cls, context: Any, properties: Any) -> str:
        if properties.joint != "ALL":
            return f"Put {joints.TITLES[properties.joint]} to rest; the head control keeps what it does"
        return "Put all eight joints" + (" and the head control" if properties.control else "") + " to rest"

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            rig = rig_in(context)
            bones = [bone for bone in motion.bones_of(rig) if self.joint in ("ALL", bone.name)]
            for bone in bones:
                joints.set_rotation(bone, joints.Quaternion())
                if joints.auto_key(context):
                    joints.key_rotation(bone)
            if self.control:
                motion.rest_now(rig, joints.auto_key(context))
            return f"{joints.TITLES[bones[0].name]} is at rest" if len(bones) == 1 else "The neck is at rest"

        return told(self, work)


class _Rewrite(frames.RangeOptions):
    """Operators that rewrite the movement of the neck on other channels over some frames."""

    bl_options = {"REGISTER", "UNDO"}

    frame_range: bpy.props.EnumProperty(
        name="Range", description="Frames to work on", items=(frames.HERE, *frames.RANGES), default="CURRENT"
    )
    step: bpy.props.IntProperty(name="Step", description="Frames between two keys", default=1, min=1, max=100)

    @classmethod
    def poll(cls, context: Any) -> bool:
        return has_character(cls, context)

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.use_property_split = True
        frames.draw(layout, self)
        if self.frame_range != "CURRENT":
            layout.prop(self, "step")

    def times(self, context: Any, rig: Any) -> np.ndarray:
        """The frames to key, (n,)."""
        first, last = frames.chosen(self, context.scene, motion.extent(rig))
        return np.unique(np.append(np.arange(first, last, self.step, dtype=float), last))


class HYOID_OT_redistribute_neck(_Rewrite, bpy.types.Operator):
    """Share the rotation that the head has now among the eight joints as a living neck does. The head stays where it
    looks; the head control goes to rest and the joints hold the whole pose"""

    bl_idname = "hyoid.redistribute_neck"
    bl_label = "Spread Evenly from the Head"

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            rig = rig_in(context)
            fcurves.check_editable(rig.armature)
            if self.frame_range == "CURRENT":
                head = anatomy.collapse(motion.shown_now(rig)[None])
                motion.set_now(rig, motion.distributed(rig, head)[0], _keys_here(context, rig))
                away = motion.apart(head, anatomy.collapse(motion.shown_now(rig)[None]))
                return f"The neck shares the rotation of the head{_held(away)}"
            times = self.times(context, rig)
            head = anatomy.collapse(motion.shown(rig, context.scene, times))
            motion.write(rig, times, motion.distributed(rig, head))
            away = motion.apart(head, anatomy.collapse(motion.shown(rig, context.scene, times)))
            return f"The neck shares the rotation of the head on {len(times)} frames{_held(away)}"

        return told(self, work)


class HYOID_OT_collapse_neck(_Rewrite, bpy.types.Operator):
    """Give the whole movement of head and neck to the head control, one handle to edit it with. The head stays where
    it looks; the joints between follow as the control shares it"""

    bl_idname = "hyoid.collapse_neck"
    bl_label = "Gather into Head Control"

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            rig = rig_in(context)
            fcurves.check_editable(rig.armature)
            if self.frame_range == "CURRENT":
                left = motion.collapse_now(rig, _keys_here(context, rig))
                count = 1
            else:
                times = self.times(context, rig)
                left = motion.collapse(rig, context.scene, times, motion.shown(rig, context.scene, times))
                count = len(times)
            rest = f"; up to {left:.1f}° that it cannot reach stay on the skull joint" if left > 0.05 else ""
            return f"The head control moves the neck on {count} frame{'s' * (count > 1)}{rest}"

        return told(self, work)


class HYOID_OT_bake_neck(_Rewrite, bpy.types.Operator):
    """Write what head control, drivers, limits and constraints do to the neck as plain keys on its eight bones, and
    put the control to rest. Nothing moves differently"""

    bl_idname = "hyoid.bake_neck"
    bl_label = "Bake Neck to Keys"

    frame_range: bpy.props.EnumProperty(
        name="Range", description="Frames to work on", items=frames.RANGES, default="SCENE"
    )

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            rig = rig_in(context)
            fcurves.check_editable(rig.armature)
            times = self.times(context, rig)
            motion.write(rig, times, motion.shown(rig, context.scene, times))
            return f"The neck is baked: {8 * len(times)} keys on eight bones"

        return told(self, work)


class HYOID_OT_swallow(bpy.types.Operator):
    """Key a swallow at the playhead: the larynx dips, rises by about two centimetres, stays a moment and sinks back"""

    bl_idname = "hyoid.swallow"
    bl_label = "Swallow"
    bl_options = {"REGISTER", "UNDO"}

    seconds: bpy.props.FloatProperty(
        name="Duration", description="From the first movement to rest again, seconds", default=1.0, min=0.4, max=3.0
    )
    strength: bpy.props.FloatProperty(
        name="Strength", description="How far the larynx travels, 1 = as in most adults", default=1.0, min=0.1, max=1.5
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        rig = find.active_rig(context)
        if rig is not None and "larynx_height" in rig.armature:
            return True
        cls.poll_message_set("No character with a larynx is selected: create one under Character")
        return False

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            rig = rig_in(context)
            fcurves.check_editable(rig.armature)
            first, last = swallow.key(rig.armature, context.scene, self.seconds, self.strength)
            return f"Swallow from frame {first:g} to {last:g}"

        return told(self, work)


def _held(degrees: float) -> str:
    return f"; its limits hold the head back by up to {degrees:.1f}°" if degrees > 0.05 else ""


def _keys_here(context: Any, rig: Any) -> bool:
    """Whether a pose change must be keyed to last: automatic keying is on, or the neck is animated."""
    return joints.auto_key(context) or motion.extent(rig) is not None


CLASSES = (
    HYOID_OT_select_head_control,
    HYOID_OT_toggle_neck_limits,
    HYOID_OT_reset_neck,
    HYOID_OT_redistribute_neck,
    HYOID_OT_collapse_neck,
    HYOID_OT_bake_neck,
    HYOID_OT_swallow,
)
