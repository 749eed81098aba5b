# SPDX-License-Identifier: Apache-2.0
"""Heads as JSON: one line a picture, so that long films stream through; docs/headpose.md tells every field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError
from hyoid.files import part_file
from hyoid.geometry import head_angles
from hyoid.geometry import rotations as turns
from hyoid.motion import heads as records
from hyoid.motion.heads import Heads, HeadShot, Picture
from hyoid.take import Source

FORMAT = "hyoid.heads"
VERSION = 1
LARGEST = 1 << 30
_CONVENTION = {
    "rotation": "columns are the head's axes in the camera: x right of the picture, y down, z away; frontal = identity",
    "quaternion": "w, x, y, z of the rotation",
    "angles": "degrees; pitch > 0 up, yaw > 0 to the picture's left, roll > 0 clockwise; Rx(-pitch) Ry(yaw) Rz(roll)",
    "box": "left, top, right, bottom in pixels of the upright picture",
    "entropy": "of the direction: 0 knows nothing, -5.3 is sure; null where the system tells none",
    "seen": "false in gaps: box and rotation lie between those before and after",
}  # fmt: skip


def write(path: Path, shot: HeadShot) -> None:
    """Write a shot; equal shots give equal bytes.

    Raises:
        OutputError: see :func:`hyoid.files.part_file`.
    """
    head = {
        "format": FORMAT, "version": VERSION, "convention": _CONVENTION, "fps": shot.fps,
        "field_of_view": shot.field_of_view, "perspective": shot.perspective, "facts": dict(shot.facts),
        "sources": [asdict(source) for source in shot.sources],
        "people": {
            name: {"id": number, "seen": int(((shot.heads.ids == number) & shot.heads.seen).sum())}
            for number, name in shot.names.items()
        },
    }  # fmt: skip
    with part_file(path) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
        text = json.dumps(head, ensure_ascii=False, allow_nan=False, indent=1)
        stream.write(text[: text.rindex("\n}")] + ',\n "pictures": [')
        for number, line in enumerate(_lines(shot)):
            stream.write(("," if number else "") + "\n  " + line)
        stream.write("\n ]\n}\n")


def _lines(shot: HeadShot) -> Iterator[str]:
    heads, names = shot.heads, shot.names
    starts = np.searchsorted(heads.picture, np.arange(len(shot.pictures) + 1))
    for number, picture in enumerate(shot.pictures):
        told: dict[str, Any] = {
            "frame": number, "name": picture.name, "time": None if picture.time is None else round(picture.time, 6),
            "width": picture.width, "height": picture.height,
        }  # fmt: skip
        if picture.error:
            told["error"] = picture.error
        told["heads"] = entries(heads[starts[number] : starts[number + 1]], names)
        yield json.dumps(told, ensure_ascii=False, allow_nan=False)


def entries(heads: Heads, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """The heads of one picture as JSON values."""
    angles = head_angles.angles(heads.rotations)
    quaternions = turns.from_matrix(heads.rotations)
    found = []
    for row in range(len(heads)):
        pitch, yaw, roll = (round(float(value), 4) for value in angles[row])
        number, entropy = int(heads.ids[row]), float(heads.entropy[row])
        found.append({
            "id": number or None, "person": names.get(number), "seen": bool(heads.seen[row]),
            "box": _rounded(heads.boxes[row], 3), "confidence": round(float(heads.confidence[row]), 5),
            "pitch": pitch, "yaw": yaw, "roll": roll, "rotation": _rounded(heads.rotations[row], 8),
            "quaternion": _rounded(quaternions[row], 8), "apparent": _rounded(heads.apparent[row], 8),
            "entropy": round(entropy, 5) if np.isfinite(entropy) else None,
        })  # fmt: skip
    return found


def _rounded(values: np.ndarray, digits: int) -> list[Any]:
    return np.round(np.asarray(values, np.float64), digits).tolist()


def is_heads(path: Path) -> bool:
    """Whether a file begins as one of these does."""
    try:
        with path.open("rb") as stream:
            return f'"format": "{FORMAT}"'.encode() in stream.read(4096)
    except OSError:
        return False


def parsed(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        InputError: missing, too large, or no JSON.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path.stat().st_size} bytes", path=path, expected="at most 1 GiB")
        return json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=lambda _: float("nan"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, expected="a JSON file") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", path=path) from None


def read(path: Path) -> HeadShot:
    """The shot in a file.

    Raises:
        InputError: missing, damaged, of another kind or version, or with numbers that are not finite.
    """
    document = parsed(path)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError("holds no heads", path=path, expected="JSON that hyoid headpose wrote")
    if document.get("version") != VERSION:
        raise InputError(f"is of version {document.get('version')}", path=path, expected=f"version {VERSION}")
    try:
        pictures, parts = [], []
        for number, entry in enumerate(document["pictures"]):
            time = None if entry["time"] is None else float(entry["time"])
            pictures.append(Picture(str(entry["name"]), int(entry["width"]), int(entry["height"]), time,
                                    str(entry.get("error", ""))))  # fmt: skip
            if entry["heads"]:
                parts.append(_heads(number, entry["heads"], path))
        sources = tuple(Source(**source) for source in document["sources"])
        fps = None if document["fps"] is None else float(document["fps"])
        return HeadShot(tuple(pictures), records.joined(parts), fps, float(document["field_of_view"]),
                        bool(document["perspective"]), sources, dict(document["facts"]))  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"its contents do not form heads ({error!r})", path=path) from error


def _heads(number: int, rows: list[dict[str, Any]], path: Path) -> Heads:
    entropy = [np.nan if row["entropy"] is None else float(row["entropy"]) for row in rows]
    columns = {name: np.array([row[name] for row in rows], np.float64)
               for name in ("box", "confidence", "apparent", "rotation")}  # fmt: skip
    try:
        found = records.of_picture(
            number, columns["box"], columns["confidence"], columns["apparent"], columns["rotation"], np.array(entropy)
        )
    except InputError as error:
        raise InputError(f"picture {number}: {error.found}", path=path, expected=error.expected) from error
    ids = np.array([row["id"] or 0 for row in rows], int)
    return Heads(found.picture, found.boxes, found.confidence, found.apparent, found.rotations, found.entropy, ids,
                 np.array([bool(row["seen"]) for row in rows]))  # fmt: skip
