# SPDX-License-Identifier: Apache-2.0
"""A .glb is valid, complete and shows in Blender what the take says."""

from __future__ import annotations

import json
import struct
import time
from dataclasses import replace

import numpy as np
import pytest
from hyoid.characters import arkit, neck, performance
from hyoid.characters.character import Material
from hyoid.errors import InputError, OutputError
from hyoid.formats import glb
from hyoid.formats.gltf_buffer import Buffer
from hyoid.geometry.meshes import vertex_normals, wedges
from hyoid.take import AudioReference

from tests import toy
from tests.judges import blender_import, gltf_verdict

_TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def parsed(path):
    """The JSON half and a function that reads an accessor as an array."""
    data = path.read_bytes()
    magic, version, total, length, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, total, kind) == (b"glTF", 2, len(data), b"JSON")
    document = json.loads(data[20 : 20 + length])
    binary = data[28 + length :]

    def rows(view, offset, count, component, width):
        start = document["bufferViews"][view]["byteOffset"] + offset
        kind = np.dtype(_TYPES[component])
        return np.frombuffer(binary, kind, count * width, start).reshape(count, width)

    def accessor(index):
        record = document["accessors"][index]
        width, component = _WIDTHS[record["type"]], record["componentType"]
        if "bufferView" in record:
            array = rows(record["bufferView"], 0, record["count"], component, width).copy()
        else:
            array = np.zeros((record["count"], width), _TYPES[component])
        if "sparse" in record:
            sparse = record["sparse"]
            where, what = sparse["indices"], sparse["values"]
            index = rows(where["bufferView"], where["byteOffset"], sparse["count"], where["componentType"], 1)[:, 0]
            array[index] = rows(what["bufferView"], what["byteOffset"], sparse["count"], component, width)
        if "min" in record:
            np.testing.assert_array_equal(array.min(0), np.float32(record["min"]))
            np.testing.assert_array_equal(array.max(0), np.float32(record["max"]))
        return array

    return document, accessor


def big_take(frames=60):
    """A performance that swallows (18 mm, beyond the shape's own 10) and has a larynx larger than at rest."""
    take = toy.take(frames, audio=AudioReference("a.wav", "0" * 64, 2.0))
    curves = take.curves.copy()
    curves[:, arkit.CURVES.index("larynxHeight")] *= 18 / 8
    curves[:, arkit.CURVES.index("larynxSize")] += 1
    return replace(take, curves=curves)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The toy character's performance as a .glb: path, character, take."""
    character, take = toy.character(), big_take()
    path = tmp_path_factory.mktemp("glb") / "toy.glb"
    glb.write(path, character, take)
    return path, character, take


def assert_valid(path):
    verdict = gltf_verdict(path)
    assert (verdict["numErrors"], verdict["numWarnings"]) == (0, 0), verdict["messages"]
    return verdict["info"]


@pytest.mark.parametrize("frames", [None, 1, 2, 60])
def test_the_khronos_validator_has_no_complaint(tmp_path, frames):
    take = None if frames is None else toy.take(frames)
    glb.write(tmp_path / "a.glb", toy.character(), take)
    info = assert_valid(tmp_path / "a.glb")
    assert info["animationCount"] == (take is not None)


def test_equal_input_gives_equal_bytes(written, tmp_path):
    path, _, take = written
    glb.write(tmp_path / "a.glb", toy.character(), take)
    assert (tmp_path / "a.glb").read_bytes() == path.read_bytes()


def test_the_face_names_the_52_shapes_first_then_the_larynx(written):
    document, _ = parsed(written[0])
    meshes = {mesh["name"]: mesh for mesh in document["meshes"]}
    assert tuple(meshes["body"]["extras"]["targetNames"]) == (*arkit.NAMES, *arkit.LARYNX_SHAPES)
    assert len(meshes["body"]["primitives"][0]["targets"]) == 55
    # The toy's eyes are moved by no shape.
    assert "targets" not in meshes["eye_left"]["primitives"][0]


def test_no_weight_passes_one_and_what_was_enlarged_is_told(written):
    """Blender's importer and most engines stop a weight at 1; a swallow lifts the larynx by 1.8 shapes."""
    path, _, take = written
    document, accessor = parsed(path)
    body = document["meshes"][0]
    scale = body["extras"]["hyoid"]["targetScale"]
    assert scale["larynxUp"] == pytest.approx(take.curve("larynxHeight").max() / 10)
    assert set(scale) == {"larynxUp", "larynxDown"}
    animation = document["animations"][0]
    channel = next(item for item in animation["channels"] if item["target"]["path"] == "weights")
    weights = accessor(animation["samplers"][channel["sampler"]]["output"]).reshape(take.frames, -1)
    assert weights.shape[1] == 55
    assert 0 <= weights.min() < weights.max() <= 1


def test_a_shape_that_moves_nothing_keeps_its_place(tmp_path):
    character = toy.character()
    shapes = character.shapes
    offsets = shapes.offsets.copy()
    offsets[shapes.starts[4] : shapes.starts[5]] = 0
    quiet = replace(character, shapes=replace(shapes, offsets=offsets))
    glb.write(tmp_path / "a.glb", quiet, toy.take())
    document, accessor = parsed(tmp_path / "a.glb")
    assert document["meshes"][0]["extras"]["targetNames"][4] == arkit.NAMES[4]
    target = document["meshes"][0]["primitives"][0]["targets"][4]
    assert not accessor(target["POSITION"]).any()
    assert_valid(tmp_path / "a.glb")


def test_every_array_is_what_the_character_says(written):
    path, character, _ = written
    document, accessor = parsed(path)
    shapes = character.shapes
    normals = vertex_normals(character.vertices, character.faces)
    for part, mesh in zip(character.parts, document["meshes"], strict=True):
        primitive = mesh["primitives"][0]
        values = {name: accessor(index) for name, index in primitive["attributes"].items()}
        vertex, uv, _ = wedges(character.faces[part.faces], character.face_uv[part.faces])
        np.testing.assert_array_equal(values["POSITION"], character.vertices[vertex])
        np.testing.assert_allclose(values["NORMAL"], normals[vertex], atol=1e-6)
        np.testing.assert_allclose(values["TEXCOORD_0"], character.uv[uv] * [1, -1] + [0, 1], atol=1e-6)
        np.testing.assert_allclose(values["WEIGHTS_0"], character.weights[vertex, :4], atol=1e-6)
        assert "JOINTS_1" not in values  # the toy has two influences at most
        triangles = accessor(primitive["indices"]).reshape(-1, 3)
        a, b, c = (values["POSITION"][triangles[:, i]] for i in range(3))
        facing = np.einsum("tc,tc->t", np.cross(b - a, c - a), values["NORMAL"][triangles[:, 0]])
        assert (facing > 0).all()
        scales = mesh.get("extras", {}).get("hyoid", {}).get("targetScale", {})
        for number, target in enumerate(primitive.get("targets", [])):
            moved = character.vertices.copy()
            rows = slice(shapes.starts[number], shapes.starts[number + 1])
            moved[shapes.vertices[rows]] += shapes.offsets[rows] * np.float32(scales.get(shapes.names[number], 1))
            np.testing.assert_allclose(accessor(target["POSITION"]), (moved - character.vertices)[vertex], atol=1e-6)
            turned = vertex_normals(moved, character.faces) - normals
            # Turns below 1e-4 are not stored.
            np.testing.assert_allclose(accessor(target["NORMAL"]), turned[vertex], atol=1.1e-4)


def test_eight_influences_are_kept(tmp_path):
    character = toy.character()
    dice = np.random.default_rng(2)
    weights = np.sort(dice.random((len(character.vertices), 8)).astype(np.float32))[:, ::-1]
    joints = np.argsort(dice.random((len(character.vertices), len(character.joint_names))))[:, :8].astype(np.int32)
    rich = replace(character, weights=weights / weights.sum(1, keepdims=True), weight_joints=joints)
    glb.write(tmp_path / "a.glb", rich, toy.take())
    assert_valid(tmp_path / "a.glb")
    document, accessor = parsed(tmp_path / "a.glb")
    names = document["meshes"][0]["primitives"][0]["attributes"]
    vertex, _, _ = wedges(rich.faces[rich.parts[0].faces], rich.face_uv[rich.parts[0].faces])
    both = np.concatenate([accessor(names["WEIGHTS_0"]), accessor(names["WEIGHTS_1"])], -1)
    np.testing.assert_allclose(both, rich.weights[vertex], atol=1e-6)
    np.testing.assert_array_equal(accessor(names["JOINTS_1"]), joints[vertex, 4:])


def test_the_animation_keeps_the_neck_and_drops_what_is_still(tmp_path):
    take = toy.take()
    still = replace(take, rotations=np.tile(np.array([1, 0, 0, 0], np.float32), (*take.rotations.shape[:2], 1)))
    still = replace(still, root=np.zeros_like(take.root))
    glb.write(tmp_path / "a.glb", toy.character(), still)
    document, accessor = parsed(tmp_path / "a.glb")
    animation = document["animations"][0]
    moved = {document["nodes"][channel["target"]["node"]]["name"] for channel in animation["channels"]}
    assert moved == {*neck.JOINTS, "eye.L", "eye.R", "body"}
    lengths = {
        document["nodes"][channel["target"]["node"]]["name"]: len(
            accessor(animation["samplers"][channel["sampler"]]["input"])
        )
        for channel in animation["channels"]
    }
    assert lengths["oc1"] == 1
    assert lengths["eye.L"] == lengths["body"] == take.frames


def test_sound_events_and_provenance_travel_in_the_extras(written):
    path, _, take = written
    extras = parsed(path)[0]["asset"]["extras"]["hyoid"]
    assert extras["audio"]["path"] == "a.wav"
    assert extras["events"][0] == {"kind": "phone", "name": "M", "start": 0.2, "end": 0.3, "strength": 1.0}
    assert extras["provenance"]["sources"][0]["licence"] == "CC0-1.0"
    assert (extras["fps"], extras["frames"]) == (take.fps, take.frames)


def picture(path, kind):
    from PIL import Image

    Image.fromarray(np.full((8, 8, 3), 128, np.uint8)).save(path, kind)
    return path


def test_textures_and_material_settings_are_embedded(tmp_path):
    colour, normal = picture(tmp_path / "c.png", "PNG"), picture(tmp_path / "n.jpg", "JPEG")
    character = toy.character()
    skin = Material(
        "skin",
        colour_map=colour,
        normal_map=normal,
        roughness_map=colour,
        alpha="mask",
        double_sided=True,
        subsurface=0.2,
    )
    eye = Material("eye", alpha="blend", colour=(1, 1, 1, 0.1))
    glb.write(tmp_path / "a.glb", replace(character, materials={"skin": skin, "eye": eye}))
    assert_valid(tmp_path / "a.glb")
    document, accessor = parsed(tmp_path / "a.glb")
    assert [image["mimeType"] for image in document["images"]] == ["image/png", "image/jpeg"]
    names = document["meshes"][0]["primitives"][0]["attributes"]
    tangent, vertex_normal = accessor(names["TANGENT"]), accessor(names["NORMAL"])
    np.testing.assert_allclose(np.linalg.norm(tangent[:, :3], axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(np.einsum("wc,wc->w", tangent[:, :3], vertex_normal), 0, atol=1e-5)
    # The toy's u runs counter-clockwise seen from above, its v upwards: bitangents must point up.
    up = np.cross(vertex_normal, tangent[:, :3]) * tangent[:, 3:]
    assert up[:, 1].min() > 0.9
    assert "TANGENT" not in document["meshes"][1]["primitives"][0]["attributes"]
    first, second = document["materials"]
    assert first["pbrMetallicRoughness"]["baseColorTexture"] == {"index": 0}
    assert first["normalTexture"] == {"index": 1}
    assert (first["alphaMode"], first["doubleSided"], second["alphaMode"]) == ("MASK", True, "BLEND")


@pytest.mark.parametrize(("content", "message"), [(b"GIF89a", "PNG or JPEG"), (None, "cannot be read")])
def test_a_bad_texture_is_named(tmp_path, content, message):
    path = tmp_path / "c.gif"
    if content is not None:
        path.write_bytes(content)
    skin = Material("skin", colour_map=path)
    with pytest.raises(InputError, match=message) as caught:
        glb.write(tmp_path / "a.glb", replace(toy.character(), materials={"skin": skin, "eye": Material("eye")}))
    assert str(path) in str(caught.value)
    assert not (tmp_path / "a.glb").exists()


def test_numbers_that_are_not_finite_are_never_written(tmp_path):
    character, take = toy.character(), toy.take()
    vertices = character.vertices.copy()
    vertices[5, 1] = np.nan
    with pytest.raises(InputError, match=r"vertices holds 1 numbers that are not finite, the first at index \(5, 1\)"):
        glb.write(tmp_path / "a.glb", replace(character, vertices=vertices), take)
    curves = take.curves.copy()
    curves[3, 3] = np.inf
    with pytest.raises(InputError, match="curves holds 1"):
        glb.write(tmp_path / "a.glb", character, replace(take, curves=curves))
    assert not (tmp_path / "a.glb").exists()


def test_more_than_four_gigabytes_are_refused(tmp_path):
    buffer = Buffer()
    buffer.size = 1 << 32
    with pytest.raises(OutputError, match=r"4\.3 GB"):
        buffer.write(tmp_path / "a.glb", {})


def test_a_hundred_thousand_frames_are_written_in_seconds(tmp_path):
    start = time.perf_counter()
    glb.write(tmp_path / "a.glb", toy.character(), toy.take(100_000))
    assert time.perf_counter() - start < 15  # 1.5 s on one quiet core
    document, accessor = parsed(tmp_path / "a.glb")
    times = accessor(document["animations"][0]["samplers"][0]["input"])[:, 0]
    assert (np.diff(times) > 0).all()


def assert_blender_agrees(path, character, take, frames):
    """Joint positions and vertices in Blender are within 1e-4 m of our own evaluation."""
    shown = blender_import(path, take.fps, frames)
    performed = performance.perform(character, take)
    performed = replace(
        performed,
        shape_weights=performed.shape_weights[frames],
        rotations=performed.rotations[frames],
        root=performed.root[frames],
    )
    joints = performance.joint_transforms(character, performed)[..., :3, 3]
    order = [shown["joint_names"].tolist().index(name) for name in character.joint_names]
    assert np.abs(shown["joints"][:, order] - joints).max() < 1e-4
    if path.suffix == ".bvh":
        return shown
    vertices = performance.deform(character, performed)
    for part in character.parts:
        vertex, _, _ = wedges(character.faces[part.faces], character.face_uv[part.faces])
        error = np.abs(shown[f"vertices:{part.name}"] - vertices[:, vertex]).max()
        assert error < 1e-4, f"{part.name} {error}"
    return shown


@pytest.mark.blender
def test_blender_shows_the_same_joints_and_vertices(written):
    path, character, take = written
    shown = assert_blender_agrees(path, character, take, [0, 7, 21, 38, 59])
    assert tuple(shown["shapes:body"]) == (*arkit.NAMES, *arkit.LARYNX_SHAPES)


@pytest.mark.blender
@pytest.mark.slow
def test_the_bundled_human_is_valid_and_shows_the_same_in_blender(tmp_path):
    from hyoid import characters

    character, take = characters.load("human", part="head", subdivision=0), big_take()
    path = tmp_path / "human.glb"
    glb.write(path, character, take)
    info = assert_valid(path)
    assert info["maxInfluences"] <= 8
    document, _ = parsed(path)
    face = next(mesh for mesh in document["meshes"] if mesh["name"] == "body")
    assert tuple(face["extras"]["targetNames"][:55]) == (*arkit.NAMES, *arkit.LARYNX_SHAPES)
    names = [node["name"] for node in document["nodes"]]
    animated = {names[channel["target"]["node"]] for channel in document["animations"][0]["channels"]}
    assert animated.issuperset(neck.JOINTS)
    assert_blender_agrees(path, character, take, [0, 7, 21, 38, 59])
