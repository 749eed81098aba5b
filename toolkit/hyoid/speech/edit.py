# SPDX-License-Identifier: Apache-2.0
"""An artist's changes to the phones of a talk as an event track: nothing but what they touch is different.

Needs neither SciPy nor a recogniser: the Blender add-on carries it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hyoid.speech import phones as tables
from hyoid.speech import visemes
from hyoid.take import Event

SHORTEST = 0.02
"""Seconds that a phone lasts at least, when its neighbour was pushed onto it."""
BEFORE, AFTER = 0.25, 0.25
"""Seconds before and after a changed phone in which the solved mouth differs: lead, smoothing and ramps of contact."""
PAUSE_TAIL = 1.6
"""Seconds after the start of a pause in which the mouth still comes to rest."""
MOUTH = (
    "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "tongueOut",
    *(name + side for name in ("mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp")
      for side in ("Left", "Right")),
)  # fmt: skip
"""The curves that phones move: jaw, lips and tongue."""
_NAMES = {"SILENCE": "SIL", "PAUSE": "SIL", "-": "SIL", "_": "SIL"}
_CLOSE = 5e-4
_TOUCHING = 1e-3
_WHOLE = frozenset(tables.DIPHTHONGS) | {
    phone for phone, name in tables.CLASS.items() if name in ("PBM", "FV", "SZ", "SH")
}
"""Phones whose shape depends on how long they last: two targets, or a contact that is held for a share of them."""


@dataclass(frozen=True)
class Phone:
    """A phone as an artist sets it: its name, the second at which it starts, its strength, the word it belongs to.

    ``word`` is the number of the word among the track's words, or -1.
    """

    name: str
    start: float
    strength: float = 1.0
    word: int = -1


def phone_name(text: str) -> str | None:
    """The phone that a text means (``m``, ``AH0``, ``pause``), or None when there is no such phone."""
    name = text.strip().upper()
    name = _NAMES.get(name, name).rstrip("012")
    return name if name in tables.NAMES else None


def phones_of(events: Iterable[Event]) -> list[Phone]:
    """The phones of a track in order, each with its word."""
    events = list(events)
    words = sorted((event for event in events if event.kind == "word"), key=lambda event: event.start)
    spoken = sorted((event for event in events if event.kind == "phone"), key=lambda event: event.start)
    result: list[Phone] = []
    at = 0
    for event in spoken:
        middle = (event.start + event.end) / 2
        while at < len(words) and words[at].end <= middle:
            at += 1
        inside = at < len(words) and words[at].start <= middle and event.name != "SIL"
        result.append(Phone(event.name, event.start, event.strength, at if inside else -1))
    return result


def with_phones(events: Sequence[Event], phones: Sequence[Phone], seconds: float) -> list[Event]:
    """The track with its phones as given, each lasting until the next; pauses fill what lies before the first.

    Visemes that belong to unchanged phones stay as they are, also where an artist edited them; the others are made
    anew. Words follow their phones. Everything else (blinks, gaze, breaths, swallows) stays.

    Args:
        events: the track that the take was solved from. phones: what it shall hold, in any order.
        seconds: the length of the sound (:func:`length` of the track).
    """
    old = [event for event in events if event.kind == "phone"]
    new, kept_words = _spread(phones, seconds)
    same = _unchanged(old, new)
    words = sorted((event for event in events if event.kind == "word"), key=lambda event: event.start)
    others = [event for event in events if event.kind not in ("phone", "viseme", "word")]
    track = [event for event in events if event.kind == "viseme"]
    result = [*others, *new, *_words(words, new, kept_words)]
    if track:
        result += _visemes(track, old, new, same)
    return sorted(result, key=lambda event: (event.start, event.kind, event.end))


def length(events: Iterable[Event]) -> float:
    """The second at which the last phone ends: the length of the sound, which a take may exceed by part of a frame."""
    return max((event.end for event in events if event.kind == "phone"), default=0.0)


def changed_ranges(before: Sequence[Event], after: Sequence[Event], seconds: float) -> list[tuple[float, float]]:
    """The pieces of time, in seconds, in which a mouth solved from ``after`` differs from one solved from ``before``.

    They are those of the phones that differ, widened by what the solver looks at around them, and joined where they
    meet.
    """
    first = [event for event in before if event.kind == "phone"]
    second = [event for event in after if event.kind == "phone"]
    pieces: list[tuple[float, float]] = []
    for mine, others in ((first, set(map(_key, second))), (second, set(map(_key, first)))):
        starts = {(key[0], key[1], key[3]) for key in others}
        for event in mine:
            if _key(event) in others:
                continue
            if (_key(event)[0], _key(event)[1], _key(event)[3]) in starts and event.name not in _WHOLE:
                pieces.append((event.end - BEFORE, event.end + AFTER))  # it only ends sooner or later
            elif event.name == "SIL":
                pieces.append((event.start - BEFORE, min(event.end, event.start + PAUSE_TAIL) + AFTER))
                pieces.append((event.end - BEFORE, event.end + AFTER))
            else:
                pieces.append((event.start - BEFORE, event.end + AFTER))
    joined: list[tuple[float, float]] = []
    for start, end in sorted(pieces):
        start, end = max(start, 0.0), min(end, seconds)
        if joined and start <= joined[-1][1] + BEFORE:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        elif end > start:
            joined.append((start, end))
    return joined


def _key(event: Event) -> tuple[str, int, int, float]:
    """What makes two phones the same: name, start and end to 0.5 ms, strength."""
    return event.name, round(event.start / _CLOSE), round(event.end / _CLOSE), round(event.strength, 3)


def _spread(phones: Sequence[Phone], seconds: float) -> tuple[list[Event], list[int]]:
    """Phones one after the other without gaps, moved apart where one was put onto another; their words."""
    rows = sorted((phone for phone in phones if phone.start < seconds), key=lambda phone: phone.start)
    rows = [replace(phone, start=max(phone.start, 0.0)) for phone in rows]
    if not rows or rows[0].start > SHORTEST:
        rows.insert(0, Phone("SIL", 0.0))
    rows[0] = replace(rows[0], start=0.0)
    starts = [phone.start for phone in rows]
    for index in range(1, len(rows)):
        if starts[index] < starts[index - 1] + _TOUCHING:
            starts[index] = starts[index - 1] + SHORTEST
    limit = seconds
    for index in range(len(rows) - 1, 0, -1):
        if starts[index] > limit - _TOUCHING:
            starts[index] = limit - SHORTEST
        limit = starts[index]
    result, words = [], []
    for index, phone in enumerate(rows):
        end = starts[index + 1] if index + 1 < len(rows) else seconds
        if end <= starts[index] or starts[index] < 0:
            continue
        if phone.name == "SIL" and result and result[-1].name == "SIL":
            result[-1] = replace(result[-1], end=end)
            continue
        result.append(Event("phone", phone.name, starts[index], end, phone.strength))
        words.append(phone.word)
    return result, words


def _unchanged(old: Sequence[Event], new: Sequence[Event]) -> set[int]:
    """The numbers of the new phones that were there before, exactly so."""
    before = set(map(_key, old))
    return {number for number, event in enumerate(new) if _key(event) in before}


def _words(words: Sequence[Event], new: Sequence[Event], numbers: Sequence[int]) -> list[Event]:
    """The words with the times of their phones; a word that lost all of them is gone."""
    spans: dict[int, tuple[float, float]] = {}
    for event, number in zip(new, numbers, strict=True):
        if number >= 0:
            start, end = spans.get(number, (event.start, event.end))
            spans[number] = (min(start, event.start), max(end, event.end))
    return [
        replace(word, start=spans[number][0], end=spans[number][1])
        for number, word in enumerate(words)
        if number in spans
    ]


def _visemes(track: Sequence[Event], old: Sequence[Event], new: Sequence[Event], same: set[int]) -> list[Event]:
    """The viseme rows: those of unchanged phones as they were, those of the others made from the phones."""
    keys = {_key(new[number]) for number in same}
    dropped = [event for event in old if _key(event) not in keys]
    kept, at = [], 0
    for row in sorted(track, key=lambda event: event.start):
        while at < len(dropped) and dropped[at].end <= row.start + _CLOSE:
            at += 1
        if at == len(dropped) or dropped[at].start >= row.end - _CLOSE:
            kept.append(row)
    result, at = list(kept), 0
    for event in new:  # also an unchanged phone whose row reached over a changed one
        while at < len(kept) and kept[at].end <= event.start + _CLOSE:
            at += 1
        if at < len(kept) and kept[at].start < event.end - _CLOSE:
            continue
        for made in visemes.from_phones([event]):  # an event has what a spoken phone has: name, start and end
            result.append(Event("viseme", made.name, made.start, made.end, event.strength))
    return result
