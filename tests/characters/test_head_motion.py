# SPDX-License-Identifier: Apache-2.0
"""Head motion of meshes on a character: the skull goes exactly where it went, the neck turns, the trunk stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import head_motion, neck, performance
from hyoid.errors import InputError
from hyoid.formats import take_npz
from hyoid.geometry import rotations
from hyoid.geometry.registration import Similarity
from hyoid.geometry.rigid import Rigid
from hyoid.take import CharacterReference, Provenance, Source

from tests import toy

REFERENCE = CharacterReference("human", {}, "head")
ORIGIN = Provenance("1.0", "stabilize", {"method": "facestab"}, (Source("input", "a.obj", "0" * 64, "private"),))
METRES, RADIANS = 1e-6, 1e-5
Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""From +Z up, looking along -Y, to +Y up, looking along +Z."""
TILTED = rotations.to_matrix(rotations.from_rotation_vector(np.array([0.3, -1.1, 0.6])))
HEAD = np.array([0.0, 1.72, 0.09])
PLACEMENTS = {
    "metres": Similarity(1.0, np.eye(3), np.zeros(3)),
    "centimetres, its origin in the head": Similarity(0.01, np.eye(3), HEAD),
    "millimetres, +Z up": Similarity(0.001, Z_UP, HEAD - 0.001 * Z_UP @ [10.0, -50.0, 1600.0]),
    "inches, tilted": Similarity(0.0254, TILTED, HEAD),
}


@pytest.fixture(scope="module")
def human():
    return characters.load("human", part="head", subdivision=0)


def motion_of(placement, frames=400, degrees=60.0, metres=0.3, seed=3):
    """Random head motion in the unit and axes of a file, about a point in the head."""
    random = np.random.default_rng(seed)
    axes = random.normal(size=(frames, 3))
    axes *= np.radians(random.uniform(0, degrees, (frames, 1))) / np.linalg.norm(axes, axis=1, keepdims=True)
    turns = rotations.to_matrix(rotations.from_rotation_vector(axes))
    ways = random.normal(size=(frames, 3))
    ways *= random.uniform(0, metres, (frames, 1)) / np.linalg.norm(ways, axis=1, keepdims=True) / placement.scale
    centre = placement.unapply(HEAD[None])[0]
    return Rigid(turns, ways + centre - turns @ centre)


def take_of(motion, character, placement=PLACEMENTS["metres"], fps=30.0, **more):
    options = {"confidence": np.ones(len(motion)), "provenance": ORIGIN} | more
    return head_motion.to_take(motion, placement, fps, character, REFERENCE, **options)


def angles(a, b):
    return np.radians(Rigid(a @ b.transpose(0, 2, 1), np.zeros((len(a), 3))).degrees())


@pytest.mark.parametrize("degrees", [60.0, 178.0])
@pytest.mark.parametrize("name", PLACEMENTS)
def test_the_skull_goes_where_it_went(human, name, degrees):
    """What the character's own kinematics make of the take is ``placement motion placement^-1``, at every angle."""
    placement = PLACEMENTS[name]
    motion = motion_of(placement, degrees=degrees)
    take = take_of(motion, human, placement)
    skull = human.joint("oc1")
    world = performance.joint_transforms(human, performance.perform(human, take))[:, skull].astype(float)
    # Judged without in_metres: points of the head in the file, moved there, and brought over.
    points = HEAD + np.random.default_rng(1).uniform(-0.1, 0.1, (20, 3))
    wanted = np.stack([placement.apply(moved) for moved in motion.apply(placement.unapply(points))])
    rest = human.heads[skull].astype(float)
    posed = (points - rest) @ world[:, :3, :3].transpose(0, 2, 1) + world[:, None, :3, 3]
    assert np.abs(posed - wanted).max() < METRES
    turned = placement.rotation @ motion.rotations @ placement.rotation.T
    assert angles(world[:, :3, :3], turned).max() < RADIANS
    moved = wanted[:, 0] - np.einsum("fij,j->fi", turned, points[0])
    assert np.abs(world[:, :3, 3] - world[:, :3, :3] @ rest - moved).max() < METRES


@pytest.mark.parametrize("name", PLACEMENTS)
def test_there_and_back(human, name):
    placement = PLACEMENTS[name]
    motion = motion_of(placement)
    back = head_motion.from_take(take_of(motion, human, placement), human)
    wanted = head_motion.in_metres(motion, placement)
    assert np.abs(back.translations - wanted.translations).max() < METRES
    assert angles(back.rotations, wanted.rotations).max() < RADIANS


def test_within_its_range_the_neck_does_it_alone(human):
    """A head that turns, nods and tilts leaves the trunk upright; the neck's joints are those of ``distribute``."""
    limits = human.neck
    most = np.radians([limits.flexion.sum(), limits.axial.sum(), limits.lateral.sum()])
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 9)] * 3), -1).reshape(-1, 3)
    wanted = grid[(grid**2).sum(1) <= 1] * 0.9 * most
    head = rotations.from_rotation_vector(wanted)
    take = take_of(Rigid(rotations.to_matrix(head), np.zeros((len(head), 3))), human)
    trunk = rotations.to_rotation_vector(take.rotations[:, take.joint_names.index("root")].astype(float))
    assert np.degrees(np.linalg.norm(trunk, axis=1)).max() < 1.0
    shared = rotations.to_matrix(neck.distribute(limits, head))
    found = rotations.to_matrix(take.rotations[:, 1:].astype(float))
    still = np.linalg.norm(trunk, axis=1) < 1e-6
    assert still.mean() > 0.8
    assert np.abs(found - shared)[still].max() < 1e-6


def test_beyond_its_range_no_joint_of_the_neck_breaks(human):
    """At 120 degrees the top joint must not be a screw: the trunk turns instead."""
    head = rotations.about((0, 1, 0), np.radians([-120.0, 120.0]))
    take = take_of(Rigid(rotations.to_matrix(head), np.zeros((2, 3))), human)
    turned = np.degrees(np.linalg.norm(rotations.to_rotation_vector(take.rotations.astype(float)), axis=-1))
    assert turned[:, take.joint_names.index("root")].min() > 30
    assert turned[:, take.joint_names.index("oc1")].max() < 35
    top = rotations.to_rotation_vector(take.rotations[:, take.joint_names.index("oc1")].astype(float))
    assert np.degrees(np.abs(top[:, 1])).max() < 1.2 * human.neck.axial[7]


def test_a_slow_turn_stays_smooth_at_the_end_of_the_range(human):
    """Where the trunk takes over nothing jumps: a turn of a degree a frame moves no joint by more than two."""
    head = rotations.about((0, 1, 0), np.radians(np.arange(150.0)))
    take = take_of(Rigid(rotations.to_matrix(head), np.zeros((150, 3))), human)
    steps = rotations.multiply(rotations.inverse(take.rotations[:-1]), take.rotations[1:])
    assert np.degrees(np.linalg.norm(rotations.to_rotation_vector(steps.astype(float)), axis=-1)).max() < 2
    # Beyond half a turn the neck has to swing to the other side, but no program may see a quaternion change its sign.
    head = rotations.about((1, 0, 0), np.radians(np.arange(360.0)))
    take = take_of(Rigid(rotations.to_matrix(head), np.zeros((360, 3))), human)
    assert (np.sum(take.rotations[1:] * take.rotations[:-1], -1) > -1e-6).all()


def test_no_motion_is_the_character_at_rest(human):
    take = take_of(Rigid(np.broadcast_to(np.eye(3), (3, 3, 3)), np.zeros((3, 3))), human, PLACEMENTS["inches, tilted"])
    assert np.abs(take.rotations - [1, 0, 0, 0]).max() < 1e-7
    assert np.abs(take.root).max() < METRES


def test_the_take_carries_the_rest(human, tmp_path):
    """Curves, confidence, frame rate, character and provenance arrive in the file; equal input gives equal bytes."""
    motion = motion_of(PLACEMENTS["metres"], 20)
    curves = np.linspace(0, 1, 40).reshape(20, 2)
    confidence = np.linspace(1, 0.25, 20)
    for name in ("a", "b"):
        take = take_of(motion, human, fps=24.0, confidence=confidence, curves=(("jawOpen", "browInnerUp"), curves))
        take_npz.write(tmp_path / f"{name}.take.npz", take)
    assert (tmp_path / "a.take.npz").read_bytes() == (tmp_path / "b.take.npz").read_bytes()
    back = take_npz.read(tmp_path / "a.take.npz")
    assert (back.fps, back.curve_names, back.character) == (24.0, ("jawOpen", "browInnerUp"), REFERENCE)
    assert back.joint_names == ("root", *neck.JOINTS)
    np.testing.assert_allclose(back.curves, curves, atol=1e-7)
    np.testing.assert_allclose(back.confidence, confidence, atol=1e-7)
    assert back.provenance == ORIGIN


def test_any_part_of_the_frames_gives_the_same_pose(human):
    """Farms cut sequences into chunks: a frame does not depend on its neighbours, but for a quaternion's sign."""
    motion = motion_of(PLACEMENTS["metres"], 60)
    whole, part = take_of(motion, human), take_of(motion[20:40], human)
    np.testing.assert_allclose(part.root, whole.root[20:40], atol=1e-6)
    same = np.abs(np.sum(part.rotations * whole.rotations[20:40], -1))
    np.testing.assert_allclose(same, 1, atol=1e-6)


def test_the_skull_of_any_take(human):
    """The way back knows the whole chain: a spine that leans counts, a jaw or an arm does not."""
    lean = rotations.about((1, 0, 0), np.radians([10.0])).astype(np.float32)
    names = ("spine01", "oc1", "jaw")
    turns = np.stack([lean, rotations.inverse(lean), lean], 1)
    take = replace(toy.take(1), joint_names=names, rotations=turns, root=np.array([[0.1, 0, 0]], np.float32))
    back = head_motion.from_take(take, human)
    assert np.abs(back.rotations - np.eye(3)).max() < 1e-6
    spine, skull = (human.heads[human.joint(name)].astype(float) for name in ("spine01", "oc1"))
    way = rotations.to_matrix(lean[0].astype(float)) @ (skull - spine) - (skull - spine) + [0.1, 0, 0]
    assert np.abs(back.translations[0] - way).max() < METRES


def test_what_cannot_be_used_is_named(human):
    motion = motion_of(PLACEMENTS["metres"], 5)
    broken = Rigid(motion.rotations, np.where(np.arange(15).reshape(5, 3) == 7, np.nan, motion.translations))
    with pytest.raises(
        InputError, match=r"translations holds 1 numbers that are not finite, the first at index \(2, 1\)"
    ):
        take_of(broken, human)
    with pytest.raises(InputError, match=r"the confidence has the shape \(4,\); expected \(5\)"):
        take_of(motion, human, confidence=np.ones(4))
    with pytest.raises(InputError, match=r"the curves has the shape \(5, 1\); expected \(5, 2\)"):
        take_of(motion, human, curves=(("jawOpen", "jawLeft"), np.zeros((5, 1))))
    with pytest.raises(InputError, match="the frame rate is 0"):
        take_of(motion, human, fps=0.0)
    with pytest.raises(InputError, match="no frames"):
        take_of(motion[:0], human)
    base = toy.character()
    flame = replace(base, name="flame", joint_names=tuple("neck" if n == "c3c4" else n for n in base.joint_names))
    for found in (lambda: take_of(motion, flame), lambda: head_motion.from_take(toy.take(2), flame)):
        with pytest.raises(InputError, match="'flame' has another neck, without c3c4; expected the joints c7t1 to oc1"):
            found()
