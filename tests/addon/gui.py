# SPDX-License-Identifier: Apache-2.0
"""Drives a Blender with a window on a screen of its own: looks by screenshots and questions, acts by mouse and keys."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.addon import tools

INSIDE = Path(__file__).with_name("gui_inside.py")
WIDTH, HEIGHT = 1600, 1000
SIDEBAR = ("VIEW_3D", "UI")
COLUMNS = (0.5, 0.25, 0.75, 0.9, 0.1)
PROGRAMS = {"Xvfb": "xvfb", "xdotool": "xdotool", "import": "imagemagick", "convert": "imagemagick"}


class Window:
    """A running Blender with a window.

    Attributes:
        folder: requests, answers and screenshots.
    """

    def __init__(self, folder: Path, display: str, process: subprocess.Popen, log: Path):
        self.folder, self.display, self.process, self.log = folder, display, process, log
        self._number = 0

    # -- looking

    def ask(self, code: str, *, timeout: float = 60) -> object:
        """Run Python inside Blender; what it assigns to ``answer``."""
        self._number += 1
        part = self.folder / "request.part"
        part.write_text(code, encoding="utf-8")
        part.replace(self.folder / f"{self._number}.py")
        path = self.folder / f"{self._number}.json"
        self._until(path.is_file, timeout, f"no answer to: {code}")
        answer = json.loads(path.read_text(encoding="utf-8"))
        assert "error" not in answer, f"{code}\n{answer['error']}"
        return answer.get("answer", answer)

    def wait(self, expression: str, *, timeout: float = 60) -> object:
        """Ask for an expression until it is true; its value."""
        end, value = time.monotonic() + timeout, None
        while time.monotonic() < end:
            value = self.ask(f"answer = {expression}")
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError(f"never true in {timeout:g} s: {expression}; last: {value}; {self._tail()}")

    def shot(self, name: str, crop: tuple[int, int, int, int] | None = None, *, settled: bool = True) -> Path:
        """A screenshot, PNG; ``crop`` is left, top, width, height.

        A ``settled`` one is taken when nothing has moved for half a second, or after four seconds.
        """
        path = self.folder / f"{name}.png"
        cut = ["-crop", "{2}x{3}+{0}+{1}".format(*crop), "+repage"] if crop else []
        words = ["import", "-display", self.display, "-window", "root", *cut]
        before, end = b"", time.monotonic() + (4 if settled else 0)
        while True:
            subprocess.run([*words, str(path)], check=True, timeout=30)
            now = subprocess.run(["convert", str(path), "rgb:-"], check=True, capture_output=True, timeout=30).stdout
            if now == before or time.monotonic() > end:
                return path
            before = now
            time.sleep(0.5)

    def panels(self, region: tuple[str, str] = SIDEBAR) -> dict[str, dict]:
        """The panels of the sidebar, or of another region, by idname: ``label``, ``open``, ``header``, ``body``."""
        return self.ask(f"answer = panels({region!r})")

    # -- acting

    def click(self, x: float, y: float, *, button: int = 1, times: int = 1) -> None:
        """Click a place, in pixels of the window from its lower left corner."""
        self.keys("mousemove", str(int(x)), str(int(HEIGHT - 1 - y)))
        time.sleep(0.1)  # Blender must see the pointer there first
        self.keys("click", "--repeat", str(times), "--delay", "60", str(button))

    def keys(self, *words: str) -> None:
        """A command of xdotool."""
        subprocess.run(["xdotool", *words], env=self._environment(), check=True, timeout=60, capture_output=True)

    def press(self, wanted: str, *, times: int = 1, **place: object) -> str:
        """Click the button whose operator or property contains some words (see ``find``); its command or path."""
        found = self.find(wanted, **place)
        self.click(*found["at"], times=times)
        return found["seen"]

    def find(
        self, wanted: str, *, region: tuple[str, str] = SIDEBAR, panel: str = "",
        columns: tuple[float, ...] = COLUMNS, timeout: float = 60,
    ) -> dict:  # fmt: skip
        """Look for a button with the pointer: ``at`` (x, y) and ``seen``, its command or path.

        Args:
            region: kinds of area and region.
            panel: idname of the section that has it.
            columns: how far to the right to look, as parts of the width, in this order.

        Raises:
            AssertionError: there is none; it names those that are there.
        """
        end, found = time.monotonic() + timeout, {}
        while time.monotonic() < end:
            box = self.panels(region)[panel]["body"] if panel else None
            found = self.ask(f"find({wanted!r}, {region!r}, {box!r}, {columns!r})", timeout=60)
            if found["at"]:
                return found
        raise AssertionError(f"no button with '{wanted}'; there are {found.get('seen')}; {self._tail()}")

    def tab(self, name: str) -> None:
        """Show the sidebar of the viewport if it is hidden, and click one of its tabs."""
        self.ask("area_of('VIEW_3D')[1].spaces[0].show_region_ui = True")
        place = self.wait(f"tabs().get({name!r})")
        self.click(*place)

    def open(self, panel: str, region: tuple[str, str] = SIDEBAR) -> None:
        """Open a section by a click on its header."""
        self.wait(f"{panel!r} in panels({region!r})", timeout=10)
        for _ in range(3):
            state = self.panels(region)
            if state[panel]["open"]:
                return
            self.click(*state[panel]["header"])
            with contextlib.suppress(AssertionError):
                self.wait(f"panels({region!r})[{panel!r}]['open']", timeout=3)
        assert self.panels(region)[panel]["open"], f"{panel} does not open"

    def close(self, panel: str, region: tuple[str, str] = SIDEBAR) -> None:
        """Close a section by a click on its header."""
        for _ in range(3):
            state = self.panels(region)
            if not state[panel]["open"]:
                return
            self.click(*state[panel]["header"])
            with contextlib.suppress(AssertionError):
                self.wait(f"not panels({region!r})[{panel!r}]['open']", timeout=3)
        assert not self.panels(region)[panel]["open"], f"{panel} does not close"

    def type_into(self, wanted: str, text: str, *, until: str, **place: object) -> None:
        """Double-click a field, replace its text, press Enter; again if an expression is not true then.

        A busy machine takes two quick clicks for two slow ones now and then.
        """
        for _ in range(4):
            self.press(wanted, times=2, **place)
            time.sleep(0.3)
            self.keys("key", "ctrl+a")
            self.keys("type", "--delay", "15", text)
            self.keys("key", "Return")
            with contextlib.suppress(AssertionError):
                self.wait(until, timeout=4)
                return
            self.keys("key", "Escape")
        self.wait(until, timeout=1)

    # -- inner workings

    def _environment(self) -> dict[str, str]:
        return os.environ | {"DISPLAY": self.display}

    def _until(self, true: Callable[[], bool], timeout: float, trouble: str) -> None:
        end = time.monotonic() + timeout
        while not true():
            assert self.process.poll() is None, f"Blender ended ({self.process.returncode}); {self._tail()}"
            assert time.monotonic() < end, f"{trouble} in {timeout:g} s; {self._tail()}"
            time.sleep(0.02)

    def _tail(self) -> str:
        return "Blender said: " + self.log.read_text(encoding="utf-8", errors="replace")[-2000:]


@contextlib.contextmanager
def window(folder: Path, *, environment: dict[str, str] | None = None) -> Iterator[Window]:
    """A Blender 3.4 with a window of 1600 x 1000 and factory settings, on a virtual screen; ended at the end."""
    words, _ = tools.command_of("3.4")
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            tools.absent(f"{program} is not installed: apt-get install {package}")
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "blender.log"
    with _screen() as display, log.open("w", encoding="utf-8") as said:
        settings = {"DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1", "BLENDER_USER_SCRIPTS": str(folder / "scripts")}
        settings |= {"BLENDER_USER_CONFIG": str(folder / "config"), "PYTHONUNBUFFERED": "1"}
        (folder / "scripts").mkdir()
        command = [words[0], "--factory-startup", "--no-window-focus", "-p", "0", "0", str(WIDTH), str(HEIGHT)]
        command += ["--python", str(INSIDE), "--", str(folder)]
        process = subprocess.Popen(command, env=os.environ | settings | (environment or {}), stdout=said, stderr=said)
        try:
            blender = Window(folder, display, process, log)
            blender.ask(_PREPARE, timeout=60)
            yield blender
        finally:
            process.kill()
            process.wait()


_PREPARE = """
bpy.context.preferences.view.ui_scale = 1.0
bpy.context.preferences.view.show_tooltips = False
bpy.context.preferences.system.use_region_overlap = False
bpy.context.preferences.filepaths.use_auto_save_temporary_files = False
bpy.context.preferences.view.filebrowser_display_type = "SCREEN"
"""


@contextlib.contextmanager
def _screen() -> Iterator[str]:
    """A virtual screen on a free display; its name, ``:5`` for one."""
    read, write = os.pipe()
    command = [
        "Xvfb",
        "-displayfd",
        str(write),
        "-screen",
        "0",
        f"{WIDTH}x{HEIGHT}x24",
        "+extension",
        "GLX",
        "-noreset",
    ]
    process = subprocess.Popen(command, pass_fds=(write,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()  # empty when Xvfb ended
        assert number, "Xvfb found no free display"
        yield f":{number}"
    finally:
        process.terminate()
        process.wait(timeout=10)
