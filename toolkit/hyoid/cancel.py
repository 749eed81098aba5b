# SPDX-License-Identifier: Apache-2.0
"""Cancelling a command: signals become :class:`Cancelled`, and what came of one is never taken for a failure."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from typing import NoReturn

from hyoid.errors import Cancelled

_SECONDS_TO_CLEAN_UP = 3.0
_SECONDS_TO_HEAR = 0.5
_SECONDS_TO_AGAIN = 0.02
_heard = threading.Event()  # somebody asked for the end of the command that runs
_raised: list[weakref.ref[Cancelled]] = []  # the last one, while a command runs


@contextlib.contextmanager
def signals() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into :class:`Cancelled`, so that every ``finally`` runs; a second one ends at once.

    An error that is raised while a library of another language calls Python may be dropped there. One that is gone
    before this context has ended was not heeded, and is raised again. Such a library may also tell it as an error of
    its own, see :func:`told`.

    Raises:
        Cancelled: a signal came.
    """

    def cancel(number: int, frame: object) -> None:
        if _raised and _raised[0]() is not None:
            os._exit(Cancelled.exit_code)
        _heard.set()
        _raise(number)

    _heard.clear()
    before = {number: signal.signal(number, cancel) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with told():
            yield
    finally:
        _raised.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Errors after a signal are of its making, whatever they say: they become :class:`Cancelled`.

    Raises:
        Cancelled: there was an error, and a signal before it.
    """
    try:
        yield
    except Exception as error:
        if _raised:
            _raise(signal.SIGTERM, error)
        raise


def _raise(number: int, cause: Exception | None = None) -> NoReturn:
    """Raise :class:`Cancelled`, and see that it comes again if nobody heeds it."""
    error = Cancelled(signal.Signals(number).name)
    _raised[:] = [weakref.ref(error, lambda one: _again(number, one))]
    try:
        raise error from cause
    finally:
        del error  # its traceback knows this frame: it would keep itself alive


def _again(number: int, dropped: weakref.ref[Cancelled]) -> None:
    def send() -> None:
        if _raised and _raised[0] is dropped:  # nothing was raised in its place
            _send_to_main_thread(number)

    threading.Timer(_SECONDS_TO_AGAIN, send).start()  # later: what is raised in here is dropped too


def end_with_stdin() -> None:
    """Cancel this command when standard input reaches its end, which a pipe does when its owner dies, however it dies.

    The work gets three seconds to clean up; a library that does not come back to Python by then is left behind.
    """

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):  # closed by ourselves at the end, or never open
            while os.read(0, 4096):
                pass
        main_thread()

    threading.Thread(target=watch, name="end-with-stdin", daemon=True).start()


def main_thread() -> None:
    """From another thread: cancel what the main thread does, and end the process if that takes more than 3 seconds."""
    end = time.monotonic() + _SECONDS_TO_CLEAN_UP
    while time.monotonic() < end:
        if not _heard.is_set():  # also where it came just before a system call that waits, which it did not end
            _send_to_main_thread(signal.SIGTERM)
        time.sleep(_SECONDS_TO_HEAR)
    os._exit(Cancelled.exit_code)


def _send_to_main_thread(number: int) -> None:
    """Aimed at the main thread, so that a system call that waits there ends too."""
    if os.name == "nt":
        import _thread

        _thread.interrupt_main(number)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, number)
