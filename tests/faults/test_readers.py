# SPDX-License-Identifier: Apache-2.0
"""Damaged files of every readable type through `info` and `check`: our error or an answer, nothing else."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hyoid.errors import HyoidError, InputError
from hyoid.formats import bvh, curves_csv, glb, take_npz
from hyoid.media import audio, video
from hyoid.report import SILENT
from hyoid.verbs import check, info
from PIL import Image

from tests import toy

FLIPS = 200
LONGEST = 10.0
LARGEST = 1 << 20  # KiB
JOB = 'verb = "talk"\naudio = "a.wav"\ntext = "ask not"\nfps = 25\noutput = ["voice.glb"]\n\n[set]\nage = 0.6\n'


def make(path: Path) -> None:
    sound = (0.3 * np.sin(np.arange(16000) / 12)).astype(np.float32)
    if path.name == "a.take.npz":
        take_npz.write(path, toy.take(12))
    elif path.name == "a.bvh":
        bvh.write(path, toy.character(), toy.take(12))
    elif path.name in ("plain.csv", "live_link.csv"):
        curves_csv.write(path, toy.take(12), convention=path.stem)
    elif path.name == "a.glb":
        glb.write(path, toy.character(), toy.take(12))
    elif path.name == "a.toml":
        path.write_text(JOB)
    elif path.name == "a.mp4":
        soundfile.write(path.with_suffix(".wav"), sound, 16000)
        pictures = (np.full((64, 64, 3), 10 * i, np.uint8) for i in range(20))
        video.write(path, pictures, 20, path.with_suffix(".wav"))
    elif path.name == "a.png":
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
    else:
        soundfile.write(path, sound, 16000)


def damaged(whole: bytes) -> Iterator[bytes]:
    """Cut at each twentieth, then changed in one byte, every other time near the start, where headers are."""
    for step in range(20):
        yield whole[: len(whole) * step // 20]
    dice = random.Random(20)
    for number in range(FLIPS):
        data = bytearray(whole)
        place = dice.randrange(min(len(whole), 200) if number % 2 else len(whole))
        data[place] = dice.randrange(256) if number % 3 else data[place] ^ 1 << dice.randrange(8)
        yield bytes(data)


@pytest.mark.parametrize(
    "name",
    [
        "a.take.npz", "a.bvh", "plain.csv", "live_link.csv", "a.glb", "a.toml", "a.mp4", "a.png", "a.wav", "a.flac",
        "a.ogg", "a.mp3", "a.aiff",
    ],
)  # fmt: skip
def test_damage(tmp_path, name):
    make(tmp_path / name)
    bad = tmp_path / f"bad_{name}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for data in damaged((tmp_path / name).read_bytes()):
        bad.write_bytes(data)
        start = time.perf_counter()
        check.show(check.run(check.Job(files=[bad]), SILENT))
        if name != "a.toml":
            try:
                info.show(info.run(info.Job(file=bad, events=True), SILENT))
            except HyoidError as error:
                message = str(error)
            else:
                message = str(bad)
            assert str(bad) in message
        assert time.perf_counter() - start < LONGEST
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < LARGEST


def test_a_live_link_table_that_ends_after_a_timecode(tmp_path):
    curves_csv.write(tmp_path / "a.csv", toy.take(4), convention="live_link")
    text = (tmp_path / "a.csv").read_text()
    last = text.rindex("\n", 0, -1)
    (tmp_path / "a.csv").write_text(text[: last + len("\n00:00:00:03.000,61,")])
    with pytest.raises(InputError, match="line 5 has no values"):
        curves_csv.read(tmp_path / "a.csv")


def test_a_truncated_aiff_is_told(tmp_path):
    make(tmp_path / "a.aiff")
    (tmp_path / "b.aiff").write_bytes((tmp_path / "a.aiff").read_bytes()[:20000])
    with pytest.raises(InputError, match="truncated"), audio.recording(tmp_path / "b.aiff"):
        pass
    with audio.recording(tmp_path / "a.aiff") as recording:
        assert not recording.repaired


def test_no_output_may_replace_the_recording(tmp_path):
    from hyoid.errors import UsageError
    from hyoid.verbs import talk

    make(tmp_path / "a.mp4")
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(UsageError, match="recording itself"):
        talk.run(talk.Job(audio=tmp_path / "a.mp4", output=[tmp_path / "." / "a.mp4"]), SILENT)
    assert (tmp_path / "a.mp4").read_bytes() == before


def test_a_take_may_replace_itself_and_names_may_be_long(tmp_path):
    from hyoid.verbs import convert

    path = tmp_path / f"{'ä' * 115} '\"; $(x){'.take.npz'}"
    assert len(path.name.encode()) <= 255
    take_npz.write(path, toy.take(5))
    convert.run(convert.Job(source=path, outputs=[path], fps=60), SILENT)
    assert take_npz.read(path).fps == 60
    assert list(tmp_path.iterdir()) == [path]
