# SPDX-License-Identifier: Apache-2.0
"""How a running verb tells what it does: events that the command line shows as a bar, as JSON lines or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


def _ignore(event: dict[str, Any]) -> None:
    """Drop the event: a library caller who asked for no report."""


@dataclass(frozen=True)
class Report:
    """A sink of events, scaled to one stretch of the whole progress 0..1.

    Events are dicts with ``event`` = ``progress`` (``fraction`` 0..1, ``what``) or ``message`` (``level``, ``text``).
    """

    emit: Callable[[dict[str, Any]], None] = field(default=_ignore)
    low: float = 0.0
    high: float = 1.0

    def progress(self, fraction: float, what: str = "") -> None:
        """Say how far this stretch is, 0..1, and what is being done (``"aligning words"``)."""
        fraction = min(max(fraction, 0.0), 1.0)
        self.emit({"event": "progress", "fraction": self.low + (self.high - self.low) * fraction, "what": what})

    def message(self, text: str, level: str = "info") -> None:
        """Tell the user something once; ``level`` is ``info`` or ``warning``."""
        self.emit({"event": "message", "level": level, "text": text})

    def stage(self, low: float, high: float) -> Report:
        """A report whose 0..1 covers ``low``..``high`` of this one."""
        span = self.high - self.low
        return Report(self.emit, self.low + span * low, self.low + span * high)


SILENT = Report()
