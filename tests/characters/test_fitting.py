# SPDX-License-Identifier: Apache-2.0
"""Characters fitted to scans whose true surface is known: noise, holes, any pose, any unit; and to what is no head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import neck, performance
from hyoid.characters.fit import fitting, placing, transfer
from hyoid.characters.performance import Performance
from hyoid.errors import InputError, UsageError
from hyoid.geometry import rotations
from hyoid.geometry.closest import Surface
from hyoid.geometry.meshes import triangulate
from hyoid.geometry.registration import sample_points
from hyoid.geometry.rotations import from_rotation_vector, to_matrix

from tests.characters.heads import decimated, mesh_of, offsets_of

ICT = Path(__file__).parents[3] / "shared" / "data" / "ict_facekit"
NO_FACES = np.zeros((0, 3), np.int64)
OLD_WOMAN = {
    "age": 0.9, "gender": 0.8, "weight": 0.8, "nose-hump-incr": 0.6, "chin-width-incr": -0.5,
    "mouth-scale-horiz-incr": 0.5, "l-ear-wing-incr": 0.4, "r-ear-wing-incr": 0.4,
}  # fmt: skip


def turn(seed: int) -> np.ndarray:
    """Any rotation (3, 3)."""
    random = np.random.default_rng(seed).normal(size=4)
    return to_matrix(random / np.linalg.norm(random))


def skin_of(character) -> tuple[np.ndarray, np.ndarray]:
    part = character.parts[0]
    return character.vertices[part.vertices].astype(np.float64), triangulate(character.faces[part.faces])


@pytest.fixture(scope="module")
def scan():
    """A scan of an old woman: a cloud of points with 2 mm of noise, three tenths missing, turned and far off."""
    vertices, triangles = skin_of(characters.load("human", OLD_WOMAN, part="head"))
    random = np.random.default_rng(1)
    points = sample_points(vertices, triangles, 14000)
    points = points[random.random(len(points)) > 0.25]
    hole = np.linalg.norm(points - points[100], axis=1) < 0.04
    noisy = points[~hole] + random.normal(0, 0.002, (int((~hole).sum()), 3))
    rotation, away = turn(5), np.array([0.3, -1.0, 2.0])
    return mesh_of(noisy @ rotation.T + away, NO_FACES), vertices @ rotation.T + away, triangles


@pytest.fixture(scope="module")
def fitted(scan):
    return fitting.fit("human", scan[0])


def test_scan_of_a_changed_human_is_met_under_a_millimetre(scan, fitted):
    """Against the true surface without noise, which the fit never saw."""
    truth = Surface(fitted.placement.apply(scan[1]), scan[2])
    error = truth.closest(fitted.vertices).distances
    assert np.median(error) < 0.0005
    assert np.quantile(error, 0.95) < 0.002
    assert fitted.settings["age"] == pytest.approx(0.9, abs=0.05)
    assert fitted.settings["gender"] == pytest.approx(0.8, abs=0.1)
    assert fitted.settings["weight"] == pytest.approx(0.8, abs=0.1)
    # Noise of 2 mm in each direction is 1.35 mm (median) across a surface.
    assert 0.001 < fitted.median_error < 0.0017
    assert fitted.covered > 0.97


def test_what_it_returns_builds_that_head(fitted):
    """The settings, expression and pose make the vertices that it says."""
    character = characters.load(fitted.name, fitted.settings, part="head")
    turns = rotations.identity(1, len(character.joint_names))
    for joint, quaternion in fitted.joints.items():
        turns[0, character.joint(joint)] = quaternion
    weights = np.zeros((1, len(character.shapes.names)), np.float32)
    for name, weight in fitted.expression.items():
        weights[0, character.shapes.names.index(name)] = weight
    posed = performance.deform(character, Performance(weights, turns, np.zeros((1, 3), np.float32)))[0]
    assert np.abs(posed[: len(fitted.vertices)] - fitted.vertices).max() < 2e-3
    assert np.median(np.linalg.norm(posed[: len(fitted.vertices)] - fitted.vertices, axis=1)) < 1e-4


@pytest.mark.slow
def test_expression_and_neck_are_found():
    character = characters.load("human", {"age": 0.6}, part="head")
    head = from_rotation_vector(np.radians([12.0, 25.0, 0.0]))
    turns = rotations.identity(1, len(character.joint_names))
    joints = neck.distribute(character.neck, head)
    for index, joint in enumerate(neck.JOINTS):
        turns[0, character.joint(joint)] = joints[index]
    weights = np.zeros((1, len(character.shapes.names)), np.float32)
    weights[0, character.shapes.names.index("jawOpen")] = 0.6
    posed = performance.deform(character, Performance(weights, turns, np.zeros((1, 3), np.float32)))[0]
    part = character.parts[0]
    mesh = mesh_of(posed[part.vertices], triangulate(character.faces[part.faces]))
    found = fitting.fit("human", mesh)
    away = rotations.to_rotation_vector(rotations.multiply(rotations.inverse(head), found.head))
    assert np.degrees(np.linalg.norm(away)) < 4
    assert found.expression["jawOpen"] == pytest.approx(0.6, abs=0.15)
    assert found.median_error < 0.0006


@pytest.mark.slow
def test_decimated_turned_mesh_in_centimetres_becomes_a_rig():
    """What artists bring: other triangles, z up, centimetres."""
    human = characters.load("human", {"gender": 0.9, "nose-scale-vert-incr": 0.5}, part="head")
    mesh, rows = decimated(human)
    swapped = 100 * mesh.vertices[:, [0, 2, 1]] * [1, -1, 1]
    character, quality, found = transfer.rig_head(replace(mesh, vertices=swapped))
    summary = found.placement.summary()
    assert (summary["unit"], summary["up"], summary["front"]) == ("centimetre", "+Z", "-Y")
    assert quality["median_error_mm"] < 0.3
    assert quality["checks"]["jaw"]["result"] == "pass"
    truth = offsets_of(human, "jawOpen")[rows]
    moved = np.linalg.norm(truth, axis=1) > 0.002
    ours = offsets_of(character, "jawOpen")
    assert np.median(np.linalg.norm(ours - truth, axis=1)[moved]) < 0.001
    front = character.vertices[character.landmarks["nose_tip"]] - character.heads[character.joint("oc1")]
    assert front[2] > 0.05


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        pytest.param("metre", 1.0, marks=pytest.mark.slow),
        ("centimetre", 100.0),
        pytest.param("millimetre", 1000.0, marks=pytest.mark.slow),
        pytest.param("inch", 1 / 0.0254, marks=pytest.mark.slow),
    ],
)
def test_unit_and_place_are_found_in_any_direction(unit, factor):
    human = characters.load("human", part="head")
    vertices, triangles = skin_of(human)
    rotation = turn(int(factor))
    found = placing.place(factor * vertices @ rotation.T + factor * np.array([1.0, -3.0, 0.2]), triangles)
    assert found.unit == unit
    assert np.degrees(np.arccos(np.clip((np.trace(found.move.rotation @ rotation) - 1) / 2, -1, 1))) < 1.5
    eyes = np.stack([human.heads[human.joint(name)] for name in ("eye.L", "eye.R")]).astype(float)
    assert np.abs(found.apply(factor * eyes @ rotation.T + factor * np.array([1.0, -3.0, 0.2])) - eyes).max() < 0.004


def test_head_of_a_whole_body_is_found():
    vertices, triangles = skin_of(characters.load("human"))
    found = placing.place(100 * vertices[:, [2, 0, 1]], triangles)
    assert found.unit == "centimetre"
    assert found.error < 0.001
    assert (found.summary()["up"], found.summary()["front"]) == ("+Z", "+X")


@pytest.mark.slow
def test_unit_of_its_own_is_scaled_to_a_head_and_said():
    vertices, triangles = skin_of(characters.load("human", part="head"))
    found = placing.place(4.3 * vertices, triangles)
    assert found.unit == "own"
    assert found.move.scale == pytest.approx(1 / 4.3, rel=0.01)


def test_landmarks_place_what_geometry_cannot():
    """Less than half a face, from the side: too little for the search."""
    human = characters.load("human", part="head")
    vertices, triangles = skin_of(human)
    side = triangles[(vertices[triangles][:, :, 0] > 0.002).all(1) & (vertices[triangles][:, :, 2] > 0.05).all(1)]
    rotation = turn(8)
    own = 1000 * vertices @ rotation.T
    names = ("nasion", "nose_tip", "lip_upper", "chin", "forehead")
    marks = {name: own[human.landmarks[name]].tolist() for name in names}
    found = placing.place(own, side, landmarks=placing.named_points(marks, own))
    assert found.unit == "millimetre"
    assert np.abs(found.apply(own) - vertices).max() < 0.004


def test_sixty_eight_points_are_read_in_ibug_order():
    points = np.random.default_rng(0).normal(size=(68, 3))
    named = placing.named_points(points, np.zeros((0, 3)))
    assert np.array_equal(named["nose_tip"], points[30])
    with pytest.raises(InputError, match=r"\(68, 3\)"):
        placing.named_points(points[:51], np.zeros((0, 3)))
    with pytest.raises(InputError, match="there is no landmark 'nose'"):
        placing.named_points({"nose": 3}, np.zeros((10, 3)))


@pytest.mark.parametrize("shape", ["cube", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ball", "noise"))])
def test_what_is_no_head_is_refused(shape):
    random = np.random.default_rng(3)
    points = random.normal(size=(3000, 3))
    if shape == "cube":
        points = points / np.abs(points).max(1, keepdims=True)
    elif shape == "ball":
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
    with pytest.raises(InputError, match="head"):
        fitting.fit("human", mesh_of(0.12 * points, NO_FACES))


def test_bad_scans_and_settings_are_refused(scan):
    broken = scan[0].vertices.copy()
    broken[12] = np.inf
    with pytest.raises(InputError, match="vertex 12 is not a finite number"):
        fitting.fit("human", replace(scan[0], vertices=broken))
    with pytest.raises(InputError, match="40 vertices"):
        fitting.fit("human", replace(scan[0], vertices=scan[0].vertices[:40]))
    with pytest.raises(UsageError):
        fitting.fit("human", scan[0], settings={"agee": 0.5})


@pytest.mark.slow
def test_known_settings_stay(scan):
    found = fitting.fit("human", scan[0], settings={"age": 0.5}, expression=False, pose=False)
    assert found.settings["age"] == 0.5
    assert found.expression == {}
    assert np.allclose(found.head, [1, 0, 0, 0])
