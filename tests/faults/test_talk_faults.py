# SPDX-License-Identifier: Apache-2.0
"""What a bad recording, a bad folder or a kill does to `hyoid talk`: its exit code, one line, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

HYOID = [sys.executable, "-m", "hyoid"]
VOICE = Path(__file__).parents[2] / "examples" / "talk" / "jfk.flac"
LARGEST_RESIDENT = 1 << 30  # reliability: a fault ends in under 10 s and under 1 GB
SECONDS = 10.0


class Ended(NamedTuple):
    """How a command ended, and what it took: seconds, and bytes of resident memory at most."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    memory: int


# The high-water mark of this program alone: what getrusage says of a child begins with its parent's memory.
MEASURED = """
import sys
from hyoid.cli import run_command
code = run_command(sys.argv[2:])
with open("/proc/self/status") as status, open(sys.argv[1], "w") as result:
    result.write(next(line.split()[1] for line in status if line.startswith("VmHWM")))
sys.exit(code)
"""


def talk(audio: Path, *words: object, output: Path | None = None) -> Ended:
    output = output or audio.parent / "out" / "take.take.npz"
    with tempfile.NamedTemporaryFile("r") as memory:
        command = [sys.executable, "-c", MEASURED, memory.name, "talk", str(audio), "-o", str(output)]
        start = time.perf_counter()
        done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True, timeout=120)
        seconds = time.perf_counter() - start
        return Ended(done.returncode, done.stdout, done.stderr, seconds, int(memory.read()) * 1024)


def left_behind(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def write_missing(path: Path) -> None:
    """No file at all."""


def write_empty(path: Path) -> None:
    path.write_bytes(b"")


def write_text(path: Path) -> None:
    path.write_text("this is not sound\n" * 100)


def write_random(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(20000))


def write_truncated(path: Path) -> None:
    """A header that promises one second and data for half of it."""
    data = (np.sin(np.arange(16000) / 20) * 9000).astype("<i2").tobytes()
    header = (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    )
    path.write_bytes(header + b"data" + struct.pack("<I", len(data)) + data[: len(data) // 2])


def write_header_only(path: Path) -> None:
    soundfile.write(path, np.zeros(0, np.float32), 16000)


def write_not_a_number(path: Path) -> None:
    samples = (0.1 * np.sin(np.arange(16000) / 20)).astype(np.float32)
    samples[1234] = np.nan
    soundfile.write(path, samples, 16000, subtype="FLOAT")


def write_short(path: Path) -> None:
    soundfile.write(path, 0.1 * np.ones(480, np.float32), 48000)


def write_slow_rate(path: Path) -> None:
    soundfile.write(path, 0.1 * np.ones(1000, np.float32), 100)


@pytest.mark.parametrize(
    ("write", "word"),
    [
        (write_missing, "no such file"),
        (write_empty, "empty"),
        (write_text, "expected"),
        (write_random, "expected"),
        (write_truncated, "0.5"),
        (write_header_only, "expected"),
        (write_not_a_number, "1234"),
        (write_short, "0.01"),
        (write_slow_rate, "100"),
    ],
)
def test_a_recording_that_cannot_be_used(tmp_path, write, word):
    audio = tmp_path / "a voice; with 'odd' näme.wav"
    write(audio)
    before = left_behind(tmp_path)
    done = talk(audio)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("hyoid: error: ")
    assert done.stderr.count("\n") == 1
    assert audio.name in done.stderr
    assert word.lower() in done.stderr.lower()
    assert left_behind(tmp_path) == before
    assert done.seconds < SECONDS
    assert done.memory < LARGEST_RESIDENT


def test_a_folder_is_not_a_recording(tmp_path):
    assert talk(tmp_path).returncode == 3


def test_repair_takes_what_a_truncated_recording_holds(tmp_path):
    write_truncated(tmp_path / "a.wav")
    done = talk(tmp_path / "a.wav", "--repair")
    assert done.returncode == 0, done.stderr
    assert "warning" in done.stderr


def test_silence_gives_an_idle_take_and_says_so(tmp_path):
    from hyoid.formats import take_npz

    soundfile.write(tmp_path / "silence.wav", np.zeros(48000 * 3), 48000)
    done = talk(tmp_path / "silence.wav", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert any(event["event"] == "message" and "idle" in event["text"] for event in events)
    take = take_npz.read(tmp_path / "out" / "take.take.npz")
    assert take.mode == "idle"
    assert take.frames == 90
    assert take.curve("jawOpen").max() < 0.05
    assert not [event for event in take.events if event.kind == "phone"]


def test_music_is_warned_about_and_does_not_talk_wildly(tmp_path):
    """Three held chords: no words, no mouth; a take comes out and the user is told."""
    from hyoid.formats import take_npz

    t = np.arange(16000 * 6) / 16000
    chords = [(220, 277, 330), (196, 247, 294), (262, 330, 392)]
    sound = sum(np.sin(2 * np.pi * f * t) * ((t // 2) == i) for i, chord in enumerate(chords) for f in chord)
    soundfile.write(tmp_path / "music.wav", 0.2 * sound, 16000)
    done = talk(tmp_path / "music.wav")
    assert done.returncode == 0, done.stderr
    assert "no voice" in done.stderr
    take = take_npz.read(tmp_path / "out" / "take.take.npz")
    assert take.mode == "idle"
    assert take.curve("jawOpen").max() < 0.05


def test_an_output_folder_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("I was here first")
    done = talk(VOICE, output=tmp_path / "out" / "a.take.npz")
    assert done.returncode == 6
    assert done.stderr.count("\n") == 1
    assert left_behind(tmp_path) == ["out"]
    assert done.seconds < SECONDS, "the folder is looked at before the work"


def test_an_output_folder_without_permission(tmp_path):
    if os.geteuid() == 0:
        target = Path("/proc/hyoid/a.take.npz")  # root may write anywhere but here
    else:
        (tmp_path / "locked").mkdir(mode=0o555)
        target = tmp_path / "locked" / "a.take.npz"
    done = talk(VOICE, output=target)
    assert done.returncode == 6
    assert done.stderr.count("\n") == 1


def test_a_full_disk(small_disk):
    done = talk(VOICE, "--text", "ask not what your country can do for you", output=small_disk / "a.take.npz")
    assert done.returncode == 6, done.stderr
    assert done.stderr.count("error") == 1
    assert "full" in done.stderr
    assert os.listdir(small_disk) == []


def test_a_character_that_does_not_exist(tmp_path):
    done = talk(VOICE, "--character", "nobody", output=tmp_path / "a.glb")
    assert done.returncode == 2
    assert "nobody" in done.stderr
    assert "human" in done.stderr
    assert os.listdir(tmp_path) == []
    assert done.seconds < SECONDS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_cancel_in_the_middle(tmp_path, number):
    command = [*HYOID, "talk", str(VOICE), "-o", str(tmp_path / "a.take.npz"), "-o", str(tmp_path / "a.mp4"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "progress":
                break
        process.send_signal(number)
        start = time.perf_counter()
        rest = process.stdout.read()
        assert process.wait(timeout=5) == 130
        assert time.perf_counter() - start < 5
    assert json.loads(rest.splitlines()[-1])["exit_code"] == 130
    assert left_behind(tmp_path) == []
    assert subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True).stdout == b"", "no child stays"


@pytest.mark.slow
def test_a_kill_in_the_middle_and_the_next_run(tmp_path):
    """SIGKILL leaves no file under a final name, and the next run removes the part."""
    command = [*HYOID, "talk", str(VOICE), "--text", "ask not", "-o", str(tmp_path / "a.mp4"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "progress" and "a.mp4" in event["what"]:
                break
        os.killpg(process.pid, signal.SIGKILL)
    assert not (tmp_path / "a.mp4").exists()
    done = talk(VOICE, "--text", "ask not", output=tmp_path / "a.take.npz")
    assert done.returncode == 0, done.stderr
    assert left_behind(tmp_path) == ["a.take.npz"]
