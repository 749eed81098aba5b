# SPDX-License-Identifier: Apache-2.0
"""A toolkit announces a verb that the add-on has never heard of: it gets a section, runs, and its take is imported."""

import importlib
import json
from pathlib import Path

import bpy


def values(scene):
    group = scene.hyoid_form_wiggle
    return {
        "times": group.value_times,
        "name": group.value_name,
        "set": {row.key: row.number for row in group.value_set},
    }


def main(addon, args):
    places = importlib.import_module(addon.__name__ + ".jobs.places")
    section = importlib.import_module(addon.__name__ + ".forms.section")
    forms = importlib.import_module(addon.__name__ + ".forms")
    preferences = bpy.context.preferences.addons[addon.__name__].preferences
    preferences.toolkit, preferences.output_folder = args["toolkit"], args["output"]
    answer = {"before": hasattr(bpy.types, "HYOID_PT_form_wiggle")}
    bpy.ops.hyoid.check_toolkit()
    answer["after"] = hasattr(bpy.types, "HYOID_PT_form_wiggle")
    answer["hand made"] = hasattr(bpy.types, "HYOID_PT_form_talk")
    scene = bpy.context.scene
    group = scene.hyoid_form_wiggle
    answer["defaults"] = {
        name: getattr(group, f"value_{name}")
        for name in ("behaviour", "fps", "strong", "times", "angle", "name", "width")
    }
    group.value_times = 99
    answer["limited"] = group.value_times
    group.value_times = 3
    answer["tooltip"] = group.bl_rna.properties["value_angle"].description
    answer["pickers"] = {
        name: group.bl_rna.properties[f"value_{name}"].subtype for name in ("source", "folder", "mask", "name")
    }
    try:
        bpy.ops.hyoid.run_form(verb="wiggle")
        answer["empty"] = ""
    except RuntimeError as error:
        answer["empty"] = str(error)
    options = {
        "source": args["source"], "fps": 30, "strong": False, "times": 5, "angle": 1.1, "limit": 0.5, "part": "head",
        "words": ["a 'b'", "ü"], "marks": [1.5, 2], "set": {"age": 0.7}, "keys": "dense", "mask": None, "width": 640,
    }  # fmt: skip
    actions = len(bpy.data.actions)
    bpy.ops.hyoid.run_form(verb="wiggle", options=json.dumps(options))
    answer["new actions"] = len(bpy.data.actions) - actions
    written = sorted(Path(args["output"]).glob("*.job"))
    answer["jobs"] = [json.loads(path.read_text(encoding="utf-8")) for path in written]
    bpy.ops.hyoid.form_row(verb="wiggle", field="set", index=-1)
    group.value_set[-1].key, group.value_set[-1].number = "weight", 2.5
    group.value_name = 'sävéd "x"'
    path = str(Path(args["output"]) / "forms 'ü'.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    answer["saved"] = values(bpy.context.scene)
    schema = places.known().newest()
    places.known().put(["other"], {**schema, "verbs": {**schema["verbs"], "wobble": schema["verbs"]["wiggle"]}})
    forms.refresh()
    answer["another"] = sorted(section.registered)
    answer["kept"] = values(bpy.context.scene)
    odd = {"job": {"properties": {"count": {"type": "integer", "default": "many"}}}, "outputs": {"field": "output"}}
    places.known().put(["other"], {**schema, "verbs": {"odd": {**odd, "result": "take"}, **schema["verbs"]}})
    forms.refresh()
    answer["odd"] = sorted(section.registered)
    places.known().put(["other"], {**schema, "verbs": {}})
    forms.refresh()
    answer["none"] = sorted(section.registered)
    places.known().put(["other"], schema)
    forms.refresh()
    answer["kept again"] = values(bpy.context.scene)
    return answer
