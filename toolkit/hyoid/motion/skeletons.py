# SPDX-License-Identifier: Apache-2.0
"""Any skeleton by rest positions, parents and roles: forward kinematics, its seventeen landmarks, its legs, bone axes.

Rest is +Y up, looking along +Z, left at +X. Rotations are relative to the parent and to rest, in axes that are parallel
to the world's at rest, as in a take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hyoid.errors import InputError
from hyoid.geometry import rotations as turns

NEEDED: tuple[str, ...] = (
    "hips", "neck", *(f"{part}.{side}" for side in "LR" for part in ("arm", "forearm", "hand", "thigh", "shin", "foot"))
)  # fmt: skip
_BODY = ("hips", "spine", "neck", "collar", "arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
_HEAD_TOP = 0.12  # metres above the last joint of the neck for a body of _HEIGHT
_HEIGHT = 1.7
_HEEL_BACK = 0.35  # of the way from ankle to ball, behind the ankle
_FOOT_LENGTH = 0.075  # ankle to ball as a share of body height, for skeletons without toes


@dataclass(frozen=True)
class Skeleton:
    """A tree of joints at rest.

    Attributes:
        names: (J,). parents: (J,) int, -1 for the root, parents before children. rest: (J, 3) metres.
        roles: joints of each role from the trunk outwards: ``hips``, ``spine``, ``neck`` (its last joint carries the
            head), ``collar.L``, ``arm.L``, ``forearm.L``, ``hand.L``, ``thigh.L``, ``shin.L``, ``foot.L``, ``toe.L``
            and the same with ``.R``; spine, collars and toes may be missing.
        tall: metres from the lowest to the highest joint at rest, of those too that :func:`of_body` left out; None
            takes them from ``rest``.
    """

    names: tuple[str, ...]
    parents: np.ndarray
    rest: np.ndarray
    roles: Mapping[str, tuple[int, ...]]
    tall: float | None = None

    def __post_init__(self) -> None:
        parents = np.asarray(self.parents)
        if self.rest.shape != (len(parents), 3) or not np.isfinite(self.rest).all():
            raise InputError(f"rest positions have the shape {self.rest.shape}", expected="one finite place a joint")
        late = np.flatnonzero(parents >= np.arange(len(parents)))
        if len(late):
            raise InputError(f"joint '{self.names[late[0]]}' comes before its parent", expected="parents first")
        missing = [role for role in NEEDED if not self.roles.get(role)]
        if missing:
            raise InputError(
                f"the skeleton has no joint for '{missing[0]}'", expected="the roles of a human body",
                hint="Name the joint in a bone map",
            )  # fmt: skip

    def first(self, role: str) -> int:
        """The joint in which a role begins."""
        return self.roles[role][0]


@dataclass(frozen=True)
class Pose:
    """Joint rotations over time.

    Attributes:
        rotations: (F, J, 4) float64 unit quaternions, relative to parent and rest. root: (F, 3) metres, translation of
            the root joints from rest.
    """

    rotations: np.ndarray
    root: np.ndarray


def of_body(skeleton: Skeleton) -> tuple[Skeleton, np.ndarray]:
    """The skeleton of trunk, neck and limbs alone, and the numbers (n,) of its joints in the whole one.

    Fingers and the face keep still against their parents in a body of which joints are all that is known, and most
    joints are theirs: without them work takes a third of the memory.
    """
    roles = {role: members for role, members in skeleton.roles.items() if role.split(".")[0] in _BODY}
    order = sorted(_carriers(skeleton, (joint for members in roles.values() for joint in members)))
    at = {joint: place for place, joint in enumerate(order)}
    parents = np.array([at.get(int(skeleton.parents[joint]), -1) for joint in order])
    tall = float(np.ptp(skeleton.rest[:, 1])) if skeleton.tall is None else skeleton.tall
    roles = {role: tuple(at[joint] for joint in members) for role, members in roles.items()}
    names = tuple(skeleton.names[joint] for joint in order)
    return Skeleton(names, parents, skeleton.rest[order], roles, tall), np.array(order)


def _carriers(skeleton: Skeleton, joints: Iterable[int]) -> set[int]:
    """The joints and all that they hang on."""
    needed: set[int] = set()
    for joint in joints:
        while joint >= 0 and joint not in needed:
            needed.add(joint)
            joint = int(skeleton.parents[joint])
    return needed


def forward(skeleton: Skeleton, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Places (F, J, 3) metres and rotations (F, J, 4) of all joints in the world."""
    return _forward(skeleton.parents, skeleton.rest, pose.rotations, pose.root)


def places_of(skeleton: Skeleton, pose: Pose, joints: Sequence[int]) -> np.ndarray:
    """Places (F, n, 3) metres of some joints in the world; see :func:`forward_of`."""
    return forward_of(skeleton, pose, joints)[0]


def forward_of(skeleton: Skeleton, pose: Pose, joints: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Places (F, n, 3) metres and rotations (F, n, 4) of some joints in the world.

    Joints that they do not hang on are left out of the work.
    """
    order = sorted(_carriers(skeleton, joints))
    at = {joint: place for place, joint in enumerate(order)}
    parents = [at.get(skeleton.parents[joint], -1) for joint in order]
    places, world = _forward(parents, skeleton.rest[order], pose.rotations[:, order], pose.root)
    wanted = [at[joint] for joint in joints]
    return places[:, wanted], world[:, wanted]


def _forward(
    parents: Sequence[int] | np.ndarray, rest: np.ndarray, rotations: np.ndarray, root: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`forward`; parents stand before their children."""
    frames, joints = rotations.shape[:2]
    places, world = np.empty((frames, joints, 3)), np.empty((frames, joints, 4))
    for joint, parent in enumerate(parents):
        if parent < 0:
            world[:, joint] = rotations[:, joint]
            places[:, joint] = rest[joint] + root
        else:
            world[:, joint] = turns.multiply(world[:, parent], rotations[:, joint])
            places[:, joint] = places[:, parent] + turns.rotate(world[:, parent], rest[joint] - rest[parent])
    return places, world


def local(skeleton: Skeleton, world: np.ndarray) -> np.ndarray:
    """Rotations (F, J, 4) against the parents of rotations (F, J, 4) in the world."""
    result = np.empty(world.shape)
    for joint, parent in enumerate(skeleton.parents):
        own = world[:, joint]
        result[:, joint] = turns.normalise(own if parent < 0 else turns.multiply(turns.inverse(world[:, parent]), own))
    return result


def to_bone_axes(quaternions: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Rotations (..., J, 4) told in each bone's own rest axes, the columns of ``axes`` (J, 3, 3): ``A^T R A``.

    This is what an armature keeps for a pose whose rest matrices have these rotation parts.
    """
    return np.concatenate([quaternions[..., :1], np.einsum("...ji,jik->...jk", quaternions[..., 1:], axes)], -1)


def from_bone_axes(quaternions: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """The way back of :func:`to_bone_axes`."""
    return to_bone_axes(quaternions, np.swapaxes(axes, -1, -2))


def root_to_bone_axes(offsets: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Translations (..., 3) from rest told in the rest axes (3, 3) of the root bone."""
    return np.asarray(offsets) @ axes


def landmarks(skeleton: Skeleton) -> np.ndarray:
    """(17, 3) rest places of the body joints of :data:`hyoid.geometry.human36m.NAMES`, metres.

    The spine point is half-way along the joints from pelvis to neck; the neck point is the joint that carries the head.
    """
    rest, first = skeleton.rest, skeleton.first
    result = np.empty((17, 3))
    for start, side in ((1, "R"), (4, "L")):
        result[start : start + 3] = rest[[first(f"{part}.{side}") for part in ("thigh", "shin", "foot")]]
    for start, side in ((11, "L"), (14, "R")):
        result[start : start + 3] = rest[[first(f"{part}.{side}") for part in ("arm", "forearm", "hand")]]
    result[0] = (result[1] + result[4]) / 2
    neck = rest[list(skeleton.roles["neck"])]
    result[8], result[9] = neck[0], neck[-1]
    chain = np.vstack([result[:1], rest[list(skeleton.roles.get("spine", ()))], neck[:1]])
    result[7] = _half_way(chain)
    up = neck[-1] - neck[0]
    up = up / np.linalg.norm(up) if np.linalg.norm(up) > 1e-6 else np.array([0.0, 1.0, 0.0])
    tall = np.ptp(rest[:, 1]) if skeleton.tall is None else skeleton.tall
    result[10] = neck[-1] + up * _HEAD_TOP * tall / (_HEIGHT * 0.9)
    return result


def _half_way(chain: np.ndarray) -> np.ndarray:
    steps = np.linalg.norm(np.diff(chain, axis=0), axis=-1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    return np.array([np.interp(along[-1] / 2, along, chain[:, axis]) for axis in range(3)])


@dataclass(frozen=True)
class Leg:
    """A leg and the sole below it.

    Attributes:
        thigh, shin, foot: joints. toe: joint, or -1.
        sole: (2, 3) metres: heel and ball on the ground, from the ankle, in rest axes. hinge: (3,) axis at rest about
            which the shin bends back.
    """

    thigh: int
    shin: int
    foot: int
    toe: int
    sole: np.ndarray
    hinge: np.ndarray


def floor(skeleton: Skeleton) -> float:
    """Height of the sole at rest, metres: a little below the lowest ankle or toe."""
    rest = skeleton.rest
    ankles = [skeleton.first(f"foot.{side}") for side in "LR"]
    below = [*ankles, *(joint for side in "LR" for joint in skeleton.roles.get(f"toe.{side}", ()))]
    lowest = float(rest[below, 1].min())
    stature = float(rest[skeleton.roles["neck"][-1], 1] - lowest) / 0.87
    # With toes the lowest joint is the ball of the foot, otherwise the ankle.
    return lowest - (0.012 if len(below) > 2 else 0.045) * stature


def legs(skeleton: Skeleton) -> tuple[Leg, Leg]:
    """The left and the right leg."""
    ground = floor(skeleton)
    result = []
    for side in "LR":
        thigh, shin, foot = (skeleton.first(f"{part}.{side}") for part in ("thigh", "shin", "foot"))
        toes = skeleton.roles.get(f"toe.{side}", ())
        ankle = skeleton.rest[foot]
        stature = float(skeleton.rest[skeleton.roles["neck"][-1], 1] - ground) / 0.88
        ball = skeleton.rest[toes[0]] - ankle if toes else np.array([0.0, 0.0, _FOOT_LENGTH * stature])
        sole = np.array([-_HEEL_BACK * ball, ball])
        sole[:, 1] = ground - ankle[1]
        upper, lower = skeleton.rest[shin] - skeleton.rest[thigh], ankle - skeleton.rest[shin]
        result.append(Leg(thigh, shin, foot, toes[0] if toes else -1, sole, hinge(upper, lower, backwards=True)))
    return result[0], result[1]


def hinge(upper: np.ndarray, lower: np.ndarray, *, backwards: bool) -> np.ndarray:
    """(3,) unit axis at rest about which a limb bends: elbows bring the hand forward, knees the foot backwards.

    A limb that is clearly bent at rest tells its own axis; a straight one gets the one of anatomy.
    """
    upper, lower = upper / np.linalg.norm(upper), lower / np.linalg.norm(lower)
    expected = np.cross(upper, [0.0, 0.0, -1.0 if backwards else 1.0])
    expected /= max(float(np.linalg.norm(expected)), 1e-9)
    own = np.cross(upper, lower)
    size = float(np.linalg.norm(own))
    if size > np.sin(np.radians(8)) and own @ expected > 0.5 * size:
        return own / size
    across = expected - (expected @ upper) * upper
    return across / max(float(np.linalg.norm(across)), 1e-9)
