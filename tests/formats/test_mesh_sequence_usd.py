# SPDX-License-Identifier: Apache-2.0
"""Sequences in USD files: transforms applied and undone, copies that keep all but points, valid new files."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hyoid.errors import InputError, UsageError
from hyoid.formats.mesh_sequence import MeshSequence, open_sequence, write_sequence
from hyoid.formats.mesh_sequence.usd_samples import SampleError, Samples
from hyoid.formats.npz import write_npz
from pxr import Gf, Sdf, Usd, UsdGeom, UsdValidation, Vt

FACES = np.array([[0, 1, 2, 3], [0, 1, 4, 4]], np.int32)
TURN = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])


def positions(frames: int = 6) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 2, (frames, 5, 3)).astype(np.float32)


def archive(path: Path, frames: int = 6, **more: np.ndarray) -> MeshSequence:
    write_npz(path, {"vertices": positions(frames), "faces": FACES} | more)
    return open_sequence([path])


def all_frames(sequence: MeshSequence) -> np.ndarray:
    return np.stack(list(sequence.frames()))


def problems(path: Path) -> list[str]:
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) >= 30
    found = UsdValidation.ValidationContext(validators).Validate(Usd.Stage.Open(str(path)))
    return [error.GetMessage() for error in found]


def scene(path: Path) -> None:
    """Two meshes: one under a moving and scaled parent, its samples at every other time code; one that stands still."""
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, "Z")
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    stage.SetTimeCodesPerSecond(48)
    top = UsdGeom.Xform.Define(stage, "/top")
    stage.SetDefaultPrim(top.GetPrim())
    way = top.AddTranslateOp()
    for code in (0, 10):
        way.Set(Gf.Vec3d(code, 0, 0), code)
    top.AddScaleOp().Set(Gf.Vec3f(2, 2, 2))
    head = UsdGeom.Mesh.Define(stage, "/top/head")
    for frame, points in enumerate(positions()):
        head.GetPointsAttr().Set(Vt.Vec3fArray.FromNumpy(points), 2 * frame)
    head.GetFaceVertexCountsAttr().Set([4, 3])
    head.GetFaceVertexIndicesAttr().Set([0, 1, 2, 3, 0, 1, 4])
    head.GetNormalsAttr().Set(Vt.Vec3fArray.FromNumpy(np.eye(5, 3, dtype=np.float32)))
    head.GetPrim().CreateAttribute("velocities", Sdf.ValueTypeNames.Vector3fArray).Set([(1, 1, 1)] * 5)
    head.GetPrim().CreateAttribute("userProperties:note", Sdf.ValueTypeNames.String).Set("keep me")
    lens = UsdGeom.Mesh.Define(stage, "/top/lens")
    lens.GetPointsAttr().Set([(0, 0, 0), (1, 0, 0), (0, 1, 0)])
    lens.GetFaceVertexCountsAttr().Set([3])
    lens.GetFaceVertexIndicesAttr().Set([0, 1, 2])
    lens.GetOrientationAttr().Set("leftHanded")
    stage.Save()


def test_meshes_over_time_in_world_space(tmp_path):
    scene(tmp_path / "a.usda")
    sequence = open_sequence([tmp_path / "a.usda"])
    assert (sequence.kind, sequence.vertices, sequence.fps, sequence.up) == ("usd", 8, 24.0, "Z")
    assert sequence.metres == pytest.approx(0.01)
    assert sequence.names == ("0", "2", "4", "6", "8", "10")
    # The mesh that faces the other way has its corners turned round.
    assert sequence.faces.tolist() == [[0, 1, 2, 3], [0, 1, 4, 4], [7, 6, 5, 5]]
    way = np.array([2.0, 0, 0]) * np.arange(6)[:, None, None]
    np.testing.assert_allclose(all_frames(sequence)[:, :5], positions() * 2 + way, atol=1e-6)
    np.testing.assert_allclose(all_frames(sequence)[:, 5:], np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0]]) + way)
    assert np.array_equal(list(sequence.frames(2, 4)), all_frames(sequence)[2:4])


@pytest.mark.parametrize("suffix", [".usda", ".usdc"])
def test_a_copy_keeps_everything_but_points(tmp_path, suffix):
    scene(tmp_path / "a.usda")
    sequence = open_sequence([tmp_path / "a.usda"])
    moved = all_frames(sequence) @ TURN.T + [1, 2, 3]
    rotations = np.tile(TURN, (6, 1, 1))
    for name in ("b", "c"):
        write_sequence(tmp_path / f"{name}{suffix}", sequence, iter(moved), fps=12, rotations=rotations)
    assert (tmp_path / f"b{suffix}").read_bytes() == (tmp_path / f"c{suffix}").read_bytes()
    back = open_sequence([tmp_path / f"b{suffix}"])
    np.testing.assert_allclose(all_frames(back), moved, atol=2e-6)
    assert (back.names, back.fps, back.up) == (sequence.names, 12.0, "Z")
    assert np.array_equal(back.faces, sequence.faces)
    stage = Usd.Stage.Open(str(tmp_path / f"b{suffix}"))
    head = UsdGeom.Mesh.Get(stage, "/top/head")
    assert head.GetPrim().GetAttribute("userProperties:note").Get() == "keep me"
    assert not head.GetPrim().GetAttribute("velocities").HasAuthoredValue()  # of a motion that is gone
    np.testing.assert_allclose(head.GetNormalsAttr().Get(4), np.eye(5, 3) @ TURN.T, atol=1e-6)
    points = np.array(head.GetPointsAttr().Get(4))
    np.testing.assert_allclose(head.GetExtentAttr().Get(4), [points.min(0), points.max(0)])
    # What a mesh stood still with before now moves against its moving parent.
    assert UsdGeom.Mesh.Get(stage, "/top/lens").GetPointsAttr().GetNumTimeSamples() == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.usda", f"b{suffix}", f"c{suffix}"]


def test_a_copy_elsewhere_still_finds_what_it_refers_to(tmp_path):
    (tmp_path / "in").mkdir()
    scene(tmp_path / "in" / "a.usda")
    stage = Usd.Stage.CreateNew(str(tmp_path / "in" / "shot.usda"))
    stage.OverridePrim("/shot").GetReferences().AddReference("./a.usda")
    stage.SetDefaultPrim(stage.GetPrimAtPath("/shot"))
    stage.Save()
    sequence = open_sequence([tmp_path / "in" / "shot.usda"])
    assert sequence.vertices == 8
    write_sequence(tmp_path / "out" / "b.usdc", sequence, (frame + 1 for frame in sequence.frames()))
    back = open_sequence([tmp_path / "out" / "b.usdc"])
    np.testing.assert_allclose(all_frames(back), all_frames(sequence) + 1, atol=2e-6)
    with pytest.raises(UsageError, match=r"a\.usda: is one of the inputs"):
        write_sequence(tmp_path / "in" / "a.usda", sequence, sequence.frames())


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usd"])
@pytest.mark.parametrize("frames", [1, 6])
def test_a_new_file_is_valid_and_comes_back_bit_for_bit(tmp_path, suffix, frames):
    sequence = archive(tmp_path / "face 1.npz", frames, fps=np.array(23.976))
    written = write_sequence(tmp_path / f"b{suffix}", sequence, sequence.frames())
    assert written == [str(tmp_path / f"b{suffix}")]
    assert problems(tmp_path / f"b{suffix}") == []
    back = open_sequence([tmp_path / f"b{suffix}"])
    assert np.array_equal(all_frames(back), positions(frames))
    assert np.array_equal(back.faces, FACES)
    assert (back.up, back.metres, back.fps) == ("Y", 1.0, 23.976 if frames > 1 else None)


def test_a_long_sequence_needs_no_memory_and_comes_out_whole(tmp_path):
    """Samples wait in a file: 290 MB of them cost the process that writes them little, and come out in equal bytes."""
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from hyoid.formats.mesh_sequence import open_sequence, write_sequence
np.save("a.npy", np.zeros((int(sys.argv[1]), 60_000, 3), np.float32))
sequence = open_sequence([Path("a.npy")])
values = np.arange(180_000, dtype=np.float64).reshape(-1, 3)
write_sequence(Path(sys.argv[2]), sequence, (values + frame for frame in range(int(sys.argv[1]))), fps=25)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""

    def megabytes(frames: int, name: str) -> float:
        command = [sys.executable, "-c", code, str(frames), name]
        done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        return float(done.stdout)

    assert megabytes(400, "b.usdc") < megabytes(4, "short.usdc") + 60
    megabytes(400, "c.usdc")
    assert (tmp_path / "b.usdc").read_bytes() == (tmp_path / "c.usdc").read_bytes()
    names = ["a.npy", "b.usdc", "c.usdc", "short.usdc"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    values = np.arange(180_000, dtype=np.float64).reshape(-1, 3)
    back = open_sequence([tmp_path / "b.usdc"])
    assert len(back.names) == 400
    for frame, points in zip((0, 1, 398, 399), (*back.frames(0, 2), *back.frames(398)), strict=True):
        assert np.array_equal(points, values + frame), frame


def marked(path: Path) -> None:
    """Samples of two attributes, exported with their marks; the times come in any order."""
    stage = Usd.Stage.Open(Sdf.Layer.CreateAnonymous(path.suffix))
    mesh = UsdGeom.Mesh.Define(stage, "/mesh")
    for attribute in (mesh.CreatePointsAttr(), mesh.CreateExtentAttr()):
        attribute.Set([], 0)
    with Samples(stage.GetRootLayer(), path) as samples:
        for time in (2, 0, 1):
            for name, rows in (("points", 5), ("extent", 2)):
                samples.add(f"/mesh.{name}", time, np.full((rows, 3), 0.1 + time, np.float32))
        assert stage.GetRootLayer().Export(str(path))
        samples.fill(path)


@pytest.mark.parametrize("suffix", [".usda", ".usdc"])
def test_samples_take_the_places_of_their_marks(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    marked(path)
    stage = Usd.Stage.Open(str(path))
    mesh = UsdGeom.Mesh.Get(stage, "/mesh")
    for attribute, rows in ((mesh.GetPointsAttr(), 5), (mesh.GetExtentAttr(), 2)):
        assert attribute.GetTimeSamples() == [0, 1, 2]
        for time in (0, 1, 2):
            assert np.array_equal(np.asarray(attribute.Get(time)), np.full((rows, 3), 0.1 + time, np.float32))
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("suffix", "found"), [(".usda", "0 marks"), (".usdc", "marks of /mesh.points are missing")])
def test_a_file_without_the_marks_is_told(tmp_path, suffix, found):
    path, empty, layer = tmp_path / f"a{suffix}", Sdf.Layer.CreateAnonymous(), Sdf.Layer.CreateAnonymous()
    Sdf.AttributeSpec(Sdf.CreatePrimInLayer(layer, "/mesh"), "points", Sdf.ValueTypeNames.Point3fArray)
    with Samples(layer, path) as samples:
        samples.add("/mesh.points", 0, np.zeros((5, 3), np.float32))
        empty.Export(str(path))
        with pytest.raises(SampleError, match=found):
            samples.fill(path)


def test_text_for_a_binary_file_is_told(tmp_path):
    path = tmp_path / "a.usdc"
    with Samples(Sdf.Layer.CreateAnonymous(".usdc"), path) as samples:
        samples._spans.append((0, 0))
        path.write_text("#usda 1.0")
        with pytest.raises(SampleError, match="unexpected form"):
            samples.fill(path)


def test_a_frame_with_other_points_is_named(tmp_path):
    scene(tmp_path / "a.usda")
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    UsdGeom.Mesh.Get(stage, "/top/head").GetPointsAttr().Set([(0, 0, 0)] * 4, 6)
    stage.Save()
    with pytest.raises(InputError, match=r"a\.usda: frame 3 .*/top/head has 4 vertices; expected 5"):
        all_frames(open_sequence([tmp_path / "a.usda"]))


def test_files_without_a_sequence(tmp_path):
    Usd.Stage.CreateNew(str(tmp_path / "empty.usda")).Save()
    (tmp_path / "text.usdc").write_text("hello")
    with pytest.raises(InputError, match=r"empty\.usda: holds no meshes"):
        open_sequence([tmp_path / "empty.usda"])
    with pytest.raises(InputError, match=r"text\.usdc: cannot be (read|opened)"):
        open_sequence([tmp_path / "text.usdc"])


@pytest.mark.slow
def test_random_damage_ends_a_child_at_most(tmp_path):
    """Each try is a process of USD's own, so there are few: cuts, and changes in the tables at the end."""
    sequence = archive(tmp_path / "a.npz", 2)
    write_sequence(tmp_path / "a.usdc", sequence, sequence.frames())
    whole = (tmp_path / "a.usdc").read_bytes()
    damaged = [whole[: len(whole) * step // 8] for step in range(8)]
    dice = random.Random(20)
    for _ in range(16):
        flipped = bytearray(whole)
        flipped[dice.randrange(len(whole) // 2, len(whole))] ^= 255
        damaged.append(bytes(flipped))
    refused = 0
    for data in damaged:
        (tmp_path / "bad.usdc").write_bytes(data)
        message = ""
        try:
            assert np.isfinite(all_frames(open_sequence([tmp_path / "bad.usdc"]))).all()
        except InputError as error:
            message = str(error)
        refused += "bad.usdc" in message
    assert refused >= 8  # a file that was cut is never a whole sequence
