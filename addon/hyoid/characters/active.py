# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators on a character share: which one it is, and how they tell what they did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..toolkit.errors import HyoidError, UsageError
from . import find


def has_character(cls: Any, context: Any) -> bool:
    """A poll: a character is active or the only one."""
    if find.active_rig(context) is not None:
        return True
    cls.poll_message_set("No character is selected: select one, or create one under Character")
    return False


def rig_in(context: Any) -> Any:
    """The character to work on.

    Raises:
        UsageError: there is none.
    """
    rig = find.active_rig(context)
    if rig is None:
        raise UsageError("no character is selected", hint="Select one, or create one under Character")
    return rig


def told(operator: Any, work: Callable[[], str]) -> set[str]:
    """Run an operator's work; its answer, or what went wrong in plain words, goes to the status bar."""
    try:
        operator.report({"INFO"}, work())
    except HyoidError as error:
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}
