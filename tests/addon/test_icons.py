# SPDX-License-Identifier: Apache-2.0
"""A panel that names an icon which a Blender does not have is not drawn at all; so every icon is looked up in all."""

from __future__ import annotations

import re

import pytest

from tests.addon import tools

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
