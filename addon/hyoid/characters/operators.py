# SPDX-License-Identifier: GPL-3.0-or-later
"""Create, change and remove characters, from the panel and from scripts without a window."""

from __future__ import annotations

import json
import random

import bpy
import numpy as np

from ..toolkit.errors import HyoidError
from . import create, details, find, presets, settings, update

_SPREAD = {"muscle": 0.15, "weight": 0.15, "height": 0.15, "proportions": 0.15}
_FACE_SPREAD = 0.3
_WILD = ("epicanthus", "pregnant", "age", "angle", "out", "trans")  # details that spoil a face when drawn by lot


class HYOID_OT_create_character(bpy.types.Operator):
    """Add a human with a rigged face, an eight-joint neck and a moving larynx to the scene"""

    bl_idname = "hyoid.create_character"
    bl_label = "Create Character"
    bl_options = {"REGISTER", "UNDO"}

    preset: bpy.props.EnumProperty(
        name="Preset", description="Who to start from", items=presets.items(), default=presets.DEFAULT
    )
    part: bpy.props.EnumProperty(
        name="Part", items=[("head", "Head", "Head, neck and shoulders"), ("full", "Whole body", "From head to toes")],
        default="full",
    )  # fmt: skip
    location: bpy.props.EnumProperty(
        name="Place", default="WORLD",
        items=[("WORLD", "World origin", "Feet at the world origin"), ("CURSOR", "3D cursor", "Feet at the 3D cursor")],
    )  # fmt: skip
    name: bpy.props.StringProperty(name="Name", description="What the new objects are called after", default="human")
    settings: bpy.props.StringProperty(
        name="Settings",
        description='For scripts: settings on top of the preset, as JSON: {"age": 0.3}',
        options={"HIDDEN"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """A scene that can be changed."""
        if context.scene is None or context.scene.library is not None:
            cls.poll_message_set("The scene is linked from another file: make it local first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Create it, and make it active unless the artist is inside a mode."""
        try:
            wanted = presets.settings(self.preset) | (json.loads(self.settings) if self.settings else {})
            rig = create.create(context, wanted, self.part, self.name.strip() or "human")
        except (TypeError, ValueError) as error:
            self.report({"ERROR"}, f"The settings are no JSON object of names and numbers: {error}")
            return {"CANCELLED"}
        except HyoidError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if self.location == "CURSOR":
            rig.armature.location = context.scene.cursor.location
        create.show(context, rig)
        name = find.identity(rig.armature)["name"]
        self.report({"INFO"}, f"Created '{name}'")
        return {"FINISHED"}


class _OnCharacter:
    """Base of operators that need a character at hand; some of them one that can become somebody else."""

    changes_identity = True

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """A character is active, or is the only one of the scene."""
        rig = find.active_rig(context)
        if rig is None:
            cls.poll_message_set("Select a Hyoid character, or create one")
            return False
        reason = update.hindrance(rig)
        if not reason and cls.changes_identity and not find.is_bundled(rig.armature):
            reason = "This character was not made by Blender's sliders: it stays who it is"
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def become(self, context: bpy.types.Context, wanted: dict[str, float]) -> set[str]:
        """Give the character an identity and say what happened."""
        armature = find.active_rig(context).armature
        done = settings.become(armature, wanted)
        message = armature.hyoid_identity.message
        if message:
            self.report({"INFO"} if done else {"ERROR"}, message)
        return {"FINISHED"} if done else {"CANCELLED"}


class HYOID_OT_apply_preset(_OnCharacter, bpy.types.Operator):
    """Turn this character into the person of a preset; its animation stays"""

    bl_idname = "hyoid.apply_preset"
    bl_label = "Apply Preset"
    bl_options = {"REGISTER", "UNDO"}

    preset: bpy.props.EnumProperty(name="Preset", items=presets.items(), default=presets.DEFAULT)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Apply it."""
        return self.become(context, presets.settings(self.preset))


class HYOID_OT_update_character(_OnCharacter, bpy.types.Operator):
    """Set one setting of the character by its name in the toolkit, for scripts"""

    bl_idname = "hyoid.update_character"
    bl_label = "Set Character Setting"
    bl_options = {"REGISTER", "UNDO"}

    setting: bpy.props.StringProperty(name="Setting", description="age, weight, nose-hump-incr...")
    value: bpy.props.FloatProperty(name="Value")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Set it."""
        return self.become(context, settings.values(find.active_rig(context).armature) | {self.setting: self.value})


class HYOID_OT_randomise_character(_OnCharacter, bpy.types.Operator):
    """Another face and build by chance; age and gender stay"""

    bl_idname = "hyoid.randomise_character"
    bl_label = "Randomise"
    bl_options = {"REGISTER", "UNDO"}

    seed: bpy.props.IntProperty(name="Seed", description="The same seed gives the same person", min=0, default=1)
    strength: bpy.props.FloatProperty(
        name="Strength", description="How far from the ordinary", min=0, max=1, default=0.6, subtype="FACTOR"
    )
    keep_origin: bpy.props.BoolProperty(name="Keep origin", description="Keep the African, Asian and Caucasian shares")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Another seed at each click."""
        self.seed = random.randrange(1_000_000)
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Draw the person that the seed stands for."""
        now = settings.values(find.active_rig(context).armature)
        return self.become(context, randomised(now, self.seed, self.strength, self.keep_origin))


def randomised(now: dict[str, float], seed: int, strength: float, keep_origin: bool = False) -> dict[str, float]:
    """A random identity around the ordinary; gender and age as they are now, left and right alike."""
    draw = np.random.default_rng(seed)
    wanted = {name: now[name] for name in ("gender", "age", "cupsize", "firmness") if name in now}
    shares = draw.dirichlet((0.6, 0.6, 0.6))
    for name, share in zip(("african", "asian", "caucasian"), shares, strict=True):
        wanted[name] = now.get(name, 0.5) if keep_origin else round(float(share), 3)
    for name, spread in _SPREAD.items():
        wanted[name] = round(float(np.clip(draw.normal(0.5, 2 * strength * spread), 0, 1)), 3)
    for detail in details.details().values():
        value = float(np.clip(draw.normal(0, strength * _FACE_SPREAD), -1, 1))
        if detail.face and not set(detail.name.split("-")) & set(_WILD):
            wanted |= dict.fromkeys(detail.labels, round(value, 3))
    return wanted


class HYOID_OT_reset_character(_OnCharacter, bpy.types.Operator):
    """Back to the ordinary: every slider to its default, every detail away"""

    bl_idname = "hyoid.reset_character"
    bl_label = "Reset"
    bl_options = {"REGISTER", "UNDO"}

    only_details: bpy.props.BoolProperty(name="Only details", description="Keep age, build and origin")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Reset it."""
        armature = find.active_rig(context).armature
        kept = settings.values(armature) if self.only_details else {}
        armature.hyoid_identity.added = ""
        return self.become(context, {name: value for name, value in kept.items() if name in details.PHENOTYPE})


class HYOID_OT_duplicate_character(_OnCharacter, bpy.types.Operator):
    """Add a second one of this character beside it: skeleton, meshes and what they play, in a collection of its own"""

    bl_idname = "hyoid.duplicate_character"
    bl_label = "Duplicate Character"
    bl_options = {"REGISTER", "UNDO"}
    changes_identity = False

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """A character is at hand, in Object Mode."""
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode to duplicate the character")
            return False
        return super().poll(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Duplicate it."""
        rig, layer = find.active_rig(context), context.view_layer
        whole = [rig.armature, *rig.parts]
        if not all(obj.visible_get(view_layer=layer) and not obj.hide_select for obj in whole):
            words = "cannot be selected: show them (eye icon, local view)"
            self.report({"ERROR"}, f"Parts of '{rig.armature.name}' {words}")
            return {"CANCELLED"}
        for obj in layer.objects:
            obj.select_set(obj in whole)
        layer.objects.active = rig.armature
        bpy.ops.object.duplicate()
        made = find.rig_of(layer.objects.active)
        create.separate(context.scene, made)
        made.armature.location.x += 1.2 * max(rig.body.dimensions.x, 0.3)
        for part in made.parts:
            part.select_set(False)
        self.report({"INFO"}, f"'{made.armature.name}' is a duplicate of '{rig.armature.name}'")
        return {"FINISHED"}


class HYOID_OT_remove_character(_OnCharacter, bpy.types.Operator):
    """Take this character out of the file, with its meshes, materials, markers and unused actions; nothing else
    changes. A mesh of your own stays, without its rig"""

    bl_idname = "hyoid.remove_character"
    bl_label = "Remove Character"
    bl_options = {"REGISTER", "UNDO"}
    changes_identity = False

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Remove it."""
        rig = find.active_rig(context)
        name = rig.armature.name
        if context.mode != "OBJECT" and context.view_layer.objects.active in (rig.armature, *rig.parts):
            bpy.ops.object.mode_set(mode="OBJECT")
        from ..speech import markers  # which needs characters

        for talk in rig.armature.hyoid_talk.talks:
            if talk.shown:
                markers.hide(context.scene, talk)
        create.remove(rig)
        self.report({"INFO"}, f"Removed '{name}'")
        return {"FINISHED"}


_ITEMS: dict[bool, list[tuple[str, str, str]]] = {}  # Blender needs the texts to stay alive


def detail_items(operator: bpy.types.Operator, context: bpy.types.Context | None) -> list[tuple[str, str, str]]:
    """The details for the search; on a head those of face and neck alone."""
    if not _ITEMS:
        for whole in (True, False):
            _ITEMS[whole] = [
                (detail.name, detail.title, ", ".join(detail.labels))
                for detail in details.details().values()
                if whole or detail.face
            ]
    rig = find.active_rig(context) if context is not None else None
    return _ITEMS[rig is None or find.identity(rig.armature).get("part") != "head"]


class HYOID_OT_add_detail(_OnCharacter, bpy.types.Operator):
    """Find a small shape of face or body by its name and show its slider"""

    bl_idname = "hyoid.add_detail"
    bl_label = "Add a Detail"
    bl_options = {"REGISTER", "UNDO"}
    bl_property = "detail"

    detail: bpy.props.EnumProperty(name="Detail", items=detail_items)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Search by name."""
        context.window_manager.invoke_search_popup(self)
        return {"FINISHED"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Show its slider."""
        group = find.active_rig(context).armature.hyoid_identity
        group.added = " ".join(dict.fromkeys([*group.added.split(), self.detail]))
        return {"FINISHED"}


class HYOID_OT_remove_detail(_OnCharacter, bpy.types.Operator):
    """Set this detail to zero and put its slider away"""

    bl_idname = "hyoid.remove_detail"
    bl_label = "Remove Detail"
    bl_options = {"REGISTER", "UNDO"}

    detail: bpy.props.StringProperty(name="Detail")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Remove it."""
        armature = find.active_rig(context).armature
        group = armature.hyoid_identity
        group.added = " ".join(name for name in group.added.split() if name != self.detail)
        found = details.details().get(self.detail)
        labels = found.labels if found else ()
        now = settings.values(armature)
        if any(label in now for label in labels):
            return self.become(context, {name: value for name, value in now.items() if name not in labels})
        return {"FINISHED"}


CLASSES = (
    HYOID_OT_create_character,
    HYOID_OT_apply_preset,
    HYOID_OT_update_character,
    HYOID_OT_randomise_character,
    HYOID_OT_reset_character,
    HYOID_OT_duplicate_character,
    HYOID_OT_remove_character,
    HYOID_OT_add_detail,
    HYOID_OT_remove_detail,
)
