# SPDX-License-Identifier: Apache-2.0
"""What an artist does with mouse and keyboard in a Blender with a window, from the zip to the removal."""

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import soundfile

from tests.addon import gui, tools

pytestmark = [pytest.mark.blender, pytest.mark.slow]

KEPT = tools.ROOT / "build" / "gui"
"""Where the screenshots of the last walk lie, to be looked at."""
PREFERENCES = ("PREFERENCES", "WINDOW")
WORDS, SECONDS = "And so my fellow Americans", 2.4
VIEWPORT = (500, 300)
COUNTS = """
answer = {name: len(getattr(bpy.data, name)) for name in ('objects', 'meshes', 'actions', 'armatures', 'sounds')}
editor = bpy.context.scene.sequence_editor
answer |= {"markers": len(bpy.context.scene.timeline_markers), "strips": len(editor.sequences_all) if editor else 0}
"""


def install(blender: gui.Window) -> None:
    """Preferences > Add-ons > Install..., choose the zip, tick the box."""
    preferences(blender)
    blender.press("preferences.addon_install", region=PREFERENCES, columns=(0.72, 0.6, 0.8))
    blender.wait("any(area.type == 'FILE_BROWSER' for area in bpy.context.window.screen.areas)")
    path = tools.built_zip()
    blender.ask(f"area_of('FILE_BROWSER')[1].spaces[0].params.directory = {os.fsencode(path.parent)!r}")
    there = f"area_of('FILE_BROWSER')[1].spaces[0].params.filename == {path.name!r}"
    blender.type_into("params.filename", path.name, until=there, region=("FILE_BROWSER", "EXECUTE"))
    blender.press("file.execute", region=("FILE_BROWSER", "EXECUTE"), columns=(0.8, 0.7, 0.9))
    blender.wait("'Hyoid' in bpy.context.window_manager.addon_search")
    blender.press('addon_enable(module="hyoid")', region=PREFERENCES, columns=(0.038, 0.03, 0.05))
    blender.wait("'hyoid' in bpy.context.preferences.addons")


def remove(blender: gui.Window) -> None:
    """Preferences > Add-ons, unfold Hyoid, Remove, confirm."""
    preferences(blender)
    blender.press('addon_expand(module="hyoid")', region=PREFERENCES, columns=(0.015, 0.02, 0.01))
    found = blender.find('addon_remove(module="hyoid")', region=PREFERENCES, columns=(0.4, 0.3, 0.5, 0.7, 0.85))
    blender.click(*found["at"])
    time.sleep(0.3)
    blender.keys("key", "Return")
    blender.wait("'hyoid' not in bpy.context.preferences.addons")


def preferences(blender: gui.Window) -> None:
    """Show the add-ons of the Preferences where the viewport is: a second window has no manager on this screen."""
    blender.ask("area_of('VIEW_3D')[1].type = 'PREFERENCES'; bpy.context.preferences.active_section = 'ADDONS'")
    blender.wait("any(area.type == 'PREFERENCES' for area in bpy.context.window.screen.areas)")


def viewport(blender: gui.Window) -> None:
    """Back to the viewport, with Hyoid's tab in front."""
    blender.ask("area_of('PREFERENCES')[1].type = 'VIEW_3D'")
    blender.tab("Hyoid")
    blender.wait("'HYOID_PT_root' in panels()")


JOBS = "sys.modules['hyoid.jobs'].queue.jobs()"
RIG = "sys.modules['hyoid.characters.find'].active_rig(bpy.context)"
RECORD = f"json.loads({RIG}.armature['hyoid_character'])"
KEYS = f"{RIG}.body.data.shape_keys"


def make_character(blender: gui.Window) -> None:
    """Character > Head > Create, then older by the slider, and the view on the face."""
    panel = "HYOID_PT_character"
    blender.open(panel)
    choose(blender, panel, "hyoid_characters.part", "head", parts=(0.25, 0.75))
    blender.press("hyoid.create_character", panel=panel, columns=(0.5,))
    blender.wait(f"{RIG} is not None and len({KEYS}.key_blocks) > 52")
    blender.shot("3_character")
    older = f"abs({RECORD}.get('settings', {{}}).get('age', 0) - 0.85) < 1e-6"
    blender.type_into("hyoid_identity.set_age", "0.85", until=older, panel=panel, columns=(0.5,))
    blender.keys("mousemove", *map(str, VIEWPORT))
    blender.keys("key", "KP_1")
    blender.keys("key", "KP_Decimal")


def talk(blender: gui.Window, audio: Path, words: str = "") -> None:
    """Talk > file, words, Talk."""
    panel = "HYOID_PT_talk"
    blender.close("HYOID_PT_character")
    blender.open(panel)
    there = f"bpy.context.scene.hyoid_speech.audio == {str(audio)!r}"
    blender.type_into("hyoid_speech.audio", str(audio), until=there, panel=panel, columns=(0.3, 0.5))
    if words:
        pick(blender, panel, "hyoid_speech.transcript", "TYPED", 2)
        there = f"bpy.context.scene.hyoid_speech.text == {words!r}"
        blender.type_into("hyoid_speech.text", words, until=there, panel=panel, columns=(0.6, 0.8))
    else:
        pick(blender, panel, "hyoid_speech.transcript", "NONE", 1)
    blender.press("hyoid.talk", panel=panel)
    blender.wait(f"[job.state for job in {JOBS}][-1:] == ['running']", timeout=10)


def choose(blender: gui.Window, panel: str, path: str, value: str, parts: tuple[float, ...]) -> None:
    """Click the button of a row of choices that sets a value; ``parts`` of the width are tried one after the other."""
    left, _, right, _ = blender.panels()[panel]["body"]
    _, y = blender.find(path, panel=panel, columns=parts)["at"]
    for part in parts * 2:
        if blender.ask(f"answer = bpy.context.scene.{path}") == value:
            return
        blender.click(left + part * (right - left), y)
        with contextlib.suppress(AssertionError):
            blender.wait(f"bpy.context.scene.{path} == {value!r}", timeout=1)
    assert blender.ask(f"answer = bpy.context.scene.{path}") == value


def pick(blender: gui.Window, panel: str, path: str, value: str, number: int) -> None:
    """Open a menu and take an entry by its number, as the keyboard allows."""
    for _ in range(4):
        if blender.ask(f"answer = bpy.context.scene.{path}") == value:
            return
        blender.press(path, panel=panel, columns=(0.75, 0.9))
        time.sleep(0.4)
        blender.keys("key", str(number))
        with contextlib.suppress(AssertionError):
            blender.wait(f"bpy.context.scene.{path} == {value!r}", timeout=2)
            return
        blender.keys("key", "Escape")
    assert blender.ask(f"answer = bpy.context.scene.{path}") == value


def play(blender: gui.Window) -> set[float]:
    """Press the space bar over the viewport; how far the mouth was open at some of the frames that followed."""
    blender.keys("mousemove", *map(str, VIEWPORT))
    blender.keys("key", "space")
    blender.wait("bpy.context.screen.is_animation_playing", timeout=5)
    seen, end = set(), time.monotonic() + 15
    while len(seen) < 4 and time.monotonic() < end:
        seen.add(round(blender.ask(f"answer = {KEYS}.key_blocks['jawOpen'].value"), 4))
    blender.shot("5_playing", settled=False)
    blender.keys("key", "space")
    blender.wait("not bpy.context.screen.is_animation_playing", timeout=5)
    return seen


def environment(folder: Path) -> dict[str, str]:
    """What the Blender of a walk is started with: the toolkit on the PATH, results under a folder."""
    (folder / "tmp").mkdir()
    return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TMPDIR": str(folder / "tmp")}


@pytest.fixture
def blender(tmp_path):
    with gui.window(tmp_path / "gui", environment=environment(tmp_path)) as opened:
        try:
            yield opened
        finally:
            shutil.rmtree(KEPT, ignore_errors=True)
            KEPT.mkdir(parents=True)
            for path in (tmp_path / "gui").glob("*.png"):
                shutil.copy(path, KEPT)


@pytest.fixture
def short(tmp_path) -> Path:
    """The first words of the example."""
    samples, rate = soundfile.read(tools.ROOT / "examples" / "talk" / "jfk.flac")
    samples = samples[: round(SECONDS * rate)]
    path = tmp_path / "voice.wav"
    soundfile.write(path, samples, rate)
    return path


def processes(word: str) -> list[str]:
    """Command lines of the running processes that hold a word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found += [line] if word in line else []
    return found


def test_walk_from_the_zip_to_the_removal(blender, short, tmp_path):
    install(blender)
    blender.shot("1_installed")
    viewport(blender)
    blender.shot("2_panel")
    make_character(blender)
    blender.shot("3_older")
    before = blender.ask(COUNTS)
    talk(blender, short, WORDS)
    blender.shot("4_talking", settled=False)
    ended = blender.wait(f"[(job.state, job.log) for job in {JOBS} if job.state not in ('running', 'ready')]")
    assert ended[-1][0] == "done", ended[-1][1]
    blender.shot("4_talked")
    after = blender.ask(COUNTS)
    assert after["markers"] > 10
    assert (after["actions"], after["sounds"], after["strips"]) == (before["actions"] + 2, 1, 1)
    assert len(play(blender)) >= 4
    assert blender.ask(f"answer = {KEYS}.animation_data.action is not None")
    blender.keys("key", "ctrl+z")
    blender.wait(f"{KEYS}.animation_data is None or {KEYS}.animation_data.action is None", timeout=10)
    blender.shot("6_undone")
    assert blender.ask(COUNTS) == before
    made = sorted(tmp_path.rglob("*.take.npz"))
    talk(blender, tools.ROOT / "examples" / "talk" / "jfk.flac")
    running = [
        line for line in processes(str(tmp_path)) if "hyoid" in line and "Xvfb" not in line and "blender" not in line
    ]
    assert running
    blender.press("hyoid.cancel_job", panel="HYOID_PT_root", columns=(0.3, 0.2, 0.9))
    start = time.monotonic()
    blender.wait(f"not [job for job in {JOBS} if job.state in ('running', 'waiting')]", timeout=10)
    while [line for line in processes(str(tmp_path)) if line in running]:
        assert time.monotonic() - start < 5
    blender.shot("7_cancelled")
    assert sorted(tmp_path.rglob("*.take.npz")) == made
    assert not list(tmp_path.rglob("*.part"))
    assert blender.ask(COUNTS) == before
    remove(blender)
    blender.shot("9_removed")
    assert not Path(blender.ask("answer = bpy.utils.user_resource('SCRIPTS', path='addons')"), "hyoid").exists()
    assert not blender.ask("answer = hasattr(bpy.types, 'HYOID_PT_root')")
