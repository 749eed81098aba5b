# SPDX-License-Identifier: Apache-2.0
"""The Talk section with the real toolkit: a voice becomes keys, markers move phones, only the mouth follows."""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path
from typing import get_args

import pytest
import soundfile
from hyoid.verbs import talk

from tests.addon import tools

pytestmark = pytest.mark.blender

EXAMPLE = Path(__file__).parents[2] / "examples" / "talk"
WORDS = "And so, my fellow Americans"
SECONDS = 2.4
TOOLKIT = str(Path(sys.executable).with_name("hyoid"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Five words, in a folder with a name that is hard on programs."""
    samples, rate = soundfile.read(EXAMPLE / "jfk.flac", dtype="float32", frames=int(SECONDS * 44100))
    path = tmp_path_factory.mktemp("Ünser 'O\"rdner") / "Stimme „eins“ 'a\".wav"
    soundfile.write(path, samples[:, 0], rate)
    return path


def run(version, script, tmp_path, clip, **args):
    return tools.run(
        version, script, tmp_path, toolkit=TOOLKIT, output=str(tmp_path / "output"), audio=str(clip), text=WORDS, **args
    )


@pytest.mark.parametrize(("version", "fps"), [("3.4", 30), ("4.2", 24), ("4.4", 25), ("4.5", 60), ("5.0", 24)])
def test_talk_drag_resolve(version, fps, tmp_path, clip):
    answer = run(version, "speech_loop", tmp_path, clip, fps=fps)
    assert answer["options"]["fps"] == fps
    before, after = answer["counts"]
    assert before["fps"] == after["fps"]
    assert before["range"] == after["range"]
    assert answer["start"] == 11
    assert answer["channels"] > 60
    if version != "4.2":  # that module is built without sound
        (strip,) = answer["strips"]
        assert strip[1] == 11
    # Every phone has its marker, first sounds their word, and the artist's markers stayed.
    assert ["M", "my"] in [entry[:2] for entry in answer["solved"]]
    names = [name for _, name in answer["after_talk"]]
    assert "M (my)" in " ".join(names)
    for own in ([20, "Shot B"], [25, "M"]):
        assert own in answer["after_talk"]
        assert own in answer["after"]
        assert own in answer["hidden"]
    assert len(answer["hidden"]) == 2
    assert answer["shown"] == answer["after"]
    # The re-solved mouth closes where the marker was dragged to; nothing else moved.
    assert answer["mouth_changed"]
    assert answer["others_changed"] == ""
    assert answer["mouth_far_changed"] == ""
    press = {int(frame): value for frame, value in answer["press"].items()}
    dragged = answer["home"] - 5
    assert max(press[frame] for frame in range(dragged - 1, dragged + 4)) > 0.38
    moved = next(entry for entry in answer["phones"] if entry[:2] == ["M", "my"])
    assert moved[2] == dragged
    assert [entry[0] for entry in answer["phones"]] == [entry[0] for entry in answer["solved"]]
    assert answer["options"]["style"] == "calm"
    assert answer["options"]["head"] == 1.5


@pytest.mark.parametrize("version", ["3.4", pytest.param("4.5", marks=pytest.mark.slow), "5.0"])
def test_a_strip_is_performed_where_and_as_far_as_it_is_seen(version, tmp_path, clip):
    """4.2 as a module is built without sound, so it has no strips."""
    copy = clip.with_name(f"strip {version}.wav")
    shutil.copy(clip, copy)
    answer = run(version, "speech_strip", tmp_path, copy, rest="so, my fellow")
    assert "No sound strip is selected" in answer["none"]
    whole = answer["whole"]
    assert whole["start"] == 21
    assert whole["press"] > 0.38
    assert whole["strips"] == 1  # the strip is the sound: no second one
    # 19.4 frames later; the performance begins on the strip's first visible frame.
    between = answer["between"]
    assert between["start"] == between["strip"][1]
    heard = between["strip"][0] + (whole["m"] - 21)
    assert abs(between["m"] - heard) <= 1
    # Half a second is cut off before and two thirds behind: the words begin in the middle of "and so".
    trimmed = answer["trimmed"]
    assert trimmed["start"] == trimmed["strip"][1] == 75
    assert trimmed["from"] == pytest.approx(15 / 30)
    assert trimmed["strip"][2] - 1 <= round(trimmed["end"]) <= trimmed["strip"][2]
    assert abs(trimmed["m"] - (60 + whole["m"] - 21)) <= 2
    assert trimmed["press"] > 0.38
    packed = answer["packed"]
    assert packed["same"]
    assert packed["audio"].startswith(str(tmp_path / "output"))
    assert packed["m"] == trimmed["m"]
    assert "not there" in answer["gone"]
    assert version == "5.0" or "fast" in answer  # 5.0 retimes in a window only
    if "fast" in answer:
        assert "faster or slower" in answer["fast"]


@pytest.mark.parametrize("version", ["3.4", pytest.param("4.2", marks=pytest.mark.slow), "5.0"])
def test_markers_as_artists_use_them_and_faults(version, tmp_path, clip):
    answer = run(version, "speech_edit", tmp_path, clip)
    faults = answer["faults"]
    for fault, words in {
        "no talk": "press Talk first",
        "no file": "No recording is chosen",
        "missing": "no such file",
        "no sound": "not sound",
        "no words": "transcript is empty",
        "no toolkit": "toolkit",
    }.items():
        assert words in faults[fault], fault
        assert "Traceback" not in faults[fault]
    assert answer["left"] == [0, 0, 0]  # nothing was half done
    assert answer["silence"] == [[], 0]
    assert answer["rate"] == 50  # as the preferences say, in a scene of another rate
    assert answer["talks"] == 1
    assert "'QQ'" in answer["bad name"]
    edited = answer["edited"]
    wanted = [*edited["before"]]
    wanted.remove("M")
    wanted[wanted.index("F")] = "P"
    assert edited["after"] == ["SIL", "P", *wanted]
    assert edited["at_p"] > 0.38
    assert edited["at_f"] > 0.38
    assert edited["at_m"] < 0.1
    assert "Look here" in edited["marks"]
    assert answer["weak"] < 0.1
    assert answer["counted"] == [1, 0]
    marks, moved, second, first = answer["second"]
    assert moved == 1
    assert second
    assert not first
    assert "Look here" in [name for _, name in marks]
    assert [name for frame, name in marks if frame < 200] == ["Look here"]
    marks, home = answer["first again"]
    assert [home + 1, "EH"] in marks
    assert max(marks)[0] < 100
    before, after, added, *_ = answer["nla"]
    assert before < 0.1
    assert after > 0.38
    assert added == []


def test_the_fields_are_those_of_the_toolkit():
    """The table of the section is fixed, so it is held against the job model."""
    tree = ast.parse((tools.ROOT / "addon" / "hyoid" / "speech" / "fields.py").read_text(encoding="utf-8"))
    model = talk.Job.model_fields
    seen = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        kind = getattr(call.func, "id", "")
        if kind == "Number":
            default, low, high = (eval(compile(ast.Expression(node), "fields", "eval")) for node in call.args[2:5])
            name = ast.literal_eval(call.args[0])
            limits = {type(entry).__name__: entry for entry in model[name].metadata}
            assert default == model[name].default, name
            assert low == limits["Ge"].ge, name
            assert high <= limits["Le"].le, name
            seen.add(name)
        elif kind == "Choice":
            name = ast.literal_eval(call.args[0])
            words = [ast.literal_eval(entry.elts[0]) for entry in call.args[2].elts]
            assert sorted(words) == sorted(get_args(model[name].annotation)), name
            assert words[0] == model[name].default, name
            seen.add(name)
    assert seen == {*talk.LAYERS, "seed", "offset_ms", "style", "language"}
    places = ast.parse((tools.ROOT / "addon" / "hyoid" / "jobs" / "places.py").read_text(encoding="utf-8"))
    rates = next(n.value for n in places.body if isinstance(n, ast.Assign) and n.targets[0].id == "RATES")
    assert ast.literal_eval(rates) == get_args(model["fps"].annotation)


@pytest.mark.parametrize("version", ["3.4", pytest.param("5.0", marks=pytest.mark.slow)])
def test_own_meshes_and_imported_takes_have_phonemes_too(version, tmp_path, clip):
    answer = run(version, "speech_mesh", tmp_path, clip)
    assert not answer["rig moved"]  # the mapped mesh was active, not the only character of the scene
    for name in ("mesh", "imported"):
        found = answer[name]
        dragged = found["home"] - 5
        assert max(found["before"][dragged - 1 : dragged + 2]) < 0.1, name
        assert max(found["after"][dragged - 1 : dragged + 4]) > 0.38, name
        assert found["still"] == [True, True], name
    assert answer["imported"]["start"] == 300
    assert answer["marks"][0] == answer["marks"][1] > 15  # those that Import made give way to those that can be dragged
    assert len(answer["talks"]) == 1


@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_an_override_of_a_linked_character_can_speak(version, tmp_path):
    """Blender 5.0 forgets what is inserted on an override when it saves; the section then offers Show Markers."""
    files = {name: str(tmp_path / f"{name}.blend") for name in ("library", "shot")}
    answer = tools.run(version, "speech_linked", tmp_path, **files)
    assert answer["made"] == [["SIL", 1], ["AA", 0.5], ["M", 1]]
    assert answer["kept"] == ([] if version == "5.0" else answer["made"])
