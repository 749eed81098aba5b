# SPDX-License-Identifier: GPL-3.0-or-later
"""Text in panels: Blender's labels do not wrap, so these do it."""

from __future__ import annotations

import textwrap
from typing import Any

LETTER = 6.2
"""Average width of a letter of the interface's font, pixels at scale 1."""
MARGIN = 64.0
"""What borders and tabs take of the width of a sidebar, pixels at scale 1."""
ICON = 20.0


def lines(text: str, letters: int) -> list[str]:
    """The text in lines of at most so many letters; long paths are broken."""
    wrapped: list[str] = []
    for paragraph in text.splitlines():
        wrapped += textwrap.wrap(paragraph, max(letters, 12), break_on_hyphens=False) or [""]
    return wrapped


def letters_in(context: Any, icons: int = 0) -> int:
    """How many letters fit beside a number of icons in the region that is drawn."""
    scale = context.preferences.system.ui_scale
    return int((context.region.width / scale - MARGIN - ICON * icons) / LETTER)


def draw(layout: Any, context: Any, text: str, icon: str = "NONE") -> None:
    """Draw the text wrapped to the width of the region, the icon before the first line."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    for index, line in enumerate(lines(text, letters_in(context, icon != "NONE"))):
        column.label(text=line, icon=icon if index == 0 else "BLANK1" if icon != "NONE" else "NONE")


def clock(seconds: float) -> str:
    """Seconds as 0:07 or 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
