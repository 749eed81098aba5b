# SPDX-License-Identifier: GPL-3.0-or-later
"""A voice becomes a performance, and its phonemes become markers that an animator drags."""

from __future__ import annotations

from . import fields, phones, resolve, section, talk

_MODULES = (fields, phones, talk, resolve, section)


def register() -> None:
    """Register settings, operators and the section."""
    for module in _MODULES:
        module.register()


def unregister() -> None:
    """Remove them."""
    for module in reversed(_MODULES):
        module.unregister()
