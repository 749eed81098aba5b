# SPDX-License-Identifier: Apache-2.0
"""The ICT-FaceKit source: reading of the published folder and its cache, and the character that comes out.

Reading is tested on a folder in the published layout with points of no meaning; the character on the real data where it
is (``../shared/data/ict_facekit``).
"""

from __future__ import annotations

import logging
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import arkit, ict, ict_data, neck, performance
from hyoid.characters.lent import head_paint
from hyoid.errors import InputError, UsageError
from hyoid.files import cache_folder
from hyoid.formats import obj
from hyoid.geometry import meshes, rotations

PACKED = Path(__file__).resolve().parents[3] / "shared" / "data" / "ict_facekit"
real = pytest.mark.skipif(not PACKED.is_dir(), reason=f"no ICT-FaceKit data in {PACKED}")


# --- The folder -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """A folder with the names and counts of the published one and two identities; shape k moves vertex k up by one."""
    folder = tmp_path_factory.mktemp("ict") / "FaceXModel"
    folder.mkdir()
    lines = [f"v {k % 100} {k // 100} 0" for k in range(ict_data.VERTICES)]
    corners = [f"f {k + 1}/1 {k + 2}/2 {k + 3}/3 {k + 4}/1" for k in range(ict_data.FACES)]
    topology = "\n".join(["vt 0 0", "vt 1 0", "vt 1 1", "usemtl M_Face", *corners, ""])
    (folder / f"{ict_data.NEUTRAL}.obj").write_text("\n".join([*lines, topology]))
    for number, name in enumerate([*ict_data.EXPRESSIONS, "identity000", "identity001"]):
        moved = lines.copy()
        moved[number] = f"v {number % 100} {number // 100 + 1} 0"
        (folder / f"{name}.obj").write_text("\n".join(moved) + "\n")
    return folder


@pytest.fixture
def folder(published, tmp_path, monkeypatch) -> Path:
    """A private copy (links) of the folder, with a cache of its own."""
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path / "cache"))
    ict_data._model.cache_clear()
    copy = tmp_path / "repository" / "FaceXModel"
    shutil.copytree(published, copy, copy_function=lambda source, target: Path(target).symlink_to(source))
    return copy


@pytest.fixture
def few(folder, monkeypatch) -> Path:
    """The folder, of which a few expressions are read: what is tested with it is not how many there are."""
    monkeypatch.setattr(ict_data, "EXPRESSIONS", ("browDown_L", "jawOpen", "mouthClose"))
    return folder


def _replace(path: Path, text: str | bytes) -> None:
    path.unlink()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def _text(folder: Path) -> str:
    return (folder / "jawOpen.obj").read_text()


def _cached() -> list[Path]:
    return sorted((cache_folder() / "ict").glob("*.npz"))


def test_the_folder_is_found_from_the_repository_too(folder):
    for path in (folder, folder.parent):
        assert ict_data.find(path) == folder


def test_every_file_becomes_offsets_from_the_neutral_and_the_first_time_is_announced(folder, caplog):
    with caplog.at_level(logging.INFO, "hyoid"):
        model = ict_data.model(folder)
    assert "converting 56 files" in caplog.text
    assert model.identities.shape == (2, ict_data.VERTICES, 3)
    assert len(model.expressions) == len(ict_data.EXPRESSIONS) == 53
    for number, offsets in enumerate([*model.expressions, *model.identities]):
        assert offsets[number].tolist() == [0, 1, 0]
        assert np.abs(offsets).sum() == 1
    weights = np.zeros((1, 53))
    weights[0, 7] = 0.5
    moved = model.evaluate(np.array([[2.0, 0.0, 9.0]]), weights)[0] - model.neutral  # a third identity is left out
    assert moved[[7, 53], 1].tolist() == [0.5, 2.0]
    assert list(ict.settings(folder)) == ["identity000", "identity001"]


def test_identities_end_at_the_first_missing_number(folder):
    (folder / "identity000.obj").unlink()
    assert ict_data.identity_count(folder) == 0
    assert ict.settings(folder) == {}


def test_a_folder_is_converted_once_and_again_when_a_file_changes(few, monkeypatch):
    first = ict_data.model(few)
    ict_data._model.cache_clear()
    made = []
    convert = ict_data.convert
    monkeypatch.setattr(ict_data, "convert", lambda *arguments: made.append(1) or convert(*arguments))
    second = ict_data.model(few)
    assert not made
    np.testing.assert_array_equal(first.expressions, second.expressions)
    assert first.digest == second.digest
    text = (few / "jawOpen.obj").read_text()
    _replace(few / "jawOpen.obj", text.replace("v 0 0 0", "v 0 0 2.5", 1))
    third = ict_data.model(few)
    assert made == [1]
    assert third.digest != first.digest
    assert third.expressions[ict_data.EXPRESSIONS.index("jawOpen"), 0, 2] == 2.5


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_damaged_cache_is_rebuilt_and_said(few, damage, caplog):
    names = (ict_data.NEUTRAL, *ict_data.EXPRESSIONS, "identity000", "identity001")
    kept = cache_folder() / "ict" / f"{ict_data._key(few, list(names))}.npz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"PK\x03\x04" + bytes(1000) if damage == "cut" else b"no archive")
    with caplog.at_level(logging.WARNING, "hyoid"):
        assert len(ict_data.model(few).expressions) == 3
    assert "converted again" in caplog.text
    assert _cached() == [kept]
    assert kept.stat().st_size > 100_000


def test_a_cache_that_cannot_be_written_costs_time_only(few, tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("HYOID_CACHE", str(blocked))
    with caplog.at_level(logging.WARNING, "hyoid"):
        assert len(ict_data.model(few).expressions) == 3
        assert head_paint.lash_map() is None
    assert "not kept" in caplog.text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "jawOpen.obj").unlink(), "jawOpen.obj: No such file"),
        (lambda f: (f / f"{ict_data.NEUTRAL}.obj").unlink(), f"holds no {ict_data.NEUTRAL}.obj"),
        (lambda f: _replace(f / "jawOpen.obj", "v 0 0 0\nv 1 0 0\n"), "has 2 vertices; expected 26719"),
        (lambda f: _replace(f / "jawOpen.obj", b""), "jawOpen.obj: is empty"),
        (lambda f: _replace(f / "jawOpen.obj", _text(f)[:100_000]), "jawOpen.obj: "),
        (lambda f: _replace(f / "jawOpen.obj", _text(f).replace("v 5 0 0", "v nan 0 0")), "jawOpen.obj: "),
        (lambda f: _replace(f / "identity001.obj", "v 1 2\n"), "line 1 is 'v 1 2'"),
        (lambda f: _replace(f / f"{ict_data.NEUTRAL}.obj", _text(f)), "has 0 faces"),
    ],
    ids=["missing", "neutral", "count", "empty", "cut", "nan", "short", "topology"],
)  # fmt: skip
def test_bad_files_are_named_and_leave_no_cache(few, spoil, message):
    spoil(few)
    with pytest.raises(InputError) as caught:
        ict_data.model(few)
    assert message in str(caught.value)
    assert not _cached()


def test_a_wrong_place_is_said(tmp_path):
    for path, found in ((tmp_path, "holds no"), (tmp_path / "none", "does not exist"), (Path(__file__), "is a file")):
        with pytest.raises(InputError, match=found):
            characters.load(f"ict:{path}")


def test_published_decimals_come_back_from_float32():
    published = np.array([[-2.71799, 11.8076, 1.27e-12], [13.0691, -0.0001234, 0.0], [2.760896, -1.101685, 100.0]])
    np.testing.assert_array_equal(ict_data.decimals(published.astype(np.float32)), published)
    np.testing.assert_array_equal(ict_data.decimals(published), published)
    fine = np.array([[0.123456789012, -7.00000012345, 3.0]])
    np.testing.assert_array_equal(ict_data.decimals(fine)[0, 0], fine[0, 0])


# --- The character ----------------------------------------------------------------------------------------------------


@cache
def _real_model(folder: Path) -> ict_data.Model:
    """The packed data as the reader of the folder gives it."""
    import gzip

    packed = np.load(PACKED / "ict_facekit.npz", allow_pickle=False)
    path = folder / "neutral.obj"
    lines = "".join(f"v {x:.9g} {y:.9g} {z:.9g}\n" for x, y, z in packed["neutral"])
    path.write_text(lines + gzip.decompress((PACKED / "topology.txt.gz").read_bytes()).decode())
    mesh = obj.read(path)
    neutral = ict_data.decimals(mesh.vertices)
    names = packed["expression_names"].tolist()
    chosen = [names.index(name) for name in ict_data.EXPRESSIONS]
    expressions = (packed["expression"][chosen] - neutral).astype(np.float32)
    identities = (packed["identity"][:3] - neutral).astype(np.float32)
    return ict_data.Model(neutral, identities, expressions, mesh.faces, mesh.uv, mesh.face_uv, "0" * 64)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.fixture
def load(shared_folder, monkeypatch):
    """``ict.load`` on the packed data; pictures go to a cache that the module shares."""
    monkeypatch.setenv("HYOID_CACHE", str(shared_folder / "cache"))
    monkeypatch.setattr(ict_data, "model", lambda path: _real_model(shared_folder))
    return lambda **settings: ict.load(Path("unused"), settings)


def _offsets(character, name: str) -> np.ndarray:
    shapes = character.shapes
    result = np.zeros_like(character.vertices)
    rows = slice(*shapes.starts[shapes.names.index(name) :][:2])
    result[shapes.vertices[rows]] = shapes.offsets[rows]
    return result


def _part(character, name: str):
    return next(part for part in character.parts if part.name == name)


@real
def test_vertices_are_the_data_in_metres_and_follow_the_identity(load, shared_folder):
    model = _real_model(shared_folder)
    for settings in ({}, {"identity000": 2.0, "identity002": -1.5}):
        character = load(**settings)
        wanted = model.neutral + 2.0 * ("identity000" in settings) * model.identities[0]
        wanted = wanted - 1.5 * ("identity002" in settings) * model.identities[2]
        away = np.abs(100 * character.vertices[:14_062] - wanted[:14_062])
        assert away[wanted[:14_062, 1] > -6].max() < 1e-4
        assert away.max() < 0.7  # the larynx is added
        assert (character.licence, character.digest) == ("MIT", "0" * 64)
        # Joints and eyes go along.
        eye, data = character.vertices[_part(character, "eye_left").vertices], wanted[21_451:22_221] / 100
        np.testing.assert_allclose(eye.min(0), data.min(0), atol=0.0015)
        np.testing.assert_allclose(eye.max(0)[:2], data.max(0)[:2], atol=0.0015)
        joint = character.heads[character.joint("eye.L")]
        assert np.ptp(np.linalg.norm(eye[:32] - joint, axis=1)) < 1e-5  # the ring at the back is around it


@real
def test_parts_cover_everything_in_order_and_stay_among_themselves(load):
    character = load()
    vertex = face = 0
    for part in character.parts:
        assert (part.vertices.start, part.faces.start) == (vertex, face)
        vertex, face = part.vertices.stop, part.faces.stop
        rows = character.faces[part.faces]
        assert rows.min() >= part.vertices.start
        assert rows.max() < part.vertices.stop
        assert part.material in character.materials
        uv = character.uv[character.face_uv[part.faces]]
        assert uv.min() >= 0
        assert uv.max() <= 1
    assert (vertex, face) == (len(character.vertices), len(character.faces))
    assert [part.name for part in character.parts][:5] == ["skin", "gums", "teeth_upper", "teeth_lower", "lashes"]
    assert character.shapes.names == (*arkit.NAMES, *arkit.LARYNX_SHAPES)


@real
def test_shapes_are_the_expressions_without_their_noise(load, shared_folder):
    model, character = _real_model(shared_folder), load()
    smile = model.expressions[ict_data.EXPRESSIONS.index("mouthSmile_L")]
    np.testing.assert_allclose(_offsets(character, "mouthSmileLeft")[:9409], 0.01 * smile[:9409], atol=2e-6)
    left, right = (model.expressions[ict_data.EXPRESSIONS.index(f"browInnerUp_{side}")] for side in "LR")
    inner = left + right
    np.testing.assert_allclose(_offsets(character, "browInnerUp")[:9409], 0.01 * inner[:9409], atol=2e-6)
    gums, upper, lower = (_part(character, name).vertices for name in ("gums", "teeth_upper", "teeth_lower"))
    for name in arkit.NAMES:
        moved = np.linalg.norm(_offsets(character, name), axis=1)
        assert moved.max() > 0.001
        assert moved[upper].max() == 0
        if not name.startswith("jaw"):
            assert moved[lower].max() == 0
        if not name.startswith(("jaw", "tongue")):
            assert moved[gums].max() == 0, name
    for name in ("mouthSmile", "eyeBlink", "browDown", "mouthFrown"):
        left, right = (_offsets(character, f"{name}{side}")[:9409] for side in ("Left", "Right"))
        assert np.linalg.norm(left) == pytest.approx(np.linalg.norm(right), rel=0.02)
        at = 0.01 * model.neutral[:9409, 0]
        assert (np.linalg.norm(left, axis=1) * at).sum() > 0 > (np.linalg.norm(right, axis=1) * at).sum()


@real
def test_the_tongue_comes_out_over_the_lower_teeth_and_leaves_gums_alone(load):
    character = load()
    moved = _offsets(character, "tongueOut")
    gums, lower = _part(character, "gums").vertices, _part(character, "teeth_lower").vertices
    opened = character.vertices + 0.5 * _offsets(character, "jawOpen") + moved
    tip = gums.start + int(np.argmax(np.linalg.norm(moved[gums], axis=1)))
    teeth = opened[lower]
    assert opened[tip, 2] > teeth[:, 2].max() + 0.005  # half a centimetre before the teeth
    front = np.abs(teeth[:, 0]) < 0.01
    assert opened[tip, 1] > teeth[front, 1].max() - 0.004
    rest = character.vertices[gums]
    upper_gum = rest[:, 1] > -0.02
    assert np.abs(moved[gums][upper_gum]).max() == 0


@real
@pytest.mark.parametrize("turn", [(50, 0, 0), (-65, 0, 0), (0, 70, 0), (0, -70, 0), (0, 0, 45), (-25, 45, 10)])
def test_the_neck_bends_over_its_range_without_folded_skin(load, turn):
    character = load()
    head = rotations.from_rotation_vector(np.radians([turn]))
    shares = neck.distribute(character.neck, head)
    turns = rotations.identity(1, len(character.joint_names))
    for index, name in enumerate(neck.JOINTS):
        turns[:, character.joint(name)] = shares[:, index]
    still = np.zeros((1, len(character.shapes.names)), np.float32)
    posed = performance.deform(
        character, performance.Performance(still, turns.astype(np.float32), np.zeros((1, 3), np.float32))
    )[0]
    teeth = _part(character, "teeth_upper").vertices
    rest = character.vertices[teeth] - character.vertices[teeth].mean(0)
    turned = posed[teeth] - posed[teeth].mean(0)
    np.testing.assert_allclose(turned, rest @ rotations.to_matrix(head)[0].T, atol=2e-6)
    skin = meshes.triangulate(character.faces[_part(character, "skin").faces])
    assert _flipped(character, turns, posed, skin) == 0


def _flipped(character, turns: np.ndarray, posed: np.ndarray, triangles: np.ndarray) -> int:
    """Triangles whose normal points away from where the joints carry it."""
    from hyoid.geometry import skinning

    world = skinning.world_transforms(character.parents, character.heads, turns)[0, :, :3, :3]
    weights = skinning.weight_matrix(character.weight_joints, character.weights, len(world))
    carried = (weights @ world.reshape(-1, 9)).reshape(-1, 3, 3)[triangles].mean(1)
    before, after = (
        np.cross(points[triangles[:, 1]] - points[triangles[:, 0]], points[triangles[:, 2]] - points[triangles[:, 0]])
        for points in (character.vertices, posed)
    )
    return int(((np.einsum("nab,nb->na", carried, before) * after).sum(1) < 0).sum())


@real
def test_weights_bind_teeth_to_skull_and_jaw_and_the_bust_to_the_trunk(load):
    character = load()
    np.testing.assert_allclose(character.weights.sum(1), 1, atol=1e-6)
    for name, joint in (("teeth_upper", "oc1"), ("lashes", "oc1"), ("teeth_lower", "jaw"), ("eye_left", "eye.L")):
        rows = _part(character, name).vertices
        assert (character.weight_joints[rows, 0] == character.joint(joint)).all()
        np.testing.assert_array_equal(character.weights[rows, 0], 1)
    lowest = character.vertices[:14_062, 1].argmin()
    assert character.joint_names[character.weight_joints[lowest, 0]] == "spine01"
    chin = ict.LANDMARKS["chin"]
    assert character.joint_names[character.weight_joints[chin, 0]] == "jaw"
    assert character.joint_names[character.parents[character.joint("jaw")]] == "oc1"


@real
def test_landmarks_are_where_their_names_say(load):
    character = load()
    place = {name: character.vertices[row] for name, row in character.landmarks.items()}
    order = ("crown", "forehead", "nasion", "nose_tip", "lip_upper_outer", "lip_upper", "lip_lower", "lip_lower_outer",
             "chin", "menton", "throat", "larynx", "jugular")  # fmt: skip
    heights = [place[name][1] for name in order]
    assert heights == sorted(heights, reverse=True)
    assert all(abs(point[0]) < 1e-4 for point in place.values())
    assert place["nose_tip"][2] > character.vertices[:9409, 2].max() - 0.0005
    points = character.vertices[ict.landmarks68()]
    assert points.shape == (68, 3)
    assert points[0, 0] < points[8, 0] < points[16, 0]  # from the character's right ear over the chin to the left
    assert points[36:42, 0].max() < 0 < points[42:48, 0].min()


@real
def test_the_larynx_stands_out_and_travels_on_the_front_of_the_neck(load, shared_folder):
    character = load()
    grown = np.linalg.norm(100 * character.vertices[:14_062] - _real_model(shared_folder).neutral[:14_062], axis=1)
    assert 0.3 < grown.max() < 0.7  # centimetres
    peak = character.vertices[grown.argmax()]
    assert abs(peak[0]) < 0.005
    assert peak[2] > 0.03
    up = _offsets(character, "larynxUp")
    risen = character.vertices + 1.5 * up
    assert np.linalg.norm(up, axis=1).max() > 0.001
    assert risen[np.linalg.norm(up, axis=1) > 0][:, 1].max() < character.vertices[ict.LANDMARKS["menton"], 1] + 0.01


@real
def test_pictures_are_painted_once_and_lips_are_redder_than_the_forehead(load, shared_folder):
    from PIL import Image

    character = load()
    path = character.materials["skin"].colour_map
    assert path is not None
    before = path.stat().st_mtime_ns
    load()
    assert path.stat().st_mtime_ns == before
    picture = np.asarray(Image.open(path)).astype(float)
    height, width = picture.shape[:2]

    def colour(vertex: int) -> np.ndarray:
        face, corner = np.argwhere(character.faces == vertex)[0]
        u, v = character.uv[character.face_uv[face, corner]]
        return picture[int((1 - v) * height), int(u * width)]

    lip, brow, forehead = colour(5_514), colour(ict_data.LANDMARKS_68[19]), colour(ict.LANDMARKS["forehead"])
    assert lip[0] / lip[1] > 1.2 * forehead[0] / forehead[1]
    assert brow.sum() < 0.9 * forehead.sum()
    lashes = np.asarray(Image.open(character.materials["lashes"].colour_map))
    assert lashes.shape[2] == 4
    assert 0.03 < (lashes[..., 3] > 127).mean() < 0.4


@real
def test_settings_outside_the_modes_are_refused(load, monkeypatch):
    monkeypatch.setattr(ict, "settings", lambda path: {"identity000": characters.Setting(-5, 5, 0)})
    with pytest.raises(UsageError, match="no setting 'age'"):
        characters.load("ict:somewhere", {"age": 1})
    with pytest.raises(UsageError, match="from -5 to 5"):
        characters.load("ict:somewhere", {"identity000": 9})
