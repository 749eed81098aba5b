# SPDX-License-Identifier: Apache-2.0
"""One dressed person in one pose, ready to be drawn, with what is true of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import sparse

from hyoid.synthetic.heads import bank, pose, wear
from hyoid.synthetic.heads.shells import CLOTH, HAIR, Piece
from hyoid.synthetic.heads.styles import Look

WIDTH = 18
"""Numbers of a drawn vertex: position, normal, texture, rest, tint (3, 3, 2, 3, 3), then sky, edge, style, material."""
LANDMARKS = (
    "crown",
    "forehead",
    "nasion",
    "nose_tip",
    "lip_upper_outer",
    "lip_lower_outer",
    "chin",
    "menton",
    "throat",
    "eye_left",
    "eye_right",
    "ear_left",
    "ear_right",
)


@dataclass(frozen=True)
class Figure:
    """A person in the frame of its own model: metres, y up, root where the identity has it.

    Attributes:
        vertices: (n, 18) float32, see :data:`WIDTH`. triangles: (m, 3) uint32. runs: kind of program, first and count.
        head: (3, 3) rotation of the head, model axes. centre: (3,) middle of the head.
        bounds: (b, 3) points whose projection bounds the head. near: (k, 3) points of the head's skin and close
            hair, and
        out: (k, 3) their normals, to tell what is seen. landmarks: (K, 3). joints: (J, 3).
    """

    vertices: np.ndarray
    triangles: np.ndarray
    runs: tuple[tuple[int, int, int], ...]
    head: np.ndarray
    centre: np.ndarray
    bounds: np.ndarray
    near: np.ndarray
    out: np.ndarray
    landmarks: np.ndarray
    joints: np.ndarray
    look: Look
    size: float


def normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals (n, 3) float32 of vertices, weighted by area."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    faces = np.cross(b - a, c - a)
    flat = triangles.ravel()
    total = np.stack([np.bincount(flat, np.repeat(faces[:, axis], 3), len(points)) for axis in range(3)], 1)
    return (total / np.linalg.norm(total, axis=1, keepdims=True).clip(1e-12)).astype(np.float32)


def figure(
    look: Look, joints: dict[str, np.ndarray], root: np.ndarray, curves: dict[str, float], full: bool = False
) -> Figure:
    """A person with local joint rotations by name, a rotation (4,) of the whole, and curve weights."""
    shared, person = bank.layout(full), bank.identity(look.identity, look.held_out, full)
    rest = person.vertices.copy()
    for name, weight in curves.items():
        rows, offsets = shared.shapes[name]
        rest[rows] += np.float32(weight) * offsets
    under, neckline = _garment(full, look.garment, look.sleeves or look.garment == 3)
    world, skin = pose.transforms(person, joints, root)
    regions = wear.regions(full)
    rest_normals = mesh_normals(rest, shared)
    cloth = (np.clip(neckline / 0.03, 0, 1) * under)[:, None].astype(np.float32)
    puff = 0.004 + (0.012 if look.garment == 3 else 0.006) * np.clip(neckline / 0.12, 0, 1)[:, None]
    rest = rest + cloth * (person.loose - person.vertices + puff.astype(np.float32) * rest_normals)
    posed = skinned(rest, shared.weights, skin)
    turned = mesh_normals(posed, shared)
    names = bank.joint_names()
    parts = [_body(look, shared, posed, turned, neckline, regions)]
    body, small = _drawn(shared, curves)
    triangles = [body, small]
    kinds = [0, 1]
    head_skin, trunk_skin = skin[names.index("oc1")], skin[names.index("spine01")]
    extra = wear.pieces(look, person) + _grown(look, shared, rest, rest_normals, regions)
    extra.sort(key=lambda piece: piece.material)
    start, close, close_out = len(parts[0]), [], []
    for piece in extra:
        moved = _rigid(piece, head_skin, trunk_skin)
        out = normals(moved, piece.triangles)
        parts.append(_worn(piece, moved, out, person))
        triangles.append(piece.triangles + start)
        kinds.append(2 if piece.material == HAIR else 3)
        start += len(moved)
        if piece.close:
            high = (piece.edge > 0.3) & (piece.points[:, 1] > person.centre[1] - 0.52 * person.size)
            close.append(moved[high])
            close_out.append(out[high])
    head = world[names.index("oc1"), :3, :3]
    box = posed[shared.box]
    bounds = np.concatenate([box, *close])
    near, out = (
        np.concatenate([box[::5], *(c[::4] for c in close)]),
        np.concatenate([turned[shared.box[::5]], *(c[::4] for c in close_out)]),
    )
    marks = _landmarks(shared, posed, world[:, :3, 3])
    middle = head_skin[:, :3] @ (person.centre - [0, 0.18 * person.size, 0]) + head_skin[:, 3]
    runs = _runs(kinds, [len(rows) for rows in triangles])
    return Figure(
        np.concatenate(parts),
        np.concatenate(triangles).astype(np.uint32),
        runs,
        head,
        middle,
        bounds,
        near,
        out,
        marks,
        world[:, :3, 3],
        look,
        person.size,
    )


def skinned(rest: np.ndarray, weights: sparse.csr_matrix, skin: np.ndarray) -> np.ndarray:
    """Posed vertices (V, 3) of rest ones, weights (V, J) and transforms (J, 3, 4)."""
    mixed = (weights @ skin.reshape(len(skin), 12).astype(np.float32)).reshape(-1, 3, 4)
    return np.einsum("vij,vj->vi", mixed[:, :, :3], rest) + mixed[:, :, 3]


def mesh_normals(points: np.ndarray, shared: bank.Layout) -> np.ndarray:
    """Unit normals (V, 3) of the vertices of a layout."""
    a, b, c = (points[shared.triangles[:, corner]] for corner in range(3))
    u, v = b - a, c - a
    faces = np.stack(
        [
            u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1],
            u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2],
            u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0],
        ],
        1,
    )
    total = shared.gather @ faces
    return total / np.sqrt(np.einsum("vi,vi->v", total, total))[:, None].clip(1e-12)


def _rigid(piece: Piece, head: np.ndarray, trunk: np.ndarray) -> np.ndarray:
    on_head = piece.points @ head[:, :3].T + head[:, 3]
    if not piece.trunk.any():
        return on_head
    return on_head + piece.trunk[:, None] * (piece.points @ trunk[:, :3].T + trunk[:, 3] - on_head)


def _body(
    look: Look, shared: bank.Layout, posed: np.ndarray, turned: np.ndarray, neckline: np.ndarray, regions: dict
) -> np.ndarray:
    source = shared.source
    result = np.empty((len(source), WIDTH), np.float32)
    beard = regions[("beard", "moustache", "goatee")[look.beard_kind]] * max(look.stubble, 0.9 * (look.beard > 0))
    result[:, 0:3] = posed[source]
    result[:, 3:6] = turned[source]
    result[:, 6:8] = shared.uv
    result[:, 8:11] = shared.template[source]
    result[:, 11:14] = 0
    result[:, 14] = np.clip(shared.occlusion[source] / 0.55, 0.12, 1)
    result[:, 15] = neckline[source]
    result[:, 16] = beard[source]
    result[:, 17] = shared.material
    return result


@cache
def _triangles(full: bool, teeth: bool) -> tuple[np.ndarray, np.ndarray]:
    shared = bank.layout(full)
    kind = shared.material[shared.drawn[:, 0]]
    small = (kind != bank.SKIN) & (teeth | ((kind != bank.TEETH) & (kind != bank.TONGUE)))
    return shared.drawn[kind == bank.SKIN], shared.drawn[small]


def _runs(kinds: list[int], counts: list[int]) -> tuple[tuple[int, int, int], ...]:
    """Kind, first triangle and count of neighbours of one kind; skin is hidden by hair and cloth, so it comes late."""
    starts = np.concatenate([[0], np.cumsum(counts)]).tolist()
    runs: list[tuple[int, int, int]] = []
    for kind, first, count in zip(kinds, starts, counts, strict=False):
        if runs and runs[-1][0] == kind:
            runs[-1] = (kind, runs[-1][1], runs[-1][2] + count)
        else:
            runs.append((kind, first, count))
    return tuple(sorted(runs, key=lambda run: (2, 0, 1, 3).index(run[0])))


def _drawn(shared: bank.Layout, curves: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the skin and of small parts, without the inside of a mouth that is closed."""
    full = shared is bank.layout(True)
    return _triangles(full, any(weight > 0.04 for name, weight in curves.items() if name.startswith(("jaw", "mouth"))))


def _worn(piece: Piece, moved: np.ndarray, out: np.ndarray, person: bank.Identity) -> np.ndarray:
    result = np.empty((len(moved), WIDTH), np.float32)
    result[:, 0:3] = moved
    result[:, 3:6] = out
    result[:, 6:8] = piece.uv
    result[:, 8:11] = piece.points - person.centre
    result[:, 11:14] = piece.colour
    low = np.clip((person.centre[1] - 0.1 - piece.points[:, 1]) / 0.15, 0, 1)
    result[:, 14] = 1 - 0.5 * low
    result[:, 15] = piece.edge
    result[:, 16] = piece.style
    result[:, 17] = piece.material
    return result


def _grown(look: Look, shared: bank.Layout, rest: np.ndarray, out: np.ndarray, regions: dict) -> list[Piece]:
    """A full beard and a face mask: the skin of a region, lifted off."""
    found = []
    random = np.random.default_rng([0xA4, look.hair_seed])
    if look.beard > 0.12:
        share = regions[("beard", "moustache", "goatee")[look.beard_kind]]
        long = look.beard * 0.05
        down = np.clip((1.66 - shared.template[:, 1]) / 0.04, 0, 1)
        grow = 0.003 + 0.3 * long + 0.7 * long * down
        lifted = rest + (share * grow)[:, None] * (out * 0.8 + [0, -0.35, 0.1])
        found.append(_lifted(shared, lifted, share, look.hair_colour, HAIR, random.uniform(0.4, 1), 0.05))
    if look.mask:
        share = regions["mask"]
        lifted = rest + 0.007 * out * share[:, None]
        colour = (
            look.cloth[1]
            if random.random() < 0.4
            else np.array([[0.35, 0.55, 0.7], [0.8, 0.82, 0.84], [0.02, 0.02, 0.02]])[random.integers(3)]
        )
        found.append(_lifted(shared, lifted, share, colour, CLOTH, 0.0, 0.5))
    return found


def _lifted(
    shared: bank.Layout,
    points: np.ndarray,
    share: np.ndarray,
    colour: np.ndarray,
    material: int,
    style: float,
    least: float,
) -> Piece:
    triangles = shared.triangles[(share[shared.triangles] > least).all(1)]
    rows, local = np.unique(triangles, return_inverse=True)
    uv = shared.template[rows][:, [0, 1]] * [5.0, 4.0]
    return Piece(
        points[rows],
        local.reshape(-1, 3),
        uv,
        np.clip(share[rows] * 1.5 - 0.1, 0, 1),
        colour,
        material,
        style,
        np.zeros(len(rows)),
        False,
    )


@cache
def _wrist() -> float:
    human = bank.template()
    return float(human.heads[human.joint("wrist.L"), 0])


@cache
def _garment(full: bool, kind: int, sleeves: bool) -> tuple[np.ndarray, np.ndarray]:
    """For the rows of a layout: share that cloth may lift, and how far (metres) a row is under the neckline."""
    shared = bank.layout(full)
    x, y, z = shared.template.T
    skin = np.arange(len(x)) < shared.skin
    plane = y - (1.548 + 0.55 * (0.08 - z))  # above the line from the jugular notch to the seventh vertebra
    ring = np.hypot(x, z - 0.025) - (0.082, 0.085, 0.2, 0.08, 0.125, 0.08)[kind]
    below = np.maximum(-plane, np.minimum(ring, 1.585 - y - 0.6 * np.clip(z - 0.03, 0, 1)))
    if kind == 2:
        below = 0.05 - plane
    if kind == 4:
        below = np.minimum(below, 0.03 - plane)
    if kind in (1, 5):
        depth = 0.11 if kind == 1 else 0.06
        wedge = np.abs(x) - (y - (1.548 - depth)) * 0.55
        below = np.where((z > 0.04) & (y < 1.60), np.minimum(below, wedge), below)
    below = np.where(shared.head > 0.6, -0.05, below)
    end = _wrist() if sleeves else 0.33
    below = np.minimum(below, end - np.abs(x))
    return skin.astype(float), np.where(skin, below, -1.0).astype(np.float32)


def _landmarks(shared: bank.Layout, posed: np.ndarray, joints: np.ndarray) -> np.ndarray:
    names = bank.joint_names()
    found = []
    for name in LANDMARKS:
        if name in shared.landmarks:
            found.append(posed[shared.landmarks[name]])
        elif name.startswith("eye"):
            found.append(joints[names.index("eye.L" if name == "eye_left" else "eye.R")])
        else:
            found.append(posed[_ears(shared is bank.layout(True))[0 if name == "ear_left" else 1]])
    return np.array(found)


@cache
def _ears(full: bool) -> tuple[int, int]:
    shared = bank.layout(full)
    x = np.where(shared.head > 0.5, shared.template[:, 0], 0)
    return int(x.argmax()), int(x.argmin())
