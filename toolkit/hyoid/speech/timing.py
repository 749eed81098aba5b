# SPDX-License-Identifier: Apache-2.0
"""When each word and phone is spoken: from a transcript, recognised words, a phone loop, or loudness alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hyoid import scratch
from hyoid.report import SILENT, Report
from hyoid.speech import acoustics, alignment, pronunciation, recogniser
from hyoid.speech import phones as phones_of_english
from hyoid.speech.prosody import HOP, Prosody, smooth
from hyoid.speech.recogniser import Heard

LONGEST_PIECE = 15.0
WINDOW = 24.0  # seconds of sound in which the next words of a transcript are looked for
KEEP = 0.75  # share of a window after which found words are looked for again in the next one
WORDS_A_SECOND = 5.5
QUIET = -80.0  # dB: less is silence
PAUSE = 0.15  # silence that counts as a pause
# Share of words that fit (confidence over 0.3) below which a transcript does not belong to the sound: right ones 0.97
# and more in clean sound and 0.7 at 5 dB over noise, foreign ones 0.64 and less.
RELATED, RELATED_IN_NOISE = 0.66, 0.45
UNWRITTEN = 0.2  # seconds of speech without words that are worth moving the mouth for


@dataclass(frozen=True)
class Spoken:
    """A phone (``word`` = index of its word or -1) or, in ``Timing.words``, a word; seconds; confidence 0..1."""

    name: str
    start: float
    end: float
    word: int = -1
    confidence: float = 1.0


@dataclass(frozen=True)
class Timing:
    """Phones without gaps from 0 to the end (``SIL`` in pauses), words, how they were found, and remarks for people.

    ``certain`` is False where there is sound in which nothing could be made out.
    """

    mode: str
    phones: tuple[Spoken, ...]
    words: tuple[Spoken, ...]
    notes: tuple[str, ...] = field(default=())
    certain: bool = True


IDLE = "idle"
ALIGNED = "forced alignment"
RECOGNISED = "recognised words, aligned"
LOOP = "phone loop"
VOICE = "voice activity"

Hear = Callable[[Sequence[tuple[int, int]]], Sequence[Heard | None]]
"""What was heard in pieces, (start, stop) samples of each; None where nothing could be recognised."""


def find(
    samples: np.ndarray,
    cache: Path,
    prosody: Prosody,
    words: Sequence[str] | None,
    report: Report = SILENT,
    *,
    english: bool = True,
    hear: Hear | None = None,
) -> Timing:
    """The timing of a recording.

    Args:
        samples: (n,) float32 at 16 kHz. cache: the raw file behind it.
        prosody: of the same recording.
        words: of the transcript (see :func:`hyoid.speech.text.words`), or None to recognise them.
        english: whether words can be recognised at all; another language is followed phone by phone.
        hear: answers for the pieces that speak where they are known; without it they are recognised.

    Returns:
        The timing; ``mode`` is ``idle`` when there is nothing to hear.
    """
    seconds = len(samples) / acoustics.RATE
    if not _has_voice(prosody):
        silence = Spoken("SIL", 0.0, seconds)
        loud = float(np.percentile(prosody.loudness, 90)) > QUIET
        what = "there is sound, but no voice in it (music or noise?)" if loud else "no voice is to be heard"
        note = f"{what}: the take is idle (breath, blinks, small motion)"
        return Timing(IDLE, (silence,), (), (note,), certain=not loud)
    if words:
        found = _align_long(samples, prosody, words, report.stage(0.0, 0.5))
        if found is not None:
            return found
        note = "the transcript does not fit the sound; the words were recognised instead"
        recognised = _recognise(samples, cache, prosody, report.stage(0.5, 1.0), english, hear)
        return Timing(recognised.mode, recognised.phones, recognised.words, (note, *recognised.notes))
    return _recognise(samples, cache, prosody, report, english, hear)


def _has_voice(prosody: Prosody) -> bool:
    """At least 80 ms that are periodic, louder than silence and above the background."""
    audible = prosody.loudness > QUIET
    loud = audible & (prosody.is_speech() | (prosody.loudness > prosody.floor + 20))
    return bool((loud & (prosody.voicing > 0.45)).sum() >= 8)


# --- with a transcript ------------------------------------------------------------------------------------------------


def _align_long(samples: np.ndarray, prosody: Prosody, words: Sequence[str], report: Report) -> Timing | None:
    """Slide a window over the sound; each time the next words are laid onto it and those well inside are kept."""
    spoken = pronunciation.extended(words)
    total = len(samples)
    phones: list[Spoken] = []
    first_sample = first_word = 0
    while first_sample < total:
        last_sample = min(first_sample + int(WINDOW * acoustics.RATE), total)
        whole = last_sample == total
        if not whole:
            last_sample = _quietest(prosody, last_sample - int(4 * acoustics.RATE), last_sample)
        span = last_sample - first_sample
        count = int(span / acoustics.RATE * WORDS_A_SECOND) + 12
        candidates = spoken[first_word:] if whole else spoken[first_word : first_word + count]
        piece = _level(samples[first_sample:last_sample])
        scratch.give_back(samples)
        if span < acoustics.WINDOW + 4 * acoustics.HOP:
            break
        found = alignment.align(acoustics.features(piece), candidates, whole=whole)
        if found is None:
            found = alignment.align(acoustics.features(piece), candidates, whole=False)
        if found is None:
            break
        kept = found[0] if whole else _certain(found[0], KEEP * span / acoustics.HOP)
        offset = first_sample / acoustics.RATE
        phones += [_spoken(phone, offset, first_word) for phone in kept]
        first_word += max((phone.word for phone in kept), default=-1) + 1
        if whole:
            break
        first_sample += kept[-1].end * acoustics.HOP
        report.progress(first_sample / total, "aligning words")
    fits = [word.confidence > 0.3 for word in _words(phones, words)]
    noisy = prosody.level - prosody.floor < 15
    if not fits or np.mean(fits) < (RELATED_IN_NOISE if noisy else RELATED):
        return None
    notes = []
    unwritten = _unwritten(phones, prosody, total / acoustics.RATE)
    if unwritten:
        length = sum(phone.end - phone.start for phone in unwritten)
        notes.append(f"{length:.1f} s of speech are not in the transcript: the mouth follows the loudness there")
        phones = [phone for phone in phones if phone.name != "SIL"] + unwritten
    if first_word < len(words):
        notes.append(f"{len(words) - first_word} words at the end of the transcript were not found in the sound")
    unknown = sorted({word for word in words if not pronunciation.is_known(word)})
    if unknown:
        some = ", ".join(unknown[:8]) + (" ..." if len(unknown) > 8 else "")
        notes.append(f"pronunciations were made up for {len(unknown)} words: {some}")
    filled = without_gaps(phones, total / acoustics.RATE)
    return Timing(ALIGNED, filled, _words(filled, words), tuple(notes))


def _unwritten(phones: Sequence[Spoken], prosody: Prosody, seconds: float) -> list[Spoken]:
    """Open vowels where the voice speaks and the transcript has no words."""
    speech = prosody.is_speech() & (prosody.voicing > 0.4)
    result = []
    for phone in without_gaps(phones, seconds):
        rows = slice(int(phone.start * 100) + 3, int(phone.end * 100) - 3)
        if phone.name == "SIL" and speech[rows].sum() > 100 * UNWRITTEN:
            result += _syllables(prosody, rows.start * HOP, rows.stop * HOP)
    return result


def _certain(phones: Sequence[alignment.Phone], limit: float) -> list[alignment.Phone]:
    """The phones up to the last pause, else the last word end, before ``limit`` frames; at least half a window."""
    ends = [i for i in range(len(phones) - 1) if phones[i].end <= limit and phones[i].word != phones[i + 1].word]
    pauses = [
        i
        for i in ends
        if phones[i].word < 0 and phones[i].end - phones[i].start >= PAUSE * 100 and phones[i].end > limit / 2
    ]
    if pauses:
        # Half of the pause stays with the next window, which then begins in silence.
        last = phones[pauses[-1]]
        middle = (last.start + last.end) // 2
        cut = alignment.Phone(last.name, last.start, max(middle, last.start + 1), last.word, last.score)
        return [*phones[: pauses[-1]], cut]
    if ends:
        return list(phones[: ends[-1] + 1])
    return list(phones)


# --- without ----------------------------------------------------------------------------------------------------------


def heard(cache: Path, pieces: Sequence[tuple[int, int]], report: Report, english: bool) -> list[Heard | None]:
    """What is said in pieces of a raw file; see :func:`recogniser.hear`."""

    def done(count: int) -> None:
        report.progress(count / max(len(pieces), 1), "recognising words")

    return recogniser.hear(cache, pieces, done=done, words=english)


def _recognise(
    samples: np.ndarray, cache: Path, prosody: Prosody, report: Report, english: bool, hear: Hear | None
) -> Timing:
    pieces = speaking(len(samples), prosody)
    answers = hear(pieces) if hear is not None else heard(cache, pieces, report, english)
    phones: list[Spoken] = []
    words: list[str] = []
    looped = lost = 0
    for (start, stop), answer in zip(pieces, answers, strict=True):
        if answer is None or not any(phone.name in _SOUNDS for phone in answer.phones):
            lost += 1
            phones += _syllables(prosody, start, stop)
            continue
        looped += answer.loop
        offset = start / acoustics.RATE
        phones += [_spoken(phone, offset, len(words)) for phone in answer.phones]
        words += answer.words
    mode = RECOGNISED if words else LOOP if looped else VOICE
    notes = []
    if words and looped:
        notes.append(
            f"{looped} of {len(pieces)} pieces have no words that can be believed: a phone loop was used there"
        )
    elif looped and english:
        notes.append("no words can be made out (music, noise or another language?): the mouth follows a phone loop")
    if lost:
        notes.append(f"{lost} of {len(pieces)} pieces could not be recognised: the mouth follows the loudness there")
    filled = without_gaps(phones, len(samples) / acoustics.RATE)
    return Timing(mode, filled, _words(filled, words), tuple(notes))


_SOUNDS = phones_of_english.NAMES - {"SIL"}


def _syllables(prosody: Prosody, start: int, stop: int) -> list[Spoken]:
    """The last resort: an open vowel on each bump of loudness."""
    rows = np.arange(start // HOP, min(stop // HOP, len(prosody.loudness)))
    track = smooth(prosody.loudness[rows], 0.04)
    speech = prosody.is_speech()[rows]
    peaks = [i for i in range(1, len(rows) - 1) if speech[i] and track[i - 1] <= track[i] > track[i + 1]]
    result = []
    for number, peak in enumerate(peaks):
        low = max(peak - 10, (peaks[number - 1] + peak) // 2 if number else 0)
        high = min(peak + 10, (peaks[number + 1] + peak) // 2 if number + 1 < len(peaks) else len(rows))
        if high - low >= 4:
            result.append(Spoken("AH", (rows[0] + low) / 100, (rows[0] + high) / 100, -1, 0.3))
    return result


def speaking(total: int, prosody: Prosody) -> list[tuple[int, int]]:
    """The pieces of :func:`cut` in which somebody speaks; loudness alone tells them."""
    return [piece for piece in cut(total, prosody) if _speaks(prosody, *piece)]


def cut(total: int, prosody: Prosody, longest: float = LONGEST_PIECE) -> list[tuple[int, int]]:
    """Pieces of at most ``longest`` seconds that cover all samples, cut where it is quietest."""
    pieces = []
    start = 0
    limit = int(longest * acoustics.RATE)
    while total - start > limit:
        stop = _quietest(prosody, start + int(0.4 * limit), start + limit)
        pieces.append((start, stop))
        start = stop
    if total - start > limit * 0.6:  # two pieces of one rest use both workers
        middle = _quietest(prosody, start + (total - start) // 3, start + 2 * (total - start) // 3)
        pieces.append((start, middle))
        start = middle
    pieces.append((start, total))
    return pieces


def _quietest(prosody: Prosody, low: int, high: int) -> int:
    """The sample between two where the sound is quietest over 0.3 s."""
    rows = slice(max(low // HOP, 0), max(high // HOP, low // HOP + 1))
    track = smooth(np.maximum(prosody.loudness[rows], prosody.floor), 0.12)
    return (rows.start + int(np.argmin(track))) * HOP if len(track) else high


def _speaks(prosody: Prosody, start: int, stop: int) -> bool:
    rows = slice(start // HOP, stop // HOP)
    return stop - start > acoustics.RATE // 10 and bool(prosody.is_speech()[rows].sum() >= 8)


# --- shared -----------------------------------------------------------------------------------------------------------


def _level(samples: np.ndarray) -> np.ndarray:
    piece = np.array(samples, np.float32)
    return piece * np.float32(0.8 / max(float(np.abs(piece).max()), 1e-4))


def _spoken(phone: alignment.Phone, offset: float, first_word: int) -> Spoken:
    name = phone.name if phone.name in _SOUNDS else "SIL"
    shift = offset + acoustics.FRAME_CENTRE
    start = offset if phone.start == 0 else phone.start * 0.01 + shift
    word = phone.word + first_word if phone.word >= 0 else -1
    confidence = float(np.clip(1 + phone.score / 12, 0.05, 1)) if phone.word >= 0 else 0.5
    return Spoken(name, start, phone.end * 0.01 + shift, word, confidence)


def without_gaps(phones: Sequence[Spoken], seconds: float) -> tuple[Spoken, ...]:
    """Sorted, not overlapping, with silence in every gap and neighbouring silences joined; whole steps of 0.1 ms.

    The event track has four decimals, so that a take and the one solved from its own track are the same.
    """
    result: list[Spoken] = []

    def add(phone: Spoken) -> None:
        if phone.name == "SIL" and result and result[-1].name == "SIL":
            result[-1] = Spoken("SIL", result[-1].start, phone.end)
        else:
            result.append(phone)

    place = 0.0
    for phone in sorted(phones, key=lambda phone: phone.start):
        start, end = max(phone.start, place), min(phone.end, seconds)
        if end - start < 1e-3:
            continue
        if start - place > 1e-6:
            if start - place < 0.03 and result:  # rounding, not a pause
                start = place
            else:
                add(Spoken("SIL", place, start))
        add(Spoken(phone.name, start, end, phone.word, phone.confidence))
        place = end
    if seconds - place > 1e-6:
        add(Spoken("SIL", place, seconds))
    return tuple(replace(phone, start=round(phone.start, 4), end=round(phone.end, 4)) for phone in result)


def _words(phones: Sequence[Spoken], words: Sequence[str]) -> tuple[Spoken, ...]:
    """Words from the phones that carry their index."""
    result: dict[int, Spoken] = {}
    for phone in phones:
        if phone.word < 0:
            continue
        known = result.get(phone.word)
        if known is None:
            result[phone.word] = Spoken(words[phone.word], phone.start, phone.end, phone.word, phone.confidence)
        else:
            confidence = min(known.confidence, phone.confidence)
            result[phone.word] = Spoken(known.name, known.start, phone.end, phone.word, confidence)
    return tuple(result[index] for index in sorted(result))
