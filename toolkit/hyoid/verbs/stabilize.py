# SPDX-License-Identifier: Apache-2.0
"""``hyoid stabilize SCANS -o OUT``: the head's motion is taken out of face meshes, and comes back as a curve."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hyoid.errors import InputError, UsageError
from hyoid.report import Report
from hyoid.verbs.job import CLI, JobModel, file_or_name, short

if TYPE_CHECKING:
    import numpy as np

    from hyoid.characters.fit.face_points import FacePoints
    from hyoid.characters.fit.placing import Placement
    from hyoid.characters.fit.template import Template
    from hyoid.formats.mesh_sequence import MeshSequence
    from hyoid.geometry.rigid import Rigid
    from hyoid.systems.facestab.checkpoint import Model
    from hyoid.systems.facestab.infer import Stabilised

RESULT = "files"
SUFFIXES = (".npz", ".npy", ".glb", ".usdc", ".usda", ".usd", ".abc", ".obj", ".ply")
UNCERTAIN = 0.5
"""Confidence below which a frame is told as uncertain: more than a millimetre of expected error."""
_UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
_MILLIMETRES = 1000.0  # millimetres a metre
_FPS = 30.0
_NAMED = 8


class Job(JobModel):
    """Face meshes of one person that are to be stabilised."""

    meshes: list[Path] = Field(
        min_length=1,
        description="face meshes of one person and one topology: a folder or files (.obj, .ply), or one .npz, .npy, "
        ".glb, .usdc or .abc",
        json_schema_extra={CLI: {"positional": True, "file": "any"}},
    )
    output: list[Path] = Field(
        [], description="stabilised meshes: a folder, or a file (.npz, .glb, .usdc, .abc); may be given several times",
        json_schema_extra=short("-o"),
    )  # fmt: skip
    motion: list[Path] = Field(
        [], description="the head's motion: .take.npz, .csv, .usdc, .usda or .blend; may be given several times",
        json_schema_extra={CLI: {"file": "write"}},
    )  # fmt: skip
    report: Path | None = Field(
        None, description="write what was found here, with pictures: .html, .png or .json",
        json_schema_extra={CLI: {"file": "write"}},
    )  # fmt: skip
    target: str | None = Field(
        None, description="where the skull is to be: a mesh file, or name or number of a frame; without it the most "
        "neutral frame", json_schema_extra=file_or_name(),
    )  # fmt: skip
    order: Literal["auto", "sequence", "set"] = Field(
        "auto",
        description="sequence: frames in time; set: expressions in any order; auto: a set where one is named neutral",
    )
    method: Literal["facestab", "regressor", "irls", "l1", "procrustes"] = Field(
        "facestab",
        description="facestab and regressor have learned what skin moves over the skull, the others have not",
    )
    region: Literal["head", "face"] = Field(
        "head", description="head: what there is of face, scalp and ears; face: without scalp and ears (hair, caps)"
    )
    smooth: float = Field(
        0.0, ge=0, le=5, description="seconds over which the head's motion is smoothed; the meshes' expressions are not"
    )
    fps: float | None = Field(
        None, gt=0, le=1000, description="frames a second; without it what the file states, else 30"
    )
    unit: Literal["auto", "m", "cm", "mm", "inch"] = Field("auto", description="unit of the meshes; auto finds it")
    landmarks: Path | None = Field(None, description="picked places on the target (JSON or text); seldom needed")
    landmark: dict[str, str] = Field({}, description="one picked place, NAME=VERTEX or NAME=X,Y,Z")
    shapes: str | None = Field(
        None, description="solve the 52 ARKit weights of every frame with the shapes of this character (human), into "
        "the take and .csv"
    )  # fmt: skip
    blendshapes: list[Path] = Field(
        [], description="the person's own blendshapes, from an expression set: .character.npz, .blend, .glb or .usdc",
        json_schema_extra={CLI: {"file": "write"}},
    )  # fmt: skip
    empty: bool = Field(False, description="a .blend holds an Empty that moves, instead of an armature's head bone")
    weights: Path | None = Field(None, description="weights of your own, from 'hyoid train facestab'")


@dataclass(frozen=True)
class Meshes:
    """The meshes of a job and the network: what is known before their frames are read.

    Attributes:
        template: the skin of the bundled human. ordered: whether frames follow each other.
        fixed: number of the frame that is the target by the job or by its name, None where none is.
        given: (N, 3) a target that is a file. start: (N, 3) the mesh on which the face is found.
    """

    sequence: MeshSequence
    model: Model
    template: Template
    ordered: bool
    fixed: int | None
    given: np.ndarray | None
    start: np.ndarray


@dataclass(frozen=True)
class Mapped:
    """Where the canonical points lie on meshes, and the placement of the mesh on which the face was found."""

    meshes: Meshes
    points: FacePoints
    placement: Placement

    @property
    def millimetres(self) -> float:
        """In a unit of the files."""
        return _MILLIMETRES * self.placement.move.scale


@dataclass(frozen=True)
class Found:
    """Everything that the outputs are made of.

    Attributes:
        target: (N, 3) the target mesh, as the files have it. target_name: the frame or file it came from.
        target_frame: its number, None where it is a file of its own.
        points: where the canonical points lie. placement: of the target. canonical: (F, K, 3) float32 millimetres.
        result: of the method, in millimetres. motion: (F frames) the same in the files' unit, smoothed where asked:
            from each frame to the target. ordered: whether frames follow each other. fps: told or found.
        refused: why frames cannot be the target's person or scale, by number.
    """

    sequence: MeshSequence
    target: np.ndarray
    target_name: str
    target_frame: int | None
    points: FacePoints
    placement: Placement
    canonical: np.ndarray
    result: Stabilised
    motion: Rigid
    ordered: bool
    fps: float
    model: Model

    @property
    def millimetres(self) -> float:
        """In a unit of the files."""
        return _MILLIMETRES * self.placement.move.scale

    @property
    def uncertain(self) -> list[int]:
        """Frames that deserve a look."""
        return [number for number, value in enumerate(self.result.confidence.tolist()) if value < UNCERTAIN]

    def stabilised(self) -> Iterator[np.ndarray]:
        """The frames with their skull where the target's is, one at a time: (N, 3) float64, in the files' unit."""
        for number, vertices in enumerate(self.sequence.frames()):
            yield vertices @ self.motion.rotations[number].T + self.motion.translations[number]


def run(job: Job, report: Report) -> dict[str, Any]:
    """Find the face in the target, read its points off every frame, find the motions, write every output.

    Returns:
        ``outputs``; ``frames``, ``vertices``, ``target``, ``method``, ``placement``; ``confidence``, ``residual_mm``
        and ``expected_error_mm`` a frame; ``uncertain`` frames and ``refused`` ones with the reason; ``exit_code`` 7
        when some frames were refused.

    Raises:
        UsageError: nothing to write, a target that is not there, an unknown type of file.
        InputError: meshes that cannot be read, are no faces, or are all of another person or scale than the target.
        WeightsError: weights that are not sound. OutputError, MissingToolError: an output cannot be written.
    """
    from hyoid.threads import one_blas_thread

    begun = time.monotonic()
    check_outputs(job)
    with one_blas_thread():  # a frame is too little for more; ``infer`` has threads of its own
        found = find(job, report.stage(0.0, 0.5))
        return finished(job, found, report.stage(0.5, 1.0), begun)


def finished(job: Job, found: Found, report: Report, begun: float) -> dict[str, Any]:
    """Write every output: the result of :func:`run`.

    Args:
        begun: on the monotonic clock, when the work began.
    """
    from hyoid.verbs import stabilize_results as results

    outputs, more = results.write(job, found, report)
    result = found.result
    refused = {found.sequence.names[number]: reason for number, reason in result.refused.items()}
    for text in _warnings(found):
        report.message(text, "warning")
    return {
        "outputs": outputs, "frames": len(found.motion), "vertices": found.sequence.vertices,
        "target": found.target_name, "method": job.method, "points": int(found.points.mask.sum()),
        "placement": found.placement.summary(), "residual_mm": results.medians(result).round(4).tolist(),
        "expected_error_mm": result.expected_error.round(4).tolist(),
        "confidence": result.confidence.round(4).tolist(), "uncertain": found.uncertain, "refused": refused, **more,
        "seconds": round(time.monotonic() - begun, 2), "exit_code": 7 if refused else 0,
    }  # fmt: skip


def check_outputs(job: Job) -> None:
    """Refuse outputs that could not be written, before the work and for ``hyoid check``; see ``stabilize_results``."""
    from hyoid.verbs import stabilize_results

    stabilize_results.check_outputs(job)


def find(job: Job, report: Report) -> Found:
    """The head's motion in the meshes of a job; nothing is written.

    Raises:
        UsageError, InputError, WeightsError: see :func:`run`.
    """
    mapped = map_face(job, open_meshes(job, report), report.stage(0.05, 0.4))
    canonical = read_canonical(mapped, 0, len(mapped.meshes.sequence.names), report.stage(0.4, 0.8))
    return solve(job, mapped, canonical, report.stage(0.8, 1.0))


def open_meshes(job: Job, report: Report) -> Meshes:
    """The meshes of a job, of which a frame or two are read, and the weights.

    Raises:
        UsageError, InputError, WeightsError: see :func:`run`.
    """
    from hyoid import held, weights_store
    from hyoid.characters.fit import face_points
    from hyoid.formats.mesh_sequence import open_sequence
    from hyoid.systems.facestab import checkpoint

    report.progress(0.0, f"opening {job.meshes[0].name}")
    sequence = open_sequence(job.meshes)
    own = "regressor" if job.method == "regressor" else "facestab"
    given = None if job.weights is None else weights_store.resolve(job.weights, "facestab")
    model = held.load(checkpoint.load, given or checkpoint.find(checkpoint.NAMES[own]))
    if (model.form == "regress") != (job.method == "regressor") and job.method in ("facestab", "regressor"):
        raise UsageError(f"holds a network for another --method than {job.method}", path=model.path)
    template = _same_human(face_points.human_template(), model)
    ordered, fixed = _order(job, sequence)
    first = _frame(sequence, 0 if fixed is None else fixed) if fixed is not None or not job.target else None
    target = _given(job, sequence)
    start = target if target is not None else first
    assert start is not None
    return Meshes(sequence, model, template, ordered, fixed, target, start)


def map_face(job: Job, meshes: Meshes, report: Report, points: FacePoints | None = None) -> Mapped:
    """Where the canonical points lie on the meshes.

    Args:
        points: where that is known.

    Raises:
        InputError: nothing looks like a head, or landmarks that cannot be used.
    """
    from hyoid.characters.fit import face_points
    from hyoid.formats import landmarks

    rows = meshes.model.face.rows
    if points is None:
        marks = landmarks.picked(job.landmarks, job.landmark, meshes.start)
        points = face_points.find(mesh_of(meshes.sequence, meshes.start), rows, landmarks=marks, report=report)
    metres = None if job.unit == "auto" else _UNITS[job.unit]
    placement = face_points.placement_of(points, meshes.template.rest[rows], meshes.start, metres)
    return Mapped(meshes, points, placement)


def read_canonical(mapped: Mapped, first: int, end: int, report: Report) -> np.ndarray:
    """The canonical points (end - first, K, 3) float32, millimetres, of the frames ``[first, end)``.

    Raises:
        InputError: a frame that cannot be read.
    """
    import numpy as np

    sequence = mapped.meshes.sequence
    canonical = np.empty((end - first, len(mapped.meshes.model.face.rows), 3), np.float32)
    for row, vertices in enumerate(sequence.frames(first, end)):
        canonical[row] = mapped.millimetres * mapped.points.of(vertices)
        if row % 64 == 0:
            report.progress(row / len(canonical), f"reading frame {first + row + 1} of {len(sequence.names)}")
    return canonical


def solve(job: Job, mapped: Mapped, canonical: np.ndarray, report: Report) -> Found:
    """The motions of the skull, from the canonical points of all frames.

    Raises:
        InputError: every frame is of another person or scale than the target.
    """
    from hyoid.characters.fit import face_points
    from hyoid.geometry import rigid
    from hyoid.systems.facestab import infer

    meshes, points, millimetres = mapped.meshes, mapped.points, mapped.millimetres
    sequence, model, target, frame = meshes.sequence, meshes.model, meshes.start, meshes.fixed
    skin = meshes.template.rest[model.face.rows]
    mask = points.mask if job.region == "head" else points.mask * model.face.core
    if meshes.given is None and meshes.fixed is None:
        from hyoid.characters.fit.most_neutral import most_neutral

        frame = most_neutral(canonical, mask, meshes.template, model.face.rows)
        target = _frame(sequence, frame)
    placement = face_points.placement_of(points, skin, target, mapped.placement.move.scale)
    trained = None
    if job.method in ("facestab", "regressor"):
        places = points.of(target) if len(sequence.faces) else placement.move.unapply(skin)
        trained = infer.shown_on(model, points, places, target)
    result = infer.stabilise(
        canonical, millimetres * points.of(target), mask=mask, method=job.method, model=trained,
        progress=lambda share: report.progress(share, "finding the skull"),
    )  # fmt: skip
    if len(result.refused) == len(canonical) or (len(canonical) == 1 and result.refused):
        raise _refusal(sequence, result, target_name(job, sequence, frame))
    motion = rigid.Rigid(result.motion.rotations, result.motion.translations / millimetres)
    fps = job.fps or sequence.fps or _FPS
    if job.smooth and meshes.ordered:
        centre = points.of(target)[mask > 0].mean(0)
        motion = rigid.smooth(motion.inverse(), job.smooth, fps, centre).inverse()
    return Found(
        sequence, target, target_name(job, sequence, frame), frame, points, placement, canonical, result, motion,
        meshes.ordered, fps, model,
    )  # fmt: skip


def mesh_of(sequence: MeshSequence, vertices: np.ndarray) -> Any:
    """One frame as a mesh record."""
    from hyoid.characters.fit.transfer import plain_mesh

    return plain_mesh(vertices, sequence.faces)


def _same_human(template: Template, model: Model) -> Template:
    """The skin of the bundled human, if it is the one that the weights were made on.

    Raises:
        WeightsError: its vertices lie elsewhere.
    """
    import numpy as np

    from hyoid.errors import WeightsError

    rows = model.face.rows
    same = len(rows) and rows.max() < len(template.rest) and rows.min() >= 0
    if not same or np.abs(_MILLIMETRES * template.rest[rows] - model.face.template).max() > 1.0:
        raise WeightsError(
            "was trained on another version of the bundled human", path=model.path,
            hint="Train it again: hyoid train facestab",
        )  # fmt: skip
    return template


def _order(job: Job, sequence: MeshSequence) -> tuple[bool, int | None]:
    """Whether frames follow each other, and the frame that the job or its name makes the target.

    Raises:
        UsageError: the target names no frame and no file.
    """
    from hyoid.characters.own_shapes import neutral_of

    named = None
    if job.order != "sequence" and sequence.fps is None and len(sequence.names) > 1:
        try:
            named = neutral_of(sequence.names)
        except InputError:
            named = None
    ordered = job.order == "sequence" or (job.order == "auto" and named is None)
    if job.target is None or Path(job.target).is_file():
        return ordered, named if job.target is None else None
    if job.target in sequence.names:
        return ordered, sequence.names.index(job.target)
    if job.target.isdigit() and int(job.target) < len(sequence.names):
        return ordered, int(job.target)
    known = list(sequence.names)
    names = " ... ".join(dict.fromkeys((known[0], known[-1])))
    expected = f"a mesh file, the name of a frame ({names}) or its number (0 to {len(known) - 1})"
    raise UsageError(f"--target is '{job.target}'", expected=expected)


def _given(job: Job, sequence: MeshSequence) -> np.ndarray | None:
    """The vertices of a target that is a file.

    Raises:
        InputError: it cannot be read, or has another topology.
    """
    from hyoid.formats.mesh_sequence import open_sequence

    if job.target is None or job.target in sequence.names or not Path(job.target).is_file():
        return None
    other = open_sequence([Path(job.target)])
    if other.vertices != sequence.vertices:
        expected = f"{sequence.vertices}, as {sequence.path.name} has"
        raise InputError(f"the target has {other.vertices} vertices", path=job.target, expected=expected)
    return _frame(other, 0)


def _frame(sequence: MeshSequence, number: int) -> np.ndarray:
    return next(iter(sequence.frames(number, number + 1)))


def target_name(job: Job, sequence: MeshSequence, frame: int | None) -> str:
    """What the target is called."""
    return Path(str(job.target)).name if frame is None else sequence.names[frame]


def _refusal(sequence: MeshSequence, result: Stabilised, target: str) -> InputError:
    number, reason = next(iter(result.refused.items()))
    name = sequence.names[number]
    what = f"'{name}' {reason}" if len(sequence.names) == 1 else f"every frame is refused; '{name}' {reason}"
    return InputError(
        what, path=sequence.path, expected=f"the person and scale of the target '{target}'",
        hint="Take a target of the same person, in the same unit and topology",
    )  # fmt: skip


def _warnings(found: Found) -> list[str]:
    names, result = found.sequence.names, found.result
    texts = [f"'{names[number]}' {reason}: not stabilised well" for number, reason in result.refused.items()][:_NAMED]
    more = len(result.refused) - len(texts)
    if more > 0:
        texts.append(f"{more} more frames are refused")
    unsure = [names[number] for number in found.uncertain if number not in result.refused]
    if unsure:
        listed = ", ".join(unsure[:_NAMED]) + (f" and {len(unsure) - _NAMED} more" if len(unsure) > _NAMED else "")
        texts.append(f"{len(unsure)} of {len(names)} frames are uncertain by more than a millimetre: {listed}")
    return texts


def show(result: dict[str, Any]) -> str:
    """The files, and in a few words how sure the result is."""
    import numpy as np

    error, turn = np.array(result["expected_error_mm"]), result["placement"]
    lines = [
        *result["outputs"],
        f"{result['frames']} frames of {result['vertices']} vertices in {turn['unit']}s onto '{result['target']}' by "
        f"{result['method']}: the skull is expected within {np.median(error):.2f} mm (worst {error.max():.2f} mm)",
    ]
    if "shapes" in result:
        told = result["shapes"]
        lines.append(f"{told['active']} ARKit shapes explain {100 * told['explained']:.0f} % of what the skin does")
    return "\n".join(lines)
