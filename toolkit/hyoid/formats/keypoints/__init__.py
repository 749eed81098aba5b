# SPDX-License-Identifier: Apache-2.0
"""Keypoints of people in pictures, found by a detector: every file that people have, read as one record.

OpenPose, AlphaPose, COCO, MMPose, easy_ViTPose, MediaPipe, and arrays. What a file is, its content says;
which joints it has, :mod:`guess` finds out and tells; :func:`to_human36m` makes of them the joints that lifting knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hyoid import scratch
from hyoid.errors import InputError
from hyoid.formats.checks import frame_rate
from hyoid.formats.keypoints import arrays, coco, guess, mediapipe, mmpose, openpose
from hyoid.formats.keypoints.guess import Statement
from hyoid.formats.keypoints.layouts import LAYOUTS, Layout, by_name
from hyoid.formats.keypoints.mapping import feet_of, to_human36m
from hyoid.formats.keypoints.people import Found, Person, gather, image_size, last_number, load_json

__all__ = ["LAYOUTS", "Keypoints", "Layout", "feet_of", "read", "to_human36m"]

_KINDS = "OpenPose, AlphaPose, COCO, MMPose, easy_ViTPose or MediaPipe JSON, or arrays"
_LARGEST_FRAME, _LARGEST_FOLDER = 1 << 24, 1 << 30
_FARTHEST = 1e6  # pixels
_UNIT = 2.0
"""Coordinates whose middle is below this are shares of the picture: nobody is two pixels high."""
_SLIGHT = 2.0
"""Confidences up to this are maxima of heat maps that overshoot 1; beyond it another scale is meant."""


@dataclass(frozen=True)
class Keypoints:
    """The people that a detector found in the frames of a clip.

    Attributes:
        layout: which joints. reason: a sentence without full stop that says why they are those.
        source: what kind of file it was. frames: F, of the clip, those without people too.
        first: the number that the file gives to frame 0.
        frame: (N,) int64 of each detection, 0 to F - 1, rising.
        points: (N, K, 2) float64 pixels, x to the right and y down, NaN where missing.
        confidence: (N, K) float64 0..1, 0 where missing. scores: (N,) float64 0..1 of the whole person.
        ids: (N,) int64, -1 where the file has none.
        times: (F,) float64 seconds, rising, if the file tells. fps: frames a second, if the file tells.
        width, height: of the picture in pixels, if the file or the caller tells.
    """

    layout: Layout
    reason: str
    source: str
    frames: int
    first: int
    frame: np.ndarray
    points: np.ndarray
    confidence: np.ndarray
    scores: np.ndarray
    ids: np.ndarray
    times: np.ndarray | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None


def read(path: Path | str, *, layout: str | None = None, size: tuple[int, int] | None = None) -> Keypoints:
    """The keypoints in a file, or in a folder with one file a frame.

    Args:
        layout: a name of :data:`LAYOUTS` when it is known better than the file shows. size: width and height of the
            picture, which shares of the picture need, and a file that does not state it may do with.

    Raises:
        UsageError: no layout has that name.
        InputError: missing, too large, damaged, no format of these, joints that no layout has, a point that is not
            finite though it has a confidence, shares of a picture without its size, or another size than the file says.
    """
    path = Path(path)
    if layout is not None:
        guess.asked_for(layout)
    if size is not None:
        size = image_size(*size, path)
    if path.is_dir():
        found = _folder(path)
    elif path.suffix.lower() in (".npz", ".npy") or _is_array(path):
        found = arrays.read(path)
    else:
        found = _json(path, load_json(path))
    if found.fps is not None:
        frame_rate(found.fps, path)
    _check_times(found, path)
    if size is not None and found.size is not None and size != found.size:
        stated = f"its pictures have {found.size[0]} x {found.size[1]} pixels"
        raise InputError(stated, path=path, expected=f"{size[0]} x {size[1]}, as was said")
    return _finished(replace(found, size=found.size or size), path, layout)


def _finished(found: Found, path: Path, layout: str | None) -> Keypoints:
    if np.isinf(found.scores).any():
        frame = found.first + int(found.frame[np.isinf(found.scores)][0])
        raise InputError(f"frame {frame}: the score of a person is not finite", path=path, expected="finite numbers")
    points, confidence = _present(found, path)
    there = np.flatnonzero((confidence > 0).any(1))
    if not len(there):
        raise InputError("holds no joint with a confidence", path=path, expected="at least one person")
    order = there[np.argsort(found.frame[there], kind="stable")]
    if len(order) < len(points) or (np.diff(order) < 0).any():
        points, confidence = points[order], confidence[order]
    chosen, reason = guess.choose(path, points, confidence, layout, found.statement)
    points = _pixels(points, found, path)
    scratch.give_back(points, confidence)
    seen = np.maximum((confidence > 0).sum(1), 1)
    scores = found.scores[order]
    scores = np.where(np.isnan(scores), np.nan, np.nan_to_num(_unit(scores, np.nanmax(scores, initial=0.0)), nan=0.0))
    scores = np.where(np.isnan(scores), confidence.sum(1) / seen, scores)
    width, height = found.size or (None, None)
    return Keypoints(
        chosen, reason, found.source, found.frames, found.first, found.frame[order], points, confidence, scores,
        found.ids[order], found.times, found.fps, width, height,
    )  # fmt: skip


def _present(found: Found, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Points, NaN where missing, and confidences 0..1, 0 there; both lie in files where they are large."""
    points, confidence = scratch.empty(found.points.shape), scratch.empty(found.points.shape[:2])
    for rows in scratch.pieces(len(points)):
        part = points[rows]
        part[:] = found.points[rows]
        finite = np.isfinite(part).all(-1)
        if found.confidence is None:
            # Without confidence a missing joint is NaN or lies in the corner.
            own = (finite & (part != 0).any(-1)).astype(np.float64)
        else:
            own = np.array(found.confidence[rows], np.float64)
            if np.isinf(own).any():
                _refuse(found, rows, np.isinf(own), "has a confidence that is not finite", path)
            own = np.nan_to_num(own)
            _refuse(found, rows, (own > 0) & ~finite, "is not finite, though it has a confidence", path)
        far = np.abs(np.where(finite[..., None], part, 0)).max(-1) > _FARTHEST
        _refuse(found, rows, far & (own > 0), f"is farther than {_FARTHEST:g} pixels away", path)
        part[own <= 0] = np.nan
        confidence[rows] = own
        scratch.give_back(points, confidence, found.points)
    if found.confidence is not None:
        largest = confidence.max(initial=0.0)
        for rows in scratch.pieces(len(confidence)):
            own = confidence[rows]
            confidence[rows] = own / 2 if found.visibility else _unit(own, largest)
            scratch.give_back(confidence)
    return points, confidence


def _refuse(found: Found, rows: slice, bad: np.ndarray, what: str, path: Path) -> None:
    """Raise for the first joint of some rows that is bad, (rows, K) bool."""
    if not bad.any():
        return
    row, joint = (int(one[0]) for one in np.nonzero(bad))
    row += rows.start
    person = int((found.frame[:row] == found.frame[row]).sum())
    where = f"frame {found.first + found.frame[row]}, person {person}, joint {joint}"
    raise InputError(f"{where} {what}", path=path, expected="finite pixels, or confidence 0")


def _unit(values: np.ndarray, largest: float) -> np.ndarray:
    """Confidences on a scale from 0 to 1, whatever the file's, in which they go up to ``largest``; NaN stays."""
    return np.clip(values / largest if largest > _SLIGHT else values, 0, 1)


def _pixels(points: np.ndarray, found: Found, path: Path) -> np.ndarray:
    """Points in pixels, also of a file that has shares of the picture."""
    count = large = below = 0
    low, high = np.inf, -np.inf
    for rows in scratch.pieces(len(points)):
        values = points[rows][np.isfinite(points[rows])]
        count, large = count + values.size, large + np.count_nonzero(np.abs(values) >= _UNIT)
        below += np.count_nonzero(values < 0)
        low, high = values.min(initial=low), values.max(initial=high)
        scratch.give_back(points)
    if 2 * large >= count:
        return points
    if found.size is None:
        raise InputError(
            f"its coordinates are shares of the picture ({low:.3g} to {high:.3g}), and it has no size", path=path,
            expected="pixels, or the width and height of the picture", hint="Say how large the picture is",
        )  # fmt: skip
    if found.centred and below:
        return (points + 1) / 2 * np.array(found.size)
    if below > 0.2 * count:
        raise InputError(
            f"{below / count:.0%} of its coordinates are negative, from {low:.3g} to {high:.3g}", path=path,
            expected="pixels, or shares of the picture from 0 to 1",
        )  # fmt: skip
    return points * np.array(found.size)


def _check_times(found: Found, path: Path) -> None:
    times = found.times
    if times is not None and not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        frame = int(np.flatnonzero(~np.isfinite(times) | (np.diff(times, prepend=-np.inf) <= 0))[0])
        found_text = f"the time of frame {frame} is {times[frame]:g} s"
        raise InputError(found_text, path=path, expected="finite seconds that rise from frame to frame")


def _is_array(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(6)
    except OSError:
        return False
    return head[:4] == b"PK\x03\x04" or head == b"\x93NUMPY"


def _json(path: Path, value: Any) -> Found:
    """The people of one JSON value; its form says what wrote it."""
    if coco.is_annotations(value):
        return coco.read_annotations(value, path)
    if _single(value):
        return _gathered(_people(value, 0, path), path, _source(value), 0, 0)
    if isinstance(value, dict):
        return _with_facts(_object(path, value), value, path)
    if coco.is_results(value):
        return coco.read_results(value, path)
    if mmpose.is_frames(value):
        return mmpose.read(value, path)
    if mediapipe.is_frames(value):
        return mediapipe.read(value, path)
    if isinstance(value, list) and value and all(one == [] or one is None for one in value):
        raise InputError("holds no person in any frame", path=path, expected=f"keypoints: {_KINDS}")
    raise _unknown("an empty list" if value == [] else f"{value!r:.60}", path)


def _object(path: Path, value: dict[str, Any]) -> Found:
    """The people of an object that holds many frames."""
    if isinstance(value.get("instance_info"), list):
        return mmpose.read(value["instance_info"], path, value.get("meta_info"))
    if isinstance(value.get("predictions"), list):
        return mmpose.read(value["predictions"], path)
    if mmpose.is_vitpose(value):
        return mmpose.read_vitpose(value, path)
    if coco.is_by_picture(value):
        return coco.read_by_picture(value, path)
    if mediapipe.is_frame(value):
        return _landmarks(value, path)
    inner = next((value[key] for key in ("frames", "results", "annotations", "keypoints") if key in value), None)
    if isinstance(inner, list) and inner:
        return _json(path, inner)
    raise _unknown(f"an object of {', '.join(list(value)[:6])}"[:120], path)


def _unknown(what: str, path: Path) -> InputError:
    return InputError(f"is JSON, but no format of keypoints that is known ({what})", path=path, expected=_KINDS)


def _with_facts(found: Found, value: dict[str, Any], path: Path) -> Found:
    """What an object says beside its frames: size of the picture, frame rate, layout."""
    size = found.size or image_size(value.get("width"), value.get("height"), path)
    rate, title = value.get("fps"), value.get("layout")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float)):
        raise InputError(f"'fps' is {rate!r:.40}", path=path, expected="frames a second")
    stated = by_name(title) if isinstance(title, str) else None
    statement = found.statement if stated is None else Statement(stated, f"the file says '{title}'")
    return replace(found, size=size, fps=found.fps if rate is None else float(rate), statement=statement)


def _landmarks(value: dict[str, Any], path: Path) -> Found:
    """An object with landmarks: those of one frame, or of many."""
    inner = next(value[key] for key in ("pose_landmarks", "poseLandmarks", "landmarks") if key in value)
    # A list of people in one frame and a list of frames look alike; a clip is what people store.
    return mediapipe.read(inner if mediapipe.is_frames(inner) and not mediapipe.is_person(inner) else value, path)


def _single(value: Any) -> bool:
    """Whether a JSON value is one frame, of which there may be a folder."""
    return openpose.is_frame(value) or mmpose.is_people(value)


def _source(value: Any) -> str:
    if isinstance(value, list):
        return "MMPose JSON"
    return "OpenPose JSON" if isinstance(value.get("people"), list) else "AlphaPose results in the form of OpenPose"


def _folder(path: Path) -> Found:
    """The people in a folder: one file a frame, or one file with all of them."""
    try:
        files = sorted(one for one in path.iterdir() if one.suffix.lower() == ".json" and not one.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, expected="a folder of keypoints") from None
    if not files:
        raise InputError("holds no .json file", path=path, expected="a folder with one file of keypoints a frame")
    if len(files) == 1 or (path / "alphapose-results.json") in files:
        one = files[0] if len(files) == 1 else path / "alphapose-results.json"
        return _json(one, load_json(one))
    numbers = _numbers(files, path)
    total = 0
    frames: list[tuple[int, Any]] = []
    source = ""
    for number, file in sorted(numbers.items()):
        value = load_json(file, _LARGEST_FRAME)
        total += file.stat().st_size
        if total > _LARGEST_FOLDER:
            raise InputError(f"has more than {_LARGEST_FOLDER} bytes", path=path, expected="the frames of one clip")
        if value != [] and not _single(value) and not mediapipe.is_frame(value):
            raise InputError("is not one frame of keypoints", path=file, expected="OpenPose or MMPose JSON of a frame")
        source = source or (_source(value) if _single(value) else "MediaPipe landmarks" if value else "")
        frames.append((number, _people(value, number, file)))
    first, last = frames[0][0], frames[-1][0]
    return _gathered(
        [person for _, found in frames for person in found], path, f"{source} folder", first, last, len(frames)
    )


def _numbers(files: list[Path], path: Path) -> dict[int, Path]:
    """The files of a folder by the number of their frame."""
    parts = {file: last_number(re.sub(r"_keypoints$", "", file.stem)) for file in files}
    without = next((file for file, (_, number) in parts.items() if number is None), None)
    if without is not None:
        raise InputError("has no frame number in its name", path=without, expected="such as clip_000000000012.json")
    clips = sorted({before for before, _ in parts.values()})
    if len(clips) > 1:
        raise InputError(f"holds {len(clips)} clips: '{clips[0]}', '{clips[1]}'", path=path, expected="one clip",
                         hint="Move each clip to its own folder")  # fmt: skip
    numbers: dict[int, Path] = {}
    for file, (_, number) in parts.items():
        assert number is not None
        if number in numbers:
            raise InputError(f"has the number of {numbers[number].name}", path=file, expected="one file a frame")
        numbers[number] = file
    return numbers


def _people(value: Any, number: int, path: Path) -> list[Person]:
    """The people of one frame of a folder."""
    if isinstance(value, list):
        return mmpose.persons(value, number, path)
    if openpose.is_frame(value):
        return openpose.people(value, number, path)
    return mediapipe.people(value, number, path)


def _gathered(people: list[Person], path: Path, source: str, first: int, last: int, known: int = 1) -> Found:
    is_openpose = source.startswith(("OpenPose", "AlphaPose"))
    statement = openpose.statement(people) if is_openpose else None
    return gather(people, path, source, first, last, known=known, statement=statement, centred=is_openpose)
