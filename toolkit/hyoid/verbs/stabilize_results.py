# SPDX-License-Identifier: Apache-2.0
"""What ``stabilize`` writes: meshes, the head's motion, ARKit weights, own blendshapes, the report."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hyoid import __version__
from hyoid.errors import InputError, UsageError
from hyoid.files import check_writable, part_file, sha256_of
from hyoid.report import Report
from hyoid.take import CharacterReference, Provenance, Source

if TYPE_CHECKING:
    from hyoid.characters.shape_solver import Solved
    from hyoid.systems.facestab.infer import Stabilised
    from hyoid.verbs.stabilize import Found, Job

MOTION_SUFFIXES = (".take.npz", ".csv", ".usdc", ".usda", ".blend")
REPORT_SUFFIXES = (".html", ".png", ".json")
BLENDSHAPE_SUFFIXES = (".character.npz", ".blend", ".glb", ".usdc", ".usda", ".fbx")
_SKULL_LIKE = 48  # of the most trusted points, whose drift the report shows
_WORST = 4
_LABELS = {
    "facestab": "FaceStab (learned trust)", "regressor": "FaceStab (the paper's regressor)",
    "irls": "robust alignment (Geman-McClure)", "l1": "robust alignment (L1)", "procrustes": "plain alignment",
}  # fmt: skip


def check_outputs(job: Job) -> None:
    """Fail before the work when something could not be written after it.

    Raises:
        UsageError: nothing to write, an unknown type, a file named twice. OutputError: a folder cannot be written.
    """
    from hyoid.formats.mesh_sequence import is_folder

    if not (job.output or job.motion or job.report or job.blendshapes):
        raise UsageError("there is no output", expected="-o, --motion, --report or --blendshapes")
    if job.shapes and not job.motion:
        raise UsageError("--shapes has nowhere to go", expected="--motion FILE.take.npz or FILE.csv")
    for path in job.motion:
        _typed(path, MOTION_SUFFIXES)
    for path in job.blendshapes:
        _typed(path, BLENDSHAPE_SUFFIXES)
    if job.report is not None:
        _typed(job.report, REPORT_SUFFIXES)
    taken = {path.resolve() for path in job.meshes}
    for path in (*job.output, *job.motion, *job.blendshapes, *([job.report] if job.report else [])):
        if path.resolve() in taken:
            raise UsageError("is named twice, or is one of the inputs", path=path, expected="a file of its own")
        taken.add(path.resolve())
        check_writable(path / "frame" if path in job.output and is_folder(path) else path)


def _typed(path: Path, suffixes: tuple[str, ...]) -> None:
    if not path.name.lower().endswith(suffixes):
        raise UsageError(f"unknown file type '{path.suffix}'", path=path, expected=", ".join(suffixes))


def write(job: Job, found: Found, report: Report) -> tuple[list[str], dict[str, Any]]:
    """Write every output; what was written, and more facts for the result.

    Raises:
        InputError, OutputError, MissingToolError: see the writers.
    """
    outputs: list[str] = []
    more: dict[str, Any] = {}
    # Meshes have no place for it, and hashing gigabytes of them takes its time.
    told = job.motion or job.blendshapes or job.report
    provenance = _provenance(job, found) if told else Provenance(__version__, "stabilize")
    parts = len(job.output) + len(job.motion) + len(job.blendshapes) + bool(job.report) + bool(job.shapes)
    stages = iter([report.stage(number / parts, (number + 1) / parts) for number in range(parts)])
    for path in job.output:
        outputs += _meshes(path, found, next(stages))
    solved = None
    if job.shapes:
        solved = _solved(job.shapes, found, next(stages))
        active = int((solved.weights.max(0) > 0.05).sum())
        more["shapes"] = {
            "character": job.shapes, "active": active, "explained": round(float(np.median(solved.explained)), 4),
            "residual_mm": round(float(np.median(solved.residual_mm)), 4), "unseen": list(solved.unseen),
        }  # fmt: skip
    for path in job.motion:
        outputs.append(_motion(path, job, found, solved, provenance, next(stages)))
    if job.blendshapes:
        stage = next(stages)
        for _ in job.blendshapes[1:]:
            next(stages)
        written, names = _blendshapes(job, found, provenance, stage)
        outputs += written
        more["blendshapes"] = names
    if job.report is not None:
        _report(job.report, job, found, provenance, next(stages))
        outputs.append(str(job.report))
    return outputs, more


def medians(result: Stabilised) -> np.ndarray:
    """(F,) the median residual of each frame, millimetres."""
    return np.nanmedian(result.residuals, axis=1)


def _meshes(path: Path, found: Found, report: Report) -> list[str]:
    from hyoid.formats.mesh_sequence import write_sequence

    fps = found.fps if found.ordered else None
    return write_sequence(
        path, found.sequence, found.stabilised(), report, fps=fps, rotations=found.motion.rotations
    )  # fmt: skip


def _solved(character: str, found: Found, report: Report) -> Solved:
    """The ARKit weights of every frame."""
    from dataclasses import replace

    from hyoid.characters import shape_solver
    from hyoid.verbs.stabilize import mesh_of

    move = found.placement.move
    mesh = mesh_of(found.sequence, found.target)
    if not len(mesh.faces):
        raise InputError("has points and no faces", path=found.sequence.path, expected="a mesh, for --shapes")
    mesh = replace(mesh, vertices=move.apply(found.target))
    basis = shape_solver.basis_of(character, mesh, report=report.stage(0.0, 0.5))

    def frames() -> Iterator[np.ndarray]:
        for number, vertices in enumerate(found.stabilised()):
            report.progress(0.5 + 0.4 * number / len(found.motion), "reading expressions")
            yield move.apply(vertices)

    return shape_solver.solve(
        basis.offsets, frames(), mesh.vertices, names=basis.names, ordered=found.ordered,
        vertex_weights=basis.vertex_weights,
    )  # fmt: skip


def _motion(path: Path, job: Job, found: Found, solved: Solved | None, provenance: Provenance, report: Report) -> str:
    """Write the head's motion: from the target to each frame."""
    from hyoid.formats import head_motion_files as files

    report.progress(0.0, f"writing {path.name}")
    motion, confidence, residual = found.motion.inverse(), found.result.confidence, medians(found.result)
    suffix = path.name.lower()
    with part_file(path) as part:
        if suffix.endswith(".take.npz"):
            from hyoid.formats import take_npz

            take_npz.write(part, _take(job, found, solved, provenance))
        elif suffix.endswith(".csv"):
            files.write_csv(part, motion, found.fps, found.sequence.names, confidence, residual)
        elif suffix.endswith((".usdc", ".usda")):
            files.write_usd(
                part, motion, found.fps, confidence, metres_per_unit=found.placement.move.scale,
                up_axis=found.sequence.up or _up(found), residual_mm=residual, names=found.sequence.names,
                provenance=provenance,
            )  # fmt: skip
        else:
            _scene(part, job, found, provenance, report)
    return str(path)


def _up(found: Found) -> str:
    """The axis that points up in the files, as far as it is one that USD knows."""
    return "Z" if abs(found.placement.move.rotation[1, 2]) > 0.7 else "Y"


def _take(job: Job, found: Found, solved: Solved | None, provenance: Provenance) -> Any:
    from hyoid import characters
    from hyoid.characters import head_motion

    name = job.shapes or "human"
    character = characters.load(name)
    curves = None if solved is None else (solved.names, solved.weights)
    return head_motion.to_take(
        found.motion.inverse(), found.placement.move, found.fps, character, CharacterReference(name, {}, "full"),
        confidence=found.result.confidence, curves=curves, provenance=provenance,
    )  # fmt: skip


def _scene(part: Path, job: Job, found: Found, provenance: Provenance, report: Report) -> None:
    """A .blend with the moving bone, and the stabilised mesh on it where there are faces."""
    from hyoid.blender import head_motion

    pivot = found.points.of(found.target)[found.points.mask > 0].mean(0)
    common: dict[str, Any] = {
        "kind": "empty" if job.empty else "armature", "pivot": pivot, "confidence": found.result.confidence,
        "residual_mm": medians(found.result), "provenance": provenance,
    }  # fmt: skip
    motion, move = found.motion.inverse(), found.placement.move
    if not len(found.sequence.faces):
        head_motion.write(part, motion, move, found.fps, report, **common)
        return
    mesh = found.target, found.sequence.faces
    with _raw_points(found, report.stage(0.0, 0.4)) as points:
        head_motion.write(part, motion, move, found.fps, report.stage(0.4, 1.0), mesh=mesh, points=points, **common)


@contextmanager
def _raw_points(found: Found, report: Report) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hyoid-") as folder:
        path = Path(folder) / "points.raw"
        with open(path, "wb") as stream:
            for number, vertices in enumerate(found.stabilised()):
                stream.write(vertices.astype("<f4").tobytes())
                report.progress(number / len(found.motion), "stabilising")
        yield path


def _blendshapes(job: Job, found: Found, provenance: Provenance, report: Report) -> tuple[list[str], list[str]]:
    """The person's own shapes on a rig of their own mesh; where no neck can be rigged, on the mesh alone."""
    from dataclasses import replace

    from hyoid.characters import own_shapes, shape_solver
    from hyoid.characters.fit.transfer import rig_head
    from hyoid.verbs import outputs
    from hyoid.verbs.stabilize import mesh_of

    move, mesh = found.placement.move, mesh_of(found.sequence, found.target)
    if not len(mesh.faces):
        raise InputError("has points and no faces", path=found.sequence.path, expected="a mesh, for --blendshapes")
    frames, names = list(found.stabilised()), list(found.sequence.names)
    neutral = found.target_frame
    if neutral is None:
        kept = [row for row, name in enumerate(names) if own_shapes.meaning(name).lower() not in ("neutral", "rest")]
        frames, names = [*(frames[row] for row in kept), found.target], [*(names[row] for row in kept), "neutral"]
        neutral = len(kept)
    placed = replace(mesh, vertices=move.apply(found.target))
    face = shape_solver.face_share(placed)
    shapes, deltas = own_shapes.own_shapes(names, frames, neutral, metres=move.scale, face=face)
    name = job.blendshapes[0].name.split(".")[0]
    try:
        rig, _, fitted = rig_head(mesh, name=name, report=report.stage(0.0, 0.6))
        character = own_shapes.onto(rig, shapes, deltas, fitted.placement.move, face=face)
        character = replace(character, licence=own_shapes.LICENCE, settings={}, digest="")
    except InputError as error:
        report.message(f"the neck cannot be rigged, the shapes stand on the mesh alone: {error}", "warning")
        turned = move.scale * deltas.astype(np.float64) @ move.rotation.T
        character = own_shapes.plain_character(name, placed, shapes, turned)
    written = outputs.export(character, None, job.blendshapes, report.stage(0.6, 1.0), provenance=provenance)
    return written, list(shapes)


def _report(path: Path, job: Job, found: Found, provenance: Provenance, report: Report) -> None:
    from hyoid.media import stabilize_report

    report.progress(0.0, "measuring for the report")
    facts = _facts(job, found, provenance, report)
    writer = {
        ".html": stabilize_report.write_html, ".png": stabilize_report.write_png, ".json": stabilize_report.write_json,
    }[path.suffix.lower()]  # fmt: skip
    writer(path, facts)


def _facts(job: Job, found: Found, provenance: Provenance, report: Report) -> Any:
    """What the report tells; the frames are read once more for the mean residual and the worst ones."""
    from hyoid.characters.head_motion import in_metres
    from hyoid.media.stabilize_facts import FrameMeshes, ReportFacts, choose_worst

    move, result, mask = found.placement.move, found.result, found.points.mask > 0
    per_frame = medians(result)
    worst = choose_worst(per_frame, _WORST, apart=max(len(found.motion) // 20, 1))
    total, shown = np.zeros(found.sequence.vertices), {}
    pairs = zip(found.sequence.frames(), found.stabilised(), strict=True)
    for number, (raw, stabilised) in enumerate(pairs):
        total += np.linalg.norm(stabilised - found.target, axis=1)
        if number in worst:
            shown[number] = FrameMeshes(number, move.apply(raw), move.apply(stabilised))
        report.progress(0.7 * number / len(found.motion), "measuring for the report")
    trust = np.nanmean(result.trust, axis=0)
    steady = np.argsort(-np.where(mask, trust, -1))[:_SKULL_LIKE]
    at_target = found.points.of(found.target)[steady]
    own = found.canonical[:, steady] / found.millimetres
    drift = (found.motion.apply(own.astype(np.float64)) - at_target) @ move.rotation.T * found.millimetres
    distances = 1000 * found.points.distances[mask]
    reasons = dict.fromkeys(found.uncertain, "expected error above a millimetre") | dict(result.refused)
    return ReportFacts(
        source=found.sequence.path.name, names=found.sequence.names, method=_LABELS[job.method],
        target=move.apply(found.target), faces=found.sequence.faces, motion=in_metres(found.motion.inverse(), move),
        residual_median_mm=per_frame, residual_percentile_95_mm=np.nanquantile(result.residuals, 0.95, axis=1),
        confidence=result.confidence, mean_residual_mm=total * found.millimetres / len(found.motion),
        provenance=provenance, uncertain=reasons, ordered=found.ordered, fps=found.fps if found.ordered else None,
        target_name=found.target_name, unit=found.placement.unit,
        topology=f"{int(mask.sum())} of {len(mask)} points of the face found on it",
        map_error_mm=(float(np.median(distances)), float(np.quantile(distances, 0.95))),
        skull_points=move.apply(at_target), skull_drift_mm=drift, trust=_spread(found, trust),
        worst=tuple(shown[number] for number in worst),
    )  # fmt: skip


def _spread(found: Found, trust: np.ndarray) -> np.ndarray:
    """(N,) the trust of the points on the vertices around each; NaN on vertices that no point is near."""
    from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

    mask = found.points.mask > 0
    places = found.points.of(found.target)[mask] * found.millimetres
    distances, nearest = cKDTree(places).query(found.target * found.millimetres, min(6, len(places)))
    weights = np.exp(-((distances / 5.0) ** 2)) + 1e-12
    values = (weights * trust[mask][nearest]).sum(1) / weights.sum(1)
    return np.where(distances[:, 0] < 12.0, values, np.nan)


def _provenance(job: Job, found: Found) -> Provenance:
    """Inputs, weights, character and settings."""
    files = found.sequence.files
    digest = sha256_of(files[0])
    if len(files) > 1:
        digest = hashlib.sha256("\n".join(map(sha256_of, files)).encode()).hexdigest()
    sources = [Source("input", found.sequence.path.name, digest, "")]
    if job.target is not None and found.target_frame is None:
        sources.append(Source("input", found.target_name, sha256_of(Path(job.target)), ""))
    if job.method in ("facestab", "regressor"):
        assert found.model.path is not None
        sources.append(Source("weights", found.model.path.name, found.model.digest, found.model.licence))
    if job.shapes:
        from hyoid import characters
        from hyoid.verbs.outputs import source_of

        sources.append(source_of(characters.load(job.shapes)))
    settings = {
        "method": job.method, "region": job.region, "target": found.target_name, "smooth": job.smooth,
        "order": "sequence" if found.ordered else "set",
    }  # fmt: skip
    return Provenance(__version__, "stabilize", settings, tuple(sources))
