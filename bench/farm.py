# SPDX-License-Identifier: Apache-2.0
"""What the farm path costs: many shots beside a plain loop, two workers beside one, and a long take in chunks.

``python bench/farm.py`` or ``hyoid bench farm``. The shots are copies of a bundled phrase, each of another loudness and
beginning, done by ``talk`` with what is said; the plain loop calls the verb for each of them in one process, as a
script of a TD would. The files must be equal. Times are those of whole programs, their start included, and count only
on a machine that has nothing else to do. The long take is keypoints of somebody who walks, lifted in chunks by two
workers: memory is the largest sum of the program and its workers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import lift_speed
import numpy as np
import soundfile
from stabilize_memory import watched

SUMMARY = "many shots and a long take through hyoid run: overhead (goal 3 %), two workers (goal 1.8 x), memory"
SHOTS, TAKE = 2000, 100_000
OVERHEAD, SPEEDUP = 0.03, 1.8
STEADY = 1.1  # of the memory of ten times as few shots
MILLION = 1_000_000
_VOICE = Path(__file__).resolve().parents[1] / "examples" / "farm" / "voices" / "americans.flac"
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_LOOP = """
import sys
from pathlib import Path
from hyoid import held
from hyoid.report import SILENT
from hyoid.verbs import run, talk
home = Path(sys.argv[1])
with held.holding():
    for sound in sorted((home / "voices").glob("*.wav")):
        values = {"audio": f"voices/{sound.name}", "text": "text.txt", "output": [f"loop/{sound.stem}.take.npz"]}
        talk.run(run.job_of("talk", values, home, home), SILENT)
"""


def recordings(folder: Path, count: int) -> float:
    """So many copies of a phrase, each of another loudness and beginning, and what is said; seconds of one."""
    samples, rate = soundfile.read(_VOICE, dtype="float32")
    (folder / "voices").mkdir(parents=True)
    (folder / "text.txt").write_bytes(_VOICE.with_suffix(".txt").read_bytes())
    for number in range(count):
        piece = samples[16 * (number % 50) :] * np.float32(0.5 + 0.5 * (number % 97) / 97)
        soundfile.write(folder / "voices" / f"s{number:05d}.wav", piece, rate, subtype="PCM_16")
    return len(samples) / rate


def shots(count: int, compared: bool) -> dict[str, Any]:
    """Seconds and memory of the farm path with two workers over so many shots.

    Args:
        compared: also measure a plain loop and one worker, and see that all files are equal.
    """
    with tempfile.TemporaryDirectory(prefix="hyoid-bench-") as name:
        home = Path(name)
        seconds = recordings(home, count)
        taken = {}
        if compared:
            taken["loop"] = _timed([sys.executable, "-c", _LOOP, str(home)])
        for workers in (1, 2) if compared else (2,):
            job = home / f"by{workers}.toml"
            job.write_text(
                f'name = "by{workers}"\n[[steps]]\nverb = "talk"\naudio = "voices/*.wav"\ntext = "text.txt"\n'
                f'output = ["by{workers}/{{shot}}.take.npz"]\n'
            )
            words = [sys.executable, "-m", "hyoid", "run", str(job), "--workers", str(workers)]
            taken[f"workers_{workers}"] = _timed(words)
        taken["nothing_to_do"] = _timed(
            [sys.executable, "-m", "hyoid", "run", str(home / "by2.toml"), "--workers", "2"]
        )
        if compared:
            sums = [_sum(home / folder) for folder in ("loop", "by1", "by2")]
            assert sums[0] == sums[1] == sums[2], "the farm path gives other files than a plain loop"
        assert len(list((home / "by2").iterdir())) == count
    frames = count * seconds * 30
    rate = frames / taken["workers_2"]["seconds"]
    found: dict[str, Any] = {
        "shots": count, "frames": round(frames), **taken, "frames_per_second": round(rate, 1),
        "hours_for_a_million": round(MILLION / rate / 3600, 2),
    }  # fmt: skip
    if compared:
        loop, one, two = (taken[name]["seconds"] for name in ("loop", "workers_1", "workers_2"))
        found |= {"overhead": round(one / loop - 1, 4), "speedup": round(one / two, 3)}
    return found


def long_take(frames: int) -> dict[str, Any]:
    """Seconds and peak megabytes of a take that is lifted in chunks by two workers."""
    with tempfile.TemporaryDirectory(prefix="hyoid-bench-") as name:
        home = Path(name)
        points, camera = lift_speed.keypoints(frames)
        width, height = camera.size
        np.savez(home / "walk.npz", keypoints=points.astype(np.float32), layout="human36m17", fps=lift_speed.FPS,
                 width=width, height=height)  # fmt: skip
        job = home / "job.toml"
        job.write_text('verb = "lift"\nkeypoints = "walk.npz"\noutput = ["walk.take.npz"]\n')
        found = _timed([sys.executable, "-m", "hyoid", "run", str(job), "--workers", "2"])
        chunks = len(list((home / "job.farm" / "parts").rglob("*.json")))
    return {"frames": frames, "chunks": chunks, **found, "frames_per_second": round(frames / found["seconds"], 1)}


def _timed(command: list[str]) -> dict[str, float]:
    begun = time.monotonic()
    environment = {**os.environ, **_ENVIRONMENT}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        largest = watched(process)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {"seconds": round(time.monotonic() - begun, 2), "peak_mb": round(largest)}


def _sum(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        whole.update(path.name.encode() + path.read_bytes())
    return whole.hexdigest()


def run(count: int = SHOTS, frames: int = TAKE) -> dict[str, Any]:
    """Many shots beside a plain loop; a tenth of them, and takes of two lengths, so that memory can be compared.

    The shorter take is long enough for both workers.
    """
    few = shots(max(count // 10, 1), compared=False)
    many = shots(count, compared=True)
    takes = [long_take(length) for length in (frames // 5, frames) if length]
    most, least = (found["workers_2"]["peak_mb"] for found in (many, few))
    return {
        "few": few, "many": many, "takes": takes,
        "goals_met": {
            "overhead": many["overhead"] < OVERHEAD, "speedup": many["speedup"] >= SPEEDUP,
            "memory": most <= STEADY * least,
            **({"take": takes[1]["peak_mb"] <= STEADY * takes[0]["peak_mb"]} if takes else {}),
        },
    }  # fmt: skip


def show(result: dict[str, Any]) -> str:
    """A line each for time, memory, the long takes, and the goals."""
    few, many = result["few"], result["many"]
    lines = [
        f"{many['shots']} shots, {many['frames']} frames: loop {many['loop']['seconds']} s, one worker "
        f"{many['workers_1']['seconds']} s ({100 * many['overhead']:.1f} % more), two {many['workers_2']['seconds']} s "
        f"({many['speedup']:.2f} times as fast as one); again with nothing to do {many['nothing_to_do']['seconds']} s",
        f"two workers: {many['frames_per_second']} frames a second, {many['hours_for_a_million']} hours for 10^6; "
        f"peak {many['workers_2']['peak_mb']} MB, of {few['shots']} shots {few['workers_2']['peak_mb']} MB",
    ]
    for take in result["takes"]:
        lines.append(
            f"take of {take['frames']} frames in {take['chunks']} chunks: {take['seconds']} s, "
            f"{take['frames_per_second']} frames a second, peak {take['peak_mb']} MB"
        )
    goals = {
        "overhead": f"overhead below {100 * OVERHEAD:.0f} %", "speedup": f"two workers at least {SPEEDUP} x",
        "memory": "memory of shots constant", "take": "memory of takes constant",
    }  # fmt: skip
    lines.append(
        "; ".join(f"{goals[name]}: {'met' if there else 'missed'}" for name, there in result["goals_met"].items())
    )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument("--shots", type=int, default=SHOTS)
    parser.add_argument("--frames", type=int, default=TAKE)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    told = run(given.shots, given.frames)
    print(json.dumps(told, indent=1) if given.json else show(told))
