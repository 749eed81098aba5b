# SPDX-License-Identifier: Apache-2.0
"""hyoid headpose in chunks: the files of the whole, byte by byte, whatever the chunks and wherever they were made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hyoid import held
from hyoid.errors import InputError, UsageError
from hyoid.farm.splits import Extent, split_of
from hyoid.formats.npz import read_npz, write_npz
from hyoid.media import footage
from hyoid.report import SILENT
from hyoid.verbs import headpose, headpose_chunks
from hyoid.verbs.headpose import Job
from PIL import Image

from tests.farm.chunked import worked, written
from tests.verbs import head_files as files

LIGHT = ("json", "csv", "png", "take.npz", "bvh")
FRAMES = 23


@pytest.fixture
def asked(monkeypatch, tmp_path) -> list[dict]:
    """The systems' stand-ins: directions come from colours (tests/verbs/head_files.py)."""
    home = tmp_path / "stand_ins"
    home.mkdir()
    monkeypatch.setenv("HYOID_WEIGHTS", str(home / "kept"))
    return files.install(monkeypatch, home)


def job_of(shot: Path, folder: Path, suffixes=LIGHT, **options) -> Job:
    folder.mkdir(exist_ok=True)
    return Job(footage=shot, output=[folder / f"out.{suffix}" for suffix in suffixes], **options)


def sequence(folder: Path, frames: int = 9, broken=(3,)) -> Path:
    folder.mkdir()
    for frame in range(frames):
        x = 40 + 6 * frame
        Image.fromarray(files.picture(((x, 60, x + 50, 120), 5, 20))).save(folder / f"{frame:04d}.png")
    for frame in broken:
        (folder / f"{frame:04d}.png").write_bytes(b"broken")
    return folder


def plain(result: dict) -> dict:
    """A result without what differs between two runs of the same."""
    return {key: value for key, value in result.items() if key not in ("outputs", "elapsed", "frames_per_second")}


# --- equal to the whole -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", ["semiuhpe", "directmhp"])
def test_chunks_of_a_film_give_the_files_of_the_whole(asked, tmp_path, system):
    shot = files.film(tmp_path / "a.mp4", FRAMES, fps=5.0, hidden=range(8, 11))  # a key frame every ten frames
    whole = job_of(shot, tmp_path / "whole", (*LIGHT, "mp4"), system=system, person="all")
    result = headpose.run(whole, SILENT)
    for size in (1, 7, 100) if system == "semiuhpe" else (9,):
        job = job_of(shot, tmp_path / f"by{size}", (*LIGHT, "mp4"), system=system, person="all")
        told = headpose_chunks.finish(job, worked(headpose_chunks, job, tmp_path / f"parts{size}", size), SILENT)
        assert written(tmp_path / f"by{size}") == written(tmp_path / "whole")
        assert len(told["people"]) == 2
        assert plain(told) == plain(result)


@pytest.mark.parametrize("fps", [None, 24.0])
def test_pictures_that_fail_are_told_as_the_whole_tells_them(asked, tmp_path, fps):
    folder = sequence(tmp_path / "shots", broken=(3, 4))
    suffixes = LIGHT if fps else ("json", "csv", "png")
    result = headpose.run(job_of(folder, tmp_path / "whole", suffixes, fps=fps), SILENT)
    assert result["exit_code"] == 7
    for size in (1, 4):
        job = job_of(folder, tmp_path / f"by{size}", suffixes, fps=fps)
        told = headpose_chunks.finish(job, worked(headpose_chunks, job, tmp_path / f"parts{size}", size), SILENT)
        assert written(tmp_path / f"by{size}") == written(tmp_path / "whole")
        assert plain(told) == plain(result)
        assert [entry["name"] for entry in told["failed"]] == ["0003.png", "0004.png"]
    done = headpose_chunks.work(job, 2, 5, tmp_path / "some.npz", SILENT)
    assert [entry["frame"] for entry in done["failed"]] == [3, 4]
    assert "0003.png" in done["failed"][0]["error"]


def test_no_picture_that_can_be_used_is_refused_at_the_end_alone(asked, tmp_path):
    """A chunk of broken pictures is no reason to stop: others may be sound."""
    folder = sequence(tmp_path / "shots", 2, broken=(0, 1))
    job = job_of(folder, tmp_path / "out", ("json",))
    parts = worked(headpose_chunks, job, tmp_path / "parts", 1)
    with pytest.raises(InputError, match="none of its 2 pictures"):
        headpose_chunks.finish(job, parts, SILENT)
    assert written(tmp_path / "out") == {}


def test_one_picture_is_one_chunk(asked, tmp_path):
    shot = tmp_path / "a.png"
    Image.fromarray(files.picture(((100, 60, 150, 120), 10, 40))).save(shot)
    headpose.run(job_of(shot, tmp_path / "whole"), SILENT)
    job = job_of(shot, tmp_path / "out")
    assert headpose_chunks.extent(job) == Extent(1, usual=headpose_chunks.USUAL)
    headpose_chunks.finish(job, worked(headpose_chunks, job, tmp_path / "parts", 5), SILENT)
    assert written(tmp_path / "out") == written(tmp_path / "whole")


_ELSEWHERE = """
import sys
from pathlib import Path
import pytest
from hyoid.report import SILENT
from hyoid.verbs import headpose_chunks
from tests.farm.test_headpose_chunks import job_of
from tests.verbs import head_files
shot, home, folder, first, end = map(Path, sys.argv[1:])
with pytest.MonkeyPatch.context() as patch:
    head_files.install(patch, home)
    job, first, end = job_of(shot, folder), int(str(first)), int(str(end))
    headpose_chunks.work(job, first, end, folder / f"{first}.part.npz", SILENT)
"""


@pytest.mark.slow
def test_a_part_of_another_process_is_the_same_file(asked, tmp_path):
    shot = files.film(tmp_path / "a.mp4", 10)
    job = job_of(shot, tmp_path / "out")
    parts = worked(headpose_chunks, job, tmp_path / "parts", 4)
    words = [shot, tmp_path / "stand_ins", tmp_path / "there", 4, 8]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", _ELSEWHERE, *map(str, words)], check=True, env=environment)
    assert (tmp_path / "there/4.part.npz").read_bytes() == parts[1].read_bytes()


def test_frames_that_the_container_did_not_count_go_to_the_last_chunk(asked, tmp_path, monkeypatch):
    shot = files.film(tmp_path / "a.mp4", 10)
    headpose.run(job_of(shot, tmp_path / "whole"), SILENT)
    for count in (8, 13):
        monkeypatch.setattr(footage, "stated_frames", lambda path, count=count: count)
        job = job_of(shot, tmp_path / f"stated{count}")
        headpose_chunks.finish(job, worked(headpose_chunks, job, tmp_path / f"parts{count}", 3), SILENT)
        assert written(tmp_path / f"stated{count}") == written(tmp_path / "whole")


def test_a_worker_reads_each_network_once(asked, tmp_path):
    job = job_of(files.film(tmp_path / "a.mp4", 6), tmp_path / "out")
    with held.holding():
        worked(headpose_chunks, job, tmp_path / "parts", 2)
    assert sum("load" in entry for entry in asked) == 1  # the stand-ins of both share a loader and a file


# --- what is refused --------------------------------------------------------------------------------------------------


def test_the_extent_is_that_of_the_footage(asked, tmp_path):
    found = headpose_chunks.extent(job_of(files.film(tmp_path / "a.mp4", 10), tmp_path / "out"))
    assert (found.frames, found.grid, found.halo) == (10, 1, 0)
    assert headpose_chunks.extent(job_of(sequence(tmp_path / "shots"), tmp_path / "out", ("json",))).frames == 9
    assert not asked  # no network was read
    assert split_of("headpose") is headpose_chunks


@pytest.mark.parametrize("span", [(9, 10), (8, 10), (4, 4), (-1, 3)])
def test_a_chunk_that_is_none_is_a_wrong_use(asked, tmp_path, span):
    job = job_of(sequence(tmp_path / "shots"), tmp_path / "out", ("json",))
    with pytest.raises(UsageError, match="9 frames"):
        headpose_chunks.work(job, *span, tmp_path / "a.npz", SILENT)
    assert not (tmp_path / "a.npz").exists()


def damage(path: Path, change) -> None:
    arrays = read_npz(path)
    change(arrays)
    write_npz(path, arrays)


def _cut(arrays):
    arrays["boxes"] = arrays["boxes"][:-1]


def _not_finite(arrays):
    arrays["boxes"][0, 0] = np.nan


def _elsewhere(arrays):
    arrays["picture"][0] = 7


def _half(arrays):
    arrays["rotations"] = arrays["rotations"].astype(np.float32)


def _lacking(arrays):
    del arrays["entropy"]


def _text(arrays):
    arrays["document"] = arrays["document"][:-4]


@pytest.mark.parametrize(
    ("change", "words"),
    [(_cut, "has the shape"), (_not_finite, "not finite"), (_elsewhere, "in other pictures"), (_half, "of the type"),
     (_lacking, "lacks or adds entropy"), (_text, "damaged")],
)  # fmt: skip
def test_a_damaged_part_is_refused_by_name(asked, tmp_path, change, words):
    job = job_of(sequence(tmp_path / "shots"), tmp_path / "out", ("json",))
    parts = worked(headpose_chunks, job, tmp_path / "parts", 3)
    damage(parts[0], change)
    with pytest.raises(InputError, match=words) as caught:
        headpose_chunks.finish(job, parts, SILENT)
    assert "0.part.npz" in str(caught.value)
    assert written(tmp_path / "out") == {}


def test_a_part_that_was_cut_off_or_is_no_part_is_refused(asked, tmp_path):
    job = job_of(sequence(tmp_path / "shots"), tmp_path / "out", ("json",))
    parts = worked(headpose_chunks, job, tmp_path / "parts", 3)
    good = parts[1].read_bytes()
    for data in (good[: len(good) // 2], b"", b"text"):
        parts[1].write_bytes(data)
        with pytest.raises(InputError, match=r"3\.part\.npz"):
            headpose_chunks.finish(job, parts, SILENT)
    parts[1].unlink()
    with pytest.raises(InputError, match="does not exist"):
        headpose_chunks.finish(job, parts, SILENT)


def test_parts_that_do_not_belong_together_are_refused(asked, tmp_path):
    shots = sequence(tmp_path / "shots")
    job = job_of(shots, tmp_path / "out", ("json",))
    parts = worked(headpose_chunks, job, tmp_path / "parts", 3)
    others = worked(headpose_chunks, job_of(shots, tmp_path / "out", ("json",), smallest=3), tmp_path / "others", 3)
    for wrong, words in (
        ([*parts[:2], others[2]], "was made with other settings"),
        (others, "was made with other settings"),
        ([parts[0], parts[2]], "begins with frame 3"),
        ([parts[1], parts[0], parts[2]], "begins with frame 0"),
        (parts[:2], "end with frame 6"),
        ([], "end with frame 0"),
    ):
        with pytest.raises(InputError, match=words):
            headpose_chunks.finish(job, wrong, SILENT)
    (shots / "0004.png").rename(shots / "0004b.png")
    with pytest.raises(InputError, match="other pictures than the footage"):
        headpose_chunks.finish(job, parts, SILENT)
    (tmp_path / "stand_ins/w.safetensors").write_bytes(b"other weights")
    with pytest.raises(InputError, match="was made with other sources"):
        headpose_chunks.finish(job, [parts[0], *worked(headpose_chunks, job, tmp_path / "late", 3)[1:]], SILENT)


def test_frames_without_a_sure_number_are_refused(asked, tmp_path, monkeypatch):
    """Chunks that disagree on where a damaged film is."""
    job = job_of(files.film(tmp_path / "a.mp4", 8), tmp_path / "out")
    parts = worked(headpose_chunks, job, tmp_path / "parts", 4)
    inner = footage.frames
    monkeypatch.setattr(footage, "frames", lambda path, first, end: inner(path, first - 1, end and end - 1))
    headpose_chunks.work(job, 4, 8, parts[1], SILENT)
    with pytest.raises(InputError, match="not later than the one before"):
        headpose_chunks.finish(job, parts, SILENT)
