# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""How an opened scene is rendered: engine, device, samples, size and the types of image files. Runs inside Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .export import ExportError

ENGINES = {
    "cycles": ("CYCLES",),
    "eevee": ("BLENDER_EEVEE_NEXT", "BLENDER_EEVEE"),
    "workbench": ("BLENDER_WORKBENCH",),
}
"""What Blender calls the engines, by version."""

FILM = ".film.png"
"""A picture of a film: 8 bits a colour, no alpha."""

_FORMATS = {".png": "PNG", FILM: "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".exr": "OPEN_EXR"}
_MULTILAYER = "OPEN_EXR_MULTILAYER"
_DEVICES = ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI")
_WORKBENCH_SAMPLES = {1: "OFF", 5: "5", 8: "8", 11: "11", 16: "16", 32: "32"}
# What is told of the machine, the hour and the way of a file is no part of a picture.
_NEVER_STAMPED = ("date", "render_time", "memory", "hostname", "filename")
_STAMPED = ("time", "frame", "frame_range", "camera", "lens", "scene", "marker", "sequencer_strip", "note")


def load_cycles() -> None:
    """Switch Cycles on, an add-on: a scene that uses it must find it when it is opened."""
    import addon_utils

    addon_utils.enable("cycles", default_set=True)


def apply(scene: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """Set a scene up as the options say; what they leave out stays as it is in the scene.

    Args:
        wanted: ``engine``, ``samples``, ``width``, ``height``, ``percentage``, ``device``, ``seed``, ``transparent``;
            None where the scene decides.

    Returns:
        ``engine``, ``samples``, ``width``, ``height``, ``device`` as they are used.

    Raises:
        ExportError: an engine or a device that is not there.
    """
    engine = _set_engine(scene, wanted["engine"])
    render = scene.render
    if wanted["width"] or wanted["height"]:
        render.resolution_x, render.resolution_y = (
            wanted["width"] or render.resolution_x,
            wanted["height"] or render.resolution_y,
        )
    percentage = wanted["percentage"] or (100 if wanted["width"] or wanted["height"] else None)
    if percentage:
        render.resolution_percentage = percentage
    if wanted["transparent"]:
        render.film_transparent = True
    if wanted["seed"] is not None and engine == "cycles":
        scene.cycles.seed = wanted["seed"]
    if wanted["samples"]:
        _set_samples(scene, engine, wanted["samples"])
    device = _set_device(scene, wanted["device"]) if engine == "cycles" else ""
    _set_stamp(render)
    _mute_file_outputs(scene)
    share = render.resolution_percentage / 100
    return {
        "engine": engine,
        "samples": _samples(scene, engine),
        "width": int(render.resolution_x * share),
        "height": int(render.resolution_y * share),
        "device": device,
    }


def save(scene: Any, suffix: str, path: Path) -> None:
    """Save the picture that was rendered last as a file of the type ``suffix``."""
    set_format(scene, suffix)
    picture = next(image for image in bpy.data.images if image.type == "RENDER_RESULT")
    try:
        picture.save_render(str(path), scene=scene)
        reason = "" if path.is_file() else "Blender gave no reason"
    except RuntimeError as error:
        reason = str(error).strip().removeprefix("Error: ")
    if reason:
        hint = "Set TMPDIR to a folder with more space"
        raise ExportError(f"cannot be written: {reason}", path=str(path), hint=hint)


def is_multilayer(scene: Any) -> bool:
    """Whether the scene's own files hold all its passes; only the render itself can write those."""
    return scene.render.image_settings.file_format == _MULTILAYER


def set_format(scene: Any, suffix: str, multilayer: bool = False) -> None:
    """Choose the type of image files. Where it is the scene's own its depth and compression stay as they are there."""
    settings = scene.render.image_settings
    name = _MULTILAYER if multilayer else _FORMATS[suffix]
    if hasattr(settings, "media_type"):  # from 5.0 on the kind comes before the type
        settings.media_type = "MULTI_LAYER_IMAGE" if multilayer else "IMAGE"
    own = settings.file_format == name and suffix != FILM
    settings.file_format = name
    alpha = scene.render.film_transparent and suffix in (".png", ".exr")
    settings.color_mode = "RGBA" if alpha or multilayer else "RGB"
    if not own:
        settings.color_depth = "16" if suffix == ".exr" else "8"
        settings.compression, settings.quality = 15, 95
        if suffix == ".exr":
            settings.exr_codec = "ZIP"


def _set_engine(scene: Any, name: str | None) -> str:
    if name is None:
        used = scene.render.engine
        known = next((title for title, names in ENGINES.items() if used in names), None)
        if known is None or not _can_use(scene, known):
            found = f"is to be rendered by '{used or 'an add-on'}', which is not there"
            raise ExportError(found, "usage", hint=f"Choose one with --engine: {_available(scene)}")
        return known
    if not _can_use(scene, name):
        found = f"--engine {name} is not in this Blender ({bpy.app.version_string})"
        raise ExportError(found, "usage", hint=f"It has {_available(scene)}")
    return name


def _can_use(scene: Any, name: str) -> bool:
    """Choose an engine; whether it is there."""
    for identifier in ENGINES[name]:
        try:
            scene.render.engine = identifier
        except TypeError:
            continue
        return name != "cycles" or hasattr(scene, "cycles")
    return False


def _available(scene: Any) -> str:
    return ", ".join(name for name in ENGINES if _can_use(scene, name))


def _set_samples(scene: Any, engine: str, samples: int) -> None:
    if engine == "cycles":
        scene.cycles.samples = samples
    elif engine == "eevee":
        scene.eevee.taa_render_samples = samples
    else:
        nearest = min(_WORKBENCH_SAMPLES, key=lambda number: abs(number - samples))
        scene.display.render_aa = _WORKBENCH_SAMPLES[nearest]


def _samples(scene: Any, engine: str) -> int:
    if engine == "cycles":
        return scene.cycles.samples
    if engine == "eevee":
        return scene.eevee.taa_render_samples
    numbers = {name: number for number, name in _WORKBENCH_SAMPLES.items()}
    return numbers.get(scene.display.render_aa, 1)


def _set_device(scene: Any, wanted: str) -> str:
    """Let Cycles use the GPUs of this machine or its processor; what it uses, by name.

    Raises:
        ExportError: a GPU is asked for, and there is none that Cycles can use.
    """
    if wanted != "cpu":
        preferences = bpy.context.preferences.addons["cycles"].preferences
        for kind in _DEVICES:
            try:
                preferences.compute_device_type = kind
            except TypeError:  # this Blender was built without it
                continue
            preferences.get_devices()
            devices = [device for device in preferences.devices if device.type == kind]
            if devices:
                for device in preferences.devices:
                    device.use = device.type == kind
                scene.cycles.device = "GPU"
                return f"{kind.lower()}: {', '.join(sorted({device.name for device in devices}))}"
        preferences.compute_device_type = "NONE"
    if wanted == "gpu":
        raise ExportError(
            "--device gpu: Cycles finds no GPU on this machine", "usage", hint="Use --device cpu, or look at its driver"
        )
    scene.cycles.device = "CPU"
    return "cpu"


def _set_stamp(render: Any) -> None:
    """Leave out of the files what differs from run to run; what an artist burns into the picture stays."""
    for name in (*_NEVER_STAMPED, *(() if render.use_stamp else _STAMPED)):
        if hasattr(render, f"use_stamp_{name}"):
            setattr(render, f"use_stamp_{name}", False)


def _mute_file_outputs(scene: Any) -> None:
    """A scene from elsewhere writes no files of its own: nodes that do are switched off."""
    own = scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree
    groups = [tree for tree in bpy.data.node_groups if tree.bl_idname == "CompositorNodeTree"]
    for tree in (*groups, *((own,) if own is not None else ())):
        for node in tree.nodes:
            if node.type == "OUTPUT_FILE":
                node.mute = True
