# SPDX-License-Identifier: Apache-2.0
"""A refined character is the same character: shapes, weights, joints and landmarks stay what they were, only finer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import performance
from hyoid.characters.refine import refine
from hyoid.geometry.meshes import catmull_clark

from tests import toy

COARSE = toy.character()


@pytest.fixture(scope="module")
def fine():
    return refine(COARSE, 1)


def test_no_level_is_the_character_itself():
    assert refine(COARSE, 0) is COARSE


def test_parts_cover_everything_in_order(fine):
    for levels in (1, 2):
        made = refine(COARSE, levels)
        for kind, total in (("vertices", len(made.vertices)), ("faces", len(made.faces))):
            ranges = [getattr(part, kind) for part in made.parts]
            assert [one.start for one in ranges] == [0, *(one.stop for one in ranges[:-1])]
            assert ranges[-1].stop == total
        assert len(made.faces) == 4**levels * len(COARSE.faces)
        for part in made.parts:
            inside = made.faces[part.faces]
            assert inside.min() >= part.vertices.start
            assert inside.max() < part.vertices.stop
    assert [(part.name, part.material) for part in fine.parts] == [(p.name, p.material) for p in COARSE.parts]


def test_positions_are_those_of_catmull_clark(fine):
    body, old = fine.parts[0], COARSE.parts[0]
    matrix, faces = catmull_clark(COARSE.faces[old.faces], old.vertices.stop)
    expected = matrix @ COARSE.vertices[old.vertices].astype(float)
    np.testing.assert_allclose(fine.vertices[body.vertices], expected, atol=1e-6)
    np.testing.assert_array_equal(fine.faces[body.faces], faces)


def test_landmarks_stay_where_they_were(fine):
    eye = COARSE.parts[1]
    marked = refine(replace(COARSE, landmarks={**COARSE.landmarks, "eye": eye.vertices.start + 3}), 2)
    for name, vertex in marked.landmarks.items():
        before = COARSE.vertices[eye.vertices.start + 3 if name == "eye" else COARSE.landmarks[name]]
        assert np.linalg.norm(marked.vertices[vertex] - before) < 0.005  # smoothing moves a vertex less than an edge
    assert fine.parts[1].vertices.start <= marked.landmarks["eye"]


def test_uv_stay_on_the_faces(fine):
    """Each fine quad lies in the UV rectangle of its coarse one: midpoints, no smoothing across the seam."""
    skin = COARSE.parts[0].faces
    coarse, finer = COARSE.uv[COARSE.face_uv[skin]], fine.uv[fine.face_uv[fine.parts[0].faces]]
    parents = np.repeat(np.arange(len(coarse)), 4)
    assert (finer.min(1) >= coarse.min(1)[parents] - 1e-6).all()
    assert (finer.max(1) <= coarse.max(1)[parents] + 1e-6).all()


def test_weights_and_everything_else(fine):
    np.testing.assert_allclose(fine.weights.sum(1), 1, atol=1e-6)
    assert (np.diff(fine.weights, axis=1) <= 0).all()
    assert fine.weight_joints.shape == (len(fine.vertices), 8)
    for name in ("joint_names", "drivers", "neck", "materials", "settings", "correctives", "licence", "digest"):
        assert getattr(fine, name) is getattr(COARSE, name)


def test_shapes_are_refined_with_the_mesh(fine):
    """Refining a deformed mesh and deforming the refined one are the same, whatever the weights of the shapes."""
    take = toy.take(frames=3)
    played = performance.perform(COARSE, take)
    still = replace(played, rotations=np.broadcast_to([1.0, 0, 0, 0], played.rotations.shape).astype(np.float32))
    for frame, deformed in enumerate(performance.deform(COARSE, still)):
        one = replace(
            still, shape_weights=still.shape_weights[frame : frame + 1],
            rotations=still.rotations[:1], root=0 * still.root[:1],
        )  # fmt: skip
        found = performance.deform(fine, one)[0]
        expected = refine(replace(COARSE, vertices=deformed - still.root[frame]), 1).vertices
        np.testing.assert_allclose(found, expected, atol=2e-6)
    assert fine.shapes.names == COARSE.shapes.names


def test_a_pose_moves_the_fine_mesh_as_the_coarse_one(fine):
    take = toy.take(frames=2)
    coarse, finer = (
        performance.deform(made, performance.perform(made, take))[1] for made in (COARSE, fine)
    )  # fmt: skip
    part, old = fine.parts[0], COARSE.parts[0]
    kept = finer[part.vertices][: old.vertices.stop]
    assert np.abs(kept - coarse[old.vertices]).max() < 0.01


def test_the_bundled_human_shares_the_topology():
    base = characters.load("human", part="head")
    found, expected = refine(base, 1), characters.load("human", part="head", subdivision=1)
    for name in ("faces", "face_uv", "uv"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.parts == expected.parts
    assert found.landmarks == expected.landmarks
