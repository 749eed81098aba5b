# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""FLAME files of the published layout: read without running them, evaluated as by their authors, rigged as heads."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import arkit, flame, neck
from hyoid.characters.performance import deform, joint_transforms, perform
from hyoid.characters.smpl import expression, family
from hyoid.errors import InputError, UsageError
from hyoid.formats import character_npz, glb_read, glb_take
from hyoid.geometry import rotations
from hyoid.report import SILENT
from hyoid.take import Take
from hyoid.verbs import outputs, rig

from tests import toy
from tests.characters import smpl_files

TOLERANCE = 1e-5  # metres: what is promised beside the authors' package; float32 gives about 1e-6


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("flame")


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    return smpl_files.write_npz(folder / "FLAME_NEUTRAL.npz", smpl_files.arrays("FLAME", 400))


@pytest.fixture(scope="module")
def small() -> dict:
    return smpl_files.arrays("FLAME", 20)


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """A cache of this module's own: nothing lies in it at first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYOID_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def a_take(character, turns: np.ndarray, curves: dict[str, np.ndarray] | None = None) -> Take:
    """Rotation vectors (frames, J, 3) of all joints of a character, and curves by name."""
    curves = curves or {}
    frames = len(turns)
    return Take(
        fps=30.0, curve_names=tuple(curves), joint_names=character.joint_names,
        curves=np.stack(list(curves.values()), 1).astype(np.float32) if curves else np.zeros((frames, 0), np.float32),
        rotations=rotations.from_rotation_vector(turns).astype(np.float32), root=np.zeros((frames, 3), np.float32),
        confidence=np.ones(frames, np.float32),
    )  # fmt: skip


def played(character, turns: np.ndarray, curves: dict[str, np.ndarray] | None = None) -> np.ndarray:
    return deform(character, perform(character, a_take(character, turns, curves)))


def unfolded(character) -> tuple[float, int]:
    """The share of the neck's triangles that face outward when eight joints share a bend, turn or tilt; how many."""
    first = character.joint("c7t1")
    turns = np.zeros((3, len(character.joint_names), 3))
    for axis, degrees in enumerate((5, 7, 5)):
        turns[axis, first : first + 8, axis] = np.radians(degrees)
    performed = perform(character, a_take(character, turns))
    world = joint_transforms(character, performed)[..., :3, :3]
    faces = character.faces[character.parts[0].faces][:, :3]
    heavy = character.weight_joints[:, 0]

    def normals(points: np.ndarray) -> np.ndarray:
        a, b, c = (points[..., faces[:, i], :].astype(float) for i in range(3))
        return np.cross(b - a, c - a)

    carried = np.einsum("pfij,fj->pfi", world[:, heavy[faces[:, 0]]], normals(character.vertices))
    turned = np.einsum("pfi,pfi->pf", carried, normals(deform(character, performed)))
    on_neck = np.isin(heavy[faces], range(first, first + 8)).all(1)
    return float((turned[:, on_neck] > 0).mean()), int(on_neck.sum())


def test_a_python_2_pickle_with_chumpy_gives_what_the_npz_gives(file, folder):
    # Whoever has a licence has one of the two; an artist must not notice which.
    pickled = smpl_files.write_pkl(folder / "generic_model.pkl", smpl_files.arrays("FLAME", 400))
    one, other = flame.read(pickled), flame.read(file)
    for name in ("template", "faces", "identity", "expression", "pose", "parents"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert abs(one.regressor - other.regressor).max() == 0
    assert one.identity.shape == (5023, 3, 300)
    assert one.expression.shape == (5023, 3, 100)


def test_evaluation_is_that_of_the_smplx_package(file, folder):
    peers, torch = pytest.importorskip("smplx"), pytest.importorskip("torch")
    marks = {"lmk_face_idx": np.arange(51), "lmk_b_coords": np.full((51, 3), 1 / 3)}
    (folder / "flame_static_embedding.pkl").write_bytes(pickle.dumps(marks))  # that package wants it; we do not
    random = np.random.default_rng(2)
    batch = 5
    betas, expression = random.normal(0, 1, (batch, 100)), random.normal(0, 0.5, (batch, 60))
    pose, shift = random.normal(0, 0.4, (batch, 5, 3)), random.normal(0, 1, (batch, 3))
    peer = peers.FLAME(
        str(folder), ext="npz", num_betas=100, num_expression_coeffs=60, batch_size=batch, dtype=torch.float64
    )
    parts = dict(
        zip(("global_orient", "neck_pose", "jaw_pose", "leye_pose", "reye_pose"), pose.swapaxes(0, 1), strict=True)
    )
    given = {name: torch.tensor(array) for name, array in parts.items()}
    with torch.no_grad():
        theirs = peer(
            betas=torch.tensor(betas), expression=torch.tensor(expression), transl=torch.tensor(shift), **given
        )
    vertices, joints = family.evaluate(flame.read(file), betas, expression, pose, shift)
    assert np.abs(theirs.vertices.numpy() - vertices).max() < TOLERANCE
    assert np.abs(theirs.joints.numpy()[:, :5] - joints).max() < TOLERANCE


def test_evaluation_refuses_arrays_that_do_not_fit(file):
    model = flame.read(file)
    with pytest.raises(ValueError, match="betas"):
        family.evaluate(model, np.zeros((1, 301)))
    with pytest.raises(ValueError, match="pose"):
        family.evaluate(model, pose=np.zeros((1, 55, 3)))
    with pytest.raises(ValueError, match="expression"):
        family.evaluate(model, np.zeros((4, 10)), np.zeros((3, 10)))


def test_with_its_native_neck_it_moves_exactly_as_the_model(file):
    settings = {"nativeNeck": 1.0, "identity000": 1.5, "identity007": -2.0}
    head = characters.load(f"flame:{file}", settings)
    assert head.joint_names == ("root", "neck", "jaw", "eye.L", "eye.R")
    pose = np.random.default_rng(3).normal(0, 0.4, (6, 5, 3))
    betas = np.zeros((1, 8))
    betas[0, [0, 7]] = 1.5, -2.0
    wanted, _ = family.evaluate(flame.read(file), betas, pose=pose)
    assert np.abs(played(head, pose) - wanted).max() < TOLERANCE
    assert all(corrective.shape in head.shapes.names for corrective in head.correctives)


def test_arkit_weights_and_the_coefficients_of_the_map_give_the_same_face(file):
    # What leaves as FLAME coefficients must look as it did: the 52 shapes lie in the span of the file's expression.
    head = characters.load(f"flame:{file}", {"nativeNeck": 1.0})
    found = flame.arkit_map(file)
    assert found is not None
    random = np.random.default_rng(4)
    looks = np.array([name.startswith("eyeLook") for name in arkit.NAMES])
    weights = np.where(looks, 0, random.random((5, 52)) * 0.4)
    from_arkit = played(head, np.zeros((5, 5, 3)), dict(zip(arkit.NAMES, weights.T, strict=True)))
    coefficients = weights @ found.coefficients
    turns = np.zeros((5, 5, 3))
    turns[:, 2] = weights @ found.jaw
    named = {f"expression{i:03d}": values for i, values in enumerate(coefficients.T)}
    assert np.abs(played(head, turns, named) - from_arkit).max() < TOLERANCE
    native, _ = family.evaluate(flame.read(file), None, coefficients, turns)
    # FLAME's joints follow its expression; a character's stay: a fraction of a millimetre where the jaw is open.
    assert np.abs(native - from_arkit).max() < 5e-4


def test_the_map_finds_the_jaw_and_says_what_it_misses(file):
    found = flame.arkit_map(file)
    assert found is not None
    angle = np.degrees(found.jaw[arkit.NAMES.index("jawOpen"), 0])
    assert abs(angle - smpl_files.JAW_DEGREES) < 3  # the builder's file has a right answer
    others = np.delete(found.jaw, [arkit.NAMES.index(name) for name in ("jawOpen", "jawLeft", "jawRight")], 0)
    assert not others.any()
    shown = found.size > 0.5
    assert shown.sum() > 40
    # The shapes are in the basis: what is left is the registration's and the smoothing of the transfer.
    assert np.median(found.residual[shown] / found.size[shown]) < 0.2
    assert found.residual.max() < 1.0
    assert np.isfinite(found.coefficients).all()


def test_eight_joints_carry_the_head_and_the_file_s_eyes_and_jaw(file):
    head = characters.load(f"flame:{file}")
    assert head.joint_names == ("root", *neck.JOINTS, "jaw", "eye.L", "eye.R")
    assert [head.joint_names[head.parents[head.joint(name)]] for name in ("c7t1", "jaw", "eye.L")] == [
        "root", "oc1", "oc1",
    ]  # fmt: skip
    np.testing.assert_allclose(head.weights.sum(1), 1, atol=1e-5)
    assert head.heads[head.joint("oc1"), 1] - head.heads[head.joint("c7t1"), 1] > 0.1  # a neck is 12 cm long
    turns = np.zeros((1, len(head.joint_names), 3))
    turns[0, 1:9] = [0.02, 0.1, 0.01]
    performed = perform(head, a_take(head, turns))
    top = joint_transforms(head, performed)[0, head.joint("oc1"), :3, :3]
    np.testing.assert_allclose(top, rotations.to_matrix(neck.collapse(performed.rotations[:, 1:9])[0]), atol=1e-5)
    moved = deform(head, performed)[0]
    crown, bust = head.vertices[:, 1].argmax(), head.vertices[:, 1].argmin()
    pivot = joint_transforms(head, performed)[0, head.joint("oc1"), :3, 3]
    carried = top @ (head.vertices[crown] - head.heads[head.joint("oc1")]) + pivot
    np.testing.assert_allclose(moved[crown], carried, atol=1e-5)
    np.testing.assert_allclose(moved[bust], head.vertices[bust], atol=1e-5)
    assert {corrective.joint for corrective in head.correctives} == {"jaw"}


def test_the_neck_bends_without_folds(file):
    kept, count = unfolded(characters.load(f"flame:{file}"))
    assert count > 500
    assert kept > 0.999


def test_the_record_shows_a_person(file):
    head = characters.load(f"flame:{file}")
    assert [(part.name, part.material) for part in head.parts] == [
        ("body", "skin"), ("eye_left", "eye"), ("eye_right", "eye"),
    ]  # fmt: skip
    eyes = head.vertices[head.parts[1].vertices]
    assert len(eyes) == smpl_files.EYE
    assert eyes[:, 0].mean() > 0  # the character's left is +X
    marks = {name: head.vertices[row] for name, row in head.landmarks.items()}
    assert marks["crown"][1] > marks["nasion"][1] > marks["nose_tip"][1] > marks["lip_upper"][1] > marks["chin"][1]
    assert marks["nose_tip"][2] > eyes[:, 2].max()  # it looks along +Z
    assert head.shapes.names[:55] == (*arkit.NAMES, *arkit.LARYNX_SHAPES)
    assert head.shapes.names[55] == "expression000"
    for name in ("larynxUp", "jawOpen", "eyeBlinkLeft", "mouthSmileRight"):
        row = head.shapes.names.index(name)
        offsets = head.shapes.offsets[head.shapes.starts[row] : head.shapes.starts[row + 1]]
        assert np.abs(offsets).max() > 1e-3, name
    assert {"jawOpen", "eyeLookUpLeft"} <= {driver.curve for driver in head.drivers}
    assert head.licence == "LicenseRef-FLAME-2020"
    assert len(head.digest) == 64


def test_jaw_open_parts_the_lips_as_on_the_human(file):
    head, human = characters.load(f"flame:{file}"), characters.load("human", part="head")

    def gap(character, weight: float) -> float:
        still = np.zeros((1, len(character.joint_names), 3))
        points = played(character, still, {"jawOpen": np.array([weight])})[0]
        return float(points[character.landmarks["lip_upper"], 1] - points[character.landmarks["lip_lower"], 1])

    wanted, opened = (gap(character, 1.0) - gap(character, 0.0) for character in (human, head))
    assert 0.75 * wanted < opened < 1.15 * wanted  # the transfer smooths a little off it


def test_shapes_as_the_human_gave_them_can_be_kept(file):
    plain = characters.load(f"flame:{file}", {"nativeExpression": 0.0})
    assert "jaw" not in {driver.joint for driver in plain.drivers}
    model = flame.read(file)
    row = plain.shapes.names.index("jawOpen")
    entries = slice(plain.shapes.starts[row], plain.shapes.starts[row + 1])
    carried = expression.carried(model).shapes[arkit.NAMES.index("jawOpen")]
    np.testing.assert_array_equal(plain.shapes.offsets[entries], carried[plain.shapes.vertices[entries]])


def test_what_was_carried_over_is_kept_in_the_cache(file, tmp_path, monkeypatch):
    model = flame.read(file)
    first = expression.carried(model)
    expression.carried.cache_clear()
    monkeypatch.setattr(expression, "_carry", lambda *_: pytest.fail("the cache was not used"))
    again = expression.carried(model)
    np.testing.assert_array_equal(first.shapes, again.shapes)
    assert first.landmarks == again.landmarks


def test_a_damaged_cache_is_made_again_and_one_that_cannot_be_written_is_done_without(file, tmp_path, monkeypatch):
    model = flame.read(file)
    kept = expression.carried(model)
    monkeypatch.setattr(expression, "_carry", lambda *_: kept)
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path))
    place = tmp_path / "smpl" / f"{model.digest}-1.npz"
    place.parent.mkdir()
    place.write_bytes(b"not an archive")
    expression.carried.cache_clear()
    assert expression.carried(model) is kept
    assert place.stat().st_size > 1000
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("HYOID_CACHE", str(blocked))
    expression.carried.cache_clear()
    assert expression.carried(model) is kept


def test_the_licence_is_that_of_2023_only_where_the_file_says_so(file, folder):
    newer = folder / "newer" / "flame2023.npz"
    newer.parent.mkdir()
    newer.write_bytes(file.read_bytes())
    assert flame.licence(flame.read(newer)) == "LicenseRef-FLAME-2023"
    assert flame.licence(flame.read(file)) == "LicenseRef-FLAME-2020"


def test_settings_are_listed_and_checked(file):
    known = characters.settings_of(f"flame:{file}")
    assert list(known)[:2] == ["identity000", "identity001"]
    assert len([name for name in known if name.startswith("identity")]) == 300
    assert known["nativeNeck"].default == 0
    with pytest.raises(UsageError, match="identity300"):
        characters.load(f"flame:{file}", {"identity300": 1.0})
    with pytest.raises(UsageError, match="from -5 to 5"):
        characters.load(f"flame:{file}", {"identity000": 9.0})


def _broken(content: dict, **changes) -> dict:
    return {name: value for name, value in (content | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"posedirs": None}, "lacks posedirs"),
        ({"v_template": np.zeros((5022, 3))}, r"'v_template' is \(5022, 3\); expected \(5023, 3\)"),
        ({"shapedirs": np.zeros((5023, 3, 50))}, "'shapedirs' has 50 shapes; expected 400"),
        ({"posedirs": np.zeros((5023, 3, 9))}, r"'posedirs' is \(5023, 3, 9\); expected \(5023, 3, 36\)"),
        ({"f": np.full((9, 3), 6000)}, "'f' points at 6000; expected indices from 0 to 5022"),
        ({"J_regressor": np.zeros((5, 7))}, r"'J_regressor' is \(5, 7\); expected \(5, 5023\)"),
        ({"kintree_table": np.array([[-1, 2, 1, 1, 1], range(5)])}, "hangs joint 1 on joint 2, which makes no tree"),
        ({"kintree_table": np.array([[-1, 1, 1, 1, 1], range(5)])}, "hangs joint 1 on joint 1"),
        ({"weights": np.full((5023, 5), 0.3)}, "the weights of vertex 0 sum to 1.5"),
        ({"v_template": "a text"}, "'v_template' is"),
    ],
)
def test_arrays_that_are_wrong_are_named(small, tmp_path, change, message):
    path = smpl_files.write_npz(tmp_path / "flame.npz", _broken(small, **change))
    with pytest.raises(InputError, match=message) as caught:
        flame.read(path)
    assert str(path) in str(caught.value)


def test_a_value_that_is_no_number_is_found(small, tmp_path):
    shapes = small["shapedirs"].copy()
    shapes[17, 2, 5] = np.nan
    path = smpl_files.write_npz(tmp_path / "flame.npz", small | {"shapedirs": shapes})
    with pytest.raises(InputError, match=r"'shapedirs' holds a value that is not a number, first at \(17, 2, 5\)"):
        flame.read(path)


def test_a_foreign_class_is_refused_by_name_and_never_made(tmp_path):
    path = tmp_path / "flame.pkl"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "made").encode() + b"'\ntR.")
    with pytest.raises(InputError, match=r"os\.system|system"):
        flame.read(path)
    assert not (tmp_path / "made").exists()


def test_models_of_other_kinds_are_told_apart(tmp_path):
    def layout(vertices: int, joints: int) -> dict:
        weights = np.zeros((vertices, joints))
        weights[:, 0] = 1
        return {
            "v_template": np.zeros((vertices, 3)), "f": np.zeros((1, 3), int), "weights": weights,
            "shapedirs": np.zeros((vertices, 3, 20)), "posedirs": np.zeros((vertices, 3, 9 * (joints - 1))),
            "J_regressor": np.zeros((joints, vertices)), "kintree_table": np.zeros((2, joints), int),
        }  # fmt: skip

    for size, words in (
        ((10475, 55), r"is an SMPL-X model; expected FLAME. Name it smplx:PATH"),
        ((6890, 24), "is an SMPL model; expected FLAME. Name it smplx:PATH"),
        ((778, 16), "is a MANO hand"),
        ((5023, 6), "a model with 5023 vertices and 6 joints; expected vertices and joints of FLAME: 5023 and 5"),
    ):
        path = smpl_files.write_npz(tmp_path / f"{size[0]}_{size[1]}.npz", layout(*size))
        with pytest.raises(InputError, match=words):
            flame.read(path)


def test_folders_give_their_one_model_or_say_what_they_hold(small, tmp_path):
    with pytest.raises(InputError, match="is an empty folder"):
        flame.read(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(InputError, match=r"is a folder with notes.txt; expected a .pkl or .npz file called \*flame\*"):
        flame.read(tmp_path)
    smpl_files.write_npz(tmp_path / "FLAME_FEMALE.npz", small)
    assert flame.read(tmp_path).kind == "FLAME"
    (tmp_path / "FLAME_MALE.npz").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds FLAME_FEMALE\.npz, FLAME_MALE\.npz"):
        flame.read(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        flame.read(tmp_path / "nothing.pkl")


def test_a_file_cut_short_is_refused(small, tmp_path):
    whole = smpl_files.write_pkl(tmp_path / "whole.pkl", small).read_bytes()
    for tenth in range(10):
        path = tmp_path / "flame.pkl"
        path.write_bytes(whole[: len(whole) * tenth // 10])
        with pytest.raises(InputError):
            flame.read(path)


def test_a_talking_take_comes_back_from_its_files(file, tmp_path):
    # The jaw follows jawOpen here: a file holds the turned joint, and who reads it back must not turn it twice.
    from pxr import Usd, UsdSkel

    head = characters.load(f"flame:{file}")
    frames = 12
    take = toy.take(frames)
    assert {"jawOpen", "larynxHeight"} <= set(take.curve_names)
    outputs.export(head, take, [tmp_path / "a.glb", tmp_path / "a.usdc", tmp_path / "a.character.npz"], SILENT)
    wanted = deform(head, perform(head, take))
    again = glb_take.read(tmp_path / "a.glb")
    assert np.abs(deform(head, perform(head, again)) - wanted).max() < 2e-4
    assert not glb_read.problems(glb_read.read(tmp_path / "a.glb"))
    kept = character_npz.read(tmp_path / "a.character.npz")
    np.testing.assert_array_equal(deform(kept, perform(kept, take)), wanted)
    assert kept.licence == head.licence
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    skeletons = [UsdSkel.Skeleton(prim) for prim in stage.Traverse() if prim.IsA(UsdSkel.Skeleton)]
    assert [len(skeleton.GetJointsAttr().Get()) for skeleton in skeletons] == [len(head.joint_names)]


def test_rig_says_what_the_expression_cannot_show(file, tmp_path):
    result = rig.run(
        rig.Job.model_validate({"character": f"flame:{file}", "output": [tmp_path / "a.character.npz"]}), SILENT
    )
    told = result["expression"]
    assert told["coefficients"] == 100
    assert 0 < told["residual_mm"] < 1
    assert len(told["worst_mm"]) == 5
    assert f"in 100 expression coefficients: {told['residual_mm']} mm off" in rig.show(result)
    assert rig.expression("human") == {}
