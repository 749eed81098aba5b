# SPDX-License-Identifier: Apache-2.0
"""What the joints of a skeleton are for, told by their names: spine, neck, limbs and fingers of the usual rigs.

Known are Hyoid's characters (MakeHuman's names, HACK's eight cervical joints), SMPL-X, SMPL-H, SMPL and FLAME,
Mixamo, CMU and other motion capture, Rigify, and Unreal's mannequin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hyoid.characters.character import Character
from hyoid.characters.neck import JOINTS

LIMBS = ("arm", "forearm", "hand", "thigh", "shin")
"""Roles whose rest directions differ from skeleton to skeleton: arms hang, or stand out in a T."""
PARENTS: dict[str, str] = {"spine": "hips", "neck": "spine"} | {
    f"{role}.{side}": parent if parent in ("spine", "hips") else f"{parent}.{side}"
    for side in "LR"
    for role, parent in (
        ("collar", "spine"), ("arm", "collar"), ("forearm", "arm"), ("hand", "forearm"), ("thigh", "hips"),
        ("shin", "thigh"), ("foot", "shin"), ("toe", "foot"),
        *((f"{finger}", "hand") for finger in ("thumb", "index", "middle", "ring", "pinky")),
    )
}  # fmt: skip
"""Roles and the role above each; a role may have several joints, and the head is the last one of ``neck``."""
SPINE_ROLES = ("hips", "spine", "neck")
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_MAKEHUMAN = {
    "root": "hips", **{f"spine0{n}": "spine" for n in range(1, 6)},
    **{f"neck0{n}": "neck" for n in range(1, 4)}, "head": "neck",
    "clavicle": "collar", "shoulder01": "collar", "upperarm01": "arm", "upperarm02": "arm", "lowerarm01": "forearm",
    "lowerarm02": "forearm", "wrist": "hand", "upperleg01": "thigh", "upperleg02": "thigh", "lowerleg01": "shin",
    "lowerleg02": "shin", "foot": "foot",
    **{f"finger{n}-{k}": finger for n, finger in enumerate(_FINGERS, 1) for k in (1, 2, 3)},
}  # fmt: skip
_SMPL = {
    "pelvis": "hips", "spine1": "spine", "spine2": "spine", "spine3": "spine", "neck": "neck", "head": "neck",
    "collar": "collar", "shoulder": "arm", "elbow": "forearm", "wrist": "hand", "hip": "thigh", "knee": "shin",
    "ankle": "foot", "foot": "toe", **{f"{finger}{k}": finger for finger in _FINGERS for k in (1, 2, 3)},
}  # fmt: skip
_RIGIFY = {
    "spine": "hips", "spine.001": "spine", "spine.002": "spine", "spine.003": "spine", "spine.004": "neck",
    "spine.005": "neck", "spine.006": "neck", "shoulder": "collar", "upper_arm": "arm", "forearm": "forearm",
    "hand": "hand", "thigh": "thigh", "shin": "shin", "foot": "foot", "toe": "toe",
    **{f"f_{finger}.0{k}": finger for finger in _FINGERS[1:] for k in (1, 2, 3)},
    **{f"thumb.0{k}": "thumb" for k in (1, 2, 3)},
}  # fmt: skip
_OTHER = (
    (r"hips?|pelvis|cog", "hips"),
    (r"spine\d*|chest\d*|upperchest|lowerback|torso|abdomen\d*", "spine"),
    (r"neck\d*|head", "neck"),
    (r"shoulder|clavicle|collar", "collar"),
    (r"arm|upperarm|uparm", "arm"),
    (r"forearm|lowerarm|elbow", "forearm"),
    (r"hand|wrist", "hand"),
    (r"upleg|thigh|upperleg|hip", "thigh"),
    (r"leg|shin|lowerleg|calf|knee", "shin"),
    (r"foot|ankle", "foot"),
    (r"toe|toes|toebase|ball", "toe"),
    *((rf"(?:hand)?{finger}(?:finger)?0?[1-3]", finger) for finger in _FINGERS),
)
_SIDE = re.compile(r"(?P<head>left|right|l[_.]|r[_.])?(?P<core>.*?)(?P<tail>[_.]l|[_.]r|[_.]?left|[_.]?right)?")


@dataclass(frozen=True)
class Skeleton:
    """Joints by role.

    Attributes:
        names: (J,). parents: (J,) ints, -1 for a root and where the parent is not known.
        roles: indices of the joints by role, from the trunk outwards.
        directions: the unit vector along each limb at rest, in model axes (x left, y up, z forward), by role.
        leg: metres from hip to ankle, or None. neck: metres from its first joint to its last, or None.
        across: the unit vector across each palm, from the index finger to the little one, by side.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    roles: Mapping[str, tuple[int, ...]]
    directions: Mapping[str, np.ndarray]
    leg: float | None = None
    neck: float | None = None
    across: Mapping[str, np.ndarray] | None = None


def roles_of(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The joints of each role, as indices into ``names`` (parents before children)."""
    low = [_clean(name) for name in names]
    found: dict[str, list[int]] = {}
    for index, (name, role) in enumerate(zip(low, _told(low), strict=True)):
        if name in JOINTS:
            role = "neck"
        if role:
            found.setdefault(role, []).append(index)
    if "hips" not in found:
        root = next((index for index, name in enumerate(low) if name in ("root", "armature_root", "global")), None)
        if root is not None:
            found["hips"] = [root]
    if "neck" in found:  # the eight joints stand for the neck even where a skeleton keeps its own beside them
        eight = [index for index in found["neck"] if low[index] in JOINTS]
        found["neck"] = eight or found["neck"]
    return {role: tuple(indices if role != "hips" else indices[:1]) for role, indices in found.items()}


def _clean(name: str) -> str:
    low = name.strip().lower()
    low = re.split(r"[:|]", low)[-1]
    return re.sub(r"^(mixamorig\d*_|def-|org-|bip\d+[ _]|character1_|cc_base_)", "", low)


def _told(low: list[str]) -> list[str]:
    """The role of each cleaned name, empty where it has none."""
    every = set(low)
    if {"spine05", "upperleg01.l", "upperarm01.l"} & every:
        return [_sided(name, _MAKEHUMAN, ".l", ".r") for name in low]
    if {"left_collar", "left_hip", "spine3"} & every and "pelvis" in every:
        return [_sided(name, _SMPL, "left_", "right_") for name in low]
    if "spine.004" in every or "spine.006" in every:
        return [_sided(name, _RIGIFY, ".l", ".r") for name in low]
    return [_other(name) for name in low]


def _sided(name: str, table: Mapping[str, str], left: str, right: str) -> str:
    for mark, side in ((left, ".L"), (right, ".R")):
        if name.startswith(mark) or name.endswith(mark):
            core = name.removeprefix(mark) if mark.endswith("_") else name.removesuffix(mark)
            role = table.get(core, "")
            return role + side if role and role not in SPINE_ROLES else ""
    role = table.get(name, "")
    return role if role in SPINE_ROLES else ""


def _other(name: str) -> str:
    match = _SIDE.fullmatch(name)
    assert match is not None, "every text matches"
    side = (match["head"] or match["tail"] or "").strip("_.")[:1].upper()
    core = re.sub(r"[ _.\-]", "", match["core"])
    for pattern, role in _OTHER:
        if re.fullmatch(pattern, core):
            if role in SPINE_ROLES:
                if not side:
                    return role
                continue  # a sided hip is a thigh
            return f"{role}.{side}" if side else ""
    return ""


def of_character(character: Character) -> Skeleton:
    """The skeleton of a character, with the directions that its limbs have at rest."""
    roles = roles_of(character.joint_names)
    parents = tuple(int(parent) for parent in character.parents)
    heads, tails = character.heads.astype(float), character.tails.astype(float)
    directions: dict[str, np.ndarray] = {}
    for role, joints in roles.items():
        if role.split(".")[0] in (*LIMBS, *_FINGERS):
            start, end = heads[joints[0]], _end(role, roles, heads, tails)
            length = np.linalg.norm(end - start)
            if length > 1e-4:
                directions[role] = (end - start) / length
    across = {}
    for side in "LR":
        ends = [roles.get(f"{finger}.{side}") for finger in ("index", "pinky")]
        if ends[0] and ends[1]:
            span = heads[ends[1][0]] - heads[ends[0][0]]
            across[side] = span / max(float(np.linalg.norm(span)), 1e-6)
    leg = None
    if "thigh.L" in roles and "foot.L" in roles:
        leg = float(np.linalg.norm(heads[roles["foot.L"][0]] - heads[roles["thigh.L"][0]]))
    neck = None
    if len(roles.get("neck", ())) > 1:
        neck = float(np.linalg.norm(heads[roles["neck"][-1]] - heads[roles["neck"][0]]))
    return Skeleton(character.joint_names, parents, roles, directions, leg, neck, across)


def _end(role: str, roles: Mapping[str, tuple[int, ...]], heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """Where a limb ends: at the next joint outwards, which is surer than a bone's own tail."""
    part, _, side = role.partition(".")
    after = {"arm": "forearm", "forearm": "hand", "hand": "middle", "thigh": "shin", "shin": "foot"}.get(part)
    following = roles.get(f"{after}.{side}")
    return heads[following[0]] if following else tails[roles[role][-1]]


def of_names(names: Sequence[str]) -> Skeleton:
    """The skeleton of a recording of which only the names are known: it is taken to rest in a T pose."""
    roles = roles_of(names)
    directions = {}
    for role in roles:
        part, _, side = role.partition(".")
        outward = np.array([1.0 if side == "L" else -1.0, 0.0, 0.0])
        if part in (*LIMBS[:3], *_FINGERS[1:]):
            directions[role] = outward
        elif part in LIMBS[3:]:
            directions[role] = np.array([0.0, -1.0, 0.0])
    across = {side: np.array([0.0, 0.0, -1.0]) for side in "LR" if f"hand.{side}" in roles}
    return Skeleton(tuple(names), (-1,) * len(names), roles, directions, across=across)
