# SPDX-License-Identifier: Apache-2.0
"""From a recording to a take: timing, mouth, face, head, larynx. The heart of ``hyoid talk`` without its files.

>>> from hyoid.speech import solve
>>> take = solve("examples/talk/jfk.flac", text="examples/talk/jfk.txt", fps=30)  # doctest: +SKIP
>>> take.curve("jawOpen").max() > 0.2  # doctest: +SKIP
True
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import __version__, files
from hyoid.characters import arkit, bundled, gestures, neck
from hyoid.errors import InputError, UsageError
from hyoid.media import audio as media_audio
from hyoid.report import SILENT, Report
from hyoid.speech import coarticulation, larynx, performance, prosody, timing, visemes
from hyoid.speech import events as event_track
from hyoid.speech import style as styles
from hyoid.speech import text as transcripts
from hyoid.speech.prosody import Prosody
from hyoid.speech.style import Style
from hyoid.speech.timing import Timing
from hyoid.take import AudioReference, CharacterReference, Event, Provenance, Source, Take
from hyoid.threads import one_blas_thread

RATES = (24, 25, 30, 50, 60)
EDITED = "edited events"
_MODEL = Source("weights", "CMU PocketSphinx en-us acoustic model and dictionary", "", "BSD-2-Clause")
_NO_STRENGTHS: Mapping[str, float] = {}


def solve(
    audio: str | Path,
    *,
    text: str | None = None,
    english: bool = True,
    fps: float = 30,
    style: str = "neutral",
    strengths: Mapping[str, float] = _NO_STRENGTHS,
    seed: int = 0,
    events: str | Path | None = None,
    offset_ms: float = 0.0,
    start: float = 0.0,
    end: float | None = None,
    repair: bool = False,
    character: CharacterReference | None = None,
    timed: Callable[[media_audio.Recording, Prosody], Timing] | None = None,
    report: Report = SILENT,
) -> Take:
    """A talking performance of a recording.

    Args:
        audio: any sound file, or a video with sound.
        text: the transcript (a file or the words); None recognises them.
        english: False follows another language phone by phone instead of hearing English words in it.
        fps: 24, 25, 30, 50 or 60 frames a second.
        style: ``calm``, ``neutral`` or ``energetic``; ``strengths`` scale single layers (see ``style.LAYERS``).
        seed: of blinks, gaze and idle motion; the same seed gives the same bytes.
        events: an edited event track (CSV) to solve from; its timing replaces recognition.
        offset_ms: moves the face later (positive) or earlier against the sound.
        start, end: perform only this part of the recording, in seconds; the take, the transcript and the events are
            those of the part, and the take's ``audio.offset`` is ``-start``.
        repair: take what a damaged file holds instead of refusing it.
        character: which character the take is made for (its neck has the bundled human's limits).
        timed: brings the timing where it is known; without it words are recognised or aligned.
        report: progress and messages.

    Raises:
        InputError: the recording, the transcript or the events cannot be used.
        UsageError: an unknown rate, style or layer, or a part that ends before it starts.
    """
    check_part(start, end)
    if fps not in RATES:
        raise UsageError(f"{fps:g} frames a second", expected=f"one of {', '.join(map(str, RATES))}")
    played = styles.style(style, **strengths)
    edited = event_track.read(events) if events is not None else None
    content, text_path = transcripts.read(text) if text is not None and edited is None else (None, None)
    report.progress(0.0, "reading the sound")
    with one_blas_thread(), media_audio.recording(audio, repair=repair, start=start, end=end) as sound:
        for note in sound.repaired:
            report.message(note, "warning")
        if sound.channels > 1:
            report.message("; ".join(sound.notes))
        report.progress(0.03, "measuring the voice")
        measured = prosody.measure(sound.samples)
        if edited is not None:
            found = from_events(edited, sound.seconds)
        elif timed is not None:
            found = timed(sound, measured)
        else:
            words = transcripts.words(content) if content is not None else None
            found = timing.find(sound.samples, sound.cache, measured, words, report.stage(0.1, 0.8), english=english)
        for note in found.notes:
            usual = found.certain and found.mode in (timing.IDLE, timing.ALIGNED)
            report.message(note, "info" if usual else "warning")
        report.progress(0.8, "solving the face")
        options: dict[str, Any] = {
            "fps": fps,
            "english": english,
            "style": style,
            "seed": seed,
            "strengths": dict(sorted(strengths.items())),
        }
        options |= {"offset_ms": offset_ms, "events": None if events is None else files.sha256_of(Path(events))}
        if start or end is not None:
            options |= {"start": start, "end": end}
        provenance = _provenance(sound, found, text_path, content is not None, options)
        reference = AudioReference(str(Path(audio).resolve()), sound.sha256, sound.whole, 0.0 - start)
        return perform(
            found, measured, sound.seconds, fps=fps, played=played, seed=seed, offset=offset_ms / 1000, edited=edited,
            audio=reference, character=character or CharacterReference(part="head"),
            provenance=provenance,
        )  # fmt: skip


def check_part(start: float, end: float | None) -> None:
    """Refuse a part of a recording that cannot be.

    Raises:
        UsageError: it ends before it starts.
    """
    if start < 0 or (end is not None and end <= start):
        what = f"the part of the recording from {start:g} to {'its end' if end is None else f'{end:g} s'} is empty"
        raise UsageError(what, expected="a start of 0 s or more and an end after it")


def frames_of(seconds: float, fps: float) -> int:
    """Frames of the take of so much sound."""
    return max(1, int(np.ceil(seconds * fps - 1e-6)))


def _provenance(
    sound: media_audio.Recording, found: Timing, text_path: Path | None, has_text: bool, options: dict[str, Any]
) -> Provenance:
    """Everything that touched the take; file names without folders, so that the bytes are the same everywhere."""
    settings = {
        **options, "audio": sound.path.name, "text": has_text, "mode": found.mode,
        "repaired": list(sound.repaired), "notes": list(found.notes),
    }  # fmt: skip
    sources = [Source("input", sound.path.name, sound.sha256, "")]
    if text_path is not None:
        sources.append(Source("input", text_path.name, files.sha256_of(text_path), ""))
    if options["events"] is None:
        sources.append(_MODEL)
    return Provenance(__version__, "talk", settings, tuple(sources))


def from_events(edited: Sequence[Event], seconds: float) -> Timing:
    """The timing in an edited track.

    Raises:
        InputError: events lie outside of the recording.
    """
    late = next((event for event in edited if event.start > seconds + 0.5), None)
    if late is not None:
        what = f"the {late.kind} '{late.name}' starts at {late.start:g} s, after the end of the sound ({seconds:.2f} s)"
        raise InputError(what, expected="the events of this recording")
    spoken = event_track.to_phones(edited, seconds)
    words = tuple(
        timing.Spoken(event.name, event.start, min(event.end, seconds), number)
        for number, event in enumerate(event for event in edited if event.kind == "word")
    )
    return Timing(EDITED, timing.without_gaps(spoken, seconds), words)


def perform(
    found: Timing,
    measured: Prosody,
    seconds: float,
    *,
    fps: float,
    played: Style,
    seed: int,
    offset: float = 0.0,
    edited: Sequence[Event] | None = None,
    audio: AudioReference | None = None,
    character: CharacterReference | None = None,
    provenance: Provenance | None = None,
) -> Take:
    """The take of a known timing.

    Args:
        found: phones and words in seconds. measured: the voice. seconds: length of the sound.
        offset: seconds by which the face comes later. edited: an artist's events, used as they are.
        The rest as in :func:`solve`.
    """
    frames = frames_of(seconds, fps)
    times = np.maximum(np.arange(frames) / fps - offset, 0.0)
    if edited is None:
        track = visemes.from_phones(found.phones)
        acts = performance.events(found.phones, seconds, played, seed)
        spoken = [] if found.mode == timing.IDLE else event_track.of_speech(found.phones, found.words, track)
        listed = [*spoken, *acts]
    else:
        track = event_track.to_visemes(edited, seconds)
        acts = [event for event in edited if event.kind in ("blink", "gaze", "breath", "swallow")]
        listed = list(edited)
    curves = _curves(found, track, acts, measured, seconds, times, fps, played, seed)
    head = _head(measured, times, seed, played)
    curves |= performance.eye_curves(
        performance.gaze_degrees(acts, times, seed, played.gaze) + _counter_roll(head, played)
    )
    table = np.zeros((frames, len(arkit.CURVES)), np.float32)
    for name, values in curves.items():
        table[:, arkit.CURVES.index(name)] = values
    listed.sort(key=lambda event: (event.start, event_track.KINDS.index(event.kind), event.end))
    return Take(
        fps=float(fps), curve_names=arkit.CURVES, curves=table, joint_names=neck.JOINTS,
        rotations=_neck(head, curves, fps), root=np.zeros((frames, 3), np.float32),
        confidence=_confidence(found, times),
        events=tuple(listed), audio=audio, character=character or CharacterReference(part="head"),
        provenance=provenance or Provenance(__version__, "talk"), mode=found.mode,
    )  # fmt: skip


def _curves(
    found: Timing, track: list[visemes.Viseme], acts: Sequence[Event], measured: Prosody, seconds: float,
    times: np.ndarray, fps: float, played: Style, seed: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    curves = coarticulation.mouth(track, measured, seconds, fps, times, played)
    blink = performance.blink_curve(acts, times, played.blinks)
    level, draw = performance.breath_curves(acts, times)
    swallow = larynx.swallow_curve(acts, times)
    rest = np.clip(1 - 8 * curves["jawOpen"], 0, 1)
    quiet = played.breath * draw * (1 - swallow)
    curves["jawOpen"] = np.maximum(curves["jawOpen"], 0.07 * quiet * (1 - curves["mouthRollLower"] * 2).clip(0, 1))
    pressed = swallow * rest
    for side in ("Left", "Right"):
        curves["eyeBlink" + side] = blink
        curves["eyeSquint" + side] = 0.15 * blink
        curves["mouthPress" + side] = np.maximum(curves["mouthPress" + side], 0.2 * pressed)
    curves["mouthShrugLower"] = np.maximum(curves["mouthShrugLower"], 0.15 * pressed)
    curves |= performance.brow_curves(measured, times, seed, played.brows)
    curves["breath"] = np.clip(played.breath * level, 0, 1)
    curves["swallow"] = np.clip(played.larynx * swallow, 0, 1)
    curves["effort"] = performance.effort_curve(measured, times, played.larynx)
    curves["larynxSize"] = np.ones(len(times), np.float32)
    curves["larynxHeight"] = larynx.height(
        measured, track, swallow, curves["breath"], curves["effort"], times, fps, played.larynx
    )
    return curves


def _head(measured: Prosody, times: np.ndarray, seed: int, played: Style) -> np.ndarray:
    """(frames, 4) quaternions of the head against the trunk."""
    from hyoid.geometry import rotations

    degrees = performance.head_angles(measured, times, seed, played.head, played.rate)
    # Nod about +X (down positive), turn about +Y (to the left positive), tilt about -Z (to the left shoulder positive).
    vectors = np.radians(degrees.astype(np.float64)) * [1, 1, -1]
    return rotations.from_rotation_vector(vectors)


def _counter_roll(head: np.ndarray, played: Style) -> np.ndarray:
    """(frames, 2) degrees by which the eyes turn against the head, so that the gaze stays on the camera."""
    left = np.degrees(2 * head[:, 2])
    down = np.degrees(2 * head[:, 1])
    return np.stack([-left, down], -1) * min(played.gaze, 1.0)


def _neck(head: np.ndarray, curves: Mapping[str, np.ndarray], fps: float, block: int = 4096) -> np.ndarray:
    """The neck's joints, (frames, 8, 4) float32, in blocks that start a little early so that nothing shows a seam."""
    acts = {name: curves[name] for name in gestures.CURVES}
    limits, before = bundled.neck_limits(), neck.halo(fps)
    result = np.empty((len(head), len(neck.JOINTS), 4), np.float32)
    for start in range(0, len(head), block):
        early = max(start - before, 0)
        moved = neck.dynamics(limits, head[early : start + block], fps)[start - early :]
        result[start : start + block] = gestures.on_neck(
            moved, {name: values[start : start + block] for name, values in acts.items()}
        )
    return result


def _confidence(found: Timing, times: np.ndarray) -> np.ndarray:
    """(frames,) 0..1: how well the sound fits the phone of the frame; certain in silence, low without words."""
    without_words = {timing.LOOP: 0.35, timing.VOICE: 0.2}.get(found.mode, 1.0) if found.certain else 0.3
    starts = np.array([phone.start for phone in found.phones] or [0.0])
    values = np.array([1.0 if phone.name == "SIL" else phone.confidence for phone in found.phones] or [1.0])
    index = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, len(values) - 1)
    return (values[index] * without_words).astype(np.float32)
