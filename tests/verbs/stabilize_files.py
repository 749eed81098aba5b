# SPDX-License-Identifier: Apache-2.0
"""Performances of the bundled human as files of meshes, with the head's motion known."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from hyoid import characters
from hyoid.characters.character import Character
from hyoid.formats import obj
from hyoid.geometry import rotations
from hyoid.geometry.mesh import Mesh
from hyoid.geometry.rigid import Rigid

SHAPES = ("jawOpen", "mouthSmileLeft", "mouthSmileRight", "browInnerUp", "eyeBlinkLeft", "eyeBlinkRight")


@cache
def human() -> Character:
    return characters.load("human", {"age": 0.6, "gender": 0.7, "nose-hump-incr": 0.4}, part="head")


def skin() -> tuple[np.ndarray, np.ndarray]:
    """Rest vertices (N, 3) metres and faces (F, 4) of the skin."""
    part = human().parts[0]
    return human().vertices[part.vertices].astype(np.float64), human().faces[part.faces]


def weights(frames: int) -> np.ndarray:
    """(F, shapes): smooth curves; frame 0 is neutral."""
    time = np.arange(frames)[:, None] / 30
    phase, rate = np.arange(len(SHAPES)), 0.4 + 0.17 * np.arange(len(SHAPES))
    return np.clip(0.7 * np.sin(2 * np.pi * rate * time + 0.001 * phase), 0, 1)


def head_motion(frames: int) -> Rigid:
    """(F,) from the target to each frame, metres; nothing in frame 0."""
    time = np.arange(frames)[:, None] / 30
    turn = np.radians(14) * np.sin(time * [[1.1, 1.7, 0.8]])
    return Rigid(rotations.to_matrix(rotations.from_rotation_vector(turn)), 0.03 * np.sin(time * [[0.9, 0.5, 1.3]]))


def performance(frames: int = 24) -> tuple[np.ndarray, Rigid]:
    """Vertices (F, N, 3) metres with the head moving, and that motion."""
    rest, _ = skin()
    offsets = np.stack([human().offsets(name)[: len(rest)] for name in SHAPES])
    still = rest + np.tensordot(weights(frames), offsets, 1)
    motion = head_motion(frames)
    return motion.apply(still), motion


def write_npz(path: Path, vertices: np.ndarray, faces: np.ndarray | None = None, **more: object) -> Path:
    arrays = {"vertices": vertices.astype(np.float32), "faces": skin()[1] if faces is None else faces}
    np.savez(path, **arrays, fps=np.array(30.0), **more)
    return path


def mesh_of(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    return Mesh(
        vertices, faces, np.zeros((0, 2), np.float32), np.zeros((0, 4), np.int32), np.zeros(len(faces), np.int32),
        ("skin",),
    )  # fmt: skip


def write_folder(folder: Path, vertices: np.ndarray, names: list[str] | None = None) -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(vertices):
        name = names[number] if names else f"frame{number}"
        obj.write(folder / f"{name}.obj", mesh_of(frame, skin()[1]))
    return folder
