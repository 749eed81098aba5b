# SPDX-License-Identifier: Apache-2.0
"""The sparse, blocked skinning gives what the plain formula gives."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.geometry import rotations, skinning
from scipy import sparse
from scipy.spatial.transform import Rotation

PARENTS = np.array([-1, 0, 1, 1, 3])


def _case(vertices: int, poses: int, shapes: int = 6):
    random = np.random.default_rng(5)
    rest = random.normal(0, 0.2, (vertices, 3))
    weights = random.random((vertices, 5)) * (random.random((vertices, 5)) < 0.5)
    weights[:, 0] += 0.1
    weights /= weights.sum(1, keepdims=True)
    offsets = random.normal(0, 0.01, (vertices, 3, shapes)) * (random.random((vertices, 1, 1)) < 0.2)
    heads = random.normal(0, 0.3, (5, 3))
    turns = Rotation.random(poses * 5, random_state=2).as_quat()[:, [3, 0, 1, 2]].reshape(poses, 5, 4)
    return rest, weights, offsets, heads, turns, random.random((poses, shapes)), random.normal(0, 1, (poses, 3))


def test_kinematics_turn_children_about_their_parents():
    heads = np.array([[0, 0, 0], [0, 1, 0], [0, 2, 0]], float)
    turns = rotations.identity(1, 3).astype(float)
    turns[0, 1] = rotations.about((0, 0, 1), np.array(np.pi / 2))
    world = skinning.world_transforms(np.array([-1, 0, 1]), heads, turns, np.array([[0, 0, 3.0]]))
    np.testing.assert_allclose(world[0, 2, :3, 3], [-1, 1, 3], atol=1e-12)  # +y turned about z points to -x


# 1 pose and 33 poses cross the chunk of 16; 5000 vertices cross the block of 2048.
@pytest.mark.parametrize(("vertices", "poses"), [(7, 1), (5000, 1), (2048, 16), (2500, 33)])
def test_skinning_equals_the_plain_formula(vertices, poses):
    rest, weights, offsets, heads, turns, shape_weights, root = _case(vertices, poses)
    world = skinning.world_transforms(PARENTS, heads, turns, root)
    transforms = skinning.skin_transforms(world, heads)
    shaped = rest + np.einsum("vck,pk->pvc", offsets, shape_weights)
    homogeneous = np.concatenate([shaped, np.ones((*shaped.shape[:2], 1))], -1)
    expected = np.einsum("vj,pjab,pvb->pva", weights, transforms, homogeneous)
    shapes = sparse.csr_matrix(offsets.reshape(-1, offsets.shape[2]))
    for offered in (shapes, shapes.toarray()):
        result = skinning.Skin(rest, sparse.csr_matrix(weights), offered)(transforms, shape_weights)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, atol=2e-6)  # float32 sums of values up to 3


@pytest.mark.parametrize("alike", [0, 2, 6])
@pytest.mark.parametrize("few", [False, True])
def test_shapes_that_all_poses_share_are_added_once(alike, few):
    """Dense shapes: the first weights are equal in all poses, some or none; blocks with few weights and with many."""
    rest, weights, offsets, heads, turns, shape_weights, _ = _case(700, 70)
    shape_weights[:, :alike] = shape_weights[:1, :alike]
    if few:
        weights = np.eye(5)[np.arange(len(rest)) % 5 * (np.arange(len(rest)) > 600)]
    transforms = skinning.skin_transforms(skinning.world_transforms(PARENTS, heads, turns), heads)
    basis, held = offsets.reshape(-1, offsets.shape[2]), sparse.csr_matrix(weights)
    expected = skinning.Skin(rest, held, sparse.csr_matrix(basis))(transforms, shape_weights)
    found = skinning.Skin(rest, held, basis, poses=64)(transforms, shape_weights)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_allclose(skinning.Skin(rest, held, basis)(transforms[5:6], shape_weights[5:6])[0], found[5],
                               atol=2e-6)  # fmt: skip


def test_identity_pose_gives_the_rest_shape():
    rest, weights, _, heads, _, _, _ = _case(300, 1)
    world = skinning.world_transforms(PARENTS, heads, rotations.identity(2, 5))
    result = skinning.Skin(rest, sparse.csr_matrix(weights))(skinning.skin_transforms(world, heads))
    np.testing.assert_allclose(result, np.stack([rest, rest]), atol=1e-6)


def test_weight_matrix_sums_repeated_joints():
    matrix = skinning.weight_matrix(np.array([[2, 0, 0]]), np.array([[0.5, 0.5, 0.0]]), 4)
    np.testing.assert_allclose(matrix.toarray(), [[0.5, 0, 0.5, 0]])
