# SPDX-License-Identifier: Apache-2.0
"""Subdivision, normals and wedges on meshes whose answers are known."""

from __future__ import annotations

import numpy as np
from hyoid.geometry import meshes

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
CUBE_FACES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
TETRAHEDRON = np.array([[0, 2, 1, 1], [0, 3, 2, 2], [0, 1, 3, 3], [1, 2, 3, 3]])


def test_catmull_clark_of_a_cube_gives_the_known_points():
    stencil, faces = meshes.catmull_clark(CUBE_FACES, 8)
    points = stencil @ CUBE
    assert (points.shape, faces.shape) == ((26, 3), (24, 4))
    np.testing.assert_allclose(points[0], [2 / 9] * 3)  # corner: (F + 2 R) / 3 with three faces
    np.testing.assert_allclose(points[8], [0.125, 0.125, 0.5])  # edge: mean of its ends and two face points
    np.testing.assert_allclose(np.asarray(stencil.sum(1)).ravel(), 1)


def test_a_boundary_is_a_spline_of_itself_and_open_corners_are_smooth():
    faces = np.array([[0, 1, 4, 3], [1, 2, 5, 4]])
    flat = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 5], [1, 1, 5], [2, 1, 5]], float)
    stencil, _ = meshes.catmull_clark(faces, 6)
    points = stencil @ flat
    np.testing.assert_allclose(points[1], [1, 0, 0])  # straight boundary: stays, whatever the inside does
    np.testing.assert_allclose(points[0], 0.75 * flat[0] + 0.125 * (flat[1] + flat[3]))


def test_triangles_become_three_quads_each():
    stencil, faces = meshes.catmull_clark(TETRAHEDRON, 4)
    assert len(faces) == 12
    assert stencil.shape[0] == 4 + 6 + 4
    assert (np.sort(faces, 1)[:, 1:] != np.sort(faces, 1)[:, :-1]).all(), "a child repeats a corner"


def test_two_levels_keep_a_closed_surface_closed_and_outward():
    points, faces = CUBE, CUBE_FACES
    for _ in range(2):
        stencil, faces = meshes.catmull_clark(faces, len(points))
        points = stencil @ points
    edges = np.concatenate([faces[:, [i, (i + 1) % 4]] for i in range(4)])
    assert len(np.unique(edges, axis=0)) == len(edges), "an edge runs twice the same way"
    assert len(np.unique(np.sort(edges, 1), axis=0)) * 2 == len(edges)
    normals = meshes.vertex_normals(points, faces)
    first = meshes.vertex_normals(CUBE, CUBE_FACES)[0]
    assert np.sum(normals * (points - 0.5), 1).min() * np.sign(first @ (CUBE[0] - 0.5)) > 0


def test_uv_refinement_matches_the_faces_of_catmull_clark():
    _, smooth = meshes.catmull_clark(TETRAHEDRON, 4)
    stencil, linear = meshes.refine_linear(TETRAHEDRON, 4)
    np.testing.assert_array_equal(smooth, linear)
    uv = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float)
    np.testing.assert_allclose((stencil @ uv)[-4], uv[[0, 2, 1]].mean(0))


def test_normals_of_many_poses_are_unit_and_zero_where_no_face_is():
    poses = np.stack([CUBE, CUBE * [1, 2, 3]])
    lonely = np.concatenate([poses, np.zeros((2, 1, 3))], 1)
    normals = meshes.NormalPlan(CUBE_FACES, 9)(lonely)
    np.testing.assert_allclose(np.linalg.norm(normals[:, :8], axis=-1), 1, rtol=1e-6)
    assert (normals[:, 8] == 0).all()


def test_wedges_split_vertices_only_at_seams():
    faces = np.array([[0, 1, 2, 3], [3, 2, 4, 5]])
    face_uv = np.array([[0, 1, 2, 3], [6, 7, 4, 5]])  # the shared edge has two sets of UVs
    vertex, uv, split = meshes.wedges(faces, face_uv)
    np.testing.assert_array_equal(vertex, [0, 1, 2, 2, 3, 3, 4, 5])
    np.testing.assert_array_equal(vertex[split], faces)
    np.testing.assert_array_equal(uv[split], face_uv)


def test_triangulation_leaves_out_empty_halves():
    np.testing.assert_array_equal(meshes.triangulate(np.array([[0, 1, 2, 3]])), [[0, 1, 2], [0, 2, 3]])
    np.testing.assert_array_equal(meshes.triangulate(np.array([[0, 1, 2, 2]])), [[0, 1, 2]])
