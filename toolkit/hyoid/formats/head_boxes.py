# SPDX-License-Identifier: Apache-2.0
"""Boxes of heads from a JSON file, by the name of a picture or the number of a frame.

``{"a.jpg": [[left, top, right, bottom], ...], ...}``, a confidence may be the fifth number; a list of such boxes alone
is for one picture; files that ``hyoid headpose`` wrote are taken as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hyoid.errors import InputError
from hyoid.formats import heads_json

ONLY = ""
"""The name of boxes that are for whatever picture there is."""
_FORM = '{"NAME or frame number": [[left, top, right, bottom], ...]}'


def read(path: Path) -> Mapping[str, np.ndarray]:
    """Boxes and confidence (n, 5) float64 by the name of the picture or the number of the frame as text.

    Raises:
        InputError: missing, no JSON, or boxes that are none; the first bad one is named.
    """
    document = heads_json.parsed(path)
    if isinstance(document, dict) and document.get("format") == heads_json.FORMAT:
        shot = heads_json.read(path)
        heads = shot.heads[shot.heads.seen]
        rows = np.concatenate([heads.boxes, heads.confidence[:, None]], 1)
        return {picture.name: rows[heads.picture == number] for number, picture in enumerate(shot.pictures)}
    if isinstance(document, list):
        document = {ONLY: document}
    if not isinstance(document, dict):
        raise InputError("holds no boxes", path=path, expected=_FORM)
    return {str(name): _checked(name, boxes, path) for name, boxes in document.items()}


def _checked(name: str, boxes: object, path: Path) -> np.ndarray:
    where = f"'{name}': " if name else ""
    if not isinstance(boxes, list):
        raise InputError(f"{where}is no list of boxes", path=path, expected=_FORM)
    rows = np.ones((len(boxes), 5))
    for number, box in enumerate(boxes):
        numbers = isinstance(box, list) and len(box) in (4, 5)
        if not numbers or not all(isinstance(value, int | float) and not isinstance(value, bool) for value in box):
            raise InputError(f"{where}box {number} is not four or five numbers", path=path, expected=_FORM)
        rows[number, : len(box)] = box
        if not np.isfinite(rows[number]).all():
            raise InputError(f"{where}box {number} has a number that is not finite", path=path, expected=_FORM)
        left, top, right, bottom, confidence = rows[number]
        if right <= left or bottom <= top:
            found = f"{where}box {number} has no area ({left:g}, {top:g}, {right:g}, {bottom:g})"
            raise InputError(found, path=path, expected="left < right and top < bottom")
        if not 0 <= confidence <= 1:
            raise InputError(f"{where}box {number} has the confidence {confidence:g}", path=path, expected="0 to 1")
    return rows


def of_picture(boxes: Mapping[str, np.ndarray], number: int, name: str) -> np.ndarray:
    """Boxes and confidence (n, 5) of a picture; none where the file names it not."""
    stem = Path(name).stem
    for key in (name, stem, str(number), ONLY):
        if key in boxes:
            return boxes[key]
    return np.zeros((0, 5))


def check_names(boxes: Mapping[str, np.ndarray], names: Sequence[str], path: Path) -> None:
    """Refuse boxes of which none belongs to a picture.

    Raises:
        InputError: no picture has a box.
    """
    if boxes and not any(len(of_picture(boxes, number, name)) for number, name in enumerate(names)):
        raise InputError(
            f"names no picture of the folder (it names '{next(iter(boxes))}')", path=path, expected=f"'{names[0]}', ..."
        )
