# SPDX-License-Identifier: Apache-2.0
"""hyoid rig fit from the command line: a head of other units, axes, triangles is rigged; bad input leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters, cli
from hyoid.characters.fit.mesh_order import by_piece
from hyoid.characters.fit.mesh_parts import head_mesh as head_mesh_of
from hyoid.characters.fit.mesh_parts import parts_of
from hyoid.formats import character_npz, glb_read, obj, ply
from hyoid.formats.character_checks import valid_character
from hyoid.geometry.mesh import Mesh
from hyoid.geometry.meshes import triangulate
from hyoid.report import SILENT
from hyoid.verbs import check, info, rig_fit
from PIL import Image

IDENTITY = {"age": 0.62, "gender": 0.6, "weight": 0.65}


def head_mesh(**changes) -> Mesh:
    """The head of another identity as its user might have it: triangles, shuffled, centimetres, +Z up, facing -Y."""
    character = characters.load("human", IDENTITY, part="head")
    body = character.parts[0]
    triangles = triangulate(character.faces[body.faces].astype(np.int64))
    triangles = triangles[(np.diff(np.sort(triangles), axis=1) > 0).all(1)]
    random = np.random.default_rng(4)
    order = random.permutation(body.vertices.stop)
    triangles = random.permutation(np.argsort(order)[triangles])
    vertices = character.vertices[order].astype(np.float64)[:, [0, 2, 1]] * [100, -100, 100] + [500, 0, 0]
    faces = np.concatenate([triangles, triangles[:, -1:]], 1).astype(np.int32)
    values = {
        "vertices": vertices, "faces": faces, "uv": vertices[:, [0, 2]].astype(np.float32) / 100, "face_uv": faces,
        "groups": np.zeros(len(faces), np.int32), "group_names": ("my skin",),
    }  # fmt: skip
    return Mesh(**{**values, **changes})


def run(*words: object) -> int:
    return cli.run_command(["rig", "fit", *map(str, words)])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Path:
    """A folder with ``me.obj`` and everything that one command made of it; ``code`` and ``shown`` beside it."""
    folder = tmp_path_factory.mktemp("fit")
    obj.write(folder / "me.obj", head_mesh())
    text = (folder / "me.obj").read_text().replace("g my skin", "usemtl my skin")
    (folder / "me.obj").write_text("mtllib me.mtl\n" + text)
    (folder / "me.mtl").write_text("newmtl my skin\nmap_Kd me.png\n")
    Image.new("RGB", (32, 32), (210, 160, 130)).save(folder / "me.png")
    outputs = [word for name in ("me.character.npz", "me.glb", "me.usdc") for word in ("-o", folder / name)]
    code = run(
        folder / "me.obj", *outputs, "--name", "Mine", "--report", folder / "me.json", "--settings-out",
        folder / "again.toml",
    )  # fmt: skip
    (folder / "code").write_text(str(code))
    return folder


def test_a_mesh_in_another_unit_and_axes_is_rigged_as_it_is(fitted):
    assert (fitted / "code").read_text() == "0"
    mesh, character = obj.read(fitted / "me.obj"), character_npz.read(fitted / "me.character.npz")
    # Same vertices, same order, same faces: moved to metres and turned, nothing else.
    np.testing.assert_array_equal(character.faces, mesh.faces)
    moved = (mesh.vertices - mesh.vertices.mean(0))[:, [0, 2, 1]] * [0.01, 0.01, -0.01]
    offset = character.vertices.mean(0) - moved.mean(0)
    distance = np.linalg.norm(character.vertices - moved - offset, axis=1)
    # The head is turned by the fit as well, by less than a degree: 3 mm at 20 cm from the middle.
    assert np.median(distance) < 3e-3
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(character.vertices[:200], axis=0), axis=1),
        0.01 * np.linalg.norm(np.diff(mesh.vertices[:200], axis=0), axis=1), rtol=1e-3, atol=1e-6,
    )  # fmt: skip
    assert character.name == "Mine"
    assert character.shapes.names[:55] == characters.load("human", part="head").shapes.names[:55]
    assert {"c7t1", "oc1", "jaw"} <= set(character.joint_names)
    jaw = slice(*character.shapes.starts[character.shapes.names.index("jawOpen") :][:2])
    assert np.linalg.norm(character.shapes.offsets[jaw], axis=1).max() > 0.01  # a centimetre of chin
    assert character.materials[character.parts[0].material].colour_map is not None


def test_what_was_found_is_told(fitted):
    report = json.loads((fitted / "me.json").read_text())
    assert report["placement"]["unit"] == "centimetre"
    assert (report["placement"]["up"], report["placement"]["front"]) == ("+Z", "-Y")
    assert report["median_error_mm"] < 1.0  # its own identity is in the model
    assert report["exit_code"] == 0
    assert report["settings"]["gender"] == pytest.approx(IDENTITY["gender"], abs=0.15)
    assert report["settings"]["age"] == pytest.approx(IDENTITY["age"], abs=0.08)
    shown = rig_fit.show({**report, "seconds": 1.0})
    assert "in centimetres, +Z up, looking along -Y: scaled to metres and turned" in shown
    assert "--set gender=" in shown


def test_the_result_is_the_users_and_says_what_it_was_made_from(fitted):
    for name in ("me.character.npz", "me.glb", "me.usdc"):
        licence = info.run(info.Job(file=fitted / name), SILENT)["licence"]
        assert licence["commercial"] == "yes"
        assert "make sure that you may use it" in licence["sentence"], name
    sources = info.run(info.Job(file=fitted / "me.character.npz"), SILENT)["provenance"]["sources"]
    assert [(source["role"], source["name"]) for source in sources] == [("input", "me.obj"), ("character", "human")]
    found = check.run(check.Job(files=[fitted / "me.character.npz", fitted / "me.glb"], strict=False), SILENT)
    assert found["exit_code"] == 0, found
    assert len(glb_read.summary(glb_read.read(fitted / "me.glb"))["shapes"]) >= 52


def test_the_fitted_identity_can_be_built_again(fitted):
    assert cli.run_command(["run", str(fitted / "again.toml")]) == 0
    assert glb_read.summary(glb_read.read(fitted / "Mine.glb"))["shapes"][:2] == ["browDownLeft", "browDownRight"]


def test_a_licence_that_forbids_stays_on_the_users_mesh():
    from dataclasses import replace

    human = characters.load("human", part="head")
    for licence, kept in (
        ("CC0-1.0", "LicenseRef-own"), ("MIT", "LicenseRef-own"), ("LicenseRef-FLAME-2020", "LicenseRef-FLAME-2020"),
        ("LicenseRef-HACK", "LicenseRef-HACK"), ("unheard-of", "unheard-of"),
    ):  # fmt: skip
        assert rig_fit.licence_of(replace(human, licence=licence)) == kept


def test_eyes_are_put_in_behind_what_was_there(fitted):
    own, human = character_npz.read(fitted / "me.character.npz"), characters.load("human", part="head")
    with_eyes = valid_character(rig_fit._with_eyes(own, human, 1.0))
    np.testing.assert_array_equal(with_eyes.vertices[: len(own.vertices)], own.vertices)
    assert [part.name for part in with_eyes.parts][-4:] == ["eye_left", "eye_right", "cornea_left", "cornea_right"]
    assert {driver.joint for driver in with_eyes.drivers} == {"eye.L", "eye.R"}
    left = with_eyes.vertices[with_eyes.parts[-4].vertices]
    # The bundled human's eyeballs are a third larger than real ones (12 mm), its lids are modelled to them.
    distance = np.linalg.norm(left - with_eyes.heads[with_eyes.joint("eye.L")], axis=1)
    assert 0.012 < np.median(distance) < 0.019


def test_pieces_that_a_program_mixed_are_put_in_order():
    """Decimating or joining interleaves vertices; eyes and teeth need runs of their own to have their own looks."""
    character = characters.load("human", part="head")
    random = np.random.default_rng(2)
    order = random.permutation(len(character.vertices))
    place = np.argsort(order)
    rows = random.permutation(len(character.faces))
    groups = np.zeros(len(rows), np.int32)
    for number, part in enumerate(character.parts):
        groups[part.faces] = number
    names = tuple(part.name for part in character.parts)
    faces = place[character.faces[rows]].astype(np.int32)
    mixed = Mesh(
        character.vertices[order].astype(np.float64), faces, character.uv, character.face_uv[rows], groups[rows], names
    )
    mesh, numbers = by_piece(mixed)
    np.testing.assert_array_equal(mesh.vertices, mixed.vertices[numbers])
    piece = head_mesh_of(mesh).piece
    assert len(parts_of(mesh, piece, {number: str(number) for number in range(piece.max() + 1)})) > 10

    # Each face is where it was, with its coordinates and its group: only the order differs.
    def rows_of(it: Mesh) -> np.ndarray:
        corners = np.concatenate([it.vertices[it.faces].reshape(-1, 12), it.uv[it.face_uv].reshape(-1, 8)], 1)
        table = np.concatenate([corners, it.groups[:, None]], 1)
        return table[np.lexsort(table.T)]

    np.testing.assert_array_equal(rows_of(mesh), rows_of(mixed))
    again, numbers = by_piece(mesh)
    assert again is mesh
    np.testing.assert_array_equal(numbers, np.arange(len(numbers)))
    assert set(np.array(names)[mesh.groups[mesh.faces[:, 0] < 4600]]) == {"body"}  # the skin is first


def test_cautions_say_what_to_do():
    note = {"value": 0.0, "limit": 0.1, "result": "pass", "note": "closed at rest"}
    checks = {
        "lids_left": note, "lids_right": note, "lips": {**note, "result": "fail", "note": "the jaw opens no slit"},
        "jaw": {"value": 0.3, "limit": 0.6, "result": "fail"}, "symmetry": {"value": 0.1, "limit": 1, "result": "pass"},
        "flipped": {"value": 0.07, "limit": 0.01, "result": "fail", "shape": "mouthPucker"},
        "new": {"value": 2.0, "limit": 1.0, "result": "fail"},
    }  # fmt: skip
    job = rig_fit.Job.model_validate({"mesh": "a.obj", "output": ["a.glb"]})
    assert rig_fit._cautions(job, {"checks": checks, "pieces": {}}) == [
        "no eyelid slit (left and right): a blink shows nothing; open the lids in the mesh",
        "no mouth opening: the lips cannot part; cut the mouth open between them",
        "jawOpen opens the lips 0.30 times as far as the model's: look at it",
        "mouthPucker turns 7% of its faces over: look at it",
        "new is 2, the limit is 1: look at it",
    ]
    assert rig_fit._cautions(job, {"checks": {}, "pieces": {}}) == ["no eyeballs (--eyes puts the bundled ones in)"]
    assert rig_fit._cautions(job, {}) == []


@pytest.fixture
def scan(tmp_path) -> Path:
    obj.write(tmp_path / "scan.obj", head_mesh())
    return tmp_path / "scan.obj"


def failure(capsys) -> str:
    text = capsys.readouterr().err.strip().splitlines()
    return text[-1] if text else ""


def leaves_nothing(folder: Path, *given: str) -> bool:
    """Whether a folder holds what it was given and nothing else, hidden parts included."""
    return {path.name for path in folder.iterdir()} == set(given)


def _with_nan(mesh: Mesh) -> Mesh:
    vertices = mesh.vertices.copy()
    vertices[17, 2] = np.nan
    return Mesh(vertices, mesh.faces, mesh.uv, mesh.face_uv, mesh.groups, mesh.group_names)


def test_meshes_that_cannot_be_rigged_end_with_3_and_leave_nothing(tmp_path, capsys):
    mesh = head_mesh()
    few = Mesh(mesh.vertices[:50], mesh.faces[:0], np.zeros((0, 2)), np.zeros((0, 4)), mesh.groups[:0], ())
    obj.write(tmp_path / "nan.obj", _with_nan(mesh))
    (tmp_path / "text.obj").write_text("this is no mesh")
    (tmp_path / "empty.ply").write_bytes(b"")
    ply.write(tmp_path / "points.ply", Mesh(mesh.vertices, mesh.faces[:0], few.uv, few.face_uv, few.groups, ()))
    flat = Mesh(mesh.vertices * 0, mesh.faces, mesh.uv, mesh.face_uv, mesh.groups, mesh.group_names)
    obj.write(tmp_path / "flat.obj", flat)
    given = {path.name for path in tmp_path.iterdir()}
    expected = {
        "nan.obj": "not finite, the first at index (17, 2)",
        "text.obj": "holds no vertices",
        "empty.ply": "is empty",
        "points.ply": "has points and no faces; expected a mesh that can be rigged. Type --result model",
        "flat.obj": "all vertices lie on one point",
        "gone.obj": "does not exist",
    }
    for name, message in expected.items():
        assert run(tmp_path / name, "-o", tmp_path / "a.glb", "-o", tmp_path / "a.character.npz") == 3, name
        assert message in failure(capsys), name
        assert leaves_nothing(tmp_path, *given), name


def test_commands_that_make_no_sense_end_with_2(scan, capsys):
    folder = scan.parent
    (folder / "head.fbx").write_bytes(b"x")
    lines = {
        (folder / "head.fbx", "-o", folder / "a.glb"): "unknown type of mesh '.fbx'",
        (scan,): "-o",
        (scan, "-o", folder / "a.take.npz"): "holds a performance",
        (scan, "-o", folder / "a.mp4"): "holds a performance",
        (scan, "-o", folder / "a.xyz"): "unknown file type",
        (scan, "-o", folder / "a.glb", "--report", folder / "a.glb"): "is named twice",
        (scan, "-o", folder / "a.glb", "--settings-out", scan): "is named twice",
        (scan, "-o", folder / "a.glb", "--model", "dragon"): "unknown character 'dragon'",
        (scan, "-o", folder / "a.glb", "--unit", "parsec"): "parsec",
        (scan, "-o", folder / "a.glb", "--landmark", "chin=abc"): "--landmark chin is 'abc'",
    }
    for words, message in lines.items():
        assert run(*words) == 2, words
        assert message in failure(capsys), words
        assert leaves_nothing(folder, "scan.obj", "head.fbx")


def test_wrong_models_and_landmarks_end_with_3(scan, capsys):
    folder = scan.parent
    (folder / "picked.json").write_text('{"chin": 10000000}')
    (folder / "other.json").write_text('{"left_foot": 3}')
    (folder / "many.json").write_text(json.dumps([10**6] * 68))
    (folder / "empty").mkdir()
    lines = {
        ("--model", f"ict:{folder / 'empty'}"): str(folder / "empty"),
        ("--model", f"flame:{folder / 'gone.pkl'}"): "gone.pkl",
        ("--model", folder / "gone.character.npz"): "gone.character.npz: the file does not exist",
        ("--landmarks", folder / "picked.json"): "landmark 'chin' names vertex 10000000",
        ("--landmarks", folder / "other.json"): "there is no landmark 'left_foot'; expected crown,",
        ("--landmarks", folder / "many.json"): "names vertex 1000000",
        ("--landmarks", folder / "gone.json"): "gone.json: cannot be read",
    }
    for words, message in lines.items():
        assert run(scan, "-o", folder / "a.glb", *words) == 3, words
        assert message in failure(capsys), words
        assert leaves_nothing(folder, "scan.obj", "picked.json", "other.json", "many.json", "empty")


def test_a_job_that_is_stopped_leaves_nothing(scan, capsys):
    """What lay there before is still the old file, and no part of a new one."""
    (scan.parent / "a.glb").write_bytes(b"before")
    assert run(scan, "-o", scan.parent / "a.glb", "-o", scan.parent / "b.character.npz", "--time-limit", "2") == 8
    assert (scan.parent / "a.glb").read_bytes() == b"before"
    assert leaves_nothing(scan.parent, "scan.obj", "a.glb")


@pytest.mark.slow
def test_a_unit_or_axis_that_is_not_so_is_told(scan, capsys):
    for words, message in (
        (("--unit", "m"), "its head is one of centimetres, not of metres"),
        (("--up", "y"), "its head points to +Z; expected +Y"),
    ):
        assert run(scan, "-o", scan.parent / "a.glb", *words) == 3
        assert message in failure(capsys)
        assert leaves_nothing(scan.parent, "scan.obj")


@pytest.mark.slow
def test_what_is_no_head_is_told_with_what_to_try(tmp_path, capsys):
    turn, lift = np.meshgrid(np.linspace(0, 2 * np.pi, 41)[:-1], np.linspace(-3, 3, 40))
    tube = np.stack([np.cos(turn), lift, np.sin(turn)], -1).reshape(-1, 3) * 0.05
    index = np.arange(1600).reshape(40, 40)
    right = np.roll(index, -1, axis=1)
    faces = np.stack([index[:-1], index[1:], right[1:], right[:-1]], -1).reshape(-1, 4).astype(np.int32)
    mesh = Mesh(tube, faces, np.zeros((0, 2)), np.zeros((0, 4)), np.zeros(len(faces), np.int32), ("tube",))
    obj.write(tmp_path / "tube.obj", mesh)
    assert run(tmp_path / "tube.obj", "-o", tmp_path / "a.glb") == 3
    message = failure(capsys)
    assert "head" in message
    assert "landmarks" in message
    assert leaves_nothing(tmp_path, "tube.obj")


@pytest.mark.slow
def test_a_cloud_of_points_gives_the_fitted_model(tmp_path):
    """A scanner's points, no faces, in millimetres: the bundled human at that identity comes out."""
    mesh = head_mesh()
    points = Mesh(mesh.vertices * 10, mesh.faces[:0], np.zeros((0, 2)), np.zeros((0, 4)), mesh.groups[:0], ())
    ply.write(tmp_path / "scan.ply", points)
    path = tmp_path / "a.character.npz"
    assert run(tmp_path / "scan.ply", "-o", path, "--result", "model", "--report", tmp_path / "a.json") == 0
    assert json.loads((tmp_path / "a.json").read_text())["placement"]["unit"] == "millimetre"
    character = character_npz.read(path)
    assert (character.name, character.licence) == ("human", "CC0-1.0")
    assert character.settings["gender"] == pytest.approx(IDENTITY["gender"], abs=0.2)
