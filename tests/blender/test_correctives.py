# SPDX-License-Identifier: Apache-2.0
"""Shapes that follow joints: the same in Blender, glTF and USD as in the toolkit, however the joint came to turn."""

import dataclasses

import numpy as np
import pytest
from hyoid import blender
from hyoid.characters import lighter, performance
from hyoid.formats import glb, glb_take, usd
from hyoid.formats.gltf_mesh import wedges
from hyoid.geometry import rotations

from tests import toy
from tests.blender import tools

FRAMES = [0, 7, 13, 22, 39]


def extreme(frames=40):
    """The toy's take with neck joints turned by up to about 50 degrees each: far beyond any neck."""
    take = toy.take(frames)
    random = np.random.default_rng(3)
    turned = rotations.from_rotation_vector(random.normal(0, 0.5, (frames, len(take.joint_names), 3)))
    return dataclasses.replace(take, rotations=rotations.continuous(turned).astype(np.float32))


@pytest.mark.blender
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("version", tools.VERSIONS)
def test_the_correctives_are_the_toolkits_in_every_blender(version, full, tmp_path, monkeypatch):
    place = tools.folder_of(version)
    if place is not None:
        monkeypatch.setenv("HYOID_BLENDER", str(place))
    character, take = toy.corrected(full=full), extreme()
    blender.write(tmp_path / "shot.blend", character, take)
    seen = tools.probe(tmp_path / "shot.blend", [frame + 1 for frame in FRAMES], tmp_path, version)
    tools.check(seen, character, take, FRAMES)
    assert seen.info["invalid_drivers"] == []


@pytest.mark.blender
@pytest.mark.parametrize("suffix", [".fbx", ".glb", ".usdc"])
def test_files_hold_their_weights_frame_by_frame(suffix, tmp_path):
    """Read back by Blender. The eyes of the toy follow a corrective too."""
    tools.folder_of("4.2")
    character, take = toy.corrected(), extreme()
    path = tmp_path / f"shot{suffix}"
    if suffix == ".fbx":
        blender.write(path, character, take)
    else:
        (glb if suffix == ".glb" else usd).write(path, character, take)
    first = 1 if suffix == ".fbx" else 0  # the frame at which the importer puts the beginning
    seen = tools.probe(path, [frame + first for frame in FRAMES], tmp_path)
    shown, _ = tools.expected(character, take, FRAMES)
    for part in character.parts:
        mesh = next(name for name in seen.vertices if name == part.name or name.endswith(f"_{part.name}"))
        rows = wedges(character, part).vertices if suffix == ".glb" else part.vertices
        assert np.abs(seen.vertices[mesh] - shown[:, rows]).max() < tools.TOLERANCE, part.name


def test_a_take_read_from_glb_has_no_curves_of_correctives(tmp_path):
    character, take = toy.corrected(), extreme()
    glb.write(tmp_path / "shot.glb", character, take)
    read = glb_take.read(tmp_path / "shot.glb")
    assert not [name for name in read.curve_names if name.startswith("corrective")]
    before, after = (performance.perform(character, shown).shape_weights for shown in (take, read))
    assert np.abs(before - after).max() < 2e-5


def worst(character, other, joint, degrees=180):
    """Largest distance, metres, between the skins of two records of a character over turns of one joint."""
    random = np.random.default_rng(1)
    axes = random.normal(size=(60, 3))
    angles = np.radians(np.linspace(-degrees, degrees, 60))
    turned = rotations.from_rotation_vector(axes / np.linalg.norm(axes, axis=1, keepdims=True) * angles[:, None])
    take = dataclasses.replace(toy.take(60), joint_names=(joint,), rotations=turned[:, None].astype(np.float32))
    shown = [performance.deform(each, performance.perform(each, take)) for each in (character, other)]
    return np.abs(shown[0] - shown[1]).max()


def test_fewer_correctives_do_the_same():
    """Nine one-hot correctives whose offsets have rank two, with a whisper of a third, become two."""
    character = toy.corrected(full=True, joints=("c5c6",))
    shapes, first = character.shapes, character.shapes.names.index("corrective_c5c6_0")
    rows = slice(int(shapes.starts[first]), int(shapes.starts[first + 1]))
    count = rows.stop - rows.start
    random = np.random.default_rng(2)
    bases = random.normal(0, [[[0.01]], [[0.004]], [[1e-7]]], (3, count, 3))
    offsets = shapes.offsets.copy()
    offsets[rows.start :] = np.einsum("kb,bvc->kvc", random.normal(size=(9, 3)), bases).reshape(-1, 3)
    character = dataclasses.replace(character, shapes=dataclasses.replace(shapes, offsets=offsets))
    light = lighter.lighter(character)
    assert len(light.correctives) == 2
    assert light.shapes.names[:first] == character.shapes.names[:first]
    assert light.shapes.names[first:] == tuple(corrective.shape for corrective in light.correctives)
    assert worst(character, light, "c5c6") < lighter.TOLERANCE
    assert worst(character, dataclasses.replace(light, correctives=light.correctives[:1]), "c5c6") > 0.001


def test_a_full_set_that_cannot_be_reduced_stays_exact():
    character = toy.corrected(full=True)
    light = lighter.lighter(character)
    assert len(light.correctives) == 18
    assert max(worst(character, light, joint) for joint in ("c5c6", "c1c2")) < lighter.TOLERANCE


def test_few_correctives_stay_and_are_enlarged_where_no_slider_holds_their_weights():
    character = toy.corrected()
    assert lighter.lighter(character) is character
    wild = [dataclasses.replace(entry, features=100 * entry.features) for entry in character.correctives]
    wild = dataclasses.replace(character, correctives=tuple(wild))
    assert lighter.lighter(wild) is wild
    small = lighter.with_small_weights(wild, 10.0)
    assert small.shapes.names == wild.shapes.names
    assert max(np.linalg.norm(entry.features) for entry in small.correctives) <= 10 / np.sqrt(2) + 1e-9
    assert worst(wild, small, "c5c6", 40) < lighter.TOLERANCE
    assert lighter.with_small_weights(character, 10.0) is character
