# SPDX-License-Identifier: Apache-2.0
"""A HACK folder as a character: its skin is exactly the model's, its axes the world's, and what it lacks is lent."""

from __future__ import annotations

import gzip
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import arkit, curve_names, hack, ict, ict_data, neck, performance
from hyoid.characters.performance import Performance
from hyoid.errors import InputError, UsageError
from hyoid.formats import obj
from hyoid.geometry import rotations
from hyoid.geometry.mesh import Mesh
from hyoid.systems.hack import EXPRESSIONS, checkpoint

from tests.systems import hack_files

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "ict_facekit"
ROWS = slice(0, hack.VERTICES)
TOLERANCE = 1e-6  # metres; float32 rounds coordinates of 20 cm at 1e-8, 120 shapes add up


@pytest.fixture(autouse=True)
def no_ict(monkeypatch):
    monkeypatch.delenv("HYOID_ICT", raising=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tube of the published size in the published layout, with identities, expressions and pose correctives."""
    return hack_files.write(tmp_path_factory.mktemp("hack"), rings=178, modes=2)


@pytest.fixture(scope="module")
def made(folder):
    os.environ.pop("HYOID_ICT", None)
    return characters.load(f"hack:{folder}", {"identity001": 0.7})


def random_pose(frames: int = 3):
    random = np.random.default_rng(2)
    return {
        "theta": random.normal(0, 0.3, (frames, 8, 3)), "alpha": random.uniform(-0.5, 1.5, (frames, 1)),
        "expression": np.where(random.random((frames, 55)) < 0.3, random.random((frames, 55)), 0),
    }  # fmt: skip


def performed(character, data, pose) -> Performance:
    """The pose on the record: curves by official names, joints in model axes."""
    frames = len(pose["theta"])
    weights = np.zeros((frames, len(character.shapes.names)), np.float32)
    columns = {name: index for index, name in enumerate(character.shapes.names)}
    own = set(columns) & set(EXPRESSIONS) - set(arkit.NAMES)
    for name, values in zip(EXPRESSIONS, pose["expression"].T, strict=True):
        sided = name if name in own else name.replace("_L", "Left").replace("_R", "Right")
        if sided in columns:  # test_the_record says which there are
            weights[:, columns[sided]] = values
    weights[:, columns["larynxSize"]] = pose["alpha"][:, 0] - 1
    turns = rotations.identity(frames, len(character.joint_names))
    joints = [character.joint(name) for name in neck.JOINTS]
    turns[:, joints] = hack.rotations_from_theta(hack.bone_axes(data), pose["theta"])
    performance._correct(character, turns, weights, columns)
    return Performance(weights, turns, np.zeros((frames, 3), np.float32))


def equal_to_the_model(character, data, beta=None):
    pytest.importorskip("torch")
    from hyoid.systems.hack import infer
    from hyoid.systems.hack.network import Hack

    pose = random_pose()
    expected = 0.01 * infer.evaluate(Hack(data), **pose, beta=beta)
    found = performance.deform(character, performed(character, data, pose))[:, ROWS]
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_the_skin_is_exactly_that_of_the_model(made, folder):
    equal_to_the_model(made, checkpoint.read(folder), np.array([0.0, 0.7]))


def test_the_skin_of_the_official_files():
    official = os.environ.get("HYOID_HACK")
    if not official:
        pytest.skip("needs the official files of HACK ($HYOID_HACK)")
    data = checkpoint.read(Path(official))
    character = characters.load("hack")
    if data.expressions is None:
        data = replace(data, expressions=checkpoint.Space(np.zeros((55, hack.VERTICES, 3), np.float32), np.zeros(0)))
    equal_to_the_model(character, data)


def test_the_record(made):
    assert made.licence == "LicenseRef-HACK"
    assert made.shapes.names[:52] == arkit.NAMES
    assert made.shapes.names[52:55] == arkit.LARYNX_SHAPES
    assert set(made.shapes.names[55:61]) == set(EXPRESSIONS) - set(curve_names.ICT) | {
        "browInnerUp_L", "browInnerUp_R", "cheekPuff_L", "cheekPuff_R",
    }  # fmt: skip
    assert made.joint_names == ("spine01", *neck.JOINTS, "jaw", "eye.L", "eye.R")
    assert made.parts[0].vertices == ROWS
    assert made.parts[-1].vertices.stop == len(made.vertices)
    assert {part.material for part in made.parts} <= set(made.materials)
    np.testing.assert_allclose(made.weights.sum(1), 1, atol=1e-6)
    assert made.weight_joints.max() < len(made.joint_names)
    assert made.settings == {"identity001": 0.7}


def test_the_vocabulary_is_the_one_of_the_take_converter():
    assert curve_names.HACK == EXPRESSIONS


def test_correctives_are_the_63_maps_that_act(made):
    assert len(made.correctives) == 63
    assert {entry.joint for entry in made.correctives} == set(neck.JOINTS[1:])
    assert all(entry.features.sum() == 1 for entry in made.correctives)
    assert made.shapes.names[-63:] == tuple(entry.shape for entry in made.correctives)


def test_shapes_that_arkit_has_once_are_both_halves(made):
    def offsets(name):
        index = made.shapes.names.index(name)
        rows = slice(*made.shapes.starts[index : index + 2])
        dense = np.zeros((len(made.vertices), 3))
        dense[made.shapes.vertices[rows]] = made.shapes.offsets[rows]
        return dense[ROWS]

    for name in ("browInnerUp", "cheekPuff"):
        np.testing.assert_allclose(offsets(name), offsets(f"{name}_L") + offsets(f"{name}_R"), atol=1e-7)
    assert not offsets("tongueOut").any()


def test_bone_axes_and_back(folder):
    """Chin down, a turn to the left and a lean to the right in the words of the published table, seen from outside."""
    axes = hack.bone_axes(checkpoint.read(folder))
    theta = np.zeros((3, 8, 3))
    theta[0, :, 0] = 0.2
    theta[1, :7, 1], theta[1, 7, 2] = 0.2, -0.2
    theta[2, :7, 2], theta[2, 7, 1] = 0.2, 0.2
    turned = hack.rotations_from_theta(axes, theta)
    vectors = rotations.to_rotation_vector(turned)
    for row, axis in enumerate(np.eye(3)):
        assert (vectors[row] @ axis > 0.19).all()
    random = np.random.default_rng(0).normal(0, 0.5, (4, 8, 3))
    back = hack.theta_from_rotations(axes, hack.rotations_from_theta(axes, random))
    np.testing.assert_allclose(back, random, atol=1e-12)


def test_joints_lie_where_the_bones_begin(made, folder):
    data = checkpoint.read(folder)
    heads = made.heads[[made.joint(name) for name in neck.JOINTS]]
    np.testing.assert_allclose(heads, 0.01 * data.bones.to_model[:, :3, 3], atol=1e-7)
    assert made.heads[made.joint("eye.L")][0] > 0 > made.heads[made.joint("eye.R")][0]


def test_the_larynx_travels_millimetres(made, folder):
    """The middle of the bump moves as far up as the curve says, on the even tube: one V is the height of 178 rings."""
    index = made.shapes.names.index("larynxSize")
    rows = slice(*made.shapes.starts[index : index + 2])
    assert 0.006 < np.linalg.norm(made.shapes.offsets[rows], axis=1).max() < 0.0095
    data = checkpoint.read(folder)
    own, risen = (checkpoint.larynx(data, tau) for tau in (0.0, 10 / hack.MILLIMETRES))
    heights = [np.average(data.template[:, 1], weights=np.linalg.norm(one, axis=1)) for one in (own, risen)]
    assert 0.9 < heights[1] - heights[0] < 1.1  # the tube is 33 cm high, the map 32.6


def test_a_finer_mesh_holds_the_same_pose(made, folder):
    fine = characters.load(f"hack:{folder}", {"identity001": 0.7}, subdivision=1)
    assert fine.shapes.names == made.shapes.names
    assert [entry.shape for entry in fine.correctives] == [entry.shape for entry in made.correctives]
    assert len(fine.vertices) > 3.5 * len(made.vertices)


def test_settings(folder, tmp_path):
    assert list(characters.settings_of(f"hack:{folder}")) == ["identity000", "identity001"]
    with pytest.raises(UsageError, match="identity002"):
        characters.load(f"hack:{folder}", {"identity002": 1.0})
    small = hack_files.write(tmp_path / "small", rings=4, big=False)
    assert characters.settings_of(f"hack:{small}") == {}
    with pytest.raises(UsageError, match="identity000"):
        characters.load(f"hack:{small}", {"identity000": 1.0})


def test_without_the_big_files_it_says_that_the_face_cannot_move(tmp_path, caplog):
    plain = hack_files.write(tmp_path / "plain", rings=178, big=False)
    with caplog.at_level(logging.WARNING, logger="hyoid"):
        character = characters.load(f"hack:{plain}")
    assert "the face will not move" in caplog.text
    assert "HYOID_ICT" in caplog.text
    assert character.shapes.names == (*arkit.NAMES, *arkit.LARYNX_SHAPES)
    assert character.shapes.starts[52] == 0
    assert character.shapes.starts[55] > 0
    assert not character.correctives


def test_other_sizes_and_bones_are_refused(folder, tmp_path):
    small = hack_files.write(tmp_path / "small", rings=4)
    with pytest.raises(InputError, match="316 vertices; expected 14062"):
        characters.load(f"hack:{small}")
    for name in (*checkpoint.NEEDED, *checkpoint.OPTIONAL):
        (small / name).unlink(missing_ok=True)
        if name not in (checkpoint.BONES, *checkpoint.OPTIONAL):
            (small / name).symlink_to(folder / name)
    table = (folder / checkpoint.BONES).read_text()
    (small / checkpoint.BONES).write_text(table.replace('"c3c4"', '"neck"'))
    with pytest.raises(InputError, match="not the published neck"):
        characters.load(f"hack:{small}")


def test_a_change_of_the_folder_is_seen(folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in (*checkpoint.NEEDED, checkpoint.EXPRESSION):
        (copy / name).write_bytes((folder / name).read_bytes())
    before = characters.load(f"hack:{copy}")
    np.save(copy / checkpoint.DIRECTION, np.array([0, 0, 1], np.float32))
    after = characters.load(f"hack:{copy}")
    assert before.digest != after.digest
    assert np.abs(before.vertices - after.vertices).max() > 1e-3


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """ICT-FaceKit's model (its skin is the mesh that HACK publishes), and a HACK folder on that mesh."""
    if not SHARED.is_dir():
        pytest.skip(f"no ICT-FaceKit data in {SHARED}")
    folder = tmp_path_factory.mktemp("twin")
    packed = np.load(SHARED / "ict_facekit.npz", allow_pickle=False)
    text = "".join(f"v {x:.9g} {y:.9g} {z:.9g}\n" for x, y, z in packed["neutral"])
    path = folder / "neutral.obj"
    path.write_text(text + gzip.decompress((SHARED / "topology.txt.gz").read_bytes()).decode())
    mesh = obj.read(path)
    names = packed["expression_names"].tolist()
    chosen = packed["expression"][[names.index(name) for name in ict_data.EXPRESSIONS]]
    expressions = (chosen - mesh.vertices).astype(np.float32)
    nobody = np.zeros((0, *mesh.vertices.shape), np.float32)
    model = ict_data.Model(mesh.vertices, nobody, expressions, mesh.faces, mesh.uv, mesh.face_uv, "1" * 64)
    skin = Mesh(
        mesh.vertices[ROWS], mesh.faces[:14_034], mesh.uv, mesh.face_uv[:14_034], mesh.groups[:14_034], mesh.group_names
    )
    made = hack_files.write(folder / "hack", rings=178, big=False)
    obj.write(made / "000_generic_neutral_mesh.obj", skin)
    obj.write(made / checkpoint.MESH, replace(skin, uv=skin.uv * np.array([0.5, 1], np.float32)))
    level = np.interp(skin.vertices[:, 1] + 0.6 * skin.vertices[:, 2], [-12.5, -3], [0, 7])
    np.save(made / checkpoint.WEIGHTS, np.maximum(1 - np.abs(level - np.arange(8)[:, None]) / 2, 0))
    return model, made


@pytest.fixture
def with_ict(twin, monkeypatch):
    """The HACK folder, with an ICT folder set."""
    monkeypatch.setenv("HYOID_ICT", "somewhere")
    monkeypatch.setattr(ict_data, "model", lambda path: twin[0])
    return twin


def test_an_ict_folder_lends_expressions_teeth_tongue_and_lashes(with_ict):
    model, folder = with_ict
    character = characters.load(f"hack:{folder}")
    names = [part.name for part in character.parts]
    assert names[:5] == ["skin", "gums", "teeth_upper", "teeth_lower", "lashes"]
    parts = {part.name: part.vertices for part in character.parts}
    weights = np.zeros((1, len(character.shapes.names)), np.float32)
    weights[0, character.shapes.names.index("jawOpen")] = 1
    rest = rotations.identity(1, len(character.joint_names))
    still = Performance(0 * weights, rest, np.zeros((1, 3), np.float32))
    moved = performance.deform(character, replace(still, shape_weights=weights)) - performance.deform(character, still)
    travel = np.linalg.norm(moved[0], axis=1)
    expected = 0.01 * model.expressions[ict_data.EXPRESSIONS.index("jawOpen")]
    np.testing.assert_allclose(moved[0, : ict.FACE.stop], expected[: ict.FACE.stop], atol=2e-6)
    assert travel[parts["teeth_upper"]].max() < 1e-4
    assert travel[parts["teeth_lower"]].min() > 0.015  # the chin goes 42 mm
    tongue = character.shapes.names.index("tongueOut")
    assert character.shapes.starts[tongue + 1] > character.shapes.starts[tongue]
    # On the neutral person the lent parts lie exactly where they are in ICT.
    np.testing.assert_allclose(
        character.vertices[parts["teeth_upper"]], 0.01 * model.neutral[17_039:19_247], atol=2e-6
    )  # fmt: skip


@pytest.mark.slow
def test_without_any_expressions_the_bundled_humans_are_carried_over(twin, monkeypatch, caplog):
    """The published folder alone speaks: jaw, lips and lids move, upper teeth stay."""
    monkeypatch.delenv("HYOID_ICT", raising=False)
    with caplog.at_level(logging.WARNING, logger="hyoid"):
        character = characters.load(f"hack:{twin[1]}")
    assert "those of the bundled human are carried over" in caplog.text
    moved = {name: np.linalg.norm(character.offsets(name), axis=1) for name in ("jawOpen", "eyeBlinkLeft")}
    marks, parts = character.landmarks, {part.name: part.vertices for part in character.parts}
    assert moved["jawOpen"][marks["chin"]] > 0.015
    assert moved["jawOpen"][marks["nasion"]] < 5e-4
    assert moved["jawOpen"][parts["teeth_upper"]].max() < 1e-3
    assert moved["jawOpen"][parts["teeth_lower"]].max() > 0.01
    assert 0.004 < moved["eyeBlinkLeft"].max() < 0.02
    again = characters.load(f"hack:{twin[1]}")
    assert np.array_equal(again.shapes.offsets, character.shapes.offsets)


def test_a_jaw_changes_nothing_until_it_turns(with_ict):
    data = replace(
        checkpoint.read(with_ict[1]), expressions=checkpoint.Space(np.zeros((55, 14_062, 3), np.float32), np.zeros(0))
    )
    character = characters.load(f"hack:{with_ict[1]}")
    pytest.importorskip("torch")
    from hyoid.systems.hack import infer
    from hyoid.systems.hack.network import Hack

    pose = random_pose() | {"expression": np.zeros((3, 55))}
    played = performed(character, data, pose)
    expected = 0.01 * infer.evaluate(Hack(data), **pose)
    np.testing.assert_allclose(performance.deform(character, played)[:, ROWS], expected, rtol=0, atol=TOLERANCE)
    turned = played.rotations.copy()
    turned[:, character.joint("jaw")] = rotations.about((1, 0, 0), np.radians(20.0))
    opened = performance.deform(character, replace(played, rotations=turned))[:, ROWS]
    assert np.abs(opened - expected)[:, character.landmarks["chin"]].max() > 0.02


def test_lent_parts_follow_the_identity(with_ict, tmp_path):
    """A person twice as large has teeth twice as large, lids' lashes on the lids and eyes in the sockets."""
    folder = tmp_path / "hack"
    folder.mkdir()
    for path in with_ict[1].iterdir():
        (folder / path.name).symlink_to(path)
    vertices = checkpoint.read(folder).template
    space = {"mean": vertices, "VT_std": vertices[None] * np.float32(0.2)}
    np.save(folder / checkpoint.IDENTITY, np.array(space, dtype=object))
    small, large = (characters.load(f"hack:{folder}", {"identity000": value}) for value in (0.0, 5.0))
    for part in small.parts[1:]:
        before, after = small.vertices[part.vertices], large.vertices[part.vertices]
        np.testing.assert_allclose(after, 2 * before, atol=1e-4)


def test_another_mesh_is_not_mixed_with_ict(with_ict, folder):
    with pytest.raises(InputError, match="not that of the ICT-FaceKit folder"):
        characters.load(f"hack:{folder}")


def test_without_ict_the_human_lends_teeth_that_open_with_the_chin(made):
    parts = {part.name: part.vertices for part in made.parts}
    assert {"tongue", "teeth_upper", "teeth_lower", "eye_left", "cornea_right"} <= set(parts)
    mouth = 0.5 * (made.vertices[made.landmarks["lip_upper"]] + made.vertices[made.landmarks["lip_lower"]])
    assert np.linalg.norm((made.vertices[parts["teeth_upper"]].mean(0) - mouth) * [0, 1, 1]) < 0.05
