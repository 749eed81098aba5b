# SPDX-License-Identifier: Apache-2.0
"""Curve tables: plain ones keep every curve, Live Link Face ones are what that app writes, bad rows are named."""

from __future__ import annotations

import locale
from dataclasses import replace

import numpy as np
import pytest
from hyoid.characters import arkit, neck
from hyoid.characters.character import NeckLimits
from hyoid.errors import InputError
from hyoid.formats import curves_csv, read_take
from hyoid.geometry import rotations

from tests import toy
from tests.formats.fuzz import survives

LIMITS = NeckLimits(*(np.full(8, value, float) for value in (8, 9, 7, 9, 0.3)))


def recording(times, count=61, fps=60):
    """What the app would write: times in frames, jawOpen rising by 0.01 a frame."""
    header = ",".join(("Timecode", "BlendShapeCount", *curves_csv.LIVE_LINK_SHAPES, *curves_csv.LIVE_LINK_ANGLES))
    lines = [header]
    for frame in times:
        values = {"JawOpen": frame * 0.01, "HeadYaw": 0.2}
        cells = [f"{values.get(name, 0.0):.10f}" for name in header.split(",")[2:]]
        second = int(frame // fps)
        lines.append(f"09:59:{58 + second:02d}:{frame - second * fps:06.3f},{count}," + ",".join(cells))
    return lines


def saved(tmp_path, lines):
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "a.csv"


def test_a_plain_table_keeps_every_curve(tmp_path):
    take = toy.take()
    curves_csv.write(tmp_path / "a.csv", take)
    back = read_take(tmp_path / "a.csv")
    assert (back.fps, back.curve_names) == (take.fps, take.curve_names)
    np.testing.assert_allclose(back.curves, take.curves, rtol=1e-6, atol=1e-9)
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith("0,0,0.5,0.6806")


@pytest.mark.parametrize("fps", [24.0, 25.0, 30000 / 1001, 50.0, 60.0, 120.0])
def test_the_rate_comes_back_from_the_times(tmp_path, fps):
    curves_csv.write(tmp_path / "a.csv", toy.take(7, fps))
    assert curves_csv.read(tmp_path / "a.csv").fps == pytest.approx(fps, rel=1e-9)


def test_a_table_without_curves_or_with_one_row(tmp_path):
    bare = replace(toy.take(5), curve_names=(), curves=np.zeros((5, 0), np.float32))
    curves_csv.write(tmp_path / "a.csv", bare)
    assert curves_csv.read(tmp_path / "a.csv").curves.shape == (5, 0)
    curves_csv.write(tmp_path / "a.csv", toy.take(1))
    assert curves_csv.read(tmp_path / "a.csv").fps == 30.0


def test_live_link_has_apple_s_order_and_61_values(tmp_path):
    curves_csv.write(tmp_path / "a.csv", toy.take(), convention="live_link")
    header, first = ((tmp_path / "a.csv").read_text().splitlines()[i].split(",") for i in (0, 1))
    assert header[:4] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft", "EyeLookDownLeft"]
    assert header[16:20] == ["JawForward", "JawRight", "JawLeft", "JawOpen"]
    assert header[53:57] == ["TongueOut", "HeadYaw", "HeadPitch", "HeadRoll"]
    assert header[-1] == "RightEyeRoll"
    assert len(header) == len(first) == 63
    assert first[:2] == ["00:00:00:00.000", "61"]
    assert sorted(name[0].lower() + name[1:] for name in curves_csv.LIVE_LINK_SHAPES) == sorted(arkit.NAMES)


@pytest.mark.parametrize("limits", [None, LIMITS])
def test_live_link_keeps_weights_and_head(tmp_path, limits):
    take = toy.take(90)
    curves_csv.write(tmp_path / "a.csv", take, convention="live_link")
    back = curves_csv.read(tmp_path / "a.csv", limits=limits)
    assert back.fps == 30.0
    for name in arkit.NAMES:
        np.testing.assert_allclose(back.curve(name), take.curve(name), atol=1e-7)
    assert back.joint_names == neck.JOINTS
    head, again = neck.collapse(take.rotations[:, :8].astype(float)), neck.collapse(back.rotations.astype(float))
    assert np.abs(np.einsum("tc,tc->t", head, again)).min() > 1 - 1e-6


@pytest.mark.parametrize(("axis", "column"), [(1, "HeadYaw"), (0, "HeadPitch"), (2, "HeadRoll")])
def test_head_angles_are_radians_about_their_axes(tmp_path, axis, column):
    take = toy.take(40)
    turns = rotations.identity(40, 9)
    turns[:, 7] = rotations.about(np.eye(3)[axis], np.array(0.3))
    curves_csv.write(tmp_path / "a.csv", replace(take, rotations=turns), convention="live_link")
    header, first = ((tmp_path / "a.csv").read_text().splitlines()[i].split(",") for i in (0, 1))
    values = dict(zip(header, first, strict=True))
    for name in ("HeadYaw", "HeadPitch", "HeadRoll"):
        assert float(values[name]) == pytest.approx(0.3 if name == column else 0, abs=1e-6)


def test_eyes_turn_with_their_curves(tmp_path):
    take = toy.take(1)
    curves = np.zeros_like(take.curves)
    curves[0, arkit.CURVES.index("eyeLookOutLeft")] = curves[0, arkit.CURVES.index("eyeLookDownRight")] = 1
    curves_csv.write(tmp_path / "a.csv", replace(take, curves=curves), convention="live_link")
    header, first = ((tmp_path / "a.csv").read_text().splitlines()[i].split(",") for i in (0, 1))
    values = dict(zip(header, first, strict=True))
    assert float(values["LeftEyeYaw"]) == pytest.approx(np.radians(35), abs=1e-6)
    assert float(values["RightEyePitch"]) == pytest.approx(np.radians(30), abs=1e-6)
    assert float(values["RightEyeYaw"]) == 0


def test_a_recording_with_dropped_frames_keeps_its_time(tmp_path):
    """A busy phone drops frames: the row number is not the time."""
    times = [frame + 0.25 for frame in range(100) if frame not in (20, 21, 22, 71)]
    take = curves_csv.read(saved(tmp_path, recording(times)))
    assert (take.fps, take.frames) == (60.0, 100)
    np.testing.assert_allclose(take.curve("jawOpen"), (np.arange(100) + 0.25) * 0.01, atol=1e-5)


def test_rows_without_a_face_hold_the_last_one_and_say_so(tmp_path):
    lines = recording(range(100))
    lines[41] = ",".join(lines[41].split(",")[:1]) + ",0"
    take = curves_csv.read(saved(tmp_path, lines))
    assert take.confidence[40] == 0
    assert take.confidence.sum() == 99
    assert take.curve("jawOpen")[40] == take.curve("jawOpen")[39]


def test_header_case_and_column_order_do_not_matter(tmp_path):
    lines = [line.split(",") for line in recording(range(70))]
    lines[0] = [name.lower() for name in lines[0]]
    turned = [",".join(row[:2] + row[:1:-1]) for row in lines]
    assert curves_csv.read(saved(tmp_path, turned)).curve("jawOpen")[50] == pytest.approx(0.5)


def test_a_decimal_comma_locale_changes_nothing(tmp_path):
    before = locale.setlocale(locale.LC_NUMERIC)
    try:
        try:
            locale.setlocale(locale.LC_NUMERIC, "de_DE.UTF-8")
        except locale.Error:
            pytest.skip("this machine has no German locale")
        curves_csv.write(tmp_path / "a.csv", toy.take())
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)
    assert curves_csv.read(tmp_path / "a.csv").frames == 40


PLAIN = ["time,frame,jawOpen,blink", "0,0,0.5,0", "0.04,1,0.25,1", "0.08,2,0.125,0"]


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (0, "seconds;jawOpen", "begins with 'seconds;jawOpen'"),
        (0, "time,frame,jawOpen,jawopen", "two columns named 'jawopen'"),
        (2, "0.04,1,nan,1", "line 3, value 3 is 'nan'"),
        (2, "0.04,1,0.25", "line 3 has 3 values; expected 4"),
        (2, "0.04,1,,1", "line 3, value 3 is ''"),
        (2, "0.04,1,0,25,1", "line 3 has 5 values"),
        (2, "0.05,1,0.25,1", "line 3: the time goes from 0 to 0.05 s"),
        (3, "0.0,2,0.125,0", "the time goes from"),
    ],
)
def test_bad_rows_of_a_plain_table_are_named(tmp_path, line, text, message):
    lines = [*PLAIN]
    lines[line] = text
    with pytest.raises(InputError) as caught:
        curves_csv.read(saved(tmp_path, lines))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [lines[0].replace("JawOpen", "Chin"), *lines[1:]], "lacks the columns jawOpen"),
        (lambda lines: lines[:1], "no rows"),
        (lambda lines: [*lines[:3], "noon" + lines[3], *lines[4:]], "line 4: the timecode is 'noon"),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], "line 4: the timecode does not rise"),
        (
            lambda lines: [*lines[:3], lines[3].replace("0.0000000000", "-nan", 1), *lines[4:]],
            "line 4, value 1 is '-nan'",
        ),
        (lambda lines: [lines[0], lines[1].split(",")[0] + ",0", *lines[2:]], "its first row holds no face"),
        (lambda lines: [*lines[:3], lines[3].replace("09:59", "19:59"), lines[4].replace("09:59", "20:59")], "lie on"),
    ],
)
def test_bad_recordings_are_named(tmp_path, change, message):
    with pytest.raises(InputError) as caught:
        curves_csv.read(saved(tmp_path, change(recording(range(70)))))
    assert message in str(caught.value)


@pytest.mark.parametrize("convention", ["plain", "live_link"])
def test_damaged_files_are_refused_or_sound(tmp_path, convention):
    # A table that ends between two rows is a shorter table, so each row is long and the file is cut inside them.
    curves_csv.write(tmp_path / "a.csv", toy.take(40), convention=convention)
    survives(curves_csv.read, tmp_path / "a.csv")


def test_names_that_would_break_the_table_are_refused(tmp_path):
    take = toy.take()
    with pytest.raises(InputError, match="cannot stand in a table"):
        curves_csv.write(tmp_path / "a.csv", replace(take, curve_names=("a,b", *take.curve_names[1:])))
