# SPDX-License-Identifier: Apache-2.0
"""The curves and heat maps of a stabilisation, for the page and for the sheet alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hyoid.media import heat_map
from hyoid.media.charts import Chart, Line
from hyoid.media.heat_map import Framing
from hyoid.media.stabilize_facts import FrameMeshes, Numbers, ReportFacts, figure, largest, runs

VIEWS = ("front", "three-quarter")


@dataclass(frozen=True)
class Tile:
    """One heat map: ``title`` over it, ``ends`` of its scale in words; the rest as in :mod:`hyoid.media.heat_map`."""

    title: str
    vertices: np.ndarray
    faces: np.ndarray
    values: np.ndarray
    limits: tuple[float, float]
    unit: str
    view: str
    framing: Framing
    ends: tuple[str, str]


@dataclass(frozen=True)
class Pair:
    """A frame before and after stabilising, with what its heading says."""

    title: str
    note: str
    before: Tile
    after: Tile


def charts(facts: ReportFacts, found: Numbers) -> list[Chart]:
    """Rotation, translation, drift of the skull, residual and confidence over the frames."""
    marked = tuple(runs(facts.uncertain))
    degrees, moved = found.degrees.T, found.moved_mm.T
    result = [
        _chart("Head rotation", "degrees", ("nod down", "turn left", "tilt right"), degrees, marked),
        _chart("Head translation", "mm", ("left", "up", "forward"), moved, marked),
    ]
    if found.before is not None and found.after is not None:
        lines = [
            Line(label, drift.mean, drift.low, drift.high)
            for label, drift in (("after", found.after), ("before", found.before))
        ]
        result.append(Chart("Drift of the skull", "mm, logarithmic", tuple(lines), log=True, marked=marked))
    residuals = (facts.residual_median_mm, facts.residual_percentile_95_mm)
    residual_lines = (Line("median", residuals[0]), Line("95 % below", residuals[1]))
    result.append(Chart("Residual", "mm, logarithmic", residual_lines, log=True, marked=marked))
    sure = Chart("Confidence", "0 to 1", (Line("", facts.confidence),), limits=(0.0, 1.0), marked=marked)
    return [*result, sure]


def overview(facts: ReportFacts, aspect: float) -> list[Tile]:
    """The mean residual and, where it is known, the trust in each vertex, on the target, from each view."""
    if not len(facts.faces):
        return []
    frames = {view: heat_map.frame(facts.target, view, facts.mean_residual_mm, aspect=aspect) for view in VIEWS}
    told = [("Mean residual", facts.mean_residual_mm, "mm")]
    if facts.trust is not None:
        told.append(("Trusted points", facts.trust / max(largest(facts.trust), 1e-12), "trust"))
    tiles = []
    for title, values, unit in told:
        limits = (0.0, heat_map.nice_top(values) if unit == "mm" else 1.0)
        ends = _ends(limits) if unit == "mm" else ("ignored", "trusted")
        tiles += [
            Tile(title, facts.target, facts.faces, values, limits, unit, view, frames[view], ends) for view in VIEWS
        ]
    return tiles


def pairs(facts: ReportFacts, found: Numbers, aspect: float) -> list[Pair]:
    """The worst frames before and after; all "after" share one scale, each "before" has its own."""
    if not len(facts.faces) or not facts.worst:
        return []
    known = np.isfinite(facts.mean_residual_mm)
    after = [_distance_mm(shown.stabilised, facts.target, known) for shown in facts.worst]
    limits = (0.0, heat_map.nice_top(np.concatenate(after), 0.99))
    return [
        _pair(facts, found, shown, values, limits, aspect) for shown, values in zip(facts.worst, after, strict=True)
    ]


def frame_word(facts: ReportFacts, index: int) -> str:
    """How a frame is named to people."""
    if not facts.ordered:
        return facts.names[index]
    name = facts.names[index]
    return f"frame {index}" if not name or name == str(index) else f"frame {index} ({name})"


def _pair(
    facts: ReportFacts,
    found: Numbers,
    shown: FrameMeshes,
    after: np.ndarray,
    limits: tuple[float, float],
    aspect: float,
) -> Pair:
    before = _distance_mm(shown.raw, facts.target, np.isfinite(after))
    view, index = VIEWS[0], shown.index
    scale = (0.0, heat_map.nice_top(before, 0.99))
    frames = [heat_map.frame(points, view, after, aspect=aspect) for points in (shown.raw, shown.stabilised)]
    reach = max(frame.reach for frame in frames)  # the pair at one scale
    note = (
        f"residual {figure(facts.residual_median_mm[index])} median, "
        f"{figure(facts.residual_percentile_95_mm[index])} for 95 %; head turned {figure(found.angle[index], '°', 1)}, "
        f"confidence {figure(facts.confidence[index], '')}"
    )
    tiles = [
        Tile(title, points, facts.faces, values, limit, "mm", view, Framing(frame.centre, reach), _ends(limit))
        for title, points, values, limit, frame in (
            ("before", shown.raw, before, scale, frames[0]),
            ("after", shown.stabilised, after, limits, frames[1]),
        )
    ]
    return Pair(frame_word(facts, index), note, *tiles)


def _ends(limits: tuple[float, float]) -> tuple[str, str]:
    return f"{limits[0]:g}", f"{limits[1]:g} mm"


def _distance_mm(vertices: np.ndarray, target: np.ndarray, known: np.ndarray) -> np.ndarray:
    far = 1000 * np.sqrt(np.square(np.asarray(vertices, np.float64) - target).sum(1))
    return np.where(known, far, np.nan)


def _chart(title: str, unit: str, labels, columns, marked: tuple[tuple[int, int], ...]) -> Chart:
    lines = tuple(Line(label, values) for label, values in zip(labels, columns, strict=True))
    return Chart(title, unit, lines, marked=marked)
