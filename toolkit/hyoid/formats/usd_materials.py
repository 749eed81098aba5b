# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Materials of a character as UsdPreviewSurface networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyoid.characters.character import Material
from hyoid.formats import companions

if TYPE_CHECKING:
    from pxr import Sdf, Usd, UsdShade


def write(stage: Usd.Stage, scope: Sdf.Path, materials: Mapping[str, Material], path: Path) -> dict[str, Any]:
    """Define the materials below ``scope`` and copy their maps beside ``path``.

    Raises:
        InputError: a map cannot be read.
    """
    from pxr import UsdGeom

    UsdGeom.Scope.Define(stage, scope)
    made: dict[str, Any] = {}
    for number, (name, material) in enumerate(materials.items()):
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        plain = plain if plain and not plain[0].isdigit() else f"_{plain}"
        child = scope.AppendChild(plain)
        if stage.GetPrimAtPath(child):
            child = scope.AppendChild(f"{plain}_{number}")
        made[name] = _material(stage, child, material, path)
    return made


def bind(prim: Usd.Prim, material: UsdShade.Material) -> None:
    """Bind a material to a mesh."""
    from pxr import UsdShade

    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material)


def _material(stage: Usd.Stage, path: Sdf.Path, record: Material, file: Path) -> Any:
    from pxr import Gf, Sdf, UsdShade

    types = Sdf.ValueTypeNames
    material = UsdShade.Material.Define(stage, path)
    surface = UsdShade.Shader.Define(stage, path.AppendChild("Surface"))
    surface.CreateIdAttr("UsdPreviewSurface")
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    colour = surface.CreateInput("diffuseColor", types.Color3f)
    roughness = surface.CreateInput("roughness", types.Float)
    opacity = surface.CreateInput("opacity", types.Float)
    colour.Set(Gf.Vec3f(*record.colour[:3]))
    roughness.Set(record.roughness)
    opacity.Set(record.colour[3] if record.alpha != "opaque" else 1.0)
    surface.CreateInput("metallic", types.Float).Set(record.metallic)
    if record.alpha == "mask":
        surface.CreateInput("opacityThreshold", types.Float).Set(0.5)
    if record.alpha == "blend" and record.colour_map is None:  # a wet layer: the cornea
        surface.CreateInput("ior", types.Float).Set(1.376)
    if record.colour_map or record.normal_map or record.roughness_map:
        reader = UsdShade.Shader.Define(stage, path.AppendChild("Coordinates"))
        reader.CreateIdAttr("UsdPrimvarReader_float2")
        reader.CreateInput("varname", types.String).Set("st")
        reader.CreateOutput("result", types.Float2)
        if record.colour_map:
            scale = record.colour if record.alpha != "opaque" else (*record.colour[:3], 1.0)
            texture = _texture(stage, path.AppendChild("Colour"), reader, record.colour_map, file, "sRGB", scale)
            colour.ConnectToSource(texture.CreateOutput("rgb", types.Float3))
            if record.alpha != "opaque":
                opacity.ConnectToSource(texture.CreateOutput("a", types.Float))
        if record.roughness_map:
            scale = (record.roughness,) * 3 + (1.0,)
            texture = _texture(stage, path.AppendChild("Roughness"), reader, record.roughness_map, file, "raw", scale)
            roughness.ConnectToSource(texture.CreateOutput("g", types.Float))
        if record.normal_map:
            texture = _texture(stage, path.AppendChild("Normal"), reader, record.normal_map, file, "raw", (2, 2, 2, 1))
            texture.CreateInput("bias", types.Float4).Set(Gf.Vec4f(-1, -1, -1, 0))
            normal = surface.CreateInput("normal", types.Normal3f)
            normal.ConnectToSource(texture.CreateOutput("rgb", types.Float3))
    return material


def _texture(
    stage: Usd.Stage, path: Sdf.Path, reader: Any, image: Path, file: Path, space: str, scale: tuple[float, ...]
) -> Any:
    from pxr import Gf, Sdf, UsdShade

    types = Sdf.ValueTypeNames
    texture = UsdShade.Shader.Define(stage, path)
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", types.Asset).Set(Sdf.AssetPath(companions.copy(file, image)))
    texture.CreateInput("st", types.Float2).ConnectToSource(reader.ConnectableAPI(), "result")
    texture.CreateInput("sourceColorSpace", types.Token).Set(space)
    texture.CreateInput("wrapS", types.Token).Set("repeat")
    texture.CreateInput("wrapT", types.Token).Set("repeat")
    if any(value != 1 for value in scale):
        texture.CreateInput("scale", types.Float4).Set(Gf.Vec4f(*scale))
    return texture
