# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene shows of a rig, frame by frame: joints after constraints and drivers, shape key values, properties.

The scene itself is never moved. A private scene that holds the armature alone is stepped through the frames: Blender
pulls in whatever the rig depends on (drivers, shape keys, targets of constraints, NLA), but deforms no mesh, which
makes it ten times as fast as stepping the artist's scene, and leaves frame, selection and unkeyed poses alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np

from ..toolkit.errors import UsageError
from ..toolkit.geometry import rotations

_NAME = "hyoid evaluation"


@dataclass(frozen=True)
class Evaluated:
    """A rig over n moments.

    Attributes:
        frames: (n,) float64, frames of the scene.
        bones: names of the armature's pose bones; parents: (B,) int, -1 without.
        matrices: (n, B, 4, 4) float32, pose matrices in the armature's space. rest: (B, 4, 4) float64.
        weights: shape key values by key name, (n,) float32; what is muted is zero.
        numbers: properties of the armature object by data path, (n, columns) float64.
    """

    frames: np.ndarray
    bones: tuple[str, ...] = ()
    parents: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    matrices: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 4, 4), np.float32))
    rest: np.ndarray = field(default_factory=lambda: np.empty((0, 4, 4)))
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    numbers: dict[str, np.ndarray] = field(default_factory=dict)

    def rotation(self, bone: str) -> np.ndarray:
        """Rotation of a bone against its parent and its rest, (n, 4) w, x, y, z, in the armature's axes."""
        index = self.bones.index(bone)
        own = _from_rest(self.matrices[:, index], self.rest[index])
        if self.parents[index] >= 0:
            above = int(self.parents[index])
            own = np.swapaxes(_from_rest(self.matrices[:, above], self.rest[above]), -1, -2) @ own
        turned = rotations.from_matrix(own)
        return rotations.continuous(turned) if len(turned) else turned

    def basis(self, bone: str) -> np.ndarray:
        """What ``matrix_basis`` without constraints would be, (n, 4, 4): place, rotation and scale in the rest axes."""
        index = self.bones.index(bone)
        rest, posed = self.rest[index], self.matrices[:, index].astype(np.float64)
        if self.parents[index] >= 0:
            above = int(self.parents[index])
            rest = np.linalg.inv(self.rest[above]) @ rest
            posed = np.linalg.inv(self.matrices[:, above].astype(np.float64)) @ posed
        return np.linalg.inv(rest) @ posed

    def translation(self, bone: str) -> np.ndarray:
        """Way of a bone's head from its rest place, (n, 3) metres, in the armature's axes."""
        index = self.bones.index(bone)
        return self.matrices[:, index, :3, 3].astype(np.float64) - self.rest[index, :3, 3]


def _from_rest(matrices: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Rotation matrices (n, 3, 3) that take the rest orientation to the posed one, without scale."""
    turned = matrices[:, :3, :3].astype(np.float64)
    turned = turned / np.maximum(np.linalg.norm(turned, axis=-2, keepdims=True), 1e-12)
    axes = rest[:3, :3] / np.maximum(np.linalg.norm(rest[:3, :3], axis=-2, keepdims=True), 1e-12)
    return turned @ axes.T


def from_blender(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3), or the vectors of quaternions (..., 4), turned from +Z up to +Y up: (x, y, z) -> (x, z, -y)."""
    turned = np.array(vectors)
    turned[..., -2], turned[..., -1] = vectors[..., -1], -vectors[..., -2]
    return turned


def evaluate(
    scene: Any,
    armature: Any | None,
    keys: Any | None,
    frames: Sequence[float] | np.ndarray,
    *,
    paths: Sequence[str] = (),
    progress: Callable[[float], None] | None = None,
) -> Evaluated:
    """What the scene shows of an armature object and a shape key block (``mesh.shape_keys``) at given frames.

    Args:
        scene: whose frame rate counts; it is not changed.
        armature: an armature object, or None. keys: a Key, or None.
        frames: frames of the scene, whole or not.
        paths: data paths of numbers of the armature object to read too (``["jaw"]``, ``location``).
        progress: told the share that is done, 0..1, now and then.

    Raises:
        UsageError: the armature is in Edit Mode, where it has no pose.
    """
    if armature is not None and armature.data.is_editmode:
        raise UsageError(f"'{armature.name}' is in Edit Mode, where it has no pose", hint="Leave Edit Mode first (Tab)")
    frames = np.asarray(frames, np.float64)
    bones = list(armature.pose.bones) if armature is not None else []
    names = [bone.name for bone in bones]
    matrices = np.empty((len(frames), len(bones), 16), np.float32)
    blocks = list(keys.key_blocks) if keys is not None else []
    values = np.empty((len(frames), len(blocks)), np.float32)
    numbers = {path: np.empty((len(frames), _width(armature, path))) for path in paths}
    with stepped(scene, armature, keys) as step:
        row_matrices, row_values = np.empty(16 * len(bones), np.float32), np.empty(len(blocks), np.float32)
        for index, frame in enumerate(frames.tolist()):
            graph = step(frame)
            if armature is not None:
                shown = armature.evaluated_get(graph)
                shown.pose.bones.foreach_get("matrix", row_matrices)
                matrices[index] = row_matrices.reshape(-1, 16)
                for path, rows in numbers.items():
                    rows[index] = shown.path_resolve(path)
            if keys is not None:
                keys.evaluated_get(graph).key_blocks.foreach_get("value", row_values)
                values[index] = row_values
            if progress is not None and index % 64 == 0:
                progress(index / len(frames))
    values[:, [index for index, block in enumerate(blocks) if block.mute]] = 0.0
    return Evaluated(
        frames=frames,
        bones=tuple(names),
        parents=np.array([names.index(bone.parent.name) if bone.parent else -1 for bone in bones], int),
        matrices=matrices.reshape(len(frames), len(bones), 4, 4).swapaxes(-1, -2),
        rest=np.array([np.array(bone.bone.matrix_local) for bone in bones], np.float64).reshape(-1, 4, 4),
        weights={block.name: values[:, index] for index, block in enumerate(blocks)},
        numbers=numbers,
    )


def _width(owner: Any, path: str) -> int:
    value = owner.path_resolve(path)
    return len(value) if hasattr(value, "__len__") else 1


@contextmanager
def stepped(scene: Any, armature: Any | None, keys: Any | None) -> Iterator[Callable[[float], Any]]:
    """A function that goes to a frame and gives the dependency graph in which the rig is evaluated there."""
    private = bpy.data.scenes.new(_NAME)
    probe = None
    try:
        private.render.fps, private.render.fps_base = scene.render.fps, scene.render.fps_base
        if armature is not None:
            private.collection.objects.link(armature)
        if keys is not None:
            probe = _probe(keys)
            private.collection.objects.link(probe)
        layer = private.view_layers[0]

        def step(frame: float) -> Any:
            whole = int(np.floor(frame + 1e-6))
            private.frame_set(whole, subframe=float(min(max(frame - whole, 0.0), 1.0 - 1e-6)))
            return layer.depsgraph

        yield step
    finally:
        if probe is not None:
            bpy.data.objects.remove(probe)
        bpy.data.scenes.remove(private)


def _probe(keys: Any) -> Any:
    """An empty that depends on the shape keys, so that they are evaluated without the mesh that they deform."""
    probe = bpy.data.objects.new(_NAME, None)
    probe["shape"] = 0.0
    driver = probe.driver_add('["shape"]').driver
    variable = driver.variables.new()
    variable.name, variable.type = "shape", "SINGLE_PROP"
    target = variable.targets[0]
    target.id_type, target.id = "KEY", keys
    target.data_path = f'key_blocks["{bpy.utils.escape_identifier(keys.key_blocks[0].name)}"].value'
    driver.expression = "shape"
    return probe
