# SPDX-License-Identifier: Apache-2.0
"""Jobs in real Blenders: whatever happens to the file, the program or the add-on, nothing crashes, hangs or is lost."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import pytest
from hyoid.formats import take_npz
from hyoid.take import CharacterReference

from tests import toy
from tests.addon import stand_in, tools

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module", params=tools.VERSIONS)
def answer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("queue") / "jöbs 'a' \"b\""
    folder.mkdir()
    (folder / "source.npz").write_bytes(b"take")
    program = stand_in.install(folder / "bin")
    return tools.run(
        request.param, "jobs_queue", folder, toolkit=str(program), output=str(folder / "out"),
        source=str(folder / "source.npz"),
    )  # fmt: skip


def test_without_a_toolkit_it_says_what_to_do(answer):
    assert "There is no" in answer["missing"]
    assert "nowhere" in answer["missing"]


def test_a_folder_that_cannot_be_written_is_told_with_the_way_out(answer):
    assert "Nothing can be written to" in answer["read only"]
    assert "Choose another output folder" in answer["read only"]


def test_scripts_wait_and_get_failures_as_errors(answer):
    state, message, error = answer["waiting"]
    assert (state, message) == ("done", "imported")
    assert "is no take; expected a .take.npz" in error


def test_the_result_finds_its_scene_after_rename_copy_and_undo(answer):
    scenes = answer["scenes"]
    assert (scenes["renamed"], scenes["scene"]) == ("done", "Renämed 'shot'")
    assert (scenes["copied"], scenes["copy got"]) == ("done", "Renämed 'shot'")
    assert scenes["id lost"] == "done"
    assert scenes["elsewhere"] == ["done", "Renämed 'shot'", [True, True]]  # the user looks at another scene meanwhile


def test_a_result_whose_scene_is_gone_can_be_imported_elsewhere(answer):
    state, error, _ = answer["scenes"]["gone"]
    assert state == "failed"
    assert "'Deleted' is not in this file any more" in error
    assert "source.npz" in error
    assert answer["scenes"]["lost"]
    assert answer["scenes"]["rescued"] == ["done", "imported", True]


def test_a_reloaded_file_gets_its_result_and_another_file_does_not(answer):
    assert answer["files"]["reloaded"][0] == "done"
    state, error, _ = answer["files"]["another file"]
    assert state == "failed"
    assert "is not in this file any more. The result lies in" in error
    assert answer["files"]["lost"]


def test_bad_ends_are_told_in_plain_words(answer):
    ends = answer["bad ends"]
    assert all(ends[name][0] == "failed" for name in ("fail", "crash", "killed", "garbage", "silent", "nothing"))
    assert "is no take; expected a .take.npz" in ends["fail"][1]
    assert "crashed" in ends["crash"][1]
    assert "Out of memory?" in ends["killed"][1]
    assert "ended without a result" in ends["garbage"][1]
    assert "ended without a result" in ends["silent"][1]
    assert ends["made"] == ["Is no head. Cut it", False]  # no artist knows that file
    words = "imported. No eyes 0. No eyes 1. No eyes 2. 2 more warnings are in the Log"
    assert ends["warned"][::2] == ["done", words]
    assert ends["notes"] == [False, True]  # what was written for a job goes with it when it fails


def test_a_fault_of_the_add_on_stops_nothing_and_keeps_the_result(answer):
    ends = answer["bad ends"]
    state, error, _ = ends["handler"]
    assert state == "failed"
    assert "a fault of ours" in error
    assert "The result lies in" in error
    assert ends["handler log"]
    assert ends["log"]
    assert ends["dismissed"]


def test_two_run_at_once_the_others_wait_and_cancel_leaves_nothing(answer):
    several = answer["several"]
    assert several["states"] == ["running", "running", "waiting", "waiting"]
    assert several["ends"] == ["cancelled", "done", "done", "cancelled"]
    assert several["seconds"] < 5.0
    assert several["parts"] == []
    assert several["left over"] == []


def test_switching_the_add_on_off_ends_its_processes_and_leaves_no_trace(answer):
    off = answer["off"]
    assert off["seconds"] < 5.0
    assert off["alive"] == []
    assert off["traces"] == []


@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_the_real_toolkit_does_a_job(version, tmp_path):
    source = tmp_path / "söurce 'take'.take.npz"
    take_npz.write(source, replace(toy.take(6), character=CharacterReference("human", {}, "head")))
    output = tmp_path / 'out "1"'
    answer = tools.run(version, "jobs_real", tmp_path, toolkit=sys.executable, output=str(output), source=str(source))
    assert (answer["state"], answer["error"], answer["message"]) == ("done", "", "imported")
    assert answer["seen"] == [["Scene", "human", ["bönes 'x'-001.take.npz"]]]
    assert answer["there"]
    assert answer["words"] == [sys.executable, "-m", "hyoid"]


@pytest.mark.parametrize("version", ["3.4", "5.0"])
def test_when_blender_dies_the_toolkit_ends_too_and_leaves_no_half_file(version, tmp_path):
    note, output = tmp_path / "pid", tmp_path / "out" / "a.take.npz"
    voice = tools.ROOT / "examples" / "talk" / "jfk.flac"
    with pytest.raises(AssertionError):  # no answer comes from a Blender that was killed
        tools.run(
            version, "jobs_killed", tmp_path, toolkit=sys.executable, voice=str(voice), output=str(output),
            note=str(note),
        )  # fmt: skip
    deadline = time.monotonic() + 5
    while stand_in.alive(int(note.read_text())):
        assert time.monotonic() < deadline, "the toolkit still runs"
        time.sleep(0.05)
    assert list(output.parent.iterdir()) == []
