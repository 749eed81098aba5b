# SPDX-License-Identifier: Apache-2.0
"""A panel that names an icon which a Blender does not have is not drawn at all; so every icon is looked up in all."""

from __future__ import annotations

import re

import pytest

from tests.addon import stand_in, tools

pytestmark = pytest.mark.blender

_ICON = re.compile(r"""icon\w*\s*=\s*(?:[^,()\n]*\bif\b[^,()\n]*|"[A-Z0-9_]+")""")
_NAME = re.compile(r'(?<!== )"([A-Z][A-Z0-9_]+)"')


def icons() -> list[str]:
    """Every icon that the add-on's source names after ``icon=``."""
    names = set()
    for path in (tools.ROOT / "addon" / "hyoid").rglob("*.py"):
        for match in _ICON.finditer(path.read_text(encoding="utf-8")):
            names.update(_NAME.findall(match[0]))
    return sorted(names)


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_every_icon_is_known(version, tmp_path):
    names = icons()
    assert {"CHECKMARK", "TRIA_DOWN", "ERROR"} <= set(names)
    answer = tools.run(version, "icons", tmp_path, icons=names)
    assert answer["missing"] == []
    assert answer["progress"] == (None if version == "3.4" else ["factor", "text"])


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_every_panel_draws_without_and_with_a_character(version, tmp_path):
    """The Blenders after 3.4 have no window here; their layouts are asked which functions and words they know."""
    program = stand_in.install(tmp_path / "bin")
    answer = tools.run(version, "drawn", tmp_path, toolkit=str(program))
    assert answer["faults"] == {}
    assert answer["drawn"]["HYOID_PT_root (empty)"] > 20
    assert answer["drawn"]["HYOID_PT_form_wiggle (empty)"] > 20
    assert answer["drawn"]["HYOID_PT_phonemes (talk at another rate)"] > 10
    assert answer["drawn"]["HYOID_PT_units (action units)"] > 30
    assert answer["drawn"]["HYOID_PT_units (empty)"] < 5
    assert answer["drawn"]["HYOID_PT_own_head (own head)"] > 3
    assert answer["drawn"]["HYOID_PT_character (own head)"] > 10
    assert answer["drawn"]["preferences"] > 10
