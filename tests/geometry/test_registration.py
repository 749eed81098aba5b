# SPDX-License-Identifier: Apache-2.0
"""Registration of surfaces: exact where an exact answer exists, stable where data is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.geometry import closest, registration
from hyoid.geometry.registration import IDENTITY, Cloud, Similarity
from hyoid.geometry.rotations import from_rotation_vector, to_matrix


def ball(rows: int = 24, columns: int = 32, radii=(0.08, 0.11, 0.09)):
    """A closed ellipsoid: vertices (n, 3), triangles (m, 3) that look outward."""
    latitude = np.linspace(0, np.pi, rows + 2)[1:-1]
    longitude = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    sphere = [[np.sin(a) * np.sin(b), np.cos(a), np.sin(a) * np.cos(b)] for a in latitude for b in longitude]
    vertices = np.array([*sphere, [0, 1, 0], [0, -1, 0]]) * radii
    triangles = []
    for row in range(rows - 1):
        for column in range(columns):
            right = (column + 1) % columns
            a, b = row * columns + column, row * columns + right
            triangles += [[a, a + columns, b], [b, a + columns, b + columns]]
    last = rows * columns
    for column in range(columns):
        right = (column + 1) % columns
        triangles.append([last, column, right])
        triangles.append([last + 1, last - columns + right, last - columns + column])
    return vertices, np.array(triangles)


def turned(vector) -> np.ndarray:
    return to_matrix(from_rotation_vector(np.array(vector, float)))


def test_closest_points_equal_a_search_over_every_triangle():
    vertices, triangles = ball()
    surface = closest.Surface(vertices, triangles)
    points = np.random.default_rng(2).normal(0, 0.1, (60, 3))
    hits = surface.closest(points)
    # A dense sampling of every triangle cannot come nearer, and comes almost as near.
    grid = np.random.default_rng(3).dirichlet([1, 1, 1], 60)
    dense = np.einsum("gc,tcx->tgx", grid, vertices[triangles]).reshape(-1, 3)
    best = np.sqrt(((points[:, None] - dense[None]) ** 2).sum(2)).min(1)
    assert (hits.distances <= best + 1e-9).all()
    assert (hits.distances > best - 2e-3).all()
    assert np.allclose((vertices[triangles[hits.triangles]] * hits.barycentric[..., None]).sum(1), hits.points)
    assert hits.barycentric.min() >= 0


def test_normals_keep_two_touching_sheets_apart():
    """The lips of a closed mouth: 0.2 mm apart, facing each other."""
    side = np.linspace(-0.02, 0.02, 9)
    x, z = np.meshgrid(side, side)
    low = np.stack([x.ravel(), 0 * x.ravel(), z.ravel()], -1)
    cells = np.array([[r * 9 + c, r * 9 + c + 1, r * 9 + c + 9] for r in range(8) for c in range(8)])
    vertices = np.concatenate([low, low + np.array([0, 2e-4, 0])])
    triangles = np.concatenate([cells, cells[:, ::-1] + 81])
    surface = closest.Surface(vertices, triangles)
    query = np.array([[0.001, 1.9e-4, 0.001]])  # nearer to the upper sheet
    up = surface.triangle_normals[0]
    assert surface.closest(query).triangles[0] >= 64
    assert surface.closest(query, up[None], weight=0.01).triangles[0] < 64


def test_procrustes_finds_the_motion_that_was_made_and_never_mirrors():
    points = np.random.default_rng(0).normal(size=(40, 3))
    made = Similarity(0.01, turned([0.4, 2.0, -1.1]), np.array([3.0, -2.0, 0.5]))
    found = registration.procrustes(points, made.apply(points))
    assert found.scale == pytest.approx(0.01)
    assert np.allclose(found.rotation, made.rotation)
    assert np.allclose(found.unapply(made.apply(points)), points)
    mirrored = registration.procrustes(points, points * [-1, 1, 1])
    assert np.linalg.det(mirrored.rotation) == pytest.approx(1)


def test_similarities_chain():
    first = Similarity(2.0, turned([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0]))
    second = Similarity(0.5, turned([-1.0, 0.2, 0.0]), np.array([0.0, 2.0, -3.0]))
    points = np.random.default_rng(1).normal(size=(5, 3))
    assert np.allclose(second.after(first).apply(points), second.apply(first.apply(points)))


def test_turns_are_rotations_and_leave_no_direction_out():
    matrices = registration.turns(200)
    assert np.allclose(matrices @ matrices.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(matrices), 1)
    assert np.allclose(matrices[0], np.eye(3))
    random = turned(np.random.default_rng(4).normal(size=3) * 2)
    away = np.degrees(np.arccos(np.clip((np.trace(matrices @ random.T, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert away.min() < 45  # what ICP on a head still catches


def test_icp_undoes_a_small_motion_with_a_third_of_the_points_missing():
    vertices, triangles = ball(radii=(0.06, 0.12, 0.09))
    vertices[:, 2] += 0.02 * np.exp(-((vertices[:, 0] / 0.02) ** 2) - (vertices[:, 1] / 0.03) ** 2)  # a nose
    made = Similarity(1.04, turned([0.15, -0.2, 0.1]), np.array([0.01, 0.02, -0.01]))
    whole = made.apply(vertices)
    kept = whole[:, 1] > np.quantile(whole[:, 1], 0.3)
    cloud = Cloud.of(whole[kept], closest.point_normals(whole, triangles)[kept])
    found, _ = registration.icp(vertices, cloud, IDENTITY, rounds=60, kept=0.6, scaled=True)
    assert np.abs(found.apply(vertices) - whole).max() < 0.004


def test_registration_reaches_the_target_and_bridges_a_hole():
    vertices, triangles = ball()
    goal = vertices * [1.15, 0.95, 1.05] + 0.004 * np.sin(40 * vertices[:, [1, 2, 0]])
    open_ = triangles[(goal[triangles].mean(1)[:, 2] < 0.07)]  # a hole of five centimetres in front
    moved = registration.register(vertices, triangles, closest.Surface(goal, open_))
    far = closest.Surface(goal, triangles).closest(moved).distances
    front = goal[:, 2] > 0.07
    assert np.median(far[~front]) < 5e-4  # the waves of the goal are 4 mm high
    assert far[front].max() < 0.008
    again = registration.register(vertices, triangles, closest.Surface(goal, open_))
    assert np.array_equal(moved, again)


def test_pins_hold_where_geometry_is_silent():
    vertices, triangles = ball()
    pin = np.array([5]), vertices[[5]] + [[0.0, 0.008, 0.0]]
    free = registration.register(vertices, triangles, closest.Surface(vertices, triangles))
    held = registration.register(vertices, triangles, closest.Surface(vertices, triangles), pins=pin)
    assert np.linalg.norm(free[5] - vertices[5]) < 1e-3
    assert np.linalg.norm(held[5] - pin[1][0]) < 5e-3  # the pull of the surface under it stays


def test_samples_are_the_same_each_time_and_spread_by_area():
    vertices, triangles = ball()
    first = registration.sample_points(vertices, triangles, 4000)
    assert np.array_equal(first, registration.sample_points(vertices, triangles, 4000))
    half = closest.triangle_areas(vertices, triangles)
    upper = half[vertices[triangles].mean(1)[:, 1] > 0].sum() / half.sum()
    assert (first[:, 1] > 0).mean() == pytest.approx(upper, abs=0.02)
    assert len(registration.sample_points(vertices, np.zeros((0, 3), int), 50)) == 50


def test_welding_joins_seams_and_pieces_are_counted_largest_first():
    vertices, triangles = ball()
    soup = vertices[triangles.ravel()]
    own = np.arange(len(soup)).reshape(-1, 3)
    number = closest.weld(soup, 1e-7)
    assert number.max() + 1 == len(vertices)
    small = np.array([[1.0, 0, 0], [1.1, 0, 0], [1.0, 0.1, 0]])
    both = np.concatenate([soup, small])
    pieces = closest.components(
        np.concatenate([own, [[len(soup), len(soup) + 1, len(soup) + 2]]]), closest.weld(both, 1e-7)
    )
    assert (pieces[: len(soup)] == 0).all()
    assert (pieces[len(soup) :] == 1).all()
    assert not closest.boundary_vertices(triangles, len(vertices)).any()
    assert closest.boundary_vertices(triangles[1:], len(vertices)).sum() == 3
