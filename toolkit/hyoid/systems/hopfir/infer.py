# SPDX-License-Identifier: Apache-2.0
"""Clips through HopFIR, each picture on its own, with mirror averaging; arrays in, arrays out.

Pictures run in batches of one size, the last one filled up, so a clip that is cut where a batch ends gives the same
numbers in every digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyoid.errors import InputError, MissingToolError
from hyoid.report import SILENT, Report
from hyoid.systems.hopfir import checkpoint, network
from hyoid.systems.hopfir.checkpoint import Model
from hyoid.systems.hopfir.network import HUMAN36M

BATCH = 64
"""Pictures that run together."""


@dataclass(frozen=True)
class Lifter:
    """A model that is ready to run; see :func:`load` and :func:`ready`."""

    model: Model
    parameters: Mapping[str, Any]
    device: str


def load(path: str | Path, *, device: str = "cpu") -> Lifter:
    """The model of a file (see :func:`hyoid.systems.hopfir.checkpoint.load`), ready to lift.

    Raises:
        WeightsError: the file is not a sound one. MissingToolError: torch is not installed.
    """
    return ready(checkpoint.load(Path(path)), device)


def ready(model: Model, device: str = "cpu") -> Lifter:
    """A model in memory, ready to lift.

    Raises:
        MissingToolError: torch is not installed.
    """
    try:
        return Lifter(model, model.tensors(device), device)
    except ImportError as error:
        raise MissingToolError(
            "HopFIR is evaluated with torch, which is not installed", hint="Install it: pip install 'hyoid[train]'"
        ) from error


def lift(
    lifter: Lifter, keypoints: np.ndarray, width: float, height: float, *, mirror: bool = True, report: Report = SILENT
) -> np.ndarray:
    """3D joints (frames, 17, 3) float32, metres, camera axes (x right, y down, z away), the pelvis at the origin.

    Args:
        keypoints: (frames, 17, 2) pixels of the joints of ``hyoid.geometry.human36m``, any number of frames from 1.
        width, height: of the image, pixels. mirror: lift the mirror image as well and average.

    Raises:
        InputError: shapes do not fit, or a number is not finite; the first frame and joint are named.
    """
    import torch

    keypoints = np.asarray(keypoints)
    _check(keypoints, width, height)
    image = network.normalised(keypoints.astype(np.float64), width, height).astype(np.float32)
    found = np.empty((*image.shape[:2], 3), np.float32)
    answer = network.lift if mirror else network.forward
    with torch.inference_mode():
        for start in range(0, len(image), BATCH):
            rows = np.minimum(np.arange(start, start + BATCH), len(image) - 1)
            given = torch.from_numpy(image[rows]).to(lifter.device)
            joints = answer(lifter.parameters, lifter.model.config, given)
            found[start : start + BATCH] = joints.cpu().numpy()[: len(image) - start]
            done = min(start + BATCH, len(image))
            report.progress(done / len(image), f"frame {done} of {len(image)}")
    return found


def needed(first: int, end: int, frames: int) -> tuple[int, int]:
    """First frame and end of the stretch of a clip whose lifting gives frames ``first`` to ``end`` the whole's numbers.

    ``lift(clip[start:stop])[first - start : end - start]`` are the frames: whole batches, counted from frame 0.
    """
    return first // BATCH * BATCH, min(frames, -(-end // BATCH) * BATCH)


def _check(keypoints: np.ndarray, width: float, height: float) -> None:
    if not (np.isfinite([width, height]).all() and width > 0 and height > 0):
        raise InputError(f"an image of {width} x {height}", expected="a width and a height in pixels")
    joints = len(HUMAN36M.parents)
    if keypoints.ndim != 3 or keypoints.shape[1:] != (joints, 2) or keypoints.dtype.kind not in "fiu":
        found = f"keypoints are {keypoints.shape} {keypoints.dtype}"
        raise InputError(found, expected=f"(frames, {joints}, 2) numbers")
    if not len(keypoints):
        raise InputError("there are no frames", expected="at least one")
    finite = np.isfinite(keypoints)
    if not finite.all():
        frame, joint, axis = (int(i) for i in np.argwhere(~finite)[0])
        raise InputError(
            f"joint {joint} of frame {frame} is at {keypoints[frame, joint, axis]}", expected="finite pixels",
            hint="Fill the gaps of the track first",
        )  # fmt: skip
