# SPDX-License-Identifier: Apache-2.0
"""Crops and scenes of drawn heads: the same for a seed however they are asked for, and true to what they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid.errors import HyoidError, MissingToolError, UsageError
from hyoid.geometry import head_angles, rotations
from hyoid.geometry.head_angles import FLIP
from hyoid.media import gl
from hyoid.synthetic import heads
from hyoid.synthetic.heads import backgrounds, bank, bodies, head_crops, person, pose, scenes, styles, wear
from hyoid.synthetic.heads.settings import Settings

SMALL = Settings(size=64)


@pytest.fixture(scope="module", autouse=True)
def _graphics() -> None:
    try:
        gl.context()
    except MissingToolError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def some() -> heads.Crops:
    return heads.crops(7, 0, 6, settings=SMALL)


@pytest.fixture(scope="module")
def picture() -> heads.Scene:
    return heads.scene(3, 2, settings=Settings(width=320, height=240, people=(3, 4), heads=(24, 60), clean=True))


def test_a_crop_does_not_depend_on_how_crops_are_asked_for(some: heads.Crops) -> None:
    parts = [heads.crops(7, first, count, settings=SMALL) for first, count in ((4, 2), (0, 1), (1, 3))]
    order = [1, 2, 0]
    for name in ("images", "rotations", "boxes", "visible"):
        joined = np.concatenate([getattr(parts[index], name) for index in order])
        np.testing.assert_array_equal(joined, getattr(some, name))


def test_crops_of_another_seed_are_others(some: heads.Crops) -> None:
    assert not np.array_equal(heads.crops(8, 0, 1, settings=SMALL).images[0], some.images[0])


@pytest.mark.parametrize("region", ["front", "side", "back"])
def test_crops_of_a_region_are_seen_from_there(region) -> None:
    rotations = heads.crops(7, 0, 6, settings=replace(SMALL, region=region)).rotations
    assert head_angles.regions(rotations)[region].all()
    yaws = head_angles.angles(rotations)[:, 1]
    assert yaws.min() < 0 < yaws.max()


def test_crops_have_what_they_promise(some: heads.Crops) -> None:
    assert some.images.shape == (6, 64, 64, 3)
    assert some.images.dtype == np.uint8
    assert {values.dtype for values in (some.rotations, some.boxes, some.visible)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(
        some.rotations @ some.rotations.transpose(0, 2, 1), np.tile(np.eye(3), (6, 1, 1)), atol=1e-5
    )
    np.testing.assert_allclose(np.linalg.det(some.rotations), 1, atol=1e-5)
    assert (some.visible >= 0).all()
    assert (some.visible <= 1).all()
    assert some.visible.max() > 0.5
    assert all(image.std() > 2 for image in some.images)


def test_the_box_of_a_crop_is_in_its_middle_and_of_the_promised_size(some: heads.Crops) -> None:
    middle, sides = (some.boxes[:, :2] + some.boxes[:, 2:]) / 2, some.boxes[:, 2:] - some.boxes[:, :2]
    np.testing.assert_allclose(middle, 32, atol=0.5)
    np.testing.assert_allclose(sides.mean(1), 64 / head_crops.SPACE, rtol=1e-4)


def test_no_crops_are_empty_arrays() -> None:
    none = heads.crops(0, 5, 0, settings=SMALL)
    assert none.images.shape == (0, 64, 64, 3)
    assert none.rotations.shape == (0, 3, 3)
    assert none.boxes.shape == (0, 4)


def test_what_cannot_be_drawn_is_refused() -> None:
    for wrong in (
        {"size": 8},
        {"domain": "other"},
        {"region": "top"},
        {"people": (4, 2)},
        {"heads": (1, 9)},
        {"width": 1},
    ):
        with pytest.raises(UsageError):
            Settings(**wrong)
    with pytest.raises(UsageError):
        heads.crops(-1, 0, 1)
    with pytest.raises(UsageError):
        heads.scene(0, -1)


@pytest.mark.parametrize(
    ("angles", "nose"), [((0, 0, 0), (0, 0)), ((0, 60, 0), (-1, 0)), ((35, 0, 0), (0, -1)), ((0, 180, 0), None)]
)
def test_the_nose_is_where_the_rotation_says(angles: tuple[float, ...], nose: tuple[int, int] | None) -> None:
    random = np.random.default_rng(0)
    rotation = head_angles.matrices(np.array(angles, float))
    made = head_crops.apparent_to_person(random, rotation, styles.look(random, SMALL))
    placed, *_ = head_crops._framed(random, made, rotation, np.array([0.0, 0, 1]), 64)
    marks = (made.landmarks @ placed.rotation.T + placed.shift) @ FLIP
    tip, eyes = (
        marks[person.LANDMARKS.index("nose_tip")],
        marks[[person.LANDMARKS.index(f"eye_{s}") for s in ("left", "right")]],
    )
    ears = marks[[person.LANDMARKS.index(f"ear_{side}") for side in ("left", "right")]].mean(0)
    if nose is None:
        assert tip[2] > ears[2]
        assert eyes[0, 0] < eyes[1, 0]
        return
    assert tip[2] < ears[2]
    away = (tip - ears)[:2] / np.linalg.norm(tip - ears)
    for value, sign in zip(away, nose, strict=True):
        assert (value * sign > 0.4) if sign else abs(value) < 0.45
    if not any(angles):
        assert eyes[0, 0] > eyes[1, 0]  # the left eye is to the right of the picture


def test_a_neck_pose_turns_the_head_by_what_was_asked() -> None:
    random = np.random.default_rng(1)
    look = styles.look(random, SMALL)
    joints = pose.bust(random, pose.against_trunk(0, 30, 0), (40, 40))
    made = person.figure(look, joints, rotations.identity(), {})
    seen = head_angles.angles(FLIP @ made.head @ FLIP)
    np.testing.assert_allclose(seen, [0, -30, 0], atol=1e-6)  # its own left is to the right of the picture
    up = person.figure(look, pose.bust(random, pose.against_trunk(25, 0, 0), (40, 40)), rotations.identity(), {})
    np.testing.assert_allclose(head_angles.angles(FLIP @ up.head @ FLIP), [25, 0, 0], atol=1e-6)


def test_landmarks_of_a_scene_project_onto_their_heads(picture: heads.Scene) -> None:
    assert 1 <= len(picture.boxes) <= 4
    np.testing.assert_allclose(picture.camera.project(picture.landmark_points), picture.landmarks, atol=1e-2)
    names = [picture.landmark_names.index(name) for name in ("crown", "nose_tip", "chin", "eye_left", "ear_right")]
    for box, marks in zip(picture.boxes, picture.landmarks[:, names], strict=True):
        margin = 0.03 * (box[2:] - box[:2])
        assert ((marks >= box[:2] - margin) & (marks <= box[2:] + margin)).all()


def test_mask_and_depth_of_a_scene_agree_with_its_people(picture: heads.Scene) -> None:
    assert set(np.unique(picture.mask)) <= set(range(-1, len(picture.boxes)))
    assert np.isinf(picture.depth[picture.mask == -1]).mean() > 0.9
    for row in np.flatnonzero(picture.visible > 0.9):
        x, y = np.floor(picture.boxes[row].reshape(2, 2).mean(0)).astype(int)
        assert picture.mask[y, x] == row
        nearest, farthest = picture.landmark_points[row, :, 2].min(), picture.landmark_points[row, :, 2].max()
        assert nearest - 0.2 < picture.depth[y, x] < farthest + 0.2


def test_apparent_rotations_are_seen_along_the_ray_of_the_box(picture: heads.Scene) -> None:
    middle = (picture.boxes[:, :2] + picture.boxes[:, 2:]) / 2
    rays = head_angles.rays(middle, picture.camera.focal, picture.camera.centre)
    wanted = np.degrees(np.arccos(rays[:, 2]))
    np.testing.assert_allclose(head_angles.geodesic(picture.rotations, picture.apparent), wanted, atol=0.05)


def test_a_scene_depends_on_its_numbers_alone(picture: heads.Scene) -> None:
    again = heads.scene(3, 2, settings=Settings(width=320, height=240, people=(3, 4), heads=(24, 60), clean=True))
    np.testing.assert_array_equal(again.image, picture.image)
    np.testing.assert_array_equal(again.boxes, picture.boxes)


def test_held_out_people_share_no_identity_style_or_background() -> None:
    def looks(held_out: bool) -> list[styles.Look]:
        return [styles.look(np.random.default_rng(seed), Settings(held_out=held_out)) for seed in range(4)]

    for held_out in (False, True):
        for look in looks(held_out):
            assert look.held_out == held_out
            assert (look.pattern_size >= 1.3) == held_out
            assert {look.hair_seed % 2, look.hat_seed % 2, look.glasses_seed % 2} == {int(held_out)}
    assert bank.identity(0, False, False).settings != bank.identity(0, True, False).settings
    kinds = (backgrounds._USUAL, backgrounds._HELD_OUT, backgrounds._SHIFTED, backgrounds._SHIFTED_HELD_OUT)
    assert len({kind for some in kinds for kind in some}) == sum(len(set(some)) for some in kinds)


def test_the_back_of_a_haired_head_is_hair() -> None:
    random = np.random.default_rng(2)
    look = next(
        look for look in (styles.look(random, SMALL) for _ in range(60)) if look.hair == "medium" and look.hat is None
    )
    piece = wear.pieces(look, bank.identity(look.identity, False, False))[0]
    someone = bank.identity(look.identity, False, False)
    offset = piece.points - someone.centre
    behind = (offset[:, 2] < -0.04) & (offset[:, 1] > -0.02) & (piece.edge > 0.5)
    assert behind.sum() > 100
    shared = bank.layout(False)
    scalp = someone.vertices[shared.box] - someone.centre
    back = scalp[(scalp[:, 2] < -0.05) & (scalp[:, 1] > 0)]
    assert np.linalg.norm(offset[behind], axis=1).mean() > np.linalg.norm(back, axis=1).mean() + 0.005


def test_built_in_bodies_stand_on_their_feet() -> None:
    names = bank.joint_names()
    someone = bank.identity(1, False, True)
    for seed in range(4):
        world, _ = pose.transforms(someone, bodies.built_in(np.random.default_rng(seed)), rotations.identity())
        joints = dict(zip(names, world[:, :3, 3], strict=True))
        for side, sign in (("L", 1), ("R", -1)):
            assert joints[f"foot.{side}"][1] < joints[f"upperleg01.{side}"][1] - 0.2
            assert sign * joints[f"upperarm01.{side}"][0] > 0
        assert joints["oc1"][1] > joints["root"][1] + 0.3


def test_the_shifted_domain_is_another_one() -> None:
    usual = heads.crops(7, 0, 1, settings=SMALL)
    shifted = heads.crops(7, 0, 1, settings=Settings(size=64, domain="shifted"))
    assert not np.array_equal(usual.images, shifted.images)


def test_contact_sheets_hold_all_pictures(tmp_path, some: heads.Crops) -> None:
    from PIL import Image

    heads.contact_sheet(tmp_path / "sheet.png", some.images, 4)
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (128, 256, 3)
    np.testing.assert_array_equal(pixels[64:, 64:128], some.images[5])
    drawn = heads.drawn_axes(some.images[0], some.rotations[:1], some.boxes[:1])
    assert drawn.shape == some.images[0].shape
    assert not np.array_equal(drawn, some.images[0])


def test_people_of_a_scene_do_not_hide_each_others_heads_much(picture: heads.Scene) -> None:
    for one in range(len(picture.boxes)):
        for other in range(one):
            assert scenes._overlap(picture.boxes[one], picture.boxes[other]) < 0.6


def test_damaged_motion_is_refused(tmp_path) -> None:
    np.savez(tmp_path / "motion.npz", quat=np.zeros((1, 22, 4)))
    with pytest.raises(HyoidError, match="packed motion"):
        bodies.captured(np.random.default_rng(0), tmp_path, False)
