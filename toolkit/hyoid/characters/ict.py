# SPDX-License-Identifier: Apache-2.0
"""The ICT-FaceKit head (MIT): 100 identity modes, sculpted expressions, gums, teeth, lashes, on the shared rig.

The published folder is read as it is (:mod:`hyoid.characters.ict_data`); what it lacks is added: eight cervical joints,
a jaw, eyes that turn, a larynx, a tongue that comes out, and paint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from hyoid.characters import Setting, arkit, bundled, ict_data, larynx, neck_insert
from hyoid.characters.character import Character, Material, Part, Shapes, largest_weights
from hyoid.characters.ict_data import LANDMARKS_68, Model
from hyoid.characters.lent import eyes, head_paint
from hyoid.characters.lent.plain_materials import materials
from hyoid.characters.neck import JOINTS
from hyoid.geometry import harmonic

METRES = 0.01  # one centimetre, the unit of the data and of everything below that is not said to be metres
LICENCE = "MIT"
SKIN, FACE = slice(0, 14_062), slice(0, 9_409)
_PARTS = (
    ("skin", "skin", (0, 14_062), (0, 14_034)),
    ("gums", "gums", (14_062, 17_039), (14_034, 17_006)),
    ("teeth_upper", "teeth", (17_039, 19_247), (17_006, 19_250)),
    ("teeth_lower", "teeth", (19_247, 21_451), (19_250, 21_496)),
    ("lashes", "lashes", (25_351, 26_719), (25_304, 26_384)),
)
_GUMS, _LOWER_TEETH, _LASHES = slice(14_062, 17_039), slice(19_247, 21_451), slice(25_351, 26_719)
_SCLERA = (slice(21_451, 22_221), slice(23_021, 23_791))  # left, right

# Where the joints lie in the neutral, and the skin whose mean motion they follow when the identity changes.
_BASE, _TOP, _HINGE = np.array([0.0, -11.9, -2.4]), np.array([0.0, -1.0, -0.4]), np.array([0.0, -0.55, 1.82])
_BASE_SKIN, _TOP_SKIN = (10_812, 10_781, 9_010, 9_028), (9_500, 9_504)
EYE_CENTRE = np.array([3.102, 3.602, 7.865])
EYE_RADIUS = 1.525
# The outer surface of the data's own eyeball (median over the meridians): lids are modelled to it.
_EYE_SURFACE = (
    (0.0, 1.174), (3.0, 1.171), (9.0, 1.157), (15.0, 1.134), (21.0, 1.102), (27.0, 1.073), (33.0, 1.048),
    (39.0, 1.035), (51.0, 1.026), (63.0, 1.018), (75.0, 1.009), (90.0, 1.0),
)  # fmt: skip
EYE_TURN = 4.0

# Slopes that bound the neck: from under the chin to the nape, from below the jugular notch to the root of the nape.
# Measured: with a closer pair (chin corner, notch) the skin folds over itself at full flexion.
_HEAD_SLOPE = np.array([[0.0, -8.2, 7.5], [0.0, -0.5, -6.9]])
_TRUNK_SLOPE = np.array([[0.0, -17.0, 4.3], [0.0, -13.0, -8.3]])

_QUIET = 0.03  # offsets below this outside the face are noise of the sculpts
_LARYNX = 0.006  # metres: relief of the prominence, between a woman's and a man's
LANDMARKS: Mapping[str, int] = {
    "crown": 10_527, "forehead": 1_643, "nasion": 978, "nose_tip": 4_857, "lip_upper": 5_533, "lip_lower": 5_517,
    "lip_upper_outer": 0, "lip_lower_outer": 5_518, "chin": 962, "menton": 2_191, "throat": 1_598,
    "larynx": 9_010, "jugular": 9_051,
}  # fmt: skip


def settings(path: Path) -> dict[str, Setting]:
    """The identity modes of a folder, ``identity000`` first, in standard deviations.

    Raises:
        InputError: ``path`` is no ICT-FaceKit folder.
    """
    count = ict_data.identity_count(ict_data.find(path))
    return {f"identity{number:03d}": Setting(-5.0, 5.0, 0.0) for number in range(count)}


def load(path: Path, settings: Mapping[str, float]) -> Character:
    """The character of a folder at one identity; see :func:`hyoid.characters.load`.

    Raises:
        InputError: a file of the folder is missing, damaged or of another model.
    """
    model = ict_data.model(path)
    person = model.neutral.copy()
    for name, value in settings.items():
        person += value * model.identities[int(name.removeprefix("identity"))]
    kept = _kept()
    heads, tails = _joints(model.neutral, person)
    names, parents = joint_names()
    weight_joints, weights = _weights(model)
    faces, uv, face_uv, parts = _topology(model)
    shapes = _shapes(model)
    vertices = METRES * person[kept]
    throat = _throat(vertices)
    near = np.flatnonzero((np.linalg.norm(vertices - throat.centre, axis=1) < 0.06) & (kept < SKIN.stop))
    rest, shapes = larynx.bake(throat, vertices, near, shapes)
    character = Character(
        name="ict", licence=LICENCE, settings=dict(settings), vertices=rest.astype(np.float32), faces=faces, uv=uv,
        face_uv=face_uv, parts=parts, shapes=shapes, joint_names=names, parents=parents,
        heads=(METRES * heads).astype(np.float32), tails=(METRES * tails).astype(np.float32),
        weight_joints=weight_joints, weights=weights, drivers=(), neck=bundled.neck_limits(),
        materials=_materials(model, faces, uv, face_uv), landmarks=LANDMARKS, digest=model.digest,
    )  # fmt: skip
    return eyes.add(character, _eyes(model.neutral, person))


def landmarks68() -> np.ndarray:
    """(68,) int32: the vertices of the Multi-PIE points, in this character's numbering."""
    return np.array(LANDMARKS_68, np.int32)


def joint_names() -> tuple[tuple[str, ...], np.ndarray]:
    """Names, parents first, and parent indices of the joints (:mod:`hyoid.characters.lent.eyes` adds the eyes)."""
    names = ("spine01", *JOINTS, "jaw")
    return names, np.array([*range(-1, len(JOINTS)), names.index("oc1")], np.int32)


@lru_cache(maxsize=1)
def _kept() -> np.ndarray:
    """The vertices of the data that the character keeps: all but its eyes and the films over them."""
    return np.concatenate([np.arange(*vertices) for _, _, vertices, _ in _PARTS])


def _topology(model: Model) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[Part, ...]]:
    """Faces, UVs, faces of UVs and parts without the eyes of the data."""
    renumber = np.full(ict_data.VERTICES, -1, np.int32)
    renumber[_kept()] = np.arange(len(_kept()))
    chosen = np.concatenate([np.arange(*rows) for _, _, _, rows in _PARTS])
    faces = renumber[model.faces[chosen]]
    used, face_uv = np.unique(model.face_uv[chosen], return_inverse=True)
    uv = model.uv[used].copy()
    skin = np.zeros(len(uv), bool)
    skin[face_uv.reshape(-1, 4)[: _PARTS[0][3][1]]] = True
    uv[skin, 0] *= 0.5  # the face and the back of the head lie side by side: one picture, twice as wide as high
    uv[~skin, 0] -= np.floor(uv[~skin, 0])
    parts, vertex, face = [], 0, 0
    for name, material, vertices, rows in _PARTS:
        next_vertex, next_face = vertex + vertices[1] - vertices[0], face + rows[1] - rows[0]
        parts.append(Part(name, material, slice(vertex, next_vertex), slice(face, next_face)))
        vertex, face = next_vertex, next_face
    return faces.astype(np.int32), uv.astype(np.float32), face_uv.reshape(-1, 4).astype(np.int32), tuple(parts)


def _materials(model: Model, faces: np.ndarray, uv: np.ndarray, face_uv: np.ndarray) -> dict[str, Material]:
    """Plain materials, painted where a cache can be written."""
    found = materials("skin", "gums", "teeth", "lashes")
    paint = {
        "skin": head_paint.skin_map(model.neutral[_kept()], faces, uv, face_uv),
        "lashes": head_paint.lash_map(),
    }
    white = (1.0, 1.0, 1.0, 1.0)
    for name, picture in paint.items():
        if picture is not None:
            found[name] = replace(found[name], colour=white, colour_map=picture, plain=found[name].colour)
    return found


def _joints(neutral: np.ndarray, person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails (10, 3) of the joints of one identity."""
    moved = person - neutral
    ears = [int(np.argmin(np.linalg.norm(neutral[FACE] - [side * 7.0, -0.5, 1.9], axis=1))) for side in (1, -1)]
    follow = {key: moved[list(rows)].mean(0) * [0, 1, 1] for key, rows in (("base", _BASE_SKIN), ("hinge", ears))}
    follow["top"] = 0.5 * (moved[list(_TOP_SKIN)].mean(0) + moved[ears].mean(0)) * [0, 1, 1]
    neck = neck_insert.curve(_BASE + follow["base"], _TOP + follow["top"])
    hinge = _HINGE + follow["hinge"]
    root = neck[0] - [0, 5, 0]
    crown = np.array([0, person[LANDMARKS["crown"], 1], neck[-1, 2]])
    heads = np.concatenate([root[None], neck, hinge[None]])
    tails = np.concatenate([neck, crown[None], person[LANDMARKS["chin"]][None]])
    return heads, tails


def jaw_share(neutral: np.ndarray, opening: np.ndarray) -> np.ndarray:
    """How much of each vertex (V,) goes with the jaw bone: what the sculpted opening shows, 0..1.

    Args:
        neutral, opening: (V, 3) the face at rest and the offsets of ``jawOpen``, centimetres.
    """
    arm = neutral - _HINGE
    teeth = arm[_LOWER_TEETH] + opening[_LOWER_TEETH]
    turn = np.mean(
        np.unwrap(np.arctan2(arm[_LOWER_TEETH, 1], arm[_LOWER_TEETH, 2]) - np.arctan2(teeth[:, 1], teeth[:, 2]))
    )
    sine, cosine = np.sin(turn), np.cos(turn)
    whole = np.stack(
        [np.zeros(len(arm)), cosine * arm[:, 1] - sine * arm[:, 2] - arm[:, 1],
         sine * arm[:, 1] + cosine * arm[:, 2] - arm[:, 2]], axis=-1,
    )  # fmt: skip
    share = (opening * whole).sum(1) / ((whole**2).sum(1) + 0.3**2)
    share = np.clip(share, 0, 1)
    share[_LOWER_TEETH] = 1
    return share


def _weights(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Joints (V, 8) and weights of the kept vertices, found on the neutral."""
    neutral = model.neutral
    names, _ = joint_names()
    head, trunk = neck_insert.masks_between(neutral[SKIN], _HEAD_SLOPE, _TRUNK_SLOPE)
    faces = model.faces[: _PARTS[0][3][1]]
    weights = np.zeros((ict_data.VERTICES, len(names)))
    weights[:, names.index("oc1")] = 1
    weights[SKIN, : len(JOINTS) + 1] = neck_insert.insert(neutral[SKIN], faces, _BASE, _TOP, head, trunk)[2]
    share = jaw_share(neutral, model.expressions[ict_data.EXPRESSIONS.index("jawOpen")].astype(np.float64))
    share[_LASHES] = 0
    weights[:, names.index("jaw")] = share * weights[:, names.index("oc1")]
    weights[:, names.index("oc1")] *= 1 - share
    return largest_weights(weights[_kept()], least=neck_insert.LEAST)


def _shapes(model: Model) -> Shapes:
    """The 52 ARKit shapes of the kept vertices, metres, without the noise of the sculpts."""
    starts, vertices, offsets = [0], [], []
    for name in arkit.NAMES:
        moved = METRES * quieted(_official(model, name))[_kept()]
        rows = np.flatnonzero(np.linalg.norm(moved, axis=1) > 1e-6)
        vertices.append(rows.astype(np.int32))
        offsets.append(moved[rows].astype(np.float32))
        starts.append(starts[-1] + len(rows))
    return Shapes(arkit.NAMES, np.array(starts, np.int64), np.concatenate(vertices), np.concatenate(offsets))


def _official(model: Model, name: str) -> np.ndarray:
    """Offsets (26719, 3), centimetres, of one ARKit shape."""
    if name == "tongueOut":
        return tongue_out(model)
    side = {"Left": "_L", "Right": "_R"}
    stem, ending = next(((name.removesuffix(end), tag) for end, tag in side.items() if name.endswith(end)), (name, ""))
    known = ict_data.EXPRESSIONS
    if ending and f"{stem}{ending}" in known:
        return model.expressions[known.index(f"{stem}{ending}")].astype(np.float64)
    if name in known:
        return model.expressions[known.index(name)].astype(np.float64)
    return sum((model.expressions[known.index(f"{name}_{tag}")].astype(np.float64) for tag in "LR"), np.zeros(3))


def quieted(offsets: np.ndarray) -> np.ndarray:
    """Offsets (26719, 3) without what is below 0.3 mm outside the face; it fades in up to 0.6 mm, without a step."""
    size = np.linalg.norm(offsets, axis=1)
    share = np.clip((size - _QUIET) / _QUIET, 0, 1)
    share[FACE] = 1
    return offsets * share[:, None]


def tongue_out(model: Model) -> np.ndarray:
    """Offsets (26719, 3), centimetres, that bring the tongue over the lower teeth; the data has no such shape.

    The blade slides forward by its distance from the root; gums and floor of the mouth hold the rest back softly.
    """
    from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

    gums = model.neutral[_GUMS]
    opening = model.expressions[ict_data.EXPRESSIONS.index("jawOpen")]
    lower = np.linalg.norm(opening[_GUMS], axis=1) > 0.05
    tooth = cKDTree(model.neutral[_LOWER_TEETH]).query(gums)[0]
    x, y, z = np.abs(gums[:, 0]), gums[:, 1], gums[:, 2]
    blade = lower & (y > -3.55) & (x < 1.5) & (z < 8.75)
    held = ~blade & (~lower | (tooth < 0.45) | (y < -3.72))
    faces = model.faces[slice(*_PARTS[1][3])] - _GUMS.start
    free = harmonic.level_field(faces, gums, blade, held)
    along = np.clip((z - 4.0) / (8.7 - 4.0), 0, 1)
    along = along**1.5 * (1 - 0.22 * np.minimum(x / 1.5, 1.2) ** 2)  # a round tip
    reach = np.stack([0.15 * gums[:, 0] * along, 0.9 * along - 1.1 * along**3, 3.9 * along], axis=-1)
    result = np.zeros_like(model.neutral)
    result[_GUMS] = free[:, None] * reach
    return result


def _eyes(neutral: np.ndarray, person: np.ndarray) -> eyes.Placement:
    """Our eyes where the data's are, as large as the identity makes them."""
    centres, sizes = [], []
    for rows, side in zip(_SCLERA, (1, -1), strict=True):
        size = np.linalg.norm(person[rows] - person[rows].mean(0), axis=1).mean()
        size /= np.linalg.norm(neutral[rows] - neutral[rows].mean(0), axis=1).mean()
        centres.append(person[rows].mean(0) + size * (EYE_CENTRE * [side, 1, 1] - neutral[rows].mean(0)))
        sizes.append(size)
    return eyes.Placement(METRES * np.stack(centres), METRES * EYE_RADIUS * float(np.mean(sizes)), surface, EYE_TURN)


def surface(theta: float) -> float:
    """The radius of the data's eyeball at an angle (radians) from its axis; 1 = its back half."""
    degrees, radii = np.array(_EYE_SURFACE).T
    return float(np.interp(np.degrees(theta), degrees, radii))


def _throat(vertices: np.ndarray) -> larynx.Larynx:
    """The larynx on the front of the neck, metres."""
    marks = {name: LANDMARKS[name] for name in ("throat", "larynx", "jugular")}
    return larynx.from_identity(
        {"amplitude_male": 1e3 * _LARYNX, "amplitude_female": 1e3 * _LARYNX},
        {"gender": 0.5, "age": 1.0, "weight": 0.5}, vertices, marks,
    )  # fmt: skip
