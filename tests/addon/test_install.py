# SPDX-License-Identifier: Apache-2.0
"""One zip installs in every Blender, as a user installs it."""

import pytest

from tests.addon import tools

pytestmark = pytest.mark.blender


@pytest.mark.parametrize("version", tools.VERSIONS)
def test_the_zip_installs_and_finds_its_human(version, tmp_path):
    answer = tools.run(version, "hello", tmp_path)
    assert answer["panel"]
    assert answer["vertices"] == 8035
    assert not answer["scipy"]  # Blender's Python has none
    assert ".".join(map(str, answer["version"])) == version
