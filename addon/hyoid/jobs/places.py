# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs need of Blender: settings, folders, the toolkit that is used, windows to draw in, the step of undo."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy

from ..timeline.frames import scene_rate
from ..toolkit.blender import compat
from ..toolkit.errors import HyoidError
from . import finder
from .process import Child, JobError

ADDON = __package__.rpartition(".")[0]
RATES = (24, 25, 30, 50, 60)
"""Frames a second that the toolkit makes performances at."""
_DEFAULTS = SimpleNamespace(
    toolkit="", output_folder="", frame_rate="SCENE", at_once=1, keep_files=False, show_checks=False
)
_known: list[finder.Known] = []
_listening: list[Callable[[], None]] = []


def settings(context: Any) -> Any:
    """The add-on's preferences; their defaults where it is not switched on as an add-on."""
    entry = context.preferences.addons.get(ADDON)
    return entry.preferences if entry is not None and entry.preferences is not None else _DEFAULTS


def known() -> finder.Known:
    """What toolkits answered before; kept in the add-on's user folder."""
    if not _known:
        _known.append(finder.Known(compat.user_folder(ADDON) / "schema.json"))
    return _known[0]


def toolkit(context: Any) -> list[str]:
    """The words that run the toolkit.

    Raises:
        JobError: there is none; the text says what to do.
    """
    chosen = settings(context).toolkit
    blend = Path(bpy.data.filepath).parent if bpy.data.filepath else None
    return finder.locate(bpy.path.abspath(chosen) if chosen else "", os.environ, blend)


def environment() -> dict[str, str]:
    """The environment of the toolkit's processes."""
    return finder.child_environment(os.environ, Path(bpy.app.binary_path).parent if bpy.app.binary_path else None)


def make_sure(child: Child) -> None:
    """Ask a toolkit that is not known yet what it can do; in the child's thread.

    Raises:
        JobError: it cannot be used.
    """
    if known().get(child.words) is None:
        known().put(child.words, finder.ask(child))


def ask_now(context: Any) -> None:
    """Learn what the toolkit can do here and now, for scripts without a window: there nobody has pressed Check.

    Raises:
        JobError: there is no toolkit, or it cannot be used.
    """
    child = Child(toolkit(context), ["schema", "--json"], environment(), before=make_sure)
    child.ended.wait()
    if child.error:
        raise JobError(child.error)
    a_toolkit_answered()


def when_a_toolkit_answered(listen: Callable[[], None] | None) -> None:
    """Have a function called when a toolkit may have told new verbs; None: nobody listens."""
    _listening[:] = [] if listen is None else [listen]


def a_toolkit_answered() -> None:
    """Tell who listens."""
    for listen in _listening:
        listen()


def output_folder(context: Any) -> Path:
    """Where results go: the folder of the preferences, else ``hyoid`` beside the .blend, else a temporary one.

    Raises:
        JobError: it cannot be written to.
    """
    chosen = settings(context).output_folder
    if chosen:
        folder = Path(bpy.path.abspath(chosen))
    elif bpy.data.filepath:
        folder = Path(bpy.data.filepath).parent / "hyoid"
    else:
        folder = Path(tempfile.gettempdir()) / f"hyoid-{_user()}"
    probe = folder / f".hyoid-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise JobError(
            f"Nothing can be written to {folder} ({error.strerror}). Choose another output folder in the add-on's "
            "preferences, or save the .blend elsewhere"
        ) from None
    return folder


def frame_rate(context: Any) -> int:
    """Frames a second that a new performance is made at: the preferences' choice, else what suits the scene.

    That is the scene's own rate or one within 2 % of it (23.976 is 24), else the next finer one.
    """
    chosen = settings(context).frame_rate
    if chosen != "SCENE":
        return int(chosen)
    rate = scene_rate(context.scene)
    near = min(RATES, key=lambda choice: abs(choice - rate))
    if abs(near - rate) < 0.02 * rate:
        return near
    return next((choice for choice in RATES if choice >= rate), RATES[-1])


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "user"  # a container without a name for its user


def told_errors() -> tuple[type[Exception], ...]:
    """The errors whose text is meant for an artist."""
    return (JobError, HyoidError)


def is_busy() -> bool:
    """Whether this is no moment to change the file: a render runs, or something is being edited or dragged."""
    if bpy.app.background:
        return False
    if bpy.app.is_job_running("RENDER") or bpy.app.is_job_running("OBJECT_BAKE"):
        return True
    for window in bpy.context.window_manager.windows:
        active = window.view_layer.objects.active
        if active is not None and active.mode not in ("OBJECT", "POSE"):
            return True
    return compat.is_dragging(bpy.context.window_manager)


def _window_of(scene: Any) -> Any:
    """The window that shows a scene, else any, else None."""
    windows = list(bpy.context.window_manager.windows) if bpy.context.window_manager else []
    return next((window for window in windows if window.scene == scene), windows[0] if windows else None)


@contextmanager
def in_scene(scene: Any) -> Iterator[None]:
    """The context of a scene, whichever the window shows."""
    window = _window_of(scene)
    if window is None:
        yield
        return
    with bpy.context.temp_override(window=window):
        if window.scene == scene:
            yield
            return
        # One override with both would leave the window's scene with the other's view layer: operators crash on that.
        with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
            yield


def push_undo(message: str) -> None:
    """One step of undo; in background mode there are none."""
    window = _window_of(None)
    if bpy.app.background or window is None:
        return
    with bpy.context.temp_override(window=window):
        if bpy.ops.ed.undo_push.poll():
            bpy.ops.ed.undo_push(message=message)


def redraw() -> None:
    """Draw sidebars, status bars and open preferences again; nothing else."""
    regions = {"VIEW_3D": "UI", "PREFERENCES": "WINDOW"}
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions:
                if region.type == regions.get(area.type):
                    region.tag_redraw()
        # The status bar is in no area that scripts can reach; a change of its text makes it drawn again. Not while
        # something is dragged: then the text belongs to that.
        if window.workspace is not None and not compat.is_dragging(bpy.context.window_manager):
            window.workspace.status_text_set_internal(None)


def tell_failure(label: str, error: str) -> None:
    """A pop-up beside the panel's own message, where there is a window."""
    manager = bpy.context.window_manager
    if bpy.app.background or manager is None or not len(manager.windows):
        return
    from . import text

    def draw(menu: Any, _context: Any) -> None:
        for line in text.lines(error, 70):
            menu.layout.label(text=line)

    with bpy.context.temp_override(window=manager.windows[0]):
        manager.popup_menu(draw, title=f"Hyoid: {label}", icon="ERROR")
