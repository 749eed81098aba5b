# SPDX-License-Identifier: Apache-2.0
"""Skeletons as Mixamo, Rigify, CMU and SMPL-X name and parent them, and what each joint of them has of the human."""

from __future__ import annotations

from dataclasses import dataclass

_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_MIRRORED = (("left_", "right_"), ("Left", "Right"), (".L", ".R"), ("LHip", "RHip"), ("LThumb", "RThumb"))


@dataclass(frozen=True)
class Joint:
    """One joint of a convention.

    Attributes:
        name, parent: as the convention has them; an empty parent is that of the root.
        own: joints of the bundled human that turn with it, from the trunk outwards. One that is not listed anywhere
            turns with its parent. Empty for an end, which holds nothing.
        end: for an end, the joint of the human at whose tail it lies.
    """

    name: str
    parent: str
    own: tuple[str, ...]
    end: str = ""


def _table(lines: list[str]) -> tuple[Joint, ...]:
    """Lines ``NAME PARENT OWN...``; ``-`` is no parent and ``@JOINT`` an end at the tail of a joint."""
    joints = []
    for line in lines:
        name, parent, *own = line.split()
        end = own[0][1:] if own[0].startswith("@") else ""
        joints.append(Joint(name, "" if parent == "-" else parent, () if end else tuple(own), end))
    return tuple(joints)


def _right(line: str) -> str:
    for left, right in _MIRRORED:
        line = line.replace(left, right)
    return line


def _both(lines: list[str]) -> list[str]:
    """The lines of the left side, then the same of the right."""
    return lines + [_right(line) for line in lines]


def _paired(lines: list[str]) -> list[str]:
    """Each line of the left side followed by that of the right."""
    return [side for line in lines for side in ((line, _right(line)) if _right(line) != line else (line,))]


_NECK = "c7t1 c6c7 c5c6 c4c5 c3c4 c2c3"
_ARM = (
    ("clavicle.L shoulder01.L", "upperarm01.L upperarm02.L", "lowerarm01.L lowerarm02.L", "wrist.L")
)  # fmt: skip
_LEG = ("upperleg01.L upperleg02.L", "lowerleg01.L lowerleg02.L", "foot.L")
_TOES = " ".join(f"toe{toe}-{bone}.L" for toe in range(1, 6) for bone in (1, 2, 3) if (toe, bone) != (1, 3))


def _chain(parent: str, names: tuple[str, ...], own: tuple[str, ...]) -> list[str]:
    """Lines of joints one below the other."""
    above = (parent, *names)
    return [f"{name} {up} {joints}" for name, up, joints in zip(names, above, own, strict=False)]


def _mixamo() -> list[str]:
    hand = []
    for number, finger in enumerate(_FINGERS, 1):
        names = tuple(f"LeftHand{finger.title()}{bone}" for bone in (1, 2, 3, 4))
        own = (*(f"finger{number}-{bone}.L" for bone in (1, 2, 3)), f"@finger{number}-3.L")
        hand += _chain("LeftHand", names, own)
    arm = _chain("Spine2", ("LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"), _ARM)
    leg_names = ("LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase", "LeftToe_End")
    leg = _chain("Hips", leg_names, (*_LEG, _TOES, "@toe2-3.L"))
    trunk = [
        "Hips - spine05", "Spine Hips spine04 spine03", "Spine1 Spine spine02", "Spine2 Spine1 spine01",
        f"Neck Spine2 {_NECK}", "Head Neck c1c2 oc1", "HeadTop_End Head @oc1", *_both(["LeftEye Head eye.L"]),
    ]  # fmt: skip
    lines = [*trunk, *_both(arm + hand), *_both(leg)]
    prefixed = []
    for line in lines:
        name, parent, own = line.split(" ", 2)
        prefixed.append(f"mixamorig:{name} {parent if parent == '-' else f'mixamorig:{parent}'} {own}")
    return prefixed


def _rigify() -> list[str]:
    """The human metarig without bones that only shape its controls; of the face it has eyes and jaw."""
    hand = []
    for palm, finger in enumerate(_FINGERS[1:], 1):
        hand.append(f"palm.0{palm}.L hand.L metacarpal{palm}.L")
        names = tuple(f"f_{finger}.0{bone}.L" for bone in (1, 2, 3))
        hand += _chain(f"palm.0{palm}.L", names, tuple(f"finger{palm + 1}-{bone}.L" for bone in (1, 2, 3)))
        if palm == 1:
            thumb = tuple(f"thumb.0{bone}.L" for bone in (1, 2, 3))
            hand += _chain("palm.01.L", thumb, tuple(f"finger1-{bone}.L" for bone in (1, 2, 3)))
    arm = _chain("spine.003", ("shoulder.L", "upper_arm.L", "forearm.L", "hand.L"), _ARM)
    leg = _chain("spine", ("thigh.L", "shin.L", "foot.L", "toe.L"), (*_LEG, _TOES))
    trunk = [
        "spine - spine05", "spine.001 spine spine04 spine03", "spine.002 spine.001 spine02",
        "spine.003 spine.002 spine01", "spine.004 spine.003 c7t1 c6c7 c5c6", "spine.005 spine.004 c4c5 c3c4 c2c3",
        "spine.006 spine.005 c1c2 oc1", "face spine.006 oc1", *_both(["eye.L face eye.L"]), "jaw face jaw",
        *_both(["pelvis.L spine pelvis.L"]),
    ]  # fmt: skip
    return [*trunk, *_both(arm + hand), *_both(leg)]


def _cmu() -> list[str]:
    """The 31 joints of the CMU Graphics Lab's recordings as BVH; four fingers move as one."""
    fingers = range(2, 6)
    knuckles = " ".join(f"metacarpal{finger - 1}.L" for finger in fingers)
    bones = " ".join(f"finger{finger}-{bone}.L" for finger in fingers for bone in (1, 2, 3))
    arm_names = ("LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand", "LeftFingerBase", "LeftHandIndex1")
    arm = _chain("Spine1", arm_names, (*_ARM, knuckles, bones))
    arm.append("LThumb LeftHand finger1-1.L finger1-2.L finger1-3.L")
    leg_names = ("LHipJoint", "LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase")
    leg = _chain("Hips", leg_names, ("pelvis.L", *_LEG, _TOES))
    trunk = [
        "LowerBack Hips spine04 spine03", "Spine LowerBack spine02", "Spine1 Spine spine01",
        "Neck Spine1 c7t1 c6c7 c5c6", "Neck1 Neck c4c5 c3c4 c2c3", "Head Neck1 c1c2 oc1",
    ]  # fmt: skip
    return ["Hips - spine05", *_both(leg), *trunk, *_both(arm)]


def _smplx() -> list[str]:
    """The 55 joints of SMPL-X in their order."""
    trunk = [
        "pelvis - spine05", f"left_hip pelvis {_LEG[0]}", "spine1 pelvis spine04 spine03",
        f"left_knee left_hip {_LEG[1]}", "spine2 spine1 spine02", f"left_ankle left_knee {_LEG[2]}",
        "spine3 spine2 spine01", f"left_foot left_ankle {_TOES}", f"neck spine3 {_NECK}",
        f"left_collar spine3 {_ARM[0]}", "head neck c1c2 oc1", f"left_shoulder left_collar {_ARM[1]}",
        f"left_elbow left_shoulder {_ARM[2]}", f"left_wrist left_elbow {_ARM[3]}", "jaw head jaw",
        "left_eye_smplhf head eye.L",
    ]  # fmt: skip
    hand = []
    for finger in ("index", "middle", "pinky", "ring", "thumb"):
        number = _FINGERS.index(finger) + 1
        names = tuple(f"left_{finger}{bone}" for bone in (1, 2, 3))
        hand += _chain("left_wrist", names, tuple(f"finger{number}-{bone}.L" for bone in (1, 2, 3)))
    return [*_paired(trunk), *_both(hand)]


CONVENTIONS: dict[str, tuple[Joint, ...]] = {
    "mixamo": _table(_mixamo()), "rigify": _table(_rigify()), "cmu": _table(_cmu()), "smplx": _table(_smplx()),
}  # fmt: skip
"""The joints of each convention, parents before children."""
