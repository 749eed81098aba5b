# SPDX-License-Identifier: Apache-2.0
"""The neck keeps its volume and folds nowhere, at every identity and level; the fit does what it says."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hyoid import characters
from hyoid.blender import neck_control
from hyoid.characters import bundled, neck
from hyoid.files import data_folder
from hyoid.geometry import rotations
from hyoid.geometry.volume import boundary_loops, closed_volume, turned_over, volume_gradient
from hyoid.systems.hack import train
from hyoid.take import Take
from hyoid.verbs import bench


@pytest.fixture(scope="module")
def measures():
    """The bench, so that the test and the printed figures are the same measure."""
    return bench.load(data_folder("bench") / "neck.py")


def _grid(human, count: int) -> np.ndarray:
    return neck.distribute(human.neck, rotations.from_rotation_vector(neck_control.heads(human.neck, count)))


def test_the_shapes_are_few_follow_the_joints_and_rest_at_rest():
    human = characters.load("human", part="head")
    joints = [corrective.joint for corrective in human.correctives]
    assert 0 < len(joints) <= 24
    assert max(map(joints.count, joints)) <= 4
    assert set(joints) <= set(neck.JOINTS[1:]), "the joint at the base drives nothing, as in HACK"
    for corrective in human.correctives:
        assert corrective.shape.startswith(f"corrective_{corrective.joint}_")
        assert np.abs(corrective.features).max() < 1e3
    full = characters.load("human")
    assert [c.shape for c in full.correctives] == [c.shape for c in human.correctives]


@pytest.mark.parametrize(
    ("settings", "part", "level", "percent"),
    [
        # Less than 3 % is what the neck of the default adult promises; other people share its shapes, scaled.
        ({}, "head", 0, 2.0),
        ({}, "full", 0, 2.0),
        ({}, "head", 1, 3.0),
        ({"gender": 1.0, "weight": 0.9}, "head", 0, 3.0),
        ({"gender": 0.0, "muscle": 1.0}, "head", 0, 3.0),
        ({"age": 0.2}, "head", 0, 3.0),
    ],
)
def test_the_neck_keeps_its_volume_over_the_whole_range(measures, settings, part, level, percent):
    human = characters.load("human", settings, part=part, subdivision=level)
    measured = measures.Neck(human)
    poses = np.concatenate([_grid(human, 5), neck.distribute(human.neck, measures.unseen(human)[:12])])
    found = measured.measure(poses, True)
    assert 100 * np.abs(found["volume"]).max() < percent
    plain = measured.measure(poses[np.abs(found["volume"]).argsort()[-20:]], False)
    assert 100 * np.abs(plain["volume"]).max() > 10, "without correctives it would not"
    if not settings:
        assert not found["folds"].any()


@pytest.mark.parametrize("settings", [{}, {"gender": 1.0}, {"age": 1.0}, {"gender": 0.0, "muscle": 1.0}], ids=str)
def test_no_triangle_folds_over_a_fine_grid_and_unseen_poses_up_to_the_border(measures, settings):
    human = characters.load("human", settings, part="head")
    unseen = [neck.distribute(human.neck, measures.unseen(human, border=border)) for border in (False, True)]
    found = measures.Neck(human).measure(np.concatenate([_grid(human, 8), *unseen]), True)
    assert not found["folds"].any()
    assert np.abs(found["volume"]).max() < 0.03


def test_no_weight_below_zero_is_left_for_files_and_the_skin_is_the_same():
    from hyoid.characters import performance
    from hyoid.characters.lighter import both_signs

    human = characters.load("human", part="head")
    poses = _grid(human, 3)[:7].astype(np.float32)
    take = Take(
        fps=30.0, curve_names=(), curves=np.zeros((7, 0), np.float32), joint_names=neck.JOINTS, rotations=poses,
        root=np.zeros((7, 3), np.float32), confidence=np.ones(7, np.float32),
    )  # fmt: skip
    plain = performance.perform(human, take)
    assert plain.shape_weights.min() < -0.05
    twin, done = both_signs(human, plain)
    first = len(human.shapes.names) - len(human.correctives)
    assert done.shape_weights[:, first:].min() >= 0
    assert {entry.shape for entry in twin.correctives} <= set(twin.shapes.names)
    np.testing.assert_allclose(performance.deform(twin, done), performance.deform(human, plain), atol=1e-6)


def test_the_correctives_are_as_large_as_the_neck_asks():
    def sizes(settings):
        human = characters.load("human", settings, part="head")
        first = human.shapes.starts[human.shapes.names.index(human.correctives[0].shape)]
        return np.linalg.norm(human.shapes.offsets[first:], axis=1).max()

    assert sizes({"age": 0.2}) < 0.85 * sizes({}), "a child's neck is thinner"
    triangles = np.array([[0, 1, 2], [2, 1, 3]])
    points = np.random.default_rng(1).normal(size=(4, 3)) + np.array([0, 0, 2])
    heads = np.linspace([0, -1, 0], [0, 1, 0], 8)
    need = bundled.corrective_need(points, triangles, heads)
    assert bundled.corrective_need(3 * points, triangles, 3 * heads) == pytest.approx(3 * need)


# --- the mathematics ---


def _tube(rings: int = 24, around: int = 20) -> train.NeckSkin:
    """An upright tube, a little in front of its joints, that goes over from trunk to head evenly."""
    height = np.linspace(0, 0.24, rings)
    angle = np.arange(around) / around * 2 * np.pi
    ring = np.stack([0.05 * np.sin(angle), 0 * angle, 0.05 * np.cos(angle) + 0.015], -1)
    rest = (ring[None] + height[:, None, None] * [0, 1, 0]).reshape(-1, 3)
    row, column = np.meshgrid(np.arange(rings - 1), np.arange(around), indexing="ij")
    a, b = row * around + column, row * around + (column + 1) % around
    quads = np.stack([a, b, b + around, a + around], -1).reshape(-1, 4)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    level = np.clip((rest[:, 1] - 0.05) / 0.14, 0, 1) * 8
    weights = np.maximum(1 - np.abs(level[:, None] - np.arange(9)), 0)
    heads = np.stack([0 * np.arange(8), 0.05 + 0.14 * (np.arange(8) + 0.5) / 8, 0 * np.arange(8)], -1)
    return train.NeckSkin(rest, triangles, weights, heads)


def _poses(count: int, size: float, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(0, size, (count, 8, 3))
    vectors[:, 0] = 0  # the joint at the base drives no corrective: what it does cannot be learnt
    return rotations.from_rotation_vector(vectors)


def test_volume_and_its_gradient():
    skin = _tube()
    loops = boundary_loops(skin.triangles)
    assert sorted(map(len, loops)) == [20, 20]
    around = 0.5 * 20 * np.sin(2 * np.pi / 20) * 0.05**2
    assert closed_volume(skin.rest, skin.triangles, loops) == pytest.approx(around * 0.24, rel=1e-9)
    slope = volume_gradient(skin.rest, skin.triangles, loops)
    push = np.random.default_rng(1).normal(size=skin.rest.shape)
    step = 1e-7
    both = [closed_volume(skin.rest + sign * step * push, skin.triangles, loops) for sign in (1, -1)]
    assert (both[0] - both[1]) / (2 * step) == pytest.approx(float((slope * push).sum()), rel=1e-5)
    turns = np.broadcast_to(np.eye(3), (1, len(skin.rest), 3, 3))
    assert turned_over(skin.rest, skin.rest[None], skin.triangles, turns).min() == pytest.approx(1)
    assert turned_over(skin.rest, -skin.rest[None] * [1, 1, -1], skin.triangles, turns).min() < 0


def test_the_target_keeps_the_volume_and_the_rigid_ends():
    skin = _tube()
    target = train.Target(skin)
    joints = _poses(6, 0.12, 2)
    points, transforms = target(joints)
    loops = boundary_loops(skin.neck)
    rest = closed_volume(skin.rest, skin.neck, loops)
    np.testing.assert_allclose(closed_volume(points, skin.neck, loops), rest, rtol=1e-4)
    blended = train.apply(transforms, skin.rest)
    assert np.abs(closed_volume(blended, skin.neck, loops) / rest - 1).max() > 0.02
    ends = np.maximum(skin.weights[:, 0], skin.weights[:, 8]) > 0.999
    np.testing.assert_allclose(points[:, ends], blended[:, ends], atol=1e-4)


def test_ridge_finds_a_known_matrix_and_compression_keeps_what_acts():
    random = np.random.default_rng(3)
    joints = _poses(400, 0.3, 4)
    found = train.features(joints)
    known = np.zeros((8, 3, 3, 5, 3))
    known[2, :, :, :, :] = random.normal(size=(3, 3, 1, 1)) * random.normal(size=(5, 3))
    known[6] = random.normal(size=(3, 3, 1, 1)) * random.normal(size=(5, 3))
    moved = np.einsum("pf,fva->pva", found, known[1:].reshape(63, 5, 3))
    fitted = train.ridge(found, moved, 1e-9)
    np.testing.assert_allclose(np.einsum("pf,fva->pva", found, fitted[1:].reshape(63, 5, 3)), moved, atol=1e-4)
    assert not fitted[0].any(), "the lowest joint drives nothing"
    shapes = train.compress(fitted, found, moved, most=1, total=2)
    assert [shape.joint for shape in shapes] == [2, 6], "two combinations are all there is"
    again = sum(
        np.einsum("pab,ab->p", rotations.to_matrix(joints[:, s.joint]) - np.eye(3), s.features)[:, None, None]
        * s.offsets
        for s in shapes
    )
    assert np.abs(again - moved).max() < 0.02 * np.abs(moved).max()


def test_mirrored_samples_are_mirrored_poses():
    skin = _tube()
    target = train.Target(skin)
    distance = np.linalg.norm(skin.rest[:, None] * [-1, 1, 1] - skin.rest[None], axis=-1)
    mirror = distance.argmin(1)
    joints = _poses(3, 0.1, 5)
    found, moved = train.offsets(target, joints, mirror)
    assert len(found) == len(moved) == 6
    other, there = train.offsets(target, joints * [1, 1, -1, -1])
    np.testing.assert_allclose(found[3:], other, atol=1e-12)
    # The triangles of the tube lean one way, so the mirror image is only nearly one.
    assert np.sqrt(((moved[3:] - there) ** 2).mean()) < 0.4 * np.sqrt((there**2).mean())


def test_the_script_of_the_rig_uses_them():
    root = str(data_folder("rigs").parent)
    if root not in sys.path:
        sys.path.append(root)
    from rigs.human import correctives

    human = characters.load("human", part="head")
    poses = correctives.sample(human.neck, 200, 1)
    assert poses.shape == (200, 8, 4)
    vectors = np.degrees(rotations.to_rotation_vector(neck.collapse(poses)))
    # The samples fill the range of motion in every direction.
    assert vectors[:, 0].max() > 40
    assert vectors[:, 0].min() < -45
    assert np.abs(vectors[:, 1]).max() > 50
    assert np.abs(vectors[:, 2]).max() > 35
