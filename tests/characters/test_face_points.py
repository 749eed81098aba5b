# SPDX-License-Identifier: Apache-2.0
"""Canonical points of the face on meshes of any topology, and the frame that shows the least expression."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import ict, ict_data
from hyoid.characters.fit import face_points
from hyoid.characters.fit.most_neutral import most_neutral
from hyoid.characters.fit.transfer import plain_mesh
from hyoid.errors import InputError
from hyoid.systems.facestab import checkpoint

from tests.characters import smpl_files
from tests.characters.heads import decimated

ICT = Path(__file__).resolve().parents[3] / "shared" / "data" / "ict_facekit"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return checkpoint.load(checkpoint.find("human")).face.rows


@pytest.fixture(scope="module")
def template():
    return face_points.human_template()


def skin_mesh(character):
    part = next(part for part in character.parts if part.material == "skin")
    return plain_mesh(character.vertices[part.vertices].astype(float), character.faces[part.faces])


def test_on_the_human_each_point_is_its_own_vertex(rows, template):
    mesh = skin_mesh(characters.load("human", part="head"))
    found = face_points.find(mesh, rows)
    assert found.mask.mean() > 0.99
    used = found.mask > 0
    gap = np.linalg.norm(found.of(mesh.vertices) - template.rest[rows], axis=1)[used]
    assert np.median(gap) < 1e-4  # metres
    assert np.quantile(gap, 0.99) < 2e-3


def test_on_another_person_of_another_topology_the_points_are_on_the_same_skin(rows):
    person = characters.load("human", {"age": 0.8, "gender": 0.8, "nose-hump-incr": 0.5}, part="head")
    mesh, _ = decimated(person)
    found = face_points.find(mesh, rows)
    wanted = person.vertices[face_points.human_template().rows[rows]]
    used = found.mask > 0
    assert used.mean() > 0.95
    gap = np.linalg.norm(found.of(mesh.vertices) - wanted, axis=1)[used]
    assert np.median(gap) < 0.002  # metres
    assert np.quantile(gap, 0.95) < 0.008


def test_unit_axes_and_size_come_from_the_points(rows, template):
    person = characters.load("human", {"age": 0.6}, part="head")
    mesh = skin_mesh(person)
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    moved = plain_mesh(100 * mesh.vertices @ turn.T + [7, 8, 9], mesh.faces)
    found = face_points.find(moved, rows)
    placement = face_points.placement_of(found, template.rest[rows], moved.vertices)
    assert placement.unit == "centimetre"
    assert placement.summary()["up"] == "+Z"
    assert 0.9 < placement.size < 1.1
    back = placement.apply(moved.vertices)
    assert np.linalg.norm(back - back.mean(0) - (mesh.vertices - mesh.vertices.mean(0)), axis=1).max() < 0.02
    told = face_points.placement_of(found, template.rest[rows], moved.vertices, 0.001)
    assert told.unit == "millimetre"
    assert told.size == pytest.approx(0.1 * placement.size)


@pytest.mark.skipif(not ICT.is_dir(), reason=f"no ICT-FaceKit in {ICT}")
@pytest.mark.parametrize("end", [11_248, 14_062], ids=["ict skin", "hack layout"])
def test_on_ict_and_hack_the_points_find_their_like(rows, template, end):
    """Landmarks of the human lie on the landmarks that ICT-FaceKit's maker gave."""
    model = ict_data.model(ICT)
    mesh = plain_mesh(model.neutral[:end], model.faces[(model.faces < end).all(1)])
    found = face_points.find(mesh, rows)
    assert found.mask.mean() > 0.97
    points = 10 * found.of(mesh.vertices)
    for name, far in (("nose_tip", 9), ("lip_upper_outer", 6), ("lip_lower_outer", 6), ("nasion", 9)):
        own = template.rest[np.flatnonzero(template.rows == template.source.landmarks[name])[0]]
        near = int(np.argmin(np.linalg.norm(template.rest[rows] - own, axis=1)))
        gap = np.linalg.norm(points[near] - 10 * model.neutral[ict.LANDMARKS[name]])
        assert gap < far, name  # millimetres, the nearest canonical point being up to 5 from the landmark


def test_on_flames_layout(rows, tmp_path):
    path = smpl_files.write_npz(tmp_path / "flame.npz", smpl_files.arrays("FLAME"))
    found = face_points.find(skin_mesh(characters.load(f"flame:{path}")), rows)
    assert found.mask.mean() > 0.9


def test_a_map_is_kept_by_topology_and_a_damaged_one_is_made_again(rows, tmp_path, monkeypatch):
    mesh = skin_mesh(characters.load("human", part="head"))
    first = face_points.find(mesh, rows)
    kept = list((tmp_path / "cache" / "face_points").iterdir())
    assert len(kept) == 1
    with monkeypatch.context() as patch:
        patch.setattr(face_points, "_map", None)
        moved = plain_mesh(mesh.vertices * 1.01 + 3, mesh.faces)  # other vertices, the same topology
        again = face_points.find(moved, rows)
    assert np.array_equal(first.vertices, again.vertices)
    kept[0].write_bytes(b"damaged")
    assert np.array_equal(face_points.find(mesh, rows).shares, first.shares)


def test_a_cache_that_cannot_be_written_is_done_without(rows, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path / "file"))
    assert face_points.find(skin_mesh(characters.load("human", part="head")), rows).mask.mean() > 0.9


def test_a_cloud_of_points_has_places_between_its_points(rows, template):
    mesh = skin_mesh(characters.load("human", part="head"))
    cloud = plain_mesh(mesh.vertices, np.zeros((0, 4), np.int32))
    found = face_points.find(cloud, rows)
    used = found.mask > 0
    assert used.mean() > 0.9
    gap = np.linalg.norm(found.of(cloud.vertices) - template.rest[rows], axis=1)[used]
    assert np.median(gap) < 0.004


def test_a_ball_has_no_face(rows):
    random = np.random.default_rng(1)
    points = random.normal(size=(2000, 3))
    points = 0.1 * points / np.linalg.norm(points, axis=1, keepdims=True)
    from scipy.spatial import ConvexHull

    faces = ConvexHull(points).simplices
    with pytest.raises(InputError, match=r"head|face"):
        face_points.find(plain_mesh(points, np.concatenate([faces, faces[:, -1:]], 1)), rows)


def test_the_most_neutral_frame_is_found_under_a_moving_head(rows, template):
    """Expressions that come and go; one frame has none, another has little of each."""
    from hyoid.geometry import rotations

    rest = 1000 * template.rest[rows]
    names = ("jawOpen", "mouthSmileLeft", "browInnerUp", "eyeBlinkLeft", "eyeBlinkRight", "mouthPucker")
    shapes = np.stack([1000 * template.source.offsets(name)[template.rows[rows]] for name in names])
    random = np.random.default_rng(2)
    weights = random.uniform(0.15, 0.8, (40, len(names)))
    weights[27] = 0
    frames = rest + np.tensordot(weights, shapes, 1)
    turns = rotations.to_matrix(rotations.from_rotation_vector(0.2 * random.standard_normal((40, 3))))
    frames = frames @ turns.transpose(0, 2, 1) + 30 * random.standard_normal((40, 1, 3))
    assert most_neutral(frames + random.normal(0, 0.2, frames.shape), np.ones(len(rows)), template, rows) == 27
