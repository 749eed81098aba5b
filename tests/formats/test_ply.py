# SPDX-License-Identifier: Apache-2.0
"""Scans and meshes from .ply, .stl and .glb: order kept, all encodings the same, damage refused by name."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hyoid.errors import InputError, UsageError
from hyoid.formats import glb, glb_mesh, glb_read, obj, ply, stl
from hyoid.formats.mesh_files import SUFFIXES, read_mesh
from hyoid.geometry.mesh import Mesh

from tests import toy
from tests.formats.fuzz import survives

TEXT = b"""ply\r
format ascii 1.0\r
comment made by hand\r
element camera 1\r
property float view\r
element vertex 5\r
property float x\r
property float y\r
property double z\r
property uchar red\r
property float s\r
property float t\r
element face 3\r
property list uchar int vertex_indices\r
property list uchar float texcoord\r
property float quality\r
end_header\r
1\r
0 0 0 255 0 0\r
1 0 0 255 1 0\r
1 1 0 255 1 1\r
0 1 0 255 0 1\r
0.5 2 1e-3 255 0.5 0.5\r
4 0 1 2 3 0 1\r
3 0 1 2 2 0.5 0.5 1\r
5 0 1 2 4 3 0 1\r
"""
FACES = [[0, 1, 2, 3], [0, 1, 2, 2], [0, 1, 2, 2], [0, 2, 4, 4], [0, 4, 3, 3]]


def binary(order: str) -> bytes:
    """The same mesh as :data:`TEXT`."""
    word = {"<": "little", ">": "big"}[order]
    header = TEXT[: TEXT.index(b"end_header")].replace(b"ascii", f"binary_{word}_endian".encode()) + b"end_header\n"
    rows = TEXT[TEXT.index(b"end_header") :].split(b"\r\n")[1:]
    data = struct.pack(f"{order}f", 1)
    for row in rows[1:6]:
        x, y, z, red, s, t = map(float, row.split())
        data += struct.pack(f"{order}ffdBff", x, y, z, int(red), s, t)
    for row in rows[6:9]:
        words = row.split()
        count = int(words[0])
        data += struct.pack(f"{order}B{count}i", count, *map(int, words[1 : count + 1]))
        words = words[count + 1 :]
        count = int(words[0])
        data += struct.pack(f"{order}B{count}ff", count, *map(float, words[1:]))
    return header + data


@pytest.mark.parametrize("data", [TEXT, binary("<"), binary(">")], ids=["text", "little", "big"])
def test_every_encoding_gives_the_same_mesh(tmp_path, data):
    path = tmp_path / "a.ply"
    path.write_bytes(data)
    mesh = ply.read(path)
    np.testing.assert_allclose(mesh.vertices[4], [0.5, 2, 1e-3], rtol=1e-7)
    assert mesh.faces.tolist() == FACES
    np.testing.assert_array_equal(mesh.face_uv, mesh.faces)
    np.testing.assert_array_equal(mesh.uv[1], [1, 0])
    np.testing.assert_array_equal(ply.read_vertices(path), mesh.vertices)


def test_points_without_faces_are_a_cloud(tmp_path):
    path = tmp_path / "a.ply"
    path.write_bytes(TEXT.split(b"element face")[0] + b"end_header\r\n1\r\n" + TEXT.split(b"end_header\r\n1\r\n")[1])
    mesh = ply.read(path)
    assert (len(mesh.vertices), len(mesh.faces), mesh.group_names) == (5, 0, ())


def test_a_large_mesh_of_triangles_and_what_was_written(tmp_path):
    random = np.random.default_rng(0)
    triangles = random.integers(0, 1000, (5000, 3))
    triangles = triangles[(np.diff(np.sort(triangles), axis=1) > 0).all(1)]
    mixed = np.concatenate([triangles, triangles[:, -1:]], 1).astype(np.int32)
    quads = np.arange(400).reshape(-1, 4).astype(np.int32)
    for faces in (mixed, np.concatenate([mixed, quads])):  # equal lists are read at once, others one by one
        mesh = Mesh(
            random.normal(size=(1000, 3)), faces, np.zeros((0, 2)), np.zeros((0, 4)), np.zeros(len(faces)), ("",)
        )
        path = tmp_path / "a.ply"
        ply.write(path, mesh)
        back = ply.read(path)
        np.testing.assert_array_equal(back.vertices, mesh.vertices)
        np.testing.assert_array_equal(back.faces, faces)


BAD = [
    (b"hello", "begins with 'ply'"),
    (TEXT.replace(b"ascii", b"xml"), "line 2 of its header is 'format xml 1.0'"),
    (TEXT.replace(b"vertex 5", b"vertex -5"), "line 6 of its header"),
    (TEXT.replace(b"vertex 5", b"vertex 500000000"), "ends within its 500000000 of 'vertex'"),
    (binary("<").replace(b"vertex 5", b"vertex 500000000"), "ends within its 500000000 of 'vertex'"),
    (binary("<").replace(b"face 3", b"face 4"), "ends within its 4 of 'face'"),
    (binary("<").replace(b"face 3", b"face 400000000"), "ends within its 400000000 of 'face'"),
    (TEXT.replace(b"\n1 1 0 255", b"\n1 nan 0 255"), r"the first at index \(2, 1\)"),
    (TEXT.replace(b"\n1 1 0 255", b"\n1 x 0 255"), "line 21 does not hold what 'vertex' promises"),
    (TEXT.replace(b"\n1 1 0 255", b"\n1 1 255"), "line 21 does not hold what 'vertex' promises"),
    (TEXT.replace(b"4 0 1 2 3", b"4 0 1 2 9"), "face 0 names vertex 9; expected 0 to 4"),
    (TEXT.replace(b"4 0 1 2 3", b"4 0 1 2 -1"), "face 0 names vertex -1"),
    (TEXT.replace(b"3 0 1 2 2 ", b"2 0 1 2 "), "face 1 has 2 corners"),
    (TEXT.replace(b"3 0 1 2 2 ", b"300 0 1 2 2 "), "line 25 does not hold what 'face' promises"),
    (TEXT.replace(b"double z", b"double w"), "no vertices with x, y and z"),
    (TEXT.replace(b"element face 3", b"element tristrips 3"), "holds triangle strips"),
]


@pytest.mark.parametrize(("data", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_files_are_refused_by_what_is_wrong(tmp_path, data, message):
    path = tmp_path / "a.ply"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        ply.read(path)
    assert str(path) in str(caught.value)


def sound(mesh: Mesh) -> None:
    assert np.isfinite(mesh.vertices).all()
    assert not len(mesh.faces) or 0 <= mesh.faces.min() <= mesh.faces.max() < len(mesh.vertices)


@pytest.mark.parametrize("data", [TEXT, binary("<"), binary(">")], ids=["text", "little", "big"])
def test_random_damage_to_a_ply(tmp_path, data):
    path = tmp_path / "a.ply"
    path.write_bytes(data)
    survives(ply.read, path, sound)


def stl_text(triangles: np.ndarray) -> bytes:
    lines = ["solid head"]
    for corners in triangles:
        lines += ["facet normal 0 0 1", "outer loop"]
        lines += [f"vertex {x:.9e} {y:.9e} {z:.9e}" for x, y, z in corners]
        lines += ["endloop", "endfacet"]
    return "\n".join([*lines, "endsolid head"]).encode()


def stl_binary(triangles: np.ndarray) -> bytes:
    rows = b"".join(struct.pack("<12fH", 0, 0, 1, *corners.ravel(), 0) for corners in triangles)
    return b"solid trap".ljust(80, b" ") + struct.pack("<I", len(triangles)) + rows


@pytest.mark.parametrize("make", [stl_text, stl_binary])
def test_loose_triangles_become_a_mesh(tmp_path, make):
    quad = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, -0.0]], np.float32)
    flat = quad[[[0, 1, 2], [2, 3, 0], [1, 1, 2]]]
    path = tmp_path / "a.stl"
    path.write_bytes(make(flat))
    mesh = stl.read(path)
    np.testing.assert_array_equal(mesh.vertices, quad)
    assert mesh.faces.tolist() == [[0, 1, 2, 2], [2, 3, 0, 0]]  # the one without area is gone
    survives(stl.read, path, sound)


def test_a_cut_stl_says_how_long_it_should_be(tmp_path):
    path = tmp_path / "a.stl"
    path.write_bytes(stl_binary(np.zeros((3, 3, 3)))[:-10])
    with pytest.raises(InputError, match="expected 234 bytes"):
        stl.read(path)


def test_a_glb_is_put_together_again(tmp_path):
    """Texture seams split vertices in glTF; the topology that was exported comes back, in metres."""
    character = toy.character()
    path = tmp_path / "a.glb"
    glb.write(path, character, None)
    mesh = glb_mesh.read(path)
    assert len(mesh.vertices) == len(np.unique(character.vertices, axis=0))
    np.testing.assert_allclose(
        np.unique(mesh.vertices.astype(np.float32), axis=0), np.unique(character.vertices, axis=0), atol=1e-6
    )
    assert len(mesh.faces) == 2 * len(character.faces)  # glTF has triangles only
    assert set(mesh.group_names) == {"skin", "eye"}
    survives(glb_mesh.read, path, sound)


def test_node_transforms_of_a_glb_are_applied(tmp_path):
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4").tobytes()
    document = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}],
        "nodes": [
            {"translation": [0, 0, 5], "rotation": [0, 0, 0.5**0.5, 0.5**0.5], "children": [1]},
            {"mesh": 0, "scale": [2, 2, 2]},
        ],
        "meshes": [{"name": "m", "primitives": [{"attributes": {"POSITION": 0}}]}],
        "buffers": [{"byteLength": 36}], "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
    }  # fmt: skip
    path = tmp_path / "a.glb"
    write_glb(path, document, corners)
    # Twice as large, a quarter turn about z, 5 forward.
    np.testing.assert_allclose(glb_mesh.read(path).vertices, [[0, 0, 5], [0, 2, 5], [-2, 0, 5]], atol=1e-6)
    document["nodes"][1]["children"] = [0]
    write_glb(path, document, corners)
    with pytest.raises(InputError, match=r"holds no triangles|form no tree"):
        glb_mesh.read(path)
    write_glb(path, document | {"extensionsUsed": ["KHR_draco_mesh_compression"]}, corners)
    with pytest.raises(InputError, match="is compressed"):
        glb_mesh.read(path)


def write_glb(path: Path, document: dict, data: bytes) -> None:
    import json

    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body)
    glb_read.read(path)


def test_the_suffix_chooses_the_reader(tmp_path):
    mesh = Mesh(
        np.eye(3), np.array([[0, 1, 2, 2]], np.int32), np.zeros((0, 2)), np.zeros((0, 4)), np.zeros(1, np.int32), ("a",)
    )
    obj.write(tmp_path / "a.OBJ", mesh)
    ply.write(tmp_path / "a.ply", mesh)
    (tmp_path / "a.stl").write_bytes(stl_binary(np.eye(3)[None]))
    for name in ("a.OBJ", "a.ply", "a.stl"):
        np.testing.assert_array_equal(read_mesh(tmp_path / name).vertices, np.eye(3))
    with pytest.raises(UsageError, match=r"'.fbx'; expected one of .obj, .ply, .stl, .glb. Export it"):
        read_mesh(tmp_path / "a.fbx")
    assert set(SUFFIXES) == {".obj", ".ply", ".stl", ".glb"}
