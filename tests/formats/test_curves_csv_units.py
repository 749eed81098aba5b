# SPDX-License-Identifier: Apache-2.0
"""Tables with action units: our own both ways, and those of OpenFace with head and gaze."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from hyoid.characters import neck
from hyoid.errors import InputError
from hyoid.formats import curves_csv
from hyoid.formats.checks import valid_take
from hyoid.geometry import rotations

from tests import toy

COLUMNS = (
    "frame", "face_id", "timestamp", "confidence", "success", "gaze_0_x", "gaze_angle_x", "gaze_angle_y", "pose_Tx",
    "pose_Rx", "pose_Ry", "pose_Rz", "AU01_r", "AU12_r", "AU45_r", "AU01_c", "AU28_c",
)  # fmt: skip


def table(tmp_path, rows, columns=COLUMNS):
    """A table as OpenFace writes it, with blanks after the commas."""
    lines = [", ".join(columns)]
    lines += [", ".join(str(row.get(name, 0)) for name in columns) for row in rows]
    path = tmp_path / "face.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def row(frame, fps=30.0, **values):
    return {"frame": frame, "timestamp": round((frame - 1) / fps, 3), "confidence": 0.98, "success": 1} | values


def test_units_survive_our_own_table(tmp_path):
    take = replace(
        toy.take(5), curve_names=("jawOpen", "AU12", "AU46L"), curves=np.arange(15, dtype=np.float32).reshape(5, 3) / 15
    )
    curves_csv.write(tmp_path / "a.csv", take)
    again = curves_csv.read(tmp_path / "a.csv")
    assert again.curve_names == take.curve_names
    assert np.allclose(again.curves, take.curves, atol=1e-6)
    curves_csv.write(tmp_path / "b.csv", take, convention="live_link")
    told = curves_csv.read(tmp_path / "b.csv")
    assert np.allclose(told.curve("mouthSmileRight"), take.curve("AU12"), atol=1e-6)


def test_letters_of_intensity_are_read_in_columns_of_units_alone(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time,AU1,AU46L\n0,A,0\n0.1,c,E\n0.2,0.5,-0\n")
    take = curves_csv.read(path)
    assert np.allclose(take.curves, [[0.2, 0], [0.6, 1], [0.5, 0]], atol=1e-6)
    for text, value in (("time,jawOpen\n0,A\n", "A"), ("time,AU1\n0,F\n", "F")):
        path.write_text(text)
        with pytest.raises(InputError, match=f"line 2, value 2 is '{value}'"):
            curves_csv.read(path)


def test_names_of_other_models_reach_the_columns_of_live_link(tmp_path):
    take = replace(
        toy.take(2), curve_names=("eyeBlink_L", "cheekPuff_L", "cheekPuff_R", "foo"),
        curves=np.array([[0.1, 0.2, 0.4, 9], [0.5, 0.6, 0.8, 9]], np.float32),
    )  # fmt: skip
    curves_csv.write(tmp_path / "a.csv", take, convention="live_link")
    again = curves_csv.read(tmp_path / "a.csv")
    assert np.allclose(again.curve("eyeBlinkLeft"), [0.1, 0.5], atol=1e-6)
    assert np.allclose(again.curve("cheekPuff"), [0.3, 0.7], atol=1e-6)
    assert again.curve("eyeBlinkRight").max() == 0


@pytest.mark.parametrize("fps", [25.0, 30.0, 30000 / 1001, 50.0, 60.0])
def test_openface_units_and_rate(tmp_path, fps):
    rows = [row(i + 1, fps, AU01_r=2.5, AU12_r=5, AU45_r=6, AU01_c=1, AU28_c=1) for i in range(200)]
    take = curves_csv.read(table(tmp_path, rows))
    assert (take.frames, take.fps) == (200, pytest.approx(fps, rel=1e-6))
    for name, value in {"AU1": 0.5, "AU12": 1.0, "AU45": 1.0, "AU28": 0.6}.items():
        assert np.allclose(take.curve(name), value), name
    assert take.confidence[0] == pytest.approx(0.98)


def test_openface_head_and_gaze_are_the_characters(tmp_path):
    """The camera's axes are x to the right of the picture, y down, z away: nose down is +Rx, to its left is -Ry."""
    rows = [row(1), row(2, pose_Rx=0.3), row(3, pose_Ry=0.4), row(4, pose_Rz=0.2), row(5, gaze_angle_x=0.3)]
    rows += [row(6, gaze_angle_y=0.2), row(7, pose_Ry=-0.3, gaze_angle_x=0.3)]
    take = curves_csv.read(table(tmp_path, rows))
    assert take.joint_names == neck.JOINTS
    head = neck.collapse(take.rotations.astype(float))
    nose = rotations.rotate(head, np.array([0, 0, 1.0]))
    crown = rotations.rotate(head, np.array([0, 1.0, 0]))
    assert nose[1, 1] == pytest.approx(-np.sin(0.3), abs=1e-5)  # down
    assert nose[2, 0] == pytest.approx(-np.sin(0.4), abs=1e-5)  # to the character's right
    assert crown[3, 0] == pytest.approx(np.sin(0.2), abs=1e-5)  # clockwise in the picture: to its left
    assert take.curve("eyeLookOutLeft")[4] == pytest.approx(np.degrees(0.3) / 35, abs=1e-4)
    assert take.curve("eyeLookInRight")[4] == take.curve("eyeLookOutLeft")[4]
    assert take.curve("eyeLookDownRight")[5] == pytest.approx(np.degrees(0.2) / 30, abs=1e-4)
    assert take.curve("eyeLookOutLeft")[6] == pytest.approx(0, abs=1e-4)  # the head has turned as far as the gaze
    assert take.curve("eyeLookInLeft")[3] == pytest.approx(0, abs=1e-4)


def test_openface_rows_without_a_face_and_gaps(tmp_path):
    rows = [row(1, AU12_r=1), row(2, AU12_r=9, success=0, confidence=0.2), row(3, AU12_r=2, pose_Rx=0.1)]
    rows += [row(6, AU12_r=5, pose_Rx=0.4)]
    take = curves_csv.read(table(tmp_path, rows))
    assert take.frames == 6
    assert np.allclose(take.curve("AU12"), [0.2, 0.2, 0.4, 0.6, 0.8, 1.0], atol=1e-6)
    assert np.allclose(take.confidence, [0.98, 0, 0.98, 0.98, 0.98, 0.98])
    angle = rotations.to_rotation_vector(neck.collapse(take.rotations.astype(float)))[:, 0]
    assert np.allclose(angle, [0, 0, 0.1, 0.2, 0.3, 0.4], atol=1e-5)


def test_openface_of_several_faces_the_one_seen_most(tmp_path):
    rows = [row(1, face_id=1, AU12_r=1)]
    rows += [row(i + 1, face_id=2, AU12_r=3) for i in range(3)]
    assert np.allclose(curves_csv.read(table(tmp_path, rows)).curve("AU12"), 0.6)


def test_openface_with_units_alone_or_one_row(tmp_path):
    take = curves_csv.read(table(tmp_path, [row(1, AU12_r=5)], ("frame", "timestamp", "AU01_r", "AU12_r")))
    assert (take.frames, take.fps, take.joint_names) == (1, 30.0, ())
    assert take.curve("AU12")[0] == 1


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row(1), row(2, AU01_r="nan")], "line 3, value 13 is 'nan'"),
        ([row(2), row(1)], "frame 1 follows frame 2"),
        ([row(1, success=0), row(2, success=0)], "no row holds a face"),
        ([], "no rows"),
        ([row(1), row(100000)], "2 rows lie on 100000 frames"),
        ([row(1, AU12_r="5, 6")], "line 2 has 18 values"),
    ],
)
def test_bad_openface_tables_are_refused(tmp_path, rows, says):
    with pytest.raises(InputError, match=says):
        curves_csv.read(table(tmp_path, rows))


def test_damage_to_an_openface_table_is_an_error_of_ours(tmp_path):
    """Huge numbers in the columns of angles, frames and times are refused or read as sound takes."""
    path = table(tmp_path, [row(i + 1, AU12_r=1.5, pose_Rx=0.1, gaze_angle_x=0.2) for i in range(12)])
    for name in ("frame", "timestamp", "pose_Rx", "gaze_angle_x", "AU12_r", "confidence"):
        for value in ("1e300", "-1e300", "-1", "0.5"):
            for line in (5, 12):
                lines = path.read_text().splitlines()
                cells = lines[line].split(", ")
                cells[COLUMNS.index(name)] = value
                (tmp_path / "worse.csv").write_text("\n".join([*lines[:line], ", ".join(cells), *lines[line + 1 :]]))
                with contextlib.suppress(InputError):
                    valid_take(curves_csv.read(tmp_path / "worse.csv"))
