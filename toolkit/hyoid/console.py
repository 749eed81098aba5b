# SPDX-License-Identifier: Apache-2.0
"""What the user sees: JSON lines for machines, a progress bar on a terminal, quiet lines elsewhere.

Results go to standard output; everything else goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol


class Console(Protocol):
    """A place where events are shown."""

    def emit(self, event: dict[str, Any]) -> None:
        """Show one event."""

    def show_result(self, verb: str, result: dict[str, Any], show: Callable[[dict[str, Any]], str] | None) -> None:
        """Show what a verb gave; ``show`` makes text of it."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def open_console(as_json: bool) -> Console:
    """The console that fits: JSON lines if asked, bars on a terminal, plain lines otherwise."""
    if as_json:
        return JsonConsole()
    return BarConsole() if sys.stderr.isatty() else PlainConsole()


class JsonConsole:
    """One JSON object a line on standard output: start, progress, message, result or failure."""

    def emit(self, event: dict[str, Any]) -> None:
        """Write the event and flush, so that a reader of the pipe sees it at once."""
        sys.stdout.write(json.dumps(event, allow_nan=False) + "\n")
        sys.stdout.flush()

    def show_result(self, verb: str, result: dict[str, Any], show: Callable[[dict[str, Any]], str] | None) -> None:
        """Write the result event, the last one of a command that ended well."""
        self.emit({"event": "result", "verb": verb, "result": result})

    def close(self) -> None:
        """Nothing is held."""


class PlainConsole:
    """Messages and failures as lines on standard error; no bars (logs of farms stay readable)."""

    def emit(self, event: dict[str, Any]) -> None:
        """Show messages and failures; progress is for terminals and machines."""
        line = _as_line(event)
        if line:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    def show_result(self, verb: str, result: dict[str, Any], show: Callable[[dict[str, Any]], str] | None) -> None:
        """Write the result as text on standard output."""
        self.close()
        text = show(result) if show else as_text(result)
        if text:
            sys.stdout.write(text.rstrip("\n") + "\n")
            sys.stdout.flush()

    def close(self) -> None:
        """Nothing is held."""


class BarConsole(PlainConsole):
    """A rich progress bar on standard error, made when the first progress arrives."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def emit(self, event: dict[str, Any]) -> None:
        """Move the bar, or print above it."""
        if event["event"] == "progress":
            self._open()
            self._bar.update(self._task, completed=event["fraction"], description=event["what"] or "working")
            return
        if event["event"] == "failure":
            self.close()
        line = _as_line(event)
        if line and self._bar:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            super().emit(event)

    def _open(self) -> None:
        if self._bar is None:
            from rich.console import Console as RichConsole
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=RichConsole(stderr=True), transient=True)
            self._task = self._bar.add_task("working", total=1.0)
            self._bar.start()

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _as_line(event: dict[str, Any]) -> str:
    if event["event"] == "message":
        return f"hyoid: {'warning: ' if event['level'] == 'warning' else ''}{event['text']}"
    if event["event"] == "failure":
        return f"hyoid: error: {event['error']}"
    return ""


def as_text(result: dict[str, Any]) -> str:
    lines = []
    for key, value in result.items():
        if isinstance(value, list | tuple):
            lines += [str(item) for item in value]
        elif not isinstance(value, dict):
            lines.append(f"{key.replace('_', ' ')}: {value}")
    return "\n".join(lines)


def write_bug_report(arguments: Sequence[str]) -> Path:
    """Write the current traceback to a file in the temporary folder and give its path."""
    path = Path(tempfile.gettempdir()) / f"hyoid-bug-{os.getpid()}.txt"
    text = f"hyoid {' '.join(arguments)}\n\n{traceback.format_exc()}"
    path.write_text(text, encoding="utf-8", errors="backslashreplace")  # a word may be no text
    return path
