# SPDX-License-Identifier: Apache-2.0
"""Crops drawn ahead by other processes, for training: memory is bounded, nothing is written to disk unless asked for.

What a step gets depends on the seed, its number and the numbers below alone, never on how fast anybody is: step s draws
from the crops that have been *due* by then, ``capacity`` at most and the newest ones; it waits until they are drawn.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hyoid.errors import HyoidError, InputError, UsageError
from hyoid.synthetic.heads.settings import Crops, Settings

CHUNK = 32
"""Crops that a process draws between two looks at what is wanted."""
_WAIT = 600.0  # seconds without one crop after which the drawing processes are taken for dead


@dataclass(frozen=True)
class Rule:
    """Which crops a step may use: ``first + rate * step`` have been due, the newest ``capacity`` of them are kept."""

    first: int = 2000
    rate: float = 8.0
    capacity: int = 40000

    def window(self, step: int) -> tuple[int, int]:
        """Numbers (low, high) of the crops that step ``step`` may draw from, high excluded."""
        high = self._whole(self.first + self.rate * step)
        return max(0, high - self.capacity), high

    @staticmethod
    def _whole(count: float) -> int:
        return max(CHUNK, int(count) // CHUNK * CHUNK)


class Stream:
    """Batches of crops; a context manager, which ends its processes.

    Args:
        seed, settings: as for :func:`hyoid.synthetic.heads.crops`. rule: which crops a step may draw from.
        workers: processes that draw. cache: a folder that keeps chunks for later runs, or None.
        quality: keep pictures as JPEG of this quality, some 10 kB instead of 77 kB a crop; None keeps them as they are.
        produce: what draws crops ``(seed, first, count, settings)``; one that can be sent to other processes.

    Raises:
        UsageError: fewer than one worker, or a rule without crops.
    """

    def __init__(
        self,
        seed: int,
        settings: Settings,
        *,
        rule: Rule = Rule(),
        workers: int = 1,
        cache: Path | None = None,
        quality: int | None = None,
        produce: Callable[[int, int, int, Settings], Crops] | None = None,
    ) -> None:
        if workers < 1 or rule.capacity < 2 * CHUNK or rule.first < 1 or rule.rate < 0:
            raise UsageError(f"{workers} workers with {rule}", expected=f"a worker and at least {2 * CHUNK} crops")
        self.seed, self.settings, self.rule = seed, settings, rule
        self._workers, self._cache, self._quality, self._produce = workers, cache, quality, produce or drawn
        self._chunks: dict[int, Crops] = {}
        self._asked = 0
        self._processes: list[Any] = []

    def __enter__(self) -> Stream:
        context = multiprocessing.get_context("spawn")
        self._tasks, self._results = context.Queue(), context.Queue(2 * self._workers)
        with _one_thread():
            for _ in range(self._workers):
                task = (self._produce, self.seed, self.settings, self._cache, self._quality, self._tasks, self._results)
                process = context.Process(target=_work, args=task, daemon=True)
                process.start()
                self._processes.append(process)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        self._processes.clear()
        self._chunks.clear()

    def batch(self, step: int, count: int) -> Crops:
        """``count`` crops for a step, uniform over its window; steps rise, after a restart from anywhere.

        Raises:
            HyoidError: the drawing processes ended or gave nothing for ten minutes; what they said.
        """
        low, high = self.rule.window(step)
        self._need(low, high)
        # The next chunk is drawn while this step is worked on.
        self._ask(self.rule.window(step + max(1, int(4 * CHUNK / max(self.rule.rate, 0.1))))[1])
        numbers = np.random.default_rng([0x57, self.seed, step]).integers(low, high, count)
        rows = [(self._chunks[number // CHUNK], number % CHUNK) for number in numbers.tolist()]
        parts = ("rotations", "boxes", "visible")
        images = np.stack([_picture(chunk.images[row]) for chunk, row in rows])
        return Crops(images, *(np.stack([getattr(chunk, name)[row] for chunk, row in rows]) for name in parts))

    def _ask(self, high: int) -> None:
        for chunk in range(self._asked, high // CHUNK):
            self._tasks.put(chunk)
        self._asked = max(self._asked, high // CHUNK)

    def _need(self, low: int, high: int) -> None:
        for chunk in [chunk for chunk in self._chunks if chunk < low // CHUNK]:
            del self._chunks[chunk]
        self._asked = max(self._asked, low // CHUNK)
        self._ask(high)
        while any(chunk not in self._chunks for chunk in range(low // CHUNK, high // CHUNK)):
            self._take()
        while len(self._chunks) * CHUNK < self.rule.capacity + 8 * CHUNK and not self._results.empty():
            self._take()

    def _take(self) -> None:
        """Take one chunk from the processes."""
        waited = 0.0
        while True:
            try:
                chunk, made = self._results.get(timeout=5.0)
                break
            except queue.Empty:
                waited += 5.0
                if waited >= _WAIT or not any(process.is_alive() for process in self._processes):
                    raise HyoidError(
                        "the processes that draw heads ended or stand still",
                        expected="crops",
                        hint="Draw some here to see why: hyoid.synthetic.heads.crops(0, 0, 1)",
                    ) from None
        if isinstance(made, str):
            raise HyoidError(f"heads cannot be drawn: {made}", expected="crops")
        self._chunks[chunk] = made


def drawn(seed: int, first: int, count: int, settings: Settings) -> Crops:
    """:func:`hyoid.synthetic.heads.crops`, as other processes call it."""
    from hyoid.synthetic.heads.head_crops import crops

    return crops(seed, first, count, settings=settings)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that start within use one thread each: there are as many of them as wanted."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(
    produce: Callable[[int, int, int, Settings], Crops],
    seed: int,
    settings: Settings,
    cache: Path | None,
    quality: int | None,
    tasks: Any,
    results: Any,
) -> None:
    """Draw chunks until the parent ends; what goes wrong is sent as text."""
    while True:
        chunk = tasks.get()
        try:
            made = _kept(produce, seed, settings, cache, chunk)
            if quality is not None:
                made = replace(made, images=_packed(made.images, quality))
            results.put((chunk, made))
        except (HyoidError, ArithmeticError, AssertionError, LookupError, OSError, TypeError, ValueError) as error:
            results.put((chunk, f"{type(error).__name__}: {error}"))
            return


def _packed(images: np.ndarray, quality: int) -> np.ndarray:
    """Pictures (n, H, W, 3) as JPEG files, (n,) objects; colours at full resolution."""
    packed = np.empty(len(images), object)
    for row, image in enumerate(images):
        store = io.BytesIO()
        Image.fromarray(image).save(store, "JPEG", quality=quality, subsampling=0)
        packed[row] = store.getvalue()
    return packed


def _picture(kept: np.ndarray | bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(kept))) if isinstance(kept, bytes) else kept


def _kept(
    produce: Callable[[int, int, int, Settings], Crops], seed: int, settings: Settings, cache: Path | None, chunk: int
) -> Crops:
    """A chunk from the cache, or drawn and then kept there."""
    names = ("images", "rotations", "boxes", "visible")
    if cache is None:
        return produce(seed, chunk * CHUNK, CHUNK, settings)
    path = cache / f"{seed}_{settings.size}_{settings.domain}_{int(settings.held_out)}_{chunk}.npz"
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as stored:
                return Crops(*(stored[name] for name in names))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"a kept chunk is damaged ({error})", path=path, hint="Delete it") from error
    made = produce(seed, chunk * CHUNK, CHUNK, settings)
    cache.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(file, **{name: getattr(made, name) for name in names})
    part.replace(path)
    return made
