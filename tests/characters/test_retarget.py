# SPDX-License-Identifier: Apache-2.0
"""Takes between characters: the head looks where it looked, bodies stand as they stood, curves keep their meaning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hyoid import characters
from hyoid.characters import arkit, curve_names, neck, performance, retarget, skeleton_roles
from hyoid.characters.character import Character, Shapes
from hyoid.characters.smpl import expression_map
from hyoid.errors import InputError, UsageError
from hyoid.geometry import rotations
from hyoid.take import CharacterReference, Source, Take

from tests import toy

EXACT = 0.01  # degrees: what the head may be off after any conversion


def skeleton(name: str, chain: tuple[str, ...], side: tuple[tuple[str, str, tuple[float, float, float]], ...] = ()):
    """The toy with another skeleton: ``chain`` from the root up, ``side``: (joint, parent, offset from the parent)."""
    base = toy.character()
    names, parents, heads = list(chain), [-1, *range(len(chain) - 1)], []
    heads = [np.array([0, 1.0 + 0.6 * i / len(chain), 0]) for i in range(len(chain))]
    for joint, parent, offset in side:
        names.append(joint)
        parents.append(names.index(parent))
        heads.append(heads[parents[-1]] + np.array(offset))
    tails = np.array(heads) + np.array([0, 0.02, 0])
    weight_joints = np.zeros_like(base.weight_joints)
    weight_joints[:, 0] = len(chain) - 1
    weights = np.zeros_like(base.weights)
    weights[:, 0] = 1
    return replace(
        base, name=name, joint_names=tuple(names), parents=np.array(parents, np.int32),
        heads=np.array(heads, np.float32), tails=tails.astype(np.float32), weight_joints=weight_joints,
        weights=weights, drivers=(),
    )  # fmt: skip


def _arms(collar, arm, forearm, hand, chest, down: float):
    """Arms that hang by ``down`` degrees from a T."""
    found = []
    for sign, side in ((1, "left"), (-1, "right")):
        step = np.array([sign * np.cos(np.radians(down)), -np.sin(np.radians(down)), 0])
        joints = [form.format(side=side, s=side[0].upper()) for form in (collar, arm, forearm, hand)]
        parents = [chest, *joints]
        lengths = (0.1, 0.05, 0.28, 0.25)
        found += [(j, p, tuple(length * step)) for j, p, length in zip(joints, parents, lengths, strict=False)]
    return tuple(found)


SMPL_ARMS = ("{side}_collar", "{side}_shoulder", "{side}_elbow", "{side}_wrist")
CAST = {
    "toy": toy.character,
    "human": lambda: characters.load("human"),
    "bust": lambda: skeleton("bust", ("root", *neck.JOINTS)),
    "ict": lambda: skeleton("ict", ("spine01", *neck.JOINTS)),
    "flame": lambda: skeleton("flame", ("root", "neck")),
    "smplx": lambda: skeleton(
        "smplx", ("pelvis", "spine1", "spine2", "spine3", "neck", "head"), _arms(*SMPL_ARMS, "spine3", 0)
    ),
    "smplx eight": lambda: skeleton(
        "smplx eight", ("pelvis", "spine1", "spine2", "spine3", *neck.JOINTS), _arms(*SMPL_ARMS, "spine3", 0)
    ),
    "mixamo": lambda: skeleton(
        "mixamo", tuple(f"mixamorig:{n}" for n in ("Hips", "Spine", "Spine1", "Neck", "Neck1", "Head"))
    ),
    "makehuman": lambda: skeleton(
        "makehuman", ("root", "spine05", "spine01", "neck01", "neck02", "neck03", "head")
    ),
    "rigify": lambda: skeleton("rigify", tuple(f"spine.00{n}".replace("spine.000", "spine") for n in range(7))),
}  # fmt: skip
_LOADED: dict[str, Character] = {}


def member(name: str) -> Character:
    if name not in _LOADED:
        _LOADED[name] = CAST[name]()
    return _LOADED[name]


def wander(character: Character, frames: int = 40, seed: int = 0, *, body: bool = True) -> Take:
    """A take in which trunk, neck and arms of a character wander smoothly and widely."""
    roles = skeleton_roles.roles_of(character.joint_names)
    chosen = [i for role in ("hips", "spine", "neck") for i in roles.get(role, ()) if body or role == "neck"]
    if body:
        chosen += [i for role in roles for i in roles[role] if role.split(".")[0] in ("arm", "forearm", "collar")]
    random = np.random.default_rng(seed)
    time = np.linspace(0, 2 * np.pi, frames)[:, None, None]
    size = np.array([0.12 if len(roles["neck"]) > 6 else 0.3 for _ in chosen])[None, :, None]
    vectors = size * np.sin(
        time * random.uniform(0.5, 2, (1, len(chosen), 3)) + random.uniform(0, 6, (1, len(chosen), 3))
    )
    turns = rotations.from_rotation_vector(vectors)
    return Take(
        fps=30.0, curve_names=("jawOpen",), curves=np.full((frames, 1), 0.5, np.float32),
        joint_names=tuple(character.joint_names[i] for i in chosen), rotations=turns.astype(np.float32),
        root=np.zeros((frames, 3), np.float32), confidence=np.ones(frames, np.float32),
        character=CharacterReference(character.name),
    )  # fmt: skip


def world(character: Character, take: Take) -> dict[str, np.ndarray]:
    """World rotations (frames, 3, 3) of the joints as every export evaluates them."""
    matrices = performance.joint_transforms(character, performance.perform(character, take))[..., :3, :3]
    return {name: matrices[:, i].astype(float) for i, name in enumerate(character.joint_names)}


def head_and_trunk(character: Character, take: Take) -> tuple[np.ndarray, np.ndarray]:
    turns, roles = world(character, take), skeleton_roles.roles_of(character.joint_names)
    trunk = (roles.get("spine") or roles.get("hips") or ())[-1:]
    below = turns[character.joint_names[trunk[0]]] if trunk else np.eye(3)
    return turns[character.joint_names[roles["neck"][-1]]], below


def degrees(a: np.ndarray, b: np.ndarray) -> float:
    between = rotations.from_matrix(np.swapaxes(a, -1, -2) @ b)
    return float(np.degrees(np.linalg.norm(rotations.to_rotation_vector(between), axis=-1)).max())


def moved(take: Take, target: Character, **options) -> Take:
    return retarget.retarget(take, target, CharacterReference(target.name), **options).take


@pytest.mark.parametrize("target", CAST)
@pytest.mark.parametrize("source", CAST)
def test_the_head_looks_where_it_looked(source, target):
    take = wander(member(source), seed=len(source))
    result = moved(take, member(target), source=member(source))
    head, trunk = head_and_trunk(member(source), take)
    other_head, other_trunk = head_and_trunk(member(target), result)
    assert degrees(head, other_head) < EXACT
    assert degrees(np.swapaxes(trunk, -1, -2) @ head, np.swapaxes(other_trunk, -1, -2) @ other_head) < EXACT
    assert set(result.joint_names) <= set(member(target).joint_names)


@pytest.mark.parametrize("target", ["flame", "smplx", "mixamo", "makehuman"])
def test_there_and_back_gives_the_head_and_the_same_neck_of_its_kind(target):
    take = wander(member("human"), body=False)
    away = moved(take, member(target), source=member("human"))
    back = moved(away, member("human"), source=member(target))
    assert degrees(head_and_trunk(member("human"), take)[0], head_and_trunk(member("human"), back)[0]) < EXACT
    again = moved(away, member(target), source=member(target))
    assert np.allclose(away.rotations, again.rotations, atol=1e-6)


def test_eight_joints_stay_eight_joints_as_they_were():
    take = wander(member("human"), body=False)
    for name in ("bust", "smplx eight", "toy"):
        result = moved(take, member(name), source=member("human"))
        for joint in neck.JOINTS:
            before = take.rotations[:, take.joint_names.index(joint)]
            after = result.rotations[:, result.joint_names.index(joint)]
            assert np.abs((before * after).sum(-1)).min() > 1 - 1e-6


def test_one_neck_joint_becomes_eight_that_each_stay_near_their_range():
    human = member("human")
    yaw = np.radians(60 * np.sin(np.linspace(0, 2 * np.pi, 50)))
    turns = rotations.about(np.array([0, 1.0, 0]), yaw)[:, None]
    take = replace(wander(member("flame"), 50), joint_names=("neck",), rotations=turns.astype(np.float32))
    result = moved(take, human, source=member("flame"))
    sizes = np.degrees(np.linalg.norm(rotations.to_rotation_vector(result.rotations.astype(float)), axis=-1)).max(0)
    share = dict(zip(result.joint_names, sizes, strict=True))
    assert 20 < share["c1c2"] < 50  # the axis carries most of a turn, and no more than it can
    assert all(share[name] < 16 for name in neck.JOINTS[:6])


def test_a_body_keeps_its_pose_though_the_rests_differ():
    """The human rests with hanging arms, SMPL-X in a T: the arms point where they pointed."""
    human, other = member("human"), member("smplx")
    take = wander(human)
    result = moved(take, other, source=human)
    for role in ("arm.L", "arm.R", "forearm.L", "forearm.R"):
        pairs = []
        for character, performed in ((human, take), (other, result)):
            bones = skeleton_roles.of_character(character)
            joint = character.joint_names[bones.roles[role][0 if role.startswith("f") else -1]]
            rest = bones.directions[role]
            pairs.append(world(character, performed)[joint] @ rest)
        upper = role.startswith("arm")
        # A forearm of two joints swings at its first, but the wandering turns both: compare where one joint is one.
        if upper:
            assert np.degrees(np.arccos(np.clip((pairs[0] * pairs[1]).sum(-1), -1, 1))).max() < 0.1


def test_a_still_t_pose_puts_the_humans_arms_into_a_t():
    other, human = member("smplx"), member("human")
    names = tuple(name for name in other.joint_names if name.startswith(("left", "right")))
    take = replace(
        wander(other, 3), joint_names=names, rotations=rotations.identity(3, len(names)), curve_names=("jawOpen",)
    )
    result = moved(take, human, source=other)
    bones = skeleton_roles.of_character(human)
    for side, sign in (("L", 1), ("R", -1)):
        for role in (f"arm.{side}", f"forearm.{side}"):
            turned = world(human, result)[human.joint_names[bones.roles[role][0]]] @ bones.directions[role]
            assert np.allclose(turned, [sign, 0, 0], atol=1e-3)


def test_limbs_without_a_record_stay_at_rest():
    """A talk moves a neck: the arms of an SMPL-X body are not pulled into the human's rest."""
    result = moved(wander(member("human"), body=False), member("smplx"), source=member("human"))
    assert not any("shoulder" in name or "elbow" in name for name in result.joint_names)


def test_names_alone_are_enough_and_what_is_not_mapped_is_said():
    take = wander(member("mixamo"))
    take = replace(
        take, joint_names=(*take.joint_names, "mixamorig:Ponytail"),
        rotations=np.concatenate([take.rotations, take.rotations[:, :1]], 1),
    )  # fmt: skip
    found = retarget.retarget(take, member("human"), CharacterReference("human"))
    head = head_and_trunk(member("mixamo"), replace(take, joint_names=take.joint_names))[0]
    assert degrees(head, head_and_trunk(member("human"), found.take)[0]) < EXACT
    assert any("mixamorig:Ponytail" in text for text in found.messages)
    assert [row.how for row in found.joints if row.source == "mixamorig:Ponytail"] == [
        "the character has no such joint"
    ]


def faces(names, values=None, frames=4) -> Take:
    random = np.random.default_rng(3)
    curves = random.uniform(0, 1, (frames, len(names))) if values is None else np.tile(values, (frames, 1))
    return replace(
        wander(member("toy"), frames, body=False), curve_names=tuple(names), curves=curves.astype(np.float32)
    )


def test_hack_and_ict_curves_there_and_back():
    take = faces(arkit.NAMES)
    for vocabulary, names in (("ict", curve_names.ICT), ("hack", curve_names.HACK)):
        there = moved(take, member("toy"), curves=vocabulary)
        assert there.curve_names == names
        assert np.array_equal(there.curve("browInnerUp_L"), take.curve("browInnerUp"))
        back = moved(there, member("toy"))
        for name in arkit.NAMES:
            if name != "tongueOut":
                assert np.allclose(back.curve(name), take.curve(name), atol=1e-6), name
        assert "tongueOut" not in back.curve_names


def test_a_lost_shape_is_said_once_and_pairs_are_told_apart():
    found = retarget.retarget(faces(arkit.NAMES), member("toy"), CharacterReference("toy"), curves="ict")
    assert sum("tongueOut" in text for text in found.messages) == 1
    take = faces(("cheekPuff_L", "cheekPuff_R", "cheekRaiser_L", "cheekSquint_L"), (0.2, 0.8, 0.6, 0.3))
    mean, larger = (moved(take, member("toy"), pairs=pairs) for pairs in ("mean", "max"))
    assert np.allclose([mean.curve("cheekPuff")[0], larger.curve("cheekPuff")[0]], [0.5, 0.8])
    assert np.allclose(mean.curve("cheekSquintLeft"), 0.6)


def test_a_character_that_lacks_a_shape_is_named():
    base = member("toy").shapes
    index = base.names.index("tongueOut")
    keep = np.ones(len(base.vertices), bool)
    keep[base.starts[index] : base.starts[index + 1]] = False
    starts = base.starts.copy()
    starts[index + 1 :] -= (~keep).sum()
    tongueless = replace(
        member("toy"), name="mute", shapes=Shapes(base.names, starts, base.vertices[keep], base.offsets[keep])
    )
    found = retarget.retarget(faces(arkit.NAMES), tongueless, CharacterReference("mute"))
    assert found.messages == ("'mute' does not show tongueOut",)


@pytest.fixture
def coefficients(monkeypatch) -> Character:
    """A toy whose ARKit shapes are mixtures of 60 coefficients, told under the name flame:toy."""
    base = member("toy")
    random = np.random.default_rng(5)
    modes = random.normal(0, 0.002, (60, len(base.vertices), 3)).astype(np.float32)
    mix = random.normal(0, 1, (len(arkit.NAMES), 60)) / 8
    offsets = np.concatenate([np.tensordot(mix, modes, 1), modes]).astype(np.float32)
    names = (*arkit.NAMES, *(f"expression{i:03d}" for i in range(60)))
    count = len(base.vertices)
    table = Shapes(
        names, np.arange(len(names) + 1) * count, np.tile(np.arange(count, dtype=np.int32), len(names)),
        offsets.reshape(-1, 3),
    )  # fmt: skip
    flat = np.concatenate([modes.reshape(60, -1), np.zeros((3, 3 * count))])
    sizes = dict.fromkeys(arkit.NAMES, 1.0)
    found = expression_map.ExpressionMap(mix, np.zeros((52, 3)), flat @ flat.T, dict.fromkeys(sizes, 0.25), sizes)
    monkeypatch.setattr(expression_map, "of_name", lambda name: found)
    return replace(base, name="flame", shapes=table, digest="1" * 64, drivers=())


def shown(character: Character, take: Take) -> np.ndarray:
    """The vertices of a face alone."""
    still = replace(take, joint_names=(), rotations=np.zeros((take.frames, 0, 4), np.float32))
    return performance.deform(character, performance.perform(character, still))


def test_expression_coefficients_show_the_same_face_and_the_residual_is_told(coefficients):
    character = coefficients
    sparse = np.where(np.random.default_rng(2).uniform(size=len(arkit.NAMES)) < 0.15, 0.7, 0)
    take = faces(arkit.NAMES, sparse)
    found = retarget.retarget(take, character, CharacterReference("flame:toy"), source=character, curves="expression")
    assert found.take.curve_names[:60] == character.shapes.names[-60:]
    assert found.facts["expression_residual_mm"] == 0.25
    assert any("0.25 mm" in text for text in found.messages)
    assert np.abs(shown(character, take) - shown(character, found.take)).max() < 1e-4
    kept = moved(found.take, character, source=character, curves="expression")
    assert kept.curve_names == found.take.curve_names
    assert np.array_equal(kept.curves, found.take.curves)
    back = moved(found.take, member("toy"), source=character)
    assert np.abs(shown(character, take) - shown(character, back)).max() < 5e-4


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["FLAME", "SMPL-X"])
def test_model_files_of_the_published_layout(kind, tmp_path, monkeypatch):
    """Head, jaw and gaze reach the native joints, and the coefficients come back as the face they were."""
    from tests.characters import smpl_files

    monkeypatch.setenv("HYOID_CACHE", str(tmp_path))
    path = tmp_path / "model.npz"
    smpl_files.write_npz(path, smpl_files.arrays(kind))
    name = f"{'flame' if kind == 'FLAME' else 'smplx'}:{path}"
    human, eight = member("human"), characters.load(name)
    native = characters.load(name, {"nativeNeck": 1.0})
    take = wander(human, 10, body=kind != "FLAME")
    take = replace(take, curve_names=("jawOpen", "eyeLookUpLeft"), curves=np.full((10, 2), 0.5, np.float32))
    for target in (eight, native):
        reference = CharacterReference(name, dict(target.settings))
        result = retarget.retarget(take, target, reference, source=human).take
        assert degrees(head_and_trunk(human, take)[0], head_and_trunk(target, result)[0]) < EXACT
        back = moved(result, human, source=target)
        assert degrees(head_and_trunk(human, take)[0], head_and_trunk(human, back)[0]) < EXACT
        own = retarget.retarget(take, target, reference, source=human, curves="expression")
        assert own.take.curve_names[0] == "expression000"
        assert 0 < own.facts["expression_residual_mm"] < 3
        jaw = rotations.to_rotation_vector(own.take.rotations[:, own.take.joint_names.index("jaw")])
        assert 2 < np.degrees(jaw[0, 0]) < 20
        assert abs(np.degrees(rotations.to_rotation_vector(
            own.take.rotations[0, own.take.joint_names.index("eye.L")])[0])) > 3  # fmt: skip
        again = retarget.retarget(own.take, human, CharacterReference("human"), source=target).take
        assert again.curve("jawOpen")[0] == pytest.approx(0.5, abs=0.1)
        assert "jaw" not in again.joint_names


def test_the_larynx_goes_as_far_as_suits_the_neck():
    human = member("human")
    child = characters.load("human", {"age": 0.33})
    take = faces(("larynxHeight",), (10.0,))
    take = replace(take, joint_names=neck.JOINTS)
    found = retarget.retarget(take, child, CharacterReference("human", {"age": 0.33}), source=human)
    lengths = [np.linalg.norm(c.heads[c.joint("oc1")] - c.heads[c.joint("c7t1")]) for c in (human, child)]
    assert found.take.curve("larynxHeight")[0] == pytest.approx(10 * lengths[1] / lengths[0], rel=1e-4)
    assert found.facts["larynx_scale"] < 0.9


def test_the_history_names_both_characters():
    take = toy.take()
    licensed = replace(member("human"), name="flame", licence="LicenseRef-FLAME-2020", digest="2" * 64)
    sources = moved(take, licensed, source=member("toy")).provenance.sources
    assert Source("input", "toy", "0" * 64, "CC0-1.0") in sources
    assert sources[-1] == Source("character", "flame", "2" * 64, "LicenseRef-FLAME-2020")
    back = moved(moved(take, licensed, source=member("toy")), member("human"), source=licensed).provenance.sources
    assert {entry.licence for entry in back} == {"CC0-1.0", "LicenseRef-FLAME-2020"}


def test_coefficients_that_the_model_lacks_are_named(coefficients):
    with pytest.raises(InputError, match="no coefficient 'expression077'"):
        moved(faces(("expression000", "expression077")), member("toy"), source=coefficients)


def test_what_cannot_be_done_is_said():
    with pytest.raises(UsageError, match="no expression coefficients"):
        moved(faces(arkit.NAMES), member("human"), curves="expression")
    with pytest.raises(InputError, match="without their model"):
        moved(replace(faces(("expression000", "expression001")), character=CharacterReference()), member("toy"))
    with pytest.raises(InputError, match="does not exist"):
        gone = replace(faces(("expression000",)), character=CharacterReference("flame:gone.pkl"))
        moved(gone, member("toy"))
    with pytest.raises(UsageError, match="unknown names"):
        moved(faces(arkit.NAMES), member("toy"), curves="maya")


@pytest.mark.parametrize(
    ("spelt", "means"),
    [
        ("eyeBlink_L", "eyeBlinkLeft"), ("EyeBlinkLeft", "eyeBlinkLeft"), ("face.eye_blink_left", "eyeBlinkLeft"),
        ("browInnerUpLeft", "browInnerUp_L"), ("mouthLeft", "mouthLeft"), ("cheekRaiser_R", "cheekRaiser_R"),
        ("larynxHeight", ""), ("AU12", ""),
    ],
)  # fmt: skip
def test_spellings(spelt, means):
    assert curve_names.meaning(spelt) == means
