# SPDX-License-Identifier: Apache-2.0
"""Every detector's file of the same two people gives the same joints; what it does not say is found out or refused."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hyoid.errors import InputError, UsageError
from hyoid.formats import keypoints
from hyoid.formats.keypoints import LAYOUTS, feet_of, layouts, to_human36m
from hyoid.formats.npz import write_npz
from hyoid.geometry import human36m

from tests.formats import fuzz
from tests.formats import keypoint_files as files

SIZE = (files.WIDTH, files.HEIGHT)


def _arrays(path, of="coco17", **more):
    points, sure = files.truth(LAYOUTS[of])
    write_npz(path, {"keypoints": points, "scores": sure, **{key: np.asarray(value) for key, value in more.items()}})
    return path


def _npy(path):
    np.save(path, files.rows(LAYOUTS["coco17"]))
    return path


NAMES = {str(index): name.replace(" ", "_") for index, name in enumerate(LAYOUTS["halpe26"].joints)}
CASES = {
    "openpose": ("body25", lambda at: files.openpose(at / "op", "body25"), "OpenPose JSON folder"),
    "openpose from 1001": ("body25", lambda at: files.openpose(at / "op", "body25", 1001), "OpenPose JSON folder"),
    "openpose coco": ("coco18", lambda at: files.openpose(at / "op", "coco18"), "OpenPose JSON folder"),
    "openpose mpi": ("mpi15", lambda at: files.openpose(at / "op", "mpi15"), "OpenPose JSON folder"),
    "alphapose": ("coco17", lambda at: files.alphapose(at / "a.json", "coco17"), "AlphaPose results"),
    "alphapose pictures": (
        "halpe26",
        lambda at: files.alphapose(at / "a.json", "halpe26", "run2/f_{}.png"),
        "AlphaPose results",
    ),
    "alphapose 136": ("halpe136", lambda at: files.alphapose(at / "a.json", "halpe136"), "AlphaPose results"),
    "alphapose mpii": ("mpii16", lambda at: files.alphapose(at / "a.json", "mpii16"), "AlphaPose results"),
    "alphapose folder": (
        "coco17",
        lambda at: files.alphapose(at / "d/alphapose-results.json", "coco17").parent,
        "AlphaPose results",
    ),
    "alphapose open": (
        "coco18",
        lambda at: files.alphapose_open(at / "a.json", "people"),
        "AlphaPose results in the form of OpenPose",
    ),
    "alphapose cmu": (
        "coco18",
        lambda at: files.alphapose_open(at / "a.json", "bodies"),
        "AlphaPose results in the form of OpenPose",
    ),
    "coco results": ("coco17", lambda at: files.coco_results(at / "a.json"), "COCO results"),
    "coco annotations": ("coco17", lambda at: files.coco_annotations(at / "a.json"), "COCO annotations"),
    "mmpose frames": ("coco17", lambda at: files.mmpose(at / "a.json", "coco17", "frames"), "MMPose JSON"),
    "mmpose lists": (
        "coco_wholebody133",
        lambda at: files.mmpose(at / "a.json", "coco_wholebody133", "lists"),
        "MMPose JSON",
    ),
    "mmpose predictions": ("coco17", lambda at: files.mmpose(at / "a.json", "coco17", "predictions"), "MMPose JSON"),
    "mmpose names": (
        "halpe26",
        lambda at: files.mmpose(at / "a.json", "halpe26", "meta", {"keypoint_id2name": NAMES}),
        "MMPose JSON",
    ),
    "mmpose title": (
        "human36m17",
        lambda at: files.mmpose(at / "a.json", "human36m17", "meta", {"dataset_name": "h36m"}),
        "MMPose JSON",
    ),
    "mmpose folder": ("coco17", lambda at: files.mmpose_folder(at / "m"), "MMPose JSON folder"),
    "vitpose": ("coco17", lambda at: files.vitpose(at / "a.json", "coco17"), "easy_ViTPose JSON"),
    "vitpose 25": ("vitpose25", lambda at: files.vitpose(at / "a.json", "vitpose25"), "easy_ViTPose JSON"),
    "mediapipe people": ("mediapipe33", lambda at: files.mediapipe(at / "a.json", "people"), "MediaPipe landmarks"),
    "mediapipe objects": ("mediapipe33", lambda at: files.mediapipe(at / "a.json", "objects"), "MediaPipe landmarks"),
    "mediapipe numbers": ("mediapipe33", lambda at: files.mediapipe(at / "a.json", "numbers"), "MediaPipe landmarks"),
    "mediapipe wrapped": ("mediapipe33", lambda at: files.mediapipe(at / "a.json", "wrapped"), "MediaPipe landmarks"),
    "npz": ("coco17", lambda at: _arrays(at / "a.npz"), "arrays (.npz)"),
    "npz human36m": ("human36m17", lambda at: _arrays(at / "a.npz", "human36m17"), "arrays (.npz)"),
    "npz 25": ("vitpose25", lambda at: _arrays(at / "a.npz", "vitpose25"), "arrays (.npz)"),
    "npz without suffix": ("coco17", lambda at: _arrays(at / "a.npz").rename(at / "a.dat"), "arrays (.npz)"),
    "npy": ("coco17", lambda at: _npy(at / "a.npy"), "arrays (.npy)"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_file_gives_the_same_people(tmp_path, case):
    name, write, source = CASES[case]
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
    found = keypoints.read(CASES[case][1](tmp_path), size=SIZE)
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
    assert keypoints.read(CASES[case][1](tmp_path)).first == first


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
    path = _arrays(tmp_path / "a.npz", fps=25.0, image_size=[1280, 720], times=times, ids=[4, 9], layout="COCO-17")
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
    assert REASONS[case] in keypoints.read(CASES[case][1](tmp_path)).reason


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


# ---- faults


def _alphapose(change):
    def make(at):
        path = files.alphapose(at / "a.json", "coco17")
        entries = json.loads(path.read_text())
        change(entries)
        return files.dump(path, entries)

    return make


def _json(value):
    return lambda at: files.dump(at / "a.json", value)


def _text(text):
    def make(at):
        (at / "a.json").write_text(text)
        return at / "a.json"

    return make


def _set(index, key, value):
    return _alphapose(lambda entries: entries[index].__setitem__(key, value))


def _number(index, place, value):
    return _alphapose(lambda entries: entries[index]["keypoints"].__setitem__(place, value))


def _npz(**arrays):
    def make(at):
        write_npz(at / "a.npz", {key: np.asarray(value) for key, value in arrays.items()})
        return at / "a.npz"

    return make


def _pickle(at):
    np.savez(at / "a.npz", keypoints=np.array([{"a": 1}], dtype=object))
    return at / "a.npz"


def _huge_npy(at):
    np.save(at / "a.npy", np.zeros((2, 17, 2)))
    data = (at / "a.npy").read_bytes().replace(b"(2, 17, 2), }    ", b"(20000, 17, 2), }")
    (at / "a.npy").write_bytes(data)
    return at / "a.npy"


def _folder(*names, value=None):
    def make(at):
        for name in names:
            files.dump(at / "d" / name, value if value is not None else {"people": []})
        (at / "d").mkdir(exist_ok=True)
        return at / "d"

    return make


POINTS = np.ones((4, 17, 2)) * 100
FAULTS = {
    "missing": (lambda at: at / "none.json", "cannot be read"),
    "missing array": (lambda at: at / "none.npz", "does not exist"),
    "no json": (_text("hello"), "is not JSON"),
    "not text": (
        lambda at: _text("x")(at) if (at / "a.json").write_bytes(b"\xff\xfe\xfa") is None else at / "a.json",
        "is not JSON",
    ),
    "empty file": (_text(""), "is not JSON"),
    "deep": (_text("[" * 100_000), "is JSON of lists in lists without end"),
    "deep but whole": (_json([[[[[[1]]]]]]), "no format of keypoints that is known"),
    "number": (_json(3), r"no format of keypoints that is known \(3\)"),
    "empty list": (_json([]), r"no format of keypoints that is known \(an empty list\)"),
    "empty frames": (_json([[], [], None]), "holds no person in any frame"),
    "other object": (_json({"a": 1, "b": 2}), r"\(an object of a, b\); expected OpenPose"),
    "nobody": (_json({"people": []}), "holds no person in any frame"),
    "person is no object": (_json({"people": [3]}), "person 0 of frame 0 is 3; expected an object"),
    "person without points": (_json({"people": [{"a": 1}]}), "has no list 'pose_keypoints_2d'"),
    "null points": (_json({"people": [{"pose_keypoints_2d": None}]}), "has no list 'pose_keypoints_2d'"),
    "empty points": (_json({"people": [{"pose_keypoints_2d": []}]}), "holds no person"),
    "all zero": (_json({"people": [{"pose_keypoints_2d": [0] * 75}]}), "holds no joint with a confidence"),
    "ragged": (
        _alphapose(lambda entries: entries[5]["keypoints"].pop()),
        "frame 2, person 1: 50 numbers; expected 51 numbers, as",
    ),
    "no thirds": (_json([{"image_id": "1.jpg", "keypoints": [1, 2, 3, 4]}]), "has 4 numbers a person"),
    "text": (_number(3, 7, "abc"), "frame 1, person 1: entry 7: 'abc' is no number"),
    "object": (_number(3, 7, {}), "frame 1, person 1: entry 7: {} is no number"),
    "list": (_number(3, 7, [1]), "frame 1, person 1: joints with different counts"),
    "too large": (_number(3, 7, 10**400), "frame 1, person 1: int too large"),
    "not finite": (_number(3, 6, float("inf")), "frame 1, person 1, joint 2 is not finite"),
    "null with confidence": (_number(3, 6, None), "frame 1, person 1, joint 2 is not finite"),
    "infinite confidence": (_number(3, 8, float("inf")), "joint 2 has a confidence that is not finite"),
    "far": (_number(3, 6, 1e9), r"joint 2 is farther than 1e\+06 pixels away"),
    "score": (_set(3, "score", "good"), "score of frame 1, person 1: 'good' is no number"),
    "scores": (_set(3, "score", [1, 2]), "score of frame 1, person 1: 2 numbers; expected one number"),
    "identity": (_set(3, "idx", "abc"), "the identity of a person is 'abc'"),
    "large identity": (_set(3, "idx", 10**30), "the identity of a person is 1000"),
    "picture": (_set(3, "image_id", -4), "a picture's number is -4; expected a whole number from 0 on"),
    "picture is a list": (_set(3, "image_id", [1]), r"a picture's number is \[1\]"),
    "far picture": (_set(3, "image_id", "1000000000000.jpg"), "lie on 1000000000001 frames"),
    "endless picture": (_set(3, "image_id", "9" * 200 + ".jpg"), "entry 3|lie on"),
    "no picture": (
        _alphapose(lambda entries: entries[3].pop("image_id")),
        "entry 3 is .*expected an object with image_id",
    ),
    "entry": (_alphapose(lambda entries: entries.__setitem__(3, 4)), "entry 3 is 4"),
    "sizes": (
        _json({"images": [{"id": 1, "width": 5, "height": 5}, {"id": 2, "width": 6, "height": 5}], "annotations": []}),
        "several sizes: 5 x 5, 6 x 5",
    ),
    "no size": (
        _json({"images": [{"id": 1, "width": 0, "height": 5}], "annotations": []}),
        "the picture is 0 wide and 5 high",
    ),
    "stranger": (
        _json({"images": [{"id": 1}], "annotations": [{"image_id": 2, "keypoints": [1, 2, 3]}]}),
        "belongs to picture 2, which is not among",
    ),
    "images": (_json({"images": 3, "annotations": []}), "'images' is no list"),
    "no annotations": (_json({"annotations": []}), "holds no person"),
    "negative frame": (_json([{"frame_id": -3, "instances": []}]), "the number of frame 0 is -3"),
    "absurd frame": (
        _json([{"frame_id": 0, "instances": []}, {"frame_id": 10**12, "instances": [{"keypoints": [[1, 2]] * 17}]}]),
        "lie on 1000000000001 frames",
    ),
    "instances": (_json([{"frame_id": 0, "instances": 3}]), "frame 0 is .*expected a list of people"),
    "instance": (_json([{"frame_id": 0, "instances": [3]}]), "person 0 of frame 0 is 3"),
    "few scores": (
        _json([{"frame_id": 0, "instances": [{"keypoints": [[1, 2]] * 17, "keypoint_scores": [1] * 16}]}]),
        "has 16 confidences a person, and 17 joints",
    ),
    "three dimensions": (
        _json([{"frame_id": 0, "instances": [{"keypoints": [[1, 2, 3]] * 17, "keypoint_scores": [1] * 17}]}]),
        "has 3 numbers a joint beside confidences.*not lifted again",
    ),
    "vitpose frame": (_json({"keypoints": [3], "skeleton": {}}), "frame 0 is 3"),
    "vitpose rows": (_json({"keypoints": [{"0": [[1, 2]]}], "skeleton": {}}), "expected rows of y, x, confidence"),
    "landmarks": (_json([{"pose_landmarks": 3}]), "frame 0 is"),
    "landmark": (_json([[{"x": 1, "y": 2}, 3]]), "person 0 of frame 0 is"),
    "landmark text": (_json([[{"x": "a", "y": 2}] * 33]), "'a' is no number"),
    "time": (
        _json([{"timestamp_ms": t, "pose_landmarks": [{"x": 1, "y": 9}] * 33} for t in (5, 5)]),
        "the time of frame 1 is 0.005 s",
    ),
    "rate": (_json({"fps": "25", "frames": [[{"x": 1, "y": 9}] * 33]}), "'fps' is '25'"),
    "no rate": (_json({"fps": 0, "frames": [[{"x": 1, "y": 9}] * 33]}), "the frame rate is 0"),
    "arrays of others": (_npz(a=[1]), r"holds a \(1,\); expected an array 'keypoints'"),
    "flat": (_npz(keypoints=[1.0, 2.0]), r"'keypoints' has the shape \(2,\)"),
    "text array": (_npz(keypoints=["a"]), "'keypoints' has the shape"),
    "no frames": (_npz(keypoints=np.zeros((0, 17, 2))), "'keypoints' has the shape"),
    "wide": (_npz(keypoints=np.ones((4, 17, 5))), "has 17 x 5 numbers a person"),
    "all zero array": (_npz(keypoints=np.zeros((4, 17, 2))), "holds no person in any frame"),
    "array confidence": (_npz(keypoints=POINTS, scores=np.ones((4, 16))), r"the confidences have the shape \(4, 16\)"),
    "array times": (_npz(keypoints=POINTS, times=[1, 2]), r"the times have the shape \(2,\)"),
    "array times fall": (_npz(keypoints=POINTS, times=[1, 2, 1.5, 3]), "the time of frame 2 is 1.5 s"),
    "array times nan": (_npz(keypoints=POINTS, times=[1, np.nan, 2, 3]), "the time of frame 1 is nan s"),
    "array ids": (_npz(keypoints=POINTS, ids=[1, 2]), r"the identities have the shape \(2,\)"),
    "array size": (_npz(keypoints=POINTS, image_size=[1, 2, 3]), "the size of the picture is"),
    "array fps": (_npz(keypoints=POINTS, fps=[1, 2]), "'fps' is"),
    "array layout": (_npz(keypoints=POINTS, layout="dog"), "the layout is 'dog'"),
    "array not finite": (
        _npz(keypoints=np.full((4, 17, 2), np.nan), scores=np.ones((4, 17))),
        "frame 0, person 0, joint 0 is not finite",
    ),
    "pickle": (_pickle, "is not a sound .npz file"),
    "npy promises": (_huge_npy, r"promises 5440000 bytes of \(20000, 17, 2\)"),
    "no npy": (lambda at: _text("hello")(at).rename(at / "a.npy"), "is not a sound .npy file"),
    "empty folder": (_folder(), "holds no .json file"),
    "two clips": (_folder("a_1_keypoints.json", "b_1_keypoints.json"), "holds 2 clips: 'a_', 'b_'"),
    "no number": (_folder("a.json", "b.json"), "has no frame number in its name"),
    "same number": (_folder("a_1.json", "a_01.json"), "has the number of"),
    "far numbers": (_folder("a_1.json", "a_999999999999.json"), "holds no person in any frame|lie on"),
    "no frames in folder": (_folder("a_1.json", "a_2.json", value=3), "is not one frame of keypoints"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_are_named_in_one_line(tmp_path, case):
    make, message = FAULTS[case]
    path = make(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        keypoints.read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 700


def test_shares_from_minus_one_on_are_refused_in_arrays(tmp_path):
    """Whether they were divided by the width or by width and height they do not say."""
    rows = files.rows(LAYOUTS["coco17"])
    rows[..., :2] = 2 * rows[..., :2] / SIZE - 1
    np.save(tmp_path / "a.npy", rows)
    with pytest.raises(
        InputError, match="% of its coordinates are negative, from -0.*shares of the picture from 0 to 1"
    ):
        keypoints.read(tmp_path / "a.npy", size=SIZE)


def test_a_size_that_the_file_denies_is_refused(tmp_path):
    path = files.coco_annotations(tmp_path / "a.json")
    with pytest.raises(InputError, match="have 1280 x 720 pixels; expected 640 x 480, as was said"):
        keypoints.read(path, size=(640, 480))
    with pytest.raises(InputError, match="the picture is 0 wide and 5 high"):
        keypoints.read(path, size=(0, 5))


def test_too_large_a_file_is_not_read(tmp_path):
    with (tmp_path / "a.json").open("wb") as stream:
        stream.truncate(1 << 30)  # sparse
    with pytest.raises(InputError, match="has 1073741824 bytes; expected keypoints as JSON: at most"):
        keypoints.read(tmp_path / "a.json")


@pytest.mark.parametrize(
    "case", ["alphapose", "mmpose frames", "coco annotations", "vitpose", "mediapipe objects", "npz", "npy"]
)
def test_damaged_files(tmp_path, case):
    def sound(found):
        there = found.confidence > 0
        assert np.isfinite(found.points[there]).all()
        assert np.isnan(found.points[~there]).all()
        assert found.frame.max() < found.frames

    def read(path):
        return keypoints.read(path, size=SIZE)

    path = CASES[case][1](tmp_path)
    fuzz.survives(read, path, sound)


ODD = [None, "x", {}, [], -1, True, 1e400, 10**40, 0.5, [[]], [None], {"x": 1}, "12", {"keypoints": []}, [[[[1]]]]]


def _places(value, found):
    """Every list and object inside, with each of its keys."""
    for key in range(len(value)) if isinstance(value, list) else list(value):
        found.append((value, key))
        if isinstance(value[key], list | dict):
            _places(value[key], found)
    return found


@pytest.mark.parametrize("case", [case for case, (_, _, source) in CASES.items() if "folder" not in source + case])
def test_odd_values_in_odd_places(tmp_path, case):
    """Any value of JSON in any place of a sound file: read or refused, never a crash."""
    path = CASES[case][1](tmp_path)
    if path.suffix != ".json":
        return
    whole = json.loads(path.read_text())
    dice = np.random.default_rng(5)
    for _ in range(60):
        value = json.loads(json.dumps(whole))
        if isinstance(value, list):
            value = value[:3]
        places = _places(value, [])
        # Half of the time near the root: most places are numbers.
        parent, key = places[dice.integers(len(places)) if dice.random() < 0.5 else dice.integers(min(len(places), 9))]
        parent[key] = ODD[dice.integers(len(ODD))]
        files.dump(path, value)
        try:
            found = keypoints.read(path, size=SIZE)
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017
            assert len(str(error)) < 700  # noqa: PT017
        else:
            assert np.isfinite(found.points[found.confidence > 0]).all()


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
