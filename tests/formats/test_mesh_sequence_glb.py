# SPDX-License-Identifier: Apache-2.0
"""Sequences in binary glTF: targets as frames, patches in place, and what cannot be patched refused."""

from __future__ import annotations

import copy
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hyoid.errors import InputError, UsageError
from hyoid.formats import glb, glb_read
from hyoid.formats.glb_accessors import Accessors
from hyoid.formats.mesh_sequence import MeshSequence, glb_targets, glb_write, open_sequence, write_sequence
from hyoid.formats.npz import write_npz

from tests import toy
from tests.formats.fuzz import survives
from tests.judges import gltf_verdict

FACES = np.array([[0, 1, 2, 3], [0, 1, 4, 4]], np.int32)
TURN = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
"""x -> y -> z -> x."""
QUARTER = [0.0, 0.0, 0.5**0.5, 0.5**0.5]
"""A quarter turn about z, as glTF writes it."""


def positions(frames: int = 6) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 2, (frames, 5, 3)).astype(np.float32)


def archive(path: Path, frames: int = 6, **more: np.ndarray) -> MeshSequence:
    write_npz(path, {"vertices": positions(frames), "faces": FACES} | more)
    return open_sequence([path])


def all_frames(sequence: MeshSequence) -> np.ndarray:
    return np.stack(list(sequence.frames()))


class Maker:
    """A .glb put together by hand, so that each layout that exporters choose can be had."""

    def __init__(self) -> None:
        self.data = b""
        self.document: dict[str, Any] = {
            "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
            "bufferViews": [], "accessors": [], "meshes": [{"name": "face", "primitives": []}],
        }  # fmt: skip

    def view(self, data: bytes, **more: int) -> int:
        self.data += b"\0" * (-len(self.data) % 4)
        self.document["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data), **more}
        )
        self.data += data
        return len(self.document["bufferViews"]) - 1

    def accessor(self, values: np.ndarray, **more: Any) -> int:
        kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[values.shape[1]]
        record = {"componentType": 5126, "type": kind, "count": len(values)}
        record |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()} | more
        if "bufferView" not in record and "sparse" not in record:
            record["bufferView"] = self.view(values.astype("<f4").tobytes())
        self.document["accessors"].append(record)
        return len(self.document["accessors"]) - 1

    def write(self, path: Path) -> None:
        self.document["buffers"] = [{"byteLength": len(self.data)}]
        text = json.dumps(self.document).encode()
        text += b" " * (-len(text) % 4)
        data = self.data + b"\0" * (-len(self.data) % 4)
        body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
        path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body)


BASE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
SMILE = np.array([[0, 0, 0], [0, 0, 2], [0, 0, 0]], np.float32)
FROWN = np.array([[0, 0, -1], [0, 0, 0], [0, 3, 0]], np.float32)


def interleaved_and_sparse() -> Maker:
    """Positions and normals interleaved, one sparse target, one plain; the node turns, scales and moves."""
    made = Maker()
    normals = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 1]], np.float32)
    both = made.view(np.concatenate([BASE, normals], 1).tobytes(), byteStride=24, target=34962)
    attributes = {"POSITION": made.accessor(BASE, bufferView=both)}
    attributes["NORMAL"] = made.accessor(normals, bufferView=both, byteOffset=12)
    index, value = made.view(np.array([1], "<u2").tobytes()), made.view(SMILE[1:2].tobytes())
    sparse = {
        "count": 1, "indices": {"bufferView": index, "componentType": 5123}, "values": {"bufferView": value},
    }  # fmt: skip
    targets = [{"POSITION": made.accessor(SMILE, sparse=sparse)}, {"POSITION": made.accessor(FROWN)}]
    mesh = made.document["meshes"][0]
    mesh["primitives"] = [{"attributes": attributes, "targets": targets, "material": 0}]
    mesh["extras"] = {"targetNames": ["smile", "frown"]}
    made.document["materials"] = [{"name": "skin", "extras": {"note": "keep me"}}]
    made.document["nodes"][0] |= {"rotation": QUARTER, "scale": [2.0, 2, 2], "translation": [0.0, 0, 5]}
    return made


def in_scene(points: np.ndarray) -> np.ndarray:
    """What the node of :func:`interleaved_and_sparse` makes of its vertices."""
    return np.stack([-2 * points[..., 1], 2 * points[..., 0], 2 * points[..., 2] + 5], -1)


@pytest.mark.parametrize("fps", [None, 24000 / 1001])
def test_a_new_file_is_valid_and_comes_back(tmp_path, fps):
    """With a frame rate there is an animation; without one the targets alone carry the order."""
    sequence = archive(tmp_path / "a.npz")
    for name in ("b.glb", "c.glb"):
        write_sequence(tmp_path / name, sequence, sequence.frames(), fps=fps)
    assert (tmp_path / "b.glb").read_bytes() == (tmp_path / "c.glb").read_bytes()
    verdict = gltf_verdict(tmp_path / "b.glb")
    assert (verdict["numErrors"], verdict["numWarnings"]) == (0, 0), verdict["messages"]
    back = open_sequence([tmp_path / "b.glb"])
    # Offsets are rounded to float32 beside positions of about 5: two roundings of 2.4e-7.
    np.testing.assert_allclose(all_frames(back), positions(), atol=1e-6)
    assert back.names == sequence.names
    assert back.fps == (pytest.approx(fps) if fps else None)
    assert back.faces.tolist() == [[0, 1, 2, 2], [0, 2, 3, 3], [0, 1, 4, 4]]
    assert len(json.dumps(glb_read.read(tmp_path / "b.glb").document.get("animations", []))) > (100 if fps else 1)


def test_a_cloud_of_points_and_a_single_frame(tmp_path):
    sequence = archive(tmp_path / "a.npz", 1, faces=np.zeros((0, 4), np.int32))
    write_sequence(tmp_path / "b.glb", sequence, sequence.frames())
    assert gltf_verdict(tmp_path / "b.glb")["numErrors"] == 0
    back = open_sequence([tmp_path / "b.glb"])
    assert np.array_equal(all_frames(back), positions(1))
    assert len(back.faces) == 0


def test_a_source_in_centimetres_with_z_up_stands_right_in_gltf(tmp_path):
    from pxr import Usd, UsdGeom, Vt

    stage = Usd.Stage.CreateNew(str(tmp_path / "a.usda"))
    UsdGeom.SetStageUpAxis(stage, "Z")
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    UsdGeom.Mesh.Define(stage, "/a").GetPointsAttr().Set(Vt.Vec3fArray.FromNumpy(positions(1)[0]))
    stage.Save()
    sequence = open_sequence([tmp_path / "a.usda"])
    write_sequence(tmp_path / "b.glb", sequence, sequence.frames())
    x, y, z = all_frames(sequence)[0].T / 100
    np.testing.assert_allclose(all_frames(open_sequence([tmp_path / "b.glb"]))[0], np.stack([x, z, -y], 1), atol=1e-8)


def test_each_target_is_a_frame_in_the_scene(tmp_path):
    interleaved_and_sparse().write(tmp_path / "a.glb")
    sequence = open_sequence([tmp_path / "a.glb"])
    assert (sequence.names, sequence.fps, sequence.up, sequence.metres) == (("face", "smile", "frown"), None, "Y", 1.0)
    expected = in_scene(np.stack([BASE, BASE + SMILE, BASE + FROWN]))
    np.testing.assert_allclose(all_frames(sequence), expected, atol=1e-6)
    assert np.array_equal(list(sequence.frames(1, 2)), all_frames(sequence)[1:2])


def test_a_copy_keeps_everything_but_positions_and_turns_normals(tmp_path):
    interleaved_and_sparse().write(tmp_path / "a.glb")
    sequence = open_sequence([tmp_path / "a.glb"])
    rotations = np.stack([TURN, np.eye(3), TURN @ TURN])
    moved = [rotation @ frame.T for rotation, frame in zip(rotations, sequence.frames(), strict=True)]
    moved = [frame.T + np.array([1, 2, 3]) for frame in moved]
    write_sequence(tmp_path / "b.glb", sequence, moved, rotations=rotations)
    verdict = gltf_verdict(tmp_path / "b.glb")
    assert (verdict["numErrors"], verdict["numWarnings"]) == (0, 0), verdict["messages"]
    back = open_sequence([tmp_path / "b.glb"])
    np.testing.assert_allclose(all_frames(back), moved, atol=1e-5)
    assert back.names == sequence.names
    found = glb_read.read(tmp_path / "b.glb")
    assert found.document["materials"] == [{"name": "skin", "extras": {"note": "keep me"}}]
    accessors = Accessors(found, tmp_path / "b.glb")
    primitive = found.document["meshes"][0]["primitives"][0]
    rest = accessors.get(primitive["attributes"]["NORMAL"])
    shown = [rest] + [rest + accessors.get(target["NORMAL"]) for target in primitive["targets"]]
    # The node's quarter turn about z takes (0, 0, 1) to itself and (1, 0, 0) to (0, 1, 0).
    scene = np.array([[0.0, 0, 1], [0, 1, 0], [0, 0, 1]])
    for frame, rotation in zip(shown, rotations, strict=True):
        np.testing.assert_allclose(np.stack([-frame[:, 1], frame[:, 0], frame[:, 2]], 1), scene @ rotation.T, atol=1e-6)


def test_plain_positions_are_patched_where_they_are(tmp_path):
    """A file of the usual form does not grow, and what is around its positions stays byte for byte."""
    sequence = archive(tmp_path / "a.npz")
    write_sequence(tmp_path / "b.glb", sequence, sequence.frames(), fps=25)
    source = open_sequence([tmp_path / "b.glb"])
    write_sequence(tmp_path / "c.glb", source, (frame[:, [1, 2, 0]] for frame in source.frames()))
    before, after = glb_read.read(tmp_path / "b.glb"), glb_read.read(tmp_path / "c.glb")
    assert len(before.binary) == len(after.binary)
    assert gltf_verdict(tmp_path / "c.glb")["numErrors"] == 0
    np.testing.assert_allclose(all_frames(open_sequence([tmp_path / "c.glb"])), positions()[..., [1, 2, 0]], atol=2e-6)
    for document in (before.document, after.document):
        for record in document["accessors"]:
            record.pop("min", None)
            record.pop("max", None)
    assert before.document == after.document


def test_an_accessor_that_two_targets_share_is_not_patched_for_both(tmp_path):
    """Exporters store equal targets once; frames that were equal need not stay so."""
    made = interleaved_and_sparse()
    targets = made.document["meshes"][0]["primitives"][0]["targets"]
    targets[0] = dict(targets[1])
    made.write(tmp_path / "a.glb")
    sequence = open_sequence([tmp_path / "a.glb"])
    moved = all_frames(sequence) + np.arange(3)[:, None, None]
    write_sequence(tmp_path / "b.glb", sequence, iter(moved))
    np.testing.assert_allclose(all_frames(open_sequence([tmp_path / "b.glb"])), moved, atol=1e-5)


def animated(weights: list[list[float]], times: list[float]) -> Maker:
    made = interleaved_and_sparse()
    sampler = {
        "input": made.accessor(np.array(times)[:, None]),
        "output": made.accessor(np.array(weights, np.float32).reshape(-1, 1)),
    }
    channel = {"sampler": 0, "target": {"node": 0, "path": "weights"}}
    made.document["animations"] = [{"samplers": [sampler], "channels": [channel]}]
    return made


def test_an_animation_that_shows_the_targets_one_by_one_gives_the_order(tmp_path):
    """Also where it never shows the base: that one stays where it is, and the targets are told from it."""
    animated([[0, 1], [1, 0]], [0.5, 0.54]).write(tmp_path / "a.glb")
    sequence = open_sequence([tmp_path / "a.glb"])
    assert (sequence.names, sequence.fps) == (("frown", "smile"), 25.0)
    np.testing.assert_allclose(all_frames(sequence), in_scene(np.stack([BASE + FROWN, BASE + SMILE])), atol=1e-6)
    moved = all_frames(sequence) * [1, 2, 1] + [[[0, 0, 1]], [[3, 0, 0]]]
    write_sequence(tmp_path / "b.glb", sequence, iter(moved))
    np.testing.assert_allclose(all_frames(open_sequence([tmp_path / "b.glb"])), moved, atol=1e-5)
    assert np.array_equal(
        Accessors(glb_read.read(tmp_path / "b.glb"), tmp_path).get(0),
        Accessors(glb_read.read(tmp_path / "a.glb"), tmp_path).get(0),
    )
    animated([[0, 0], [0, 1], [1, 0]], [0, 0.04, 0.08]).write(tmp_path / "a.glb")
    assert open_sequence([tmp_path / "a.glb"]).names == ("face", "frown", "smile")


@pytest.mark.parametrize("weights", [[[0, 0.5], [1, 0]], [[0, 1], [0, 1]], [[1, 1], [0, 0]], [[0, 1], [0, 0]]])
def test_any_other_animation_leaves_the_order_of_targets(tmp_path, weights):
    """Mixed weights, a target shown twice, two at once, one never shown: no list of frames."""
    animated(weights, [0, 0.04]).write(tmp_path / "a.glb")
    sequence = open_sequence([tmp_path / "a.glb"])
    assert (sequence.names, sequence.fps) == (("face", "smile", "frown"), None)


def test_a_node_that_moves_beside_the_targets_is_refused(tmp_path):
    made = animated([[0, 1], [1, 0]], [0, 0.04])
    animation = made.document["animations"][0]
    animation["samplers"].append(
        {"input": animation["samplers"][0]["input"], "output": made.accessor(np.zeros((2, 3)))}
    )
    animation["channels"].append({"sampler": 1, "target": {"node": 0, "path": "translation"}})
    made.write(tmp_path / "a.glb")
    with pytest.raises(InputError, match="moves the node of its mesh"):
        open_sequence([tmp_path / "a.glb"])


def test_primitives_with_one_set_of_vertices_count_them_once(tmp_path):
    """A mesh with two materials is two primitives over the same positions."""
    made = interleaved_and_sparse()
    mesh = made.document["meshes"][0]
    mesh["primitives"].append(copy.deepcopy(mesh["primitives"][0]))
    made.write(tmp_path / "a.glb")
    sequence = open_sequence([tmp_path / "a.glb"])
    assert sequence.vertices == 3
    assert sequence.faces.tolist() == [[0, 1, 2, 2]] * 2
    moved = all_frames(sequence) + 1
    rotations = np.tile(TURN, (3, 1, 1))
    write_sequence(tmp_path / "b.glb", sequence, iter(moved), rotations=rotations)
    assert gltf_verdict(tmp_path / "b.glb")["numErrors"] == 0
    np.testing.assert_allclose(all_frames(open_sequence([tmp_path / "b.glb"])), moved, atol=1e-5)
    primitives = glb_read.read(tmp_path / "b.glb").document["meshes"][0]["primitives"]
    assert primitives[0] == primitives[1]


def test_a_rig_whose_parts_lack_targets_is_read_but_not_patched(tmp_path):
    """An eye that no smile moves has no place for where it should go under the smile."""
    glb.write(tmp_path / "a.glb", toy.character())
    sequence = open_sequence([tmp_path / "a.glb"])
    assert "jawOpen" in sequence.names
    assert all_frames(sequence).shape == (len(sequence.names), sequence.vertices, 3)
    with pytest.raises(UsageError, match=r"mesh 1 has no positions of its own .* Write .npz, .usdc or a folder"):
        write_sequence(tmp_path / "b.glb", sequence, sequence.frames())
    assert not (tmp_path / "b.glb").exists()
    write_sequence(tmp_path / "b.npz", sequence, sequence.frames())
    np.testing.assert_allclose(all_frames(open_sequence([tmp_path / "b.npz"])), all_frames(sequence), atol=1e-6)


def test_a_mesh_that_two_nodes_show_is_not_patched(tmp_path):
    made = interleaved_and_sparse()
    made.document["nodes"].append({"mesh": 0})
    made.document["scenes"][0]["nodes"] = [0, 1]
    made.write(tmp_path / "a.glb")
    sequence = open_sequence([tmp_path / "a.glb"])
    assert sequence.vertices == 6
    with pytest.raises(UsageError, match="shows mesh 0 2 times"):
        write_sequence(tmp_path / "b.glb", sequence, sequence.frames())


def test_sizes_that_do_not_fit_in_memory_are_refused(tmp_path, monkeypatch):
    sequence = archive(tmp_path / "a.npz")
    write_sequence(tmp_path / "b.glb", sequence, sequence.frames())
    monkeypatch.setattr(glb_write, "LARGEST", 500)
    with pytest.raises(UsageError, match=r"6 frames of 5 vertices need .* Write .npz, .usdc or a folder"):
        write_sequence(tmp_path / "c.glb", sequence, sequence.frames())
    monkeypatch.setattr(glb_targets, "LARGEST", 500)
    with pytest.raises(InputError, match=r"use \.npz, USD or Alembic"):
        open_sequence([tmp_path / "b.glb"])


def sound(frames: np.ndarray) -> None:
    assert np.isfinite(frames.astype(np.float32)).all()


def test_random_damage(tmp_path):
    def read(path: Path) -> np.ndarray:
        sequence = open_sequence([path])
        frames = all_frames(sequence)
        write_sequence(path.with_name("out.glb"), sequence, iter(frames), rotations=np.tile(TURN, (len(frames), 1, 1)))
        return frames

    animated([[0, 1], [1, 0]], [0, 0.04]).write(tmp_path / "a.glb")
    survives(read, tmp_path / "a.glb", sound)
