# SPDX-License-Identifier: Apache-2.0
"""Networks and child processes that stay between jobs of a process: a worker holds them, a single command does not."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar


class Closable(Protocol):
    """What must be closed when nobody needs it any more."""

    def close(self) -> None: ...


_Loaded = TypeVar("_Loaded")
_Lent = TypeVar("_Lent", bound=Closable)
_Held = OrderedDict[Hashable, tuple[Any, Callable[[], None] | None]]  # things, and what closes those that are lent
_MOST = 8  # things that are held at once
_held: _Held | None = None
_work: Hashable = None  # what is done now, see begin


@contextlib.contextmanager
def holding() -> Iterator[None]:
    """Within it, :func:`load` and :func:`lent` keep what they load."""
    global _held, _work
    before = _held, _work
    own: _Held = OrderedDict()
    _held, _work = own, None
    try:
        yield
    finally:
        _held, _work = before
        _drop(own, list(own))


def begin(work: Hashable) -> None:
    """Say what is done next; where that is other work than before, what was lent is dropped, for its memory."""
    global _work
    if _held is not None and work != _work:
        _drop(_held, [key for key, (_, close) in _held.items() if close is not None])
    _work = work


def load(loader: Callable[..., _Loaded], *arguments: Hashable, **named: Hashable) -> _Loaded:
    """``loader(*arguments, **named)``; within :func:`holding` the one of before, where all arguments are the same.

    A path stands for the file as it is now: one that was changed is loaded again.
    """
    if _held is None:
        return loader(*arguments, **named)
    key = _key(loader, *arguments, **named)
    if key not in _held:
        _make_room(_held)
        _held[key] = loader(*arguments, **named), None
    _held.move_to_end(key)
    return _held[key][0]


@contextlib.contextmanager
def lent(loader: Callable[..., _Lent], *arguments: Hashable, **named: Hashable) -> Iterator[_Lent]:
    """What :func:`load` would give, for one user at a time: nobody else gets it within, and it is not dropped.

    It is closed when it is dropped, and where nothing is held or an error leaves the context, at once.
    """
    key = _key(loader, *arguments, **named)
    known = None if _held is None else _held.pop(key, None)
    thing = loader(*arguments, **named) if known is None else known[0]
    try:
        yield thing
    except BaseException:
        thing.close()
        raise
    if _held is None or key in _held:
        thing.close()
        return
    _make_room(_held)
    _held[key] = thing, thing.close


def _make_room(things: _Held) -> None:
    """For one more, by dropping those that were used longest ago."""
    _drop(things, list(things)[: max(len(things) + 1 - _MOST, 0)])


def _drop(things: _Held, keys: Sequence[Hashable]) -> None:
    for key in keys:
        _, close = things.pop(key)
        if close is not None:
            close()


def _key(loader: Callable[..., Any], *arguments: Hashable, **named: Hashable) -> Hashable:
    return loader, *map(_state, arguments), *((name, _state(value)) for name, value in sorted(named.items()))


def _state(argument: Hashable) -> Hashable:
    if isinstance(argument, Path) and argument.is_file():
        facts = argument.stat()
        return argument, facts.st_size, facts.st_mtime_ns
    return argument
