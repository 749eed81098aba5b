# SPDX-License-Identifier: Apache-2.0
"""``talk`` in chunks: words are recognised piece by piece, the face is solved when all are there.

Recognition is nearly all of the work: two thirds of a second of one core for each second of speech; reading, measuring
the voice, solving and the light outputs together take a twentieth of that. Speech is cut into pieces of at most 15
seconds where it is quietest; a piece belongs to the chunk in which it begins. What is quiet depends on the loudness of
the whole recording, so every chunk reads and measures all of it, which takes less than a hundredth of a second for
each second, and listens to its own pieces. Blinks, pitch, head and neck look at all of it and are left to ``finish``,
with all writing.

With a transcript each window of sound begins where the words of the one before ended, which takes an eighth of what
recognition takes; from an event track nothing has to be heard. Both are one chunk.

Frames are those of the take, counted by what the header of the file says; the last chunk takes what comes after.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import files
from hyoid.farm.splits import Extent
from hyoid.formats import part_npz
from hyoid.formats.part_npz import Part
from hyoid.media import audio
from hyoid.media.audio import Recording
from hyoid.report import Report
from hyoid.speech import events, phones, prosody, recogniser, solver, timing
from hyoid.speech import text as transcripts
from hyoid.speech.prosody import Prosody
from hyoid.speech.recogniser import Heard
from hyoid.speech.timing import Spoken, Timing
from hyoid.threads import one_blas_thread
from hyoid.verbs import talk
from hyoid.verbs.talk import Job

USUAL = 90.0
"""Seconds of speech that take a core about a minute."""
_SETTINGS = {"language", "fps", "start", "end", "repair"}
_LAYOUT: part_npz.Layout = {"pieces": ("<i8", ("pieces", 2))}
_MODES = (timing.IDLE, timing.ALIGNED, timing.RECOGNISED, timing.LOOP, timing.VOICE)


def extent(job: Job) -> Extent:
    """How many frames the take has, by the header of the recording.

    Raises:
        UsageError: a part of the recording that ends before it starts. InputError: it is missing, empty or no sound.
    """
    solver.check_part(job.start, job.end)
    seconds = audio.stated_seconds(job.audio)
    if not seconds:  # some containers do not say
        with audio.recording(job.audio, repair=job.repair) as sound:
            seconds = sound.seconds
    last = seconds if job.end is None else min(job.end, seconds)
    frames = solver.frames_of(last - job.start, job.fps)
    if not _is_cut(job):
        return Extent(frames, grid=frames, usual=frames)
    return Extent(frames, halo=round(timing.LONGEST_PIECE * job.fps), usual=round(USUAL * job.fps))


def work(job: Job, first: int, end: int, target: Path, report: Report) -> dict[str, Any]:
    """Recognise the pieces of speech that begin in the frames ``[first, end)`` and write what they say to ``target``.

    Returns:
        ``failed``: the first frames of pieces in which the decoder failed or took too long, where the mouth will follow
            the loudness; ``pieces``: how many there were.

    Raises:
        UsageError: there are no such frames. InputError, OutputError: see ``talk.run``.
    """
    frames = extent(job).frames
    part_npz.check_chunk(first, end, frames)
    made = _made(job)
    pieces: list[tuple[int, int]] = []
    told: dict[str, Any] = {}
    english = job.language == "english"
    if job.events is None:
        with one_blas_thread(), _recording(job) as sound:
            if _is_cut(job):
                measured = prosody.measure(sound.samples, voice=False)
                beyond = np.inf if end == frames else end
                pieces = [
                    (start, stop)
                    for start, stop in timing.speaking(len(sound.samples), measured)
                    if first <= start * job.fps // audio.RATE < beyond
                ]
                answers = timing.heard(sound.cache, pieces, report, english)
                told["heard"] = [None if answer is None else recogniser.as_json(answer) for answer in answers]
            else:
                words = transcripts.words(transcripts.read(job.text or "")[0])
                measured = prosody.measure(sound.samples)
                found = timing.find(sound.samples, sound.cache, measured, words, report, english=english)
                told["timing"] = asdict(found)
    arrays = {"pieces": np.array(pieces, "<i8").reshape(-1, 2)}
    part_npz.write(target, "talk", first, end, made, told, arrays)
    unheard = [span for span, answer in zip(pieces, told.get("heard", ()), strict=False) if answer is None]
    error = "the speech that begins here could not be recognised"
    failed = [{"frame": start * job.fps // audio.RATE, "error": error} for start, _ in unheard]
    return {"failed": failed, "pieces": len(pieces)}


def finish(job: Job, parts: Sequence[Path], report: Report) -> dict[str, Any]:
    """Solve the performance of what all parts heard and write every output; the result is that of ``talk.run``.

    Raises:
        UsageError, OutputError, MissingToolError: see ``talk.run``. InputError: also parts that are damaged, made with
            other settings or of another recording, or not all.
    """
    read = list(part_npz.read_each(parts, "talk", _LAYOUT, extent(job).frames, _made(job)))

    def timed(sound: Recording, measured: Prosody) -> Timing:
        if not _is_cut(job):
            return _timing(read[0], sound.seconds)
        english = job.language == "english"
        return timing.find(
            sound.samples, sound.cache, measured, None, english=english, hear=lambda pieces: _heard(read, pieces)
        )

    return talk.performed(job, report, timed)


def _is_cut(job: Job) -> bool:
    return job.text is None and job.events is None


def _recording(job: Job) -> AbstractContextManager[Recording]:
    return audio.recording(job.audio, repair=job.repair, start=job.start, end=job.end)


def _made(job: Job) -> dict[str, Any]:
    """What all parts of a job have in common."""
    made = {"settings": job.model_dump(mode="json", include=_SETTINGS), "audio": files.sha256_of(job.audio)}
    if job.events is not None:
        events.read(job.events)
        made["events"] = files.sha256_of(job.events)
    elif job.text is not None:
        made["text"] = hashlib.sha256(transcripts.read(job.text)[0].encode()).hexdigest()
    return made


def _heard(parts: Sequence[Part], pieces: Sequence[tuple[int, int]]) -> list[Heard | None]:
    """What parts heard in the pieces of a recording.

    Raises:
        InputError: they heard other pieces, or what they heard makes no sense.
    """
    answers: list[Heard | None] = []
    for part in parts:
        own = [(int(start), int(stop)) for start, stop in part.arrays["pieces"]]
        told = part.told.get("heard")
        if not isinstance(told, list) or len(told) != len(own):
            raise part_npz.damaged(part, f"does not say what it heard in its {len(own)} pieces")
        if own != list(pieces[len(answers) : len(answers) + len(own)]):
            raise part_npz.damaged(part, "heard other pieces than the recording has")
        answers += [_answer(part, value, span) for value, span in zip(told, own, strict=True)]
    if len(answers) != len(pieces):
        raise part_npz.damaged(parts[-1], f"is the last of {len(answers)} pieces", f"{len(pieces)}")
    return answers


def _answer(part: Part, value: Any, piece: tuple[int, int]) -> Heard | None:
    if value is None:
        return None
    try:
        heard = recogniser.of_json(value)
    except (ValueError, KeyError, TypeError) as error:
        raise part_npz.damaged(part, f"does not say what it heard ({error})") from error
    place = 0
    for phone in heard.phones:
        rises = place <= phone.start < phone.end <= (piece[1] - piece[0]) // prosody.HOP
        if not rises or not -1 <= phone.word < len(heard.words) or not np.isfinite(phone.score):
            raise part_npz.damaged(part, f"heard '{phone.name[:20]}' where it cannot be")
        place = phone.end
    return heard


def _timing(part: Part, seconds: float) -> Timing:
    """The timing of a whole recording.

    Raises:
        InputError: it makes no sense.
    """
    try:
        told = dict(part.told["timing"])
        spoken, words = (tuple(Spoken(**one) for one in told[name]) for name in ("phones", "words"))
        found = Timing(str(told["mode"]), spoken, words, tuple(map(str, told["notes"])), bool(told["certain"]))
        edges = np.array([(one.start, one.end, one.confidence, one.word) for one in (*spoken, *words)], float)
    except (ValueError, KeyError, TypeError) as error:
        raise part_npz.damaged(part, f"does not say what is spoken when ({error})") from error
    sound = np.isfinite(edges).all() and (edges[:, 0] <= edges[:, 1]).all() and (edges[:, 1] <= seconds + 1).all()
    if not (sound and found.mode in _MODES and {one.name for one in spoken} <= phones.NAMES):
        raise part_npz.damaged(part, "does not say what is spoken when")
    return found
