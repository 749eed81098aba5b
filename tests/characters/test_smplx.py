# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""SMPL-X, SMPL-H and SMPL files of the published layout: evaluated as by their authors' package, rigged as bodies."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import arkit, neck, smplx
from hyoid.characters.performance import joint_transforms, perform
from hyoid.characters.smpl import family
from hyoid.errors import InputError
from hyoid.geometry import rotations

from tests.characters import smpl_files
from tests.characters.test_flame import TOLERANCE, a_take, played, unfolded


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("smplx")


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    return smpl_files.write_npz(folder / "SMPLX_NEUTRAL.npz", smpl_files.arrays("SMPL-X", 20))


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """A cache of this module's own: nothing lies in it at first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYOID_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def random_pose(model: family.Model, batch: int) -> np.ndarray:
    return np.random.default_rng(11).normal(0, 0.35, (batch, len(model.parents), 3))


def test_smplx_evaluation_is_that_of_the_smplx_package(file):
    peers, torch = pytest.importorskip("smplx"), pytest.importorskip("torch")
    model, batch = smplx.read(file), 4
    peer = peers.SMPLX(
        str(file), batch_size=batch, use_pca=True, num_pca_comps=12, flat_hand_mean=False, dtype=torch.float64
    )
    random = np.random.default_rng(1)
    betas, expression = random.normal(0, 1, (batch, 10)), random.normal(0, 1, (batch, 10))
    hands, shift = random.normal(0, 1, (2, batch, 12)), random.normal(0, 1, (batch, 3))
    pose = random_pose(model, batch)
    pose[:, 25:] = family.hand_pose(model, *hands)
    given = {
        "betas": betas, "expression": expression, "global_orient": pose[:, 0], "transl": shift,
        "body_pose": pose[:, 1:22].reshape(batch, -1), "jaw_pose": pose[:, 22], "leye_pose": pose[:, 23],
        "reye_pose": pose[:, 24], "left_hand_pose": hands[0], "right_hand_pose": hands[1],
    }  # fmt: skip
    with torch.no_grad():
        theirs = peer(**{name: torch.tensor(array) for name, array in given.items()})
    vertices, joints = family.evaluate(model, betas, expression, pose, shift)
    assert np.abs(theirs.vertices.numpy() - vertices).max() < TOLERANCE
    assert np.abs(theirs.joints.numpy()[:, :55] - joints).max() < TOLERANCE


@pytest.mark.parametrize(("kind", "shapes"), [("SMPL-H", 16), ("SMPL", 10)])
def test_smplh_and_smpl_evaluation_is_that_of_the_smplx_package(kind, shapes, tmp_path):
    peers, torch = pytest.importorskip("smplx"), pytest.importorskip("torch")
    content, batch = smpl_files.arrays(kind, shapes), 3
    plain = tmp_path / "plain.pkl"
    plain.write_bytes(pickle.dumps(content))  # the peer opens pickles by running them, so it gets one without chumpy
    real = tmp_path / "real"
    write = smpl_files.write_pkl if kind == "SMPL" else smpl_files.write_npz
    model = smplx.read(write(real.with_suffix(".pkl" if kind == "SMPL" else ".npz"), content))
    assert model.kind == kind
    options = {} if kind == "SMPL" else {"use_pca": False, "flat_hand_mean": True}
    make = peers.SMPL if kind == "SMPL" else peers.SMPLH
    peer = make(str(plain), batch_size=batch, dtype=torch.float64, **options)
    pose, betas = random_pose(model, batch), np.random.default_rng(2).normal(0, 1, (batch, 10))  # it takes ten
    body = 24 if kind == "SMPL" else 22
    given = {"betas": betas, "global_orient": pose[:, 0], "body_pose": pose[:, 1:body].reshape(batch, -1)}
    if kind == "SMPL-H":
        given["left_hand_pose"] = pose[:, 22:37].reshape(batch, -1)
        given["right_hand_pose"] = pose[:, 37:].reshape(batch, -1)
    with torch.no_grad():
        theirs = peer(**{name: torch.tensor(array) for name, array in given.items()})
    vertices, joints = family.evaluate(model, betas, pose=pose)
    assert np.abs(theirs.vertices.numpy() - vertices).max() < TOLERANCE
    assert np.abs(theirs.joints.numpy()[:, : len(model.parents)] - joints).max() < TOLERANCE


def test_one_row_goes_with_any_batch_and_a_batch_is_its_rows(file):
    model = smplx.read(file)
    pose, betas = random_pose(model, 70), np.random.default_rng(1).normal(0, 1, (1, 10))
    together, _ = family.evaluate(model, betas, pose=pose)
    assert together.shape == (70, 10475, 3)
    alone, _ = family.evaluate(model, betas, pose=pose[66:67])
    np.testing.assert_allclose(together[66], alone[0], atol=2e-6)


def test_flat_and_mean_hands_are_told_apart(file):
    model = smplx.read(file)
    none = np.zeros((1, 6))
    np.testing.assert_array_equal(family.hand_pose(model, none, none, flat_mean=True), 0)
    mean = family.hand_pose(model, none, none)
    np.testing.assert_allclose(mean[0].reshape(2, 45), model.hand_means)


def test_with_its_native_neck_it_moves_exactly_as_the_model(file):
    body = characters.load(f"smplx:{file}", {"nativeNeck": 1.0, "identity002": 2.0})
    model = smplx.read(file)
    assert body.joint_names == family.JOINTS["SMPL-X"]
    pose = random_pose(model, 5)
    wanted, _ = family.evaluate(model, np.array([[0, 0, 2.0]]), pose=pose)
    assert np.abs(played(body, pose) - wanted).max() < TOLERANCE


def test_eight_joints_stand_between_neck_and_head(file):
    model, body = smplx.read(file), characters.load(f"smplx:{file}")
    native = model.regressor @ model.template
    names = body.joint_names
    assert not {"neck", "head"} & set(names)
    assert len(names) == 55 - 2 + 8
    assert names[: names.index("c7t1")] == model.joint_names[:12]
    np.testing.assert_allclose(body.heads[body.joint("c7t1")], native[12], atol=1e-6)
    np.testing.assert_allclose(body.heads[body.joint("oc1")], native[15], atol=1e-6)
    above = {name: names[body.parents[body.joint(name)]] for name in ("c7t1", "jaw", "eye.R", "left_collar")}
    assert above == {"c7t1": "spine3", "jaw": "oc1", "eye.R": "oc1", "left_collar": "spine3"}
    assert all(parent < child for child, parent in enumerate(body.parents))
    np.testing.assert_allclose(body.weights.sum(1), 1, atol=1e-5)
    kept = {corrective.joint for corrective in body.correctives}
    assert "left_elbow" in kept
    assert not kept & {"neck", "head", *neck.JOINTS}


def test_the_limbs_move_as_the_model_s_and_the_head_as_the_product_of_the_eight(file):
    model, body = smplx.read(file), characters.load(f"smplx:{file}")
    pose = random_pose(model, 3)
    pose[:, [12, 15]] = 0
    turns = np.stack(
        [
            pose[:, model.joint_names.index(name)] if name in model.joint_names else np.zeros((3, 3))
            for name in body.joint_names
        ],
        1,
    )
    wanted, _ = family.evaluate(model, pose=pose)
    # Where the larynx stands out and the weights of the neck differ the skin may; the limbs may not.
    limbs = np.asarray(model.weights[:, [12, 15, 22, 23, 24, 9, 13, 14]].sum(1)).ravel() < 1e-6
    assert limbs.sum() > 4000
    assert np.abs(played(body, turns)[:, limbs] - wanted[:, limbs]).max() < TOLERANCE
    first = body.joint("c7t1")
    turns[:, first : first + 8] = [0.05, 0.1, -0.03]
    done = perform(body, a_take(body, turns))
    world = joint_transforms(body, done)
    product = rotations.to_matrix(neck.collapse(done.rotations[:, first : first + 8]))
    trunk = world[:, body.joint("spine3"), :3, :3]
    np.testing.assert_allclose(world[:, body.joint("oc1"), :3, :3], trunk @ product, atol=1e-5)


def test_the_neck_bends_without_folds(file):
    # Joints that share one bend evenly: no triangle of the neck may turn over.
    kept, count = unfolded(characters.load(f"smplx:{file}"))
    assert count > 500
    assert kept > 0.999


def test_its_face_speaks_and_its_eyes_look(file):
    body = characters.load(f"smplx:{file}")
    assert body.shapes.names[:52] == arkit.NAMES
    assert characters.settings_of(f"smplx:{file}")["nativeExpression"].default == 0  # ten coefficients are too few
    still = np.zeros((1, len(body.joint_names), 3))
    rest = played(body, still)[0]
    opened = played(body, still, {"jawOpen": np.ones(1)})[0]
    lower = body.landmarks["lip_lower"]
    assert rest[lower, 1] - opened[lower, 1] > 0.015
    looking = played(body, still, {"eyeLookUpLeft": np.ones(1)})[0]
    left, right = (body.vertices[part.vertices] for part in body.parts[1:])
    front = body.parts[1].vertices.start + int(left[:, 2].argmax())
    other = body.parts[2].vertices.start + int(right[:, 2].argmax())
    assert looking[front, 1] - rest[front, 1] > 0.003
    np.testing.assert_allclose(looking[other], rest[other], atol=1e-6)
    assert body.licence == "LicenseRef-SMPL-X"


def test_its_own_texture_coordinates_are_kept_and_eyeballs_get_the_eye_map(file):
    model, body = smplx.read(file), characters.load(f"smplx:{file}")
    assert model.uv is not None
    skin = body.face_uv[body.parts[0].faces]
    np.testing.assert_array_equal(body.uv[skin.ravel()], model.uv[skin.ravel()])
    part = body.parts[1]
    away = body.vertices[part.vertices] - body.heads[body.joint("eye.L")]
    front = np.where(away[:, 2] > 0, np.hypot(away[:, 0], away[:, 1]), 1).argmin() + part.vertices.start  # the pupil
    corner = np.argwhere(body.faces[part.faces] == front)[0]
    np.testing.assert_allclose(body.uv[body.face_uv[part.faces][tuple(corner)]], 0.5, atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "shapes"), [("SMPL-H", 16), ("SMPL", 10)])
def test_bodies_without_expression_speak_too(kind, shapes, tmp_path):
    path = smpl_files.write_npz(tmp_path / "model.npz", smpl_files.arrays(kind, shapes))
    body = characters.load(f"smplx:{path}")
    assert smplx.arkit_map(path) is None
    assert body.shapes.names[:55] == (*arkit.NAMES, *arkit.LARYNX_SHAPES)
    assert {"jaw", "eye.L"}.isdisjoint(body.joint_names)
    still = np.zeros((1, len(body.joint_names), 3))
    lower = body.landmarks["lip_lower"]
    opened = played(body, still, {"jawOpen": np.ones(1)})[0]
    assert body.vertices[lower, 1] - opened[lower, 1] > 0.015


def test_a_flame_file_is_not_a_body(tmp_path):
    path = smpl_files.write_npz(tmp_path / "model.npz", smpl_files.arrays("FLAME", 20))
    with pytest.raises(InputError, match=r"is a FLAME model; expected SMPL-X, SMPL-H or SMPL\. Name it flame:PATH"):
        smplx.read(path)


def test_half_a_hand_is_refused(tmp_path):
    content = smpl_files.arrays("SMPL-H", 16)
    path = smpl_files.write_npz(tmp_path / "model.npz", content | {"hands_meanl": np.zeros(12)})
    with pytest.raises(InputError, match=r"'hands_meanl' is \(12\); expected \(45\)"):
        smplx.read(path)
