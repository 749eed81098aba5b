# SPDX-License-Identifier: Apache-2.0
"""MediaPipe's pose detector on a video, where the user has installed it; it is never part of Hyoid."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError, MissingToolError, WeightsError
from hyoid.formats.keypoints import LAYOUTS, Keypoints
from hyoid.media import video
from hyoid.report import SILENT, Report

VARIABLE = "HYOID_POSE_LANDMARKER"
"""Where the detector's model file is looked for when none is named."""
_MODEL = "pose_landmarker_full.task"


def detect(path: Path, model: Path | None = None, *, people: int = 1, report: Report = SILENT) -> Keypoints:
    """The 33 joints of people in a video, frame by frame.

    Args:
        model: a ``pose_landmarker_*.task`` file; None is the one that ``$HYOID_POSE_LANDMARKER`` names.
        people: how many at most.

    Raises:
        MissingToolError: MediaPipe is not installed. WeightsError: its model file is not there.
        InputError: the video cannot be read, or shows nobody.
    """
    facts = video.probe(path)
    named = model or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    mediapipe = _installed()
    if named is None or not named.is_file():
        raise WeightsError(
            "a video needs the model file of MediaPipe's pose detector", path=named, expected=_MODEL,
            hint=f"Get it from Google's MediaPipe pages and name it: --detector FILE or {VARIABLE}; or bring the "
            "keypoints of another detector",
        )  # fmt: skip
    times = video.frame_times(path)
    options = mediapipe.tasks.vision.PoseLandmarkerOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(named)),
        running_mode=mediapipe.tasks.vision.RunningMode.VIDEO, num_poses=people,
    )  # fmt: skip
    frame, points, confidence = [], [], []
    count = 0
    with mediapipe.tasks.vision.PoseLandmarker.create_from_options(options) as detector:
        for count, picture in enumerate(video.read(path), 1):
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
            # Its clock must rise by whole milliseconds.
            stamp = round(1000 * float(times[min(count, len(times)) - 1])) if count <= len(times) else count
            found = detector.detect_for_video(image, max(stamp, count - 1))
            for person in found.pose_landmarks:
                frame.append(count - 1)
                points.append([(mark.x * facts.width, mark.y * facts.height) for mark in person])
                confidence.append([mark.visibility or 0.0 for mark in person])
            report.progress(count / facts.frames, f"looking at frame {count} of {facts.frames}")
    if not frame:
        raise InputError("the detector finds nobody", path=path, expected="people in the picture")
    trust = np.array(confidence, np.float64)
    places = np.where(trust[..., None] > 0, np.array(points, np.float64), np.nan)
    return Keypoints(
        LAYOUTS["mediapipe33"], "the 33 joints of MediaPipe's detector", "MediaPipe on a video", count, 0,
        np.array(frame, np.int64), places, trust, trust.mean(1), np.full(len(frame), -1), None, None, facts.width,
        facts.height,
    )  # fmt: skip


def _installed() -> Any:
    try:
        import mediapipe  # pyright: ignore[reportMissingImports]
        import mediapipe.tasks.python.vision  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingToolError(
            "a video needs a pose detector, and mediapipe is not installed",
            hint="Install it (pip install mediapipe), or bring the keypoints of another detector",
        ) from None
    return mediapipe
