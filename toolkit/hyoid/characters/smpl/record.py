# SPDX-License-Identifier: Apache-2.0
"""A model of the SMPL family as a character: the eight-joint neck in place of its own, or its own and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hyoid.characters import arkit, bundled, larynx, neck, neck_insert
from hyoid.characters.character import (
    Character,
    Corrective,
    Driver,
    Material,
    Part,
    Shapes,
    largest_weights,
    packed_shapes,
)
from hyoid.characters.lent import eyes, plain_materials
from hyoid.characters.smpl.expression import Carried, arkit_map, carried, eyeballs, quads
from hyoid.characters.smpl.family import Model, betas_of, own_expression

_SMALLEST = 1e-7  # metres: offsets below are left out of a shape
_COARSE = 1e-5  # metres, of shapes that were carried over
_WET = 0.12  # roughness of eyeballs that have no cornea over them
_WHOLE = 0.97
# Where the head begins (chin corner, under the occiput) and the trunk (jugular notch, nape): from O-C1, in lengths
# of the neck; measured on the bundled human, tried at 65 degrees of turn.
_HEAD_FROM = np.array([[0.0, -0.72, 0.56], [0.0, 0.05, -0.60]])
_TRUNK_FROM = np.array([[0.0, -1.48, 0.36], [0.0, -1.26, -0.71]])
_BALL = 0.012  # metres, of an eyeball, where bones end
_SHORTEST = 0.02  # metres, of a throat with room for a larynx
_ADULT = {"age": 0.7, "weight": 0.5}


def build(model: Model, settings: Mapping[str, float], licence: str) -> Character:
    """The character of a model at one identity.

    Args:
        settings: ``identity000`` ... in standard deviations; ``nativeNeck``: 1 keeps the joints, weights and pose
            correctives of the file, so that the character moves exactly as the model does; ``nativeExpression``: 1
            tells ARKit's shapes in the file's own expression, 0 keeps them as the bundled human gave them.

    Raises:
        InputError: the model's head cannot be recognised.
    """
    native = settings.get("nativeNeck", 0.0) >= 0.5
    rest = model.template + (model.identity.astype(np.float64) @ betas_of(model, dict(settings))[0])
    heads = model.regressor @ rest
    human = carried(model)
    names, parents, heads, weights = (
        (model.joint_names, model.parents, heads, model.weights.toarray())
        if native
        else _with_neck(model, rest, heads, human)
    )
    own = settings.get("nativeExpression", own_expression(model)) >= 0.5
    shapes, drivers = _expressions(model, human, own)
    throat = _throat(model, rest, human.landmarks)
    if throat is not None:
        moved, shapes = larynx.bake(
            throat, rest, np.flatnonzero(larynx.near(rest, throat.centre) & ~eyeballs(model)), shapes
        )
        rest = rest if native else moved
    else:
        shapes = _followed(shapes, packed_shapes(arkit.LARYNX_SHAPES, np.zeros((3, len(rest), 3)), _SMALLEST))
    shapes = _with_coefficients(model, shapes)
    shapes, correctives = _correctives(model, shapes, names)
    order, parts, materials = _parts(model)
    uv, face_uv = _texture(model, rest, order)
    joints, values = largest_weights(weights)
    return Character(
        name=SOURCE_NAMES[model.kind], licence=licence, settings=dict(settings), vertices=rest.astype(np.float32),
        faces=quads(model.faces[order]), uv=uv, face_uv=face_uv, parts=parts, shapes=shapes, joint_names=tuple(names),
        parents=np.asarray(parents, np.int32), heads=heads.astype(np.float32),
        tails=_tails(names, parents, heads, rest, human.landmarks), weight_joints=joints, weights=values,
        drivers=drivers, neck=bundled.neck_limits(), materials=materials, landmarks=human.landmarks,
        correctives=correctives, digest=model.digest,
    )  # fmt: skip


SOURCE_NAMES = {"FLAME": "flame", "SMPL-X": "smplx", "SMPL-H": "smplh", "SMPL": "smpl"}


def _under(model: Model, top: str) -> np.ndarray:
    """Whether each joint (J,) is ``top`` or hangs on it."""
    result = np.zeros(len(model.parents), bool)
    first = model.joint_names.index(top)
    for joint in range(first, len(result)):
        result[joint] = joint == first or (model.parents[joint] >= 0 and result[model.parents[joint]])
    return result


def _with_neck(
    model: Model, rest: np.ndarray, heads: np.ndarray, human: Carried
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    """Names, parents, heads (J', 3) and weights (V, J') with eight cervical joints for ``neck`` (and ``head``)."""
    own = list(model.joint_names)
    weights = model.weights.toarray()
    skull = _under(model, "head" if "head" in own else "neck")
    trunk = ~_under(model, "neck")
    if model.kind == "FLAME":
        base, top = human.neck @ rest
        masks = _flame_masks(model, rest, base, top)
    else:
        base, top = heads[own.index("neck")], heads[own.index("head")]
        masks = weights[:, skull].sum(1) > _WHOLE, weights[:, trunk].sum(1) > _WHOLE
    joints, _, levels = neck_insert.insert(rest, quads(model.faces), base, top, *masks)
    names, rows = [], []
    for index, name in enumerate(own):
        if name == "neck":
            names += neck.JOINTS
            rows += list(joints)
        elif name != "head":
            names.append(name)
            rows.append(heads[index])
    parents = np.full(len(names), -1)
    for index, name in enumerate(names):
        if name in neck.JOINTS:
            place = neck.JOINTS.index(name)
            above = own[model.parents[own.index("neck")]] if place == 0 else neck.JOINTS[place - 1]
        elif name == own[0]:
            continue
        else:
            above = own[model.parents[own.index(name)]]
            above = "oc1" if above in ("neck", "head") else above
        parents[index] = names.index(above)
    return tuple(names), parents, np.stack(rows), _spread(model, weights, levels, names, skull, trunk)


def _spread(
    model: Model, weights: np.ndarray, levels: np.ndarray, names: list[str], skull: np.ndarray, trunk: np.ndarray
) -> np.ndarray:
    """Weights (V, J') from the nine of the neck: the trunk's share goes to the file's joints below, the top one to the
    joints above, both in the proportions of the file."""
    own = list(model.joint_names)
    column = {name: i for i, name in enumerate(names)}
    result = np.zeros((len(weights), len(names)))
    below = own[model.parents[own.index("neck")]]
    left = weights[:, trunk].sum(1, keepdims=True)
    for index in np.flatnonzero(trunk):
        share = np.divide(weights[:, index : index + 1], left, out=np.zeros_like(left), where=left > 1e-6)
        if own[index] == below:
            share = np.where(left > 1e-6, share, 1.0)
        result[:, column[own[index]]] += (share * levels[:, :1])[:, 0]
    for place, name in enumerate(neck.JOINTS):
        result[:, column[name]] += levels[:, place + 1]
    up = weights[:, skull].sum(1)
    for index in np.flatnonzero(skull):
        if own[index] in ("neck", "head"):
            continue
        share = np.divide(weights[:, index], up, out=np.zeros_like(up), where=up > 1e-6) * levels[:, -1]
        result[:, column[own[index]]] += share
        result[:, column["oc1"]] -= share
    return np.maximum(result, 0)


def _flame_masks(model: Model, rest: np.ndarray, base: np.ndarray, top: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Head and trunk of a bust whose own weights know one joint.

    The rim at the bottom, where the mesh was cut off, belongs to the trunk.
    """
    size = np.linalg.norm(top - base)
    head, below = neck_insert.masks_between(rest, top + size * _HEAD_FROM, top + size * _TRUNK_FROM)
    edges = np.sort(np.concatenate([model.faces[:, [i, (i + 1) % 3]] for i in range(3)]), 1)
    ends, uses = np.unique(edges, axis=0, return_counts=True)
    rim = np.zeros(len(rest), bool)
    rim[ends[uses == 1]] = True
    return head, below | (rim & (rest[:, 1] < top[1] - 0.5 * size))


def _expressions(model: Model, human: Carried, own: bool) -> tuple[Shapes, tuple[Driver, ...]]:
    """The 52 shapes, ``own``: in the span of the model's expression where it has one, or as they were carried; drivers.

    The jaw turns with ``jawOpen``, ``jawLeft`` and ``jawRight`` where the shapes are the model's own.
    """
    fitted = arkit_map(model) if own else None
    turning = eyes.drivers() if "eye.L" in model.joint_names else ()
    if fitted is None:
        return packed_shapes(arkit.NAMES, human.shapes, _COARSE), turning
    offsets = np.einsum("vck,sk->svc", model.expression, fitted.coefficients)
    jaw = []
    for name, vector in zip(arkit.NAMES, fitted.jaw, strict=True):
        angle = float(np.linalg.norm(vector))
        if angle > 1e-6:
            axis = vector / angle
            jaw.append(Driver("jaw", name, (float(axis[0]), float(axis[1]), float(axis[2])), float(np.degrees(angle))))
    return packed_shapes(arkit.NAMES, offsets, _SMALLEST), (*turning, *jaw)


def _followed(shapes: Shapes, *others: Shapes) -> Shapes:
    """The shapes with others behind them."""
    every = (shapes, *others)
    counts = np.concatenate([np.diff(entry.starts) for entry in every])
    return Shapes(
        tuple(name for entry in every for name in entry.names),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([entry.vertices for entry in every]),
        np.concatenate([entry.offsets for entry in every]),
    )


def _with_coefficients(model: Model, shapes: Shapes) -> Shapes:
    """The file's own expression behind the others, a shape a coefficient: ``expression000`` ... in deviations."""
    count = model.expression.shape[2]
    names = tuple(f"expression{i:03d}" for i in range(count))
    return _followed(shapes, packed_shapes(names, np.moveaxis(model.expression, 2, 0), _SMALLEST)) if count else shapes


def _correctives(model: Model, shapes: Shapes, names: tuple[str, ...]) -> tuple[Shapes, tuple[Corrective, ...]]:
    """The file's pose shapes behind the others: one for each number of R - I of each joint that the character has."""
    made, fields = [], []
    for joint, name in enumerate(model.joint_names):
        if joint == 0 or name not in names:
            continue
        for number in range(9):
            field = model.pose[:, :, 9 * (joint - 1) + number]
            if np.abs(field).max() > _SMALLEST:
                features = np.zeros(9)
                features[number] = 1
                made.append(Corrective(f"corrective_{name}_{number}", name, features.reshape(3, 3)))
                fields.append(field)
    if not made:
        return shapes, ()
    more = (packed_shapes((entry.shape,), field[None], _SMALLEST) for entry, field in zip(made, fields, strict=True))
    return _followed(shapes, *more), tuple(made)


def _throat(model: Model, rest: np.ndarray, landmarks: Mapping[str, int]) -> larynx.Larynx | None:
    """The larynx between chin and jugular notch; None where the mesh ends above them."""
    if not {"throat", "larynx", "jugular"} <= set(landmarks):
        return None
    top, middle, bottom = (rest[landmarks[name]] for name in ("throat", "larynx", "jugular"))
    if not top[1] > middle[1] > bottom[1] or np.linalg.norm(top - bottom) < _SHORTEST:
        return None
    name = model.path.stem.lower()
    gender = 1.0 if "female" in name else 0.0 if "male" in name else 0.5
    numbers = {"amplitude_male": 7.0, "amplitude_female": 1.5}  # on top of what the identity itself has
    return larynx.from_identity(numbers, {**_ADULT, "gender": gender}, rest, landmarks)


def _parts(model: Model) -> tuple[np.ndarray, tuple[Part, ...], dict[str, Material]]:
    """The order of faces (F,), parts and materials: skin and eyeballs, where each is one run of the vertices."""
    balls = eyeballs(model)
    piece = np.zeros(len(balls), np.int32)
    if balls.any():
        left = np.asarray(model.weights[:, model.joint_names.index("eye.L")].todense()).ravel() > 0.5
        piece = np.where(balls, np.where(left, 1, 2), 0)
    names, materials = ["body", "eye_left", "eye_right"], plain_materials.materials("skin")
    runs = np.flatnonzero(np.diff(piece)) + 1
    of_faces = piece[model.faces]
    apart = bool((of_faces == of_faces[:, :1]).all())
    if len(runs) != 2 or not apart:
        everything = Part("body", "skin", slice(0, len(piece)), slice(0, len(model.faces)))
        return np.arange(len(model.faces)), (everything,), materials
    order, parts, first = [], [], 0
    for start, stop in zip([0, *runs], [*runs, len(piece)], strict=True):
        mine = np.flatnonzero((model.faces[:, 0] >= start) & (model.faces[:, 0] < stop))
        kind = int(piece[start])
        faces = slice(first, first + len(mine))
        parts.append(Part(names[kind], "eye" if kind else "skin", slice(int(start), int(stop)), faces))
        order.append(mine)
        first += len(mine)
    return np.concatenate(order), tuple(parts), materials | {"eye": replace(eyes.materials()["eye"], roughness=_WET)}


def _texture(model: Model, rest: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Texture coordinates: the file's or a view from the front; those of the eyeballs fit the human's eye map."""
    corners = quads(model.faces[order])
    if model.uv is None or model.face_uv is None:
        low, high = rest.min(0), rest.max(0)
        uv, face_uv = ((rest - low) / (high - low).max())[:, :2], corners
    else:
        uv, face_uv = model.uv, quads(model.face_uv[order])
    balls = eyeballs(model)
    if not balls.any():
        return uv.astype(np.float32), face_uv
    maps = _eye_map(model, rest)
    on_ball = balls[corners[:, 0]]
    # Eyeballs get coordinates of their own behind the others, one a vertex.
    face_uv = np.where(on_ball[:, None], corners + len(uv), face_uv).astype(np.int32)
    return np.concatenate([uv, maps]).astype(np.float32), face_uv


def _eye_map(model: Model, rest: np.ndarray) -> np.ndarray:
    """Coordinates (V, 2) on the bundled human's eye map by the angle from the optical axis (+Z); see ``eyes``."""
    result = np.full((len(rest), 2), 0.5)
    balls = eyeballs(model)
    for name in ("eye.L", "eye.R"):
        weight = np.asarray(model.weights[:, model.joint_names.index(name)].todense()).ravel()
        rows = np.flatnonzero((weight > 0.5) & balls)
        result[rows] = eyes.map_around(rest[rows], 0.5 * (rest[rows].max(0) + rest[rows].min(0)))
    return result


def _tails(
    names: tuple[str, ...], parents: np.ndarray, heads: np.ndarray, rest: np.ndarray, landmarks: Mapping[str, int]
) -> np.ndarray:
    """Where bones end (J, 3): at the mean of their children, at the chin, before the eye, or a little further on."""
    tails = np.zeros_like(heads)
    for joint, name in enumerate(names):
        children = [row for row in np.flatnonzero(np.asarray(parents) == joint) if not names[row].startswith("eye.")]
        if name == "jaw" and "chin" in landmarks:
            tails[joint] = rest[landmarks["chin"]]
        elif name.startswith("eye."):
            tails[joint] = heads[joint] + [0, 0, _BALL]
        elif name in ("oc1", "head"):
            tails[joint] = [heads[joint, 0], rest[:, 1].max(), heads[joint, 2]]
        elif name in neck.JOINTS:
            tails[joint] = heads[names.index(neck.JOINTS[neck.JOINTS.index(name) + 1])]
        elif children:
            tails[joint] = heads[children].mean(0)
        else:
            step = heads[joint] - heads[parents[joint]] if parents[joint] >= 0 else np.array([0, 0.05, 0])
            tails[joint] = heads[joint] + step * (0.6 if np.linalg.norm(step) > 1e-6 else 0) + [0, 0, 1e-4]
    same = np.linalg.norm(tails - heads, axis=1) < 1e-3
    tails[same] = heads[same] + [0, 0.02, 0]
    return tails.astype(np.float32)
