# SPDX-License-Identifier: Apache-2.0
"""hyoid bench: figures for people are indented lines, whatever a measurement gives."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from hyoid.verbs import bench


def test_figures_are_lines_of_names_and_rounded_numbers():
    result = {"bench": "fit", "scans": [{"median_mm": 0.221453}, {"median_mm": 0.5}], "rigging": {"passed": True}}
    assert bench.show(result).splitlines() == [
        "bench: fit", "scans 1:", "  median mm: 0.2215", "scans 2:", "  median mm: 0.5", "rigging:", "  passed: True",
    ]  # fmt: skip


def test_a_goal_is_missed_out_of_reach_or_not_judged():
    """KTPFormer's speed: what the products alone would give bounds it; busy cores say nothing."""
    path = Path(__file__).resolve().parents[2] / "bench" / "ktpformer.py"
    spec = importlib.util.spec_from_file_location("bench_ktpformer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def row(times: tuple[float, ...], **more: float) -> dict[str, float]:
        plain, ours, products, attention = times
        bound = products + attention
        return {
            "plain_ms": plain, "ours_ms": ours, "products_ms": products, "attention_ms": attention,
            "ratio": plain / ours, "ratio_of_products_alone": plain / bound, "share_of_products": bound / ours,
            "cores": 1.0, "rounded_ms": plain / 4, "ratio_rounded": 4.0, **more,
        }  # fmt: skip

    def told(**rows: dict[str, float]) -> str:
        errors = {"largest_difference": 1e-6, "largest_difference_rounded": 0.02, "standard_deviation": 1.3,
                  "moved": {"mean_mm": 0.3, "most_mm": 1.5}}  # fmt: skip
        return module.show({**errors, **rows})

    missed = told(threads_1=row((4000, 3100, 2600, 300)))
    assert "missed, and out of reach on this machine" in missed
    assert "bfloat16 1000 ms, 4.00 times as fast (goal 1.5: reached)" in missed
    assert "1.40 times as fast (goal 1.5: missed)" in told(threads_1=row((4000, 2500, 2000, 300), ratio_rounded=1.4))
    assert "missed, and within reach" in told(threads_1=row((4000, 3100, 2000, 300)))
    assert "reached)" in told(threads_1=row((4000, 2500, 2000, 300)))
    assert "not judged" in told(threads_2=row((4000, 2500, 2000, 300), cores=0.6))
    assert "reached)" in told(threads_2=row((4000, 2500, 2000, 300), cores=1.9))
