# SPDX-License-Identifier: GPL-3.0-or-later
"""The Check button: asks the toolkit what works here, and shows the answer in plain words. Blender never waits."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import bpy

from . import finder, places, text
from .process import Child, JobError

_ICONS = {"ok": "CHECKMARK", "optional": "DOT", "missing": "CANCEL", "broken": "ERROR"}
_SAYS = {"ok": "", "optional": "not there, not needed", "missing": "missing", "broken": "does not work"}
INTERVAL = 0.2


class _State:
    """The check that runs or ran last; plain values."""

    child: Child | None = None
    answer: dict[str, Any] | None = None
    error = ""


def start(context: Any, quick: bool = False) -> None:
    """Begin to check the toolkit; the answer is drawn when it is there.

    Args:
        quick: versions and files only.
    """
    stop()
    _State.answer, _State.error = None, ""
    try:
        words = places.toolkit(context)
    except JobError as error:
        _State.error = str(error)
        return
    arguments = ["doctor", "--json", *(["--quick"] if quick else [])]
    _State.child = Child(words, arguments, places.environment(), before=_ask_again)
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=INTERVAL, persistent=True)


def _ask_again(child: Child) -> None:
    """Ask even a toolkit that is known: it may have been updated in place."""
    places.known().put(child.words, finder.ask(child))


def collect() -> bool:
    """Take over the answer when it is there; whether the check is over."""
    child = _State.child
    if child is None:
        return True
    if not child.ended.is_set():
        return False
    _State.child = None
    if child.result is not None:
        _State.answer = {**child.result, "words": child.words}
        places.a_toolkit_answered()
    else:
        _State.error = child.error or "cancelled"
    return True


def answer() -> tuple[dict[str, Any] | None, str]:
    """What the last check found, and why it failed ("" if it did not)."""
    return _State.answer, _State.error


def stop() -> None:
    """End a check that runs."""
    if _State.child is not None:
        _State.child.cancel()
        _State.child = None


def forget(_preferences: Any = None, _context: Any = None) -> None:
    """Another path was chosen: what was found before says nothing about it."""
    stop()
    _State.answer, _State.error = None, ""


def _tick() -> float | None:
    over = collect()
    places.redraw()
    return None if over else INTERVAL


class HYOID_OT_check_toolkit(bpy.types.Operator):
    """Ask the toolkit what works on this computer and what is missing; takes up to a minute, Blender stays usable"""

    bl_idname = "hyoid.check_toolkit"
    bl_label = "Check"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Start the check; in background mode wait and tell it on standard output."""
        start(context)
        if bpy.app.background:
            while not collect():
                time.sleep(0.05)
            sys.stdout.write("".join(f"hyoid: {line}\n" for line in summary()))
        if _State.error:
            self.report({"ERROR"}, _State.error)
            return {"CANCELLED"}
        return {"FINISHED"}


class HYOID_OT_stop_check(bpy.types.Operator):
    """Stop the check"""

    bl_idname = "hyoid.stop_check"
    bl_label = "Stop"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """End its process."""
        forget()
        return {"FINISHED"}


CLASSES = (HYOID_OT_check_toolkit, HYOID_OT_stop_check)


def summary() -> list[str]:
    """The last answer in lines of text: what works, what does not, what to type."""
    if _State.answer is None:
        return [_State.error] if _State.error else []
    lines = []
    for entry in _State.answer.get("checks", []):
        says = _SAYS.get(entry.get("state"), entry.get("state"))
        line = f"{entry.get('name')}: {says + ', ' if says else ''}{entry.get('found')}"
        lines.append(f"{line}; type: {entry['next']}" if entry.get("next") else line)
    return lines


def draw(layout: Any, context: Any) -> None:
    """Draw where the toolkit is, the button, and what the last check found."""
    box = layout.box()
    row = box.row()
    row.alignment = "LEFT"
    if _State.child is not None:
        share = f"{100 * (_State.child.fraction or 0):.0f} %"
        row.label(text=f"{share}  {_State.child.what}", icon="TIME")
        row.operator("hyoid.stop_check", icon="X")
        return
    row.operator("hyoid.check_toolkit", icon="VIEWZOOM")
    if _State.answer is None and not _State.error:
        _draw_found(box, context)
    if _State.error:
        text.draw(box, context, _State.error, "ERROR")
    if _State.answer is not None:
        _draw_answer(box, context, _State.answer)


def _draw_found(box: Any, context: Any) -> None:
    try:
        words = places.toolkit(context)
    except JobError as error:
        text.draw(box, context, str(error), "INFO")
        return
    text.draw(box, context, f"Found: {' '.join(words)}. Press Check to see whether it works", "INFO")


def _draw_answer(box: Any, context: Any, found: dict[str, Any]) -> None:
    checks = [entry for entry in found.get("checks", []) if isinstance(entry, dict)]
    wrong = [entry for entry in checks if entry.get("state") in ("missing", "broken")]
    core = [entry for entry in wrong if entry.get("core")]
    version = (places.known().get(found["words"]) or {}).get("version", "")
    if core:
        text.draw(box, context, "The toolkit does not work yet. Do what stands below, then check again.", "ERROR")
    elif wrong:
        text.draw(box, context, f"Hyoid {version} works. Something that it can do without is missing.", "CHECKMARK")
    else:
        text.draw(box, context, f"Hyoid {version} works.", "CHECKMARK")
    text.draw(box, context, f"It lives in {Path(found['words'][0]).parent}", "BLANK1")
    for entry in [*core, *(entry for entry in wrong if entry not in core)]:
        _draw_entry(box, context, entry)
    preferences = places.settings(context)
    row = box.row()
    row.use_property_split = False
    row.alignment = "LEFT"
    icon = "TRIA_DOWN" if preferences.show_checks else "TRIA_RIGHT"
    row.prop(preferences, "show_checks", icon=icon, emboss=False)
    if preferences.show_checks:
        for entry in checks:
            if entry not in wrong:
                _draw_entry(box, context, entry)


def _draw_entry(box: Any, context: Any, entry: dict[str, Any]) -> None:
    state = str(entry.get("state"))
    says = _SAYS.get(state, state)
    column = box.column(align=True)
    found = f"{entry.get('name')}: {says + ', ' if says else ''}{entry.get('found')}"
    text.draw(column, context, found, _ICONS.get(state, "DOT"))
    if entry.get("next"):
        row = column.row(align=True)
        row.label(text="", icon="BLANK1")
        row.operator("hyoid.copy_text", text=f"Type: {entry['next']}", icon="COPYDOWN").text = str(entry["next"])
