# SPDX-License-Identifier: Apache-2.0
"""Sliders under the mouse: the character follows while they are dragged, and one drag is one step of undo."""

import time

import pytest

from tests.addon import gui, tools

pytestmark = [pytest.mark.blender, pytest.mark.slow]
RIGS = "sys.modules['hyoid.characters.find'].rigs(bpy.data.scenes[0])"
AGE = f"{RIGS}[0].armature.hyoid_identity.set_age"
PANEL = "HYOID_PT_character"
STATE = """
find = sys.modules['hyoid.characters.find']
rig = find.rigs(bpy.data.scenes[0])[0]
points = rig.body.data.shape_keys.reference_key.data
answer = {
    "age": find.identity(rig.armature)["settings"]["age"],
    "top": max(point.co.z for point in points),
    "skull": rig.armature.data.bones["oc1"].head_local.z,
    "mode": rig.armature.mode,
    "scenes": len(bpy.data.scenes),
}
"""


def test_a_dragged_slider_reshapes_a_posed_character_and_is_one_step_of_undo(tmp_path):
    with gui.window(tmp_path / "gui") as blender:
        blender.ask(f"bpy.ops.preferences.addon_install(filepath={str(tools.built_zip())!r})")
        blender.ask("bpy.ops.preferences.addon_enable(module='hyoid')")
        blender.tab("Hyoid")
        blender.open(PANEL)
        blender.press("hyoid.create_character", panel=PANEL, columns=(0.5,))
        blender.wait(f"len({RIGS}) == 1")
        blender.keys("mousemove", "500", "600", "key", "ctrl+Tab")  # Pose Mode
        blender.wait("bpy.context.view_layer.objects.active.mode == 'POSE'")
        before = blender.ask(STATE)
        x, y = blender.find("hyoid_identity.set_age", panel=PANEL, columns=(0.5,))["at"]
        row = str(int(gui.HEIGHT - 1 - y))
        blender.keys("mousemove", str(int(x)), row, "mousedown", "1")
        for step in range(8):
            blender.keys("mousemove", str(int(x) - 8 * step), row)
            time.sleep(0.1)
        blender.keys("mouseup", "1")
        blender.wait(f"{AGE} < 0.5")
        after = blender.ask(STATE)
        assert after["top"] < before["top"] - 0.1  # a child is shorter than a woman by more than a hand
        assert after["skull"] < before["skull"] - 0.1
        assert (after["mode"], after["scenes"]) == ("POSE", 1)
        blender.keys("mousemove", "500", "600", "key", "ctrl+z")
        blender.wait(f"abs({AGE} - {before['age']}) < 1e-5")
        undone = blender.ask(STATE)
        assert undone["mode"] == "POSE"
        assert undone["top"] == pytest.approx(before["top"], abs=1e-6)
        assert undone["skull"] == pytest.approx(before["skull"], abs=1e-6)
        blender.keys("key", "ctrl+shift+z")
        blender.wait(f"{AGE} < 0.5")
        assert blender.ask(STATE)["top"] == pytest.approx(after["top"], abs=1e-6)
