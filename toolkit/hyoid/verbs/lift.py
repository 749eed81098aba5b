# SPDX-License-Identifier: Apache-2.0
"""``hyoid lift KEYPOINTS -o OUT``: the 2D joints of a detector become an animated armature on the ground."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hyoid.errors import UsageError
from hyoid.report import Report
from hyoid.verbs.job import CLI, DEVICE, JobModel, Outputs, output_field

if TYPE_CHECKING:
    from hyoid.motion.lifted import Lifted

RESULT = "files"
SUFFIXES = (
    ".take.npz", ".bvh", ".fbx", ".glb", ".usdc", ".usda", ".blend", ".csv", ".mp4", ".png", ".lifted.npz",
)  # fmt: skip
ALL, MAIN = "all", "main"


class Job(JobModel):
    """Keypoints of people in a clip, and how they are brought to life."""

    keypoints: Path = Field(
        description="keypoints of a detector (JSON, a folder of JSON, .npz, .npy), a .lifted.npz, or a video",
        json_schema_extra={CLI: {"positional": True, "file": "any"}},
    )
    output: Outputs = output_field(
        "file to write: .take.npz, .bvh, .fbx, .glb, .usdc, .blend, .csv; .mp4 and .png show what was seen beside what "
        "was made; .lifted.npz keeps the raw poses; may be given several times"
    )
    footage: Path | None = Field(
        None, description="the video that the keypoints come from, for size, frame times and the picture of a .mp4",
        json_schema_extra={CLI: {"file": "read"}},
    )  # fmt: skip
    system: Literal["ktpformer", "hopfir"] = Field(
        "ktpformer", description="ktpformer sees many frames at once; hopfir each frame on its own"
    )
    weights: Path | None = Field(
        None, description="weights of the system, a file or a name of hyoid weights list; without it Hyoid's own",
        json_schema_extra={CLI: {"file": "read"}},
    )  # fmt: skip
    layout: str | None = Field(None, description="what the joints are (coco17, body25, ...); without it that is found")
    size: str | None = Field(
        None, pattern=r"^\s*\d{1,6}\s*[xX*]\s*\d{1,6}\s*$",
        description="size of the picture in pixels, 1920x1080; needed where neither keypoints nor footage tell it",
    )  # fmt: skip
    source_fps: float | None = Field(
        None, gt=0, le=1000, description="frames a second of the keypoints; without it what they or the footage tell"
    )
    fps: float | None = Field(
        None, ge=1, le=1000, description="frames a second of the result; without it that of the keypoints"
    )
    confidence: float = Field(0.05, ge=0, le=1, description="joints that the detector trusts less are taken as missing")
    person: str = Field(
        MAIN, description="main: who is seen longest; all: a file for each, NAME.person_01.EXT; or one: person_02"
    )
    character: str = Field("human", description="who performs; only its skeleton goes into .bvh and .take.npz")
    skeleton: Literal["human", "mixamo", "rigify", "cmu", "smplx"] = Field(
        "human", description="names and hierarchy of the bundled human's bones, to put the motion on your own character"
    )
    set: dict[str, float] = Field({}, description="identity setting of the character; may be given several times")
    field_of_view: float = Field(60.0, ge=1, le=170, description="degrees across the larger side of the picture")
    camera_height: float | None = Field(
        None, ge=0, le=1000, description="metres of the camera above the ground; without it the ground is found"
    )
    camera_pitch: float = Field(
        0.0, ge=-89, le=89, description="degrees that the camera looks down, where its height is given"
    )
    foot_lock: float = Field(1.0, ge=0, le=1, description="how firmly feet that stand are planted; 0 leaves them")
    smoothing: float = Field(1.0, ge=0, le=1, description="strength of the smoothing; 0 keeps every tremble")
    place: Literal["origin", "camera"] = Field(
        "origin", description="origin: the first frame stands at the origin; camera: the camera stands above it"
    )
    keys: Literal["sparse", "dense"] = Field(
        "sparse", description="animation keys of a .blend: sparse ones that are easy to edit, or one on every frame"
    )
    device: str = Field("auto", pattern=rf"^({DEVICE})$", description="where networks run: auto, cpu, cuda")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of ktpformer's products; bfloat16 moves joints by about a millimetre and is several times "
        "as fast on GPUs and on processors with matrix units",
    )
    detector: Path | None = Field(
        None, description="for a video: a pose_landmarker .task file of MediaPipe, which has to be installed",
        json_schema_extra={CLI: {"file": "read"}},
    )  # fmt: skip
    people: int = Field(1, ge=1, le=100, description="for a video: how many people the detector looks for")


def run(job: Job, report: Report) -> dict[str, Any]:
    """Read keypoints, follow people, lift, clean, write.

    Returns:
        ``outputs``; ``people``: for each one name, seconds seen and figures of quality; ``others``: people that were
        found and not asked for; ``layout``, ``reason``; ``frames``, ``fps``, ``seconds`` of the result.

    Raises:
        UsageError: an unknown output, character or person. InputError: keypoints that cannot be used.
        WeightsError: weights that are not sound. OutputError, MissingToolError: an output cannot be written.
    """
    return performed(job, lambda: read_or_lift(job, report.stage(0.0, 0.5)), report.stage(0.5, 1.0))


def performed(job: Job, lifted: Callable[[], Lifted], report: Report) -> dict[str, Any]:
    """Clean people and write every output; what :func:`run` returns.

    Args:
        lifted: brings them; it is asked after outputs and character are found to be right.
    """
    from hyoid.threads import one_blas_thread
    from hyoid.verbs import lift_results

    begun = time.monotonic()
    check_outputs(job)
    performer = lift_results.performer(job)  # a wrong name or setting is told before the work
    with one_blas_thread():  # a frame is too little for more, and farms run several jobs at once
        told = lift_results.write(job, lifted(), performer, report)
    return {**told, "elapsed": round(time.monotonic() - begun, 2)}


def check_outputs(job: Job) -> None:
    """Refuse outputs that could not be written, before the work and for ``hyoid check``.

    Raises:
        UsageError: a precision that the system does not have. UsageError, OutputError: see
        ``verbs.outputs.check_outputs``.
    """
    from hyoid import files
    from hyoid.formats.lifted_npz import SUFFIX
    from hyoid.verbs import outputs

    if job.system != "ktpformer" and job.precision != "float32":
        raise UsageError(f"--precision {job.precision} with --system {job.system}", expected="--system ktpformer")
    raw = [path for path in job.output if path.name.lower().endswith(SUFFIX)]
    outputs.check_outputs([path for path in job.output if path not in raw])
    for path in raw:
        files.check_writable(path)
    given = {path.resolve() for path in (job.keypoints, job.footage) if path is not None}
    for path in job.output:
        if path.resolve() in given:
            raise UsageError("is an input", path=path, expected="another name, so that it is not lost")


def is_lifted(job: Job) -> bool:
    """Whether a job gives people who were lifted before."""
    from hyoid.formats.lifted_npz import SUFFIX

    return job.keypoints.name.lower().endswith(SUFFIX)


def read_or_lift(job: Job, report: Report, chunk: tuple[int, int] | None = None) -> Lifted:
    """The people of a job, from a file of lifted ones or by lifting keypoints.

    Args:
        chunk: first frame and end of those that are lifted; None is all. A file of lifted ones is read whole.
    """
    from hyoid.formats import lifted_npz
    from hyoid.verbs import lift_people

    if is_lifted(job):
        report.progress(0.0, f"reading {job.keypoints.name}")
        return lift_people.chosen(lifted_npz.read(job.keypoints), job.person)
    return lift_people.lift(job, report, chunk)


def show(result: dict[str, Any]) -> str:
    """One line on the clip, one on each person, then the files."""
    lines = [f"{result['seconds']:.2f} s, {result['frames']} frames at {result['fps']:g} fps; {result['reason']}"]
    for person in result["people"]:
        figures = person["quality"]
        parts = [f"{person['name']}: seen {person['seen_seconds']:.1f} s"]
        parts += [
            f"{what} {figures[name] * scale:.1f} {unit}"
            for what, name, scale, unit in (
                ("skate", "skate", 1, "mm"), ("below ground", "penetration", 1, "mm"),
                ("off the picture", "reprojection", 100, "% of height"),
            )
            if figures[name] is not None
        ]  # fmt: skip
        lines.append(", ".join(parts))
    return "\n".join([*lines, *result["outputs"]])
