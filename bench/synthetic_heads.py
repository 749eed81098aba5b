# SPDX-License-Identifier: Apache-2.0
"""How fast people and heads are drawn on one core: crops and scenes a second, the start of a process, its memory.

``python bench/synthetic_heads.py`` or ``hyoid bench synthetic_heads``. A process of its own draws with one thread;
rates are those of the processor's time, so that other programs count less. Identities are made before; their time is
told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

SUMMARY = "crops and scenes of drawn people a second, on one core (goal 15 crops)"
GOAL = 15.0  # crops a second
_ONE_THREAD = {"LP_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def measured(crops: int, scenes: int) -> dict[str, Any]:
    """Figures of this process, which should be a new one."""
    import resource
    import time

    from hyoid.synthetic import heads
    from hyoid.synthetic.heads import bank

    begun = time.process_time()
    heads.crops(1, 0, 1)
    start = time.process_time() - begun
    begun = time.process_time()
    for number in range(bank.IDENTITIES):
        bank.identity(number, False, False)
    identities = time.process_time() - begun
    begun = time.process_time()
    heads.crops(2, 0, crops)
    drawn = time.process_time() - begun
    begun = time.process_time()
    people = sum(len(heads.scene(2, number).boxes) for number in range(scenes))
    whole = time.process_time() - begun
    return {
        "start_seconds": round(start, 2), "identities": bank.IDENTITIES, "identities_seconds": round(identities, 2),
        "crops": crops, "crops_a_second": round(crops / drawn, 1), "scenes": scenes,
        "scenes_a_second": round(scenes / whole, 2), "people_a_scene": round(people / scenes, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }  # fmt: skip


def run(count: int = 300) -> dict[str, Any]:
    """Figures of a new process that draws so many crops, and a tenth of them as scenes."""
    command = [sys.executable, __file__, "--child", str(count), str(max(count // 10, 1))]
    done = subprocess.run(command, env={**os.environ, **_ONE_THREAD}, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    return {**result, "goal_met": result["crops_a_second"] >= GOAL}


def show(result: dict[str, Any]) -> str:
    """Three lines."""
    return "\n".join([
        f"{result['crops_a_second']} crops of 160 pixels a second (goal {GOAL:g}), {result['scenes_a_second']} scenes "
        f"of 640 x 480 with {result['people_a_scene']} people",
        f"first crop after {result['start_seconds']} s, all {result['identities']} identities after "
        f"{result['identities_seconds']} s more",
        f"peak memory {result['peak_mb']} MB",
    ])  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measured(int(sys.argv[2]), int(sys.argv[3]))))
    else:
        print(show(run()))
