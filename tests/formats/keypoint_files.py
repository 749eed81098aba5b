# SPDX-License-Identifier: Apache-2.0
"""Two people who walk past the camera and wave, and the file of each detector that would have seen them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hyoid.formats.keypoints import LAYOUTS, Layout
from hyoid.formats.npz import write_npz

FRAMES, PEOPLE = 12, 2
WIDTH, HEIGHT = 1280, 720
HIDDEN = (4, 1, "left wrist")
"""Frame, person and joint of which no detector finds anything."""

_REST = {
    "nose": (0, 1.66), "left eye": (0.03, 1.70), "right eye": (-0.03, 1.70), "left ear": (0.08, 1.68),
    "right ear": (-0.08, 1.68), "head top": (0, 1.80), "left shoulder": (0.19, 1.46), "right shoulder": (-0.19, 1.44),
    "left elbow": (0.24, 1.17), "right elbow": (-0.25, 1.16), "left wrist": (0.26, 0.91), "right wrist": (-0.27, 0.92),
    "left hip": (0.11, 0.93), "right hip": (-0.11, 0.93), "left knee": (0.12, 0.51), "right knee": (-0.13, 0.50),
    "left ankle": (0.12, 0.08), "right ankle": (-0.12, 0.09), "left heel": (0.12, 0.03), "right heel": (-0.12, 0.03),
    "left big toe": (0.15, 0.0), "right big toe": (-0.15, 0.0), "left small toe": (0.19, 0.01),
    "right small toe": (-0.19, 0.01),
}  # fmt: skip
"""Metres; the picture's right is the person's left."""
_SWING = {"wrist": 0.15, "elbow": 0.05, "knee": 0.06, "ankle": 0.12, "heel": 0.12, "toe": 0.12}


def joints(frames: int = FRAMES, people: int = PEOPLE) -> dict[str, np.ndarray]:
    """Every joint by name, (frames, people, 2) pixels in thousandths."""
    time = np.arange(frames)[:, None] + 5 * np.arange(people)
    found = {}
    for name, (x, y) in _REST.items():
        swing = next((size for part, size in _SWING.items() if name.endswith(part)), 0.01)
        phase = 1 if name.startswith("left") else -1
        across = (
            100 + 4 * time + 500 * (np.arange(people) / max(people - 1, 1)) + 200 * (x + phase * swing * np.sin(time))
        )
        down = 600 - 200 * (y + 0.3 * swing * np.cos(time))
        found[name] = np.round(np.stack(np.broadcast_arrays(across, down), -1), 3)
    for name, pair in {"neck": "shoulder", "thorax": "shoulder", "pelvis": "hip", "head": "ear"}.items():
        found[name] = (found[f"left {pair}"] + found[f"right {pair}"]) / 2
    found["spine"] = (found["pelvis"] + found["thorax"]) / 2
    found["upper neck"] = 0.7 * found["thorax"] + 0.3 * found["head top"]
    return found


def truth(layout: Layout, frames: int = FRAMES, people: int = PEOPLE) -> tuple[np.ndarray, np.ndarray]:
    """Points (frames, people, K, 2) and confidence (frames, people, K) of a layout; what is hidden is 0, 0, 0."""
    known = joints(frames, people)
    points = np.stack([known.get(name, known["nose"]) for name in layout.joints], 2)
    sure = np.round(0.5 + 0.4 * np.sin(np.arange(frames * people * layout.count)).reshape(points.shape[:3]), 3)
    frame, person, name = HIDDEN
    if name in layout.joints and frame < frames and person < people:
        at = (frame, person, layout.joints.index(name))
        points[at], sure[at] = 0, 0
    return points, sure


def rows(layout: Layout, frames: int = FRAMES, people: int = PEOPLE) -> np.ndarray:
    """(frames, people, K, 3): x, y, confidence."""
    points, sure = truth(layout, frames, people)
    return np.concatenate([points, sure[..., None]], -1)


def dump(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def openpose(folder: Path, layout: str, first: int = 0, frames: int = FRAMES, people: int = PEOPLE) -> Path:
    for number, frame in enumerate(rows(LAYOUTS[layout], frames, people), first):
        found = [
            {"person_id": [index], "pose_keypoints_2d": one.reshape(-1).tolist(), "face_keypoints_2d": []}
            for index, one in enumerate(frame)
        ]
        dump(folder / f"walk_{number:012d}_keypoints.json", {"version": 1.3, "people": found})
    return folder


def alphapose(path: Path, layout: str, name: str = "{}.jpg") -> Path:
    entries = [
        {
            "image_id": name.format(number), "category_id": 1, "keypoints": one.reshape(-1).tolist(),
            "score": 2.5 - index, "box": [1.0, 2.0, 3.0, 4.0], "idx": [[index + 7]] if number % 2 else index + 7,
        }
        for number, frame in enumerate(rows(LAYOUTS[layout]))
        for index, one in enumerate(frame)
    ]  # fmt: skip
    return dump(path, entries)


def alphapose_open(path: Path, key: str) -> Path:
    inner = "pose_keypoints_2d" if key == "people" else "joints"
    value = {
        f"{number}.jpg": {"version": 0.1, key: [{inner: one.reshape(-1).tolist()} for one in frame]}
        for number, frame in enumerate(rows(LAYOUTS["coco18"]))
    }
    return dump(path, value)


def coco_results(path: Path) -> Path:
    entries = [
        {"image_id": number + 1, "category_id": 1, "keypoints": one.reshape(-1).tolist(), "score": 0.9}
        for number, frame in enumerate(rows(LAYOUTS["coco17"]))
        for one in frame
    ]
    return dump(path, entries)


def coco_annotations(path: Path) -> Path:
    images, entries = [], []
    for number, frame in enumerate(rows(LAYOUTS["coco17"])):
        name = f"walk_{number + 1001}.png"
        images.append({"id": 50 + number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        for index, one in enumerate(frame):
            flags = one.copy()
            flags[:, 2] = np.where(one[:, 2] == 0, 0, 2)
            entries.append({"id": len(entries), "image_id": 50 + number, "keypoints": flags.reshape(-1).tolist(),
                            "track_id": index, "num_keypoints": 17})  # fmt: skip
    names = [name.replace(" ", "_") for name in LAYOUTS["coco17"].joints]
    kinds = [{"id": 1, "name": "person", "keypoints": names}]
    return dump(path, {"images": images, "annotations": entries, "categories": kinds})


def mmpose_frames(layout: str) -> list[dict[str, Any]]:
    return [
        {
            "frame_id": number + 1,
            "instances": [
                {
                    "keypoints": one[:, :2].tolist(), "keypoint_scores": one[:, 2].tolist(),
                    "bbox": [[1.0, 2.0, 3.0, 4.0]], "bbox_score": 0.75, "track_id": index,
                }
                for index, one in enumerate(frame)
            ],
        }
        for number, frame in enumerate(rows(LAYOUTS[layout]))
    ]  # fmt: skip


def mmpose(path: Path, layout: str, form: str, meta: dict[str, Any] | None = None) -> Path:
    """``form``: frames, lists, meta or predictions."""
    frames: Any = mmpose_frames(layout)
    if form in ("lists", "predictions"):
        frames = [frame["instances"] for frame in frames]
    value = {"frames": frames, "lists": frames, "predictions": {"predictions": frames, "visualization": []}}
    return dump(path, value.get(form, {"meta_info": meta or {}, "instance_info": frames}))


def mmpose_folder(folder: Path) -> Path:
    for number, frame in enumerate(mmpose_frames("coco17")):
        dump(folder / f"frame_{number}.json", frame["instances"])
    return folder


def vitpose(path: Path, layout: str) -> Path:
    frames = [
        {str(index + 3): one[:, [1, 0, 2]].tolist() for index, one in enumerate(frame)}
        for frame in rows(LAYOUTS[layout])
    ]
    names = {str(index): name.replace(" ", "_") for index, name in enumerate(LAYOUTS[layout].joints)}
    return dump(path, {"keypoints": frames, "skeleton": names})


def mediapipe(path: Path, form: str) -> Path:
    """``form``: people, person, objects, numbers, wrapped; shares of the picture, but for numbers, which are pixels."""
    size = np.array([1, 1, 1] if form == "numbers" else [WIDTH, HEIGHT, 1])
    shares = (rows(LAYOUTS["mediapipe33"]) / size).tolist()
    points = [
        [[{"x": x, "y": y, "z": -0.1, "visibility": sure} for x, y, sure in one] for one in frame] for frame in shares
    ]
    if form == "people":
        return dump(path, points)
    if form == "person":
        return dump(path, [frame[0] for frame in points])
    if form == "objects":
        frames = [
            {"frame": number, "timestamp_ms": number * 40.0, "pose_landmarks": frame}
            for number, frame in enumerate(points)
        ]
        return dump(path, {"fps": 25, "width": WIDTH, "height": HEIGHT, "frames": frames})
    if form == "numbers":
        return dump(path, [[[[x, y, -0.1, sure] for x, y, sure in one] for one in frame] for frame in shares])
    return dump(path, {"landmarks": points, "width": WIDTH, "height": HEIGHT})


def arrays(path, of="coco17", **more):
    points, sure = truth(LAYOUTS[of])
    write_npz(path, {"keypoints": points, "scores": sure, **{key: np.asarray(value) for key, value in more.items()}})
    return path


def array(path):
    np.save(path, rows(LAYOUTS["coco17"]))
    return path


NAMES = {str(index): name.replace(" ", "_") for index, name in enumerate(LAYOUTS["halpe26"].joints)}
CASES = {
    "openpose": ("body25", lambda at: openpose(at / "op", "body25"), "OpenPose JSON folder"),
    "openpose from 1001": ("body25", lambda at: openpose(at / "op", "body25", 1001), "OpenPose JSON folder"),
    "openpose coco": ("coco18", lambda at: openpose(at / "op", "coco18"), "OpenPose JSON folder"),
    "openpose mpi": ("mpi15", lambda at: openpose(at / "op", "mpi15"), "OpenPose JSON folder"),
    "alphapose": ("coco17", lambda at: alphapose(at / "a.json", "coco17"), "AlphaPose results"),
    "alphapose pictures": (
        "halpe26",
        lambda at: alphapose(at / "a.json", "halpe26", "run2/f_{}.png"),
        "AlphaPose results",
    ),
    "alphapose 136": ("halpe136", lambda at: alphapose(at / "a.json", "halpe136"), "AlphaPose results"),
    "alphapose mpii": ("mpii16", lambda at: alphapose(at / "a.json", "mpii16"), "AlphaPose results"),
    "alphapose folder": (
        "coco17",
        lambda at: alphapose(at / "d/alphapose-results.json", "coco17").parent,
        "AlphaPose results",
    ),
    "alphapose open": (
        "coco18",
        lambda at: alphapose_open(at / "a.json", "people"),
        "AlphaPose results in the form of OpenPose",
    ),
    "alphapose cmu": (
        "coco18",
        lambda at: alphapose_open(at / "a.json", "bodies"),
        "AlphaPose results in the form of OpenPose",
    ),
    "coco results": ("coco17", lambda at: coco_results(at / "a.json"), "COCO results"),
    "coco annotations": ("coco17", lambda at: coco_annotations(at / "a.json"), "COCO annotations"),
    "mmpose frames": ("coco17", lambda at: mmpose(at / "a.json", "coco17", "frames"), "MMPose JSON"),
    "mmpose lists": (
        "coco_wholebody133",
        lambda at: mmpose(at / "a.json", "coco_wholebody133", "lists"),
        "MMPose JSON",
    ),
    "mmpose predictions": ("coco17", lambda at: mmpose(at / "a.json", "coco17", "predictions"), "MMPose JSON"),
    "mmpose names": (
        "halpe26",
        lambda at: mmpose(at / "a.json", "halpe26", "meta", {"keypoint_id2name": NAMES}),
        "MMPose JSON",
    ),
    "mmpose title": (
        "human36m17",
        lambda at: mmpose(at / "a.json", "human36m17", "meta", {"dataset_name": "h36m"}),
        "MMPose JSON",
    ),
    "mmpose folder": ("coco17", lambda at: mmpose_folder(at / "m"), "MMPose JSON folder"),
    "vitpose": ("coco17", lambda at: vitpose(at / "a.json", "coco17"), "easy_ViTPose JSON"),
    "vitpose 25": ("vitpose25", lambda at: vitpose(at / "a.json", "vitpose25"), "easy_ViTPose JSON"),
    "mediapipe people": ("mediapipe33", lambda at: mediapipe(at / "a.json", "people"), "MediaPipe landmarks"),
    "mediapipe objects": ("mediapipe33", lambda at: mediapipe(at / "a.json", "objects"), "MediaPipe landmarks"),
    "mediapipe numbers": ("mediapipe33", lambda at: mediapipe(at / "a.json", "numbers"), "MediaPipe landmarks"),
    "mediapipe wrapped": ("mediapipe33", lambda at: mediapipe(at / "a.json", "wrapped"), "MediaPipe landmarks"),
    "npz": ("coco17", lambda at: arrays(at / "a.npz"), "arrays (.npz)"),
    "npz human36m": ("human36m17", lambda at: arrays(at / "a.npz", "human36m17"), "arrays (.npz)"),
    "npz 25": ("vitpose25", lambda at: arrays(at / "a.npz", "vitpose25"), "arrays (.npz)"),
    "npz without suffix": ("coco17", lambda at: arrays(at / "a.npz").rename(at / "a.dat"), "arrays (.npz)"),
    "npy": ("coco17", lambda at: array(at / "a.npy"), "arrays (.npy)"),
}
"""By name: the layout, what writes it into a folder, and what the reader calls it."""
