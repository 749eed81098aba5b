# SPDX-License-Identifier: GPL-3.0-or-later
"""Which curve of a take drives which shape key, told from the names of the keys alone.

A name that could mean two things, or two names that mean the same, are left out and listed: a wrong row is worse than
a missing one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from . import shape_names
from .shape_names import Slot, squeeze

_NUMBERED = re.compile(r"\.\d{3}$")
_BREAK = re.compile(r"__|[.:|_\s\-]")
_DECORATION = re.compile(
    r"(blend ?shapes?|bs|shp|shapes?|keys?|morphs?|targets?|arkit|expressions?|exp|ctrl|control|face|facial|head|mesh"
    r"|body|avatar|geo|model|lod|fcl|mth|eye|m|f|v|vrc|visemes?|vis|mouth|phonemes?|lipsync)*\d*"
)
_REFUSED = re.compile(r"(fix|corr|corrective|combo|inbetween|neg|negative|old|backup|copy|asym|not|no|inv|inverse)\d*")
_ENOUGH = 3
"""So many names that share a prefix make it one; fewer need a prefix that says nothing else."""


@dataclass(frozen=True)
class Row:
    """One line of a shape map: ``target`` gets ``factor`` times the value of ``source``."""

    source: str
    target: str
    factor: float = 1.0


@dataclass(frozen=True)
class Guess:
    """What the names of shape keys told.

    Attributes:
        rows: the map. conventions: the naming schemes found, the most used first.
        unmatched: names that mean nothing here. superseded: names understood, but another key does the same already.
        ambiguous: names that mean the same as another one, or that several schemes read differently.
    """

    rows: tuple[Row, ...] = ()
    conventions: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()


@dataclass
class _State:
    left: list[str]
    rows: list[Row] = field(default_factory=list)
    conventions: dict[str, int] = field(default_factory=dict)
    superseded: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    served: set[str] = field(default_factory=set)


def guess(names: Iterable[str]) -> Guess:
    """The shape map of a mesh whose keys have these names (the basis left out)."""
    state = _State(list(dict.fromkeys(names)))
    order = {name: index for index, name in enumerate(state.left)}
    for convention, table in shape_names.FACES.items():
        _take_table(state, convention, table)
    letters = shape_names.letters(state.left, _prefixed)
    if len(letters) > 1:
        # The same letters read as vowels or as mouth shapes of a cartoon: nobody can tell from the names.
        state.ambiguous += sorted(
            {name for found in letters.values() for name in found.values()}, key=order.__getitem__
        )
    for convention, found in letters.items():
        if len(letters) == 1:
            _take_visemes(state, convention, found)
    handled = {row.target for row in state.rows} | {*state.superseded, *state.ambiguous}
    unmatched = [name for name in order if name not in handled]
    state.rows.sort(key=lambda row: order[row.target])
    conventions = sorted(state.conventions, key=lambda name: -state.conventions[name])
    return Guess(
        tuple(state.rows), tuple(conventions), tuple(unmatched), tuple(state.superseded),
        tuple(dict.fromkeys(state.ambiguous)),
    )  # fmt: skip


def guess_shapes(names: Iterable[str]) -> tuple[Row, ...]:
    """The rows of :func:`guess`."""
    return guess(names).rows


def missing(rows: Iterable[Row]) -> tuple[str, ...]:
    """The ARKit curves that no row uses, in ARKit's alphabetical order."""
    used = {row.source for row in rows}
    return tuple(name for name in shape_names.ARKIT if name not in used)


def _take_table(state: _State, convention: str, table: dict[str, Slot]) -> None:
    """Move the names that a table knows from ``left`` to rows, unless their curves have a key already."""
    found: dict[str, dict[str, int]] = {}
    for name, (slot, rank) in _matches(state.left, table).items():
        found.setdefault(slot, {})[name] = rank
    # A key for one side stands for nothing when the other side is not there.
    halves = {slot: entry for slot, entry in found.items() if _whole(table, slot, found)}
    served: set[str] = set()
    for slot, candidates in halves.items():
        best = min(candidates.values())
        chosen = [name for name, rank in candidates.items() if rank == best]
        sources = table[slot].sources
        if any(source in state.served for source, _ in sources):
            state.superseded += candidates
        elif len(chosen) > 1:
            state.ambiguous += candidates
            served |= {source for source, _ in sources}
        else:
            state.rows += [Row(source, chosen[0], factor) for source, factor in sources]
            state.superseded += [name for name in candidates if name != chosen[0]]
            state.conventions[convention] = state.conventions.get(convention, 0) + 1
            served |= {source for source, _ in sources}
        state.left = [name for name in state.left if name not in candidates]
    state.served |= served


def _whole(table: dict[str, Slot], slot: str, found: dict[str, dict[str, int]]) -> bool:
    return all(other in found for other in table[slot].needs)


def _take_visemes(state: _State, convention: str, found: dict[str, str]) -> None:
    """Rows for mouth shapes of speech, unless the ARKit mouth is there: both together would move it twice."""
    speech = {row.source for row in state.rows} & shape_names.ARTICULATION
    if len(speech) >= shape_names.ARTICULATION_ENOUGH:
        state.superseded += found.values()
        return
    dropped = [row.target for row in state.rows if row.source in shape_names.ARTICULATION]
    state.rows = [row for row in state.rows if row.target not in dropped]
    state.superseded += dict.fromkeys(dropped)
    state.rows += [Row(source, name) for source, name in found.items()]
    state.conventions[convention] = len(found)


def _matches(names: Sequence[str], table: dict[str, Slot]) -> dict[str, tuple[str, int]]:
    """For each name that the table knows: its slot, and a rank (0 = spelled exactly so, higher = less sure)."""
    spellings = {spelling: slot for slot, entry in table.items() for spelling in entry.spellings}
    return {
        name: (spellings[core], (rank if name != spellings[core] else -1))
        for name, (core, rank) in _prefixed(names, spellings).items()
    }


def _prefixed(names: Sequence[str], known: Iterable[str]) -> dict[str, tuple[str, int]]:
    """For each name that ends in a known spelling: that spelling, and a rank that counts what had to be cut off.

    What stands before it must be a mere decoration (``blendShape1.``, ``head_lod0_mesh__``) or be shared by several of
    the names, and must not itself be a known shape: ``jawOpen_mouthClose`` is a correction of both.
    """
    known = set(known)
    whole: dict[str, tuple[str, int]] = {}
    cut: dict[str, list[tuple[str, str, int]]] = {}
    spaces: set[str] = set()
    for name in names:
        plain = _NUMBERED.sub("", name)
        extra = 4 if plain != name else 0
        if squeeze(plain) in known:
            whole[name] = squeeze(plain), extra
            continue
        for place in _BREAK.finditer(plain):
            core = squeeze(plain[place.end() :])
            if core in known:
                prefix = plain[: place.start()].lower()
                cut.setdefault(prefix, []).append((name, core, extra + 2))
                if place.group() in ".:|":
                    spaces.add(prefix)
                break
    allowed = {prefix for prefix in cut if not _means_something(prefix, known)}
    for prefix in allowed:
        rows = cut[prefix]
        if len({core for _, core, _ in rows}) >= _ENOUGH or prefix in spaces or _decoration(prefix):
            whole |= {name: (core, rank) for name, core, rank in rows if name not in whole}
    return whole


def _means_something(prefix: str, known: set[str]) -> bool:
    """Whether what stands before a known name is a shape of its own or turns the meaning round."""
    words = [word for word in _BREAK.split(prefix) if word]
    if any(_REFUSED.fullmatch(word) for word in words):
        return True
    # Single letters are too short to be a shape in a prefix (the "M" and "F" of "Face.M_F00_000_00").
    pieces = {
        squeeze("".join(words[start:stop])) for start in range(len(words)) for stop in range(start + 1, len(words) + 1)
    }
    return any(len(piece) > 2 and piece in shape_names.ANY for piece in pieces | (pieces & known))


def _decoration(prefix: str) -> bool:
    return all(_DECORATION.fullmatch(word) or word.isdigit() for word in _BREAK.split(prefix.lower()) if word)
