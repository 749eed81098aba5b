# SPDX-License-Identifier: Apache-2.0
"""The bundled human with joints as others name them: names, rest pose, weights, lifted motion and what files hold."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hyoid import blender, characters
from hyoid.characters import arkit, named_skeletons, performance, retarget, skeleton_roles
from hyoid.characters.character import Character
from hyoid.characters.smpl import family
from hyoid.errors import UsageError
from hyoid.formats import bvh, character_checks, glb, read_take
from hyoid.geometry import rotations
from hyoid.motion import chain, skeletons
from hyoid.take import CharacterReference, Take
from hyoid.verbs import outputs

from tests.blender import tools
from tests.formats.test_glb import assert_valid
from tests.formats.test_usd import problems
from tests.motion import walks

TOLERANCE = 1e-4
"""Metres."""
JOINTS = {"mixamo": 67, "rigify": 67, "cmu": 31, "smplx": 55}
FRAMES = [0, 20, 44]
SIDES = {
    "mixamo": ("mixamorig:Left", "mixamorig:Right"), "rigify": (".L", ".R"), "cmu": ("L", "R"),
    "smplx": ("left_", "right_"),
}  # fmt: skip


@cache
def character(name: str) -> Character:
    return named_skeletons.load(name)


@cache
def human() -> Character:
    return characters.load("human")


def skeleton(of: Character) -> skeletons.Skeleton:
    return skeletons.Skeleton(
        of.joint_names, of.parents, of.heads.astype(float), skeleton_roles.of_character(of).roles
    )  # fmt: skip


@cache
def walked(name: str) -> tuple[chain.Performance, Take]:
    """A noisy walk of a second and a half, cleaned on a skeleton, also as a take."""
    camera, truth, of = walks.camera(), walks.walk(seconds=1.5), character(name)
    joints = walks.noisy(walks.seen(truth, camera), camera, 0)
    done = chain.clean(skeleton(of), joints, camera, 30.0)
    frames = len(done.pose.rotations)
    curves = np.zeros((frames, len(arkit.CURVES)), np.float32)
    curves[:, arkit.CURVES.index("larynxSize")] = 1
    curves[:, arkit.CURVES.index("jawOpen")] = np.linspace(0, 0.6, frames)
    curves[:, arkit.CURVES.index("eyeLookOutLeft")] = np.linspace(0, 0.9, frames)
    return done, Take(
        fps=30.0, curve_names=arkit.CURVES, curves=curves, joint_names=of.joint_names,
        rotations=done.pose.rotations.astype(np.float32), root=done.pose.root.astype(np.float32),
        confidence=np.ones(frames, np.float32), character=CharacterReference(of.name),
    )  # fmt: skip


def places(of: Character, take: Take, frames: list[int]) -> np.ndarray:
    return performance.joint_transforms(of, performance.perform(of, take))[frames, :, :3, 3]


# What is it?


@pytest.mark.parametrize("name", named_skeletons.NAMES)
def test_the_character_is_sound_free_and_loads_by_its_name(name):
    found = characters.load(f"human_{name}")
    assert list(character_checks.problems(found)) == []
    assert (found.name, found.licence) == (named_skeletons.character_name(name), "CC0-1.0")
    assert len(found.joint_names) == JOINTS[name]
    assert found.weights.sum(1) == pytest.approx(1, abs=1e-6)
    assert characters.settings_of(f"human_{name}") == characters.settings_of("human")


def test_the_hierarchies_are_those_of_the_conventions():
    parents = {
        name: {
            joint: of.joint_names[parent] if parent >= 0 else ""
            for joint, parent in zip(of.joint_names, of.parents.tolist(), strict=True)
        }
        for name in named_skeletons.NAMES
        for of in [character(name)]
    }
    mixamo = {
        joint.removeprefix("mixamorig:"): up.removeprefix("mixamorig:") for joint, up in parents["mixamo"].items()
    }
    assert all(joint.startswith("mixamorig:") for joint in parents["mixamo"])
    assert [mixamo[joint] for joint in ("Hips", "Spine", "Spine1", "Spine2", "Neck", "Head", "HeadTop_End")] == [
        "", "Hips", "Spine", "Spine1", "Spine2", "Neck", "Head",
    ]  # fmt: skip
    assert [mixamo[joint] for joint in ("RightShoulder", "RightArm", "RightHandPinky1", "RightHandPinky4")] == [
        "Spine2", "RightShoulder", "RightHand", "RightHandPinky3",
    ]  # fmt: skip
    assert [mixamo[joint] for joint in ("LeftUpLeg", "LeftToeBase", "LeftToe_End")] == [
        "Hips", "LeftFoot", "LeftToeBase",
    ]  # fmt: skip
    rigify = parents["rigify"]
    assert [rigify[joint] for joint in ("spine", "thigh.L", "pelvis.R", "shoulder.L", "palm.02.R", "eye.L", "jaw")] == [
        "", "spine", "spine", "spine.003", "hand.R", "face", "face",
    ]  # fmt: skip
    assert (rigify["thumb.01.L"], rigify["f_middle.01.R"]) == ("palm.01.L", "palm.02.R")
    cmu = parents["cmu"]
    assert list(cmu)[:8] == [
        "Hips", "LHipJoint", "LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase", "RHipJoint", "RightUpLeg",
    ]  # fmt: skip
    assert [cmu[joint] for joint in ("LowerBack", "Neck1", "RightShoulder", "RightHandIndex1", "RThumb")] == [
        "Hips", "Neck", "Spine1", "RightFingerBase", "RightHand",
    ]  # fmt: skip
    smplx = tuple(parents["smplx"])
    own = {"left_eye_smplhf": "eye.L", "right_eye_smplhf": "eye.R"}
    assert tuple(own.get(joint, joint) for joint in smplx) == family.JOINTS["SMPL-X"]
    assert smplx.index("left_wrist") == 20
    assert parents["smplx"]["left_pinky1"] == "left_wrist"


@pytest.mark.parametrize("name", named_skeletons.NAMES)
def test_every_role_has_its_joints(name):
    roles = skeleton_roles.of_character(character(name)).roles
    limbs = ("collar", "arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
    wanted = {"hips", "spine", "neck", *(f"{limb}.{side}" for limb in limbs for side in "LR")}
    assert wanted <= set(roles)
    assert all(len(roles[role]) == 1 for role in wanted if "." in role)
    fingers = {f"{finger}.{side}" for finger in ("thumb", "index", "middle", "ring", "pinky") for side in "LR"}
    if name != "cmu":
        assert all(len(roles[finger]) == 3 for finger in fingers)


def test_unknown_names_are_told():
    with pytest.raises(UsageError, match="unknown skeleton 'maya'"):
        named_skeletons.load("maya")
    with pytest.raises(UsageError, match="human_mixamo"):
        characters.load("human_maya")
    with pytest.raises(UsageError, match="nose"):
        characters.load("human_cmu", {"nose-long": 1.0})


# How does it rest?


@pytest.mark.parametrize("settings", [{}, {"age": 0.1}, {"gender": 1.0, "weight": 1.0, "height": 0.8}])
@pytest.mark.parametrize("name", ["mixamo", "cmu"])
def test_it_rests_in_a_t_pose_on_the_ground(name, settings):
    of = characters.load(f"human_{name}", settings)
    found = skeleton_roles.of_character(of)
    for side, sign in (("L", 1), ("R", -1)):
        for role in ("arm", "forearm"):
            np.testing.assert_allclose(found.directions[f"{role}.{side}"], [sign, 0, 0], atol=1e-5)
        assert found.directions[f"index.{side}"] @ [sign, 0, 0] > 0.9
        for role in ("thigh", "shin"):
            assert found.directions[f"{role}.{side}"][0] == pytest.approx(0, abs=1e-5)
            assert found.directions[f"{role}.{side}"][1] < -0.98
    left, right = (of.heads[[i for i, joint in enumerate(of.joint_names) if SIDES[name][k] in joint]] for k in (0, 1))
    if name == "mixamo":
        np.testing.assert_allclose(left * [-1, 1, 1], right, atol=1e-5)
    assert of.vertices[of.parts[0].vertices, 1].min() == pytest.approx(0, abs=1e-6)
    # Feet that the motion code plants stand on the skin's own ground.
    assert skeletons.floor(skeleton(of)) == pytest.approx(0, abs=5e-4)


@pytest.mark.parametrize("name", named_skeletons.NAMES)
def test_the_face_is_that_of_the_human(name):
    """Head, eyes, teeth and tongue only move up with the body; their shapes and the larynx are the same numbers."""
    of, own = character(name), human()
    body = own.parts[0].vertices
    moved = of.vertices.astype(float) - own.vertices
    rigid = own.vertices[:, 1] > own.heads[own.joint("c7t1"), 1] + 0.05
    rigid[body.stop :] = True
    assert np.ptp(moved[rigid], axis=0).max() < 1e-6
    gone = {entry.shape for entry in own.correctives}
    assert of.shapes.names == tuple(shape for shape in own.shapes.names if shape not in gone)
    for shape in (*arkit.NAMES, *arkit.LARYNX_SHAPES):
        np.testing.assert_allclose(of.offsets(shape)[rigid], own.offsets(shape)[rigid], atol=1e-9)
        assert np.abs(of.offsets(shape) - own.offsets(shape)).max() < 2e-4
    eyes = {driver.joint for driver in of.drivers}
    assert eyes == {joint for joint in of.joint_names if "eye" in joint.lower()}
    assert of.landmarks == own.landmarks


def test_hanging_arms_look_as_those_of_the_human():
    """Posed back into the human's own rest the skin lies where it did: the shoulder's blend is undone, not doubled."""
    of, own = character("mixamo"), human()
    here, there = skeleton_roles.of_character(of), skeleton_roles.of_character(own)
    rest = Take(
        fps=30.0, curve_names=(), curves=np.zeros((1, 0), np.float32), joint_names=own.joint_names,
        rotations=rotations.identity(1, len(own.joint_names)), root=np.zeros((1, 3), np.float32),
        confidence=np.ones(1, np.float32),
    )  # fmt: skip
    assert here.directions["arm.L"] @ there.directions["arm.L"] < 0.75
    moved = retarget.retarget(rest, of, CharacterReference(of.name), source=own).take
    posed = performance.deform(of, performance.perform(of, moved))[0]
    # Thighs and shins have their joints elsewhere by millimetres, so the trunk and the arms are compared.
    upper = (own.vertices[:, 1] > 1.1) & (np.arange(len(own.vertices)) < own.parts[0].vertices.stop)
    away = np.linalg.norm((posed - own.vertices - [0, of.heads[0, 1] - own.heads[1, 1], 0])[upper], axis=1)
    assert np.quantile(away, 0.95) < 0.004


@pytest.mark.parametrize(("part", "subdivision"), [("head", 0), ("full", 1)])
def test_busts_and_finer_meshes(part, subdivision):
    of = characters.load("human_mixamo", part=part, subdivision=subdivision)
    assert list(character_checks.problems(of)) == []
    assert ("mixamorig:LeftUpLeg" in of.joint_names) == (part == "full")
    assert of.joint_names[0] == "mixamorig:Hips"
    assert len(of.vertices) == len(characters.load("human", part=part, subdivision=subdivision).vertices)


# What do motion and files make of it?


@pytest.mark.parametrize("name", named_skeletons.NAMES)
def test_a_walk_is_clean_on_it_and_stands_on_its_soles(name):
    done, take = walked(name)
    assert done.quality.skate < 5
    assert done.quality.penetration < 10
    of = character(name)
    skin = performance.deform(of, performance.perform(of, take))
    lowest = skin[..., 1].min(1)[done.standing.any(1)]
    assert np.median(np.abs(lowest)) < 0.005


@pytest.mark.parametrize("name", named_skeletons.NAMES)
def test_bvh_holds_the_walk(name, tmp_path):
    of, (_, take) = character(name), walked(name)
    bvh.write(tmp_path / "walk.bvh", of, take)
    back = read_take(tmp_path / "walk.bvh")
    assert sorted(back.joint_names) == sorted(of.joint_names)
    np.testing.assert_allclose(places(of, back, FRAMES), places(of, take, FRAMES), atol=TOLERANCE)


@pytest.mark.parametrize("name", ["mixamo", "cmu"])
def test_glb_and_usd_are_valid_and_hold_the_walk(name, tmp_path):
    of, (_, take) = character(name), walked(name)
    outputs.export(of, take, [tmp_path / "walk.glb", tmp_path / "walk.usdc"])
    assert problems(tmp_path / "walk.usdc") == []
    back = read_take(tmp_path / "walk.glb")
    assert back.character.name == of.name
    assert {source.licence for source in back.provenance.sources} == {"CC0-1.0"}
    np.testing.assert_allclose(places(of, back, FRAMES), places(of, take, FRAMES), atol=TOLERANCE)
    assert_valid(tmp_path / "walk.glb")


def test_a_take_goes_from_one_convention_to_another():
    """Directions of limbs stay: all rest in the same T pose and so copy each other's rotations."""
    _, take = walked("mixamo")
    of = character("smplx")
    moved = retarget.retarget(take, of, CharacterReference(of.name), source=character("mixamo")).take
    there, here = (
        [character(name).joint(joint) for joint in joints]
        for name, joints in (
            ("smplx", ("left_elbow", "left_wrist", "right_knee", "head")),
            ("mixamo", ("mixamorig:LeftForeArm", "mixamorig:LeftHand", "mixamorig:RightLeg", "mixamorig:Head")),
        )
    )
    one, other = places(of, moved, FRAMES)[:, there], places(character("mixamo"), take, FRAMES)[:, here]
    np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.blender
@pytest.mark.parametrize("name", [
    "mixamo", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rigify", "cmu", "smplx")),
])  # fmt: skip
def test_blender_shows_the_walk_under_the_names(name, tmp_path):
    tools.folder_of("4.2")
    of, (_, take) = character(name), walked(name)
    for suffix, shift in ((".blend", 1), (".fbx", 1), (".glb", 0)):
        path = tmp_path / f"walk{suffix}"
        if suffix == ".glb":
            glb.write(path, of, take)
        else:
            blender.write(path, of, take)
        seen = tools.probe(path, [frame + shift for frame in FRAMES], tmp_path)
        assert set(seen.joints) == set(of.joint_names), suffix
        expected = places(of, take, FRAMES)
        for index, joint in enumerate(of.joint_names):
            assert np.abs(seen.joints[joint] - expected[:, index]).max() < TOLERANCE, (suffix, joint)
        assert seen.info["invalid_drivers"] == []


_OTHER_RIG = """
import math
data = bpy.data.armatures.new("own")
own = bpy.data.objects.new("own", data)
scene.collection.objects.link(own)
bpy.context.view_layer.objects.active = own
bpy.ops.object.mode_set(mode="EDIT")
for number, bone in enumerate(armature.data.bones):
    if bone.name.startswith("mixamorig:"):
        copy = data.edit_bones.new(bone.name)
        copy.head, copy.tail = bone.head_local * 100, bone.tail_local * 100
        copy.roll = math.radians(37 * number)
        copy.parent = data.edit_bones[bone.parent.name] if bone.parent else None
bpy.ops.object.mode_set(mode="OBJECT")
own.scale = (0.01, 0.01, 0.01)
"""
"""A rig in centimetres whose bones have other axes, as files of Mixamo have."""


@pytest.mark.slow
@pytest.mark.blender
def test_the_script_of_the_guide_moves_an_own_character(tmp_path):
    tools.folder_of("4.2")
    of, (_, take) = character("mixamo"), walked("mixamo")
    blender.write(tmp_path / "walk.blend", of, take)
    guide = (Path(__file__).parents[2] / "docs" / "named_skeletons.md").read_text(encoding="utf-8")
    script = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)[0].replace('"Armature"', '"own"')
    seen = tools.probe(
        tmp_path / "walk.blend", [frame + 1 for frame in FRAMES], tmp_path, statement=_OTHER_RIG + script
    )
    expected = places(of, take, FRAMES)
    for index, joint in enumerate(of.joint_names):
        # Both armatures stand in the scene: every frame has the joint twice.
        both = seen.joints[joint].reshape(len(FRAMES), 2, 3)
        assert np.abs(both - expected[:, None, index]).max() < TOLERANCE, joint
