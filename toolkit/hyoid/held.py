# SPDX-License-Identifier: Apache-2.0
"""Networks that stay loaded between jobs of one process: a worker holds them, a single command does not."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, TypeVar

_Loaded = TypeVar("_Loaded")
_MOST = 8  # networks that are held at once
_held: OrderedDict[Hashable, Any] | None = None


@contextlib.contextmanager
def holding() -> Iterator[None]:
    """Within it, :func:`load` keeps what it loads."""
    global _held
    before, _held = _held, OrderedDict()
    try:
        yield
    finally:
        _held = before


def load(loader: Callable[..., _Loaded], *arguments: Hashable, **named: Hashable) -> _Loaded:
    """``loader(*arguments, **named)``; within :func:`holding` the one of before, where all arguments are the same.

    A path stands for the file as it is now: one that was changed is loaded again.
    """
    if _held is None:
        return loader(*arguments, **named)
    key = (loader, *map(_state, arguments), *((name, _state(value)) for name, value in sorted(named.items())))
    if key not in _held:
        while len(_held) >= _MOST:
            _held.popitem(last=False)
        _held[key] = loader(*arguments, **named)
    _held.move_to_end(key)
    return _held[key]


def _state(argument: Hashable) -> Hashable:
    if isinstance(argument, Path) and argument.is_file():
        facts = argument.stat()
        return argument, facts.st_size, facts.st_mtime_ns
    return argument
