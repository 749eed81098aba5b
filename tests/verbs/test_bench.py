# SPDX-License-Identifier: Apache-2.0
"""hyoid bench: figures for people are indented lines, whatever a measurement gives."""

from __future__ import annotations

from hyoid.verbs import bench


def test_figures_are_lines_of_names_and_rounded_numbers():
    result = {"bench": "fit", "scans": [{"median_mm": 0.221453}, {"median_mm": 0.5}], "rigging": {"passed": True}}
    assert bench.show(result).splitlines() == [
        "bench: fit", "scans 1:", "  median mm: 0.2215", "scans 2:", "  median mm: 0.5", "rigging:", "  passed: True",
    ]  # fmt: skip
