# SPDX-License-Identifier: Apache-2.0
"""Fields and deformations carried from surface to surface."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.geometry import closest, mirror, transfer
from hyoid.geometry.registration import bind

from tests.geometry.test_registration import ball, turned


@pytest.fixture(scope="module")
def bent():
    """A ball and offsets that bulge one side of it."""
    vertices, triangles = ball()
    bulge = 0.02 * np.exp(-((vertices - [0.0, 0.02, 0.09]) ** 2).sum(1) / 0.04**2)[:, None] * [0.2, -0.4, 1.0]
    bulge[np.linalg.norm(bulge, axis=1) < 1e-4] = 0
    return vertices, triangles, bulge


def test_onto_itself_a_deformation_is_unchanged(bent):
    vertices, triangles, bulge = bent
    carried = transfer.DeformationTransfer(vertices, vertices, triangles)(bulge)
    assert np.abs(carried - bulge).max() < 1e-9


def test_onto_a_turned_and_larger_copy_offsets_turn_and_grow(bent):
    vertices, triangles, bulge = bent
    rotation = turned([0.3, 1.2, -0.4])
    goal = 1.3 * vertices @ rotation.T + [1.0, 0.0, 2.0]
    carried = transfer.DeformationTransfer(vertices, goal, triangles)(bulge)
    assert np.abs(carried - 1.3 * bulge @ rotation.T).max() < 1e-6


def test_onto_another_shape_the_deformation_stays_local(bent):
    vertices, triangles, bulge = bent
    goal = vertices * [1.2, 0.9, 1.1]
    carried = transfer.DeformationTransfer(vertices, goal, triangles, tie=0.3)(bulge)
    still = np.linalg.norm(bulge, axis=1) == 0
    assert np.linalg.norm(carried[still], axis=1).max() < 0.1 * np.linalg.norm(bulge, axis=1).max()
    assert not transfer.flipped(goal + carried, triangles, goal).any()


def test_binding_carries_fields_exactly_over_flat_triangles():
    vertices, triangles = ball()
    surface = closest.Surface(vertices, triangles)
    shares = np.random.default_rng(0).dirichlet([1, 1, 1], 50)
    chosen = np.random.default_rng(1).integers(0, len(triangles), 50)
    points = (vertices[triangles[chosen]] * shares[..., None]).sum(1)
    bound = bind(points, surface.triangle_normals[chosen], surface)
    field = vertices @ [[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]]
    assert np.allclose(bound.carry(field), points @ [[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]], atol=1e-9)
    assert np.allclose(bound.matrix(len(vertices)) @ field, bound.carry(field))
    assert bound.agreement.min() > 0.8


def test_smoothing_keeps_constants_and_lowers_noise(bent):
    vertices, triangles, _ = bent
    laplacian = transfer.graph_laplacian(vertices, triangles)
    noise = np.random.default_rng(5).normal(size=(len(vertices), 1))
    assert np.allclose(transfer.smooth(np.ones((len(vertices), 2)), laplacian, 5.0), 1)
    assert transfer.smooth(noise, laplacian, 2.0).std() < 0.4 * noise.std()


def test_faces_that_turn_over_are_seen(bent):
    vertices, triangles, _ = bent
    assert not transfer.flipped(vertices, triangles, vertices).any()
    assert transfer.flipped(vertices * [1, 1, -1], triangles, vertices).any()


def test_a_mirror_is_found_in_a_tilted_symmetric_mesh_and_not_in_another(bent):
    vertices, _, bulge = bent
    rotation = turned([0.05, 0.02, -0.03])
    found = mirror.mirror_of(vertices @ rotation.T + 0.3, np.array([1.0, 0, 0]), 1e-4)
    assert found is not None
    assert abs(found.normal @ rotation[:, 0]) == pytest.approx(1, abs=1e-6)
    plain = mirror.mirror_of(vertices, np.array([1.0, 0, 0]), 1e-4)
    assert plain is not None
    fields = np.stack([bulge, 0 * bulge])
    both = mirror.symmetric(fields, ("smileLeft", "smileRight"), plain, np.ones(len(vertices), bool))
    assert np.allclose(both[0], plain.reflect(both[1][plain.partner]), atol=1e-12)
    crooked = vertices + [0.0, 0.003, 0.0] * (vertices[:, :1] > 0.02)
    assert mirror.mirror_of(crooked, np.array([1.0, 0, 0]), 1e-4) is None
