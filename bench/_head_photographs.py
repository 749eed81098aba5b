# SPDX-License-Identifier: Apache-2.0
"""Our networks on photographs whose heads somebody marked (``formats.heads_truth``): directions and boxes.

Three answers are judged: the crop network on the marked boxes; the detector's own boxes and directions; and the crop
network on the detector's boxes. The error is the angle between the noses, which pitch and yaw tell alone. Faces whose
yaw is within 90 degrees are judged together, heads seen from behind by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import _head_pictures
import numpy as np
from _head_methods import THRESHOLD, Networks, always, number, plain, turned
from _head_pictures import Case, View
from _head_text import certainty, text
from hyoid.errors import InputError
from hyoid.formats import heads_truth
from hyoid.geometry import head_angles
from hyoid.report import SILENT, Report
from hyoid.synthetic import head_scores
from hyoid.synthetic.head_scores import Found

FRONTAL, GIVEN = "frontal", "SemiUHPE, given boxes"
DETECTOR, BOTH = "DirectMHP, its own boxes", "DirectMHP + SemiUHPE"
GOAL = 20.0  # degrees, median over faces
_FACE = 90.0  # degrees of yaw
_TURNED = 25.0  # degrees between the nose and the camera
PARTS = ("faces", "turned faces", "backs")
_TURN = 25.0
_SHOWN = 5  # names in a message


@dataclass
class _Row:
    """Answers (n, 3, 3) beside marked angles (n, 3), as they come."""

    rotations: list[np.ndarray]
    angles: list[np.ndarray]
    entropy: list[np.ndarray]


def run(
    images: Path, truth: Path, networks: Networks, report: Report = SILENT, pictures: Path | None = None
) -> dict[str, Any]:
    """The table of faces and of backs, the detector's boxes, what was left out, and the goal.

    Args:
        pictures: folder for drawings; they show the photographs, so they are as private as these.

    Raises:
        InputError: the folder or the file cannot be used, or none of the pictures is there.
    """
    marked = heads_truth.read(truth)
    if not images.is_dir():
        raise InputError("there is no such folder", path=images, expected="a folder of pictures")
    known = {name: _place(images, name) for name in marked.pictures}
    missing = [name for name, path in known.items() if not path.is_file()]
    if len(missing) == len(known):
        expected = f"pictures that {truth.name} names, such as {missing[0]}"
        raise InputError("holds none of the marked pictures", path=images, expected=expected)
    rows = {name: _Row([], [], []) for name in (FRONTAL, GIVEN, DETECTOR, BOTH)}
    found: list[Found] = []
    changes: list[np.ndarray] = []
    outside: list[str] = []
    there = [name for name in known if name not in missing]
    views: list[View] = []
    for place, name in enumerate(there):
        report.progress(place / len(there), name)
        image = opened(known[name])
        heads, away = within(marked.pictures[name], image.shape)
        outside += [f"head {number + 1} of {name}" for number in away]
        picture, view = _judge(image, heads, networks, rows)
        found.append(picture)
        true = rotations_of(heads.angles, marked.order == "eye")
        views.append(replace(view, name=name, picture=partial(opened, known[name]), true_rotations=true))
        changes.append(_turn(image, heads.boxes, networks))
    tell(missing, outside, report)
    result: dict[str, Any] = {
        "photographs": len(there), "heads": sum(len(picture.truth) for picture in found),
        "angles": marked.order, "missing_pictures": missing, "heads_outside": outside,
        "rows": {name: figures(row, marked.order == "eye") for name, row in rows.items()},
        "detection": plain(head_scores.detection(found, THRESHOLD)),
        "turned": number(float(np.median(np.concatenate(changes)))) if any(map(len, changes)) else None,
        **networks.facts,
    }  # fmt: skip
    if pictures is not None:
        result["drawn"] = _head_pictures.of_photographs(views, worst(views, rows[GIVEN]), Path(pictures))
    return {**result, "goals": goals(result["rows"])}


def _place(images: Path, name: str) -> Path:
    """Where a picture lies: as the name says, if that is in the folder, or by the name's last part."""
    path = images / name
    inside = path.resolve().is_relative_to(images.resolve())
    return path if inside and path.is_file() else images / Path(name.replace("\\", "/")).name


def opened(path: Path) -> np.ndarray:
    """The picture (H, W, 3) uint8 RGB, upright as its camera says.

    Raises:
        InputError: it is not a picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            return np.array(ImageOps.exif_transpose(file).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot be read as a picture: {error}", path=path, expected="a JPEG or PNG") from None


def within(heads: heads_truth.Marked, shape: tuple[int, ...]) -> tuple[heads_truth.Marked, list[int]]:
    """The heads whose box has its middle in the picture, cut at the border, and the numbers of the others."""
    middle = (heads.boxes[:, :2] + heads.boxes[:, 2:]) / 2
    there = ((middle >= 0) & (middle < [shape[1], shape[0]])).all(1)
    boxes = np.clip(heads.boxes, 0, [shape[1], shape[0]] * 2)
    return heads_truth.Marked(boxes[there], heads.angles[there]), np.flatnonzero(~there).tolist()


def tell(missing: list[str], outside: list[str], report: Report) -> None:
    """Warn of what was left out."""
    for what, names in (("pictures that are not there", missing), ("heads outside their picture", outside)):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            report.message(f"left out {len(names)} {what}: {', '.join(names[:_SHOWN])}{more}", "warning")


def _judge(
    image: np.ndarray, heads: heads_truth.Marked, networks: Networks, rows: dict[str, _Row]
) -> tuple[Found, View]:
    told = ~np.isnan(heads.angles[:, :2]).any(1)  # the others have a box alone
    for name, estimate in ((FRONTAL, always(np.eye(3))), (GIVEN, networks.estimate)):
        _add(rows[name], estimate(image, heads.boxes[told]), heads.angles[told])
    every = networks.detect(image)
    own = every.sure()
    places = head_scores.match(own.boxes, own.confidence, heads.boxes[told], THRESHOLD)
    angles, places = heads.angles[told][places >= 0], places[places >= 0]
    rotations, entropy = networks.estimate(image, own.boxes)
    _add(rows[DETECTOR], (own.rotations[places], np.full(len(places), np.nan)), angles)
    _add(rows[BOTH], (rotations[places], entropy[places]), angles)
    must, light = np.ones(len(heads.boxes), bool), float(image.mean())
    untold = np.full((len(heads.boxes), 3, 3), np.nan)
    view = View(
        "", lambda: image, light, own.boxes, own.confidence, rotations, entropy, heads.boxes, untold, must, nose=True
    )
    return Found(every.boxes, every.confidence, heads.boxes), view


def rotations_of(angles: np.ndarray, eye: bool) -> np.ndarray:
    """Rotations (n, 3, 3) of marked angles (n, 3); no roll counts as 0, NaN where pitch or yaw were not told."""
    angles = np.where(np.isnan(angles) & [False, False, True], 0, angles)
    if not eye:
        return head_angles.matrices(angles)
    pitch, yaw, roll = (head_angles.matrices(angles * np.eye(3)[axis]) for axis in range(3))
    return yaw @ pitch @ roll


def worst(views: list[View], row: _Row) -> dict[str, list[Case]]:
    """The heads of each of PARTS on marked boxes whose noses are told worst; ``row`` holds the answers in order."""
    rotations, angles, entropy = (np.concatenate(part) for part in (row.rotations, row.angles, row.entropy))
    heads = [(view, head) for view in views for head in np.flatnonzero(np.isfinite(view.true_rotations).all((1, 2)))]
    truth = np.array([view.true_rotations[head] for view, head in heads]).reshape(-1, 3, 3)
    errors = head_scores.nose_errors(-rotations[..., :, 2], -truth[..., :, 2])
    cases = [
        _head_pictures.case(
            view.picture, view.truth[head], rotations[place], truth[place], errors[place], entropy[place],
            {"picture": view.name, "head": int(head) + 1, "yaw": number(float(angles[place, 1]))}, nose=True,
        )
        for place, (view, head) in enumerate(heads)
    ]  # fmt: skip
    return _head_pictures.worst_noses(cases, parts_of(angles, -truth[..., :, 2]))


def parts_of(angles: np.ndarray, noses: np.ndarray) -> dict[str, np.ndarray]:
    """(n,) bool of each of PARTS, of marked angles (n, 3) and noses (n, 3)."""
    face = np.abs(angles[:, 1]) <= _FACE
    away = face & (head_scores.nose_errors(noses, np.array([0.0, 0, -1])) > _TURNED)
    return dict(zip(PARTS, (face, away, ~face), strict=True))


def _add(row: _Row, told: tuple[np.ndarray, np.ndarray], angles: np.ndarray) -> None:
    row.rotations.append(told[0])
    row.entropy.append(told[1])
    row.angles.append(angles)


def _turn(image: np.ndarray, boxes: np.ndarray, networks: Networks) -> np.ndarray:
    """What a turn of the picture about each head changes in its answer, beyond the turn; needs no truth."""
    if not len(boxes):
        return np.zeros(0)
    before, _ = networks.estimate(image, boxes)
    after = []
    for box in boxes:
        around, own = surroundings(image, box)
        after.append(networks.estimate(turned([around], own[None], _TURN)[0], own[None])[0])
    return head_scores.turn_errors(before, np.concatenate(after), _TURN)


def surroundings(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What of a picture (H, W, 3) lies about a box (4,), twice as wide each way, and the box in it."""
    reach = float((box[2:] - box[:2]).max())
    low = np.maximum(np.floor(box[:2] - reach), 0).astype(int)
    high = np.ceil(box[2:] + reach).astype(int)
    return np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]]), box - np.tile(low, 2)


def figures(row: _Row, eye: bool) -> dict[str, Any]:
    """Degrees of each of PARTS: of the noses, of each angle, and what the entropy tells.

    Args:
        eye: the marked angles are those of the eye, and so are those that they are compared with.
    """
    rotations, angles = (np.concatenate(list(part)) for part in (row.rotations, row.angles))
    entropy = np.concatenate(row.entropy)
    read = head_scores.eye_angles if eye else head_angles.angles
    true_noses = head_scores.noses(angles, eye=eye)
    noses = head_scores.nose_errors(-rotations[..., :, 2], true_noses)
    each = head_scores.angle_errors(read(rotations), angles)
    parts = parts_of(angles, true_noses)
    result: dict[str, Any] = {name: _part(noses[heads], each[heads]) for name, heads in parts.items()}
    if len(entropy) > 1 and np.isfinite(entropy).all():
        result["calibration"] = plain(head_scores.calibration(entropy, noses))
    return result


def _part(noses: np.ndarray, each: np.ndarray) -> dict[str, Any]:
    if not len(noses):
        return {"heads": 0} | dict.fromkeys(("median", "mean", "pitch", "yaw", "roll", "within_goal"))
    columns = {}
    for name, values in zip(("pitch", "yaw", "roll"), each.T, strict=True):
        told = values[~np.isnan(values)]
        columns[name] = number(float(np.median(told))) if len(told) else None
    return {
        "heads": len(noses), "median": number(float(np.median(noses))), "mean": number(float(noses.mean())), **columns,
        "within_goal": number(float((noses < GOAL).mean())),
    }  # fmt: skip


def goals(rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Whether the noses of faces are told well enough on both kinds of boxes, and whether it takes looking at them."""
    found = []
    for name in (GIVEN, BOTH):
        value = rows[name]["faces"]["median"]
        if value is not None:
            goal = f"{name}: median over faces below {GOAL:g} degrees"
            found.append({"goal": goal, "value": value, "limit": GOAL, "reached": value < GOAL})
    value, other = (rows[name]["turned faces"]["median"] for name in (GIVEN, FRONTAL))
    if value is not None:
        goal = f"{GIVEN}: median over turned faces below that of who always says frontal"
        found.append({"goal": goal, "value": value, "limit": other, "reached": value < other})
    return found


def show(result: dict[str, Any]) -> str:
    """The table in Markdown, the boxes and the goals."""
    from headpose import boxes_line, verdicts

    names = ("heads", "median", "mean", "pitch", "yaw", "roll", "within_goal")
    lines = [
        f"{result['heads']} marked heads in {result['photographs']} photographs. Degrees: median and mean angle "
        f"between the noses, medians of the angles, share below {GOAL:g}; faces have a yaw within {_FACE:g}, "
        f"turned ones look past the camera by more than {_TURNED:g}.", "",
        f"| | {' | '.join(names).replace('_', ' ')} |", "|---" * (len(names) + 1) + "|",
    ]  # fmt: skip
    for part in PARTS:
        for name, row in result["rows"].items():
            values = [str(row[part]["heads"]), *[text(row[part][key]) for key in names[1:-1]]]
            lines.append(f"| {part}: {name} | {' | '.join([*values, text(row[part]['within_goal'], 2)])} |")
    lines.append("")
    lines += [certainty(name, row["calibration"]) for name, row in result["rows"].items() if "calibration" in row]
    lines.append(
        f"Beyond a turn of the picture by {_TURN:g} degrees {GIVEN}, changes by {text(result['turned'])} (median)."
    )
    lines.append(boxes_line(result["detection"], result["photographs"]) + " Heads that nobody marked count as false.")
    for what, label in (("missing_pictures", "pictures that are not there"), ("heads_outside", "heads outside")):
        if result[what]:
            lines.append(f"Left out, {label}: {', '.join(result[what])}.")
    if "drawn" in result:
        lines.append(f"Drawn: {', '.join(result['drawn']['files'])}.")
    return "\n".join([*lines, "", *verdicts(result)])
