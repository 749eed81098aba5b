# SPDX-License-Identifier: Apache-2.0
"""Takes on anybody's characters: names are guessed rightly or not at all, and heads look where the human's looks."""

from __future__ import annotations

import importlib
import sys
import types

import numpy as np
import pytest
from hyoid.characters import arkit
from hyoid.take import Event, Take

from tests.addon import tools

SOURCE = tools.ROOT / "addon" / "hyoid"


def module(name: str):
    """A module of the package ``takes`` that needs no bpy, outside of Blender."""
    for package, path in (("", SOURCE), (".takes", SOURCE / "takes"), (".toolkit", tools.ROOT / "toolkit" / "hyoid")):
        full = f"mapping_addon{package}"
        if full not in sys.modules:
            made = types.ModuleType(full)
            made.__path__ = [str(path)]
            sys.modules[full] = made
    return importlib.import_module(f"mapping_addon.takes.{name}")


guess_shapes, guess_bones, visemes, retarget = map(module, ("guess_shapes", "guess_bones", "visemes", "retarget"))


def words(text: str) -> list[str]:
    return text.split()


# --- shape keys -------------------------------------------------------------------------------------------------------

OCULUS = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U")
META = words(
    "browDownL browDownR browRaiseInL browRaiseInR browRaiseOuterL browRaiseOuterR eyeBlinkL eyeBlinkR eyeSquintInnerL "
    "eyeSquintInnerR eyeWidenL eyeWidenR eyeLookUpL eyeLookUpR eyeLookDownL eyeLookDownR eyeLookLeftL eyeLookLeftR "
    "eyeLookRightL eyeLookRightR eyeCheekRaiseL eyeCheekRaiseR noseWrinkleL noseWrinkleR mouthCornerPullL "
    "mouthCornerPullR mouthCornerDepressL mouthCornerDepressR mouthDimpleL mouthDimpleR mouthStretchL mouthStretchR "
    "mouthUpperLipRaiseL mouthUpperLipRaiseR mouthLowerLipDepressL mouthLowerLipDepressR mouthFunnelUL mouthFunnelUR "
    "mouthFunnelDL mouthFunnelDR mouthLipsPurseUL mouthLipsPurseUR mouthLipsPurseDL mouthLipsPurseDR "
    "mouthLipsTogetherUL mouthLipsTogetherUR mouthLipsTogetherDL mouthLipsTogetherDR mouthLowerLipRollInL "
    "mouthLowerLipRollInR mouthUpperLipRollInL mouthUpperLipRollInR mouthPressUL mouthPressDL mouthPressUR "
    "mouthPressDR mouthCheekBlowL mouthCheekBlowR jawChinRaiseUL jawChinRaiseUR jawChinRaiseDL jawChinRaiseDR jawFwd "
    "jawOpen jawLeft jawRight mouthLeft mouthRight tongueOut"
)


def sided(name: str, left: str, right: str) -> str:
    for side, new in (("Left", left), ("Right", right)):
        if name.endswith(side):
            return name[: -len(side)] + new
    return name


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


SPELLINGS = {
    "exact": lambda name: name,
    "underscore and letter": lambda name: sided(name, "_L", "_R"),
    "letter": lambda name: sided(name, "L", "R"),
    "dot and letter": lambda name: sided(name, ".L", ".R"),
    "snake": snake,
    "pascal": lambda name: name[0].upper() + name[1:],
    "lower": str.lower,
    "maya": lambda name: f"blendShape1.{name}",
    "mesh in front": lambda name: f"head_lod0_mesh__{name}",
    "VRoid mesh in front": lambda name: f"Face.M_F00_000_00_{name}",
    "a name with quotes in front": lambda name: f'Kö\'rper "neu"_{name}',
    "numbered copies": lambda name: f"{name}.001",
    "side first": lambda name: "left_" + name[:-4] if name.endswith("Left") else name,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_all_arkit_names_are_found_however_they_are_spelled(spelling):
    names = [SPELLINGS[spelling](name) for name in arkit.NAMES]
    found = guess_shapes.guess(names)
    assert {(row.source, row.target) for row in found.rows} == set(zip(arkit.NAMES, names, strict=True))
    assert all(row.factor == 1 for row in found.rows)
    assert not found.ambiguous
    assert not guess_shapes.missing(found.rows)


def sources(names) -> dict[str, set]:
    """Target -> (source, factor) pairs."""
    result: dict[str, set] = {}
    for row in guess_shapes.guess_shapes(names):
        result.setdefault(row.target, set()).add((row.source, row.factor))
    return result


@pytest.mark.parametrize("prefix", ["", "CTRL_expressions_", "head_lod0_mesh__"])
def test_metahuman_controls(prefix):
    rows = sources([prefix + name for name in META])
    assert len(rows) == len(META)
    # The left eye that looks to the character's left looks outward; ARKit's inner brow is one curve for two controls.
    assert rows[f"{prefix}eyeLookLeftL"] == {("eyeLookOutLeft", 1.0)}
    assert rows[f"{prefix}eyeLookLeftR"] == {("eyeLookInRight", 1.0)}
    assert rows[f"{prefix}browRaiseInR"] == {("browInnerUp", 1.0)}
    assert rows[f"{prefix}mouthCornerPullL"] == {("mouthSmileLeft", 1.0)}
    assert rows[f"{prefix}mouthLipsPurseDR"] == {("mouthPucker", 1.0)}
    assert not guess_shapes.missing(guess_shapes.guess_shapes(META))


def test_ready_player_me_moves_its_mouth_once():
    """ARKit shapes and visemes on one mesh: both together would open the mouth twice."""
    visemes_too = [f"viseme_{name}" for name in OCULUS]
    found = guess_shapes.guess([*arkit.NAMES, *visemes_too, "mouthOpen", "mouthSmile", "eyesClosed"])
    assert {row.target for row in found.rows} == set(arkit.NAMES)
    assert set(found.superseded) == {*visemes_too, "mouthOpen", "mouthSmile", "eyesClosed"}
    rows = sources([*visemes_too, "mouthOpen", "mouthSmile", "eyesClosed"])
    assert rows["viseme_PP"] == {("viseme:PP", 1.0)}
    assert rows["eyesClosed"] == {("eyeBlinkLeft", 0.5), ("eyeBlinkRight", 0.5)}
    assert rows["mouthSmile"] == {("mouthSmileLeft", 0.5), ("mouthSmileRight", 0.5)}
    assert "mouthOpen" not in rows


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["A", "I", "U", "E", "O", "Blink", "Blink_L", "Blink_R", "Joy", "Angry", "Sorrow", "Fun",
             "LookUp", "Neutral"],
            {"A": "vowel:A", "O": "vowel:O", "Blink_L": "eyeBlinkLeft", "Blink_R": "eyeBlinkRight"},
        ),
        (
            ["aa", "ih", "ou", "ee", "oh", "blink", "blinkLeft", "blinkRight", "happy", "relaxed", "surprised"],
            {"aa": "vowel:A", "ih": "vowel:I", "ou": "vowel:U", "ee": "vowel:E", "blinkLeft": "eyeBlinkLeft"},
        ),
        (
            ["Fcl_ALL_Joy", "Fcl_EYE_Close", "Fcl_EYE_Close_R", "Fcl_EYE_Close_L", "Fcl_MTH_Up", "Fcl_MTH_A",
             "Fcl_MTH_I", "Fcl_MTH_U", "Fcl_MTH_E", "Fcl_MTH_O", "Fcl_HA_Hide"],
            {"Fcl_MTH_A": "vowel:A", "Fcl_MTH_O": "vowel:O", "Fcl_EYE_Close_L": "eyeBlinkLeft"},
        ),
        (["あ", "い", "う", "え", "お", "ウィンク"], {"あ": "vowel:A", "お": "vowel:O"}),
        (list(OCULUS), {"PP": "viseme:PP", "sil": "viseme:sil", "I": "viseme:I"}),
        (
            [f"vrc.v_{name}" for name in words("sil pp ff th dd kk ch ss nn rr aa e ih oh ou")],
            {"vrc.v_ih": "viseme:I", "vrc.v_nn": "viseme:nn"},
        ),
        (list("ABCDEFGHX"), {"A": "mouth:A", "X": "mouth:X"}),
        ([f"mouth_{letter}" for letter in "ABCDEFGHX"], {"mouth_B": "mouth:B"}),
        (["AI", "E", "O", "U", "etc", "L", "WQ", "MBP", "FV", "rest"], {"MBP": "blair:MBP", "E": "blair:E"}),
    ],
    ids=["VRM 0", "VRM 1", "VRoid", "MMD", "Oculus", "VRChat", "Rhubarb", "Rhubarb prefixed", "Preston Blair"],
)  # fmt: skip
def test_mouth_shapes_of_speech(names, expected):
    rows = sources(names)
    for target, source in expected.items():
        assert rows[target] == {(source, 1.0)}
    # Moods are whole faces; no curve of a take is one.
    assert not {"Joy", "happy", "Fcl_ALL_Joy", "Fcl_MTH_Up", "ウィンク"} & rows.keys()


def test_what_is_unclear_is_left_out_and_listed():
    twice = guess_shapes.guess(["JawOpen", "jaw_open"])
    assert not twice.rows
    assert set(twice.ambiguous) == {"JawOpen", "jaw_open"}
    # Vowels or mouths of a cartoon: nobody can tell.
    assert not guess_shapes.guess(list("ABCDEFGHXIOU")).rows
    # Corrections and combinations are no second jaw.
    others = ["jawOpen_mouthClose", "jawOpen_mouthLeft", "jawOpen_mouthRight", "jawOpen_corr", "fix_jawOpen", "smile",
              "Key 1", "A"]  # fmt: skip
    found = guess_shapes.guess([*arkit.NAMES, *others])
    assert len(found.rows) == len(arkit.NAMES)
    assert not guess_shapes.guess(others).rows
    assert guess_shapes.guess(others).unmatched == tuple(others)


def test_what_is_missing_is_told():
    rows = guess_shapes.guess_shapes([name for name in arkit.NAMES if name not in ("tongueOut", "cheekPuff")])
    assert guess_shapes.missing(rows) == ("cheekPuff", "tongueOut")


# --- bones ------------------------------------------------------------------------------------------------------------

LOW, HIGH = ("c7t1", "c6c7", "c5c6", "c4c5", "c3c4", "c2c3"), ("c1c2", "oc1")
FINGERS = ("Thumb", "Index", "Middle", "Ring", "Pinky")
META_LIMBS = words(
    "shoulder upper_arm forearm hand f_index.01 f_index.02 f_index.03 thumb.01 thumb.02 thumb.03 thigh shin foot toe "
    "heel.02 breast palm.01"
)
METARIG = ["spine", *(f"spine.00{number}" for number in range(1, 7)), "face", "pelvis.L", "pelvis.R"]
METARIG += [f"{name}.{side}" for side in "LR" for name in META_LIMBS]

SKELETONS = {
    "Mixamo": (
        [f"mixamorig:{name}" for name in (
            "Hips", "Spine", "Spine1", "Spine2", "Neck", "Head", "HeadTop_End",
            *(side + name for side in ("Left", "Right")
              for name in ("Shoulder", "Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot", "ToeBase", "Toe_End")),
            *(f"{side}Hand{name}{number}" for side in ("Left", "Right") for name in FINGERS for number in (1, 2, 3, 4)),
        )],
        {"hips": "mixamorig:Hips", "arm.L": "mixamorig:LeftArm", "thigh.R": "mixamorig:RightUpLeg",
         "shin.L": "mixamorig:LeftLeg", "index1.L": "mixamorig:LeftHandIndex1",
         "thumb3.R": "mixamorig:RightHandThumb3"},
        {"mixamorig:Neck": LOW, "mixamorig:Head": HIGH},
    ),
    "CMU motion capture": (
        ["Hips", "LHipJoint", "LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase", "RHipJoint", "RightUpLeg", "RightLeg",
         "RightFoot", "RightToeBase", "LowerBack", "Spine", "Spine1", "Neck", "Neck1", "Head", "LeftShoulder",
         "LeftArm",
         "LeftForeArm", "LeftHand", "LeftFingerBase", "LeftHandIndex1", "LThumb", "RightShoulder", "RightArm",
         "RightForeArm", "RightHand", "RightFingerBase", "RightHandIndex1", "RThumb"],
        {"hips": "Hips", "arm.R": "RightArm", "shoulder.L": "LeftShoulder", "thumb1.L": "LThumb"},
        {"LowerBack": ("spine05", "spine04"), "Neck": LOW[:3], "Neck1": LOW[3:], "Head": HIGH},
    ),
    "Unreal mannequin": (
        ["root", "pelvis", *(f"spine_0{number}" for number in range(1, 6)), "neck_01", "neck_02", "head",
        "ik_foot_root",
         "ik_hand_gun", "ik_foot_l", "FACIAL_C_Jaw",
         *(f"{name}_{side}" for side in "lr" for name in (
             "clavicle", "upperarm", "upperarm_twist_01", "lowerarm", "lowerarm_twist_01", "hand", "thigh",
             "thigh_twist_01", "calf", "foot", "ball", "index_metacarpal", "index_01", "index_02", "index_03"))],
        {"hips": "pelvis", "arm.L": "upperarm_l", "shin.R": "calf_r", "index0.L": "index_metacarpal_l",
         "index1.L": "index_01_l", "jaw": "FACIAL_C_Jaw"},
        {"spine_01": ("spine05",), "spine_05": ("spine01",), "neck_01": LOW[:3], "neck_02": LOW[3:], "head": HIGH},
    ),
    "VRoid": (
        ["Root", "J_Bip_C_Hips", "J_Bip_C_Spine", "J_Bip_C_Chest", "J_Bip_C_UpperChest", "J_Bip_C_Neck", "J_Bip_C_Head",
         "J_Adj_L_FaceEye", "J_Adj_R_FaceEye", "J_Sec_Hair1_01", "J_Sec_L_Bust1",
         *(f"J_Bip_{side}_{name}" for side in "LR" for name in (
             "Shoulder", "UpperArm", "LowerArm", "Hand", "UpperLeg", "LowerLeg", "Foot", "ToeBase", "Little1"))],
        {"hips": "J_Bip_C_Hips", "arm.L": "J_Bip_L_UpperArm", "eye.R": "J_Adj_R_FaceEye",
        "pinky1.L": "J_Bip_L_Little1"},
        {"J_Bip_C_UpperChest": ("spine01",), "J_Bip_C_Neck": LOW, "J_Bip_C_Head": HIGH},
    ),
    "Auto-Rig Pro": (
        ["c_pos", "c_traj", "c_root_master.x", "c_root.x", "c_spine_01.x", "c_spine_02.x", "c_neck.x", "c_head.x",
         "root.x", "spine_01.x", "spine_02.x", "neck.x", "neck_twist.x", "head.x", "c_jawbone.x", "jawbone.x",
         "c_skull_01.x",
         *(f"{name}.{side}" for side in "lr" for name in (
             "c_shoulder", "shoulder", "c_arm_fk", "c_arm_ik", "arm_stretch", "arm_twist", "c_forearm_fk",
             "forearm_stretch", "c_hand_fk", "c_hand_ik", "hand", "c_thigh_fk", "thigh_stretch", "c_leg_fk",
             "leg_stretch", "c_foot_fk", "c_foot_ik", "foot", "c_toes_fk", "toes_01", "c_eye", "c_eye_target",
             "c_index1_base", "c_index1", "c_index2", "index1", "c_stretch_arm", "c_leg_pole"))],
        {"hips": "c_root_master.x", "arm.L": "c_arm_fk.l", "shin.R": "c_leg_fk.r", "jaw": "c_jawbone.x",
         "index1.L": "c_index1.l", "eye.L": "c_eye.l"},
        {"c_neck.x": LOW, "c_head.x": HIGH},
    ),
    "Auto-Rig Pro for a game": (
        ["root.x", "spine_01.x", "spine_02.x", "neck.x", "head.x",
         *(f"{name}.{side}" for side in "lr" for name in (
             "shoulder", "arm_stretch", "arm_twist", "forearm_stretch", "hand", "thigh_stretch", "thigh_twist",
             "leg_stretch", "foot", "toes_01"))],
        {"hips": "root.x", "arm.L": "arm_stretch.l", "shin.R": "leg_stretch.r"},
        {"neck.x": LOW, "head.x": HIGH},
    ),
    "Rigify metarig": (
        METARIG,
        {"hips": "spine", "arm.L": "upper_arm.L", "index1.R": "f_index.01.R", "shin.L": "shin.L"},
        {"spine.003": ("spine01",), "spine.004": LOW[:3], "spine.005": LOW[3:], "spine.006": HIGH},
    ),
    "Rigify deforming bones": (
        [*(f"DEF-{name}" for name in METARIG), "DEF-upper_arm.L.001", "DEF-thigh.L.001", "DEF-forearm.R.001"],
        {"hips": "DEF-spine", "arm.L": "DEF-upper_arm.L", "forearm.R": "DEF-forearm.R"},
        {"DEF-spine.004": LOW[:3], "DEF-spine.005": LOW[3:], "DEF-spine.006": HIGH},
    ),
    "Biped": (
        ["Bip01", "Bip01 Pelvis", "Bip01 Spine", "Bip01 Spine1", "Bip01 Neck", "Bip01 Head",
         *(f"Bip01 {side} {name}" for side in "LR"
           for name in ("Clavicle", "UpperArm", "Forearm", "Hand", "Thigh", "Calf", "Foot", "Toe0"))],
        {"hips": "Bip01 Pelvis", "arm.L": "Bip01 L UpperArm", "shin.R": "Bip01 R Calf"},
        {"Bip01 Neck": LOW, "Bip01 Head": HIGH},
    ),
    "a head alone": (["Head"], {"head": "Head"}, {"Head": LOW + HIGH}),
    "eight vertebrae": (
        [*(f"neck{number}" for number in range(1, 8)), "head"], {"head": "head"},
        {"neck1": ("c7t1",), "neck7": ("c1c2",), "head": ("oc1",)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("skeleton", SKELETONS)
def test_skeletons_are_understood(skeleton):
    names, roles, rows = SKELETONS[skeleton]
    found = guess_bones.guess(names)
    for role, bone in roles.items():
        assert found.roles[role] == (bone,), role
    by_bone = {row.target: row.sources for row in found.rows}
    assert {bone: by_bone[bone] for bone in rows} == rows
    used = [source for row in found.rows for source in row.sources]
    assert len(used) == len(set(used))  # no joint turns two bones
    assert not found.ambiguous


def test_bones_that_say_nothing_are_left_alone():
    names = ["Bone", "Bone.001", "Armature", "ik_hand_l", "hair_01", "tail_03", "wing.L", "Empty"]
    assert not guess_bones.guess(names).rows


def test_the_human_is_mapped_joint_by_joint():
    names = sorted(guess_bones.JOINTS)
    assert len(names) == 116
    rows = {row.target: row.sources for row in guess_bones.guess(names).rows}
    assert rows["c4c5"] == ("c4c5",)
    assert rows["eye.L"] == ("eye.L", "eyeLook.L")
    assert len(rows) == 116


# --- mouth shapes over time -------------------------------------------------------------------------------------------


def spoken(events, seconds=1.0, fps=24.0, **curves) -> Take:
    frames = round(seconds * fps)
    names = tuple(curves)
    values = np.stack([np.full(frames, value, np.float32) for value in curves.values()], -1) if curves else None
    return Take(
        fps=fps, curve_names=names, curves=np.zeros((frames, 0), np.float32) if values is None else values,
        joint_names=(), rotations=np.zeros((frames, 0, 4), np.float32), root=np.zeros((frames, 3), np.float32),
        confidence=np.ones(frames, np.float32), events=tuple(events),
    )  # fmt: skip


def phones(*rows):
    return [Event("phone", name, start, end) for name, start, end in rows]


BABY = phones(("B", 0.2, 0.26), ("EY", 0.26, 0.42), ("B", 0.42, 0.47), ("IY", 0.47, 0.7))


@pytest.mark.parametrize("space", list(visemes.SETS))
@pytest.mark.parametrize("fps", [24.0, 60.0, 8.0])
def test_mouth_shapes_never_sum_above_one(space, fps):
    curves, how = visemes.weights(spoken(BABY, fps=fps), space)
    total = np.sum(list(curves.values()), 0)
    assert how == visemes.PHONES
    assert total.max() <= 1 + 1e-6
    assert min(values.min() for values in curves.values()) >= 0


@pytest.mark.parametrize("fps", [24.0, 25.0, 30.0, 60.0])
def test_closures_really_close(fps):
    """Two closures of 60 and 50 ms: at least one frame of each is closed entirely, whatever the rate."""
    curves, _ = visemes.weights(spoken(BABY, fps=fps), "viseme:")
    closed = np.flatnonzero(curves["viseme:PP"] > 1 - 1e-6) / fps
    for start, end in ((0.2, 0.26), (0.42, 0.47)):
        inside = closed[(closed > start - 1 / fps) & (closed < end + 1 / fps)]
        assert len(inside)
    # And the vowel between them shows.
    between = (np.arange(round(fps)) / fps > 0.27) & (np.arange(round(fps)) / fps < 0.4)
    assert (curves["viseme:E"] + curves["viseme:I"])[between].max() > 0.5


def test_silence_rests_and_a_vowel_holds():
    curves, _ = visemes.weights(spoken(phones(("AA", 0.4, 0.8)), seconds=1.2, fps=100), "viseme:")
    assert curves["viseme:sil"][:25].min() == pytest.approx(1)
    assert curves["viseme:aa"][50:70].min() == pytest.approx(1)
    assert curves["viseme:sil"][-20:].min() == pytest.approx(1)
    steps = np.abs(np.diff(curves["viseme:aa"]))
    assert steps.max() < 0.25  # a cross-fade of 90 ms at 100 frames a second, not a switch


def test_edited_visemes_win_over_phones():
    events = [*phones(("AA", 0.2, 0.6)), Event("viseme", "PBM", 0.2, 0.6, 0.5)]
    curves, _ = visemes.weights(spoken(events), "viseme:")
    assert curves["viseme:aa"].max() == 0
    assert curves["viseme:PP"].max() == pytest.approx(0.5)


def test_without_sounds_the_face_curves_tell():
    def at(**curves):
        found, how = visemes.weights(spoken([], **curves), "viseme:")
        assert how == visemes.CURVES
        assert np.sum(list(found.values()), 0).max() <= 1 + 1e-6
        return max(found, key=lambda name: found[name][0])

    assert at(jawOpen=0.0) == "viseme:sil"
    assert at(jawOpen=0.5) == "viseme:aa"
    assert at(jawOpen=0.1, mouthClose=0.1) == "viseme:PP"
    assert at(jawOpen=0.2, mouthPucker=0.7) == "viseme:U"


# --- skeletons of takes -----------------------------------------------------------------------------------------------


def test_motion_of_another_skeleton_becomes_the_humans():
    """The neck's one turn is shared by six joints whose product it is; a place in the room becomes a way."""
    names = ("Hips", "Spine", "Neck", "Head", "LeftArm")
    turn = np.array([0.96, 0.1, 0.25, 0.05])
    rotations = np.tile(turn / np.linalg.norm(turn), (3, len(names), 1)).astype(np.float32)
    root = np.array([[0, 0.9, 0], [0.09, 0.9, 0], [0, 0.81, 0.9]], np.float32)
    take = Take(
        fps=30.0, curve_names=(), curves=np.zeros((3, 0), np.float32), joint_names=names, rotations=rotations,
        root=root,
        confidence=np.ones(3, np.float32),
    )  # fmt: skip
    human = retarget.human_take(take)
    turns = retarget.turns_of(human)
    for joints in (LOW, HIGH):
        product = retarget.product(turns, joints)
        assert np.abs(np.abs((product * rotations[:, 0]).sum(-1)) - 1).max() < 1e-6
    # Hips at 0.9 m are the human's at 1 m: everything grows by a ninth.
    assert np.allclose(human.root, [[0, 0, 0], [0.1, 0, 0], [0, -0.1, 1]], atol=1e-6)
    assert retarget.human_take(human) is human


def test_a_t_pose_stays_a_t_pose():
    """No turn at all from a T pose: the human, who rests with hanging arms, has to lift them."""
    names = ("Hips", "Head", "LeftArm", "LeftForeArm", "RightArm")
    rotations = np.zeros((1, len(names), 4), np.float32)
    rotations[..., 0] = 1
    take = Take(
        fps=30.0, curve_names=(), curves=np.zeros((1, 0), np.float32), joint_names=names, rotations=rotations,
        root=np.zeros((1, 3), np.float32), confidence=np.ones(1, np.float32),
    )  # fmt: skip
    human = retarget.human_take(take)
    turns = retarget.turns_of(human)
    from hyoid.geometry.rotations import rotate

    upper = retarget.product(turns, ("upperarm01.L", "upperarm02.L"))
    lower = retarget.product(turns, ("upperarm01.L", "upperarm02.L", "lowerarm01.L", "lowerarm02.L"))
    assert np.allclose(rotate(upper, np.array([0.6618, -0.7493, 0.0233])), [1, 0, 0], atol=1e-3)
    assert np.allclose(rotate(lower, np.array([0.5065, -0.4991, 0.7031])), [1, 0, 0], atol=1e-3)
    flat = retarget.turns_of(retarget.human_take(take, align=False))
    assert np.allclose(flat["upperarm01.L"], [1, 0, 0, 0])
