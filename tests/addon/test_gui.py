# SPDX-License-Identifier: Apache-2.0
"""What an artist does with mouse and keyboard in a Blender with a window, from the zip to the removal."""

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.addon import gui, tools

pytestmark = [pytest.mark.blender, pytest.mark.slow]

KEPT = tools.ROOT / "build" / "gui"
"""Where the screenshots of the last walk lie, to be looked at."""
PREFERENCES = ("PREFERENCES", "WINDOW")
VIEWPORT = (500, 300)


def install(blender: gui.Window) -> None:
    """Preferences > Add-ons > Install..., choose the zip, tick the box."""
    preferences(blender)
    blender.press("preferences.addon_install", region=PREFERENCES, columns=(0.72, 0.6, 0.8))
    blender.wait("any(area.type == 'FILE_BROWSER' for area in bpy.context.window.screen.areas)")
    path = tools.built_zip()
    blender.ask(f"area_of('FILE_BROWSER')[1].spaces[0].params.directory = {os.fsencode(path.parent)!r}")
    blender.type_into("params.filename", path.name, region=("FILE_BROWSER", "EXECUTE"))
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
    edge = blender.ask("r = region_of('VIEW_3D', 'UI')[2]; answer = [r.x, r.y + 300]")
    blender.drag(edge, (edge[0] - 120, edge[1]))


@pytest.fixture
def blender(tmp_path):
    with gui.window(tmp_path / "gui") as opened:
        try:
            yield opened
        finally:
            shutil.rmtree(KEPT, ignore_errors=True)
            KEPT.mkdir(parents=True)
            for path in (tmp_path / "gui").glob("*.png"):
                shutil.copy(path, KEPT)


def test_walk_from_the_zip_to_the_removal(blender):
    install(blender)
    blender.shot("1_installed")
    viewport(blender)
    blender.shot("2_panel")
    remove(blender)
    blender.shot("9_removed")
    assert not Path(blender.ask("answer = bpy.utils.user_resource('SCRIPTS', path='addons')"), "hyoid").exists()
    assert not blender.ask("answer = hasattr(bpy.types, 'HYOID_PT_root')")
