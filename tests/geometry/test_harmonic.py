# SPDX-License-Identifier: Apache-2.0
"""Heights on meshes: what they are on known ones, and that odd meshes do no harm."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.geometry import harmonic


def _tube(rows: int = 13, columns: int = 12) -> tuple[np.ndarray, np.ndarray]:
    angle = 2 * np.pi * np.arange(columns) / columns
    height = np.arange(rows) / (rows - 1)
    vertices = np.stack(
        [np.tile(np.sin(angle), rows), np.repeat(height, columns), np.tile(np.cos(angle), rows)], axis=-1
    )
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns)).ravel()
    b = (np.arange(rows - 1)[:, None] * columns + (np.arange(columns) + 1) % columns).ravel()
    return vertices, np.stack([a, b, b + columns, a + columns], 1)


def test_on_an_even_tube_the_height_rises_evenly():
    vertices, faces = _tube()
    level = harmonic.level_field(faces, vertices, vertices[:, 1] >= 1, vertices[:, 1] <= 0)
    np.testing.assert_allclose(level, vertices[:, 1], atol=1e-12)


def test_quads_and_their_own_triangles_with_a_repeated_corner_agree_with_plain_triangles():
    vertices, faces = _tube()
    triangles = np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])
    ends = vertices[:, 1] > 0.99, vertices[:, 1] < 0.01
    plain = harmonic.level_field(triangles, vertices, *ends)
    repeated = harmonic.level_field(triangles[:, [0, 1, 2, 2]], vertices, *ends)
    np.testing.assert_array_equal(plain, repeated)


def test_loose_pieces_are_rigid_at_the_height_of_what_is_near_them():
    vertices, faces = _tube()
    ball = 0.1 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1.0]]) + [0, 1.4, 0]
    alone = np.array([[0.0, -0.5, 1.0]])
    every = np.concatenate([vertices, ball, alone])
    count = len(vertices)
    faces = np.concatenate([faces, [[count, count + 1, count + 2, count + 2]]])
    level = harmonic.level_field(faces, every, every[:, 1] == 1, every[:, 1] == 0)
    np.testing.assert_array_equal(level[count : count + 3], 1)
    assert level[-1] == 0


def test_doubled_vertices_give_finite_heights_within_the_ends():
    vertices, faces = _tube()
    vertices[40] = vertices[41]
    level = harmonic.level_field(faces, vertices, vertices[:, 1] >= 1, vertices[:, 1] <= 0)
    assert np.isfinite(level).all()
    assert level.min() >= 0
    assert level.max() <= 1


def test_an_empty_region_is_refused():
    vertices, faces = _tube()
    with pytest.raises(ValueError, match="each end"):
        harmonic.level_field(faces, vertices, vertices[:, 1] > 5, vertices[:, 1] <= 0)


def test_splines_sum_to_one_and_start_and_end_whole():
    weights = harmonic.spline_weights(np.linspace(-0.1, 1.1, 100))
    assert weights.shape == (100, 9)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-12)
    np.testing.assert_array_equal(weights[[0, -1], [0, 8]], 1)
    # No step of the height makes a jump: three splines share every point.
    assert np.abs(np.diff(weights, axis=0)).max() < 0.2
