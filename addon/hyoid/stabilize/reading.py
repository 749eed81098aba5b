# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh is read in small steps by a timer, so that Blender stays usable; one at a time, and it can be cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import bpy

from ..jobs import places

_PAUSE = 0.02
"""Seconds between two steps, in which Blender draws and listens."""


@dataclass
class Reading:
    """What is being read; plain values, nothing of Blender.

    Attributes:
        frames: how many there are. done: how many are written. work: gives ``done`` after each step.
        then: called when all are written. dropped: called when it ends in another way.
    """

    label: str
    frames: int
    work: Iterator[int]
    then: Callable[[], None]
    dropped: Callable[[], None]
    done: int = 0
    error: str = ""


_now: list[Reading] = []
_failed: list[Reading] = []


def current() -> Reading | None:
    """What is being read now."""
    return _now[0] if _now else None


def failed() -> Reading | None:
    """What could not be read, until the next try."""
    return _failed[0] if _failed else None


def begin(reading: Reading, wait: bool) -> None:
    """Read, here and now with ``wait`` or in background mode, else by a timer.

    Raises:
        HyoidError, JobError: when waiting, what went wrong.
    """
    _failed.clear()
    if wait or bpy.app.background:
        try:
            for done in reading.work:
                reading.done = done
            reading.then()
        except BaseException:
            reading.dropped()
            raise
        return
    _now[:] = [reading]
    bpy.app.timers.register(_tick, first_interval=_PAUSE, persistent=True)


def cancel() -> None:
    """Read no further; what is written so far goes."""
    while _now:
        reading = _now.pop()
        _close(reading)
        reading.dropped()


def step() -> bool:
    """One step of what is being read; whether there is more to do."""
    reading = current()
    if reading is None:
        return False
    if places.is_busy():
        return True  # a render runs or something is being edited: at a later look
    try:
        reading.done = next(reading.work)
        return True
    except StopIteration:
        finish = reading.then
    except places.told_errors() as error:
        _fail(reading, str(error))
        return False
    try:
        finish()
    except places.told_errors() as error:
        _fail(reading, str(error))
    _now.clear()
    return False


def stop() -> None:
    """Cancel, and look no more: the add-on is switched off."""
    cancel()
    _failed.clear()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


@bpy.app.handlers.persistent
def another_file(*_: Any) -> None:
    """Another file is about to be loaded: what is being read is not in it."""
    cancel()


def percentage(_manager: Any) -> float:
    """How much is read, for Blenders without bars."""
    reading = current()
    return 100.0 * reading.done / max(reading.frames, 1) if reading else 0.0


def _tick() -> float | None:
    more = step()
    places.redraw()
    return _PAUSE if more else None


def _fail(reading: Reading, error: str) -> None:
    _now.clear()
    reading.error = error[:1].upper() + error[1:]
    _failed[:] = [reading]
    reading.dropped()
    places.tell_failure(reading.label, reading.error)


def _close(reading: Reading) -> None:
    close = getattr(reading.work, "close", None)
    if close is not None:
        close()
