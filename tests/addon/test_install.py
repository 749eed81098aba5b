# SPDX-License-Identifier: Apache-2.0
"""One zip installs in every Blender as a user installs it, and goes without a trace."""

import os
import sys
from pathlib import Path

import pytest

from tests.addon import tools

pytestmark = pytest.mark.blender


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_the_zip_installs_and_finds_its_human(version, tmp_path):
    answer = tools.run(version, "hello", tmp_path, anew=True)
    assert answer["panel"]
    assert answer["vertices"] == 8035
    assert not answer["scipy"]  # Blender's Python has none
    assert ".".join(map(str, answer["version"])) == version


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_switched_off_or_removed_it_leaves_nothing_behind(version, tmp_path):
    answer = tools.run(version, "lifecycle", tmp_path, anew=True, use=True)
    assert answer["brings"]["classes"] > 5  # or the comparison compares nothing
    assert answer["brings"]["properties"] > 0
    assert answer["disabled"] == {}
    assert answer["disabled_timers"] == []
    assert answer["enabled_again"] == {}
    assert answer["used"]
    assert answer["data_kept"]
    assert answer["removed"] == {}
    assert answer["removed_timers"] == []
    assert answer["enabled"] == []
    assert not answer["files_left"]


def test_an_active_virtual_environment_with_the_toolkit_is_no_obstacle(tmp_path):
    # Debian's Blender uses the Python of the PATH: there, "import hyoid" finds the toolkit
    answer = tools.run(
        "3.4", "hello", tmp_path, anew=True, env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    )
    assert answer["panel"]
    assert answer["enabled"]
    assert answer["toolkit_too"]


@pytest.mark.parametrize("version", ["3.4", "4.2", "5.0"])
def test_a_newer_zip_over_the_add_on_that_is_on_brings_all_of_its_code(version, tmp_path):
    assert tools.run(version, "upgraded", tmp_path, anew=True) == {"newer": True, "works": True}
