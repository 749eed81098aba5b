# SPDX-License-Identifier: Apache-2.0
"""Drawings over footage: the small head looks where the direction says, and nothing is drawn for unsure ones."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.geometry import head_angles
from hyoid.media import head_overlay, images
from hyoid.motion import heads
from PIL import Image


def one(pitch=0.0, yaw=0.0, box=(100, 80, 160, 160)) -> heads.Heads:
    turned = head_angles.matrices(np.array([[pitch, yaw, 0.0]]))
    return heads.by_size(heads.of_picture(0, np.array([box], float), np.ones(1), turned, turned, np.array([-6.0])))


def test_the_low_head_is_a_head_of_the_assumed_size():
    low = head_overlay.low_head()
    size = np.ptp(low.vertices, 0)
    assert size[1] == pytest.approx(0.24, abs=0.02)
    assert size[0] < size[2] < size[1]
    assert 500 < len(low.triangles) < 4000
    # The nose is the foremost point, and it lies below the middle of the head.
    nose = low.vertices[low.vertices[:, 2].argmin()]
    assert abs(nose[0]) < 0.01
    assert nose[1] > 0


def test_the_small_head_is_turned_as_told():
    """A profile that looks to the left of the picture has its nose on the left: mass before, a long back behind."""
    left = np.asarray(head_overlay.small_head(head_angles.matrices(np.array([0.0, 90, 0])), 120, (200, 200, 200))[1])
    right = np.asarray(head_overlay.small_head(head_angles.matrices(np.array([0.0, -90, 0])), 120, (200, 200, 200))[1])
    assert np.abs(left.astype(int) - right[:, ::-1]).mean() < 12  # near symmetry of a face
    low_part = (left[80:110] > 128).nonzero()[1]
    assert low_part.mean() < 60  # the chin is before the neck


def test_boxes_and_axes_are_drawn_where_they_belong():
    picture = np.zeros((240, 320, 3), np.uint8)
    drawn = head_overlay.draw(picture, one(yaw=90), {1: "person_01"})
    assert drawn.shape == picture.shape
    nose = np.array(head_overlay.AXES[2])
    blue = np.argwhere(np.abs(drawn.astype(int) - nose).sum(-1) < 20)
    assert blue[:, 1].mean() < 125  # to the left of the middle of the box, 130
    assert drawn[80:160, 100].any()
    assert not head_overlay.draw(picture, heads.nobody(), {}).any()


def test_an_unsure_head_has_a_box_and_no_axes():
    picture = np.zeros((240, 320, 3), np.uint8)
    drawn = head_overlay.draw(picture, one(), {1: "person_01"}, hidden=np.array([True]))
    for ink in head_overlay.AXES:
        assert not (np.abs(drawn.astype(int) - np.array(ink)).sum(-1) < 10).any()
    assert drawn.any()


def test_large_pictures_are_scaled_and_heads_at_the_edge_fit():
    picture = np.zeros((3000, 4000, 3), np.uint8)
    drawn = head_overlay.draw(picture, one(box=(3900, 0, 4000, 3000)), {1: "person_01"})
    assert max(drawn.shape) == head_overlay.LARGEST


def test_sixteen_bits_keep_the_upper_eight_and_alpha_lies_on_black(tmp_path):
    Image.fromarray(np.full((4, 5), 0x8040, np.uint16)).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(images.read(tmp_path / "deep.png"), np.full((4, 5, 3), 0x80))
    Image.fromarray(np.full((4, 5, 4), (200, 100, 50, 0), np.uint8)).save(tmp_path / "clear.png")
    assert not images.read(tmp_path / "clear.png").any()
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    ink.save(tmp_path / "ink.jpg", quality=95)
    assert images.read(tmp_path / "ink.jpg")[4, 4].tolist() == pytest.approx([255, 0, 0], abs=8)
    palette = Image.fromarray(np.full((8, 8, 3), (10, 200, 30), np.uint8)).convert("P")
    palette.save(tmp_path / "few.png")
    assert images.read(tmp_path / "few.png")[0, 0].tolist() == pytest.approx([10, 200, 30], abs=30)


def test_a_folder_lists_pictures_by_name(tmp_path):
    for name in ("b.png", "a.JPG", ".hidden.png", "c.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in images.listed(tmp_path)] == ["a.JPG", "b.png"]
    with pytest.raises(InputError, match="picture"):
        images.read(tmp_path / "b.png")
