# SPDX-License-Identifier: Apache-2.0
"""The preferences say in plain words what works, what does not, and what to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.addon import stand_in, tools

pytestmark = pytest.mark.blender

OLD = """import json
print(json.dumps({"event": "failure", "exit_code": 2, "error": "no such verb"}))
raise SystemExit(2)
"""


@pytest.fixture(scope="module", params=["3.4", "4.2", "5.0"])
def answer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("preferences")
    (folder / "nothing").mkdir()
    toolkits = {
        "none": "",
        "good": str(stand_in.install(folder / "göod 'x'")),
        "wrong path": str(folder / "nowhere"),
        "old": str(stand_in.install(folder / "old", text=OLD)),
        "another": str(stand_in.install(folder / "another", text="print('Usage: another')\n")),
    }
    return tools.run(
        request.param, "jobs_preferences", folder, toolkits=toolkits, nothing=str(folder / "nothing"), home=str(folder)
    )  # fmt: skip


def test_a_good_toolkit_shows_what_works_and_what_to_type(answer):
    assert answer["good"] == ["Python: 3.11", "films: missing, not there; type: pip install 'av'"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none", ["not installed", "make install"]),
        ("wrong path", ["There is no", "nowhere", "Choose"]),
        ("old", ["too old", "Update it: "]),
        ("another", ["does not answer like Hyoid", "Usage: another"]),
    ],
)
def test_a_toolkit_that_cannot_be_used_says_why_and_what_to_do(answer, name, words):
    kind, text = answer[name]
    assert kind == "error"
    for word in words:
        assert word in text


def test_another_path_forgets_what_was_found(answer):
    assert answer["state"] == [None, ""]


def test_the_frame_rate_is_the_chosen_one_or_suits_the_scene(answer):
    assert answer["rate"] == [24, 24, 24, 60, 50]


def test_results_lie_beside_the_file_unless_another_folder_is_chosen(answer):
    assert Path(answer["unsaved"]).name.startswith("hyoid")
    assert answer["saved"] == "shöts 'a'/hyoid"
    assert answer["chosen"] == "shöts 'a'/results"


def test_names_of_results_are_safe_on_every_system(answer):
    names = answer["names"]
    assert names[0][0] == "a_b_c_d-001.take.npz"
    assert names[1][1] < 200
    assert [name for name, _ in names[2:]] == ["take-001.take.npz", "take-002.take.npz"]  # the first one is promised


def test_a_folder_that_cannot_be_written_names_the_way_out(answer):
    assert "Nothing can be written to" in answer["read only"]
    assert "Choose another output folder" in answer["read only"]
