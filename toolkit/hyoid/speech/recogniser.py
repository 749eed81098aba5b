# SPDX-License-Identifier: Apache-2.0
"""Words from sound with PocketSphinx, in child processes: a crash of the decoder costs one piece, not the run.

``python -m hyoid.speech.recogniser CACHE words|phones`` reads ``START STOP`` (samples of the float32 file CACHE) from
stdin and answers each with one JSON line. Children are plain programs, so that scripts need no ``__main__`` guard.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.speech import acoustics, alignment, pronunciation
from hyoid.speech.alignment import Phone

# Full search, and one that skips every second frame's scores: they fail on different recordings, so both are heard and
# the words that fit the sound better are kept.
_SEARCHES: tuple[dict[str, Any], ...] = (
    {"maxhmmpf": 10_000, "maxwpf": 20},
    {"ds": 2, "maxhmmpf": 10_000, "maxwpf": 20},
)
DOUBTFUL = -5.0  # mean score a frame (see Phone.score) below which recognised words are not believed
PIECES_A_CHILD = 30  # decoders grow by megabytes a minute: a fresh one now and then keeps an hour's memory flat
SECONDS_PER_SECOND = 30.0  # of processor time; a child that needs more for a piece is ended


@dataclass(frozen=True)
class Heard:
    """What was heard in one piece: words, phones in frames from the piece's start, ``loop`` when without words."""

    words: tuple[str, ...]
    phones: tuple[Phone, ...]
    loop: bool


def as_json(heard: Heard) -> dict[str, Any]:
    """An answer as JSON values."""
    phones = [(phone.name, phone.start, phone.end, phone.word, phone.score) for phone in heard.phones]
    return {"words": heard.words, "phones": phones, "loop": heard.loop}


def of_json(value: Any) -> Heard:
    """The answer that :func:`as_json` gave.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    phones = tuple(
        Phone(str(name), int(start), int(end), int(word), float(score))
        for name, start, end, word, score in value["phones"]
    )
    return Heard(tuple(str(word) for word in value["words"]), phones, bool(value["loop"]))


def hear(
    cache: Path,
    pieces: Sequence[tuple[int, int]],
    workers: int = 2,
    done: Callable[[int], None] = lambda count: None,
    *,
    words: bool = True,
) -> list[Heard | None]:
    """Recognise pieces of a raw 16 kHz float32 file.

    Args:
        cache: the file.
        pieces: (start, stop) samples of each.
        workers: child processes.
        done: called with the number of finished pieces.
        words: listen for English words; otherwise only for phones.

    Returns:
        One answer a piece; None where the decoder failed.
    """
    answers: list[Heard | None] = [None] * len(pieces)
    waiting: queue.Queue[int] = queue.Queue()
    finished: queue.Queue[int] = queue.Queue()
    for index in range(len(pieces)):
        waiting.put(index)
    children: list[subprocess.Popen[str]] = []
    stop = threading.Event()

    def work() -> None:
        child, asked = None, 0
        while not stop.is_set():
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                break
            if child is not None and asked == PIECES_A_CHILD and child.stdin:
                child.stdin.close()
                child.wait()
                child = None
            if child is None:
                child, asked = _child(cache, words), 0
                children.append(child)
            asked += 1
            try:
                answers[index] = _ask(child, *pieces[index])
            except (OSError, ValueError):
                child.kill()
                child.wait()
                child = None
            finished.put(index)
        if child is not None and child.stdin:
            child.stdin.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(max(1, min(workers, len(pieces))))]
    try:
        for thread in threads:
            thread.start()
        for count in range(len(pieces)):
            finished.get()
            done(count + 1)
        for thread in threads:
            thread.join()
    finally:
        stop.set()
        for child in children:
            if child.stdin and not child.stdin.closed:
                child.stdin.close()
            try:
                child.wait(timeout=0.5 if stop.is_set() else None)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    return answers


def _child(cache: Path, words: bool) -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "hyoid.speech.recogniser", str(cache), "words" if words else "phones"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment)


def _ask(child: subprocess.Popen[str], start: int, stop: int) -> Heard:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{start} {stop}\n")
    child.stdin.flush()
    return of_json(json.loads(child.stdout.readline()))


class _Decoders:
    """The PocketSphinx decoders of one child, made when first used."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def _decode(self, samples: np.ndarray, name: str, options: dict[str, Any]) -> list[tuple[str, int, int]]:
        from pocketsphinx import Decoder

        if name not in self._made:
            self._made[name] = Decoder(loglevel="FATAL", samprate=acoustics.RATE, **options)
        decoder = self._made[name]
        decoder.reinit_feat()  # what it keeps of the piece before would change what it hears in this one
        decoder.start_utt()
        decoder.process_raw((samples * 32767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            return []
        return [(segment.word, segment.start_frame, segment.end_frame + 1) for segment in decoder.seg()]

    def words(self, samples: np.ndarray, search: int) -> list[str]:
        heard = self._decode(samples, f"words{search}", _SEARCHES[search])
        return [word.split("(")[0] for word, _, _ in heard if word[0] not in "<["]

    def loop(self, samples: np.ndarray) -> list[tuple[str, int, int]]:
        from pocketsphinx import get_model_path

        model = get_model_path("en-us/en-us-phone.lm.bin")
        options = {"lm": None, "allphone": model, "lw": 2.0, "beam": 1e-20, "pbeam": 1e-20}
        return self._decode(samples, "loop", options)


def _hear_piece(decoders: _Decoders, samples: np.ndarray, listen_for_words: bool) -> Heard:
    samples = samples * np.float32(0.8 / max(float(np.abs(samples).max()), 1e-4))
    cepstra = acoustics.features(samples)
    best: tuple[float, list[str], list[Phone]] | None = None
    for search in range(len(_SEARCHES) if listen_for_words else 0):
        words = decoders.words(samples, search)
        if not words or (best and words == best[1]):
            continue
        aligned = alignment.align(cepstra, [pronunciation.pronounce(word) for word in words])
        if aligned is None:
            continue
        phones, _ = aligned
        spoken = [phone for phone in phones if phone.word >= 0]
        fit = sum(phone.score * (phone.end - phone.start) for phone in phones) / len(cepstra)
        if spoken and (best is None or fit > best[0]):
            best = fit, words, phones
    if best is not None and best[0] > DOUBTFUL:
        return Heard(tuple(best[1]), tuple(best[2]), False)
    loop = [(name, start, end) for name, start, end in decoders.loop(samples)]
    phones = [
        Phone(name if name[0] != "+" else "SIL", start, min(end, len(cepstra)), -1, 0.0) for name, start, end in loop
    ]
    return Heard((), tuple(phone for phone in phones if phone.end > phone.start), True)


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """End this process when the work within takes longer: in processor time, so a busy machine hears the same words.

    On Windows, which has no such timer, in time of the clock, and ten times as long.
    """
    if hasattr(signal, "ITIMER_PROF"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        return
    timer = threading.Timer(10 * seconds, os._exit, (1,))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _main(cache: str, what: str) -> None:
    samples = np.memmap(cache, np.float32, "r")
    decoders = _Decoders()
    for line in sys.stdin:
        start, stop = map(int, line.split())
        with _limit(30 + SECONDS_PER_SECOND * (stop - start) / acoustics.RATE):
            heard = _hear_piece(decoders, np.array(samples[start:stop]), what == "words")
        sys.stdout.write(json.dumps(as_json(heard)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
