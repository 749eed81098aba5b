# SPDX-License-Identifier: Apache-2.0
"""Sequences of .obj, .ply and .npz: order, streams, copies that keep all but positions, and refusals by name."""

from __future__ import annotations

import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hyoid.errors import InputError, OutputError, UsageError
from hyoid.formats import obj, ply
from hyoid.formats.mesh_sequence import MeshSequence, open_sequence, write_sequence
from hyoid.formats.npz import read_npz, write_npz
from hyoid.geometry import rotations
from hyoid.report import Report

from tests.formats.fuzz import survives

FACES = np.array([[0, 1, 2, 3], [0, 1, 4, 4]], np.int32)
TURN = rotations.to_matrix(np.array([0.5, 0.5, 0.5, 0.5]))
"""x -> y -> z -> x: a turn that keeps whole numbers whole."""


def positions(frames: int = 12, vertices: int = 5) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 100, (frames, vertices, 3)).astype(np.float32)


def archive(path: Path, frames: int = 12, **more: np.ndarray) -> MeshSequence:
    arrays = {"vertices": positions(frames), "faces": FACES, "fps": np.array(25.0)} | more
    write_npz(path, arrays)
    return open_sequence([path])


def all_frames(sequence: MeshSequence) -> np.ndarray:
    return np.stack(list(sequence.frames()))


OBJ = (
    "# made by hand\r\nmtllib a.mtl\r\no head\r\n  v 1 2 3 0.5 0.25 1.0 # a colour\r\nv\t4 5 6\r\nv 7 8 9\r\n"
    "vt 0 1\r\nvn 1 0 0\r\nvn 0 0 1 # up\r\nusemtl skin\r\ns 1\r\nf 1/1/1 2/1/2 3/1/1\r\nl 1 2\r\n# vertices v 1 2 3"
)


def test_a_folder_is_read_in_natural_order_and_so_is_what_a_shell_names(tmp_path):
    """A shell lists frame10 before frame2; a list in any other order is the user's own."""
    for number in (1, 2, 10):
        (tmp_path / f"frame{number}.obj").write_text(f"v {number} 0 0\n")
    (tmp_path / "._frame1.obj").write_bytes(b"\0")
    (tmp_path / "notes.txt").write_text("no mesh")
    files = [tmp_path / f"frame{number}.obj" for number in (1, 10, 2)]
    for paths in ([tmp_path], files):
        sequence = open_sequence(paths)
        assert sequence.names == ("frame1", "frame2", "frame10")
        assert all_frames(sequence)[:, 0, 0].tolist() == [1, 2, 10]
    assert open_sequence(files[::-1]).names == ("frame2", "frame10", "frame1")
    assert (sequence.kind, sequence.fps, sequence.up, sequence.metres) == ("obj", None, None, None)


def test_a_part_of_the_frames(tmp_path):
    """Farms read chunks: each must be a slice of the whole, as Python slices."""
    stored = positions()
    for sequence in (archive(tmp_path / "a.npz"), *_deflated(tmp_path)):
        for start, stop in ((0, 3), (5, None), (11, 12), (12, None), (3, 99), (0, -1)):
            assert np.array_equal(np.array(list(sequence.frames(start, stop))).reshape(-1, 5, 3), stored[start:stop])


def _deflated(folder: Path) -> list[MeshSequence]:
    np.savez_compressed(folder / "deflated.npz", points=positions())
    np.save(folder / "plain.npy", positions().astype(">f8"))
    return [open_sequence([folder / "deflated.npz"]), open_sequence([folder / "plain.npy"])]


def test_an_obj_keeps_every_byte_but_positions_and_normals(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / "in" / f"{name}.obj").write_bytes(OBJ.encode())
    sequence = open_sequence([tmp_path / "in"])
    moved = [frame @ TURN.T + number for number, frame in enumerate(sequence.frames())]
    written = write_sequence(tmp_path / "out", sequence, moved, rotations=np.stack([np.eye(3), TURN]))
    assert written == [str(tmp_path / "out" / f"{name}.obj") for name in ("a", "b")]
    expected = OBJ.replace("v 1 2 3 0.5", "v 4 2 3 0.5").replace("v\t4 5 6", "v\t7 5 6").replace("v 7 8 9", "v 10 8 9")
    expected = expected.replace("v 4 2 3", "v 3 1 2").replace("v\t7 5 6", "v\t6 4 5").replace("v 10 8 9", "v 9 7 8")
    assert (tmp_path / "out" / "a.obj").read_bytes() == expected.encode()
    second = expected.replace("v 3 1 2", "v 4 2 3").replace("v\t6 4 5", "v\t7 5 6").replace("v 9 7 8", "v 10 8 9")
    second = second.replace("vn 1 0 0", "vn 0 1 0").replace("vn 0 0 1", "vn 1 0 0")
    assert (tmp_path / "out" / "b.obj").read_bytes() == second.encode()


def test_old_line_ends_and_continued_lines_of_an_obj(tmp_path):
    (tmp_path / "old.obj").write_bytes(b"v 1 2 3\rv 4 5 6\r# end\r")
    (tmp_path / "long.obj").write_bytes(b"v 1 \\\n 2 3\nv 4 5 6\n")
    for name, end in (("old", b"v 9 8 7\rv 1 1 1\r# end\r"), ("long", b"v 9 8 7\nv 1 1 1\n")):
        sequence = open_sequence([tmp_path / f"{name}.obj"])
        write_sequence(tmp_path / "out.obj", sequence, [np.array([[9.0, 8, 7], [1, 1, 1]])])
        assert (tmp_path / "out.obj").read_bytes() == end


def _scan(order: str) -> bytes:
    """Two vertices with colour, normals and a custom property, behind another element; one face."""
    form = {"": "ascii", "<": "binary_little_endian", ">": "binary_big_endian"}[order]
    header = (
        f"ply\nformat {form} 1.0\nelement camera 1\nproperty list uchar float view\nelement vertex 2\n"
        "property uchar red\nproperty float x\nproperty double y\nproperty float z\nproperty float nx\n"
        "property float ny\nproperty float nz\nproperty short s\n"
        "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    ).encode()
    if not order:
        return header + b"2 0.5 0.25\n255 1 2 3 1 0 0 -7\n 1 4  5 6 0 0 1 8\n3 0 1 1\n"
    kind = np.dtype([(n, order + k) for n, k in zip("rxyzabcs", ("u1", "f4", "f8", "f4", "f4", "f4", "f4", "i2"),
                                                    strict=True)])  # fmt: skip
    rows = np.array([(255, 1, 2, 3, 1, 0, 0, -7), (1, 4, 5, 6, 0, 0, 1, 8)], kind)
    face = b"\3" + np.array([0, 1, 1], order + "i4").tobytes()
    return header + b"\2" + np.array([0.5, 0.25], order + "f4").tobytes() + rows.tobytes() + face


@pytest.mark.parametrize("order", ["", "<", ">"], ids=["text", "little", "big"])
def test_a_ply_keeps_every_other_property(tmp_path, order):
    (tmp_path / "a.ply").write_bytes(_scan(order))
    sequence = open_sequence([tmp_path / "a.ply"])
    assert all_frames(sequence).tolist() == [[[1, 2, 3], [4, 5, 6]]]
    written = write_sequence(
        tmp_path / "out", sequence, (frame @ TURN.T for frame in sequence.frames()), rotations=TURN[None]
    )
    assert written == [str(tmp_path / "out" / "a.ply")]
    found = ply._mesh(tmp_path / "out" / "a.ply", with_faces=False)
    assert found.vertices.tolist() == [[3, 1, 2], [6, 4, 5]]
    # The same turn three times over is none: all bytes must be the first ones again.
    for _ in range(2):
        sequence = open_sequence([tmp_path / "out" / "a.ply"])
        frames = [frame @ TURN.T for frame in sequence.frames()]
        write_sequence(tmp_path / "next", sequence, frames, rotations=TURN[None])
        (tmp_path / "next" / "a.ply").replace(tmp_path / "out" / "a.ply")
    words = (tmp_path / "out" / "a.ply").read_bytes().split() if not order else None
    assert (words == _scan(order).split()) if not order else (tmp_path / "out" / "a.ply").read_bytes() == _scan(order)


@pytest.mark.parametrize("target", ["b.npz", "b.npy", "folder"])
def test_positions_come_back_bit_for_bit(tmp_path, target):
    sequence = archive(tmp_path / "a.npz")
    seen: list[float] = []
    report = Report(lambda event: seen.append(event["fraction"]))
    write_sequence(tmp_path / target, sequence, sequence.frames(), report)
    back = open_sequence([tmp_path / target])
    assert np.array_equal(all_frames(back).astype(np.float32), positions())
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    if target != "b.npy":
        assert np.array_equal(back.faces, FACES)
        assert back.names == sequence.names


def test_nine_digits_bring_every_float32_back(tmp_path):
    """Also the smallest and the largest, and those that lie between short decimals."""
    bits = np.random.default_rng(0).integers(0, 1 << 32, (1, 5000, 3), dtype=np.uint32)
    values = bits.view(np.float32)
    values = np.where(np.isfinite(values) & (np.abs(values) > 1e-37), values, 0).astype(np.float32)
    write_npz(tmp_path / "a.npz", {"points": values})
    sequence = open_sequence([tmp_path / "a.npz"])
    write_sequence(tmp_path / "out", sequence, sequence.frames())
    assert np.array_equal(obj.read_vertices(tmp_path / "out" / "0.obj").astype(np.float32), values[0])


def test_an_npz_keeps_its_other_arrays_and_its_type(tmp_path):
    more = {"landmarks": np.arange(6).reshape(2, 3), "names": np.array([f"shot {n}" for n in range(12)])}
    write_npz(tmp_path / "a.npz", {"faces": FACES, "points": positions().astype(np.float64), **more})
    sequence = open_sequence([tmp_path / "a.npz"])
    for name in ("b.npz", "c.npz"):
        write_sequence(tmp_path / name, sequence, (frame + 1 for frame in sequence.frames()), fps=50)
    back = read_npz(tmp_path / "b.npz")
    assert list(back) == ["faces", "points", "landmarks", "names", "fps"]
    assert back["points"].dtype == np.float64
    assert np.array_equal(back["points"], positions().astype(np.float64) + 1)
    assert np.array_equal(back["landmarks"], more["landmarks"])
    assert open_sequence([tmp_path / "b.npz"]).fps == 50
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "c.npz").read_bytes()
    assert open_sequence([tmp_path / "b.npz"]).names[1] == "shot 1"


def test_names_from_a_file_lead_nowhere(tmp_path):
    """Names become file names: none may climb out of the folder, and none may hide another."""
    names = np.array(["../../up", "a/b", "A_b", "", "con:1", "x" * 300])
    sequence = archive(tmp_path / "a.npz", 6, names=names)
    written = [Path(path) for path in write_sequence(tmp_path / "out", sequence, sequence.frames())]
    assert {path.parent for path in written} == {tmp_path / "out"}
    assert len({path.name.lower() for path in written}) == 6
    assert all(path.is_file() for path in written)


def sound(frames: np.ndarray) -> None:
    assert np.isfinite(frames).all()


def test_damaged_archives_are_refused_by_name(tmp_path):
    sequence = archive(tmp_path / "a.npz")
    assert len(sequence.names) == 12
    survives(lambda path: all_frames(open_sequence([path])), tmp_path / "a.npz", sound)


def _bad(tmp_path: Path) -> list[tuple[dict, str]]:
    good = positions()
    object_array = np.array([{"x": 1}], dtype=object)
    return [
        ({"vertices": np.asfortranarray(good)}, "is in Fortran order"),
        ({"vertices": good.astype(np.longdouble)}, "is of type"),
        ({"vertices": good.astype(np.int32)}, "is of type int32"),
        ({"vertices": good[0]}, r"has the shape \(5, 3\); expected \(frames, vertices, 3\)"),
        ({"vertices": good[:0]}, r"has the shape \(0, 5, 3\)"),
        ({"other": good}, "holds other.npy; expected an array 'vertices' or 'points'"),
        ({"vertices": object_array}, "not a sound|type object"),
        ({"vertices": good, "faces": FACES + 2}, "names vertex 6; expected 0 to 4"),
        ({"vertices": good, "faces": FACES.astype(float)}, "'faces' is float64"),
        ({"vertices": good, "fps": np.array(0.04)}, "the frame rate is 0.04"),
        ({"vertices": good, "names": np.array(["a"])}, "expected 12 texts"),
    ]


@pytest.mark.parametrize("case", range(11))
def test_arrays_that_are_no_sequence(tmp_path, case):
    arrays, message = _bad(tmp_path)[case]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        open_sequence([tmp_path / "a.npz"])
    assert "a.npz" in str(caught.value)


def test_an_archive_cannot_promise_more_than_it_holds(tmp_path):
    """A head that claims terabytes must be met with a message, not with an allocation."""
    archive(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as made, zipfile.ZipFile(tmp_path / "a.npz") as old:
        made.writestr("vertices.npy", old.read("vertices.npy").replace(b"(12, 5, 3)", b"(912345678, 5, 3)", 1))
    with pytest.raises(InputError, match="promises 54740740680 bytes"):
        open_sequence([tmp_path / "b.npz"])


def test_bad_frames_are_named(tmp_path):
    for number in range(3):
        (tmp_path / f"f{number}.obj").write_text("v 1 2 3\nv 4 5 6\n")
    (tmp_path / "f1.obj").write_text("v 1 2 3\n")
    with pytest.raises(InputError, match=r"f1\.obj: has 1 vertices; expected 2"):
        all_frames(open_sequence([tmp_path]))
    (tmp_path / "f1.obj").write_text("v 1 2 3\nv 4 nan 6\n")
    with pytest.raises(InputError, match=r"f1\.obj: .*not finite"):
        all_frames(open_sequence([tmp_path]))
    (tmp_path / "f1.obj").unlink()
    sequence = open_sequence([tmp_path])
    (tmp_path / "f2.obj").unlink()
    with pytest.raises(InputError, match=r"f2\.obj: the file does not exist"):
        all_frames(sequence)
    for wrong in (np.nan, np.inf, 1e39):  # the last becomes infinite in every file of float32
        bad = positions().astype(np.float64)
        bad[7, 3, 1] = wrong
        with pytest.raises(InputError, match=r"a\.npz: frame 7 \('7'\): vertex 3 is not finite"):
            all_frames(archive(tmp_path / "a.npz", vertices=bad))


def test_what_cannot_be_opened(tmp_path):
    (tmp_path / "a.obj").write_text("v 1 2 3\n")
    (tmp_path / "a.ply").write_bytes(_scan("<"))
    (tmp_path / "a.fbx").write_bytes(b"x")
    (tmp_path / "a.take.npz").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    cases = [
        ([], UsageError, "no meshes are named"),
        ([tmp_path], InputError, "holds 1 .obj and 1 .ply files"),
        ([tmp_path / "empty"], InputError, "holds no meshes"),
        ([tmp_path / "gone.npz"], InputError, r"gone\.npz: the file does not exist"),
        ([tmp_path / "a.fbx"], UsageError, "unknown type of mesh '.fbx'; expected a folder, or one of .obj"),
        ([tmp_path / "a.obj", tmp_path / "a.ply"], UsageError, "cannot be one of several"),
        ([tmp_path / "a.take.npz"], UsageError, "is a take or a character"),
    ]
    for paths, kind, message in cases:
        with pytest.raises(kind, match=message):
            open_sequence(paths)


def test_targets_that_are_refused_before_anything_is_read(tmp_path):
    sequence = archive(tmp_path / "a.npz")
    (tmp_path / "file").write_text("x")
    (tmp_path / "b.npz").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.obj").write_text("v 1 2 3\n")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    folder = open_sequence([tmp_path / "in"])
    cases = [
        (tmp_path / "a.npz", sequence, UsageError, "is one of the inputs"),
        (tmp_path / "in", folder, UsageError, r"a\.obj: is one of the inputs"),
        (tmp_path / "link", folder, UsageError, r"a\.obj: is one of the inputs"),
        (tmp_path / "b.fbx", sequence, UsageError, "no type of mesh sequence has this suffix"),
        (tmp_path / "b.obj", sequence, UsageError, "one .obj file cannot hold 12 frames"),
        (tmp_path / "b.npz", sequence, OutputError, "is a folder"),
        (tmp_path / "file", sequence, OutputError, "is a file"),
    ]

    def untouched():
        raise AssertionError("a frame was asked for")
        yield

    for path, source, kind, message in cases:
        with pytest.raises(kind, match=message):
            write_sequence(path, source, untouched())
    assert (tmp_path / "in" / "a.obj").read_text() == "v 1 2 3\n"


@pytest.mark.parametrize("target", ["out.npz", "out.npy", "out.glb", "out.usdc", "folder"])
def test_nothing_half_written_stays(tmp_path, target):
    """A frame that turns out bad in the middle leaves no file of the sequence, and of a folder only whole ones."""
    sequence = archive(tmp_path / "a.npz")

    def frames():
        for number, frame in enumerate(sequence.frames()):
            yield frame if number < 7 else frame * np.nan

    with pytest.raises(InputError, match=r"frame 7 \('7'\): vertex 0 is not finite"):
        write_sequence(tmp_path / target, sequence, frames())
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == (["a.npz", "folder"] if target == "folder" else ["a.npz"])
    if target == "folder":
        assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [f"{n}.obj" for n in range(7)]


def test_a_full_disk_is_told(tmp_path):
    sequence = archive(tmp_path / "a.npz")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"b\.npy: cannot be written"):
            write_sequence(tmp_path / "b.npy", sequence, sequence.frames())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_the_memory_of_a_stream_does_not_grow_with_its_length(tmp_path):
    """600 frames of 10 000 vertices are 72 MB of positions: a process that holds them all would show it."""
    code = (
        "import resource, sys; from pathlib import Path; import numpy as np\n"
        "from hyoid.formats.mesh_sequence import open_sequence, write_sequence\n"
        "source = open_sequence([Path(sys.argv[1])])\n"
        "next(source.frames()); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "write_sequence(Path(sys.argv[2]), source, (frame + 1 for frame in source.frames()))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    write_npz(tmp_path / "a.npz", {"points": np.ones((600, 10_000, 3), np.float32)}, 0)
    command = [sys.executable, "-c", code, str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 << 10  # KiB
