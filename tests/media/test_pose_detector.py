# SPDX-License-Identifier: Apache-2.0
"""A detector that the user has installed: what it finds comes out as keypoints, and what is missing is told."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hyoid.errors import InputError, MissingToolError, WeightsError
from hyoid.media import pose_detector, video

FRAMES = 4


class Landmarker:
    """Finds one person, whose joints drift to the right, in all frames but the second."""

    def __init__(self) -> None:
        self.stamps: list[int] = []

    def __enter__(self) -> Landmarker:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def detect_for_video(self, image: SimpleNamespace, stamp: int) -> SimpleNamespace:
        self.stamps.append(stamp)
        number = len(self.stamps) - 1
        marks = [SimpleNamespace(x=0.25 + 0.1 * number, y=0.5, visibility=0.9 if n else 0.0) for n in range(33)]
        return SimpleNamespace(pose_landmarks=[] if number == 1 else [marks])


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.mp4"
    video.write(path, iter([np.zeros((48, 64, 3), np.uint8)] * FRAMES), 25)
    return path


@pytest.fixture
def installed(monkeypatch) -> Landmarker:
    made = Landmarker()
    module = ModuleType("mediapipe")
    vision = SimpleNamespace(
        PoseLandmarkerOptions=lambda **options: SimpleNamespace(**options), RunningMode=SimpleNamespace(VIDEO="video"),
        PoseLandmarker=SimpleNamespace(create_from_options=lambda _: made),
    )  # fmt: skip
    module.tasks = SimpleNamespace(vision=vision, BaseOptions=lambda **options: SimpleNamespace(**options))
    module.Image = lambda **parts: SimpleNamespace(**parts)
    module.ImageFormat = SimpleNamespace(SRGB="srgb")
    for name in ("mediapipe.tasks", "mediapipe.tasks.python", "mediapipe.tasks.python.vision"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "mediapipe", module)
    return made


def test_what_it_finds_is_pixels_with_confidence(film, installed, tmp_path):
    model = tmp_path / "pose.task"
    model.write_bytes(b"model")
    found = pose_detector.detect(film, model)
    assert (found.frames, found.width, found.height) == (FRAMES, 64, 48)
    assert found.frame.tolist() == [0, 2, 3]
    np.testing.assert_allclose(found.points[:, 1], [[16, 24], [28.8, 24], [35.2, 24]])
    assert np.isnan(found.points[:, 0]).all()  # not visible
    assert installed.stamps == [0, 40, 80, 120]  # milliseconds of 25 frames a second


def test_nobody_is_an_error(film, installed, tmp_path, monkeypatch):
    model = tmp_path / "pose.task"
    model.write_bytes(b"model")
    monkeypatch.setattr(Landmarker, "detect_for_video", lambda *_: SimpleNamespace(pose_landmarks=[]))
    with pytest.raises(InputError, match="nobody"):
        pose_detector.detect(film, model)


def test_a_missing_model_is_named(film, installed, monkeypatch):
    monkeypatch.delenv(pose_detector.VARIABLE, raising=False)
    with pytest.raises(WeightsError, match="--detector FILE"):
        pose_detector.detect(film)


def test_a_missing_detector_is_named(film, monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(MissingToolError, match="pip install mediapipe"):
        pose_detector.detect(film)
