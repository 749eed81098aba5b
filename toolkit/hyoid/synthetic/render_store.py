# SPDX-License-Identifier: Apache-2.0
"""Renders of heads for trainings: made in parts by processes beside the training, kept in memory, and in a folder.

Which renders a step may see follows from the step alone, and every render from its set and number alone: a training
waits for renders that are late, and is the same however fast they come. Needs no torch.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np

from hyoid.errors import InputError, MissingToolError
from hyoid.files import part_file, write_bytes
from hyoid.formats.npz import read_npz, write_npz
from hyoid.report import SILENT, Report
from hyoid.synthetic.heads import Crops, Settings

PARTS = {"crops": 250, "scenes": 50}
"""Renders of a part: what one process makes at a time, and what one file of a cache holds."""
_STEP = 5  # renders between two looks at whether the work shall end
_WAIT = 0.5  # seconds
_VERSION = 1
_LIST = "renders.json"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")
_NAMES = {"crops": ("images", "rotations", "boxes"), "scenes": ("images", "counts", "boxes", "rotations", "visible")}

Part = dict[str, np.ndarray]
"""Of ``crops``: ``images`` (n, S, S, 3) uint8, ``rotations`` (n, 3, 3) and ``boxes`` (n, 4)
float32. Of ``scenes``: ``images`` (n, H, W, 3) uint8, ``counts`` (n,) heads of each, and of all heads ``boxes`` (m, 4),
``rotations`` (m, 3, 3), as seen along their rays, and ``visible`` (m,), float32."""


@dataclass(frozen=True)
class Scenes:
    """Pictures of several heads.

    Attributes:
        images: (n, H, W, 3) uint8. boxes: of each (m, 4) pixels, not cut at the border. rotations: of each (m, 3, 3),
            as seen along the rays of the heads. visible: of each (m,) share of the near side that nothing hides.
    """

    images: np.ndarray
    boxes: list[np.ndarray]
    rotations: list[np.ndarray]
    visible: list[np.ndarray]


@dataclass(frozen=True)
class RenderSet:
    """Renders that belong together, numbers 0 to ``count`` - 1.

    Attributes:
        name: of its folder in a cache. opens, closes: steps of the training at which the first part is there, and the
            last one.
    """

    name: str
    kind: Literal["crops", "scenes"]
    seed: int
    settings: Settings
    count: int
    opens: int = 0
    closes: int = 0

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.count // PARTS[self.kind])

    def step_of(self, part: int) -> int:
        """The step from which on a part is seen."""
        return self.opens + part * max(self.closes - self.opens, 0) // max(self.parts - 1, 1)

    def parts_at(self, step: int) -> int:
        """How many parts a step may see; at least one."""
        if step >= self.closes:
            return self.parts
        return max(sum(self.step_of(part) <= step for part in range(self.parts)), 1)

    def size_of(self, part: int) -> int:
        """Renders of a part; the last one may have fewer."""
        return min(PARTS[self.kind], self.count - part * PARTS[self.kind])


def render(of: RenderSet, part: int, stopped: Callable[[], bool] = lambda: False) -> Part | None:
    """A part, or None when ``stopped`` says so."""
    from hyoid.synthetic import heads

    first, size = part * PARTS[of.kind], of.size_of(part)
    found: list[Any] = []
    for number in range(first, first + size, _STEP):
        if stopped():
            return None
        some = range(number, min(number + _STEP, first + size))
        if of.kind == "crops":
            found.append(heads.crops(of.seed, some.start, len(some), settings=of.settings))
        else:
            found += [heads.scene(of.seed, each, settings=of.settings) for each in some]
    if of.kind == "crops":
        crops: list[Crops] = found
        return {name: np.concatenate([getattr(some, name) for some in crops]) for name in _NAMES["crops"]}
    arrays = {
        "images": np.stack([scene.image for scene in found]),
        "counts": np.array([len(scene.boxes) for scene in found], np.int32),
    }
    for name, own in (("boxes", "boxes"), ("rotations", "apparent"), ("visible", "visible")):
        arrays[name] = np.concatenate([getattr(scene, own) for scene in found]).astype(np.float32)
    return arrays


# --- a folder of renders ----------------------------------------------------------------------------------------------


def open_cache(folder: Path, of: RenderSet) -> Path:
    """The folder of a set in a cache, made where it is missing.

    Raises:
        InputError: it holds other renders. OutputError: it cannot be written.
    """
    own, wanted = folder / of.name, told(of)
    path = own / _LIST
    if not path.is_file():
        write_bytes(path, (json.dumps(wanted, indent=1, sort_keys=True) + "\n").encode())
        return own
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"is no list of renders ({error})", path=path, hint="Take another folder") from None
    if not isinstance(found, dict) or found != wanted:
        other = [name for name in wanted if not isinstance(found, dict) or found.get(name) != wanted[name]]
        raise InputError(
            f"holds renders of other {', '.join(other) or 'settings'}", path=own, expected="those of this command",
            hint="Take another --cache folder, or remove this one",
        )  # fmt: skip
    return own


def told(of: RenderSet) -> dict[str, Any]:
    """What makes renders what they are, as JSON has it."""
    from hyoid.files import sha256_of

    settings = asdict(of.settings)
    folder = settings.pop("motion")
    if folder is not None:  # the same motion may lie elsewhere
        settings["motion"] = sha256_of(Path(folder) / "motion.npz")[:16]
    told = {"version": _VERSION, "renderer": _renderer(), "kind": of.kind, "part": PARTS[of.kind]}
    return json.loads(json.dumps({**told, "seed": of.seed, "settings": settings}))


@cache
def _renderer() -> str:
    """A digest of the code that renders: another one makes other pictures."""
    from hyoid.synthetic import heads

    digest, folder = sha256(), Path(heads.__file__).parent
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".vert", ".frag")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def read_part(folder: Path, of: RenderSet, part: int) -> Part | None:
    """A part of a cache's folder, or None where it is not there yet, or is shorter.

    Raises:
        InputError: the file is damaged.
    """
    path = _path(folder, part)
    if not path.is_file():
        return None
    found = read_npz(path)
    size = of.size_of(part)
    if set(found) != set(_NAMES[of.kind]):
        raise InputError("is no part of these renders", path=path, hint="Remove it")
    return cut(found, size) if len(found["images"]) >= size else None


def cut(part: Part, size: int) -> Part:
    """The first renders of a part."""
    if "counts" not in part:
        return {name: array[:size] for name, array in part.items()}
    heads = int(part["counts"][:size].sum())
    return {name: array[: size if name in ("images", "counts") else heads] for name, array in part.items()}


def _path(folder: Path, part: int) -> Path:
    return folder / f"{part:06d}.npz"


# --- processes --------------------------------------------------------------------------------------------------------

_stop: Any = None  # the event that ends the work of a process


def _begin(event: Any) -> None:
    """Prepare a process that renders: it leaves signals to its parent, and ends with it."""
    global _stop
    _stop = event
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def _work(of: RenderSet, part: int, folder: Path | None) -> Part | None:
    """A part, from the cache or rendered and kept there; None when the work shall end."""
    found = None if folder is None else read_part(folder, of, part)
    if found is None:
        found = render(of, part, (lambda: False) if _stop is None else _stop.is_set)
        if found is not None and folder is not None:
            with part_file(_path(folder, part)) as path:
                write_npz(path, found, level=0)
    return found


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """Start processes with one thread each, which no interrupt from the keyboard ends before they leave it to us."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    held = None
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        held = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    try:
        yield
    finally:
        if held is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


class Renders:
    """Sets of renders that are made while a training runs. A context: at its end all processes are gone.

    Args:
        sets: what there is to see. workers: processes that render; 0 renders when a part is asked for. cache: folder
            that keeps renders. waiting: is told when a step waits.

    Raises:
        InputError: the cache holds other renders, or is damaged. OutputError: the cache cannot be written.
        MissingToolError: this machine cannot render.
    """

    def __init__(
        self, sets: Sequence[RenderSet], *, workers: int = 0, cache: Path | None = None,
        waiting: Callable[[str], None] = lambda what: None,
    ) -> None:  # fmt: skip
        self.sets = {of.name: of for of in sets}
        self.folders = {of.name: None if cache is None else open_cache(cache, of) for of in sets}
        self._parts: dict[str, list[Part]] = {of.name: [] for of in sets}
        self._futures: dict[tuple[str, int], Future[Part | None]] = {}
        self._waiting = waiting
        self._begun, self._made = time.monotonic(), 0
        self._pool: ProcessPoolExecutor | None = None
        if workers:
            context = multiprocessing.get_context("spawn")
            self._stop = context.Event()
            self._pool = ProcessPoolExecutor(workers, context, _begin, (self._stop,))

    def __enter__(self) -> Renders:
        if self._pool is not None:
            queue = [(of.step_of(part), of.name, part) for of in self.sets.values() for part in range(of.parts)]
            with _starting():
                for _, name, part in sorted(queue):
                    future = self._pool.submit(_work, self.sets[name], part, self.folders[name])
                    future.add_done_callback(self._count(self.sets[name].size_of(part)))
                    self._futures[name, part] = future
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._stop.set()
            self._pool.shutdown(cancel_futures=True)

    def _count(self, size: int) -> Callable[[Future[Part | None]], None]:
        def done(future: Future[Part | None]) -> None:
            if not future.cancelled() and future.exception() is None:
                self._made += size

        return done

    def told(self) -> str:
        """How many renders were made, and how many a second."""
        seconds = max(time.monotonic() - self._begun, 1e-9)
        return f"{self._made} renders, {self._made / seconds:.1f} a second"

    def need(self, name: str, parts: int, report: Report = SILENT) -> list[Part]:
        """The first parts of a set; waits for those that are not there yet."""
        have = self._parts[name]
        while len(have) < parts:
            have.append(self._take(name, len(have)))
            report.progress(len(have) / parts, f"rendering: {self.told()}")
        return have

    def _take(self, name: str, part: int) -> Part:
        of = self.sets[name]
        if self._pool is None:
            found = _work(of, part, self.folders[name])
            self._made += of.size_of(part)
        else:
            future = self._futures.pop((name, part))
            try:
                while not wait([future], _WAIT).done:
                    self._waiting(f"waiting for {name}: {self.told()}")
                found = future.result()
            except BrokenProcessPool:
                raise MissingToolError(
                    "a process that renders has died", expected="memory and OpenGL for it",
                    hint="Take fewer --workers; --workers 0 renders without processes",
                ) from None  # fmt: skip
        assert found is not None
        return found

    def rows(self, names: Sequence[str], step: int, count: int, seed: Sequence[int]) -> list[tuple[Part, int]]:
        """Part and row of each of so many renders, drawn with a seed from what the step may see of sets of one kind."""
        found, ends = [], [0]
        for name in names:
            of = self.sets[name]
            opened = of.parts_at(step)
            found += self.need(name, opened)[:opened]
            ends += [ends[-1] + end for end in np.cumsum([of.size_of(part) for part in range(opened)]).tolist()]
        numbers = np.random.default_rng([*seed, crc32("+".join(names).encode())]).integers(0, ends[-1], count)
        parts = np.searchsorted(ends, numbers, side="right") - 1
        return [
            (found[part], number - ends[part]) for part, number in zip(parts.tolist(), numbers.tolist(), strict=True)
        ]

    def crops(self, names: Sequence[str], step: int, count: int, seed: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Images (count, S, S, 3) uint8 and rotations (count, 3, 3) float32 that a step may see, of all these sets."""
        rows = self.rows(names, step, count, seed)
        return np.stack([part["images"][row] for part, row in rows]), np.stack(
            [part["rotations"][row] for part, row in rows]
        )

    def scenes(self, name: str, step: int, count: int, seed: Sequence[int]) -> Scenes:
        """So many scenes that a step may see."""
        return _scenes(self.rows([name], step, count, seed))

    def all_crops(self, name: str, report: Report = SILENT) -> Part:
        """All crops of a set."""
        parts = self.need(name, self.sets[name].parts, report)
        return {key: np.concatenate([part[key] for part in parts]) for key in _NAMES["crops"]}

    def all_scenes(self, name: str, report: Report = SILENT) -> Scenes:
        """All scenes of a set."""
        parts = self.need(name, self.sets[name].parts, report)
        return _scenes([(part, row) for part in parts for row in range(len(part["images"]))])


def _scenes(rows: Sequence[tuple[Mapping[str, np.ndarray], int]]) -> Scenes:
    images, heads = [], []
    for part, row in rows:
        ends = np.cumsum(part["counts"][: row + 1])
        images.append(part["images"][row])
        heads.append((part, slice(int(ends[-1] - part["counts"][row]), int(ends[-1]))))
    return Scenes(
        np.stack(images), *([part[name][own] for part, own in heads] for name in ("boxes", "rotations", "visible"))
    )
