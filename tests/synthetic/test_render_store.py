# SPDX-License-Identifier: Apache-2.0
"""Renders of a training: the same for every speed, kept and found again, never mixed with others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.synthetic import heads, render_store
from hyoid.synthetic.heads import Settings
from hyoid.synthetic.render_store import Renders, RenderSet

from tests.synthetic import head_paintings

SETTINGS = Settings(size=32, width=64, height=64)
CROPS = RenderSet("crops", "crops", 3, SETTINGS, 10, 0, 30)
SCENES = RenderSet("scenes", "scenes", 3, SETTINGS, 5)


@pytest.fixture(autouse=True)
def _painted(monkeypatch):
    monkeypatch.setattr(heads, "crops", head_paintings.crops)
    monkeypatch.setattr(heads, "scene", head_paintings.scene, raising=False)
    monkeypatch.setattr(render_store, "PARTS", {"crops": 4, "scenes": 2})


def test_what_a_step_sees_follows_from_the_step():
    assert CROPS.parts == 3
    assert [CROPS.size_of(part) for part in range(3)] == [4, 4, 2]
    assert [CROPS.parts_at(step) for step in (0, 14, 15, 29, 30, 99)] == [1, 1, 2, 2, 3, 3]
    with Renders([CROPS]) as renders:
        late = renders.crops(["crops"], 40, 6, [7, 40])
        early = renders.crops(["crops"], 3, 6, [7, 3])
    with Renders([CROPS]) as renders:
        for found, wanted in (
            (renders.crops(["crops"], 3, 6, [7, 3]), early),
            (renders.crops(["crops"], 40, 6, [7, 40]), late),
        ):
            assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))
    first = head_paintings.crops(3, 0, 4, settings=SETTINGS)
    assert all((image == first.images).all((1, 2, 3)).any() for image in early[0])
    assert renders.told().startswith("10 renders, ")


def test_several_sets_are_seen_as_one():
    profiles = RenderSet("profiles", "crops", 4, replace(SETTINGS, region="side"), 6, 0, 30)
    with Renders([CROPS, profiles]) as renders:
        images, rotations = renders.crops(["crops", "profiles"], 40, 400, [7, 40])
        both = [renders.all_crops(name) for name in ("crops", "profiles")]
        early = renders.crops(["crops", "profiles"], 0, 400, [7, 0])[0]
    every = np.concatenate([part["images"] for part in both])
    rows = (images[:, None] == every).all((2, 3, 4)).argmax(1)
    assert np.array_equal(images, every[rows])
    assert np.array_equal(rotations, np.concatenate([part["rotations"] for part in both])[rows])
    assert np.bincount(rows, minlength=16).min() > 10  # each of the sixteen about as often
    rows = (early[:, None] == every).all((2, 3, 4)).argmax(1)
    assert set(rows.tolist()) == {0, 1, 2, 3, 10, 11, 12, 13}  # the first part of each


def test_scenes_keep_their_heads():
    with Renders([SCENES]) as renders:
        found = renders.all_scenes("scenes")
    for number in range(5):
        wanted = head_paintings.scene(3, number, settings=SETTINGS)
        assert np.array_equal(found.images[number], wanted.image)
        for own, true in (
            (found.boxes, wanted.boxes),
            (found.rotations, wanted.apparent),
            (found.visible, wanted.visible),
        ):
            assert np.array_equal(own[number], true)


def test_a_cache_is_used_again(tmp_path, monkeypatch):
    with Renders([CROPS, SCENES], cache=tmp_path) as renders:
        wanted, scenes = renders.all_crops("crops"), renders.all_scenes("scenes")
    assert sorted(path.name for path in (tmp_path / "crops").iterdir()) == [
        "000000.npz", "000001.npz", "000002.npz", "renders.json",
    ]  # fmt: skip
    asked: list[int] = []

    def crops(seed: int, first: int, count: int, *, settings: Settings) -> heads.Crops:
        asked.append(first)
        return head_paintings.crops(seed, first, count, settings=settings)

    monkeypatch.setattr(heads, "crops", crops)
    with Renders([CROPS, SCENES], cache=tmp_path) as renders:
        assert np.array_equal(renders.all_crops("crops")["images"], wanted["images"])
        assert all(map(np.array_equal, renders.all_scenes("scenes").boxes, scenes.boxes))
    assert asked == []
    with Renders([replace(CROPS, count=12)], cache=tmp_path) as renders:  # the last part was not whole
        assert np.array_equal(renders.all_crops("crops")["images"][:10], wanted["images"])
    assert asked == [8]
    with Renders([replace(CROPS, count=7)], cache=tmp_path) as renders:
        assert np.array_equal(renders.all_crops("crops")["boxes"], wanted["boxes"][:7])
    with Renders([replace(SCENES, count=3)], cache=tmp_path) as renders:
        assert len(renders.all_scenes("scenes").boxes) == 3
    assert asked == [8]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"seed": 4}, "seed"), ({"settings": replace(SETTINGS, held_out=True)}, "settings"), ({"kind": "scenes"}, "kind")],
)
def test_a_cache_of_other_renders_is_refused(tmp_path, change, said):
    Renders([CROPS], cache=tmp_path)
    with pytest.raises(InputError, match=f"other {said}"):
        Renders([replace(CROPS, **change)], cache=tmp_path)


def test_a_cache_of_another_renderer_is_refused(tmp_path, monkeypatch):
    Renders([CROPS], cache=tmp_path)
    monkeypatch.setattr(render_store, "_renderer", lambda: "another")
    with pytest.raises(InputError, match="other renderer"):
        Renders([CROPS], cache=tmp_path)


def test_a_damaged_cache_is_told(tmp_path):
    with Renders([CROPS], cache=tmp_path) as renders:
        renders.all_crops("crops")
    part = tmp_path / "crops" / "000001.npz"
    part.write_bytes(part.read_bytes()[:200])
    with Renders([CROPS], cache=tmp_path) as renders, pytest.raises(InputError, match="000001"):
        renders.all_crops("crops")
    (tmp_path / "crops" / "renders.json").write_text("[")
    with pytest.raises(InputError, match="is no list of renders"):
        Renders([CROPS], cache=tmp_path)


@pytest.mark.slow
def test_processes_render_what_this_one_does(tmp_path, monkeypatch):
    monkeypatch.undo()
    few = [
        RenderSet("crops", "crops", 3, SETTINGS, 6, 0, 30), RenderSet("scenes", "scenes", 3, SETTINGS, 3, 10, 10),
    ]  # fmt: skip
    with Renders(few) as renders:
        crops, scenes = renders.all_crops("crops"), renders.all_scenes("scenes")
    with Renders(few, workers=2, cache=tmp_path) as renders:
        for name, array in renders.all_crops("crops").items():
            assert np.array_equal(array, crops[name]), name
        found = renders.all_scenes("scenes")
        assert np.array_equal(found.images, scenes.images)
        assert all(map(np.array_equal, found.boxes, scenes.boxes))
        assert renders.told().startswith("9 renders, ")
    assert (tmp_path / "scenes" / "000000.npz").is_file()


@pytest.mark.slow
def test_what_goes_wrong_in_a_process_is_told_here(tmp_path):
    (tmp_path / "motion.npz").write_bytes(b"no motion")
    broken = RenderSet("scenes", "scenes", 3, replace(SETTINGS, motion=tmp_path), 2)
    with Renders([broken], workers=1) as renders, pytest.raises(InputError, match=r"motion\.npz|index\.csv"):
        renders.all_scenes("scenes")


def test_work_that_shall_end_leaves_no_part(tmp_path, monkeypatch):
    looked: list[bool] = []

    def stopped() -> bool:
        looked.append(True)
        return len(looked) > 1

    monkeypatch.setattr(render_store, "PARTS", {"crops": 10, "scenes": 2})
    assert render_store.render(CROPS, 0, stopped) is None
    assert len(looked) == 2
    assert list(Path(tmp_path).iterdir()) == []
