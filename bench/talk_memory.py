# SPDX-License-Identifier: Apache-2.0
"""Peak memory of ``hyoid talk`` for an hour of speech with its transcript, beside a minute of it. Takes minutes."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import soundfile
from talk_speed import repeated

SUMMARY = "peak memory for an hour of speech (goal 1500 MB); takes minutes"
GOAL_MB = 1500

_PROBE = """
import resource, runpy, sys, time
start = time.perf_counter()
sys.argv = ["hyoid", *sys.argv[1:]]
try:
    runpy.run_module("hyoid", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print("PROBE", own / 1024, children / 1024, time.perf_counter() - start)
"""


def peak(seconds: float, folder: Path, recognise: bool = False) -> dict[str, float]:
    """Peak resident megabytes of one whole run (the largest child added), and its length."""
    sound, transcript, count = repeated(seconds, folder)
    text = [] if recognise else ["--text", str(transcript)]
    command = [sys.executable, "-c", _PROBE, "talk", str(sound), *text, "-o", str(folder / "a.take.npz"), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    own, children, wall = map(float, done.stdout.splitlines()[-1].split()[1:])
    result = json.loads(done.stdout.splitlines()[-2])
    length = soundfile.info(sound).duration
    words = result.get("words", result.get("result", {}).get("words"))
    return {
        "minutes": round(length / 60, 1),
        "peak_mb": round(own + 2 * children),
        "seconds": round(wall, 1),
        "words_found": words,
        "words_said": 22 * count,
    }


def run(minutes: float = 60.0, recognise: bool = False) -> dict[str, Any]:
    """Measure a minute and the length that was asked for."""
    with tempfile.TemporaryDirectory() as name:
        short = peak(60, Path(name), recognise)
        long = peak(60 * minutes, Path(name), recognise)
    return {"short": short, "long": long, "goal_mb": GOAL_MB}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--recognise", action="store_true", help="without the transcript (two thirds of the length)")
    options = parser.parse_args()
    print(json.dumps(run(options.minutes, options.recognise), indent=1))
