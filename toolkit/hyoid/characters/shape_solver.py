# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Weights of ARKit shapes from the stabilised frames of a face: what each frame shows, as curves.

Bounded least squares over all frames at once, with a few shapes rather than many and, where frames follow each other,
without jitter. A frame is read once and leaves some sixty numbers behind, so the length of a performance is free. What
stabilisation left of the motion of the head, tenths of millimetres, is found beside the weights and is no expression.

Skin alone is looked at. What skin hardly shows is decided so:

- The upper lid follows a look up or down, and both eyes do it together: one unknown for both. A look to a side hardly
  moves a lid, and a wrong one is worse than none: it stays at 0. Eyeballs do not count where the mesh has any.
- ``tongueOut`` stays at 0: the tongue is no skin, and what else moves with it is what other shapes do.
- A shape that moves no skin that counts by :data:`SEEN` millimetres stays at 0. ``Solved.unseen`` names all of these.
- ``mouthClose`` is what brings the lips of an open jaw together, so it is never larger than ``jawOpen``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree

from hyoid import characters
from hyoid.characters import arkit
from hyoid.characters.fit.mesh_parts import HeadMesh, head_mesh
from hyoid.characters.fit.models import model_of
from hyoid.characters.fit.template import put
from hyoid.characters.fit.transfer import shapes_onto
from hyoid.errors import InputError, UsageError
from hyoid.geometry.closest import triangle_areas
from hyoid.geometry.mesh import Mesh
from hyoid.geometry.registration import sample_points
from hyoid.geometry.rotations import from_rotation_vector, to_matrix
from hyoid.report import SILENT, Report

SEEN = 0.3
"""Millimetres that a shape must move some skin by."""
TOLERANCE = 1e-5
"""Of a weight: how far any single one may be from the value that suits the others best when the solver ends."""
RIDGE, SPARSE, SMOOTH = 1e-3, 1e-3, 0.01
"""Defaults, in shares of the motion of a usual shape (see :func:`solve`)."""
_FREE = 0.03  # of the skin's weight: how strongly the rest of the head's motion is held at none
_ROUNDS, _CHECKED = 20_000, 20
_BATCH = 32  # frames that are read together
_LOOKS = (("eyeLookUpLeft", "eyeLookUpRight"), ("eyeLookDownLeft", "eyeLookDownRight"))
_NEVER = ("tongueOut", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight")
_STILL = 1e-9  # metres: a frame that moves less is the neutral itself
_FADE = (0.008, 0.020)  # metres from the face of the model: skin nearer counts fully, beyond not at all
_HEAD = (0.5, 0.9)  # the same in shares of the head: the rest is neck, which moves against the skull
_WIDE = (0.010, 0.040)  # metres, the same for shapes: the skin below the chin goes with the jaw
_CELL, _HIDDEN, _SAMPLES = 1.5e-3, 4e-3, 200_000  # metres, metres behind what is in front, points
_VIEWS = tuple((pitch, yaw) for pitch in (-0.6, 0.0, 0.7) for yaw in (-0.9, 0.0, 0.9))  # radians
_SLIVER = 4.0  # medians: a vertex with more area than this counts as one with this


@dataclass(frozen=True)
class Basis:
    """Shapes on a mesh.

    Attributes:
        names: (n,). offsets: (n, N, 3) float32, metres. vertex_weights: (N,) float64, how much each vertex tells (see
            :func:`skin_weights`).
    """

    names: tuple[str, ...]
    offsets: np.ndarray
    vertex_weights: np.ndarray


@dataclass(frozen=True)
class Solved:
    """Weights of shapes, frame by frame.

    Attributes:
        names: (n,). weights: (F, n) float32, 0..1.
        motion_mm, residual_mm: (F,) root mean square over the skin that counts, before and after the shapes are taken
            away. explained: (F,) ``1 - residual^2 / motion^2``, 1 where nothing moves; below 0 only where a frame is
            worse off by its neighbours. drift_mm: (F,) the part of the residual that is a rigid motion of the head.
        unseen: shapes that could not be told from the skin and stay at 0.
        optimality: the largest step that any single weight would still take; ``rounds``: how many it took.
    """

    names: tuple[str, ...]
    weights: np.ndarray
    motion_mm: np.ndarray
    residual_mm: np.ndarray
    explained: np.ndarray
    drift_mm: np.ndarray
    unseen: tuple[str, ...] = ()
    optimality: float = 0.0
    rounds: int = 0


@dataclass(frozen=True)
class _Problem:
    """The normal equations: ``w G w - 2 b w + c`` is the mean square of what is left of a frame, metres.

    ``ties`` (n, g) says which shapes each of the g unknowns moves; ``pair`` is (jawOpen, mouthClose) among them.
    ``rigid`` (g, 6), ``bend`` (6, 6) and ``drifts`` (F, 6) are the products of small rigid motions with the shapes,
    with themselves and with the frames.
    """

    gram: np.ndarray
    products: np.ndarray
    squares: np.ndarray
    rigid: np.ndarray
    bend: np.ndarray
    drifts: np.ndarray
    ties: np.ndarray
    pair: tuple[int, int] | None


def solve(
    basis: np.ndarray,
    frames: Iterable[np.ndarray],
    neutral: np.ndarray,
    *,
    names: Sequence[str],
    ordered: bool,
    vertex_weights: np.ndarray | None = None,
    ridge: float = RIDGE,
    sparse: float = SPARSE,
    smooth: float = SMOOTH,
    rigid: bool = True,
    tolerance: float = TOLERANCE,
) -> Solved:
    """Weights 0..1 of shapes that explain frames best.

    What is made small is, with the motion of a shape of median size as 1: the mean square of what is left, plus
    ``ridge |w|^2 + sparse sum(w)`` for each frame and ``smooth |w_f - w_(f-1)|^2`` between frames. The last looks both
    ways in time, so curves do not lag, but short pulses lose height: a blink of the bundled human that is shut for two
    frames reaches 0.97 without it, 0.95 at 0.01 and 0.89 at 0.05. At twice the frame rate the same look needs four
    times the value.

    Args:
        basis: (n, N, 3) metres. frames: (N, 3) each, metres, stabilised. neutral: (N, 3), where all weights are 0.
        names: (n,) of the shapes; the ARKit ones among them are dealt with as the module says.
        ordered: whether the frames follow each other in time.
        vertex_weights: (N,), or None for equal ones. Where they are 0 frames may hold anything.
        rigid: let each frame turn and move a little as a whole, so that no shape has to.

    Raises:
        UsageError: a setting is negative or not a number.
        InputError: arrays of different sizes, numbers that are not finite, no frame, nothing that moves.
    """
    for key, value in {"ridge": ridge, "sparse": sparse, "smooth": smooth, "tolerance": tolerance}.items():
        if not (np.isfinite(value) and value >= 0):
            raise UsageError(f"{key} is {value}", expected="a number from 0 up")
    names = tuple(names)
    share = _checked(basis, neutral, names, vertex_weights)
    seen, ties, unseen = _unknowns(basis, names, share)
    problem = _equations(basis, frames, neutral, share, ties, _pair(names, ties))
    scale = float(np.median(np.diagonal(problem.gram)[seen]))
    asked = _without_drift(problem) if rigid else problem
    found, optimality, rounds = _minimum(asked, scale, ridge, sparse, smooth if ordered else 0.0, tolerance)
    squares = np.einsum("fg,gh,fh->f", found, problem.gram, found) - 2 * (found * problem.products).sum(1)
    left, moved = np.sqrt(np.maximum(squares + problem.squares, 0)), np.sqrt(problem.squares)
    explained = np.where(moved > _STILL, 1 - (left / np.maximum(moved, _STILL)) ** 2, 1.0)
    drift = _drift(problem, found) if rigid else np.zeros(len(found))
    weights = (found @ ties.T).astype(np.float32)
    return Solved(names, weights, 1e3 * moved, 1e3 * left, explained, 1e3 * drift, unseen, optimality, rounds)


def _checked(basis: np.ndarray, neutral: np.ndarray, names: tuple[str, ...], weights: np.ndarray | None) -> np.ndarray:
    """The weights of the vertices (N,) with the sum 1.

    Raises:
        InputError: see :func:`solve`.
    """
    count = len(neutral)
    if neutral.shape != (count, 3) or basis.shape != (len(names), count, 3):
        raise InputError(
            f"shapes {basis.shape} and a neutral {neutral.shape}", expected=f"({len(names)}, {count}, 3), ({count}, 3)"
        )
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise InputError(f"two shapes are named '{twice}'", expected="names of their own")
    share = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    if share.shape != (count,):
        raise InputError(f"weights of {share.shape} vertices", expected=f"({count},)")
    if not np.isfinite(share).all() or share.min(initial=0) < 0 or not share.any():
        raise InputError("the weights of the vertices make no sense", expected="numbers from 0 up, some above 0")
    for what, array in (("the neutral", neutral), *((f"the shape '{n}'", basis[i]) for i, n in enumerate(names))):
        if not np.isfinite(array[share > 0]).all():
            first = int(np.argmax(~np.isfinite(array).all(1) & (share > 0)))
            raise InputError(f"vertex {first} of {what} is not a finite number")
    return share / share.sum()


def _unknowns(
    basis: np.ndarray, names: tuple[str, ...], share: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Which unknowns are no look (g,) bool, the shapes that each one moves (n, g), and the shapes that none moves.

    Raises:
        InputError: no shape moves any skin.
    """
    counted = share > 0
    largest = np.array([np.linalg.norm(shape[counted], axis=1).max(initial=0) for shape in basis])
    visible = [name for name, size in zip(names, largest, strict=True) if 1e3 * size >= SEEN and name not in _NEVER]
    looks = {name: group for group in _LOOKS for name in group}
    groups: list[tuple[str, ...]] = []
    for name in visible:
        group = tuple(one for one in looks.get(name, (name,)) if one in visible)
        if group not in groups:
            groups.append(group)
    if not groups:
        raise InputError(f"no shape moves the skin by {SEEN} mm", expected="shapes in metres on the mesh of the frames")
    ties = np.array([[float(name in group) for group in groups] for name in names])
    plain = np.array([group[0] not in looks for group in groups])
    unseen = tuple(name for name in names if name not in visible)
    return (plain if plain.any() else ~plain), ties, unseen


def _pair(names: tuple[str, ...], ties: np.ndarray) -> tuple[int, int] | None:
    """The unknowns (jawOpen, mouthClose), where both are there."""
    rows = [names.index(name) for name in ("jawOpen", "mouthClose") if name in names and ties[names.index(name)].any()]
    return (int(ties[rows[0]].argmax()), int(ties[rows[1]].argmax())) if len(rows) == 2 else None


def _equations(
    basis: np.ndarray, frames: Iterable[np.ndarray], neutral: np.ndarray, share: np.ndarray, ties: np.ndarray,
    pair: tuple[int, int] | None,
) -> _Problem:  # fmt: skip
    """The frames, read once.

    Raises:
        InputError: a frame of another size or with numbers that are not finite, or no frame.
    """
    rows = np.flatnonzero(share > 0)
    root = np.repeat(np.sqrt(share[rows]), 3)
    moved = ties.T @ (basis[:, rows].reshape(len(basis), -1) * root)
    rest = neutral[rows].astype(np.float64)
    small = _small_motions(rest, share[rows]).reshape(6, -1) * root
    both = np.concatenate([moved, small])
    products, squares, number = [], [], 0
    for batch in _batches(frames):
        block = np.empty((len(batch), len(root)))
        for row, frame in enumerate(batch):
            if np.shape(frame) != neutral.shape:
                raise InputError(f"frame {number + row} has the shape {np.shape(frame)}", expected=f"{neutral.shape}")
            block[row] = ((np.asarray(frame)[rows] - rest).reshape(-1)) * root
            if not np.isfinite(block[row]).all():
                first = int(rows[int(np.argmin(np.isfinite(block[row]))) // 3])
                raise InputError(f"vertex {first} of frame {number + row} is not a finite number")
        products.append(block @ both.T)
        squares.append((block**2).sum(1))
        number += len(batch)
    if not number:
        raise InputError("there is no frame", expected="at least one")
    of_frames = np.concatenate(products)
    return _Problem(
        moved @ moved.T, of_frames[:, : len(moved)], np.concatenate(squares), moved @ small.T, small @ small.T,
        of_frames[:, len(moved) :], ties, pair,
    )  # fmt: skip


def _small_motions(points: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Offsets (6, n, 3) of shifts along and small turns about the axes, all of about the same size."""
    away = points - share @ points
    radius = np.sqrt(share @ (away**2).sum(1)) + _STILL
    axes = np.eye(3)
    shifts = [np.broadcast_to(axis, points.shape) for axis in axes]
    return np.stack([*shifts, *(np.cross(axis, away) / radius for axis in axes)])


def _without_drift(problem: _Problem) -> _Problem:
    """The equations of the shapes alone once each frame may move as a whole (the Schur complement)."""
    solved = np.linalg.solve(problem.bend + _FREE * np.eye(6), problem.rigid.T)
    gram = problem.gram - problem.rigid @ solved
    return replace(problem, gram=(gram + gram.T) / 2, products=problem.products - problem.drifts @ solved)


def _drift(problem: _Problem, found: np.ndarray) -> np.ndarray:
    """(F,) metres, root mean square: the motion as a whole of what the unknowns (F, g) leave."""
    moves = np.linalg.solve(problem.bend + _FREE * np.eye(6), (problem.drifts - found @ problem.rigid).T).T
    return np.sqrt(np.maximum(np.einsum("fi,ij,fj->f", moves, problem.bend, moves), 0))


def _batches(frames: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    stream = iter(frames)
    while batch := list(itertools.islice(stream, _BATCH)):
        yield batch


def _minimum(
    problem: _Problem, scale: float, ridge: float, sparse: float, smooth: float, tolerance: float
) -> tuple[np.ndarray, float, int]:
    """Unknowns (F, g), the largest step left, the rounds: accelerated projected gradient with restarts.

    Steps are measured against the diagonal of the Hessian, so that small and large shapes are found equally fast
    (Beck and Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm", 2009; restarts after O'Donoghue and
    Candes, "Adaptive Restart for Accelerated Gradient Schemes", 2015).
    """
    count = len(problem.gram)
    hessian = problem.gram / scale + ridge * np.eye(count)
    wanted = problem.products / scale - sparse / 2
    size = np.diagonal(hessian) + 2 * smooth + 1e-12
    spread = (hessian + 4 * smooth * np.eye(count)) / np.sqrt(size[:, None] * size)
    step = 1 / (size * float(np.linalg.eigvalsh(spread)[-1]))

    def slope(weights: np.ndarray) -> np.ndarray:
        result = weights @ hessian - wanted
        if smooth and len(weights) > 1:
            rise = smooth * np.diff(weights, axis=0)
            result[:-1] -= rise
            result[1:] += rise
        return result

    found = _inside(wanted / size, size, problem.pair)
    ahead, speed, left = found, 1.0, np.inf
    for number in range(_ROUNDS):
        if number % _CHECKED == 0:
            left = float(np.abs(found - _inside(found - slope(found) / size, size, problem.pair)).max())
            if left <= tolerance:
                return found, left, number
        after = _inside(ahead - step * slope(ahead), size, problem.pair)
        if ((ahead - after) * (after - found) * size).sum() > 0:
            speed = 1.0  # it has run past the minimum
        faster = (1 + np.sqrt(1 + 4 * speed**2)) / 2
        ahead = after + (speed - 1) / faster * (after - found)
        found, speed = after, faster
    return found, left, _ROUNDS


def _inside(weights: np.ndarray, size: np.ndarray, pair: tuple[int, int] | None) -> np.ndarray:
    """The nearest weights (F, g) within 0..1 whose mouthClose is no larger than their jawOpen."""
    if pair is not None:
        jaw, close = pair
        both = (size[jaw] * weights[:, jaw] + size[close] * weights[:, close]) / (size[jaw] + size[close])
        over = weights[:, close] > weights[:, jaw]
        weights = weights.copy()
        weights[over, jaw] = weights[over, close] = both[over]
    return np.clip(weights, 0, 1)


def basis_of(
    character: str,
    mesh: Mesh,
    *,
    settings: Mapping[str, float] | None = None,
    landmarks: Mapping[str, Any] | None = None,
    report: Report = SILENT,
) -> Basis:
    """The ARKit shapes of a character on the target mesh.

    Args:
        character: as for ``characters.load``. settings: its identity; that of ``fit.fitting`` for this mesh is best.
        mesh: the target, metres, +Y up, looking along +Z.
        landmarks: see ``fit.transfer.rig_mesh``.

    Raises:
        UsageError, InputError: see ``characters.load``; no head is found in the mesh.
    """
    source = characters.load(character, settings or {}, part="head" if character == "human" else "full")
    known, offsets, _ = shapes_onto(source, mesh.vertices, mesh.faces, landmarks=landmarks, report=report)
    chosen = [known.index(name) for name in arkit.NAMES if name in known]
    return Basis(tuple(known[row] for row in chosen), offsets[chosen], skin_weights(mesh))


def skin_weights(mesh: Mesh) -> np.ndarray:
    """How much each vertex tells of the expression (N,) float64: its area of facial skin, square metres.

    Nothing for eyeballs, teeth, tongue, lashes and hair, for the neck and the back of the head, and for skin that is
    hidden from every side (mouth, nostrils, backs of the lids).

    Args:
        mesh: metres, +Y up, looking along +Z; a part of a head is enough.

    Raises:
        InputError: see ``fit.mesh_parts.head_mesh``.
    """
    head = head_mesh(mesh)
    own = np.zeros(len(head.vertices), bool)
    own[head.skin] = True
    triangles = head.triangles[own[head.triangles].all(1)]
    areas = np.bincount(triangles.ravel(), triangle_areas(head.vertices, triangles).repeat(3) / 3, len(own))
    areas = np.minimum(areas, _SLIVER * float(np.median(areas[own])))
    near, skull = _in_model(head)
    found = (
        areas
        * own
        * _falling(near, _FADE)
        * (1 - _falling(skull, _HEAD))
        * _open_to_view(head.vertices, head.triangles)
    )
    return found if found.any() else areas


def face_share(mesh: Mesh) -> np.ndarray:
    """How much each vertex (N,) belongs to the face and its inside, 0..1, falling softly to neck and back of the head.

    Args:
        mesh: metres, +Y up, looking along +Z.

    Raises:
        InputError: see ``fit.mesh_parts.head_mesh``.
    """
    return _falling(_in_model(head_mesh(mesh))[0], _WIDE)


def _in_model(head: HeadMesh) -> tuple[np.ndarray, np.ndarray]:
    """For each vertex (V,) the metres to the face of the bundled human, laid on the mesh, and its share of the head."""
    template = model_of("human").template
    placing, _ = put(template, head.surface)
    points = placing.unapply(head.vertices)
    _, around = cKDTree(template.rest).query(points, 4)
    return cKDTree(template.rest[template.face]).query(points)[0], template.head[around].mean(1)


def _falling(values: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    """1 up to the lower end of a span, 0 from its upper end."""
    return np.clip((span[1] - values) / (span[1] - span[0]), 0, 1)


def _open_to_view(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Whether each vertex (V,) can be seen from in front, from a side, from above or from below."""
    points = np.concatenate([vertices, sample_points(vertices, triangles, _SAMPLES)])
    seen = np.zeros(len(vertices), bool)
    for pitch, yaw in _VIEWS:
        turned = points @ (_turn(1, yaw) @ _turn(0, pitch))
        cells = np.floor((turned[:, :2] - turned[:, :2].min(0)) / _CELL).astype(np.int64)
        depth = np.full(cells.max(0) + 1, -np.inf)
        np.maximum.at(depth, tuple(cells.T), turned[:, 2])
        front = maximum_filter(depth, 3)  # a slit that is narrower than two cells is shut
        seen |= turned[: len(vertices), 2] > front[tuple(cells[: len(vertices)].T)] - _HIDDEN
    return seen


def _turn(axis: int, angle: float) -> np.ndarray:
    return to_matrix(from_rotation_vector(angle * np.eye(3)[axis]))
