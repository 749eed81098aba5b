# SPDX-License-Identifier: Apache-2.0
"""Scenes to render, made once for all tests of a run: small, of two samples a pixel, in less than a second a frame."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from hyoid import blender
from hyoid.characters import arkit
from hyoid.formats import take_npz
from hyoid.take import AudioReference, Take
from PIL import Image

from tests import toy
from tests.blender import tools

MAKER = Path(__file__).with_name("make_scenes.py")


@functools.cache
def folder() -> Path:
    """``shot.blend`` (a character whose neck and face move, camera, light), ``bare`` (neither camera nor light),
    ``two`` (two characters, 24 frames a second), ``cube`` (no character), ``cameras`` (two, none active), ``linked``,
    and ``passes`` (a scene with more of what artists do, see ``make_scenes.dress``)."""
    tools.folder_of("4.2")
    made = Path(tempfile.mkdtemp(prefix="hyoid-scenes-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    moving = toy.take()
    blender.write(made / "toy.blend", character(), replace(moving, root=np.zeros_like(moving.root)))
    environment = dict(os.environ, BLENDER_USER_RESOURCES=str(made / "resources"))
    command = [sys.executable, str(MAKER), str(made / "toy.blend"), str(made)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return made


def character():
    """The toy with a jaw that opens by centimetres, so that 48 pixels show it."""
    base = toy.character()
    shapes, body = base.shapes, base.parts[0].vertices
    rows = slice(*shapes.starts[shapes.names.index("jawOpen") :][:2])
    offsets, moved = shapes.offsets.copy(), shapes.vertices.copy()
    low = np.flatnonzero((base.vertices[body, 1] < 1.55) & (base.vertices[body, 2] > 0))[-30:]
    moved[rows], offsets[rows] = np.sort(low), [0.0, -0.02, 0.06]
    return replace(base, shapes=replace(shapes, vertices=moved, offsets=offsets))


def take(weights: list[float], fps: float = 30.0, audio: AudioReference | None = None) -> Take:
    """A head that keeps still and opens its jaw by a weight each frame."""
    base = toy.take(len(weights), fps, audio)
    curves = np.zeros_like(base.curves)
    curves[:, arkit.CURVES.index("jawOpen")] = weights
    curves[:, arkit.CURVES.index("larynxSize")] = 1
    rotations = np.zeros_like(base.rotations)
    rotations[..., 0] = 1
    return replace(base, curves=curves, rotations=rotations, root=np.zeros_like(base.root))


def write_take(path: Path, weights: list[float], fps: float = 30.0, audio: AudioReference | None = None) -> Path:
    take_npz.write(path, take(weights, fps, audio))
    return path


def pixels(path: Path) -> np.ndarray:
    """(height, width, 3) of a picture, 0..255."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)
