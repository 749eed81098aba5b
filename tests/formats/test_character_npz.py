# SPDX-License-Identifier: Apache-2.0
"""A character as a file: everything comes back, equal characters are equal bytes, and no file is trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import stored
from hyoid.characters.character import Character, Corrective, Material, Shapes
from hyoid.errors import InputError, UsageError
from hyoid.files import sha256_of
from hyoid.formats import character_npz
from hyoid.formats.character_checks import problems, valid_character
from hyoid.formats.npz import read_npz, write_npz
from hyoid.take import Provenance, Source
from PIL import Image

from tests import toy
from tests.formats.fuzz import survives


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def character(tmp_path) -> Character:
    """The toy with a corrective, a digest and two textures, one of them used twice."""
    plain = toy.character()
    Image.new("RGB", (4, 4), (200, 150, 120)).save(tmp_path / "skin.png")
    Image.new("RGB", (4, 4), (20, 250, 120)).save(tmp_path / "rough.jpg")
    shapes = plain.shapes
    count = len(shapes.vertices)
    shapes = Shapes(
        (*shapes.names, "mine", "corrective_oc1_0"), np.append(shapes.starts, [count + 2, count + 3]),
        np.append(shapes.vertices, [3, 9, 4]).astype(np.int32),
        np.concatenate([shapes.offsets, np.full((3, 3), 0.01, np.float32)]),
    )  # fmt: skip
    skin = Material(
        "skin", (0.5, 0.6, 0.7, 1), 0.4, 0.1, tmp_path / "skin.png", None, tmp_path / "rough.jpg", "mask", True, 0.3,
        (0.5, 0.5, 0.5, 1),
    )  # fmt: skip
    eye = replace(plain.materials["eye"], colour_map=tmp_path / "skin.png")
    return replace(
        plain, shapes=shapes, materials={"skin": skin, "eye": eye}, settings={"b": 0.25, "a": 1.0}, digest="ab" * 32,
        correctives=(Corrective("corrective_oc1_0", "oc1", np.arange(9.0).reshape(3, 3)),),
    )  # fmt: skip


PROVENANCE = Provenance("1", "rig fit", {"unit": "cm"}, (Source("input", "me.obj", "0" * 64, ""),))


def test_everything_comes_back(tmp_path, character, cache):
    path = tmp_path / "a.character.npz"
    character_npz.write(path, character, PROVENANCE)
    back = character_npz.read(path)
    for name in (
        "name", "licence", "settings", "parts", "joint_names", "drivers", "landmarks", "digest",
    ):  # fmt: skip
        assert getattr(back, name) == getattr(character, name), name
    for name in ("vertices", "faces", "uv", "face_uv", "parents", "heads", "tails", "weight_joints", "weights"):
        np.testing.assert_array_equal(getattr(back, name), getattr(character, name), name)
        assert getattr(back, name).dtype == getattr(character, name).dtype, name
    for name in ("starts", "vertices", "offsets"):
        np.testing.assert_array_equal(getattr(back.shapes, name), getattr(character.shapes, name), name)
    for name in ("flexion", "extension", "lateral", "axial", "coupling"):
        np.testing.assert_array_equal(getattr(back.neck, name), getattr(character.neck, name), name)
    assert back.shapes.names == character.shapes.names
    assert [(entry.shape, entry.joint) for entry in back.correctives] == [("corrective_oc1_0", "oc1")]
    np.testing.assert_array_equal(back.correctives[0].features, character.correctives[0].features)
    skin = back.materials["skin"]
    assert replace(skin, colour_map=None, roughness_map=None) == replace(
        character.materials["skin"], colour_map=None, roughness_map=None
    )
    assert skin.colour_map is not None
    assert skin.colour_map.read_bytes() == (tmp_path / "skin.png").read_bytes()
    assert skin.colour_map == back.materials["eye"].colour_map
    assert sorted(place.suffix for place in (cache / "textures").iterdir()) == [".jpg", ".png"]
    assert character_npz.read_unchecked(path)[1] == PROVENANCE


def test_equal_characters_are_equal_bytes_whatever_their_pictures_are_called(tmp_path, character):
    first, second = tmp_path / "a.character.npz", tmp_path / "b.character.npz"
    character_npz.write(first, character, PROVENANCE)
    character_npz.write(second, character_npz.read(first), PROVENANCE)
    assert first.read_bytes() == second.read_bytes()


def test_a_cache_that_cannot_be_written_leaves_plain_colours(tmp_path, character, monkeypatch):
    path = tmp_path / "a.character.npz"
    character_npz.write(path, character)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path / "file" / "cache"))
    skin = character_npz.read(path).materials["skin"]
    assert skin.colour_map is None
    assert skin.colour == pytest.approx((0.25, 0.3, 0.35, 1))
    assert skin.plain == (1, 1, 1, 1)


def test_a_damaged_picture_in_the_cache_is_put_right(tmp_path, character, cache):
    path = tmp_path / "a.character.npz"
    character_npz.write(path, character)
    place = character_npz.read(path).materials["skin"].colour_map
    assert place is not None
    place.write_bytes(b"cut")
    character_npz.read(path)
    assert place.read_bytes() == (tmp_path / "skin.png").read_bytes()


def test_it_is_a_character_by_name(tmp_path, character):
    path = tmp_path / "Hero.Character.npz"
    character_npz.write(path, character)
    loaded = characters.load(str(path))
    assert loaded.digest == sha256_of(path)
    assert characters.settings_of(str(path)) == {}
    with pytest.raises(UsageError, match="no setting 'age'"):
        characters.load(str(path), {"age": 0.5})
    for load in (lambda: characters.load("no.character.npz"), lambda: stored.settings(tmp_path / "no.character.npz")):
        with pytest.raises(InputError, match=r"no\.character\.npz: the file does not exist"):
            load()


def test_random_damage_is_refused_or_leaves_a_sound_character(tmp_path, character):
    path = tmp_path / "a.character.npz"
    character_npz.write(path, character)
    survives(character_npz.read, path, valid_character)


def _rows(change: Callable[[np.ndarray], None]) -> Callable[[np.ndarray], np.ndarray]:
    def changed(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        change(array)
        return array

    return changed


def _set(place, value) -> Callable[[np.ndarray], np.ndarray]:
    return _rows(lambda array: array.__setitem__(place, value))


BAD_ARRAYS = [
    ("vertices", _set((3, 1), np.nan), r"vertices holds numbers that are not finite, the first at index \(3, 1\)"),
    ("vertices", _set((3, 1), 5000), "vertex 3 is 5000 m from the origin"),
    ("vertices", lambda array: array[:-1], "weight joints has the shape"),
    ("faces", _set((2, 0), 10**6), "face corner 2, 0 names 1000000"),
    ("faces", _set((0, 0), 490), "a face of part 'body' uses vertices of another part"),
    ("faces", lambda array: array.astype(np.float32), "faces is float32"),
    ("faces", lambda array: array.astype(np.int64) + (1 << 40), "too large"),
    ("face_uv", _set((0, 0), -1), "texture corner 0, 0 names -1"),
    ("shape_names", _set(0, "brow"), "shape 0 is 'brow' instead of 'browDownLeft'"),
    ("shape_names", _set(1, "browDownLeft"), "two shapes are named 'browDownLeft'"),
    ("shape_starts", _set(1, 10**9), "do not rise"),
    ("shape_vertices", _set(0, 10**7), "shape vertex 0 names 10000000"),
    ("shape_vertices", _rows(lambda array: array[:30].sort()), None),
    ("shape_vertices", _rows(lambda array: array.__setitem__(slice(0, 2), array[1::-1])), "do not rise"),
    ("joint_names", _set(1, "root"), "two joints are named 'root'"),
    ("parents", _set(1, 5), "stands before its parent"),
    ("parents", _set(0, 0), "stands before its parent"),
    ("weights", _set((5, 0), 3.0), "weights of 1 vertices do not sum to 1, the first is vertex 5"),
    ("weight_joints", _set((5, 0), 99), "weight 5, 0 names 99"),
    ("neck", lambda array: array[:4], "neck is float64 of shape"),
    ("texture_0", lambda array: array[8:], "neither PNG nor JPEG"),
    ("corrective_features", lambda array: array[:0], "corrective_features is"),
    ("document", lambda array: array[:-1], "do not form a character"),
    ("version", lambda array: array + 1, "version 2"),
]


@pytest.mark.parametrize(("name", "change", "message"), BAD_ARRAYS)
def test_each_array_is_checked(tmp_path, character, name, change, message):
    path = tmp_path / "a.character.npz"
    character_npz.write(path, character)
    arrays = read_npz(path)
    write_npz(path, arrays | {name: change(arrays[name])})
    if message is None:
        assert character_npz.read(path).name == "toy"
        return
    with pytest.raises(InputError, match=message):
        character_npz.read(path)


BAD_WORDS = [
    (lambda d: d["landmarks"].update(chin=10**6), "landmark 'chin' is vertex 1000000"),
    (lambda d: d["drivers"][0].update(joint="tail"), "joint 'tail', which is not there"),
    (lambda d: d["drivers"][0].update(axis=[0, 0, 2]), "degrees about"),
    (lambda d: d["drivers"][0].update(axis=[0, 1]), "2 numbers instead of 3"),
    (lambda d: d["parts"][0].__setitem__(1, "gold"), "material 'gold', which is not there"),
    (lambda d: d["parts"][1].__setitem__(2, 3), "does not begin where"),
    (lambda d: d["parts"].pop(), "the parts end at"),
    (lambda d: d["parts"][0].__setitem__(3, -1), "goes from"),
    (lambda d: d["correctives"][0].__setitem__(0, "none"), "shape 'none', which is not there"),
    (lambda d: d["materials"][0].update(alpha="x"), "has the alpha 'x'"),
    (lambda d: d["materials"][0].update(colour_map=7), "texture 7 of 2"),
    (lambda d: d["materials"][0].update(colour_map="../../etc/passwd"), "texture ../../etc/passwd of 2"),
    (lambda d: d.update(textures=["../x", "y", "z"]), "texture 2 is missing"),
    (lambda d: d.update(licence=""), "no licence"),
    (lambda d: d.update(name=5), "5 is not text"),
    (lambda d: d.pop("materials"), "materials"),
    (lambda d: d.update(provenance=[]), "do not form a character"),
]


@pytest.mark.parametrize(("change", "message"), BAD_WORDS)
def test_each_word_of_the_document_is_checked(tmp_path, character, change, message):
    path = tmp_path / "a.character.npz"
    character_npz.write(path, character)
    arrays = read_npz(path)
    document = json.loads(arrays["document"].tobytes())
    change(document)
    write_npz(path, arrays | {"document": np.frombuffer(json.dumps(document).encode(), np.uint8)})
    with pytest.raises(InputError, match=message):
        character_npz.read(path)


def test_other_files_are_refused_by_what_they_are(tmp_path, character):
    path = tmp_path / "a.character.npz"
    np.savez(path, a=np.zeros(3))
    with pytest.raises(InputError, match="not a character"):
        character_npz.read(path)
    np.savez(path, format=np.array("hyoid.character"), version=np.array(1), a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="object"):
        character_npz.read(path)
    np.savez(path, format=np.array("hyoid.character"), version=np.array(1))
    with pytest.raises(InputError, match=r"lacks vertices, .*document"):
        character_npz.read(path)


def test_an_unsound_character_or_a_lost_picture_is_not_written(tmp_path, character):
    path = tmp_path / "a.character.npz"
    with pytest.raises(InputError, match="no licence"):
        character_npz.write(path, replace(character, licence=" "))
    (tmp_path / "skin.png").unlink()
    with pytest.raises(InputError, match=r"skin\.png"):
        character_npz.write(path, character)
    assert not path.exists()


def test_the_bundled_human_is_sound():
    """The checks hold for a real character, cut and whole."""
    for part in ("full", "head"):
        assert list(problems(characters.load("human", part=part))) == []
