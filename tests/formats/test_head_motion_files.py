# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Head motion as a table and as a moving transform: other programs read exactly what was found, bad rows are named."""

from __future__ import annotations

import csv
import locale
import resource

import numpy as np
import pytest
from hyoid.errors import InputError, OutputError, UsageError
from hyoid.files import part_file
from hyoid.formats import head_motion_files
from hyoid.geometry import rotations
from hyoid.geometry.rigid import Rigid
from hyoid.take import Provenance
from pxr import Usd, UsdGeom, UsdValidation

from tests.blender import tools
from tests.formats.fuzz import survives

FRAMES = 48


def motion(frames=FRAMES):
    """A head that turns three times about a tilted axis and drifts, in centimetres."""
    angle = np.linspace(0, 6 * np.pi, frames)
    turns = rotations.to_matrix(rotations.about(np.array([0.48, 0.8, -0.36]), angle))
    return Rigid(turns, np.stack([3 * np.sin(angle), 150 + angle, -0.25 * angle], -1))


def saved(path, moved=None, fps=30.0, names=None):
    moved = motion() if moved is None else moved
    count = len(moved)
    names = tuple(f"scan.{i:04d}" for i in range(count)) if names is None else names
    head_motion_files.write_csv(path, moved, fps, names, np.linspace(1, 0.5, count), np.linspace(0, 2, count))
    return path


def rewritten(path, line, old, new):
    """One line of a table (counted from 1) with some text replaced."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_comes_back(tmp_path):
    moved, fps, names = head_motion_files.read_csv(saved(tmp_path / "a.csv", fps=24.0))
    assert (fps, names[:2], len(names)) == (24.0, ("scan.0000", "scan.0001"), FRAMES)
    assert np.abs(moved.rotations - motion().rotations).max() < 1e-9
    assert np.abs(moved.translations - motion().translations).max() < 1e-7
    saved(tmp_path / "b.csv", fps=24.0)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize("fps", [23.976, 24000 / 1001, 25.0, 30000 / 1001, 60.0, 120.0])
def test_the_rate_comes_back_from_the_times(tmp_path, fps):
    assert head_motion_files.read_csv(saved(tmp_path / "a.csv", fps=fps))[1] == pytest.approx(fps, rel=2e-5)


def test_the_columns_are_what_the_header_says(tmp_path):
    """Read by Python's own reader: degrees in the order x, y, z make the same rotation as the quaternion."""
    with open(saved(tmp_path / "a.csv"), encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == head_motion_files.COLUMNS
    assert [row["frame"] for row in rows] == [str(i) for i in range(FRAMES)]
    values = {
        name: np.array([float(row[name]) for row in rows]) for name in head_motion_files.COLUMNS if name != "name"
    }
    np.testing.assert_allclose(values["seconds"], np.arange(FRAMES) / 30, atol=1e-8)
    quaternions = np.stack([values[name] for name in ("qw", "qx", "qy", "qz")], -1)
    assert (np.sum(quaternions[1:] * quaternions[:-1], -1) > 0).all(), "the sign jumps"
    assert quaternions[:, 0].min() < 0, "three turns leave the half of positive w"
    degrees = np.stack([values[name] for name in ("rx", "ry", "rz")], -1)
    x, y, z = (rotations.about(np.eye(3)[i], np.radians(degrees[:, i])) for i in range(3))
    again = rotations.to_matrix(rotations.multiply(z, rotations.multiply(y, x)))
    np.testing.assert_allclose(again, motion().rotations, atol=1e-8)
    np.testing.assert_allclose(values["confidence"], np.linspace(1, 0.5, FRAMES), atol=1e-9)
    np.testing.assert_allclose(values["residual_mm"], np.linspace(0, 2, FRAMES), atol=1e-9)


def test_degrees_run_on_and_do_not_flip(tmp_path):
    """Two turns about y pass the poles, where x and z may jump by half a turn; an artist wants the plain ramp."""
    angle = np.radians(np.arange(0, 721, 15.0))
    turns = rotations.to_matrix(rotations.about((0, 1, 0), angle))
    degrees = np.degrees(head_motion_files.euler_angles(turns))
    np.testing.assert_allclose(degrees, np.stack([0 * angle, np.degrees(angle), 0 * angle], -1), atol=1e-5)
    # At a pole itself what was turned about x before stays there.
    for side in (1, -1):
        steps = [rotations.about((1, 0, 0), np.radians(np.full(10, 20.0)))]
        steps.append(rotations.about((0, 1, 0), np.radians(side * np.linspace(0, 90, 10))))
        turns = rotations.to_matrix(rotations.multiply(steps[1], steps[0]))
        degrees = np.degrees(head_motion_files.euler_angles(turns))
        np.testing.assert_allclose(degrees[:, 0], 20, atol=1e-5)
        np.testing.assert_allclose(degrees[:, 2], 0, atol=1e-5)
    # And any rotations at all, with poles among them, are said by their angles.
    turns = np.concatenate(
        [turns, rotations.to_matrix(rotations.normalise(np.random.default_rng(2).normal(size=(50, 4))))]
    )
    angles = head_motion_files.euler_angles(turns)
    x, y, z = (rotations.about(np.eye(3)[i], angles[:, i]) for i in range(3))
    np.testing.assert_allclose(rotations.to_matrix(rotations.multiply(z, rotations.multiply(y, x))), turns, atol=1e-7)


def test_odd_names_and_one_frame(tmp_path):
    names = ('he said "a, b"', "Zoë 表情", " spaces ", "", "=1+1")
    path = saved(tmp_path / "a.csv", motion(5), names=names)
    assert head_motion_files.read_csv(path)[2] == names
    moved, fps, names = head_motion_files.read_csv(saved(tmp_path / "one.csv", motion()[:1], 24.0))
    assert (len(moved), fps, names) == (1, 30.0, ("scan.0000",))  # one time says no rate
    for name in ("a\nb", "a\n", "a\u2028b", "\udcff"):
        with pytest.raises(InputError, match="cannot stand in a table"):
            saved(tmp_path / "b.csv", motion(1), names=(name,))


def test_a_comma_of_the_locale_changes_nothing(tmp_path):
    before = saved(tmp_path / "a.csv").read_bytes()
    known = locale.setlocale(locale.LC_NUMERIC)
    try:
        for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"):
            try:
                locale.setlocale(locale.LC_NUMERIC, name)
                break
            except locale.Error:
                continue
        assert saved(tmp_path / "b.csv").read_bytes() == before
        assert head_motion_files.read_csv(tmp_path / "b.csv")[1] == 30
    finally:
        locale.setlocale(locale.LC_NUMERIC, known)


def test_columns_may_move_and_be_missing(tmp_path):
    """A spreadsheet saved it again: another order, capitals, columns that only people need taken out."""
    with open(saved(tmp_path / "a.csv"), encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    kept = [rows[0].index(name) for name in ("qz", "qy", "qx", "qw", "name", "tz", "ty", "tx", "seconds")]
    text = "\r\n".join(",".join(row[i] for i in kept) for row in [[name.upper() for name in rows[0]], *rows[1:]])
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")
    moved, fps, names = head_motion_files.read_csv(tmp_path / "b.csv")
    assert np.abs(moved.rotations - motion().rotations).max() < 1e-9
    assert (fps, names[-1]) == (30, "scan.0047")


@pytest.mark.parametrize(
    ("line", "old", "new", "said"),
    [
        (1, "qx", "ax", "lacks the columns qx; expected a header frame,seconds"),
        (1, "rx", "tx", "has two columns named 'tx'"),
        (4, ",scan.0002,", ",", "line 4 has 14 values; expected 15"),
        (5, "scan.0003,", "scan.0003,x", "line 5: tx is 'x.*; expected a finite number"),
        (6, "scan.0004,", "scan.0004,nan", "line 6: tx is 'nan.*; expected a finite number"),
        (7, "scan.0005", '"scan', "line 7: unexpected end of data; expected cells with commas"),
        (2, ",1,0,0,0,", ",2,0,0,0,", r"line 2: the quaternion \[2.0, 0.0, 0.0, 0.0\] is 2 long; expected unit"),
        (9, ",0.2", ",0.3", "line 9: the time goes from 0.2 to 0.3"),
    ],
)  # fmt: skip
def test_bad_rows_are_named(tmp_path, line, old, new, said):
    path = rewritten(saved(tmp_path / "a.csv"), line, old, new)
    with pytest.raises(InputError, match=said) as caught:
        head_motion_files.read_csv(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.exit_code == 3


def test_what_is_no_table_is_named(tmp_path):
    for data, said in ((b"", "is empty"), (b"\x00\x01", "not a text file"), (b"time,frame\n", "lacks the columns")):
        (tmp_path / "a.csv").write_bytes(data)
        with pytest.raises(InputError, match=said):
            head_motion_files.read_csv(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text(",".join(head_motion_files.COLUMNS) + "\n")
    with pytest.raises(InputError, match="has a header, but no rows"):
        head_motion_files.read_csv(tmp_path / "a.csv")
    with pytest.raises(InputError, match="does not exist"):
        head_motion_files.read_csv(tmp_path / "gone.csv")


def test_damaged_tables_never_crash(tmp_path):
    def sound(found):
        moved, fps, names = found
        assert len(moved) == len(names)
        assert 1 <= fps <= 1000
        assert np.isfinite(moved.translations).all()
        assert np.abs(moved.rotations @ moved.rotations.transpose(0, 2, 1) - np.eye(3)).max() < 1e-9

    survives(head_motion_files.read_csv, saved(tmp_path / "a.csv", motion(6)), sound)


def problems(path):
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) >= 30
    stage = Usd.Stage.Open(str(path))
    return [error.GetMessage() for error in UsdValidation.ValidationContext(validators).Validate(stage)]


def write_usd(path, moved=None, **more):
    moved = motion() if moved is None else moved
    options = {"metres_per_unit": 0.01, "up_axis": "Z", "residual_mm": np.linspace(0, 2, len(moved))} | more
    head_motion_files.write_usd(path, moved, 24.0, np.linspace(1, 0.5, len(moved)), **options)
    return path


@pytest.mark.parametrize("suffix", [".usda", ".usdc"])
def test_usd_moves_as_the_head_did(tmp_path, suffix):
    """The judge is USD's own evaluation of the transform, at frames and between them."""
    origin = Provenance("1.0", "stabilize")
    path = write_usd(tmp_path / f"a{suffix}", names=tuple("ab" * 24), provenance=origin)
    assert problems(path) == []
    stage = Usd.Stage.Open(str(path))
    head = UsdGeom.Xformable(stage.GetDefaultPrim())
    assert [str(prim.GetPath()) for prim in stage.Traverse()] == ["/head"]
    assert (UsdGeom.GetStageMetersPerUnit(stage), UsdGeom.GetStageUpAxis(stage)) == (0.01, "Z")
    assert (stage.GetTimeCodesPerSecond(), stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (24, 0, FRAMES - 1)
    for frame in range(FRAMES):
        matrix = np.array(head.ComputeLocalToWorldTransform(frame)).T  # USD multiplies row vectors
        assert np.abs(matrix[:3, :3] - motion().rotations[frame]).max() < 1e-12
        assert np.abs(matrix[:3, 3] - motion().translations[frame]).max() < 1e-12
    between = np.array(head.ComputeLocalToWorldTransform(10.5)).T[:3, :3]
    assert np.abs(between - motion(2 * FRAMES - 1).rotations[21]).max() < 1e-6, (
        "the way between frames is the short one"
    )
    prim = stage.GetDefaultPrim()
    orient = prim.GetAttribute("xformOp:orient")
    turns = np.array([[q.GetReal(), *q.GetImaginary()] for q in (orient.Get(frame) for frame in range(FRAMES))])
    assert (np.sum(turns[1:] * turns[:-1], -1) > 0).all(), "programs that make four curves of it see no jump"
    assert prim.GetAttribute("userProperties:confidence").Get(FRAMES - 1) == pytest.approx(0.5)
    assert prim.GetAttribute("userProperties:residual_mm").Get(FRAMES - 1) == pytest.approx(2)
    assert '"stabilize"' in stage.GetRootLayer().customLayerData["hyoid"]["provenance"]
    again = write_usd(tmp_path / f"b{suffix}", names=tuple("ab" * 24), provenance=origin)
    assert path.read_bytes() == again.read_bytes()


@pytest.mark.blender
def test_blender_imports_the_motion(tmp_path):
    """Another program's reader: an empty that moves in metres and +Z up."""
    path = write_usd(tmp_path / "a.usdc")
    statement = f"""
import numpy as np
found = []
for frame in range({FRAMES}):
    scene.frame_set(frame)
    found.append(np.array(bpy.data.objects["head"].matrix_world))
np.save({str(tmp_path / "seen.npy")!r}, found)
"""
    tools.probe(path, [0], tmp_path, statement=statement, fps=24)
    seen = np.load(tmp_path / "seen.npy")
    turned = seen[:, :3, :3] / np.linalg.norm(seen[:, :3, :3], axis=1, keepdims=True)
    assert np.abs(turned - motion().rotations).max() < 1e-5
    # Blender scales a file in centimetres by a hundredth, from 4.4 on by itself.
    scale = np.linalg.norm(seen[0, :3, 0])
    assert np.abs(seen[:, :3, 3] - motion().translations * scale).max() < 1e-4


def test_usd_options_and_arrays_are_checked(tmp_path):
    for options, said in (
        ({"up_axis": "X"}, "unknown up axis 'X'; expected Y or Z"),
        ({"metres_per_unit": 0.0}, "a unit of 0 metres; expected a size above zero"),
    ):
        with pytest.raises(UsageError, match=said):
            write_usd(tmp_path / "a.usda", **options)
    with pytest.raises(UsageError, match=r"cannot write '\.usdz' as USD; expected \.usda or \.usdc"):
        write_usd(tmp_path / "a.usdz")
    broken = Rigid(motion().rotations, np.where(np.arange(FRAMES)[:, None] == 3, np.inf, motion().translations))
    for write in (write_usd, saved):
        with pytest.raises(
            InputError, match=r"translations holds 3 numbers that are not finite, the first at index \(3, 0"
        ):
            write(tmp_path / "a.usda", broken)
        with pytest.raises(InputError, match="no frames"):
            write(tmp_path / "a.usda", motion()[:0])
    with pytest.raises(InputError, match="there are 2 names; expected 48"):
        saved(tmp_path / "a.csv", names=("a", "b"))
    with pytest.raises(InputError, match=r"the residual has the shape \(3,\)"):
        write_usd(tmp_path / "a.usda", residual_mm=np.ones(3))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "write"), [("a.csv", saved), ("a.usda", write_usd), ("a.usdc", write_usd)])
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, name, write):
    """A limit on file sizes stands in for it: the write fails in the middle."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with (
            pytest.raises(OutputError, match=f"{name}: cannot be written: the limit on file sizes"),
            part_file(tmp_path / name) as part,
        ):
            write(part, motion(4000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
