# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""Fitting a head scan and rigging a head mesh, beside the simple ways: the neutral head laid on, nearest-point offsets.

``python bench/fit.py`` or ``hyoid bench fit``. With ICT-FaceKit in ``$HYOID_ICT`` its identities are fitted too, with
its own model and with the bundled human.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np
from hyoid import characters
from hyoid.characters.fit import transfer
from hyoid.characters.fit.fitting import fit, model_of
from hyoid.geometry.closest import Surface
from hyoid.geometry.mesh import Mesh
from hyoid.geometry.meshes import triangulate
from hyoid.geometry.registration import sample_points
from hyoid.geometry.rotations import to_matrix
from hyoid.report import SILENT, Report
from scipy.spatial import cKDTree

SUMMARY = "a head scan fitted and a head mesh rigged, beside the neutral head and nearest-point offsets"
PEOPLE: tuple[dict[str, float], ...] = (
    {"age": 0.9, "gender": 0.8, "weight": 0.8, "nose-hump-incr": 0.6, "chin-width-incr": -0.5},
    {"age": 0.5, "gender": 0.1, "african": 1.0, "asian": 0.0, "caucasian": 0.0, "mouth-scale-horiz-incr": 0.6},
    {"age": 0.4, "gender": 1.0, "weight": 0.2, "head-scale-vert-incr": 0.5, "nose-scale-vert-incr": -0.6},
)
SHAPES = ("jawOpen", "mouthSmileLeft", "mouthPucker", "mouthFunnel", "eyeBlinkLeft", "browInnerUp")
_NOISE = 0.002  # metres
_IDENTITIES = 3


def skin_of(character: Any) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) and triangles (m, 3) of the skin of a character."""
    part = next(part for part in character.parts if part.material == "skin")
    return character.vertices.astype(np.float64), triangulate(character.faces[part.faces])


def mesh_of(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """A mesh without UVs; faces (n, 4)."""
    return Mesh(
        vertices, faces.astype(np.int32), np.zeros((0, 2), np.float32), np.zeros((0, 4), np.int32),
        np.zeros(len(faces), np.int32), ("mesh",),
    )  # fmt: skip


def one_scan(name: str, vertices: np.ndarray, triangles: np.ndarray, seed: int) -> dict[str, float]:
    """A noisy scan of a known surface with three tenths missing, in some pose: errors against that surface, mm."""
    random = np.random.default_rng(seed)
    points = sample_points(vertices, triangles, 14300, seed)
    points = points[random.random(len(points)) > 0.3]
    quaternion = random.normal(size=4)
    rotation = to_matrix(quaternion / np.linalg.norm(quaternion))
    noisy = points + random.normal(0, _NOISE, points.shape)
    started, used = time.perf_counter(), time.process_time()
    found = fit(name, mesh_of(noisy @ rotation.T, np.zeros((0, 4), np.int32)))
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    truth = Surface(found.placement.apply(vertices @ rotation.T), triangles)
    model = model_of(name)
    head = model.template.head > 0.5
    error = truth.closest(found.vertices[head].astype(np.float64)).distances
    plain = truth.closest(model.template.rest[head] + model.lift(found.settings)).distances
    return {
        "median_mm": 1000 * float(np.median(error)), "percentile_95_mm": 1000 * float(np.quantile(error, 0.95)),
        "neutral_head_median_mm": 1000 * float(np.median(plain)), "to_scan_median_mm": 1000 * found.median_error,
        "seconds": seconds, "processor_seconds": processor,
    }  # fmt: skip


def shapes_of(character: Any, name: str) -> np.ndarray:
    """Offsets (V, 3) of one shape."""
    index = character.shapes.names.index(name)
    span = slice(character.shapes.starts[index], character.shapes.starts[index + 1])
    full = np.zeros((len(character.vertices), 3))
    full[character.shapes.vertices[span]] = character.shapes.offsets[span]
    return full


def rigging() -> dict[str, Any]:
    """Another person's skin (18 000 vertices, finer) rigged from the mesh alone, against that person's own shapes."""
    person = characters.load("human", PEOPLE[0], part="head", subdivision=1)
    part = person.parts[0]
    rows = slice(0, part.vertices.stop)
    mesh = mesh_of(100.0 * person.vertices[rows].astype(np.float64), person.faces[part.faces])
    started, used = time.perf_counter(), time.process_time()
    rigged, quality, found = transfer.rig_head(mesh)
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    human = characters.load("human", part="head")
    skin = human.vertices[human.parts[0].vertices].astype(np.float64)
    # The simple way has the neutral head where this one is: people of another height stand elsewhere.
    standing = found.placement.apply(mesh.vertices) - model_of("human").lift(found.settings)
    nearest = cKDTree(skin).query(standing)[1]
    result: dict[str, Any] = {
        "vertices": len(mesh.vertices), "seconds": seconds, "processor_seconds": processor,
        "passed": quality["passed"], "shapes_median_mm": {},
    }  # fmt: skip
    for name in SHAPES:
        truth = shapes_of(person, name)[rows]
        moved = np.linalg.norm(truth, axis=1) > 0.001
        ours = np.linalg.norm(shapes_of(rigged, name) - truth, axis=1)[moved]
        simple = np.linalg.norm(shapes_of(human, name)[nearest] - truth, axis=1)[moved]
        result["shapes_median_mm"][name] = {
            "ours": 1000 * float(np.median(ours)), "nearest_point": 1000 * float(np.median(simple)),
            "motion": 1000 * float(np.median(np.linalg.norm(truth, axis=1)[moved])),
        }  # fmt: skip
    return result


def identities(folder: str) -> list[dict[str, Any]]:
    """Heads of ICT-FaceKit with mixed identities, fitted with their own model and with the bundled human."""
    name = f"ict:{folder}"
    known = [key for key in characters.settings_of(name) if key.startswith("identity")][:20]
    results = []
    for seed in range(_IDENTITIES):
        values = 0.8 * np.random.default_rng(seed).normal(size=len(known))
        head = characters.load(name, dict(zip(known, values.tolist(), strict=True)))
        vertices, triangles = skin_of(head)
        results.append(
            {"ict": one_scan(name, vertices, triangles, seed), "human": one_scan("human", vertices, triangles, seed)}
        )
    return results


def run(report: Report = SILENT) -> dict[str, Any]:
    """Every measurement, millimetres and seconds."""
    scans = []
    for number, person in enumerate(PEOPLE):
        report.progress(number / 5, "fitting scans")
        vertices, triangles = skin_of(characters.load("human", person, part="head"))
        scans.append(one_scan("human", vertices, triangles, number))
    report.progress(0.6, "rigging a mesh")
    result = {"noise_mm": 1000 * _NOISE, "missing": 0.3, "human_scans": scans, "rigging": rigging()}
    folder = os.environ.get("HYOID_ICT")
    if folder:
        report.progress(0.8, "fitting ICT identities")
        result["ict_scans"] = identities(folder)
    return result


def main() -> int:
    """Print the measurements as JSON."""
    print(json.dumps(run(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
