# SPDX-License-Identifier: Apache-2.0
"""Train what the lifters are compared with: ``python bench/_fit_lift_opponents.py simple|tcn|mean_pose --data FOLDER``.

The same people, schedule and number of frames as the lifters that come with Hyoid: ``simple`` sees as many as HopFIR,
``tcn`` as many as KTPFormer, where the frames that it answers for are counted. A training that was stopped goes on when
the command is given again. Results lie in ``bench/lift_opponents``.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "toolkit"))

import _lift_opponents as opponents
from hyoid.report import Report
from hyoid.synthetic import lift_pairs
from hyoid.verbs import lift_training, training

RECIPES: dict[str, dict[str, Any]] = {
    "simple": {
        "sizes": {"width": 1024, "blocks": 2, "dropout": 0.25}, "steps": 10_125, "windows": 384, "answers": 1,
        "rate": 1e-3, "precision": "bfloat16",
    },
    "tcn": {
        "sizes": {"channels": 256, "dilations": [1, 3, 9], "dropout": 0.25}, "steps": 7_500, "windows": 144,
        "answers": 3, "rate": 1e-3, "precision": "bfloat16",
    },
}  # fmt: skip
"""Sizes of the networks and of their training; ``answers``: frames of a window that the network answers for."""


def main(words: list[str] | None = None) -> None:
    """Train one of them and write it."""
    parser = argparse.ArgumentParser(description="Train what the lifters are compared with.")
    parser.add_argument("name", choices=[*RECIPES, "mean_pose"])
    parser.add_argument("--data", type=Path, required=True, help="folder of packed motion")
    parser.add_argument("--out", type=Path, default=opponents.FOLDER)
    parser.add_argument("--state", type=Path, help="file of the unfinished training")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--windows", type=int)
    parser.add_argument("--precision", choices=["bfloat16", "float32"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(words)
    motion, parts, note = lift_training.lesson_of(given.data)
    given.out.mkdir(parents=True, exist_ok=True)
    target = given.out / f"{given.name}.safetensors"
    if given.name == "mean_pose":
        opponents.save_pose(target, lift_pairs.mean_pose(motion, parts.train, 0), note)
        print(f"wrote {target.name}")
        return
    chosen = {name: getattr(given, name) for name in ("steps", "windows", "precision") if getattr(given, name)}
    recipe = {**RECIPES[given.name], **chosen}
    sizes, steps, windows = recipe["sizes"], recipe["steps"], recipe["windows"]
    model = opponents.built(given.name, sizes, given.seed)
    stream = lift_pairs.Windows(motion, parts.train, recipe["answers"] + 2 * model.margin, given.seed)
    state = given.state or Path(f"out/lift_opponents/{given.name}.unfinished")
    state.parent.mkdir(parents=True, exist_ok=True)
    with training.threads(given.threads):
        opponents.fit(
            model, lambda step, count: stream.at(step).batch(count), steps, windows, rate=recipe["rate"],
            seed=given.seed, precision=recipe["precision"], key=note["data"], state=state, report=told(),
        )  # fmt: skip
    seen = {"frames_seen": steps * windows * recipe["answers"], "seed": given.seed, "recipe": recipe}
    opponents.save(target, given.name, sizes, model, {**note, **seen})
    state.unlink(missing_ok=True)
    print(f"wrote {target.name}")


def told(every: float = 30.0) -> Report:
    """A report that prints a line every so many seconds."""
    begun = last = time.monotonic()

    def emit(event: dict[str, Any]) -> None:
        nonlocal last
        now = time.monotonic()
        if event["event"] == "progress" and (now - last > every or event["fraction"] == 0):
            last = now
            print(f"{now - begun:.0f} s  {event['what']}", flush=True)

    return Report(emit)


if __name__ == "__main__":
    main()
