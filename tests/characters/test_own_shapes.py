# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
"""A person's expressions as the shapes of a rig: names, noise, necks, what is replaced, what is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid import blender, characters
from hyoid.characters import arkit, own_shapes, performance, shape_solver
from hyoid.characters.fit import transfer
from hyoid.characters.neck import JOINTS
from hyoid.errors import InputError, UsageError
from hyoid.files import part_file
from hyoid.formats import character_npz, glb, usd
from hyoid.formats.character_checks import problems
from hyoid.geometry import rotations
from hyoid.geometry.registration import Similarity
from hyoid.take import CharacterReference, Provenance, Take

from tests import toy
from tests.characters.heads import decimated, mesh_of
from tests.judges import gltf_verdict

NEUTRAL = np.random.default_rng(0).normal(size=(30, 3))


def moved(seed: int, size: float = 0.01) -> np.ndarray:
    """The neutral with something done to it."""
    return NEUTRAL + size * np.random.default_rng(seed).normal(size=NEUTRAL.shape)


@pytest.fixture(scope="module")
def human():
    return characters.load("human", part="head")


@pytest.fixture(scope="module")
def person(human):
    """A mesh of another topology, its rig, and captured expressions that are a fifth larger than the model's."""
    mesh, rows = decimated(human)
    rig, _ = transfer.rig_mesh(human, mesh, name="person")
    names = ("neutral", "jaw_open", "mouth_smile_L", "puff and pucker")
    frames = [
        mesh.vertices,
        mesh.vertices + 1.2 * human.offsets("jawOpen")[rows],
        mesh.vertices + 1.2 * human.offsets("mouthSmileLeft")[rows],
        mesh.vertices + 0.5 * (human.offsets("cheekPuff") + human.offsets("mouthPucker"))[rows],
    ]
    return mesh, rig, names, frames, shape_solver.face_share(mesh)


# --- Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("jaw_open", "jawOpen"), ("JawOpen", "jawOpen"), ("jawOpen_001", "jawOpen"), ("jawOpen001", "jawOpen"),
        ("Jaw Open", "jawOpen"), ("JAW-OPEN_v2", "jawOpen"), ("bs.jawOpen", "jawOpen"), ("browDown_L", "browDownLeft"),
        ("head:mouth_smile_right", "mouthSmileRight"), ("/scans/a/03_left_brow_down.ply", "browDownLeft"),
        ("scans\\alice_eyeBlink.L.obj", "eyeBlinkLeft"), ("mouth_left", "mouthLeft"), ("tongue out", "tongueOut"),
        ("browInnerUp_L", "browInnerUp_L"),
        # What means no single ARKit shape stays what it is.
        ("smile", "smile"), ("mouthSmile", "mouthSmile"), ("jawOpen_mouthClose", "jawOpen_mouthClose"),
        ("AU12", "AU12"), ("say cheese 2.obj", "say cheese 2"),
    ],
)  # fmt: skip
def test_names_are_told_generously(name, means):
    assert own_shapes.meaning(name) == means


@pytest.mark.parametrize("name", arkit.NAMES)
def test_every_arkit_name_means_itself(name):
    assert own_shapes.meaning(name) == name
    assert own_shapes.meaning(f"bob_{name}_003.obj") == name


def test_the_neutral_is_found_by_its_name():
    assert own_shapes.neutral_of(("jawOpen", "alice_neutral_01.obj", "smile")) == 1
    with pytest.raises(InputError, match="no expression is named 'neutral'"):
        own_shapes.neutral_of(("jawOpen", "smile"))
    with pytest.raises(InputError, match=r"'rest\.obj' and 'neutral'"):
        own_shapes.neutral_of(("rest.obj", "neutral"))


# --- Deltas -----------------------------------------------------------------------------------------------------------


def test_order_and_values():
    """ARKit's shapes come first in ARKit's order, whatever the order of the files."""
    frames = [moved(1), NEUTRAL, moved(2), moved(3)]
    names, deltas = own_shapes.own_shapes(("tongueOut", "neutral", "grin", "jaw_open"), frames, "neutral", floor=0)
    assert names == ("jawOpen", "tongueOut", "grin")
    for delta, frame in zip(deltas, (frames[3], frames[0], frames[2]), strict=True):
        np.testing.assert_allclose(delta, frame - NEUTRAL, atol=1e-8)
    assert deltas.dtype == np.float32
    again = own_shapes.own_shapes(("tongueOut", "neutral", "grin", "jaw_open"), frames, 1, floor=0)
    assert again[1].tobytes() == deltas.tobytes()


def test_noise_is_dropped_without_a_step():
    """Offsets of 0, 0.005, ... 0.14 mm, in centimetres: below the floor nothing is left, far above it everything."""
    sizes = 0.005 * np.arange(29)
    frame = NEUTRAL.copy()
    frame[:29, 1] += 0.1 * sizes
    _, deltas = own_shapes.own_shapes(("a", "b"), [NEUTRAL, frame], "a", metres=0.01)
    left = 10 * np.linalg.norm(deltas[0, :29], axis=1)
    assert not left[sizes < 0.049].any()
    np.testing.assert_allclose(left[sizes > 0.11], sizes[sizes > 0.11], atol=1e-6)
    assert np.diff(left).max() < 0.016  # nothing jumps by more than three of the steps that went in
    assert not deltas[0, 29:].any()


def test_necks_do_not_leak():
    face = np.linspace(1, 0, len(NEUTRAL))
    _, deltas = own_shapes.own_shapes(("a", "b"), [NEUTRAL, NEUTRAL + 0.01], "a", face=face, floor=0)
    np.testing.assert_allclose(deltas[0], 0.01 * face[:, None].repeat(3, 1), atol=1e-8)


def test_halves_become_the_shape_of_both():
    frames = [NEUTRAL, moved(1), moved(2)]
    names, deltas = own_shapes.own_shapes(("n", "browInnerUp_L", "brow_inner_up_right"), frames, "n", floor=0)
    assert names == ("browInnerUp", "browInnerUp_L", "browInnerUp_R")
    np.testing.assert_allclose(deltas[0], deltas[1] + deltas[2], atol=1e-8)


def test_a_captured_mouth_close_loses_its_jaw(human):
    """Captures show it with the jaw open; ARKit adds it to jawOpen. One that is a correction already stays."""
    jaw, close = human.offsets("jawOpen"), human.offsets("mouthClose")
    for captured in (close, close + jaw):
        names, deltas = own_shapes.own_shapes(("n", "jawOpen", "mouthClose"), [0 * jaw, jaw, captured], "n", floor=0)
        np.testing.assert_allclose(deltas[names.index("mouthClose")], close, atol=1e-7)


def test_two_files_of_one_shape_are_both_named():
    with pytest.raises(InputError) as caught:
        own_shapes.own_shapes(("n", "a/jawOpen.obj", "b/Jaw_Open_02.obj"), [NEUTRAL, moved(1), moved(2)], "n")
    assert all(part in str(caught.value) for part in ("a/jawOpen.obj", "b/Jaw_Open_02.obj", "'jawOpen'"))


@pytest.mark.parametrize(
    ("names", "frames", "neutral", "more", "kind", "words"),
    [
        (("n", "b.obj"), [NEUTRAL, NEUTRAL[:9]], "n", {}, InputError, "b.obj: vertices (9, 3); expected (30, 3)"),
        (("n", "b.obj"), [NEUTRAL, np.full((30, 3), np.nan)], "n", {}, InputError, "b.obj: vertex 0 is not a finite"),
        (("n",), [NEUTRAL], "n", {}, InputError, "no expression beside the neutral"),
        (("n", "b"), [NEUTRAL], "n", {}, InputError, "1 meshes with 2 names"),
        (("n", "b"), [NEUTRAL, NEUTRAL], "c", {}, UsageError, "the neutral is 'c'; expected one of n, b"),
        (("n", "b"), [NEUTRAL, NEUTRAL], 2, {}, UsageError, "the neutral is '2'"),
        (("n", "b"), [NEUTRAL, NEUTRAL], "n", {"floor": -1.0}, UsageError, "noise floor of -1"),
        (("n", "b"), [NEUTRAL, NEUTRAL], "n", {"face": np.ones(4)}, InputError, "(4,)"),
    ],
)
def test_bad_sets_are_named(names, frames, neutral, more, kind, words):
    with pytest.raises(kind) as caught:
        own_shapes.own_shapes(names, frames, neutral, **more)
    assert words in str(caught.value)


# --- On a rig ---------------------------------------------------------------------------------------------------------


def test_the_persons_shapes_replace_the_models(person, human):
    """Theirs are in, the others are the model's, a new name stands before the correctives, the record is sound."""
    mesh, rig, names, frames, face = person
    made, deltas = own_shapes.own_shapes(names, frames, "neutral", face=face)
    character = own_shapes.onto(rig, made, deltas, face=face)
    assert list(problems(character)) == []
    assert set(character.shapes.names) == {*rig.shapes.names, "puff and pucker"}
    place = character.shapes.names.index("puff and pucker")
    first = min(character.shapes.names.index(entry.shape) for entry in character.correctives)
    assert place == first - 1
    inside = face == 1
    for name, frame in zip(("jawOpen", "mouthSmileLeft", "puff and pucker"), frames[1:], strict=True):
        truth = frame - mesh.vertices
        strong = inside & (np.linalg.norm(truth, axis=1) > 2e-4)
        np.testing.assert_allclose(character.offsets(name)[strong], truth[strong], atol=1e-6)
    for name in set(rig.shapes.names) - {"jawOpen", "mouthSmileLeft"}:
        np.testing.assert_array_equal(character.offsets(name), rig.offsets(name))
    outside = face == 0
    np.testing.assert_allclose(character.offsets("jawOpen")[outside], rig.offsets("jawOpen")[outside], atol=1e-6)


def test_deltas_come_from_the_space_of_the_file(person):
    """Centimetres with +Z up: the rig has metres with +Y up."""
    _, rig, names, frames, _ = person
    made, deltas = own_shapes.own_shapes(names, frames, "neutral")
    turn = rotations.to_matrix(rotations.from_rotation_vector(np.array([-np.pi / 2, 0, 0])))
    placement = Similarity(0.01, turn, np.array([0.1, 0.2, 0.3]))
    there = (deltas @ turn) / 0.01
    first, second = own_shapes.onto(rig, made, deltas), own_shapes.onto(rig, made, there, placement)
    np.testing.assert_allclose(first.offsets("jawOpen"), second.offsets("jawOpen"), atol=1e-7)


def test_what_was_not_captured_keeps_the_models_motion():
    """Static teeth in a scan must not stay behind when the jaw opens, and eyeballs have joints of their own."""
    rig = toy.character()
    eye = rig.parts[1]
    offsets = np.zeros((len(rig.vertices), 3))
    offsets[eye.vertices] = 0.002
    teeth = replace(rig.parts[2], name="teeth_lower")
    offsets[teeth.vertices] = 0.003
    given = own_shapes.onto(rig, ("jawOpen",), offsets[None])  # the eye stays still all the same
    assert not given.offsets("jawOpen")[eye.vertices].any()
    rig = replace(given, parts=(*rig.parts[:2], teeth))
    rig = own_shapes.onto(rig, ("jawOpen",), offsets[None])
    np.testing.assert_allclose(rig.offsets("jawOpen")[teeth.vertices], 0.003, atol=1e-8)
    offsets[teeth.vertices] = 0
    offsets[:20] = 0.001
    again = own_shapes.onto(rig, ("jawOpen",), offsets[None])
    np.testing.assert_allclose(again.offsets("jawOpen")[teeth.vertices], 0.003, atol=1e-8)
    np.testing.assert_allclose(again.offsets("jawOpen")[:20], 0.001, atol=1e-8)


def test_what_does_not_fit_the_rig_is_named():
    rig = toy.character()
    count = len(rig.vertices)
    with pytest.raises(InputError, match=rf"expected \(1, {count}, 3\)"):
        own_shapes.onto(rig, ("jawOpen",), np.zeros((1, count + 1, 3)))
    with pytest.raises(InputError, match="two shapes are named 'grin'"):
        own_shapes.onto(rig, ("grin", "grin"), np.zeros((2, count, 3)))
    rig = toy.corrected()
    corrective = rig.correctives[0].shape
    with pytest.raises(InputError, match=f"a shape is named '{corrective}'"):
        own_shapes.onto(rig, (corrective,), np.zeros((1, len(rig.vertices), 3)))


# --- Written ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(person):
    """Without a rig: the face alone on a neck of joints."""
    mesh, _, names, frames, face = person
    made, deltas = own_shapes.own_shapes(names, frames, "neutral", face=face)
    keep = face > 0
    faces = mesh.faces[keep[mesh.faces].all(1)]
    used = np.unique(faces)
    number = np.zeros(len(keep), np.int64)
    number[used] = np.arange(len(used))
    part = mesh_of(mesh.vertices[used], number[faces])
    return own_shapes.plain_character("mask", part, made, deltas[:, used]), made, deltas[:, used]


def test_a_mask_is_a_sound_character(plain):
    character, names, deltas = plain
    assert list(problems(character)) == []
    assert set(JOINTS) <= set(character.joint_names)
    for name, delta in zip(names, deltas, strict=True):
        np.testing.assert_allclose(character.offsets(name), delta, atol=1.1e-6)
    assert {"nose_tip", "chin"} <= set(character.landmarks)
    assert "crown" not in character.landmarks
    assert character.licence == own_shapes.LICENCE


def test_a_mask_turns_with_the_head(plain, human):
    """The joints lie where the human's do: a turn of the skull takes the nose where it takes the human's."""
    character, *_ = plain
    turn = rotations.from_rotation_vector(np.array([[0.0, 0.5, 0.0]])).astype(np.float32)[:, None]
    take = Take(
        fps=30.0, curve_names=("jawOpen",), curves=np.ones((1, 1), np.float32), joint_names=("oc1",), rotations=turn,
        root=np.zeros((1, 3), np.float32), confidence=np.ones(1, np.float32), events=(), audio=None,
        character=CharacterReference(), provenance=Provenance("", ""), mode="",
    )  # fmt: skip
    nose = []
    for record in (character, human):
        posed = performance.deform(record, performance.perform(record, take))[0]
        nose.append(posed[record.landmarks["nose_tip"]])
    assert np.linalg.norm(nose[0] - nose[1]) < 0.004  # half an edge of the mesh: the vertices differ
    rest = character.vertices[character.landmarks["nose_tip"]]
    assert np.linalg.norm(nose[0] - rest) > 0.03


@pytest.mark.parametrize("kind", ["rig", "mask"])
def test_files_hold_the_shapes(kind, plain, person, tmp_path):
    """Character file, .glb and .usda: valid, with the person's shapes, equal bytes twice."""
    _, rig, names, frames, face = person
    made, deltas = own_shapes.own_shapes(names, frames, "neutral", face=face)
    character = own_shapes.onto(rig, made, deltas, face=face) if kind == "rig" else plain[0]
    for suffix, write in ((".character.npz", character_npz.write), (".glb", glb.write), (".usda", usd.write)):
        data = []
        for folder in ("one", "two"):
            out = tmp_path / folder / f"me{suffix}"
            with part_file(out) as part:
                write(part, character)
            data.append(out.read_bytes())
        assert data[0] == data[1], suffix
    back = character_npz.read(tmp_path / "one" / "me.character.npz")
    np.testing.assert_array_equal(back.offsets("puff and pucker"), character.offsets("puff and pucker"))
    from pxr import Usd, UsdSkel, UsdValidation

    stage = Usd.Stage.Open(str(tmp_path / "one" / "me.usda"))
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert [error.GetMessage() for error in UsdValidation.ValidationContext(validators).Validate(stage)] == []
    blend = {prim.GetName() for prim in stage.Traverse() if prim.IsA(UsdSkel.BlendShape)}
    assert {"jawOpen", "mouthSmileLeft", "puff_and_pucker"} <= blend
    verdict = gltf_verdict(tmp_path / "one" / "me.glb")
    assert verdict["numErrors"] == 0, verdict


@pytest.mark.blender
def test_blender_gets_the_keys(plain, tmp_path):
    """A .blend of a mask opens with the person's shape keys, nothing in it is broken, a key moves what it should."""
    from tests.blender import tools

    character, names, deltas = plain
    out = tmp_path / "mask.blend"
    blender.write(out, character)
    turn_up = "for name in ('jawOpen', 'puff and pucker'):\n    bpy.data.shape_keys[0].key_blocks[name].value = 1.0\n"
    seen = tools.probe(out, [1], tmp_path, statement=turn_up)
    (name,) = seen.vertices
    assert {"jawOpen", "mouthSmileLeft", "puff and pucker"} <= set(seen.info["keys"][name])
    assert seen.info["invalid_drivers"] == []
    truth = character.vertices + deltas[names.index("jawOpen")] + deltas[names.index("puff and pucker")]
    assert np.abs(seen.vertices[name][0] - truth).max() < tools.TOLERANCE
