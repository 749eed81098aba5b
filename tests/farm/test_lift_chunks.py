# SPDX-License-Identifier: Apache-2.0
"""hyoid lift in chunks: the files of the whole, byte by byte, whatever the chunks and wherever they were made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hyoid import held
from hyoid.errors import InputError, UsageError
from hyoid.farm.splits import split_of
from hyoid.formats import lifted_npz
from hyoid.formats.keypoints import LAYOUTS, Keypoints
from hyoid.formats.npz import read_npz, write_npz
from hyoid.report import SILENT
from hyoid.systems.hopfir.infer import BATCH
from hyoid.systems.ktpformer import checkpoint
from hyoid.verbs import lift, lift_chunks, lift_people
from hyoid.verbs.lift import Job

from tests.farm.chunked import worked, written
from tests.motion import walks
from tests.systems import ktpformer_files
from tests.verbs import lift_files as files

pytest.importorskip("torch")

LIGHT = ("take.npz", "bvh", "csv", "lifted.npz")


def crossing(seconds: float = 2.0, fps: float = 30) -> np.ndarray:
    """(F, 2, 17, 2) two who pass each other, in any order, with a frame, a stretch and joints that were not seen."""
    one, other = (
        files.keypoints(
            walks.walk(seconds=seconds, fps=fps, heading=side * np.pi / 2), distance=distance, seed=distance
        )
        for side, distance in ((1, 5), (-1, 7))
    )
    one[9] = np.nan
    one[20:34] = np.nan
    other[5:15, 3] = np.nan
    both = np.stack([one, other], 1)
    both[::2] = both[::2, ::-1]
    return both


def job_of(shot: Path, folder: Path, suffixes=LIGHT, **options) -> Job:
    folder.mkdir(exist_ok=True)
    return Job(keypoints=shot, output=[folder / f"out.{suffix}" for suffix in suffixes], **options)


def plain(result: dict) -> dict:
    """A result without what differs between two runs of the same."""
    return {key: value for key, value in result.items() if key not in ("outputs", "elapsed")}


def equal_files(shot: Path, tmp_path: Path, sizes: tuple[int | None, ...], suffixes=LIGHT, **options) -> dict:
    """Check that parts of every size give the files and the result of the whole, and give that result."""
    whole = lift.run(job_of(shot, tmp_path / "whole", suffixes, **options), SILENT)
    assert written(tmp_path / "whole")
    for size in sizes:
        job = job_of(shot, tmp_path / f"by{size}", suffixes, **options)
        told = lift_chunks.finish(job, worked(lift_chunks, job, tmp_path / f"parts{size}", size), SILENT)
        assert written(tmp_path / f"by{size}") == written(tmp_path / "whole")
        assert plain(told) == plain(whole)
    return whole


# --- equal to the whole -----------------------------------------------------------------------------------------------


def test_chunks_give_the_files_of_the_whole(tmp_path):
    shot = files.write(tmp_path / "two.npz", crossing())
    with held.holding():
        told = equal_files(shot, tmp_path, (13, 1000), person="all")
    assert len(told["people"]) == 2
    assert written(tmp_path / "by13").keys() >= {f"out.person_0{n}.{kind}" for n in (1, 2) for kind in LIGHT[:3]}


def test_single_pictures_are_cut_where_their_batches_are(tmp_path):
    """141 frames are two batches of 64 and a rest."""
    points = files.walking(seconds=4.7)
    points[50:60] = np.nan
    shot = files.write(tmp_path / "one.npz", points)
    job = job_of(shot, tmp_path / "whole", system="hopfir")
    assert lift_chunks.extent(job).chunks(1) == [(0, BATCH), (BATCH, 2 * BATCH), (2 * BATCH, 141)]
    equal_files(shot, tmp_path, (1, None), ("lifted.npz", "take.npz"), system="hopfir", fps=24)


@pytest.fixture
def small(tmp_path) -> Path:
    """A KTPFormer of windows of nine frames that has learned from 30 frames a second, but nothing."""
    path = tmp_path / "small.safetensors"
    model = checkpoint.Model(ktpformer_files.SMALL, ktpformer_files.drawn(), {"fps": 30.0, "licence": "CC0-1.0"})
    checkpoint.save(path, model)
    return path


@pytest.mark.parametrize("shown", ["as they are", "resampled", "slower", "uneven"])
@pytest.mark.parametrize("size", [1, 7])
def test_frames_have_the_numbers_of_the_whole_wherever_they_are_cut(tmp_path, small, shown, size):
    """At 60 and at 12 frames a second, and where frames come at uneven times, the network sees frames of its own."""
    fps = {"as they are": 30.0, "resampled": 60.0, "slower": 12.0}.get(shown)
    points = files.walking(seconds=2.0)[:40]
    points[11:14] = np.nan
    random = np.random.default_rng(1)
    times = None if fps else np.cumsum(random.uniform(0.01, 0.06, len(points)))
    shot = files.write(tmp_path / "one.npz", points, fps=fps, times=times)
    job = job_of(shot, tmp_path / "out", weights=small)
    whole = lift_people.lift(job, SILENT)
    parts = worked(lift_chunks, job, tmp_path / "parts", size)
    assert len(parts) == -(-40 // size)
    found = lift_chunks._joined(job, parts)
    wanted, arrays = lifted_npz.arrays_of(whole), lifted_npz.arrays_of(found)
    assert all(np.array_equal(wanted[name], arrays[name], equal_nan=True) for name in wanted)
    assert lifted_npz.document_of(found) == lifted_npz.document_of(whole)
    # What the halo is told to be: frames farther away have no say.
    extent = lift_chunks.extent(job)
    assert extent.halo == {"as they are": 8, "resampled": 20, "slower": 4}.get(shown, extent.halo)


def test_who_is_who_is_found_once_by_a_worker(tmp_path, small, monkeypatch):
    """A worker keeps it like a network; another clip under the same name is followed anew."""
    asked = []
    follow = lift_people.follow
    monkeypatch.setattr(lift_people, "follow", lambda *given: asked.append(1) or follow(*given))
    shot = files.write(tmp_path / "one.npz", files.walking()[:20])
    job = job_of(shot, tmp_path / "out", weights=small)
    with held.holding():
        worked(lift_chunks, job, tmp_path / "parts", 5)
        assert len(asked) == 1
        files.write(shot, files.walking(seed=5)[:20])
        worked(lift_chunks, job, tmp_path / "parts", 10)
        assert len(asked) == 2


# --- what is one chunk ------------------------------------------------------------------------------------------------


def test_lifted_people_are_one_chunk(tmp_path):
    points = files.walking(seconds=1.0)
    lift.run(job_of(files.write(tmp_path / "one.npz", points), tmp_path, ("lifted.npz",), system="hopfir"), SILENT)
    shot = tmp_path / "out.lifted.npz"
    assert lift_chunks.extent(job_of(shot, tmp_path / "out")).chunks(1) == [(0, 30)]
    equal_files(shot, tmp_path, (1,), fps=25)


def test_a_film_is_looked_at_once(tmp_path, monkeypatch):
    """The detector stands in: what it finds reaches ``finish`` through the part."""
    from hyoid.media import pose_detector, video

    film = tmp_path / "film.mp4"
    video.write(film, (np.full((72, 128, 3), 9 * n, np.uint8) for n in range(12)), 30)
    points, looked = files.walking()[:12], []

    def detect(path, model=None, *, people=1, report=SILENT):
        looked.append(path)
        trust = np.ones(points.shape[:2])
        return Keypoints(
            LAYOUTS["human36m17"], "seventeen joints", "a stand-in", 12, 0, np.arange(12), points, trust, trust.mean(1),
            np.full(12, -1), None, None, *files.SIZE,
        )  # fmt: skip

    monkeypatch.setattr(pose_detector, "detect", detect)
    equal_files(film, tmp_path, (1,), ("take.npz", "lifted.npz"), system="hopfir")
    assert len(looked) == 2  # once for the whole, once for its only chunk


# --- what cannot be ---------------------------------------------------------------------------------------------------


def test_a_farm_finds_how_lift_is_split(tmp_path, small):
    assert split_of("lift") is lift_chunks
    shot = files.write(tmp_path / "two.npz", crossing())
    few, many = (lift_chunks.extent(job_of(shot, tmp_path / "out", person=who)).usual for who in ("main", "all"))
    assert few == pytest.approx(2 * many, rel=0.01)  # a minute's work
    assert 5000 < few < 20000


@pytest.mark.parametrize(("first", "end"), [(20, 40), (30, 31), (5, 5), (-1, 3)])
def test_a_chunk_beyond_the_end_is_refused(tmp_path, small, first, end):
    shot = files.write(tmp_path / "one.npz", files.walking()[:30])
    job = job_of(shot, tmp_path / "out", weights=small)
    with pytest.raises(UsageError, match="of the 30 frames"):
        lift_chunks.work(job, first, end, tmp_path / "a.part.npz", SILENT)
    assert not list(tmp_path.glob("*.part*"))


def test_parts_that_are_damaged_or_foreign_are_refused(tmp_path):
    shot = files.write(tmp_path / "one.npz", files.walking(seconds=5.0)[:130])
    job = job_of(shot, tmp_path / "out", system="hopfir")
    parts = worked(lift_chunks, job, tmp_path / "parts", 64)

    def refused(paths: list[Path], what: str, asked: Job = job) -> None:
        with pytest.raises(InputError, match=what) as found:
            lift_chunks.finish(asked, paths, SILENT)
        assert "part.npz" in str(found.value) or "end with frame" in what
        assert written(tmp_path / "out") == {}

    def changed(**arrays: np.ndarray) -> list[Path]:
        write_npz(tmp_path / "changed.part.npz", {**read_npz(parts[1]), **arrays})
        return [parts[0], tmp_path / "changed.part.npz", parts[2]]

    refused([parts[0], parts[2]], "begins with frame 64")
    refused(parts[:2], "end with frame 128")
    refused([parts[1], parts[0], parts[2]], "begins with frame 0")
    own = read_npz(parts[1])
    refused(changed(**{name: array[:-1] if name == "times" else array[:, :-1] for name, array in own.items()
                       if name in lift_chunks._LAYOUT}), "holds 63 frames")  # fmt: skip
    refused(changed(joints=np.full_like(own["joints"], np.nan)), "not finite")
    refused(changed(times=own["times"][::-1]), "rise")
    (tmp_path / "cut.part.npz").write_bytes(parts[1].read_bytes()[:-200])
    refused([parts[0], tmp_path / "cut.part.npz", parts[2]], "not a sound .npz")
    refused(parts, "other settings", job_of(shot, tmp_path / "out", system="hopfir", confidence=0.3))
    files.write(shot, files.walking(seconds=5.0, seed=3)[:130])
    refused(parts, "other keypoints")
