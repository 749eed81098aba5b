# SPDX-License-Identifier: Apache-2.0
"""The linear model of ICT-FaceKit against its official class, on every case folder that is there.

Needs the reference cases (``$HYOID_PARITY`` or ``../shared/parity``) and the data: a FaceXModel folder named by
``$HYOID_ICT``, or the packed arrays in ``../shared/data/ict_facekit``.
"""

from __future__ import annotations

import gzip
import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hyoid.characters import ict_data
from hyoid.formats import obj

SHARED = Path(__file__).resolve().parents[3] / "shared"
CASES = Path(os.environ.get("HYOID_PARITY", SHARED / "parity")) / "ict_facekit"
PACKED = SHARED / "data" / "ict_facekit"
FOLDER = os.environ.get("HYOID_ICT")
TOLERANCE = 1e-5  # centimetres, the case's own

pytestmark = [
    pytest.mark.skipif(not CASES.is_dir(), reason=f"no reference cases in {CASES}"),
    pytest.mark.skipif(not (FOLDER or PACKED.is_dir()), reason="no ICT-FaceKit data ($HYOID_ICT)"),
]


def _cases() -> list[str]:
    return sorted(entry.parent.name for entry in CASES.glob("*/case.json"))


@cache
def _model() -> ict_data.Model:
    if FOLDER:
        return ict_data.model(Path(FOLDER))
    # The arrays hold the published positions in float32; the topology is not needed here.
    packed = np.load(PACKED / "ict_facekit.npz", allow_pickle=False)
    neutral = ict_data.decimals(packed["neutral"])
    names = packed["expression_names"].tolist()
    chosen = [names.index(name) for name in ict_data.EXPRESSIONS]
    identities, expressions = (
        np.stack([(ict_data.decimals(mode) - neutral).astype(np.float32) for mode in positions])
        for positions in (packed["identity"], packed["expression"][chosen])
    )
    empty = np.zeros((0, 4), np.int32)
    return ict_data.Model(neutral, identities, expressions, empty, np.zeros((0, 2), np.float32), empty, "")


@pytest.mark.parametrize("name", _cases() if CASES.is_dir() else [])
def test_vertices_equal_the_official_ones(name):
    config = json.loads((CASES / name / "case.json").read_text())["config"]
    arrays = np.load(CASES / name / "arrays.npz", allow_pickle=False)
    given = arrays["in.expression"]
    weights = np.zeros((len(given), len(ict_data.EXPRESSIONS)))  # a case may have some of them, in its own order
    weights[:, [ict_data.EXPRESSIONS.index(expression) for expression in config["expressions"]]] = given
    made = _model().evaluate(arrays["in.identity"], weights)
    assert made.shape[1] == config["n_vertices"]
    chosen = arrays["in.vertex_index"] if "in.vertex_index" in arrays.files else slice(None)
    assert np.abs(made[:, chosen] - arrays["out.vertices"]).max() < TOLERANCE


@pytest.mark.skipif(not PACKED.is_dir(), reason="no packed topology")
def test_the_files_are_read_as_they_are_packed(tmp_path):
    """One official file written in the published layout gives the same vertices and the published topology."""
    packed = np.load(PACKED / "ict_facekit.npz", allow_pickle=False)
    neutral = packed["neutral"]
    lines = "".join(f"v {x:.9g} {y:.9g} {z:.9g}\n" for x, y, z in neutral)
    path = tmp_path / "generic_neutral_mesh.obj"
    path.write_text(lines + gzip.decompress((PACKED / "topology.txt.gz").read_bytes()).decode())
    mesh = obj.read(path)
    np.testing.assert_array_equal(mesh.vertices.astype(np.float32), neutral)
    assert len(mesh.faces) == ict_data.FACES
    assert (mesh.faces[:, 2] == mesh.faces[:, 3]).sum() == 548
    assert len(mesh.uv) == 28_911
