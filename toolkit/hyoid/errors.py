# SPDX-License-Identifier: Apache-2.0
"""Typed errors: each knows its exit code and says in one line what was found, where, what was expected, what to do."""

from __future__ import annotations

from pathlib import Path


class HyoidError(Exception):
    """An error that a user can act on.

    Args:
        found: what was found, a clause without a final full stop.
        path: the file, folder or option that it is about.
        expected: what would have been right, a noun phrase.
        hint: what to do, a sentence without a final full stop.
    """

    exit_code = 1

    def __init__(
        self, found: str, *, path: str | Path | None = None, expected: str | None = None, hint: str | None = None
    ) -> None:
        self.found, self.expected, self.hint = found, expected, hint
        self.path = None if path is None else str(path)
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.path}: {self.found}" if self.path else self.found
        if self.expected:
            text += f"; expected {self.expected}"
        if self.hint:
            text += f". {self.hint}"
        return " ".join(text.split())

    def __reduce__(self):
        # Worker processes send errors home; the default recipe would drop the keyword fields.
        return (_rebuild, (type(self), self.found, self.path, self.expected, self.hint))


def _rebuild(
    kind: type[HyoidError], found: str, path: str | None, expected: str | None, hint: str | None
) -> HyoidError:
    return kind(found, path=path, expected=expected, hint=hint)


class UsageError(HyoidError):
    """The command, an option or a job file is wrong."""

    exit_code = 2


class InputError(HyoidError):
    """A file that was given cannot be used."""

    exit_code = 3


class WeightsError(HyoidError):
    """Weights are missing, wrong or refused."""

    exit_code = 4


class OutOfMemoryError(HyoidError):
    """The work does not fit in memory."""

    exit_code = 5


class OutputError(HyoidError):
    """A result cannot be written."""

    exit_code = 6


class PartialError(HyoidError):
    """The work is done, but some frames failed."""

    exit_code = 7


class TimeLimitError(HyoidError):
    """A time limit was reached."""

    exit_code = 8


class MissingToolError(HyoidError):
    """Something that this machine lacks (GL, bpy, a system library); the hint names the command that brings it.

    It shares exit code 6: the result that was asked for cannot be written on this machine.
    """

    exit_code = 6


class Cancelled(KeyboardInterrupt):
    """SIGINT or SIGTERM arrived. Not an Exception, so that no handler swallows it."""

    exit_code = 130
