# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Builds ``sound_strip.blend``: an empty scene with one sound strip, as Blender 4.2 stores it.

The bpy module of 4.2 is compiled without sound: it can load, pack and save sounds, but it cannot make the strip that
puts one on the timeline. So a strip comes from this file. Run this script in two steps:

    python build_sound_strip.py make STEP.blend      with bpy 4.5, which makes the strip
    python build_sound_strip.py store STEP.blend     with bpy 4.2, which stores it in its own layout
"""

from __future__ import annotations

import sys
import tempfile
import wave
from pathlib import Path

import bpy

TARGET = Path(__file__).with_name("sound_strip.blend")
FPS = 240
SECONDS = 4370  # 1 048 800 frames: as long as a Blender timeline can be, so that any sound fits after trimming


def make(step: str) -> None:
    """Make a scene with a strip of silence."""
    with tempfile.TemporaryDirectory() as folder:
        silence = Path(folder) / "silence.wav"
        with wave.open(str(silence), "wb") as stream:
            stream.setnchannels(1)
            stream.setsampwidth(1)
            stream.setframerate(8000)
            stream.writeframes(b"\x80" * (8000 * SECONDS))
        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = bpy.context.scene
        scene.render.fps = FPS
        scene.sequence_editor_create().strips.new_sound("Voice", str(silence), 1, 1)
        bpy.ops.wm.save_as_mainfile(filepath=str(Path(step).resolve()))


def store(step: str) -> None:
    """Store the scene in the layout of this version, with nothing else."""
    bpy.ops.wm.open_mainfile(filepath=str(Path(step).resolve()))
    scene = bpy.context.scene
    scene.name = "Scene"
    scene.render.fps = 24
    scene.sequence_editor.sequences[0].sound.filepath = "//none.wav"
    bpy.data.libraries.write(str(TARGET), {scene}, compress=True)


if __name__ == "__main__":
    {"make": make, "store": store}[sys.argv[1]](sys.argv[2])
