# SPDX-License-Identifier: Apache-2.0
"""The way from joints to clean people on 20 synthetic clips: people kept apart, feet, ground, path, pose; no network.

``python bench/lift_clips.py`` or ``hyoid bench lift_clips``. Detections are the truth with measured errors (3 px, 8 %
of depth, 12 degrees a bone, 5 % missed, 1 % twice). Camera height and pitch are not told. Eight clips are made up, the
others are motion capture of people whom no network of ours has learned from. Beside the whole way the same without
planted feet, without smoothing, and without both.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hyoid.motion import bones, cameras, chain, identities, quality, skeletons, smoothing, time_bases
from hyoid.motion.cameras import Camera
from hyoid.motion.chain import Performance, Settings
from hyoid.synthetic import people, scenes
from hyoid.synthetic.people import Truth
from hyoid.synthetic.scenes import Found, Scene

SUMMARY = "20 synthetic clips with the errors of networks through the whole way from joints to clean people"
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "mocap"
GOALS = {
    "skate_mm": 5.0, "true_skate_mm": 5.0, "penetration_mm": 10.0, "switches": 0, "bone_variance": 1e-20,
    "jerk_ratio": 2.0, "drift_mm": 10.0, "jump_error_percent": 10.0,
}  # fmt: skip
"""What no clip should exceed; skate is the mean of a person."""
_WAYS = {
    "whole": Settings(find_ground=False),
    "without lock": Settings(find_ground=False, lock=False),
    "without smoothing": Settings(find_ground=False, calm=False, strength=0.0),
    "without both": Settings(find_ground=False, lock=False, calm=False, strength=0.0),
}
_WORST = ("penetration_mm", "bone_variance", "drift_mm", "jump_error_percent")
_SHORT_WAY = 1.0  # metres: of less, a share of the way tells nothing


class _Person(NamedTuple):
    """A track: the rows of its frames, its joints (F, 17, 3) with NaN, and who it is."""

    truth: Truth
    frames: slice
    joints: np.ndarray
    trust: np.ndarray


def tracked(scene: Scene, found: Found) -> tuple[list[_Person], int]:
    """The people of a scene, as the tracks tell them, and how often a person's name changed."""
    frames = len(scene.there[0])
    tracks = identities.track(found.detections, time_bases.frame_times(frames, scenes.FPS))
    name = np.full(len(found.who), -1)
    persons, best = [], np.zeros(len(scene.people), int)
    for number, track in enumerate(tracks.people):
        name[track.detections] = number
    for track in tracks.people:
        who = found.who[track.detections]
        one = int(np.bincount(who[who >= 0], minlength=len(scene.people)).argmax())
        if len(track.detections) <= best[one]:
            continue  # a fragment: counted as a change of name
        best[one] = len(track.detections)
        rows = found.detections.frames[track.detections]
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        joints, trust = np.full((frames, 17, 3), np.nan), np.zeros(frames)
        joints[rows], trust[rows] = found.joints[track.detections], found.detections.scores[track.detections]
        persons.append(_Person(scene.people[one], part, joints[part], trust[part]))
    changes = 0
    for one in range(len(scene.people)):
        rows = np.flatnonzero((found.who == one) & (name >= 0))
        names = name[rows[np.argsort(found.detections.frames[rows], kind="stable")]]
        changes += int((np.diff(names) != 0).sum())
    return persons, changes


def cleaned(persons: list[_Person], seen_by: list[Camera], settings: Settings) -> list[Performance]:
    """Everybody, each before a camera."""
    return [
        chain.clean(
            one.truth.skeleton, one.joints, camera, scenes.FPS, confidence=one.trust,
            landmarks=people.landmarks(one.truth.skeleton), settings=settings,
        )
        for one, camera in zip(persons, seen_by, strict=True)
    ]  # fmt: skip


def measured(scene: Scene, one: _Person, done: Performance) -> dict[str, float]:
    """Figures of one person against the truth, in frames in which the person was not long hidden."""
    truth, standing = one.truth.joints[one.frames], one.truth.standing[one.frames]
    known = ~done.hidden
    stands = standing & known[:, None]
    places, _ = skeletons.forward(one.truth.skeleton, done.pose)
    path, wanted = done.joints[known, 0], truth[known, 0]
    away = (path - wanted) - (path - wanted).mean(0)
    figures = {
        "skate_mm": done.quality.skate,
        "true_skate_mm": _mean(quality.skate(done.joints[:, [6, 3]], stands)),
        "own_skate_of_truth_mm": _mean(quality.skate(truth[:, [6, 3]], stands)),
        "penetration_mm": done.quality.penetration,
        "penetrating_percent": 100 * done.quality.penetrating,
        "bone_variance": bones.variance(places, one.truth.skeleton.parents),
        "path_mm": 1000 * float(np.linalg.norm(away, axis=-1).mean()),
        "pose_mm": 1000 * float(_apart(done.joints[known], truth[known]).mean()),
        "jerk_ratio": done.quality.wrist_jerk / max(quality.jerk(truth[:, [13, 16]], scenes.FPS), 1e-9),
        "contacts_agree_percent": 100 * _agreement(done.standing[known], standing[known]),
    }
    calm = [smoothing.whittaker(line, 0.5, scenes.FPS) for line in (done.joints[:, 0], truth[:, 0])]
    ways = [float(np.linalg.norm(np.diff(line[:, [0, 2]], axis=0), axis=-1).sum()) for line in calm]
    if ways[1] > _SHORT_WAY:
        figures["way_percent"] = 100 * (ways[0] / ways[1] - 1)
    if one.truth.still:
        figures["drift_mm"] = 1000 * float(np.linalg.norm(path - path.mean(0), axis=-1).max())
        del figures["jerk_ratio"]  # whoever stands has none
    if scene.jump:
        height = done.joints[:, 0, 1]
        rise = float(height.max() - np.median(np.r_[height[:20], height[-20:]]))
        figures["jump_error_percent"] = 100 * abs(rise / scene.jump - 1)
    return figures


def _apart(joints: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.linalg.norm((joints - joints[:, :1]) - (truth - truth[:, :1]), axis=-1)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _agreement(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / max(float(a.sum() + b.sum()), 1.0)


def clip(scene: Scene, seed: int) -> dict[str, Any]:
    """Figures of a scene: of the whole way, and of the ways without one part."""
    found = scenes.found(scene, seed)
    persons, switches = tracked(scene, found)
    unknown = cameras.from_field_of_view(scene.camera.size, cameras.field_of_view(scene.camera))
    common = chain.common_cameras(cleaned(persons, [unknown] * len(persons), Settings()), unknown)
    ways = {}
    for way, settings in _WAYS.items():
        done = cleaned(persons, common, settings)
        ways[way] = joined([measured(scene, *pair) for pair in zip(persons, done, strict=True)])
    return {
        "clip": scene.name, "people": len(scene.people), "tracks": len(persons), "frames": len(scene.there[0]),
        "switches": switches, "pitch_error_degrees": float(np.degrees(common[0].pitch - scene.camera.pitch)),
        "height_error_m": float(np.mean([one.height for one in common])) - scene.camera.height, "ways": ways,
    }  # fmt: skip


def joined(rows: list[dict[str, float]], *, sizes: bool = False) -> dict[str, float]:
    """The means of figures that are there, of some the worst; with ``sizes`` too long and too short do not cancel."""
    result = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if np.isfinite(row.get(name, np.nan))]
        if values:
            result[name] = float(max(values) if name in _WORST else np.mean(np.abs(values) if sizes else values))
    return result


def run(data: Path | None = None, seed: int = 0, count: int = 20) -> dict[str, Any]:
    """The first ``count`` clips; only those that are made up where there is no motion capture (``data``)."""
    begun = time.monotonic()
    folder = DATA if data is None else Path(data)
    there = (folder / "motion.npz").is_file()
    drawn = scenes.made_up(seed) + (scenes.recorded(folder, seed) if there else [])
    rows = [clip(scene, seed) for scene in drawn[:count]]
    overall = {way: joined([row["ways"][way] for row in rows], sizes=True) for way in _WAYS}
    worst = {
        name: max((row["ways"]["whole"].get(name, 0.0) for row in rows), default=0.0)
        for name in GOALS
        if name != "switches"
    } | {"switches": sum(row["switches"] for row in rows)}
    return {
        "seed": seed, "motion_capture": there, "clips": rows, "overall": overall, "worst": worst, "goals": GOALS,
        "missed": [name for name, goal in GOALS.items() if not worst[name] <= goal],
        "seconds": time.monotonic() - begun,
    }  # fmt: skip


_COLUMNS = {
    "skate_mm": ("skate", "mm"), "true_skate_mm": ("true", "mm"), "own_skate_of_truth_mm": ("(own)", "mm"),
    "penetration_mm": ("under", "mm"), "penetrating_percent": ("under", "%"), "path_mm": ("path", "mm"),
    "way_percent": ("way", "%"), "pose_mm": ("pose", "mm"), "jerk_ratio": ("jerk", "x"),
    "contacts_agree_percent": ("feet", "%"),
}  # fmt: skip


def show(result: dict[str, Any]) -> str:
    """A line a clip, then the ways without one part, then what misses its goal."""
    head = f"{'':<18}" + "".join(f"{a + ' ' + b:>10}" for a, b in _COLUMNS.values())
    lines = [head + f"{'names':>7}{'pitch':>7}"]
    for row in result["clips"]:
        end = f"{row['switches']:>7}{row['pitch_error_degrees']:>7.1f}"
        lines.append(_line(row["clip"], row["ways"]["whole"]) + end)
    lines.append("mean of the clips, without signs")
    lines += [_line(way, figures) for way, figures in result["overall"].items()]
    worst, goals = result["worst"], result["goals"]
    lines += [f"{name.replace('_', ' ')}: worst {worst[name]:.3g}, goal {goals[name]:.3g}" for name in goals]
    if not result["motion_capture"]:
        lines.append("without motion capture: only the clips that are made up")
    lines.append(f"missed: {', '.join(result['missed']) or 'nothing'}; {result['seconds']:.0f} s")
    return "\n".join(lines)


def _line(name: str, figures: dict[str, float]) -> str:
    values = (figures.get(column, float("nan")) for column in _COLUMNS)
    return f"{name:<18}" + "".join(f"{'-' if np.isnan(value) else f'{value:.1f}':>10}" for value in values)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument("--data", type=Path, help="a folder of packed motion capture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    outcome = run(options.data, options.seed, options.count)
    print(json.dumps(outcome, indent=1) if options.json else show(outcome))
