# SPDX-License-Identifier: Apache-2.0
"""What a stabilisation found, the numbers that people read from it, and the verdict in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hyoid import licences
from hyoid.geometry.rigid import Rigid
from hyoid.take import Provenance

FORMAT, VERSION = "hyoid.stabilize.report", 1
GOOD, CHECK, POOR = "good", "check", "poor"
_GOOD_MM = 0.5  # a skull that stays within this looks still under a moving face
_POOR_MM = 2.0
_POOR_SHARE = 0.25  # of the frames that may be uncertain
_CHUNK = 256  # frames whose points are looked at together
_NAMED = 6  # runs of frames, or meshes, that the verdict names one by one


@dataclass(frozen=True)
class FrameMeshes:
    """One frame to show: ``raw`` as it came and ``stabilised``, both (N, 3) metres in the target's placed axes."""

    index: int
    raw: np.ndarray
    stabilised: np.ndarray


@dataclass(frozen=True)
class ReportFacts:
    """What the report tells of F frames with N vertices: arrays a frame and a vertex, meshes for a few frames only.

    Placed axes: metres, +Y up, the face looks along +Z.

    Attributes:
        source: what was stabilised, for the title. names: (F,), a file or frame each. method: as an artist knows it.
        target: (N, 3) placed. faces: (n, 4) int, (0, 4) where there are none: then no surface is drawn.
        motion: F frames, placed axes: the head motion, ``raw = R stabilised + t``.
        residual_median_mm, residual_percentile_95_mm: (F,), of the distances to the target after stabilising.
        confidence: (F,) 0..1. uncertain: why, by frame index.
        mean_residual_mm: (N,) over all frames, NaN where a vertex does not count.
        ordered: frames follow one another in time; else they are a set of meshes and get a table instead of curves.
        fps: frames a second, None if unknown. target_name: the file or frame that gave the target.
        unit: the unit found, in words. topology: how the mesh was mapped, in words. map_error_mm: median and 95th
            percentile of the distances between the mesh and what was mapped onto it.
        skull_points: (n, 3) placed, where the most skull-like points are in the target. skull_drift_mm: (F, n, 3),
            where they are after stabilising minus that, millimetres. Both or neither.
        trust: (N,), how much the method relied on each vertex, NaN where it looked at none.
        worst: frames to show before and after (see :func:`choose_worst`).
        remarks: anything else to say, a sentence each.
    """

    source: str
    names: tuple[str, ...]
    method: str
    target: np.ndarray
    faces: np.ndarray
    motion: Rigid
    residual_median_mm: np.ndarray
    residual_percentile_95_mm: np.ndarray
    confidence: np.ndarray
    mean_residual_mm: np.ndarray
    provenance: Provenance
    uncertain: Mapping[int, str] = field(default_factory=dict)
    ordered: bool = True
    fps: float | None = None
    target_name: str = ""
    unit: str = ""
    topology: str = ""
    map_error_mm: tuple[float, float] | None = None
    skull_points: np.ndarray | None = None
    skull_drift_mm: np.ndarray | None = None
    trust: np.ndarray | None = None
    worst: tuple[FrameMeshes, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.names)


@dataclass(frozen=True)
class Drift:
    """How far points lie from their place in the target, (F,) millimetres each: mean and the middle 80 % of them."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Numbers:
    """Figures a frame.

    Attributes:
        degrees: (F, 3): nod (down positive), turn (to the head's left positive), tilt (to its right positive).
        angle: (F,) degrees, the whole turn. moved_mm: (F, 3): the middle of the head to its left, up, forward.
        before, after: drift of the skull-like points, None where none were followed.
    """

    degrees: np.ndarray
    angle: np.ndarray
    moved_mm: np.ndarray
    before: Drift | None
    after: Drift | None


@dataclass(frozen=True)
class Verdict:
    """``grade`` is ``good``, ``check`` or ``poor``; ``sentence`` tells an artist why."""

    grade: str
    sentence: str


def choose_worst(residual_mm: np.ndarray, count: int = 4, *, apart: int = 1) -> tuple[int, ...]:
    """The frames with the largest residual, largest first, no two closer than ``apart``; NaN is never chosen.

    The median a frame tells of a skull that is off; a high percentile tells of a wide expression as well.
    """
    chosen: list[int] = []
    for index in np.argsort(-np.nan_to_num(residual_mm, nan=-np.inf), kind="stable").tolist():
        if len(chosen) < count and np.isfinite(residual_mm[index]) and all(abs(index - old) >= apart for old in chosen):
            chosen.append(index)
    return tuple(chosen)


def check(facts: ReportFacts) -> None:
    """Our own mistakes, caught before half a report is drawn."""
    frames, vertices = facts.frames, len(facts.target)
    assert frames > 0, "a report of no frames"
    assert facts.motion.rotations.shape == (frames, 3, 3)
    assert facts.motion.translations.shape == (frames, 3)
    for name in ("residual_median_mm", "residual_percentile_95_mm", "confidence"):
        assert getattr(facts, name).shape == (frames,), name
    assert facts.target.shape == (vertices, 3)
    assert facts.mean_residual_mm.shape == (vertices,)
    assert facts.trust is None or facts.trust.shape == (vertices,)
    assert not len(facts.faces) or int(facts.faces.max()) < vertices
    assert all(0 <= index < frames for index in facts.uncertain)
    assert (facts.skull_points is None) == (facts.skull_drift_mm is None)
    if facts.skull_points is not None and facts.skull_drift_mm is not None:
        assert facts.skull_drift_mm.shape == (frames, *facts.skull_points.shape)
    for shown in facts.worst:
        assert 0 <= shown.index < frames
        assert shown.raw.shape == shown.stabilised.shape == facts.target.shape


def numbers(facts: ReportFacts) -> Numbers:
    """The figures a frame that curves, tables and the verdict share."""
    motion = facts.motion
    middle = _middle(facts)
    moved = np.einsum("fij,j->fi", motion.rotations, middle) + motion.translations - middle
    degrees = _nod_turn_tilt(motion.rotations)
    if facts.ordered:
        degrees = np.unwrap(degrees, period=360.0, axis=0)
    before = after = None
    if facts.skull_points is not None and facts.skull_drift_mm is not None and len(facts.skull_points):
        before, after = _drifts(motion, facts.skull_points, facts.skull_drift_mm)
    return Numbers(degrees, motion.degrees(), 1000 * moved, before, after)


def verdict(facts: ReportFacts, found: Numbers) -> Verdict:
    """Whether the result can be used, and what to look at."""
    sure = np.ones(facts.frames, bool)
    sure[list(facts.uncertain)] = False
    things = "frame" if facts.ordered else "mesh"
    if not sure.any():
        what = f"every {things} is uncertain" if facts.frames > 1 else f"the only {things} is uncertain"
        return Verdict(POOR, f"Do not use this as it is: {what}. Check the target and that one person is shown.")
    held = facts.residual_median_mm if found.after is None else found.after.mean
    worst = largest(held[sure], np.inf)
    share = 1 - sure.mean()
    grade = GOOD if worst <= _GOOD_MM and share == 0 else CHECK
    if worst > _POOR_MM or share > _POOR_SHARE:
        grade = POOR
    if found.after is None or found.before is None:
        text = f"Half of the face lies within {_up(worst)} of the target"
    elif not np.isfinite(worst):
        text = "How far the skull moves is not known"
    else:
        stays = "stays within" if worst <= _POOR_MM else "still moves by up to"
        text = f"The skull {stays} {_up(worst)} ({_up(largest(found.before.mean))} before)"
    if not facts.uncertain:
        return Verdict(grade, f"{text}; no {things} is uncertain.")
    return Verdict(grade, f"{text}; {_uncertain_words(facts)}.")


def runs(indices: Iterable[int]) -> list[tuple[int, int]]:
    """Rising ranges (first, last) of consecutive numbers."""
    found: list[tuple[int, int]] = []
    for index in sorted(indices):
        if found and index == found[-1][1] + 1:
            found[-1] = (found[-1][0], index)
        else:
            found.append((index, index))
    return found


def largest(values: np.ndarray, otherwise: float = 0.0) -> float:
    """The largest finite value; ``otherwise`` where there is none."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    return float(known.max()) if len(known) else otherwise


def figure(value: float, unit: str = " mm", digits: int = 2) -> str:
    """A number with its unit for people; a dash for one that is not known."""
    return f"{value:.{digits}f}{unit}" if np.isfinite(value) else "-"


def document(facts: ReportFacts) -> dict[str, Any]:
    """The report for machines: plain values only, null where a number is not known."""
    check(facts)
    found = numbers(facts)
    told = verdict(facts, found)
    rights = licences.verdict(facts.provenance.sources)
    frames: dict[str, Any] = {
        "name": list(facts.names), "rotation_degrees": found.angle, "nod_turn_tilt_degrees": found.degrees,
        "left_up_forward_mm": found.moved_mm, "residual_median_mm": facts.residual_median_mm,
        "residual_percentile_95_mm": facts.residual_percentile_95_mm, "confidence": facts.confidence,
    }  # fmt: skip
    if found.before is not None and found.after is not None:
        frames["skull_drift_before_mm"] = found.before.mean
        frames["skull_drift_after_mm"] = found.after.mean
    record = {
        "format": FORMAT, "version": VERSION, "source": facts.source, "method": facts.method,
        "verdict": {"grade": told.grade, "sentence": told.sentence},
        "frames": facts.frames, "vertices": len(facts.target), "ordered": facts.ordered, "fps": facts.fps,
        "target": facts.target_name, "unit": facts.unit, "topology": facts.topology,
        "map_error_mm": None if facts.map_error_mm is None else list(facts.map_error_mm),
        "uncertain": [
            {"frame": index, "name": facts.names[index], "reason": facts.uncertain[index]}
            for index in sorted(facts.uncertain)
        ],
        "worst": [shown.index for shown in facts.worst], "remarks": list(facts.remarks), "per_frame": frames,
        "provenance": asdict(facts.provenance), "licence": {**rights, "sentence": licences.sentence(rights)},
    }  # fmt: skip
    return _plain(record)


def _plain(value: Any) -> Any:
    """Values that JSON knows; numbers to a hundred-thousandth, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(entry) for entry in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return round(float(value), 5) + 0.0 if np.isfinite(value) else None
    return value if value is None else str(value)


def _middle(facts: ReportFacts) -> np.ndarray:
    """(3,) the middle of what counts as head: its motion is told, since the scene's origin may lie far away."""
    counts = np.isfinite(facts.mean_residual_mm)
    points = facts.target[counts] if counts.any() else facts.target
    return (points.min(0) + points.max(0)).astype(np.float64) / 2


def _nod_turn_tilt(rotations: np.ndarray) -> np.ndarray:
    """(F, 3) degrees about +X, +Y, +Z of R = R_y R_x R_z: a head turns, then nods, then tilts."""
    nod = np.arcsin(np.clip(-rotations[:, 1, 2], -1, 1))
    turn = np.arctan2(rotations[:, 0, 2], rotations[:, 2, 2])
    tilt = np.arctan2(rotations[:, 1, 0], rotations[:, 1, 1])
    return np.degrees(np.stack([nod, turn, tilt], -1))


def _drifts(motion: Rigid, points: np.ndarray, drift_mm: np.ndarray) -> tuple[Drift, Drift]:
    """Before and after stabilising; what the points did before follows from the motion that was taken out."""
    rows: list[np.ndarray] = []
    for start in range(0, len(motion), _CHUNK):
        part = slice(start, start + _CHUNK)
        after = np.asarray(drift_mm[part], np.float64) / 1000
        before = motion[part].apply(points + after) - points
        for moved in (before, after):
            far = 1000 * np.sqrt(np.square(moved).sum(-1))
            rows.append(np.concatenate([far.mean(1)[None], np.quantile(far, [0.1, 0.9], axis=1)]))
    before, after = (np.concatenate(rows[first::2], 1) for first in (0, 1))
    return Drift(*before), Drift(*after)


def _up(millimetres: float) -> str:
    """Millimetres rounded up, so that "within" stays true."""
    if not np.isfinite(millimetres):
        return "an unknown distance"
    digits = 2 if millimetres < 1 else 1 if millimetres < 10 else 0
    return f"{np.ceil(millimetres * 10**digits - 1e-6) / 10**digits:.{digits}f} mm"


def _uncertain_words(facts: ReportFacts) -> str:
    count = len(facts.uncertain)
    if not facts.ordered:
        if count > _NAMED:
            return f"{count} of {facts.frames} meshes are uncertain"
        return f"{_listed([facts.names[index] for index in sorted(facts.uncertain)])} {_are(count)} uncertain"
    ranges = runs(facts.uncertain)
    if len(ranges) > _NAMED:
        return f"{count} of {facts.frames} frames are uncertain"
    words = _listed([str(first) if first == last else f"{first}-{last}" for first, last in ranges])
    return f"frame{'s' if count > 1 else ''} {words} {_are(count)} uncertain"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
