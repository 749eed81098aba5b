# SPDX-License-Identifier: Apache-2.0
"""Numbers and checks of a rig that was carried onto a mesh, each check with the word ``pass`` or ``fail``."""

from __future__ import annotations

from typing import Any

import numpy as np

from hyoid.characters import arkit
from hyoid.characters.character import Character
from hyoid.characters.fit.carrying import Carried
from hyoid.characters.fit.mesh_parts import HeadMesh
from hyoid.characters.fit.template import shape_offsets
from hyoid.geometry.meshes import triangulate
from hyoid.geometry.transfer import flipped

_GRID = 0.4e-3  # metres between the lines of sight through a slit
_CLOSED = 0.12  # of an opening that may stay open
_FLIPPED = 0.01  # of the faces that a shape moves which may turn over
_STILL = 2e-4  # metres that upper teeth may move


def quality(
    character: Character, source: Character, head: HeadMesh, carried: Carried, kinds: dict[int, str]
) -> dict[str, Any]:
    """What an artist wants to know before the first frame is keyed.

    ``median_error_mm`` and ``percentile_95_mm`` tell how far the face of the drawn template lies from the mesh. Each
    entry of ``checks`` has ``value``, ``limit`` and ``result``: ``lids_left`` and ``lids_right`` (share of the opening
    that a blink leaves), ``lips`` (share of the jaw's opening that ``mouthClose`` leaves), ``jaw`` (opening between the
    lips against the source's), ``symmetry`` (mm between left and right shapes, symmetric meshes only),
    ``teeth`` (mm that the upper teeth move), ``flipped`` (worst share of faces that a shape turns over, and which).
    """
    face = carried.fine.stencil @ carried.template.face.astype(float) > 0.5
    hits = head.surface.closest(carried.fine.vertices[face])
    checks = {
        **_lids(head, carried), **_lips(character, source, head, carried), **_symmetry(source, carried),
        **_teeth(character, head, kinds), **_flips(source, head, carried),
    }  # fmt: skip
    return {
        "median_error_mm": 1000 * float(np.median(hits.distances)),
        "percentile_95_mm": 1000 * float(np.quantile(hits.distances, 0.95)),
        "scale": carried.placing.scale,
        "symmetric": carried.mirror is not None,
        "pieces": {kind: list(kinds.values()).count(kind) for kind in dict.fromkeys(kinds.values())},
        "checks": checks,
        "passed": all(check["result"] == "pass" for check in checks.values()),
        "remarks": list(head.remarks),
    }


def _check(value: float, limit: float, passed: bool, **more: Any) -> dict[str, Any]:
    return {"value": round(float(value), 4), "limit": limit, "result": "pass" if passed else "fail", **more}


def opening(
    vertices: np.ndarray, triangles: np.ndarray, low: np.ndarray, high: np.ndarray, rest: np.ndarray | None = None
) -> np.ndarray:  # fmt: skip
    """Where one can see through a window from the front: (columns, rows) bool, :data:`_GRID` metres apart.

    Args:
        vertices: (n, 3). triangles: (T, 3); those with a corner behind ``low`` do not block the sight.
        low, high: (3,) corners of the box of the window.
        rest: (n, 3), where ``behind`` is decided instead: skin that an open jaw takes backwards blocks all the same.
    """
    corners, depth = vertices[triangles], (vertices if rest is None else rest)[triangles][..., 2]
    inside = (corners.max(1)[:, :2] > low[:2]).all(1) & (corners.min(1)[:, :2] < high[:2]).all(1)
    corners = corners[inside & (depth.min(1) > low[2])][..., :2]
    across = np.arange(low[0], high[0], _GRID)
    up = np.arange(low[1], high[1], _GRID)
    seen = np.ones((len(across), len(up)), bool)
    for a, b, c in corners:
        columns = slice(*np.searchsorted(across, [min(a[0], b[0], c[0]), max(a[0], b[0], c[0])]))
        rows = slice(*np.searchsorted(up, [min(a[1], b[1], c[1]), max(a[1], b[1], c[1])]))
        x, y = across[columns][:, None], up[rows][None]
        if not x.size or not y.size:
            continue
        turns = [(q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) for p, q in ((a, b), (b, c), (c, a))]
        within = np.all([turn >= 0 for turn in turns], 0) | np.all([turn <= 0 for turn in turns], 0)
        seen[columns, rows] &= ~within
    return seen


def _area(seen: np.ndarray) -> float:
    """Square metres of what can be seen through."""
    return float(seen.sum()) * _GRID**2


def _shape(carried: Carried, *names: str) -> np.ndarray:
    known = carried.template.source.shapes.names
    return np.sum([carried.offsets[known.index(name)] for name in names], axis=0)


def _lids(head: HeadMesh, carried: Carried) -> dict[str, Any]:
    """The opening of each eye that a blink leaves, against the opening at rest."""
    found = {}
    points, triangles = head.surface.vertices, head.surface.triangles
    for meeting in carried.meetings:
        name = meeting.shapes[-1]
        if not name.startswith("eyeBlink"):
            continue
        rims = carried.template.placed[np.concatenate([meeting.upper, meeting.lower])]
        margin = 0.001 * carried.placing.scale
        low, high = rims.min(0) - margin, rims.max(0) + margin
        low[2] -= 0.006 * carried.placing.scale
        rest = _area(opening(points, triangles, low, high))
        left = _area(opening(points + _shape(carried, name), triangles, low, high))
        side = name.removeprefix("eyeBlink").lower()
        if rest > 20e-6 * carried.placing.scale**2:
            share = left / rest
            found[f"lids_{side}"] = _check(share, _CLOSED, share <= _CLOSED, open_mm2=round(1e6 * rest, 1))
        else:
            found[f"lids_{side}"] = _check(0.0, _CLOSED, True, open_mm2=round(1e6 * rest, 1), note="closed at rest")
    return found


def _lips(character: Character, source: Character, head: HeadMesh, carried: Carried) -> dict[str, Any]:
    """How far the jaw opens the lips against the source's, and whether ``mouthClose`` closes them again."""
    marks = ("lip_upper", "lip_lower")
    if not all(name in source.landmarks and name in character.landmarks for name in marks):
        return {}
    row = {int(vertex): i for i, vertex in enumerate(head.core)}
    upper, lower = (row[character.landmarks[name]] for name in marks)
    jaw = _shape(carried, "jawOpen")
    own = float(np.linalg.norm(jaw[lower] - jaw[upper]))
    number = {int(vertex): i for i, vertex in enumerate(carried.template.rows)}
    rows = [number[source.landmarks[name]] for name in marks]
    theirs = shape_offsets(carried.template, source.shapes.names.index("jawOpen"))
    wanted = float(np.linalg.norm(theirs[rows[1]] - theirs[rows[0]])) * carried.placing.scale
    ratio = own / max(wanted, 1e-6)
    result = {"jaw": _check(ratio, 0.6, 0.6 < ratio < 1.6, opening_mm=round(1000 * own, 2))}
    meeting = next((entry for entry in carried.meetings if entry.shapes[-1] == "mouthClose"), None)
    if meeting is None:
        return result
    points, triangles = head.surface.vertices, head.surface.triangles
    rims = carried.template.placed[np.concatenate([meeting.upper, meeting.lower])]
    low, high = rims.min(0), rims.max(0) + 0.002
    low[1] -= own
    low[2] -= 0.008 * carried.placing.scale
    # What cannot be seen through at rest: the chin lies behind the lips, and is no hole.
    shut = ~opening(points, triangles, low, high)
    wide = _area(shut & opening(points + jaw, triangles, low, high, points))
    closed = points + _shape(carried, "jawOpen", "mouthClose")
    left = _area(shut & opening(closed, triangles, low, high, points))
    if wide > 20e-6 * carried.placing.scale**2:
        result["lips"] = _check(left / wide, _CLOSED, left <= _CLOSED * wide, open_mm2=round(1e6 * wide, 1))
    else:
        result["lips"] = _check(1.0, _CLOSED, False, open_mm2=round(1e6 * wide, 1), note="the jaw opens no slit")
    return result


def _symmetry(source: Character, carried: Carried) -> dict[str, Any]:
    mirror = carried.mirror
    if mirror is None:
        return {}
    names = source.shapes.names
    worst = 0.0
    for index, name in enumerate(names[: len(arkit.NAMES)]):
        if name.endswith("Left") and f"{name[:-4]}Right" in names:
            other = carried.offsets[names.index(f"{name[:-4]}Right")]
            worst = max(worst, float(np.abs(carried.offsets[index] - mirror.reflect(other[mirror.partner])).max()))
    return {"symmetry": _check(1000 * worst, 1.0, worst < 1e-3)}


def _teeth(character: Character, head: HeadMesh, kinds: dict[int, str]) -> dict[str, Any]:
    teeth = np.array([kinds[i] == "teeth_upper" for i in range(len(kinds))])[head.piece]
    if not teeth.any():
        return {}
    moved = teeth[character.shapes.vertices]
    most = float(np.linalg.norm(character.shapes.offsets[moved], axis=1).max()) if moved.any() else 0.0
    return {"teeth": _check(1000 * most, 1000 * _STILL, most <= _STILL)}


def _flips(source: Character, head: HeadMesh, carried: Carried) -> dict[str, Any]:
    """The worst shape by the share of moved faces that turn over, beyond what the source's own does."""
    points, triangles = head.surface.vertices, head.surface.triangles
    rest, own_triangles = carried.template.rest, triangulate(carried.template.faces)
    worst, which = 0.0, ""
    for index, name in enumerate(source.shapes.names[: len(arkit.NAMES)]):
        share = _turned(points, triangles, carried.offsets[index])
        excess = share - _turned(rest, own_triangles, shape_offsets(carried.template, index))
        if excess > worst:
            worst, which = excess, name
    return {"flipped": _check(worst, _FLIPPED, worst <= _FLIPPED, shape=which)}


def _turned(points: np.ndarray, triangles: np.ndarray, offsets: np.ndarray) -> float:
    moved = np.linalg.norm(offsets, axis=1) > 1e-4
    chosen = triangles[moved[triangles].any(1)]
    return float(flipped(points + offsets, chosen, points).mean()) if len(chosen) else 0.0
