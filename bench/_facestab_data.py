# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""The pairs of ``bench facestab``: faces of ICT-FaceKit whose skull is known, millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hyoid.characters import ict_data
from hyoid.characters.fit import face_points
from hyoid.characters.fit.transfer import plain_mesh
from hyoid.geometry import rotations
from hyoid.geometry.rigid import Rigid
from hyoid.synthetic import expressions
from hyoid.systems.facestab import checkpoint, infer
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

MILLIMETRES = 10.0  # of a unit of the data
SKIN, FACE, NARROW = slice(0, 11_248), slice(0, 9_409), slice(0, 6_706)
TEETH = slice(17_039, 19_247)
SMOOTH, WHITE = 0.5, 0.1  # millimetres, registration noise
_NOSE_BASE, _BROWS = 33, (17, 18, 19, 20, 21, 22, 23, 24, 25, 26)  # of the 68 landmarks


@dataclass(frozen=True)
class Pairs:
    """Pairs or frames.

    Attributes:
        source, target: (n, 11248, 3) float32, the skin, with noise where there is any.
        shown: (n, 53) weights of the source's expression less those of the target's.
        clean, teeth: (n, 9409, 3) and (n, m, 3) float32, the source's face and upper teeth without noise, moved as it.
        truth: from source to target.
    """

    source: np.ndarray
    target: np.ndarray
    clean: np.ndarray
    teeth: np.ndarray
    truth: Rigid
    shown: np.ndarray

    def first(self, count: int) -> Pairs:
        """The first pairs."""
        some = slice(0, count)
        return Pairs(
            self.source[some], self.target[some], self.clean[some], self.teeth[some], self.truth[some], self.shown[some]
        )

    def face_errors(self, found: Rigid) -> np.ndarray:
        """(n,) how far the found motion takes the points of the face from where the true one does, mean."""
        return _gap(found, self.truth, self.clean)

    def errors(self, found: Rigid) -> dict[str, float]:
        """Mean, median and 95th percentile on the face; the angle; the mean on the teeth, which tells of the skull."""
        face = self.face_errors(found)
        return {
            "mean": float(face.mean()), "median": float(np.median(face)), "p95": float(np.quantile(face, 0.95)),
            "degrees": float(found.after(self.truth.inverse()).degrees().mean()),
            "skull": float(_gap(found, self.truth, self.teeth).mean()),
        }  # fmt: skip

    def before(self) -> dict[str, float]:
        """The same without any stabilisation."""
        return self.errors(Rigid(np.tile(np.eye(3), (len(self.truth), 1, 1)), np.zeros((len(self.truth), 3))))


def _gap(found: Rigid, truth: Rigid, points: np.ndarray) -> np.ndarray:
    # One rigid motion less the other is linear in the points.
    turn, shift = found.rotations - truth.rotations, found.translations - truth.translations
    return np.linalg.norm(points @ turn.transpose(0, 2, 1) + shift[:, None], axis=-1).mean(1)


@dataclass(frozen=True)
class Places:
    """The canonical points on the skin of ICT-FaceKit: see ``face_points.FacePoints``; masks of its regions.

    ``lie`` are the places of the points themselves among the ``vertices`` that they are read off, in the neutral face.
    """

    found: Any
    lie: np.ndarray
    vertices: np.ndarray
    mask: np.ndarray
    face: np.ndarray
    narrow: np.ndarray

    def of(self, vertices: np.ndarray) -> np.ndarray:
        """The points of vertices (..., V, 3)."""
        return self.found.of(vertices)

    def weights(self, name: str) -> checkpoint.Model:
        """Weights that come with Hyoid, for these points."""
        return infer.shown_on(checkpoint.load(checkpoint.find(name)), self.found, self.lie, self.vertices)


def points_on(model: ict_data.Model, rows: np.ndarray, indices: np.ndarray | None = None) -> Places:
    """The canonical points on the skin, or on some vertices of it alone (``indices``): between the nearest of them."""
    faces = model.faces[(model.faces < SKIN.stop).all(1)]
    neutral = model.neutral[SKIN]
    found = face_points.find(plain_mesh(neutral, faces), rows)
    face, narrow = (found.mask * (found.vertices < region.stop).all(1) for region in (FACE, NARROW))
    if indices is None:
        return Places(found, found.of(neutral), neutral, found.mask, face, narrow)
    known = neutral[indices]
    distances, nearest = cKDTree(known).query(found.of(neutral), 4)
    spacing = float(np.median(cKDTree(known).query(known, 2)[0][:, 1]))
    weights = np.exp(-((distances / (0.6 * spacing)) ** 2)) + 1e-12
    shares = weights / weights.sum(1, keepdims=True)
    mask = found.mask * (distances[:, 0] < spacing)
    sparse = face_points.FacePoints(nearest.astype(np.int32), shares, mask, found.distances)
    return Places(sparse, found.of(neutral), known, mask, mask, mask)


def draw(
    model: ict_data.Model, groups: dict[str, list[int]], count: int, seed: int, *, neutral: bool, noise: bool
) -> Pairs:
    """Random pairs: identity, two expressions (or the neutral and one), noise on both, a rigid motion of the source."""
    random = np.random.default_rng(seed)
    names = len(ict_data.EXPRESSIONS)
    source, target, clean, teeth, turns, shifts, weights = [], [], [], [], [], [], []
    for _ in range(count):
        person = model.neutral + np.tensordot(np.clip(random.standard_normal(100), -2, 2), model.identities, 1)
        wanted = np.zeros(names) if neutral else expressions.sample(random, groups, names)
        shown = expressions.sample(random, groups, names)
        there, here = (MILLIMETRES * (person + np.tensordot(w, model.expressions, 1)) for w in (wanted, shown))
        rotation, shift = random_motion(random)
        skins = [there[SKIN], here[SKIN]]
        if noise:
            rest = MILLIMETRES * person[SKIN]
            skins = [skin + registration_noise(random, rest) for skin in skins]
        target.append(skins[0].astype(np.float32))
        source.append((skins[1] @ rotation.T + shift).astype(np.float32))
        clean.append((here[FACE] @ rotation.T + shift).astype(np.float32))
        teeth.append((here[TEETH][::4] @ rotation.T + shift).astype(np.float32))
        turns.append(rotation.T)
        shifts.append(-rotation.T @ shift)
        weights.append(shown - wanted)
    truth = Rigid(np.stack(turns), np.stack(shifts))
    return Pairs(np.stack(source), np.stack(target), np.stack(clean), np.stack(teeth), truth, np.stack(weights))


def random_motion(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A rotation of up to 20 degrees about any axis and a translation of 30 mm, normal."""
    axis = random.standard_normal(3)
    axis *= np.radians(random.uniform(0, 20)) / np.linalg.norm(axis)
    return rotations.to_matrix(rotations.from_rotation_vector(axis)), 30 * random.standard_normal(3)


def registration_noise(random: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """(n, 3): a smooth field of 0.5 mm and white noise of 0.1 mm."""
    return expressions.smooth_noise(random, points, SMOOTH) + WHITE * random.standard_normal(points.shape)


def landmarks_of(model: ict_data.Model) -> dict[str, np.ndarray]:
    """Vertices that the rows of the table use. The oracles know the model's own shapes: no method may."""
    skin = model.neutral[SKIN]
    moved = np.linalg.norm(model.expressions[:, SKIN], axis=-1).max(0)
    face = np.arange(FACE.stop)
    front = skin[:, 2] > 0
    narrow = np.arange(NARROW.stop)
    marks = skin[list(ict_data.LANDMARKS_68), 1]
    front &= np.arange(len(skin)) < FACE.stop
    upper = np.flatnonzero(front & (skin[:, 1] > marks[_NOSE_BASE]))
    still = moved < np.quantile(moved[narrow], 0.2)
    return {
        "all skin": np.arange(SKIN.stop), "face": face, "narrow face": narrow, "upper face": upper,
        "forehead": np.flatnonzero(front & (skin[:, 1] > marks[list(_BROWS)].max())),
        "least moving fifth (oracle)": narrow[still[narrow]],
        "rigid list (oracle)": np.flatnonzero(moved < 0.02),
    }  # fmt: skip


def performance(model: ict_data.Model, frames: int, seed: int) -> Pairs:
    """A performance at 30 frames a second: smooth expressions, a head that turns up to 20 degrees, noise anew in each.

    The target is its own neutral, with noise.
    """
    random = np.random.default_rng(seed + 7)
    person = model.neutral + np.tensordot(np.clip(random.standard_normal(100), -2, 2), model.identities, 1)
    groups = expressions.groups(ict_data.EXPRESSIONS)
    keys = np.stack([expressions.sample(random, groups, len(ict_data.EXPRESSIONS)) for _ in range(frames // 10)])
    weights = gaussian_filter1d(np.repeat(keys, 10, axis=0), 4.0, axis=0, mode="nearest")
    path = gaussian_filter1d(random.standard_normal((frames, 6)), 15.0, axis=0, mode="nearest")
    path /= np.abs(path).max(0)
    turns = rotations.to_matrix(rotations.from_rotation_vector(np.radians(20) / np.sqrt(3) * path[:, :3]))
    shifts = 30 * path[:, 3:]
    rest = MILLIMETRES * person[SKIN]
    target = rest + registration_noise(random, rest)
    source, clean, teeth = [], [], []
    for frame in range(frames):
        shown = MILLIMETRES * (person + np.tensordot(weights[frame], model.expressions, 1))
        skin = shown[SKIN] + registration_noise(random, rest)
        source.append((skin @ turns[frame].T + shifts[frame]).astype(np.float32))
        clean.append((shown[FACE] @ turns[frame].T + shifts[frame]).astype(np.float32))
        teeth.append((shown[TEETH][::4] @ turns[frame].T + shifts[frame]).astype(np.float32))
    back = turns.transpose(0, 2, 1)
    truth = Rigid(back, -(back @ shifts[..., None])[..., 0])
    return Pairs(np.stack(source), target[None].astype(np.float32), np.stack(clean), np.stack(teeth), truth, weights)
