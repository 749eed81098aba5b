# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Materials of a character as Principled node trees, with their maps packed into the file."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import compat

_TINT, _COLOUR, _HASH = "Hyoid tint", "Hyoid colour", "hyoid_sha256"
_CLEAR = 0.5
"""A blended material with an alpha factor below this is a clear layer (the cornea): only its highlight shows."""


def build(records: dict[str, dict[str, Any]], folder: Path | None = None, owner: str = "") -> dict[str, Any]:
    """Blender materials by name; each carries its name in the custom property ``hyoid_material``.

    Args:
        records: see ``pack``.
        folder: None for materials at their best. A folder for materials that other formats understand: every map goes
            straight into its socket, and a colour factor is multiplied into a copy of the map in that folder.
        owner: stands before the name in Blender, where several characters share a file.
    """
    return {name: _material(name, record, folder, owner) for name, record in records.items()}


def update(material: Any, record: dict[str, Any]) -> Any:
    """Give a material of :func:`build` the colour and the colour map of another identity, in place.

    Nodes that an artist removed or renamed are left alone, and so is an image of the artist's own.

    Returns:
        The image that the material no longer uses, or None.
    """
    tree = material.node_tree
    tint, image = (tree.nodes.get(name) for name in (_TINT, _COLOUR)) if tree else (None, None)
    if tint is not None:
        tint.inputs[7].default_value = [*record["colour"][:3], 1.0]
    material.diffuse_color = record["shown"]
    path = record["maps"]["colour"]
    if image is None or image.image is None or not path:
        return None
    before = image.image
    if before.get(_HASH) in (None, _sha256(path)):
        return None
    image.image = _load(path, "sRGB")
    return before


def _material(name: str, record: dict[str, Any], folder: Path | None, owner: str) -> Any:
    material = bpy.data.materials.new(f"{owner} {name}" if owner else name)
    material["hyoid_material"] = name
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    output = _node(tree, "ShaderNodeOutputMaterial", 300, 0)
    if folder is not None:
        shader = _plain(tree, record, folder)
    elif _is_clear(record):
        shader = _clear(tree, record)
    else:
        shader = _principled(tree, record)
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    compat.set_blended(material, record["alpha"] == "blend")
    material.use_backface_culling = not record["double_sided"]
    material.diffuse_color = record["shown"]
    material.roughness = record["roughness"]
    return material


def _is_clear(record: dict[str, Any]) -> bool:
    return record["alpha"] == "blend" and record["colour"][3] < _CLEAR and not record["maps"]["colour"]


def _principled(tree: Any, record: dict[str, Any]) -> Any:
    shader = _node(tree, "ShaderNodeBsdfPrincipled", 0, 0)
    inputs, maps = shader.inputs, record["maps"]
    inputs["Base Color"].default_value = [*record["colour"][:3], 1.0]
    inputs["Roughness"].default_value = record["roughness"]
    inputs["Metallic"].default_value = record["metallic"]
    inputs["Alpha"].default_value = record["colour"][3]
    if maps["colour"]:
        _colour_map(tree, record, inputs)
    if record["subsurface"] > 0:  # red light travels farthest in skin
        compat.set_subsurface(tree, inputs, record["subsurface"], (1.0, 0.35, 0.2), 0.006)
    if maps["normal"]:
        _normal_map(tree, maps["normal"], inputs)
    if maps["roughness"]:
        image = _image(tree, maps["roughness"], "Non-Color", -600, -200)
        channels = _node(tree, "ShaderNodeSeparateColor", -250, -200)
        tree.links.new(image.outputs["Color"], channels.inputs["Color"])
        tree.links.new(_scaled(tree, channels.outputs["Green"], record["roughness"], -200), inputs["Roughness"])
    return shader


def _plain(tree: Any, record: dict[str, Any], folder: Path) -> Any:
    """A Principled shader with each map linked directly, the only form that the FBX exporter reads."""
    maps, colour = record["maps"], record["colour"]
    if _is_clear(record):  # any diffuse colour would lie over the iris like fog
        record = record | {"colour": [0.0, 0.0, 0.0, colour[3]]}
    shader = _principled(tree, record | {"maps": dict.fromkeys(maps), "subsurface": 0.0})
    links = (("colour", "Base Color", "sRGB", 200), ("roughness", "Roughness", "Non-Color", -200))
    for kind, socket, space, y in links:
        if maps[kind]:
            path = maps[kind]
            if kind == "colour" and any(value != 1.0 for value in colour[:3]):
                path = _tinted(path, colour[:3], folder)
            image = _image(tree, path, space, -400, y)
            tree.links.new(image.outputs["Color"], shader.inputs[socket])
            if kind == "colour" and record["alpha"] != "opaque":
                tree.links.new(image.outputs["Alpha"], shader.inputs["Alpha"])
    if maps["normal"]:
        _normal_map(tree, maps["normal"], shader.inputs)
    return shader


def _tinted(path: str, factor: list[float], folder: Path) -> str:
    """A copy of a colour map, multiplied by a linear factor."""
    image = bpy.data.images.load(path)
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    rgb = pixels.reshape(-1, 4)[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) * np.array(factor, np.float32)
    rgb[:] = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)
    image.pixels.foreach_set(pixels)
    image.filepath_raw = str(folder / Path(path).name)
    image.save()
    bpy.data.images.remove(image)
    return str(folder / Path(path).name)


def _normal_map(tree: Any, path: str, inputs: Any) -> None:
    image = _image(tree, path, "Non-Color", -600, -500)
    normal = _node(tree, "ShaderNodeNormalMap", -250, -500)
    tree.links.new(image.outputs["Color"], normal.inputs["Color"])
    tree.links.new(normal.outputs["Normal"], inputs["Normal"])


def _colour_map(tree: Any, record: dict[str, Any], inputs: Any) -> None:
    """Map times factor, as glTF defines it; alpha from the map unless the material is opaque."""
    image = _image(tree, record["maps"]["colour"], "sRGB", -600, 200)
    image.name = _COLOUR
    mix = _node(tree, "ShaderNodeMix", -250, 200)
    mix.name = mix.label = _TINT
    mix.data_type, mix.blend_type = "RGBA", "MULTIPLY"
    mix.inputs["Factor"].default_value = 1.0
    mix.inputs[7].default_value = [*record["colour"][:3], 1.0]
    tree.links.new(image.outputs["Color"], mix.inputs[6])
    tree.links.new(mix.outputs[2], inputs["Base Color"])
    if record["alpha"] == "opaque":
        return
    alpha = _scaled(tree, image.outputs["Alpha"], record["colour"][3], 0)
    if record["alpha"] == "mask":
        cut = _node(tree, "ShaderNodeMath", -120, 0)
        cut.operation = "GREATER_THAN"
        cut.inputs[1].default_value = 0.5
        tree.links.new(alpha, cut.inputs[0])
        alpha = cut.outputs[0]
    tree.links.new(alpha, inputs["Alpha"])


def _clear(tree: Any, record: dict[str, Any]) -> Any:
    """Nothing but the reflection on a wet surface; the refraction of a cornea is not worth its noise."""
    mix = _node(tree, "ShaderNodeMixShader", 100, 0)
    fresnel = _node(tree, "ShaderNodeFresnel", -200, 200)
    fresnel.inputs["IOR"].default_value = 1.376
    transparent = _node(tree, "ShaderNodeBsdfTransparent", -200, 0)
    glossy = _node(tree, compat.glossy_node(), -200, -200)
    glossy.inputs["Roughness"].default_value = record["roughness"]
    tree.links.new(fresnel.outputs[0], mix.inputs[0])
    tree.links.new(transparent.outputs[0], mix.inputs[1])
    tree.links.new(glossy.outputs[0], mix.inputs[2])
    return mix


def _image(tree: Any, path: str, space: str, x: float, y: float) -> Any:
    node = _node(tree, "ShaderNodeTexImage", x, y)
    node.image = _load(path, space)
    return node


def _load(path: str, space: str) -> Any:
    """A packed image; characters of one file share it, wherever its file lay when it was read."""
    digest = _sha256(path)
    for image in bpy.data.images:
        if image.get(_HASH) == digest and image.colorspace_settings.name == space and image.library is None:
            return image
    image = bpy.data.images.load(path)
    image.colorspace_settings.name = space
    image[_HASH] = digest
    image.pack()
    return image


@cache
def _sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _scaled(tree: Any, socket: Any, factor: float, y: float) -> Any:
    if factor == 1.0:
        return socket
    times = _node(tree, "ShaderNodeMath", -180, y)
    times.operation = "MULTIPLY"
    times.inputs[1].default_value = factor
    tree.links.new(socket, times.inputs[0])
    return times.outputs[0]


def _node(tree: Any, kind: str, x: float, y: float) -> Any:
    node = tree.nodes.new(kind)
    node.location = (x, y)
    return node
