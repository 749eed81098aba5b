# SPDX-License-Identifier: Apache-2.0
"""The guide for artists says what is true: its example runs, its pictures and links are there."""

import os
import re
import subprocess
import sys

import pytest
import soundfile

from tests.addon import guide_pictures, tools

PAGES = ("docs/addon.md", "addon/README.md", "README.md")
LARGEST = 250_000
"""Bytes of a screenshot: the page must come up at once."""
MAKE_HEAD = """
import re, sys
bpy.ops.preferences.addon_install(filepath=sys.argv[-1])
bpy.ops.preferences.addon_enable(module="hyoid")
bpy.ops.wm.save_userpref()
"""
LOOK = """
keys = bpy.data.objects["Victor"].data.shape_keys
curves = {curve.data_path: curve for curve in keys.animation_data.action.fcurves}
opened = [point.co[1] for point in curves['key_blocks["JawOpen"].value'].keyframe_points]
print("FOUND", len(curves), max(opened) > 0.1, len(bpy.context.scene.timeline_markers) > 10)
"""


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_are_there(page):
    path = tools.ROOT / page
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert links
    for link in links:
        if "://" not in link:
            target = path.parent / link
            assert target.exists(), link
            assert not target.name.startswith("addon_") or target.stat().st_size < LARGEST, link


@pytest.mark.blender
@pytest.mark.slow
def test_the_example_without_a_window_runs(tmp_path):
    words, environment = tools.command_of("3.4")
    for variable, name in (("BLENDER_USER_SCRIPTS", "scripts"), ("BLENDER_USER_CONFIG", "config")):
        (tmp_path / name).mkdir()
        environment[variable] = str(tmp_path / name)
    script = tmp_path / "make_head.py"
    head = str(tmp_path / "head.blend")
    saved = f"bpy.ops.wm.save_as_mainfile(filepath={head!r})"
    script.write_text(
        f"import bpy\n{MAKE_HEAD}{guide_pictures.OWN_HEAD.format(preset='AFRICAN_MAN')}\n{saved}\n", encoding="utf-8"
    )
    run([*words, str(script), "--", str(tools.built_zip())], tmp_path, environment)
    samples, rate = soundfile.read(tools.ROOT / "examples" / "talk" / "jfk.flac")
    soundfile.write(tmp_path / "voice.wav", samples[: 3 * rate], rate)
    page = (tools.ROOT / "docs" / "addon.md").read_text(encoding="utf-8")
    example = re.search(r"```\n(HYOID_TOOLKIT=.*?)```", page, re.DOTALL)[1]
    example = example.replace("/path/to/checkout/.venv", sys.prefix)
    run(["bash", "-c", example], tmp_path, environment)
    (tmp_path / "look.py").write_text(f"import bpy\n{LOOK}", encoding="utf-8")
    shown = run(
        [words[0], "-b", str(tmp_path / "shot.blend"), "--python", str(tmp_path / "look.py")], tmp_path, environment
    )
    assert "FOUND 52 True True" in shown


def run(words, folder, environment):
    """What a command says; it must end well."""
    done = subprocess.run(
        words, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout
