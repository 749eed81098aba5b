# SPDX-License-Identifier: GPL-3.0-or-later
"""Hyoid in Blender: characters, performances from speech and files, a neck that turns vertebra by vertebra.

The add-on holds no heavy library. What needs one runs in a child process, the ``hyoid`` command (``jobs/``).
"""

from __future__ import annotations

import importlib
import sys

bl_info = {
    "name": "Hyoid",
    "author": "The Hyoid authors",
    "version": (0, 1, 0),
    "blender": (3, 4, 0),
    "location": "3D Viewport > Sidebar > Hyoid",
    "description": "Speech, takes and a rigged human: ARKit face, eight-joint neck, moving larynx",
    "category": "Animation",
}

MODULES = (
    "preferences",
    "panel",
    "characters",
    "own_head",
    "stabilize",
    "speech",
    "lift",
    "head_directions",
    "takes",
    "neck",
    "action_units",
    "export",
    "forms",
    "jobs",
)
"""Each has ``register()`` and ``unregister()``; sections of the panel stand in this order."""

if "register" in globals():  # Blender reloads this file alone when a newer zip was installed over it
    for _name in [name for name in sys.modules if name.startswith(f"{__package__}.")]:
        del sys.modules[_name]


def _modules():
    return [importlib.import_module(f".{name}", __package__) for name in MODULES]


def register() -> None:
    """Called by Blender when the add-on is switched on."""
    done = []
    try:
        for module in _modules():
            module.register()
            done.append(module)
    except Exception:
        for module in reversed(done):
            module.unregister()
        raise


def unregister() -> None:
    """Called by Blender when the add-on is switched off."""
    for module in reversed(_modules()):
        module.unregister()
