# SPDX-License-Identifier: Apache-2.0
"""The claims of the HopFIR paper in sign, with small and equal budgets, on people who were not learned from.

Five networks for single pictures are trained from the start on the same pictures with the same schedule: SemGCN, SemGCN
with hop attention, HopFIR without hops (K = 0), HopFIR without the refinement of limbs, HopFIR. The claims: hop
attention helps SemGCN; hops help HopFIR; the refinement helps the ends of limbs more than the torso. One seed says
little about small differences: repeat with others.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hyoid.errors import MissingToolError
from hyoid.geometry.human36m import NAMES
from hyoid.report import SILENT, Report
from hyoid.synthetic import lift_pairs, lift_scores
from hyoid.synthetic.lift_scores import Lift

SUMMARY = "the claims of the HopFIR paper in sign: five networks, equal small budgets (an hour on a core)"
PICTURES = 256  # of a step
ENDS = tuple(row for row, name in enumerate(NAMES) if "wrist" in name or "ankle" in name)
TORSO = tuple(row for row, name in enumerate(NAMES) if "hip" in name or name in ("spine", "thorax", "neck"))
GRAPH, GRAPH_HOPS, PLAIN, UNREFINED, WHOLE = (
    "SemGCN", "SemGCN + hop attention", "HopFIR, K = 0", "HopFIR without refinement", "HopFIR",
)  # fmt: skip


def run(
    data: Path | None = None, steps: int = 1200, seed: int = 0, small: bool = False, report: Report = SILENT
) -> dict[str, Any]:
    """Errors of all networks in mm by groups of joints, with the errors of a detector, and the claims.

    Args:
        data: folder of packed motion. steps: of each training. seed: of first parameters and pictures.
        small: few channels and blocks, for tests.

    Raises:
        InputError: no motion. MissingToolError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingToolError("torch is not installed", hint="Install it: pip install 'hyoid[train]'") from error
    from _lift_data import counts, folder_of, judges
    from hyoid.verbs import lift_training

    motion, parts, _ = lift_training.lesson_of(folder_of(data))
    chosen = judges(motion)
    clips = lift_pairs.held_out(motion, chosen)
    stream = lift_pairs.Windows(motion, parts.train, 1, seed)

    def draw(step: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        return stream.at(step).batch(count)

    result: dict[str, Any] = {
        **counts(motion, chosen), "steps": steps, "pictures": steps * PICTURES, "seed": seed, "rows": {},
        "torch": torch.__version__,
    }  # fmt: skip
    names = (GRAPH, GRAPH_HOPS, PLAIN, UNREFINED, WHOLE)
    for number, name in enumerate(names):
        stage = report.stage(number / len(names), (number + 1) / len(names))
        lift, size = trained(name, draw, steps, seed, small, _named(stage, name))
        result["rows"][name] = {"parameters": size, **_errors(lift, clips)}
    result["claims"] = claims(result["rows"])
    return result


def _named(report: Report, name: str) -> Report:
    def emit(event: dict[str, Any]) -> None:
        report.emit({**event, "what": f"{name}: {event['what']}"} if "what" in event else event)

    return Report(emit, report.low, report.high)


def _errors(lift: Lift, clips: list[lift_pairs.Clip]) -> dict[str, float]:
    found = lift_scores.scores(lift, clips)
    means = {
        "mpjpe": found.mpjpe, "p_mpjpe": found.p_mpjpe, "wrists_and_ankles": found.joints[list(ENDS)].mean(),
        "torso": found.joints[list(TORSO)].mean(),
    }  # fmt: skip
    return {name: round(float(value), 2) for name, value in means.items()}


def trained(name: str, draw: Any, steps: int, seed: int, small: bool, report: Report) -> tuple[Lift, int]:
    """A network trained from the start, as something that lifts, and how many parameters it has."""
    import _lift_opponents as others
    import torch
    from hyoid.systems.hopfir import checkpoint, infer, network, train

    if name in (GRAPH, GRAPH_HOPS):
        torch.manual_seed(seed)
        sizes = (16, 1) if small else (128, 4)
        model = others.SemanticGraph(*sizes, hops=None if name == GRAPH else 3)
        others.fit(model, draw, steps, PICTURES, seed=seed, report=report)

        def lift(keypoints: np.ndarray, width: float, height: float) -> np.ndarray:
            image = network.normalised(keypoints.astype(np.float64), width, height)
            return others.lifted(model, image.astype(np.float32))

        return lift, others.size_of(model)
    config = network.Config(16, 1) if small else network.Config(64, 3)
    config = replace(config, hops=0 if name == PLAIN else 3, refine=name != UNREFINED)
    recipe = train.Recipe(steps=steps, pictures=PICTURES, seed=seed)

    found = train.train(lambda step, count, _: draw(step, count), config, recipe, report=report)
    ready = infer.ready(checkpoint.Model(config, found.parameters))
    size = sum(array.size for array in found.parameters.values())
    return lambda keypoints, width, height: infer.lift(ready, keypoints, width, height), int(size)


def claims(rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Each claim with the difference of errors in mm that speaks for it, and whether it holds in sign."""
    gained = {group: rows[UNREFINED][group] - rows[WHOLE][group] for group in ("wrists_and_ankles", "torso")}
    found = (
        ("hop attention helps SemGCN (MPJPE)", rows[GRAPH]["mpjpe"] - rows[GRAPH_HOPS]["mpjpe"], 0.0),
        ("hops help HopFIR (MPJPE)", rows[PLAIN]["mpjpe"] - rows[WHOLE]["mpjpe"], 0.0),
        (
            "refinement helps wrists and ankles, and more than the torso", gained["wrists_and_ankles"],
            max(0.0, gained["torso"]),
        ),
    )  # fmt: skip
    return [
        {"claim": claim, "gain_mm": round(gain, 2), "must_exceed_mm": round(limit, 2), "holds": gain > limit}
        for claim, gain, limit in found
    ]


def show(result: dict[str, Any]) -> str:
    """The table in Markdown, and the claims."""
    lines = [
        f"{result['steps']} steps, {result['pictures']} pictures each, seed {result['seed']}; judged on "
        f"{result['clips']} clips, {result['subjects']} subjects, {result['frames']} frames; mm.", "",
        "| | parameters | MPJPE | P-MPJPE | wrists, ankles | torso |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, row in result["rows"].items():
        values = (row[column] for column in ("mpjpe", "p_mpjpe", "wrists_and_ankles", "torso"))
        lines.append(f"| {name} | {row['parameters'] / 1e6:.2f} M | {' | '.join(f'{value:.1f}' for value in values)} |")
    lines.append("")
    for claim in result["claims"]:
        answer = "yes" if claim["holds"] else "no"
        lines.append(f"{claim['claim']}: {answer} ({claim['gain_mm']:+.1f} mm, more than {claim['must_exceed_mm']:g})")
    return "\n".join(lines)


def main() -> None:
    """Print the table, or with ``--json`` the figures."""
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = run(given.data, given.steps, given.seed)
    print(json.dumps(result, indent=1) if given.json else show(result))


if __name__ == "__main__":
    main()
