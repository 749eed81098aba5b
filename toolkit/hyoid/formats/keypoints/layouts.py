# SPDX-License-Identifier: Apache-2.0
"""Which joints a detector finds, and in which order: the layouts that people have, and how names tell them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hyoid.geometry import human36m


@dataclass(frozen=True)
class Layout:
    """The joints of one kind of skeleton.

    Attributes:
        name: what a user types, ``coco17``. title: what a user reads, ``COCO-17``.
        joints: one name a joint, in the file's order; what is the same place has the same name in every layout.
        body: how many of the first joints are body, head and feet; those behind are points of face and hands.
        aliases: other names that programs give it.
    """

    name: str
    title: str
    joints: tuple[str, ...]
    body: int
    aliases: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.joints)


def _both(*names: str) -> tuple[str, ...]:
    """Each name on the left and on the right side, in turn."""
    return tuple(f"{side} {name}" for name in names for side in ("left", "right"))


def _one(side: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{side} {name}" for name in names)


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name} {number}" for number in range(count))


_ARM, _LEG, _FOOT = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"), ("big toe", "small toe", "heel")
_COCO = ("nose", *_both("eye", "ear", *_ARM, *_LEG))
_FACE_AND_HANDS = (*_numbered("face", 68), *_numbered("left hand", 21), *_numbered("right hand", 21))
_HALPE = (*_COCO, "head top", "neck", "pelvis", *_both(*_FOOT))
_OPENPOSE_ARMS = ("neck", *_one("right", *_ARM), *_one("left", *_ARM))
_OPENPOSE_LEGS = (*_one("right", *_LEG), *_one("left", *_LEG))
_OPENPOSE_HEAD = ("right eye", "left eye", "right ear", "left ear")
_MEDIAPIPE = (
    "nose", *(f"{side} {part}" for side in ("left", "right") for part in ("eye inner", "eye", "eye outer")),
    *_both("ear", "mouth", *_ARM, "pinky", "index", "thumb", *_LEG, "heel", "big toe"),
)  # fmt: skip
_HUMAN36M = tuple({"neck": "head", "head": "head top"}.get(name, name) for name in human36m.NAMES)
"""Here ``neck`` is where the neck begins; what Human3.6M calls so lies between the ears or at the nose."""


def _layout(name: str, title: str, joints: tuple[str, ...], *aliases: str, body: int | None = None) -> Layout:
    return Layout(name, title, joints, len(joints) if body is None else body, aliases)


LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        _layout("coco17", "COCO-17", _COCO, "coco", "cocokeypoints", "body7", "crowdcoco"),
        _layout("human36m17", "Human3.6M-17", _HUMAN36M, "h36m", "human36m", "h36m17"),
        _layout("body25", "OpenPose BODY_25", ("nose", *_OPENPOSE_ARMS, "pelvis", *_OPENPOSE_LEGS, *_OPENPOSE_HEAD,
                *_one("left", *_FOOT), *_one("right", *_FOOT)), "openpose25", "openpose", "openposebody25"),
        _layout("coco18", "OpenPose COCO-18", ("nose", *_OPENPOSE_ARMS, *_OPENPOSE_LEGS, *_OPENPOSE_HEAD),
                "openpose18", "openposecoco", "openposecoco18"),
        _layout("halpe26", "Halpe-26", _HALPE, "halpe", "body8halpe26"),
        _layout("halpe136", "Halpe-136", _HALPE + _FACE_AND_HANDS, "halpefullbody", body=26),
        _layout("coco_wholebody133", "COCO-WholeBody-133", (*_COCO, *_one("left", *_FOOT), *_one("right", *_FOOT),
                *_FACE_AND_HANDS), "cocowholebody", "wholebody", "wholebody133", body=23),
        _layout("mediapipe33", "MediaPipe Pose 33", _MEDIAPIPE, "mediapipe", "blazepose", "blazepose33"),
        _layout("vitpose25", "ViTPose-25 (COCO with neck, hip and feet)", (*_COCO[:5], "neck", *_COCO[5:13], "pelvis",
                *_COCO[13:], *_one("left", *_FOOT), *_one("right", *_FOOT)), "coco25"),
        _layout("mpii16", "MPII-16", ("right ankle", "right knee", "right hip", "left hip", "left knee", "left ankle",
                "pelvis", "thorax", "upper neck", "head top", "right wrist", "right elbow", "right shoulder",
                "left shoulder", "left elbow", "left wrist"), "mpii"),
        _layout("mpi15", "OpenPose MPI-15", ("head top", *_OPENPOSE_ARMS, *_OPENPOSE_LEGS, "spine"), "openposempi"),
    )
}  # fmt: skip
"""Every layout by name."""

ELSEWHERE = {
    14: "14 joints are those of CrowdPose or AI Challenger",
    20: "20 joints are those of NTU or MuPoTS recordings with a Kinect",
    21: "21 joints are those of a hand",
    24: "24 joints are those of SMPL, a body model in three dimensions",
    68: "68 points are those of a face",
    70: "70 points are those of a face",
    468: "468 points are those of MediaPipe's face mesh",
    478: "478 points are those of MediaPipe's face mesh",
}
"""What other counts are known for."""

BONES = (
    ("nose", "left eye"), ("nose", "right eye"), ("left eye", "left ear"), ("right eye", "right ear"),
    ("nose", "neck"), ("left ear", "left shoulder"), ("right ear", "right shoulder"),
    ("left shoulder", "left elbow"), ("left elbow", "left wrist"), ("right shoulder", "right elbow"),
    ("right elbow", "right wrist"), ("left shoulder", "right shoulder"), ("left hip", "right hip"),
    ("left shoulder", "left hip"), ("right shoulder", "right hip"), ("left hip", "left knee"),
    ("left knee", "left ankle"), ("right hip", "right knee"), ("right knee", "right ankle"),
    ("left ankle", "left heel"), ("right ankle", "right heel"), ("left heel", "left big toe"),
    ("right heel", "right big toe"), ("pelvis", "left hip"), ("pelvis", "right hip"), ("pelvis", "spine"),
    ("spine", "thorax"), ("thorax", "head"), ("head", "head top"), ("thorax", "left shoulder"),
    ("thorax", "right shoulder"),
)  # fmt: skip
"""Pairs of joints that lie near each other on everybody."""

_NEEDED = ("left hip", "right hip", "left knee", "right knee", "left shoulder", "right shoulder")
_SAME = {
    "hip": "pelvis", "root": "pelvis", "mid hip": "pelvis", "midhip": "pelvis", "hips": "pelvis",
    "pelvis center": "pelvis", "head": "head top", "headtop": "head top", "top head": "head top",
    "top of head": "head top", "neck base": "neck", "left foot index": "left big toe",
    "right foot index": "right big toe", "left toe": "left big toe", "right toe": "right big toe",
    "left bigtoe": "left big toe", "right bigtoe": "right big toe", "left smalltoe": "left small toe",
    "right smalltoe": "right small toe",
}  # fmt: skip
_SIDES = {"l": "left", "r": "right"}


def plain(name: str) -> str:
    """A layout's name without what people write differently: ``COCO-17`` becomes ``coco17``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def by_name(name: str) -> Layout | None:
    """The layout that a user or a file means by a name; None when it is none of them."""
    wanted = plain(name)
    for layout in LAYOUTS.values():
        if wanted in (plain(layout.name), plain(layout.title), *layout.aliases):
            return layout
    return None


def with_count(count: int) -> list[Layout]:
    return [layout for layout in LAYOUTS.values() if layout.count == count]


def known() -> str:
    """All layouts with their counts, for messages."""
    return ", ".join(f"{layout.name} ({layout.count})" for layout in LAYOUTS.values())


def joint(name: str) -> str:
    """A joint's name as the layouts here spell it: ``LShoulder``, ``left_shoulder`` become ``left shoulder``."""
    words = re.sub(r"([a-z])([A-Z])", r"\1 \2", re.sub(r"^([LR])([A-Z][a-z])", r"\1 \2", name.strip()))
    parts = re.split(r"[\s_\-.]+", words.lower())
    if parts[-1] in ("left", "right", "l", "r") and len(parts) > 1:
        parts = [parts[-1], *parts[:-1]]
    parts[0] = _SIDES.get(parts[0], parts[0])
    text = " ".join(parts)
    return _SAME.get(text, text)


def by_joints(names: Sequence[str]) -> Layout | None:
    """The layout whose joints have these names, or one made for them; None when hips, knees or shoulders have none.

    Args:
        names: one a joint, in the file's order and spelling.
    """
    spelled = tuple(map(joint, names))
    for layout in with_count(len(names)):
        # Human3.6M's neck and head have other names in every program.
        agree = sum(a == b for a, b in zip(spelled[: layout.body], layout.joints, strict=False))
        if agree >= 0.8 * layout.body:
            return layout
    if len(set(spelled)) != len(spelled) or not set(_NEEDED) <= set(spelled):
        return None
    return Layout("named", f"the file's own {len(names)} joints", spelled, len(spelled))
