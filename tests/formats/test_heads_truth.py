# SPDX-License-Identifier: Apache-2.0
"""Marked heads: every way to write them gives the same, and what is wrong is told with its place."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.formats import heads_truth

ONE = {"box": [10, 20, 40, 60], "yaw": 30, "pitch": -5}
TWO = {"box": [1.5, 2, 3, 4], "yaw": 180, "pitch": 0, "roll": 12}
THREE = {"box": [0, 0, 9, 9], "yaw": -90, "pitch": 10}
WAYS = {
    "pictures": {"pictures": {"a.jpg": [ONE, TWO], "b.png": [THREE]}},
    "bare": {"a.jpg": [ONE, TWO], "b.png": THREE},
    "flat": [{"file": "a.jpg", **ONE}, {"image": "a.jpg", **TWO}, {"picture": "b.png", **THREE}],
    "names": {"pictures": [{"name": "a.jpg", "heads": [ONE, TWO]}, {"name": "b.png", **THREE}]},
    "columns": {
        "a.jpg": {"boxes": [ONE["box"], TWO["box"]], "yaw": [30, -180], "pitch": [-5, 0], "roll": [None, 12]},
        "b.png": {"bbox": [THREE["box"]], "yaw": [270], "pitch": [10]},
    },
}


def written(path, value) -> heads_truth.Truth:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return heads_truth.read(path)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same(tmp_path, way):
    found = written(tmp_path / "heads.json", WAYS[way])
    assert list(found.pictures) == ["a.jpg", "b.png"]
    assert found.order == "eye"
    first, second = found.pictures.values()
    assert first.boxes.tolist() == [ONE["box"], TWO["box"]]
    assert np.abs(first.angles[:, :2]).tolist() == [[5, 30], [0, 180]]
    assert first.angles[0, :2].tolist() == [-5, 30]
    assert np.isnan(first.angles[0, 2])
    assert first.angles[1, 2] == 12
    assert second.boxes.tolist() == [THREE["box"]]
    assert second.angles[0, :2].tolist() == [10, -90]


def test_a_head_may_have_a_box_alone_and_a_picture_none(tmp_path):
    value = {"angles": "camera", "pictures": {"a.jpg": [{"box": [0, 0, 5, 5]}], "b.jpg": [], "c.jpg": {"boxes": []}}}
    found = written(tmp_path / "heads.json", value)
    assert found.order == "camera"
    assert np.isnan(found.pictures["a.jpg"].angles).all()
    assert found.pictures["b.jpg"].boxes.shape == found.pictures["c.jpg"].boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{", "is not JSON"),
        ("3", "holds a number; expected"),
        ({}, "names no picture"),
        ([], "names no picture"),
        ({"angles": "radians", "pictures": {"a.jpg": []}}, "'angles' is 'radians'; expected 'eye' or 'camera'"),
        ([ONE], "entry 1 names no picture; expected one of file"),
        ([{"file": "a.jpg", **ONE}, 4], "entry 2 names no picture"),
        ({"a\0.jpg": [ONE]}, "a picture is named 'a\\x00.jpg'; expected names of files"),
        ({"": [ONE]}, "a picture is named ''"),
        ({"a.jpg": "heads"}, "'a.jpg' has text; expected a list of heads"),
        ({"a.jpg": [[1, 2, 3, 4]]}, "head 1 of 'a.jpg' is a list"),
        ({"a.jpg": [ONE, {"yaw": 1, "pitch": 2}]}, "head 2 of 'a.jpg' has no box"),
        ({"a.jpg": [{**ONE, "box": [1, 2, 3]}]}, "the box of head 1 of 'a.jpg' is [1, 2, 3]"),
        ({"a.jpg": [{**ONE, "box": [100, 100, 40, 40]}]}, "not x, y, width, height"),
        ({"a.jpg": [{**ONE, "box": [0, 0, 1, None]}]}, "the box of head 1"),
        ({"a.jpg": [{"box": [0, 0, 1, 1], "yaw": 3}]}, "head 1 of 'a.jpg' has no pitch"),
        ({"a.jpg": [{**ONE, "yaw": "left"}]}, "the yaw of head 1 of 'a.jpg' is 'left'"),
        ({"a.jpg": [{**ONE, "pitch": 500}]}, "the pitch of head 1 of 'a.jpg' is 500; expected degrees within +-180"),
        ('{"a.jpg": [{"box": [0, 0, 1, 1], "yaw": NaN, "pitch": 0}]}', "the yaw of head 1"),
        ({"a.jpg": {"boxes": [ONE["box"]], "yaw": [1, 2], "pitch": [0]}}, "has 1 boxes, but of 'yaw' 2"),
        ({"a.jpg": {"boxes": [ONE["box"]], "yaw": 1, "pitch": [0]}}, "has 1 boxes, but of 'yaw' no list of them"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(tmp_path, value, told):
    with pytest.raises(InputError) as error:
        written(tmp_path / "heads.json", value)
    assert told in str(error.value)
    assert str(tmp_path / "heads.json") in str(error.value)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        heads_truth.read(tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="is not JSON"):
        heads_truth.read(tmp_path / "bytes.json")
