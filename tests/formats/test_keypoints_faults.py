# SPDX-License-Identifier: Apache-2.0
"""What is wrong in a file of keypoints is said in one line: where, what, and what would be right."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hyoid.errors import InputError
from hyoid.formats import keypoints
from hyoid.formats.keypoints import LAYOUTS
from hyoid.formats.npz import write_npz

from tests.formats import fuzz
from tests.formats import keypoint_files as files

SIZE = (files.WIDTH, files.HEIGHT)


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
    "endless score": (_set(3, "score", float("inf")), "frame 1: the score of a person is not finite"),
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
        InputError, match=r"% of its coordinates are negative, from -0.*shares of the picture from 0 to 1"
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

    path = files.CASES[case][1](tmp_path)
    fuzz.survives(read, path, sound)


ODD = [None, "x", {}, [], -1, True, 1e400, 10**40, 0.5, [[]], [None], {"x": 1}, "12", {"keypoints": []}, [[[[1]]]]]


def _places(value, found):
    """Every list and object inside, with each of its keys."""
    for key in range(len(value)) if isinstance(value, list) else list(value):
        found.append((value, key))
        if isinstance(value[key], list | dict):
            _places(value[key], found)
    return found


@pytest.mark.parametrize(
    "case", [case for case, (_, _, source) in files.CASES.items() if "folder" not in source + case]
)
def test_odd_values_in_odd_places(tmp_path, case):
    """Any value of JSON in any place of a sound file: read or refused, never a crash."""
    path = files.CASES[case][1](tmp_path)
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
