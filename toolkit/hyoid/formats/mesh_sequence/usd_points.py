# SPDX-License-Identifier: Apache-2.0
"""Sequences in USD files: the points of all mesh prims over time, in world space.

A damaged USD file can end the process that reads it, so USD runs in a child process; positions pass through its pipes.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from hyoid.errors import InputError, UsageError
from hyoid.files import part_file
from hyoid.formats import polygons
from hyoid.formats.mesh_sequence import MeshSequence

_CHILD = [sys.executable, "-m", "hyoid.formats.mesh_sequence.usd_child"]


def open_file(path: Path) -> MeshSequence:
    """The sequence in a .usd, .usdc or .usda file: one frame for each time at which the points of a mesh have a sample.

    Where no points are sampled, the samples of transforms count; where nothing moves there is one frame. Meshes follow
    one another in stage order, with their transforms applied. Names are time codes.

    Raises:
        InputError: missing, damaged, without meshes, or with faces that make no sense.
    """
    with _child(["facts", str(path.resolve())], path) as child:
        assert child.stdout is not None
        data = child.stdout.read()
        _ended(child, path)
    facts: dict[str, Any] = json.loads(data)
    vertices = sum(facts["counts"])
    polygons.check_counts(vertices, 0, path)

    def read(start: int, stop: int) -> Iterator[np.ndarray]:
        return _frames(path, vertices, start, stop)

    return MeshSequence(
        path, "usd", tuple(facts["names"]), vertices, _faces(facts, vertices, path), facts["fps"], facts["up"],
        facts["metres"], tuple(Path(file) for file in facts["files"]), read,
    )  # fmt: skip


def write(
    path: Path, source: MeshSequence, frames: Iterator[np.ndarray], fps: float | None, rate: float,
    rotations: np.ndarray | None,
) -> None:  # fmt: skip
    """Write frames as time samples: into a copy of a USD source's layer, else into one new mesh prim.

    Args:
        fps: the rate that was asked for; the times of a USD source stay, only its time codes a second change.
        rate: of a new file.

    Raises:
        UsageError: the source's meshes lie where a layer cannot change them. OutputError: it cannot be written.
    """
    with part_file(path) as part, tempfile.TemporaryDirectory(prefix="hyoid-") as folder:
        job: dict[str, Any] = {
            "part": str(part), "target": str(path.resolve()), "vertices": source.vertices,
            "frames": len(source.names),
        }  # fmt: skip
        if source.kind == "usd":
            job |= {"source": str(source.path.resolve()), "fps": fps, "source_fps": source.fps}
            if rotations is not None:
                np.save(Path(folder) / "rotations.npy", rotations)
        else:
            np.save(Path(folder) / "faces.npy", source.faces)
            job |= {"fps": rate, "up": source.up or "Y", "metres": source.metres or 1.0}
            job["name"] = source.path.stem
        (Path(folder) / "job.json").write_text(json.dumps(job), encoding="utf-8")
        with _child(["write", folder], path, feeds=True) as child:
            assert child.stdin is not None
            _feed(child.stdin, frames)
            _ended(child, path)


def _feed(stream: IO[bytes], frames: Iterable[np.ndarray]) -> None:
    with suppress(BrokenPipeError):  # the child has failed then, and says why when it is asked
        for points in frames:
            stream.write(np.ascontiguousarray(points, "<f8").data.cast("B"))
        stream.close()


def _frames(path: Path, vertices: int, start: int, stop: int) -> Iterator[np.ndarray]:
    size = 24 * vertices
    with _child(["read", str(path.resolve()), str(start), str(stop)], path) as child:
        assert child.stdout is not None
        for number in range(start, stop):
            data = child.stdout.read(size)
            if len(data) != size:
                _ended(child, path)
                raise InputError(f"USD ended within frame {number}", path=path, expected="a whole file")
            yield np.frombuffer(data, "<f8").reshape(-1, 3)


@contextmanager
def _child(arguments: list[str], path: Path, *, feeds: bool = False) -> Iterator[Any]:
    """The child at work; it is ended when the caller leaves, whether all of its answer was read or not."""
    with tempfile.TemporaryFile() as errors:
        child: Any = subprocess.Popen(
            [*_CHILD, *arguments], stdin=subprocess.PIPE if feeds else subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=errors,
        )  # fmt: skip
        child.errors = errors
        try:
            yield child
        finally:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):  # what was still buffered has no reader
                        stream.close()


def _ended(child: Any, path: Path) -> None:
    """Wait for the child; its own word about a failure becomes a typed error.

    Raises:
        InputError, UsageError, OSError: what the child said, or that it died.
    """
    code = child.wait()
    if code == 0:
        return
    child.errors.seek(0)
    lines = child.errors.read()[-8000:].decode("utf-8", "replace").strip().splitlines() or ["no message"]
    said = next((json.loads(line) for line in reversed(lines) if line.startswith('{"error"')), None)
    if said is None:
        raise InputError(f"USD ended with code {code} ({lines[-1][:200]})", path=path, expected="a sound USD file")
    if said["kind"] == "output":
        number = said["errno"] or errno.EIO
        raise OSError(number, os.strerror(number), str(path))
    kind = UsageError if said["kind"] == "usage" else InputError
    raise kind(said["error"], path=said["path"] or path, expected=said["expected"], hint=said["hint"])


def _faces(facts: dict[str, Any], vertices: int, path: Path) -> np.ndarray:
    quads, first = [np.zeros((0, 4), np.int64)], 0
    for count, sizes, corners, turned in zip(
        facts["counts"], facts["sizes"], facts["corners"], facts["left_handed"], strict=True
    ):
        counts, index = np.array(sizes, np.int64), np.array(corners, np.int64)
        if counts.sum() != len(index) or (len(index) and not 0 <= index.min() <= index.max() < count):
            raise InputError(f"a mesh of {count} vertices has faces that do not fit it", path=path)
        keep = counts >= 3
        index, counts = index[np.repeat(keep, counts)], counts[keep]
        slots, _ = polygons.cut(counts, index)
        faces = index[slots]
        if turned:
            faces = np.where((faces[:, 2] == faces[:, 3])[:, None], faces[:, [2, 1, 0, 0]], faces[:, ::-1])
        quads.append(faces + first)
        first += count
    return np.concatenate(quads).astype(np.int32)
