# SPDX-License-Identifier: Apache-2.0
"""The benches of directions of heads: opponents, tables, goals, photographs, and the peers of the networks."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hyoid.cli import run_command
from hyoid.errors import HyoidError, InputError, UsageError
from hyoid.geometry import head_angles
from hyoid.report import Report
from hyoid.synthetic import head_scores, heads
from hyoid.verbs.bench import load
from PIL import Image

BENCH = Path(__file__).resolve().parents[2] / "bench"
headpose = load(BENCH / "headpose.py")

import _head_landmarks as landmarks  # noqa: E402  the bench folder is on the path now
import _head_methods as methods  # noqa: E402
import _head_photographs as photographs  # noqa: E402

speed = load(BENCH / "headpose_speed.py")

SIZE = 96


def drawn(random: np.random.Generator, count: int) -> np.ndarray:
    """Rotations (n, 3, 3) with any yaw."""
    angles = np.stack([random.normal(0, 15, count), random.uniform(-180, 180, count), random.normal(0, 10, count)], -1)
    return head_angles.matrices(angles)


# --- the opponent -----------------------------------------------------------------------------------------------------


def test_the_pose_of_exact_landmarks_is_exact_and_of_noisy_ones_near():
    random = np.random.default_rng(0)
    points = random.normal(0, 0.07, (12, 3))
    points -= points.mean(0)
    truth = drawn(random, 50)
    turned = points @ np.swapaxes(truth, -1, -2)
    places = 3 * turned[..., :2] / (1 + turned[..., 2:] / landmarks.DISTANCE) + [0.03, -0.1]
    assert head_angles.geodesic(landmarks.pose(points, places), truth).max() < 1e-6
    noisy = places + random.normal(0, 0.005, places.shape)
    assert head_angles.geodesic(landmarks.pose(points, noisy), truth).max() < 5
    noisy[:, 3] += 0.2  # one landmark is elsewhere
    assert np.median(head_angles.geodesic(landmarks.pose(points, noisy), truth)) < 8


def scene_of(random: np.random.Generator, count: int) -> SimpleNamespace:
    """Balls with spots, which tell their direction; the truth of them as a rendered scene has it."""
    names = tuple(f"spot{number}" for number in range(8))
    spots = np.random.default_rng(7).normal(0, 1, (8, 3))
    spots *= 0.09 / np.linalg.norm(spots, axis=-1, keepdims=True)
    image = np.full((SIZE, SIZE * count, 3), 60, np.uint8)
    truth = drawn(random, count)
    points = spots @ np.swapaxes(truth, -1, -2)
    down, right = np.mgrid[:SIZE, : SIZE * count]
    places, boxes = np.zeros((count, 8, 2)), np.zeros((count, 4))
    for head in range(count):
        middle = np.array([SIZE * (head + 0.5), SIZE / 2])
        boxes[head] = [*(middle - 32), *(middle + 32)]
        image[np.hypot(right - middle[0], down - middle[1]) < 32] = 130
        places[head] = middle + 300 * points[head, :, :2]
        for spot in np.argsort(-points[head, :, 2]):
            if points[head, spot, 2] < 0:  # on the near side
                near = np.hypot(right - places[head, spot, 0], down - places[head, spot, 1]) < 6
                image[near] = 20 + 30 * spot
    return SimpleNamespace(
        image=image, boxes=boxes, rotations=truth, apparent=truth, visible=np.ones(count), landmarks=places,
        landmark_points=points + np.array([0, 0, 2]), landmark_names=names,
    )  # fmt: skip


def test_the_opponent_learns_directions():
    random = np.random.default_rng(1)
    scenes = [scene_of(random, 4) for _ in range(60)]
    names = headpose.spread(scenes[0].landmark_names)
    assert names == scenes[0].landmark_names
    given = landmarks.examples(scenes[:50], names)
    assert given.landmarks.shape == (200, 8, 2)
    assert np.allclose(given.points, given.points[0])  # the same ball, in its own axes
    opponent = landmarks.fit(given)
    answers = [landmarks.rotations(opponent, scene.image, scene.boxes) for scene in scenes[50:]]
    truth = np.concatenate([scene.apparent for scene in scenes[50:]])
    away = np.median(head_angles.geodesic(np.concatenate(answers), truth))
    assert away < 0.5 * np.median(head_angles.geodesic(np.eye(3), truth))
    assert landmarks.rotations(opponent, scenes[0].image, np.zeros((0, 4))).shape == (0, 3, 3)


def test_landmarks_are_spread_over_the_list():
    names = tuple(f"place{number}" for number in range(68))
    chosen = headpose.spread(names)
    assert len(chosen) == 12
    assert (chosen[0], chosen[-1]) == ("place0", "place67")
    assert headpose.spread(("chin", "throat", "crown")) == ("chin", "crown")  # the throat does not turn with the head


def test_the_mean_direction():
    found = head_angles.mean(head_angles.matrices(np.array([[0, 30, 0], [0, -10, 0]])))
    assert head_angles.angles(found) == pytest.approx([0, 10, 0], abs=1e-9)


# --- tables -----------------------------------------------------------------------------------------------------------


def knowing(scene: SimpleNamespace, off: float = 0.0, shift: float = 0.0) -> methods.Networks:
    """Networks that know a scene: directions are off by a yaw, boxes are shifted, half of the heads are found."""
    turn = head_angles.matrices(np.array([0.0, off, 0.0]))

    def estimate(_image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = head_scores.overlaps(boxes, scene.boxes).argmax(1) if len(boxes) else np.zeros(0, int)
        return turn @ scene.apparent[rows], -1.0 - rows

    def detect(_image: np.ndarray) -> methods.Heads:
        return methods.Heads(scene.boxes[::2] + shift, np.full(len(scene.boxes[::2]), 0.9), scene.apparent[::2])

    return methods.Networks(estimate, detect, {"SemiUHPE": {"weights": "none"}})


def test_pictures_are_judged_on_true_boxes_and_on_found_ones():
    scene = scene_of(np.random.default_rng(2), 4)
    scene.visible[3] = 0.2
    networks = knowing(scene, off=10)
    told = headpose.of_pictures([scene], 1, {headpose.CROP: networks.estimate}, networks, Report())
    assert (told["pictures"], told["heads"]) == (1, 3)
    rows = {name: row["all"] for name, row in told["rows"].items()}
    assert {name: row["heads"] for name, row in rows.items()} == {
        headpose.CROP: 3, headpose.DETECTOR: 2, headpose.BOTH: 2,
    }  # fmt: skip
    assert [row["median"] for row in rows.values()] == pytest.approx([10, 0, 10], abs=1e-3)
    assert told["detection"]["recall"] == pytest.approx(2 / 3, abs=1e-4)
    assert told["detection"]["false_boxes"] == 0
    shifted = headpose.of_pictures([scene], 1, {}, knowing(scene, shift=60), Report())
    assert (shifted["detection"]["recall"], shifted["detection"]["false_boxes"]) == (0, 2)
    assert shifted["rows"][headpose.BOTH]["all"] == {
        "heads": 0, "pitch": None, "yaw": None, "roll": None, "mean": None, "median": None,
    }  # fmt: skip


@pytest.fixture
def balls(monkeypatch) -> list[tuple]:
    """Balls in place of rendered people, which need GL; what was asked for."""
    asked = []

    def scene(seed: int, number: int, *, settings: heads.Settings) -> SimpleNamespace:
        asked.append(("scene", seed, settings.held_out, settings.domain))
        return scene_of(np.random.default_rng([seed, number]), 4)

    def crops(seed: int, first: int, count: int, *, settings: heads.Settings) -> heads.Crops:
        asked.append(("crops", seed, settings.held_out, settings.domain))
        made = [scene_of(np.random.default_rng([seed, number, 1]), 1) for number in range(first, first + count)]
        images, rotations, boxes = (
            np.concatenate([getattr(one, name) for one in made]) for name in ("image", "rotations", "boxes")
        )
        visible = np.where(np.arange(count) == 0, 0.3, 1.0)  # the first is hidden
        return heads.Crops(images.reshape(count, SIZE, SIZE, 3), rotations, boxes, visible)

    monkeypatch.setattr(heads, "scene", scene, raising=False)
    monkeypatch.setattr(heads, "crops", crops)
    return asked


def test_all_tables_come_out(balls):
    told = headpose.run(count=10, seed=3, networks=guessing(), fitting=20)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["crops"]["heads"] == told["crops of another domain"]["heads"] == 9
    assert (told["pictures"]["pictures"], told["pictures"]["heads"]) == (5, 20)
    assert list(told["crops"]["rows"]) == ["frontal", "mean pose", "landmarks + PnP", "SemiUHPE"]
    crops = told["crops"]["rows"]
    assert crops["SemiUHPE"]["turned"] == pytest.approx(headpose._TURN)
    assert crops["landmarks + PnP"]["turned"] != crops["frontal"]["turned"]
    assert "calibration" in crops["SemiUHPE"]
    assert "calibration" not in crops["frontal"]
    assert crops["SemiUHPE"]["all"] == crops["frontal"]["all"]
    # The opponent learns from training people of another seed, all others are held out.
    assert balls[:20] == [("scene", 4, False, "usual")] * 20
    assert set(balls[20:]) == {("crops", 3, True, "usual"), ("crops", 3, True, "shifted"), ("scene", 3, True, "usual")}
    text = headpose.show(told)
    assert text.count("| landmarks + PnP |") == 3
    assert "20 heads in pictures; degrees." in text
    assert "average precision at IoU 0.5 at least 0.85: no" in text


def test_goals_are_reached_or_not():
    def result(front: float, side: float, back: float | None, precision: float) -> dict:
        medians = zip(("front", "side", "back"), (front, side, back), strict=True)
        row = {name: {"median": value} for name, value in medians}
        detection = {"average_precision": precision}
        return {"crops": {"rows": {headpose.CROP: row}}, "pictures": {"detection": detection}}

    assert [goal["reached"] for goal in headpose.goals(result(5, 5.1, 11, 0.85))] == [True, False, True, True]
    assert [goal["reached"] for goal in headpose.goals(result(5.2, 4, None, 0.84))] == [False, True, False]


# --- photographs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path) -> Path:
    Image.fromarray(np.zeros((100, 200, 3), np.uint8)).save(tmp_path / "a.png")
    marked = [
        {"box": [10, 10, 50, 50], "yaw": 30, "pitch": 0},
        {"box": [60, 10, 100, 50], "yaw": -90, "pitch": 20, "roll": 5},
        {"box": [110, 10, 150, 50], "yaw": 180, "pitch": -10},
        {"box": [150, 50, 190, 90]},
        {"box": [400, 10, 440, 50], "yaw": 0, "pitch": 0},
    ]
    value = {"pictures": {"a.png": marked, "b.png": [marked[0]]}}
    (tmp_path / "heads.json").write_text(json.dumps(value))
    return tmp_path


def guessing(confidence: float = 0.9) -> methods.Networks:
    """Networks that take everybody for a head that faces the camera, and see the first two heads and a third."""
    boxes = np.array([[12, 10, 50, 50], [60, 10, 100, 48], [0, 60, 30, 90]], float)

    def estimate(_image: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.tile(np.eye(3), (len(given), 1, 1)), np.arange(len(given)) - 5.0

    rotations = head_angles.matrices(np.array([[0, 30, 0], [0, -90, 0], [0, 0, 0]]))
    return methods.Networks(estimate, lambda _: methods.Heads(boxes, np.full(3, confidence), rotations), {})


def test_photographs(folder):
    """Noses of faces: 30 and 90 degrees from the camera; of the back, which looks down by 10: 170."""
    events = []
    told = headpose.run(images=folder, truth=folder / "heads.json", networks=guessing(), report=Report(events.append))
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["photographs"], told["heads"]) == (1, 4)
    faces, backs = (told["rows"][photographs.GIVEN][part] for part in ("faces", "backs"))
    assert (faces["heads"], backs["heads"]) == (2, 1)
    assert (faces["median"], faces["yaw"], faces["pitch"], faces["roll"]) == pytest.approx((60, 60, 10, 5))
    assert (backs["median"], backs["yaw"], backs["pitch"], backs["roll"]) == (170, 180, 10, None)
    own = told["rows"][photographs.DETECTOR]["faces"]
    assert (own["heads"], own["median"], own["yaw"], own["within_goal"]) == pytest.approx((2, 10, 0, 0.5), abs=1e-6)
    assert told["rows"][photographs.DETECTOR]["backs"] == dict.fromkeys(own) | {"heads": 0}
    detection = told["detection"]
    assert (detection["heads"], detection["recall"], detection["false_boxes"]) == (4, 0.5, 1)
    assert told["turned"] == photographs._TURN  # who always says the same misses the whole turn
    assert told["rows"][photographs.GIVEN]["turned faces"]["heads"] == 2
    assert not any(goal["reached"] for goal in told["goals"])  # the estimator is who says frontal itself
    assert len(told["goals"]) == 3
    warnings = [event["text"] for event in events if event["event"] == "message"]
    assert warnings == [
        "left out 1 pictures that are not there: b.png", "left out 1 heads outside their picture: head 5 of a.png",
    ]  # fmt: skip
    text = headpose.show(told)
    assert "4 marked heads in 1 photographs" in text
    assert "Left out, pictures that are not there: b.png." in text
    assert "| faces: SemiUHPE, given boxes | 2 | 60.0 |" in text


def test_boxes_of_little_confidence_count_for_the_precision_alone(folder):
    told = photographs.run(folder, folder / "heads.json", guessing(0.3))
    assert told["rows"][photographs.BOTH]["faces"]["heads"] == 0
    assert (told["detection"]["recall"], told["detection"]["false_boxes"]) == (0, 0)
    assert told["detection"]["average_precision"] == pytest.approx(51 / 101, abs=1e-4)


def test_angles_of_the_camera_are_read_as_such(folder):
    """A profile with a pitch of 20 about the camera's axis has its nose where it would be without."""
    value = {"angles": "camera", "pictures": {"a.png": [{"box": [60, 10, 100, 48], "yaw": -90, "pitch": 20}]}}
    (folder / "heads.json").write_text(json.dumps(value))
    told = photographs.run(folder, folder / "heads.json", guessing())
    assert told["rows"][photographs.DETECTOR]["faces"]["median"] == pytest.approx(0, abs=1e-6)


def test_what_cannot_be_used_is_told(folder, tmp_path, capsys):
    with pytest.raises(InputError, match="no such folder"):
        photographs.run(tmp_path / "none", folder / "heads.json", guessing())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds none of the marked pictures; expected .* such as a.png"):
        photographs.run(tmp_path / "empty", folder / "heads.json", guessing())
    (folder / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"a.png: cannot be read as a picture"):
        photographs.run(folder, folder / "heads.json", guessing())
    with pytest.raises(UsageError, match="--truth"):
        headpose.run(images=folder, networks=guessing())
    assert run_command(["bench", "headpose", "--images", str(folder)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_pictures_are_looked_for_in_the_folder_alone(folder):
    (folder / "in").mkdir()
    (folder / "in" / "c.png").write_bytes((folder / "a.png").read_bytes())
    places = {name: photographs._place(folder, name).is_file() for name in (
        "a.png", "in/c.png", "photos/a.png", "C:\\photos\\a.png", str(folder.parent / "a.png"), "c.png",
    )}  # fmt: skip
    assert list(places.values()) == [True, True, True, True, True, False]
    assert photographs._place(folder / "in", "../heads.json") == folder / "in" / "heads.json"


def test_a_part_of_a_photograph_keeps_its_box():
    image = np.arange(100 * 200 * 3, dtype=np.uint32).reshape(100, 200, 3).astype(np.uint8)
    part, box = photographs.surroundings(image, np.array([10.0, 30, 30, 60]))
    assert part.shape == (90, 60, 3)
    assert box.tolist() == [10, 30, 30, 60]
    part, box = photographs.surroundings(image, np.array([150.0, 50, 160, 60]))
    assert part.shape == (30, 30, 3)
    assert box.tolist() == [10, 10, 20, 20]
    assert (part == image[40:70, 140:170]).all()


def test_pictures_turn_clockwise():
    """What was above the middle is right of it after a quarter turn."""
    image = np.zeros((41, 41, 3), np.uint8)
    image[5:9, 18:23] = 255
    found = methods.turned([image], np.array([[10.0, 10, 31, 31]]), 90)[0]
    down, right = np.nonzero(found[..., 0] > 128)
    assert abs(down.mean() - 20) < 1.1
    assert abs(right.mean() - 34) < 1.1


# --- speed ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ours_and_plain_modules_agree_and_are_timed():
    """The peers have the published sizes, so the picture is small."""
    pytest.importorskip("torch")
    told = speed.run(rounds=1, threads=(1,), frames=0, side=64)
    assert json.loads(json.dumps(told)) == told
    for label in ("DirectMHP m6", "SemiUHPE ResNet-50"):
        assert told[label]["largest_difference"] < speed.TOLERANCE
        row = told[label]["threads_1"]
        assert row["ratio"] == pytest.approx(row["plain_ms"] / row["ours_ms"], rel=0.2)
    assert len(speed.show(told).splitlines()) == 4


def test_answers_that_differ_are_not_timed():
    torch = pytest.importorskip("torch")
    pair = speed.Pair(
        lambda: np.zeros(3), lambda _: lambda: np.array([0, 0, 0.1]), lambda a, b: float(np.abs(a - b).max()), {}
    )
    with pytest.raises(HyoidError, match=r"net: the two differ by 0.1; expected at most 0.001"):
        speed.side_by_side(pair, 1, (1,), "net")
    assert torch.get_num_threads() >= 1


def test_peers_have_the_published_parameters():
    pytest.importorskip("torch")
    import _directmhp_peer
    import _semiuhpe_peer
    from hyoid.systems.directmhp.config import SIZES
    from hyoid.systems.directmhp.config import shapes_of as of_detector
    from hyoid.systems.semiuhpe.config import Config
    from hyoid.systems.semiuhpe.plans import shapes_of as of_estimator

    shapes_of = {
        _directmhp_peer.Network(): of_detector(SIZES["m6"]), _semiuhpe_peer.Network(): of_estimator(Config("resnet50")),
    }  # fmt: skip
    for peer, shapes in shapes_of.items():
        own = {name: tuple(value.shape) for name, value in peer.state_dict().items()}
        assert {name: shape for name, shape in own.items() if not name.endswith("num_batches_tracked")} == dict(shapes)
