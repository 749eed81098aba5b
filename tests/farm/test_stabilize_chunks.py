# SPDX-License-Identifier: Apache-2.0
"""hyoid stabilize in chunks: the files of the whole, byte by byte, whatever the chunks and wherever they were made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hyoid.errors import InputError, UsageError
from hyoid.farm.splits import split_of
from hyoid.formats.npz import read_npz, write_npz
from hyoid.report import SILENT
from hyoid.verbs import stabilize, stabilize_chunks
from hyoid.verbs.stabilize import Job

from tests.farm.chunked import worked, written
from tests.verbs import stabilize_files as files

FRAMES = 11


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    """Maps of topologies stay out of the user's cache, and are shared by the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYOID_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def shot(tmp_path_factory) -> Path:
    """Frames of one person, of which the fifth is no neutral one and the eighth is of another size."""
    vertices = files.performance(FRAMES + 4)[0][4:]
    vertices[7] *= 1.6
    return files.write_npz(tmp_path_factory.mktemp("performance") / "shot.npz", vertices)


@pytest.fixture(scope="module")
def parts(shot, tmp_path_factory) -> list[Path]:
    """Parts of four frames."""
    folder = tmp_path_factory.mktemp("parts")
    return worked(stabilize_chunks, job_of(shot, folder / "out"), folder, 4, failed=[])


def job_of(meshes: Path, folder: Path, **options) -> Job:
    """A job with an output of every light type."""
    folder.mkdir(exist_ok=True)
    output = [folder / "still.npz", folder / "still.npy", folder / "still"]
    motion = [folder / "head.csv", folder / "head.take.npz"]
    return Job(meshes=[meshes], output=output, motion=motion, report=folder / "report.json", **options)


def plain(result: dict) -> dict:
    """A result without what differs between two runs of the same."""
    return {key: value for key, value in result.items() if key not in ("outputs", "seconds")}


# --- equal to the whole -----------------------------------------------------------------------------------------------


def test_chunks_give_the_files_of_the_whole_and_tell_the_same_refused_frames(shot, parts, tmp_path):
    """The target is the most neutral of all frames, and the motion is smoothed over the seams of chunks."""
    result = stabilize.run(job_of(shot, tmp_path / "whole", smooth=0.2), SILENT)
    assert result["exit_code"] == 7
    assert list(result["refused"]) == ["7"]
    for size in (1, 4, 100):
        job = job_of(shot, tmp_path / f"by{size}", smooth=0.2)
        made = parts if size == 4 else worked(stabilize_chunks, job, tmp_path / f"parts{size}", size, failed=[])
        told = stabilize_chunks.finish(job, made, SILENT)
        assert written(tmp_path / f"by{size}") == written(tmp_path / "whole")
        assert plain(told) == plain(result)


@pytest.mark.slow
def test_a_picture_of_the_result_is_that_of_the_whole(shot, parts, tmp_path):
    for name in "ab":
        job = Job(meshes=[shot], report=tmp_path / f"{name}.png", target="0", method="irls", region="face")
        if name == "a":
            stabilize.run(job, SILENT)
        else:  # parts know nothing of method, region and target frame, where it is the first one
            stabilize_chunks.finish(job, parts, SILENT)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_folder_of_expressions_with_a_neutral_one(tmp_path):
    names = ["smile", "neutral", "blink", "jaw"]
    folder = files.write_folder(tmp_path / "in", files.performance(10)[0][[3, 0, 5, 7]], names)
    stabilize.run(job_of(folder, tmp_path / "whole", method="procrustes"), SILENT)
    job = job_of(folder, tmp_path / "out", method="procrustes")
    told = stabilize_chunks.finish(job, worked(stabilize_chunks, job, tmp_path / "parts", 3, failed=[]), SILENT)
    assert told["target"] == "neutral"
    assert written(tmp_path / "out") == written(tmp_path / "whole")


_ELSEWHERE = """
import sys
from pathlib import Path
from hyoid.report import SILENT
from hyoid.verbs import stabilize_chunks
from tests.farm.test_stabilize_chunks import job_of
shot, folder, first, end = map(Path, sys.argv[1:])
stabilize_chunks.work(job_of(shot, folder), int(str(first)), int(str(end)), folder / "made.npz", SILENT)
"""


@pytest.mark.slow
def test_a_part_of_another_process_with_an_empty_cache_is_the_same_file(shot, parts, tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HYOID_CACHE": str(tmp_path / "cache")}
    words = [shot, tmp_path / "there", 4, 8]
    subprocess.run([sys.executable, "-c", _ELSEWHERE, *map(str, words)], check=True, env=environment)
    assert (tmp_path / "there/made.npz").read_bytes() == parts[1].read_bytes()


# --- what is refused --------------------------------------------------------------------------------------------------


def test_the_extent_is_that_of_the_meshes(shot, tmp_path, monkeypatch):
    """Chunks of text are small, and of large meshes smaller still."""
    from hyoid.systems.facestab import checkpoint

    monkeypatch.setattr(checkpoint, "load", None)  # no network is read
    vertices = files.performance(2)[0]
    folder = files.write_folder(tmp_path / "in", vertices)
    found, text = (stabilize_chunks.extent(job_of(path, tmp_path / "out")) for path in (shot, folder))
    assert (found.frames, found.grid, found.halo) == (FRAMES, 1, 0)
    assert text.frames == 2
    assert 1000 < text.usual < 10_000 < found.usual
    assert split_of("stabilize") is stabilize_chunks


@pytest.mark.parametrize("span", [(FRAMES, FRAMES + 1), (FRAMES - 1, FRAMES + 1), (4, 4), (-1, 3)])
def test_a_chunk_that_is_none_is_a_wrong_use(shot, tmp_path, span):
    with pytest.raises(UsageError, match=f"{FRAMES} frames"):
        stabilize_chunks.work(job_of(shot, tmp_path / "out"), *span, tmp_path / "a.npz", SILENT)
    assert not (tmp_path / "a.npz").exists()


def _cut(arrays):
    arrays["canonical"] = arrays["canonical"][:-1]


def _not_finite(arrays):
    arrays["canonical"][1, 5, 0] = np.nan


def _beyond(arrays):
    arrays["vertices"][3, 0] = 1 << 20


def _moved(arrays):
    arrays["mask"][0] = 1 - arrays["mask"][0]


def _lacking(arrays):
    del arrays["shares"]


def _text(arrays):
    arrays["document"] = arrays["document"][:-4]


@pytest.mark.parametrize(
    ("change", "words"),
    [(_cut, "of the shape"), (_not_finite, "not finite"), (_beyond, "onto other vertices"),
     (_moved, "another scale or map"), (_lacking, "lacks or adds shares"), (_text, "damaged")],
)  # fmt: skip
def test_a_damaged_part_is_refused_by_name(shot, parts, tmp_path, change, words):
    arrays = read_npz(parts[0])
    change(arrays)
    write_npz(tmp_path / "bad.npz", arrays)
    with pytest.raises(InputError, match=words) as caught:
        stabilize_chunks.finish(job_of(shot, tmp_path / "out"), [tmp_path / "bad.npz", *parts[1:]], SILENT)
    assert "bad.npz" in str(caught.value)
    assert written(tmp_path / "out") == {}


def test_a_part_that_was_cut_off_or_is_another_verbs_is_refused(shot, parts, tmp_path):
    good, bad = parts[1].read_bytes(), tmp_path / "bad.npz"
    other = read_npz(parts[1])
    other["document"] = np.frombuffer(other["document"].tobytes().replace(b'"stabilize"', b'"headpose"'), np.uint8)
    for data in (good[: len(good) // 2], b"", None):
        bad.write_bytes(data) if data is not None else write_npz(bad, other)
        with pytest.raises(InputError, match=r"bad\.npz"):
            stabilize_chunks.finish(job_of(shot, tmp_path / "out"), [parts[0], bad, parts[2]], SILENT)


def test_parts_that_do_not_belong_together_are_refused(shot, parts, tmp_path):
    job = job_of(shot, tmp_path / "out")
    inches = worked(stabilize_chunks, job_of(shot, tmp_path / "out", unit="inch"), tmp_path / "inches", 8, failed=[])
    for wrong, words in (
        ([*parts[:2], inches[1]], "made with other units"),
        (inches, "another scale or map"),
        ([parts[0], parts[2]], "begins with frame 4"),
        ([parts[1], parts[0], parts[2]], "begins with frame 0"),
        (parts[:2], "end with frame 8"),
        ([], "end with frame 0"),
    ):
        with pytest.raises(InputError, match=words):
            stabilize_chunks.finish(job, wrong, SILENT)
    vertices = files.performance(FRAMES + 4)[0][4:]
    again = files.write_npz(tmp_path / "shot.npz", vertices, names=np.array([f"take {n}" for n in range(FRAMES)]))
    with pytest.raises(InputError, match="other frames than the meshes"):
        stabilize_chunks.finish(job_of(again, tmp_path / "out"), parts, SILENT)
    with pytest.raises(InputError, match="made with other vertices of the first mesh"):
        stabilize_chunks.finish(job_of(shot, tmp_path / "out", target="3"), parts, SILENT)
