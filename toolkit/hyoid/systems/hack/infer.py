# SPDX-License-Identifier: Apache-2.0
"""Many frames through HACK: arrays in, arrays out, in chunks that stay small."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hyoid.errors import InputError, MissingToolError
from hyoid.systems.hack import EXPRESSIONS, JOINTS, checkpoint

if TYPE_CHECKING:
    from hyoid.systems.hack.network import Hack

CHUNK = 64


def load(path: str | Path, device: str = "cpu") -> Hack:
    """The model of a folder (see :func:`hyoid.systems.hack.checkpoint.find`), ready to be called.

    Raises:
        InputError: the folder is not a sound one. MissingToolError: torch is not installed.
    """
    try:
        from hyoid.systems.hack.network import Hack
    except ImportError as error:
        raise MissingToolError(
            "HACK is evaluated with torch, which is not installed", hint="Install it: pip install 'hyoid[train]'"
        ) from error
    return Hack(checkpoint.read(Path(path))).to(device)


def evaluate(
    model: Hack, theta: np.ndarray, tau: np.ndarray | None = None, alpha: np.ndarray | None = None,
    expression: np.ndarray | None = None, beta: np.ndarray | None = None, *, chunk: int = CHUNK,
) -> np.ndarray:  # fmt: skip
    """Posed vertices (frames, V, 3) float32, centimetres, of an animation; ``chunk`` frames are worked on at a time.

    Args:
        theta: (frames, 8, 3) rotation vectors, radians, in bone axes. tau: (frames, 1), default 0. alpha: (frames, 1),
            default 1. expression: (frames, 55), default 0. beta: (k,) identity of the whole animation, or (frames, k).

    Raises:
        InputError: shapes do not fit or a number is not finite; the first index is named.
    """
    import torch

    theta = np.asarray(theta, np.float32)
    frames = len(theta)
    inputs = {
        "theta": theta,
        "tau": np.zeros((1, 1)) if tau is None else tau,
        "alpha": np.ones((1, 1)) if alpha is None else alpha,
        "expression": np.zeros((1, len(EXPRESSIONS))) if expression is None else expression,
        "beta": np.zeros((1, 0)) if beta is None else np.atleast_2d(beta),
    }
    arrays = {name: _checked(name, value, frames) for name, value in inputs.items()}
    result = np.empty((frames, model.count, 3), np.float32)
    place: dict[str, Any] = {"device": model.template.device, "dtype": model.template.dtype}
    with torch.inference_mode():
        for start in range(0, frames, chunk):
            rows = slice(start, min(start + chunk, frames))
            part = [torch.as_tensor(a if len(a) == 1 else a[rows], **place) for a in arrays.values()]
            result[rows] = model(*part).cpu().numpy()
    return result


def _checked(name: str, value: np.ndarray, frames: int) -> np.ndarray:
    tails = {"theta": (JOINTS, 3), "tau": (1,), "alpha": (1,), "expression": (len(EXPRESSIONS),)}
    array = np.asarray(value, np.float32)
    tail = tails.get(name, array.shape[1:])
    if array.shape[1:] != tail or array.ndim < 2 or len(array) not in (1, frames):
        raise InputError(f"{name} is {array.shape}", expected=f"({frames}, {', '.join(map(str, tail))})")
    if not np.isfinite(array).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{name} holds {array[first]} at index {first}", expected="finite numbers")
    return array
