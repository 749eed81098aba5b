# SPDX-License-Identifier: Apache-2.0
"""Pairs of expressions of made-up people, both in the frame of their skull: what stabilisation learns from.

Two sources: the bundled human (CC0), and ICT-FaceKit where its folder is given (MIT). Their shapes move no skull, so
two expressions of one identity lie as a perfect stabiliser would lay them. A network must not learn these few faces by
heart: people are mixed and bent, shapes are softened, widened, turned and weighted unevenly, and unknown motions are
added on top. Everything is millimetres on the K canonical points.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hyoid import characters
from hyoid.characters import arkit, ict_data
from hyoid.characters.fit import face_points
from hyoid.characters.fit.models import local_offsets, model_of
from hyoid.characters.fit.template import Template
from hyoid.characters.fit.transfer import plain_mesh
from hyoid.geometry.closest import Surface
from hyoid.report import SILENT, Report
from hyoid.synthetic import expressions

MILLIMETRES = 1000.0
ICT_MILLIMETRES = 10.0
ICT_SKIN = 11_248
FACE_POINTS, OTHER_POINTS = 720, 304
"""How many canonical points lie on the face, and on scalp, ears and under the jaw."""
_VARIANTS = 8  # of every shape at a time; the first is the shape as it is
_NEUTRAL = 0.3  # of all targets
_DRAWN = 4000  # expressions, to know how they differ
_WIDTHS = (6.0, 12.0, 20.0, 30.0, 45.0)  # millimetres, of all smooth fields
_REGIONS = (
    "l-cheek",
    "r-cheek",
    "chin",
    "eyebrows",
    "l-eye",
    "r-eye",
    "mouth",
    "nose",
)  # of settings that leave the skull
_MOST_REGIONS = 4
_DIRECTIONS = 24  # from which a point must be seen


@dataclass(frozen=True)
class Faces:
    """One face model on the canonical points.

    Attributes:
        name, licence: of its source. people: (N, K, 3) float32 neutrals, mixed pairwise; (1, K, 3) with ``modes``.
        modes: (M, K, 3) float32, identities of standard deviation 1, or (0, K, 3).
        regions: (R, K, 3) float32, motions of a part of the face that are no expressions, with ``region_groups``.
        shapes: (S, K, 3) float32 offsets. groups: shapes that are active together, see ``expressions.groups``.
    """

    name: str
    licence: str
    people: np.ndarray
    modes: np.ndarray
    shapes: np.ndarray
    groups: dict[str, list[int]]
    regions: np.ndarray
    region_groups: dict[str, list[int]]


def canonical_rows(template: Template, report: Report = SILENT) -> tuple[np.ndarray, np.ndarray]:
    """The canonical points: rows of the human's skin, and which of them lie on the face itself.

    Points inside mouth, nostrils and sockets are left out: a scan does not see them. The rest is spread evenly, more
    densely where the shapes move the skin.
    """
    from hyoid.systems.facestab.network import farthest

    seen = np.flatnonzero((template.head > 0.6) & _seen(template, report))
    points = MILLIMETRES * template.rest
    middle = points[template.face].mean(0)
    front = template.face & (points[:, 2] > middle[2] - 65) & (np.abs(points[:, 0]) < 72)
    inner, outer = seen[front[seen]], seen[~front[seen]]
    face = inner[farthest(points[inner], FACE_POINTS, int(points[inner, 2].argmax()))]
    square = ((points[outer, None] - points[None, face]) ** 2).sum(-1).min(1)
    chosen = []
    while len(chosen) < OTHER_POINTS:
        chosen.append(int(square.argmax()))
        square = np.minimum(square, ((points[outer] - points[outer[chosen[-1]]]) ** 2).sum(1))
    rows = np.concatenate([face, outer[chosen]]).astype(np.int32)
    return rows, np.arange(len(rows)) < FACE_POINTS


def _seen(template: Template, report: Report) -> np.ndarray:
    """Whether each row can be seen from outside: from two of some directions nothing lies before it."""
    vertices, triangles = template.rest, template.triangles
    normals = Surface(vertices, triangles).normals
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    first, second = b - a, c - a
    count = np.zeros(len(vertices), int)
    step = np.arange(_DIRECTIONS) + 0.5
    height, turn = 1 - 2 * step / _DIRECTIONS, np.pi * (1 + 5**0.5) * step
    ring = np.sqrt(1 - height**2)
    for number, direction in enumerate(np.stack([ring * np.cos(turn), height, ring * np.sin(turn)], -1)):
        report.progress(number / _DIRECTIONS, "looking which skin can be seen")
        asked = np.flatnonzero((normals @ direction > 0.3) & (template.head > 0.6))
        across = np.cross(direction, second)
        size = (first * across).sum(1)
        inverse = np.divide(1.0, size, out=np.zeros_like(size), where=np.abs(size) > 1e-14)
        for start in range(0, len(asked), 128):
            rows = asked[start : start + 128]
            gap = (vertices[rows] + 1e-4 * normals[rows])[:, None] - a
            u = (gap * across).sum(2) * inverse
            other = np.cross(gap, first)
            v = (other @ direction) * inverse
            distance = (other * second).sum(2) * inverse
            hidden = ((u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 1e-5) & (size != 0)).any(1)
            count[rows[~hidden]] += 1
    return count >= 2


def human_faces(template: Template, rows: np.ndarray, people: int, seed: int, report: Report = SILENT) -> Faces:
    """The bundled human at random identities, with its ARKit shapes (they are the same on all of them)."""
    random = np.random.default_rng(seed)
    vertices = template.rows[rows]
    knobs = model_of("human").knobs
    neutrals = []
    for number in range(people):
        report.progress(number / people, "making people")
        settings: dict[str, float] = {}
        for name, knob in knobs.items():
            low, high = knob.setting.low, knob.setting.high
            if name in ("gender", "age", "muscle", "weight"):
                settings[name] = float(random.uniform(max(low, 0.15) if name == "age" else low, high))
            elif name in ("african", "asian", "caucasian"):
                settings[name] = float(random.uniform(0, 1))
            elif name != "height" and random.random() < 0.25:
                settings[name] = float(np.clip(0.45 * random.standard_normal(), max(low, -0.9), min(high, 0.9)))
        for name in [name for name in settings if name.startswith("l-")]:
            if random.random() < 0.9:  # most of a face is even
                settings[f"r-{name[2:]}"] = settings[name]
        neutrals.append(characters.load("human", settings, part="head").vertices[vertices])
    names = [name for name in arkit.NAMES if name != "tongueOut"]
    shapes = np.stack([template.source.offsets(name)[vertices] for name in names])
    neutral = MILLIMETRES * np.stack(neutrals).astype(np.float32)
    return Faces(
        "human", "CC0-1.0", neutral, np.zeros((0, len(rows), 3), np.float32),
        (MILLIMETRES * shapes).astype(np.float32), expressions.groups(names), *_regions(rows),
    )  # fmt: skip


def _regions(rows: np.ndarray) -> tuple[np.ndarray, dict[str, list[int]]]:
    """What settings of the human do to parts of the face, per unit: broad motions of cheeks, nose, brows that an artist
    drew. As motions between two meshes they stand for all that no set of shapes has.

    Returns:
        (R, K, 3) float32 millimetres, and the settings that belong together: both sides of a cheek.
    """
    names = [name for name in model_of("human").knobs if name.startswith(_REGIONS)]
    found = np.stack([MILLIMETRES * local_offsets(f"{name}+")[rows] for name in names]).astype(np.float32)
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        groups.setdefault(name.removeprefix("l-").removeprefix("r-"), []).append(index)
    return found, groups


def ict_faces(folder: Path, rows: np.ndarray, report: Report = SILENT) -> Faces:
    """ICT-FaceKit on the canonical points.

    Raises:
        InputError: the folder holds no ICT-FaceKit.
    """
    model = ict_data.model(folder)
    skin = model.faces[(model.faces < ICT_SKIN).all(1)]
    neutral = model.neutral[:ICT_SKIN]
    found = face_points.find(plain_mesh(neutral, skin), rows, report=report)
    placement = face_points.placement_of(found, face_points.human_template().rest[rows], neutral)
    turn = ICT_MILLIMETRES * placement.move.rotation.T
    people = (found.of(neutral) @ turn)[None].astype(np.float32)
    modes, shapes = (
        np.stack([found.of(offsets[:ICT_SKIN].astype(np.float64)) @ turn for offsets in table]).astype(np.float32)
        for table in (model.identities, model.expressions)
    )
    groups = expressions.groups(ict_data.EXPRESSIONS)
    return Faces("ICT-FaceKit", "MIT", people, modes, shapes, groups, *_regions(rows))


def usual_motion(faces: Faces) -> np.ndarray:
    """(K,) float32 millimetres: the most that a shape of its groups moves each point."""
    rows = [row for group in faces.groups.values() for row in group]
    return np.sqrt((faces.shapes[rows] ** 2).sum(-1).max(0)).astype(np.float32)


def known_motions(models: list[Faces], seed: int) -> np.ndarray:
    """(M, K, 3) float32 millimetres: the directions in which the difference of two expressions lies, by their spread.

    Together they have the covariance of differences that :func:`expressions.sample` draws, equal shares of each model.
    """
    random = np.random.default_rng(seed)
    found = []
    for faces in models:
        count = len(faces.shapes)
        drawn = np.stack([expressions.sample(random, faces.groups, count) for _ in range(2 * _DRAWN)])
        drawn[:_DRAWN] *= random.random((_DRAWN, 1)) >= _NEUTRAL
        gap = drawn[_DRAWN:] - drawn[:_DRAWN]
        sizes, turns = np.linalg.eigh(gap.T @ gap / (_DRAWN * len(models)))
        mix = (turns * np.sqrt(np.maximum(sizes, 0)))[:, sizes > 1e-9].T
        found.append((mix @ faces.shapes.reshape(count, -1)).reshape(len(mix), -1, 3))
    return np.concatenate(found).astype(np.float32)


@dataclass(frozen=True)
class Strength:
    """How far the made-up faces go beyond their models.

    Attributes:
        bumps: millimetres, of unknown motions. counts: of them on the source; the target has half of each.
        regions: the most that a region of the face moves, in units of the human's settings.
        wide: how much of a shape spreads over the whole face. strange: how far shapes may go in other directions than
            the model's, 0..1. quiet: share of pairs that show the model's own shapes and nothing unknown.
        bend: millimetres, of people.
        noise: millimetres, the most that smooth registration noise has.
    """

    bumps: float = 6.0
    counts: int = 5
    regions: float = 0.8
    wide: float = 0.4
    strange: float = 0.5
    quiet: float = 0.0
    bend: float = 1.5
    noise: float = 0.9


class Pairs:
    """A stream of pairs of one face model; the same seed gives the same stream.

    Args:
        template: (K, 3) millimetres.
    """

    def __init__(self, faces: Faces, template: np.ndarray, seed: int, strength: Strength = Strength()) -> None:
        self.faces, self.strength = faces, strength
        self.template = np.asarray(template, np.float32)
        self.random = np.random.default_rng(seed)
        square = ((self.template[:, None] - self.template[None]) ** 2).sum(-1)
        self.fields = {width: np.exp(-square / (2 * width * width)) for width in _WIDTHS}
        self.refresh()

    def refresh(self) -> None:
        """Make new variants of the shapes and of the regions."""
        self.library = self._varied()
        if not self.strength.regions:
            return
        wide = self._spread(self.faces.regions, self.random.choice(_WIDTHS[2:]))
        sizes = (np.linalg.norm(moved, axis=2).max(1) for moved in (self.faces.regions, wide))
        gain = np.divide(*(np.maximum(size, 0.05) for size in sizes))
        share = self.random.random((len(wide), 1, 1), np.float32)
        self.regions = (1 - share) * self.faces.regions + share * np.minimum(gain, 4)[:, None, None] * wide

    def batch(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``count`` pairs: target and source with noise (count, K, 3) float32, in the frame of the skull; and masks.

        The motion that a stabiliser should find between them is none.
        """
        people = self._people(count)
        quiet = self.random.random(count) < self.strength.quiet
        weights = self._weights(np.tile(quiet, 2))
        weights[:count] *= (self.random.random(count) >= _NEUTRAL)[:, None]  # every third target is neutral
        moved = (weights @ self.library.reshape(len(weights[0]), -1)).reshape(2 * count, -1, 3)
        stretch = np.eye(3, dtype=np.float32) + 0.05 * self._normal(count, 3, 3)
        middle = self.template.mean(0)
        people = (people - middle) @ stretch + middle
        if self.strength.bend:
            people = people + self.strength.bend * self._field(count, 45.0, 12)
        moved = (moved.reshape(2, count, -1, 3) @ stretch).reshape(2 * count, -1, 3)
        loud = 1 - quiet[:, None, None].astype(np.float32)
        target = people + moved[:count] + 0.5 * loud * self._unknown(count) + self._noise(count)
        source = people + moved[count:] + loud * self._unknown(count) + self._noise(count)
        return target.astype(np.float32), source.astype(np.float32), self._masks(count)

    def _people(self, count: int) -> np.ndarray:
        faces = self.faces
        if len(faces.modes):
            shares = np.clip(self._normal(count, len(faces.modes)), -2, 2)
            return faces.people[0] + (shares @ faces.modes.reshape(len(faces.modes), -1)).reshape(count, -1, 3)
        one, other = (faces.people[self.random.integers(len(faces.people), size=count)] for _ in range(2))
        people = other + self.random.random((count, 1, 1), np.float32) * (one - other)
        return people - people.mean(1, keepdims=True) + self.template.mean(0)

    def _weights(self, quiet: np.ndarray) -> np.ndarray:
        """(n, shapes * variants) float32: an expression each, each group in one of its variants, the first if quiet."""
        variants, shapes = self.library.shape[1], len(self.faces.shapes)
        weights = np.zeros((len(quiet), shapes, variants), np.float32)
        for row in range(len(quiet)):
            one = expressions.sample(self.random, self.faces.groups, shapes) * self.random.uniform(0.7, 1.5)
            for rows in self.faces.groups.values():
                weights[row, rows, 0 if quiet[row] else self.random.integers(variants)] = one[rows]
        return weights.reshape(len(quiet), -1)

    def _varied(self) -> np.ndarray:
        """(shapes, variants, K, 3) float32: the shapes, and softened, widened, uneven, turned ones."""
        shapes = self.faces.shapes
        count = len(shapes)
        largest = np.linalg.norm(shapes, axis=2).max(1)
        found = [shapes]
        for _ in range(_VARIANTS - 1):
            soft = self._spread(shapes, self.random.choice(_WIDTHS[:3]))
            gain = np.clip(largest / np.maximum(np.linalg.norm(soft, axis=2).max(1), 0.1), 1, 1.6)[:, None, None]
            share = self.random.random((count, 1, 1), np.float32)
            one = (1 - share) * shapes + share * gain * soft
            if self.strength.wide:
                wide = self._spread(one, self.random.choice(_WIDTHS[3:]))
                size = np.linalg.norm(one, axis=2).max(1) / np.maximum(np.linalg.norm(wide, axis=2).max(1), 0.05)
                amount = self.strength.wide * self.random.random(count) * (self.random.random(count) < 0.6)
                one = one + (np.minimum(size, 8) * amount)[:, None, None].astype(np.float32) * wide
            centres = self.random.integers(len(self.template), size=(count, 6))
            uneven = np.einsum("ksn,sn->sk", self.fields[30.0][:, centres], 0.45 * self._normal(count, 6))
            one = one * (1 + np.clip(uneven, -0.8, 1.0))[..., None]
            if self.strength.strange:
                size = np.linalg.norm(one, axis=2, keepdims=True)
                other = self._field(count, 30.0, 12)
                other /= np.maximum(np.linalg.norm(other, axis=2, keepdims=True), 1e-6)
                one = one + self.strength.strange * self.random.random((count, 1, 1), np.float32) * (size * other - one)
            turned = one + np.cross(np.broadcast_to(0.2 * self._normal(count, 1, 3), one.shape), one)
            length = np.linalg.norm(turned, axis=2, keepdims=True)
            one = turned * (np.linalg.norm(one, axis=2, keepdims=True) / np.maximum(length, 1e-6))
            found.append(one * (0.6 + 0.9 * self.random.random((count, 1, 1), np.float32)))
        return np.stack(found, 1).astype(np.float32)

    def _spread(self, shapes: np.ndarray, width: float) -> np.ndarray:
        field = self.fields[float(width)]
        mix = field / field.sum(1, keepdims=True)
        return (mix @ shapes.transpose(1, 0, 2).reshape(len(mix), -1)).reshape(len(mix), -1, 3).transpose(1, 0, 2)

    def _unknown(self, count: int) -> np.ndarray:
        """Motions that no model has: regions of the face, and Gaussians of skin that go anywhere."""
        total = self._moved_regions(count) if self.strength.regions else 0
        return total + self._bumps(count)

    def _moved_regions(self, count: int) -> np.ndarray:
        regions, names = self.regions, list(self.faces.region_groups.values())
        weights = np.zeros((count, len(regions)), np.float32)
        for row in range(count):
            for group in self.random.choice(len(names), self.random.integers(0, _MOST_REGIONS + 1), replace=False):
                amount = self.strength.regions * self.random.uniform(-1, 1)
                even = self.random.random() < 0.7
                for index in names[group]:
                    weights[row, index] = amount if even else self.strength.regions * self.random.uniform(-1, 1)
        return (weights @ regions.reshape(len(regions), -1)).reshape(count, -1, 3)

    def _bumps(self, count: int) -> np.ndarray:
        total = np.zeros((count, len(self.template), 3), np.float32)
        for _ in range(self.strength.counts):
            field = self.fields[float(self.random.choice(_WIDTHS[1:]))]
            size = self.strength.bumps * self.random.random((count, 1), np.float32)
            push = size * self._normal(count, 3) * (self.random.random((count, 1)) < 0.6)
            total += field[self.random.integers(len(field), size=count)][..., None] * push[:, None]
        return total

    def _noise(self, count: int) -> np.ndarray:
        """What registration leaves: a smooth field and a little white noise, up to ``strength.noise``."""
        field = self._field(count, 20.0, 64)
        field /= np.sqrt((field**2).sum(2).mean(1))[:, None, None]
        amount = self.strength.noise * self.random.random((count, 1, 1), np.float32)
        return amount * (field + 0.2 * self._normal(count, len(self.template), 3))

    def _field(self, count: int, width: float, kernels: int) -> np.ndarray:
        centres = self.random.integers(len(self.template), size=kernels)
        pushes = self._normal(kernels, count * 3)
        field = self.fields[width][:, centres] @ pushes
        return field.reshape(len(field), count, 3).transpose(1, 0, 2)

    def _masks(self, count: int) -> np.ndarray:
        """(count, K) float32: the whole head, the face alone, cut more or less narrowly, a part of it, a hole in it."""
        core = np.arange(len(self.template)) < FACE_POINTS
        masks = np.ones((count, len(core)), np.float32)
        middle = self.template.mean(0)
        x, y = np.abs(self.template[:, 0]), self.template[:, 1]
        top, bottom = y[core].max(), y[core].min()
        for row in range(count):
            if self.random.random() < 0.7:
                masks[row] = core
                if self.random.random() < 0.8:  # from the hairline to the brows, from the ears to the cheeks
                    cut = top - self.random.uniform(0, 75), bottom + self.random.uniform(0, 25)
                    masks[row] *= (y < cut[0]) & (y > cut[1]) & (x < self.random.uniform(58, 76))
            if self.random.random() < 0.25:
                height = (self.template - middle) @ self._normal(3)
                masks[row] *= height > np.quantile(height, self.random.uniform(0, 0.35))
            if self.random.random() < 0.2:
                near = self.fields[20.0][self.random.integers(len(core))]
                masks[row] *= near < np.exp(-(self.random.uniform(10, 35) ** 2) / 800)
        return masks

    def _normal(self, *shape: int) -> np.ndarray:
        return self.random.standard_normal(shape, np.float32)
