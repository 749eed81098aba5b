# SPDX-License-Identifier: Apache-2.0
"""A take from one character to another: curves by their names, head orientation exactly, bodies by what joints are for.

The head turns against the trunk exactly as in the source, whatever either neck is made of (docs/retarget.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hyoid.characters import arkit, curve_names, facs, neck, performance, skeleton_roles
from hyoid.characters.character import Character
from hyoid.characters.curve_names import Row
from hyoid.characters.skeleton_roles import Skeleton
from hyoid.characters.smpl import expression_map
from hyoid.errors import UsageError
from hyoid.geometry import rotations
from hyoid.take import CharacterReference, Source, Take

CURVES = ("arkit", "ict", "hack", "expression")
"""Names that the curves of the result may have."""
_GROUPS = {1: (8,), 2: (6, 2), 3: (3, 3, 2), 4: (2, 2, 2, 2)}
"""How many of the eight cervical joints each joint of a shorter neck stands for."""
_STILL = 1e-6
_LARYNX_SCALE = (0.5, 1.5)
_ALIASES = {
    "eye.L": ("eye.L", "left_eye_smplhf", "left_eye", "LeftEye", "eye_L"),
    "eye.R": ("eye.R", "right_eye_smplhf", "right_eye", "RightEye", "eye_R"),
    "jaw": ("jaw", "Jaw", "mixamorig:Jaw"),
}


@dataclass(frozen=True)
class Retargeted:
    """A take on its new character and what became of everything.

    Attributes:
        take: curves, joints and reference are those of the target. target: who performs it.
        curves: what became of each curve whose name changed, or that is lost.
        joints: what became of each joint that moves, in the same way.
        messages: a few plain sentences for people.
        facts: numbers of the conversion: ``larynx_scale``, ``travel_scale``, ``expression_residual_mm``.
    """

    take: Take
    target: Character
    curves: tuple[Row, ...]
    joints: tuple[Row, ...]
    messages: tuple[str, ...]
    facts: Mapping[str, float]

    def table(self) -> dict[str, Any]:
        """What became of everything, for JSON."""
        return {
            "curves": [asdict(row) for row in self.curves], "joints": [asdict(row) for row in self.joints],
            "messages": list(self.messages), "facts": dict(self.facts),
        }  # fmt: skip


def fits(take: Take, target: Character) -> bool:
    """Whether the take already speaks the target's language: every curve and every moving joint has its name there."""
    foreign = [
        name for name in take.curve_names
        if curve_names.expression_number(name) is not None or (curve_names.meaning(name) and name not in arkit.NAMES)
    ]  # fmt: skip
    moving = _moving(take)
    return set(foreign) <= set(target.shapes.names) and all(
        name in target.joint_names or name not in moving for name in take.joint_names
    )


def retarget(
    take: Take,
    target: Character,
    reference: CharacterReference,
    *,
    source: Character | None = None,
    curves: str = "arkit",
    pairs: str = "mean",
) -> Retargeted:
    """The take as ``target`` performs it.

    Args:
        reference: how the target was asked for; it becomes the character of the take.
        source: the character that the take was made for; without it joints are told by their names and limbs are
            taken to rest in a T pose.
        curves: the names that facial curves get, one of :data:`CURVES`; ``expression`` for FLAME and SMPL-X only.
        pairs: what becomes of a pair that ARKit has once: its ``mean`` or its ``max``.

    Raises:
        UsageError: the target has no expression coefficients, or ``curves`` or ``pairs`` is none of those known.
        InputError: the take has coefficients, and the source that explains them is not there.
    """
    if curves not in CURVES or pairs not in ("mean", "max"):
        raise UsageError(f"unknown names '{curves}' or pairs '{pairs}'", expected=f"one of {', '.join(CURVES)}")
    own = None if source is None else skeleton_roles.of_character(source)
    known = own is not None and {name for name in take.joint_names if name in _moving(take)} <= set(own.names)
    skeleton = own if own is not None and known else skeleton_roles.of_names(take.joint_names)
    other = skeleton_roles.of_character(target)
    facts: dict[str, float] = {}
    shown = _face(take, target, reference, source, curves, pairs, facts)
    face = _larynx(shown.curves, None if own is None else own.neck, other.neck, facts)
    rows = shown.rows
    joints = _Joints(take, skeleton, target, other)
    turns = joints.retargeted()
    if shown.jaw_taken:
        turns.pop("jaw", None)
    for name, vector in shown.driven.items():
        if name not in target.joint_names:
            continue
        before = turns.get(name, rotations.identity(take.frames).astype(float))
        turns[name] = rotations.multiply(before, rotations.from_rotation_vector(vector.astype(float)))
    scale = other.leg / own.leg if own is not None and known and own.leg and other.leg else 1.0
    if abs(scale - 1) > 1e-6:
        facts["travel_scale"] = scale
    names = [name for name in target.joint_names if name in turns]
    frames = take.frames
    stacked = np.stack([turns[name] for name in names], 1) if names else np.zeros((frames, 0, 4))
    columns = np.stack(list(face.values()), -1) if face else np.zeros((frames, 0))
    moved = replace(
        take,
        curve_names=tuple(face), curves=columns.astype(np.float32),
        joint_names=tuple(names), rotations=rotations.continuous(rotations.normalise(stacked)).astype(np.float32),
        root=(take.root * scale).astype(np.float32), points=None, keys={}, character=reference,
        provenance=_provenance(take, target, source),
    )  # fmt: skip
    messages = _messages(take, target, rows, joints.rows, facts)
    return Retargeted(moved, target, tuple(rows), tuple(joints.rows), messages, facts)


def _moving(take: Take) -> set[str]:
    """The joints that ever leave their rest."""
    turned = np.abs(take.rotations[..., 1:]).max((0, 2), initial=0) > _STILL
    return {name for name, moves in zip(take.joint_names, turned, strict=True) if moves}


@dataclass(frozen=True)
class _Face:
    """Curves by name, what became of them, rotation vectors (frames, 3) of joints that curves turned, by joint, and
    whether the source's jaw went into the curves."""

    curves: dict[str, np.ndarray]
    rows: list[Row]
    driven: dict[str, np.ndarray]
    jaw_taken: bool


def _face(
    take: Take,
    target: Character,
    reference: CharacterReference,
    source: Character | None,
    curves: str,
    pairs: str,
    facts: dict[str, float],
) -> _Face:
    """The face of a take under the names that are asked for; residuals go into ``facts``."""
    named = {name: take.curves[:, index] for index, name in enumerate(take.curve_names)}
    coefficients = [name for name in named if curve_names.expression_number(name) is not None]
    rows: list[Row] = []
    driven: dict[str, np.ndarray] = {}
    taken = False
    same_file = source is not None and source.digest == target.digest and source.name == target.name
    kept = curves == "expression" and same_file
    if coefficients and not kept:
        jaw = next(
            (take.rotations[:, take.joint_names.index(n)] for n in _ALIASES["jaw"] if n in take.joint_names), None
        )
        values = {name: named.pop(name) for name in coefficients}
        weights = expression_map.to_arkit(take.character.name, values, jaw)
        rows += [Row(f"{len(coefficients)} expression coefficients", "ARKit", "least squares")]
        named |= weights
        taken = True
    shapes = () if curves != "arkit" else target.shapes.names
    named, renamed = curve_names.to_arkit(named, shapes, pairs=pairs)
    rows += renamed
    if curves == "expression":
        if not coefficients or not kept:
            names, values = facs.expanded(tuple(named), np.stack([np.zeros(take.frames), *named.values()], -1)[:, 1:])
            named = {name: values[:, index] for index, name in enumerate(names)}
            found = expression_map.of_name(reference.name)
            facts["expression_residual_mm"] = found.residual_mm
            looks = {name: values for name, values in named.items() if name.startswith("eyeLook")}
            driven = performance.driven(target, looks)
            named, driven["jaw"] = expression_map.from_arkit(found, named, take.frames)
            rows.append(Row("ARKit", f"{len(found.names)} expression coefficients", "linear map"))
    elif curves != "arkit":
        named, split = curve_names.from_arkit(named, curves)
        rows += split
    else:
        rows += [
            Row(name, "", "the character has no such shape")
            for name in named
            if name in arkit.NAMES and np.abs(named[name]).max(initial=0) > 1e-4 and not _has(target, name)
        ]
    return _Face(named, rows, driven, taken)


def _has(character: Character, shape: str) -> bool:
    shapes = character.shapes
    if shape not in shapes.names:
        return False
    index = shapes.names.index(shape)
    eyes = any(driver.curve == shape for driver in character.drivers)
    return eyes or bool(shapes.starts[index + 1] > shapes.starts[index])


def _larynx(
    face: dict[str, np.ndarray], source: float | None, target: float | None, facts: dict[str, float]
) -> dict[str, np.ndarray]:
    """The larynx travels as far as suits the length of the neck."""
    if "larynxHeight" not in face or not source or not target or not np.abs(face["larynxHeight"]).max(initial=0):
        return face
    scale = float(np.clip(target / source, *_LARYNX_SCALE))
    facts["larynx_scale"] = scale
    return {**face, "larynxHeight": face["larynxHeight"] * np.float32(scale)}


class _Joints:
    """The rotations of a take on the joints of a target."""

    def __init__(self, take: Take, source: Skeleton, target: Character, other: Skeleton) -> None:
        self.take, self.source, self.target, self.other = take, source, target, other
        self.frames = take.frames
        self.column = {name: index for index, name in enumerate(take.joint_names)}
        self.moving = _moving(take)
        self.rows: list[Row] = []
        self.used: set[str] = set()
        self._turns: dict[str, np.ndarray] = {}

    def retargeted(self) -> dict[str, np.ndarray]:
        """(frames, 4) float64 by the target's joint names."""
        result = self._body()
        result |= self._alike(result)
        lost = sorted(self.moving - self.used)
        self.rows += [Row(name, "", "the character has no such joint") for name in lost]
        return result

    def _own(self, index: int) -> np.ndarray:
        """The rotation of a joint of the source against its parent."""
        name = self.source.names[index]
        self.used.add(name)
        if name not in self.column:
            return rotations.identity(1).astype(float)
        return rotations.normalise(self.take.rotations[:, self.column[name]].astype(float))

    def _named(self, role: str) -> tuple[int, ...]:
        """The joints of a role in the source that the take has."""
        return tuple(i for i in self.source.roles.get(role, ()) if self.source.names[i] in self.column)

    def _turn(self, role: str) -> np.ndarray:
        """The rotation of a role of the source against the world."""
        if role not in self._turns:
            above = skeleton_roles.PARENTS.get(role)
            turn = rotations.identity(1).astype(float) if above is None else self._turn(above)
            for index in self._named(role):
                turn = rotations.multiply(turn, self._own(index))
            self._turns[role] = turn
        return self._turns[role]

    def _body(self) -> dict[str, np.ndarray]:
        """Trunk, neck and limbs, each joint of the target in the order of its skeleton."""
        wanted = self._trunk()
        fixed = self._neck()
        wanted |= self._limbs()
        result: dict[str, np.ndarray] = {}
        world: dict[int, np.ndarray] = {-1: rotations.identity(1).astype(float)}
        for index, name in enumerate(self.other.names):
            above = world[self.other.parents[index]]
            local = fixed.get(index)
            if index in wanted:
                local = rotations.multiply(rotations.inverse(above), wanted[index])
            world[index] = above if local is None else rotations.multiply(above, local)
            if local is not None:
                result[name] = np.broadcast_to(local, (self.frames, 4))
        return result

    def _trunk(self) -> dict[int, np.ndarray]:
        """World rotations of hips and spine of the target; one without a spine has the chest's in its root."""
        if not (self._named("hips") or self._named("spine")):
            return {}
        hips, chest = self.other.roles.get("hips", ()), self.other.roles.get("spine", ())
        if not hips and not chest:
            self.rows += [Row(self.source.names[i], "", "the character has no trunk") for i in self._spine_moving()]
            self._turn("spine")
            return {}
        below, spine = self._named("hips"), self._named("spine")
        if not chest:
            self._say((*below, *spine), hips, "all of the trunk")
            return {hips[0]: self._turn("spine")}
        if hips:
            self._say(below, hips, "by its role")
        self._say(spine if hips else (*below, *spine), chest, "spread evenly" if len(spine) != len(chest) else "copied")
        result = {hips[0]: self._turn("hips")} if hips else {}
        own = [self._own(index) for index in spine]
        above = self._turn("hips")
        for index, turn in zip(chest, _spread(own, len(chest)), strict=True):
            result[index] = rotations.multiply(above, turn)
        return result

    def _spine_moving(self) -> list[int]:
        found = (*self._named("hips"), *self._named("spine"))
        return [i for i in found if self.source.names[i] in self.moving]

    def _neck(self) -> dict[int, np.ndarray]:
        """Rotations of the cervical joints of the target against their parents; their product is the source's."""
        there, here = self._named("neck"), self.other.roles.get("neck", ())
        if not there or not here:
            return {}
        own = [np.broadcast_to(self._own(index), (self.frames, 4)) for index in there]
        eight = [self.source.names[index] in neck.JOINTS for index in there]
        if any(eight) and not all(eight):
            own = [turn for turn, cervical in zip(own, eight, strict=True) if cervical]
        head = neck.collapse(np.stack(own, -2))
        if len(self.source.roles.get("neck", ())) == len(here):
            places = self.source.roles["neck"]
            given = dict(zip(there, own, strict=False))
            joints = [given.get(index, rotations.identity(self.frames).astype(float)) for index in places]
        else:
            if any(eight):
                order = [
                    neck.JOINTS.index(self.source.names[i]) for i, is_one in zip(there, eight, strict=True) if is_one
                ]
                cervical = rotations.identity(self.frames, 8).astype(float)
                cervical[:, order] = np.stack(own, 1)
            else:
                cervical = self._distributed(head)
            joints = _grouped(cervical, len(here))
        self._say(there, here, "copied" if len(there) == len(here) else "shared, the head exactly")
        return dict(zip(here, joints, strict=True))

    def _distributed(self, head: np.ndarray) -> np.ndarray:
        """Eight joints (frames, 8, 4) for a head rotation, in the way of the target's neck."""
        dynamics = getattr(neck, "dynamics", None)
        if dynamics is not None and self.frames > 1:
            return dynamics(self.target.neck, head, self.take.fps)
        return neck.distribute(self.target.neck, head)

    def _limbs(self) -> dict[int, np.ndarray]:
        """World rotations of the joints of arms, legs and fingers of the target."""
        result: dict[int, np.ndarray] = {}
        rest = _Rest(self.source, self.other)
        for role in skeleton_roles.PARENTS:
            there: tuple[int, ...] = self._named(role)
            here = list(self.other.roles.get(role, ()))
            if role in skeleton_roles.SPINE_ROLES or not there or not here:
                continue
            finger = len(there) > 1 and len(here) > 1 and role.split(".")[0] not in (*skeleton_roles.LIMBS, "collar")
            correction = rest.correction(role)
            turn = self._turn(skeleton_roles.PARENTS[role])
            if finger:
                for place, index in enumerate(there[: len(here)]):
                    turn = rotations.multiply(turn, self._own(index))
                    result[here[place]] = rotations.multiply(turn, correction)
            else:
                # A limb swings at its first joint; those along it follow.
                result[here[0]] = rotations.multiply(self._turn(role), correction)
            same = np.allclose(correction[1:], 0, atol=1e-6)
            self._say(there, here, "by its role" if same else "to where it points")
        return result

    def _say(self, there: Sequence[int], here: Sequence[int], how: str) -> None:
        names = [self.source.names[index] for index in there]
        if self.moving.intersection(names):
            self.rows.append(Row(" ".join(names), " ".join(self.other.names[index] for index in here), how))

    def _alike(self, done: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Joints outside the body's roles that both have, by name: jaw, eyes, tongue."""
        result = {}
        for name in self.take.joint_names:
            if name in self.used:
                continue
            target = next((key for key, known in _ALIASES.items() if name in known), name)
            if target in self.target.joint_names and target not in done:
                self.used.add(name)
                result[target] = self.take.rotations[:, self.column[name]].astype(float)
                if name in self.moving:
                    self.rows.append(Row(name, target, "copied"))
        return result


class _Rest:
    """What takes the rest pose of the target's limbs to that of the source's."""

    def __init__(self, source: Skeleton, target: Skeleton) -> None:
        self.source, self.target = source, target
        self._found: dict[str, np.ndarray] = {}

    def correction(self, role: str) -> np.ndarray:
        """(4,) float64: turn the target's limb by it, then as the source turns. Feet stand flat in both."""
        if role not in self._found:
            above = skeleton_roles.PARENTS.get(role)
            part = role.split(".")[0]
            if above is None or part in ("collar", "foot", "toe", *skeleton_roles.SPINE_ROLES):
                self._found[role] = rotations.identity().astype(float)
            else:
                self._found[role] = self._chained(role, self.correction(above))
        return self._found[role]

    def _chained(self, role: str, above: np.ndarray) -> np.ndarray:
        here, there = self.target.directions.get(role), self.source.directions.get(role)
        if here is None or there is None:
            return above
        turn = rotations.multiply(_between(rotations.rotate(above, here), there), above)
        part, _, side = role.partition(".")
        palms = (self.target.across or {}).get(side), (self.source.across or {}).get(side)
        if part != "hand" or palms[0] is None or palms[1] is None:
            return turn
        flat = [palm - there * (palm @ there) for palm in (rotations.rotate(turn, palms[0]), palms[1])]
        sizes = [float(np.linalg.norm(palm)) for palm in flat]
        return turn if min(sizes) < 0.1 else rotations.multiply(_between(flat[0] / sizes[0], flat[1] / sizes[1]), turn)


def _between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The shortest turn (4,) that takes one unit vector to another."""
    across, along = np.cross(start, end), float(start @ end)
    if along < -0.999999:
        across = np.cross(start, [1.0, 0, 0] if abs(start[0]) < 0.9 else [0, 1.0, 0])
        return np.array([0.0, *(across / np.linalg.norm(across))])
    return rotations.normalise(np.array([1 + along, *across]))


def _spread(turns: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Rotations of ``count`` joints in a row against what is below the first; the last is the product of ``turns``."""
    sums = [rotations.identity(1).astype(float)]
    for turn in turns:
        sums.append(rotations.multiply(sums[-1], turn))
    result = []
    for place in np.arange(1, count + 1) * len(turns) / count:
        whole = min(int(place), len(turns))
        part = place - whole
        if part > 1e-9:
            result.append(rotations.slerp(sums[whole], sums[whole + 1], np.array([part])))
        else:
            result.append(sums[whole])
    return result


def _grouped(cervical: np.ndarray, count: int) -> list[np.ndarray]:
    """Eight joints (frames, 8, 4) as ``count`` joints: neighbours together, the head's own motion in the last."""
    sizes = _GROUPS.get(count)
    if count == 8:
        return list(np.moveaxis(cervical, 1, 0))
    if sizes is None:
        sizes = tuple(len(part) for part in np.array_split(np.arange(8), count))
    stops = np.cumsum(sizes)
    return [
        neck.collapse(cervical[:, stop - size : stop]) if size else rotations.identity(len(cervical)).astype(float)
        for size, stop in zip(sizes, stops, strict=True)
    ]


def _provenance(take: Take, target: Character, source: Character | None) -> Any:
    """The history of the take with both characters in it: the former one as an input, the new one as the character."""
    earlier = [entry for entry in take.provenance.sources if entry.role == "character"]
    if not earlier and source is not None:
        earlier = [Source("character", source.name, source.digest, source.licence)]
    kept = [entry for entry in take.provenance.sources if entry.role != "character"]
    former = [replace(entry, role="input") for entry in earlier]
    kept += [entry for entry in former if entry not in kept]
    now = Source("character", target.name, target.digest, target.licence)
    return replace(take.provenance, sources=(*kept, now))


def _messages(
    take: Take, target: Character, curves: Sequence[Row], joints: Sequence[Row], facts: Mapping[str, float]
) -> tuple[str, ...]:
    said = []
    lost = sorted({row.source for row in curves if not row.target})
    if lost:
        said.append(f"'{target.name}' does not show {_some(lost)}")
    for start, says in (
        ("mean of both", "the mean of its two sides"),
        ("maximum of both", "the larger of its two sides"),
    ):
        merged = sorted({row.target for row in curves if row.how.startswith(start)})
        if merged:
            said.append(f"{', '.join(merged)}: {says}")
    if any(row.how.startswith("the larger of cheekRaiser") for row in curves):
        said.append("cheekRaiser: shown as cheekSquint")
    if any("coefficients" in row.target for row in curves):
        said.append(
            f"expression coefficients miss the shapes by {facts['expression_residual_mm']:.2f} mm on average; they are "
            "for programs that take the model's own parameters, Hyoid's exports play ARKit's names"
        )
    still = sorted({row.source for row in joints if not row.target})
    if still:
        said.append(f"joints that '{target.name}' does not have: {_some(still)}")
    if take.points is not None:
        said.append("the point cache stays behind: it belongs to another mesh")
    return tuple(said)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
