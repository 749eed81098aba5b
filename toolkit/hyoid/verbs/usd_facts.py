# SPDX-License-Identifier: Apache-2.0
"""Runs as a child process: opens a USD file and prints what is in it as JSON. A damaged USD file can end the process
that reads it, so the reader is never ours."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import json
import sys
from typing import Any


def facts(path: str) -> dict[str, Any]:
    """What a USD file holds."""
    from pxr import Sdf, Usd, UsdGeom, UsdMedia, UsdSkel

    layer = Sdf.Layer.FindOrOpen(path)
    if layer is None:
        raise ValueError("cannot be opened as USD")
    stage = Usd.Stage.Open(layer)
    found: dict[str, Any] = {
        "metres_per_unit": UsdGeom.GetStageMetersPerUnit(stage),
        "up_axis": str(UsdGeom.GetStageUpAxis(stage)),
        "fps": stage.GetTimeCodesPerSecond(),
        "frames": round(stage.GetEndTimeCode() - stage.GetStartTimeCode()) + 1 if layer.HasStartTimeCode() else 0,
        "meshes": {}, "shapes": [], "joints": [], "sounds": [],
        "custom": _plain(layer.customLayerData),
    }  # fmt: skip
    shapes: dict[str, None] = {}
    for prim in stage.Traverse():
        if prim.IsA(UsdGeom.Mesh):
            points = UsdGeom.Mesh(prim).GetPointsAttr().Get() or ()
            found["meshes"][prim.GetName()] = len(points)
            targets = UsdSkel.BindingAPI(prim).GetBlendShapesAttr().Get() or ()
            shapes.update(dict.fromkeys(str(name) for name in targets))
        elif prim.IsA(UsdSkel.Skeleton):
            paths = UsdSkel.Skeleton(prim).GetJointsAttr().Get() or ()
            found["joints"] += [str(joint).rsplit("/", 1)[-1] for joint in paths]
        elif prim.IsA(UsdMedia.SpatialAudio):
            asset = UsdMedia.SpatialAudio(prim).GetFilePathAttr().Get()
            found["sounds"].append(asset.path if asset else "")
    found["shapes"] = list(shapes)
    return found


def _plain(value: Any) -> Any:
    """USD dictionaries and arrays as JSON values."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    try:
        return [_plain(item) for item in value]
    except TypeError:
        return str(value)


if __name__ == "__main__":
    try:
        answer = facts(sys.argv[1])
    except (ValueError, RuntimeError) as error:
        answer = {"error": str(error).strip().splitlines()[0]}
    sys.stdout.write(json.dumps(answer))
