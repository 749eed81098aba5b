# SPDX-License-Identifier: Apache-2.0
"""The baselines of stabilisation against exact answers, and our weights against the baselines, on every case there is.

A case is a folder of ``$HYOID_PARITY/facestab`` (or ``../shared/parity/facestab``): pairs of faces of ICT-FaceKit with
the true motion and the answers of plain and robust alignment.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hyoid.characters import ict_data
from hyoid.geometry.rigid import Rigid, concatenate
from hyoid.systems.facestab import checkpoint, infer, robust

from bench import _facestab_data

SHARED = Path(__file__).resolve().parents[3] / "shared"
CASES = Path(os.environ.get("HYOID_PARITY", SHARED / "parity")) / "facestab"
ICT = Path(os.environ.get("HYOID_ICT", SHARED / "data" / "ict_facekit"))
METHODS = {"procrustes": robust.procrustes, "irls": robust.geman_mcclure}

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no reference cases in {CASES}")


def cases() -> list[str]:
    return sorted(entry.parent.name for entry in CASES.glob("*/case.json"))


@cache
def arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(CASES / name / "arrays.npz", allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def errors(found: Rigid, case: dict[str, np.ndarray]) -> np.ndarray:
    """(P,) millimetres from where the true motion takes the points."""
    truth = Rigid(case["out.true_rotation"], case["out.true_translation"])
    source = case["in.source"].astype(np.float64)
    return np.linalg.norm(found.apply(source) - truth.apply(source), axis=-1).mean(1)


@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize("method", list(METHODS))
def test_baselines_are_the_exact_answers(name, method):
    case = arrays(name)
    found = METHODS[method](case["in.source"], case["in.target"])
    assert np.abs(found.rotations - case[f"out.{method}_rotation"]).max() < 1e-4
    stated = Rigid(case[f"out.{method}_rotation"], case[f"out.{method}_translation"])
    source = case["in.source"].astype(np.float64)
    assert np.linalg.norm(found.apply(source) - stated.apply(source), axis=-1).max() < 1e-3  # millimetres
    assert np.abs(errors(found, case) - case[f"out.{method}_mm"]).max() < 1e-3


@pytest.mark.skipif(not ICT.is_dir(), reason=f"no ICT-FaceKit in {ICT}")
@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize("weights", ["human", "facestab"])
def test_learned_weights_beat_robust_alignment(name, weights, tmp_path, monkeypatch):
    """Also those that have never seen the face model of the pairs; the points lie between few vertices."""
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path))
    case = arrays(name)
    rows = checkpoint.load(checkpoint.find(weights)).face.rows
    places = _facestab_data.points_on(ict_data.model(ICT), rows, case["in.point_indices"])
    model = places.weights(weights)
    source, target = (places.of(case[key].astype(np.float64)) for key in ("in.source", "in.target"))
    found = concatenate([
        infer.stabilise(source[i : i + 1], target[i], mask=places.mask, model=model).motion for i in range(len(source))
    ])  # fmt: skip
    ours, irls = errors(found, case), case["out.irls_mm"]
    noisy = np.arange(len(ours)) >= len(ours) // 2
    assert ours[noisy].mean() < 0.85 * irls[noisy].mean()
    assert ours[~noisy].mean() < 0.75 * irls[~noisy].mean()
