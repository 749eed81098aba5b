# SPDX-License-Identifier: Apache-2.0
"""Scripts and render farms: every operator works without a window or says in one line why not; faults lose nothing."""

import ast
import re
import wave
from pathlib import Path

import pytest
from hyoid.formats import take_npz

from tests import toy
from tests.addon import stand_in, tools
from tests.addon.test_jobs import OLD

pytestmark = pytest.mark.blender


SLOW = [pytest.param(version, marks=pytest.mark.slow) for version in ("4.2", "4.4", "4.5")]


@pytest.fixture(scope="module", params=["3.4", *SLOW, "5.0"])
def answer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("headless") / "Fârm 'a' \"b\" 頸"
    (folder / "empty").mkdir(parents=True)
    (folder / "text").write_text("no program")
    take_npz.write(folder / "take.take.npz", toy.take())
    silence(folder / "vöice '1'.wav")
    program = Path(stand_in.__file__).read_text(encoding="utf-8")
    newer = program.replace('"STAND_IN_PROTOCOL", "1"', '"STAND_IN_PROTOCOL", "7"')
    toolkits = {
        "missing": folder / "nowhere", "folder": folder / "empty", "text": folder / "text",
        "old": stand_in.install(folder / "old", text=OLD), "new": stand_in.install(folder / "new", text=newer),
        "other": stand_in.install(folder / "other", text="print('usage: something else')\n"),
    }  # fmt: skip
    return tools.run(
        request.param, "headless", folder, toolkit=str(stand_in.install(folder / "bin")), output=str(folder / "out"),
        take=str(folder / "take.take.npz"), voice=str(folder / "vöice '1'.wav"),
        toolkits={name: str(path) for name, path in toolkits.items()},
        env={"STAND_IN_TAKE": str(folder / "take.take.npz")},
    )  # fmt: skip


def silence(path):
    """A second of sound without a sound."""
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(8000)
        stream.writeframes(bytes(16000))


def operators():
    """The operators of the add-on by the names in its source."""
    found = set()
    for path in (tools.ROOT / "addon" / "hyoid").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "bl_idname":
                name = getattr(node.value, "value", "")
                if str(name).startswith("hyoid."):
                    found.add(name.removeprefix("hyoid."))
    return found


def test_every_operator_works_or_refuses_in_one_line(answer):
    for scene, said in answer["everywhere"].items():
        assert set(said) == operators()
        for name, text in said.items():
            assert len(text.splitlines()) == 1, (scene, name, text)
            if text not in ("FINISHED", "CANCELLED"):
                assert text.startswith("RuntimeError: "), (scene, name, text)
                assert "context is incorrect" not in text, (scene, name)  # a poll that does not say why


def test_a_machine_that_has_never_asked_the_toolkit_runs_its_verbs(answer):
    assert answer["first"] == "FINISHED"


def test_what_goes_wrong_is_told_and_changes_nothing(answer):
    expected = {
        "missing": "There is no", "folder": "a folder without a Hyoid toolkit", "text": "is not a program",
        "output": "Nothing can be written to",
        "old": "too old for this add-on. Update it: ", "new": "Update the add-on",
        "other": "does not answer like Hyoid", "fail": "is no take; expected a .take.npz", "crash": "crashed",
        "killed": "Out of memory?", "garbage": "ended without a result", "silent": "ended without a result",
        "complain": "no luck", "nothing": "there is no such file", "broken": "not JSON", "list": "no JSON object",
        "unknown": "no option 'zzz'", "above": "from 1 to 9",
    }  # fmt: skip
    said = answer["faults"]["said"]
    assert set(said) == set(expected)
    for name, words in expected.items():
        assert words in said[name], (name, said[name])
        assert len(said[name].splitlines()) == 1, (name, said[name])
    assert answer["faults"]["same"]


def test_a_character_that_is_deleted_while_its_talk_runs_loses_no_result(answer):
    found = answer["deleted"]
    assert (found["started"], found["state"], found["lost"]) == ("FINISHED", "failed", True)
    assert "is not in the scene any more" in found["error"]
    assert "The result lies in" in found["error"]
    assert found["same"]
    assert found["again"] == "FINISHED"
    first, second = found["names"]
    assert first != second
    assert found["hidden"] == []
    assert found["moves"] == ["heir_rig", True]


PAGES = ("import", "mapping", "neck_in_blender", "talk")
SCRIPT = re.compile(
    r'--python-expr "(.*?)"|```python\n(import bpy\n.*?)```|`(bpy\.ops\.hyoid\.\w+\([^`]*\))`', re.DOTALL
)


@pytest.mark.parametrize("version", ["3.4", "5.0"])
def test_scripts_in_the_documents_run(version, tmp_path):
    pages = {}
    for page in PAGES:
        text = (tools.ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        pages[page] = ["".join(match.groups("")) for match in SCRIPT.finditer(text)]
    assert all(pages.values())
    silence(tmp_path / "voice.wav")
    for name in ("voice", "shot"):
        take_npz.write(tmp_path / f"{name}.take.npz", toy.take())
    seen = tools.run(
        version, "documents", tmp_path, toolkit=str(stand_in.install(tmp_path / "bin")), place=str(tmp_path),
        pages=pages, env={
            "STAND_IN_TAKE": str(tmp_path / "voice.take.npz"),
            "BLENDER_USER_CONFIG": str(tmp_path / "voice.wav" / "settings"),  # cannot be made, as on many farms
        },
    )  # fmt: skip
    assert not (tmp_path / "schema.json").exists()  # what the toolkit answered is not kept where scripts run
    assert seen == {"import": ["human_rig"], "mapping": ["Head"], "neck_in_blender": [], "talk": ["human_rig"]}
