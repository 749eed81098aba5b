# SPDX-License-Identifier: Apache-2.0
"""Tables and sentences of the benches of directions of heads."""

from __future__ import annotations

from typing import Any

from _head_methods import THRESHOLD
from hyoid.synthetic import head_scores
from hyoid.synthetic.head_scores import REGIONS


def table(rows: dict[str, Any]) -> list[str]:
    """Mean absolute errors by angle, mean and median of the angle between rotations, by region the median."""
    lines = [f"| | heads | pitch | yaw | roll | mean | median | {' | '.join(REGIONS)} |", "|---" * 10 + "|"]
    for name, row in rows.items():
        values = [row["all"][column] for column in ("pitch", "yaw", "roll", "mean", "median")]
        values += [row[region]["median"] for region in REGIONS]
        lines.append(f"| {name} | {row['all']['heads']} | {' | '.join(map(text, values))} |")
    return lines


def boxes_line(detection: dict[str, Any], pictures: int) -> str:
    """How the detector did, in a sentence."""
    recall, precision = (detection[name] for name in ("recall", "average_precision"))
    return (
        f"Boxes of DirectMHP in {pictures} pictures: average precision at IoU 0.5 {text(precision, 3)}; at a "
        f"confidence of {THRESHOLD:g} it finds {text(recall, 3)} of {detection['heads']} heads above "
        f"{head_scores.SMALLEST:g} pixels, with {text(detection['false_boxes'], 2)} false boxes a picture."
    )


def verdicts(result: dict[str, Any]) -> list[str]:
    """A line a goal."""
    return [
        f"{goal['goal']}: {'yes' if goal['reached'] else 'no'} ({goal['value']:.4g} against {goal['limit']:g})"
        for goal in result["goals"]
    ]


def certainty(name: str, figures: dict[str, Any]) -> str:
    """How the entropy tells good answers from bad ones, in a sentence."""
    certain, others, ranks = (figures[key] for key in ("certain", "others", "correlation"))
    return (
        f"{name}: the most certain fifth errs by {text(certain)} in the median, the others by {text(others)}; "
        f"entropy and error agree in rank by {text(ranks, 2)}."
    )


def text(value: float | None, digits: int = 1) -> str:
    """A rounded number, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"
