# SPDX-License-Identifier: Apache-2.0
"""hyoid info: the same facts from every type of file, the sources, and the licence verdict."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hyoid import licences
from hyoid.errors import InputError
from hyoid.formats import bvh, curves_csv, glb, take_npz, usd
from hyoid.report import SILENT
from hyoid.take import Provenance, Source
from hyoid.verbs import info, outputs

from tests import toy


def look(path, **options):
    return info.run(info.Job(file=path, **options), SILENT)


@pytest.fixture
def take():
    return toy.take()


@pytest.mark.parametrize("suffix", [".take.npz", ".glb", ".usdc", ".usda"])
def test_provenance_and_verdict_travel_in_the_file(tmp_path, take, suffix):
    path = tmp_path / f"a{suffix}"
    character = toy.character()
    {
        ".take.npz": lambda: take_npz.write(path, take),
        ".glb": lambda: glb.write(path, character, take),
        ".usdc": lambda: usd.write(path, character, take),
        ".usda": lambda: usd.write(path, character, take),
    }[suffix]()
    found = look(path)
    assert found["contents"]["frames"] == 40
    assert found["contents"]["fps"] == 30
    assert found["provenance"]["sources"] == [
        {"role": "character", "name": "toy", "sha256": "0" * 64, "licence": "CC0-1.0"}
    ]
    assert found["licence"]["commercial"] == "yes"
    assert "oc1" in found["contents"]["joints"]
    json.dumps(found, allow_nan=False)
    assert "commercial use: yes" in info.show(found)


@pytest.mark.blender
def test_a_blend_tells_its_sources_too(tmp_path, take):
    from hyoid import blender

    blender.write(tmp_path / "a.blend", toy.character(), take)
    found = look(tmp_path / "a.blend")
    assert found["contents"]["frames"] == 40
    assert found["licence"]["commercial"] == "yes"
    assert "jawOpen" in found["contents"]["shapes"]


def test_a_sidecar_stands_in_where_the_format_has_no_place(tmp_path, take):
    curves_csv.write(tmp_path / "a.csv", take)
    assert look(tmp_path / "a.csv")["licence"] is None
    outputs.write_sidecar(tmp_path / "a.csv", take.provenance)
    assert look(tmp_path / "a.csv")["licence"]["commercial"] == "yes"


def test_a_rig_without_a_take_has_its_licence(tmp_path):
    glb.write(tmp_path / "a.glb", replace(toy.character(), licence="CC-BY-NC-4.0"))
    found = look(tmp_path / "a.glb")
    assert found["licence"]["commercial"] == "no"
    assert "CC-BY-NC-4.0" in found["licence"]["because"][0]


def test_bvh_and_events(tmp_path, take):
    bvh.write(tmp_path / "a.bvh", toy.character(), take)
    assert look(tmp_path / "a.bvh")["contents"]["frames"] == 40
    take_npz.write(tmp_path / "a.take.npz", take)
    assert "event_list" not in look(tmp_path / "a.take.npz")["contents"]
    listed = look(tmp_path / "a.take.npz", events=True)
    assert listed["contents"]["event_list"][0]["name"] == "M"
    assert "phone" in info.show(listed)


def test_media(tmp_path):
    import soundfile
    from hyoid.media import video
    from PIL import Image

    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(8000) / 9) * 0.2, 16000)
    assert look(tmp_path / "a.wav")["contents"] == {"seconds": 0.5, "rate": 16000, "channels": 1, "damage": []}
    video.write(tmp_path / "a.mp4", [np.zeros((16, 32, 3), np.uint8)] * 3, 24)
    assert look(tmp_path / "a.mp4")["contents"]["frames"] == 3
    Image.new("RGB", (7, 5)).save(tmp_path / "a.png")
    assert look(tmp_path / "a.png")["contents"]["width"] == 7


@pytest.mark.parametrize("name", ["a.take.npz", "a.bvh", "a.csv", "a.glb", "a.usdc", "a.mp4", "a.png", "a.wav"])
def test_garbage_is_an_input_error_that_names_the_file(tmp_path, name):
    path = tmp_path / name
    for content in (b"", b"not what the suffix says\n" * 9):
        path.write_bytes(content)
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            look(path)
    path.unlink()
    with pytest.raises(InputError, match="does not exist"):
        look(path)


def test_a_truncated_glb_says_how_much_is_there(tmp_path, take):
    path = tmp_path / "a.glb"
    glb.write(path, toy.character(), take)
    data = path.read_bytes()
    path.write_bytes(data[:300])
    with pytest.raises(InputError, match=rf"truncated: 300 bytes; expected {len(data)} bytes"):
        look(path)


def sources(*entries):
    return [Source(role, "x", "", licence) for role, licence in entries]


@pytest.mark.parametrize(
    ("entries", "answer"),
    [
        ([("character", "CC0-1.0"), ("dictionary", "BSD-2-Clause")], "yes"),
        ([("character", "CC0-1.0"), ("input", "")], "yes"),
        ([("character", "cc-by-nc-4.0"), ("weights", "who knows")], "no"),
        ([("weights", "LicenseRef-SMPL-X")], "no"),
        ([("weights", "Some Research Licence")], "no"),
        ([("weights", "who knows"), ("character", "CC0-1.0")], "ask"),
        ([("weights", "")], "ask"),
        ([], "ask"),
    ],
)
def test_verdicts(entries, answer):
    found = licences.verdict(sources(*entries))
    assert found["commercial"] == answer
    if answer != "yes":
        assert found["because"]


def test_duties_are_told():
    found = licences.verdict(sources(("character", "CC-BY-4.0"), ("input", "own")))
    assert found["commercial"] == "yes"
    assert any("authors" in duty for duty in found["duties"])
    assert any("make sure" in duty for duty in found["duties"])


def test_mixed_take_names_the_culprit(tmp_path, take):
    provenance = Provenance("1", "talk", {}, (Source("character", "flame", "", "LicenseRef-FLAME-2020"),))
    take_npz.write(tmp_path / "a.take.npz", replace(take, provenance=provenance))
    assert "flame" in look(tmp_path / "a.take.npz")["licence"]["sentence"]
