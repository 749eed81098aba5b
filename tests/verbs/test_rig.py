# SPDX-License-Identifier: Apache-2.0
"""hyoid rig: variants of the bundled human, and the list of what can be set."""

from __future__ import annotations

import pytest
from hyoid.characters import bundled
from hyoid.errors import UsageError
from hyoid.formats import glb_read, take_npz
from hyoid.report import SILENT
from hyoid.verbs import rig


def run(**options):
    return rig.run(rig.Job(**options), SILENT)


def test_settings_change_the_written_shape(tmp_path):
    """Age and weight must arrive in the file: another head, the same topology."""
    first = run(output=[tmp_path / "a.glb"], part="head")
    second = run(output=[tmp_path / "b.glb"], part="head", set={"age": 1.0, "weight": 0.9})
    assert {key: first[key] for key in ("vertices", "faces", "joints", "shapes")} == {
        key: second[key] for key in ("vertices", "faces", "joints", "shapes")
    }
    a, b = (glb_read.read(tmp_path / name) for name in ("a.glb", "b.glb"))
    assert glb_read.summary(a)["joints"] == glb_read.summary(b)["joints"]
    bounds = [glb.document["accessors"][0].get("max") for glb in (a, b)]
    assert bounds[0] != bounds[1]
    assert len(glb_read.summary(a)["shapes"]) >= 52
    assert glb_read.summary(a)["animations"] == 0


def test_list_has_every_setting_with_range_and_default():
    result = run(list=True)
    assert result["settings"]["age"] == pytest.approx({"low": -1 / 3, "high": 1.0, "default": 0.7})
    assert len(result["settings"]) > 200
    lines = rig.show(result).splitlines()
    assert any(line.startswith("gender") and "0.00 .. 1.00" in line for line in lines)


def test_what_cannot_be_done_is_said():
    with pytest.raises(UsageError, match="no output"):
        run()
    with pytest.raises(UsageError, match="performance"):
        run(output=["a.mp4"])
    with pytest.raises(UsageError, match="dragon"):
        run(character="dragon", output=["a.glb"])
    with pytest.raises(UsageError, match="agee"):
        run(set={"agee": 1.0}, output=["a.glb"])
    with pytest.raises(UsageError, match="dragon"):
        run(character="dragon", list=True)


def test_an_expression_is_held_in_every_output(tmp_path):
    options = {"shape": {"smile": 0.5, "jawOpen": 0.2}, "part": "head", "output": [tmp_path / "a.take.npz"]}
    rig.run(rig.Job.model_validate(options), SILENT)
    take = take_npz.read(tmp_path / "a.take.npz")
    assert take.frames == 1
    # The preset's own curve, halved, beside the plain shape.
    assert take.curve("mouthSmileLeft")[0] == pytest.approx(0.5 * bundled.presets()["smile"]["mouthSmileLeft"])
    assert take.curve("jawOpen")[0] == pytest.approx(0.2)
    with pytest.raises(UsageError, match=r"no shape 'grin'.*smile"):
        rig.run(rig.Job.model_validate({"shape": {"grin": 1}, "output": [tmp_path / "b.glb"]}), SILENT)
