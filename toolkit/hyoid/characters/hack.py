# SPDX-License-Identifier: Apache-2.0
# pyright: reportOptionalMemberAccess=false
"""A HACK model folder as a character: its skin, expressions, pose correctives and larynx, exact; eyes and mouth lent.

The folder (docs/hack.md) comes without eyes and teeth. Eyes are those of the bundled human. An ICT-FaceKit folder
(``$HYOID_ICT``), whose skin has the same vertices, lends gums, teeth, tongue and lashes, and its expressions where the
HACK folder has none; without it the teeth and tongue of the bundled human are placed by landmarks, and where the HACK
folder has no expressions, the human's are drawn onto its skin.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from hyoid.characters import Setting, arkit, bundled, ict, neck
from hyoid.characters.character import Character, Corrective, Material, Part, largest_weights, packed_shapes
from hyoid.characters.lent import eyes, face, head_paint, mouth
from hyoid.characters.lent.plain_materials import materials
from hyoid.errors import InputError
from hyoid.formats import obj
from hyoid.geometry import rotations
from hyoid.systems.hack import EXPRESSIONS, LICENCE, checkpoint
from hyoid.systems.hack.checkpoint import Data

METRES = 0.01
VERTICES = 14_062
MILLIMETRES = 326.0
"""How far the larynx travels for one unit of tau."""
_PAINTED_UV = "000_generic_neutral_mesh.obj"  # the folder's other obj: the same faces with ICT's UVs
_HEIGHTS = (5.0, 10.0, 15.0, 20.0)  # millimetres that the larynx shapes are fitted to
_SOCKETS = (slice(13_294, 13_678), slice(13_678, 14_062))  # left, right
_STILL = 1e-7  # metres: a shape does not list vertices that it moves by less
_log = logging.getLogger("hyoid")


def settings(path: Path) -> dict[str, Setting]:
    """The identity modes of a folder, ``identity000`` first, in standard deviations; none without ``S.npy``.

    Raises:
        InputError: ``path`` is no HACK folder.
    """
    return {f"identity{number:03d}": Setting(-5.0, 5.0, 0.0) for number in range(checkpoint.identities(path))}


def load(path: Path, settings: Mapping[str, float]) -> Character:
    """The character of a folder at one identity; see :func:`hyoid.characters.load`.

    The joints do not move with the identity, as in the published model.

    Raises:
        InputError: the folder, or the one that ``$HYOID_ICT`` names, is damaged or another model's.
    """
    data = _data(path)
    donor = _donor(data)
    person = _person(data, settings)
    rest = METRES * (person + checkpoint.larynx(data, 0.0))
    names = ("spine01", *neck.JOINTS, "jaw")
    parents = np.array([*range(-1, len(neck.JOINTS)), names.index("oc1")], np.int32)
    heads, tails = _joints(data, person, donor)
    face_shapes, own = _expressions(data, donor)
    correctives, followers = _correctives(data)
    shapes = {**face_shapes, **_larynx_shapes(data), **own, **followers}
    uv, face_uv, skin = _skin(data)
    weight_joints, weights = _weights(data, donor)
    character = Character(
        name="hack", licence=LICENCE, settings=dict(settings), vertices=rest.astype(np.float32),
        faces=data.mesh.faces, uv=uv, face_uv=face_uv,
        parts=(Part("skin", "skin", slice(0, VERTICES), slice(0, len(data.mesh.faces))),),
        shapes=packed_shapes(tuple(shapes), shapes.values(), _STILL),
        joint_names=names, parents=parents, heads=heads, tails=tails, weight_joints=weight_joints, weights=weights,
        drivers=(), neck=bundled.neck_limits(), materials={"skin": skin}, landmarks=ict.LANDMARKS,
        correctives=correctives, digest=_digest(data, donor),
    )  # fmt: skip
    neutral = data.mesh.vertices
    if donor is not None:
        character = mouth.from_twin(character, donor, METRES * neutral, METRES * person)
    elif any(offsets.any() for offsets in face_shapes.values()):
        character = mouth.from_human(character)
    return eyes.add(character, _eyes(neutral, person))


def bone_axes(data: Data) -> np.ndarray:
    """The axes (8, 3, 3) of the bones at rest: columns are a bone's x, y, z in model axes.

    In all but ``oc1`` y runs up the neck; ``oc1`` points to the face: its y is forward, its z down.
    """
    return data.bones.to_model[:, :3, :3]


def rotations_from_theta(axes: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Joint rotations in model axes, as records and takes have them, of HACK's.

    Args:
        axes: (8, 3, 3), see :func:`bone_axes`. theta: (..., 8, 3) rotation vectors in bone axes, radians.

    Returns:
        (..., 8, 4) quaternions, w, x, y, z.
    """
    return rotations.from_rotation_vector(np.einsum("jab,...jb->...ja", axes, np.asarray(theta, np.float64)))


def theta_from_rotations(axes: np.ndarray, quaternions: np.ndarray) -> np.ndarray:
    """The opposite of :func:`rotations_from_theta`: (..., 8, 4) to (..., 8, 3), at most pi long."""
    vectors = rotations.to_rotation_vector(np.asarray(quaternions, np.float64))
    return np.einsum("jba,...jb->...ja", axes, vectors)


def _data(path: Path) -> Data:
    folder = checkpoint.find(path)
    names = [*checkpoint.NEEDED, *checkpoint.OPTIONAL]
    stamps = [(folder / name).stat() for name in names if (folder / name).is_file()]
    return _read(folder.resolve(), tuple((stamp.st_size, stamp.st_mtime_ns) for stamp in stamps))


@lru_cache(maxsize=1)
def _read(folder: Path, stamps: tuple) -> Data:
    """The folder, checked for what a character needs beyond the model itself; kept as long as its files stay."""
    data = checkpoint.read(folder)
    if len(data.template) != VERTICES:
        file = folder / checkpoint.MESH
        raise InputError(f"has {len(data.template)} vertices", path=file, expected=f"{VERTICES}, as published")
    axes = bone_axes(data)
    chain = data.bones.names == neck.JOINTS and data.bones.parents == tuple(range(-1, 7))
    if not chain or np.abs(axes @ axes.transpose(0, 2, 1) - np.eye(3)).max() > 1e-3:
        expected = f"the chain {', '.join(neck.JOINTS)} with orthogonal axes"
        raise InputError("is not the published neck", path=folder / checkpoint.BONES, expected=expected)
    return data


def _donor(data: Data) -> Character | None:
    """The ICT head that lends what HACK lacks, if there is one."""
    path = os.environ.get("HYOID_ICT")
    if not path:
        return None
    donor = ict.load(Path(path), {})
    if not np.array_equal(donor.faces[: len(data.mesh.faces)], data.mesh.faces):
        hint = "Unset HYOID_ICT to go without"
        raise InputError("its mesh is not that of the ICT-FaceKit folder", path=data.folder, hint=hint)
    return donor


def _digest(data: Data, donor: Character | None) -> str:
    if donor is None:
        return data.digest
    return hashlib.sha256(f"{data.digest} {donor.digest}".encode()).hexdigest()


def _person(data: Data, settings: Mapping[str, float]) -> np.ndarray:
    """The skin (V, 3) at rest without larynx, centimetres."""
    person = data.template.astype(np.float64)
    if settings and data.identity is None:
        raise InputError("has no identities (S.npy)", path=data.folder)
    for name, value in settings.items():
        person += value * data.identity.modes[int(name.removeprefix("identity"))]
    return person


def _joints(data: Data, person: np.ndarray, donor: Character | None) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails (10, 3) float32, metres."""
    chain = METRES * data.bones.to_model[:, :3, 3]
    hinge = chain[-1] + [0.0, 0.007, 0.021] if donor is None else donor.heads[donor.joint("jaw")]
    crown, chin = (METRES * person[ict.LANDMARKS[name]] for name in ("crown", "chin"))
    heads = np.concatenate([chain[:1] - [0, 0.05, 0], chain, hinge[None]])
    top = np.array([0.0, crown[1], chain[-1, 2]])
    return heads.astype(np.float32), np.concatenate([chain, top[None], chin[None]]).astype(np.float32)


def _weights(data: Data, donor: Character | None) -> tuple[np.ndarray, np.ndarray]:
    """HACK's weights; the jaw takes from the skull the share that it has on the donor, which shows when it turns."""
    weights = np.zeros((VERTICES, 10))
    weights[:, 1:9] = data.weights.T
    if donor is not None:
        jaw, skull = (
            np.where(donor.weight_joints[:VERTICES] == donor.joint(name), donor.weights[:VERTICES], 0).sum(1)
            for name in ("jaw", "oc1")
        )
        share = jaw / np.maximum(jaw + skull, 1e-9)
        weights[:, 9] = share * weights[:, 8]
        weights[:, 8] *= 1 - share
    return largest_weights(weights)


def _expressions(
    data: Data, donor: Character | None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:  # fmt: skip
    """Offsets (V, 3), metres, of the 52 ARKit shapes, and of HACK's own: halves of those that ARKit has once.

    ``tongueOut`` moves no skin; ``cheekRaiser`` has no counterpart in ARKit and is driven by action units only.
    """
    found = {name: np.zeros((VERTICES, 3)) for name in arkit.NAMES}
    if data.expressions is None:
        if donor is not None:
            return found | {name: donor.offsets(name)[:VERTICES] for name in arkit.NAMES}, {}
        return found | _human_expressions(data), {}
    own = {}
    for name, offsets in zip(EXPRESSIONS, METRES * data.expressions.mean.astype(np.float64), strict=True):
        sided = name.replace("_L", "Left").replace("_R", "Right")
        if sided in found:
            found[sided] = offsets
        else:
            own[name] = offsets
            if name[:-2] in found:  # browInnerUp, cheekPuff
                found[name[:-2]] = found[name[:-2]] + offsets
    return found, own


def _human_expressions(data: Data) -> dict[str, np.ndarray]:
    """The bundled human's shapes on the template, by name; none where the template is like no head."""
    lent = face.shapes(METRES * data.template, data.mesh.faces, ict.LANDMARKS)
    fate = "the face will not move" if lent is None else "those of the bundled human are carried over"
    _log.warning(
        "%s has no expressions (E.npy or blendshape.npy): %s. Set HYOID_ICT to an ICT-FaceKit folder, whose "
        "expressions fit",
        data.folder, fate,
    )  # fmt: skip
    return {} if lent is None else dict(zip(arkit.NAMES, lent.astype(np.float64), strict=True))


def _larynx_shapes(data: Data) -> dict[str, np.ndarray]:
    """``larynxUp`` and ``larynxDown``: the one shape nearest to the map's travel at all heights; ``larynxSize``."""
    own = checkpoint.larynx(data, 0.0)
    shapes = {}
    for name, sign in (("larynxUp", 1), ("larynxDown", -1)):
        moved = [checkpoint.larynx(data, sign * height / MILLIMETRES) - own for height in _HEIGHTS]
        shapes[name] = METRES * np.sum(moved, axis=0) * arkit.SHAPE_MILLIMETRES / sum(_HEIGHTS)
    return {**shapes, "larynxSize": METRES * own}


def _correctives(data: Data) -> tuple[tuple[Corrective, ...], dict[str, np.ndarray]]:
    """The maps of the seven joints that have any, turned from bone axes to model axes, one shape for each entry."""
    if data.correctives is None:
        return (), {}
    correctives, shapes = [], {}
    for joint in range(1, len(neck.JOINTS)):
        axes = bone_axes(data)[joint]
        maps = np.einsum("ca,db,abvx->cdvx", axes, axes, data.correctives.mean[joint], optimize=True)
        for entry in range(9):
            name = f"corrective_{neck.JOINTS[joint]}_{entry}"
            shapes[name] = METRES * maps[entry // 3, entry % 3]
            correctives.append(Corrective(name, neck.JOINTS[joint], np.eye(9)[entry].reshape(3, 3)))
    return tuple(correctives), shapes


def _skin(data: Data) -> tuple[np.ndarray, np.ndarray, Material]:
    """UVs (U, 2), their faces and the material: painted in the folder's face UVs, plain where it has none."""
    plain = materials("skin")["skin"]
    file = data.folder / _PAINTED_UV
    if file.is_file():
        mesh = obj.read(file)
        if np.array_equal(mesh.faces, data.mesh.faces) and len(mesh.face_uv):
            uv = mesh.uv * np.array([0.5, 1.0], np.float32)  # face and back of the head lie side by side
            picture = head_paint.skin_map(data.mesh.vertices, mesh.faces, uv, mesh.face_uv)
            if picture is not None:
                white = (1.0, 1.0, 1.0, 1.0)
                plain = replace(plain, colour=white, colour_map=picture, plain=plain.colour)
            return uv, mesh.face_uv, plain
    return data.mesh.uv, data.mesh.face_uv, plain


def _eyes(neutral: np.ndarray, person: np.ndarray) -> eyes.Placement:
    """Where ICT's eyes are in the template, moved and scaled with the sockets of the person."""
    centres, sizes = [], []
    for rows, side in zip(_SOCKETS, (1, -1), strict=True):
        before, after = neutral[rows].mean(0), person[rows].mean(0)
        size = (
            np.linalg.norm(person[rows] - after, axis=1).mean() / np.linalg.norm(neutral[rows] - before, axis=1).mean()
        )
        centres.append(after + size * (ict.EYE_CENTRE * [side, 1, 1] - before))
        sizes.append(size)
    radius = METRES * ict.EYE_RADIUS * float(np.mean(sizes))
    return eyes.Placement(METRES * np.stack(centres), radius, ict.surface, ict.EYE_TURN)
