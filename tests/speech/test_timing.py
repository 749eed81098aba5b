# SPDX-License-Identifier: Apache-2.0
"""Words and phones lie where they are spoken, with and without a transcript, in short and in long recordings."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hyoid.media import audio
from hyoid.speech import acoustics, alignment, pronunciation, prosody, recogniser, text, timing

# Onsets heard and seen in the waveform of the example, seconds.
ONSETS = {"and": 0.3, "fellow": 1.25, "ask": 3.3, "not": 4.0}
TOLERANCE = 0.06


def find(path, words):
    with audio.recording(path) as sound:
        return timing.find(sound.samples, sound.cache, prosody.measure(sound.samples), words), sound.seconds


def test_a_transcript_is_aligned(voice, transcript):
    said = text.words(text.read(transcript)[0])
    found, seconds = find(voice, said)
    assert found.mode == timing.ALIGNED
    assert [word.name for word in found.words] == said
    first = {word.name: word.start for word in reversed(found.words)}
    for name, onset in ONSETS.items():
        assert abs(first[name] - onset) < TOLERANCE, name
    starts, ends = (np.array([getattr(p, side) for p in found.phones]) for side in ("start", "end"))
    assert starts[0] == 0
    assert ends[-1] == pytest.approx(seconds)
    assert np.allclose(starts[1:], ends[:-1]), "phones cover the recording without gaps"


@pytest.fixture(scope="module")
def phrase(voice, tmp_path_factory):
    """The first 2.7 seconds: 'and so my fellow Americans'."""
    samples, rate = soundfile.read(voice, dtype="float32", frames=int(2.7 * 44100))
    path = tmp_path_factory.mktemp("phrase") / "phrase.wav"
    soundfile.write(path, samples, rate)
    return path


def test_words_are_recognised_without_a_transcript(phrase):
    found, _ = find(phrase, None)
    assert found.mode == timing.RECOGNISED
    assert "my fellow" in " ".join(word.name for word in found.words)  # what both searches get right
    assert abs(next(word.start for word in found.words if word.name == "fellow") - ONSETS["fellow"]) < TOLERANCE


def test_another_language_is_followed_phone_by_phone(phrase):
    with audio.recording(phrase) as sound:
        measured = prosody.measure(sound.samples)
        found = timing.find(sound.samples, sound.cache, measured, None, english=False)
    assert found.mode == timing.LOOP
    assert not found.words
    names = [phone.name for phone in found.phones]
    assert "M" in names  # of 'my' and 'Americans'
    assert sum(phone.end - phone.start for phone in found.phones if phone.name != "SIL") > 1.2


def test_a_foreign_transcript_is_not_forced_onto_the_sound(phrase):
    """A transcript of something else: the user is told, and the words are recognised."""
    found, _ = find(phrase, ["we", "choose", "to", "go", "to", "the", "moon"])
    assert found.mode != timing.ALIGNED
    assert any("transcript" in note for note in found.notes)


def repeated(voice, path, times: int) -> None:
    samples, rate = soundfile.read(voice, dtype="float32")
    soundfile.write(path, np.concatenate([samples] * times), rate)


def test_a_long_recording_keeps_every_word_in_place(tmp_path, voice, transcript):
    """Eight times the example, longer than three windows: the words of each repetition lie eleven seconds later."""
    repeated(voice, tmp_path / "long.flac", 8)
    once = text.words(text.read(transcript)[0])
    found, _ = find(tmp_path / "long.flac", once * 8)
    assert [word.name for word in found.words] == once * 8
    starts = np.array([word.start for word in found.words]).reshape(8, -1)
    drift = starts - starts[0] - 11.0 * np.arange(8)[:, None]
    assert np.abs(drift).max() < 0.25
    assert np.median(np.abs(drift)) < 0.02


def test_words_that_were_not_written_do_not_pull_the_others_away(voice, transcript):
    """'country can do for you ask' is missing in the transcript: the rest stays, and the mouth does not rest there."""
    said = text.words(text.read(transcript)[0])
    full, _ = find(voice, said)
    part, _ = find(voice, said[:8] + said[14:])
    expected = [word.start for number, word in enumerate(full.words) if number < 8 or number >= 14]
    assert np.abs(np.array([word.start for word in part.words]) - expected).max() < 0.1
    assert any("not in the transcript" in note for note in part.notes)
    inside = [phone for phone in part.phones if 6.0 < phone.start < 7.4 and phone.name != "SIL"]
    assert sum(phone.end - phone.start for phone in inside) > 0.6


def test_pieces_cover_everything_and_are_short():
    random = np.random.default_rng(0)
    samples = random.normal(0, 0.1, 16000 * 100).astype(np.float32)
    pieces = timing.cut(len(samples), prosody.measure(samples))
    assert pieces[0][0] == 0
    assert pieces[-1][1] == len(samples)
    assert all(a[1] == b[0] for a, b in pairwise(pieces))
    assert max(stop - start for start, stop in pieces) <= timing.LONGEST_PIECE * audio.RATE


def test_alignment_needs_room_for_the_words():
    features = acoustics.features(np.random.default_rng(0).normal(0, 0.1, 3200).astype(np.float32))
    assert alignment.align(features, [pronunciation.pronounce("incomprehensibilities")] * 5) is None


def test_a_decoder_that_dies_costs_its_piece_only(tmp_path, monkeypatch, voice):
    """The second piece kills its child; the others are still heard."""
    script = tmp_path / "sitecustomize.py"
    script.write_text(
        "import numpy as np, os\n"
        "real = np.memmap\n"
        "class Trap(real):\n"
        "    def __getitem__(self, key):\n"
        "        if isinstance(key, slice) and key.start == 48000: os._exit(139)\n"
        "        return real.__getitem__(self, key)\n"
        "np.memmap = Trap\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with audio.recording(voice) as sound:
        heard = recogniser.hear(sound.cache, [(0, 36000), (48000, 60000), (144000, 176000)], workers=1)
    assert heard[1] is None
    assert heard[0] is not None
    assert heard[2] is not None
    assert "you" in heard[2].words


@pytest.mark.parametrize(("work", "ends"), [("while True: pass", True), ("time.sleep(0.6)", False)])
def test_a_decoder_is_ended_for_its_own_time_not_for_that_of_others(work, ends):
    """A busy machine gives a decoder little of the clock's time; it must hear the same words there."""
    program = f"import time\nfrom hyoid.speech import recogniser\nwith recogniser._limit(0.3): {work}"
    ended = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert (ended.returncode != 0) == ends
