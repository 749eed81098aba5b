# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""A person's own shapes: stabilised expressions with names become the shapes of a rig.

Names are told generously (``jaw_open_001``, ``Jaw Open``, ``head_browDown_L.obj``); what means no ARKit shape keeps
its name and becomes a shape more. An expression of both sides at once (``smile``, ``mouthSmile``) is not split into
two: it stays one shape under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePath

import numpy as np
from scipy.spatial import cKDTree

from hyoid.characters import arkit, bundled, curve_names
from hyoid.characters.character import Character, Part, Shapes, packed_shapes
from hyoid.characters.fit.mesh_parts import head_mesh
from hyoid.characters.fit.models import model_of
from hyoid.characters.fit.template import put
from hyoid.characters.lent.plain_materials import PLAIN
from hyoid.characters.neck import JOINTS
from hyoid.errors import InputError, UsageError
from hyoid.geometry.mesh import Mesh
from hyoid.geometry.registration import IDENTITY, Similarity

FLOOR = 0.05
"""Millimetres: offsets below this are noise; they fade in up to twice as much."""
LICENCE = "LicenseRef-own"
_NEUTRAL = ("neutral", "neutralpose", "neutralface", "rest", "restpose", "relaxed", "base", "basis")
_SUFFIX = re.compile(r"\.(obj|ply|stl|glb|fbx|abc|npz|npy|usd[acz]?)$", re.IGNORECASE)
_NUMBER = re.compile(r"([._\-\s]+v)?[._\-\s]*\d+$", re.IGNORECASE)
_BREAK = re.compile(r"[._:|\-\s]+")
_SIDE = {"l": "Left", "left": "Left", "r": "Right", "right": "Right"}
_SMALLEST = 1e-6  # metres: offsets below are left out of a shape
_WHOLE = 0.5  # of jawOpen: a mouthClose that holds this much of it was captured with the jaw open
_EYES, _SKIN = ("eye_", "cornea_"), ("body", "skin")  # what the parts of a rigged mesh are named
_NEAR = 0.015  # metres: farther than this a landmark of the model is not on the mesh


def meaning(name: str) -> str:
    """The ARKit name that the name of an expression or its file means (or one of HACK's), else the plain name.

    What stands before (``alice_``, ``head.``) and a number behind are passed over, sides may stand anywhere. A name
    that says two shapes (``jawOpen_mouthClose``) means neither.
    """
    plain = _plain(name)
    words = _words(plain)
    for first in range(len(words)):
        found = _meant(words[first:])
        if found:
            return found if not any(_meant(words[i:first]) for i in range(first)) else plain
    return plain


def _plain(name: str) -> str:
    """The name of a file without folders and suffix; other names as they are."""
    return _SUFFIX.sub("", PurePath(name.replace("\\", "/")).name)


def _words(plain: str) -> list[str]:
    """What a name consists of, without a number behind."""
    return [word for word in _BREAK.split(_NUMBER.sub("", plain)) if word]


def _meant(words: list[str]) -> str:
    """The name that all of the words say together, or an empty text."""
    found = curve_names.meaning("".join(words))
    if found:
        return found
    for place, word in enumerate(words):
        side = _SIDE.get(word.lower())
        if side is not None and len(words) > 1:
            return curve_names.meaning("".join((*words[:place], *words[place + 1 :], side)))
    return ""


def neutral_of(names: Sequence[str]) -> int:
    """Which expression is the neutral one, told by its name (``neutral``, ``rest``, ``alice_neutral_01.obj``).

    Raises:
        InputError: none is, or two are.
    """
    found: list[int] = []
    for row, name in enumerate(names):
        words = _words(_plain(name).lower())
        if any("".join(words[first:]) in _NEUTRAL for first in range(len(words))):
            found.append(row)
    if len(found) != 1:
        text = " and ".join(f"'{names[row]}'" for row in found)
        raise InputError(
            f"{text} are all the neutral by their names" if found else "no expression is named 'neutral'",
            expected="one neutral expression", hint="Say which one it is",
        )  # fmt: skip
    return found[0]


def own_shapes(
    names: Sequence[str],
    frames: Iterable[np.ndarray],
    neutral: str | int,
    *,
    metres: float = 1.0,
    face: np.ndarray | None = None,
    floor: float = FLOOR,
) -> tuple[tuple[str, ...], np.ndarray]:
    """The shapes of an expression set: ARKit's first in their order, then the others as they came.

    Where the inner brows or the cheeks come once a side, their sum is ARKit's shape of both; the halves stay beside it.
    A ``mouthClose`` that was captured with the jaw open is one without it afterwards, as ARKit adds the two up.

    Args:
        names: (F,) of the expressions, or their files. frames: (N, 3) each, stabilised, in the unit of the file.
        neutral: its name as in ``names``, or its number.
        metres: in a unit of the file.
        face: (N,) 0..1, where shapes may be (see ``shape_solver.face_share``), so that necks and collars do not leak
            into them; None takes them as they are.
        floor: millimetres, see :data:`FLOOR`.

    Returns:
        names: (K,). deltas: (K, N, 3) float32, in the unit of the file.

    Raises:
        UsageError: ``neutral`` names none of them, or a number makes no sense.
        InputError: two expressions mean the same, meshes of different sizes, numbers that are not finite, no
            expression beside the neutral.
    """
    rest = _neutral(names, neutral)
    if not (np.isfinite(floor) and floor >= 0 and np.isfinite(metres) and metres > 0):
        raise UsageError(f"a noise floor of {floor} mm and {metres} metres a unit", expected="numbers from 0 up")
    meshes = list(frames)
    if len(meshes) != len(names):
        raise InputError(f"{len(meshes)} meshes with {len(names)} names", expected="one name a mesh")
    _check(names, meshes, rest, face)
    taken: dict[str, str] = {}
    deltas: dict[str, np.ndarray] = {}
    for row, (name, mesh) in enumerate(zip(names, meshes, strict=True)):
        if row == rest:
            continue
        means = meaning(name)
        if means in taken:
            raise InputError(
                f"'{taken[means]}' and '{name}' are both '{means}'", path=name, expected="one expression a shape",
                hint="Rename one, or leave it out",
            )  # fmt: skip
        taken[means] = name
        deltas[means] = np.asarray(mesh, np.float64) - meshes[rest]
    _complete(deltas)
    order = [name for name in arkit.NAMES if name in deltas]
    order += [name for name in deltas if name not in order]
    low = 1e-3 * floor / metres
    made = np.stack([_quiet(deltas[name], low, face) for name in order])
    return tuple(order), made.astype(np.float32)


def _neutral(names: Sequence[str], neutral: str | int) -> int:
    if isinstance(neutral, str) and list(names).count(neutral) == 1:
        return list(names).index(neutral)
    if not isinstance(neutral, str) and 0 <= neutral < len(names):
        return int(neutral)
    raise UsageError(f"the neutral is '{neutral}'", expected=f"one of {', '.join(names[:8])}, or its number")


def _check(names: Sequence[str], meshes: list[np.ndarray], rest: int, face: np.ndarray | None) -> None:
    wanted = (len(meshes[rest]), 3)
    for name, mesh in zip(names, meshes, strict=True):
        if np.shape(mesh) != wanted:
            raise InputError(f"vertices {np.shape(mesh)}", path=name, expected=f"{wanted}, as '{names[rest]}' has")
        if not np.isfinite(mesh).all():
            first = int(np.argmin(np.isfinite(mesh).all(1)))
            raise InputError(f"vertex {first} is not a finite number", path=name)
    if face is not None and (np.shape(face) != wanted[:1] or not np.isfinite(face).all()):
        raise InputError(f"a share of the face for {np.shape(face)} vertices", expected=f"{wanted[:1]} finite numbers")
    if len(meshes) < 2:
        raise InputError("there is no expression beside the neutral", expected="at least one")


def _complete(deltas: dict[str, np.ndarray]) -> None:
    """Add ARKit's shapes of both sides where the halves are there, and take the jaw out of a captured mouthClose."""
    for name in curve_names.SPLIT:
        halves = [deltas[f"{name}_{side}"] for side in "LR" if f"{name}_{side}" in deltas]
        if len(halves) == 2 and name not in deltas:
            deltas[name] = halves[0] + halves[1]
    if "mouthClose" in deltas and "jawOpen" in deltas:
        jaw, close = deltas["jawOpen"], deltas["mouthClose"]
        if (jaw * close).sum() > _WHOLE * (jaw**2).sum():
            deltas["mouthClose"] = close - jaw


def _quiet(delta: np.ndarray, low: float, face: np.ndarray | None) -> np.ndarray:
    """Offsets without noise, faded beyond the face; no step anywhere."""
    faded = delta if face is None else delta * np.clip(face, 0, 1)[:, None]
    if low == 0:
        return faded
    size = np.linalg.norm(faded, axis=1)
    return faded * np.clip(size / low - 1, 0, 1)[:, None]


def onto(
    character: Character,
    names: Sequence[str],
    deltas: np.ndarray,
    placement: Similarity = IDENTITY,
    *,
    face: np.ndarray | None = None,
) -> Character:
    """A rig of the neutral (``fit.transfer.rig_head``) with the person's own shapes.

    Shapes of the same names are replaced, others stay the model's; names that it does not have follow behind those
    that have curves. Pieces that stay still in all of the person's shapes (teeth, tongue, lashes that were not
    captured) keep what the model does with them, and so do eyeballs always, because their joints turn them.

    Args:
        character: its first vertices are those of the neutral, in their order.
        names: (K,). deltas: (K, N, 3), see :func:`own_shapes`.
        placement: from the file to metres, as the fit found it (``fitted.placement.move``); identity where the deltas
            are metres already.
        face: (N,) 0..1, what the deltas were faded with: the model's shapes fill up what was taken, so that the throat
            follows the jaw. None replaces shapes everywhere.

    Raises:
        InputError: sizes that do not fit, two shapes of one name, or one that has the name of a corrective.
    """
    names = tuple(names)
    count = deltas.shape[1] if deltas.ndim == 3 else -1
    if deltas.shape != (len(names), count, 3) or not 0 < count <= len(character.vertices):
        raise InputError(
            f"{len(names)} shapes {deltas.shape} for '{character.name}'",
            expected=f"({len(names)}, {len(character.vertices)}, 3)",
        )
    _check_names(names, {entry.shape for entry in character.correctives})
    share = np.ones(count) if face is None else np.clip(np.asarray(face, np.float64), 0, 1)
    if share.shape != (count,):
        raise InputError(f"a share of the face for {share.shape} vertices", expected=f"({count},)")
    moved = placement.scale * np.asarray(deltas, np.float64) @ placement.rotation.T
    kept = _rows_kept(character, moved)
    own = dict(zip(names, moved, strict=True))
    replaced, extra = {}, {}
    for name, offsets in own.items():
        before = character.offsets(name)
        after = before.copy()
        after[:count] = offsets + (1 - share[:, None]) * before[:count]
        after[kept] = before[kept]
        (replaced if name in character.shapes.names else extra)[name] = after
    return replace(character, shapes=_shapes(character, replaced, extra))


def _check_names(names: tuple[str, ...], refused: set[str]) -> None:
    for number, name in enumerate(names):
        if not name or name in names[:number] or name in refused:
            found = f"two shapes are named '{name}'" if name in names[:number] else f"a shape is named '{name}'"
            raise InputError(found, expected="names that nothing else of the rig has")


def _rows_kept(character: Character, moved: np.ndarray) -> np.ndarray:
    """(V,) bool: eyes, and pieces beside the skin that none of the person's shapes moves."""
    kept = np.zeros(len(character.vertices), bool)
    largest = np.zeros(len(character.vertices))
    largest[: moved.shape[1]] = np.linalg.norm(moved, axis=-1).max(0, initial=0)
    for part in character.parts:
        still = largest[part.vertices].max(initial=0) < 1e-3 * FLOOR
        kept[part.vertices] = part.name.startswith(_EYES) or (still and not part.name.startswith(_SKIN))
    return kept


def _shapes(character: Character, replaced: dict[str, np.ndarray], extra: dict[str, np.ndarray]) -> Shapes:
    """The shapes of a character with some replaced, and more before those of the correctives."""
    shapes = character.shapes
    gone = {entry.shape for entry in character.correctives}
    place = next((row for row, name in enumerate(shapes.names) if name in gone), len(shapes.names))
    names = (*shapes.names[:place], *extra, *shapes.names[place:])
    rows, offsets, starts = [], [], [0]
    for name in names:
        full = replaced.get(name, extra.get(name))
        if full is None:
            index = shapes.names.index(name)
            span = slice(int(shapes.starts[index]), int(shapes.starts[index + 1]))
            rows.append(shapes.vertices[span])
            offsets.append(shapes.offsets[span])
        else:
            one = packed_shapes((name,), [full], _SMALLEST)
            rows.append(one.vertices)
            offsets.append(one.offsets)
        starts.append(starts[-1] + len(rows[-1]))
    return Shapes(names, np.array(starts, np.int64), np.concatenate(rows), np.concatenate(offsets))


def plain_character(name: str, mesh: Mesh, names: Sequence[str], deltas: np.ndarray) -> Character:
    """The mesh alone with its shapes, for faces that are too small a part of a head to be rigged.

    It hangs as one rigid piece on the skull of the bundled human's neck, so that head motion turns it where a head
    turns. Eyes, jaw and skin have no joints; ARKit shapes that are not given are empty.

    Args:
        mesh: the neutral, metres, +Y up, looking along +Z, standing where the bundled head stands (``fit.placing``).
        names: (K,). deltas: (K, N, 3) metres, see :func:`own_shapes`.

    Raises:
        InputError: sizes that do not fit, two shapes of one name, a mesh that cannot be used.
    """
    names = tuple(names)
    count = len(mesh.vertices)
    if np.shape(deltas) != (len(names), count, 3):
        raise InputError(f"{len(names)} shapes {np.shape(deltas)}", expected=f"({len(names)}, {count}, 3)")
    _check_names(names, set())
    head = head_mesh(mesh)
    human = model_of("human").neutral
    joints, parents = _neck(human)
    fixed = (*arkit.NAMES, *arkit.LARYNX_SHAPES)
    order = (*fixed, *(one for one in names if one not in fixed))
    own = dict(zip(names, np.asarray(deltas, np.float64), strict=True))
    nothing = np.zeros((count, 3))
    weight_joints, weights = np.zeros((count, 8), np.int32), np.zeros((count, 8), np.float32)
    weight_joints[:, 0], weights[:, 0] = len(joints) - 1, 1
    uv, face_uv = _uv(mesh)
    rows = [human.joint(joint) for joint in joints]
    return Character(
        name=name, licence=LICENCE, settings={}, vertices=head.vertices.astype(np.float32),
        faces=np.asarray(mesh.faces, np.int32), uv=uv, face_uv=face_uv,
        parts=(Part("body", "skin", slice(0, count), slice(0, len(mesh.faces))),),
        shapes=packed_shapes(order, [own.get(one, nothing) for one in order], _SMALLEST), joint_names=joints,
        parents=parents, heads=human.heads[rows], tails=human.tails[rows], weight_joints=weight_joints, weights=weights,
        drivers=(), neck=bundled.neck_limits(), materials={"skin": PLAIN["skin"]}, landmarks=_landmarks(head),
    )  # fmt: skip


def _neck(human: Character) -> tuple[tuple[str, ...], np.ndarray]:
    """The root and the eight joints of the neck, the skull last, and their parents."""
    names = (human.joint_names[0], *JOINTS)
    return names, np.arange(-1, len(JOINTS), dtype=np.int32)


def _landmarks(head) -> dict[str, int]:
    """The landmarks of the bundled human that lie on the mesh, as its vertices."""
    template = model_of("human").template
    placing, _ = put(template, head.surface)
    names, rows = zip(*sorted(template.source.landmarks.items()), strict=True)
    points = placing.apply(template.source.vertices[list(rows)].astype(np.float64))
    away, nearest = cKDTree(head.surface.vertices).query(points)
    return {
        name: int(head.core[row]) for name, far, row in zip(names, away, nearest, strict=True)
        if far < _NEAR * placing.scale
    }  # fmt: skip


def _uv(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """The UVs of the mesh, or the view from the front where it has none."""
    if len(mesh.uv) and len(mesh.face_uv) == len(mesh.faces):
        return np.asarray(mesh.uv, np.float32), np.asarray(mesh.face_uv, np.int32)
    flat = np.asarray(mesh.vertices, np.float64)[:, :2]
    flat = (flat - flat.min(0)) / max(float(np.ptp(flat, axis=0).max()), 1e-9)
    return flat.astype(np.float32), np.asarray(mesh.faces, np.int32)
