# SPDX-License-Identifier: Apache-2.0
"""Sets of task numbers as farms write them: ``0-9``, ``3``, ``0-4,7``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hyoid.errors import UsageError

_PIECE = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?$", re.ASCII)


def read(text: str, count: int) -> list[int]:
    """The numbers that a text names, each once, in order.

    Args:
        count: how many there are; the last number is one less.

    Raises:
        UsageError: it is no such text, or names a number that is not there.
    """
    found: set[int] = set()
    for piece in text.split(","):
        match = _PIECE.match(piece)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise UsageError(f"'{text}' names no tasks", expected="numbers such as 0-9, 3 or 0-4,7")
        if last >= count:
            raise UsageError(f"there is no task {last}", expected=f"0 to {count - 1}" if count else "no tasks at all")
        found.update(range(first, last + 1))
    return sorted(found)


def text(numbers: Iterable[int]) -> str:
    """Numbers as a text that :func:`read` takes."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def of_groups(groups: Iterable[int], size: int, count: int) -> list[int]:
    """The numbers in groups of ``size``, where group 0 begins with number 0 and there are ``count`` numbers."""
    return [number for group in groups for number in range(group * size, min((group + 1) * size, count))]


def cut(numbers: Sequence[int], size: int) -> list[Sequence[int]]:
    """Numbers in pieces of ``size``."""
    return [numbers[first : first + size] for first in range(0, len(numbers), size)]
