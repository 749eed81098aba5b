# SPDX-License-Identifier: Apache-2.0
"""Eight joints for heads that have fewer: on a plain neck everything about them is known."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.characters import bundled, neck, neck_insert
from hyoid.characters.character import largest_weights
from hyoid.errors import InputError
from hyoid.geometry import rotations, skinning

BASE, TOP = np.array([0.0, 0.0, -0.01]), np.array([0.0, 0.11, 0.0])


def _neck() -> tuple[np.ndarray, np.ndarray]:
    """A tube from 8 cm below the base to 12 cm above the top: vertices and quads."""
    rows, columns = 63, 32
    angle = 2 * np.pi * np.arange(columns) / columns
    height = np.linspace(-0.08, 0.23, rows)
    circle = 0.055 * np.stack([np.sin(angle), 0 * angle, np.cos(angle)], -1)
    vertices = (circle + np.stack([0 * height, height, 0 * height], -1)[:, None]).reshape(-1, 3)
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns)).ravel()
    b = (np.arange(rows - 1)[:, None] * columns + (np.arange(columns) + 1) % columns).ravel()
    return vertices, np.stack([a, b, b + columns, a + columns], 1)


def _inserted():
    vertices, faces = _neck()
    found = neck_insert.insert(vertices, faces, BASE, TOP, vertices[:, 1] > 0.12, vertices[:, 1] < -0.01)
    return vertices, faces, *found


def test_joints_go_from_base_to_top_in_equal_steps_with_a_forward_arc():
    heads = neck_insert.curve(BASE, TOP)
    np.testing.assert_array_equal(heads[[0, -1]], [BASE, TOP])
    steps = np.linalg.norm(np.diff(heads, axis=0), axis=1)
    assert np.ptp(steps) < 0.01 * steps.mean()  # chords of an arc, cut at equal lengths
    chord = BASE + (heads[:, 1:2] - BASE[1]) / (TOP - BASE)[1] * (TOP - BASE)
    lead = heads[1:-1, 2] - chord[1:-1, 2]
    assert (lead > 0).all()
    assert 0.05 < lead.max() / np.linalg.norm(TOP - BASE) < 0.08
    np.testing.assert_array_equal(heads[:, 0], 0)


def test_weights_sum_to_one_and_climb_from_trunk_to_head():
    vertices, _, heads, tails, weights = _inserted()
    assert heads.shape == tails.shape == (8, 3)
    np.testing.assert_array_equal(tails[:-1], heads[1:])
    assert weights.shape == (len(vertices), 9)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-12)
    np.testing.assert_array_equal(weights[vertices[:, 1] < -0.01, 0], 1)
    np.testing.assert_array_equal(weights[vertices[:, 1] > 0.12, 8], 1)
    place = (weights @ np.arange(9)).reshape(63, 32)
    assert (np.diff(place, axis=0) > -1e-9).all()
    assert np.diff(place, axis=0).max() < 1  # nowhere a whole vertebra within one row


def test_levels_of_a_head_that_leans_still_rise_monotonically():
    vertices, faces = _neck()
    head, trunk = neck_insert.masks_between(
        vertices, np.array([[0, 0.06, 0.055], [0, 0.12, -0.055]]), np.array([[0, -0.05, 0.055], [0, 0.0, -0.055]])
    )
    level = neck_insert.levels(vertices, faces, head, trunk).reshape(63, 32)
    assert (np.diff(level, axis=0) > -1e-9).all()
    assert level.min() == 0
    assert level.max() == 1
    middle = np.argmin(np.abs(level - 0.5), axis=0)
    assert vertices.reshape(63, 32, 3)[middle[0], 0, 1] < vertices.reshape(63, 32, 3)[middle[16], 16, 1]  # front lower


@pytest.mark.parametrize("turn", [(0.9, 0, 0), (-1.1, 0, 0), (0, 1.2, 0), (0, 0, 0.8), (-0.5, 0.8, 0.1)])
def test_the_head_turns_exactly_and_no_triangle_flips_over_the_full_range(turn):
    vertices, faces, heads, _, weights = _inserted()
    head = rotations.from_rotation_vector(np.array([turn], float))
    turns = np.concatenate([rotations.identity(1, 1), neck.distribute(bundled.neck_limits(), head)], 1)
    parents, places = np.arange(-1, 8), np.concatenate([heads[:1], heads])
    world = skinning.world_transforms(parents, places, turns)
    np.testing.assert_allclose(world[0, 8, :3, :3], rotations.to_matrix(head)[0], atol=1e-12)
    transforms = skinning.skin_transforms(world, places)[0]
    mixed = np.einsum("vj,jab->vab", weights, transforms)
    posed = np.einsum("vab,vb->va", mixed[..., :3], vertices) + mixed[..., 3]
    skull = vertices[:, 1] > 0.12
    expected = (vertices[skull] - TOP) @ rotations.to_matrix(head)[0].T
    np.testing.assert_allclose(posed[skull] - posed[skull].mean(0), expected - expected.mean(0), atol=1e-12)
    corners, rest = posed[faces], vertices[faces]
    normal, before = (np.cross(quad[:, 2] - quad[:, 0], quad[:, 3] - quad[:, 1]) for quad in (corners, rest))
    carried = np.einsum("fab,fb->fa", mixed[faces[:, 0], :, :3], before)
    assert ((normal * carried).sum(1) > 0).all()


def test_eyeballs_and_single_vertices_move_with_the_head():
    vertices, faces = _neck()
    ball = np.array([[0.02, 0.2, 0.05], [0.03, 0.2, 0.05], [0.02, 0.21, 0.05], [0.02, 0.2, 0.06]])
    alone = np.array([[0.0, 0.25, 0.0]])
    every = np.concatenate([vertices, ball, alone])
    more = len(vertices) + np.array([[0, 1, 2, 2], [0, 2, 3, 3]])
    known = np.zeros(len(every), bool)
    known[: len(vertices)] = vertices[:, 1] > 0.12
    below = np.zeros(len(every), bool)
    below[: len(vertices)] = vertices[:, 1] < -0.01
    weights = neck_insert.insert(every, np.concatenate([faces, more]), BASE, TOP, known, below)[2]
    np.testing.assert_array_equal(weights[len(vertices) :, 8], 1)


def test_weights_of_a_skeleton_serve_as_masks():
    vertices, faces = _neck()
    head, trunk = np.clip((vertices[:, 1] - 0.1) / 0.02, 0, 1), np.clip(-vertices[:, 1] / 0.01, 0, 1)
    by_weight = neck_insert.insert(vertices, faces, BASE, TOP, head, trunk)[2]
    by_mask = neck_insert.insert(vertices, faces, BASE, TOP, head > 0.97, trunk > 0.97)[2]
    np.testing.assert_array_equal(by_weight, by_mask)


def test_a_mesh_without_head_or_trunk_is_refused():
    vertices, faces = _neck()
    nothing = np.zeros(len(vertices), bool)
    with pytest.raises(InputError, match="belongs to the head"):
        neck_insert.insert(vertices, faces, BASE, TOP, nothing, ~nothing)
    with pytest.raises(InputError, match="belongs to the trunk"):
        neck_insert.insert(vertices, faces, BASE, TOP, ~nothing, nothing)


def test_packing_keeps_the_largest_weights_and_their_sum():
    dense = np.zeros((2, 12))
    dense[0, [3, 7]] = 0.25, 0.75
    dense[1] = np.arange(12) / 66
    joints, weights = largest_weights(dense)
    assert joints.shape == weights.shape == (2, 8)
    assert joints[0, :2].tolist() == [7, 3]
    assert weights[0, :3].tolist() == [0.75, 0.25, 0]
    assert joints[1].tolist() == [11, 10, 9, 8, 7, 6, 5, 4]
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
