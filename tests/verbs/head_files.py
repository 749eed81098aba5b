# SPDX-License-Identifier: Apache-2.0
"""Pictures in which heads are rectangles of one colour that tells their direction, and systems that read it."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
from hyoid.geometry import head_angles
from hyoid.media import video
from scipy import ndimage

GROUND = 20
BLUE = 220  # of every head


def paint(picture: np.ndarray, box, pitch: float = 0.0, yaw: float = 0.0) -> None:
    """Draw a head: red tells the yaw, green the pitch."""
    left, top, right, bottom = (round(value) for value in box)
    red, green = 128 + yaw / 180 * 100, 128 + pitch / 90 * 100
    picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = (red, green, BLUE)


def picture(*heads, size=(320, 240)) -> np.ndarray:
    """(h, w, 3) with heads of (box, pitch, yaw)."""
    made = np.full((size[1], size[0], 3), GROUND, np.uint8)
    for head in heads:
        paint(made, *head)
    return made


def found(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) and directions (n, 3, 3) as the colours tell them."""
    labels, _ = ndimage.label(image[..., 2] > 130)
    boxes, angles = [], []
    for place in ndimage.find_objects(labels):
        rows, columns = place
        inner = image[rows, columns].reshape(-1, 3)
        red, green = np.median(inner, axis=0)[:2]
        boxes.append([columns.start, rows.start, columns.stop, rows.stop])
        angles.append([(green - 128) * 0.9, (red - 128) * 1.8, 0.0])
    return np.array(boxes, np.float32).reshape(-1, 4), head_angles.matrices(np.array(angles).reshape(-1, 3))


def install(monkeypatch, folder: Path, *, entropy: float = -6.0) -> list[dict]:
    """Put both systems in place of the real ones; what they are asked comes back as a growing list."""
    asked: list[dict] = []
    weights = folder / "w.safetensors"
    weights.write_bytes(b"weights")

    def load(path, device="cpu"):
        asked.append({"load": Path(path), "device": device})
        return types.SimpleNamespace(licence="CC0-1.0")

    def detect(detector, image, *, size=None, confidence=0.4, overlap=0.45):
        asked.append({"size": size, "confidence": confidence, "overlap": overlap, "shape": image.shape})
        assert image.dtype == np.uint8
        boxes, rotations = found(image)
        return types.SimpleNamespace(
            boxes=boxes, confidence=np.full(len(boxes), 0.9, np.float32), rotations=rotations.astype(np.float32)
        )

    def estimate(estimator, image, boxes, *, mirror):
        asked.append({"boxes": np.array(boxes)})
        rotations = []
        for left, top, right, bottom in np.asarray(boxes).round().astype(int):
            crop = image[top : max(bottom, top + 1), left : max(right, left + 1)].reshape(-1, 3)
            red, green = np.median(crop, axis=0)[:2]
            rotations.append(head_angles.matrices(np.array([(green - 128) * 0.9, (red - 128) * 1.8, 0.0])))
        count = len(rotations)
        return types.SimpleNamespace(
            rotations=np.array(rotations).reshape(-1, 3, 3), entropy=np.full(count, entropy),
            parameters=np.zeros((count, 3, 3)),
        )  # fmt: skip

    for name, functions in (("directmhp", {"detect": detect}), ("semiuhpe", {"estimate": estimate})):
        package = types.ModuleType(f"hyoid.systems.{name}")
        parts = {"infer": {"load": load, **functions}, "checkpoint": {"find": lambda: weights, "load": load}}
        package.__path__ = []
        monkeypatch.setitem(sys.modules, package.__name__, package)
        for part, content in parts.items():
            module = types.ModuleType(f"{package.__name__}.{part}")
            module.__dict__.update(content)
            setattr(package, part, module)
            monkeypatch.setitem(sys.modules, module.__name__, module)
    return asked


def film(path: Path, frames: int = 40, fps: float = 25.0, *, hidden=range(0), yaw=None, size=(320, 240)) -> Path:
    """A film of two heads that pass each other at different heights; ``hidden`` frames lack the first."""
    pictures = []
    for frame in range(frames):
        x = 20 + 6 * frame
        heads = [((250 - 5 * frame, 120, 290 - 5 * frame, 170), -20.0, -50.0)]
        if frame not in hidden:
            heads.insert(0, ((x, 30, x + 60, 100), 10.0, 40.0 if yaw is None else yaw[frame]))
        pictures.append(picture(*heads, size=size))
    video.write(path, pictures, fps)
    return path
