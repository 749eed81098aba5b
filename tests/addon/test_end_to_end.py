# SPDX-License-Identifier: Apache-2.0
"""A talk of the toolkit on a character of the add-on, saved, opened with and without the add-on, and exported again."""

import json

import numpy as np
import pytest
import soundfile
from hyoid import characters
from hyoid.characters import performance
from hyoid.formats import take_npz
from hyoid.speech import solve

from tests.addon import tools

pytestmark = [pytest.mark.blender, pytest.mark.slow]

METRES = 1e-4
START = 7
PRESET = "OLD_MAN"


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """The first words of the example as a take, and its path."""
    folder = tmp_path_factory.mktemp("talk")
    samples, rate = soundfile.read(tools.ROOT / "examples" / "talk" / "jfk.flac")
    soundfile.write(folder / "voice.wav", samples[: round(2.4 * rate)], rate)
    take = solve(str(folder / "voice.wav"), text="And so my fellow Americans", fps=30, strengths={"head": 3.0})
    take_npz.write(folder / "voice.take.npz", take)
    return take_npz.read(folder / "voice.take.npz"), folder / "voice.take.npz"


def same(one, other):
    """Curves and joints of two takes are the same, as far as Blender's single precision carries."""
    assert one.curve_names == other.curve_names
    assert np.abs(one.curves - other.curves).max() < 1e-4
    dots = np.abs(np.einsum("fjc,fjc->fj", one.rotations, other.rotations))
    assert np.degrees(2 * np.arccos(np.clip(dots, 0, 1))).max() < 0.1


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_from_a_talk_to_an_export_and_back(version, talk, tmp_path):
    take, path = talk
    chosen = np.sort(np.random.default_rng(5).choice(take.frames, 4, replace=False))
    args = {
        "take": str(path), "place": str(tmp_path), "blend": str(tmp_path / "shot.blend"), "preset": PRESET,
        "start": START, "count": take.frames, "frames": (chosen + START).tolist(),
    }  # fmt: skip
    own = tools.run(version, "end_to_end", tmp_path, look=False, **args)
    assert own["settings"][0] == own["settings"][1]  # the scene keeps its rate, range and engine
    bare = tools.run(version, "end_to_end", tmp_path, install=False, look=True, **args)
    record = json.loads(own["identity"])
    character = characters.load(record["name"], record["settings"], part=record["part"])
    performed = performance.perform(character, take)
    picked = performance.Performance(
        performed.shape_weights[chosen], performed.rotations[chosen], performed.root[chosen]
    )
    expected = performance.deform(character, picked)
    assert np.abs(expected - character.vertices).max() > 0.005  # it does speak
    for where in (own["shown"], bare):  # the file plays the same for someone who has no add-on
        with np.load(where) as meshes:
            assert {piece.name for piece in character.parts} == set(meshes.files)
            for piece in character.parts:
                worst = np.linalg.norm(meshes[piece.name] - expected[:, piece.vertices], axis=-1).max()
                assert worst < METRES, (where, piece.name, worst)
    first, second = (take_npz.read(tmp_path / f"{name}.take.npz") for name in ("first", "second"))
    assert first.frames == take.frames
    same(first, second)
    for name in ("jawOpen", "mouthClose", "eyeBlinkLeft", "browInnerUp", "larynxHeight"):
        assert np.abs(first.curve(name) - take.curve(name)).max() < 1e-3, name
    phones = [event.name for event in take.events if event.kind == "phone"]
    assert [event.name for event in first.events if event.kind == "phone"] == phones
