# SPDX-License-Identifier: Apache-2.0
"""Words from sound with PocketSphinx, in child processes: a crash of the decoder costs one piece, not the run.

``python -m hyoid.speech.recogniser`` reads a JSON line ``[CACHE, START, STOP, WORDS]`` for each piece (samples of the
float32 file CACHE; whether to listen for words) and answers with one. Children are plain programs, so that scripts need
no ``__main__`` guard; they end with their standard input. A worker of a farm keeps them between shots.
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

from hyoid import held
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

    def work(child: _Child) -> None:
        while True:
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                return
            answers[index] = child.hear(cache, *pieces[index], words)
            finished.put(index)

    with contextlib.ExitStack() as stack:
        count = max(1, min(workers, len(pieces)))
        children = [stack.enter_context(held.lent(_Child, number)) for number in range(count)]
        threads = [threading.Thread(target=work, args=(child,), daemon=True) for child in children]
        for thread in threads:
            thread.start()
        for number in range(len(pieces)):
            finished.get()
            done(number + 1)
        for thread in threads:
            thread.join()
    return answers


class _Child:
    """A process that hears piece after piece: begun when first asked, and anew where it died or has heard enough."""

    def __init__(self, number: int) -> None:
        """Begin nothing yet; ``number`` only tells those apart that hear at the same time."""
        self._process: subprocess.Popen[str] | None = None
        self._asked = 0
        self._closed = False
        self._changing = threading.Lock()

    def hear(self, cache: Path, start: int, stop: int, words: bool) -> Heard | None:
        """The answer to a piece, see :func:`hear`; None where the process died of it or this was closed meanwhile."""
        try:
            process = self._ready()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps([str(cache.absolute()), start, stop, words]) + "\n")
            process.stdin.flush()
            return of_json(json.loads(process.stdout.readline()))
        except (OSError, ValueError, KeyError, TypeError):
            with self._changing:
                self._end()
            return None

    def close(self) -> None:
        """End the process, whatever it does; no other one begins."""
        with self._changing:
            self._closed = True
            self._end()

    def _ready(self) -> subprocess.Popen[str]:
        with self._changing:
            if self._process is not None and (self._asked == PIECES_A_CHILD or self._process.poll() is not None):
                self._end()
            if self._closed:
                raise ValueError("closed")
            if self._process is None:
                self._process, self._asked = _start(), 0
            self._asked += 1
            return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError), process:  # what it was not told yet cannot be written any more
                process.kill()


def _start() -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "hyoid.speech.recogniser"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment)


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


def _main() -> None:
    decoders = _Decoders()
    for line in sys.stdin:
        cache, start, stop, words = json.loads(line)
        # Opened for each piece: the next may be of another recording, and nothing keeps the file from being removed.
        samples = np.array(np.memmap(cache, np.float32, "r")[start:stop])
        with _limit(30 + SECONDS_PER_SECOND * (stop - start) / acoustics.RATE):
            heard = _hear_piece(decoders, samples, words)
        sys.stdout.write(json.dumps(as_json(heard)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
