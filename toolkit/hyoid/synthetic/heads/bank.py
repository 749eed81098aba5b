# SPDX-License-Identifier: Apache-2.0
"""The bundled human made ready to be drawn often: one layout of vertices, many identities, each made when first used.

Regions (beard, clothes, mask) are told on the rest pose of the default identity; all identities share its topology.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree

from hyoid import characters
from hyoid.characters import arkit
from hyoid.characters.character import Character
from hyoid.geometry import skinning

IDENTITIES = 300
"""Identities for training; as many others are held out."""
ROWS, COLUMNS = 40, 64
"""The grid of directions on which the skull is measured: polar angle from the crown, angle about the vertical."""
SKIN, EYE, TEETH, TONGUE, BROW, LASHES = range(6)
_MATERIALS = {"skin": SKIN, "eye": EYE, "teeth": TEETH, "tongue": TONGUE, "brow": BROW, "lashes": LASHES}
_HEAD = ("oc1", "jaw", "eye.L", "eye.R", "teeth_upper", "teeth_lower")
_BUST = ("spine01", "spine02", "spine03", "clavicle.", "shoulder01.", "upperarm01.", "upperarm02.", "c7t1", "c6c7",
    "c5c6",
         "c4c5", "c3c4", "c2c3", "c1c2", *_HEAD, "tongue")  # fmt: skip
_HEAD_SETTINGS = (
    "head", "forehead", "eyebrows", "neck", "eye", "nose", "mouth", "ear", "chin", "cheek",
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """What all identities share.

    Attributes:
        rows: (V,) vertices of the character that are used. triangles: (T, 3) of them, for normals.
        gather: (T to V) sparse sums of triangle normals. source: (N,) rows of the drawn vertices; uv: (N, 2);
        drawn: (F, 3) triangles of drawn vertices; material: (N,) float32; occlusion: (V,) share of the sky seen.
        template: (V, 3) rest of the default identity. head: (V,) share of the head joint. box: rows within a head's
            box.
        weights: (V, J) sparse. shapes: for each curve, rows and offsets. skin: rows of the body's skin.
    """

    rows: np.ndarray
    triangles: np.ndarray
    gather: sparse.csr_matrix
    source: np.ndarray
    uv: np.ndarray
    drawn: np.ndarray
    material: np.ndarray
    occlusion: np.ndarray
    template: np.ndarray
    head: np.ndarray
    box: np.ndarray
    weights: sparse.csr_matrix
    shapes: dict[str, tuple[np.ndarray, np.ndarray]]
    landmarks: dict[str, int]
    skin: int


@dataclass(frozen=True)
class Identity:
    """One person at rest: vertices (V, 3) of the layout, joints (J, 3), the skull's radii and where features are.

    Attributes:
        loose: (V, 3) the vertices with small forms of the body smoothed away, as cloth does.
        centre: (3,) of the skull. skull, outer: (ROWS, COLUMNS) metres from there to the scalp, and to the outermost
            skin (ears). size: metres from chin to crown. old, female: 0 to 1. child: true below about twelve.
    """

    vertices: np.ndarray
    loose: np.ndarray
    joints: np.ndarray
    centre: np.ndarray
    skull: np.ndarray
    outer: np.ndarray
    size: float
    old: float
    female: float
    child: bool
    settings: dict[str, float]


@cache
def template() -> Character:
    """The bundled human at its default identity."""
    return characters.load("human", {}, part="full")


def joint_names() -> tuple[str, ...]:
    """Names of the joints of every person."""
    return template().joint_names


@cache
def layout(full: bool) -> Layout:
    """The vertices of the whole body, or of head, shoulders and upper arms."""
    human = template()
    names = np.array(human.joint_names)
    main = names[human.weight_joints[:, 0]]
    keep = np.ones(len(human.vertices), bool)
    if not full:
        keep = np.array([any(name == part or (part[-1] == "." and name.startswith(part)) or name.startswith("tongue")
                             for part in _BUST) for name in main])  # fmt: skip
    quads, uvs, materials = [], [], []
    for part in human.parts:
        if part.material not in _MATERIALS:
            continue
        faces, face_uv = human.faces[part.faces], human.face_uv[part.faces]
        chosen = keep[faces].all(1)
        quads.append(faces[chosen])
        uvs.append(face_uv[chosen])
        materials.append(np.full(chosen.sum(), _MATERIALS[part.material]))
    faces, face_uv, kind = np.concatenate(quads), np.concatenate(uvs), np.concatenate(materials)
    corners = [[0, 1, 2], [0, 2, 3]]
    both = faces[:, corners].reshape(-1, 3), face_uv[:, corners].reshape(-1, 3)
    sound = (both[0][:, 0] != both[0][:, 2]) & (both[0][:, 1] != both[0][:, 2])
    triangles, corner_uv, kind = both[0][sound], both[1][sound], np.repeat(kind, 2)[sound]
    rows, triangles = np.unique(triangles, return_inverse=True)
    triangles = triangles.reshape(-1, 3)
    pairs, drawn = np.unique(np.stack([triangles.ravel(), corner_uv.ravel()], 1), axis=0, return_inverse=True)
    drawn = drawn.reshape(-1, 3)
    material = np.zeros(len(pairs), np.float32)
    material[drawn.ravel()] = np.repeat(kind, 3)
    count = len(triangles)
    gather = sparse.csr_matrix(
        (np.ones(3 * count, np.float32), (triangles.ravel(), np.repeat(np.arange(count), 3))), (len(rows), count)
    )
    weights = skinning.weight_matrix(human.weight_joints, human.weights, len(names))[rows]
    head = np.asarray(
        weights[:, [i for i, n in enumerate(names) if n in _HEAD or n.startswith("tongue")]].sum(1)
    ).ravel()
    place = np.full(len(human.vertices), -1)
    place[rows] = np.arange(len(rows))
    rest = human.vertices[rows]
    body = rows < human.parts[0].vertices.stop
    chin = rest[place[human.landmarks["menton"]], 1]
    box = np.flatnonzero(body & (head > 0.5) & (rest[:, 1] > chin - 0.004))
    return Layout(
        rows, triangles, gather, pairs[:, 0], human.uv[pairs[:, 1]], drawn.astype(np.uint32), material,
        _occlusion(human.vertices[: human.parts[0].vertices.stop], rest), rest, head, box, weights,
        _curves(human, place), {name: int(place[v]) for name, v in human.landmarks.items()}, int(body.sum()),
    )  # fmt: skip


def _curves(human: Character, place: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    found = {}
    for index, name in enumerate(human.shapes.names):
        if name in arkit.NAMES:
            rows = slice(human.shapes.starts[index], human.shapes.starts[index + 1])
            local = place[human.shapes.vertices[rows]]
            found[name] = (local[local >= 0], human.shapes.offsets[rows][local >= 0])
    return found


def _occlusion(points: np.ndarray, wanted: np.ndarray, cell: float = 0.012, bias: float = 0.022) -> np.ndarray:
    """Share (n,) of the sky that points see past a cloud of surface points: coarse depth maps from 64 directions."""
    random = np.random.default_rng(5)
    directions = random.standard_normal((64, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[:, 1] = np.abs(directions[:, 1]) * np.where(np.arange(64) % 4, 1, -0.5)
    seen = np.zeros(len(wanted))
    for away in directions / np.linalg.norm(directions, axis=1, keepdims=True):
        side = np.cross(away, [0.3, 0.1, 0.95])
        side /= np.linalg.norm(side)
        axes = np.stack([side, np.cross(away, side)])
        cells = np.floor(points @ axes.T / cell).astype(int)
        low = cells.min(0)
        nearest = np.full(cells.max(0) - low + 1, -np.inf)
        np.maximum.at(nearest, tuple((cells - low).T), points @ away)
        at = np.clip(np.floor(wanted @ axes.T / cell).astype(int) - low, 0, np.array(nearest.shape) - 1)
        seen += wanted @ away > nearest[tuple(at.T)] - bias
    return (seen / len(directions)).astype(np.float32)


@lru_cache(maxsize=2 * IDENTITIES)
def identity(number: int, held_out: bool, full: bool) -> Identity:
    """Identity ``number`` below :data:`IDENTITIES`, of the training ones or of those held out."""
    random = np.random.default_rng([0x1D, int(held_out), number])
    settings = _settings(random)
    human = characters.load("human", settings, part="full")
    shared = layout(full)
    vertices = np.ascontiguousarray(human.vertices[shared.rows])
    marks = {name: vertices[index] for name, index in shared.landmarks.items()}
    body = np.arange(len(vertices)) < shared.skin
    scalp = vertices[body & (shared.head > 0.5)]
    upper = scalp[scalp[:, 1] > marks["nasion"][1]]
    centre = np.array([0.0, marks["nasion"][1] + 0.005, 0.5 * (upper[:, 2].min() + upper[:, 2].max())])
    skull, outer = _radii(scalp - centre)
    return Identity(
        vertices, _smoothed(vertices, full), human.heads.astype(np.float64), centre, skull, outer,
        float(marks["crown"][1] - marks["menton"][1]),
        float(np.clip((settings["age"] - 0.68) * 3.2, 0, 1)), settings["gender"], settings["age"] < 0.38, settings,
    )  # fmt: skip


@cache
def _means(full: bool) -> sparse.csr_matrix:
    """The mean of each vertex's neighbours."""
    shared = layout(full)
    a, b, c = shared.triangles.T
    first, second = np.concatenate([a, b, c, b, c, a]), np.concatenate([b, c, a, a, b, c])
    count = len(shared.rows)
    near = sparse.csr_matrix((np.ones(len(first), np.float32), (first, second)), (count, count))
    near.data[:] = 1
    return sparse.diags(1 / np.asarray(near.sum(1)).ravel().clip(1), dtype=np.float32) @ near


def _smoothed(vertices: np.ndarray, full: bool) -> np.ndarray:
    means, result = _means(full), vertices
    for _ in range(14):
        result = 0.4 * result + 0.6 * (means @ result)
        result = 1.28 * result - 0.28 * (means @ result)  # so that limbs do not shrink
    return result.astype(np.float32)


@cache
def _names() -> tuple[str, ...]:
    return tuple(characters.settings_of("human"))


def _settings(random: np.random.Generator) -> dict[str, float]:
    """A random identity: a mixture of peoples, any age from six, and many small changes of the face."""
    main = random.dirichlet([0.35, 0.35, 0.35])
    settings: dict[str, float] = dict(zip(("african", "asian", "caucasian"), main.tolist(), strict=True))
    # Values at the anchors of an axis spare half of the targets each.
    gender = float(random.random() < 0.5)
    settings["gender"] = gender if random.random() < 0.75 else float(random.uniform(0.1, 0.9))
    young = random.random() < 0.12
    settings["age"] = float(random.uniform(0.15, 0.5) if young else np.clip(random.normal(0.72, 0.13), 0.5, 1.0))
    settings["weight"] = float(np.clip(random.normal(0.5, 0.22), 0, 1))
    settings["muscle"] = float(random.choice([0.0, 0.5, 0.5, 1.0]))
    settings["height"] = float(np.clip(random.normal(0.5, 0.2), 0, 1))
    settings["proportions"] = float(random.integers(2))
    for name in _names():
        stem = name.split("-")[1] if name[:2] in ("l-", "r-") else name.split("-")[0]
        if stem in _HEAD_SETTINGS:
            settings[name] = float(np.clip(random.normal(0, 0.22), -0.8, 0.8))
    for name in [name for name in settings if name.startswith("r-")]:
        twin = "l-" + name[2:]
        settings[name] = float(np.clip(0.85 * settings[twin] + 0.15 * settings[name], -1, 1))
    return settings


def directions() -> tuple[np.ndarray, np.ndarray]:
    """Polar angles (ROWS,) and angles about the vertical (COLUMNS,), radians; 0 is the face, rising to the left ear."""
    return np.linspace(0.02, 0.97 * np.pi, ROWS), np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False)


def _radii(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    polar, about = np.meshgrid(*directions(), indexing="ij")
    wanted = np.stack([np.sin(polar) * np.sin(about), np.cos(polar), np.sin(polar) * np.cos(about)], -1)
    length = np.linalg.norm(points, axis=1)
    _, near = KDTree(points / length[:, None]).query(wanted.reshape(-1, 3), 9)
    found = np.sort(length[near], 1)
    skull, outer = found[:, 5].reshape(polar.shape), found[:, 8].reshape(polar.shape)
    for _ in range(2):
        skull = (2 * skull + np.roll(skull, 1, 1) + np.roll(skull, -1, 1)) / 4
        skull[1:-1] = (2 * skull[1:-1] + skull[:-2] + skull[2:]) / 4
        outer = np.maximum(outer, 0.5 * (np.roll(outer, 1, 1) + np.roll(outer, -1, 1)))
    return skull, np.maximum(outer, skull)
