# SPDX-License-Identifier: Apache-2.0
"""The curve bench runs, finds equal curves, and our path stays far ahead of keyframe_insert."""

import pytest

from bench import curve_import
from tests.blender import tools


@pytest.mark.blender
@pytest.mark.slow
def test_curve_import_is_thirty_times_faster():
    tools.folder_of("4.2")
    result = curve_import.run()
    assert result["curves"] == 52 + 4 * 55
    assert result["ratio"] >= 30  # measured 65 to 70; both sides slow down together on a busy machine
