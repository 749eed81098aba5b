# SPDX-License-Identifier: Apache-2.0
"""Clips of any length through KTPFormer: windows, their seams, mirror averaging; arrays in, arrays out.

The published evaluation cuts a clip into windows side by side, and poses jump where they meet. Here windows overlap and
are cross-faded: each frame is a mean of its windows, weighted by how far from their ends it lies. Windows lie on a grid
from frame 0, and the last one ends with the clip, so a frame depends on nothing farther away than a window: a clip may
be lifted in stretches (:func:`needed`) and gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hyoid.errors import InputError, MissingToolError, UsageError
from hyoid.report import SILENT, Report
from hyoid.systems.ktpformer import checkpoint
from hyoid.systems.ktpformer.checkpoint import Model
from hyoid.systems.ktpformer.config import Config

if TYPE_CHECKING:
    from hyoid.systems.ktpformer.fast import Prepared

WINDOWS = ("blended", "official")
_GPU_BATCH = 16


@dataclass(frozen=True)
class Lifter:
    """A model that is ready to run; see :func:`load` and :func:`ready`."""

    model: Model
    prepared: Prepared

    @property
    def config(self) -> Config:
        """The sizes of the network."""
        return self.model.config


@dataclass(frozen=True)
class Options:
    """How a clip is lifted.

    Attributes:
        windows: ``blended`` (cross-faded, without seams) or ``official`` (side by side, as published).
        step: frames from one window to the next where they are blended; None is half a window.
        mirror: lift the mirror image as well and average, as published.
        batch: windows that run together; None is 1 on a processor, where more is no faster, and 16 on a GPU. With 1 the
            numbers of a window do not depend on its neighbours in any digit.
    """

    windows: str = "blended"
    step: int | None = None
    mirror: bool = True
    batch: int | None = None


def load(
    path: str | Path, *, heads: int | None = None, device: str = "cpu", precision: str = "float32"
) -> Lifter:  # fmt: skip
    """The model of a file (see :func:`hyoid.systems.ktpformer.checkpoint.load`), ready to lift.

    Raises:
        WeightsError: the file is not a sound one. Others: see :func:`ready`.
    """
    return ready(checkpoint.load(Path(path), heads), device, precision)


def ready(model: Model, device: str = "cpu", precision: str = "float32") -> Lifter:
    """A model in memory, ready to lift.

    Args:
        precision: ``float32``, or ``bfloat16`` for products of rounded numbers (:mod:`.fast`).

    Raises:
        MissingToolError: torch is not installed. UsageError: no such precision.
    """
    try:
        import torch

        from hyoid.systems.ktpformer import fast
    except ImportError as error:
        raise MissingToolError(
            "KTPFormer is evaluated with torch, which is not installed", hint="Install it: pip install 'hyoid[train]'"
        ) from error
    parameters = {name: torch.tensor(array, device=device) for name, array in model.parameters.items()}
    return Lifter(model, fast.prepare(parameters, model.config, precision))


def lift(
    lifter: Lifter, keypoints: np.ndarray, width: float, height: float, options: Options | None = None, *,
    report: Report = SILENT,
) -> np.ndarray:  # fmt: skip
    """3D joints (frames, J, 3) float32, metres, camera axes (x right, y down, z away), relative to the root.

    The network does not force joint 0 to zero: subtract it for poses about the pelvis. It does not travel.

    Args:
        keypoints: (frames, J, 2) pixels of the joints in the model's order (``hyoid.geometry.human36m``), any
            number of frames from 1; 50 frames a second are what the published weights know.
        width, height: of the image, pixels.

    Raises:
        InputError: shapes do not fit, or a number is not finite; the first frame and joint are named.
        UsageError: an option is wrong.
    """
    keypoints = np.asarray(keypoints)
    done, parts = 0, []
    for part in stream(lifter, [keypoints], width, height, options):
        parts.append(part)
        done += len(part)
        report.progress(done / len(keypoints), f"frame {done} of {len(keypoints)}")
    return np.concatenate(parts)


def stream(
    lifter: Lifter, parts: Iterable[np.ndarray], width: float, height: float, options: Options | None = None
) -> Iterator[np.ndarray]:
    """As :func:`lift`, of a clip that comes in parts (n, J, 2) of any lengths; gives parts (m, J, 3) as they are done.

    A few windows are held at a time, however long the clip is; how it is cut into parts changes nothing.

    Raises:
        As :func:`lift`, when the part comes.
    """
    options = options or Options()
    if not (np.isfinite([width, height]).all() and width > 0 and height > 0):
        raise InputError(f"an image of {width} x {height}", expected="a width and a height in pixels")
    length, joints = lifter.config.frames, lifter.config.joints
    step = _step(options, length)
    batch = options.batch or (1 if lifter.prepared.device.type == "cpu" else _GPU_BATCH)
    if batch < 1:
        raise UsageError(f"batches of {batch} windows", expected="1 or more")
    joined = _Joined(length, step, _fade(length) if options.windows == "blended" else None)
    for part in parts:
        _check(part, joints, joined.count)
        for start in range(0, len(part), length):
            joined.add(normalised(part[start : start + length], width, height))
            yield from _work(lifter, joined, options.mirror, batch, last=False)
    if not joined.count:
        raise InputError("there are no frames", expected="at least one")
    joined.close()
    yield from _work(lifter, joined, options.mirror, batch, last=True)


def needed(first: int, end: int, frames: int, length: int, step: int | None = None) -> tuple[int, int]:
    """The stretch of a clip whose lifting gives frames ``first`` to ``end`` the numbers that the whole clip gives them.

    Args:
        first, end: the frames that are wanted, ``end`` excluded. frames: of the whole clip. length, step: of windows,
            as in :class:`Options`.

    Returns:
        Its first frame and its end; ``lift(clip[start:stop])[first - start : end - start]`` are the frames.
    """
    step = _step(Options(step=step), length)
    return max(0, first - length + 1) // step * step, min(frames, end + length)


def normalised(keypoints: np.ndarray, width: float, height: float) -> np.ndarray:
    """Pixels (..., 2) as the network wants them: float32, x in -1..1, y with the same unit about the middle."""
    return (np.asarray(keypoints, np.float64) * (2 / width) - (1, height / width)).astype(np.float32)


def window_frames(frames: int, length: int, step: int | None = None) -> np.ndarray:
    """(W, length) which frames each window takes; one that is too short repeats its last frame.

    Args:
        step: between windows; None is ``length``, the published cutting. The last one ends with the clip.
    """
    step = step or length
    starts = list(range(0, frames - length + 1, step)) or [0]
    if starts[-1] + length < frames:
        starts.append(frames - length)
    return np.minimum(np.array(starts)[:, None] + np.arange(length), frames - 1)


def lift_windows(lifter: Lifter, windows: np.ndarray, mirror: bool = True) -> np.ndarray:
    """What the network says of windows (W, F, J, 2) float32, normalised: (W, F, J, 3) float32.

    With ``mirror`` the mean of it and of the mirror image's answer, mirrored back.
    """
    import torch

    from hyoid.systems.ktpformer import fast

    order = lifter.config.mirrored()
    given = torch.from_numpy(np.ascontiguousarray(windows)).to(lifter.prepared.device)
    if mirror:
        flipped = given[:, :, order] * given.new_tensor([-1, 1])
        both = fast.forward(lifter.prepared, torch.cat([given, flipped]))
        plain, other = both.chunk(2)
        found = (plain + other[:, :, order] * other.new_tensor([-1, 1, 1])) / 2
    else:
        found = fast.forward(lifter.prepared, given)
    return found.cpu().numpy()


def _work(lifter: Lifter, joined: _Joined, mirror: bool, batch: int, last: bool) -> Iterator[np.ndarray]:
    """Run the windows that are full, in batches, and give the frames that no later window can reach."""
    while len(joined.waiting) >= batch or (last and joined.waiting):
        starts = joined.waiting[:batch]
        # Batches of one size, the last one filled up: a GPU rounds differently in those of another.
        filled = starts + starts[-1:] * (batch - len(starts))
        joined.put(starts, lift_windows(lifter, joined.take(filled), mirror)[: len(starts)])
    finished = joined.finished()
    if len(finished):
        if not np.isfinite(finished).all():
            raise InputError("the network's answer is not finite", expected="keypoints near the image")
        yield finished


@dataclass
class _Joined:
    """The stretch of a clip that windows still need, and the sums of what they said."""

    length: int
    step: int
    fade: np.ndarray | None  # (F,) weights; None: a later window replaces an earlier one
    count: int = 0  # frames that came
    waiting: list[int] = field(default_factory=list)  # first frames of windows that are full
    _next: int = 0
    _first: int = 0
    _parts: dict[str, Any] = field(default_factory=dict)
    _closed: bool = False

    def add(self, keypoints: np.ndarray) -> None:
        """Frames (n, J, 2), normalised."""
        size = len(keypoints)
        new = {"keypoints": keypoints, "sums": np.zeros((*keypoints.shape[:2], 3)), "weights": np.zeros(size)}
        old = self._parts
        self._parts = {name: np.concatenate([old[name], new[name]]) if old else new[name] for name in new}
        self.count += size
        while self._next + self.length <= self.count:
            self.waiting.append(self._next)
            self._next += self.step

    def close(self) -> None:
        """No more frames: the last window ends with the clip."""
        self._closed = True
        if self._next == 0 or self._next - self.step + self.length < self.count:
            self.waiting.append(max(0, self.count - self.length))

    def take(self, starts: Sequence[int]) -> np.ndarray:
        """(W, F, J, 2), the last frame repeated where the clip is too short."""
        rows = np.minimum(np.array(starts)[:, None] + np.arange(self.length), self.count - 1) - self._first
        return self._parts["keypoints"][rows]

    def put(self, starts: Sequence[int], found: np.ndarray) -> None:
        """Add what windows said, (W, F, J, 3)."""
        for start, joints in zip(starts, found, strict=True):
            rows = slice(start - self._first, min(start + self.length, self.count) - self._first)
            size = rows.stop - rows.start
            if self.fade is None:
                self._parts["sums"][rows], self._parts["weights"][rows] = joints[:size], 1
            else:
                self._parts["sums"][rows] += self.fade[:size, None, None] * joints[:size]
                self._parts["weights"][rows] += self.fade[:size]
        self.waiting = self.waiting[len(starts) :]

    def finished(self) -> np.ndarray:
        """(n, J, 3) float32: the frames that no window to come covers, wherever the clip ends; they are let go."""
        reached = min([self.count - self.length, self._next, *self.waiting])
        size = len(self._parts["weights"]) if self._closed else max(0, reached - self._first)
        done = self._parts["sums"][:size] / self._parts["weights"][:size, None, None]
        self._parts = {name: part[size:] for name, part in self._parts.items()}
        self._first += size
        return done.astype(np.float32)


def _fade(length: int) -> np.ndarray:
    """(F,) weights of a window's frames: a raised cosine, nearly nothing at the ends."""
    return np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2


def _step(options: Options, length: int) -> int:
    if options.windows not in WINDOWS:
        raise UsageError(f"windows '{options.windows}'", expected=" or ".join(WINDOWS))
    if options.windows == "official":
        if options.step not in (None, length):
            raise UsageError(f"official windows every {options.step} frames", expected=f"{length}, their length")
        return length
    step = (length + 1) // 2 if options.step is None else options.step
    if not 1 <= step <= length:
        raise UsageError(f"windows every {step} frames", expected=f"1 to {length}, the length of a window")
    return step


def _check(part: np.ndarray, joints: int, before: int) -> None:
    part = np.asarray(part)
    if part.ndim != 3 or part.shape[1:] != (joints, 2) or part.dtype.kind not in "fiu":
        raise InputError(f"keypoints are {part.shape} {part.dtype}", expected=f"(frames, {joints}, 2) numbers")
    finite = np.isfinite(part)
    if not finite.all():
        frame, joint, axis = (int(i) for i in np.argwhere(~finite)[0])
        raise InputError(
            f"joint {joint} of frame {before + frame} is at {part[frame, joint, axis]}", expected="finite pixels",
            hint="Fill the gaps of the track first",
        )  # fmt: skip
