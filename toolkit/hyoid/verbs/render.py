# SPDX-License-Identifier: Apache-2.0
"""``hyoid render SCENE.blend [TAKE] -o OUT...``: pictures and films of a Blender scene, as its artist set it up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hyoid.report import Report
from hyoid.verbs.job import JobModel, Outputs, output_field, positional

if TYPE_CHECKING:
    import numpy as np

RESULT = "files"
SUFFIXES = (".png", ".jpg", ".exr", ".mp4")
_FRAMES = 1048574  # Blender counts no further


def _frame(description: str) -> Any:
    return Field(None, ge=-_FRAMES, le=_FRAMES, description=description)


class Job(JobModel):
    """A scene to render."""

    scene: Path = Field(description="Blender scene (.blend)", json_schema_extra=positional())
    take: Path | None = Field(
        None,
        description="performance for the Hyoid character of the scene: .take.npz (or .csv, .bvh, .glb); without it the"
        " scene's own animation is rendered",
        json_schema_extra=positional(),
    )
    output: Outputs = output_field(
        "pictures by a pattern such as frames/shot.####.png (also .exr, .jpg), one picture (shot.png), a film (.mp4);"
        " may be given several times"
    )
    first: int | None = _frame("first frame, in the scene's numbers; without it where the scene or take begins")
    last: int | None = _frame("last frame; without it where the scene or take ends")
    frame: int | None = _frame("frame of outputs that are one picture; without it the first")
    armature: str | None = Field(None, description="armature object of the character, where the scene has several")
    camera: str | None = Field(None, description="camera object; without it the scene's own")
    audio: Path | None = Field(
        None, description="sound of the film, from the scene's first frame on; without it the take's own"
    )
    engine: Literal["cycles", "eevee", "workbench"] | None = Field(
        None, description="render engine; without it the scene's"
    )
    samples: int | None = Field(None, ge=1, le=65536, description="samples a pixel; without it the scene's")
    width: int | None = Field(None, ge=16, le=16384, description="width in pixels; without it the scene's")
    height: int | None = Field(None, ge=16, le=16384, description="height in pixels; without it the scene's")
    percentage: int | None = Field(
        None,
        ge=1,
        le=400,
        description="of width and height; without it 100 where one of them is given, else the scene's",
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="what Cycles computes on; auto: a GPU where there is one"
    )
    seed: int | None = Field(None, ge=0, le=2**31 - 1, description="of the noise of Cycles; without it the scene's")
    transparent: bool = Field(False, description="leave the background out (.png and .exr)")


def check_outputs(job: Job) -> None:
    """Refuse outputs that could not be written, before the work and for ``hyoid check``.

    Raises:
        UsageError: an unknown suffix, a pattern that cannot be, the same file twice. OutputError: see ``files``.
    """
    from hyoid.verbs import render_files

    render_files.check(job)


def run(job: Job, report: Report) -> dict[str, Any]:
    """Render the scene and write every output; pictures of a pattern appear one by one.

    Raises:
        InputError: the scene or the take cannot be read; there is no character, or no camera and nothing to frame.
        UsageError: an output or a name that cannot be; an engine or a GPU that is not there.
        OutputError, MissingToolError: an output cannot be written; Blender is not there.
    """
    import contextlib
    import tempfile

    from hyoid.blender.render import FILM
    from hyoid.verbs import render_files, render_shot

    check_outputs(job)
    with tempfile.TemporaryDirectory(prefix="hyoid-") as name:
        kept, facts = [], {}
        with contextlib.closing(render_shot.rendered(job, report.stage(0.0, 0.95))) as frames:
            for frame in frames:
                facts = facts or render_shot.facts(job, frame.scene)
                render_files.place(job, facts, frame.number, frame.pictures)
                if FILM in frame.pictures:
                    kept.append(Path(name) / f"{len(kept)}.png")
                    kept[-1].write_bytes(frame.pictures[FILM])

        def film() -> Iterator[np.ndarray]:
            for path in kept:
                yield render_files.decoded(path.read_bytes())

        return render_files.finish(job, facts, film, report.stage(0.95, 1.0))


def show(result: dict[str, Any]) -> str:
    """One line on the frames, then the files."""
    frames = f"{result['frames']} frames" if result["frames"] != 1 else f"frame {result['first']}"
    samples = f"{result['samples']} sample{'s' * (result['samples'] != 1)}"
    how = f"{result['width']} x {result['height']}, {result['engine']}, {samples}"
    on = f" on {result['device']}" if result["device"] else ""
    return "\n".join([f"{frames} at {result['fps']:g} fps, {how}{on}, Blender {result['blender']}", *result["outputs"]])
