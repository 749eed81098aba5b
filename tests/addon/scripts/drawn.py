# SPDX-License-Identifier: Apache-2.0
"""Draws every panel of the add-on on a layout that checks names: what a Blender without a window can tell of panels."""

import importlib
import json
from types import FunctionType, SimpleNamespace

import bpy

FUNCTIONS = bpy.types.UILayout.bl_rna.functions
PROPERTIES = bpy.types.UILayout.bl_rna.properties
PYTHON_ONLY = {"template_list", "introspect", "prop_tabs_enum"}


class Layout:
    """Stands in for a layout: refuses functions, parameters, properties and operators that this Blender lacks."""

    def __init__(self, notes):
        object.__setattr__(self, "notes", notes)

    def __setattr__(self, name, value):
        if name not in PROPERTIES:
            raise AttributeError(f"UILayout has no {name}")

    def __getattr__(self, name):
        if name in PROPERTIES:
            return None
        function = FUNCTIONS.get(name)
        if function is None and name not in PYTHON_ONLY:
            raise AttributeError(f"UILayout has no {name}")

        def call(*words, **options):
            self.notes.append(name)
            if function is not None:
                unknown = set(options) - set(function.parameters.keys())
                if unknown:
                    raise TypeError(f"{name} takes no {sorted(unknown)}")
            if name == "prop" and not (hasattr(words[0], words[1]) or words[1] in words[0].bl_rna.properties):
                raise AttributeError(f"{words[0]!r} has no {words[1]}")
            if name in ("operator", "operator_menu_enum"):
                return Operator(words[0])
            return (Layout(self.notes), Layout(self.notes)) if name.startswith("panel") else Layout(self.notes)

        return call


class Operator:
    """The settings of a button: only those that its operator has."""

    def __init__(self, name):
        module, _, function = name.partition(".")
        kind = getattr(getattr(bpy.ops, module), function).get_rna_type()  # raises for an operator that is not there
        object.__setattr__(self, "names", set(kind.properties.keys()))

    def __setattr__(self, name, value):
        if name not in self.names:
            raise AttributeError(f"the operator has no {name}")


class Panel:
    """Stands in for a panel that Blender draws: its layout is ours, all else its own."""

    def __init__(self, kind, notes):
        self.kind, self.layout = kind, Layout(notes)

    def __getattr__(self, name):
        value = getattr(self.kind, name)
        return value.__get__(self) if isinstance(value, FunctionType) else value


class Context:
    """The context of this Blender, with a sidebar to draw in."""

    def __init__(self):
        self.region = SimpleNamespace(width=260, type="UI")
        own = bpy.context.preferences
        # Without a window the scale of the interface is 0.
        system = SimpleNamespace(ui_scale=1.0, dpi=72, pixel_size=1)
        self.preferences = SimpleNamespace(addons=own.addons, view=own.view, filepaths=own.filepaths, system=system)

    def __getattr__(self, name):
        return getattr(bpy.context, name)


def jobs_in_every_state(addon, args):
    """Put one job of each state into the queue."""
    queue = importlib.import_module(addon.__name__ + ".jobs.queue")
    for state in (queue.WAITING, queue.READY, queue.DONE, queue.FAILED, queue.RUNNING):
        job = queue.Job("wiggle", {}, f"Job {state}", "", {}, "", "Scene", "", 0)
        job.state, job.message, job.error, job.lost = state, "all is well", "it went wrong " * 20, True
        queue._jobs.append(job)
    return len(queue._jobs)


def main(addon, args):
    section = importlib.import_module(addon.__name__ + ".forms.section")
    preferences = bpy.context.preferences.addons[addon.__name__].preferences
    preferences.toolkit = args["toolkit"]
    bpy.ops.hyoid.check_toolkit()
    preferences.show_checks = True
    group = bpy.context.scene.hyoid_form_wiggle
    section.properties.fill(group, list(section.registered["wiggle"].fields), '{"set": {"a": 1}, "words": ["b"]}')
    group.show_advanced = True
    jobs_in_every_state(addon, args)
    answer = {"faults": {}, "drawn": {}}
    places = [("empty", None)]
    if hasattr(bpy.ops.hyoid, "create_character"):
        places.append(("character", lambda: bpy.ops.hyoid.create_character()))
        places.append(("talk at another rate", lambda: talked(addon)))
        places.append(("action units", lambda: bpy.ops.hyoid.add_action_units()))
        places.append(("own head", own_head))
    for place, prepare in places:
        if prepare:
            prepare()
        for name in sorted(dir(bpy.types)):
            if name.startswith("HYOID_PT_"):
                draw(getattr(bpy.types, name), f"{name} ({place})", answer)
    draw(type(preferences), "preferences", answer, preferences)
    json.dumps(answer)
    return answer


def own_head():
    """An artist's mesh is active, and other sources of characters are chosen."""
    bpy.ops.mesh.primitive_uv_sphere_add()
    bpy.context.scene.hyoid_characters.source = "MODEL"
    bpy.context.scene.hyoid_characters.show_new = True


def talked(addon):
    """Let the character have said a word, at another frame rate than the scene has."""
    event = importlib.import_module(addon.__name__ + ".toolkit.take").Event
    events = [event("phone", "SIL", 0.0, 0.2), event("phone", "AA", 0.2, 0.6)]
    phones = importlib.import_module(addon.__name__ + ".speech.phones")
    phones.add(phones.performer(bpy.context), "talk", events, 1.0, 1.0, 60.0, {}, "", "replace")


def draw(kind, name, answer, owner=None):
    """Draw a panel; ``owner`` has the properties of a kind that is no panel."""
    notes = []
    panel = Panel(owner or kind, notes)
    try:
        if not hasattr(kind, "poll") or kind.poll(Context()):
            if hasattr(kind, "draw_header"):
                kind.draw_header(panel, Context())
            kind.draw(panel, Context())
            answer["drawn"][name] = len(notes)
    except Exception as error:  # noqa: BLE001  every panel gets its turn, and its fault into the answer
        import traceback

        answer["faults"][name] = f"{error!r} {traceback.format_exc().splitlines()[-3:]}"
