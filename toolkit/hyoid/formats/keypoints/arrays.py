# SPDX-License-Identifier: Apache-2.0
"""Keypoints as arrays in .npz and .npy files; nothing in them is executed."""

from __future__ import annotations

import math
import tokenize
import zipfile
from pathlib import Path

import numpy as np

from hyoid import scratch
from hyoid.errors import InputError
from hyoid.formats import npz
from hyoid.formats.keypoints import layouts
from hyoid.formats.keypoints.guess import Statement
from hyoid.formats.keypoints.people import MOST_FRAMES, Found, image_size, split

_LARGEST = 1 << 31
_POINTS = ("keypoints", "keypoints_2d", "keypoints2d", "kpts", "kpts_2d", "kp2d", "joints_2d", "joints2d", "poses_2d",
           "pose_2d", "positions_2d", "points_2d", "points", "joints", "arr_0")  # fmt: skip
_CONFIDENCE = ("confidence", "confidences", "scores", "keypoint_scores", "keypoints_scores", "score")
_IDS = ("ids", "track_ids", "track_id", "person_ids")
_TIMES = ("times", "timestamps", "time", "timestamp")
_SIZE = ("image_size", "size", "resolution")


def read(path: Path) -> Found:
    """People of an array (F, K, 2 or 3) of one, or (F, P, K, 2 or 3) of several.

    Raises:
        InputError: damaged, pickles, no array of a known name, or arrays that do not fit together.
    """
    arrays = {"keypoints": _npy(path)} if path.suffix.lower() == ".npy" else _npz(path)
    name = next((name for name in _POINTS if name in arrays), None)
    if name is None:
        found = ", ".join(f"{key} {value.shape}" for key, value in list(arrays.items())[:8]) or "nothing"
        raise InputError(f"holds {found[:300]}", path=path, expected="an array 'keypoints' (frames, joints, 2)")
    values = arrays[name]
    if values.ndim == 2:
        values = values[None]
    if values.dtype.kind not in "fiu" or values.ndim not in (3, 4) or not values.size:
        raise InputError(
            f"'{name}' has the shape {arrays[name].shape} and type {values.dtype}", path=path,
            expected="(frames, joints, 2) or (frames, people, joints, 2), with or without confidence",
        )  # fmt: skip
    if values.ndim == 3:
        values = values[:, None]
    frames, people, joints = values.shape[:3]
    if frames > MOST_FRAMES:
        raise InputError(f"'{name}' has {frames} frames", path=path, expected=f"at most {MOST_FRAMES}")
    extra = _first(arrays, _CONFIDENCE)
    confidence, scores = _scores(extra, frames, people, joints, path)
    points, inline = split(_doubles(values.reshape(-1, *values.shape[2:])), confidence is not None, path)
    confidence = inline if confidence is None else confidence
    # An array has a place for everybody in every frame; who is not there has zeros or NaN.
    if confidence is None:
        present = [(np.nan_to_num(points[rows]) != 0).any((1, 2)) for rows in scratch.pieces(len(points))]
        there = np.flatnonzero(np.concatenate(present))
    else:
        there = np.flatnonzero((confidence > 0).any(1))
    if not len(there):
        raise InputError(
            f"'{name}' holds no person in any frame", path=path, expected="keypoints and confidences that are not all 0"
        )
    if len(there) < len(points):
        points, confidence = points[there], None if confidence is None else confidence[there]
    return Found(
        "arrays (.npy)" if path.suffix.lower() == ".npy" else "arrays (.npz)", 0, frames,
        (there // people).astype(np.int64), points, confidence, scores[there],
        _ids(_first(arrays, _IDS), frames, people, path)[there], _statement(arrays, path), _size(arrays, path),
        _times(arrays, frames, path), _number(arrays, "fps", path),
    )  # fmt: skip


def _doubles(values: np.ndarray) -> np.ndarray:
    """Values as float64, in a file where they are large."""
    made = scratch.empty(values.shape)
    for rows in scratch.pieces(len(values)):
        made[rows] = values[rows]
        scratch.give_back(made)
    return made


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            promised = sum(entry.file_size for entry in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        promised = 0  # read_npz says what is wrong with it
    if promised > _LARGEST:
        raise InputError(f"holds {promised} bytes", path=path, expected=f"keypoints: at most {_LARGEST} bytes")
    return npz.read_npz(path)


def _npy(path: Path) -> np.ndarray:
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            shape, fortran, dtype = npz.read_header(stream)
            promised, present = math.prod(shape) * dtype.itemsize, size - stream.tell()
            if min(shape, default=0) < 0 or promised != present or promised > _LARGEST:
                raise InputError(f"promises {promised} bytes of {shape} {dtype}, {present} are there", path=path)
            values = np.frombuffer(stream.read(), dtype)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    except InputError as error:
        raise InputError(f"is not a sound .npy file: {error.found}", path=path, expected=error.expected) from None
    except (ValueError, EOFError, KeyError, TypeError, OverflowError, SyntaxError, tokenize.TokenError) as error:
        raise InputError(f"is not a sound .npy file ({error})", path=path, expected="one plain array") from None
    return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)


def _first(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _scores(
    values: np.ndarray | None, frames: int, people: int, joints: int, path: Path
) -> tuple[np.ndarray | None, np.ndarray]:
    """Confidence (F P, K) or None, and scores of people (F P,), NaN where there are none."""
    nothing = np.full(frames * people, np.nan)
    if values is None:
        return None, nothing
    if values.dtype.kind in "biuf":
        values = values.astype(np.float64)
        each, all_of = frames * people * joints, frames * people
        # One frame of one person is written without its axis too.
        if values.shape in ((frames, people, joints), (frames, people, joints, 1), (joints,)) or (
            people == 1 and values.shape in ((frames, joints), (frames, joints, 1))
        ):
            return (values.reshape(-1, joints), nothing) if values.size == each else (None, nothing)
        if values.shape == (frames, people) or (people == 1 and values.shape == (frames,)):
            return None, values.reshape(all_of)
    raise InputError(
        f"the confidences have the shape {values.shape}", path=path,
        expected=f"{(frames, people, joints) if people > 1 else (frames, joints)}, as the points have",
    )  # fmt: skip


def _ids(values: np.ndarray | None, frames: int, people: int, path: Path) -> np.ndarray:
    if values is None:
        return np.full(frames * people, -1, np.int64)
    whole = values.dtype.kind in "iu" or (values.dtype.kind == "f" and (np.nan_to_num(values, nan=-1) % 1 == 0).all())
    if whole and (values.shape in ((frames, people), (people,)) or (people == 1 and values.shape == (frames,))):
        bounded = np.nan_to_num(values.astype(np.float64), nan=-1)
        if (np.abs(bounded) < 1 << 53).all():
            rows = np.broadcast_to(bounded.reshape(-1, people), (frames, people))
            return np.maximum(rows.reshape(-1), -1).astype(np.int64)
    found = f"the identities have the shape {values.shape} and type {values.dtype}"
    raise InputError(found, path=path, expected=f"whole numbers, {(frames, people)} or {(people,)}")


def _number(arrays: dict[str, np.ndarray], name: str, path: Path) -> float | None:
    if name not in arrays:
        return None
    value = arrays[name]
    if value.size != 1 or value.dtype.kind not in "iuf" or not math.isfinite(value.item()):
        raise InputError(f"'{name}' is {str(value)[:40]}", path=path, expected="one number")
    return float(value.item())


def _size(arrays: dict[str, np.ndarray], path: Path) -> tuple[int, int] | None:
    pair = _first(arrays, _SIZE)
    if pair is None:
        return image_size(_number(arrays, "width", path), _number(arrays, "height", path), path)
    if pair.shape != (2,) or pair.dtype.kind not in "iuf":
        raise InputError(f"the size of the picture is {str(pair)[:40]}", path=path, expected="width and height")
    return image_size(pair[0].item(), pair[1].item(), path)


def _times(arrays: dict[str, np.ndarray], frames: int, path: Path) -> np.ndarray | None:
    values = _first(arrays, _TIMES)
    if values is None:
        return None
    if values.shape != (frames,) or values.dtype.kind not in "iuf":
        raise InputError(f"the times have the shape {values.shape} and type {values.dtype}", path=path,
                         expected=f"seconds, {(frames,)}")  # fmt: skip
    return values.astype(np.float64)


def _statement(arrays: dict[str, np.ndarray], path: Path) -> Statement | None:
    values = arrays.get("layout")
    if values is None:
        return None
    if values.dtype.kind == "U" and values.ndim == 1 and len(values):
        named = layouts.by_joints([str(name) or "?" for name in values])
        return None if named is None else Statement(named, "the file names its joints")
    layout = layouts.by_name(str(values.item())) if values.dtype.kind == "U" and values.ndim == 0 else None
    if layout is None:
        raise InputError(f"the layout is {str(values)[:60]!r}", path=path, expected=f"one of {layouts.known()}")
    return Statement(layout, f"the file says '{values.item()}'")
