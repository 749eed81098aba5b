# SPDX-License-Identifier: Apache-2.0
"""hyoid talk in chunks: the files of the whole, byte by byte, whatever the chunks and wherever they were made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hyoid import held
from hyoid.errors import InputError, UsageError
from hyoid.farm import plan, worker
from hyoid.farm.splits import split_of
from hyoid.formats.npz import read_npz, write_npz
from hyoid.media import audio
from hyoid.report import SILENT
from hyoid.speech import prosody, recogniser, timing
from hyoid.verbs import talk, talk_chunks
from hyoid.verbs.talk import Job

from tests.farm.chunked import worked, written

VOICE = Path(__file__).parents[2] / "examples" / "talk" / "jfk.flac"
LIGHT = ("take.npz", "csv", "bvh")


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> Path:
    """Two phrases and a pause, 5.2 seconds at 16 kHz."""
    samples, rate = soundfile.read(VOICE, dtype="float32", frames=int(5.2 * 44100))
    assert rate == 44100
    path = tmp_path_factory.mktemp("talk") / "short.wav"
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture
def short_pieces(monkeypatch):
    """Pieces of 2 seconds at most, so that a short recording has several."""
    cut = timing.cut
    monkeypatch.setattr(timing, "cut", lambda total, measured: cut(total, measured, 2.0))


@pytest.fixture(scope="module")
def recognised() -> dict[tuple[int, int], recogniser.Heard | None]:
    """What was heard in a piece of the short recording."""
    return {}


@pytest.fixture
def heard_once(monkeypatch, recognised) -> list[tuple[int, int]]:
    """Recognise each piece once for all tests, for it is slow; the pieces that were asked for, in order."""
    hear, asked = recogniser.hear, []

    def known(cache, pieces, workers=2, done=lambda count: None, *, words=True):
        asked.extend(pieces)
        new = [piece for piece in pieces if (words, *piece) not in recognised]
        answers = hear(cache, new, workers, words=words)
        recognised.update({(words, *piece): answer for piece, answer in zip(new, answers, strict=True)})
        return [recognised[words, *piece] for piece in pieces]

    monkeypatch.setattr(recogniser, "hear", known)
    return asked


def job_of(recording: Path, folder: Path, suffixes=LIGHT, **options) -> Job:
    folder.mkdir(exist_ok=True)
    return Job(audio=recording, output=[folder / f"out.{suffix}" for suffix in suffixes], **options)


def plain(result: dict) -> dict:
    return {key: value for key, value in result.items() if key != "outputs"}


def equal_files(recording: Path, tmp_path: Path, sizes: tuple[int | None, ...], suffixes=LIGHT, **options) -> dict:
    """Check that parts of every size give the files and the result of the whole, and give that result."""
    whole = talk.run(job_of(recording, tmp_path / "whole", suffixes, **options), SILENT)
    for size in sizes:
        job = job_of(recording, tmp_path / f"by{size}", suffixes, **options)
        told = talk_chunks.finish(job, worked(talk_chunks, job, tmp_path / f"parts{size}", size), SILENT)
        assert written(tmp_path / f"by{size}") == written(tmp_path / "whole")
        assert plain(told) == plain(whole)
    return whole


# --- equal to the whole -----------------------------------------------------------------------------------------------


def test_chunks_give_the_files_of_the_whole(tmp_path, short, short_pieces, heard_once):
    """156 frames: chunks of one frame, of an odd number that cuts through pieces, and of more than there are."""
    told = equal_files(short, tmp_path, (1, 37, 1000))
    assert told["mode"] == timing.RECOGNISED
    assert told["words"] > 5
    count = len(heard_once) // 4  # the whole, and three times chunk by chunk
    assert count >= 3
    assert sorted(heard_once) == sorted(heard_once[:count] * 4)  # nothing is heard twice or left out


def test_pieces_are_heard_the_same_alone_and_after_others(short, short_pieces):
    """A decoder that other pieces went through, and one that is new: a chunk may hold any of them."""
    with audio.recording(short, end=3.0) as sound:
        pieces = timing.speaking(len(sound.samples), prosody.measure(sound.samples, voice=False))
        together = recogniser.hear(sound.cache, pieces, workers=1)
        assert len(pieces) > 1
        assert None not in together
        assert recogniser.hear(sound.cache, pieces[-1:], workers=1) == together[-1:]


JOB = """
name = "two steps"
[[steps]]
name = "speak"
verb = "talk"
audio = "*.wav"
language = "other"
output = ["out/{shot}.take.npz"]
[[steps]]
name = "export"
verb = "convert"
source = "out/{shot}.take.npz"
outputs = ["out/{shot}.csv"]
"""


def test_a_worker_keeps_the_process_that_recognises_from_shot_to_shot(tmp_path, short, monkeypatch):
    """And not while it does another step, which may need the memory."""
    begin, started = recogniser._start, []
    monkeypatch.setattr(recogniser, "_start", lambda: started.append(begin()) or started[-1])
    samples, rate = soundfile.read(short, dtype="float32")
    for shot, first in (("a", 0.0), ("b", 1.0), ("c", 3.0)):
        soundfile.write(tmp_path / f"{shot}.wav", samples[round(first * rate) : round((first + 1.5) * rate)], rate)
    (tmp_path / "job.toml").write_text(JOB)
    made = plan.read(tmp_path / "job.toml")

    def do(task: plan.Task) -> str:
        return worker.answer(made, worker.request_of(task), lambda event: None)["ended"]

    with held.holding():
        assert {do(task) for task in made.tasks("speak")} == {"done"}
        assert [child.poll() for child in started] == [None]
        assert do(made.tasks("export")[0]) == "done"
        assert [child.poll() is None for child in started] == [False]


def test_a_part_of_a_recording_in_chunks(tmp_path, short, short_pieces, heard_once):
    equal_files(short, tmp_path, (20,), ("take.npz",), start=1.1, end=4.0, fps=24, seed=3)


def test_a_transcript_is_one_chunk(tmp_path, short):
    text = "And so my fellow Americans, ask not"
    assert len(talk_chunks.extent(job_of(short, tmp_path / "a", text=text)).chunks(10)) == 1
    told = equal_files(short, tmp_path, (10,), text=text)
    assert told["mode"] == timing.ALIGNED


def test_a_transcript_that_does_not_fit_is_found_out_in_the_chunk(tmp_path, short, short_pieces, heard_once):
    told = equal_files(short, tmp_path, (None,), ("take.npz",), text="Nobody has ever said these long sentences here")
    assert told["mode"] == timing.RECOGNISED


def test_an_event_track_is_one_chunk_in_which_nothing_is_heard(tmp_path, short, heard_once):
    track = tmp_path / "track.csv"
    talk.run(job_of(short, tmp_path / "first", text="And so my fellow Americans, ask not", events_out=track), SILENT)
    del heard_once[:]
    equal_files(short, tmp_path, (10,), events=track)
    assert heard_once == []


def test_silence_has_no_pieces(tmp_path):
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(16000, np.float32), 16000)
    assert equal_files(path, tmp_path, (7,), ("take.npz",))["mode"] == timing.IDLE


def test_what_could_not_be_recognised_follows_the_loudness(tmp_path, short, short_pieces, monkeypatch):
    """A decoder that fails gives the mouth of the whole in which it fails."""
    monkeypatch.setattr(recogniser, "hear", lambda cache, pieces, *_, **__: [None] * len(pieces))
    assert equal_files(short, tmp_path, (50,), ("take.npz",))["mode"] == timing.VOICE
    told = talk_chunks.work(job_of(short, tmp_path / "out"), 30, 156, tmp_path / "some.part.npz", SILENT)
    assert len(told["failed"]) == told["pieces"] > 0
    assert all(30 <= entry["frame"] < 156 for entry in told["failed"])


# --- how much there is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_frames_are_told_by_the_header(tmp_path, short, suffix, monkeypatch):
    path = short
    if suffix != "wav":
        path = tmp_path / f"short.{suffix}"
        samples, rate = soundfile.read(short, dtype="float32")
        soundfile.write(path, samples, rate)
    job = job_of(path, tmp_path / "out")
    with audio.recording(path) as sound:
        seconds = sound.seconds
    monkeypatch.setattr(audio, "recording", None)  # not decoded
    assert abs(audio.stated_seconds(path) - seconds) < (0.1 if suffix == "mp3" else 1e-3)
    assert abs(talk_chunks.extent(job).frames - 156) <= (2 if suffix == "mp3" else 0)
    part = job_of(path, tmp_path / "out", start=2.0, end=4.5, fps=24)
    assert talk_chunks.extent(part).frames == 60


def test_loudness_alone_is_that_of_the_whole_measure(short):
    with audio.recording(short) as sound:
        whole, alone = prosody.measure(sound.samples), prosody.measure(sound.samples, voice=False)
    assert np.array_equal(whole.loudness, alone.loudness)
    assert (whole.floor, whole.level) == (alone.floor, alone.level)
    assert not alone.voicing.any()


# --- what cannot be ---------------------------------------------------------------------------------------------------


def test_a_farm_finds_how_talk_is_split(tmp_path, short):
    assert split_of("talk") is talk_chunks
    assert talk_chunks.extent(job_of(short, tmp_path / "out")).usual == 2700  # a minute and a half


@pytest.mark.parametrize(("first", "end"), [(100, 200), (156, 157), (5, 5), (-1, 3)])
def test_a_chunk_beyond_the_end_is_refused(tmp_path, short, first, end):
    with pytest.raises(UsageError, match="of the 156 frames"):
        talk_chunks.work(job_of(short, tmp_path / "out"), first, end, tmp_path / "a.part.npz", SILENT)
    assert not list(tmp_path.glob("*.part*"))


def test_parts_that_are_damaged_or_foreign_are_refused(tmp_path, short, short_pieces, heard_once):
    job = job_of(short, tmp_path / "out")
    parts = worked(talk_chunks, job, tmp_path / "parts", 52)

    def refused(paths: list[Path], what: str, asked: Job = job) -> None:
        with pytest.raises(InputError, match=what) as found:
            talk_chunks.finish(asked, paths, SILENT)
        assert "part.npz" in str(found.value) or "end with frame" in what
        assert written(tmp_path / "out") == {}

    def changed(**told) -> list[Path]:
        arrays = read_npz(parts[1])
        document = json.loads(arrays["document"].tobytes())
        text = json.dumps({**document, "told": {**document["told"], **told}})
        write_npz(tmp_path / "changed.part.npz", {**arrays, "document": np.frombuffer(text.encode(), np.uint8)})
        return [parts[0], tmp_path / "changed.part.npz", parts[2]]

    refused([parts[0], parts[2]], "begins with frame 52")
    refused(parts[:2], "end with frame 104")
    own = json.loads(read_npz(parts[1])["document"].tobytes())["told"]["heard"]
    assert own
    refused(changed(heard=own[:-1]), "does not say what it heard")
    refused(changed(heard=[{**own[0], "phones": [["AA", 5, 100000, -1, 0.0]]}, *own[1:]]), "heard 'AA' where it cannot")
    refused(changed(heard=["words", *own[1:]]), "does not say what it heard")
    arrays = read_npz(parts[1])
    write_npz(tmp_path / "moved.part.npz", {**arrays, "pieces": arrays["pieces"] + 160})
    refused([parts[0], tmp_path / "moved.part.npz", parts[2]], "other pieces")
    (tmp_path / "cut.part.npz").write_bytes(parts[1].read_bytes()[:-100])
    refused([parts[0], tmp_path / "cut.part.npz", parts[2]], "not a sound .npz")
    refused(parts, "other settings", job_of(short, tmp_path / "out", language="other"))
    other = tmp_path / "other.wav"
    samples, rate = soundfile.read(short, dtype="float32")
    soundfile.write(other, samples * 0.5, rate)
    refused(parts, "other audio", job_of(other, tmp_path / "out"))
