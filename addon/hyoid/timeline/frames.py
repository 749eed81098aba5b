# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame rates, and which frames an operator works on: the choice that baking, thinning out and exporting share."""

from typing import Any

import bpy
import numpy as np

from ..toolkit.errors import UsageError

MOST = 1_000_000
"""Frames; a longer range is a slip of the finger."""

RANGES = (
    ("SCENE", "Scene", "The scene's frame range, or its preview range while that is on"),
    ("KEYS", "All Keys", "From the first to the last key of the movement"),
    ("CUSTOM", "Custom", "The frames given below"),
)
HERE = ("CURRENT", "This Frame", "The pose at the playhead")


class RangeOptions:
    """Mixed into an operator or a property group: ``frame_range``, ``first``, ``last``."""

    frame_range: bpy.props.EnumProperty(  # pyright: ignore[reportInvalidTypeForm]
        name="Range", description="Frames to work on", items=RANGES, default="SCENE"
    )
    first: bpy.props.IntProperty(  # pyright: ignore[reportInvalidTypeForm]
        name="First", description="First frame of a custom range", default=1
    )
    last: bpy.props.IntProperty(  # pyright: ignore[reportInvalidTypeForm]
        name="Last", description="Last frame of a custom range", default=250
    )


def chosen(options: Any, scene: Any, keyed: tuple[float, float] | None) -> tuple[int, int]:
    """First and last frame of a :class:`RangeOptions`.

    Args:
        keyed: the extent of the keys in question, or None without keys.

    Raises:
        UsageError: the range is empty, absurdly long, or there are no keys.
    """
    if options.frame_range == "CUSTOM":
        first, last = options.first, options.last
    elif options.frame_range == "KEYS":
        if keyed is None:
            raise UsageError("there are no keys", hint="Choose the scene's range instead")
        first, last = int(np.floor(keyed[0] + 1e-3)), int(np.ceil(keyed[1] - 1e-3))
    else:
        first, last = scene_range(scene)
    if last < first:
        raise UsageError(f"the range ends at frame {last}, before it begins at {first}", hint="Swap the two frames")
    if last - first >= MOST:
        raise UsageError(f"the range has {last - first + 1} frames", expected=f"at most {MOST}")
    return first, last


def scene_rate(scene: Any) -> float:
    """Frames a second of a scene, 23.976 and 29.97 included."""
    return scene.render.fps / scene.render.fps_base


def scene_range(scene: Any) -> tuple[int, int]:
    """The scene's frame range; the preview range while that is on."""
    if scene.use_preview_range:
        return scene.frame_preview_start, scene.frame_preview_end
    return scene.frame_start, scene.frame_end


def draw(layout: Any, options: Any) -> None:
    """The choice, with the two frames where they count."""
    layout.prop(options, "frame_range")
    if options.frame_range == "CUSTOM":
        column = layout.column(align=True)
        column.prop(options, "first")
        column.prop(options, "last")
