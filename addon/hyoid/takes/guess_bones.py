# SPDX-License-Identifier: GPL-3.0-or-later
"""Which joints of the human turn which bone of another armature, told from the names of its bones.

Every skeleton is read as roles: ``hips``, a chain of ``spine`` and of ``neck`` bones, ``head``, ``arm.L``... A role
stands for joints of the human in order; where a skeleton has fewer bones than the human has joints, a bone takes the
product of several.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

NECK = ("c7t1", "c6c7", "c5c6", "c4c5", "c3c4", "c2c3", "c1c2", "oc1")
SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
JAW_CURVE, LOOK_LEFT, LOOK_RIGHT = "jawOpen", "eyeLook.L", "eyeLook.R"
"""Sources that are no joints: turns that face curves ask for."""

_LIMBS = (
    ["clavicle", "shoulder01", "upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist", "pelvis", "upperleg01",
     "upperleg02", "lowerleg01", "lowerleg02", "foot", "eye"]
    + [f"metacarpal{number}" for number in range(1, 5)]
    + [f"finger{finger}-{phalanx}" for finger in range(1, 6) for phalanx in (1, 2, 3)]
    + [f"toe{toe}-{phalanx}" for toe in range(1, 6) for phalanx in (1, 2, 3) if (toe, phalanx) != (1, 3)]
)  # fmt: skip
JOINTS = frozenset(
    ["root", *SPINE, *NECK, "jaw", "teeth_upper", "teeth_lower", *(f"tongue0{number}" for number in range(5))]
    + [f"{joint}.{side}" for joint in _LIMBS for side in "LR"]
)
"""The 116 joints of the human."""

_LAYERS = ("control", "", "stretch", "deform")
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")

_PREFIX = re.compile(
    r"^(mixamorig\d*[:_ ]?|bip\d*[ _]|bip001[ _]|j_(bip|adj)_+([clr]_)?|valvebiped[._ ]?(bip01_)?"
    r"|def[-_]|org[-_]|mch[-_]|cc_base_|armature[|:_]|root[|:]|.*:(?=\w))",
    re.IGNORECASE,
)
_SKIPPED = re.compile(
    r"^(mch|org|wgt|vis|tweak|ik|pole|twist|roll|target|offset|master|parent|socket|pivot|mechanism|track|follow|ref|helper"
    r"|corrective|correctiveroot|adj|sec|end|nub|site|top|bendy|bend|auto|hidden|gizmo|str|int|prop|stretchy|partner|nostr"
    r"|switch|snap|line|shape|widget|attach|weapon|camera|cam|hair|cloth|skirt|breast|bust|scale|scalefix)$"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")

# Role and the words that name it, sides and numbers taken away; chains keep their numbers for the order.
_ROLES: dict[str, tuple[str, ...]] = {
    "hips": ("rootmaster", "torso", "hips", "hip", "pelvis"),
    "spine": ("spine", "lowerback", "chest", "upperchest", "abdomen", "waist", "spinefk", "torsoupper"),
    "neck": ("neck", "necktwist", "neckfk"),
    "head": ("head", "headfk"),
    "jaw": ("jaw", "jawbone", "jawmaster", "jawroot", "lowerjaw", "facialcjaw"),
    "eye": ("eye", "eyeball", "faceeye", "mastereye", "eyefk", "facialeye"),
    "shoulder": ("shoulder", "clavicle", "collar", "collarbone"),
    "arm": ("arm", "upperarm", "uparm", "shldr", "armfk", "upperarmfk", "armstretch"),
    "forearm": ("forearm", "lowerarm", "lowarm", "forearmfk", "forearmstretch", "elbow"),
    "hand": ("hand", "wrist", "handfk"),
    "thigh": ("thigh", "upleg", "upperleg", "thighfk", "thighstretch"),
    "shin": ("leg", "shin", "calf", "lowerleg", "lowleg", "shinfk", "legfk", "legstretch", "knee"),
    "foot": ("foot", "ankle", "footfk"),
    "toe": ("toe", "toes", "toebase", "ball", "toefk", "toesfk"),
    "thumb": ("thumb", "handthumb", "thumbfk"),
    "index": ("index", "handindex", "findex", "indexfinger", "indexfk"),
    "middle": ("middle", "handmiddle", "fmiddle", "middlefinger", "mid", "middlefk"),
    "ring": ("ring", "handring", "fring", "ringfinger", "ringfk"),
    "pinky": ("pinky", "handpinky", "fpinky", "little", "handlittle", "pinkyfinger", "littlefinger", "pinkyfk"),
}
_ROLE_OF = {word: role for role, words in _ROLES.items() for word in words}
_SIDED = frozenset(_ROLES) - {"hips", "spine", "neck", "head", "jaw"}
_CHAIN_ORDER = {"lowerback": -1, "abdomen": -1, "waist": -2, "chest": 50, "upperchest": 51}


@dataclass(frozen=True)
class BoneRow:
    """One line of a bone map: ``target`` turns by the product of ``sources`` in order."""

    target: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class BoneGuess:
    """What the names of bones told.

    Attributes:
        rows: the map. roles: role -> bones (chains from below to above). style: the naming scheme, in words.
        ambiguous: bones of which several could be meant; they are left out.
    """

    rows: tuple[BoneRow, ...] = ()
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    style: str = ""
    ambiguous: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Bone:
    name: str
    layer: str
    role: str
    side: str
    number: int
    extra: int
    word: str


def guess(names: Iterable[str], parents: Mapping[str, str] | None = None, *, jaw_curve: bool = False) -> BoneGuess:
    """The bone map of an armature.

    Args:
        names: of its bones. parents: bone -> its parent, where known: chains are put in order by it.
        jaw_curve: the jaw bone opens with the curve ``jawOpen`` too (for faces without a shape that does it).
    """
    names = list(names)
    roles, style, ambiguous = find_roles(names, parents)
    rows = list(_rows(roles, jaw_curve))
    same = set(names) & JOINTS
    if same >= {"root", *SPINE}:
        # Named like the human itself: joint by joint, what is left by its role.
        mapped = {row.target for row in rows if row.target in same}
        rows = [row for row in rows if row.target not in mapped and not set(row.sources) & same]
        rows += [BoneRow(name, (name, *_extra(name, jaw_curve))) for name in names if name in same]
        style = "the human's own names"
    order = {name: index for index, name in enumerate(names)}
    rows.sort(key=lambda row: order[row.target])
    return BoneGuess(tuple(rows), roles, style, ambiguous)


def guess_bones(names: Iterable[str], parents: Mapping[str, str] | None = None) -> tuple[BoneRow, ...]:
    """The rows of :func:`guess`."""
    return guess(names, parents).rows


def _extra(joint: str, jaw_curve: bool) -> tuple[str, ...]:
    extra = {"eye.L": (LOOK_LEFT,), "eye.R": (LOOK_RIGHT,), "jaw": (JAW_CURVE,) if jaw_curve else ()}
    return extra.get(joint, ())


def find_roles(
    names: Sequence[str], parents: Mapping[str, str] | None = None
) -> tuple[dict[str, tuple[str, ...]], str, tuple[str, ...]]:
    """The bones of each role (``hips``, ``spine``, ``arm.L``, ``index1.R``), the naming scheme, and unclear bones."""
    bones = [bone for bone in map(_parse, names) if bone is not None]
    if any(bone.role in ("neck", "head") and bone.layer != "deform" for bone in bones):
        # Deforming bones of a rig with controls follow the controls; a turn of their own would be lost.
        bones = [bone for bone in bones if bone.layer != "deform"]
    roles: dict[str, tuple[str, ...]] = {}
    ambiguous: list[str] = []
    depths = _depths(names, parents or {})
    groups: dict[str, list[_Bone]] = {}
    for bone in bones:
        groups.setdefault(f"{bone.role}.{bone.side}" if bone.side else bone.role, []).append(bone)
    for key, found in groups.items():
        found = _top_layer(found)
        if key in ("spine", "neck"):
            found = _on_the_way(found, bones, parents or {})
            roles[key] = tuple(bone.name for bone in sorted(found, key=lambda bone: _chain_place(bone, depths, names)))
            continue
        if key.partition(".")[0] in _FINGERS:
            continue
        best = [bone for bone in found if bone.extra == min(other.extra for other in found)]
        if len(best) > 1 and parents:
            # Of several with one meaning the one nearest to the root leads, if it is alone there.
            top = min(depths[bone.name] for bone in best)
            best = [bone for bone in best if depths[bone.name] == top]
        if len(best) == 1:
            roles[key] = (best[0].name,)
        else:
            ambiguous += [bone.name for bone in best]
    _number_fingers(roles, groups)
    _split_rigify_spine(roles)
    return roles, _style(names, roles), tuple(ambiguous)


def _top_layer(found: Sequence[_Bone]) -> list[_Bone]:
    """The controls if there are any, else the plain bones, else the deforming ones."""
    layer = next(layer for layer in _LAYERS if any(bone.layer == layer for bone in found))
    return [bone for bone in found if bone.layer == layer]


def _on_the_way(found: list[_Bone], bones: Sequence[_Bone], parents: Mapping[str, str]) -> list[_Bone]:
    """Those of a chain that carry the head or the neck: Rigify's lower spine controls hang downwards."""
    carrying: set[str] = set()
    for bone in bones:
        if bone.role in ("head", "neck"):
            at = bone.name
            while at and at not in carrying:
                carrying.add(at)
                at = parents.get(at, "")
    return [bone for bone in found if bone.name in carrying] or found


def _chain_place(bone: _Bone, depths: Mapping[str, int], names: Sequence[str]) -> tuple[int, int, int]:
    """Where a bone stands in its chain: by depth, then by name and number."""
    if bone.name in SPINE and set(SPINE) <= set(names):
        return depths[bone.name], SPINE.index(bone.name), 0  # numbered from the top
    return depths[bone.name], _CHAIN_ORDER.get(bone.word, bone.number), bone.number


def _depths(names: Sequence[str], parents: Mapping[str, str]) -> dict[str, int]:
    depths: dict[str, int] = {}
    for name in names:
        depth, at = 0, name
        while at in parents and depth < 1000:
            at, depth = parents[at], depth + 1
        depths[name] = depth
    return depths


def _parse(name: str) -> _Bone | None:
    """The role that a bone's name tells, or None."""
    layer = ""
    lower = name.lower()
    if lower.startswith(("org-", "mch-", "wgt-", "vis_", "vis-")):
        return None
    if lower.startswith(("def-", "def_")):
        layer = "deform"
    elif "_stretch" in lower:
        layer = "stretch"
    side, rest = _side(name)
    control = re.match(r"^c_(?=[a-z])", rest)
    if control and not rest.lower().startswith(("c_skull", "c_traj")):
        layer, rest = "control", rest[2:]
    while (shorter := _PREFIX.sub("", rest, count=1)) != rest and shorter:
        rest = shorter
    words = [word.lower() for word in _WORD.findall(rest)]
    numbers = [int(word) for word in words if word.isdigit()]
    letters = [word for word in words if not word.isdigit()]
    if any(_SKIPPED.match(word) for word in letters) and "".join(letters) not in _ROLE_OF:
        return None
    if "fk" in letters:
        layer = "control"
    finger = _finger(letters)
    if finger is not None:
        base = "metacarpal" in letters or "base" in letters or "palm" in letters or "meta" in letters
        number = numbers[0] if numbers else 1
        extra = len(numbers[1:])  # f_index.01.L.001 is a control of the skin
        return _Bone(name, layer, f"{finger}{'0' if base else ''}", side, number, extra, finger) if side else None
    word = "".join(letters)
    role = "hips" if lower == "root.x" else _ROLE_OF.get(word)
    if role is None:
        return None
    if (role in _SIDED) != bool(side):
        return None
    number = numbers[0] if numbers else 0
    extra = number
    if role == "hips":
        extra = len(_ROLES["hips"]) if lower == "root.x" else _ROLES["hips"].index(word)
    elif word == "mastereye":
        extra = -1  # beside it, Rigify's eye.L is what the eye looks at
    return _Bone(name, layer, role, side, number, extra, word)


def _finger(letters: Sequence[str]) -> str | None:
    """The finger that the words name, if they name nothing else."""
    rest = [word for word in letters
            if word not in ("hand", "f", "finger", "fk", "metacarpal", "base", "palm", "meta", "proximal",
                            "intermediate", "distal")]  # fmt: skip
    names = {"thumb": "thumb", "index": "index", "middle": "middle", "mid": "middle", "ring": "ring", "pinky": "pinky",
             "little": "pinky"}  # fmt: skip
    if len(rest) == 1 and rest[0] in names:
        return names[rest[0]]
    return None


_PHALANX = {"proximal": 1, "intermediate": 2, "distal": 3}


def _side(name: str) -> tuple[str, str]:
    """``L``, ``R`` or nothing, and the name without the word that says it."""
    patterns = (
        (r"(?i)[._\- ](left|right|l|r)(?=$|[._\-]\d+$)", 1),
        (r"^(?i:j_bip|j_adj|j_sec|facial)_([LR])_", 1),
        (r"(?i)^(left|right)[._\- ]?(?=\w)", 1),
        (r"(?i)[:_ |](left|right)(?=[A-Z_ ])", 1),
        (r"(?i)(?:^|[:_ |.\-])([lr])[_ .\-](?=\w)", 1),
        (r"(?:^|[:_ ])([LR])(?=[A-Z][a-z])", 1),
        (r"^(l|r)(?=[A-Z])", 1),
        (r"(Left|Right)$", 1),
        (r"(?i)_(l|r)_", 1),
    )
    for pattern, group in patterns:
        found = re.search(pattern, name)
        if found:
            side = found.group(group)[0].upper()
            kept = name[: found.start(group)] + "_" + name[found.end(group) :]
            return side, kept
    # The middle is often marked too: neck.x, J_Bip_C_Neck.
    return "", re.sub(r"(?i)\.x$", "", name)


def _number_fingers(roles: dict[str, tuple[str, ...]], groups: Mapping[str, list[_Bone]]) -> None:
    """Replace ``index.L`` (several bones) by ``index1.L``, ``index2.L``... in the order of their numbers."""
    for key, found in groups.items():
        finger, _, side = key.partition(".")
        if finger not in _FINGERS or not side:
            continue
        roles.pop(key, None)
        numbers: dict[int, list[str]] = {}
        found = _top_layer(found)
        for bone in (bone for bone in found if bone.extra == min(other.extra for other in found)):
            words = [word.lower() for word in _WORD.findall(bone.name)]
            number = next((_PHALANX[word] for word in words if word in _PHALANX), bone.number)
            numbers.setdefault(number, []).append(bone.name)
        first = min(numbers)
        for number, bones in numbers.items():
            # Thumbs and Bip01 fingers may count from 0 on.
            phalanx = number - first + 1
            if len(bones) == 1 and phalanx <= 3:
                roles[f"{finger}{phalanx}.{side}"] = (bones[0],)


def _split_rigify_spine(roles: dict[str, tuple[str, ...]]) -> None:
    """Rigify's metarig calls hips, neck and head ``spine`` too: seven bones, of which the last is the head."""
    chain = roles.get("spine", ())
    numbered = all(re.search(r"spine(\.\d{3})?$", name) for name in chain)
    if len(chain) == 7 and numbered and "head" not in roles and "neck" not in roles:
        roles |= {"hips": chain[:1], "spine": chain[1:4], "neck": chain[4:6], "head": chain[6:]}
    elif chain and numbered and "hips" not in roles and len(chain) >= 3 and chain[0].endswith("spine"):
        roles |= {"hips": chain[:1], "spine": chain[1:]}


def _style(names: Sequence[str], roles: Mapping[str, tuple[str, ...]]) -> str:
    text = "\n".join(names)
    known = (
        (r"(?m)^(upper_arm_fk|DEF-spine|MCH-|spine_fk)", "Rigify"),
        (r"(?m)^spine\.006$", "Rigify metarig"),
        (r"(?m)^mixamorig", "Mixamo"),
        (r"(?m)^(c_neck|c_head|neck|head|root)\.x$", "Auto-Rig Pro"),
        (r"(?m)^J_Bip_", "VRoid / VRM"),
        (r"(?m)^(clavicle|upperarm|thigh)_l$", "Unreal mannequin"),
        (r"(?m)^Bip0?0?1", "Biped"),
        (r"(?m)(^|:)LHipJoint$|^LeftUpLeg$|:LeftUpLeg$", "motion capture"),
        (r"(?m)^(upperarm01|spine05|neck01)", "MakeHuman"),
    )
    if not roles:
        return ""
    return next((style for pattern, style in known if re.search(pattern, text)), "plain names")


def _rows(roles: Mapping[str, tuple[str, ...]], jaw_curve: bool) -> Iterable[BoneRow]:
    """The map that the roles give."""
    for bone, sources in joints_of_roles(roles).items():
        if bone in roles.get("jaw", ()) and jaw_curve:
            sources = (*sources, JAW_CURVE)
        for side, look in (("L", LOOK_LEFT), ("R", LOOK_RIGHT)):
            if bone in roles.get(f"eye.{side}", ()):
                sources = (*sources, look)
        yield BoneRow(bone, sources)


def joints_of_roles(roles: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Bone -> the joints of the human that its turn stands for, in order; no joint twice."""
    result: dict[str, tuple[str, ...]] = {}
    if "hips" in roles:
        result[roles["hips"][0]] = ("root",)
    result |= dict(zip(roles.get("spine", ()), _groups(SPINE, len(roles.get("spine", ()))), strict=False))
    necks = roles.get("neck", ())
    if "head" in roles:
        # The two upper joints move the skull; with seven bones or more there is one for each vertebra.
        top = 1 if len(necks) >= 7 else 2
        result |= dict(zip(necks, _groups(NECK[:-top], len(necks)), strict=False))
        result[roles["head"][0]] = NECK[-top:] if necks else NECK
    else:
        result |= dict(zip(necks, _groups(NECK, len(necks)), strict=False))
    if "jaw" in roles:
        result[roles["jaw"][0]] = ("jaw",)
    for side in "LR":
        if f"eye.{side}" in roles:
            result[roles[f"eye.{side}"][0]] = (f"eye.{side}",)
        _limbs(result, roles, side)
    return {bone: sources for bone, sources in result.items() if sources}


def _limbs(result: dict[str, tuple[str, ...]], roles: Mapping[str, tuple[str, ...]], side: str) -> None:
    """Arms, hands, legs of one side; a joint whose bone is missing moves the next bone."""
    chains: list[list[tuple[str, tuple[str, ...]]]] = [
        [("shoulder", ("clavicle", "shoulder01")), ("arm", ("upperarm01", "upperarm02")),
         ("forearm", ("lowerarm01", "lowerarm02")), ("hand", ("wrist",))],
        [("", ("pelvis",)), ("thigh", ("upperleg01", "upperleg02")), ("shin", ("lowerleg01", "lowerleg02")),
         ("foot", ("foot",)), ("toe", ("toe2-1",))],
    ]  # fmt: skip
    for number, finger in enumerate(_FINGERS, 1):
        chain = [(f"{finger}{phalanx}", (f"finger{number}-{phalanx}",)) for phalanx in (1, 2, 3)]
        if finger != "thumb":
            chain.insert(0, (f"{finger}0", (f"metacarpal{number - 1}",)))
        chains.append(chain)
    for chain in chains:
        waiting: tuple[str, ...] = ()
        for role, joints in chain:
            joints = (*waiting, *(f"{joint}.{side}" for joint in joints))
            found = roles.get(f"{role}.{side}")
            if found:
                result[found[0]], waiting = joints, ()
            else:
                waiting = joints


def _groups(joints: Sequence[str], count: int) -> list[tuple[str, ...]]:
    """Joints in ``count`` neighbouring groups, the lower ones the larger; no more groups than joints."""
    if count <= 0:
        return []
    size, more = divmod(len(joints), count)
    result, at = [], 0
    for index in range(min(count, len(joints))):
        step = max(size + (1 if index < more else 0), 1)
        result.append(tuple(joints[at : at + step]))
        at += step
    return result
