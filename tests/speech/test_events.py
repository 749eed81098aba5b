# SPDX-License-Identifier: Apache-2.0
"""The event track goes out as CSV, comes back, and what an artist changed in it is what is performed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.speech import events, solve
from hyoid.take import Event


def test_out_and_back(tmp_path, take):
    events.write(tmp_path / "a.csv", take.events)
    back = events.read(tmp_path / "a.csv")
    assert [(e.kind, e.name) for e in back] == [(e.kind, e.name) for e in take.events]
    assert max(abs(a.start - b.start) for a, b in zip(back, take.events, strict=True)) <= 5e-5


def test_an_unedited_track_gives_the_same_performance(tmp_path, take, voice):
    """To the last bit: the track holds everything that the mouth and the acts follow."""
    events.write(tmp_path / "a.csv", take.events)
    again = solve(voice, events=tmp_path / "a.csv")
    assert again.mode == "edited events"
    assert np.array_equal(again.curves, take.curves)
    assert np.array_equal(again.rotations, take.rotations)
    assert [(e.kind, e.name) for e in again.events] == [(e.kind, e.name) for e in take.events]


def edited(tmp_path, take, change):
    rows = [row for event in take.events if (row := change(event)) is not None]
    events.write(tmp_path / "edited.csv", rows)
    return tmp_path / "edited.csv"


def test_a_dragged_viseme_moves_the_closure_and_nothing_far_away(tmp_path, take, voice):
    """The M of 'my' dragged 0.1 s earlier: the lips close there, the rest of the take stays."""
    moved = next(e for e in take.events if e.kind == "viseme" and e.name == "PBM")

    def change(event: Event) -> Event:
        if event == moved:
            return dataclasses.replace(event, start=event.start - 0.1, end=event.end - 0.1)
        if event.kind == "viseme" and abs(event.end - moved.start) < 1e-6:
            return dataclasses.replace(event, end=event.end - 0.1)
        if event.kind == "viseme" and abs(event.start - moved.end) < 1e-6:
            return dataclasses.replace(event, start=event.start - 0.1)
        return event

    again = solve(voice, events=edited(tmp_path, take, change))
    times = np.arange(take.frames) / take.fps
    closed = times[again.curve("mouthPressLeft") > 0.35]
    assert np.abs(closed - (moved.start - 0.06)).min() < 0.04
    far = np.abs(times - moved.start) > 0.6
    assert np.abs(again.curves - take.curves)[far].max() < 0.05


def test_deleted_and_added_blinks_and_swallows_are_kept(tmp_path, take, voice):
    track = edited(tmp_path, take, lambda event: None if event.kind in ("blink", "swallow") else event)
    with open(track, "a") as stream:
        stream.write("blink,blink,9.0,9.16,1\nswallow,swallow,2.3,3.0,0.8\n")
    again = solve(voice, events=track)
    times = np.arange(again.frames) / again.fps
    assert again.curve("eyeBlinkLeft")[np.abs(times - 9.08) < 0.05].max() > 0.99
    assert again.curve("eyeBlinkLeft")[np.abs(times - 9.08) > 0.15].max() == 0
    assert 10 < again.curve("larynxHeight")[(times > 2.3) & (times < 3.0)].max() < 15
    assert again.curve("swallow")[times > 3.1].max() == 0


def test_strength_scales_a_viseme_and_zero_leaves_it_out(tmp_path, take, voice):
    wide = next(e for e in take.events if e.kind == "viseme" and e.name == "AA" and e.start > 4)  # 'not'
    jaws = []
    for strength in (0.5, 1.3):
        change = lambda event, s=strength: dataclasses.replace(event, strength=s) if event == wide else event  # noqa: E731
        again = solve(voice, events=edited(tmp_path, take, change))
        jaws.append(again.curve("jawOpen")[int(wide.start * 30) : int(wide.end * 30)].max())
    assert jaws[1] > 1.5 * jaws[0]
    change = lambda event: dataclasses.replace(event, strength=0) if event.name == "PBM" else event  # noqa: E731
    open_lips = solve(voice, events=edited(tmp_path, take, change))
    assert open_lips.curve("mouthPressLeft").max() < 0.2


def test_phones_alone_are_enough(tmp_path, take, voice):
    """An artist who prefers phones deletes the viseme rows."""
    track = edited(tmp_path, take, lambda event: None if event.kind == "viseme" else event)
    assert np.abs(solve(voice, events=track).curves - take.curves).mean() < 1e-3


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("phone,QQ,0,1,1", "line 2 has the phone 'QQ'"),
        ("viseme,XX,0,1,1", "line 2 has the viseme"),
        ("sneeze,a,0,1,1", "line 2 has the kind"),
        ("blink,blink,1,1,1", "line 2 lasts"),
        ("blink,blink,nan,2,1", "line 2 lasts"),
        ("blink,blink,one,2,1", "line 2 has times"),
        ("blink,blink,1,2,-1", "line 2 has the strength"),
        ("blink,blink,100,101,1", "after the end of the sound"),
    ],
)
def test_rows_that_make_no_sense_are_named(tmp_path, voice, row, words):
    (tmp_path / "a.csv").write_text("kind,name,start,end,strength\n" + row + "\n")
    with pytest.raises(InputError, match=words):
        solve(voice, events=tmp_path / "a.csv")


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe\x00", b"kind;name;start\na;b;1\n"])
def test_files_that_are_no_track(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError):
        events.read(tmp_path / "a.csv")


def test_semicolons_of_european_spreadsheets(tmp_path):
    (tmp_path / "a.csv").write_text("kind;name;start;end\nblink;blink;1.0;1.2\n")
    assert events.read(tmp_path / "a.csv") == (Event("blink", "blink", 1.0, 1.2, 1.0),)
