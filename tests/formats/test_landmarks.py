# SPDX-License-Identifier: Apache-2.0
"""Picked places in the spellings that people use, and the pictures that an .obj names."""

from __future__ import annotations

import numpy as np
import pytest
from hyoid.characters.character import Material
from hyoid.errors import InputError
from hyoid.formats import landmarks, mtl
from PIL import Image


@pytest.mark.parametrize(
    "text",
    [
        '{"nose_tip": 3120, "chin": [0.5, -4, 9e1]}',
        "\ufeffnose_tip 3120\n# a comment\n\nchin 0.5 -4 9e1  # here\n",
        "nose_tip: 3120\nchin = 0.5, -4, 90\n",
    ],
)
def test_named_places(tmp_path, text):
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="utf-8")
    assert landmarks.read(path) == {"nose_tip": 3120, "chin": (0.5, -4.0, 90.0)}


def test_68_places_without_names(tmp_path):
    path = tmp_path / "a.txt"
    points = np.arange(204).reshape(68, 3) / 8
    for text in (str(points.tolist()), "\n".join(f"{x} {y} {z}" for x, y, z in points)):
        path.write_text(text)
        np.testing.assert_array_equal(np.array(landmarks.read(path)), points)
    for text in (str(list(range(68))), "\n".join(map(str, range(68)))):
        path.write_text(text)
        np.testing.assert_array_equal(np.array(landmarks.read(path)), np.arange(68))


BAD = {
    "": "names no landmark",
    "{}": "names no landmark",
    "{'a': 1}": "is not JSON",
    '{"chin": [1, 2]}': "landmark 'chin' is",
    '{"chin": 1.5}': "landmark 'chin' is",
    '{"chin": true}': "landmark 'chin' is",
    '{"chin": NaN}': "landmark 'chin' is",
    '{"chin": [1, 2, NaN]}': "landmark 'chin' is",
    '{"chin": null}': "landmark 'chin' is",
    "chin\n": "line 1 is 'chin'",
    "nose_tip 3\nchin 1 2\n": "line 2 is 'chin 1 2'",
    "chin 3\nchin 4\n": "line 2 names 'chin' again",
    "chin 3\n4\n": "some landmarks have names",
    "1 2 3\n": "holds 1 landmarks without names; expected 68",
    "[" + ",".join(["1"] * 67) + ",[1,2,3]]": "expected 68 vertices or 68 points",
}


@pytest.mark.parametrize("text", BAD, ids=[message[:30] for message in BAD.values()])
def test_bad_places_are_named(tmp_path, text):
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        landmarks.read(path)
    assert BAD[text] in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_that_are_no_text(tmp_path):
    path = tmp_path / "a.txt"
    for data in (b"\xff\xfe\x00", b"a 1\n" * 400_000):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"a\.txt"):
            landmarks.read(path)
    with pytest.raises(InputError, match="cannot be read"):
        landmarks.read(tmp_path / "no.txt")


def test_pictures_of_an_obj_are_found_in_its_library(tmp_path):
    (tmp_path / "maps").mkdir()
    Image.new("RGB", (32, 32), (188, 188, 188)).save(tmp_path / "maps" / "my skin.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "eye.jpg")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "me.obj").write_text("mtllib me.mtl\nmtllib gone.mtl\nv 0 0 0\n")
    (tmp_path / "me.mtl").write_text(
        "newmtl my skin\nKd 1 1 1\nmap_Kd maps\\my skin.png\nnewmtl eye\nmap_Kd -s 1 1 1 eye.jpg\n"
        "newmtl bad\nmap_Kd text.png\nnewmtl gone\nmap_Kd gone.png\n"
    )
    found = mtl.pictures_of(tmp_path / "me.obj")
    assert {name: place.name for name, place in found.items()} == {"my skin": "my skin.png", "eye": "eye.jpg"}
    material = mtl.painted(Material("skin", (0.5, 0.4, 0.3, 1.0)), found["my skin"])
    assert material.colour == (1, 1, 1, 1)
    assert material.plain == pytest.approx((0.503, 0.503, 0.503, 1), abs=1e-3)  # sRGB 188 is half the light
    with pytest.raises(InputError, match=r"text\.png.*PNG or JPEG"):
        mtl.checked_picture(tmp_path / "text.png")
