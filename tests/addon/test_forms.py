# SPDX-License-Identifier: Apache-2.0
"""A verb that the toolkit announces has its section without a change of the add-on."""

from __future__ import annotations

import importlib
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
from hyoid.formats import take_npz
from hyoid.take import CharacterReference
from hyoid.verbs.schema import describe

from tests import toy
from tests.addon import stand_in, tools

_package = types.ModuleType("hyoid_addon_forms")
_package.__path__ = [str(Path(__file__).parents[2] / "addon" / "hyoid" / "forms")]
sys.modules["hyoid_addon_forms"] = _package
fields = importlib.import_module("hyoid_addon_forms.fields")


def test_every_kind_of_option_becomes_its_field():
    found, undrawable = fields.fields_of(stand_in.schema()["verbs"]["wiggle"]["job"])
    kinds = {field.name: (field.kind, field.item, field.optional, field.required) for field in found}
    assert kinds["source"] == (fields.PATH, "", False, True)
    assert kinds["fps"] == (fields.CHOICE, "", False, False)
    assert kinds["limit"] == (fields.FLOAT, "", True, False)
    assert kinds["part"] == (fields.CHOICE, "", True, False)
    assert kinds["mask"] == (fields.PATH, "", True, False)
    assert kinds["words"] == (fields.LIST, fields.TEXT, True, False)
    assert kinds["marks"] == (fields.LIST, fields.FLOAT, False, False)
    assert kinds["set"] == (fields.TABLE, fields.FLOAT, False, False)
    assert "odd" not in kinds
    assert undrawable == []
    angle = next(field for field in found if field.name == "angle")
    assert [field.label for field in found][:4] == ["Source", "Output", "Behaviour", "FPS"]
    assert fields.label("offset_ms") == "Offset (ms)"
    assert (angle.low, angle.high, angle.default) == (1e-6, 45, 12.5)
    assert [field.name for field in found if field.advanced] == ["width"]
    assert {field.name: field.use for field in found if field.use} == {
        "source": "read", "output": "write", "folder": "folder", "mask": "read",
    }  # fmt: skip


def test_a_required_option_without_a_widget_is_named():
    job = {"properties": {"odd": {"type": "array", "items": {"type": "array"}}}, "required": ["odd"]}
    assert fields.fields_of(job) == ([], ["odd"])


@pytest.mark.parametrize("verb", ["talk", "rig", "convert"])
def test_every_option_of_our_own_verbs_can_be_drawn(verb):
    """A verb whose option has no widget would silently lack it in Blender."""
    job = describe(verb)["job"]
    found, undrawable = fields.fields_of(job)
    assert [field.name for field in found] == list(job["properties"])
    assert undrawable == []


@pytest.mark.parametrize("broken", [{}, {"properties": None}, {"properties": {"a": 3, "b c": {"type": "string"}}}])
def test_a_strange_schema_draws_nothing_and_raises_nothing(broken):
    assert fields.fields_of(broken) == ([], [])


@pytest.mark.blender
@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_an_unknown_verb_gets_a_section_runs_and_is_imported(version, tmp_path):
    source = tmp_path / "söurce 'take'.take.npz"
    take_npz.write(source, replace(toy.take(6), character=CharacterReference("human", {}, "head")))
    output = tmp_path / "out"
    program = stand_in.install(tmp_path / "bin dir")
    answer = tools.run(version, "forms_wiggle", tmp_path, toolkit=str(program), output=str(output), source=str(source))
    assert (answer["before"], answer["after"], answer["hand made"]) == (False, True, False)
    assert answer["defaults"] == {
        "behaviour": "good", "fps": "25", "strong": True, "times": 3, "angle": 12.5, "name": "wig'gle \"ü\"",
        "width": 512,
    }  # fmt: skip
    assert answer["limited"] == 9
    assert answer["tooltip"] == "Degrees"
    assert answer["pickers"] == {"source": "FILE_PATH", "folder": "DIR_PATH", "mask": "FILE_PATH", "name": "NONE"}
    assert "Source: choose a file" in answer["empty"]
    assert answer["new actions"] > 0
    (job,) = answer["jobs"]
    assert job.pop("output") == [str(output / "söurce 'take'-wiggle-001.take.npz")]
    # What is at its default is not said: the toolkit's own default holds, now and after an update of it.
    assert job == {
        "verb": "wiggle", "source": str(source), "fps": 30, "strong": False, "times": 5, "angle": 1.1, "limit": 0.5,
        "part": "head", "words": ["a 'b'", "ü"], "marks": [1.5, 2.0], "set": {"age": 0.7}, "keys": "dense",
        "width": 640,
    }  # fmt: skip
    saved = {"times": 5, "name": 'sävéd "x"', "set": {"age": pytest.approx(0.7), "weight": 2.5}}
    assert answer["saved"] == answer["kept"] == answer["kept again"] == saved
    assert answer["another"] == ["wiggle", "wobble"]
    assert answer["odd"] == ["wiggle"]  # a verb that Blender cannot take hides no other
    assert answer["none"] == []
