# SPDX-License-Identifier: Apache-2.0
"""From the scene back to takes, actions and files: what comes out is what was shown."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hyoid import take_keys
from hyoid.formats import take_npz
from hyoid.take import Event

from tests import toy
from tests.addon import tools

pytestmark = pytest.mark.blender

CURVES = 1e-5
"""Shape key values and keys are float32; the frame 40 resolves a few millionths of a frame."""
RADIANS = 1e-4
METRES = 1e-5
FOLLOWED = 1e-4
"""Correctives follow products of the joints: a dozen driver steps in single precision leave up to 3e-5."""
UNSHOWN = ["breath", "effort", "swallow"]
"""Curves without a shape or joint of their own: they come back as what they do to larynx, neck and shoulders."""
SHOULDERS = ["clavicle.L", "clavicle.R"]
"""The joints that the breath of the take lifts, which it does not have itself."""


@pytest.fixture
def take(tmp_path):
    path = tmp_path / "toy.take.npz"
    take_npz.write(path, toy.take())
    return path


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_a_take_comes_back(version, tmp_path, take):
    place = tmp_path / "files"
    place.mkdir()
    answer = tools.run(version, "export_core", tmp_path, take=str(take), part="head", place=str(place))
    for way in ("plain", "nla"):
        found = answer[way]
        assert found["curves"] < CURVES
        assert found["turns"] < RADIANS
        assert found["root"] < METRES
        assert (found["lost"], found["extra"]) == (UNSHOWN, SHOULDERS)
        assert [row[:2] for row in found["events"]] == [["phone", "M"], ["word", "my"], ["blink", "blink"]]
        assert (found["verb"], found["fps"], found["frames"]) == ("talk", 30, 40)
    assert answer["rate"] == [24, 25]
    assert answer["place"] == [7, 0.25]  # the playhead stays where it was, subframe included
    # A control on top of the animation is part of what is shown.
    assert answer["over"]["jaw"] < CURVES
    assert answer["over"]["turned"] > 1e-3
    # Baked: the same picture without NLA and control.
    assert max(answer["baked"]) < 1e-5
    assert answer["muted"]
    assert (answer["control"], answer["action"]) == (0, "whole")
    # Thinned out: the count and the errors that it tells are true.
    before, after, errors, text = answer["reduced"]
    assert after == answer["counted"] < before
    assert text.startswith(f"{before:,} → {after:,} keys".replace(",", " "))
    assert errors[""] <= 0.02
    assert errors["°"] <= 0.2
    assert answer["thin"]["curves"] <= 0.4 + CURVES  # millimetres of the larynx are the largest number
    assert answer["thin"]["root"] <= 0.001 + METRES
    # Files hold what the scene shows, under a difficult name, with nothing left beside them.
    assert answer["file"]["curves"] == 0
    assert answer["file"]["turns"] < 1e-6
    assert answer["table"] < CURVES
    assert answer["left"] == ["Ünïcode 'take'.csv", "Ünïcode 'take'.take.npz"]
    assert "cannot be written" in answer["refused"]
    assert "exists already" in answer["kept"]
    assert not any(answer["counts"].values())


@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_other_meshes_and_what_a_reduction_keeps(version, tmp_path, take):
    place = tmp_path / "files"
    place.mkdir()
    (tmp_path / "temporary").mkdir()
    env = {"HYOID_TOOLKIT": str(Path(sys.executable).with_name("hyoid")), "TMPDIR": str(tmp_path / "temporary")}
    answer = tools.run(
        version, "export_more", tmp_path, take=str(take), place=str(place), frames=2000, curves=40,
        toolkit=version == "4.2", env=env,
    )  # fmt: skip
    mesh = answer["mesh"]
    assert mesh["names"] == ["eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "mouthClose"]
    assert mesh["apart"] < CURVES
    assert mesh["events"] == 3
    big = answer["big"]
    assert big["before"] == 2000 * 40
    assert big["after"] < big["before"] / 4
    assert big["worst"] <= 0.01
    assert big["told"] <= 0.01
    kept = answer["kept"]
    # Without its event the flat mouthClose would keep only the ends of the range; the closure on M (frames 49 to 51)
    # keeps its extremes. Keys outside the range, locked, modified and hand-made curves stay.
    inside = [frame for frame in kept["frames"]["mouthClose"] if 20 < frame < 80]
    assert inside
    assert all(49 <= frame <= 51 for frame in inside)
    assert kept["frames"]["mouthClose"][:20] == list(range(20))
    assert len(kept["frames"]["locked"]) == len(kept["frames"]["modified"]) == 100
    assert kept["frames"]["hand"] == [0, 30, 70, 99]
    assert kept["outside"] < 1e-6
    assert kept["inside"] <= 0.01
    assert kept["alone"] >= 2
    if version == "4.2":
        assert answer["job"]["start"] == "glTF"
        assert sorted(answer["job"]["left"]) == ['Größe "x".glb', "own.take.npz"]
        assert not list((tmp_path / "temporary").glob("hyoid-export-*"))


def test_keys_at_uneven_times_stay_within_the_tolerance():
    # A take of 60 fps in a scene of 24 has keys between frames; what an artist moved lies anywhere.
    times = np.cumsum(np.random.default_rng(5).uniform(0.1, 3.0, 200))
    values = np.sin(times / 60)
    kept = take_keys.chosen_keys(values[None, :, None], np.array([0.01]), np.zeros((1, 200), bool), times[None])[0]
    assert kept.sum() < 60
    assert np.abs(np.interp(times, times[kept], values[kept]) - values).max() <= 0.01


def test_closures_are_found_at_their_events():
    times = np.arange(10) / 10
    values = np.array([0, 0.1, 0.3, 0.9, 0.4, 0.1, 0, 0.2, 0, 0])
    closed = Event("phone", "P", 0.2, 0.5)
    assert sorted(take_keys.closing_frames("mouthClose", values, times, [closed])) == [3, 5]
    assert take_keys.closing_frames("browInnerUp", values, times, [closed]) == []
    assert take_keys.closing_frames("mouthClose", values, times, [Event("phone", "AA", 0.2, 0.5)]) == []


@pytest.mark.slow
def test_long_reductions_are_fast(tmp_path, take):
    place = tmp_path / "files"
    place.mkdir()
    answer = tools.run(
        tools.NEWEST, "export_more", tmp_path, take=str(take), place=str(place), frames=10_000, curves=300,
        toolkit=False, timeout=300,
    )  # fmt: skip
    big = answer["big"]
    assert big["before"] == 3_000_000
    assert big["worst"] <= 0.01
    assert big["seconds"] < 10  # about 1 on an idle core; others may be at work


@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_constraints_drivers_and_parents_are_seen(version, tmp_path):
    answer = tools.run(version, "export_scene", tmp_path)
    assert answer["moving"] > 0.1  # the constraint does something
    # Sampled without the artist's scene being stepped: exactly what stepping it shows, the hidden target included.
    assert answer["sampled"] == [0, 0]
    assert answer["frame"] == 5
    assert max(answer["neck"]) < FOLLOWED
    assert answer["silent"]
    assert max(answer["all"]) < FOLLOWED
    assert answer["driver"] == [True]
    assert not answer["own"]
