# SPDX-License-Identifier: Apache-2.0
"""Seventeen joints in the world to rotations of any skeleton: frames for the trunk, swing and twist for limbs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter1d

from hyoid.geometry import rotations as turns
from hyoid.motion import bones, skeletons
from hyoid.motion.skeletons import Pose, Skeleton

FOOT_LEVEL = 0.5
"""How far a foot, of which seventeen joints say nothing, is level rather than at right angles to the shin."""
_STRAIGHT, _BENT = 0.12, 0.4  # sine of the bend below which, and above which, it tells nothing or all about the twist
_TWIST_MEMORY = 0.25  # seconds over which a straight limb keeps the twist it had when it was bent
_COLLAR_RANGE = np.radians(40.0)
_UP = np.array([0.0, 1.0, 0.0])
_HANGING = 0.75  # cosine to straight down of an upper arm that hangs
_HANGS_OFTEN = 0.05  # share of frames
_Y_FIRST, _X_FIRST = "y", "x"

Shares = Callable[[np.ndarray], np.ndarray]
"""Rotations (F, n, 4) of the n joints of the neck for a rotation (F, 4) of the head against the trunk."""


def from_joints(
    skeleton: Skeleton,
    joints: np.ndarray,
    *,
    fps: float = 30.0,
    landmarks: np.ndarray | None = None,
    head: np.ndarray | None = None,
    neck_shares: Shares | None = None,
) -> Pose:
    """The pose of a skeleton whose bones point as the joints do, its hips at the joints' pelvis.

    The pelvis follows the hips and the lower spine, the chest the upper spine and the shoulders, the joints of the
    spine lie evenly between them. Limbs swing to their direction; the plane of a bent elbow or knee gives the twist.
    Collars bring the shoulders to their places.

    Args:
        joints: (F, 17, 3) metres, world (+Y up).
        fps: frames a second, for how long a straight limb remembers its twist.
        landmarks: (17, 3) where the joints lie in the skeleton at rest; None for :func:`skeletons.landmarks`.
        head: (F, 4) rotation of the head in the world against rest, from a head pose system; None takes neck and head
            joints, which tell a turn only if the neck joint is the nose.
        neck_shares: shares the head's rotation out over the joints of the neck; None shares it evenly.

    Raises:
        InputError: joints of another shape or with numbers that are not finite.
    """
    joints = bones.checked(joints)
    marks = skeletons.landmarks(skeleton) if landmarks is None else np.asarray(landmarks, np.float64)
    roles, frames = skeleton.roles, len(joints)
    world = np.full((frames, len(skeleton.parents), 4), np.nan)
    pelvis = _relative(_frame(joints, 4, 1, 7, 0, _X_FIRST), _frame(marks[None], 4, 1, 7, 0, _X_FIRST))
    chest = _relative(_frame(joints, 11, 14, 8, 7, _Y_FIRST), _frame(marks[None], 11, 14, 8, 7, _Y_FIRST))
    for joint in roles["hips"]:
        world[:, joint] = pelvis
    spine = roles.get("spine", ())
    for place, joint in enumerate(spine, 1):
        world[:, joint] = turns.slerp(pelvis, chest, np.full(frames, place / len(spine)))
    trunk = chest if spine else pelvis
    turned = _head(joints, marks, trunk) if head is None else turns.normalise(np.asarray(head, np.float64))
    _neck(world, roles["neck"], trunk, turned, neck_shares)
    _limbs(world, skeleton, joints, marks, trunk, pelvis, fps, foreign=landmarks is None)
    _rest_of(world, skeleton)
    posed = Pose(turns.continuous(skeletons.local(skeleton, world)), np.zeros((frames, 3)))
    hips = skeletons.places_of(skeleton, posed, [skeleton.first("thigh.L"), skeleton.first("thigh.R")]).mean(1)
    return Pose(posed.rotations, joints[:, 0] - hips)


def _frame(joints: np.ndarray, left: int, right: int, top: int, bottom: int, first: str) -> np.ndarray:
    """(F, 4) axes with x to the left and y upwards of a part of the trunk; ``first`` is kept exactly.

    Where the two directions coincide the frame is that of the nearest frame in which they do not.
    """
    across, up = joints[:, left] - joints[:, right], joints[:, top] - joints[:, bottom]
    normal = np.cross(across, up)
    size = np.linalg.norm(normal, axis=-1)
    bounds = np.linalg.norm(across, axis=-1) * np.linalg.norm(up, axis=-1)
    good = size > 1e-3 * np.maximum(bounds, 1e-9)
    z = normal / np.where(good, size, 1.0)[:, None]
    if first == _X_FIRST:
        x = across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9)
        y = np.cross(z, x)
    else:
        y = up / np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-9)
        x = np.cross(y, z)
    axes = np.stack([x, y, z], -1)
    if not good.any():
        return np.broadcast_to(turns.IDENTITY.astype(float), (len(joints), 4)).copy()
    return turns.from_matrix(axes[_nearest(good)])


def _nearest(good: np.ndarray) -> np.ndarray:
    """(F,) for each frame the nearest one that is good."""
    places = np.flatnonzero(good)
    frames = np.arange(len(good))
    after = np.clip(np.searchsorted(places, frames), 0, len(places) - 1)
    before = np.maximum(after - 1, 0)
    closer = np.abs(places[before] - frames) < np.abs(places[after] - frames)
    return np.where(closer, places[before], places[after])


def _relative(posed: np.ndarray, rest: np.ndarray) -> np.ndarray:
    return turns.multiply(posed, turns.inverse(rest))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) of length 1; zero becomes +Y."""
    size = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(size > 1e-9, vectors / np.maximum(size, 1e-9), _UP)


def swing(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The shortest rotations (..., 4) from unit vectors (..., 3) to others; half turns go about some axis across."""
    start, end = np.broadcast_arrays(np.asarray(start, np.float64), np.asarray(end, np.float64))
    cosine = np.sum(start * end, -1, keepdims=True)
    quaternion = np.concatenate([1 + cosine, np.cross(start, end)], -1)
    other = np.where(np.abs(start[..., :1]) < 0.8, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    half = np.concatenate([np.zeros_like(cosine), unit(np.cross(start, other))], -1)
    return turns.normalise(np.where(cosine < -1 + 1e-12, half, quaternion))


def about(axes: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotations (..., 4) about unit axes (..., 3), each by its own angle (...)."""
    half = np.asarray(angles)[..., None] / 2
    return np.concatenate([np.cos(half), np.sin(half) * axes], -1)


def direction(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Angles ``arctan2(y, x)``, the same to the last bit wherever the arrays lie in memory.

    NumPy takes another, less exact way for views with gaps when its result happens to lie right behind them.
    """
    return np.arctan2(np.ascontiguousarray(y), np.ascontiguousarray(x))


def smooth_step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between."""
    share = np.clip((np.asarray(values) - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def _head(joints: np.ndarray, marks: np.ndarray, trunk: np.ndarray) -> np.ndarray:
    """(F, 4) the head in the world: as the top of the head lies above the neck joint, turned to where the nose is."""
    up, rest_up = unit(joints[:, 10] - joints[:, 9]), unit(marks[10] - marks[9])
    swung = turns.multiply(swing(turns.rotate(trunk, rest_up), up), trunk)
    nose, rest_nose = _off_line(joints), _off_line(marks[None])[0]
    seen = np.linalg.norm(nose, axis=-1) / np.maximum(np.linalg.norm(joints[:, 10] - joints[:, 8], axis=-1), 1e-9)
    at_rest = float(np.linalg.norm(rest_nose) / max(float(np.linalg.norm(marks[10] - marks[8])), 1e-9))
    trust = smooth_step(seen, 0.08, 0.2) * smooth_step(np.array(at_rest), 0.08, 0.2)
    return turns.multiply(about(up, trust * _angle(up, turns.rotate(swung, rest_nose), nose)), swung)


def _off_line(joints: np.ndarray) -> np.ndarray:
    """(F, 3) how far the neck joint lies off the line from thorax to the top of the head."""
    line = unit(joints[:, 10] - joints[:, 8])
    arm = joints[:, 9] - joints[:, 8]
    return arm - np.sum(arm * line, -1, keepdims=True) * line


def _angle(axis: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(F,) signed angles about unit axes (F, 3) from one direction to another, both seen along the axis."""
    start = start - np.sum(start * axis, -1, keepdims=True) * axis
    end = end - np.sum(end * axis, -1, keepdims=True) * axis
    return np.arctan2(np.sum(axis * np.cross(start, end), -1), np.sum(start * end, -1))


def _neck(
    world: np.ndarray, joints: tuple[int, ...], trunk: np.ndarray, head: np.ndarray, shares: Shares | None
) -> None:
    """Fills the joints of the neck: their product from the trunk on is the head."""
    against = _relative_to(trunk, head)
    if shares is not None:
        parts = shares(against)
    else:
        part = turns.from_rotation_vector(turns.to_rotation_vector(against) / len(joints))
        parts = np.repeat(part[:, None], len(joints), 1)
    current = trunk
    for place, joint in enumerate(joints):
        current = turns.multiply(current, parts[:, place])
        world[:, joint] = current


def _relative_to(parent: np.ndarray, child: np.ndarray) -> np.ndarray:
    return turns.multiply(turns.inverse(parent), child)


def _limbs(
    world: np.ndarray,
    skeleton: Skeleton,
    joints: np.ndarray,
    marks: np.ndarray,
    chest: np.ndarray,
    pelvis: np.ndarray,
    fps: float,
    foreign: bool,
) -> None:
    limbs = [
        (parent, parts, side, start)
        for parent, parts, starts in (
            (chest, ("arm", "forearm", "hand"), {"L": 11, "R": 14}),
            (pelvis, ("thigh", "shin", "foot"), {"L": 4, "R": 1}),
        )
        for side, start in starts.items()
    ]
    rest = skeleton.rest
    for parent, parts, side, start in limbs:
        upper, lower, end = (skeleton.first(f"{part}.{side}") for part in parts)
        leg = parts[0] == "thigh"
        bones_rest = rest[lower] - rest[upper], rest[end] - rest[lower]
        axis = skeletons.hinge(*bones_rest, backwards=leg)
        posed = joints[:, start + 1] - joints[:, start], joints[:, start + 2] - joints[:, start + 1]
        if not leg:
            parent = _collar(world, skeleton, joints, marks, chest, side, start, foreign)
        turned = _limb(parent, bones_rest, posed, axis, fps, leg)
        for part, turn in zip(parts[:2], turned, strict=True):
            for joint in skeleton.roles[f"{part}.{side}"]:
                world[:, joint] = turn
        if leg:
            level = _level(turned[1])
            world[:, end] = turns.slerp(turned[1], level, np.full(len(level), FOOT_LEVEL))


def _collar(
    world: np.ndarray,
    skeleton: Skeleton,
    joints: np.ndarray,
    marks: np.ndarray,
    chest: np.ndarray,
    side: str,
    shoulder: int,
    foreign: bool,
) -> np.ndarray:
    """(F, 4) what carries the upper arm: the collar, swung to the shoulder as far as one goes, or the chest."""
    collars = skeleton.roles.get(f"collar.{side}", ())
    if not collars:
        return chest
    base = skeleton.rest[collars[0]]
    rest = turns.rotate(chest, marks[shoulder] - base)
    posed = joints[:, shoulder] - joints[:, 8] - turns.rotate(chest, base - marks[8])
    if foreign:  # where the joints lie in the skeleton is not known for sure
        arm = unit(joints[:, shoulder + 1] - joints[:, shoulder])
        posed = turns.rotate(chest, _at_ease(chest, posed, arm, marks[shoulder] - base))
    vector = turns.to_rotation_vector(swing(unit(rest), unit(posed)))
    size = np.linalg.norm(vector, axis=-1, keepdims=True)
    vector = vector * np.minimum(1, _COLLAR_RANGE / np.maximum(size, 1e-9))
    turned = turns.multiply(turns.from_rotation_vector(vector), chest)
    for collar in collars:
        world[:, collar] = turned
    return turned


def _at_ease(chest: np.ndarray, posed: np.ndarray, arm: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(F, 3) ways from collar to shoulder in the frame of the chest, turned so that they are at rest while arms hang.

    Where a shoulder sits between neck and chest differs from body to body and from detector to detector; people who
    let their arms hang do not shrug.
    """
    local = turns.rotate(turns.inverse(chest), posed)
    hangs = (turns.rotate(turns.inverse(chest), arm) @ _UP) < -_HANGING
    if hangs.sum() < max(3, _HANGS_OFTEN * len(arm)):
        return local
    usual = unit(np.median(unit(local[hangs]), axis=0)[None])
    return turns.rotate(swing(usual, unit(rest[None])), local)


def _limb(
    parent: np.ndarray,
    rest: tuple[np.ndarray, np.ndarray],
    posed: tuple[np.ndarray, np.ndarray],
    axis: np.ndarray,
    fps: float,
    leg: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (F, 4) of the upper and the lower half of a limb."""
    upper, lower = unit(posed[0]), unit(posed[1])
    plain = turns.multiply(swing(turns.rotate(parent, unit(rest[0])), upper), parent)
    bend = np.cross(upper, lower)
    twist = _angle(upper, turns.rotate(plain, axis), bend)
    trust = smooth_step(np.linalg.norm(bend, axis=-1), _STRAIGHT, _BENT)
    if leg:
        # A knee that seems to bend forward is noise: the plane is believed only while the knee points to the front.
        trust = trust * smooth_step(np.cos(twist), -0.2, 0.3)
    arrow = gaussian_filter1d(trust * np.exp(1j * twist), _TWIST_MEMORY * fps, mode="nearest")
    remembered = direction(arrow.imag, arrow.real + 0.02)
    gap = (twist - remembered + np.pi) % (2 * np.pi) - np.pi
    first = turns.multiply(about(upper, remembered + trust * gap), plain)
    second = turns.multiply(swing(turns.rotate(first, unit(rest[1])), lower), first)
    return first, second


def _level(shin: np.ndarray) -> np.ndarray:
    """(F, 4) a foot flat on the ground that looks where the shin's hinge says."""
    across = turns.rotate(shin, np.array([1.0, 0.0, 0.0]))
    across = across * [1.0, 0.0, 1.0]
    across = unit(np.where(np.linalg.norm(across, axis=-1, keepdims=True) > 1e-6, across, [1.0, 0.0, 0.0]))
    up = np.broadcast_to(_UP, across.shape)
    return turns.from_matrix(np.stack([across, up, np.cross(across, up)], -1))


def _rest_of(world: np.ndarray, skeleton: Skeleton) -> None:
    """Joints of which nothing is known go with their parents."""
    for joint, parent in enumerate(skeleton.parents):
        if np.isnan(world[0, joint, 0]) if len(world) else False:
            world[:, joint] = world[:, parent] if parent >= 0 else turns.IDENTITY
