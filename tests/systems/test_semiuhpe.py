# SPDX-License-Identifier: Apache-2.0
"""The distribution of rotations and the conventions of SemiUHPE, against definitions and published numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import UsageError
from hyoid.geometry import head_angles
from hyoid.systems.semiuhpe import conventions, distribution, plans
from hyoid.systems.semiuhpe.config import BACKBONES, Config
from scipy.spatial.transform import Rotation


def parameters(count: int, seed: int = 0, spread: float = 3.0) -> np.ndarray:
    return spread * np.random.default_rng(seed).standard_normal((count, 3, 3))


def turns(count: int, seed: int = 0) -> np.ndarray:
    return Rotation.random(count, random_state=seed).as_matrix()


def test_decomposition_is_one_of_rotations():
    given = parameters(40)
    u, s, v = distribution.proper_svd(given)
    np.testing.assert_allclose((u * s[:, None]) @ v.swapaxes(1, 2), given, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(u), 1)
    np.testing.assert_allclose(np.linalg.det(v), 1)
    assert (s[:, 0] >= s[:, 1]).all()
    assert (s[:, 1] >= np.abs(s[:, 2])).all()
    assert (s[:, 2] < 0).any()  # the case that a plain svd gets wrong


def test_the_normaliser_is_the_mean_over_all_rotations():
    given = parameters(6, spread=1.0)
    grid = distribution.uniform_grid()
    mean = np.exp(np.einsum("aij,gij->ag", given, grid)).mean(1)
    found = distribution.log_normaliser(distribution.proper_svd(given)[1])
    np.testing.assert_allclose(found, np.log(mean), atol=2e-3)  # the grid has steps of 15 degrees


def test_the_mode_is_the_densest_of_all_rotations():
    given = parameters(5)
    densest = distribution.log_density(given, distribution.mode(given))
    others = distribution.log_density(given[:, None], distribution.uniform_grid()[None])
    assert (densest[:, None] >= others).all()


def test_the_gradient_is_that_of_the_normaliser():
    s = np.array([[6.0, 3.0, -1.0], [9.0, 8.0, 4.0]])
    for axis in range(3):
        step = 1e-4 * np.eye(3)[axis]
        slope = (distribution.log_normaliser(s + step) - distribution.log_normaliser(s - step)) / 2e-4
        np.testing.assert_allclose(distribution.log_normaliser_gradient(s)[:, axis], slope, atol=2e-4)


def test_entropies_of_the_paper_and_of_knowing_nothing():
    sizes = np.array([5, 10, 16.1, 20, 40, 80])
    found = distribution.entropy(np.repeat(sizes[:, None], 3, 1))
    np.testing.assert_allclose(found, [-3.48, -4.57, -5.3, -5.63, -6.69, -7.78], atol=0.006)
    assert distribution.entropy(np.zeros(3)) == pytest.approx(0, abs=1e-4)


def test_cross_entropy_is_least_for_the_teacher_itself():
    teacher = parameters(20)
    own = distribution.cross_entropy(teacher, teacher)
    np.testing.assert_allclose(own, distribution.entropy(distribution.proper_svd(teacher)[1]), atol=1e-9)
    assert (distribution.cross_entropy(teacher, parameters(20, seed=1)) > own).all()


def test_the_grid_is_uniform_and_made_of_rotations():
    grid = distribution.uniform_grid()
    assert grid.shape == (4608, 3, 3)
    np.testing.assert_allclose(grid @ grid.swapaxes(1, 2), np.broadcast_to(np.eye(3), grid.shape), atol=1e-12)
    np.testing.assert_allclose(grid.mean(0), 0, atol=1e-12)
    nearest = np.einsum("aij,gij->ag", turns(50), grid).max(1)  # 1 + 2 cos of the angle
    assert np.degrees(np.arccos((nearest - 1) / 2)).max() < 20


def test_conventions_there_and_back_and_what_angles_they_show():
    angles = np.array([[10.0, 20.0, -15.0], [-30.0, 75.0, 5.0]])
    common = head_angles.matrices(angles)
    for convention in conventions.CONVENTIONS:
        there = conventions.from_common(common, convention)
        np.testing.assert_allclose(conventions.to_common(there, convention), common, atol=1e-12)
    np.testing.assert_allclose(conventions.dad_angles(conventions.from_common(common)), angles, atol=1e-9)
    wlp = conventions.from_common(common, "300w-lp")
    np.testing.assert_allclose(conventions.wlp_angles(wlp), angles, atol=1e-9)
    np.testing.assert_allclose(conventions.wlp_matrices(angles), wlp, atol=1e-12)
    np.testing.assert_allclose(conventions.from_common(np.eye(3)), np.diag([1, -1, -1]))
    with pytest.raises(UsageError, match="biwi"):
        conventions.to_common(common, "biwi")


def test_a_mirror_turns_the_signs_of_yaw_and_roll():
    angles = np.array([[10.0, 20.0, -15.0], [-30.0, 175.0, 5.0]])
    found = head_angles.angles(conventions.mirrored(head_angles.matrices(angles)))
    np.testing.assert_allclose(found, angles * [1, -1, -1], atol=1e-9)


def test_turning_the_picture_to_the_left_rolls_the_head_to_the_left():
    turned = conventions.picture_turn(np.radians(20)) @ np.eye(3)
    np.testing.assert_allclose(head_angles.angles(turned), [0, 0, -20], atol=1e-9)


def test_sizes_of_the_published_networks():
    published = {
        "resnet50": 24_625_225, "repvgg": 44_850_569, "effinetv2": 20_901_465, "effinet": 18_534_737,
        "tinyvit": 20_704_649, "mobilenet": 2_569_481, "resnet18": 11_251_401,
    }  # fmt: skip
    for backbone, count in published.items():
        shapes = plans.shapes_of(Config(backbone))
        assert sum(int(np.prod(shape)) for name, shape in shapes.items() if "running" not in name) == count
    assert set(BACKBONES) - set(published) == {"plain"}


@pytest.mark.parametrize(
    "wrong", [{"backbone": "vgg"}, {"size": 8}, {"width": 9.0}, {"backbone": "resnet50", "width": 0.5},
              {"backbone": "tinyvit", "size": 128}, {"convention": "biwi"}],
)  # fmt: skip
def test_networks_that_do_not_exist(wrong):
    with pytest.raises(UsageError, match=str(next(reversed(wrong.values())))):
        Config(**wrong)
