# SPDX-License-Identifier: Apache-2.0
"""Sheets of what the bench of directions of heads found, of what went wrong, and the figures in the cards."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.geometry import head_angles
from hyoid.media import head_overlay
from hyoid.synthetic import heads
from hyoid.verbs.bench import load
from PIL import Image

BENCH = Path(__file__).resolve().parents[2] / "bench"
headpose = load(BENCH / "headpose.py")

import _head_cards as cards  # noqa: E402  the bench folder is on the path now
import _head_methods as methods  # noqa: E402
import _head_photographs as photographs  # noqa: E402
import _head_pictures as pictures  # noqa: E402

NOSE = head_overlay.AXES[2]


def turned(*yaws: float) -> np.ndarray:
    return head_angles.matrices(np.array([[0, yaw, 0] for yaw in yaws], float).reshape(-1, 3))


def view(name: str, yaws: tuple[float, ...], found: int, side: float = 40, light: float = 100, extra: bool = False):
    """Heads side by side, the first ones found as they are, and perhaps a box on nothing."""
    truth = np.array([[60 * place, 10, 60 * place + side, 10 + side] for place in range(len(yaws))], float)
    boxes = np.concatenate([truth[:found], np.array([[5.0, 80, 35, 110]])[: int(extra)]])
    rotations = np.concatenate([turned(*yaws)[:found], turned(0)[: int(extra)]])
    image = np.full((120, 320, 3), int(light), np.uint8)
    confidence, entropy = np.linspace(0.9, 0.5, len(boxes)), np.full(len(boxes), -6.0)
    return pictures.View(
        name, lambda: image, light, boxes, confidence, rotations, entropy, truth, turned(*yaws),
        np.ones(len(yaws), bool),
    )  # fmt: skip


def test_a_picture_of_each_kind_is_chosen_by_its_truth():
    views = [
        view("0", (0, 10, 20, 30, 40), 1), view("1", (0,), 1, side=100), view("2", (180, 170), 0),
        view("3", (5, 10), 2, light=9), view("4", (90, 80), 2), view("5", (0, 0, 0), 0, side=12), view("6", (0,), 0),
    ]  # fmt: skip
    told = [one.name for one in pictures.chosen(views, 6)]
    assert told == [
        "hats (6)", "a crowd (0)", "a close-up (1)", "seen from behind (2)", "the dark (3)", "seen from the side (4)",
        "small heads (5)",
    ]  # fmt: skip
    assert [one.name for one in pictures.chosen(views[:1])] == ["a crowd (0)"]
    assert pictures.chosen([], 3) == []


def test_missed_heads_and_boxes_on_nothing():
    some = [view("a", (0, 90), 1, extra=True), view("b", (170,), 0, side=55), view("c", (0,), 0, side=20)]
    missed, false = pictures.lost(some)
    assert [one.facts for one in missed] == [
        {"picture": "b", "pixels": 55, "yaw": 170}, {"picture": "a", "pixels": 40, "yaw": 90},
    ]  # fmt: skip
    assert [(one.facts, one.truth) for one in false] == [({"picture": "a", "confidence": 0.5}, None)]


def inked(image: np.ndarray, ink: tuple[int, ...]) -> tuple[float, float]:
    """The middle, right and down, of what has an ink."""
    down, right = np.nonzero(np.abs(image.astype(int) - ink).max(-1) < 40)
    return float(right.mean()), float(down.mean())


def test_a_tile_shows_both_noses():
    """The nose that was found points to the left of the picture, the true one to the right."""
    image = np.zeros((100, 100, 3), np.uint8)
    box = np.array([30.0, 30, 70, 70])
    facts = {"yaw": -90}

    def drawn(found: np.ndarray | None, truth: np.ndarray | None) -> np.ndarray:
        return pictures.tile(pictures.case(lambda: image, box, found, truth, 180.0, -5.0, facts, nose=True))

    middle = drawn(None, None).shape[1] / 2
    assert inked(drawn(turned(90)[0], None), NOSE)[0] < middle - 10
    assert inked(drawn(None, turned(-90)[0]), (255, 255, 255))[0] > middle + 10
    assert pictures.case(lambda: image, box, None, None, 180.4, float("nan"), facts).facts["entropy"] is None


def test_the_worst_crops_of_each_region_are_kept():
    album = pictures.Album(lambda _: np.zeros((9, 9, 3), np.uint8))
    truth = turned(0, 10, 20, 30, 40, 90, 170)
    found = turned(1, 30, 25, 130, 43, 80, 0)
    images, boxes = np.zeros((7, 60, 60, 3), np.uint8), np.tile([15.0, 15, 45, 45], (7, 1))
    album.add_crops("usual", images, boxes, found, truth, np.full(7, -6.0))
    told = {region: [one.facts["crop"] for one in cases] for region, cases in album.crops["usual"].items()}
    assert told == {"front": [3, 1, 2, 4], "side": [5], "back": [6]}
    assert album.crops["usual"]["back"][0].lines == ("170 degrees off", "entropy -6.0, yaw 170")
    rows = [(region, cases) for region, cases in album.crops["usual"].items()]
    sheet = pictures.failures([*rows, ("nothing", [])])
    assert sheet.shape[0] == 3 * pictures.failures(rows[1:2]).shape[0]


@pytest.fixture
def drawn(monkeypatch, tmp_path) -> dict:
    """The bench on plain pictures in place of rendered people, with its sheets."""
    truth, boxes = turned(0, 170), np.array([[10.0, 10, 60, 60], [100, 10, 150, 60]])
    asked: list[int] = []

    def scene(_seed: int, number: int, *, settings: heads.Settings) -> SimpleNamespace:
        asked.append(number)
        image = np.random.default_rng(number).integers(0, 255, (96, 192, 3), dtype=np.uint8)
        return SimpleNamespace(
            image=image, boxes=boxes, apparent=truth, rotations=truth, visible=np.ones(2), landmark_names=("chin",)
        )

    def crops(_seed: int, _first: int, count: int, *, settings: heads.Settings) -> heads.Crops:
        images = np.full((count, 96, 96, 3), 90, np.uint8)
        yaws = turned(*np.linspace(-170, 170, count))
        return heads.Crops(images, yaws, np.tile([20.0, 20, 70, 70], (count, 1)), np.ones(count))

    def estimate(_image: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.tile(np.eye(3), (len(given), 1, 1)), np.arange(len(given)) - 5.0

    monkeypatch.setattr(heads, "scene", scene)
    monkeypatch.setattr(heads, "crops", crops)
    monkeypatch.setattr(headpose, "opponents", lambda *_: ({"frontal": methods.always(np.eye(3))}, 7))
    monkeypatch.setattr(pictures, "with_hats", lambda *_: 1)
    found = methods.Heads(boxes[:1], np.array([0.9]), truth[:1])
    facts = {name: {"weights": f"{name}.safetensors", "sha256": "ab" * 32} for name in ("SemiUHPE", "DirectMHP")}
    networks = methods.Networks(estimate, lambda _: found, facts)
    told = headpose.run(count=20, seed=3, pictures=tmp_path / "out", networks=networks)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert asked[:10] == list(range(10))
    return told


def test_the_bench_draws_its_sheets(drawn, tmp_path):
    files = [Path(path) for path in drawn["drawn"]["files"]]
    assert [path.name for path in files] == [pictures.SCENES, pictures.FAILURES, pictures.EXAMPLE]
    for path in files:
        assert path.parent == tmp_path / "out"
        assert path.stat().st_size <= pictures.LARGEST_FILE
        with Image.open(path) as picture:
            assert picture.format == "JPEG"
            assert picture.width >= 640
    told = drawn["drawn"]
    assert {one["region"] for one in told["worst"]} == {"front", "side", "back"}
    assert {one["domain"] for one in told["worst"]} == {"usual", "shifted"}
    assert (told["missed_heads"], told["false_boxes"], len(told["missed"])) == (10, 0, 8)
    assert drawn["pictures"]["detection"]["recall"] == 0.5
    assert headpose.show(drawn).splitlines()[-1].startswith("Drawn: ")


def test_figures_come_into_the_cards(drawn, tmp_path):
    for folder in cards.SYSTEMS:
        (tmp_path / folder).mkdir()
        text = f"# A\n\n{cards.BEGIN}\nold\n{cards.END}\n\nB\n\n{cards.BEGIN_PHOTOGRAPHS}\nkept\n{cards.END}\n"
        (tmp_path / folder / "card.md").write_text(text, encoding="utf-8")
    (tmp_path / "told.json").write_text(json.dumps({"event": "start"}) + "\n" + json.dumps({"result": drawn}))
    cards.main([str(tmp_path / "told.json"), "--models", str(tmp_path)])
    written = {folder: (tmp_path / folder / "card.md").read_text(encoding="utf-8") for folder in cards.SYSTEMS}
    for whole in written.values():
        assert whole.startswith(f"# A\n\n{cards.BEGIN}\n\n`")
        assert "old" not in whole
        assert whole.endswith(f"{cards.END}\n\nB\n\n{cards.BEGIN_PHOTOGRAPHS}\nkept\n{cards.END}\n")
    assert "20 heads in crops of another domain; degrees." in written["semiuhpe"]
    assert "- back, usual renders, crop 0: 170 degrees off" in written["semiuhpe"]
    assert "20 heads in pictures; degrees." in written["directmhp"]
    assert "10 heads were missed and 0 boxes have no head" in written["directmhp"]
    assert "average precision at IoU 0.5 at least 0.85: no" in written["directmhp"]
    assert "median at most" not in written["directmhp"]


def test_cards_without_marks_and_files_without_figures_are_told(tmp_path):
    for folder in cards.SYSTEMS:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "card.md").write_text("# A\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"card.md: has no block for the figures"):
        cards.replaced(tmp_path / "semiuhpe" / "card.md", cards.BEGIN, "x")
    (tmp_path / "told.json").write_text("{}")
    with pytest.raises(InputError, match=r"told.json: holds no figures"):
        cards.result_in(tmp_path / "told.json")
    (tmp_path / "told.json").write_text("no figures")
    with pytest.raises(InputError, match=r"told.json: cannot be read as JSON"):
        cards.result_in(tmp_path / "told.json")


def test_the_cards_that_come_with_hyoid_have_their_blocks():
    for folder in cards.SYSTEMS:
        card = BENCH.parent / "models" / folder / "card.md"
        for begin in (cards.BEGIN, cards.BEGIN_PHOTOGRAPHS):
            assert f"{begin}\n\nfigures\n\n{cards.END}" in cards.replaced(card, begin, "figures")


def test_photographs_are_drawn(tmp_path):
    Image.fromarray(np.full((100, 200, 3), 60, np.uint8)).save(tmp_path / "a.png")
    marked = [
        {"box": [10, 10, 50, 50], "yaw": 0, "pitch": 10}, {"box": [60, 10, 100, 50], "yaw": 170, "pitch": 0},
        {"box": [110, 10, 150, 50]},
    ]  # fmt: skip
    (tmp_path / "heads.json").write_text(json.dumps({"pictures": {"a.png": marked}}))
    boxes = np.array([[10.0, 10, 50, 50], [150, 60, 190, 95]])

    def estimate(_image: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.tile(np.eye(3), (len(given), 1, 1)), np.full(len(given), -5.0)

    found = methods.Heads(boxes, np.array([0.9, 0.6]), turned(0, 0))
    networks = methods.Networks(estimate, lambda _: found, {})
    told = photographs.run(tmp_path, tmp_path / "heads.json", networks, pictures=tmp_path / "out")
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert [Path(path).name for path in told["drawn"]["files"]] == [pictures.PHOTOGRAPHS, pictures.PHOTOGRAPH_FAILURES]
    assert all(Path(path).is_file() for path in told["drawn"]["files"])
    assert [(one["head"], one["error"]) for one in told["drawn"]["worst"]] == [(1, 10), (2, 170)]
    assert [one["yaw"] for one in told["drawn"]["missed"]] == [170, None]
    assert told["drawn"]["false_boxes"] == 1
    assert "a.png" not in cards.measured(told, "SemiUHPE")


def test_marked_angles_become_rotations():
    """A profile that looks up by 20 degrees, as told by eye: its nose is to the left and up."""
    angles = np.array([[20, 90, np.nan], [np.nan, 10, 0]])
    found = photographs.rotations_of(angles, eye=True)
    up, left = np.sin(np.radians(20)), np.cos(np.radians(20))
    np.testing.assert_allclose(-found[0, :, 2], [-left, -up, 0], atol=1e-9)
    assert np.isnan(found[1]).any()
    np.testing.assert_allclose(
        photographs.rotations_of(angles[:1], eye=False), head_angles.matrices(np.array([[20, 90, 0]]))
    )


@pytest.mark.slow
def test_people_who_are_dressed_again_are_those_of_the_picture():
    settings = heads.Settings(width=160, height=120, people=(2, 3), held_out=True)
    hats, boxes = pictures.dressed(3, 1, settings)
    scene = heads.scene(3, 1, settings=settings)
    assert len(hats) == len(scene.boxes)
    np.testing.assert_allclose(boxes, scene.boxes, atol=1e-3)
