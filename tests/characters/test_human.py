# SPDX-License-Identifier: Apache-2.0
"""The bundled human keeps its promises: complete, closed lips and lids, feet on the floor, quick to load."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import arkit, bundled, neck
from hyoid.errors import InputError, UsageError
from hyoid.files import data_folder
from hyoid.geometry import meshes

PEOPLE = (
    {},
    {"gender": 1.0, "weight": 0.9},
    {"age": 1.0, "gender": 0.0, "muscle": 0.9},
    {"age": 0.2},
    {"african": 1.0, "asian": 0.0, "caucasian": 0.0, "height": 1.0, "proportions": 1.0},
)
VARIANTS = [("full", 0), ("head", 0), ("head", 1), ("head", 2), ("full", 1)]


@pytest.mark.parametrize(("part", "level"), VARIANTS)
def test_the_record_is_consistent(part, level):
    human = characters.load("human", part=part, subdivision=level)
    vertices, faces = len(human.vertices), len(human.faces)
    assert human.vertices.dtype == np.float32
    assert np.isfinite(human.vertices).all()
    assert (human.faces.min(), human.faces.max()) == (0, vertices - 1)
    assert human.face_uv.max() < len(human.uv)
    assert human.uv.min() >= 0
    assert human.uv.max() <= 1
    assert [piece.vertices.start for piece in human.parts[1:]] == [piece.vertices.stop for piece in human.parts[:-1]]
    assert human.parts[-1].vertices.stop == vertices
    assert human.parts[-1].faces.stop == faces
    for piece in human.parts:
        used = human.faces[piece.faces]
        assert piece.vertices.start <= used.min()
        assert used.max() < piece.vertices.stop
        assert piece.material in human.materials
    assert human.weights.shape == human.weight_joints.shape == (vertices, 8)
    np.testing.assert_allclose(human.weights.sum(1), 1, atol=1e-6)
    assert (np.diff(human.weights, axis=1) <= 0).all(), "weights are not sorted"
    followers = tuple(corrective.shape for corrective in human.correctives)
    assert human.shapes.names == (*arkit.NAMES, *arkit.LARYNX_SHAPES, "neckTense", *followers)
    for start, stop in zip(human.shapes.starts[:-1], human.shapes.starts[1:], strict=True):
        assert stop > start, "an empty shape"
        assert (np.diff(human.shapes.vertices[start:stop]) > 0).all()
    assert (human.parents < np.arange(len(human.parents))).all()
    assert {driver.curve[:9] for driver in human.drivers} == {"eyeLookUp", "eyeLookDo", "eyeLookOu", "eyeLookIn"}


def test_names_that_others_rely_on():
    human = characters.load("human")
    chain = [human.joint(name) for name in neck.JOINTS]
    assert [int(human.parents[joint]) for joint in chain[1:]] == chain[:-1]
    assert human.joint_names[human.parents[chain[0]]] == "spine01"
    for child, parent in (
        ("jaw", "oc1"),
        ("eye.L", "oc1"),
        ("teeth_upper", "oc1"),
        ("teeth_lower", "jaw"),
        ("tongue00", "jaw"),
    ):
        assert human.joint_names[human.parents[human.joint(child)]] == parent
    names = {piece.name for piece in human.parts}
    assert {"body", "tongue", "eye_left", "eye_right", "cornea_left", "lashes", "teeth_upper", "teeth_lower"} <= names
    assert human.heads[human.joint("eye.L"), 0] > 0, "left is +X"
    assert human.licence == "CC0-1.0"


@pytest.mark.parametrize("settings", PEOPLE)
def test_every_identity_stands_on_the_floor_with_straight_neck_and_its_eyes_in(settings):
    human = characters.load("human", settings)
    assert abs(human.vertices[:, 1].min()) < 1e-4
    heads = human.heads[[human.joint(name) for name in neck.JOINTS]]
    assert (np.diff(heads[:, 1]) > 0).all()
    assert np.abs(heads[:, 0]).max() < 1e-6
    spacing = np.linalg.norm(np.diff(heads, axis=0), axis=1)
    assert spacing.max() / spacing.min() < 1.6, "vertebrae of one neck are of similar height"
    for part, joint in (("eye_left", "eye.L"), ("eye_right", "eye.R")):
        ball = human.vertices[next(p.vertices for p in human.parts if p.name == part)]
        middle = 0.5 * (ball.min(0) + ball.max(0))
        assert np.linalg.norm(middle - human.heads[human.joint(joint)]) < 2e-3


def test_the_mesh_is_symmetric_and_so_are_the_shapes():
    human = characters.load("human", part="head")
    for left, right in (
        ("eyeBlinkLeft", "eyeBlinkRight"),
        ("mouthSmileLeft", "mouthSmileRight"),
        ("jawLeft", "jawRight"),
    ):
        a, b = _offsets(human, left), _offsets(human, right)
        np.testing.assert_allclose(a.min(0)[1:], b.min(0)[1:], atol=3e-5)
        np.testing.assert_allclose(a[:, 0].max(), -b[:, 0].min(), atol=3e-5)


def _offsets(human, *names: str, weights: tuple[float, ...] = ()) -> np.ndarray:
    total = np.zeros_like(human.vertices)
    for name, weight in zip(names, weights or (1.0,) * len(names), strict=True):
        index = human.shapes.names.index(name)
        rows = slice(human.shapes.starts[index], human.shapes.starts[index + 1])
        total[human.shapes.vertices[rows]] += weight * human.shapes.offsets[rows]
    return total


def _lip_gap(human, offsets: np.ndarray) -> float:
    """Millimetres between the lips on the midline; negative where they press into each other."""
    body = human.parts[0].vertices
    jaw = _offsets(human, "jawOpen")[body, 1]
    rest = human.vertices[body]
    meeting = 0.5 * (rest[human.landmarks["lip_upper"]] + rest[human.landmarks["lip_lower"]])
    near = (np.abs(rest - meeting) < [0.003, 0.009, 0.006]).all(1)
    lower = near & (jaw < 0.5 * jaw[human.landmarks["lip_lower"]])
    moved = (rest + offsets[body])[:, 1]
    return 1e3 * float(moved[near & ~lower].min() - moved[lower].max())


@pytest.mark.parametrize("settings", PEOPLE[:3])
def test_lips_meet_at_rest_with_a_closed_open_jaw_and_for_bilabials(settings):
    human = characters.load("human", settings, part="head", subdivision=2)
    assert _lip_gap(human, _offsets(human)) < 0.3
    for jaw in (0.3, 1.0):
        assert _lip_gap(human, _offsets(human, "jawOpen", "mouthClose", weights=(jaw, jaw))) < 0.15
    preset = bundled.presets()["bilabial"]
    assert _lip_gap(human, _offsets(human, *preset, weights=tuple(preset.values()))) < 0
    # A natural wide mouth, not the 34 mm of the data.
    assert 22 < _lip_gap(human, _offsets(human, "jawOpen")) < 28


@pytest.mark.parametrize("settings", PEOPLE[:3])
def test_a_blink_covers_the_eye(settings):
    human = characters.load("human", settings, part="head", subdivision=1)
    moved = human.vertices + _offsets(human, "eyeBlinkLeft")
    eye = next(piece.vertices for piece in human.parts if piece.name == "cornea_left")
    middle = human.heads[human.joint("eye.L")]
    skin = moved[meshes.triangulate(human.faces[human.parts[0].faces])]
    skin = skin[(np.abs(skin.mean(1) - middle) < 0.03).all(1) & (skin.mean(1)[:, 2] > middle[2])]
    for point in moved[eye]:
        a, b, c = (skin[:, i, :2] - point[:2] for i in range(3))
        sides = np.stack(
            [
                a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
                b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0],
                c[:, 0] * a[:, 1] - c[:, 1] * a[:, 0],
            ]
        )
        over = (sides >= 0).all(0) | (sides <= 0).all(0)
        share = sides[:, over] / sides[:, over].sum(0)
        height = share[1] * skin[over, 0, 2] + share[2] * skin[over, 1, 2] + share[0] * skin[over, 2, 2]
        assert len(height), "a part of the eye is seen through the closed lids"
        assert height.max() > point[2] - 1e-4, "the eye pokes through the lid"


def test_head_part_is_a_bust_with_one_smooth_edge_at_the_shoulders():
    human = characters.load("human", part="head")
    faces = human.faces[human.parts[0].faces]
    edges = np.concatenate([faces[:, [i, (i + 1) % 4]] for i in range(4)])
    edges = edges[edges[:, 0] != edges[:, 1]]
    unique, counts = np.unique(np.sort(edges, 1), axis=0, return_counts=True)
    border = unique[counts == 1]
    low = border[human.vertices[border].mean(1)[:, 1] < human.heads[human.joint("c7t1"), 1]]
    assert len(low) > 40
    ends = np.bincount(low.ravel())
    assert (ends[ends > 0] == 2).all(), "the shoulder edge is not one closed line"
    full = characters.load("human")
    # A bust has no bones of legs and hands; those that it has are where the whole body has them.
    assert set(human.joint_names) < set(full.joint_names)
    assert not [name for name in human.joint_names if "leg" in name or "finger" in name]
    assert {*neck.JOINTS, "jaw", "eye.L", "tongue04", "spine05"} <= set(human.joint_names)
    same = [full.joint(name) for name in human.joint_names]
    np.testing.assert_array_equal(human.heads, full.heads[same])
    parents = [human.joint_names[parent] for parent in human.parents[1:]]
    assert parents == [full.joint_names[full.parents[joint]] for joint in same[1:]]


def test_settings_are_checked_and_named():
    with pytest.raises(UsageError, match=r"unknown setting 'agee'.*Did you mean age"):
        characters.load("human", {"agee": 0.5})
    with pytest.raises(UsageError, match="a number from 0 to 1"):
        characters.load("human", {"gender": 1.5})
    with pytest.raises(UsageError, match="a number from -1 to 1"):
        characters.load("human", {"nose-hump-incr": float("nan")})
    for wrong in ({"name": "nobody"}, {"part": "leg"}, {"subdivision": 7}):
        with pytest.raises(UsageError):
            characters.load(**({"name": "human"} | wrong))


def test_every_setting_changes_the_person():
    names = bundled.setting_names()
    assert len(names) > 250
    neutral = bundled.identity({})
    for name in ("gender", "age", "muscle", "weight", "height", "proportions", "nose-hump-incr", "l-ear-scale-incr"):
        low, high = bundled.setting_range(name)
        for value in (low, high):
            assert np.abs(bundled.identity({name: value}) - neutral).max() > 1e-4, (name, value)


def test_loading_is_quick_and_the_folder_small():
    characters.load("human")
    start = time.perf_counter()
    characters.load("human", {"age": 0.5, "gender": 0.7})
    assert time.perf_counter() - start < 0.5
    folder = data_folder("rigs") / "human"
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 15e6


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "lacking"])
def test_a_damaged_archive_is_said(tmp_path, damage):
    """As it is met while the file is copied or after a disk has failed."""
    whole = (data_folder("rigs") / "human" / "human.npz").read_bytes()
    member = whole.index(b"base.npy") + 200  # within the compressed first array that is asked for
    path = tmp_path / "human.npz"
    path.write_bytes({
        "cut": whole[: len(whole) // 2], "flipped": whole[:member] + bytes(64) + whole[member + 64 :], "empty": b"",
        "text": b"version https://git-lfs", "lacking": b"PK\x05\x06" + bytes(18),
    }[damage])  # fmt: skip
    with pytest.raises(InputError, match="bundled human is damaged") as caught:
        bundled._Archive(path)["base"]
    assert str(path) in str(caught.value)
