# SPDX-License-Identifier: Apache-2.0
"""A render in chunks is the render: the same bytes; parts that are missing or of another scene are refused."""

from __future__ import annotations

import json
import zipfile

import pytest
from hyoid.errors import InputError
from hyoid.farm.splits import split_of
from hyoid.media import video
from hyoid.report import Report
from hyoid.verbs import render, render_chunks

from tests.blender import scenes

SILENT = Report()
FACTS = {"first": 1, "last": 2, "start": 1, "fps": 24.0, "engine": "cycles", "device": "cpu", "sources": []}


def job_of(folder, scene="scene.blend", **options):
    outputs = [folder / "a.####.png", folder / "a.##.exr", folder / "a.mp4", folder / "still.png"]
    return render.Job.model_validate({"scene": scene, "output": outputs, "device": "cpu", **options})


def test_the_farm_knows_that_it_can_be_cut():
    assert split_of("render") is render_chunks


@pytest.mark.blender
def test_chunks_give_the_files_of_the_whole(tmp_path):
    """Four frames, of which a take of another rate gives two and the scene's own end is later; cut after the first."""
    take = scenes.write_take(tmp_path / "jaw.take.npz", [0, 1, 0, 1, 0], 60)
    options = {"take": take, "first": 2, "last": 4, "frame": 3, "seed": 5}
    whole, chunked = (job_of(tmp_path / name, scenes.folder() / "shot.blend", **options) for name in "ab")
    expected = render.run(whole, SILENT)
    parts = [tmp_path / f"part{number}" for number in range(2)]
    told = [
        render_chunks.work(chunked, *ends, part, SILENT) for part, ends in zip(parts, [(0, 1), (1, 3)], strict=True)
    ]
    assert told == [{"frames": 1}, {"frames": 2}]
    result = render_chunks.finish(chunked, parts, SILENT)
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert len(files) == 3 + 3 + 1 + 1 + 4  # pictures, film, still, and what each output was made from
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == files
    assert [path.replace(str(tmp_path / "b"), str(tmp_path / "a")) for path in result.pop("outputs")] == expected.pop(
        "outputs"
    )
    assert result == expected
    assert video.probe(tmp_path / "b/a.mp4").frames == 3
    assert files["still.png"] == files["a.0003.png"]


def test_a_job_that_tells_its_frames_can_be_cut_before_its_take_is_made(tmp_path):
    missing = {"take": tmp_path / "later.take.npz", "first": 11, "last": 40}
    assert render_chunks.extent(job_of(tmp_path, tmp_path / "shot.blend", **missing)).chunks() == [
        (0, 10), (10, 20), (20, 30),
    ]  # fmt: skip


@pytest.mark.blender
def test_the_extent_is_that_of_the_take_at_the_rate_of_the_scene(tmp_path):
    """The scene runs at 24 frames a second and keeps its rate: half a second of a take at 30 is twelve frames."""
    take = scenes.write_take(tmp_path / "jaw.take.npz", [0.0] * 15)
    found = render_chunks.extent(job_of(tmp_path, scenes.folder() / "two.blend", take=take))
    assert (found.frames, found.grid, found.halo) == (12, 1, 0)
    assert found.chunks() == [(0, 10), (10, 12)]
    own = render_chunks.extent(job_of(tmp_path, scenes.folder() / "two.blend", first=5))
    assert own.frames == 36  # the scene ends at frame 40


def write_part(path, facts, numbers):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("facts.json", json.dumps(facts))
        for number in numbers:
            for suffix in (".png", ".exr", ".film.png"):
                archive.writestr(f"{number}{suffix}", b"picture")
    return path


@pytest.mark.parametrize(
    ("second", "numbers", "text"),
    [
        (FACTS, [], "frame 2 is in none of the 2 parts"),
        (FACTS | {"engine": "eevee"}, [2], "was rendered with engine eevee; expected cycles as part0"),
        (None, [], "is no whole part of a render"),
    ],
    ids=["missing", "another engine", "damaged"],
)
def test_parts_that_do_not_make_a_whole_are_refused(second, numbers, text, tmp_path):
    parts = [write_part(tmp_path / "part0", FACTS, [1]), tmp_path / "part1"]
    if second is None:
        parts[1].write_bytes(parts[0].read_bytes()[:40])
    else:
        write_part(parts[1], second, numbers)
    with pytest.raises(InputError, match=text):
        render_chunks.finish(job_of(tmp_path / "out"), parts, SILENT)
    assert not (tmp_path / "out/a.mp4").exists()


def test_machines_may_differ_in_their_gpu(tmp_path):
    """A farm has several kinds; the pictures go where they belong all the same."""
    parts = [
        write_part(tmp_path / f"part{n}", FACTS | {"device": device}, [n + 1])
        for n, device in enumerate(("optix: A", "optix: B"))
    ]
    job = render.Job.model_validate({"scene": "scene.blend", "output": [tmp_path / "out/a.#.png"]})
    assert render_chunks.finish(job, parts, SILENT)["frames"] == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.#.png.json", "a.1.png", "a.2.png"]
