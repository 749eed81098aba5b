# SPDX-License-Identifier: Apache-2.0
"""The Talk section with the real toolkit: a voice becomes keys, markers move phones, only the mouth follows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import soundfile

from tests.addon import tools

pytestmark = pytest.mark.blender

EXAMPLE = Path(__file__).parents[2] / "examples" / "talk"
WORDS = "And so, my fellow Americans"
SECONDS = 2.4
TOOLKIT = str(Path(sys.executable).with_name("hyoid"))
CORE = ("3.4", "4.2", "5.0")


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


@pytest.mark.parametrize("version", CORE)
def test_talk_drag_resolve(version, tmp_path, clip):
    answer = run(version, "speech_loop", tmp_path, clip)
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
