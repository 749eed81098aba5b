# SPDX-License-Identifier: Apache-2.0
"""``stabilize`` in chunks: the canonical points are read off the frames by many, the skull is found when all are there.

Of meshes of 4 600 vertices in .obj files a frame takes, on one core, 11 ms to read (it grows with the vertices: a
second for a raw scan), 6 ms to find the skull, 1 ms of most_neutral, and 25 ms to write as .obj, for which the frames
are read once more. So a chunk reads, and tells 12 kB a frame however large the meshes are. The target is by default
the most neutral of all frames, so the skull is found in ``finish``, on all cores: where the frames are is no matter
there, and batches are those of the whole. What is written streams through ``finish``, one mesh at a time.

The face is found on the same mesh in every chunk, which takes 6 s where no cache knows the topology. Parts with
another map of the face are refused: let machines share the cache, or give each an empty one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hyoid.farm.splits import Extent
from hyoid.formats import part_npz
from hyoid.formats.checks import finite
from hyoid.formats.part_npz import Part
from hyoid.report import Report
from hyoid.verbs import stabilize
from hyoid.verbs.stabilize import Job

if TYPE_CHECKING:
    from hyoid.characters.fit.face_points import FacePoints
    from hyoid.formats.mesh_sequence import MeshSequence
    from hyoid.verbs.stabilize import Mapped, Meshes

_MINUTE = 60.0
_VERTEX, _BINARY_VERTEX = 2.4e-6, 3e-8  # seconds of a vertex of one frame, in files of text and in others
_FRAME = 3e-4  # seconds
_LAYOUT = {
    "canonical": ("<f4", ("frames", "points", 3)), "vertices": ("<i4", ("points", "corners")),
    "shares": ("<f8", ("points", "corners")), "mask": ("<f8", ("points",)), "distances": ("<f4", ("points",)),
}  # fmt: skip
_MAP = ("vertices", "shares", "mask", "distances")


def extent(job: Job) -> Extent:
    """How many frames there are; each stands for itself.

    Raises:
        UsageError, InputError, MissingToolError: meshes that cannot be opened.
    """
    from hyoid.formats.mesh_sequence import open_sequence

    sequence = open_sequence(job.meshes)
    return Extent(len(sequence.names), usual=_usual(sequence))


def _usual(sequence: MeshSequence) -> int:
    """Frames that take a core about a minute to read."""
    each = _VERTEX if sequence.kind in ("obj", "ply") else _BINARY_VERTEX
    return max(round(_MINUTE / (_FRAME + each * sequence.vertices)), 1)


def work(job: Job, first: int, end: int, target: Path, report: Report) -> dict[str, Any]:
    """Read the canonical points off the frames ``[first, end)`` and write them to ``target``.

    Returns:
        ``failed``: none, for a frame that cannot be read ends the work as it ends the whole; ``points`` on the face.

    Raises:
        UsageError: there are no such frames. InputError, WeightsError, OutputError: see ``stabilize.run``.
    """
    from hyoid.threads import one_blas_thread

    with one_blas_thread():
        meshes = stabilize.open_meshes(job, report)
        part_npz.check_chunk(first, end, len(meshes.sequence.names))
        mapped = stabilize.map_face(job, meshes, report.stage(0.0, 0.2))
        canonical = stabilize.read_canonical(mapped, first, end, report.stage(0.2, 1.0))
    arrays = {"canonical": canonical}
    arrays |= {name: np.asarray(getattr(mapped.points, name), _LAYOUT[name][0]) for name in _MAP}
    told = {"names": list(meshes.sequence.names[first:end])}
    part_npz.write(target, "stabilize", first, end, _made(mapped), told, arrays)
    return {"failed": [], "points": int(mapped.points.mask.sum())}


def finish(job: Job, parts: Sequence[Path], report: Report) -> dict[str, Any]:
    """Find the skull in all parts and write every output; the result is that of ``stabilize.run``.

    Raises:
        UsageError, WeightsError, OutputError, MissingToolError: see ``stabilize.run``. InputError: also parts that are
            damaged, of other meshes or settings, or not all.
    """
    from hyoid.threads import one_blas_thread

    begun = time.monotonic()
    stabilize.check_outputs(job)
    with one_blas_thread():
        meshes = stabilize.open_meshes(job, report)
        read = part_npz.read_each(parts, "stabilize", _LAYOUT, len(meshes.sequence.names), _made_of(meshes))
        canonical, first = _joined(meshes, read)
        mapped = stabilize.map_face(job, meshes, report, _points(first, meshes))
        if first.made != _made(mapped):
            raise part_npz.damaged(first, "was made with another scale or map of the face", "a part of this job")
        found = stabilize.solve(job, mapped, canonical, report.stage(0.1, 0.3))
        return stabilize.finished(job, found, report.stage(0.3, 1.0), begun)


def _made_of(meshes: Meshes) -> dict[str, Any]:
    """What all parts have in common, as far as it is known before the face is found."""
    sequence = meshes.sequence
    return {
        "meshes": [sequence.path.name, sequence.vertices, len(sequence.names)], "weights": meshes.model.digest,
        "vertices of the first mesh": hashlib.sha256(meshes.start.tobytes()).hexdigest(),
    }  # fmt: skip


def _made(mapped: Mapped) -> dict[str, Any]:
    """What all parts have in common."""
    arrays = [np.ascontiguousarray(getattr(mapped.points, name), _LAYOUT[name][0]) for name in _MAP]
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    return {**_made_of(mapped.meshes), "units": mapped.millimetres, "places of the face": digest}


def _joined(meshes: Meshes, parts: Iterable[Part]) -> tuple[np.ndarray, Part]:
    """The canonical points (F, K, 3) of all parts, which are read one at a time, and the first part.

    Raises:
        InputError: a part holds other frames than the meshes have, or numbers that are not finite.
    """
    names, count = meshes.sequence.names, len(meshes.model.face.rows)
    canonical, opening = np.empty((len(names), count, 3), np.float32), None
    for part in parts:
        found = part.arrays["canonical"]
        if found.shape != (part.end - part.first, count, 3):
            raise part_npz.damaged(
                part, f"holds points of the shape {found.shape}", f"{(part.end - part.first, count, 3)}"
            )
        finite("'canonical'", found, part.path)
        if part.told.get("names") != list(names[part.first : part.end]):
            raise part_npz.damaged(part, "holds other frames than the meshes have", "the frames that are there now")
        canonical[part.first : part.end] = found
        opening = opening or part
    assert opening is not None, "parts of all frames, of which there is at least one"
    return canonical, opening


def _points(part: Part, meshes: Meshes) -> FacePoints:
    """Where the canonical points lie.

    Raises:
        InputError: on vertices that the meshes do not have.
    """
    from hyoid.characters.fit.face_points import FacePoints

    found = FacePoints(*(part.arrays[name] for name in _MAP))
    if not found.vertices.size or found.vertices.min() < 0 or found.vertices.max() >= meshes.sequence.vertices:
        raise part_npz.damaged(
            part, "has a map of the face onto other vertices", f"vertices below {meshes.sequence.vertices}"
        )
    for name in _MAP[1:]:
        finite(f"'{name}'", part.arrays[name], part.path)
    return found
