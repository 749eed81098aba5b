# SPDX-License-Identifier: Apache-2.0
"""How long ``hyoid talk`` needs for a take, start of the program included, as a ratio of the recording's length."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

SUMMARY = "seconds of work for a second of speech: recognised (goal 1.2), with a transcript (goal 0.5 at 60 s)"
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "talk"
LONG_SECONDS = 60.0
PAUSE_SECONDS = 0.7
RUNS = 3


def repeated(seconds: float, folder: Path) -> tuple[Path, Path, int]:
    """The example again and again with pauses, at least so long: sound, transcript, repetitions."""
    samples, rate = soundfile.read(EXAMPLE / "jfk.flac", dtype="float32", always_2d=True)
    noise = np.random.default_rng(0).normal(0, 1e-3, (int(PAUSE_SECONDS * rate), samples.shape[1])).astype(np.float32)
    count = max(1, round(seconds / ((len(samples) + len(noise)) / rate)))
    sound, transcript = folder / "long.flac", folder / "long.txt"
    with soundfile.SoundFile(sound, "w", rate, samples.shape[1], "PCM_16") as stream:
        for _ in range(count):
            stream.write(samples)
            stream.write(noise)
    transcript.write_text((EXAMPLE / "jfk.txt").read_text() * count)
    return sound, transcript, count


def timed(arguments: list[str]) -> float:
    """Wall seconds of one whole ``hyoid`` process on two cores."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    start = time.perf_counter()
    command = [sys.executable, "-m", "hyoid", "talk", *arguments]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def run() -> dict[str, Any]:
    """Medians of three runs of whole processes that write a .take.npz."""
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = ["-o", str(folder / "a.take.npz")]
        short = str(EXAMPLE / "jfk.flac")
        long, transcript, _ = repeated(LONG_SECONDS, folder)
        cases = {
            "recognised, 11 s": (short, [], 1.2),
            "with transcript, 11 s": (short, ["--text", str(EXAMPLE / "jfk.txt")], None),
            "recognised, 60 s": (str(long), [], 1.2),
            "with transcript, 60 s": (str(long), ["--text", str(transcript)], 0.5),
        }
        for label, (sound, options, goal) in cases.items():
            length = soundfile.info(sound).duration
            seconds = float(np.median([timed([sound, *options, *out]) for _ in range(RUNS)]))
            result[label] = {"seconds": round(seconds, 2), "ratio": round(seconds / length, 3)}
            if goal is not None:
                result[label]["goal"] = goal
    return result


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
