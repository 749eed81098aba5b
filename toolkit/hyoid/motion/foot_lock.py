# SPDX-License-Identifier: Apache-2.0
"""Feet that stay where they stand: drift out of the root, planted soles, two-bone legs, nothing under the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from hyoid.geometry import rotations as turns
from hyoid.motion import skeletons, trajectory
from hyoid.motion.contacts import GRAVITY, runs, without_gaps
from hyoid.motion.joint_rotations import about, direction, smooth_step, swing, unit
from hyoid.motion.skeletons import Leg, Pose, Skeleton
from hyoid.motion.trajectory import Evidence

STRETCH = 0.995
"""Of the length of a leg: it never gets straighter."""
BLEND = 5
"""Frames at 30 fps over which a lock fades in before a contact and out after it."""
_FALL_SPREAD = 1.5  # metres a second squared by which a pelvis in flight differs from a stone
_UP = np.array([0.0, 1.0, 0.0])
_ROLL = np.radians(40.0)  # how far a foot rolls onto ball or heel to stay within reach
_OUT_OF_REACH = 0.015  # metres; further out a contact has ended, or not begun
_TRIMS = 3
_LOWEST = 0.10  # metres that the pelvis may be lowered so that a planted foot is within reach


@dataclass(frozen=True)
class Locked:
    """A pose with planted feet, and what it was made from.

    Attributes:
        pose: the result. before: the pose without the lock, for a layer that can be switched on and off.
        soles: (F, 2, 2, 3) metres: heel and ball of the left and the right foot. planted: (F, 2, 2) bool.
        stretched: (F, 2) True where a leg is at its limit and the foot does not reach its place.
    """

    pose: Pose
    before: Pose
    soles: np.ndarray
    planted: np.ndarray
    stretched: np.ndarray


def soles(skeleton: Skeleton, pose: Pose) -> np.ndarray:
    """(F, 2, 2, 3) metres: heel and ball of the left and the right foot."""
    both = skeletons.legs(skeleton)
    places, world = skeletons.forward_of(skeleton, pose, [leg.foot for leg in both])
    return np.stack([_sole(leg, places[:, side], world[:, side]) for side, leg in enumerate(both)], 1)


def _sole(leg: Leg, ankle: np.ndarray, foot: np.ndarray) -> np.ndarray:
    return ankle[:, None] + turns.rotate(foot[:, None], leg.sole)


def correct_drift(
    path: np.ndarray,
    precision: np.ndarray,
    feet: np.ndarray,
    standing: np.ndarray,
    fps: float,
    *,
    slip: float = 0.03,
    height_noise: float = 0.03,
    airborne: np.ndarray | None = None,
) -> np.ndarray:
    """The root path for which standing feet neither slide nor float, as near to the seen path as its precision says.

    Args:
        path: (F, 3) metres, world, as seen. precision: (F, 3, 3) inverse covariance of it.
        feet: (F, k, 3) metres, from the root, world axes: points that stand with y = 0.
        standing: (F, k) bool.
        slip: metres a frame by which a standing point trembles at 30 fps. height_noise: metres, likewise.
        airborne: (F,) bool, or None: there nothing pulls to the ground but gravity.
    """
    standing = np.array(standing, bool)
    falling = None
    if airborne is not None:
        standing[airborne] = False
        flies = airborne[:-2] & airborne[1:-1] & airborne[2:]
        falling = flies * (fps**2 / _FALL_SPREAD) ** 2 if flies.any() else None
    both = standing[:-1] & standing[1:]
    steps = -np.diff(feet, axis=0)
    evidence = Evidence(
        path, precision, steps, both / (slip * 30 / fps) ** 2, -feet[..., 1], standing / height_noise**2, falling,
        -GRAVITY / fps**2,
    )  # fmt: skip
    return trajectory.fit_path(evidence, fps)


def lock(
    skeleton: Skeleton,
    pose: Pose,
    standing: np.ndarray,
    fps: float,
    *,
    airborne: np.ndarray | None = None,
    blend: int = BLEND,
) -> Locked:
    """The pose with feet planted while they stand, on the ground y = 0, and no sole below it.

    A foot that stands on heel and ball is flat and still; on the heel alone it turns about the heel, on the ball alone
    about the ball. Knees stay in their plane. A planted foot that is out of reach rolls onto its ball, or its heel, as
    far as it must; beyond that the pelvis comes down a little.

    Args:
        standing: (F, 2, 2) bool: heel and ball of the left and the right foot; or (F, 2), feet.
        airborne: (F,) bool, or None: there the pelvis keeps its height.
        blend: frames at 30 fps.
    """
    standing = np.asarray(standing, bool)
    if standing.ndim == 2:
        standing = np.repeat(standing[..., None], 2, -1)
    frames = len(standing)
    fly = np.zeros(frames, bool) if airborne is None else np.asarray(airborne, bool)
    standing = np.logical_and(standing, ~fly[:, None, None])
    places, world = skeletons.forward(skeleton, pose)
    both = skeletons.legs(skeleton)
    fade = max(1, round(blend * fps / 30))
    feet = []
    for side, leg in enumerate(both):
        stands = standing[:, side]
        for _ in range(_TRIMS):
            wanted, turned, after = _planted(leg, places, world[:, leg.foot], stands, fade)
            trimmed = _trimmed(stands, _need(leg, places, wanted) > _OUT_OF_REACH)
            if (trimmed == stands).all():
                break
            stands = trimmed
        wanted, turned, after = _planted(leg, places, world[:, leg.foot], stands, fade)
        standing[:, side] = after
        feet.append((wanted, turned))
    drop = _reach(both, places, feet, np.any(standing, axis=2), fly, fps)
    places -= drop[:, None, None] * _UP
    stretched = np.zeros((frames, 2), bool)
    for side, (leg, (ankle, foot)) in enumerate(zip(both, feet, strict=True)):
        stretched[:, side] = _bend_leg(skeleton, leg, places, world, ankle, foot)
        _level_toes(skeleton, leg, world, pose, standing[:, side, 1], fade)
    locked = Pose(turns.continuous(skeletons.local(skeleton, world)), pose.root - drop[:, None] * _UP)
    return Locked(locked, pose, soles(skeleton, locked), standing, stretched)


def _planted(
    leg: Leg, places: np.ndarray, foot: np.ndarray, standing: np.ndarray, fade: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wanted places (F, 3) and rotations (F, 4) of a foot, planted where it stands (F, 2) on heel or ball.

    The third result is what stands after feet that are out of reach have rolled onto ball or heel.
    """
    ankle = places[:, leg.foot]
    any_point: np.ndarray = np.any(standing, axis=1)
    level = _flat(foot)
    stretches = runs(any_point)
    turned = foot.copy()
    for start, stop in stretches:
        flat = np.all(standing[start:stop], axis=1)
        if flat.any():
            still = _mean_yaw(level[start:stop][flat])
            weight = _fade(flat, fade)
            turned[start:stop] = turns.slerp(foot[start:stop], np.broadcast_to(still, (stop - start, 4)), weight)
    turned = _tilted_freely(leg, turned, standing)
    wanted = ankle.copy()
    for start, stop in stretches:
        wanted[start:stop] += _pivoted(leg, ankle, turned, standing, start, stop)
    wanted, turned, standing = _rolled(leg, places, wanted, turned, standing)
    turned = _faded_turns(foot, turned, stretches, fade)
    wanted = ankle + _faded(wanted - ankle, stretches, fade)
    free = ~any_point
    wanted[free], turned[free] = _above_ground(leg, wanted[free], turned[free])
    return wanted, turned, standing


def _rolled(
    leg: Leg, places: np.ndarray, ankle: np.ndarray, foot: np.ndarray, standing: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standing feet whose ankle the leg does not reach, rolled onto the ball, or onto the heel of a leg in front.

    Places (F, 3) and rotations (F, 4) of the foot, and what stands (F, 2) then: as little rolled as the leg needs.
    """
    hip, limit = places[:, leg.thigh], STRETCH * _lengths(leg, places).sum(0) - 1e-4
    stands = standing.any(1)
    short = stands & (np.linalg.norm(ankle - hip, axis=-1) > limit)
    rows = np.flatnonzero(short)
    if not len(rows):
        return ankle, foot, standing
    hip, limit = hip[rows], limit[rows]
    across = turns.rotate(_flat(foot[rows]), np.array([1.0, 0.0, 0.0]))
    ahead = turns.rotate(_flat(foot[rows]), np.array([0.0, 0.0, 1.0]))
    point = np.where(np.sum((hip - ankle[rows]) * ahead, -1) > 0, 1, 0)
    # A foot that already stands on one end stays on it.
    point = np.where(standing[rows].all(1), point, standing[rows].argmax(1))
    pivot = ankle[rows] + turns.rotate(foot[rows], leg.sole[point])
    sign = np.where(point == 1, 1.0, -1.0)  # over the ball the heel rises: about x, forward
    low, high = np.zeros(len(rows)), np.full(len(rows), _ROLL)

    def at(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        turned = turns.multiply(about(across, sign * angle), foot[rows])
        return pivot - turns.rotate(turned, leg.sole[point]), turned

    for _ in range(24):
        middle = (low + high) / 2
        far = np.linalg.norm(at(middle)[0] - hip, axis=-1) > limit
        low, high = np.where(far, middle, low), np.where(far, high, middle)
    ankle, foot, standing = ankle.copy(), foot.copy(), standing.copy()
    ankle[rows], foot[rows] = at(high)
    standing[rows, 1 - point] = False
    return ankle, foot, standing


def _tilted_freely(leg: Leg, foot: np.ndarray, standing: np.ndarray) -> np.ndarray:
    """The foot (F, 4) with its ball not below a heel that stands alone, and its heel not below a ball that does."""
    along = turns.rotate(foot, leg.sole[1] - leg.sole[0])
    elevation = np.arcsin(np.clip(along[:, 1] / np.linalg.norm(leg.sole[1] - leg.sole[0]), -1, 1))
    heel, ball = standing.T
    wrong = np.where(heel & ~ball, np.minimum(elevation, 0), np.where(ball & ~heel, np.maximum(elevation, 0), 0))
    across = unit(np.cross(along, np.broadcast_to(_UP, along.shape)))
    return turns.multiply(about(across, -wrong), foot)


def _fade(mask: np.ndarray, frames: int) -> np.ndarray:
    """(F,) 1 where the mask is, falling smoothly to 0 ``frames`` frames away from it."""
    places = np.arange(len(mask))
    on = np.flatnonzero(mask)
    if not len(on):
        return np.zeros(len(mask))
    after = np.clip(np.searchsorted(on, places), 0, len(on) - 1)
    away = np.minimum(np.abs(on[after] - places), np.abs(on[np.maximum(after - 1, 0)] - places))
    return smooth_step(1 - away / (frames + 1), 0, 1)


def _flat(foot: np.ndarray) -> np.ndarray:
    """(..., 4) the part of a foot's rotation about the vertical: the sole level, looking the same way."""
    ahead = turns.rotate(foot, np.array([0.0, 0.0, 1.0]))
    # A foot that points straight up or down tells its direction by the sole.
    other = -turns.rotate(foot, _UP) * np.sign(ahead[..., 1:2])
    steep = np.linalg.norm(ahead[..., [0, 2]], axis=-1, keepdims=True) < 0.2
    ahead = np.where(steep, other, ahead)
    return turns.about((0.0, 1.0, 0.0), direction(ahead[..., 0], ahead[..., 2]))


def _mean_yaw(level: np.ndarray) -> np.ndarray:
    """(4,) mean of rotations (n, 4) about the vertical."""
    angle = 2 * direction(level[:, 2], level[:, 0])
    return turns.about((0.0, 1.0, 0.0), np.arctan2(np.sin(angle).mean(), np.cos(angle).mean()))


def _pivoted(
    leg: Leg, ankle: np.ndarray, turned: np.ndarray, standing: np.ndarray, start: int, stop: int
) -> np.ndarray:
    """(n, 3) by how much a foot that stands from start to stop is moved so that what stands stays in one place.

    Heel and ball each have one place for the whole stretch, as far apart as in the sole; the foot turns about the one
    that stands. The places are those to which the feet come nearest.
    """
    here, foot, stands = ankle[start:stop], turned[start:stop], standing[start:stop]
    arms = turns.rotate(foot[:, None], leg.sole)
    flat = np.all(stands, axis=1)
    pivot = np.where(stands[:, 1], 1, 0)  # the ball where it stands, else the heel
    used = np.unique(pivot)
    if len(used) == 2 and not flat.any():
        # Never flat: one of the two must do for the stretch, and the ball carries more.
        pivot[:] = 1
        used = np.array([1])
    reference = arms[np.flatnonzero(flat)[0]] if flat.any() else np.zeros((2, 3))
    # Where the ankle would be with the sole flat at the planted place, and where it is with the foot as it turns.
    own = arms[np.arange(len(arms)), pivot]
    anchors = here + own - (reference[pivot] if flat.any() else 0)
    anchor = np.median(anchors, axis=0)
    # The point that carries touches the ground.
    anchor[1] = -leg.sole[0, 1] if flat.any() else 0.0
    target = anchor + (reference[pivot] if flat.any() else 0) - own
    return target - here


def _faded(shift: np.ndarray, stretches: np.ndarray, fade: int) -> np.ndarray:
    """Shifts (F, 3) of stretches, fading out over the frames before and after each."""
    frames = len(shift)
    total, weight = np.zeros_like(shift), np.zeros(frames)
    inside = np.zeros(frames, bool)
    ramp = smooth_step(1 - np.arange(1, fade + 1) / (fade + 1), 0, 1)
    for start, stop in stretches:
        inside[start:stop] = True
        for edge, places in ((start, start - np.arange(1, fade + 1)), (stop - 1, stop + np.arange(fade))):
            there = (places >= 0) & (places < frames)
            total[places[there]] += ramp[there, None] * shift[edge]
            weight[places[there]] += ramp[there]
    result = total / np.maximum(weight, 1)[:, None]
    result[inside] = shift[inside]
    return result


def _faded_turns(foot: np.ndarray, turned: np.ndarray, stretches: np.ndarray, fade: int) -> np.ndarray:
    """Rotations (F, 4) of which the change against ``foot`` fades out before and after each stretch."""
    change = turns.to_rotation_vector(turns.multiply(turned, turns.inverse(foot)))
    return turns.multiply(turns.from_rotation_vector(_faded(change, stretches, fade)), foot)


def _above_ground(leg: Leg, ankle: np.ndarray, foot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and rotations of a free foot with heel and ball at or above y = 0: first up, then toes up."""
    heel = ankle[:, 1] + turns.rotate(foot, leg.sole[0])[:, 1]
    lowest = -0.5 * leg.sole[0, 1]  # a foot that points down keeps its ankle at least this high
    ankle = ankle + np.maximum(np.maximum(-heel, lowest - ankle[:, 1]), 0)[:, None] * _UP
    ball = turns.rotate(foot, leg.sole[1])
    length = float(np.linalg.norm(leg.sole[1]))
    missing = np.maximum(-(ankle[:, 1] + ball[:, 1]), 0)
    elevation = np.arcsin(np.clip(ball[:, 1] / length, -1, 1))
    wanted = np.arcsin(np.clip((ball[:, 1] + missing) / length, -1, 1))
    across = unit(np.cross(ball, np.broadcast_to(_UP, ball.shape)))
    foot = turns.multiply(about(across, wanted - elevation), foot)
    heel = ankle[:, 1] + turns.rotate(foot, leg.sole[0])[:, 1]
    return ankle + np.maximum(-heel, 0)[:, None] * _UP, foot


def _reach(
    both: tuple[Leg, Leg],
    places: np.ndarray,
    feet: list[tuple[np.ndarray, np.ndarray]],
    standing: np.ndarray,
    airborne: np.ndarray,
    fps: float,
) -> np.ndarray:
    """(F,) metres by which the pelvis comes down, smoothly, so that planted feet are within reach."""
    need = np.zeros(len(places))
    for side, leg in enumerate(both):
        need = np.maximum(need, np.where(standing[:, side], _need(leg, places, feet[side][0]), 0))
    need = np.minimum(need, _LOWEST)
    size = 2 * round(0.1 * fps) + 1
    # The widened need, averaged over no more than it was widened, nowhere falls below the need itself.
    drop = maximum_filter1d(need, size, mode="nearest")
    for length in (round(0.1 * fps) | 1, round(0.1 * fps) | 1):
        drop = uniform_filter1d(drop, length, mode="nearest")
    return np.where(airborne, np.minimum(drop, need), drop)


def _need(leg: Leg, places: np.ndarray, ankle: np.ndarray) -> np.ndarray:
    """(F,) metres by which the hip is too high for an ankle (F, 3) to be within reach; negative where it is not."""
    limit = STRETCH * _lengths(leg, places).sum(0)
    away = places[:, leg.thigh] - ankle
    flat = np.hypot(away[:, 0], away[:, 2])
    return away[:, 1] - np.sqrt(np.maximum(limit**2 - flat**2, 0)) + 1e-4


def _trimmed(standing: np.ndarray, out: np.ndarray) -> np.ndarray:
    """What stands (F, 2) without the frames at the ends of each contact in which the foot is ``out`` (F,) of reach."""
    result = standing.copy()
    for start, stop in runs(np.any(standing, axis=1)):
        good = np.flatnonzero(~out[start:stop])
        first, last = (good[0], good[-1] + 1) if len(good) else (0, 0)
        result[start : start + first] = False
        result[start + last : stop] = False
    return result


def _lengths(leg: Leg, places: np.ndarray) -> np.ndarray:
    """(2, F) lengths of thigh and shin."""
    upper, lower = places[:, leg.shin] - places[:, leg.thigh], places[:, leg.foot] - places[:, leg.shin]
    return np.stack([np.linalg.norm(upper, axis=-1), np.linalg.norm(lower, axis=-1)])


def two_bone(
    hip: np.ndarray, target: np.ndarray, upper: np.ndarray, lower: np.ndarray, normal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions of thigh and shin (F, 3) that bring the ankle to a target, and where the leg is too short (F,).

    Args:
        hip, target: (F, 3) metres. upper, lower: (F,) lengths. normal: (F, 3) axis about which the shin bends back; the
            knee stays as near to its plane as the target allows.
    """
    away = target - hip
    distance = np.linalg.norm(away, axis=-1)
    longest, shortest = STRETCH * (upper + lower), np.abs(upper - lower) * 1.001 + 1e-6
    reach = np.clip(distance, shortest, longest)
    along = unit(np.where(distance[:, None] > 1e-9, away, -_UP))
    across = unit(normal - np.sum(normal * along, -1, keepdims=True) * along)
    cosine = (upper**2 + reach**2 - lower**2) / (2 * upper * reach)
    thigh = turns.rotate(about(across, -np.arccos(np.clip(cosine, -1, 1))), along)
    shin = unit(along * reach[:, None] - thigh * upper[:, None])
    return thigh, shin, (distance > longest + 1e-9) | (distance < shortest - 1e-9)


def _bend_leg(
    skeleton: Skeleton, leg: Leg, places: np.ndarray, world: np.ndarray, ankle: np.ndarray, foot: np.ndarray
) -> np.ndarray:
    """Turns thigh, shin and foot in ``world`` (F, J, 4), in place; (F,) True where the ankle does not get there."""
    upper, lower = _lengths(leg, places)
    thigh, shin = unit(places[:, leg.shin] - places[:, leg.thigh]), unit(places[:, leg.foot] - places[:, leg.shin])
    axis = turns.rotate(world[:, leg.thigh], leg.hinge)
    bend = np.cross(thigh, shin)
    size = np.linalg.norm(bend, axis=-1)
    # The plane of a leg that is nearly straight, or bent the wrong way, is that of its hinge.
    trust = smooth_step(size, 0.05, 0.25) * smooth_step(np.sum(bend * axis, -1) / np.maximum(size, 1e-9), -0.2, 0.3)
    normal = unit(axis + trust[:, None] * (unit(bend) - axis))
    new_thigh, new_shin, missed = two_bone(places[:, leg.thigh], ankle, upper, lower, normal)
    turn_thigh = _turned(thigh, new_thigh, normal, np.cross(new_thigh, new_shin))
    turn_shin = _turned(shin, new_shin, normal, np.cross(new_thigh, new_shin))
    for joint in _below(skeleton, leg.thigh, leg.shin):
        world[:, joint] = turns.multiply(turn_thigh, world[:, joint])
    for joint in _below(skeleton, leg.shin, leg.foot):
        world[:, joint] = turns.multiply(turn_shin, world[:, joint])
    change = turns.multiply(foot, turns.inverse(world[:, leg.foot]))
    for joint in _below(skeleton, leg.foot, -1):
        world[:, joint] = turns.multiply(change, world[:, joint])
    return missed


def _turned(start: np.ndarray, end: np.ndarray, normal: np.ndarray, new_normal: np.ndarray) -> np.ndarray:
    """(F, 4) from a bone's direction to its new one, and from its plane to the new plane."""
    first = swing(start, end)
    seen = turns.rotate(first, normal)
    seen = seen - np.sum(seen * end, -1, keepdims=True) * end
    wanted = new_normal - np.sum(new_normal * end, -1, keepdims=True) * end
    angle = np.arctan2(np.sum(end * np.cross(seen, wanted), -1), np.sum(seen * wanted, -1))
    return turns.multiply(about(end, angle), first)


def _below(skeleton: Skeleton, top: int, without: int) -> list[int]:
    """``top`` and the joints below it, except ``without`` and what hangs on that."""
    found = {top}
    for joint, parent in enumerate(skeleton.parents):
        if int(parent) in found and joint != without:
            found.add(joint)
    return sorted(found)


def _level_toes(skeleton: Skeleton, leg: Leg, world: np.ndarray, pose: Pose, standing: np.ndarray, fade: int) -> None:
    """Toes lie flat while the ball stands, in place."""
    if leg.toe < 0:
        return
    weight = _fade(without_gaps(standing, 2), fade)
    foot = world[:, leg.foot]
    free = turns.multiply(foot, pose.rotations[:, leg.toe])
    bent = turns.slerp(free, _flat(foot), weight)
    change = turns.multiply(bent, turns.inverse(world[:, leg.toe]))
    for joint in _below(skeleton, leg.toe, -1):
        world[:, joint] = turns.multiply(change, world[:, joint])
