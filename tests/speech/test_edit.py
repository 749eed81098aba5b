# SPDX-License-Identifier: Apache-2.0
"""An artist moves, deletes, adds and renames phones: the mouth follows there, and is the same to the bit elsewhere."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hyoid.errors import InputError, UsageError
from hyoid.speech import coarticulation, edit, events, prosody, solve, style


@pytest.fixture(scope="module")
def solved(tmp_path_factory, voice):
    def run(track, **options):
        path = tmp_path_factory.mktemp("edit") / "track.csv"
        events.write(path, track)
        return solve(voice, events=path, **options)

    return run


def test_the_table_of_mouth_curves_is_what_phones_move(take):
    measured = prosody.measure(np.zeros(16000, np.float32))
    made = coarticulation.mouth([], measured, 1.0, 30, np.arange(30) / 30, style.style())
    assert set(made) == set(edit.MOUTH)
    assert edit.length(take.events) == pytest.approx(take.audio.seconds, abs=1e-3)


def moved_m(take, seconds):
    """The phones with the first M begun later or earlier, and that M."""
    phones = edit.phones_of(take.events)
    number = next(number for number, phone in enumerate(phones) if phone.name == "M")
    before = phones[number]
    phones[number] = replace(before, start=before.start + seconds)
    return phones, before


def test_an_untouched_track_stays_as_it_is(take):
    again = edit.with_phones(take.events, edit.phones_of(take.events), take.audio.seconds)
    assert sorted(map(repr, again)) == sorted(map(repr, take.events))
    assert edit.changed_ranges(take.events, again, take.audio.seconds) == []


@pytest.mark.parametrize("seconds", [-0.15, -0.08, 0.04])
def test_a_moved_phone_changes_the_mouth_near_it_and_nothing_else(take, solved, seconds):
    phones, before = moved_m(take, seconds)
    track = edit.with_phones(take.events, phones, take.audio.seconds)
    ranges = edit.changed_ranges(take.events, track, take.audio.seconds)
    again = solved(track)
    times = np.arange(take.frames) / take.fps
    inside = np.zeros(take.frames, bool)
    for start, end in ranges:
        inside |= (times >= start) & (times <= end)
    assert 0 < inside.sum() < 1.2 * take.fps  # three short phones and what surrounds them
    assert np.array_equal(again.curves[~inside][:, :52], take.curves[~inside][:, :52])
    other = [index for index, name in enumerate(take.curve_names[:52]) if name not in edit.MOUTH]
    assert np.array_equal(again.curves[:, other], take.curves[:, other])
    assert np.array_equal(again.rotations, take.rotations)
    closed = times[again.curve("mouthPressLeft") > 0.35]
    assert np.abs(closed - (before.start + seconds + 0.02)).min() < 0.05


def test_a_deleted_pause_changes_all_of_its_time(take, solved):
    phones = edit.phones_of(take.events)
    pause = next(number for number, phone in enumerate(phones) if phone.name == "SIL" and phone.start > 1)
    length = phones[pause + 1].start - phones[pause].start
    assert length > 0.3  # the president takes his time
    track = edit.with_phones(take.events, phones[:pause] + phones[pause + 1 :], take.audio.seconds)
    (start, end), *more = edit.changed_ranges(take.events, track, take.audio.seconds)
    assert not more
    times = np.arange(take.frames) / take.fps
    outside = (times < start) | (times > end)
    again = solved(track)
    assert np.array_equal(again.curves[outside][:, :52], take.curves[outside][:, :52])


def test_deleted_added_and_renamed_phones(take, solved):
    phones, before = moved_m(take, 0.0)
    number = phones.index(before)
    seconds = take.audio.seconds
    without = edit.with_phones(take.events, phones[:number] + phones[number + 1 :], seconds)
    listed = [event for event in without if event.kind == "phone"]
    assert len(listed) == len(phones) - 1
    assert all(a.end == pytest.approx(b.start) for a, b in itertools.pairwise(listed))
    press = solved(without).curve("mouthPressLeft")
    around = slice(int((before.start - 0.05) * 30), int((before.start + 0.1) * 30))
    assert press[around].max() < 0.1
    renamed = [replace(phone, name="AA") if phone == before else phone for phone in phones]
    track = edit.with_phones(take.events, renamed, seconds)
    assert any(e.kind == "viseme" and e.name == "AA" and e.start == before.start for e in track)
    pause = max((a for a in listed if a.name == "SIL"), key=lambda event: event.end - event.start)
    middle = (pause.start + pause.end) / 2
    added = edit.with_phones(take.events, [*phones, edit.Phone("P", middle), edit.Phone("SIL", middle + 0.1)], seconds)
    times = np.arange(take.frames) / take.fps
    again = solved(added)
    assert again.curve("mouthPressLeft")[np.abs(times - middle) < 0.08].max() > 0.35


def test_strength_of_one_phone_scales_it(take, solved):
    phones, before = moved_m(take, 0.0)
    weak = [replace(phone, strength=0.0) if phone == before else phone for phone in phones]
    around = slice(int((before.start - 0.05) * 30), int((before.start + 0.1) * 30))
    assert take.curve("mouthPressLeft")[around].max() > 0.35
    press = solved(edit.with_phones(take.events, weak, take.audio.seconds)).curve("mouthPressLeft")
    assert press[around].max() < 0.1


def test_phones_pushed_onto_each_other_keep_room_and_order(take):
    phones, before = moved_m(take, 0.0)
    number = phones.index(before)
    phones[number] = replace(before, start=phones[number + 1].start)
    listed = [e for e in edit.with_phones(take.events, phones, take.audio.seconds) if e.kind == "phone"]
    assert [event.name for event in listed] == [phone.name for phone in phones]
    assert min(event.end - event.start for event in listed) >= edit.SHORTEST - 1e-9


def test_hand_made_visemes_of_untouched_phones_stay(take):
    late = next(e for e in take.events if e.kind == "viseme" and e.start > 6 and e.name == "AA")
    track = [replace(e, strength=0.4) if e is late else e for e in take.events]
    phones, _ = moved_m(take, 0.04)
    again = edit.with_phones(track, phones, take.audio.seconds)
    assert replace(late, strength=0.4) in again


@pytest.mark.parametrize(("text", "name"), [("m", "M"), ("AH1", "AH"), (" pause ", "SIL"), ("QQ", None), ("", None)])
def test_names_as_people_write_them(text, name):
    assert edit.phone_name(text) == name


def test_a_part_of_a_recording_is_solved_as_a_recording_of_its_own(voice):
    part = solve(voice, start=0.2, end=2.2, text="and so my fellow Americans")
    assert part.seconds == pytest.approx(2.0, abs=1 / 30)
    assert part.audio.offset == pytest.approx(-0.2)
    assert part.audio.seconds == pytest.approx(11.0, abs=0.1)
    m = next(e for e in part.events if e.name == "M")
    assert m.start == pytest.approx(0.9778 - 0.2, abs=0.05)  # where the whole recording has it
    with pytest.raises(InputError, match="no sound"):
        solve(voice, start=60.0)
    with pytest.raises(UsageError, match="empty"):
        solve(voice, start=2.0, end=1.0)
