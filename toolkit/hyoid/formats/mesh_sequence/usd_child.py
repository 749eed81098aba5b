# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Runs as a child process: reads the meshes of a USD stage to standard output, or writes what comes through its input.

facts FILE: one JSON text. read FILE START STOP: frames, raw float64. write FOLDER: does the job in ``job.json``.
A failure is one JSON line on standard error and exit code 3.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from hyoid.formats.mesh_sequence.usd_samples import SampleError, Samples


class UsdError(Exception):
    """A failure with a kind that the parent turns into a typed error: ``input``, ``usage`` or ``output``."""

    def __init__(
        self, found: str, kind: str = "input", *, expected: str | None = None, hint: str | None = None,
        path: str | None = None, number: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(found)
        self.record = {
            "error": found, "kind": kind, "expected": expected, "hint": hint, "path": path, "errno": number,
        }  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """An opened stage: its mesh ``prims``, how many points each has, and the ``times`` of its frames."""

    stage: Any
    prims: list[Any]
    counts: list[int]
    times: list[Any]


def main(arguments: list[str]) -> int:
    """Do what the arguments say; the exit code is 0 or 3."""
    os.environ.setdefault("USD_WRITE_NEW_USDC_FILES_AS_VERSION", "0.9.0")
    os.environ.setdefault("TF_ENV_SETTING_ALERTS_ENABLED", "0")  # it would print that the setting is set
    os.environ["USD_DEFAULT_FILE_FORMAT"] = "usdc"  # of a .usd, which may be either
    if arguments[0] != "write":
        # A mapped file would count as memory of this process, frame by frame until all of it does.
        os.environ.setdefault("USDC_USE_PREAD", "1")
    try:
        if arguments[0] == "facts":
            sys.stdout.write(json.dumps(facts(arguments[1])))
            sys.stdout.flush()
        elif arguments[0] == "read":
            read(arguments[1], int(arguments[2]), int(arguments[3]), sys.stdout.buffer)
        else:
            write(Path(arguments[1]), sys.stdin.buffer)
    except UsdError as failure:
        sys.stderr.write("\n" + json.dumps(failure.record) + "\n")
        return 3
    except SampleError as failure:
        sys.stderr.write("\n" + json.dumps(UsdError(str(failure), "output").record) + "\n")
        return 3
    except BrokenPipeError:
        return 4  # nobody listens any more
    except OSError as error:
        sys.stderr.write("\n" + json.dumps(UsdError(str(error), "output", number=error.errno).record) + "\n")
        return 3
    return 0


def facts(path: str) -> dict[str, Any]:
    """Names of the frames, rate, units, axes, and the topology of every mesh."""
    from pxr import UsdGeom

    scene = _open(path)
    layer, stage = scene.stage.GetRootLayer(), scene.stage
    sizes, corners, left_handed = [], [], []
    for prim in scene.prims:
        mesh, first = UsdGeom.Mesh(prim), scene.times[0]
        sizes.append(np.asarray(mesh.GetFaceVertexCountsAttr().Get(first) or [], int).tolist())
        corners.append(np.asarray(mesh.GetFaceVertexIndicesAttr().Get(first) or [], int).tolist())
        left_handed.append(mesh.GetOrientationAttr().Get() == UsdGeom.Tokens.leftHanded)
    codes = [time.GetValue() for time in scene.times if not time.IsDefault()]
    stated = layer.HasTimeCodesPerSecond() or layer.HasFramesPerSecond()
    # A frame that is missing leaves a larger step: the smallest is the distance of frames.
    step = float(np.diff(codes).min()) if len(codes) > 1 else 1.0
    up_stated = stage.HasAuthoredMetadata(UsdGeom.Tokens.upAxis)
    return {
        "names": [f"{code:.10g}" for code in codes] or ["0"],
        "fps": stage.GetTimeCodesPerSecond() / step if stated else None,
        "up": str(UsdGeom.GetStageUpAxis(stage)) if up_stated else None,
        "metres": UsdGeom.GetStageMetersPerUnit(stage) if UsdGeom.StageHasAuthoredMetersPerUnit(stage) else None,
        "files": [used.realPath for used in stage.GetUsedLayers() if used.realPath],
        "counts": scene.counts, "sizes": sizes, "corners": corners, "left_handed": left_handed,
    }  # fmt: skip


def read(path: str, start: int, stop: int, stream: IO[bytes]) -> None:
    """Write the frames ``[start, stop)`` to a stream: the points of all meshes in world space, float64."""
    from pxr import UsdGeom

    scene = _open(path)
    for number in range(start, stop):
        time = scene.times[number]
        cache = UsdGeom.XformCache(time)
        for prim, count in zip(scene.prims, scene.counts, strict=True):
            points = np.asarray(UsdGeom.Mesh(prim).GetPointsAttr().Get(time), np.float64).reshape(-1, 3)
            if len(points) != count:
                found = f"frame {number} (time code {time}): {prim.GetPath()} has {len(points)} vertices"
                raise UsdError(found, expected=f"{count}, as the first frame has")
            matrix = np.array(cache.GetLocalToWorldTransform(prim))
            if not np.array_equal(matrix, np.eye(4)):
                points = points @ matrix[:3, :3] + matrix[3, :3]
            stream.write(np.ascontiguousarray(points, "<f8").data.cast("B"))
    stream.flush()


def _open(path: str) -> Scene:
    from pxr import Sdf, Tf, Usd, UsdGeom

    try:
        layer = Sdf.Layer.FindOrOpen(path)
        stage = None if layer is None else Usd.Stage.Open(layer)
    except Tf.ErrorException as error:
        raise UsdError(f"cannot be read: {str(error).strip().splitlines()[-1][:200]}", expected="a USD file") from error
    if stage is None:
        raise UsdError("cannot be opened as USD", expected="a USD file")
    prims, counts, moments, moved = [], [], set(), set()
    for prim in stage.Traverse():
        if not prim.IsA(UsdGeom.Mesh):
            continue
        attribute = UsdGeom.Mesh(prim).GetPointsAttr()
        samples = attribute.GetTimeSamples()
        points = attribute.Get(samples[0] if samples else Usd.TimeCode.Default())
        if points is None or not len(points):
            continue
        prims.append(prim)
        counts.append(len(points))
        moments.update(samples)
        above = prim
        while above and not above.IsPseudoRoot():
            moved.update(UsdGeom.Xformable(above).GetTimeSamples() if above.IsA(UsdGeom.Xformable) else ())
            above = above.GetParent()
    if not prims:
        raise UsdError("holds no meshes", expected="Mesh prims with points", hint="Meshes in instances are not seen")
    times = [Usd.TimeCode(moment) for moment in sorted(moments or moved)]
    return Scene(stage, prims, counts, times or [Usd.TimeCode.Default()])


def write(folder: Path, stream: IO[bytes]) -> None:
    """Do the job in ``folder`` with the frames that come through ``stream``, raw float64."""
    from pxr import Sdf

    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    frames = _incoming(stream, job["vertices"], job["frames"])
    part = Path(job["part"])
    layer = Sdf.Layer.CreateAnonymous(part.suffix)
    with Samples(layer, part) as samples:
        if "source" in job:
            turn = folder / "rotations.npy"
            _refill(layer, job, frames, samples, np.load(turn) if turn.exists() else None)
        else:
            _new(layer, job, np.load(folder / "faces.npy"), frames, samples)
        _export(layer, part)
        samples.fill(part)


def _incoming(stream: IO[bytes], vertices: int, frames: int) -> Iterator[np.ndarray]:
    for number in range(frames):
        data = stream.read(24 * vertices)
        if len(data) != 24 * vertices:
            raise UsdError(f"the frames end before frame {number}", "output")
        yield np.frombuffer(data, "<f8").reshape(-1, 3)


def _new(layer: Any, job: dict[str, Any], faces: np.ndarray, frames: Iterator[np.ndarray], samples: Samples) -> None:
    """One mesh prim in an empty layer, with a sample a frame from time code 0."""
    from pxr import Sdf, Usd, UsdGeom, Vt

    from hyoid.formats.usd import identifier

    stage = Usd.Stage.Open(layer)
    root = UsdGeom.Xform.Define(stage, "/" + identifier(job["name"], ()))
    stage.SetDefaultPrim(root.GetPrim())
    Usd.ModelAPI(root.GetPrim()).SetKind("component")
    UsdGeom.SetStageUpAxis(stage, job["up"])
    UsdGeom.SetStageMetersPerUnit(stage, job["metres"])
    mesh = UsdGeom.Mesh.Define(stage, root.GetPath().AppendChild("mesh"))
    corner = np.ones(faces.shape, bool)
    corner[:, 3] = faces[:, 3] != faces[:, 2]  # a triangle repeats its last index
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(corner.sum(1).astype(np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(faces[corner].astype(np.int32)))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    points, extent = mesh.CreatePointsAttr(), mesh.CreateExtentAttr()
    if job["frames"] == 1:
        values = np.ascontiguousarray(next(frames), np.float32)
        points.Set(Vt.Vec3fArray.FromNumpy(values))
        extent.Set(Vt.Vec3fArray.FromNumpy(_bounds(values)))
        return
    stage.SetTimeCodesPerSecond(job["fps"])
    stage.SetFramesPerSecond(job["fps"])
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(job["frames"] - 1)
    with Sdf.ChangeBlock():
        for number, values in enumerate(frames):
            values = np.ascontiguousarray(values, np.float32)
            samples.add(str(points.GetPath()), number, values)
            samples.add(str(extent.GetPath()), number, _bounds(values))


def _refill(
    layer: Any, job: dict[str, Any], frames: Iterator[np.ndarray], samples: Samples, rotations: np.ndarray | None
) -> None:
    """The source's root layer with the points of its meshes replaced, over whatever it refers to."""
    from pxr import Sdf, UsdGeom, UsdUtils, Vt

    scene = _open(job["source"])
    normals = [_normals(prim) if rotations is not None else None for prim in scene.prims]
    replaced = {prim.GetPath().AppendProperty(name) for prim in scene.prims for name in ("points", "extent")}
    replaced |= {normal.GetPath() for normal in normals if normal is not None}

    def kept(kind: Any, field: str, source: Any, path: Any, *_: Any) -> bool:
        return not (field == "timeSamples" and path in replaced)  # gigabytes, which would be read to be thrown away

    root = Sdf.Path.absoluteRootPath
    Sdf.CopySpec(scene.stage.GetRootLayer(), root, layer, root, kept, lambda *_: True)
    _move_references(layer, Path(job["source"]).parent, Path(job["target"]).parent, UsdUtils.ModifyAssetPaths)
    if job["fps"] and job["fps"] != job["source_fps"]:
        step = scene.stage.GetTimeCodesPerSecond() / (job["source_fps"] or scene.stage.GetTimeCodesPerSecond())
        layer.timeCodesPerSecond, layer.framesPerSecond = job["fps"] * step, job["fps"]
    types = Sdf.ValueTypeNames
    for prim, normal in zip(scene.prims, normals, strict=True):
        owner = Sdf.CreatePrimInLayer(layer, prim.GetPath())
        kinds = {"points": types.Point3fArray, "extent": types.Float3Array}
        if normal is not None:
            kinds[normal.GetName()] = types.Normal3fArray
        for name, kind in kinds.items():
            own = layer.GetAttributeAtPath(prim.GetPath().AppendProperty(name)) or Sdf.AttributeSpec(owner, name, kind)
            own.ClearInfo("timeSamples")
        for name in ("velocities", "accelerations"):  # of the motion that is gone
            if name in owner.properties:
                owner.RemoveProperty(owner.properties[name])

    for number, (time, world) in enumerate(zip(scene.times, frames, strict=True)):

        def put(path: str, name: str, value: np.ndarray, time: Any = time) -> None:
            whole = f"{path}.{name}"
            if time.IsDefault():
                layer.GetAttributeAtPath(whole).default = Vt.Vec3fArray.FromNumpy(value)
            else:
                samples.add(whole, time.GetValue(), value)

        cache, first = UsdGeom.XformCache(time), 0
        for prim, count, normal in zip(scene.prims, scene.counts, normals, strict=True):
            matrix = np.array(cache.GetLocalToWorldTransform(prim))
            local = _into(world[first : first + count], matrix, prim)
            put(str(prim.GetPath()), "points", local)
            put(str(prim.GetPath()), "extent", _bounds(local))
            if normal is not None and rotations is not None:
                values = normal.Get(time)
                turned = _turned(np.asarray(values, np.float64), matrix, rotations[number])
                put(str(prim.GetPath()), normal.GetName(), turned)
            first += count


def _move_references(layer: Any, old: Path, new: Path, modify: Any) -> None:
    """Let relative paths in the layer, which stood in the folder ``old``, mean the same from ``new``."""

    def moved(asset: str) -> str:
        # A path without a leading dot may also be one that a resolver looks up: only what is there is a file.
        if not asset or os.path.isabs(asset) or "://" in asset or not (old / asset.partition("[")[0]).exists():
            return asset
        relative = os.path.relpath(old / asset, new).replace(os.sep, "/")
        return relative if relative.startswith(".") else f"./{relative}"

    if old != new:
        modify(layer, moved)


def _normals(prim: Any) -> Any:
    """The attribute that holds a mesh's normals, or None."""
    from pxr import UsdGeom

    mesh = UsdGeom.Mesh(prim)
    primvar = UsdGeom.PrimvarsAPI(prim).GetPrimvar("normals")
    attribute = primvar.GetAttr() if primvar and primvar.HasAuthoredValue() else mesh.GetNormalsAttr()
    return attribute if attribute.HasAuthoredValue() else None


def _into(world: np.ndarray, matrix: np.ndarray, prim: Any) -> np.ndarray:
    """World positions in a prim's own space, (n, 3) float32; ``matrix`` multiplies row vectors."""
    if not np.array_equal(matrix, np.eye(4)):
        if abs(np.linalg.det(matrix[:3, :3])) < 1e-30:
            raise UsdError(f"{prim.GetPath()} is scaled to nothing", expected="a transform that can be undone")
        world = (world - matrix[3, :3]) @ np.linalg.inv(matrix[:3, :3])
    return np.ascontiguousarray(world, np.float32)


def _turned(normals: np.ndarray, matrix: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    left, _, right = np.linalg.svd(matrix[:3, :3])
    own = left @ right  # the prim's turn without its scale
    return np.ascontiguousarray(normals.reshape(-1, 3) @ (own @ rotation.T @ own.T), np.float32)


def _bounds(points: np.ndarray) -> np.ndarray:
    return np.stack([points.min(0), points.max(0)]).astype(np.float32)


def _export(layer: Any, path: Path) -> None:
    """Write a layer to a file.

    Raises:
        UsdError: of the kind ``output``, USD could not.
    """
    from pxr import Tf

    try:
        written, text = layer.Export(str(path)), ""
    except Tf.ErrorException as error:
        written, text = False, str(error)
    if not written:
        known = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)
        number = next((number for number in known if os.strerror(number) in text), errno.EIO)
        raise UsdError("USD cannot write it", "output", number=number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
