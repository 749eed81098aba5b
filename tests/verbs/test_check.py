# SPDX-License-Identifier: Apache-2.0
"""hyoid check: sound files pass, damaged ones are named with every problem, exit code 0 or 3."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import numpy as np
from hyoid.formats import bvh, curves_csv, glb, glb_read, take_npz
from hyoid.report import SILENT
from hyoid.take import AudioReference, Event
from hyoid.verbs import check

from tests import toy


def look(*paths, **options):
    return check.run(check.Job(files=list(paths), **options), SILENT)


def test_good_files_pass(tmp_path):
    take, character = toy.take(), toy.character()
    take_npz.write(tmp_path / "a.take.npz", take)
    bvh.write(tmp_path / "a.bvh", character, take)
    curves_csv.write(tmp_path / "a.csv", take)
    glb.write(tmp_path / "a.glb", character, take)
    result = look(*sorted(tmp_path.iterdir()))
    assert result["exit_code"] == 0
    assert [entry["problems"] for entry in result["files"]] == [[], [], [], []]
    assert check.show(result).count(": ok") == 4


def test_one_bad_file_among_good_ones(tmp_path):
    take_npz.write(tmp_path / "a.take.npz", toy.take())
    (tmp_path / "b.bvh").write_text("HIERARCHY\nROOT")
    (tmp_path / "c.csv").write_bytes(b"")
    result = look(tmp_path / "a.take.npz", tmp_path / "b.bvh", tmp_path / "c.csv", tmp_path / "gone.glb")
    assert result["exit_code"] == 3
    assert [len(entry["problems"]) for entry in result["files"]] == [0, 1, 1, 1]
    assert "does not exist" in result["files"][3]["problems"][0]


def test_warnings_become_problems_when_strict(tmp_path):
    base = toy.take()
    curves = base.curves.copy()
    curves[7, base.curve_names.index("jawOpen")] = 3.0
    late = (Event("phone", "AA", 5.0, 6.0),)
    audio = AudioReference(str(tmp_path / "gone.wav"), "0" * 64, 1.0)
    take_npz.write(tmp_path / "a.take.npz", replace(base, curves=curves, events=late, audio=audio))
    result = look(tmp_path / "a.take.npz")
    assert result["exit_code"] == 0
    warnings = "\n".join(result["files"][0]["warnings"])
    assert "jawOpen is 3 in frame 7" in warnings
    assert "'AA'" in warnings
    assert "gone.wav" in warnings
    assert look(tmp_path / "a.take.npz", strict=True)["exit_code"] == 3


def rewritten(path, change, binary=None):
    """The glb with a changed document (and binary chunk), with correct sizes."""
    opened = glb_read.read(path)
    change(opened.document)
    text = json.dumps(opened.document).encode()
    text += b" " * (-len(text) % 4)
    data = opened.binary if binary is None else binary(opened.binary)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body)


def test_every_structural_problem_of_a_glb_is_listed(tmp_path):
    path = tmp_path / "a.glb"
    glb.write(path, toy.character(), toy.take())

    def damage(document):
        document["bufferViews"][0]["byteLength"] = 1 << 40
        document["accessors"][1]["componentType"] = 1
        document["meshes"][0]["primitives"][0]["indices"] = 99999
        document["meshes"][0]["extras"]["targetNames"].pop()
        document["skins"][0]["joints"][0] = 4711
        document["animations"][0]["channels"][0]["sampler"] = 4711

    rewritten(path, damage)
    problems = look(path)["files"][0]["problems"]
    for word in ("buffer view 0", "accessor 1", "accessor 99999", "target names", "skin 0", "animation 0"):
        assert any(word in problem for problem in problems), word


def test_numbers_that_are_not_finite_are_found(tmp_path):
    path = tmp_path / "a.glb"
    glb.write(path, toy.character())
    document = glb_read.read(path).document
    position = document["meshes"][0]["primitives"][0]["attributes"]["POSITION"]
    place = document["bufferViews"][document["accessors"][position]["bufferView"]].get("byteOffset", 0)

    def poison(data):
        broken = bytearray(data)
        broken[place + 8 : place + 12] = np.float32(np.nan).tobytes()
        return bytes(broken)

    rewritten(path, lambda document: None, poison)
    assert any("not finite, the first at 2" in problem for problem in look(path)["files"][0]["problems"])


def test_jobs_are_checked_without_running(tmp_path):
    take_npz.write(tmp_path / "in.take.npz", toy.take())
    job = tmp_path / "job.toml"
    job.write_text('verb = "convert"\nsource = "in.take.npz"\noutputs = ["out/a.csv"]\n')
    assert look(job)["exit_code"] == 0
    assert not (tmp_path / "out" / "a.csv").exists()
    job.write_text('verb = "convert"\nsource = "gone.take.npz"\noutputs = ["a.xyz"]\n')
    problems = look(job)["files"][0]["problems"]
    assert any("gone.take.npz does not exist" in problem for problem in problems)
    assert any("xyz" in problem for problem in problems)
    job.write_text('verb = "convert"\nsource = "in.take.npz"\noutputs = ["a.csv"]\nsubdivison = 1\n')
    assert "subdivison" in look(job)["files"][0]["problems"][0]
    job.write_text("verb = ")
    assert "TOML" in look(job)["files"][0]["problems"][0]


def test_every_bad_row_of_a_table_is_named(tmp_path):
    curves_csv.write(tmp_path / "a.csv", toy.take(9))
    rows = (tmp_path / "a.csv").read_text().splitlines()
    rows[3] = rows[3].replace(",", ",x", 1)
    rows[5] += ",1"
    rows[7] = rows[7].rsplit(",", 1)[0] + ",nan"
    (tmp_path / "a.csv").write_text("\n".join(rows))
    bvh.write(tmp_path / "a.bvh", toy.character(), toy.take(9))
    rows = (tmp_path / "a.bvh").read_text().splitlines()
    rows[-4] += " 1"
    rows[-2] = "?" + rows[-2]
    (tmp_path / "a.bvh").write_text("\n".join(rows[:-1]))
    result = look(tmp_path / "a.csv", tmp_path / "a.bvh")
    table, motion = (entry["problems"] for entry in result["files"])
    assert [text.split(",")[0].split(" has")[0] for text in table] == ["line 4", "line 6", "line 8"]
    assert [text.split(",")[0].split(" has")[0] for text in motion] == [
        f"line {len(rows) - 3}",
        f"line {len(rows) - 1}",
    ]


def test_jobs_in_json_and_characters_that_are_not_there(tmp_path):
    (tmp_path / "a.json").write_text('{"verb": "rig", "character": "human", "output": ["a.glb"]}', encoding="utf-8")
    (tmp_path / "b.toml").write_text('verb = "rig"\ncharacter = "hack:gone"\noutput = ["a.glb"]\n', encoding="utf-8")
    good, bad = look(tmp_path / "a.json", tmp_path / "b.toml")["files"]
    assert (good["type"], good["problems"]) == ("job", [])
    assert bad["problems"] == ["character: gone: the folder does not exist; expected a HACK model folder"]
