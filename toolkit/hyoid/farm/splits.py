# SPDX-License-Identifier: Apache-2.0
"""Which verbs fall into chunks of frames, and how: each declares it in a module of its own beside the verb.

Such a module, ``verbs/VERB_chunks.py``, has three functions of a verb's job:

- ``extent(job) -> Extent``: how many frames there are, and where chunks may begin; cheap, it loads no network;
- ``work(job, first, end, target, report) -> dict``: frames ``first`` to ``end`` into the part ``target``, through
  ``files.part_file``; frames are those of the whole, and what is read beyond the ends (the halo) is the verb's affair;
  ``{"failed": [{"frame": 7, "error": "..."}]}`` tells frames that could not be used, where that is no reason to stop;
- ``finish(job, parts, report) -> dict``: all parts, in order, into the outputs; the result is that of ``run``.

``run(job, report)`` of the verb gives the same files, to the last bit: a part holds what the whole would have held for
its frames.
A verb without such a module is done whole: one shot is one task.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from hyoid.report import Report


@dataclass(frozen=True)
class Extent:
    """What can be cut into chunks.

    Attributes:
        frames: of the whole. grid: chunks begin at multiples of it. halo: frames that a chunk needs before and after
            its own to give the numbers of the whole. usual: frames of a chunk where nobody says otherwise.
    """

    frames: int
    grid: int = 1
    halo: int = 0
    usual: int = 500

    def chunks(self, size: int | None = None) -> list[tuple[int, int]]:
        """First frames and ends of chunks of ``size`` frames, rounded up to the grid; together they are the whole."""
        step = -(-max(size or self.usual, 1) // self.grid) * self.grid
        return [(first, min(first + step, self.frames)) for first in range(0, self.frames, step)] or [(0, 0)]


class Split(Protocol):
    """The functions of a module that splits a verb."""

    extent: Callable[[Any], Extent]
    work: Callable[[Any, int, int, Path, Report], dict[str, Any]]
    finish: Callable[[Any, Sequence[Path], Report], dict[str, Any]]


def split_of(verb: str) -> Split | None:
    """How a verb falls into chunks; None where it is done whole."""
    name = f"hyoid.verbs.{verb.replace(' ', '_')}_chunks"
    if importlib.util.find_spec(name) is None:
        return None
    return cast(Split, importlib.import_module(name))
