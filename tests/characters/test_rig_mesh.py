# SPDX-License-Identifier: Apache-2.0
"""The user's own mesh, rigged: on meshes whose true shapes are known, and on meshes that are broken."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import arkit, performance
from hyoid.characters.fit import carrying, transfer
from hyoid.characters.fit.mesh_parts import check_mesh, head_mesh
from hyoid.characters.fit.quality import opening
from hyoid.characters.neck import JOINTS
from hyoid.characters.performance import Performance
from hyoid.errors import InputError
from hyoid.geometry import rotations
from hyoid.geometry.closest import Surface, edges_of
from hyoid.geometry.meshes import triangulate
from scipy.spatial import cKDTree

from tests.characters.heads import decimated, mesh_of, offsets_of

ICT = Path(__file__).parents[3] / "shared" / "data" / "ict_facekit"
MAIN = ("jawOpen", "mouthSmileLeft", "mouthPucker", "mouthFunnel", "eyeBlinkLeft", "browInnerUp", "noseSneerRight")


@pytest.fixture(scope="module")
def human():
    return characters.load("human", part="head")


@pytest.fixture(scope="module")
def rigged(human):
    """The human's skin with other vertices and triangles, somewhere else and 10 per cent smaller."""
    mesh, rows = decimated(human)
    moved = replace(mesh, vertices=0.9 * mesh.vertices + [0.4, -1.2, 0.3])
    character, quality = transfer.rig_mesh(human, moved)
    return moved, rows, character, quality


def test_mesh_and_order_stay_and_the_record_is_whole(rigged, human):
    mesh, _, character, _ = rigged
    assert np.array_equal(character.vertices, mesh.vertices.astype(np.float32))
    assert np.array_equal(character.faces, mesh.faces)
    assert character.shapes.names == human.shapes.names
    assert set(JOINTS) | {"jaw", "eye.L", "eye.R"} <= set(character.joint_names)
    assert len(character.drivers) == len(human.drivers)
    assert len(character.correctives) == len(human.correctives)
    assert np.allclose(character.weights.sum(1), 1, atol=1e-5)
    assert character.licence == human.licence
    assert character.parts[-1].vertices.stop == len(mesh.vertices)
    assert character.parts[-1].faces.stop == len(mesh.faces)


def test_main_shapes_are_the_true_ones(rigged, human):
    """The true motion of each vertex is known: it is one of the human's own."""
    _, rows, character, _ = rigged
    for name in MAIN:
        truth = 0.9 * offsets_of(human, name)[rows]
        moved = np.linalg.norm(truth, axis=1) > 0.001
        error = np.linalg.norm(offsets_of(character, name) - truth, axis=1)[moved]
        assert np.median(error) < 0.0005, name
        assert np.quantile(error, 0.95) < 0.003, name


def test_joints_lie_where_they_should(rigged, human):
    _, _, character, _ = rigged
    for name in (*JOINTS, "jaw", "eye.L", "eye.R"):
        truth = 0.9 * human.heads[human.joint(name)] + [0.4, -1.2, 0.3]
        assert np.linalg.norm(character.heads[character.joint(name)] - truth) < 0.004, name


def test_turned_head_moves_as_the_humans_does(rigged, human):
    _, rows, character, _ = rigged
    found = []
    for record in (character, human):
        turns = rotations.identity(1, len(record.joint_names))
        for joint in JOINTS:
            turns[0, record.joint(joint)] = rotations.about((0, 1, 0), np.radians(7.5))
        still = np.zeros((1, len(record.shapes.names)), np.float32)
        found.append(performance.deform(record, Performance(still, turns, np.zeros((1, 3), np.float32)))[0])
    away = np.linalg.norm(found[0] - (0.9 * found[1][rows] + np.array([0.4, -1.2, 0.3])), axis=1)
    assert np.median(away) < 0.001
    assert np.quantile(away, 0.95) < 0.004


def test_its_own_report_says_so(rigged):
    quality = rigged[3]
    assert quality["median_error_mm"] < 0.3
    assert quality["scale"] == pytest.approx(0.9, abs=0.01)
    checks = quality["checks"]
    assert {"lids_left", "lids_right", "lips", "jaw", "flipped"} <= set(checks)
    assert {name: entry["result"] for name, entry in checks.items() if entry["result"] != "pass"} == {}


def test_lips_do_not_mix(rigged, human):
    """No vertex of the upper lip follows the open jaw, none of the lower one stays behind."""
    _, rows, character, _ = rigged
    truth = 0.9 * offsets_of(human, "jawOpen")[rows][:, 1]
    lips = np.linalg.norm(human.vertices[rows] - human.vertices[human.landmarks["lip_upper"]], axis=1) < 0.015
    wrong = np.abs(offsets_of(character, "jawOpen")[:, 1] - truth)[lips]
    assert lips.sum() > 30
    assert wrong.max() < 0.4 * np.abs(truth).max()


@pytest.mark.slow
def test_the_same_mesh_gives_the_same_rig(human):
    mesh, _ = decimated(human)
    first, _ = transfer.rig_mesh(human, mesh)
    second, _ = transfer.rig_mesh(human, mesh)
    assert np.array_equal(first.shapes.offsets, second.shapes.offsets)
    assert np.array_equal(first.weights, second.weights)


def test_pieces_are_recognised(human):
    """A whole head: eyeballs turn with their joints, upper teeth stay, lower teeth follow the jaw, hair is rigid."""
    mesh = mesh_of(human.vertices, human.faces)
    cap = human.vertices[human.parts[0].vertices]
    crown = np.flatnonzero(cap[:, 1] > cap[:, 1].max() - 0.07)
    inside = np.isin(human.faces, crown).all(1)
    number = np.full(len(human.vertices), -1)
    number[crown] = len(human.vertices) + np.arange(len(crown))
    hair = human.vertices[crown] + [0, 0.012, 0]
    mesh = mesh_of(np.concatenate([human.vertices, hair]), np.concatenate([human.faces, number[human.faces[inside]]]))
    character, quality = transfer.rig_mesh(human, mesh)
    joints = np.array(character.joint_names)[character.weight_joints[:, 0]]
    part = {part.name: part.vertices for part in human.parts}
    assert set(joints[part["eye_left"]]) == {"eye.L"}
    assert set(joints[part["cornea_right"]]) == {"eye.R"}
    assert set(joints[part["teeth_upper"]]) == {"oc1"}
    assert set(joints[len(human.vertices) :]) == {"oc1"}
    jaw = offsets_of(character, "jawOpen")
    assert np.abs(jaw[part["teeth_upper"]]).max() == 0
    own = offsets_of(human, "jawOpen")
    assert np.abs(jaw[part["teeth_lower"]] - own[part["teeth_lower"]]).max() < 0.004
    assert np.abs(jaw[len(human.vertices) :]).max() == 0
    blink = offsets_of(character, "eyeBlinkLeft")
    theirs = offsets_of(human, "eyeBlinkLeft")
    assert np.median(np.linalg.norm((blink[: len(theirs)] - theirs)[part["lashes"]], axis=1)) < 0.002
    centre = human.heads[human.joint("eye.L")]
    assert np.linalg.norm(character.heads[character.joint("eye.L")] - centre) < 0.001
    assert quality["checks"]["teeth"]["result"] == "pass"
    # A mesh without texture coordinates is not blind: its eyeballs have the bundled iris, which looks ahead.
    assert character.materials["eye"].colour_map is not None
    ball = next(entry for entry in character.parts if entry.name == "eye_left")
    corners, where = character.faces[ball.faces].ravel(), character.face_uv[ball.faces].ravel()
    away = np.linalg.norm(character.uv[where] - 0.5, axis=1)
    assert away.min() < 0.02
    assert away.max() > 0.4
    assert (character.vertices[corners, 2] > centre[2])[away < 0.25].all()


@pytest.mark.skipif(not ICT.is_dir(), reason="ICT-FaceKit is not here")
@pytest.mark.slow
def test_shapes_on_another_sculptors_head_resemble_its_own(human):
    """ICT-FaceKit has shapes of its own: ours must resemble them more than nearest-point offsets do."""
    data = np.load(ICT / "ict_facekit.npz")
    lines = gzip.decompress((ICT / "topology.txt.gz").read_bytes()).decode().splitlines()
    corners = [[int(word.split("/")[0]) - 1 for word in line.split()[1:]] for line in lines if line.startswith("f ")]
    faces = np.array([[*face, *[face[-1]] * (4 - len(face))] for face in corners])
    skin = 14062
    faces = faces[(faces < skin).all(1)]
    vertices = 0.01 * data["neutral"][:skin].astype(np.float64)
    names, ours, marks = transfer.shapes_onto(human, vertices, faces)
    assert abs(vertices[marks["nose_tip"], 0]) < 0.003
    known = data["expression_names"].tolist()
    place = carrying.carry(human, head_mesh(mesh_of(vertices, faces)), {}).placing
    nearest = cKDTree(place.apply(human.vertices[human.parts[0].vertices].astype(float))).query(vertices)[1]
    better = []
    for name, theirs in (
        ("jawOpen", "jawOpen"), ("mouthSmileLeft", "mouthSmile_L"), ("eyeBlinkLeft", "eyeBlink_L"),
        ("mouthPucker", "mouthPucker"), ("mouthFrownRight", "mouthFrown_R"), ("eyeWideLeft", "eyeWide_L"),
    ):  # fmt: skip
        truth = 0.01 * (data["expression"][known.index(theirs)] - data["neutral"])[:9409]
        simple = offsets_of(human, name)[:4649][nearest][:9409] * place.scale

        def alike(field: np.ndarray, truth: np.ndarray = truth) -> float:
            return float((field * truth).sum() / np.sqrt((field**2).sum() * (truth**2).sum()))

        found = alike(ours[names.index(name)][:9409].astype(float))
        assert found > 0.8, (name, found)
        better.append(found - alike(simple))
    assert np.mean(better) > 0.02


@pytest.mark.slow
def test_normals_that_look_inward_and_seams_do_not_matter(human, rigged):
    """Faces turned round and every triangle for itself: what bad exporters write."""
    mesh, rows = decimated(human)
    triangles = triangulate(mesh.faces)
    soup = mesh_of(mesh.vertices[triangles.ravel()], np.arange(3 * len(triangles)).reshape(-1, 3)[:, ::-1])
    character, quality = transfer.rig_mesh(human, soup)
    assert any("inward" in remark for remark in quality["remarks"])
    assert any("lie on others" in remark for remark in quality["remarks"])
    truth = offsets_of(human, "jawOpen")[rows][triangles.ravel()]
    moved = np.linalg.norm(truth, axis=1) > 0.001
    assert np.median(np.linalg.norm(offsets_of(character, "jawOpen") - truth, axis=1)[moved]) < 0.0007
    groups = {}
    for row, key in enumerate(triangles.ravel()):
        groups.setdefault(int(key), []).append(row)
    jaw = offsets_of(character, "jawOpen")
    assert all(np.ptp(jaw[same], axis=0).max() == 0 for same in groups.values())


@pytest.mark.slow
def test_odd_faces_are_passed_over_and_said(human):
    """Faces without area, a fin on an edge (three faces), a vertex that nothing uses."""
    mesh, _ = decimated(human)
    count = len(mesh.vertices)
    edges, used = edges_of(triangulate(mesh.faces))
    a, b = edges[used == 2][0]
    vertices = np.concatenate([mesh.vertices, mesh.vertices[[a]] + [0, 0, 0.004], [[0, 1.7, 0.3]]])
    extra = np.array([[a, b, count, count], [a, a, b, b], [a, b, a, a]])
    character, quality = transfer.rig_mesh(human, mesh_of(vertices, np.concatenate([mesh.faces, extra])))
    assert len(character.vertices) == count + 2
    assert np.isfinite(character.shapes.offsets).all()
    assert np.allclose(character.weights.sum(1), 1, atol=1e-5)
    assert any("more than two faces" in remark for remark in quality["remarks"])
    assert any("without area" in remark for remark in quality["remarks"])


def test_a_cube_is_no_head(human):
    side = np.linspace(-0.1, 0.1, 14)
    sheet = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    cells = np.array(
        [[r * 14 + c, r * 14 + c + 1, r * 14 + c + 15, r * 14 + c + 14] for r in range(13) for c in range(13)]
    )
    vertices, faces = [], []
    for axis in range(3):
        for end in (-0.1, 0.1):
            faces.append(cells + sum(map(len, vertices)))
            vertices.append(np.insert(sheet, axis, end, axis=1))
    with pytest.raises(InputError, match="no head"):
        transfer.rig_mesh(human, mesh_of(np.concatenate(vertices), np.concatenate(faces)))


def test_bad_meshes_are_refused_with_the_place(human):
    mesh, _ = decimated(human)
    broken = mesh.vertices.copy()
    broken[7, 1] = np.nan
    with pytest.raises(InputError, match="vertex 7 is not a finite number"):
        check_mesh(replace(mesh, vertices=broken))
    wrong = mesh.faces.copy()
    wrong[3, 2] = len(mesh.vertices)
    with pytest.raises(InputError, match="face 3 names a vertex"):
        transfer.rig_mesh(human, replace(mesh, faces=wrong))
    with pytest.raises(InputError, match="no faces"):
        transfer.rig_mesh(human, replace(mesh, faces=mesh.faces[:0]))
    with pytest.raises(InputError, match="12 vertices"):
        transfer.rig_mesh(human, replace(mesh, vertices=mesh.vertices[:12], faces=mesh.faces[:0]))
    with pytest.raises(InputError, match="one point"):
        transfer.rig_mesh(human, replace(mesh, vertices=np.ones_like(mesh.vertices)))
    with pytest.raises(InputError, match="landmark 'chin' names vertex 99999"):
        transfer.rig_mesh(human, mesh, landmarks={"chin": 99999})
    with pytest.raises(InputError, match="landmark"):
        transfer.rig_mesh(human, mesh, landmarks={"chin": [0.0, float("nan"), 0.0]})


def test_every_curve_of_a_talking_take_has_a_shape(rigged):
    character = rigged[2]
    assert character.shapes.names[: len(arkit.NAMES)] == arkit.NAMES
    skin = Surface(character.vertices, triangulate(character.faces))
    assert len(skin) > 1000
    still = [n for n in arkit.NAMES if n != "tongueOut" and np.abs(offsets_of(character, n)).max() < 5e-4]
    assert still == []


def test_skin_that_an_open_jaw_takes_backwards_is_no_hole():
    """Of a child the chin goes back by more than the depth that counts as inside the mouth."""
    chin = np.array([[-0.01, -0.01, 0.0], [0.01, -0.01, 0.0], [0.0, 0.01, 0.0]])
    back, triangles = chin - [0, 0, 0.02], np.array([[0, 1, 2]])
    low, high = np.array([-0.004, -0.009, -0.008]), np.array([0.004, -0.003, 0.002])
    assert not opening(chin, triangles, low, high).any()
    assert opening(back, triangles, low, high).all()
    assert not opening(back, triangles, low, high, rest=chin).any()
