# SPDX-License-Identifier: Apache-2.0
"""Talks from a strip of the sequencer: moved, trimmed, between two frames, packed, faster."""

import importlib
import os
from pathlib import Path

import bpy


def play_faster(scene, strip):
    """Make a strip play at another speed, where this Blender can without a window."""
    if hasattr(strip, "speed_factor"):
        strip.speed_factor = 1.5
        return True
    strip.select, scene.sequence_editor.active_strip = True, strip
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    with bpy.context.temp_override(window=window, area=area, region=area.regions[-1]):
        if not bpy.ops.sequencer.retiming_segment_speed_set.poll():
            return False
        bpy.ops.sequencer.retiming_segment_speed_set(speed=150.0)
    return True


def main(addon, args):
    helper = {"__name__": "helper"}
    exec(Path(__file__).with_name("speech_loop.py").read_text(encoding="utf-8"), helper)
    scene = bpy.context.scene
    rig = helper["setup"](addon, args)
    compat = importlib.import_module(addon.__name__ + ".toolkit.blender.compat")
    settings = scene.hyoid_speech
    settings.voice, settings.transcript, settings.text = "STRIP", "TYPED", args["text"]

    def refused():
        try:
            bpy.ops.hyoid.talk()
        except RuntimeError as error:
            return str(error)
        return ""

    def talk():
        bpy.ops.hyoid.talk()
        entry = rig.armature.hyoid_talk.talks[-1]
        options = helper["json"].loads(entry.options)
        m = next(phone.frame for phone in entry.phones if phone.name == "M")
        press = helper["values"](rig, "mouthPressLeft", range(m - 1, m + 4))
        return {
            "start": entry.start, "m": m, "from": options.get("start"), "to": options.get("end"), "press": max(press),
            "end": entry.start + entry.seconds * entry.rate,
            "audio": options["audio"], "strips": len(compat.strips(scene)),
        }  # fmt: skip

    answer = {"none": refused()}
    strip = compat.new_sound_strip(scene, "Voice", args["audio"], 21, 72)
    answer["whole"] = talk()
    strip.frame_start = 40.4
    answer["between"] = talk() | {"strip": [strip.frame_start, strip.frame_final_start, strip.frame_final_end]}
    strip.frame_start = 60
    strip.frame_offset_start, strip.frame_offset_end = 15, 20
    settings.text = args["rest"]
    answer["trimmed"] = talk() | {"strip": [strip.frame_start, strip.frame_final_start, strip.frame_final_end]}
    data = Path(args["audio"]).read_bytes()
    strip.sound.pack()
    os.remove(args["audio"])
    answer["packed"] = talk()
    answer["packed"]["same"] = Path(answer["packed"]["audio"]).read_bytes() == data
    answer["markers"] = helper["marks"](scene)
    strip.sound.unpack(method="REMOVE")
    answer["gone"] = refused()
    if play_faster(scene, strip):
        answer["fast"] = refused()
    return answer
