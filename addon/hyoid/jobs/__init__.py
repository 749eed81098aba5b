# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: heavy work in child processes of the toolkit, results on the main thread, in the scene that asked for them.

Handlers get ``(scene, payload, result)`` and return the message for the panel; they raise :class:`JobError` or an error
of the toolkit with a text for an artist. ``payload["anywhere"]`` is true when the scene or the character of the job was
gone and the user chose the current scene instead: then the active character is meant.
"""

from __future__ import annotations

import atexit

import bpy

from . import operators, queue, text, ui
from .places import ask_now, frame_rate, output_folder, settings, toolkit
from .process import JobError, for_artists
from .queue import Job, output_path, pump, register_handler, submit

draw = ui.draw
draw_text = text.draw

__all__ = [
    "Job",
    "JobError",
    "ask_now",
    "draw",
    "draw_text",
    "for_artists",
    "frame_rate",
    "output_folder",
    "output_path",
    "pump",
    "register",
    "register_handler",
    "settings",
    "submit",
    "toolkit",
    "unregister",
]


def register() -> None:
    """Register buttons, the status bar's line and what happens when files are loaded."""
    for kind in operators.CLASSES:
        bpy.utils.register_class(kind)
    ui.register()
    bpy.app.handlers.load_post.append(queue.another_file)
    atexit.register(queue.end_all)


def unregister() -> None:
    """End every job and remove all that was registered."""
    atexit.unregister(queue.end_all)
    queue.stop_timer()
    queue.end_all()
    if queue.another_file in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(queue.another_file)
    ui.unregister()
    for kind in reversed(operators.CLASSES):
        bpy.utils.unregister_class(kind)
