# SPDX-License-Identifier: Apache-2.0
"""Head, neck and larynx in Blender: nothing moves when its movement is put on other channels."""

import pytest

from tests.addon import tools

pytestmark = pytest.mark.blender

RADIANS = 1e-5
"""Keys and pose matrices are float32: eight of them in a row come to a few millionths."""


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_neck(version, tmp_path):
    answer = tools.run(version, "neck_core", tmp_path)
    warned = [motions for motions, words in answer["warned"].items() if words]
    assert warned == ["(0, 0, 90)"], answer["warned"]
    # Degrees as an artist reads them: nod down, turn left, tilt to the left shoulder; tilt runs against the bone's Z.
    assert answer["read_back"] == pytest.approx([6, -5, 4], abs=1e-4)
    assert answer["override"] == pytest.approx([6, -5, -4], abs=1e-4)
    # Baking a part: the same inside, where the control rests now, and outside, where it works as before.
    assert answer["handle"]
    assert answer["part_inside"] < RADIANS
    assert answer["part_outside"] < RADIANS
    assert answer["control_in_part"] == 0
    # Baking all: the control has no keys left, and what is held before the first and after the last key is the same.
    assert answer["whole"] < RADIANS
    assert answer["beyond"] < RADIANS
    assert answer["control_curves"] == 0
    assert answer["control"] == [0, 0, 0]
    # Spread: the head looks where it looked, the joints are what the toolkit's anatomy makes of it.
    assert answer["spread_head"] < RADIANS
    assert answer["spread_joints"] < RADIANS
    # Gathered into the control: the head looks where it looked, the joints hold nothing.
    assert answer["gather_head"] < 3 * RADIANS  # 0.002 degrees: single precision of a dozen driver steps
    assert answer["gather_own"] < RADIANS
    assert answer["mode"] == "ZXY"  # the handle keeps the rotation mode that an animator edits it in


@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_pose_and_swallow(version, tmp_path):
    answer = tools.run(version, "neck_pose", tmp_path)
    # One pose without animation: spread and gathered at the playhead, no action appears.
    assert answer["spread"] < RADIANS
    assert answer["gather"] < RADIANS
    assert not answer["action"]
    assert answer["moved"] > 0.1  # the control really took it over
    # Automatic keying is honoured by the table, and only then.
    assert answer["keyed"] == [False, True]
    # The selection of the handle, in Pose Mode.
    assert answer["selected"] == ["POSE", "head_control"]
    # A swallow of one second at 25 fps: five keys, about two centimetres up, and what was there before after it.
    assert answer["keys"] == [10.0, 13.0, 20.5, 24.5, 35.0]
    assert answer["top"] == pytest.approx(4 + 20)
    assert answer["ends"] == pytest.approx([4, 4])
    assert 0.25 <= answer["rise"] <= 0.7  # seconds on the way up
    # Foreseeable faults are told in words.
    assert "tweaked" in answer["tweak"]
    assert "Leave Edit Mode" in answer["edit"]
    assert "before it begins" in answer["empty"]
    assert answer["poll"] is False
