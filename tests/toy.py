# SPDX-License-Identifier: Apache-2.0
"""A tiny character and take with every feature of the records: fast tests of formats need no bundled human."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hyoid.characters import arkit
from hyoid.characters.character import Character, Corrective, Driver, Material, NeckLimits, Part, Shapes
from hyoid.take import AudioReference, CharacterReference, Event, Provenance, Source, Take

NECK = ("c7t1", "c6c7", "c5c6", "c4c5", "c3c4", "c2c3", "c1c2", "oc1")


def _grid(rows: int, columns: int, radius: float, bottom: float, top: float, first: int):
    """A tube of quads: vertices (n, 3), faces (m, 4), uv, face_uv (with a seam, so uv differ from vertices)."""
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    height = np.linspace(bottom, top, rows)
    vertices = np.stack(
        [np.tile(radius * np.sin(angle), rows), np.repeat(height, columns), np.tile(radius * np.cos(angle), rows)], -1
    )
    faces, face_uv = [], []
    for row in range(rows - 1):
        for column in range(columns):
            right = (column + 1) % columns
            a, b = row * columns + column, row * columns + right
            faces.append([a, b, b + columns, a + columns])
            u = row * (columns + 1) + column
            face_uv.append([u, u + 1, u + 1 + columns + 1, u + columns + 1])
    u, v = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows))
    return vertices, np.array(faces) + first, np.stack([u.ravel(), v.ravel()], -1), np.array(face_uv)


def character(rows: int = 24, columns: int = 20) -> Character:
    """A tube ("skin") with eight neck joints, a jaw and two eyes (small tubes), 52 + 3 shapes."""
    skin, faces, uv, face_uv = _grid(rows, columns, 0.08, 1.3, 1.75, 0)
    pieces, all_faces, all_uv, all_face_uv = [skin], [faces], [uv], [face_uv]
    parts = [Part("body", "skin", slice(0, len(skin)), slice(0, len(faces)))]
    for name, x in (("eye_left", 0.03), ("eye_right", -0.03)):
        count, face_count = sum(map(len, pieces)), sum(map(len, all_faces))
        eye, eye_faces, eye_uv, eye_face_uv = _grid(4, 8, 0.012, 1.64, 1.66, count)
        pieces.append(eye + np.array([x, 0, 0.08]))
        all_face_uv.append(eye_face_uv + sum(map(len, all_uv)))
        all_faces.append(eye_faces)
        all_uv.append(eye_uv)
        vertices = slice(count, count + len(eye))
        parts.append(Part(name, "eye", vertices, slice(face_count, face_count + len(eye_faces))))
    vertices = np.concatenate(pieces).astype(np.float32)
    joint_names = ("root", "spine01", *NECK, "jaw", "eye.L", "eye.R")
    parents = np.array([-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9], np.int32)
    heights = [1.0, 1.2, *np.linspace(1.42, 1.56, 8)]
    heads = np.array(
        [[0, y, 0] for y in heights] + [[0, 1.6, 0.03], [0.03, 1.65, 0.08], [-0.03, 1.65, 0.08]], np.float32
    )
    tails = np.concatenate([heads[1:10], [[0, 1.75, 0], [0, 1.55, 0.09], [0.03, 1.65, 0.1], [-0.03, 1.65, 0.1]]])
    level = np.clip((vertices[:, 1] - 1.42) / 0.02 + 2, 1, 9)
    low = np.minimum(level.astype(np.int32), 8)
    weight_joints = np.zeros((len(vertices), 8), np.int32)
    weights = np.zeros((len(vertices), 8), np.float32)
    weight_joints[:, 0], weight_joints[:, 1] = low, low + 1
    weights[:, 1] = level - low
    weights[:, 0] = 1 - weights[:, 1]
    for part, joint in ((parts[1], 11), (parts[2], 12)):
        weight_joints[part.vertices] = 0
        weights[part.vertices] = 0
        weight_joints[part.vertices, 0], weights[part.vertices, 0] = joint, 1
    swap = weights[:, 1] > weights[:, 0]
    weights[swap, :2], weight_joints[swap, :2] = weights[swap, 1::-1], weight_joints[swap, 1::-1]
    names = (*arkit.NAMES, *arkit.LARYNX_SHAPES)
    random = np.random.default_rng(7)
    starts, moved, offsets = [0], [], []
    for _ in names:
        chosen = np.sort(random.choice(len(skin), 30, replace=False)).astype(np.int32)
        moved.append(chosen)
        offsets.append(random.normal(0, 0.004, (30, 3)).astype(np.float32))
        starts.append(starts[-1] + 30)
    shapes = Shapes(names, np.array(starts), np.concatenate(moved), np.concatenate(offsets))
    eyes = [("eyeLookUp", (1, 0, 0), -25, -25), ("eyeLookDown", (1, 0, 0), 30, 30), ("eyeLookOut", (0, 1, 0), 35, -35)]
    eyes.append(("eyeLookIn", (0, 1, 0), -35, 35))
    drivers = tuple(
        Driver(joint, f"{curve}{side}", axis, degrees)
        for curve, axis, left, right in eyes
        for joint, side, degrees in (("eye.L", "Left", left), ("eye.R", "Right", right))
    )
    neck = NeckLimits(*(np.full(8, value, float) for value in (8, 9, 7, 9, 0.3)))
    return Character(
        name="toy", licence="CC0-1.0", settings={}, vertices=vertices,
        faces=np.concatenate(all_faces).astype(np.int32), uv=np.concatenate(all_uv).astype(np.float32),
        face_uv=np.concatenate(all_face_uv).astype(np.int32), parts=tuple(parts), shapes=shapes,
        joint_names=joint_names, parents=parents, heads=heads, tails=tails.astype(np.float32),
        weight_joints=weight_joints, weights=weights, drivers=drivers, neck=neck,
        materials={"skin": Material("skin", (0.8, 0.6, 0.5, 1)), "eye": Material("eye", (1, 1, 1, 1), 0.1)},
        landmarks={"lip_upper": 245, "lip_lower": 225, "chin": 205, "larynx": 165},
    )  # fmt: skip


def corrected(base: Character | None = None, joints: tuple[str, ...] = ("c5c6", "c1c2"), full: bool = False):
    """The character with correctives on some joints: two mixed ones each, or a full set of nine one-hot ones.

    The shapes move the skin around the joint by up to some centimetres, smoothly, and in part the left eye.
    """
    base = character() if base is None else base
    random = np.random.default_rng(11)
    names, correctives, moved, offsets = list(base.shapes.names), [], [base.shapes.vertices], [base.shapes.offsets]
    starts = base.shapes.starts.tolist()
    for joint in joints:
        height = base.heads[base.joint_names.index(joint), 1]
        near = np.exp(-(((base.vertices[:, 1] - height) / 0.06) ** 2))
        near[base.parts[1].vertices] = 0.2
        rows = np.flatnonzero(near > 1e-3).astype(np.int32)
        for number in range(9 if full else 2):
            features = np.eye(9)[number].reshape(3, 3) if full else random.normal(0, 0.6, (3, 3))
            names.append(f"corrective_{joint}_{number}")
            correctives.append(Corrective(names[-1], joint, features))
            wave = np.sin(base.vertices[rows] @ random.normal(0, 25, (3, 3))) * 0.02
            moved.append(rows)
            offsets.append((near[rows, None] * wave).astype(np.float32))
            starts.append(starts[-1] + len(rows))
    shapes = Shapes(tuple(names), np.array(starts), np.concatenate(moved), np.concatenate(offsets))
    return replace(base, shapes=shapes, correctives=tuple(correctives))


def take(frames: int = 40, fps: float = 30.0, audio: AudioReference | None = None) -> Take:
    """A take in which every ARKit curve, the larynx and the whole neck move smoothly."""
    time = np.arange(frames) / fps
    phase = np.arange(len(arkit.CURVES))
    curves = (0.5 + 0.5 * np.sin(2 * np.pi * (0.7 * time[:, None] + phase / 17))).astype(np.float32)
    curves[:, arkit.CURVES.index("larynxHeight")] = 8 * np.sin(2 * np.pi * time)
    joint_names = (*NECK, "jaw")
    half = np.radians(4) * np.sin(2 * np.pi * (0.5 * time[:, None] + np.arange(len(joint_names)) / 9))
    axis = np.eye(3)[np.arange(len(joint_names)) % 3]
    rotations = np.concatenate([np.cos(half)[..., None], np.sin(half)[..., None] * axis], -1).astype(np.float32)
    rotations[:, -1] = [1, 0, 0, 0]
    return Take(
        fps=fps, curve_names=arkit.CURVES, curves=curves, joint_names=joint_names, rotations=rotations,
        root=np.stack([0 * time, 0.01 * np.sin(time), 0 * time], -1).astype(np.float32),
        confidence=np.ones(frames, np.float32),
        events=(Event("phone", "M", 0.2, 0.3), Event("word", "my", 0.2, 0.5), Event("blink", "blink", 0.6, 0.75, 0.9)),
        audio=audio, character=CharacterReference("toy", {"age": 0.5}, "head"),
        provenance=Provenance("0.1.0", "talk", {"fps": fps}, (Source("character", "toy", "0" * 64, "CC0-1.0"),)),
        mode="forced alignment",
    )  # fmt: skip
