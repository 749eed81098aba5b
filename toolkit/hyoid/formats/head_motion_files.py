# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Head motion as files that other programs animate with: a table (.csv) and a moving transform (.usda, .usdc).

Both are in the unit and axes of the meshes that the motion was found in: ``p_frame = R p_stabilised + t``. A table has
one line a frame and these columns:

=================================  =====================================================================
``frame``, ``seconds``, ``name``   counted from 0, ``frame / fps``, the mesh's name
``tx``, ``ty``, ``tz``             t, in the file's unit
``qw``, ``qx``, ``qy``, ``qz``     R as a unit quaternion; its sign never jumps
``rx``, ``ry``, ``rz``             R as degrees about x, then y, then z (R = Rz Ry Rx); they run on past 180
``confidence``, ``residual_mm``    0..1, and how far the still parts of the face are apart, millimetres
=================================  =====================================================================

Numbers have a decimal point and cells a comma between them, whatever the locale; a name with a comma or a quote stands
in quotes. The readers take the quaternion; the degrees are for programs and people that want them.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import hyoid
from hyoid.errors import InputError, UsageError
from hyoid.formats.checks import FPS_LIMITS, finite, frame_rate, shaped
from hyoid.formats.rows import nearest_rate, text_lines, write_rows
from hyoid.geometry import rotations
from hyoid.geometry.rigid import Rigid
from hyoid.take import Provenance

if TYPE_CHECKING:
    from pxr import Sdf, Usd, UsdGeom

COLUMNS: tuple[str, ...] = (
    "frame", "seconds", "name", "tx", "ty", "tz", "qw", "qx", "qy", "qz", "rx", "ry", "rz", "confidence", "residual_mm",
)  # fmt: skip
"""The header of a table."""
_NEEDED = COLUMNS[1:10]
_VALUES = ("seconds", *COLUMNS[3:10])
_DEFAULT_FPS = 30.0
_LOCKED = 1e-7  # cosine of the middle angle below which the outer two turn about the same axis


def write_csv(
    path: Path,
    motion: Rigid,
    fps: float,
    names: tuple[str, ...],
    confidence: np.ndarray,
    residual_mm: np.ndarray,
) -> None:
    """Write the table of a head motion of F frames; ten significant digits.

    Args:
        names: F of them. confidence: (F,) 0..1. residual_mm: (F,).

    Raises:
        InputError: arrays disagree or hold numbers that are not finite, or a name cannot stand in a table.
        OSError: the disk is full, or the folder cannot be written.
    """
    _check(motion, fps, confidence, residual_mm, path)
    if len(names) != len(motion):
        raise InputError(f"there are {len(names)} names", path=path, expected=f"{len(motion)}, one a frame")
    quaternions = rotations.continuous(rotations.from_matrix(motion.rotations))
    columns = np.concatenate(
        [
            motion.translations,
            quaternions,
            np.degrees(euler_angles(motion.rotations)),
            np.stack([confidence, residual_mm], -1),
        ],
        1,
    )
    cells = [_cell(name, path) for name in names]
    heads = (f"{frame},{frame / fps:.9g},{cell}," for frame, cell in enumerate(cells))
    with open(path, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(",".join(COLUMNS) + "\n")
        # Minus zero would read as a motion, and 1e-17 in place of it as noise that changes from machine to machine.
        write_rows(stream, np.where(np.abs(columns) < 1e-12, 0.0, columns), "%.10g", ",", heads)


def read_csv(path: Path) -> tuple[Rigid, float, tuple[str, ...]]:
    """The motion, the frame rate and the names in a table; other columns than those needed may be missing.

    A table of one row is at 30 frames a second.

    Raises:
        InputError: the file is missing, no such table, or has a bad row; the line is named.
    """
    path = Path(path)
    rows = _rows(path, text_lines(path))
    header = [name.strip().lower() for name in next(rows)[1]]
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise InputError(f"lacks the columns {', '.join(missing)}", path=path, expected=f"a header {','.join(COLUMNS)}")
    twice = sorted({name for name in _NEEDED if header.count(name) > 1})
    if twice:
        raise InputError(f"has two columns named '{twice[0]}'", path=path, expected="a name of its own for each column")
    place = [header.index(name) for name in _NEEDED]
    numbers, names, lines = [], [], []
    for line, cells in rows:
        if len(cells) != len(header):
            raise InputError(f"line {line} has {len(cells)} values", path=path, expected=f"{len(header)}")
        values = [cells[index] for index in place]
        names.append(values.pop(1))
        numbers.append([_number(text, line, name, path) for text, name in zip(values, _VALUES, strict=True)])
        lines.append(line)
    if not lines:
        raise InputError("has a header, but no rows", path=path, expected="one row a frame")
    columns = np.array(numbers)
    lengths = np.linalg.norm(columns[:, 4:], axis=1)
    wrong = np.abs(lengths - 1) > 1e-3
    if wrong.any():
        row = int(wrong.argmax())
        found = f"line {lines[row]}: the quaternion {columns[row, 4:].tolist()} is {lengths[row]:.4g} long"
        raise InputError(found, path=path, expected="unit quaternions qw, qx, qy, qz")
    turns = rotations.to_matrix(columns[:, 4:] / lengths[:, None])
    return Rigid(turns, columns[:, 1:4]), _rate(columns[:, 0], lines, path), tuple(names)


def write_usd(
    path: Path,
    motion: Rigid,
    fps: float,
    confidence: np.ndarray,
    *,
    metres_per_unit: float,
    up_axis: str,
    residual_mm: np.ndarray | None = None,
    names: tuple[str, ...] = (),
    provenance: Provenance | None = None,
) -> None:
    """Write a head motion as the transform ``/head``: translate and orient on every frame; equal input, equal bytes.

    What is parented to ``/head`` in the stabilised place moves as the head did. Time codes are frames, from 0. The
    attributes ``userProperties:confidence`` and ``userProperties:residual_mm`` go along.

    Args:
        confidence: (F,) 0..1. residual_mm: (F,), or None.
        metres_per_unit: the size of the file's unit. up_axis: ``Y`` or ``Z``.
        names, provenance: of the frames, and how the motion came to be; both go into the file's metadata.

    Raises:
        UsageError: another suffix, axis, or a unit without a size.
        InputError: arrays disagree or hold numbers that are not finite.
        OSError: the disk is full, or the folder cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".usda", ".usdc"):
        raise UsageError(f"cannot write '{path.suffix}' as USD", path=path, expected=".usda or .usdc")
    if up_axis not in ("Y", "Z"):
        raise UsageError(f"unknown up axis '{up_axis}'", expected="Y or Z")
    if not (math.isfinite(metres_per_unit) and metres_per_unit > 0):
        raise UsageError(f"a unit of {metres_per_unit:g} metres", expected="a size above zero")
    _check(motion, fps, confidence, residual_mm, path)
    # As in formats/usd.py: USD reads its settings once, so that whoever comes first must make them.
    os.environ.setdefault("USD_WRITE_NEW_USDC_FILES_AS_VERSION", "0.9.0")
    os.environ.setdefault("TF_ENV_SETTING_ALERTS_ENABLED", "0")
    from pxr import Sdf, Usd, UsdGeom

    from hyoid.formats import usd

    layer = Sdf.Layer.CreateAnonymous(path.suffix.lower())
    stage = Usd.Stage.Open(layer)
    head = UsdGeom.Xform.Define(stage, "/head")
    UsdGeom.SetStageUpAxis(stage, up_axis)
    UsdGeom.SetStageMetersPerUnit(stage, metres_per_unit)
    _set_metadata(stage, head.GetPrim(), fps, len(motion), names, provenance)
    _set_samples(layer, head, motion)
    _set_quality(layer, head, "confidence", confidence)
    if residual_mm is not None:
        _set_quality(layer, head, "residual_mm", residual_mm)
    usd.export(layer, path)


def _set_samples(layer: Sdf.Layer, head: UsdGeom.Xform, motion: Rigid) -> None:
    from pxr import Gf, UsdGeom

    translate = head.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble).GetAttr().GetPath()
    orient = head.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).GetAttr().GetPath()
    quaternions = rotations.continuous(rotations.from_matrix(motion.rotations))
    for frame, place in enumerate(motion.translations.tolist()):
        real, *imaginary = quaternions[frame].tolist()
        layer.SetTimeSample(translate, frame, Gf.Vec3d(place))
        layer.SetTimeSample(orient, frame, Gf.Quatd(real, Gf.Vec3d(imaginary)))


def _set_quality(layer: Sdf.Layer, head: UsdGeom.Xform, name: str, values: np.ndarray) -> None:
    from pxr import Sdf

    attribute = head.GetPrim().CreateAttribute(f"userProperties:{name}", Sdf.ValueTypeNames.Float, custom=True)
    for frame, value in enumerate(values.tolist()):
        layer.SetTimeSample(attribute.GetPath(), frame, value)


def _set_metadata(
    stage: Usd.Stage, head: Usd.Prim, fps: float, frames: int, names: tuple[str, ...], provenance: Provenance | None
) -> None:
    from pxr import Usd

    stage.SetDefaultPrim(head)
    Usd.ModelAPI(head).SetKind("component")
    stage.SetTimeCodesPerSecond(fps)
    stage.SetFramesPerSecond(fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(frames - 1)
    about = {"names": json.dumps(list(names))}
    if provenance is not None:
        about["provenance"] = json.dumps(asdict(provenance), sort_keys=True, default=str)
    layer = stage.GetRootLayer()
    layer.customLayerData = {"hyoid": about}
    layer.documentation = f"Hyoid {hyoid.__version__}: head motion"


def euler_angles(turns: np.ndarray) -> np.ndarray:
    """Angles (F, 3) in radians about x, then y, then z (R = Rz Ry Rx) of rotation matrices (F, 3, 3).

    Of the two ways to say a rotation each frame takes the one nearer to the frame before; nothing jumps by a full turn.
    """
    cosine = np.hypot(turns[:, 0, 0], turns[:, 1, 0])
    first = np.stack(
        [
            np.arctan2(turns[:, 2, 1], turns[:, 2, 2]),
            np.arctan2(-turns[:, 2, 0], cosine),
            np.arctan2(turns[:, 1, 0], turns[:, 0, 0]),
        ],
        -1,
    )
    second = first * [1, -1, 1] + np.pi
    locked, sums = cosine < _LOCKED, np.arctan2(turns[:, 0, 1], turns[:, 1, 1])
    result = np.empty_like(first)
    before = np.zeros(3)
    for frame, ways in enumerate(np.stack([first, second], 1)):
        if locked[frame]:
            # Only the sum or difference of the outer angles counts: x stays where it was.
            pole = float(np.sign(ways[0, 1]))
            ways = np.array([[before[0], ways[0, 1], pole * (before[0] - sums[frame] * pole)]])
        if frame:
            ways = ways - 2 * np.pi * np.round((ways - before) / (2 * np.pi))
        before = ways[np.abs(ways - before).sum(1).argmin() if frame else 0]
        result[frame] = before
    return result


def _check(motion: Rigid, fps: float, confidence: np.ndarray, residual_mm: np.ndarray | None, path: Path) -> None:
    frames = len(motion)
    frame_rate(fps, path)
    if not frames:
        raise InputError("the head motion has no frames", path=path, expected="at least one frame")
    for name, array, shape in (
        ("the head's rotations", motion.rotations, (frames, 3, 3)),
        ("the head's translations", motion.translations, (frames, 3)),
        ("the confidence", confidence, (frames,)),
        ("the residual", confidence if residual_mm is None else residual_mm, (frames,)),
    ):
        shaped(name, array, shape, path)
        finite(name, array, path)


def _cell(name: str, path: Path) -> str:
    """A name as a cell of a table."""
    # Readers split lines at more signs than \n, and a file name may hold bytes that are no text.
    if "".join(name.splitlines()) != name or "\0" in name or name.encode("utf-8", "ignore").decode() != name:
        raise InputError(f"the frame name {name!r} cannot stand in a table", path=path, expected="one line of text")
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow([name, ""])
    return buffer.getvalue()[:-1]


def _rows(path: Path, lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of the lines that are not empty, the header first.

    Raises:
        InputError: quotes are left open.
    """
    for number, text in enumerate(lines, 1):
        if not text.strip() and number > 1:
            continue
        try:
            yield number, next(csv.reader([text], strict=True), [])
        except csv.Error as error:
            raise InputError(f"line {number}: {error}", path=path, expected="cells with commas between them") from error


def _number(text: str, line: int, name: str, path: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"line {line}: {name} is '{text.strip()[:40]}'", path=path, expected="a finite number with a decimal point"
        )
    return value


def _rate(times: np.ndarray, lines: list[int], path: Path) -> float:
    """Frames a second from evenly spaced seconds."""
    if len(times) == 1:
        return _DEFAULT_FPS
    steps = np.diff(times)
    typical = (times[-1] - times[0]) / len(steps)
    uneven = np.abs(steps - typical) > max(0.01 * abs(typical), 2e-6)
    if uneven.any() or not 1 / FPS_LIMITS[1] <= typical <= 1 / FPS_LIMITS[0]:
        row = int(uneven.argmax())
        raise InputError(
            f"line {lines[row + 1]}: the time goes from {times[row]:g} to {times[row + 1]:g} s",
            path=path, expected="even steps of 0.001 to 1 s",
        )  # fmt: skip
    return nearest_rate(1 / typical, max(1e-5, 2e-6 / (times[-1] - times[0])))
