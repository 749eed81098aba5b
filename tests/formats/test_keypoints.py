# SPDX-License-Identifier: Apache-2.0
"""Every detector's file of the same two people gives the same joints; what it does not say is found out or refused."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hyoid.errors import InputError, UsageError
from hyoid.formats import keypoints
from hyoid.formats.keypoints import LAYOUTS, feet_of, layouts, to_human36m
from hyoid.formats.npz import write_npz
from hyoid.geometry import human36m

from tests.formats import keypoint_files as files

SIZE = (files.WIDTH, files.HEIGHT)


@pytest.mark.parametrize("case", files.CASES)
def test_every_file_gives_the_same_people(tmp_path, case):
    name, write, source = files.CASES[case]
    found = keypoints.read(write(tmp_path), size=SIZE)
    points, sure = files.truth(LAYOUTS[name])
    assert found.layout is LAYOUTS[name]
    assert found.source == source
    assert found.reason.startswith(f"{found.layout.count} joints: {found.layout.title}, because ")
    assert found.frames == files.FRAMES
    np.testing.assert_array_equal(found.frame, np.repeat(np.arange(files.FRAMES), files.PEOPLE))
    sure = sure.reshape(-1, found.layout.count)
    expected = np.where(sure[..., None] > 0, points.reshape(-1, found.layout.count, 2), np.nan)
    # Shares of 1280 pixels as text have 16 digits.
    np.testing.assert_allclose(found.points, expected, atol=1e-9)
    if case == "coco annotations":
        sure = (sure > 0).astype(float)
    np.testing.assert_allclose(found.confidence, sure, atol=1e-12)
    assert ((found.scores > 0) & (found.scores <= 1)).all()
    assert (found.width, found.height) == SIZE
    assert found.points.dtype == found.confidence.dtype == found.scores.dtype == np.float64
    assert found.frame.dtype == found.ids.dtype == np.int64


IDENTITIES = {
    "openpose": (0, 1), "alphapose": (7, 8), "coco results": (-1, -1), "coco annotations": (0, 1),
    "mmpose frames": (0, 1), "vitpose": (3, 4), "mediapipe people": (-1, -1), "npz": (-1, -1),
}  # fmt: skip


@pytest.mark.parametrize("case", IDENTITIES)
def test_identities_of_the_file_stay(tmp_path, case):
    found = keypoints.read(files.CASES[case][1](tmp_path), size=SIZE)
    assert tuple(found.ids[:2]) == IDENTITIES[case]
    assert tuple(found.ids[2:4]) == IDENTITIES[case]


@pytest.mark.parametrize(
    ("case", "first"),
    [
        ("openpose from 1001", 1001),
        ("alphapose", 0),
        ("coco results", 1),
        ("coco annotations", 1001),
        ("mmpose frames", 1),
    ],
)
def test_the_first_frame_keeps_its_number(tmp_path, case, first):
    assert keypoints.read(files.CASES[case][1](tmp_path)).first == first


def test_frames_without_people_are_gaps(tmp_path):
    folder = files.openpose(tmp_path / "op", "body25")
    (folder / "walk_000000000003_keypoints.json").unlink()
    files.dump(folder / "walk_000000000000_keypoints.json", {"people": []})
    files.dump(folder / "walk_000000000014_keypoints.json", {"people": []})
    found = keypoints.read(folder)
    assert found.frames == 15
    assert set(found.frame) == set(range(1, 12)) - {3}


def test_frames_of_alphapose_that_show_nobody_are_gaps(tmp_path):
    path = files.alphapose(tmp_path / "a.json", "coco17")
    entries = json.loads(path.read_text())
    found = keypoints.read(files.dump(path, entries[10:]))
    assert (found.frames, found.first, found.frame[0]) == (12, 0, 5)


def test_a_long_film_with_few_people_is_read(tmp_path):
    """Every frame is in the file, so an hour without anybody is no gap in the numbers."""
    frames = [[] for _ in range(300_000)]
    frames[-1] = files.mmpose_frames("coco17")[0]["instances"]
    found = keypoints.read(files.dump(tmp_path / "a.json", frames))
    assert (found.frames, list(found.frame)) == (300_000, [299_999, 299_999])


def test_one_json_of_openpose_is_one_frame(tmp_path):
    folder = files.openpose(tmp_path / "op", "body25")
    found = keypoints.read(folder / "walk_000000000005_keypoints.json")
    assert (found.frames, len(found.frame), found.source) == (1, 2, "OpenPose JSON")


def test_shares_of_openpose_become_pixels(tmp_path):
    """``--keypoint_scale 3`` and ``4`` write 0 to 1 and -1 to 1."""
    rows = files.rows(LAYOUTS["body25"])[0]
    for scale, shift in ((1, 0), (2, -1)):
        shares = rows.copy()
        shares[..., :2] = scale * rows[..., :2] / SIZE + shift
        people = [{"pose_keypoints_2d": one.reshape(-1).tolist()} for one in shares]
        path = files.dump(tmp_path / "a.json", {"people": people})
        np.testing.assert_allclose(keypoints.read(path, size=SIZE).points, rows[..., :2], atol=1e-9)
        with pytest.raises(InputError, match=r"are shares of the picture .* and it has no size"):
            keypoints.read(path)


def test_what_arrays_state(tmp_path):
    times = np.arange(12) / 25
    path = files.arrays(tmp_path / "a.npz", fps=25.0, image_size=[1280, 720], times=times, ids=[4, 9], layout="COCO-17")
    found = keypoints.read(path)
    assert (found.fps, found.width, found.height) == (25, 1280, 720)
    np.testing.assert_array_equal(found.times, times)
    np.testing.assert_array_equal(found.ids, [4, 9] * 12)
    assert found.reason == "17 joints: COCO-17, because the file says 'COCO-17'"


def test_what_mediapipe_states(tmp_path):
    found = keypoints.read(files.mediapipe(tmp_path / "a.json", "objects"))
    assert (found.fps, found.width, found.height) == (25, 1280, 720)
    np.testing.assert_allclose(found.times, np.arange(12) / 25)


def test_arrays_of_one_person_without_confidence(tmp_path):
    """Zeros and NaN are then what is missing, and frames of nothing else show nobody."""
    points = files.truth(LAYOUTS["coco17"])[0][:, 1]
    points[2], points[3, 5] = 0, np.nan
    np.save(tmp_path / "a.npy", points.astype(np.float32))
    found = keypoints.read(tmp_path / "a.npy")
    assert found.frames == 12
    assert list(found.frame) == [0, 1, *range(3, 12)]
    assert np.isnan(found.points[2, 5]).all()
    assert found.confidence[2, 5] == 0
    assert (found.confidence == 0).sum() == 2  # that one and the hidden wrist
    assert (found.scores == 1).all()


REASONS = {
    "alphapose": "COCO-17, because point 0 lies at the head among the points 1 to 4 in 100 % of 24 detections",
    "npz human36m": "because point 0 lies at the pelvis between the points 1 and 4 in 100 % of 24 detections",
    "npz 25": "because point 14 lies at the pelvis between the points 12 and 13 in 100 % of 24 detections",
    "openpose": "25 joints: OpenPose BODY_25, because 25 is what OpenPose writes for it",
    "alphapose pictures": "26 joints: Halpe-26, because no other layout has that count",
    "mmpose names": "26 joints: Halpe-26, because the file names its joints",
    "mmpose title": "17 joints: Human3.6M-17, because the file says 'h36m'",
}


@pytest.mark.parametrize("case", REASONS)
def test_reasons_are_told(tmp_path, case):
    assert REASONS[case] in keypoints.read(files.CASES[case][1](tmp_path)).reason


def test_a_file_that_is_both_is_refused(tmp_path):
    both = np.stack([files.rows(LAYOUTS[name])[:, 0] for name in ("coco17", "human36m17")], 1)
    np.save(tmp_path / "a.npy", both)
    with pytest.raises(InputError, match=r"look like coco17 in 50%, human36m17 in 50% of 24 detections.*Say which"):
        keypoints.read(tmp_path / "a.npy")
    assert keypoints.read(tmp_path / "a.npy", layout="coco").reason == "COCO-17, as asked for"


def test_few_joints_are_taken_for_the_usual_layout(tmp_path):
    rows = files.rows(LAYOUTS["coco17"])
    rows[:, :, 8:] = 0  # a portrait
    np.save(tmp_path / "a.npy", rows)
    assert keypoints.read(tmp_path / "a.npy").reason.endswith("the usual one; no detection is whole enough to tell")


def test_names_in_another_order_make_a_layout(tmp_path):
    order = np.random.default_rng(1).permutation(17)
    names = [LAYOUTS["coco17"].joints[index].title().replace(" ", "") for index in order]
    rows = files.rows(LAYOUTS["coco17"])
    write_npz(tmp_path / "a.npz", {"keypoints": rows[:, :, order], "layout": np.array(names)})
    found = keypoints.read(tmp_path / "a.npz")
    assert found.layout.name == "named"
    got = to_human36m(found.layout, found.points, found.confidence)
    np.save(tmp_path / "b.npy", rows)
    plain = keypoints.read(tmp_path / "b.npy")
    for a, b in zip(got, to_human36m(plain.layout, plain.points, plain.confidence), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


@pytest.mark.parametrize("name", ["COCO-17", "coco_17", "coco17", "coco"])
def test_names_of_layouts_are_forgiving(name):
    assert layouts.by_name(name) is LAYOUTS["coco17"]


@pytest.mark.parametrize(
    "name", ["left_shoulder", "LShoulder", "l_shoulder", "leftShoulder", "Left Shoulder", "shoulder_left"]
)
def test_names_of_joints_are_forgiving(name):
    assert layouts.joint(name) == "left shoulder"


def test_layouts_are_what_they_say():
    for layout in LAYOUTS.values():
        assert layout.name.endswith(str(layout.count))
        assert len(set(layout.joints)) == layout.count
        assert layouts.by_name(layout.title) is layout
        assert layouts.by_joints(layout.joints) is layout
        assert set(human36m.NAMES) - {"spine", "thorax", "neck", "head", "pelvis"} <= set(layout.joints)


def test_a_layout_that_does_not_exist_or_fit_is_refused(tmp_path):
    path = files.alphapose(tmp_path / "a.json", "halpe26")
    with pytest.raises(UsageError, match="no layout is named 'coco99'; expected one of coco17, "):
        keypoints.read(path, layout="coco99")
    with pytest.raises(InputError, match=r"has 26 joints a person, but coco17, which was asked for, has 17.*halpe26"):
        keypoints.read(path, layout="coco17")


@pytest.mark.parametrize(
    ("count", "hint"),
    [(21, "21 joints are those of a hand"), (19, r"nearest count is that of coco18: the file has 1 more")],
)
def test_unknown_counts_are_named(tmp_path, count, hint):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).uniform(1, 700, (5, count, 2)))
    with pytest.raises(InputError, match=rf"has {count} joints a person.*coco17 \(17\).*{hint}"):
        keypoints.read(tmp_path / "a.npy")


# ---- to the seventeen joints


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_seventeen(name):
    layout = LAYOUTS[name]
    points, sure = (one.reshape(-1, *one.shape[2:]) for one in files.truth(layout))
    got, confidence = to_human36m(layout, points, sure)
    known = {key: value.reshape(-1, 2) for key, value in files.joints().items()}
    expected = np.stack([known[{"neck": "head", "head": "head top"}.get(key, key)] for key in human36m.NAMES], 1)
    same = [index for index in range(17) if index not in (9, 10)]
    hidden = confidence == 0
    assert hidden.sum() == 1
    assert hidden[files.HIDDEN[0] * 2 + files.HIDDEN[1], 13]
    np.testing.assert_allclose(got[:, same][~hidden[:, same]], expected[:, same][~hidden[:, same]], atol=1e-9)
    # 200 pixels are a metre. Where there are no ears the base of the skull stands in for them, 0.10 m lower at most.
    np.testing.assert_allclose(got[:, 9], expected[:, 9], atol=1e-9 if "left ear" in layout.joints else 20)
    # The extrapolated top is within 0.05 m of the real one.
    np.testing.assert_allclose(got[:, 10], expected[:, 10], atol=1e-9 if "head top" in layout.joints else 10)


def test_confidence_is_the_least_and_missing_parts_are_replaced():
    layout = LAYOUTS["coco17"]
    points, sure = (one[:1, 0].copy() for one in files.truth(layout))
    sure[:] = 0.9
    place = layout.joints.index
    sure[0, place("left hip")] = 0.4
    sure[0, place("right ear")] = 0
    got, confidence = to_human36m(layout, points, sure)
    assert confidence[0, 0] == confidence[0, 7] == confidence[0, 4] == 0.4
    assert confidence[0, 8] == confidence[0, 9] == 0.9
    np.testing.assert_array_equal(got[0, 9], points[0, place("left ear")])
    sure[0, place("left ear")] = 0
    np.testing.assert_array_equal(to_human36m(layout, points, sure)[0][0, 9], points[0, 0])
    sure[0, place("left shoulder")] = 0
    got, confidence = to_human36m(layout, points, sure)
    assert (confidence[0, [7, 8, 10, 11]] == 0).all()
    assert np.isnan(got[0, [7, 8, 10, 11]]).all()
    assert confidence[0, 0] == 0.4


def test_a_hip_between_the_hips_replaces_a_missing_one():
    layout = LAYOUTS["body25"]
    points, sure = (one[:1, 0].copy() for one in files.truth(layout))
    sure[0, layout.joints.index("pelvis")] = 0
    got, _ = to_human36m(layout, points, sure)
    np.testing.assert_allclose(got[0, 0], files.joints()["pelvis"][0, 0])


def test_feet():
    layout = LAYOUTS["body25"]
    points, sure = (one[:, 0] for one in files.truth(layout))
    found = feet_of(layout, points, sure)
    assert found is not None
    np.testing.assert_array_equal(found[0][:, 0, 1], files.joints()["right big toe"][:, 0])
    np.testing.assert_array_equal(found[0][:, 1, 0], files.joints()["left heel"][:, 0])
    assert found[1].shape == (12, 2, 2)
    assert feet_of(LAYOUTS["coco17"], points[:, :17], sure[:, :17]) is None


# ---- confidences


@pytest.mark.parametrize(
    ("largest", "expected"),
    [(0.8, 0.4), (1.2, 0.4), (6.0, 0.4 / 6), (255.0, 0.4 / 255)],
    ids=["0 to 1", "a heat map that overshoots", "old AlphaPose", "bytes"],
)
def test_confidences_of_any_scale(tmp_path, largest, expected):
    rows = files.rows(LAYOUTS["coco17"])
    rows[..., 2] = 0.4
    rows[0, 0, 0, 2] = largest
    rows[0, 0, 1, 2] = -0.1  # SimCC writes such
    np.save(tmp_path / "a.npy", rows)
    found = keypoints.read(tmp_path / "a.npy")
    assert found.confidence[3, 3] == pytest.approx(expected)
    assert found.confidence[0, 0] == pytest.approx(min(largest, 1))
    assert found.confidence[0, 1] == 0
    assert np.isnan(found.points[0, 1]).all()


def test_flags_of_annotations(tmp_path):
    path = files.coco_annotations(tmp_path / "a.json")
    value = json.loads(path.read_text())
    value["annotations"][0]["keypoints"][5] = 1
    found = keypoints.read(files.dump(path, value))
    assert found.confidence[0, 1] == 0.5
    assert found.confidence[0, 2] == 1


def test_null_is_missing_where_confidence_is_zero_or_missing(tmp_path):
    path = files.mmpose(tmp_path / "a.json", "coco17", "frames")
    value = json.loads(path.read_text())
    one = value[2]["instances"][1]
    one["keypoints"][3], one["keypoint_scores"][3] = [None, None], 0.0
    one["keypoints"][4], one["keypoint_scores"][4] = [float("nan"), 3.0], None
    found = keypoints.read(files.dump(path, value))
    assert np.isnan(found.points[5, 3:5]).all()
    assert (found.confidence[5, 3:5] == 0).all()
    one["keypoint_scores"][3] = 0.5
    with pytest.raises(InputError, match="frame 3, person 1, joint 3 is not finite, though it has a confidence"):
        keypoints.read(files.dump(path, value))


def test_the_example_of_the_documentation_runs(tmp_path, monkeypatch, capsys):
    text = (Path(__file__).parents[2] / "docs/keypoints.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    files.openpose(tmp_path / "openpose_json", "body25")
    exec("".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)), {})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "25 joints: OpenPose BODY_25, because 25 is what OpenPose writes for it"
    assert said[1] == "24 people in 12 frames, (24, 17, 2)"
    for layout in LAYOUTS.values():
        assert f"| `{layout.name}` | {layout.count} |" in text


def test_a_crowd_is_read_fast(tmp_path):
    """A hundred people in 300 frames: 30 000 detections in a few seconds."""
    rows = files.rows(LAYOUTS["coco17"], 300, 100)
    entries = [
        {"image_id": f"{number}.jpg", "keypoints": one, "score": 1.0, "idx": index}
        for number, frame in enumerate(rows.reshape(300, 100, -1).tolist())
        for index, one in enumerate(frame)
    ]
    path = files.dump(tmp_path / "a.json", entries)
    start = time.perf_counter()
    found = keypoints.read(path)
    to_human36m(found.layout, found.points, found.confidence)
    assert time.perf_counter() - start < 8
    assert len(found.frame) == 30_000
