# SPDX-License-Identifier: Apache-2.0
"""Lifting of people who were not learned from: KTPFormer and HopFIR beside simpler networks and the mean pose.

``hyoid bench lift`` judges on the test subjects of the motion in ``$HYOID_MOCAP`` or beside the checkout, and
``--data FOLDER`` on another packed folder: on the test subjects where it is the same database, else on everybody.

The protocol: each clip shows one body before one still camera in a square picture; joints have the errors of a
detector, none (x0), as stated (x1) and twice that (x2); the same draws for every method. Every method is averaged with
its answer to the mirror image. Errors are means over frames in mm, with the pelvis of both sides at the origin; MPJVE
is a frame, within clips. ``bone`` is the standard deviation of a bone's length within a clip.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hyoid.errors import MissingToolError, UsageError
from hyoid.geometry.human36m import MIRRORED
from hyoid.report import SILENT, Report
from hyoid.synthetic import lift_pairs, lift_scores, motion_clips
from hyoid.synthetic.lift_scores import Lift

SUMMARY = "lifting of held-out people: error in mm of KTPFormer, HopFIR, simpler networks and the mean pose"
ROWS = ("mean pose", "SimpleBaseline", "TCN", "HopFIR", "KTPFormer")
COLUMNS = {"mpjpe": "MPJPE", "p_mpjpe": "P-MPJPE", "mpjve": "MPJVE", "bone_spread": "bone"}
_FILES = {"SimpleBaseline": "simple", "TCN": "tcn", "HopFIR": "hopfir", "KTPFormer": "ktpformer"}
_NOISE = {f"x{strength:g}": strength for strength in lift_pairs.TEST_NOISE}
# Row, error, most millimetres: at the stated errors of a detector.
_LIMITS = (
    ("KTPFormer", "mpjpe", 70.0), ("KTPFormer", "p_mpjpe", 50.0), ("KTPFormer", "mpjve", 10.0),
    ("HopFIR", "mpjpe", 80.0), ("HopFIR", "p_mpjpe", 56.0),
)  # fmt: skip
# Row, error, share, other row: at most that share of the other's.
_BETTER = (
    ("KTPFormer", "mpjpe", 1.0, "SimpleBaseline"), ("KTPFormer", "p_mpjpe", 1.0, "SimpleBaseline"),
    ("KTPFormer", "mpjpe", 1.0, "TCN"), ("KTPFormer", "p_mpjpe", 1.0, "TCN"),
    ("KTPFormer", "mpjve", 0.5, "SimpleBaseline"), ("HopFIR", "mpjpe", 1.0, "SimpleBaseline"),
    ("HopFIR", "p_mpjpe", 1.0, "SimpleBaseline"),
)  # fmt: skip


def run(
    data: Path | None = None, rows: tuple[str, ...] = ROWS, weights: Path | None = None, opponents: Path | None = None,
    report: Report = SILENT,
) -> dict[str, Any]:  # fmt: skip
    """Every row by every strength of errors, and whether the goals are reached.

    Args:
        data: folder of packed motion. rows: of the table. weights: folder with ``ktpformer.safetensors`` and
            ``hopfir.safetensors`` in place of those that come with Hyoid. opponents: in place of ``lift_opponents``.

    Raises:
        InputError: no motion. WeightsError: weights of a row are not there. MissingToolError: torch is not installed.
    """
    for name in rows:
        if name not in ROWS:
            raise UsageError(f"there is no row '{name}'", expected=f"one of {', '.join(ROWS)}")
    from _lift_data import counts, folder_of, judges

    lifters = {name: _lifter(name, weights, opponents) for name in rows}
    motion = motion_clips.load(folder_of(data))
    chosen = judges(motion)
    clips = lift_pairs.held_out(motion, chosen)
    frames = [len(clip.joints) for clip in clips]
    truth = np.average([1000 * lift_scores.bone_spread(clip.joints.astype(float)) for clip in clips], weights=frames)
    result: dict[str, Any] = {
        **counts(motion, chosen), "fps": motion.fps, "true_bone_spread": round(float(truth), 2), "rows": {}
    }  # fmt: skip
    for number, (name, (lift, facts)) in enumerate(lifters.items()):
        stage = report.stage(number / len(lifters), (number + 1) / len(lifters))
        result["rows"][name] = {**facts, **_errors(lift, clips, stage, name)}
    result["goals"] = goals(result["rows"])
    return result


def _errors(lift: Lift, clips: list[lift_pairs.Clip], report: Report, name: str) -> dict[str, Any]:
    """By strength of the errors: millimetres by the columns' names."""
    found = {}
    for number, (label, strength) in enumerate(_NOISE.items()):
        report.progress(number / len(_NOISE), f"{name}, errors {label}")
        scores = lift_scores.scores(lift, clips, strength)
        found[label] = {column: round(float(getattr(scores, column)), 2) for column in COLUMNS}
    return found


def _lifter(name: str, weights: Path | None, opponents: Path | None) -> tuple[Lift, dict[str, Any]]:
    """What lifts, and how many parameters it has and how many frames it has seen in training.

    Raises:
        WeightsError: its weights are not there. MissingToolError: torch is not installed.
    """
    try:
        import _lift_opponents as others
    except ImportError as error:
        raise MissingToolError("torch is not installed", hint="Install it: pip install 'hyoid[train]'") from error

    folder = opponents or others.FOLDER
    if name == "mean pose":
        pose = others.load_pose(folder / "mean_pose.safetensors")
        pose = (pose + (pose * [-1, 1, 1])[list(MIRRORED)]) / 2
        return lift_scores.same_pose(pose), {"parameters": 0, "frames_seen": 0}
    if name in ("SimpleBaseline", "TCN"):
        model, note = others.load(folder / f"{_FILES[name]}.safetensors")
        facts = {"parameters": others.size_of(model), "frames_seen": note.get("frames_seen", 0)}
        return _of_opponent(model, others.lifted), facts
    return _ours(name, None if weights is None else weights / f"{_FILES[name]}.safetensors")


def _of_opponent(model: Any, lifted: Callable[[Any, np.ndarray], np.ndarray]) -> Lift:
    from hyoid.systems.hopfir.network import normalised

    def lift(keypoints: np.ndarray, width: float, height: float) -> np.ndarray:
        return lifted(model, normalised(keypoints.astype(np.float64), width, height).astype(np.float32))

    return lift


def _ours(name: str, path: Path | None) -> tuple[Lift, dict[str, Any]]:
    if name == "KTPFormer":
        from hyoid.systems.ktpformer import checkpoint, infer
    else:
        from hyoid.systems.hopfir import checkpoint, infer

    lifter: Any = infer.load(path or checkpoint.find())
    lift: Any = infer.lift
    count = sum(array.size for array in lifter.model.parameters.values())
    facts = {"parameters": int(count), "frames_seen": lifter.model.note.get("frames_seen", 0)}
    return lambda keypoints, width, height: lift(lifter, keypoints, width, height), facts


def goals(rows: dict[str, Any]) -> list[dict[str, Any]]:
    """What the lifters must reach with the stated errors of a detector, as far as the rows are there."""
    found = []
    for row, error, most in _LIMITS:
        if row in rows:
            value = rows[row]["x1"][error]
            text = f"{row}: {COLUMNS[error]} at most {most:g} mm"
            found.append({"goal": text, "value": value, "limit": most, "reached": value <= most})
    for row, error, share, other in _BETTER:
        if row in rows and other in rows:
            value, most = rows[row]["x1"][error], round(share * rows[other]["x1"][error], 2)
            text = f"{row}: {COLUMNS[error]} at most {'' if share == 1 else 'half of '}that of {other}"
            found.append({"goal": text, "value": value, "limit": most, "reached": value <= most})
    return found


def show(result: dict[str, Any]) -> str:
    """The table in Markdown, and the goals."""
    lines = [
        f"{result['clips']} clips, {result['subjects']} subjects, {result['frames']} frames at {result['fps']:g} a "
        f"second; mm, by errors of a detector; true bones vary by {result['true_bone_spread']:g} mm.", "",
    ]  # fmt: skip
    columns = [f"{column} {label}" for label in _NOISE for column in COLUMNS.values()]
    lines.append(f"| | parameters | frames seen | {' | '.join(columns)} |")
    lines.append("|---" * (len(columns) + 3) + "|")
    for name, row in result["rows"].items():
        size = f"{row['parameters'] / 1e6:.2f} M" if row["parameters"] else "-"
        seen = f"{row['frames_seen'] / 1e6:.2f} M" if row["frames_seen"] else "-"
        values = [f"{row[label][column]:.1f}" for label in _NOISE for column in COLUMNS]
        lines.append(f"| {' | '.join([name, size, seen, *values])} |")
    lines.append("")
    for goal in result["goals"]:
        answer = "yes" if goal["reached"] else "no"
        lines.append(f"{goal['goal']}: {answer} ({goal['value']:.2f} against {goal['limit']:.2f})")
    return "\n".join(lines)


def main() -> None:
    """Print the table, or with ``--json`` the figures."""
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--opponents", type=Path)
    parser.add_argument("--row", action="append", choices=ROWS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = run(given.data, tuple(given.row or ROWS), given.weights, given.opponents)
    print(json.dumps(result, indent=1) if given.json else show(result))


if __name__ == "__main__":
    main()
