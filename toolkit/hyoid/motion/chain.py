# SPDX-License-Identifier: Apache-2.0
"""The whole way of one person: camera-space joints in, a clean pose of a skeleton on the ground out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hyoid import scratch
from hyoid.errors import InputError
from hyoid.geometry import rotations as turns
from hyoid.motion import (
    bones,
    cameras,
    contacts,
    foot_lock,
    ground,
    joint_rotations,
    quality,
    skeletons,
    smoothing,
    stretches,
    time_bases,
    trajectory,
)
from hyoid.motion.cameras import Camera
from hyoid.motion.contacts import Contacts, Thresholds
from hyoid.motion.joint_rotations import Shares
from hyoid.motion.quality import Quality
from hyoid.motion.skeletons import Pose, Skeleton

_CALM_FEET = (6.0, 4.0, 2.5)
"""Hertz: what feet do faster is left out when it comes to whether they stand; less for feet that tremble more."""
_TREMBLING = 0.12  # metres a second
_STILL = 1e-9  # of a quaternion: less is rounding
_LEANING = 0.16  # radians
_NOISIEST = 0.5  # metres a second by which thresholds are widened at most
_STEADY_DEPTH = 0.5  # hertz
_WRISTS = [13, 16]  # of the seventeen joints
_BESIDE = 4  # frames seen before and after a stretch that tell how its ends go on
_LEG = ("thigh", "shin", "foot", "toe")
_EXTREMITIES = ("hand", "foot", "toe", "forearm", "shin")


@dataclass(frozen=True)
class Settings:
    """What to do.

    Attributes:
        strength: of the smoothing of rotations, 0 to 1. calm: take out noise that is measured in the clip itself.
        lock: plant the feet.
        find_ground: fit the ground and with it the camera's height, pitch and roll; otherwise those given count.
        thresholds: when feet stand.
    """

    strength: float = 1.0
    calm: bool = True
    lock: bool = True
    find_ground: bool = True
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True)
class Performance:
    """One person's clip.

    Attributes:
        pose: of the skeleton, on the ground. unlocked: the same without planted feet.
        camera: as it stands above the ground, in the skeleton's metres. joints: (F, 17, 3) metres, world, of the pose.
        standing: (F, 2) left and right foot. probability: (F, 2). airborne: (F,). seen: (F,). hidden: (F,) bool: long
            gaps, where the pose is only a guess.
        scale: metres of the skeleton's world for a unit of the joints. quality: figures.
    """

    pose: Pose
    unlocked: Pose
    camera: Camera
    joints: np.ndarray
    standing: np.ndarray
    probability: np.ndarray
    airborne: np.ndarray
    seen: np.ndarray
    hidden: np.ndarray
    scale: float
    quality: Quality


_Stretch = dict[str, np.ndarray]
"""What is found about some frames, (F, ...) each: ``rotations`` and ``root`` of the pose, ``free_rotations`` and
``free_root`` of the one without planted feet, ``planted`` (F, 2, 2) heel and ball, and arrays of a performance."""


@dataclass(frozen=True)
class _Person:
    """Somebody's whole clip as it was given, and what is the same in all of its stretches.

    Attributes:
        joints: (F, 17, 3) camera space, in any unit, where ``seen`` (F,). trust: (F,), 0 where nobody was seen.
        precision: (F, 3, 3) of the pelvis, or None. hidden: (F,) in long gaps. lengths: (17,) of bones, in that unit.
        scale: metres of the skeleton's size for a unit.
    """

    skeleton: Skeleton
    joints: np.ndarray
    seen: np.ndarray
    trust: np.ndarray
    precision: np.ndarray | None
    hidden: np.ndarray
    fps: float
    landmarks: np.ndarray | None
    neck_shares: Shares | None
    lengths: np.ndarray
    scale: float
    options: Settings

    @property
    def given(self) -> list[np.ndarray]:
        """What may lie in a file."""
        return [self.joints] if self.precision is None else [self.joints, self.precision]

    def stretch(self, first: int, end: int, camera: Camera) -> _Clip:
        """The frames from ``first`` to before ``end``, filled where nobody was seen."""
        rows = slice(first, end)
        body = self.body(first, end)
        seen, trust = self.seen[rows], self.trust[rows]
        if self.precision is None:
            pixels, depth = trajectory.noise_along_rays(body[seen, 0], camera.focal)
            # At their own noisy depth places that seem near would weigh more, and everybody come out nearer and slower.
            weights = trust if trust.any() else None
            about = trajectory.smooth_depth(body[:, 0], self.fps, cutoff=_STEADY_DEPTH, weights=weights)
            known = trajectory.precision_along_rays(about, camera.focal, pixels, depth) * trust[:, None, None]
        else:
            known = np.where(seen[:, None, None], self.precision[rows], 0.0) / self.scale**2
        calm = trajectory.fit_path(trajectory.seen_only(body[:, 0], known), self.fps)
        return _Clip(self, body, seen, self.hidden[rows], known, calm)

    def body(self, first: int, end: int) -> np.ndarray:
        """(end - first, 17, 3) joints in camera space, in the skeleton's size."""
        return bones.with_lengths(self.filled(first, end), self.lengths) * self.scale

    def filled(self, first: int, end: int) -> np.ndarray:
        """(end - first, 17, 3) joints; what was seen before and after the stretch tells how its ends go on."""
        places = np.flatnonzero(self.seen)
        before, after = places[places < first][-_BESIDE:], places[places >= end][:_BESIDE]
        rows = np.concatenate([before, np.arange(first, end), after])
        seen = self.seen[rows]
        times = time_bases.frame_times(len(self.seen), self.fps)[rows]
        whole = time_bases.fill(times, np.where(seen[:, None, None], self.joints[rows], 0.0), seen)
        return whole[len(before) : len(before) + end - first]


@dataclass(frozen=True)
class _Clip:
    """What is known about a person in some frames.

    Attributes:
        body: (F, 17, 3) joints in camera space, in the skeleton's size. seen, hidden: (F,).
        known: (F, 3, 3) precision of the pelvis' place, 1 / m^2. calm: (F, 3) its path in camera space, a first one.
    """

    person: _Person
    body: np.ndarray
    seen: np.ndarray
    hidden: np.ndarray
    known: np.ndarray
    calm: np.ndarray

    def posed(self, camera: Camera) -> Pose:
        """The pose that every frame has by itself, without single jumps, its pelvis at the origin."""
        person, joints = self.person, (self.body - self.body[:, :1]) @ cameras.rotation(camera).T
        pose = joint_rotations.from_joints(
            person.skeleton, joints, fps=person.fps, landmarks=person.landmarks, neck_shares=person.neck_shares
        )
        return Pose(smoothing.without_outliers(pose.rotations, person.fps), pose.root)

    def shared(self, pose: Pose) -> Pose:
        """The pose whose neck shares the turn of the head as necks do: smoothing each joint alone leaves that."""
        joints, shares = list(self.person.skeleton.roles["neck"]), self.person.neck_shares
        if shares is None:
            return pose
        turned, head = pose.rotations.copy(), pose.rotations[:, joints[0]]
        for joint in joints[1:]:
            head = turns.multiply(head, pose.rotations[:, joint])
        turned[:, joints] = shares(head)
        return Pose(turned, pose.root)


def clean(
    skeleton: Skeleton,
    joints: np.ndarray,
    camera: Camera,
    fps: float,
    *,
    confidence: np.ndarray | None = None,
    precision: np.ndarray | None = None,
    landmarks: np.ndarray | None = None,
    neck_shares: Shares | None = None,
    settings: Settings | None = None,
) -> Performance:
    """A clean performance of camera-space joints of a steady frame rate.

    The skeleton keeps its size: joints are scaled about the camera until their legs are as long as its own, which
    changes nothing in the picture. Long clips are cleaned in stretches (:mod:`hyoid.motion.stretches`), so that they
    need hardly more memory than short ones.

    Args:
        joints: (F, 17, 3) camera space, in any unit; NaN in frames without a detection. Lifted joints get their place
            from :func:`trajectory.root_path`.
        confidence: (F,) 0..1, or None.
        precision: (F, 3, 3) inverse covariance of the pelvis, in the unit of the joints, or None to measure the noise.
        landmarks, neck_shares: see :func:`joint_rotations.from_joints`.

    Raises:
        InputError: joints of another shape, or no frame with a detection.
    """
    options = Settings() if settings is None else settings
    joints = bones.shaped(joints)
    frames = len(joints)
    seen = np.zeros(frames, bool)
    for rows in scratch.pieces(frames):
        seen[rows] = np.isfinite(joints[rows]).all((1, 2))
        scratch.give_back(joints)
    trust = np.where(seen, 1.0 if confidence is None else np.asarray(confidence, np.float64), 0.0)
    hidden = time_bases.gaps(time_bases.frame_times(frames, fps), seen).hidden
    person = _Person(
        skeleton, joints, seen, trust, precision, hidden, fps, landmarks, neck_shares, np.zeros(17), 1.0, options
    )
    person = _sized(person)
    camera = replace(camera, height=camera.height * person.scale)
    spans = stretches.of(frames, fps)
    if len(spans) == 1:
        clip = person.stretch(0, frames, camera)
        if options.find_ground:
            camera = _levelled(camera, [_footing(clip, camera)])
        return _performance(person, camera, _cleaned(clip, camera))
    if options.find_ground:
        samples = stretches.samples(seen, fps)
        camera = _levelled(camera, [_footing(person.stretch(*span, camera), camera) for span in samples])
    return _performance(person, camera, _in_stretches(person, camera, spans))


def _sized(person: _Person) -> _Person:
    """The person with one length for each bone, and the scale that gives it the skeleton's legs."""
    frames = len(person.seen)
    if frames <= stretches.WHOLE:
        lengths = bones.lengths(person.filled(0, frames), person.trust)
    else:
        if not person.seen.any():
            raise InputError("no frame was seen", expected="at least one")
        some = np.flatnonzero(person.seen)
        some = some[:: -(-len(some) // stretches.WHOLE)]
        lengths = bones.lengths(person.joints[some], person.trust[some])
        scratch.give_back(person.joints)
    if not lengths[2] + lengths[3] > 0:
        raise InputError("the legs have no length", expected="joints that are not all in one place")
    return replace(person, lengths=lengths, scale=_leg(person.skeleton) / float(lengths[2] + lengths[3]))


def _cleaned(clip: _Clip, camera: Camera) -> _Stretch:
    """What is found about a clip before a camera whose ground is known."""
    skeleton, fps, options = clip.person.skeleton, clip.person.fps, clip.person.options
    pose = clip.posed(camera)
    turned = cameras.rotation(camera)
    seen_path = cameras.to_world(camera, clip.body[:, 0]), turned @ clip.known @ turned.T
    # Whether feet stand is judged with the noise still there: it tells how far to trust them.
    feet = _ankles(skeleton, _smoothed(skeleton, pose, fps, 1.0))
    found, fly, path = _stand(feet, seen_path, cameras.to_world(camera, clip.calm), clip)
    pose = _calmed(skeleton, pose, fps, options, found.standing, ~clip.hidden)
    pose = _placed(clip.shared(pose), path)
    return _finished(clip, pose, found, fly)


def common_cameras(performances: Sequence[Performance], camera: Camera) -> list[Camera]:
    """The camera above the one ground on which several people stand, for a second :func:`clean` of each of them.

    It is turned alike for all. Its height is told in the unit of each one's joints, for nobody's size is known: the
    ground tells how tall people are beside one another.

    Args:
        performances: of everybody in the scene, cleaned with ``find_ground``. camera: with which they were cleaned.

    Raises:
        InputError: nobody ever stands.
    """
    camera = replace(camera, height=0.0)
    points = []
    for one in performances:
        soles = one.joints[:, [6, 3]] * [1.0, 0.0, 1.0]
        scratch.give_back(one.joints)
        # Each performance has a camera of its own; camera space joins them.
        points.append(cameras.to_world(camera, cameras.to_camera(one.camera, soles[one.standing])))
    ups = [cameras.rotation(camera) @ cameras.rotation(one.camera).T @ [0.0, 1.0, 0.0] for one in performances]
    normal, offsets = ground.fit_parallel(points, np.mean(ups, axis=0))
    return [
        cameras.levelled(camera, normal, offset / one.scale) for one, offset in zip(performances, offsets, strict=True)
    ]


def _leg(skeleton: Skeleton) -> float:
    """Metres of thigh and shin, the mean of both legs."""
    rest = skeleton.rest
    spans = [(leg.thigh, leg.shin, leg.foot) for leg in skeletons.legs(skeleton)]
    return sum(float(np.linalg.norm(np.diff(rest[list(leg)], axis=0), axis=-1).sum()) for leg in spans) / 2


def _calmed(
    skeleton: Skeleton, pose: Pose, fps: float, options: Settings, standing: np.ndarray, known: np.ndarray
) -> Pose:
    """The pose without the noise that was measured in it where it is ``known`` (F,), then smoothed as is asked for."""
    if options.calm and options.strength > 0:
        calm = smoothing.calmed(pose.rotations, fps, known)
        if options.strength < 1:
            calm = turns.slerp(pose.rotations, calm, np.full(calm.shape[:-1], options.strength))
        pose = _turned(skeleton, pose, calm)
    return _smoothed(skeleton, pose, fps, options.strength, standing)


def _turned(skeleton: Skeleton, pose: Pose, quaternions: np.ndarray) -> Pose:
    """The pose with other rotations (F, J, 4), its hips where they were."""
    before, after = (
        _hips(skeleton, Pose(turn, np.zeros_like(pose.root))) for turn in (pose.rotations, quaternions)
    )  # fmt: skip
    return Pose(quaternions, pose.root + before - after)


def _placed(pose: Pose, path: np.ndarray) -> Pose:
    """The pose with its pelvis on a path; ``root`` of the pose is the one for a pelvis at the origin."""
    return replace(pose, root=pose.root + path)


def _smoothed(skeleton: Skeleton, pose: Pose, fps: float, strength: float, standing: np.ndarray | None = None) -> Pose:
    """Rotations smoothed, extremities less; windows of a leg do not cross the edges of its contacts (F, 2)."""
    result = pose.rotations.copy()
    groups: dict[tuple[bool, str], list[int]] = {}
    outer = {
        joint for role, members in skeleton.roles.items() if role.split(".")[0] in _EXTREMITIES for joint in members
    }
    legs = {
        joint: role[-1] for role, members in skeleton.roles.items() if role.split(".")[0] in _LEG for joint in members
    }
    # Most joints (fingers, toes, the face) never move in a body that was lifted.
    for joint in np.flatnonzero(np.ptp(result, axis=0).max(-1) > _STILL).tolist():
        groups.setdefault((joint in outer, legs.get(joint, "")), []).append(joint)
    for (less, side), members in groups.items():
        edges = None if standing is None or not side else smoothing.segments_of(standing[:, "LR".index(side)])
        window = smoothing.EXTREMITY_WINDOW if less else smoothing.WINDOW
        result[:, members] = smoothing.savitzky_golay(
            result[:, members], fps, window=window, strength=strength, segments=edges
        )
    return _turned(skeleton, pose, result)


def _hips(skeleton: Skeleton, pose: Pose) -> np.ndarray:
    return skeletons.places_of(skeleton, pose, [skeleton.first("thigh.L"), skeleton.first("thigh.R")]).mean(1)


@dataclass(frozen=True)
class _Footing:
    """What some frames tell about the ground.

    Attributes:
        points: (n, 3) metres, places where a foot is slow and low. bodies: (m, 3) unit, from feet to neck in frames in
            which somebody stands or walks. share: of the frames that these are. spread: metres by which feet tremble.
    """

    points: np.ndarray
    bodies: np.ndarray
    share: float
    spread: float


def _footing(clip: _Clip, camera: Camera) -> _Footing:
    skeleton, fps = clip.person.skeleton, clip.person.fps
    way = cameras.to_world(camera, clip.calm)
    pose = _placed(_smoothed(skeleton, clip.posed(camera), fps, 1.0), way)
    feet = _ankles(skeleton, pose)
    calm = _calm(feet, np.zeros((len(feet), 3)), fps)
    speed = contacts.speeds(calm, fps)
    lower = calm[..., 1] <= calm[..., 1].min(1, keepdims=True) + 0.03
    slow = lower & (speed <= np.quantile(speed, 0.4))
    bodies = _upright(skeleton, pose)
    return _Footing(calm[slow], bodies, len(bodies) / len(feet), _spread(feet - calm))


def _levelled(camera: Camera, footings: Sequence[_Footing]) -> Camera:
    """The camera above the plane on which somebody stands."""
    points = np.concatenate([one.points for one in footings])
    share = float(np.mean([one.share for one in footings]))
    up = _up(np.concatenate([one.bodies for one in footings]), share)
    spread = float(np.median([one.spread for one in footings]))
    plane = ground.fit_plane(points, up, tolerance=max(0.03, 1.5 * spread))
    return cameras.levelled(camera, plane.normal, plane.offset)


def _upright(skeleton: Skeleton, pose: Pose) -> np.ndarray:
    """(m, 3) unit vectors from the feet to the neck, in frames in which a body stands or walks."""
    places = skeletons.places_of(skeleton, pose, [skeleton.first(role) for role in ("neck", "foot.L", "foot.R")])
    body = places[:, 0] - places[:, 1:].mean(1)
    length = np.linalg.norm(body, axis=-1)
    rest = skeleton.rest
    whole = rest[skeleton.first("neck"), 1] - rest[skeleton.first("foot.L"), 1]
    stands = (length > 0.9 * whole) & (body[:, 1] > 0.8 * length)
    return body[stands] / length[stands, None]


def _up(bodies: np.ndarray, share: float) -> np.ndarray:
    """(3,) up, as bodies (m, 3) that stand or walk tell it, as far as they do so in one way only.

    Args:
        share: of all frames.
    """
    given = np.array([0.0, 1.0, 0.0])
    if share < 0.2:
        return given
    mean = np.median(bodies, axis=0)
    # Whoever leans this way and that does not tell where up is.
    spread = float(np.median(np.linalg.norm(bodies - mean, axis=-1)))
    up = given + (mean - given) / (1 + (spread / _LEANING) ** 2)
    away = float(np.hypot(up[0], up[2]) / up[1])
    up[[0, 2]] *= min(1.0, np.tan(2 * ground.TILT) / max(away, 1e-9))
    return up / np.linalg.norm(up)


def _calm(feet: np.ndarray, root: np.ndarray, fps: float) -> np.ndarray:
    """Feet (F, 2, 3), told from the root, in the world: as little smoothed as their trembling allows."""
    places = feet
    for cutoff in _CALM_FEET:
        places = smoothing.whittaker(feet, cutoff, fps) + root[:, None]
        if contacts.calm_speed(contacts.speeds(places, fps)) < _TREMBLING:
            break
    return places


def _spread(values: np.ndarray) -> float:
    """A standard deviation that single wild values do not change."""
    return 1.4826 * float(np.median(np.abs(values)))


def _ankles(skeleton: Skeleton, pose: Pose) -> np.ndarray:
    """(F, 2, 3) metres: the point below each ankle that is on the ground when the foot is flat."""
    both = skeletons.legs(skeleton)
    places = skeletons.places_of(skeleton, pose, [leg.foot for leg in both])
    return places + np.array([[0.0, leg.sole[0, 1], 0.0] for leg in both])


def _stand(
    feet: np.ndarray, seen: tuple[np.ndarray, np.ndarray], calm: np.ndarray, clip: _Clip
) -> tuple[Contacts, np.ndarray, np.ndarray]:
    """Contacts, flight and path, each with the help of the others: twice is enough.

    Args:
        feet: (F, 2, 3) metres from the root. seen: path (F, 3) and its precision (F, 3, 3). calm: (F, 3) first path.
    """
    fps, options, hidden = clip.person.fps, clip.person.options, clip.hidden[:, None]
    noise = _spread(feet - smoothing.whittaker(feet, _CALM_FEET[-1], fps))
    root, fly = calm, np.zeros(len(calm), bool)
    found = Contacts(np.zeros((len(calm), 2), bool), np.zeros((len(calm), 2)))
    for _ in range(2):
        places = _calm(feet, root, fps)
        speed = contacts.speeds(places, fps)
        trembling = min(contacts.calm_speed(speed), _NOISIEST)
        limits = options.thresholds.widened(noise, 2 * trembling)
        travel = contacts.speeds(root * [1.0, 0.0, 1.0], fps)
        found = contacts.detect(places[..., 1], speed, fps, limits, travel)
        # In a long gap the legs are a guess: their feet must not hold the body back, nor tell that it flies.
        found = replace(found, standing=found.standing & ~hidden, probability=np.where(hidden, 0.0, found.probability))
        fly = contacts.airborne(found.standing | hidden, root[:, 1], fps)
        if not options.lock:
            break
        root = foot_lock.correct_drift(
            *seen, feet, found.standing, fps, slip=max(0.005, noise), height_noise=max(0.01, noise), airborne=fly
        )
    return found, fly, root


def _finished(clip: _Clip, pose: Pose, found: Contacts, fly: np.ndarray) -> _Stretch:
    """The feet planted."""
    person, done = clip.person, Pose(pose.rotations.copy(), pose.root.copy())
    planted = np.repeat(found.standing[..., None], 2, -1)
    if person.options.lock:
        locked = foot_lock.lock(person.skeleton, pose, found.standing, person.fps, airborne=fly)
        done, planted = locked.pose, locked.planted
    joints = joints_of(person.skeleton, done, person.landmarks)
    return {
        "rotations": done.rotations, "root": done.root, "free_rotations": pose.rotations, "free_root": pose.root,
        "joints": joints, "standing": found.standing, "probability": found.probability, "airborne": fly,
        "planted": planted,
    }  # fmt: skip


def _in_stretches(person: _Person, camera: Camera, spans: Sequence[tuple[int, int]]) -> _Stretch:
    """The frames of all stretches: each passes into the next where they agree best."""
    whole: _Stretch = {}
    done = 0
    for first, end in spans:
        own = _cleaned(person.stretch(first, end, camera), camera)
        if not whole:
            whole = {name: scratch.empty((len(person.seen), *one.shape[1:]), one.dtype) for name, one in own.items()}
        start = 0
        if done:
            shared = done - first
            start, rising = stretches.seam(whole["joints"][first:done], own["joints"][:shared], person.fps)
            _pass(whole, own, first, start, rising)
        for name, array in whole.items():
            array[first + start : end] = own[name][start:]
        scratch.give_back(*whole.values(), *person.given)
        done = end
    return whole


def _pass(whole: _Stretch, own: _Stretch, first: int, start: int, rising: np.ndarray) -> None:
    """Blends a stretch that begins at frame ``first``, from its frame ``start`` on, with what there is."""
    there, here = (slice(at, at + len(rising)) for at in (first + start, start))
    for name in ("rotations", "free_rotations"):
        before, after = whole[name][there], own[name]
        # The same rotation has two signs: those of the earlier stretch go on.
        after *= np.where((before[:1] * after[start : start + 1]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
        share = np.broadcast_to(rising[:, None], before.shape[:-1])
        after[here] = turns.slerp(before, after[here], share)
    for name in ("root", "free_root", "joints", "probability"):
        before, after = whole[name][there], own[name][here]
        share = rising.reshape(-1, *(1,) * (after.ndim - 1))
        own[name][here] = before + share * (after - before)
    early = rising < 0.5
    for name in ("standing", "planted", "airborne"):
        own[name][here][early] = whole[name][there][early]


def _performance(person: _Person, camera: Camera, found: _Stretch) -> Performance:
    """What was found, with its figures."""
    done, free = (Pose(found[f"{way}rotations"], found[f"{way}root"]) for way in ("", "free_"))
    return Performance(
        done, free, camera, found["joints"], found["standing"], found["probability"], found["airborne"], person.seen,
        person.hidden, person.scale, _measured(person, camera, done, found),
    )  # fmt: skip


def _measured(person: _Person, camera: Camera, pose: Pose, found: _Stretch) -> Quality:
    """The figures of a clip; what takes much memory is done in pieces."""
    skeleton, height = person.skeleton, bones.height(person.lengths) * person.scale
    pieces = list(scratch.pieces(len(person.seen), stretches.WHOLE))
    varying, away = 0.0, 0.0
    for rows in pieces:
        places = skeletons.forward(skeleton, Pose(pose.rotations[rows], pose.root[rows]))[0]
        varying = max(varying, bones.variance(places, skeleton.parents))
        count = int(person.seen[rows].sum())
        if count:
            body = np.where(person.seen[rows, None, None], person.body(rows.start, rows.stop), np.nan)
            keypoints = cameras.project(camera, body)
            away += count * quality.reprojection(camera, found["joints"][rows], keypoints, height) ** 2
        scratch.give_back(*person.given, *found.values())

    def parts() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for rows in pieces:
            rows = slice(max(rows.start - quality.OVERLAP, 0), rows.stop)
            soles = foot_lock.soles(skeleton, Pose(pose.rotations[rows], pose.root[rows]))
            yield soles, found["planted"][rows], found["joints"][rows][:, _WRISTS]
            scratch.give_back(*found.values())

    return quality.measure(
        parts(), person.fps, bone_variance=varying, seen=person.seen,
        reprojected=float(np.sqrt(away / person.seen.sum())),
    )  # fmt: skip


def joints_of(skeleton: Skeleton, pose: Pose, landmarks: np.ndarray | None = None) -> np.ndarray:
    """(F, 17, 3) metres: the seventeen joints of a posed skeleton, each carried by the joint it belongs to."""
    marks = skeletons.landmarks(skeleton) if landmarks is None else landmarks
    neck, spine = skeleton.roles["neck"], skeleton.roles.get("spine", ()) or skeleton.roles["hips"]
    carriers = [skeleton.first("hips")]
    carriers += [skeleton.first(f"{part}.{side}") for side in "RL" for part in ("thigh", "shin", "foot")]
    carriers += [spine[len(spine) // 2], spine[-1], neck[-1], neck[-1]]
    carriers += [skeleton.first(f"{part}.{side}") for side in "LR" for part in ("arm", "forearm", "hand")]
    result, world = skeletons.forward_of(skeleton, pose, carriers)
    for joint, arm in enumerate(marks - skeleton.rest[carriers]):
        result[:, joint] += turns.rotate(world[:, joint], arm)
    result[:, 0] = (result[:, 1] + result[:, 4]) / 2
    return result
