# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""USD (.usdc, .usda), written directly: UsdSkel skeleton, animation and blend shapes, preview materials, sound.

Time codes are the take's frames, from 0, so a time code divided by timeCodesPerSecond is a second of the take. Textures
and sound lie in the folder ``NAME_files`` beside the file, because only a package could hold them.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hyoid
from hyoid.characters.character import Character, Part
from hyoid.characters.lighter import lighter
from hyoid.formats import companions, usd_materials
from hyoid.formats.checks import finite, valid_take
from hyoid.take import Take

if TYPE_CHECKING:
    from pxr import Sdf, Usd, UsdGeom

    from hyoid.characters.performance import Performance

_STILL = 1e-7
"""What never moves by more than this gets one value instead of one a frame."""


def write(path: Path, character: Character, take: Take | None = None) -> None:
    """Write a character, and its performance if there is one, to ``path``; equal input gives equal bytes.

    Raises:
        InputError: the character or the take holds numbers that are not finite, or a texture cannot be read.
        OSError: the disk is full, or the folder cannot be written.
    """
    # The start of a sound is a time code, which .usdc files know since this version (of 2019). Without the setting USD
    # begins an older file, and prints a warning when it must change its mind.
    os.environ.setdefault("USD_WRITE_NEW_USDC_FILES_AS_VERSION", "0.9.0")
    os.environ.setdefault("TF_ENV_SETTING_ALERTS_ENABLED", "0")  # it would print that the setting is set
    from pxr import Sdf, Usd, UsdGeom, UsdSkel

    path = Path(path)
    if take is not None:
        valid_take(take, path)
    for name in ("vertices", "uv", "weights", "heads"):
        finite(f"the character's {name}", getattr(character, name), path)
    finite("the character's shapes", character.shapes.offsets, path)
    character = lighter(character)
    # A layer of the right format in memory: the file appears by one export, whatever happens before.
    layer = Sdf.Layer.CreateAnonymous(path.suffix)
    stage = Usd.Stage.Open(layer)
    top = Sdf.Path("/" + identifier(character.name, ()))
    root = UsdSkel.Root.Define(stage, top)
    stage.SetDefaultPrim(root.GetPrim())
    Usd.ModelAPI(root.GetPrim()).SetKind("component")
    _set_metadata(stage, character, take)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)

    joints = joint_paths(character)
    carried = carried_shapes(character)
    skeleton = _skeleton(stage, top.AppendChild("Skeleton"), character, joints)
    _animation(stage, top.AppendChild("Animation"), character, take, joints, carried)
    binding = UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    binding.CreateAnimationSourceRel().SetTargets([top.AppendChild("Animation")])
    used = {part.material: character.materials[part.material] for part in character.parts}
    materials = usd_materials.write(stage, top.AppendChild("Materials"), used, path)
    taken = ["Skeleton", "Animation", "Materials", "Voice"]
    for part, shapes in zip(character.parts, carried, strict=True):
        taken.append(identifier(part.name, taken))
        mesh = _mesh(stage, top.AppendChild(taken[-1]), character, part)
        _skin(mesh, character, part, skeleton.GetPath())
        _blend_shapes(stage, mesh, character, part, shapes)
        usd_materials.bind(mesh.GetPrim(), materials[part.material])
    _set_extent(root, character, take)
    if take is not None:
        _sound(stage, top.AppendChild("Voice"), take, path)
    export(layer, path)


def export(layer: Sdf.Layer, path: Path) -> None:
    """Write the layer.

    Raises:
        OSError: the reason is in the texts of USD's own errors.
    """
    from pxr import Tf

    try:
        written = layer.Export(str(path))
    except Tf.ErrorException as error:
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS):
            if os.strerror(number) in str(error):
                raise OSError(number, os.strerror(number), str(path)) from error
        raise OSError(errno.EIO, "USD cannot write it", str(path)) from error
    if not written:
        raise OSError(errno.EIO, "USD cannot write it", str(path))


def identifier(name: str, taken: Iterable[str]) -> str:
    """A valid, unused USD name: ``eye.L`` becomes ``eye_L``."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name) or "_"
    plain = f"_{plain}" if plain[0].isdigit() else plain
    unused, number = plain, 1
    while unused in taken:
        unused, number = f"{plain}_{number}", number + 1
    return unused


def joint_paths(character: Character) -> list[str]:
    """The joint tokens of the skeleton: ``root/spine01/c7t1``."""
    paths: list[str] = []
    for name, parent in zip(character.joint_names, character.parents.tolist(), strict=True):
        plain = identifier(name, ())
        path = f"{paths[parent]}/{plain}" if parent >= 0 else plain
        paths.append(identifier_path(path, paths))
    return paths


def identifier_path(path: str, taken: list[str]) -> str:
    """``path``, made unique by a number at its end when two joints differ only in signs that USD does not know."""
    unused, number = path, 1
    while unused in taken:
        unused, number = f"{path}_{number}", number + 1
    return unused


def carried_shapes(character: Character) -> list[np.ndarray]:
    """For each part the shapes that move at least one of its vertices, rising."""
    shapes = character.shapes
    owner = np.repeat(np.arange(len(shapes.names)), np.diff(shapes.starts))
    moving = np.abs(shapes.offsets).max(1, initial=0) > 0
    carried = []
    for part in character.parts:
        inside = (shapes.vertices >= part.vertices.start) & (shapes.vertices < part.vertices.stop) & moving
        carried.append(np.unique(owner[inside]))
    return carried


def _set_metadata(stage: Usd.Stage, character: Character, take: Take | None) -> None:
    data: dict[str, Any] = {
        "character": character.name,
        "licence": character.licence,
        "settings": json.dumps(dict(character.settings), sort_keys=True),
    }
    if take is not None:
        stage.SetTimeCodesPerSecond(take.fps)
        stage.SetFramesPerSecond(take.fps)
        stage.SetStartTimeCode(0)
        stage.SetEndTimeCode(max(take.frames - 1, 0))
        data["provenance"] = json.dumps(asdict(take.provenance), sort_keys=True, default=str)
        data["events"] = json.dumps([asdict(event) for event in take.events])
        data["mode"] = take.mode
    layer = stage.GetRootLayer()
    layer.customLayerData = {"hyoid": data}
    layer.documentation = f"Hyoid {hyoid.__version__}"


def _skeleton(stage: Usd.Stage, path: Sdf.Path, character: Character, joints: list[str]) -> Any:
    from pxr import UsdSkel, Vt

    skeleton = UsdSkel.Skeleton.Define(stage, path)
    skeleton.CreateJointsAttr(joints)
    skeleton.CreateJointNamesAttr(list(character.joint_names))
    bind = np.tile(np.eye(4), (len(joints), 1, 1))
    bind[:, 3, :3] = character.heads  # USD multiplies row vectors: the translation is the last row
    rest = bind.copy()
    rest[:, 3, :3] = _local_heads(character)
    skeleton.CreateBindTransformsAttr(Vt.Matrix4dArray.FromNumpy(bind))
    skeleton.CreateRestTransformsAttr(Vt.Matrix4dArray.FromNumpy(rest))
    skeleton.CreatePurposeAttr("guide")
    return skeleton


def _local_heads(character: Character) -> np.ndarray:
    """Joint positions from the parent joint, (J, 3) float64."""
    heads = character.heads.astype(np.float64)
    parents = character.parents
    return np.where(parents[:, None] >= 0, heads - heads[np.maximum(parents, 0)], heads)


def _animation(
    stage: Usd.Stage,
    path: Sdf.Path,
    character: Character,
    take: Take | None,
    joints: list[str],
    carried: list[np.ndarray],
) -> None:
    """Rotations, translations, scales and blend shape weights of what moves; without a take all joints at rest."""
    from pxr import UsdSkel, Vt

    from hyoid.characters import performance

    performed = None if take is None else performance.perform(character, take)
    moving = np.arange(len(joints)) if performed is None else _moving_joints(character, performed)
    rest = _local_heads(character)[moving].astype(np.float32)
    animation = UsdSkel.Animation.Define(stage, path)
    animation.CreateJointsAttr([joints[index] for index in moving])
    animation.CreateScalesAttr(Vt.Vec3hArray.FromNumpy(np.ones((len(moving), 3), np.float16)))
    translations = animation.CreateTranslationsAttr(Vt.Vec3fArray.FromNumpy(rest))
    still = np.tile(np.array([0, 0, 0, 1], np.float32), (len(moving), 1))
    rotations = animation.CreateRotationsAttr(Vt.QuatfArray.FromNumpy(still))
    used = np.unique(np.concatenate([*carried, np.empty(0, int)])).astype(int)
    weights = None
    if len(used):
        animation.CreateBlendShapesAttr([identifier(character.shapes.names[index], ()) for index in used])
        weights = animation.CreateBlendShapeWeightsAttr(Vt.FloatArray.FromNumpy(np.zeros(len(used), np.float32)))
    if performed is None:
        return
    turned = _continuous(performed.rotations[:, moving])[..., [1, 2, 3, 0]]
    _set_frames(stage, rotations, np.ascontiguousarray(turned, np.float32), Vt.QuatfArray)
    if np.abs(performed.root).max(initial=0) > _STILL:
        moved = np.repeat(rest[None], performed.frames, 0)
        moved[:, character.parents[moving] < 0] += performed.root[:, None]
        _set_frames(stage, translations, moved, Vt.Vec3fArray)
    if weights is not None:
        _set_frames(stage, weights, np.ascontiguousarray(performed.shape_weights[:, used]), Vt.FloatArray)


def _moving_joints(character: Character, performed: Performance) -> np.ndarray:
    """Indices of the joints that leave their rest, rising; the skeleton keeps the others there. Never empty."""
    rest = np.array([1, 0, 0, 0], np.float32)
    moving = np.abs(np.abs(performed.rotations) - rest).max((0, 2), initial=0) > _STILL
    return np.flatnonzero(moving | (character.parents < 0))


def _set_frames(stage: Usd.Stage, attribute: Usd.Attribute, values: np.ndarray, kind: Any) -> None:
    """One time sample a frame; a single default value where nothing moves."""
    if len(values) and np.ptp(values, axis=0).max(initial=0) <= _STILL:
        attribute.Set(kind.FromNumpy(np.ascontiguousarray(values[0])))
        return
    layer, path = stage.GetRootLayer(), attribute.GetPath()
    for frame, row in enumerate(values):
        layer.SetTimeSample(path, frame, kind.FromNumpy(row))


def _continuous(rotations: np.ndarray) -> np.ndarray:
    """The same rotations (T, J, 4), signs chosen so that neighbouring frames never jump to the opposite quaternion."""
    flips = np.where((rotations[1:] * rotations[:-1]).sum(-1) < 0, -1.0, 1.0)
    signs = np.concatenate([np.ones((1, rotations.shape[1])), np.cumprod(flips, axis=0)])[: len(rotations)]
    return rotations * signs[..., None]


def _mesh(stage: Usd.Stage, path: Sdf.Path, character: Character, part: Part) -> UsdGeom.Mesh:
    from pxr import Sdf, UsdGeom, Vt

    mesh = UsdGeom.Mesh.Define(stage, path)
    points = np.ascontiguousarray(character.vertices[part.vertices], np.float32)
    faces = character.faces[part.faces] - part.vertices.start
    corner = np.ones(faces.shape, bool)
    corner[:, 3] = faces[:, 3] != faces[:, 2]  # a triangle repeats its last index
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(corner.sum(1).astype(np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(faces[corner].astype(np.int32)))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.catmullClark)
    mesh.CreateExtentAttr(_bounds(points))
    mesh.CreateDoubleSidedAttr(character.materials[part.material].double_sided)
    # Every corner's UV row, with rows shared where corners share them: seams stay seams.
    rows, indices = np.unique(character.face_uv[part.faces][corner], return_inverse=True)
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying)
    st.Set(Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(character.uv[rows], np.float32)))
    st.SetIndices(Vt.IntArray.FromNumpy(indices.astype(np.int32)))
    return mesh


def _bounds(points: np.ndarray) -> Any:
    from pxr import Vt

    if not len(points):
        return Vt.Vec3fArray.FromNumpy(np.zeros((2, 3), np.float32))
    return Vt.Vec3fArray.FromNumpy(np.stack([points.min(0), points.max(0)]).astype(np.float32))


def _skin(mesh: UsdGeom.Mesh, character: Character, part: Part, skeleton: Sdf.Path) -> None:
    from pxr import Gf, UsdSkel, Vt

    weights = character.weights[part.vertices]
    used = max(int((weights > 0).sum(1).max(initial=1)), 1)
    joints = np.where(weights > 0, character.weight_joints[part.vertices], 0)[:, :used]
    weights = weights[:, :used] / np.maximum(weights[:, :used].sum(1, keepdims=True), 1e-12)
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton])
    binding.CreateJointIndicesPrimvar(False, used).Set(Vt.IntArray.FromNumpy(joints.astype(np.int32).ravel()))
    binding.CreateJointWeightsPrimvar(False, used).Set(Vt.FloatArray.FromNumpy(weights.astype(np.float32).ravel()))
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1))


def _blend_shapes(stage: Usd.Stage, mesh: UsdGeom.Mesh, character: Character, part: Part, carried: np.ndarray) -> None:
    from pxr import UsdSkel, Vt

    if not len(carried):
        return
    shapes = character.shapes
    names, targets = [], []
    for index in carried:
        rows = slice(int(shapes.starts[index]), int(shapes.starts[index + 1]))
        vertices, offsets = shapes.vertices[rows], shapes.offsets[rows]
        inside = (vertices >= part.vertices.start) & (vertices < part.vertices.stop) & (offsets != 0).any(1)
        name = identifier(shapes.names[index], ())
        target = UsdSkel.BlendShape.Define(stage, mesh.GetPath().AppendChild(name))
        target.CreateOffsetsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(offsets[inside], np.float32)))
        local = (vertices[inside] - part.vertices.start).astype(np.int32)
        target.CreatePointIndicesAttr(Vt.IntArray.FromNumpy(local))
        names.append(name)
        targets.append(target.GetPath())
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateBlendShapesAttr(names)
    binding.CreateBlendShapeTargetsRel().SetTargets(targets)


def _set_extent(root: Any, character: Character, take: Take | None) -> None:
    """The box of the whole performance: the character at rest with room for its arms and its way."""
    low, high = character.vertices.min(0), character.vertices.max(0)
    room = 0.15 * float((high - low).max())
    way = np.zeros((1, 3)) if take is None else take.root
    root.CreateExtentAttr(_bounds(np.stack([low - room + way.min(0), high + room + way.max(0)])))


def _sound(stage: Usd.Stage, prim: Sdf.Path, take: Take, path: Path) -> None:
    """The take's sound as non-spatial audio, copied beside the file; a file that is not there is left out."""
    from pxr import Sdf, UsdMedia

    if take.audio is None or not os.path.isfile(take.audio.path):
        return
    asset = companions.copy(path, Path(take.audio.path))
    audio = UsdMedia.SpatialAudio.Define(stage, prim)
    audio.CreateFilePathAttr(Sdf.AssetPath(asset))
    audio.CreateAuralModeAttr("nonSpatial")
    audio.CreatePlaybackModeAttr("onceFromStart")
    if take.audio.offset:
        audio.CreateStartTimeAttr(Sdf.TimeCode(take.audio.offset * take.fps))
