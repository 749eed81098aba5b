# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity settings as an artist reads them: names, groups, and left and right joined to one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..toolkit.characters import bundled

PHENOTYPE: dict[str, tuple[str, str]] = {
    "gender": ("Gender", "0 is a man, 1 is a woman"),
    "age": ("Age", "-0.33 is newborn, 0 a baby, 0.33 a child, 0.67 twenty-five, 1 ninety"),
    "muscle": ("Muscle", "From slack to athletic"),
    "weight": ("Weight", "From thin to heavy"),
    "height": ("Height", "From short to tall"),
    "proportions": ("Proportions", "0 is the drawn ideal, 1 the least common"),
    "african": ("African", "Share of African features; the three shares count against each other"),
    "asian": ("Asian", "Share of Asian features; the three shares count against each other"),
    "caucasian": ("Caucasian", "Share of Caucasian features; the three shares count against each other"),
    "cupsize": ("Breast size", "Of women"),
    "firmness": ("Firmness", "Of the breast"),
}
"""Phenotype settings in the order of the panel: what the slider says, and its tooltip."""

_FACE = ("cheek", "chin", "ear", "eyebrows", "eye", "forehead", "head", "mouth", "neck", "nose")
_WORDS = {
    "vert": "height", "horiz": "width", "circ": "girth", "dist": "distance", "trans": "", "scale": "", "incr": "",
    "prognathism": "underbite", "upperlip": "upper lip", "lowerlip": "lower lip", "cupidsbow": "cupid's bow",
    "eyefold": "lid fold", "ext": "corner", "rot": "turned", "napetowaist": "nape to waist", "frontchest": "chest",
    "waisttohip": "waist to hip", "underbust": "under the bust", "upperarm": "upper arm", "lowerarm": "forearm",
    "upperleg": "thigh", "lowerleg": "lower leg", "upperlegs": "thighs", "lowerlegs": "lower legs",
    "nubian": "bulge", "tone": "firm", "septumangle": "septum", "vshape": "V shape",
}  # fmt: skip


@dataclass(frozen=True)
class Detail:
    """A local shape, or the same shape of both sides.

    Attributes:
        name: identifies it. labels: the toolkit's settings, left first. group: a part of the body, in words.
        text: what it changes, in words. face: whether it can be seen on a head.
    """

    name: str
    labels: tuple[str, ...]
    group: str
    text: str
    face: bool

    @property
    def title(self) -> str:
        """Group and text."""
        return f"{self.group}: {self.text}"


@lru_cache(maxsize=1)
def details() -> Mapping[str, Detail]:
    """Every local shape by name, in the order of their titles."""
    members: dict[str, list[str]] = {}
    for label in bundled.setting_names():
        if label not in PHENOTYPE:
            members.setdefault(label[2:] if label[:2] in ("l-", "r-") else label, []).append(label)
    made = [_detail(name, sorted(labels)) for name, labels in members.items()]
    made.sort(key=lambda detail: (not detail.face, detail.title))
    return {detail.name: detail for detail in made}


def _detail(name: str, labels: list[str]) -> Detail:
    words = name.removeprefix("measure-").split("-")
    group, rest = words[0], words[1:]
    if group == "bulge":
        group, rest = "pelvis", ["bulge"]
    stems = [word.rstrip("123") for word in rest]
    spoken = [_WORDS.get(stem, stem) for stem in stems]
    numbers = "".join(word[-1] for word in rest if word[-1:] in "123" and len(word) > 1)
    text = " ".join(filter(None, spoken)) or "size"
    text = f"{text} {numbers}" if numbers else text
    if name.startswith("measure-"):
        text = f"{text} (measure)"
    return Detail(name, tuple(labels), (_WORDS.get(group) or group).capitalize(), text, group in _FACE)
