# SPDX-License-Identifier: Apache-2.0
"""Every operator of the add-on, called by its name without a window, in scenes of several kinds; and what goes wrong
between a talk and its result, told by the operators."""

import contextlib
import importlib
import io
import json
import time
from pathlib import Path

import bpy


def called(name, **options):
    """What came of an operator: its result, or the error; with what went to the terminal if that is a traceback."""
    terminal = io.StringIO()
    try:
        with contextlib.redirect_stderr(terminal), contextlib.redirect_stdout(terminal):
            said = sorted(getattr(bpy.ops.hyoid, name)(**options))[0]
    except Exception as error:  # noqa: BLE001  that is what is looked for
        said = f"{type(error).__name__}: {error}"
    return said.strip() + (terminal.getvalue() if "Traceback" in terminal.getvalue() else "")


def empty(args):
    """Not even a camera."""


def cube(args):
    """A mesh without shape keys is active."""
    bpy.ops.mesh.primitive_cube_add()


def playing(args):
    """The body of a character is active; a take plays, its phonemes are shown."""
    bpy.ops.hyoid.create_character(part="head")
    bpy.ops.hyoid.import_take(filepath=args["take"], markers=True, sound=False)
    body = next(obj for obj in bpy.context.scene.objects if obj.get("hyoid_part") == "body")
    bpy.context.view_layer.objects.active = body


def editing(args):
    """The armature of a character is in edit mode."""
    bpy.ops.hyoid.create_character(part="head")
    bpy.ops.object.mode_set(mode="EDIT")


def everywhere(args):
    """Every operator without options; the file is made anew where one changes what is active."""
    names = [name for name in dir(bpy.ops.hyoid) if not name.startswith("_")]
    answer = {}
    for scene in (empty, cube, playing, editing):
        said = answer[scene.__name__] = {}
        again = True
        for name in names:
            if again:
                bpy.ops.wm.read_homefile(use_empty=True)
                scene(args)
            said[name] = called(name)
            again = said[name] == "FINISHED" and name in ("create_character", "remove_character", "select_head_control")
    return answer


def contents():
    """How many there are of everything that a talk makes."""
    kinds = ("objects", "meshes", "armatures", "actions", "sounds", "materials", "images", "scenes", "texts")
    return {name: len(getattr(bpy.data, name)) for name in kinds} | {"markers": len(bpy.context.scene.timeline_markers)}


def faults(addon, args, preferences):
    """What a talk says when the toolkit or the output folder is not as it should be; whether the file changed."""
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.hyoid.create_character(part="head")
    before, said = contents(), {}
    for name, toolkit in args["toolkits"].items():
        preferences.toolkit = toolkit
        said[name] = called("talk", audio=args["voice"], text="so")
    preferences.toolkit = args["toolkit"]
    preferences.output_folder = str(Path(args["voice"]) / "below a file")
    said["output"] = called("talk", audio=args["voice"], text="so")
    preferences.output_folder = args["output"]
    for behaviour in ("fail", "crash", "killed", "garbage", "silent", "complain", "nothing"):
        options = {"source": args["take"], "behaviour": behaviour}
        said[behaviour] = called("run_form", verb="wiggle", options=json.dumps(options))
    for name, options in (("broken", "{"), ("list", "[1]"), ("unknown", '{"zzz": 1}'), ("above", '{"times": 99}')):
        said[name] = called("run_form", verb="wiggle", options=options)
    return {"said": said, "same": contents() == before}


def deleted(addon, args):
    """The character goes while its talk runs, as with a window; its result comes onto another."""
    queue = importlib.import_module(addon.__name__ + ".jobs.queue")
    real, queue._wait_for = queue._wait_for, lambda job: None
    answer = {"started": called("talk", audio=args["voice"], text="so", frame=7)}
    queue._wait_for = real
    job = queue.jobs()[-1]
    # Another Blender asks for a name in the same folder meanwhile.
    names = [Path(job.options["output"][0]), queue.output_path(bpy.context, Path(args["voice"]).stem)]
    answer["names"] = [path.name for path in names]
    queue._claim(names[1]).unlink()
    bpy.ops.hyoid.remove_character()
    bare = contents()
    deadline = time.monotonic() + 30
    while job.state not in queue.OVER and time.monotonic() < deadline:
        queue.pump()
        time.sleep(0.02)
    answer |= {"state": job.state, "error": job.error, "lost": job.lost, "same": contents() == bare}
    bpy.ops.hyoid.create_character(part="head", name="heir")
    answer["again"] = called("import_job_result", job=job.id)
    armature = bpy.context.view_layer.objects.active
    answer["hidden"] = [path.name for path in Path(args["output"]).glob(".*")]
    answer["moves"] = [armature.name, bool(armature.animation_data and armature.animation_data.action)]
    return answer


def main(addon, args):
    preferences = bpy.context.preferences.addons[addon.__name__].preferences
    preferences.toolkit, preferences.output_folder = args["toolkit"], args["output"]
    # First: nobody has asked this toolkit anything yet, as on a machine of a farm.
    answer = {"first": called("run_form", verb="wiggle", options=json.dumps({"source": args["take"]}))}
    answer["everywhere"] = everywhere(args)
    answer["faults"] = faults(addon, args, preferences)
    answer["deleted"] = deleted(addon, args)
    return answer
