# SPDX-License-Identifier: Apache-2.0
"""hyoid doctor: every check is tried for real, says what was found, and failing ones say what to type."""

from __future__ import annotations

import json
import sys

import pytest
from hyoid.report import SILENT
from hyoid.verbs import doctor


def by_name(result):
    return {check["name"]: check for check in result["checks"]}


def test_quick_look_finds_the_libraries_and_the_rig():
    result = doctor.run(doctor.Job(quick=True), SILENT)
    checks = by_name(result)
    assert result["exit_code"] == 0, result
    for name in ("Python", "numpy", "pocketsphinx", "bundled human", "temporary folder", "films (H.264)"):
        assert checks[name]["state"] == "ok", checks[name]
    assert "GPU" not in checks
    json.dumps(result, allow_nan=False)


def test_a_missing_core_library_fails_with_the_command(monkeypatch):
    monkeypatch.setattr(doctor, "_LIBRARIES", ("numpy", "no-such-library-at-all"))
    result = doctor.run(doctor.Job(quick=True), SILENT)
    missing = by_name(result)["no-such-library-at-all"]
    assert (missing["state"], missing["next"]) == ("missing", "pip install 'no-such-library-at-all'")
    assert result["exit_code"] == 6
    assert "pip install" in doctor.show(result)


def test_an_unwritable_temporary_folder_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.tempfile, "gettempdir", lambda: str(tmp_path / "gone"))
    checks = {check["name"]: check for check in doctor._folders()}
    assert checks["temporary folder"]["state"] == "broken"
    assert checks["temporary folder"]["next"].startswith("export TMPDIR=")


def test_children_that_fail_or_die_are_told_apart_from_good_ones():
    good = doctor._child("x", "print('fine')", "do this", core=True)
    assert (good["state"], good["found"], good["next"]) == ("ok", "fine", "")
    for script in ("raise ValueError('no luck')", "import os; os.abort()"):
        bad = doctor._child("x", script, "do this", core=True)
        assert (bad["state"], bad["next"]) == ("broken", "do this")
        assert bad["found"]


def test_pictures_are_really_drawn():
    check = doctor._pictures()
    if check["state"] != "ok":
        pytest.skip(f"no OpenGL here: {check['found']}")
    assert check["found"].startswith("OpenGL ")


def test_blender_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("HYOID_BLENDER", str(tmp_path / "blender"))
    check = doctor._blender()
    assert check["state"] != "ok"
    assert check["next"]


@pytest.mark.blender
def test_blender_tells_its_version(monkeypatch):
    monkeypatch.delenv("HYOID_BLENDER", raising=False)
    check = doctor._blender()
    assert check["state"] == "ok", check
    assert check["found"].startswith("4.2") or sys.version_info[:2] != (3, 11)


def test_a_gpu_or_none_is_both_fine():
    check = doctor._gpu()
    assert check["state"] in ("ok", "optional")
    assert check["found"]


def test_models_of_the_user_are_read_and_told(monkeypatch, tmp_path):
    """A farm that lost its mount must see it here, not in the middle of a job."""
    for source in ("HACK", "ICT", "FLAME", "SMPLX"):
        monkeypatch.delenv(f"HYOID_{source}", raising=False)
    monkeypatch.setenv("HYOID_FLAME", str(tmp_path / "gone.npz"))
    checks = {check["name"]: check for check in doctor._models(quick=False)}
    assert set(checks) == {f"model '{source}'" for source in ("hack", "ict", "flame", "smplx")}
    assert checks["model 'ict'"]["state"] == "optional"
    assert checks["model 'ict'"]["next"] == "export HYOID_ICT=/path/to/it"
    assert checks["model 'flame'"]["state"] == "broken"
    assert "gone.npz" in checks["model 'flame'"]["found"]
    assert not any(check["core"] for check in checks.values())
