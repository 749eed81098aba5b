# SPDX-License-Identifier: Apache-2.0
"""Animations in .glb files, ours and others', come back as takes."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hyoid.characters import performance
from hyoid.errors import InputError
from hyoid.formats import glb, glb_take, read_take, take_npz
from hyoid.formats.gltf_buffer import Buffer
from hyoid.geometry import rotations

from tests import toy
from tests.formats.fuzz import survives

# float32 file, float32 take: the issue asks for 1e-5 of a weight, a quaternion component, a metre.
TOLERANCE = 1e-5


@pytest.fixture
def written(tmp_path) -> Path:
    path = tmp_path / "shot.glb"
    glb.write(path, toy.character(), toy.take())
    return path


def test_our_own_file_gives_the_take_back(written):
    take, read = toy.take(), read_take(written)
    assert (read.fps, read.frames) == (take.fps, take.frames)
    # Gestures are the work of larynx, neck and chest: no morph target of a .glb holds them.
    assert set(take.curve_names) - set(read.curve_names) == {"breath", "swallow", "effort"}
    for name in read.curve_names:
        # The larynx is in millimetres, ten times a weight.
        assert np.abs(read.curve(name) - take.curve(name)).max() < TOLERANCE * (10 if name == "larynxHeight" else 1)
    assert set(read.joint_names) == set(toy.NECK)  # the jaw of the toy never moves; the eyes follow their curves
    for name in read.joint_names:
        mine = take.rotations[:, take.joint_names.index(name)]
        theirs = read.rotations[:, read.joint_names.index(name)]
        assert np.minimum(np.abs(mine - theirs), np.abs(mine + theirs)).max() < TOLERANCE
    assert np.abs(read.root - take.root).max() < TOLERANCE


def test_the_same_character_performs_the_same(written):
    """Eyes too: what the file shows of their curves is not added twice."""
    character, take = toy.character(), toy.take()
    mine, theirs = (performance.perform(character, each) for each in (take, read_take(written)))
    assert np.abs(mine.shape_weights - theirs.shape_weights).max() < TOLERANCE
    dots = np.abs((mine.rotations * theirs.rotations).sum(-1))
    assert dots.min() > 1 - 1e-6
    assert np.abs(mine.root - theirs.root).max() < TOLERANCE


def test_where_it_comes_from_travels(written):
    take, read = toy.take(), read_take(written)
    assert read.events == take.events
    assert read.provenance == take.provenance
    assert read.mode == take.mode
    assert (read.character.name, read.character.part) == ("toy", "head")


def test_a_larynx_beyond_one_target_comes_back(tmp_path):
    take = toy.take()
    curves = take.curves.copy()
    column = take.curve_names.index("larynxHeight")
    curves[:, column] *= 2.5  # 20 mm: two targets' travel, so the writer enlarges the target
    glb.write(tmp_path / "a.glb", toy.character(), replace(take, curves=curves))
    assert np.abs(read_take(tmp_path / "a.glb").curve("larynxHeight") - curves[:, column]).max() < 1e-4


def test_another_rate_is_asked_for(written):
    slow = glb_take.read(written, fps=15)
    assert (slow.fps, slow.frames) == (15, 20)  # 40 frames at 30
    assert np.abs(slow.curve("jawOpen") - toy.take().curve("jawOpen")[::2]).max() < TOLERANCE


# --- files of others --------------------------------------------------------------------------------------------------


def made(
    path: Path, document: dict, channels: list[tuple], *, interpolation: str = "LINEAR", apart: bool = False
) -> Path:
    """A .glb whose animation has channels (node, property, times, values); ``apart``: one animation each."""
    buffer, samplers, targets = Buffer(), [], []
    for node, kind, times, values in channels:
        source = buffer.accessor(np.asarray(times, np.float32), bounds=True)
        values = np.asarray(values, np.float32)
        output = buffer.accessor(values.reshape(-1) if kind == "weights" else values)
        samplers.append({"input": source, "output": output, "interpolation": interpolation})
        targets.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": kind}})
    for skin in document.get("skins", []):
        if isinstance(skin.get("inverseBindMatrices"), list):
            matrices = np.array(skin["inverseBindMatrices"], np.float32).transpose(0, 2, 1)
            skin["inverseBindMatrices"] = buffer.accessor(np.ascontiguousarray(matrices).reshape(-1, 16))
    animations: list[dict] = [{"samplers": samplers, "channels": targets}] if channels else []
    if apart:
        animations = [
            {"name": f"clip {number}", "samplers": samplers, "channels": [target]}
            for number, target in enumerate(targets)
        ]
    buffer.write(path, {"asset": {"version": "2.0"}, "animations": animations} | document)
    return path


def xyzw(quaternion: np.ndarray) -> np.ndarray:
    return np.asarray(quaternion)[..., [1, 2, 3, 0]]


def chain(root: np.ndarray, neck: np.ndarray) -> dict:
    """An armature node that stands up a Z-up skeleton, a root that stands still, hips, a head with a rolled rest."""
    return {
        "nodes": [
            {"name": "Armature", "children": [1], "rotation": xyzw(root).tolist(), "scale": [0.01, 0.01, 0.01]},
            {"name": "root", "children": [2]},
            {"name": "hips", "children": [3], "translation": [0, 0, 100]},
            {"name": "head", "translation": [0, 0, 60], "rotation": xyzw(neck).tolist()},
        ],
        "skins": [{"joints": [1, 2, 3]}],
    }


UPRIGHT = rotations.about(np.array([1.0, 0, 0]), np.array(-np.pi / 2))
ROLLED = rotations.normalise(np.array([0.5, -0.2, 0.7, 0.4]))


def test_turns_are_in_model_axes_whatever_the_bones_rest_in(tmp_path):
    """A nod about the world's X stays one, though the file's head bone is rolled and its skeleton lies on its back."""
    times = np.arange(11) / 25
    nod = rotations.about(np.array([1.0, 0, 0]), 0.05 * np.arange(11))
    # World turn R of the head: UPRIGHT ROLLED local' = R UPRIGHT ROLLED.
    rest = rotations.multiply(UPRIGHT, ROLLED)
    local = rotations.multiply(rotations.inverse(UPRIGHT), rotations.multiply(nod, rest))
    way = np.stack([0 * times, -10 * times, 100 + 0 * times], -1)  # centimetres, Z up: forward is -Y
    channels = [(3, "rotation", times, xyzw(local)), (2, "translation", times, way)]
    path = made(tmp_path / "a.glb", chain(UPRIGHT, ROLLED), channels)
    take = read_take(path)
    assert take.fps == 25
    assert take.joint_names == ("head",)
    assert np.abs(take.rotations[:, 0] - nod).max() < TOLERANCE
    # 10 cm a second forward, +Z in a take, in metres; the hips carry it, the root above them stands still.
    assert np.abs(take.root - np.stack([0 * times, 0 * times, 0.1 * times], -1)).max() < TOLERANCE


def test_the_rest_is_the_bind_pose_where_the_file_stands_in_another(tmp_path):
    """An exporter that wrote the first frame as the pose of the nodes: its bind matrices know better."""
    document = chain(rotations.identity(), rotations.identity())
    document["nodes"][0].pop("scale")
    posed = rotations.about(np.array([0, 1.0, 0]), np.array(0.4))
    document["nodes"][3]["rotation"] = xyzw(posed).tolist()
    binds = np.tile(np.eye(4), (3, 1, 1))
    binds[1, 2, 3], binds[2, 2, 3] = -100, -160
    document["skins"][0]["inverseBindMatrices"] = binds.tolist()
    path = made(tmp_path / "a.glb", document, [(2, "rotation", [0, 1 / 30], xyzw(rotations.identity(2)))])
    take = read_take(path)
    assert "head" in take.joint_names
    assert np.abs(take.rotations[:, take.joint_names.index("head")] - posed).max() < TOLERANCE


def mouth(names: list[list[str]]) -> dict:
    """Meshes with named targets, one node each."""
    meshes = []
    for index, each in enumerate(names):
        primitive = {"attributes": {}, "targets": [{}] * len(each)}
        meshes.append({"name": f"m{index}", "primitives": [primitive], "extras": {"targetNames": each}})
    return {"nodes": [{"name": f"n{i}", "mesh": i} for i in range(len(names))], "meshes": meshes}


def test_meshes_share_curves_and_the_face_is_right(tmp_path):
    document = mouth([["jawOpen"], ["jawOpen", "mouthLeft", "tongue ü\"'"]])
    times = [0, 0.04, 0.08]
    face = np.array([[0, 0.1, 0], [0.5, 0.2, 1], [1, 0.3, 0]])
    path = made(tmp_path / "a.glb", document, [(0, "weights", times, [0, 0.2, 0.4]), (1, "weights", times, face)])
    take = read_take(path)
    assert set(take.curve_names) == {"jawOpen", "mouthLeft", "tongue ü\"'"}
    assert np.abs(take.curve("jawOpen") - [0, 0.5, 1]).max() < TOLERANCE
    assert take.fps == 25


def test_face_and_skeleton_may_be_animations_of_their_own(tmp_path):
    """Blender writes one animation for each action; a second clip of the same joints is another take."""
    document = chain(rotations.identity(), rotations.identity()) | {"meshes": mouth([["jawOpen"]])["meshes"]}
    document["nodes"].append({"name": "face", "mesh": 0})
    times, still = [0, 1 / 30], xyzw(rotations.identity(2))
    nod = xyzw(rotations.about(np.array([1.0, 0, 0]), np.array([0.2, 0.4])))
    channels = [(3, "rotation", times, nod), (4, "weights", times, [0, 1]), (3, "rotation", times, still)]
    path = made(tmp_path / "a.glb", document, channels, apart=True)
    take = read_take(path)
    assert np.allclose(take.curve("jawOpen"), [0, 1])
    assert np.abs(take.rotations[:, 0, 1] - np.sin([0.1, 0.2])).max() < TOLERANCE
    walk = glb_take.read(path, animation="clip 2")
    assert np.abs(walk.rotations[:, 0, 1]).max() < TOLERANCE
    with pytest.raises(InputError, match="'clip 0', 'clip 1', 'clip 2'"):
        glb_take.read(path, animation="run")


def test_a_step_holds_and_a_cubic_spline_swings(tmp_path):
    # Keys 0.5 s apart are no frame rate: the take gets 30.
    document = mouth([["jawOpen"]])
    stepped = made(tmp_path / "s.glb", document, [(0, "weights", [0, 0.5, 1], [0, 1, 0])], interpolation="STEP")
    take = read_take(stepped)
    assert take.fps == 30
    assert take.curve("jawOpen")[:15].max() == 0
    assert take.curve("jawOpen")[15:30].min() == 1
    # In-tangent, value, out-tangent; the Hermite curve from 0 to 1 with flat ends is 3 s^2 - 2 s^3.
    values = [0, 0, 0, 0, 1, 0]
    smooth = made(tmp_path / "c.glb", document, [(0, "weights", [0, 1], values)], interpolation="CUBICSPLINE")
    share = np.arange(31) / 30
    assert np.abs(read_take(smooth).curve("jawOpen") - (3 * share**2 - 2 * share**3)).max() < TOLERANCE


def test_normalised_whole_numbers_and_late_starts(tmp_path):
    """Packed weights of an optimiser, in an animation that starts at frame 1 of 24, as Blender exports."""
    document = mouth([["jawOpen"]])
    path = made(tmp_path / "a.glb", document, [(0, "weights", np.arange(1, 4) / 24, [0, 0.5, 1])])
    glb_bytes = path.read_bytes()
    length = struct.unpack("<I", glb_bytes[12:16])[0]
    record = json.loads(glb_bytes[20 : 20 + length])
    record["accessors"][1] |= {"componentType": 5123, "normalized": True}
    binary = bytearray(glb_bytes[28 + length :])
    start = record["bufferViews"][1]["byteOffset"]
    binary[start : start + 6] = np.array([0, 32768, 65535], "<u2").tobytes()
    text = json.dumps(record).encode()
    text += b" " * (-len(text) % 4)
    whole = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(binary)) + struct.pack("<I4s", len(text), b"JSON")
    path.write_bytes(whole + text + struct.pack("<I4s", len(binary), b"BIN\0") + bytes(binary))
    take = read_take(path)
    assert (take.fps, take.frames) == (24, 3)
    assert np.abs(take.curve("jawOpen") - [0, 32768 / 65535, 1]).max() < TOLERANCE


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "text"),
    [
        ([], "holds no animation"),
        ([(0, "weights", [0, 1], [0, np.nan])], "not finite"),
        ([(0, "weights", [1, 0], [0, 1])], "do not rise"),
        ([(0, "weights", [0, 1], [0, 1, 2])], "expected 2 keys of 1"),
        ([(9, "weights", [0, 1], [0, 1])], "moves node 9"),
        ([(0, "weights", [0, 1e9], [0, 1])], "lasts 1e"),
    ],
)
def test_damage_is_named(tmp_path, channels, text):
    path = made(tmp_path / "a.glb", mouth([["jawOpen"]]), channels)
    with pytest.raises(InputError, match=text) as caught:
        read_take(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("nodes", [[{"children": [1]}, {"children": [0]}], [{"children": [0]}], [{"children": [7]}]])
def test_nodes_that_are_no_tree_are_refused(tmp_path, nodes):
    path = made(tmp_path / "a.glb", {"nodes": nodes}, [(0, "rotation", [0, 1], [[0, 0, 0, 1]] * 2)])
    with pytest.raises(InputError, match="tree of nodes"):
        read_take(path)


def test_data_in_another_file_is_refused(tmp_path):
    path = made(tmp_path / "a.glb", mouth([["jawOpen"]]), [(0, "weights", [0, 1], [0, 1])])
    whole = path.read_bytes().replace(b'"buffers":[{"byteLength":16}]', b'"buffers":[{"uri":"/etc/p"}]   '[:29] + b"")
    assert b"/etc/p" in whole
    path.write_bytes(whole)
    with pytest.raises(InputError, match="another file"):
        read_take(path)


def test_damaged_files_never_crash_the_reader(tmp_path):
    small = tmp_path / "small.glb"
    document = mouth([["jawOpen"]]) | {"scenes": [{"nodes": [0]}]}
    made(small, document, [(0, "weights", np.arange(8) / 30, np.linspace(0, 1, 8))])
    survives(read_take, small)


def test_takes_survive_the_way_through_both_formats(written, tmp_path):
    take = read_take(written)
    take_npz.write(tmp_path / "a.take.npz", take)
    again = read_take(tmp_path / "a.take.npz")
    assert np.array_equal(again.curves, take.curves)
    assert again.joint_names == take.joint_names
