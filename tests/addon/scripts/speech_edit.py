# SPDX-License-Identifier: Apache-2.0
"""Markers that are renamed, deleted, duplicated, badly named; strengths; two characters; faults of the input."""

import contextlib
import importlib
import json
import wave
from pathlib import Path

import bpy


def silence(path):
    with contextlib.closing(wave.open(str(path), "wb")) as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(16000)
        stream.writeframes(bytes(2 * 16000 * 2))


def strip_of_the_nla(addon, helper, scene, armature, args):
    """A talk as NLA strips, whose M is dragged: the key of the strip's action moves, and it gets no new channel."""
    nla = importlib.import_module(addon.__name__ + ".takes.nla")
    bpy.context.view_layer.objects.active = armature
    body = next(child for child in armature.children if child.data.shape_keys)
    bpy.ops.hyoid.talk(audio=args["audio"], text=args["text"], frame=400, mode="nla")
    entry = armature.hyoid_talk.talks[-1]
    marker = next(marker for marker in scene.timeline_markers if marker.name == "M (my)")
    home, marker.frame = marker.frame, marker.frame - 6
    before, moved = shown(body, scene, home - 6), nla.animated(armature)
    bpy.ops.hyoid.resolve_phonemes()
    strips = [strip for track in body.data.shape_keys.animation_data.nla_tracks for strip in track.strips]
    after, added = shown(body, scene, home - 6), sorted(nla.animated(armature) - moved)
    return [before, after, added, home, [strip.name for strip in strips], entry.name]


def shown(body, scene, frame):
    scene.frame_set(frame)
    return body.data.shape_keys.key_blocks["mouthPressLeft"].value


def main(addon, args):
    helper = {"__name__": "helper"}
    exec(Path(__file__).with_name("speech_loop.py").read_text(encoding="utf-8"), helper)
    scene = bpy.context.scene
    settings = scene.hyoid_speech
    rig = helper["setup"](addon, args)
    preferences = bpy.context.preferences.addons[addon.__name__].preferences
    folder = Path(args["output"])

    def refused(operator, **options):
        try:
            operator(**options)
        except RuntimeError as error:
            return str(error)
        return ""

    answer = {"faults": {}}
    faults = answer["faults"]
    talk = bpy.ops.hyoid.talk
    faults["no talk"] = refused(bpy.ops.hyoid.resolve_phonemes)
    faults["no file"] = refused(talk)
    faults["missing"] = refused(talk, audio=str(folder / "nicht da 'ä\".wav"))
    (folder / "text.wav").parent.mkdir(parents=True, exist_ok=True)
    (folder / "text.wav").write_text("this is no sound")
    faults["no sound"] = refused(talk, audio=str(folder / "text.wav"))
    settings.transcript = "BLOCK"
    faults["no words"] = refused(talk, audio=args["audio"])
    settings.transcript = "NONE"
    preferences.toolkit = str(folder / "nowhere")
    faults["no toolkit"] = refused(talk, audio=args["audio"])
    preferences.toolkit = args["toolkit"]
    answer["left"] = [len(bpy.data.actions), len(scene.timeline_markers), len(rig.armature.hyoid_talk.talks)]
    silence(folder / "silence.wav")
    preferences.frame_rate = "50"
    talk(audio=str(folder / "silence.wav"), text="")
    preferences.frame_rate = "SCENE"
    entry = rig.armature.hyoid_talk.talks[0]
    answer["rate"] = json.loads(entry.options)["fps"]
    answer["silence"] = [[phone.name for phone in entry.phones], len(helper["marks"](scene))]
    # From a text data-block; it replaces the silence.
    settings.transcript, settings.text_block = "BLOCK", bpy.data.texts.new("words")
    settings.text_block.from_string(args["text"])
    talk(audio=args["audio"])
    answer["talks"] = len(rig.armature.hyoid_talk.talks)
    entry = rig.armature.hyoid_talk.talks[0]
    names = [phone.name for phone in entry.phones]
    frames = {phone.frame: phone.name for phone in entry.phones}
    answer["nothing"] = refused(bpy.ops.hyoid.resolve_phonemes)
    m, f = names.index("M"), names.index("F")
    m_frame, f_frame = entry.phones[m].frame, entry.phones[f].frame
    by_frame = {marker.frame: marker for marker in scene.timeline_markers}
    # A bad name is told and nothing is lost.
    by_frame[f_frame].name = "QQ"
    answer["bad name"] = refused(bpy.ops.hyoid.resolve_phonemes)
    by_frame[f_frame].name = "P (fellow)"
    # M is deleted; a P is added in the pause at the start, and a word of the artist's own is not a phone.
    scene.timeline_markers.remove(by_frame[m_frame])
    start = int(entry.start)
    scene.timeline_markers.new("P", frame=start + 3)
    scene.timeline_markers.new("sil", frame=start + 5)
    scene.timeline_markers.new("Look here", frame=start + 4)
    bpy.ops.hyoid.resolve_phonemes()
    entry = rig.armature.hyoid_talk.talks[0]
    press = {frame: helper["values"](rig, "mouthPressLeft", [frame])[0] for frame in range(start, start + 60)}
    answer["edited"] = {
        "before": names, "after": [phone.name for phone in entry.phones],
        "at_p": max(press[start + n] for n in (2, 3, 4)),
        "at_m": max(press[frame] for frame in range(m_frame, m_frame + 3)),
        "at_f": max(press[frame] for frame in range(f_frame - 1, f_frame + 3)),
        "marks": [name for _, name in helper["marks"](scene)], "frames": frames,
    }  # fmt: skip
    # One sound weaker.
    number = [phone.name for phone in entry.phones].index("P", 5)
    entry.phones[number].strength = 0.0
    counts = importlib.import_module(addon.__name__ + ".speech.markers").count_changes
    answer["counted"] = [counts(scene, entry)]
    bpy.ops.hyoid.resolve_phonemes()
    answer["counted"].append(counts(scene, entry))
    answer["weak"] = max(helper["values"](rig, "mouthPressLeft", range(f_frame - 1, f_frame + 3)))
    # A second character: its markers take the place of the first one's, whose drags are kept.
    marker = next(marker for marker in scene.timeline_markers if marker.name == "EH")
    home, marker.frame = marker.frame, marker.frame + 1
    bpy.ops.hyoid.talk(audio=args["audio"], text=args["text"], target="", frame=200)
    other = next(obj for obj in scene.objects if len(obj.hyoid_talk.talks) and obj != rig.armature)
    answer["second"] = [
        helper["marks"](scene),
        next(phone.frame for phone in rig.armature.hyoid_talk.talks[0].phones if phone.name == "EH") - home,
        other.hyoid_talk.talks[0].shown,
        entry.shown,
    ]
    bpy.context.view_layer.objects.active = rig.armature
    bpy.ops.hyoid.show_phonemes()
    answer["first again"] = [helper["marks"](scene), home]
    answer["nla"] = strip_of_the_nla(addon, helper, scene, other, args)
    return answer
