# SPDX-License-Identifier: Apache-2.0
"""A take on a character: names are matched, eyes follow, the mesh is what the records say."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import arkit, performance
from hyoid.geometry import rotations

from tests import toy


def test_curves_go_to_the_shapes_of_their_name():
    character, take = toy.character(), toy.take()
    done = performance.perform(character, take)
    index = character.shapes.names.index("jawOpen")
    np.testing.assert_array_equal(done.shape_weights[:, index], take.curve("jawOpen"))
    height = take.curve("larynxHeight")
    up, down = (done.shape_weights[:, character.shapes.names.index(name)] for name in ("larynxUp", "larynxDown"))
    np.testing.assert_allclose(arkit.SHAPE_MILLIMETRES * (up - down), height, atol=1e-5)
    assert (np.minimum(up, down) == 0).all()
    size = done.shape_weights[:, character.shapes.names.index("larynxSize")]
    np.testing.assert_allclose(size, take.curve("larynxSize") - 1, atol=1e-6)


def test_a_slice_equals_the_part_of_the_whole():
    character, take = toy.character(), toy.take(40)
    whole, part = performance.perform(character, take), performance.perform(character, take, 10, 25)
    np.testing.assert_array_equal(part.rotations, whole.rotations[10:25])
    np.testing.assert_array_equal(
        performance.deform(character, part), performance.deform(character, whole)[10:25]
    )  # fmt: skip


def test_the_eyes_look_where_their_curves_say():
    human, take = characters.load("human", part="head"), toy.take(1)
    curves = np.zeros_like(take.curves)
    curves[:, arkit.CURVES.index("eyeLookOutLeft")] = 1
    curves[:, arkit.CURVES.index("eyeLookInRight")] = 1
    take = type(take)(**{**vars(take), "curves": curves, "rotations": rotations.identity(1, len(take.joint_names))})
    done = performance.perform(human, take)
    for joint in ("eye.L", "eye.R"):
        gaze = rotations.rotate(done.rotations[0, human.joint(joint)], np.array([0, 0, 1.0]))
        assert gaze[0] > 0.4, "both eyes look to the character's left"
    vertices = performance.deform(human, done)[0]
    for name in ("eye_left", "eye_right"):
        piece = next(p.vertices for p in human.parts if p.name == name)
        front = np.argmax(human.vertices[piece][:, 2])
        assert vertices[piece][front, 0] > human.vertices[piece][front, 0] + 0.004


def test_deform_equals_shapes_then_blended_transforms():
    character, take = toy.character(), toy.take(20)
    done = performance.perform(character, take)
    world = performance.joint_transforms(character, done)
    frame = 7
    shaped = character.vertices.astype(float)
    for k, weight in enumerate(done.shape_weights[frame]):
        rows = slice(character.shapes.starts[k], character.shapes.starts[k + 1])
        shaped[character.shapes.vertices[rows]] += weight * character.shapes.offsets[rows]
    expected = np.zeros_like(shaped)
    for slot in range(8):
        joint = character.weight_joints[:, slot]
        turned = np.einsum("vab,vb->va", world[frame, joint, :3, :3], shaped - character.heads[joint])
        expected += character.weights[:, slot : slot + 1] * (turned + world[frame, joint, :3, 3])
    np.testing.assert_allclose(performance.deform(character, done)[frame], expected, atol=2e-6)


def test_turning_the_head_leaves_the_shoulders():
    from hyoid.characters import neck

    human = characters.load("human")
    turns = rotations.identity(1, len(human.joint_names))
    head = rotations.about((0, 1, 0), np.array([np.radians(70)]))
    turns[:, [human.joint(name) for name in neck.JOINTS]] = neck.distribute(human.neck, head)
    still = np.zeros((1, len(human.shapes.names)), np.float32)
    posed = performance.deform(human, performance.Performance(still, turns, np.zeros((1, 3), np.float32)))[0]
    moved = np.linalg.norm(posed - human.vertices, axis=1)
    assert moved[human.vertices[:, 1] < human.heads[human.joint("spine01"), 1]].max() < 1e-6
    nose = human.landmarks["nose_tip"]
    direction = posed[nose] - human.heads[human.joint("c7t1")] * [1, 0, 1] - [0, posed[nose, 1], 0]
    assert 60 < np.degrees(np.arctan2(direction[0], direction[2])) < 80
    assert abs(posed[nose, 1] - human.vertices[nose, 1]) < 0.02


def test_normals_are_those_of_the_posed_mesh():
    character, take = toy.character(), toy.take(3)
    vertices = performance.deform(character, performance.perform(character, take))
    normals = performance.deform_normals(character, vertices)
    assert normals.shape == vertices.shape
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-5)


def test_prepared_matrices_die_with_their_character():
    gc.collect()
    before = len(performance._PLANS)
    character = toy.character()
    performance.deform(character, performance.perform(character, toy.take(1)))
    assert len(performance._PLANS) == before + 1
    del character
    gc.collect()
    assert len(performance._PLANS) == before


@pytest.mark.parametrize("height", [-15, 20])
def test_the_larynx_slides_by_millimetres(height):
    from hyoid.characters import larynx

    human = characters.load("human", {"gender": 0.0}, part="head", subdivision=2)
    throat = larynx.Larynx(np.zeros(3), np.array([0, 1.0, 0]), np.array([0, 0, 1.0]), 1.0, 0.006)
    points = np.stack([np.zeros(401), np.linspace(-0.05, 0.05, 401), np.zeros(401)], -1)
    peak = points[larynx.field(throat, points, height)[:, 2].argmax(), 1]
    assert abs(1e3 * peak - height) < 0.5
    assert larynx.field(throat, points, height).max() <= 0.0062
    assert larynx.field(throat, points, height, size=0.0).max() == 0
    own = human.shapes.names.index("larynxSize")
    rows = slice(human.shapes.starts[own], human.shapes.starts[own + 1])
    assert np.linalg.norm(human.shapes.offsets[rows], axis=1).max() > 0.006


def test_the_baked_larynx_travels_more_than_it_grows():
    from hyoid.characters import larynx
    from hyoid.characters.character import Shapes

    points = np.stack([np.zeros(901), np.linspace(-0.05, 0.05, 901), np.zeros(901)], -1)
    throat = larynx.Larynx(np.zeros(3), np.array([0, 1.0, 0]), np.array([0, 0, 1.0]), 1.0, 0.010)
    none = Shapes((), np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros((0, 3), np.float32))
    rest, shapes = larynx.bake(throat, points, np.arange(len(points)), none)
    dense = np.zeros((3, *points.shape))
    for k in range(3):
        rows = slice(shapes.starts[k], shapes.starts[k + 1])
        dense[k, shapes.vertices[rows]] = shapes.offsets[rows]

    def relief(name, weight):
        return (rest + weight * dense[shapes.names.index(name)])[:, 2]

    places = [1e3 * points[relief("larynxUp", weight).argmax(), 1] for weight in (0.0, 1.0, 1.7, 2.0)]
    assert places[0] < 1 < places[1] < places[2] < places[3]
    assert places[2] > 10
    assert 1e3 * points[relief("larynxDown", 1.0).argmax(), 1] < -8
    for name, most in (("larynxUp", 2.0), ("larynxDown", 1.5)):
        for weight in np.linspace(0, most, 9):
            assert relief(name, weight).max() < 0.0115  # no knob
            assert relief(name, weight).min() > -0.0016  # no dent where it was


def test_men_have_a_larger_larynx_than_women_and_children_none_to_speak_of():
    sizes = []
    for settings in ({"gender": 0.0}, {"gender": 1.0}, {"gender": 0.0, "age": 0.2}):
        human = characters.load("human", settings, part="head", subdivision=1)
        own = human.shapes.names.index("larynxSize")
        rows = slice(human.shapes.starts[own], human.shapes.starts[own + 1])
        sizes.append(float(np.linalg.norm(human.shapes.offsets[rows], axis=1).max()))
    man, woman, child = sizes
    assert man > 3 * woman
    assert child < 0.001
