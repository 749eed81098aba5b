# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""FACS action units as properties of the armature, AU1 to AU46, on top of whatever moves the face's keys.

For each face key that units move there is a second key with the same offsets, ``AU jawOpen`` beside ``jawOpen``. Its
value is what the units add, by the rules of ``characters.facs``, so that the keys themselves stay free for the action.
"""

from __future__ import annotations

import re
from typing import Any

import bpy
import numpy as np

from . import compat
from .meshes import FOLLOWING
from .rig import drive

PREFIX = "AU "
"""Of the names of the keys that hold what units add; the rest of the name is the key that they add to."""

_UNIT = re.compile(r"AU\d+[LR]?")


def units(armature: Any) -> list[str]:
    """The units that an armature has controls for."""
    return [name for name in armature.keys() if _UNIT.fullmatch(name)]  # noqa: SIM118  IDs are no dictionaries


def base_of(key: str) -> str | None:
    """The name of the key to which a key of action units adds, or None for any other key."""
    return key[len(PREFIX) :] if key.startswith(PREFIX) else None


def add(armature: Any, objects: list[Any], recipes: dict[str, dict[str, Any]]) -> None:
    """Give a character controls for units, as far as its shape keys can show them; those that it has are kept.

    Args:
        objects: the meshes, body first. recipes: by unit ``title`` and ``weights``, see ``pack.action_units``.
    """
    body = objects[0]
    keys = body.data.shape_keys
    if keys is None:
        return
    present = {key.name for key in keys.key_blocks[1:]}
    weights = {name: entry["weights"] for name, entry in recipes.items() if present & entry["weights"].keys()}
    for name in weights:
        if name not in armature:
            text = f"{recipes[name]['title']}: 0.2 is A (trace), 1 is E (maximum); on top of the animation"
            compat.set_property(armature, name, 0.0, 0.0, 1.0, text, most=1.0)
    active = [part.active_shape_key_index for part in objects]
    shapes = list(dict.fromkeys(shape for recipe in weights.values() for shape in recipe if shape in present))
    for part in objects:
        for shape in shapes:
            _copy(part, shape)
    # Blender must see properties and keys before a driver asks for them: one that finds none is off for good.
    for changed in (armature, *(part.data.shape_keys for part in objects if part.data.shape_keys)):
        changed.update_tag()
    bpy.context.view_layer.update()
    for shape in shapes:
        if PREFIX + shape not in present:
            _drive(armature, keys, shape, {name: recipe[shape] for name, recipe in weights.items() if shape in recipe})
    for part in objects[1:]:
        own = part.data.shape_keys.key_blocks if part.data.shape_keys else {}
        for shape in shapes:
            if PREFIX + shape in own and part.data.shape_keys != keys:
                drive(own[PREFIX + shape], "value", "body", body=(keys, _path(PREFIX + shape)))
    for part, index in zip(objects, active, strict=True):
        part.active_shape_key_index = index


def remove(armature: Any, objects: list[Any]) -> None:
    """Take the controls of all units and their keys away."""
    for part in objects:
        keys = part.data.shape_keys
        for key in [key for key in keys.key_blocks if base_of(key.name)] if keys else []:
            key.driver_remove("value")
            part.shape_key_remove(key)
    for name in units(armature):
        del armature[name]


def _copy(part: Any, shape: str) -> None:
    """A key beside a face key of a mesh with the same offsets, where there is the one and not the other."""
    keys = part.data.shape_keys
    if keys is None or shape not in keys.key_blocks or PREFIX + shape in keys.key_blocks:
        return
    points = np.empty(3 * len(part.data.vertices), np.float32)
    compat.key_points(keys.key_blocks[shape]).foreach_get("co", points)
    made = part.shape_key_add(name=PREFIX + shape, from_mix=False)
    compat.key_points(made).foreach_set("co", points)
    made.relative_key = keys.key_blocks[shape].relative_key
    made.vertex_group = keys.key_blocks[shape].vertex_group
    made.slider_min, made.slider_max = FOLLOWING
    made.value = 0.0


def _path(key: str) -> str:
    return f'key_blocks["{key}"].value'


def _drive(armature: Any, keys: Any, shape: str, weights: dict[str, float]) -> None:
    """What units add to a key: their sum, cut where the key would pass 1, as in ``facs.expanded``."""
    variables: dict[str, tuple[Any, ...]] = {"own": (keys, _path(shape))}
    terms = []
    for number, (name, weight) in enumerate(weights.items()):
        variables[f"u{number}"] = (armature, f'["{name}"]')
        terms.append(f"u{number}" if weight == 1 else f"{weight:g}*u{number}")
    total = "own+" + "+".join(terms)
    beside = {"mouthClose": "jawOpen"} | {f"eyeSquint{side}": f"eyeBlink{side}" for side in ("Left", "Right")}
    other = beside.get(shape)
    if other is not None and PREFIX + other in keys.key_blocks:
        variables |= {"other": (keys, _path(other)), "more": (keys, _path(PREFIX + other))}
        room = "other+more" if shape == "mouthClose" else "1-min(max(other+more,0),1)/2"
        total = f"min({total},max({room},own))"
    drive(keys.key_blocks[PREFIX + shape], "value", f"min(max({total},min(own,0)),max(own,1))-own", **variables)
