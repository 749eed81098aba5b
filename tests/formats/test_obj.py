# SPDX-License-Identifier: Apache-2.0
"""The .obj reader: order kept, all spellings of the format, and errors that name the line."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hyoid.errors import HyoidError, InputError
from hyoid.formats import obj
from hyoid.geometry.mesh import Mesh

SPELLINGS = """# a cube's corner, written by hand\r
mtllib a.mtl\r
o head\r
v 0 0 0 0.5 0.5 0.5\r
v 1e0 0 0\r
  v +1.0 1 -0.0 1.0   # with w\r
v 0 1 \\\r
  0\r
v 0.5 2 0\r
vn 0 0 1\r
vt 0.25 0.75 0\r
vt 1\r
s 1\r
f 1 2 3 4\r
usemtl skin\r
f -3//1 -2//1 -1//1\r
g a b\r
f 1/1/1 2/2/1 3/1/1 5/2/1 4/1/1\r
g\r
l 1 2\r
f 1 1 2\r
f 1 2 2 3\r
"""


def test_every_spelling_of_the_format_arrives(tmp_path):
    path = tmp_path / "a.obj"
    path.write_bytes(SPELLINGS.encode())
    mesh = obj.read(path)
    np.testing.assert_array_equal(mesh.vertices, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 2, 0]])
    # The quad, the triangle of relative indices, the pentagon as a fan; `1 1 2` has no area; `1 2 2 3` is a triangle.
    expected = [[0, 1, 2, 3], [2, 3, 4, 4], [0, 1, 2, 2], [0, 2, 4, 4], [0, 4, 3, 3], [0, 1, 2, 2]]
    np.testing.assert_array_equal(mesh.faces, expected)
    assert [mesh.group_names[group] for group in mesh.groups] == [
        "head", "head/skin", "head/a b/skin", "head/a b/skin", "head/a b/skin", "head/skin",
    ]  # fmt: skip
    # Faces without coordinates share an added one; `vt 1` is (1, 0).
    np.testing.assert_array_equal(mesh.uv, [[0.25, 0.75], [1, 0], [0, 0]])
    np.testing.assert_array_equal(mesh.face_uv[3], [0, 0, 1, 1])
    np.testing.assert_array_equal(mesh.face_uv[0], [2, 2, 2, 2])
    np.testing.assert_array_equal(obj.read_vertices(path), mesh.vertices)


def test_old_line_ends_are_read(tmp_path):
    path = tmp_path / "a.obj"
    path.write_bytes(b"v 0 0 0\rv 1 0 0\rv 0 1 0\rf 1 2 3")
    assert obj.read(path).faces.tolist() == [[0, 1, 2, 2]]


def test_what_is_written_is_read_back_exactly(tmp_path):
    random = np.random.default_rng(3)
    faces = np.array([[0, 1, 2, 2], [2, 3, 4, 5], [5, 6, 7, 7]], np.int32)
    mesh = Mesh(
        random.normal(size=(8, 3)) * 1e-3, faces, random.random((4, 2)).astype(np.float32), faces % 4,
        np.array([0, 0, 1], np.int32), ("skin", "eye"),
    )  # fmt: skip
    path = tmp_path / "a.obj"
    obj.write(path, mesh)
    back = obj.read(path)
    for name in ("vertices", "faces", "uv", "groups"):
        np.testing.assert_array_equal(getattr(back, name), getattr(mesh, name))
    assert back.group_names == mesh.group_names
    # A triangle's fourth coordinate repeats the third.
    np.testing.assert_array_equal(back.face_uv[1], mesh.face_uv[1])


BAD = {
    "": "is empty",
    "hello\n": "holds no vertices",
    "v 0 0\n": "line 1 is 'v 0 0'; expected 3 numbers",
    "# x\nv 0 0 0\nv 1 a 0\n": "line 3 is 'v 1 a 0'",
    "v 0 0 0\nv 1 nan 0\n": "the first at index (1, 1)",
    "v 0 0 0\nv 1 0 1e999\n": "the first at index (1, 2)",
    "v 0 0 0\nv 1 0 0\nv 0 1 0\n\nf 1 2\n": "line 5 is a face of 2 corners",
    "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\nf 1 2 4\n": "line 5: '4' is out of range; expected 1 to 3",
    "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 -4\n": "line 4: '-4' is out of range",
    "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n": "line 4: '0' is out of range",
    "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1/1 2/2 3/3\n": "'1/1' is out of range; expected none",
    "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 x\n": "line 4: 'x' is no corner",
    "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3/-\n": "line 4: '3/-' is no corner",
    f"v 0 0 0\nf 1 1 {'9' * 30}\n": "is no corner",
}


@pytest.mark.parametrize("text", BAD, ids=[message[:30] for message in BAD.values()])
def test_bad_lines_are_named(tmp_path, text):
    path = tmp_path / "bad.obj"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        obj.read(path)
    assert BAD[text] in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "no.obj", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            obj.read_vertices(path)


def test_random_damage_is_an_error_or_a_mesh(tmp_path):
    whole = bytearray(SPELLINGS.encode())
    random = np.random.default_rng(1)
    path = tmp_path / "a.obj"
    for _ in range(300):
        damaged = bytearray(whole)
        for place in random.integers(0, len(damaged), 3):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged)
        try:
            mesh = obj.read(path)
        except HyoidError:
            continue
        assert not len(mesh.faces) or mesh.faces.max() < len(mesh.vertices)


def test_vertices_of_a_large_file_are_read_quickly(tmp_path):
    """A model folder holds 150 files of this size: a tenth of a second each is a quarter of a minute."""
    random = np.random.default_rng(0).normal(size=(26000, 3))
    path = tmp_path / "large.obj"
    faces = "".join(f"f {n}/{n} {n + 1}/{n + 1} {n + 2}/{n + 2} {n + 3}/{n + 3}\n" for n in range(1, 25000))
    path.write_text("".join(f"v {x:.6f} {y:.6f} {z:.6f}\nvt 0.123456 0.5\n" for x, y, z in random) + faces)
    best = 9.0
    for _ in range(5):
        start = time.process_time()
        vertices = obj.read_vertices(path)
        best = min(best, time.process_time() - start)
    assert vertices.shape == (26000, 3)
    assert best < 0.1
