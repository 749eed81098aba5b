# SPDX-License-Identifier: Apache-2.0
"""Skeletons: rotations on bones with axes of their own, landmarks, legs."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.geometry import rotations
from hyoid.motion import skeletons
from hyoid.motion.skeletons import Pose, Skeleton
from scipy.spatial.transform import Rotation

from tests.motion import walks


def _quaternions(count: int, seed: int) -> np.ndarray:
    return Rotation.random(count, random_state=seed).as_quat()[:, [3, 0, 1, 2]]


def test_bone_axes_give_the_same_pose_on_a_chain_of_two_random_bones():
    """An armature poses ``parent pose, parent rest^-1, rest, basis``: the points must be those of world axes."""
    random = np.random.default_rng(4)
    heads = random.normal(size=(2, 3))
    axes = Rotation.random(2, random_state=5).as_matrix()
    turns = _quaternions(2, 6)[None]
    shift = random.normal(size=3)
    basis = rotations.to_matrix(skeletons.to_bone_axes(turns, axes))[0]
    move = skeletons.root_to_bone_axes(shift, axes[0])

    def matrix(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
        result = np.eye(4)
        result[:3, :3], result[:3, 3] = rotation, translation
        return result

    rest = [matrix(axes[bone], heads[bone]) for bone in (0, 1)]
    first = rest[0] @ matrix(basis[0], move)
    second = first @ np.linalg.inv(rest[0]) @ rest[1] @ matrix(basis[1], np.zeros(3))
    world = rotations.to_matrix(turns)[0]
    # A point of the skin of the second bone, the plain way.
    point = random.normal(size=3)
    elbow = heads[0] + shift + world[0] @ (heads[1] - heads[0])
    wanted = elbow + world[0] @ world[1] @ (point - heads[1])
    posed = (second @ np.linalg.inv(rest[1]) @ [*point, 1])[:3]
    assert np.abs(posed - wanted).max() < 1e-12
    back = skeletons.from_bone_axes(skeletons.to_bone_axes(turns, axes), axes)
    assert np.abs(back - turns).max() < 1e-12


def test_forward_and_local_are_inverse():
    skeleton = walks.skeleton()
    pose = Pose(_quaternions(22 * 6, 7).reshape(6, 22, 4), np.random.default_rng(8).normal(size=(6, 3)))
    places, world = skeletons.forward(skeleton, pose)
    back = skeletons.local(skeleton, world)
    np.testing.assert_allclose(np.abs((back * pose.rotations).sum(-1)), 1, atol=1e-12)
    spans = np.linalg.norm(places[:, 1:] - places[:, skeleton.parents[1:]], axis=-1)
    rest = np.linalg.norm(skeleton.rest[1:] - skeleton.rest[skeleton.parents[1:]], axis=-1)
    np.testing.assert_allclose(spans, np.broadcast_to(rest, spans.shape), atol=1e-12)


def test_places_of_some_joints_are_those_of_all():
    skeleton = walks.skeleton()
    random = np.random.default_rng(4)
    turned = _quaternions(7 * len(skeleton.parents), 5).reshape(7, -1, 4)
    pose = Pose(turned, random.normal(size=(7, 3)))
    places, _ = skeletons.forward(skeleton, pose)
    for joints in ([skeleton.first("foot.R"), skeleton.first("hand.L")], [0], range(len(skeleton.parents))):
        assert np.array_equal(skeletons.places_of(skeleton, pose, list(joints)), places[:, list(joints)])


def test_landmarks_lie_where_the_names_say():
    marks = skeletons.landmarks(walks.skeleton())
    hip = walks.ANKLE + walks.THIGH + walks.SHIN
    np.testing.assert_allclose(marks[0], [0, hip, 0], atol=1e-12)
    np.testing.assert_allclose(marks[[3, 6], 0], [-0.09, 0.09])
    assert marks[0, 1] < marks[7, 1] < marks[8, 1] < marks[9, 1] < marks[10, 1]
    np.testing.assert_allclose(marks[7, 1], hip + 0.24, atol=1e-9)


@pytest.mark.parametrize("toes", [True, False])
def test_soles_are_on_the_ground_at_rest(toes):
    skeleton = walks.skeleton(toes)
    for leg in skeletons.legs(skeleton):
        sole = skeleton.rest[leg.foot] + leg.sole
        assert sole[0, 1] == sole[1, 1] == pytest.approx(0, abs=0.02)
        assert sole[0, 2] < 0 < 0.1 < sole[1, 2] < 0.2
        np.testing.assert_allclose(leg.hinge, [1, 0, 0], atol=1e-9)


def test_elbows_bend_forward_and_a_limb_bent_at_rest_tells_its_own_axis():
    left = skeletons.hinge(np.array([1.0, 0, 0]), np.array([1.0, 0, 0]), backwards=False)
    forward = rotations.rotate(rotations.about(left, np.array(0.5)), np.array([1.0, 0, 0]))
    assert forward[2] > 0.4
    bent = skeletons.hinge(np.array([1.0, 0, 0]), np.array([0.9, -0.1, 0.4]), backwards=False)
    np.testing.assert_allclose([bent @ [1, 0, 0], bent @ [0.9, -0.1, 0.4]], 0, atol=1e-12)


def test_wrong_skeletons_are_refused():
    good = walks.skeleton()
    with pytest.raises(InputError, match=r"forearm\.L"):
        Skeleton(good.names, good.parents, good.rest, {k: v for k, v in good.roles.items() if k != "forearm.L"})
    parents = good.parents.copy()
    parents[3] = 9
    with pytest.raises(InputError, match="joint03"):
        Skeleton(good.names, parents, good.rest, good.roles)
    with pytest.raises(InputError, match="rest positions"):
        Skeleton(good.names, good.parents, good.rest[:-1], good.roles)
