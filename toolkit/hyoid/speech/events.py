# SPDX-License-Identifier: Apache-2.0
"""The editable track of a talk: phones, words, visemes, blinks, gaze shifts, breaths and swallows as rows of a CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from hyoid.errors import InputError
from hyoid.files import write_bytes
from hyoid.speech import phones
from hyoid.speech.timing import Spoken
from hyoid.speech.visemes import TARGETS, Viseme
from hyoid.take import Event

COLUMNS = ("kind", "name", "start", "end", "strength")
KINDS = ("word", "phone", "viseme", "blink", "gaze", "breath", "swallow")
LONGEST_FILE = 200_000_000
STRONGEST = 4.0


def write(path: Path, events: Iterable[Event]) -> None:
    """Write events as CSV: one row each, seconds with four decimals.

    Raises:
        OutputError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for event in events:
        writer.writerow((event.kind, event.name, f"{event.start:.4f}", f"{event.end:.4f}", f"{event.strength:g}"))
    write_bytes(Path(path), text.getvalue().encode())


def read(path: str | Path) -> tuple[Event, ...]:
    """Read events from CSV; columns in any order, ``strength`` may be missing (1).

    Raises:
        InputError: not there, not a table of events, or a row that makes no sense (the line is named).
    """
    path = Path(path)
    expected = f"a CSV table with the columns {', '.join(COLUMNS)}"
    if not path.is_file():
        raise InputError("is a folder" if path.is_dir() else "no such file", path=path, expected=expected)
    if path.stat().st_size > LONGEST_FILE:
        raise InputError(f"is {path.stat().st_size} bytes long", path=path, expected=expected)
    try:
        text = path.read_text(encoding="utf-8-sig")
        delimiter = ";" if text.count(";") > text.count(",") else ","
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("is not a CSV table", path=path, expected=expected) from error
    missing = {"kind", "name", "start", "end"} - set(
        rows[0] if rows else text.splitlines()[0].split(delimiter) if text else ()
    )
    if missing:
        raise InputError(f"has no column '{sorted(missing)[0]}'", path=path, expected=expected)
    events = [_event(path, line, row) for line, row in enumerate(rows, 2) if any(row.values())]
    return tuple(sorted(events, key=lambda event: (event.start, KINDS.index(event.kind), event.end)))


def _event(path: Path, line: int, row: dict[str, str | None]) -> Event:
    kind, name = (row.get("kind") or "").strip().lower(), (row.get("name") or "").strip()
    if kind not in KINDS:
        raise InputError(f"line {line} has the kind '{kind}'", path=path, expected=" or ".join(KINDS))
    try:
        start, end = float(row.get("start") or "x"), float(row.get("end") or "x")
        strength = float(row.get("strength") or 1)
    except ValueError:
        what = f"line {line} has times or a strength that are no numbers"
        raise InputError(what, path=path, expected="seconds with a decimal point") from None
    if not all(map(math.isfinite, (start, end, strength))) or start < 0 or end <= start:
        raise InputError(f"line {line} lasts from {start:g} to {end:g} s", path=path, expected="an end after the start")
    if not 0 <= strength <= STRONGEST:
        raise InputError(f"line {line} has the strength {strength:g}", path=path, expected=f"0 to {STRONGEST:g}")
    if kind == "phone" and name.upper() not in phones.NAMES:
        raise InputError(f"line {line} has the phone '{name}'", path=path, expected=", ".join(sorted(phones.NAMES)))
    if kind == "viseme" and name.upper() not in TARGETS:
        raise InputError(f"line {line} has the viseme '{name}'", path=path, expected=", ".join(TARGETS))
    return Event(kind, name.upper() if kind in ("phone", "viseme") else name, start, end, strength)


def of_speech(spoken: Sequence[Spoken], words: Sequence[Spoken], track: Sequence[Viseme]) -> list[Event]:
    """Events of words, phones and visemes."""
    return [
        *(Event("word", word.name, word.start, word.end) for word in words),
        *(Event("phone", phone.name, phone.start, phone.end) for phone in spoken),
        *(Event("viseme", viseme.name, viseme.start, viseme.end, viseme.strength) for viseme in track),
    ]


def to_phones(events: Sequence[Event], seconds: float) -> tuple[Spoken, ...]:
    """The phone track in events; a later phone begins where an earlier one is still going on."""
    rows = sorted((event for event in events if event.kind == "phone"), key=lambda event: event.start)
    result = []
    for number, row in enumerate(rows):
        following = rows[number + 1].start if number + 1 < len(rows) else seconds
        end = min(row.end, max(following, row.start), seconds)
        if end > row.start:
            result.append(Spoken(row.name, row.start, end, -1, row.strength))
    return tuple(result)


def to_visemes(events: Sequence[Event], seconds: float) -> list[Viseme]:
    """What the mouth follows: the viseme events, with the phone behind each where one of its class lies.

    Without viseme events they are made from the phones, with the strengths of the phones.
    """
    spoken = to_phones(events, seconds)
    rows = sorted((event for event in events if event.kind == "viseme"), key=lambda event: event.start)
    if not rows:
        return _made_from(spoken)
    result: list[Viseme] = []
    at = 0
    for number, row in enumerate(rows):
        following = rows[number + 1].start if number + 1 < len(rows) else seconds
        end = min(row.end, max(following, row.start), seconds)
        if end <= row.start:
            continue
        middle = (row.start + end) / 2
        while at < len(spoken) and spoken[at].end <= middle:
            at += 1
        behind = spoken[at].name if at < len(spoken) and spoken[at].start <= middle else ""
        if behind not in phones.DIPHTHONGS and phones.CLASS.get(behind) != row.name:
            behind = ""
        result.append(Viseme(row.name, row.start, end, row.strength, behind))
    return result


def _made_from(spoken: Sequence[Spoken]) -> list[Viseme]:
    from hyoid.speech import visemes

    result = []
    for phone in spoken:
        for viseme in visemes.from_phones([phone]):
            result.append(Viseme(viseme.name, viseme.start, viseme.end, phone.confidence, viseme.phone))
    return result
