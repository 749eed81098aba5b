# SPDX-License-Identifier: Apache-2.0
"""Bad footage through `headpose`: one line, the right exit code, and nothing half-done left behind."""

from __future__ import annotations

import json
import os
import signal
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hyoid.cli import run_command
from hyoid.media import footage, images
from PIL import Image

from tests.verbs import head_files as files

pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def systems(monkeypatch, tmp_path):
    home = tmp_path / "stand_ins"
    home.mkdir()
    files.install(monkeypatch, home)


def refused(capsys, source: Path, *words: object, out: str = "out.json") -> dict:
    """The failure; nothing was written."""
    target = source.parent / out
    code = run_command(["headpose", str(source), "-o", str(target), *map(str, words), "--json"])
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert event["event"] == "failure", event
    assert event["exit_code"] == code
    assert "\n" not in event["error"]
    assert not target.exists()
    assert not list(source.parent.glob(".*.part"))
    return event


def png_of(width: int, height: int) -> bytes:
    """A file that says that it is so large and holds nothing."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (head, body)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("size", [(20_000, 20_000), (100_000, 100_000)])
def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path, capsys, size):
    (tmp_path / "a.png").write_bytes(png_of(*size))
    event = refused(capsys, tmp_path / "a.png")
    assert event["exit_code"] == 3
    assert "100 million" in event["expected"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp", ".gif"])
def test_damaged_pictures_are_refused_or_seen_whole(tmp_path, suffix):
    """Cut off anywhere and with bytes turned about."""
    from hyoid.errors import InputError

    path = tmp_path / f"good{suffix}"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(path)
    good = path.read_bytes()
    random = np.random.default_rng(2)
    bad = [good[:length] for length in random.integers(0, len(good), 30)]
    for _ in range(60):
        data = bytearray(good)
        data[random.integers(len(data))] ^= int(random.integers(1, 256))
        bad.append(bytes(data))
    refusals = 0
    for number, data in enumerate(bad):
        (tmp_path / f"bad{suffix}").write_bytes(data)
        try:
            found = images.read(tmp_path / f"bad{suffix}")
        except InputError:
            refusals += 1
            continue
        assert found.dtype == np.uint8, number
        assert found.ndim == 3, number
    assert refusals >= 10  # a cut file is no picture, but for the last bytes of some types


def test_a_film_that_is_cut_off_or_damaged(tmp_path, capsys):
    good = files.film(tmp_path / "good.mp4", 30).read_bytes()
    (tmp_path / "half.mp4").write_bytes(good[: len(good) // 2])
    assert refused(capsys, tmp_path / "half.mp4", out="out.mp4")["exit_code"] == 3
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    assert "cannot be read as video" in refused(capsys, tmp_path / "noise.mp4")["error"]
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert refused(capsys, tmp_path / "empty.mp4")["exit_code"] == 3


def test_a_film_without_pictures(tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 16000)
    (tmp_path / "a.mp4").write_bytes((tmp_path / "a.wav").read_bytes())
    assert "no picture stream" in refused(capsys, tmp_path / "a.mp4")["error"]


def test_sources_that_are_not_there_or_of_no_known_type(tmp_path, capsys):
    assert "does not exist" in refused(capsys, tmp_path / "a.png")["error"]
    (tmp_path / "a.txt").write_text("x")
    event = refused(capsys, tmp_path / "a.txt")
    assert (event["exit_code"], "unknown type" in event["error"]) == (3, True)


def test_a_film_that_breaks_in_the_middle_leaves_no_film(tmp_path, capsys, monkeypatch):
    """Also when it breaks only while the result is drawn."""
    from hyoid.errors import InputError

    shot, plain, calls = files.film(tmp_path / "a.mp4", 10), footage.frames, []

    def broken(path, *span):
        calls.append(path)
        for number, entry in enumerate(plain(path, *span)):
            if len(calls) == 2 and number == 5:
                raise InputError("cannot be read as video after frame 4", path=path)
            yield entry

    monkeypatch.setattr(footage, "frames", broken)
    assert refused(capsys, shot, out="b.mp4")["exit_code"] == 3


def test_a_cancel_leaves_nothing(tmp_path, capsys, monkeypatch):
    shot, plain = files.film(tmp_path / "a.mp4", 10), footage.frames

    def slow(path, *span):
        for number, entry in enumerate(plain(path, *span)):
            if number == 5:
                os.kill(os.getpid(), signal.SIGTERM)
            yield entry

    monkeypatch.setattr(footage, "frames", slow)
    assert refused(capsys, shot, out="b.mp4")["exit_code"] == 130


def test_damaged_results_are_refused_or_read(tmp_path, capsys):
    """Bytes turned about in JSON that headpose wrote: our error or a sound shot, nothing else."""
    from hyoid.errors import InputError
    from hyoid.formats import heads_json

    shot = files.film(tmp_path / "a.mp4", 4)
    assert run_command(["headpose", str(shot), "-o", str(tmp_path / "a.json")]) == 0
    good, random, refusals = (tmp_path / "a.json").read_bytes(), np.random.default_rng(4), 0
    start = good.index(b'"pictures"')
    for _ in range(300):
        data = bytearray(good)
        place = random.integers(start, len(data))
        data[place : place + random.integers(0, 3)] = random.choice([b"9", b"null", b"1e999", b"-", b"]", b"NaN"])
        (tmp_path / "bad.json").write_bytes(data)
        try:
            found = heads_json.read(tmp_path / "bad.json")
        except InputError:
            refusals += 1
            continue
        assert np.isfinite(found.heads.boxes).all()
        assert (found.heads.ids >= 0).all()
    assert refusals > 150
