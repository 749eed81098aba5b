# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Files of the published layout of FLAME, SMPL-X, SMPL-H and SMPL, made from the bundled CC0 human.

The sizes, names, types and joint trees are those of the real files; the person in them is ours: the human's skin,
collapsed to the right number of vertices, with its eyeballs, its weights merged into fewer joints, and an expression
basis of the principal components of its ARKit shapes, so that the map from ARKit to it has a right answer. Identity and
pose shapes are random smooth fields.
"""

from __future__ import annotations

import heapq
import io
import pickle
import struct
import sys
import types
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from hyoid import characters
from hyoid.characters import arkit
from hyoid.characters.performance import shape_matrix
from hyoid.characters.smpl.family import JOINTS
from hyoid.geometry.meshes import triangulate, vertex_normals
from scipy import sparse

VERTICES = {"FLAME": 5023, "SMPL-X": 10475, "SMPL-H": 6890, "SMPL": 6890}
EYE = 546  # vertices of an eyeball, in the real files and in the bundled human
JAW_DEGREES = 16.0  # the part of jawOpen that the jaw joint does; the expression basis does the rest
_BODY = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
_HEAD = (15, 15, 15)
PARENTS = {
    "FLAME": (-1, 0, 1, 1, 1),
    "SMPL-X": (*_BODY, *_HEAD, *(w if i % 3 == 0 else f + i - 1 for w, f in ((20, 25), (21, 40)) for i in range(15))),
    "SMPL-H": (*_BODY, *(w if i % 3 == 0 else f + i - 1 for w, f in ((20, 22), (21, 37)) for i in range(15))),
    "SMPL": (*_BODY, 20, 21),
}  # fmt: skip
_FINGERS = {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}
_LIMBS = {
    "hip": ("upperleg01", "upperleg02"), "knee": ("lowerleg01", "lowerleg02"), "ankle": ("foot",), "foot": ("toe",),
    "collar": ("clavicle", "shoulder01"), "shoulder": ("upperarm01", "upperarm02"),
    "elbow": ("lowerarm01", "lowerarm02"), "wrist": ("wrist", "metacarpal"),
}  # fmt: skip
_NECK = ("c7t1", "c6c7", "c5c6", "c4c5", "c3c4", "c2c3", "c1c2", "oc1")


def _bones(kind: str, joint: str) -> tuple[str, ...]:
    """The bones of the bundled human that a joint stands for, by the start of their names; the first is its place."""
    if kind == "FLAME":
        jaw = ("jaw", "tongue", "teeth_lower")
        return {"root": ("c7t1", "c6c7", "c5c6"), "neck": (*_NECK[3:], "teeth_upper"), "jaw": jaw}.get(joint, (joint,))
    fixed = {
        "pelvis": ("root", "pelvis", "spine05"), "spine1": ("spine04",), "spine2": ("spine03",),
        "spine3": ("spine02", "spine01"), "neck": _NECK[:5], "head": (*_NECK[5:][::-1], "teeth_upper"),
        "jaw": ("jaw", "tongue", "teeth_lower"),
    }  # fmt: skip
    if joint in fixed:
        return fixed[joint] if "jaw" in JOINTS[kind] or joint != "head" else (*fixed["head"], *fixed["jaw"], "eye")
    if joint.startswith("eye"):
        return (joint,)
    side, _, rest = joint.partition("_")
    if rest in _LIMBS:
        return tuple(f"{bone}*.{side[0].upper()}" for bone in _LIMBS[rest])
    if rest == "hand":
        return (f"finger*.{side[0].upper()}",)
    return (f"finger{_FINGERS[rest[:-1]]}-{rest[-1]}*.{side[0].upper()}",)


def _is_of(name: str, bones: tuple[str, ...]) -> bool:
    for bone in bones:
        start, star, side = bone.partition("*")
        if name == bone or (star and name.startswith(start) and name.endswith(side)):
            return True
        if bone in ("pelvis", "tongue", "eye") and name.startswith(bone):
            return True
    return False


@lru_cache(maxsize=4)
def _person(kind: str) -> dict[str, Any]:
    """The parts of a model that follow from the human: vertices, faces, weights, joints and ARKit shapes."""
    human = characters.load("human", part="head" if kind == "FLAME" else "full")
    skin = human.parts[0].vertices
    triangles = triangulate(human.faces[human.parts[0].faces])
    eyes = kind in ("FLAME", "SMPL-X")
    wanted = VERTICES[kind] - 2 * EYE * eyes
    points = human.vertices[skin].astype(np.float64)
    if kind == "FLAME":
        triangles = _cut(points, triangles, wanted)
    fixed = (
        np.linalg.norm(points - human.vertices[human.landmarks["nose_tip"]], axis=1) < 0.11
    )  # the face stays as fine
    kept, faces = collapse(points, triangles, wanted, fixed)
    rows, all_faces = [kept], [faces]
    for part in human.parts:
        if eyes and part.material == "eye":
            rows.append(np.arange(part.vertices.start, part.vertices.stop))
            first = sum(map(len, rows[:-1])) - part.vertices.start
            all_faces.append(triangulate(human.faces[part.faces]) + first)
    chosen = np.concatenate(rows)
    vertices = human.vertices[chosen].astype(np.float64)
    names = JOINTS[kind]
    table = np.zeros((len(human.joint_names), len(names)))
    for column, joint in enumerate(names):
        bones = _bones(kind, joint)
        for row, bone in enumerate(human.joint_names):
            table[row, column] = _is_of(bone, bones)
    unclaimed = table.sum(1) == 0
    table[unclaimed, 0] = 1  # of FLAME's bust
    table /= table.sum(1, keepdims=True)
    dense = np.zeros((len(chosen), len(human.joint_names)))
    np.add.at(dense, (np.arange(len(chosen))[:, None], human.weight_joints[chosen]), human.weights[chosen])
    weights = dense @ table
    heads = np.stack([_place(human, _bones(kind, joint)) for joint in names])
    origin = heads[list(names).index("pelvis")] if kind != "FLAME" else 0.5 * (heads[3] + heads[4]) - [0, 0.03, 0.03]
    shapes = shape_matrix(human.shapes, len(human.vertices)).toarray().reshape(len(human.vertices), 3, -1)
    offsets = shapes[chosen][:, :, : len(arkit.NAMES)].astype(np.float64)
    return {
        "vertices": vertices - origin, "faces": np.concatenate(all_faces), "weights": weights, "heads": heads - origin,
        "arkit": offsets, "chosen": chosen,
    }  # fmt: skip


def _place(human: Any, bones: tuple[str, ...]) -> np.ndarray:
    return next(
        human.heads[i] for bone in bones for i, name in enumerate(human.joint_names) if _is_of(name, (bone,))
    ).astype(np.float64)


def _cut(points: np.ndarray, triangles: np.ndarray, wanted: int) -> np.ndarray:
    """The triangles of head, neck and bust without shoulders, a few more vertices of them than wanted."""
    height = points[:, 1] - 3 * np.maximum(np.hypot(points[:, 0], points[:, 2] - 0.01) - 0.09, 0) * (
        points[:, 1] < 1.63
    )
    order = np.sort(height)[::-1]
    return triangles[(height[triangles] > order[min(int(wanted * 1.13), len(order) - 1)]).all(1)]


def collapse(
    points: np.ndarray, triangles: np.ndarray, wanted: int, fixed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles with exactly ``wanted`` vertices: edges are drawn into one of their ends, short and flat ones first.

    Returns:
        kept (wanted,) rising rows of ``points``, and faces (F, 3) into them.
    """
    normals = vertex_normals(points, np.concatenate([triangles, triangles[:, 2:]], 1))
    faces: list[list[int] | None] = [list(map(int, face)) for face in triangles]
    around: dict[int, set[int]] = {}
    for index, face in enumerate(faces):
        for vertex in face or ():
            around.setdefault(vertex, set()).add(index)

    def neighbours(vertex: int) -> set[int]:
        return {other for index in around[vertex] for other in faces[index] or ()} - {vertex}

    def cost(vertex: int, target: int) -> float:
        edge = points[vertex] - points[target]
        return float(edge @ edge * (1.02 - normals[vertex] @ normals[target]) * (50 if fixed[vertex] else 1))

    inner = {vertex for vertex in around if len(around[vertex]) == len(neighbours(vertex))}
    heap = [(cost(vertex, other), vertex, other) for vertex in sorted(inner) for other in sorted(neighbours(vertex))]
    heapq.heapify(heap)
    left = len(around)
    while left > wanted:
        _, vertex, target = heapq.heappop(heap)
        if vertex not in around or target not in around:
            continue
        mine, its = neighbours(vertex), neighbours(target)
        if target not in mine or len(mine & its) != 2:
            continue
        if not _keeps_sides(points, faces, around[vertex], vertex, target):
            continue
        for index in around.pop(vertex):
            face = faces[index]
            assert face is not None
            if target in face:
                for corner in face:
                    if corner != vertex:
                        around[corner].discard(index)
                faces[index] = None
            else:
                face[face.index(vertex)] = target
                around[target].add(index)
        left -= 1
        for other in sorted(mine - {target}):
            for a, b in ((other, target), (target, other)):
                if a in inner:
                    heapq.heappush(heap, (cost(a, b), a, b))
    kept = np.array(sorted(around))
    places = np.full(len(points), -1)
    places[kept] = np.arange(len(kept))
    return kept, places[np.array([face for face in faces if face is not None])]


def _keeps_sides(points: np.ndarray, faces: list, indices: set[int], vertex: int, target: int) -> bool:
    """Whether no triangle turns over or thins out when ``vertex`` is drawn into ``target``."""
    for index in indices:
        face = faces[index]
        if target in face:
            continue
        a, b, c = (points[corner] for corner in face)
        before = np.cross(b - a, c - a)
        a, b, c = (points[target if corner == vertex else corner] for corner in face)
        after = np.cross(b - a, c - a)
        if before @ after <= 0.3 * np.sqrt((before @ before) * (after @ after)):
            return False
    return True


def _regressor(vertices: np.ndarray, heads: np.ndarray, still: np.ndarray) -> np.ndarray:
    """Rows of few weights that give the joints from the vertices, from those (V,) that no expression moves."""
    result = np.zeros((len(heads), len(vertices)))
    for row, head in enumerate(heads):
        near = np.argsort(np.linalg.norm(vertices - head, axis=1) + ~still)[:500]
        system = np.concatenate([vertices[near].T, np.ones((1, len(near)))])
        result[row, near] = np.linalg.lstsq(system, np.append(head, 1.0), rcond=None)[0]
    return result


def _waves(vertices: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Smooth random fields (V, 3, count), metres, smaller from one to the next."""
    phase = vertices @ random.normal(0, 5, (3, 3 * count)) + random.random(3 * count) * 2 * np.pi
    fields = np.sin(phase).reshape(len(vertices), 3, count)
    return fields * (0.003 / (1 + np.arange(count) / 3))


def _expressions(person: dict[str, Any], kind: str, count: int, random: np.random.Generator) -> np.ndarray:
    """An expression basis (V, 3, count) that holds the human's ARKit shapes but for what the jaw joint does."""
    shapes = person["arkit"].copy()
    jaw = JOINTS[kind].index("jaw")
    angle = np.radians(JAW_DEGREES)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    weight, head = person["weights"][:, jaw, None], person["heads"][jaw]
    opened = arkit.NAMES.index("jawOpen")
    mixed = np.eye(3) + weight[:, :, None] * (turn - np.eye(3))
    away = person["vertices"] - head
    carried = (mixed @ away[..., None])[..., 0] - away
    shapes[:, :, opened] = np.linalg.solve(mixed, (shapes[:, :, opened] - carried)[..., None])[..., 0]
    # The eyeballs turn with their joints.
    eyes = [JOINTS[kind].index(name) for name in ("eye.L", "eye.R")]
    shapes[person["weights"][:, eyes].sum(1) > 0.5] = 0
    # Principal components, as those of scans are: the largest motion first, one standard deviation each.
    flat = shapes.reshape(-1, shapes.shape[2])
    values, vectors = np.linalg.eigh(flat.T @ flat)
    components = shapes @ vectors[:, np.argsort(-values)] / np.sqrt(shapes.shape[2])
    own = min(count, shapes.shape[2])
    noise = 0.05 * _waves(person["vertices"], count - own, random)
    return np.concatenate([components[:, :, :own], noise], 2)


def _pose_shapes(person: dict[str, Any], kind: str, random: np.random.Generator) -> np.ndarray:
    fields = []
    for joint, head in zip(JOINTS[kind][1:], person["heads"][1:], strict=True):
        near = np.exp(-np.sum((person["vertices"] - head) ** 2, 1) / (2 * 0.05**2)) * (not joint.startswith("eye"))
        fields.append(np.where(near > 1e-3, near, 0)[:, None, None] * random.normal(0, 0.003, (1, 3, 9)))
    return np.concatenate(fields, 2)


def arrays(kind: str, shapes: int = 20, seed: int = 5) -> dict[str, Any]:
    """The arrays of a model file: ``shapes`` is 400 or 20 for FLAME and SMPL-X, else the number of identity shapes."""
    person, random = _person(kind), np.random.default_rng(seed)
    vertices, joints = person["vertices"], JOINTS[kind]
    count = {400: 300, 20: 10}[shapes] if kind in ("FLAME", "SMPL-X") else shapes
    basis = [_waves(vertices, count, random)]
    if kind in ("FLAME", "SMPL-X"):
        basis.append(_expressions(person, kind, shapes - count, random))
    parents = np.array(PARENTS[kind], np.int64)
    parents[0] = 2**32 - 1
    pose = _pose_shapes(person, kind, random)
    still = np.linalg.norm(person["arkit"], axis=1).max(1) < 2e-4
    blink = arkit.NAMES.index("eyeBlinkLeft")
    assert np.abs(person["arkit"][:, :, blink]).max() > 0.005, "the eyelids of the builder's person must move"
    result = {
        "v_template": vertices, "f": person["faces"].astype(np.uint32), "shapedirs": np.concatenate(basis, 2),
        "posedirs": pose, "J_regressor": _regressor(vertices, person["heads"], still), "weights": person["weights"],
        "kintree_table": np.stack([parents, np.arange(len(joints))]).astype(np.uint32),
        "bs_style": "lbs", "bs_type": "lrotmin",
    }  # fmt: skip
    if kind in ("SMPL-X", "SMPL-H"):
        for side in "lr":
            result[f"hands_mean{side}"] = random.normal(0, 0.2, 45)
            result[f"hands_components{side}"] = np.linalg.qr(random.normal(0, 1, (45, 45)))[0]
    if kind == "SMPL-X":
        low, high = vertices.min(0), vertices.max(0)
        result["vt"] = ((vertices - low) / (high - low))[:, :2]
        result["ft"] = result["f"]
        result["lmk_faces_idx"] = np.arange(51)
        result["lmk_bary_coords"] = np.full((51, 3), 1 / 3)
        result["joint2num"] = np.array({name: i for i, name in enumerate(joints)}, dtype=object)
    return result


def write_npz(path: Path, content: dict[str, Any]) -> Path:
    """Write the arrays as NumPy does, dicts pickled within."""
    np.savez(path, **content)
    return path


def write_pkl(path: Path, content: dict[str, Any]) -> Path:
    """Write the arrays as the published ``.pkl`` files have them.

    That is a pickle of Python 2 with byte strings for text, chumpy objects around the shapes and a SciPy sparse
    regressor.
    """
    module = types.ModuleType("chumpy.ch")
    chumpy_class = type("Ch", (), {"__module__": "chumpy.ch"})
    module.Ch = chumpy_class
    packed = dict(content)
    for name in ("v_template", "shapedirs"):
        packed[name] = chumpy_class()
        packed[name].__dict__.update(x=np.asarray(content[name], np.float64), dirty_vars=set(), _dirty_vars=set())
    packed["J_regressor"] = sparse.csc_matrix(content["J_regressor"])
    stream = io.BytesIO()
    places = {"chumpy": types.ModuleType("chumpy"), "chumpy.ch": module}
    sys.modules.update(places)
    try:
        _Python2Pickler(stream, 2).dump(packed)
    finally:
        for name in places:
            del sys.modules[name]
    path.write_bytes(stream.getvalue())
    return path


class _Python2Pickler(pickle._Pickler):
    """Writes text and bytes as the byte strings of Python 2."""

    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def _save_text(self, value: str | bytes) -> None:
        data = value.encode("latin1") if isinstance(value, str) else value
        short = len(data) < 256
        head = pickle.SHORT_BINSTRING + bytes([len(data)]) if short else pickle.BINSTRING + struct.pack("<i", len(data))
        self.write(head + data)
        self.memoize(value)

    dispatch[str] = _save_text
    dispatch[bytes] = _save_text
